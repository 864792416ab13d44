# What is made over job statements survives dump and restore: views, materialized views,
# functions; as a script through psql and as an archive through pg_restore.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('dump', '');
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', 'CREATE EXTENSION kwjobs');
add_jobs($node, 'source');

# The history comes along only where it is over: job 3.
$node->safe_psql('source', <<'EOF');
CREATE SCHEMA made;
CREATE VIEW made.open_jobs AS SELECT job_id, status FROM [SHOW JOBS] WHERE finished IS NULL;
CREATE VIEW made.all_forms AS
SELECT a.job_id, b.status AS b, c.job_type AS c, d.description
  FROM [SHOW JOBS] AS a JOIN [SHOW JOB 3] AS b USING (job_id)
  JOIN [SHOW JOBS WHERE status <> 'x'] AS c USING (job_id)
  JOIN [SHOW JOBS SELECT 3::bigint] AS d USING (job_id);
CREATE VIEW made.plain AS SHOW JOB 3;
CREATE MATERIALIZED VIEW made.kept AS SELECT job_id, status FROM [SHOW JOBS];
CREATE MATERIALIZED VIEW made.empty AS SELECT * FROM [SHOW JOBS] WITH NO DATA;
CREATE UNIQUE INDEX ON made.kept (job_id);
CREATE FUNCTION made.in_sql(bigint) RETURNS text LANGUAGE sql AS 'SELECT status FROM [SHOW JOB $1]';
CREATE FUNCTION made.atomic(id bigint) RETURNS text LANGUAGE sql
    BEGIN ATOMIC SELECT status FROM [SHOW JOB id]; END;
CREATE FUNCTION made.in_plpgsql() RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SHOW JOBS LOOP RETURN NEXT r.job_id; END LOOP;
    SHOW JOB 3 INTO r;
    RETURN QUERY SELECT job_id FROM [SHOW JOBS] WHERE job_id = r.job_id;
END $$;
CREATE PROCEDURE made.controls(id bigint) LANGUAGE sql BEGIN ATOMIC CANCEL JOB id WITH REASON = 'a reason'; END;
CREATE TABLE made.watched (id bigint);
CREATE RULE shows AS ON INSERT TO made.watched DO ALSO SELECT status FROM [SHOW JOBS] AS j WHERE j.job_id = NEW.id;
CREATE FUNCTION made.check_job() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF NOT EXISTS (SELECT FROM [SHOW JOB NEW.id]) THEN RETURN NULL; END IF; RETURN NEW; END';
CREATE TRIGGER check_job BEFORE INSERT ON made.watched FOR EACH ROW EXECUTE FUNCTION made.check_job();
GRANT SELECT ON made.open_jobs TO PUBLIC;
EOF

# What they return.
sub results
{
	my ($db) = @_;
	return $node->safe_psql($db, <<'EOF');
SET search_path = '';
TABLE made.open_jobs;
TABLE made.all_forms;
SELECT job_id FROM made.plain;
SELECT made.in_sql(3), made.atomic(3);
SELECT made.in_plpgsql();
CALL made.controls(NULL);
INSERT INTO made.watched VALUES (3), (4711);
TABLE made.watched;
TRUNCATE made.watched;
REFRESH MATERIALIZED VIEW made.empty;
SELECT count(*) FROM made.empty;
EOF
}

sub definitions
{
	my ($db) = @_;
	return $node->safe_psql($db, <<'EOF');
SELECT oid::regclass, pg_get_viewdef(oid) FROM pg_class WHERE relnamespace = 'made'::regnamespace AND relkind IN ('v', 'm') ORDER BY relname;
SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'made'::regnamespace ORDER BY proname;
SELECT pg_get_ruledef(oid) FROM pg_rewrite WHERE rulename = 'shows';
EOF
}

$node->safe_psql('source', "DELETE FROM kwjobs.job WHERE job_id < 3");
my $expected = results('source');
like($expected, qr/^3\|canceled\|IMPORT\|a job\n3\ncanceled\|canceled\n3\n3\n(canceled\n)*3\n1$/, 'they work');
my $definitions = definitions('source');
my $kept = "1|paused\n2|running\n3|canceled";
is($node->safe_psql('source', 'TABLE made.kept ORDER BY job_id'), $kept, 'the materialized view has what was there');

# A dump in each format, into a database of its own.
my $dir = $node->basedir;
for my $format (qw(plain custom))
{
	my $file = "$dir/dump.$format";
	$node->safe_psql('postgres', "CREATE DATABASE $format");
	$node->command_ok([ 'pg_dump', "--format=$format", '-d', $node->connstr('source'), '-f', $file ], "pg_dump, $format");
	$node->command_ok(
		$format eq 'plain'
		? [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($format), '-f', $file ]
		: [ 'pg_restore', '--exit-on-error', '-d', $node->connstr($format), $file ],
		"restored, $format");
	is(definitions($format), $definitions, '... the definitions are the same');
	is(results($format), $expected, '... and the results');
	is($node->safe_psql($format, 'TABLE made.kept ORDER BY job_id'),
		'3|canceled', '... and the materialized view is filled from the history that came along');
}

# A dump of the restored database is the dump of the first.
my %text;
for my $db (qw(source plain custom))
{
	my ($out, $err) = run_command([ 'pg_dump', '--schema=made', '--schema-only', '-d', $node->connstr($db) ]);
	$text{$db} = $out =~ s/^\\(un)?restrict .*$//mgr;
}
like($text{source}, qr/\[SHOW JOB NEW\.id\]/, 'pg_dump again');
is($text{plain}, $text{source}, '... of what psql restored');
is($text{custom}, $text{source}, '... of what pg_restore restored');

$node->stop;
done_testing();
