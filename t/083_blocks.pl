# Which statements of a job are in a transaction block: those that change rows, so that libraries which keep
# rows elsewhere commit them together with the job; and none that may not be.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('blocks', <<'EOF');
kwjobs.max_workers = 2
log_statement = all
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub submit
{
	my ($statement, $more) = @_;
	return sql("SELECT kwjobs.submit(\$kw\$$statement\$kw\$" . ($more ? ", $more" : '') . ')');
}

sub outcome
{
	my ($job) = @_;
	wait_for_end($node, $job);
	return job_field($node, $job, 'status, error');
}

# ---- inside ----

# A function of such a library: it tells whether its caller is in a transaction block.
my $dir = $node->basedir;
append_to_file("$dir/block.c", <<'EOF');
#include "postgres.h"
#include "access/xact.h"
#include "fmgr.h"
PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(in_block);
Datum
in_block(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(IsTransactionBlock());
}
EOF
my ($include) = run_command([ 'pg_config', '--includedir-server' ]);
my $cc = $ENV{CC} || 'cc';
system($cc, '-shared', '-fPIC', '-O1', "-I$include", "-I$include/../internal", '-o', "$dir/block.so", "$dir/block.c") == 0
  or die 'cannot compile a function in C';
sql(<<"EOF");
CREATE FUNCTION in_block() RETURNS boolean LANGUAGE c AS '$dir/block', 'in_block';
CREATE TABLE noted (what text, inside boolean);
CREATE FUNCTION note(what text) RETURNS void LANGUAGE sql AS 'INSERT INTO noted VALUES (what, in_block())';
CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM note(TG_OP); RETURN NULL; END \$\$;
CREATE TABLE changed (n integer PRIMARY KEY, v integer);
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON changed FOR EACH ROW EXECUTE FUNCTION note_row();
EOF

# statement, what it notes, whether in a block
my @statements = (
	[ 'INSERT INTO changed VALUES (1, 1)', 'INSERT', 't' ],
	[ 'UPDATE changed SET v = 2', 'UPDATE', 't' ],
	[ 'WITH gone AS (DELETE FROM changed WHERE n = 1 RETURNING n) SELECT count(*) FROM gone', 'DELETE', 't' ],
	[ 'WITH new AS (SELECT 2 AS n) INSERT INTO changed SELECT n, 1 FROM new', 'INSERT', 't' ],
	[ 'DELETE FROM changed', 'DELETE', 't' ],
	[ 'MERGE INTO changed AS c USING (VALUES (3)) AS v (n) ON c.n = v.n WHEN NOT MATCHED THEN INSERT VALUES (v.n, 1)', 'INSERT', 't' ],
	[ q{SELECT note('SELECT')}, 'SELECT', 'f' ],
	[ q{WITH w AS (SELECT 1) SELECT note('WITH') FROM w}, 'WITH', 'f' ],
	[ q{DO $$ BEGIN PERFORM note('DO'); END $$}, 'DO', 'f' ],
	[ q{SELECT 1; SELECT note('several')}, 'several', 't' ],
);
for (@statements)
{
	my ($statement, $what, $inside) = @$_;
	next if $statement =~ /^MERGE/ && sql('SHOW server_version_num') < 150000;
	is(outcome(submit($statement)), 'succeeded|', $statement);
	is(sql('SELECT string_agg(concat(what, inside), $$ $$) FROM noted'), "$what$inside", $inside eq 't' ? '... in a block' : '... outside of one');
	sql('TRUNCATE noted');
}

