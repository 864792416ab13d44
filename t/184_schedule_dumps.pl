# Schedules of all job types, restored from a dump into another database: RESUME makes the job of a schedule anew,
# for the database where the schedule is now, or says why it cannot.
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use JSON::PP;
use KwjSchedules;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/environ';

my $conf = <<'EOF';
timezone = 'UTC'
kwjobs.coordinator_idle_timeout = -1
kwjobs.job_visibility = owner
kwjobs.test_schedule_clock = 1893456000	# 2030-01-01 00:00:00 UTC
EOF
my $node = new_node('dumps', $conf);
my $place = abs_path($node->basedir) . '/files';
mkdir $place or die;
my @names = qw(backup database files load made query restore statistics table tables);

sub sql { my ($query, $db) = @_; return $node->safe_psql($db // 'source', "SET client_min_messages = warning; $query") }

sub fails
{
	my ($db, $role, $query, $message, $name) = @_;
	my ($rc, $out, $err) = $node->psql($db, $query, extra_params => [ '-U', $role ]);
	like($err, $message, $name);
	return;
}

sub statuses { my ($db) = @_; return sql(q{SELECT string_agg(DISTINCT schedule_status, ' ') FROM kwdb_internal.schedules WHERE job_type <> 'SQL'}, $db) }

# Runs a schedule, and returns how its job has ended.
sub run_now
{
	my ($server, $db, $name) = @_;
	my $job = $server->safe_psql($db, "SELECT kwjobs.run_schedule('$name')");
	return $server->safe_psql($db, "SELECT concat_ws(' ', j.status, j.user_name, nullif(j.error_code, ''), nullif(j.error, '')) FROM [SHOW JOB WHEN COMPLETE $job] AS w JOIN kwdb_internal.jobs AS j USING (job_id)");
}

# Makes a database of the dump, on this server or another one.
sub restore
{
	my ($server, $db, @options) = @_;
	$server->safe_psql('postgres', "CREATE DATABASE $db OWNER loader");
	$server->command_ok([ 'pg_restore', @options, '-d', $server->connstr($db), "$place/dump" ], "restored as $db");
	return;
}

# ---- the schedules ----

$node->safe_psql('postgres', <<'EOF');
CREATE ROLE loader LOGIN CREATEDB;
CREATE ROLE only_here LOGIN;
CREATE ROLE boss LOGIN;
GRANT pg_read_server_files, pg_write_server_files TO loader;
CREATE DATABASE source OWNER loader;
EOF
append_to_file("$place/in1.csv", "1.2.2030;5\n");
append_to_file("$place/rows.csv", "7\n");
append_to_file("$place/table.sql", "CREATE TABLE of_file (n integer);\n");
sql(<<'EOF');
CREATE EXTENSION kwjobs;
SET SESSION AUTHORIZATION loader;
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."We""ird" (n integer);
CREATE TABLE dates (at date, v integer);
INSERT INTO "Odd Schema"."We""ird" VALUES (1);
EOF
sql("BACKUP TABLE public.dates TO '$place/saved'");
my $create = <<"EOF";
SET SESSION AUTHORIZATION loader;
SET DateStyle = 'German, DMY';
SET search_path = "Odd Schema", public;
CREATE SCHEDULE load FOR IMPORT INTO dates (at, v) CSV DATA ('$place/in*.csv') WITH delimiter = ';', priority = '2', description = 'the dates'
    RECURRING '0 * * * *' WITH SCHEDULE OPTIONS timeout = '1 hour', on_previous_running = wait;
CREATE SCHEDULE made FOR IMPORT TABLE made (n integer) CSV DATA ('$place/rows.csv') RECURRING NEVER;
CREATE SCHEDULE files FOR IMPORT TABLE CREATE USING '$place/table.sql' CSV DATA ('$place/rows.csv') RECURRING NEVER;
CREATE SCHEDULE "table" FOR EXPORT INTO CSV '$place/{due}' FROM TABLE "We""ird" WITH delimiter = '|' RECURRING NEVER;
CREATE SCHEDULE tables FOR EXPORT INTO CSV '$place/{due}' FROM TABLE dates, "We""ird" RECURRING NEVER;
CREATE SCHEDULE query FOR EXPORT INTO CSV '$place/{due}' FROM SELECT at, 'a\\b' FROM dates, "We""ird" RECURRING NEVER;
CREATE SCHEDULE statistics FOR CREATE STATISTICS s ON at, v FROM dates WITH OPTIONS THROTTLING 0.1 RECURRING NEVER;
CREATE SCHEDULE backup FOR BACKUP TABLE dates, "We""ird" TO '$place/{due}' RECURRING NEVER;
CREATE SCHEDULE database FOR BACKUP TO '$place/{due}' WITH schema_only RECURRING NEVER;
CREATE SCHEDULE restore FOR RESTORE TABLE dates FROM '$place/saved' RECURRING NEVER;
RESET SESSION AUTHORIZATION;
SELECT kwjobs.create_schedule('of only_here', 'never', 'SELECT 1', options => '{"run_as": "only_here"}');
EOF
sql($create);
is(sql(q{SELECT string_agg(name, ' ' ORDER BY name) FROM kwdb_internal.schedules WHERE job_type <> 'SQL'}), "@names", 'the schedules');
$node->command_ok([ 'pg_dump', '-Fc', '-d', $node->connstr('source'), '-f', "$place/dump" ], 'pg_dump');
restore($node, 'restored');

# ---- they go on elsewhere ----

# What a schedule has, but for what belongs to a database.
sub kept
{
	my ($db, $name) = @_;
	return sql(qq{SELECT format('%s %s %s', owner, recurrence, (job - '{payload,statement}'::text[]) || ((job -> 'payload') - '{target,numbers,table,tables,database}'::text[]))
		FROM kwdb_internal.schedules WHERE name = '$name'}, $db);
}
{
	is(statuses('restored'), 'PAUSED', 'restored, they are paused');
	is(result_as($node, 'loader', "SELECT kwjobs.run_schedule('$_')", 'restored'), '55000', "... and $_ cannot be run") for @names;
	append_to_file("$place/in2.csv", "3.2.2030;6\n");
	sql("BEGIN; RESUME SCHEDULE load; ROLLBACK", 'restored');
	is(statuses('restored'), 'PAUSED', 'RESUME rolled back');
	unlike(result_as($node, 'loader', qq(SET DateStyle = 'ISO, MDY'; SET standard_conforming_strings = off; RESUME SCHEDULE "$_"), 'restored'), qr/^\w{5}$/, "RESUME of $_ by its owner") for @names;
	is(statuses('restored'), 'ACTIVE ENDED', '...');
	is(sql('SHOW DateStyle', 'restored'), 'ISO, MDY', '... leaves the settings of the session alone');
	is(kept('restored', $_) =~ s{, (['"])$place/in2.csv\1}{}gr =~ s/\brestored\b/source/gr, kept('source', $_), "owner, options, settings and description of $_ stay") for @names;
	is(sql(q{SELECT (job -> 'payload' ->> 'target')::oid = 'dates'::regclass FROM kwdb_internal.schedules WHERE name = 'load'}, 'restored'), 't', '... the table is that of this database');
	is(sql(q{SELECT command FROM kwdb_internal.schedules WHERE name = 'database'}, 'restored') =~ s/ TO.*//sr, 'BACKUP DATABASE restored', '... and so is the database');
	for my $name (@names)
	{
		is(run_now($node, 'restored', $name), 'succeeded loader', "$name runs") unless $name eq 'restore';
		# A second of its own for each directory.
		stop_clock($node, '2030-01-01 00:00:' . sprintf('%02d', 1 + keys %{ { map { $_ => 1 } glob("$place/2030*") } }), 'restored');
	}
	like(run_now($node, 'restored', 'restore'), qr/^(?:succeeded loader$|failed loader 42P07)/, 'restore runs');
	is(sql('SELECT * FROM dates ORDER BY at', 'restored'), "2030-02-01|5\n2030-02-03|6", 'IMPORT has read the files as the first session said, with a file that has come since');
	is(sql('SELECT count(*) FROM dates'), 0, '... and left the table of the original alone');
	is(sql('SELECT m.n, f.n FROM "Odd Schema".made AS m, "Odd Schema".of_file AS f', 'restored'), '7|7', '... and made tables here');
	is(sql(q{SELECT to_regclass('"Odd Schema".made') IS NULL AND to_regclass('"Odd Schema".of_file') IS NULL}), 't', '... only');
	stop_clock($node, '2030-01-01 01:00:00', 'restored');
	wait_for_ends($node, 'restored');
	is(sql(q{SELECT concat_ws(' ', kind, outcome, status) FROM kwdb_internal.due_times WHERE schedule = 'load' AND kind = 'due'}, 'restored'), 'due run succeeded', 'it is due here, too');
}

# ---- what stands in the way ----

# Rights count when a run begins, as ever.
sql('REVOKE pg_read_server_files FROM loader', 'postgres');
like(run_now($node, 'restored', 'load'), qr/^failed loader 42501/, 'a run without the right fails');
{
	restore($node, 'changed');
	sql('DROP TABLE "Odd Schema"."We""ird"; ALTER TABLE dates RENAME v TO w', 'changed');
	fails('changed', 'loader', 'RESUME SCHEDULE load', qr/ERROR:  permission denied to IMPORT from a file.*CONTEXT:  checking schedule "load", which has come with a dump/s, 'RESUME without the right');
	sql('GRANT pg_read_server_files TO loader', 'postgres');
	fails('changed', 'loader', 'RESUME SCHEDULE load', qr/ERROR:  column "v" of table "dates" does not exist/, '... without the column');
	fails('changed', 'loader', 'RESUME SCHEDULE "table"', qr/ERROR:  relation "Odd Schema.We"ird" does not exist/, '... without the table');
	fails('changed', 'loader', 'RESUME SCHEDULE "tables"', qr/ERROR:  relation "Odd Schema.We"ird" does not exist/, '... without one of them');
	fails('changed', 'loader', 'RESUME SCHEDULE query', qr/ERROR:  relation "We"ird" does not exist/, '... without one that a query reads');
	fails('changed', 'loader', 'RESUME SCHEDULE backup', qr/ERROR:  relation "Odd Schema.We"ird" does not exist/, '... without one that is to be saved');
	fails('changed', 'loader', 'RESUME SCHEDULE statistics', qr/ERROR:  column "v" of table "dates" does not exist/, '... without the column, for statistics');
	unlink "$place/rows.csv" or die;
	fails('changed', 'loader', 'RESUME SCHEDULE made', qr/ERROR:  could not open file .*rows\.csv.*No such file/, '... without the file');
	fails('changed', 'only_here', 'RESUME SCHEDULE load', qr/ERROR:  schedule "load" does not exist/, '... of another role');
	# A member of the admin role may resume what it sees, but not check files and tables with the rights of others.
	configure($node, 'kwjobs.admin_role', 'boss');
	fails('changed', 'boss', 'RESUME SCHEDULE load', qr/ERROR:  permission denied to create a job of role "loader"/, '... by the admin role');
	configure($node, 'kwjobs.admin_role');
	is(statuses('changed'), 'PAUSED', '... and all stay paused');
	is(result_as($node, 'loader', 'ALTER SCHEDULE load RECURRING NEVER; RESUME SCHEDULE IF EXISTS nothing', 'changed'), '', '... and can be altered');
	fails('changed', 'loader', 'RESUME SCHEDULE load', qr/ERROR:  column "v"/, '... which is not enough');
	is(result_as($node, 'loader', "ALTER SCHEDULE load FOR IMPORT INTO dates (at, w) CSV DATA ('$place/in*.csv') WITH delimiter = ';'; SET DateStyle = 'German, DMY'; RESUME SCHEDULE load", 'changed'),
		'', '... unless it is told what to do now');
	is(sql(q{SELECT concat_ws(' ', schedule_status, recurrence, job ->> 'priority', job ->> 'description') FROM kwdb_internal.schedules WHERE name = 'load'}, 'changed'),
		'ENDED NEVER 2 the dates', '... with its options');
}

# Rows of which somebody has changed, or that do not say how their jobs were made.
{
	my %arguments = (made => '[]', files => '{"files": 5}', query => '{"directory": "/x", "query": "SELECT 1", "colour": "red"}', backup => '{}', database => '"x"', tables => '{"tables": [null]}');
	sql(qq{UPDATE kwjobs.schedule SET job = jsonb_set(job, '{arguments}', '$arguments{$_}') WHERE name = '$_'}, 'changed') for keys %arguments;
	for (sort keys %arguments)
	{
		my $result = result_as($node, 'loader', "RESUME SCHEDULE $_", 'changed');
		like($result, qr/^(?:22\w\w\w|55000|XX000)$/, "the arguments of $_ are $arguments{$_}: $result");
	}
	sql(q{UPDATE kwjobs.schedule SET job = job - 'arguments' WHERE name = 'query'; UPDATE kwjobs.schedule SET job_type = 'NOTHING' WHERE name = 'made'}, 'changed');
	fails('changed', 'loader', 'RESUME SCHEDULE query', qr/ERROR:  schedule "query" cannot go on in this database.*HINT:  Type ALTER SCHEDULE name FOR/s, 'without arguments');
	is(result_as($node, 'loader', 'RESUME SCHEDULE made', 'changed'), '42704', 'of a type that there is not');
	is(sql('SELECT 1', 'changed'), 1, '... and no session has come to harm');
}

# ---- a dump is restored into the database that it was made of ----
{
	sql(q{SELECT kwjobs.create_schedule('plain', '0 * * * *', 'SELECT 1')});
	append_to_file("$place/rows.csv", "7\n");
	$node->command_ok([ 'pg_dump', '-Fc', '-d', $node->connstr('source'), '-f', "$place/own" ], 'pg_dump');
	$node->command_ok([ 'pg_restore', '--clean', '-d', $node->connstr('source'), "$place/own" ], 'pg_restore --clean');
	is(sql('SELECT DISTINCT schedule_status FROM kwdb_internal.schedules'), 'PAUSED', 'restored in place, they are paused, too');
	is(sql('SELECT paused_schedules - schedules, next_due FROM kwjobs.health'), '0|', '... which kwjobs.health tells');
	sql(qq{RESUME SCHEDULE "$_"}) for @names, 'plain';
	is(sql('SELECT schedule_status, count(*) FROM kwdb_internal.schedules GROUP BY 1 ORDER BY 1'), "ACTIVE|2\nENDED|9\nPAUSED|1", '... until RESUME');
	is(run_now($node, 'source', 'load'), 'succeeded loader', '... and run with the new tables');
}

# ---- another server, with other OIDs, and without one of the roles ----
{
	my $other = new_node('other', $conf);
	$other->safe_psql('postgres', <<'EOF');
CREATE ROLE shifts; DROP ROLE shifts;
CREATE ROLE loader LOGIN CREATEDB;
GRANT pg_read_server_files, pg_write_server_files TO loader;
EOF
	append_to_file("$place/rows.csv", "7\n");
	restore($other, 'moved');
	for my $name (@names)
	{
		my ($rc, $out, $err) = $other->psql('moved', qq(RESUME SCHEDULE "$name"), extra_params => [ '-U', 'loader' ]);
		is($rc, 0, "another server: RESUME of $name") or diag($err);
	}
	is(run_now($other, 'moved', 'load'), 'succeeded loader', '... runs as its owner');
	is($other->safe_psql('moved', 'SELECT * FROM dates ORDER BY at LIMIT 1'), '2030-02-01|5', '...');
	my ($rc, $out, $err) = $other->psql('moved', 'RESUME SCHEDULE "of only_here"');
	like($err, qr/ERROR:  the owner of schedule "of only_here" does not exist on this server/, 'a schedule whose owner is not there');
	$other->stop;
}

is_consistent($node);
$node->stop;
done_testing();
