# Jobs that sessions do themselves. Other sessions see such a job as soon as it begins, and can
# CANCEL it. When the job is over, it has a row, whether its transaction commits or not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $functions = <<'EOF';
CREATE FUNCTION kwjobs_test_begin(text) RETURNS bigint LANGUAGE c AS '$libdir/kwjobs';
CREATE FUNCTION kwjobs_test_update(bigint, double precision, text) RETURNS void LANGUAGE c AS '$libdir/kwjobs';
CREATE FUNCTION kwjobs_test_end(bigint, text) RETURNS void LANGUAGE c AS '$libdir/kwjobs';
CREATE FUNCTION kwjobs_test_run(text, text) RETURNS bigint LANGUAGE c AS '$libdir/kwjobs';
-- so that the transaction has an id
CREATE TABLE written (n integer);
GRANT ALL ON written TO PUBLIC;
EOF

my $node = new_node('live', <<'EOF', allows_streaming => 1, extra => [ '--no-locale', '--encoding=UTF8' ]);
max_prepared_transactions = 10
autovacuum = off
EOF
$node->safe_psql('postgres', <<"EOF");
$functions
CREATE ROLE admin; CREATE ROLE boss LOGIN IN ROLE admin; CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub field { my ($job, $field) = @_; return job_field($node, $job, $field) }
sub place { my ($column) = @_; return sql("SELECT $column FROM kwjobs.session_job_places()") }