# It is the whole transaction all the same: settings, rows and what it says are those of one statement.
{
	my $job = submit('INSERT INTO changed SELECT n, 1 FROM generate_series(10, 19) AS n');
	is(outcome($job), 'succeeded|', 'ten rows');
	is(sql("SELECT rows, tags FROM kwdb_internal.job_attempts WHERE job_id = $job"), '10|{"INSERT 0 10"}', '... its tag and rows');
	$job = submit('INSERT INTO changed VALUES (10, 2)', 'max_attempts => 1');
	like(outcome($job), qr/^failed\|duplicate key/, 'its error');
	unlike(job_field($node, $job, 'error_context') // '', qr/statement \d of/, '... is that of the only statement');
	sql('ALTER TABLE changed ADD CONSTRAINT once UNIQUE (v, n) DEFERRABLE INITIALLY DEFERRED');
	is(outcome(submit('UPDATE changed SET n = n WHERE n = 10')), 'succeeded|', 'deferred constraints');
}

# ---- outside ----

sql('CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$');
is(outcome(submit($_)), 'succeeded|', "$_ is not in a block")
  for 'VACUUM changed', 'CREATE INDEX CONCURRENTLY changed_v ON changed (v)', 'REINDEX INDEX CONCURRENTLY changed_v',
  'DROP INDEX CONCURRENTLY changed_v', 'CALL commits()', 'CREATE DATABASE made_by_job', 'DROP DATABASE made_by_job',
  'ALTER SYSTEM SET work_mem = \'5MB\'', 'DISCARD ALL', 'VACUUM';

# Several statements are one transaction. What cannot be among them is refused when the job is created.
my $alone = qr/DETAIL:  The several statements of a job are one transaction\.\nHINT:  Create a job for it alone; with depends_on it starts when another job has succeeded\./;
my $settings = qr/DETAIL:  The several statements of a job are one transaction\.\nHINT:  Give the values of SET as settings of the job: settings => '\{"name": "value"\}'\./;
for (
	[ 'SET vacuum_cost_delay = 10; VACUUM changed', 'VACUUM', $settings ],
	[ 'VACUUM changed; SET vacuum_cost_delay = 10', 'VACUUM', $settings ],
	[ 'SELECT 1; VACUUM changed', 'VACUUM', $alone ],
	[ 'CREATE INDEX CONCURRENTLY ON changed (v); SELECT 1', 'CREATE INDEX CONCURRENTLY', $alone ],
	[ 'SELECT 1; DROP INDEX CONCURRENTLY x', 'DROP INDEX CONCURRENTLY', $alone ],
	[ 'SELECT 1; REINDEX TABLE CONCURRENTLY changed', 'REINDEX CONCURRENTLY', $alone ],
	[ 'SELECT 1; REINDEX (CONCURRENTLY) TABLE changed', 'REINDEX CONCURRENTLY', $alone ],
	[ 'SELECT 1; REINDEX SCHEMA public', 'REINDEX of more than a table', $alone ],
	[ 'SELECT 1; ALTER TABLE a DETACH PARTITION b CONCURRENTLY', 'ALTER TABLE ... DETACH CONCURRENTLY', $alone ],
	[ 'SELECT 1; CREATE DATABASE x', 'CREATE DATABASE', $alone ],
	[ 'SELECT 1; DROP DATABASE x', 'DROP DATABASE', $alone ],
	[ 'SELECT 1; ALTER DATABASE x SET TABLESPACE y', 'ALTER DATABASE SET TABLESPACE', $alone ],
	[ q{SELECT 1; CREATE TABLESPACE x LOCATION '/x'}, 'CREATE TABLESPACE', $alone ],
	[ 'SELECT 1; DROP TABLESPACE x', 'DROP TABLESPACE', $alone ],
	[ q{SELECT 1; ALTER SYSTEM SET work_mem = '4MB'}, 'ALTER SYSTEM', $alone ],
	[ 'SELECT 1; DISCARD ALL', 'DISCARD ALL', $alone ],
	[ 'SELECT 1; CLUSTER', 'CLUSTER', $alone ],
	[ q{SELECT 1; CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p}, 'CREATE SUBSCRIPTION', $alone ],
	[ 'SELECT 1; ALTER SUBSCRIPTION s REFRESH PUBLICATION', 'ALTER SUBSCRIPTION ... REFRESH', $alone ],
	[ q{SELECT 1; COMMIT PREPARED 'x'}, 'COMMIT PREPARED and ROLLBACK PREPARED', $alone ],
  )
{
	my ($statement, $name, $hint) = @$_;
	for my $arguments ("\$kw\$$statement\$kw\$", "'SELECT 1', on_revert => \$kw\$$statement\$kw\$")
	{
		my (undef, undef, $err) = $node->psql('postgres', "SELECT kwjobs.submit($arguments)");
		like($err, qr/ERROR:  \Q$name\E cannot run inside a transaction block\n(LINE.*\n.*\n)?$hint/, "refused: $arguments");
	}
}
is(sql('SELECT count(*) FROM kwjobs.job WHERE finished IS NULL'), '0', 'none of them is a job');

# What it is said with is where it stands in the text.
{
	my (undef, undef, $err) = $node->psql('postgres', q{SELECT kwjobs.submit('SELECT 1;
  VACUUM changed')});
	like($err, qr/LINE 2:   VACUUM changed\n          \^/, 'the place in the text');
}

# What can be in a block is not refused.
is(outcome(submit($_)), 'succeeded|', "allowed: $_")
  for 'ANALYZE changed; SELECT 1', 'REINDEX TABLE changed; SELECT 1', 'CREATE INDEX a ON changed (v); DROP INDEX a',
  'SET work_mem = 1000; SELECT 1', 'CLUSTER changed USING changed_pkey; SELECT 1', 'DISCARD PLANS; SELECT 1', 'DO $$ BEGIN END $$; SELECT 1';
$node->stop;
done_testing();
