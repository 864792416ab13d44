# kwjobs.alter changes a job that waits. What the call does not name stays as it is.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('alter', "log_statement = none\nkwjobs.max_workers = 1\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }

my $columns = q{description, priority, max_attempts, timeout, on_failure, tags, run_at > now() + interval '1 hour'};

# ---- what is named changes, the rest stays ----
{
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1', priority => 3, max_attempts => 7, timeout => '1 min', run_at => now() + interval '1 day', tags => '{a,b}')});
	is(job_field($node, $job, $columns), 'SELECT 1|3|7|00:01:00|fail|{a,b}|t', 'a job');
	sql("SELECT kwjobs.alter($job)");
	is(job_field($node, $job, $columns), 'SELECT 1|3|7|00:01:00|fail|{a,b}|t', 'nothing is named: nothing changes');
	sql("SELECT kwjobs.alter($job, priority => -5, tags => '{c}')");
	is(job_field($node, $job, $columns), 'SELECT 1|-5|7|00:01:00|fail|{c}|t', 'two things are named');
	sql("SELECT kwjobs.alter($job, 'the first', max_attempts => 1, timeout => '0', on_failure => 'pause', tags => '{}', retry_initial_delay => '5 s')");
	is(job_field($node, $job, $columns . ', statement'), 'the first|-5|1||pause||t|SELECT 1', 'a timeout and tags are taken away');
	is(sql("SELECT retry_delay FROM kwjobs.job WHERE job_id = $job"), '5000', 'the delay of retries');
	$node->psql('postgres', "BEGIN; SELECT kwjobs.alter($job, priority => 9); ROLLBACK");
	is(job_field($node, $job, 'priority'), '-5', 'it is rolled back with its transaction');
	sql("SELECT kwjobs.alter($job, run_at => '2000-01-01')");
	wait_for_status($node, $job, 'succeeded');
	like(said($node, "SELECT kwjobs.alter($job, priority => 1)"), qr/^ERROR:  job with status succeeded cannot be altered\nHINT:  It is over\./, 'not a job that is over');
}

# ---- the order ----
{
	my $gate = close_gates($node, 1);
	my $first = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(1)')});
	wait_query($node, 'SELECT count(*) = 1 FROM kwjobs.running');
	sql('CREATE TABLE ran (n serial, what text)');
	my @jobs = map { sql("SELECT kwjobs.submit('INSERT INTO public.ran (what) VALUES (''$_'')')") } qw(a b c);
	# the jobs have ranks, and may be in the queue from which the worker takes its next job
	wait_query($node, 'SELECT count(*) = 3 FROM kwjobs.job WHERE rank IS NOT NULL');
	sql("SELECT kwjobs.alter($jobs[2], priority => 10)");
	sql("SELECT kwjobs.alter($jobs[0], run_at => now() + interval '1 day')");
	like(said($node, "SELECT kwjobs.alter($first, priority => 1)"), qr/^ERROR:  job with status running cannot be altered\nHINT:  Only a job that waits can be: type PAUSE JOB $first first\./, 'not a job that runs');
	$gate->quit;
	wait_for_status($node, $_, 'succeeded') for @jobs[1, 2];
	is(sql(q{SELECT string_agg(what, ',' ORDER BY n) FROM ran}), 'c,b', 'a higher priority comes first, and a later time later');
	is(job_field($node, $jobs[0], 'status'), 'pending', '... which waits for that');
}

# ---- paused, waiting for another job, bounds, rights ----
{
	my $needed = sql(q{SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')});
	my $job = sql("SELECT kwjobs.submit('SELECT 2', depends_on => $needed)");
	sql("SELECT kwjobs.alter($job, run_at => '2000-01-01', priority => 1)");
	is(sql("SELECT due, priority FROM kwjobs.job WHERE job_id = $job"), 'infinity|1', 'a job that waits for another one goes on doing so');
	sql("PAUSE JOB $needed");
	wait_for_status($node, $needed, 'paused');
	sql("SELECT kwjobs.alter($needed, run_at => '2000-01-01'); RESUME JOB $needed");
	wait_for_status($node, $_, 'succeeded') for $needed, $job;
	my $other = sql(q{SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')});
	like(said($node, "SELECT kwjobs.alter($other, priority => 100000)"), qr/^ERROR:  argument "priority" of a job is out of range: 100000\n/, 'the bounds of a new job');
	like(said($node, "SELECT kwjobs.alter($other, max_attempts => 0)"), qr/^ERROR:  argument "max_attempts" of a job is out of range: 0\n/, '... of attempts');
	like(said($node, "SELECT kwjobs.alter($other, run_at => 'infinity')"), qr/^ERROR:  argument "run_at"/, '... of the time');
	like(said($node, "SELECT kwjobs.alter($other, on_failure => 'x')"), qr/^ERROR:  .*on_failure/, '... of what a failure does');
	like(said($node, 'SELECT kwjobs.alter(NULL, priority => 1)'), qr/^ERROR:  the id of the job must not be null\n/, 'no job');
	sql('CREATE ROLE mallory LOGIN; CREATE ROLE joe LOGIN');
	like(said($node, "SELECT kwjobs.alter($other, priority => 1)", 'mallory'), qr/^ERROR:  job with ID $other does not exist\n/, 'a job of another role');
	my $own = sql(q{SET SESSION AUTHORIZATION joe; SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')});
	is(said($node, "SELECT kwjobs.alter($own, priority => 1)", 'joe'), '', 'one of its own');
	is(job_field($node, $own, 'priority'), '1', '... is changed');
}

# ---- a job that is claimed while a session alters it: either the change comes first or the claim ----
{
	# The pause between the submit and the change becomes longer each time that the change has come
	# first, and shorter each time that the claim has.
	sql(<<'EOF');
CREATE TABLE raced (job bigint, round integer, altered boolean);
CREATE PROCEDURE race() LANGUAGE plpgsql AS $$
DECLARE
    pause float := 0.0001;
    job bigint;
    altered boolean;
BEGIN
    FOR round IN 1 .. 1000 LOOP
        job := kwjobs.submit('SELECT 1');
        COMMIT;
        PERFORM pg_sleep(pause);
        BEGIN
            PERFORM kwjobs.alter(job, priority => round);
            altered := true;
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
            altered := false;
        END;
        INSERT INTO raced VALUES (job, round, altered);
        COMMIT;
        pause := CASE WHEN altered THEN least(2 * pause, 1) ELSE pause / 2 END;
        EXIT WHEN (SELECT count(*) FILTER (WHERE r.altered) >= 10 AND count(*) FILTER (WHERE NOT r.altered) >= 10
                     FROM raced AS r);
    END LOOP;
END $$;
EOF
	sql('CALL race()');
	note(sql('SELECT altered, count(*) FROM raced GROUP BY altered'));
	is(sql('SELECT count(*) FILTER (WHERE altered) >= 10, count(*) FILTER (WHERE NOT altered) >= 10 FROM raced'),
		't|t', 'some jobs are altered, and others are claimed before');
	wait_query($node, "SELECT bool_and(status = 'succeeded') FROM kwdb_internal.jobs JOIN raced ON job = job_id");
	is(sql('SELECT job, round, altered, priority FROM raced JOIN kwdb_internal.jobs ON job = job_id WHERE priority <> CASE WHEN altered THEN round ELSE 0 END'),
		'', '... each has the priority that its session was told');
	is(sql('SELECT count(*) FROM raced JOIN kwdb_internal.jobs ON job = job_id AND total_num_of_ex = 1'), sql('SELECT count(*) FROM raced'), '... and has run once');
}
is_consistent($node);
$node->stop;
done_testing();