# Returns a session that goes on after an ERROR, but not after a FATAL error.
sub session
{
	my ($db) = @_;
	return $node->background_psql($db // 'postgres', on_error_stop => 0);
}

# Runs the query in the session, and checks its error or notice.
sub says
{
	my ($session, $query, $message, $name) = @_;
	$session->{stderr} = '';
	$session->query($query);
	like($session->{stderr}, $message, $name);
	$session->{stderr} = '';
	return;
}

# Runs a job in the session's current transaction; its work is an INSERT. Returns its id.
sub run_job
{
	my ($session, $description) = @_;
	return $session->query_safe("SELECT kwjobs_test_run('$description', 'INSERT INTO written VALUES (1)')");
}

sub id_of
{
	my ($description) = @_;
	return sql("SELECT job_id FROM kwdb_internal.jobs WHERE description = '$description'");
}

# ---- in a long transaction ----

my $columns = 'job_type, description, statement, user_name, created, started, coordinator_id, total_num_of_ex,'
  . ' priority, due, max_attempts, on_failure, crashes, payload, created_by, created_by_session';

sub test_long_transaction
{
	my $session = session();
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_safe('BEGIN');
	$session->query_safe('INSERT INTO written VALUES (0)');
	my $job = $session->query_safe(q(SELECT kwjobs_test_begin('a ''long'' one')));
	is(sql("SELECT status, description, user_name, total_num_of_ex FROM [SHOW JOB $job]"),
		"running|a 'long' one|" . sql('SELECT current_user') . '|1', 'other sessions see it as running');
	is(field($job, 'pid'), $pid, '... in that process');
	is(sql('SELECT job_id FROM [SHOW JOBS]'), $job, '... in SHOW JOBS');
	is(sql("SELECT count(*) FROM kwjobs.show($job)"), 1, '... and by the function');
	is(sql('SELECT count(*) FROM kwjobs.job'), 0, '... while there is no row');
	is($session->query_safe("SELECT status FROM [SHOW JOB $job]"), 'running', 'so does the session itself');
	my $modified = field($job, 'modified');
	$session->query_safe("SELECT kwjobs_test_update($job, 0.25, 'a quarter')");
	is(field($job, "fraction_completed, running_status, modified > '$modified'"), '0.25|a quarter|t', 'progress');
	$session->query_safe("SELECT kwjobs_test_update($job, -1, 'still')");
	is(field($job, 'fraction_completed, running_status'), '0.25|still', '... a part of it');
	$session->query_safe("SELECT kwjobs_test_end($job, 'done')");
	my $second = run_job($session, 'another one');
	is(sql(q(SELECT string_agg(status || ': ' || running_status, ', ') FROM [SHOW JOBS])),
		join(', ', ('running: waiting for the end of its transaction') x 2), 'what is done waits for the commit');
	my $before = field($job, "($columns)::text");
	$session->query_safe('COMMIT');
	is(sql("SELECT status, count(*) FROM kwjobs.job WHERE job_id IN ($job, $second) GROUP BY status"),
		'succeeded|2', 'the commit has written the rows');
	is(field($job, "($columns)::text"), $before, '... which say the same');
	is(field($job, 'total_num_of_success, fraction_completed, time_of_last_success = finished, error, pid IS NULL, running_status IS NULL'),
		'1|1|t||t|t', '... of a job that has succeeded');
	is(place('taken'), 0, 'no place is taken any more');

	my $clipped = q(rtrim(description, 'ä.') = '' AND right(description, 4) = 'ä...' AND octet_length(description) BETWEEN 2000 AND 2047);
	$session->query_safe('BEGIN');
	my $long = $session->query_safe(q(SELECT kwjobs_test_run(repeat('ä', 5000), 'INSERT INTO written VALUES (1)')));
	is(field($long, $clipped), 't', 'a long text is clipped between characters');
	$session->query_safe('COMMIT');
	is(field($long, $clipped), 't', '... in its row, too');
	$session->quit;
	return;
}

# ---- failures ----

sub test_subtransactions
{
	my $session = session();
	$session->query_safe('BEGIN');
	my $kept = run_job($session, 'kept');
	$session->query_safe('SAVEPOINT a');
	my $outer = run_job($session, 'outer');
	$session->query_safe('SAVEPOINT b');
	my $inner = run_job($session, 'inner');
	$session->query_safe('RELEASE b');
	$session->query_safe('SAVEPOINT c');
	my $open = run_job($session, 'open');
	$session->query_safe('ROLLBACK TO a');
	ends_as($node, $_, 'failed, 40000, transaction rolled back', 'after ROLLBACK TO, while the transaction goes on')
	  for $outer, $inner, $open;
	my $later = run_job($session, 'later');
	is(sql("SELECT string_agg(status, ',') FROM kwdb_internal.jobs WHERE job_id IN ($kept, $later)"),
		'running,running', '... others run');
	$session->query_safe('COMMIT');
	ends_as($node, $_, 'succeeded', '... and succeed') for $kept, $later;

	$session->query_safe(<<'EOF');
DO $$ BEGIN
    PERFORM kwjobs_test_run('in a block', 'SELECT 1/0');
EXCEPTION WHEN division_by_zero THEN
    PERFORM kwjobs_test_run('handles it', 'INSERT INTO written VALUES (1)');
END $$
EOF
	ends_as($node, id_of('handles it'), 'succeeded', 'a block that handles an error');
	ends_as($node, id_of('in a block'), 'failed, 22012, division by zero', '... of a job');
	$session->quit;
	return;
}

sub test_failures
{
	my $session = session();
	says($session, q(SELECT kwjobs_test_run('bad', 'SELECT 1/0')), qr/division by zero/, 'an error in the work');
	my $job = id_of('bad');
	ends_as($node, $job, 'failed, 22012, division by zero', '... is that of the job');
	is(field($job, 'total_num_of_fail, errord = finished, fraction_completed'), '1|t|0', '... which has failed');

	$session->query_safe('BEGIN');
	$job = run_job($session, 'rolled back');
	is(field($job, 'status'), 'running', 'before ROLLBACK');
	$session->query_safe('ROLLBACK');
	ends_as($node, $job, 'failed, 40000, transaction rolled back', 'after ROLLBACK');

	$session->query_safe('BEGIN');
	$job = run_job($session, 'before another error');
	says($session, 'SELECT 1/0', qr/division/, 'an error of another statement');
	ends_as($node, $job, 'failed, 40000, transaction rolled back', '... rolls the job back');
	$session->query_safe('ROLLBACK');

	sql('CREATE TABLE deferred (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)');
	$session->query_safe('BEGIN');
	$job = run_job($session, 'fails to commit');
	$session->query_safe('INSERT INTO deferred VALUES (1), (1)');
	says($session, 'COMMIT', qr/duplicate key/, 'a commit that fails');
	ends_as($node, $job, 'failed, 40000, transaction rolled back', '... rolls the job back');

	$session->query_safe('BEGIN');
	$job = $session->query_safe(q(SELECT kwjobs_test_begin('dropped')));
	$session->query_safe("SELECT kwjobs_test_end($job, 'drop')");
	is(sql("SELECT count(*) FROM kwdb_internal.jobs WHERE job_id = $job"), 0, 'a job that is dropped');
	$session->query_safe('COMMIT');
	is(sql("SELECT count(*) FROM kwdb_internal.jobs WHERE job_id = $job"), 0, '... leaves nothing');
	$session->query_safe('BEGIN');
	$job = $session->query_safe(q(SELECT kwjobs_test_begin('finished')));
	$session->query_safe("SELECT kwjobs_test_end($job, 'finish')");
	ends_as($node, $job, 'succeeded', 'a job that is finished has its row');
	$session->query_safe('ROLLBACK');
	is(field($job, 'status'), 'succeeded', '... whatever becomes of the transaction');
	$session->quit;
	return;
}

# ---- what is written is what was shown ----

# A lock on kwjobs.job lets all sessions read, but neither a session nor the coordinator can write.
sub test_same
{
	my $session = session();
	my $lock = session();
	$session->query_safe('BEGIN');
	my $failed = run_job($session, 'failed');
	$lock->query_safe('BEGIN');
	$lock->query_safe('LOCK TABLE kwjobs.job IN SHARE ROW EXCLUSIVE MODE');
	$session->query_safe('ROLLBACK');
	my $good = run_job($session, 'while the table is locked');
	my $rows = "SELECT to_jsonb(j) FROM kwdb_internal.jobs AS j WHERE job_id IN ($failed, $good) ORDER BY job_id";
	my $before = sql($rows);
	like($before, qr/"status": "failed".*\n.*"status": "succeeded"/, 'jobs that have ended, without a row');
	is(sql("SELECT count(*) FROM kwjobs.job WHERE job_id IN ($failed, $good)"), 0, '... as nobody can write it');
	my $waiter = start_wait($node, $good);
	wait_query($node, q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND wait_event_type = 'Lock'));
	# terminate the coordinator while it waits for the lock
	sql(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'));
	$lock->query_safe('COMMIT');
	wait_query($node, "SELECT count(*) = 2 FROM kwjobs.job WHERE job_id IN ($failed, $good)");
	is(sql($rows), $before, 'the rows say the same');
	like($waiter->query_safe('SELECT 1'), qr/over: succeeded/, 'WHEN COMPLETE has waited for the row');
	$_->quit for $session, $lock, $waiter;
	return;
}

# ---- no look sees a job twice, or misses it ----

my $looks = <<'EOF';
CREATE FUNCTION looks(seconds double precision) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    seen bigint[] := '{}';
    present bigint[];
    different integer;
    n integer := 0;
    until timestamptz := clock_timestamp() + seconds * interval '1 s';
BEGIN
    -- on a busy machine it takes longer until there were enough looks at enough jobs
    WHILE clock_timestamp() < until OR
          (n <= 50 OR cardinality(seen) <= 20) AND clock_timestamp() < until + interval '5 minutes' LOOP
        SELECT coalesce(array_agg(job_id), '{}'), count(DISTINCT job_id) INTO present, different
          FROM kwdb_internal.jobs WHERE description = 'polled';
        IF different <> cardinality(present) THEN RETURN 'twice'; END IF;
        IF NOT seen <@ present THEN RETURN 'missed after ' || n || ' looks'; END IF;
        seen := present;
        n := n + 1;
    END LOOP;
    RETURN CASE WHEN n > 50 AND cardinality(seen) > 20 THEN 'good' ELSE n || ' looks, ' || cardinality(seen) || ' jobs' END;
END $$;
-- commits, rollbacks, and rollbacks of subtransactions
CREATE PROCEDURE do_jobs(n integer, delay double precision) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        PERFORM kwjobs_test_run('polled', 'INSERT INTO written VALUES (1)'), pg_sleep(delay);
        IF i % 3 = 0 THEN
            ROLLBACK;
        ELSIF i % 3 = 1 THEN
            BEGIN
                PERFORM kwjobs_test_run('polled', 'SELECT 1/0');
            EXCEPTION WHEN division_by_zero THEN NULL;
            END;
            COMMIT;
        ELSE
            COMMIT;
        END IF;
    END LOOP;
END $$;
EOF

sub test_looks
{
	sql($looks);
	for my $isolation ('READ COMMITTED', 'REPEATABLE READ')
	{
		sql(q(DELETE FROM kwjobs.job WHERE description = 'polled'));
		my $worker = session();
		my $looker = session();
		$looker->query_safe("BEGIN ISOLATION LEVEL $isolation");
		$looker->query_safe('SELECT count(*) FROM written');
		$worker->query_until(qr/begins/, "\\echo begins\nCALL do_jobs(90, 0.01);\n");
		is($looker->query_safe('SELECT looks(2.5)'), 'good', "$isolation: each look sees each job once");
		$worker->query_safe('SELECT 1');
		$looker->query_safe('COMMIT');
		wait_query($node, q(SELECT count(*) = 120 FROM kwjobs.job WHERE description = 'polled'));
		is($looker->query_safe(q(SELECT count(*) FROM kwdb_internal.jobs WHERE description = 'polled')), 120, '... and all in the end');
		$_->quit for $worker, $looker;
	}
	return;
}

# ---- sessions that end ----

sub test_sessions_that_end
{
	for my $end ('pg_terminate_backend', 'quit')
	{
		my $session = session();
		$session->query_safe('BEGIN');
		my $done = run_job($session, "done, $end");
		my $running = $session->query_safe("SELECT kwjobs_test_begin('running, $end')");
		if ($end eq 'quit') { $session->quit }
		else { sql("SELECT $end(pid) FROM kwdb_internal.jobs WHERE job_id = $done") }
		ends_as($node, $_, 'failed, 40000, transaction rolled back, as its session ended', "after $end") for $done, $running;
		$session->{run}->kill_kill if $end ne 'quit';
	}
	wait_for_session_jobs($node);
	note('they leave no place');

	my $session = session();
	my $committed = run_job($session, 'committed');
	$session->query_safe('BEGIN');
	my $lost = run_job($session, 'lost');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	kill_process($node, $pid, $session);
	wait_query($node, q(SELECT count(*) > 0 FROM kwjobs.job WHERE result ->> 'kind' = 'restart after a process crash'));
	is(sql("SELECT string_agg(status, ',') FROM kwdb_internal.jobs WHERE job_id IN ($committed, $lost)"),
		'succeeded', 'after kill -9: what was committed is there, and nothing of what was not');
	return;
}

# ---- PAUSE, RESUME, CANCEL ----

sub start_sleep
{
	my ($session, $description) = @_;
	$session->query_until(qr/sleeps/, "\\echo sleeps\nSELECT kwjobs_test_run('$description', 'SELECT pg_sleep(600)');\n");
	wait_query($node, "SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE description = '$description'");
	return id_of($description);
}

sub as_role
{
	my ($role, $query) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $query, extra_params => [ '--username', $role ], on_error_stop => 0);
	return $out . $err;
}

