# RESTORE: what it restores, what it refuses before it touches anything, who may, and what is left when
# it fails, is canceled, or its processes die.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use JSON::PP;
use KwjPrograms;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/environ';

my $node = new_node('restore', <<'EOC');
kwjobs.max_workers = 4
log_statement = none
autovacuum = off
kwjobs.track = all
EOC
my $data = abs_path($node->data_dir);
my $place = make_place($node);

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sub fails_with
{
	my ($statement, $message, $name) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $statement);
	return like($err, $message, $name // "refused: $statement");
}

sub error_of { return sql("SELECT error_code || ': ' || error FROM kwdb_internal.jobs WHERE job_id = $_[0]"); }

# Creates a RESTORE that fails at its first error; returns its id.
sub create
{
	my ($statement, @options) = @_;
	return sql("$statement WITH " . join(', ', 'detached', "run_as = 'saver'", "max_attempts = '1'", @options));
}

sql(<<'EOC');
CREATE ROLE saver LOGIN CREATEDB;
CREATE ROLE nobody LOGIN;
CREATE ROLE reader LOGIN;
GRANT pg_write_server_files, pg_read_server_files TO saver;
GRANT pg_read_server_files TO reader;
CREATE DATABASE shop OWNER saver;
EOC
sql('CREATE EXTENSION kwjobs', 'shop');
sql(<<'EOC', 'shop');
SET SESSION AUTHORIZATION saver;
CREATE SCHEMA own;
CREATE TABLE own.orders (id int PRIMARY KEY, note text);
INSERT INTO own.orders SELECT n, md5(n::text) FROM generate_series(1, 20000) AS n;
CREATE INDEX ON own.orders (note);
CREATE TABLE own.lines (id int REFERENCES own.orders, n int);
INSERT INTO own.lines VALUES (1, 2), (2, 3);
CREATE TABLE public.kwjobs (n int);
INSERT INTO public.kwjobs VALUES (1);
CREATE FUNCTION own.f() RETURNS int LANGUAGE sql RETURN 1;
CREATE VIEW own.v AS SELECT count(*) FROM own.orders;
-- The index of this table reads a catalog of the whole server, so a lock on that stops pg_restore.
CREATE FUNCTION own.gate(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
$$ BEGIN PERFORM FROM pg_catalog.pg_shdescription; RETURN n; END $$;
CREATE TABLE own.gated (n int);
INSERT INTO own.gated VALUES (1);
CREATE INDEX ON own.gated (own.gate(n));
SELECT lo_from_bytea(4711, 'a large object');
EOC
sql('CREATE TABLE public.mine (n int PRIMARY KEY); INSERT INTO mine SELECT generate_series(1, 100); GRANT SELECT ON mine TO saver; GRANT CREATE ON SCHEMA public TO saver');

unlink("$data/pg_hba.conf") or die;
append_to_file("$data/pg_hba.conf", "local all postgres trust\nlocal all all reject\n");
$node->reload;
sql("BACKUP DATABASE shop TO '$place/shop' WITH run_as = 'saver'");
sql("BACKUP TABLE mine TO '$place/mine' WITH run_as = 'saver'");

# ---- a database ----

my $all = <<'EOC';
SELECT (SELECT string_agg(o::text, ' ' ORDER BY o.id) FROM own.orders AS o) || (SELECT string_agg(l::text, ' ' ORDER BY l.id) FROM own.lines AS l)
       || own.f() || (SELECT v::text FROM own.v) || (SELECT n FROM public.kwjobs) || encode(lo_get(4711), 'hex')
       || (SELECT string_agg(indexdef, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'own')
       || (SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE connamespace = 'own'::regnamespace)
EOC
my ($job) = sql("RESTORE DATABASE shop FROM '$place/shop' WITH into_db = 'copy', run_as = 'saver'") =~ /^(\d+)\|succeeded\|1\|\d+$/;
ok($job, 'RESTORE waits and returns its result');
is(sql($all, 'copy'), sql($all, 'shop'), 'the new database has all that the old one had');
is(sql("SELECT datdba::regrole || ' ' || pg_encoding_to_char(encoding) || ' ' || datcollate FROM pg_database WHERE datname = 'copy'"),
	sql("SELECT datdba::regrole || ' ' || pg_encoding_to_char(encoding) || ' ' || datcollate FROM pg_database WHERE datname = 'shop'"), 'and belongs to the owner of the job');
like(sql("SELECT array_to_string(messages, ' / ') FROM kwdb_internal.job_attempts WHERE job_id = $job"), qr/NOTICE:  the extension kwjobs is left out/,
	'what the owner cannot restore is left out, and the job says so');
is(sql("SELECT count(*) FROM pg_extension WHERE extname = 'kwjobs'", 'copy'), 0, 'the extension kwjobs');
is(sql("SELECT status, fraction_completed, result ->> 'tables', result ->> 'indexes' FROM kwdb_internal.jobs WHERE job_id = $job"), 'succeeded|1|4|4', 'the job');
is(sql("SELECT count(*) FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE' AND description LIKE '%kwjobs_restore%'"), 0, 'what pg_restore does is no job of its own');
is(sql("SELECT datconnlimit FROM pg_database WHERE datname = 'copy'"), -1, 'all may connect to it');
wait_until_clean($node, 'nothing is left of the programs');
is(databases($node), 'copy postgres shop', 'nor another database');

($job) = sql("RESTORE FROM '$place/shop' WITH into_db = 'by a \"superuser'") =~ /^(\d+)/;
is(sql($all, 'by a "superuser'), sql($all, 'shop'), 'a superuser restores it, too');
is(sql("SELECT count(*) FROM pg_extension WHERE extname = 'kwjobs'", 'by a "superuser'), 1, 'with the extension kwjobs');
sql('DROP DATABASE "by a ""superuser"');
sql('DROP DATABASE copy');

# ---- tables ----

sql('DROP TABLE mine');
sql("RESTORE TABLE mine FROM '$place/mine' WITH no_owner, run_as = 'saver', no_privileges");
is(sql("SELECT count(*) || ' ' || (SELECT relowner::regrole FROM pg_class WHERE relname = 'mine') FROM mine"), '100 saver', 'tables are restored into the database');
sql('CREATE DATABASE other OWNER saver');
sql("CALL kwjobs.restore_and_wait('$place/mine', options => '{\"into_db\": \"other\", \"no_owner\": true, \"no_privileges\": true, \"run_as\": \"saver\"}')");
is(sql('SELECT count(*) FROM mine', 'other'), 100, 'or into another one');
$job = create("RESTORE FROM '$place/mine'", "into_db = 'other'", 'no_owner');
wait_for_status($node, $job, 'failed');
is(error_of($job), '42P07: relation "mine" already exists', 'but not over one that is there');
is(sql('SELECT count(*) FROM mine', 'other'), 100, 'which stays');
sql('DROP TABLE mine', 'other');
$job = create("RESTORE FROM '$place/mine'", "into_db = 'other'");
wait_for_status($node, $job, 'failed');
like(error_of($job), qr/^42501: must be (member of role|able to SET ROLE) "postgres"/, 'owners are restored, if the owner of the job may');
like(sql("SELECT error_hint FROM kwdb_internal.jobs WHERE job_id = $job"), qr/WITH no_owner, no_privileges/, 'the hint says what to do');
is(sql("SELECT to_regclass('mine') IS NULL", 'other'), 't', 'nothing is left of it');

# ---- some tables of a backup ----

sql('CREATE TABLE public.yours (n int)');
sql("BACKUP TABLE mine, yours TO '$place/both'");
sql("RESTORE TABLE yours FROM '$place/both' WITH into_db = 'other'");
is(sql("SELECT to_regclass('yours') IS NOT NULL, to_regclass('mine') IS NULL", 'other'), 't|t', 'one table of a backup of several');
sql('DROP TABLE yours', 'other');
fails_with("RESTORE TABLE mine, mien FROM '$place/both'", qr/the backup does not hold table mien/);

# ---- partitioned tables ----

sql(<<'EOSQL');
CREATE SCHEMA "far ""away";
CREATE TABLE parts (k int, t text DEFAULT 'x') PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (k);
CREATE TABLE "far ""away"."p 2*" PARTITION OF parts_2 FOR VALUES FROM (10) TO (30);
CREATE INDEX ON parts (k);
INSERT INTO parts SELECT n % 20 FROM generate_series(1, 200) AS n;
EOSQL
sql('CREATE SCHEMA "far ""away"', 'other');
my $parts_of = "SELECT count(*) || ' ' || sum(k) || ' ' || count(DISTINCT tableoid) FROM parts";
sql("BACKUP TABLE parts TO '$place/parts'");
is(sql("SELECT tables FROM [SHOW BACKUP '$place/parts']"), '{public.parts}', 'the backup of a partitioned table is called as that');
sql("RESTORE TABLE parts FROM '$place/parts' WITH into_db = 'other'");
is(sql($parts_of, 'other'), '200 1900 2', 'it has the rows of all partitions');
is(sql("SELECT count(*) FROM pg_inherits WHERE inhparent IN ('parts'::regclass, 'parts_2'::regclass)", 'other'), 3, 'and the partitions');
sql('DROP TABLE parts', 'other');

{
	my $gate = $node->background_psql('postgres');
	$gate->query_safe('BEGIN; LOCK TABLE parts_1 IN ACCESS EXCLUSIVE MODE');
	$job = sql("BACKUP TABLE parts TO '$place/parts2' WITH detached");
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs session' AND wait_event_type = 'Lock'");
	sql('CREATE TABLE parts_3 AS SELECT n AS k, NULL::text AS t FROM generate_series(30, 39) AS n');
	sql('ALTER TABLE parts ATTACH PARTITION parts_3 FOR VALUES FROM (30) TO (40)');
	$gate->query_safe('ROLLBACK');
	$gate->quit;
	wait_for_status($node, $job, 'succeeded');
	is(sql("SELECT error_code || ': ' || error FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed'"),
		'40001: partition public.parts_3 has come while its table was backed up', 'a partition that comes in the middle has the job tried again');
	sql("RESTORE FROM '$place/parts2' WITH into_db = 'other'");
	is(sql($parts_of, 'other'), '210 2245 3', 'and its rows are in the backup');
	sql('DROP TABLE parts', 'other');
}

# ---- what is refused at once ----

fails_with("SET ROLE nobody; SELECT kwjobs.restore('$place/shop')", qr/permission denied to RESTORE from a directory of the server/);
fails_with("SET ROLE reader; SELECT kwjobs.restore('$place/shop', options => '{\"into_db\": \"x\"}')", qr/permission denied to create database.*ALTER ROLE reader CREATEDB/s);
fails_with("RESTORE FROM '$place/shop'", qr/database "shop" already exists/);
fails_with("RESTORE FROM '$place/shop' WITH into_db = 'other'", qr/database "other" already exists/);
fails_with("RESTORE DATABASE other FROM '$place/shop'", qr/is one of database "shop", not of "other"/);
fails_with("RESTORE TABLE yours FROM '$place/mine'", qr/does not hold table yours/);
fails_with("RESTORE FROM '$place/mine' WITH into_db = 'nothing'", qr/database "nothing" does not exist/);
fails_with("RESTORE FROM '$place/mine' WITH jobs = 4", qr/RESTORE option "jobs" does not exist/);
fails_with("RESTORE FROM '$place/mine' WITH thread_concurrency = 0", qr/invalid value for RESTORE option "thread_concurrency"/);
fails_with("RESTORE FROM '$place/mine', '$place/shop'", qr/more than one place of a backup is not supported/);
fails_with("RESTORE FROM '$place'", qr/is no backup/);
fails_with("BEGIN; RESTORE FROM '$place/mine'", qr/RESTORE cannot (run|be used) inside a transaction/);

# ---- versions and programs ----

{
	my $text = slurp_file("$place/mine/manifest.json");
	overwrite("$place/mine/manifest.json", $text =~ s/"server_version_num": \d+/"server_version_num": 990001/r);
	fails_with("RESTORE FROM '$place/mine'", qr/the backup was made by PostgreSQL 99, and this server is PostgreSQL \d+/, 'a backup of a later version is refused');
	overwrite("$place/mine/manifest.json", $text);
}
for my $program ('pg_dump', 'pg_restore', 'psql')
{
	my $statement = $program eq 'pg_dump' ? "BACKUP TABLE mine TO '$place/none'" : "RESTORE FROM '$place/mine'";
	fails_with("SET kwjobs.test_missing_program = '$program'; $statement",
		qr/could not find program ".*".*the programs of the server's own version.*postgresql-client-\d+/s, "$program is missing: the error and the hint");
}

# ---- a damaged backup ----

my ($file) = grep { -s $_ > 1000 } glob("$place/shop/*.dat.gz");
my $content = slurp_file($file);
my $changed = $content;
substr($changed, length($changed) / 2, 1) ^= "\x01";
overwrite($file, $changed);
$job = create("RESTORE FROM '$place/shop'", "into_db = 'copy'");
wait_for_status($node, $job, 'failed');
like(error_of($job), qr/^XX001: backup ".*" is damaged: file ".*" has another checksum/, 'a changed bit is found before anything is touched');
is(databases($node), 'other postgres shop', 'no database');
overwrite($file, $content);

# ---- failures in the middle ----

# Returns a job that waits in the middle of pg_restore, and a session: its ROLLBACK lets the job go on.
sub start_and_stop
{
	my @options = @_;
	my $gate = $node->background_psql('postgres');
	$gate->query_safe('BEGIN; LOCK TABLE pg_shdescription IN ACCESS EXCLUSIVE MODE');
	my $id = sql("RESTORE FROM '$place/shop' WITH " . join(', ', 'detached', "into_db = 'copy'", "run_as = 'saver'", @options));
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs session' AND wait_event_type = 'Lock' AND datname LIKE 'kwjobs\\_restore\\_${id}\\_%'");
	return ($id, $gate);
}

my $gate;
($job, $gate) = start_and_stop();
wait_query($node, "SELECT running_status = 'data 4/4 tables, indexes 3/4' AND fraction_completed BETWEEN 0.9 AND 0.93 FROM kwdb_internal.jobs WHERE job_id = $job");
my ($work) = databases($node) =~ /^(kwjobs_restore_${job}_[0-9a-f]{16}) other postgres shop$/;
ok($work, 'the database has another name while it is restored, which nobody can guess');
{
	my $hba = slurp_file("$data/pg_hba.conf");
	overwrite("$data/pg_hba.conf", "local all nobody trust\n$hba");
	$node->reload;
	my ($out, $err) = run_command([ 'psql', '-XqAt', '-d', $node->connstr($work) . ' user=nobody', '-c', 'SELECT 1' ]);
	like($err, qr/too many connections for database/, 'and no other role can connect to it');
	overwrite("$data/pg_hba.conf", $hba);
	$node->reload;
}
my ($pid) = programs($node, qr/pg_restore|psql/);
sql("PAUSE JOB $job");
wait_query($node, "SELECT running_status LIKE 'stopped in place%' FROM kwdb_internal.jobs WHERE job_id = $job");
sql("RESUME JOB $job");
sql("CANCEL JOB $job");
wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = '$work'");
$gate->query_safe('ROLLBACK');
wait_for_status($node, $job, 'canceled');
is(databases($node), 'other postgres shop', 'CANCEL drops it');
wait_until_clean($node, 'and ends all processes');

($job, $gate) = start_and_stop("max_attempts = '1'");
sql('CREATE DATABASE copy TEMPLATE other');
$gate->query_safe('ROLLBACK');
wait_for_status($node, $job, 'failed');
is(error_of($job), '42P04: database "copy" already exists', 'a database that has come meanwhile is not replaced');
is(databases($node), 'copy other postgres shop', 'and the restored one is dropped');
sql('DROP DATABASE copy');

foreach my $victim ('worker', 'stop')
{
	($job, $gate) = start_and_stop($victim eq 'stop' ? "max_attempts = '1'" : ());
	my $worker = job_field($node, $job, 'pid');
	if ($victim eq 'stop')
	{
		$node->stop('fast');
		$node->start;
	}
	else
	{
		kill_process($node, $worker);
	}
	wait_for_status($node, $job, 'succeeded');
	is(databases($node), 'copy other postgres shop', "$victim: the job goes on, and makes one database");
	is(sql($all, 'copy'), sql($all, 'shop'), 'which is whole');
	wait_until_clean($node, 'nothing is left');
	sql('DROP DATABASE copy');
}

# A database with the name that an attempt has left, but of another role, is not dropped.
($job, $gate) = start_and_stop();
($work) = databases($node) =~ /(kwjobs_restore_${job}_[0-9a-f]{16})/;
sql("ALTER DATABASE $work OWNER TO nobody");
kill_process($node, job_field($node, $job, 'pid'));
wait_for_status($node, $job, 'succeeded');
is(databases($node), "copy $work other postgres shop", 'a database of another role is left alone, whatever its name');

done_testing();
