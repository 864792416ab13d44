# Arguments and results of SQL jobs across crashes, pauses and locks: each attempt has the same
# arguments, and only the attempt that succeeds leaves a result.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('results', "log_statement = none\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(<<'EOF');
CREATE TABLE got (attempt integer, n integer, what text[]);
CREATE FUNCTION attempt() RETURNS bigint LANGUAGE sql AS
$$SELECT max(attempt) FROM kwdb_internal.job_attempts WHERE job_id = kwjobs.current_job()$$;
EOF
my $insert = 'INSERT INTO got VALUES (attempt(), :n, :what)';
my $arguments = q{arguments => '{"n": 7, "what": ["a", "it''s"]}'};
my $at_gate = 'SELECT pg_advisory_xact_lock_shared(4711)';

# ---- a crash after the result was set, and before the job is over ----
{
	my $gate = close_gate($node);
	my $job = sql("SELECT kwjobs.submit('$insert; SELECT kwjobs.set_result(to_jsonb(attempt())); $at_gate', $arguments)");
	wait_at_gate($node, $job);
	is(job_field($node, $job, 'result IS NULL'), 't', 'no result is there before the job is over');
	kill_process($node, job_field($node, $job, 'pid'), $gate);
	wait_for_end($node, $job);
	is(attempt_statuses($node, $job), 'crashed,succeeded', 'kill -9: the second attempt succeeds');
	is(job_field($node, $job, 'result'), '2', '... and leaves its own result');
	is(sql('SELECT * FROM got'), q{2|7|{a,it's}}, '... with the arguments of the first, and the work once');
	is_consistent($node);
}

# ---- a failed attempt ----
{
	sql(<<'EOF');
CREATE FUNCTION first_fails(result jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF attempt() = 1 THEN
        PERFORM kwjobs.set_result(result);
        RAISE serialization_failure;
    END IF;
END $$;
CREATE PROCEDURE first_fails_later(result jsonb) LANGUAGE plpgsql AS $$
BEGIN
    IF attempt() = 1 THEN
        PERFORM kwjobs.set_result(result);
        COMMIT;
        RAISE serialization_failure;
    END IF;
END $$;
EOF
	my $job = sql(q{SELECT kwjobs.submit('SELECT first_fails(:r)', arguments => '{"r": {"of": "the first"}}')});
	my $later = sql(q{SELECT kwjobs.submit('CALL first_fails_later(:r)', arguments => '{"r": {"of": "the first"}}')});
	wait_for_end($node, $job, $later);
	is(attempt_statuses($node, $job) . ' ' . attempt_statuses($node, $later), 'failed,succeeded failed,succeeded', 'a retried attempt succeeds');
	is(job_field($node, $job, 'result IS NULL') . job_field($node, $later, 'result IS NULL'), 'tt', '... without the result of the one that failed');
	$job = sql(q{SELECT kwjobs.submit('SELECT 1 AS a; SELECT 2 AS b; SELECT first_fails(NULL)', keep_result => true)});
	wait_for_end($node, $job);
	is(job_field($node, $job, 'result'), '[{"first_fails": ""}]', 'rows are those of the attempt that succeeds');
}

# ---- PAUSE, RESUME, RETRY: the arguments are those of before ----
{
	sql('TRUNCATE got');
	my $gate = close_gate($node);
	my $job = sql("SELECT kwjobs.submit('$insert; SELECT kwjobs.set_result(to_jsonb(attempt())); $at_gate', $arguments)");
	wait_at_gate($node, $job);
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	is(job_field($node, $job, 'result IS NULL'), 't', 'a paused job has no result');
	open_gate($gate);
	sql("RESUME JOB $job");
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, result'), 'succeeded|2', '... and after RESUME that of its second attempt');
	is(sql('SELECT * FROM got'), q{2|7|{a,it's}}, '... which had the same arguments');

	sql('TRUNCATE got; ALTER TABLE got ADD CHECK (n > 7)');
	$job = sql("SELECT kwjobs.submit('$insert', $arguments)");
	wait_for_status($node, $job, 'failed');
	sql("ALTER TABLE got DROP CONSTRAINT got_n_check; RETRY JOB $job");
	wait_for_end($node, $job);
	is(sql('SELECT * FROM got'), q{2|7|{a,it's}}, 'so has the attempt after RETRY');
}

# ---- the check of arguments, and locks of others ----
{
	my $locker = $node->background_psql('postgres', on_error_stop => 1);
	$locker->query_safe('BEGIN; LOCK TABLE got');
	my $job = sql(q{SELECT kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '["one"]', run_at => 'tomorrow')});
	is(job_field($node, $job, 'status'), 'pending', 'a table that is locked keeps no job from being created');
	my ($rc, $out, $err) = $node->psql('postgres', q{SET statement_timeout = '100ms';
		SELECT kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '[1]', key => 'canceled')});
	like($err, qr/canceling statement due to statement timeout/, '... but a cancel ends the wait for it');
	is(sql(q{SELECT count(*) FROM kwdb_internal.jobs WHERE key = 'canceled'}), '0', '... and there is no job then');
	$locker->query_safe('COMMIT');
	$locker->quit;
	sql("SELECT kwjobs.run_now($job)");
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, error, error_code'), 'failed|invalid input syntax for type integer: "one"|22P02', 'its argument fails the attempt');
	like(job_field($node, $job, 'error_context'), qr/^argument \$1 of the job$/m, '... which says which one');
	like(job_field($node, $job, 'error_hint'), qr/^Give a value of type integer/, '... and what to do');
	is(sql(q{SELECT count(*) FROM pg_locks WHERE relation = 'got'::regclass}), '0', 'no lock is left');
}

# ---- messages while the job runs ----
{
	sql(<<'EOF');
CREATE ROLE stranger LOGIN;
CREATE PROCEDURE says(n integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        RAISE NOTICE 'line %', i;
    END LOOP;
    PERFORM pg_advisory_xact_lock_shared(4711);
    RAISE WARNING 'past the gate';
END $$;
EOF
	my $lines = q{SELECT string_agg(attempt || ' ' || coalesce(severity, '-') || ' ' || message, ',' ORDER BY attempt, at) FROM kwjobs.messages};
	my $gate = close_gate($node);
	my $job = sql(q{SELECT kwjobs.submit('CALL says($1)', arguments => '[2]')});
	wait_at_gate($node, $job);
	is(sql("$lines($job)"), '1 NOTICE line 1,1 NOTICE line 2', 'messages can be read while the job runs');
	is(sql("SELECT bool_and(at BETWEEN started AND now()) FROM kwjobs.messages($job), kwdb_internal.jobs WHERE job_id = $job"), 't', '... with their times');
	is(sql("SELECT messages IS NULL FROM kwdb_internal.job_attempts WHERE job_id = $job"), 't', '... which are not written yet');
	my ($rc, $out, $err) = $node->psql('postgres', "SET SESSION AUTHORIZATION stranger; SELECT * FROM kwjobs.messages($job)");
	like($err, qr/job with ID $job does not exist/, '... but not by those who may not see it');
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	is(sql("$lines($job)"), '1 NOTICE line 1,1 NOTICE line 2', 'a paused attempt has left its messages');
	sql("RESUME JOB $job");
	wait_at_gate($node, $job);
	is(sql("$lines($job)"), '1 NOTICE line 1,1 NOTICE line 2,2 NOTICE line 1,2 NOTICE line 2', '... which are shown with those of the next one');

	# A worker that has run another job shows nothing of it.
	my $silent = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')});
	wait_at_gate($node, $silent);
	is(sql("SELECT count(*) FROM kwjobs.messages($silent)"), '0', 'a job without messages shows none');
	open_gate($gate);
	wait_for_end($node, $job, $silent);
	is(sql("$lines($job)"), '1 NOTICE line 1,1 NOTICE line 2,2 NOTICE line 1,2 NOTICE line 2,2 WARNING past the gate', 'the row of an attempt that has ended has all');

	# While it runs, the last ones are there; all when it is over.
	$gate = close_gate($node);
	$job = sql(q{SELECT kwjobs.submit('CALL says($1)', arguments => '[1000]')});
	wait_at_gate($node, $job);
	my $shown = sql("SELECT string_agg(message, ',' ORDER BY at NULLS FIRST) FROM kwjobs.messages($job)");
	ok($shown =~ /^\.\.\. (\d+) more messages,line (\d+),.*,line 999,line 1000$/ && $1 > 0 && $2 == $1 + 1, 'of many messages the last ones are shown, and how many there were before')
	  or diag($shown);
	kill_process($node, job_field($node, $job, 'pid'), $gate);
	wait_for_end($node, $job);
	is(sql("SELECT string_agg(DISTINCT attempt::text, ',') || ' ' || count(*) FROM kwjobs.messages($job)"), '2 1001', 'a crash loses those of its attempt only');
}

done_testing();