sub test_control
{
	my $session = session();
	my $job = start_sleep($session, 'sleeps');
	my $control = session();
	says($control, "PAUSE JOB $job", qr/ERROR:  TEST_SESSION jobs cannot be paused\n.*HINT:  To stop it, type CANCEL JOB $job\./s, 'PAUSE');
	says($control, "RESUME JOB $job", qr/ERROR:  TEST_SESSION jobs cannot be resumed/, 'RESUME');
	says($control, "PAUSE JOBS (SELECT $job)", qr/ERROR:  TEST_SESSION jobs cannot be paused/, 'PAUSE JOBS');
	says($control, "RESUME JOBS (SELECT $job)", qr/NOTICE:  1 job was left out: it is not paused/, 'RESUME JOBS leaves it out');
	like(as_role('alice', "CANCEL JOB $job"), qr/only users with the admin role are allowed to CANCEL JOBS/, 'CANCEL without the right');
	sql('ALTER ROLE alice SET kwjobs.job_visibility = owner; ALTER ROLE bob SET kwjobs.job_visibility = owner');
	like(as_role('alice', "CANCEL JOB $job"), qr/job with ID $job does not exist/, 'CANCEL of a job of others');

	$control->query_safe("BEGIN");
	$control->query_safe("CANCEL JOB $job WITH REASON = 'taken back'");
	is($control->query_safe("SELECT status FROM [SHOW JOB $job]"), 'cancel-requested', 'CANCEL shows in its transaction');
	is(field($job, 'status, request_reason'), 'running|', '... only');
	says($control, "SHOW JOB WHEN COMPLETE $job", qr/cannot wait for job $job in the transaction that created or controlled it/, '... which cannot wait');
	$control->query_safe('ROLLBACK');
	$control->query_safe($_) for 'BEGIN', 'SAVEPOINT a', "CANCEL JOB $job", 'ROLLBACK TO a', 'COMMIT';
	is(field($job, 'status'), 'running', 'rolled back, it never happened');
	is(as_role('boss', "CANCEL JOB $job WITH REASON = 'too slow'"), '', 'CANCEL by the admin role');
	ends_as($node, $job, 'canceled, 57014, canceling statement due to user request', '... ends the job');
	is(field($job, 'request_reason, request_user, request_time IS NOT NULL, total_num_of_fail'), 'too slow|boss|t|0', '... and tells why');
	says($session, 'SELECT 1/0', qr/canceling statement due to user request.*division by zero/s, 'the session goes on after its error');
	$_->quit for $session, $control;
	return;
}

