# With kwjobs.scope = server: PAUSE ALL JOBS and its like; kwjobs.run_now, alter, close, delete, and
# what only reads, kwjobs.messages and why, for jobs of other databases.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjServer;
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('server_all', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
kwjobs.test_haste = 4
kwjobs.coordinator_idle_timeout = 0
kwjobs.worker_idle_timeout = 10ms
kwjobs.scope = server
kwjobs.track = top
autovacuum = off
# A session gives up when no database has answered for a second. A slow machine may need longer, so
# the sessions of this test wait for a minute.
kwjobs.test_silence = 1min
dynamic_shared_memory_type = mmap
EOF

sub run { return run_in($node, @_) }

# The statement must print nothing and raise the error.
sub refuses
{
	my ($sql, $error, $role) = @_;
	my ($out, $err) = run('postgres', "$sql;", $role);
	like($err, $error, "$sql is refused");
	is($out, '', '... and prints nothing');
	return;
}

sub status
{
	my ($db, $job) = @_;
	return $node->safe_psql($db, "SELECT status FROM kwdb_internal.jobs WHERE job_id = $job");
}

my @dbs = ('postgres', 'one', 'two');

# The statuses of these jobs, one of each database.
sub statuses { my @jobs = @_; return join(' ', map { status($dbs[$_], $jobs[$_]) } 0 .. $#jobs) }

sub no_errands
{
	errands_end($node);
	is($node->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.errand'), '0', '... nothing was refused');
	return;
}

my $segments = segments($node);
create_database($node, $_) for 'one', 'two';
$node->safe_psql('postgres', <<'EOF');
CREATE ROLE admin;
CREATE ROLE chief LOGIN IN ROLE admin;
CREATE ROLE owner LOGIN;
EOF

# ---- all jobs ----

my @jobs = map { waiting_job($node, $_) } @dbs;
my $over = $node->safe_psql('one', q{SELECT kwjobs.submit('SELECT 1')});
wait_for_status($node, $over, 'succeeded', 'one');
my ($out, $err) = run('postgres', "\\set QUIET off\nPAUSE ALL JOBS WITH REASON = 'all of them';", 'chief');
is("$out$err", 'UPDATE 3', 'PAUSE ALL JOBS counts the jobs of all databases');
no_errands();
is(statuses(@jobs), 'paused paused paused', '... and pauses them');
is($node->safe_psql('two', "SELECT request_reason, request_user FROM kwdb_internal.jobs WHERE job_id = $jobs[2]"), 'all of them|chief', '... with the reason and who has given it');
is(run('postgres', 'SELECT kwjobs.resume_all();'), '3', 'kwjobs.resume_all');
no_errands();
is(statuses(@jobs), 'pending pending pending', '... resumes them');
is(run('postgres', "PAUSE ALL EXPORT JOBS;\nSELECT kwjobs.pause_all('IMPORT');"), '0', 'those of another type');
is(run('postgres', "SET kwjobs.scope = database;\nSELECT kwjobs.pause_all();"), '1', 'kwjobs.scope = database: only those of the own database');
is(run('one', "\\set QUIET off\nPAUSE ALL SQL JOBS;"), 'UPDATE 2', 'PAUSE ALL SQL JOBS: those that are not paused yet');
errands_end($node, 'one');
is(statuses(@jobs), 'paused paused paused', '... are paused');
run('postgres', "BEGIN;\nRESUME ALL JOBS;\nROLLBACK;");
run('postgres', "DO \$\$ BEGIN\nBEGIN\nRESUME ALL JOBS;\nPERFORM 1 / 0;\nEXCEPTION WHEN division_by_zero THEN NULL;\nEND;\nEND \$\$;");
no_errands();
is(statuses(@jobs), 'paused paused paused', 'what is rolled back has no effect');
run('postgres', "PREPARE p AS RESUME ALL JOBS WITH REASON = \$1;\nEXECUTE p('prepared');");
no_errands();
is(statuses(@jobs), 'pending pending pending', 'RESUME ALL JOBS, prepared');
refuses('PAUSE ALL JOBS', qr/^ERROR:  only users with the admin role are allowed to PAUSE JOBS/, 'owner');
refuses("BEGIN READ ONLY;\nPAUSE ALL JOBS", qr/^ERROR:  cannot execute PAUSE JOBS in a read-only transaction/);

# The statement of a session of another database goes on, as it would at home.
my $holder = $node->background_psql('one');
$holder->query_safe('CREATE TABLE held (i integer)');
$holder->query_safe('BEGIN; LOCK TABLE held');
my $session = $node->background_psql('one', on_error_stop => 0);
$session->query_until(qr/begin/, "\\echo begin\nTRUNCATE held;\n");
wait_query($node, q{SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE' AND status = 'running'}, 'one');
is(run('postgres', 'SELECT kwjobs.cancel_all();'), '3', 'CANCEL ALL JOBS leaves the statements of sessions alone');
no_errands();
$holder->quit;
like($session->query("SELECT 'done'"), qr/done/, '... they go on');
is($session->{stderr}, '', '... without an error');
$session->quit;
wait_for_status($node, $jobs[$_], 'canceled', $dbs[$_]) for 0 .. 2;
is(run('postgres', 'SELECT kwjobs.cancel_all();'), '0', '... and those that are over');

# ---- a database that does not answer, a copy, and too many jobs ----

# Has the coordinators of all databases stay, for a session that does not wait long for their answers. All of them
# are asked about a job of another database.
sub keep_coordinators
{
	my ($job) = @_;
	configure($node, 'kwjobs.coordinator_idle_timeout', '-1');
	like(run('postgres', "SHOW JOB $job;"), qr/^$job\|/, 'all coordinators are there');
	return;
}

@jobs = map { waiting_job($node, $_) } @dbs;
keep_coordinators($jobs[1]);
my $blocker = $node->background_psql('two');
$blocker->query_safe('BEGIN; LOCK TABLE kwjobs.job IN ACCESS EXCLUSIVE MODE');
($out, $err) = run('postgres', "SET kwjobs.test_silence = '1s';\nSELECT kwjobs.pause_all();");
is($out, '2', 'a database does not answer: the jobs of the others are paused');
like($err, qr/^WARNING:  the jobs of database "two" are left out: its coordinator did not answer in time/, '... and a WARNING names it');
$blocker->quit;
errands_end($node);
configure($node, 'kwjobs.coordinator_idle_timeout', '0');
is(statuses(@jobs), 'paused paused pending', '... and nothing comes later');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
refuses('PAUSE ALL JOBS', qr/^$/);
refuses('RESUME ALL JOBS', qr/^ERROR:  several databases have a job with ID $jobs[1]\nDETAIL:  Databases "(one|copy)" and "(one|copy)" have it, because one was copied\./);
errands_end($node);
is(status('postgres', $jobs[0]), 'paused', '... without an effect on any job');
$node->safe_psql('postgres', 'DROP DATABASE copy');
$node->safe_psql('one', 'CREATE DATABASE copy TEMPLATE postgres');
refuses('RESUME ALL JOBS', qr/^ERROR:  several databases have a job with ID $jobs[0]\nDETAIL:  Databases "(postgres|copy)" and "(postgres|copy)" have it, because one was copied\./);
errands_end($node);
is(status('one', $jobs[1]), 'paused', '... also if one of the two databases is this one, without an effect');
$node->safe_psql('postgres', 'DROP DATABASE copy');
create_database($node, 'large');
$node->safe_psql('large', q{INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, modified)
	SELECT n, 'SQL', 'SELECT 1', 10, 'postgres', 'paused', 'infinity', 1, '{}', now(), now() FROM generate_series(1, 10001) AS n});
refuses('RESUME ALL JOBS', qr/^ERROR:  database "large" has more than 10000 such jobs\nHINT:  Connect to that database and type the statement there, or name the jobs of a type\./);
$node->safe_psql('postgres', 'DROP DATABASE large');
is(status('postgres', $jobs[0]), 'paused', '... without an effect on any job');
run('postgres', 'RESUME ALL JOBS;');
errands_end($node);

# ---- run_now, alter ----

my $job = waiting_job($node, 'one');
($out, $err) = run('postgres', "SELECT kwjobs.run_now($job);\nSELECT status FROM kwjobs.wait($job);", 'chief');
is("$out$err", "\nsucceeded", 'kwjobs.run_now of a job of another database');
is($node->safe_psql('one', "SELECT actor, actor_session FROM kwdb_internal.job_events WHERE job_id = $job AND event = 'run_now'"), 'chief|postgres', '... the event says who has asked');
refuses("SELECT kwjobs.run_now($job)", qr/^ERROR:  job with status succeeded cannot be run now\nHINT:  Only a pending job waits for its time\. To see the job, type SHOW JOB $job\./);
refuses("SELECT kwjobs.alter($job, priority => 1)", qr/^ERROR:  job with status succeeded cannot be altered\nHINT:  It is over\./);
refuses('SELECT kwjobs.run_now(4711)', qr/^ERROR:  job with ID 4711 does not exist/);
refuses("SELECT kwjobs.run_now($jobs[1])", qr/^ERROR:  job with ID $jobs[1] does not exist/, 'owner');
my $dependent = $node->safe_psql('one', "SELECT kwjobs.submit('SELECT 1', depends_on => $jobs[1])");
refuses("SELECT kwjobs.run_now($dependent)", qr/^ERROR:  job $dependent waits for other jobs\nHINT:  SELECT running_status, waits_for FROM kwdb_internal\.jobs WHERE job_id = $dependent names them\./);
my $altered = "SELECT description, priority, max_attempts, retry_delay, timeout, run_at = '2100-01-02 03:04:05.678+09', on_failure, tags FROM kwjobs.job WHERE job_id = $dependent";
run('postgres', <<"EOF", 'chief');
SET IntervalStyle = sql_standard;
SET DateStyle = 'German';
SET TimeZone = 'Asia/Tokyo';
SELECT kwjobs.alter($dependent, description => E'a "new" \\\\ one\\n\\u00e4', priority => -7, max_attempts => 3, retry_initial_delay => '90 min',
	timeout => '00:00:01.5', run_at => '2100-01-02 03:04:05.678 Asia/Tokyo', on_failure => 'pause', tags => ARRAY['a"b', 'c,d']);
EOF
no_errands();
is($node->safe_psql('one', $altered), qq{a "new" \\ one\n\x{c3}\x{a4}|-7|3|5400000|1500|t|pause|{"a\\"b","c,d"}}, 'kwjobs.alter of all that can be altered');
($out, $err) = run('postgres', "SELECT kwjobs.alter($dependent, timeout => '0', tags => '{}');");
no_errands();
is($node->safe_psql('one', $altered), qq{a "new" \\ one\n\x{c3}\x{a4}|-7|3|5400000||t|pause|}, '... takes timeout and tags away, and leaves the others');
is($node->safe_psql('one', "SELECT detail->'timeout' FROM kwdb_internal.job_events WHERE job_id = $dependent AND event = 'alter' ORDER BY at DESC LIMIT 1"), '["00:00:01.5", null]', '... the event says what has changed');
refuses("SELECT kwjobs.alter($dependent, priority => 5000)", qr/^ERROR:  argument "priority" of a job is out of range: 5000/);
$node->safe_psql('one', "UPDATE kwjobs.job SET description = 'x' WHERE job_id = $dependent");

# What stands in the row of the errand is checked again where it is done.
my $gate = close_gates_in($node, 'postgres', 4927);
$node->safe_psql('postgres', "SELECT kwjobs.alter($dependent, priority => 5)");
wait_at_gates($node, 1, 'objid = 4927');
$node->safe_psql('postgres', q{UPDATE kwjobs.errand SET change = '{"priority": 5000}'});
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(pid) FROM pg_locks WHERE objid = 4927 AND NOT granted');
$gate->quit;
wait_query($node, "SELECT count(*) = 1 FROM kwjobs.errands WHERE refused AND error = 'argument \"priority\" of a job is out of range: 5000'");
$node->safe_psql('postgres', 'DELETE FROM kwjobs.errand');
is($node->safe_psql('one', "SELECT priority FROM kwjobs.job WHERE job_id = $dependent"), '-7', 'a change that is out of range has no effect');

# What is said of a change, and what becomes of the job, is the same from another database as in the job's own.
{
	my @same = map { waiting_job($node, 'one') } 1, 2;
	my $alter = sub { return join('', 'BEGIN;', (map { " SELECT kwjobs.alter(ID, $_);" } @_), ' COMMIT;') };
	my $stands = sub {
		my ($job) = @_;
		return $node->safe_psql('one', <<"EOF");
SELECT description, statement, priority, max_attempts, retry_delay, timeout, run_at, on_failure, tags, "window", window_end, status
FROM kwjobs.job WHERE job_id = $job;
SELECT event, detail FROM kwdb_internal.job_events WHERE job_id = $job AND event IN ('alter', 'run_now') ORDER BY at, seq
EOF
	};
	my $said = sub {
		my ($db, $job, $sql) = @_;
		my (undef, $said) = run($db, $sql =~ s/ID/$job/gr);
		errands_end($node);
		return $said =~ s/\b$job\b/ID/gr;
	};
	my $changes_alike = sub {
		my ($sql, $error, $start) = @_;
		my $here = $said->('one', $same[0], $sql);
		like($here, $error, "in the job's own database: $sql");
		is($said->('postgres', $same[1], $sql), $here, '... and from another one');
		if ($start) { wait_for_status($node, $_, 'succeeded', 'one') for @same }
		is($stands->($same[1]), $stands->($same[0]), '... the same becomes of the job');
		return;
	};
	my $works = qr/^$/;
	my $no_window = qr/^ERROR:  job ID has no window\nHINT:  Give a window, too/;
	my $closed = $node->safe_psql('one', q{SELECT to_char(now() AT TIME ZONE 'UTC' - interval '3 days', 'dy') || ' UTC'});

	$changes_alike->($alter->(q{window_end => 'stop'}), $no_window);
	$changes_alike->($alter->(q{"window" => '', window_end => 'stop'}), $no_window);
	$changes_alike->("SET timezone = 'Asia/Tokyo'; " . $alter->(q{"window" => '22:00-06:00', window_end => 'stop'}), $works);
	$changes_alike->($alter->(q{window_end => 'finish'}), $works);
	$changes_alike->($alter->(q{"window" => ''}, q{window_end => 'stop'}), $no_window);
	$changes_alike->($alter->(q{"window" => ''}, q{"window" => 'mon', window_end => 'pause'}, q{window_end => 'stop'}), $works);
	$changes_alike->($alter->(q{description => '', priority => 1000, max_attempts => 1000, retry_initial_delay => '1 microsecond',
		timeout => '1 mon 1 day 00:00:00.0015', run_at => '294276-12-31 23:59:59.999999+00', on_failure => 'retry', tags => '{}'}), $works);
	$changes_alike->($alter->(q{timeout => '0', "window" => NULL, tags => '{a,a,"{}"}'}), $works);
	$changes_alike->($alter->(q{priority => 7}, q{retry_initial_delay => '0'}), qr/^ERROR:  argument "retry_initial_delay" of a job is out of range/);
	$changes_alike->($alter->(q{run_at => '-infinity'}), qr/^ERROR:  argument "run_at" of a job must not be infinite/);
	$changes_alike->($alter->(q{"window" => 'noon'}), qr/^ERROR:/);
	$changes_alike->($alter->(qq{"window" => '$closed'}) . ' SELECT kwjobs.run_now(ID);', qr/^ERROR:  job ID is outside its window/);
	$changes_alike->(q{BEGIN; SELECT kwjobs.alter(ID, "window" => ''); SELECT kwjobs.run_now(ID); COMMIT;}, $works, 1);
}

# ---- close, delete ----

$job = waiting_job($node, 'two');
refuses("SELECT kwjobs.close($job, 'by hand')", qr/^ERROR:  job with status pending cannot be closed\n/);
run('postgres', "CANCEL JOB $job;");
wait_for_status($node, $job, 'canceled', 'two');
$node->safe_psql('two', "UPDATE kwjobs.job SET status = 'revert-failed' WHERE job_id = $job");
refuses("SELECT kwjobs.delete($job)", qr/^ERROR:  job $job cannot be deleted: it is revert-failed\nDETAIL:  Some of its changes are still there/);
run('postgres', "SELECT kwjobs.close($job, 'by hand');");
no_errands();
is($node->safe_psql('two', "SELECT status, request_reason FROM kwdb_internal.jobs WHERE job_id = $job"), 'failed|by hand', 'kwjobs.close of a job of another database');
($out, $err) = run('postgres', "BEGIN;\nSELECT kwjobs.delete($job);\nSELECT kwjobs.delete($job);");
like($err, qr/^ERROR:  job with ID $job does not exist/, 'a job is deleted twice in a transaction: the second one finds none');
errands_end($node);
is(status('two', $job), 'failed', '... and nothing is left of it');
refuses("SELECT kwjobs.delete($jobs[1])", qr/^ERROR:  job $jobs[1] cannot be deleted: it is not over\nHINT:  To end it, type SELECT kwjobs\.cancel\($jobs[1]\)/);
refuses("SELECT kwjobs.delete($job)", qr/^ERROR:  job with ID $job does not exist/, 'owner');
run('postgres', "SELECT kwjobs.delete($job);");
no_errands();
is(status('two', $job), '', 'kwjobs.delete of a job of another database');
like(slurp_file($node->logfile), qr/LOG:  job $job \(SQL\) deleted by postgres/, '... the log has it');
my @done = map { my $id = $node->safe_psql($_, q{SELECT kwjobs.submit('SELECT 1')}); wait_for_status($node, $id, 'succeeded', $_); $id } @dbs;
my $ids = join(', ', @done, @jobs);
($out, $err) = run('postgres', "SELECT kwjobs.delete_jobs(ARRAY[$ids, $ids]);");
is($out, '3', 'kwjobs.delete_jobs with ids of three databases');
like($err, qr/^NOTICE:  3 jobs were left out: they are not over/, '... one NOTICE counts those of all databases that are left out');
no_errands();
is(statuses(@done), '  ', '... the others are gone');
is(statuses(@jobs), 'pending pending pending', '... these are not');

# ---- what is refused after all ----

$job = waiting_job($node, 'one');
$gate = close_gates_in($node, 'postgres', 4927);
$session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe("SELECT kwjobs.run_now($job)");
wait_at_gates($node, 1, 'objid = 4927');
$node->safe_psql('one', "CANCEL JOB $job");
wait_for_status($node, $job, 'canceled', 'one');
$gate->quit;
wait_query($node, "SELECT count(*) = 1 FROM kwjobs.errands WHERE refused AND job_id = $job AND verb = 'RUN_NOW'");
$session->{stderr} = '';
$session->query('SELECT count(*) FROM [SHOW JOBS]');
like($session->{stderr}, qr/WARNING:  kwjobs\.run_now\($job\) has had no effect in database "one": job with status canceled cannot be run now/, 'a function that has had no effect: the session is warned');
$session->quit;

# ---- messages, why ----

create_database($node, 'latin', q{TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'});
my $said = $node->safe_psql('latin', q{SELECT kwjobs.submit($job$DO $$ BEGIN RAISE NOTICE 'first'; RAISE WARNING '% |', convert_from('\xe4', 'LATIN1'); END $$$job$)});
wait_for_status($node, $said, 'succeeded', 'latin');
my $messages = "SELECT attempt, at > now() - interval '1 hour' AND at <= clock_timestamp(), severity, message FROM kwjobs.messages($said)";
is(run('latin', "SET client_encoding = utf8;\n$messages;"), "1|t|NOTICE|first\n1|t|WARNING|\x{c3}\x{a4} |", 'kwjobs.messages at home');
is(run('postgres', "$messages;", 'chief'), "1|t|NOTICE|first\n1|t|WARNING|\x{c3}\x{a4} |", '... and of another database, with another encoding');
is(run('postgres', "BEGIN READ ONLY;\n$messages;"), "1|t|NOTICE|first\n1|t|WARNING|\x{c3}\x{a4} |", '... in a read-only transaction');
is(run('postgres', "SELECT count(*) FROM kwjobs.messages($jobs[1]);"), '0', 'a job without messages');
refuses("SELECT * FROM kwjobs.messages($said)", qr/^ERROR:  job with ID $said does not exist/, 'owner');
refuses('SELECT * FROM kwjobs.messages(4711)', qr/^ERROR:  job with ID 4711 does not exist/);
like(run('postgres', "SELECT kwjobs.why($dependent);", 'chief'),
	qr/^This is a job of database "one"\.\nJob $dependent \(SQL\) is pending, and no worker has it: waiting for job $jobs[1]/, 'kwjobs.why of a job of another database');
run('one', "PAUSE JOB $dependent WITH REASON = 'not yet';");
is(run('postgres', "SELECT kwjobs.why($dependent);") =~ s/^It has been so since .*\n//mr,
	run('one', "SELECT kwjobs.why($dependent);") =~ s/^It has been so since .*\n//mr =~ s/^/This is a job of database "one".\n/r, '... it says what it says there');
refuses("SELECT kwjobs.why($dependent)", qr/^ERROR:  job with ID $dependent does not exist/, 'owner');
refuses('SELECT kwjobs.why(4711)', qr/^ERROR:  job with ID 4711 does not exist/);

# A job that runs: its messages so far, and which process runs it.
my $lock = $node->background_psql('two');
$lock->query_safe('SELECT pg_advisory_lock(7)');
my $running = $node->safe_psql('two', q{SELECT kwjobs.submit($job$DO $$ BEGIN RAISE NOTICE 'so far'; PERFORM pg_advisory_lock(7); END $$$job$)});
wait_query($node, "SELECT count(*) = 1 FROM kwjobs.messages($running)", 'two');
wait_at_gate($node, $running, 'two');
is(run('postgres', "SELECT attempt, severity, message FROM kwjobs.messages($running);"), '1|NOTICE|so far', 'the messages so far of a job that runs');
like(run('postgres', "SELECT kwjobs.why($running);"), qr/^This is a job of database "two"\.\nJob $running \(SQL\) is running\.\nProcess \d+ has worked on it since .*\nProcess \d+ waits for a lock that process \d+ has\./, '... and what it waits for');
$lock->quit;
wait_for_status($node, $running, 'succeeded', 'two');

# The database does not answer.
keep_coordinators($running);
$blocker = $node->background_psql('two');
$blocker->query_safe('BEGIN; LOCK TABLE kwjobs.job IN ACCESS EXCLUSIVE MODE');
for my $function ('why', 'messages')
{
	refuses("SET kwjobs.test_silence = '1s';\nSELECT count(*) FROM kwjobs.$function($running)", qr/^WARNING:  the jobs of database "two" are left out: .*\n.*\nERROR:  job with ID $running was not found, and not all databases have answered/);
}
$blocker->quit;
configure($node, 'kwjobs.coordinator_idle_timeout', '0');

# ---- errands that are withdrawn ----

# Returns the number of the errand for this job.
sub errand { my ($job) = @_; return $node->safe_psql('postgres', "SELECT number FROM kwjobs.errand WHERE job_id = $job AND due <> 'infinity'") }

# Nobody takes the mail, because the coordinator of "two" waits for a lock.
@jobs = map { waiting_job($node, 'two') } 1 .. 3;
$gate = close_gates_in($node, 'postgres', 4927);
$session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe("SET ROLE chief; SELECT kwjobs.pause_jobs(ARRAY[" . join(', ', @jobs) . "])");
wait_at_gates($node, 1, 'objid = 4927');
$blocker = $node->background_psql('two');
$blocker->query_safe('BEGIN; LOCK TABLE kwjobs.job IN ACCESS EXCLUSIVE MODE');
$gate->quit;
my @errands = map { errand($_) } @jobs;
refuses("SELECT kwjobs.withdraw_errand($errands[0])", qr/^ERROR:  errand $errands[0] does not exist\nHINT:  It may have taken effect\./, 'owner');
is(run('postgres', 'SELECT count(*) FROM kwjobs.errands;', 'owner'), '0', '... who does not see it either');
refuses('SELECT kwjobs.withdraw_errand(4711)', qr/^ERROR:  errand 4711 does not exist/);
refuses("BEGIN READ ONLY;\nSELECT kwjobs.withdraw_errand($errands[0])", qr/^ERROR:  cannot execute kwjobs\.withdraw_errand\(\) in a read-only transaction/);
run('postgres', "BEGIN;\nSELECT kwjobs.withdraw_errand($errands[0]);\nROLLBACK;");
run('postgres', "SELECT kwjobs.withdraw_errand($errands[1]);");
$node->safe_psql('postgres', 'REVOKE admin FROM chief');
is(run('postgres', 'SELECT count(*) FROM kwjobs.errands;', 'chief'), '3', 'who has asked for an errand sees it, also without the admin role');
run('postgres', "SELECT kwjobs.withdraw_errand($errands[2]);", 'chief');
$node->safe_psql('postgres', 'GRANT admin TO chief');
wait_query($node, "SELECT count(*) = 2 FROM kwjobs.errands WHERE refused AND error_code = '57014' AND error = CASE job_id WHEN $jobs[1] THEN 'withdrawn by postgres' WHEN $jobs[2] THEN 'withdrawn by chief' END");
note('errands are withdrawn while the other database does not answer, by who has asked for them and by an admin');
refuses("SELECT kwjobs.withdraw_errand($errands[1])", qr/^ERROR:  errand $errands[1] will not take effect anyway: withdrawn by postgres/);
$blocker->quit;
wait_for_status($node, $jobs[0], 'paused', 'two');
errands_end($node);
is(status('two', $jobs[1]) . ' ' . status('two', $jobs[2]), 'pending pending', '... they have no effect, and the one that was not withdrawn has');
$session->{stderr} = '';
$session->query('SELECT count(*) FROM [SHOW JOBS]');
like($session->{stderr}, qr/WARNING:  PAUSE JOB $jobs[1] has had no effect in database "two": withdrawn by postgres\n/, '... and the session that has asked is warned');
$session->quit;
like(slurp_file($node->logfile), qr/LOG:  errand $errands[1] \(PAUSE JOB $jobs[1], database "two"\) withdrawn by postgres/, '... the log has it');

# The other database has the errand in hand: it takes effect.
$gate = close_gates_in($node, 'two', 4929);
run('postgres', "PAUSE JOB $jobs[1];");
wait_at_gates($node, 1, 'objid = 4929');
my $number = errand($jobs[1]);
run('postgres', "SELECT kwjobs.withdraw_errand($number);");
wait_query($node, 'SELECT count(*) = 1 FROM kwjobs.errand_withdrawn');
$gate->quit;
wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.errand_withdrawn');
wait_for_status($node, $jobs[1], 'paused', 'two');
note('it is too late to withdraw an errand that the other database has in hand');
is(errand($jobs[1]), '', '... it has taken effect');

# Another transaction keeps the job locked, so the errand is sent again and again.
$blocker = $node->background_psql('two');
$blocker->query_safe("BEGIN; CANCEL JOB $jobs[2]");
run('postgres', "PAUSE JOB $jobs[2];");
wait_query($node, "SELECT count(*) = 1 FROM kwjobs.errands WHERE job_id = $jobs[2] AND tries > 0 AND NOT refused");
$number = errand($jobs[2]);
run('postgres', "SELECT kwjobs.withdraw_errand($number);");
wait_query($node, "SELECT refused AND error = 'withdrawn by postgres' FROM kwjobs.errands WHERE number = $number");
$blocker->query_safe('ROLLBACK');
$blocker->quit;
errands_end($node);
is(status('two', $jobs[2]), 'pending', 'an errand for a job that is locked is withdrawn');

errands_end($node, $_) for @dbs;
wait_for_no_coordinator($node);
is(scalar(segments($node)), $segments, 'no segment of shared memory is left');
is_consistent($node, $_) for @dbs, 'latin';
$node->stop;
done_testing();
