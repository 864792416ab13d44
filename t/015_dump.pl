# Views, materialized views and functions that contain job statements survive dump and restore, as a
# script through psql and as an archive through pg_restore.

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

# A dump contains only jobs that are over: here job 3.
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

# Returns what these views and functions return.
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

# Restores a dump in each format into a new database.
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

# A dump has the names of owners, because in another cluster their OIDs may belong to other roles.
$node->append_conf('postgresql.conf', "kwjobs.job_visibility = 'owner'\n");
$node->reload;
my $other = new_node('other', "kwjobs.job_visibility = 'owner'\n");

# Roles with names that need quotes, and with a name that is a number.
my %role = (secret => 'secret', quoted => q{we'ird"; \ x}, number => '16385', gone => 'gone', only_here => 'only here', renamed => 'renamed');
my %job;
for my $name (sort keys %role)
{
	my $quoted = $role{$name} =~ s/"/""/gr;
	$node->safe_psql('postgres', qq{CREATE ROLE "$quoted" LOGIN});
	$job{$name} = $node->safe_psql('source', <<"EOF");
SET SESSION AUTHORIZATION "$quoted";
SELECT kwjobs.submit('SELECT ''what $name does''')
EOF
	wait_for_status($node, $job{$name}, 'succeeded', 'source');
}
my $run_as = $node->safe_psql('source', q{SELECT kwjobs.submit('SELECT 1', run_as => 'secret')});
wait_for_status($node, $run_as, 'succeeded', 'source');
$node->safe_psql('postgres', 'DROP ROLE gone; ALTER ROLE renamed RENAME TO "new name"');
$role{renamed} = 'new name';

# In the other cluster all these OIDs are taken, mostly by other roles.
my $highest = $node->safe_psql('source', "SELECT max(owner::oid) FROM kwjobs.job");
$other->safe_psql('postgres', <<"EOF");
DO \$\$
BEGIN
    FOR i IN 0 .. 1000 LOOP
        EXIT WHEN (SELECT max(oid) FROM pg_roles) >= $highest;
        EXECUTE format('CREATE ROLE other_%s LOGIN', i);
    END LOOP;
END \$\$;
EOF
for my $name (sort keys %role)
{
	next if $name eq 'gone' || $name eq 'only_here';
	my $quoted = $role{$name} =~ s/"/""/gr;
	$other->safe_psql('postgres', qq{CREATE ROLE "$quoted" LOGIN});
}
for my $format ('plain', 'inserts', 'custom')
{
	my $file = "$dir/owners.$format";
	my @args = $format eq 'inserts' ? '--inserts' : "--format=$format";
	$node->command_ok([ 'pg_dump', @args, '--exclude-schema=made', '-d', $node->connstr('source'), '-f', $file ], "pg_dump @args");
	$other->safe_psql('postgres', "CREATE DATABASE $format");
	$other->command_ok(
		$format eq 'custom'
		? [ 'pg_restore', '--exit-on-error', '-d', $other->connstr($format), $file ]
		: [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr($format), '-f', $file ],
		'... restored where some of the owners do not exist');
	for my $name (sort keys %role)
	{
		my $quoted = $role{$name} =~ s/"/""/gr;
		is(job_field($other, $job{$name}, 'user_name', $format), $role{$name}, "... $name: the name");
		next if $name eq 'gone' || $name eq 'only_here';
		like($other->safe_psql($format, qq{SET SESSION AUTHORIZATION "$quoted"; SELECT string_agg(description, ',' ORDER BY job_id) FROM kwdb_internal.jobs}),
			$name eq 'secret' ? qr/^SELECT 'what secret does',SELECT 1$/ : qr/^SELECT 'what $name does'$/,
			'... its owner sees it, and no other');
	}
	is(job_field($other, $run_as, 'user_name, created_by', $format), 'secret|postgres', '... who created it, too');
	is( $other->safe_psql($format, q{SELECT count(*) FROM pg_roles AS r WHERE rolname LIKE 'other%' AND EXISTS (SELECT FROM kwjobs.job AS j WHERE pg_has_role(r.oid, j.owner, 'USAGE'))}),
		'0', '... nobody else sees any');
}
$other->stop;

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
