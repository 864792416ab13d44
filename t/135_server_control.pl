# PAUSE, RESUME, CANCEL and RETRY of jobs of other databases, with kwjobs.scope = server: they take
# effect when the session's transaction commits, once, in their order, with reason and actor.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjServer;
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('server_control', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
kwjobs.test_haste = 4
kwjobs.coordinator_idle_timeout = 0
kwjobs.worker_idle_timeout = 10ms
kwjobs.scope = server
max_prepared_transactions = 1
autovacuum = off
# A session waits for a second for an answer of another database, and for the effect of its errands. A
# slow machine may need longer, so the sessions of this test wait for a minute.
kwjobs.test_silence = 1min
dynamic_shared_memory_type = mmap
EOF

sub run { return run_in($node, @_) }

sub status
{
	my ($db, $job) = @_;
	return $node->safe_psql($db, "SELECT status FROM kwdb_internal.jobs WHERE job_id = $job");
}

# What was asked of the job.
sub events
{
	my ($db, $job) = @_;
	return $node->safe_psql($db, "SELECT string_agg(event, ' ' ORDER BY at, seq) FROM kwdb_internal.job_events"
		. " WHERE job_id = $job AND event IN ('pause', 'resume', 'cancel', 'retry')");
}

# Waits as errands_end(), but none may have been refused.
sub no_errands
{
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.errand');
	return;
}

my $segments = segments($node);
create_database($node, $_) for 'one', 'two';
$node->safe_psql('postgres', <<'EOF');
CREATE ROLE admin;
CREATE ROLE chief LOGIN IN ROLE admin;
CREATE ROLE owner LOGIN;
EOF

# ---- each statement, and its function ----

my $job = waiting_job($node, 'one');
my ($out, $err) = run('postgres', "PAUSE JOB $job WITH REASON = 'too early';\nSHOW JOB $job;");
is($err, '', 'PAUSE JOB of a job of another database');
like($out, qr/^$job\|.*\|paused\|/, '... has taken effect for the next statement of the session');
is($node->safe_psql('one', "SELECT request_reason, request_user FROM kwdb_internal.jobs WHERE job_id = $job"),
	'too early|postgres', '... with the reason and who has given it');
($out, $err) = run('postgres', "RESUME JOB $job;\nSELECT status FROM [SHOW JOB $job];", 'chief');
is("$out$err", 'pending', 'RESUME JOB, as a member of the admin role');
is($node->safe_psql('one', "SELECT actor, actor_session FROM kwdb_internal.job_events WHERE job_id = $job AND event = 'resume'"),
	'chief|postgres', '... with the current user and the user of the session');
run('postgres', "CANCEL JOB $job;");
wait_for_status($node, $job, 'canceled', 'one');
($out, $err) = run('postgres', "RETRY JOB $job;\nSELECT status FROM [SHOW JOB $job];");
is("$out$err", 'pending', 'CANCEL JOB and RETRY JOB');
($out, $err) = run('postgres', "SELECT kwjobs.pause($job, 'by a function');\nSELECT status FROM [SHOW JOB $job];");
is("$out$err", "\npaused", 'kwjobs.pause');
($out, $err) = run('postgres', "SELECT kwjobs.resume($job);\nSELECT status FROM [SHOW JOB $job];");
is("$out$err", "\npending", 'kwjobs.resume');
run('postgres', "SELECT kwjobs.cancel($job);");
wait_for_status($node, $job, 'canceled', 'one');
($out, $err) = run('postgres', "SELECT kwjobs.retry($job);\nSELECT status FROM [SHOW JOB $job];");
is("$out$err", "\npending", 'kwjobs.cancel and kwjobs.retry');
is(events('one', $job), 'pause resume cancel retry pause resume cancel retry', '... each has had its effect once, in their order');
no_errands();
like(slurp_file($node->logfile), qr/LOG:  job $job \(SQL\) pause requested by postgres: too early/, 'the log tells who has asked for it');
like(slurp_file($node->logfile), qr/LOG:  job $job \(SQL\) resumed by chief \(session user postgres\)/, '... also of a role that was set');

# ---- the command tag, and ids of several databases ----

my @jobs = (waiting_job($node, 'postgres'), waiting_job($node, 'one'), waiting_job($node, 'two'));
my $ids = join(', ', @jobs);
my $list = "(SELECT unnest(ARRAY[$ids]))";
my $statuses = "SELECT string_agg(status, ' ') FROM (SELECT status FROM [SHOW JOBS $list] ORDER BY job_id) AS s;";
($out, $err) = run('postgres', "\\set QUIET off\nPAUSE JOB $job;");
is("$out$err", 'UPDATE 1', 'the command tag counts the job of another database');
($out, $err) = run('postgres', "\\set QUIET off\nPAUSE JOBS $list WITH REASON = 'all of them';");
is("$out$err", 'UPDATE 3', 'PAUSE JOBS with ids of three databases');
no_errands();
wait_for_status($node, $jobs[$_], 'paused', ('postgres', 'one', 'two')[$_]) for 0 .. 2;
is($node->safe_psql('two', "SELECT request_reason FROM kwdb_internal.jobs WHERE job_id = $jobs[2]"), 'all of them', '... with the reason');
is(run('one', "SELECT kwjobs.resume_jobs(ARRAY[$ids]);\n$statuses"), "3\npending pending pending", 'kwjobs.resume_jobs');
run('postgres', "CANCEL JOB $jobs[1];");
wait_for_status($node, $jobs[1], 'canceled', 'one');
($out, $err) = run('postgres', "RESUME JOBS $list;\nSELECT kwjobs.cancel_jobs(ARRAY[$ids]);");
like($err, qr/NOTICE:  3 jobs were left out: 1 is over, 2 are not paused/, 'one NOTICE counts those of all databases that are left out');
is($out, '2', '... and the others are done');
wait_for_status($node, $jobs[$_], 'canceled', ('postgres', 'one', 'two')[$_]) for 0 .. 2;
is(run('two', "SELECT kwjobs.retry_jobs(ARRAY[$ids]);\n$statuses"), "3\npending pending pending", 'kwjobs.retry_jobs');
is(run('two', "SELECT kwjobs.pause_jobs(ARRAY[$ids, $ids, NULL]);"), '3', 'an id may come twice');
wait_for_status($node, $jobs[$_], 'paused', ('postgres', 'one', 'two')[$_]) for 0 .. 2;

# ---- what is checked when the statement runs ----

my $done = $node->safe_psql('one', q{SELECT kwjobs.submit('SELECT 1')});
wait_for_status($node, $done, 'succeeded', 'one');
for my $case (
	[ "PAUSE JOB $done", qr/ERROR:  job with status succeeded cannot be requested to be paused\nHINT:  To see the job, type SHOW JOB $done\./ ],
	[ "SELECT kwjobs.resume($done)", qr/ERROR:  job with status succeeded cannot be resumed\n/ ],
	[ "RETRY JOB $done", qr/ERROR:  job with status succeeded cannot be retried\nHINT:  To do the same once more, create the job again\./ ],
	[ 'CANCEL JOB 4711', qr/ERROR:  job with ID 4711 does not exist\nHINT:  SHOW JOBS lists/ ],
	[ "PAUSE JOBS (VALUES ($jobs[1]), (4711))", qr/ERROR:  job with ID 4711 does not exist\n/ ],
	[ "BEGIN READ ONLY;\nPAUSE JOB $jobs[1]", qr/ERROR:  cannot execute PAUSE JOB in a read-only transaction\n/ ],
	[ "SET kwjobs.scope = database;\nPAUSE JOB $jobs[1]", qr/ERROR:  job with ID $jobs[1] does not exist\n/ ],
  )
{
	($out, $err) = run('postgres', "$case->[0];");
	like($err, $case->[1], "$case->[0] is refused at once");
}
($out, $err) = run('postgres', "PAUSE JOB $jobs[1];", 'owner');
like($err, qr/ERROR:  only users with the admin role are allowed to PAUSE JOBS/, 'a role without the admin role may not');
($out, $err) = run('postgres', "SELECT kwjobs.resume($jobs[1]);", 'owner');
like($err, qr/ERROR:  job with ID $jobs[1] does not exist/, '... nor by a function, and it does not learn of the job');
is(status('one', $jobs[1]), 'paused', 'nothing of this has had an effect');
no_errands();
is($node->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.errands'), '0', '... or is left');

# ---- transactions ----

run('postgres', "BEGIN;\nRESUME JOB $jobs[1];\nROLLBACK;");
run('postgres', "BEGIN;\nSAVEPOINT s;\nRESUME JOB $jobs[1];\nROLLBACK TO s;\nRESUME JOB $jobs[2];\nCOMMIT;");
no_errands();
is(status('one', $jobs[1]) . ' ' . status('two', $jobs[2]), 'paused pending', 'what is rolled back, also to a savepoint, has no effect');
my $session = $node->background_psql('postgres');
$session->query_safe("BEGIN; RESUME JOB $jobs[1]; PAUSE JOB $jobs[1]; RESUME JOB $jobs[1]; CANCEL JOB $jobs[1]");
is($session->query("SELECT status FROM [SHOW JOB $jobs[1]]"), 'paused', 'before the commit, nothing has taken effect');
$session->query_safe('COMMIT');
$session->quit;
wait_for_status($node, $jobs[1], 'canceled', 'one');
is(events('one', $jobs[1]), 'pause resume cancel retry pause resume pause resume cancel', '... and then all of it, in its order');
($out, $err) = run('postgres', "BEGIN;\nRETRY JOB $jobs[1];\nRETRY JOB $jobs[1];");
like($err, qr/ERROR:  job with status pending cannot be retried/, 'a statement is checked behind those before it in the transaction');
($out, $err) = run('postgres', <<"EOF");
DO \$\$ BEGIN
    RETRY JOB $jobs[1];
    BEGIN
        CANCEL JOB $jobs[1];
        PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    PAUSE JOB $jobs[1] WITH REASON = 'in PL/pgSQL';
END \$\$;
PREPARE p (bigint, text) AS RESUME JOB \$1 WITH REASON = \$2;
PAUSE JOB $jobs[2];
EXECUTE p($jobs[2], 'prepared');
EXECUTE p($jobs[1], 'prepared');
EOF
is($err, '', 'in PL/pgSQL, with an exception, and prepared');
no_errands();
is(events('one', $jobs[1]) =~ s/.*(retry)/$1/r, 'retry pause resume', '... it has had its effect');
($out, $err) = run('postgres', "BEGIN;\nPAUSE JOB $jobs[1];\nPREPARE TRANSACTION 'p';");
like($err, qr/ERROR:  cannot PREPARE a transaction that has created or controlled jobs/, 'PREPARE TRANSACTION is refused');

# ---- what fails between the commit and the effect ----

# Gate 4927 stops the coordinator of a database before it sends errands, gate 4928 before it notes
# what has become of them; gate 4929 stops the coordinator that does them.
sub at_gate { my ($gate) = @_; wait_at_gates($node, 1, "objid = $gate"); return }

# Runs statements for jobs of other databases. Their errands are not sent before the gate is opened
# that this returns.
sub run_at_gate
{
	my ($sql, $role) = @_;
	my $gate = close_gates_in($node, 'postgres', 4927);
	run('postgres', $sql, $role);
	at_gate(4927);
	return $gate;
}

# Waits until the errand of which the condition is true is refused.
sub refused
{
	my ($which) = @_;
	wait_query($node, "SELECT count(*) = 1 FROM kwjobs.errands WHERE refused AND $which");
	return;
}

# Runs a statement in the session. Returns the messages.
sub messages
{
	my ($session, $sql) = @_;
	$session->{stderr} = '';
	$session->query($sql);
	return $session->{stderr} =~ s/^psql:<stdin>:\d+: //gmr;
}

my $gate = close_gates_in($node, 'postgres', 4927);
$job = waiting_job($node, 'one');
$session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe("PAUSE JOB $job");
at_gate(4927);
$node->safe_psql('one', "CANCEL JOB $job");
wait_for_status($node, $job, 'canceled', 'one');
$gate->quit;
refused("job_id = $job AND database = 'one' AND error_code = '55000' AND error = 'job with status canceled cannot be requested to be paused'");
like(messages($session, 'SELECT count(*) FROM [SHOW JOBS]'),
	qr/WARNING:  PAUSE JOB $job has had no effect in database "one": job with status canceled cannot be requested to be paused\nHINT:  To see the job, type SHOW JOB $job/,
	'a job ends before PAUSE takes effect: the session is warned at its next look');
unlike(messages($session, 'SELECT count(*) FROM [SHOW JOBS]'), qr/WARNING/, '... once');
like(slurp_file($node->logfile), qr/LOG:  PAUSE JOB $job, which a session of another database has asked for, failed: job with status canceled/, '... and the log has it');

# The same with PAUSE JOBS: the job is left out, as at home.
$job = waiting_job($node, 'one');
$gate = close_gates_in($node, 'postgres', 4927);
$session->query_safe("PAUSE JOBS (SELECT $job)");
at_gate(4927);
$node->safe_psql('one', "CANCEL JOB $job");
wait_for_status($node, $job, 'canceled', 'one');
$gate->quit;
wait_query($node, "SELECT count(*) = 0 FROM kwjobs.errand WHERE job_id = $job");
unlike(messages($session, 'SELECT count(*) FROM [SHOW JOBS]'), qr/WARNING/, 'PAUSE JOBS leaves such a job out');
$session->quit;

# The role loses the admin role.
$job = waiting_job($node, 'one');
$gate = run_at_gate("PAUSE JOB $job;", 'chief');
$node->safe_psql('postgres', 'REVOKE admin FROM chief');
$gate->quit;
refused("job_id = $job AND error_code = '42501' AND error LIKE 'role \"chief\" does not have the admin role%'");
is(status('one', $job), 'pending', 'a role that loses the admin role before the effect: it is refused');
$node->safe_psql('postgres', 'GRANT admin TO chief');

# Another session keeps one of two jobs locked.
@jobs = (waiting_job($node, 'one'), waiting_job($node, 'one'));
$session = $node->background_psql('one');
$session->query_safe("BEGIN; PAUSE JOB $jobs[0]");
run('postgres', "BEGIN;\nPAUSE JOB $jobs[0];\nRESUME JOB $jobs[0];\nPAUSE JOB $jobs[1];\nCOMMIT;");
wait_for_status($node, $jobs[1], 'paused', 'one');
wait_query($node, "SELECT count(*) = 2 AND bool_and(tries > 0 AND NOT refused AND error IS NOT NULL) FROM kwjobs.errands WHERE job_id = $jobs[0]");
is(status('one', $jobs[0]), 'pending', 'a job that another transaction has locked does not hold up the others');
$session->query_safe('ROLLBACK');
$session->quit;
errands_end($node);
is(events('one', $jobs[0]), 'pause resume', '... its errands take effect when the lock is gone, and once');

# A dependent of the job that is retried is locked.
@jobs = (waiting_job($node, 'one'));
push(@jobs, $node->safe_psql('one', "SELECT kwjobs.submit('SELECT 1', depends_on => $jobs[0])"));
$node->safe_psql('one', "CANCEL JOB $jobs[0]");
wait_for_status($node, $jobs[1], 'failed', 'one');
$session = $node->background_psql('one');
$session->query_safe("BEGIN; RETRY JOB $jobs[1]");
run('postgres', "RETRY JOB $jobs[0];");
wait_query($node, "SELECT count(*) = 1 FROM kwjobs.errands WHERE job_id = $jobs[0] AND tries > 0 AND NOT refused");
$session->query_safe('ROLLBACK');
$session->quit;
wait_for_status($node, $_, 'pending', 'one') for @jobs;

# Coordinators end while they have errands.
$job = waiting_job($node, 'one');
for my $case ([ 4929, 'one', 'PAUSE' ], [ 4928, 'postgres', 'RESUME' ], [ 4927, 'postgres', 'PAUSE' ])
{
	my ($number, $db, $verb) = @$case;
	$gate = close_gates_in($node, $db, $number);
	run('postgres', "$verb JOB $job;");
	at_gate($number);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE objid = $number AND NOT granted");
	$gate->quit;
	wait_for_status($node, $job, $verb eq 'PAUSE' ? 'paused' : 'pending', 'one');
	errands_end($node);
}
is(events('one', $job), 'pause resume pause', 'coordinators are terminated at each step: each errand takes effect once');

# The server crashes between the commit of the session and the effect, and between the effect and
# the note of it. Meanwhile somebody else retries the job: it must not be canceled again.
$job = waiting_job($node, 'one');
$gate = run_at_gate("PAUSE JOB $job WITH REASON = 'before the crash';");
$node->stop('immediate');
$node->start;
$gate->{run}->kill_kill;
wait_for_status($node, $job, 'paused', 'one');
errands_end($node);
is(events('one', $job), 'pause', 'a crash after the commit loses no statement');
$gate = close_gates_in($node, 'postgres', 4928);
run('postgres', "CANCEL JOB $job;");
at_gate(4928);
wait_for_status($node, $job, 'canceled', 'one');
$node->safe_psql('one', "RETRY JOB $job");
$node->stop('immediate');
$node->start;
$gate->{run}->kill_kill;
errands_end($node);
is(status('one', $job) . ' ' . events('one', $job), 'pending pause cancel retry', '... and a crash after the effect does not repeat it');

# ---- databases that go away, and copies ----

create_database($node, 'three');
$job = waiting_job($node, 'three');
$gate = run_at_gate("PAUSE JOB $job;");
$node->safe_psql('three', 'DROP EXTENSION kwjobs');
$gate->quit;
refused("job_id = $job AND error = 'database \"three\" does not have kwjobs any more'");
$node->safe_psql('three', 'CREATE EXTENSION kwjobs');
$job = waiting_job($node, 'three');
$gate = run_at_gate("PAUSE JOB $job;");
$node->safe_psql('postgres', 'DROP DATABASE three WITH (FORCE)');
$gate->quit;
refused("job_id = $job AND error = 'the database was dropped'");

# A database is copied before it has sent its errands: the original sends them.
$job = waiting_job($node, 'two');
$node->safe_psql('one', 'INSERT INTO kwjobs.errand (number, database, job_id, verb, many, actor, actor_session, made, due)'
	. " SELECT 1, oid, $job, 'PAUSE', false, 10, 10, now(), now() + interval '1 hour' FROM pg_database WHERE datname = 'two'");
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.errand', 'copy');
is($node->safe_psql('one', 'SELECT count(*) FROM kwjobs.errand'), '1', 'a copy of a database does not send the errands of the original');
$node->safe_psql('one', 'DELETE FROM kwjobs.errand');
$node->safe_psql('postgres', 'DROP DATABASE copy');
my $copied = waiting_job($node, 'one');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
($out, $err) = run('postgres', "PAUSE JOB $copied;");
like($err, qr/ERROR:  several databases have a job with ID $copied\nDETAIL:  Databases "(one|copy)" and "(one|copy)" have it, because one was copied\./, 'a job of two databases');
$node->safe_psql('postgres', 'DROP DATABASE copy');

# A reason in another encoding, with a character that cannot be converted.
create_database($node, 'latin', q{TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'});
$job = waiting_job($node, 'latin');
run('postgres', "SELECT kwjobs.pause($job, U&'K\\00E4se a\\20ACb');");
errands_end($node);
is($node->safe_psql('latin', "SELECT request_reason = convert_from('\\x4be4736520613f62', 'LATIN1') FROM kwdb_internal.jobs WHERE job_id = $job"), 't', 'a reason in another encoding');
$node->safe_psql('postgres', 'DROP DATABASE latin');

# ---- many, from a job, and where there is one place for a coordinator only ----

$node->append_conf('postgresql.conf', 'kwjobs.max_databases = 1');
$node->restart;
my $many = $node->safe_psql('two', q{SELECT string_agg(kwjobs.submit('SELECT 1', run_at => 'tomorrow')::text, ',') FROM generate_series(1, 120)});
($out, $err) = run('postgres', "BEGIN;\nPAUSE JOBS (SELECT unnest(ARRAY[$many]));\nSELECT kwjobs.resume_jobs(ARRAY[$many]);\nCOMMIT;");
is("$out$err", '120', 'many jobs, while the coordinators take turns in one place');
errands_end($node);
is($node->safe_psql('two', "SELECT count(*), bool_and(status = 'pending') FROM kwdb_internal.jobs WHERE job_id = ANY (ARRAY[$many])"),
	'120|t', '... it has taken effect');
is($node->safe_psql('two', "SELECT string_agg(DISTINCT e.events, ';') FROM (SELECT string_agg(event, ' ' ORDER BY at, seq) AS events"
	. " FROM kwdb_internal.job_events WHERE job_id = ANY (ARRAY[$many]) AND event IN ('pause', 'resume') GROUP BY job_id) AS e"), 'pause resume', '... once, in order');
cmp_ok($node->safe_psql('two', 'SELECT count(*) FROM kwjobs.errand_done'), '<=', 50, '... and of what is over, little is remembered');
$job = waiting_job($node, 'two');
my $controller = $node->safe_psql('postgres', "SELECT kwjobs.submit('PAUSE JOB $job WITH REASON = ''by a job''')");
wait_for_status($node, $controller, 'succeeded');
wait_for_status($node, $job, 'paused', 'two');
is($node->safe_psql('two', "SELECT request_reason FROM kwdb_internal.jobs WHERE job_id = $job"), 'by a job', 'a job pauses one of another database');
errands_end($node);

wait_for_no_coordinator($node);
is(scalar(segments($node)), $segments, 'no segment of shared memory is left');
is_consistent($node, $_) for 'postgres', 'one', 'two';
$node->stop;
done_testing();