sub test_control_done
{
	my $session = session();
	my $control = session();
	$session->query_safe('BEGIN');
	my $job = run_job($session, 'is done');
	says($control, "CANCEL JOB $job",
		qr/ERROR:  job $job cannot be canceled any more\nDETAIL:  Its statement has ended.*pg_terminate_backend\(\d+\)/s, 'CANCEL of what is done');
	says($control, "CANCEL JOBS (SELECT $job)", qr/NOTICE:  1 job was left out: it is waiting for the end of a transaction/, 'CANCEL JOBS leaves it out');
	says($session, "SHOW JOB WHEN COMPLETE $job", qr/cannot wait for job $job in the transaction that created/, 'its session cannot wait for it');
	$session->query_safe('ROLLBACK');
	ends_as($node, $job, 'failed, 40000, transaction rolled back', '... but roll it back');
	says($control, "CANCEL JOB $job", qr/job with status failed cannot be requested to be canceled/, 'CANCEL of what is over');
	says($control, 'CANCEL JOB 4711', qr/job with ID 4711 does not exist/, 'CANCEL of no job');

	my @sessions = (session(), session());
	my @jobs = map { start_sleep($sessions[$_], "one of many $_") } 0, 1;
	$control->query_safe(q(CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE status = 'running')));
	ends_as($node, $_, 'canceled, 57014, canceling statement due to user request', 'CANCEL JOBS ends all') for @jobs;
	$_->quit for $session, $control, @sessions;
	return;
}

# Starts a session that cancels all running jobs as fast as it can, until stop_canceling().
sub start_canceling
{
	my $lock = session();
	$lock->query_safe('SELECT pg_advisory_lock(4711)');
	my $cancels = session();
	$cancels->query_until(qr/begins/, <<'EOF');
\echo begins
DO $$
DECLARE
    job bigint;
BEGIN
    WHILE NOT pg_try_advisory_lock(4711) LOOP
        COMMIT;
        FOR job IN SELECT job_id FROM kwdb_internal.session_jobs() WHERE status = 'running' LOOP
            BEGIN
                PERFORM kwjobs.cancel(job);
            EXCEPTION WHEN object_not_in_prerequisite_state OR undefined_object THEN NULL;
            END;
        END LOOP;
    END LOOP;
END $$;
EOF
	return ($lock, $cancels);
}

sub stop_canceling
{
	my ($lock, $cancels) = @_;
	$lock->quit;
	$cancels->query_safe('SELECT 1');
	$cancels->quit;
	return;
}

