# SHOW JOB WHEN COMPLETE and kwjobs.wait for jobs of other databases, and the functions that list
# jobs, with kwjobs.scope = server.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjServer;
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('server_wait', <<'EOF');
kwjobs.test_haste = 4
kwjobs.coordinator_idle_timeout = 0
kwjobs.worker_idle_timeout = 10ms
kwjobs.scope = server
autovacuum = off
# A session gives up when no database has answered for a second. A slow machine may need longer, so
# the sessions of this test wait for a minute.
kwjobs.test_silence = 1min
EOF

create_database($node, $_) for 'one', 'two';
$node->safe_psql('postgres', <<'EOF');
CREATE ROLE admin;
CREATE ROLE chief LOGIN IN ROLE admin;
CREATE ROLE owner LOGIN;
EOF

# Runs statements, as a role if one is given. Returns what they print, with their messages.
sub run { return join('', run_in($node, 'postgres', @_)) }

# Returns a job that stands at the gate, and ends when the gate is opened.
sub job_at_gate
{
	my ($db) = @_;
	my $job = $node->safe_psql($db, q{SELECT kwjobs.submit('SELECT pg_advisory_lock_shared(4711), pg_advisory_unlock_shared(4711)')});
	wait_at_gate($node, $job, $db);
	return $job;
}

# Returns a session that begins this statement, which will wait. Pass it to ends().
sub begin
{
	my ($statement) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/begun/, "\\echo begun\n$statement -- waiting\n;\n");
	return $session;
}

# Returns sessions that have begun these statements, and sleep. A session that asks another database how the job
# stands cannot be told from one that sleeps, so they are stopped when they have been told.
sub begin_sleep
{
	my @statements = @_;
	my $before_sleep = close_gates_in($node, 'postgres', 4937);
	my @begun = map { begin($_) } @statements;
	wait_at_gates($node, scalar(@begun), 'objid = 4937');
	$before_sleep->quit;
	wait_query($node, 'SELECT count(*) = ' . @begun . " FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND backend_type = 'client backend' AND query LIKE '%waiting%'");
	return @begun;
}

# Waits for the end of the session's statement. Returns what it prints, with its messages.
sub ends
{
	my ($session) = @_;
	my $out = $session->query('SELECT 4711');
	my $err = $session->{stderr};
	$session->quit;
	return "$out$err" =~ s/^psql:<stdin>:\d+: //gmr;
}

my ($job, $gate, $session, @sessions);

# ---- jobs that are over ----

my $done = $node->safe_psql('one', q{SELECT kwjobs.submit('SELECT 1; SELECT kwjobs.set_result(''{"n": [1, null]}'')')});
my $failed = $node->safe_psql('two', q{SELECT kwjobs.submit('SELECT 1 / 0')});
wait_for_status($node, $done, 'succeeded', 'one');
wait_for_status($node, $failed, 'failed', 'two');
my $here = $node->safe_psql('postgres', q{SELECT kwjobs.submit('SELECT 1')});
like(run("SHOW JOB WHEN COMPLETE $done;"), qr/^$done\|SQL\|.*\|succeeded\|/, 'WHEN COMPLETE of a job of another database that is over');
is(run("SELECT database, status FROM kwjobs.when_complete(ARRAY[$done, $failed, $here, 4711]) ORDER BY 1;"),
	"one|succeeded\npostgres|succeeded\ntwo|failed", 'jobs of three databases');
is(run("SELECT status, rows, error, command_tags, result FROM kwjobs.wait($done);"), 'succeeded|2||{"SELECT 1","SELECT 1"}|{"n": [1, null]}',
	'kwjobs.wait has what the job has returned');
is(run("SELECT status, error, error_code FROM kwjobs.wait($failed);", 'chief'), 'failed|division by zero|22012', '... and its error');
like(run("SELECT status FROM kwjobs.wait($done);", 'owner'), qr/ERROR:  job with ID $done does not exist/, 'a role without the admin role does not see it');
like(run('SELECT kwjobs.wait(4711);'), qr/ERROR:  job with ID 4711 does not exist/, 'no database has the job');

