# BACKUP: what a backup holds, what becomes of one that fails, who may make one, progress, PAUSE,
# CANCEL, and that no process and no file is left, whichever process dies.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use JSON::PP;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/environ';

my $node = new_node('backup', <<'EOC');
kwjobs.max_workers = 4
log_statement = none
EOC
my $data = abs_path($node->data_dir);
my $bin = $node->config_data('--bindir');
my $place = abs_path($node->basedir) . '/backups';
mkdir $place or die;

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sub error_of { return sql("SELECT error_code || ': ' || error FROM kwdb_internal.jobs WHERE job_id = $_[0]"); }

sql(<<'EOC');
CREATE ROLE saver LOGIN;
GRANT pg_write_server_files, pg_read_server_files TO saver;
CREATE DATABASE shop OWNER saver;
EOC
sql(<<'EOC', 'shop');
SET SESSION AUTHORIZATION saver;
CREATE SCHEMA own;
CREATE TABLE own.orders (id int PRIMARY KEY, note text);
INSERT INTO own.orders SELECT n, repeat('x', 100) FROM generate_series(1, 20000) AS n;
CREATE TABLE own."a ""b""" (n int);
INSERT INTO own."a ""b""" VALUES (1), (2);
CREATE VIEW own.v AS SELECT count(*) FROM own.orders;
SELECT lo_from_bytea(0, 'a large object');
EOC

# nobody but the test's superuser can connect
unlink("$data/pg_hba.conf") or die;
append_to_file("$data/pg_hba.conf", "local all postgres trust\nlocal all all reject\n");
$node->reload;

my $row = sql("BACKUP DATABASE shop TO '$place/one' WITH run_as = 'saver'");
like($row, qr/^\d+\|succeeded\|1\|\d+$/, 'BACKUP waits and returns its result');
like(sql("SHOW BACKUP '$place/one'"), qr/^shop\|\|[^|]+\|[^|]+\|\d+\|\d+\|t\|$/, 'SHOW BACKUP says that it is right');
diag(sql("SELECT j.job_id, job_type, status, description, result, a.messages FROM kwdb_internal.jobs j JOIN kwdb_internal.job_attempts a USING (job_id) ORDER BY 1"));

done_testing();