# A CANCEL JOB that comes while the job's statement ends cancels no other statement: neither the
# session's next one, nor the next one of the same query string, nor one in the same function.
sub test_cancel_race
{
	my $rounds = 400;
	my @canceling = start_canceling();
	my $script = join('', map { my ($wait, $joint) = (($_ % 20) * 0.0002, $_ % 2 ? '\;' : ';'); <<"EOF" } 1 .. $rounds);
SELECT kwjobs_test_run('race', 'SELECT pg_sleep($wait)') $joint
SELECT 'next', count(*) FROM generate_series(1, 2000);
EOF
	my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0);
	my $canceled = () = $err =~ /canceling statement due to user request/g;
	my $next = () = $out =~ /^next\|2000$/mg;
	cmp_ok($canceled, '>', $rounds / 20, 'many jobs were canceled');
	cmp_ok($canceled, '<', $rounds, '... and not all');
	wait_query($node, "SELECT count(*) = $rounds FROM kwjobs.job WHERE description = 'race'");
	is(sql(q(SELECT count(*) FROM kwjobs.job WHERE description = 'race' AND status = 'canceled')), $canceled, 'their rows say so');
	is(sql(q(SELECT DISTINCT error_code FROM kwjobs.job WHERE description = 'race' AND status <> 'succeeded')), '57014',
		'... as their own statements were canceled');
	cmp_ok($next, '>=', $rounds / 2, 'no other statement was');

	sql(<<'EOF');
CREATE FUNCTION race_within(rounds integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    canceled integer := 0;
    ended integer := 0;
BEGIN
    -- The session that cancels may not get a processor for a while. A failure ends this by the limit on the test.
    WHILE canceled = 0 OR ended = 0 OR canceled + ended < rounds LOOP
        BEGIN
            PERFORM kwjobs_test_run('race within', 'SELECT 1/count(*) FROM generate_series(1, ' || ended % 100 * 10 || ') AS n WHERE n < 0');
        EXCEPTION
            WHEN division_by_zero THEN ended := ended + 1;
            WHEN query_canceled THEN canceled := canceled + 1;
        END;
        PERFORM count(*) FROM generate_series(1, 500);
    END LOOP;
    RETURN 'good';
END $$;
EOF
	is(sql('SELECT race_within(1000)'), 'good', '... nor one in the same function');
	stop_canceling(@canceling);
	return;
}

# ---- WHEN COMPLETE ----

sub test_when_complete
{
	# a job cannot depend on a session's job, but its statement can wait for it
	my $done = session();
	$done->query_safe('BEGIN');
	my $first = run_job($done, 'a job waits for it');
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT kwjobs.submit('SELECT 1', depends_on => $first)");
	like($err, qr/no job can depend on job $first yet.*HINT:  Wait for it: SHOW JOB WHEN COMPLETE $first\./s, 'none can depend on it');
	my $waits = sql("SELECT kwjobs.submit('SELECT FROM kwjobs.when_complete(ARRAY[$first])')");
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%when_complete%$first%' AND wait_event_type = 'Extension'");
	is(field($waits, 'status'), 'running', 'a job can wait for it');
	$done->query_safe('COMMIT');
	ends_as($node, $waits, 'succeeded', '... until it is over');
	$done->quit;

	for my $end ('COMMIT', 'ROLLBACK')
	{
		my $session = session();
		$session->query_safe('BEGIN');
		my $job = run_job($session, "waited for, $end");
		my $waiter = start_wait($node, $job);
		$session->query_safe($end);
		my $status = $end eq 'COMMIT' ? 'succeeded' : 'failed';
		like($waiter->query_safe('SELECT 1'), qr/over: $status/, "WHEN COMPLETE until $end");
		$_->quit for $session, $waiter;
	}
	return;
}

# ---- transactions of other kinds ----

sub test_transactions
{
	my $session = session();
	my %begin = (
		'READ ONLY' => 'BEGIN READ ONLY',
		'SERIALIZABLE' => 'BEGIN ISOLATION LEVEL SERIALIZABLE',
		'without an id' => 'BEGIN',
	);
	for my $kind (sort keys %begin)
	{
		$session->query_safe($begin{$kind});
		my $work = $kind eq 'SERIALIZABLE' ? 'INSERT INTO written VALUES (1)' : 'SELECT 1';
		my $job = $session->query_safe("SELECT kwjobs_test_run('$kind', '$work')");
		is(field($job, 'status'), 'running', "in a transaction $kind");
		$session->query_safe('COMMIT');
		ends_as($node, $job, 'succeeded', "... it succeeds");
	}

	# Of two serializable transactions, the first has read the tables of jobs, and the second has
	# not seen what the first has written. If the second one inserted a row of its job, PostgreSQL
	# could not serialize the two, and the COMMIT would fail.
	my $other = session();
	$other->query_safe('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM kwjobs.job');
	$session->query_safe('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM written');
	my $job = $session->query_safe("SELECT kwjobs_test_run('beside another one', 'CREATE TEMP TABLE mine ()')");
	$other->query_safe('INSERT INTO written VALUES (1); COMMIT');
	says($session, 'COMMIT', qr/^$/, 'the job is not why a serializable transaction fails');
	ends_as($node, $job, 'succeeded', '... it succeeds');
	$_->quit for $session, $other;
	return;
}