# ---- jobs that run ----

$gate = close_gates_in($node, 'one', 4711);
$job = job_at_gate('one');
is(run("SELECT status, error FROM kwjobs.wait($job, '0');"), 'running|', 'a timeout');
is(run("SELECT status, error FROM kwjobs.wait($job, '300 ms');"), 'running|', '... that is longer');
@sessions = begin_sleep("SELECT status FROM [SHOW JOB WHEN COMPLETE $job]", "SELECT (kwjobs.wait($job)).status",
	"SELECT status FROM kwjobs.wait($job)", "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT status FROM [SHOW JOB $job WHEN COMPLETE]",
	"DO \$\$ BEGIN ASSERT (SELECT status FROM kwjobs.wait($job)) = 'succeeded'; RAISE INFO 'succeeded'; END \$\$");
wait_query($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%waiting%' AND backend_xmin IS NOT NULL AND query LIKE '%[SHOW JOB WHEN%' AND pid <> pg_backend_pid()}),
	'0', 'WHEN COMPLETE waits without a snapshot');
$gate->quit;
like(ends($_), qr/succeeded/, 'a session that waits is woken when the job ends') for @sessions;

# The job ends when the session has been told that it runs, and before it sleeps.
$gate = close_gates_in($node, 'one', 4711);
$job = job_at_gate('one');
{
	my $before_sleep = close_gates_in($node, 'postgres', 4937);
	# The alarm of deadlock_timeout, which is set for the gate, would wake the session.
	$session = begin("SET deadlock_timeout = '1h';\nSELECT status FROM kwjobs.wait($job)");
	wait_at_gates($node, 1, 'objid = 4937');
	$gate->quit;
	wait_for_status($node, $job, 'succeeded', 'one');
	$before_sleep->quit;
	like(ends($session), qr/succeeded/, 'a session does not sleep if the job has ended since it asked');
}

# A job that cannot go on before the transaction ends, and a job that waits.
$job = waiting_job($node, 'one');
like(run("BEGIN;\nPAUSE JOB $job;\nSHOW JOB WHEN COMPLETE $job;"),
	qr/ERROR:  cannot wait for job $job in the transaction that created or controlled it/, 'a transaction does not wait for what it has not committed');
my $waiter = $node->safe_psql('postgres', "SELECT kwjobs.submit('SELECT kwjobs.wait($job)')");
wait_for_status($node, $waiter, 'failed');
is($node->safe_psql('postgres', "SELECT error_code, error FROM kwdb_internal.jobs WHERE job_id = $waiter"),
	"0A000|a job cannot wait for job $job, which is a job of another database", 'a job does not wait for one of another database');
($session) = begin_sleep("SELECT status FROM kwjobs.wait($job)");
run("CANCEL JOB $job;");
like(ends($session), qr/canceled/, 'a CANCEL from a session of another database ends the wait');

# ---- what ends a wait ----

# The coordinator is terminated while the session waits; the job ends later.
$gate = close_gates_in($node, 'one', 4711);
$job = job_at_gate('one');
($session) = begin_sleep("SELECT status FROM kwjobs.wait($job)");
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'});
$gate->quit;
like(ends($session), qr/succeeded/, 'the coordinator is terminated meanwhile');

# The job is canceled in its own database.
$gate = close_gates_in($node, 'one', 4711);
$job = $node->safe_psql('one', q{SELECT kwjobs.submit('SELECT pg_advisory_lock_shared(4711)', max_attempts => 1)});
wait_at_gate($node, $job, 'one');
($session) = begin_sleep("SELECT status FROM kwjobs.wait($job)");
$node->safe_psql('one', "SELECT kwjobs.cancel($job)");
like(ends($session), qr/canceled/, 'the job is canceled at home');
$gate->quit;

# The database or its kwjobs goes away. At the beginning of that, the session is woken and asks, and
# nobody answers. So it must not be patient any more once it has found the job. Its own questions are answered in
# time, because the coordinator that answers the first one stays.
configure($node, 'kwjobs.coordinator_idle_timeout', '-1');
sub begin_impatient_sleep
{
	my ($job, @statements) = @_;
	return begin_sleep(map { "BEGIN; SELECT status FROM kwjobs.wait($job, '0'); SET LOCAL kwjobs.test_silence = '1s'; $_" } @statements);
}

$job = waiting_job($node, 'one');
($session) = begin_impatient_sleep($job, "SELECT status FROM kwjobs.wait($job)");
$node->safe_psql('one', "BEGIN; DELETE FROM kwjobs.job WHERE job_id = $job; COMMIT");
$node->safe_psql('one', 'DROP EXTENSION kwjobs');
like(ends($session), qr/ERROR:  job with ID $job does not exist/, 'the extension is dropped there: kwjobs.wait raises an error');
$node->safe_psql('one', 'CREATE EXTENSION kwjobs');
$job = waiting_job($node, 'two');
@sessions = begin_impatient_sleep($job, "SELECT count(*) FROM [SHOW JOB WHEN COMPLETE $job]", "SELECT status FROM kwjobs.wait($job)");
$node->safe_psql('postgres', 'DROP DATABASE two');
configure($node, 'kwjobs.coordinator_idle_timeout', '0');
like(ends($sessions[0]), qr/^0$/m, 'the database is dropped: WHEN COMPLETE shows no job');
like(ends($sessions[1]), qr/ERROR:  job with ID $job does not exist/, '... and kwjobs.wait raises an error');

# The role loses the admin role while it waits, and the coordinator meets an error. A change of the
# job makes the session look.
$job = waiting_job($node, 'one');
($session) = begin_sleep("SET ROLE chief; SELECT status FROM kwjobs.wait($job)");
# The coordinator has left: it has answered the first question.
wait_for_no_coordinator($node);
$node->safe_psql('postgres', 'REVOKE admin FROM chief');
$node->safe_psql('one', "PAUSE JOB $job");
like(ends($session), qr/ERROR:  the jobs of database "one" are left out: role "chief" does not have the admin role of the server/,
	'a role loses the admin role while it waits');
($session) = begin_sleep("SELECT status FROM kwjobs.wait($job)");
wait_for_no_coordinator($node);
$node->safe_psql('one', 'ALTER FUNCTION pg_catalog.kwjobs_shown(text) RENAME TO kwjobs_not_shown');
$node->safe_psql('one', "RESUME JOB $job");
like(ends($session), qr/ERROR:  the jobs of database "one" are left out: function kwjobs_shown\(text\) does not exist/, '... and the coordinator meets an error');
$node->safe_psql('one', 'ALTER FUNCTION pg_catalog.kwjobs_not_shown(text) RENAME TO kwjobs_shown');

# The session is canceled, and can go on.
$job = waiting_job($node, 'one');
like(run("SET statement_timeout = '300ms';\nSELECT kwjobs.wait($job);\nSELECT 4711;"), qr/4711.*canceling statement due to statement timeout/s, 'a wait is canceled');

# ---- the functions that list jobs ----

my $automatic = $node->safe_psql('one', q{SELECT kwjobs.submit('SELECT 1', description => 'automatic')});
wait_for_status($node, $automatic, 'succeeded', 'one');
$node->safe_psql('one', "UPDATE kwjobs.job SET job_type = 'AUTO_CREATE_STATS' WHERE job_id = $automatic");
is(run("SELECT database, job_id FROM kwjobs.show() WHERE job_id IN ($job, $here) ORDER BY 1;"), "one|$job\npostgres|$here", 'kwjobs.show() has the jobs of all databases');
is(run('SELECT database, description FROM kwjobs.show_automatic();'), 'one|automatic', '... so has kwjobs.show_automatic()');
is(run("SELECT database, job_id FROM kwjobs.show($job, $here) ORDER BY 1;"), "one|$job\npostgres|$here", '... and kwjobs.show(ids)');
is(run("SET kwjobs.scope = database;\nSELECT database, job_id FROM kwjobs.show($job, $here) ORDER BY 1;"), "postgres|$here", '... not with kwjobs.scope = database');

is_consistent($node, $_) for 'postgres', 'one';
$node->stop;
done_testing();