# One CALL begins a job, commits, and ends the job in a later transaction.
sub test_several_transactions
{
	sql(<<'EOF');
CREATE PROCEDURE several(fails boolean) LANGUAGE plpgsql AS $$
DECLARE
    job bigint;
BEGIN
    -- in a subtransaction, which commits
    BEGIN
        job := kwjobs_test_begin('several, ' || fails);
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    INSERT INTO written VALUES (1);
    COMMIT;
    -- one of the next transaction, with the same number, which does not
    BEGIN
        PERFORM 1/0;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    PERFORM pg_advisory_lock_shared(4712);
    PERFORM pg_advisory_unlock_shared(4712);
    COMMIT;
    IF fails THEN
        PERFORM 1/0;
    END IF;
    INSERT INTO written VALUES (1);
    PERFORM kwjobs_test_end(job, 'done');
END $$;
EOF
	my $session = session();
	my $gate = session();
	$gate->query_safe('SELECT pg_advisory_lock(4712)');
	$session->query_until(qr/begins/, "\\echo begins\nCALL several(false);\n");
	wait_query($node, q(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted));
	my $job = id_of('several, false');
	is(field($job, 'status'), 'running', 'a statement that has committed, and goes on');
	$gate->query_safe('SELECT pg_advisory_unlock(4712)');
	$session->query_safe('SELECT 1');
	ends_as($node, $job, 'succeeded', '... and has ended');
	says($session, 'CALL several(true)', qr/division by zero/, 'one that fails later');
	ends_as($node, id_of('several, true'), 'failed, 40000, transaction rolled back', '... has failed');
	$_->quit for $gate, $session;
	return;
}

sub test_prepared
{
	for my $end ('COMMIT', 'ROLLBACK')
	{
		for my $kind ('', ' ISOLATION LEVEL SERIALIZABLE')
		{
			my $session = session();
			$session->query_safe("BEGIN$kind");
			my $job = run_job($session, "prepared, $end$kind");
			$session->query_safe(q(PREPARE TRANSACTION 'p'));
			$session->quit;
			like(field($job, 'status, running_status, pid IS NULL'),
				qr/^running\|waiting for COMMIT PREPARED or ROLLBACK PREPARED of transaction \d+\|t$/, "prepared$kind");
			my ($rc, $out, $err) = $node->psql('postgres', "CANCEL JOB $job");
			like($err, qr/Type ROLLBACK PREPARED; pg_prepared_xacts has/, '... CANCEL says what to type');
			my $waiter = start_wait($node, $job);
			sql("$end PREPARED 'p'");
			ends_as($node, $job, $end eq 'COMMIT' ? 'succeeded' : 'failed, 40000, transaction rolled back', "$end PREPARED$kind");
			like($waiter->query_safe('SELECT 1'), qr/over: /, '... and who waits is told');
			$waiter->quit;
		}
	}
	my $session = session();
	my $job = start_sleep($session, 'sleeps beside a PREPARE');
	my $control = session();
	$control->query_safe('BEGIN');
	$control->query_safe("CANCEL JOB $job");
	says($control, q(PREPARE TRANSACTION 'p'), qr/cannot PREPARE a transaction that has created or controlled jobs/, 'CANCEL and PREPARE');
	is(field($job, 'status'), 'running', '... is rolled back');
	sql("CANCEL JOB $job");
	ends_as($node, $job, 'canceled, 57014, canceling statement due to user request', '... alone it is done');
	$_->quit for $session, $control;
	return;
}

# ---- nothing of ours is in the way ----

sub test_in_the_way
{
	my $session = session();
	my $other = session();
	$session->query_safe('BEGIN');
	my $job = run_job($session, 'beside a lock');
	$other->query_safe('BEGIN');
	$other->query_safe('LOCK TABLE kwjobs.job IN ACCESS EXCLUSIVE MODE');
	$session->query_safe('COMMIT');
	is($session->query_safe('SELECT count(*) > 0 FROM written'), 't', 'a lock on our table delays no commit');
	$other->query_safe('ROLLBACK');
	ends_as($node, $job, 'succeeded', '... and the coordinator waits for it');

	my $unrecorded = place('unrecorded');
	sql(<<'EOF');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON kwjobs.job FOR EACH ROW WHEN (NEW.description = 'refused') EXECUTE FUNCTION refuse();
EOF
	run_job($session, 'refused');
	my $beside = run_job($session, 'beside a trigger');
	wait_query($node, "SELECT unrecorded = $unrecorded + 1 FROM kwjobs.session_job_places()");
	ends_as($node, $beside, 'succeeded', 'a trigger on our table fails no commit, and its error is counted');
	is(id_of('refused'), '', '... as a job without a row');
	sql('DROP FUNCTION refuse CASCADE');
	$_->quit for $session, $other;
	return;
}

# A role without the right to run job statements uses the functions for a job of its session ($job),
# which waits for the end of its transaction, and for a job of another role ($foreign).
sub test_own_functions
{
	my ($job, $foreign) = @_;
	is(as_role('alice', q(SELECT description, status, tags IS NULL FROM kwjobs.my_jobs WHERE description LIKE 'secret%')),
		'secret of alice|running|t', '... but its own in kwjobs.my_jobs');
	is(sql("SELECT string_agg(status, ',') FROM kwjobs.list WHERE id IN ($job, $foreign)"), 'running,running', 'kwjobs.list has all for a superuser');
	is(as_role('alice', "SELECT status, running_status FROM kwjobs.wait($job, '10 ms')"), 'running|waiting for the end of its transaction', 'kwjobs.wait');
	like(as_role('alice', "SELECT kwjobs.wait($foreign, '10 ms')"), qr/job with ID $foreign does not exist/, '... not for those of others');
	like(as_role('alice', "SELECT kwjobs.pause($job)"), qr/TEST_SESSION jobs cannot be paused\n.*HINT:  To see the job, type SELECT \* FROM kwjobs\.my_jobs WHERE job_id = $job\./s, 'kwjobs.pause');
	like(as_role('alice', "SELECT kwjobs.cancel($job)"), qr/job $job cannot be canceled any more/, 'kwjobs.cancel');
	like(as_role('alice', "SELECT kwjobs.cancel_jobs(ARRAY[$job])"), qr/1 job was left out: it is waiting for the end of a transaction/, 'kwjobs.cancel_jobs');
	like(as_role('alice', "SELECT kwjobs.cancel($foreign)"), qr/job with ID $foreign does not exist/, '... not for those of others');
	like(as_role('alice', "SELECT kwjobs.submit('SELECT 1', depends_on => $job)"), qr/no job can depend on job $job yet\n.*HINT:  Wait for it: SELECT kwjobs\.wait\($job\)\./s, 'depends_on');
	like(as_role('alice', "SELECT kwjobs.delete($job)"),
		qr/job $job cannot be deleted: it is not over\nDETAIL:  It is a statement of a session, and has no row yet\.\nHINT:  Wait for it: SELECT \* FROM kwjobs\.wait\($job\)\./, 'kwjobs.delete');
	like(as_role('alice', "SELECT kwjobs.delete_jobs(ARRAY[$job])"), qr/1 job was left out: it is not recorded yet$/m, 'kwjobs.delete_jobs');
	like(as_role('alice', "SELECT kwjobs.delete($foreign)"), qr/job with ID $foreign does not exist/, '... not for those of others');

	my $session = session();
	$session->query_safe('SET SESSION AUTHORIZATION alice');
	my $sleeps = start_sleep($session, 'sleeps for alice');
	is(as_role('alice', "SELECT kwjobs.cancel($sleeps)"), '', 'kwjobs.cancel of a statement that runs');
	ends_as($node, $sleeps, 'canceled, 57014, canceling statement due to user request', '... cancels it');
	$session->quit;
	return;
}

sub test_visibility
{
	my @sessions = map { session() } 0, 1;
	$sessions[0]->query_safe('SET SESSION AUTHORIZATION alice');
	$sessions[1]->query_safe('SET SESSION AUTHORIZATION bob');
	$_->query_safe('BEGIN') for @sessions;
	my @jobs = (run_job($sessions[0], 'secret of alice'), run_job($sessions[1], 'secret of bob'));
	my $own = q(SELECT description FROM kwdb_internal.jobs WHERE description LIKE 'secret%' ORDER BY 1);
	is(as_role('alice', $own), 'secret of alice', 'with kwjobs.job_visibility = owner, a role sees its own jobs');
	is(as_role('bob', 'SELECT description FROM kwdb_internal.session_jobs()'), 'secret of bob', '... by the function, too');
	is(as_role('bob', "SHOW JOB $jobs[0]"), '', '... and no others');
	is(sql($own), "secret of alice\nsecret of bob", 'a superuser sees all');
	is(as_role('boss', $own), "secret of alice\nsecret of bob", '... and so does the admin role');
	sql('ALTER ROLE alice RESET kwjobs.job_visibility');
	like(as_role('alice', $own), qr/only users with the admin role are allowed to SHOW JOBS/, 'without it, a role sees none');
	is(as_role('alice', 'SELECT count(*) FROM kwdb_internal.session_jobs()'), '0', '... nor by the function');
	test_own_functions(@jobs);
	$_->query_safe('COMMIT') for @sessions;
	is(sql("SELECT string_agg(concat_ws(' ', user_name, created_by), ', ' ORDER BY user_name) FROM kwdb_internal.jobs WHERE job_id IN ($jobs[0], $jobs[1])"),
		'alice alice, bob bob', 'their rows are theirs');
	$_->quit for @sessions;
	return;
}

sub test_databases
{
	sql('CREATE DATABASE other');
	$node->safe_psql('other', "CREATE EXTENSION kwjobs; $functions");
	sql('CREATE DATABASE without');
	$node->safe_psql('without', $functions);
	is($node->safe_psql('without', q(SELECT kwjobs_test_run('x', 'SELECT 1'))), 0, 'a database without kwjobs has no jobs');

	my $session = session('other');
	$session->query_safe('BEGIN');
	my $job = run_job($session, 'elsewhere');
	is(id_of('elsewhere'), '', 'a job of another database is not seen here');
	is(job_field($node, $job, 'status', 'other'), 'running', '... but there');
	my ($rc, $out, $err) = $node->psql('postgres', "CANCEL JOB $job");
	like($err, qr/job with ID $job does not exist/, '... where it can be canceled only');
	$session->query_safe('ROLLBACK');
	wait_query($node, "SELECT count(*) = 1 FROM kwjobs.job WHERE job_id = $job AND status = 'failed'", 'other');
	$session->quit;
	return;
}

# The extension is dropped while sessions have jobs.
sub test_drop
{
	my $session = session('other');
	$session->query_safe('BEGIN');
	run_job($session, 'extension goes');
	$node->safe_psql('other', 'DROP EXTENSION kwjobs');
	$session->query_safe('COMMIT');
	is($node->safe_psql('other', 'SELECT count(*) FROM written'), 1, 'DROP EXTENSION in the middle: the work is committed');
	is(place('taken'), 0, '... and nothing is left of the job');

	$node->safe_psql('other', 'CREATE EXTENSION kwjobs');
	$session->query_safe('BEGIN');
	run_job($session, 'drops the extension');
	$session->query_safe('DROP EXTENSION kwjobs');
	$session->query_safe('COMMIT');
	is(place('taken'), 0, 'DROP EXTENSION in the same transaction: the same');

	$node->safe_psql('other', 'CREATE EXTENSION kwjobs');
	$session->query_safe('BEGIN');
	run_job($session, 'fails without');
	$node->safe_psql('other', 'DROP EXTENSION kwjobs');
	$session->query_safe('ROLLBACK');
	wait_for_session_jobs($node);

	$node->safe_psql('other', 'CREATE EXTENSION kwjobs');
	my $drops = session('other');
	$session->query_safe('BEGIN');
	my $job = run_job($session, 'the drop is rolled back');
	$drops->query_safe('BEGIN');
	$drops->query_safe('DROP EXTENSION kwjobs');
	$session->query_safe('COMMIT');
	$drops->query_safe('ROLLBACK');
	wait_query($node, "SELECT count(*) = 1 FROM kwjobs.job WHERE job_id = $job AND status = 'succeeded'", 'other');
	$_->quit for $session, $drops;
	return;
}

sub test_full
{
	my $full = new_node('full', "kwjobs.max_session_jobs = 8\n");
	$full->safe_psql('postgres', $functions);
	my @sessions = map { $full->background_psql('postgres') } 0 .. 4;
	for my $session (@sessions)
	{
		$session->query_safe('BEGIN');
		run_job($session, 'takes a place') for 1 .. 3;
	}
	my $places = 'SELECT * FROM kwjobs.session_job_places()';
	is($full->safe_psql('postgres', $places), '8|8|3', 'a session has a quarter of the places; jobs without one are counted');
	is($full->safe_psql('postgres', 'SELECT count(*) FROM [SHOW JOBS]'), 8, '... and not shown');
	$_->query_safe('COMMIT') for @sessions;
	is($full->safe_psql('postgres', 'SELECT count(*) FROM written'), 15, 'all of them have worked');
	is($full->safe_psql('postgres', q(SELECT count(*) FROM kwdb_internal.jobs WHERE status = 'succeeded')), 12, '... and those that have had a place have a row');
	run_job($sessions[0], 'takes the place of a row') for 1 .. 20;
	is($full->safe_psql('postgres', $places), '8|0|3', 'places are used again');
	is($full->safe_psql('postgres', q(SELECT count(*) FROM kwdb_internal.jobs WHERE job_type <> 'RESTART')), 32, '... and all is seen');
	$_->quit for @sessions;
	$full->append_conf('postgresql.conf', 'kwjobs.max_session_jobs = 0');
	$full->restart;
	is($full->safe_psql('postgres', q(SELECT kwjobs_test_run('x', 'SELECT 1'))), 0, 'kwjobs.max_session_jobs = 0: no job');
	is($full->safe_psql('postgres', $places), '0|0|1', '... which is counted');
	$full->stop;
	return;
}

sub test_standby
{
	my $standby = start_standby($node, 'standby');
	my $session = $standby->background_psql('postgres');
	$session->query_safe('BEGIN');
	my $job = $session->query_safe(q(SELECT kwjobs_test_run('on a standby', 'SELECT 1')));
	is(job_field($standby, $job, 'status'), 'running', 'a job on a standby is seen');
	$session->query_safe('COMMIT');
	is($standby->safe_psql('postgres', "SELECT count(*) FROM kwdb_internal.jobs WHERE job_id = $job"), 0, '... and is gone with its transaction');
	$session->quit;
	$standby->stop;
	return;
}

test_long_transaction();
test_failures();
test_subtransactions();
test_same();
test_looks();
test_when_complete();
test_control();
test_control_done();
test_cancel_race();
test_transactions();
test_several_transactions();
test_prepared();
test_in_the_way();
test_visibility();
test_databases();
test_drop();
is_consistent($node);
test_standby();
test_sessions_that_end();
test_full();
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal (?!9)/, 'no process crashed by itself');
$node->stop;
done_testing();
