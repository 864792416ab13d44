# When an attempt does not end well: time limits, what on_failure and retry_initial_delay do, and
# how soon PAUSE and CANCEL stop what does not want to be stopped.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('timeouts', <<'EOF');
kwjobs.max_workers = 6
log_statement = none
EOF

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub submit
{
	my ($statement, $more) = @_;
	return sql("SELECT kwjobs.submit(\$job\$$statement\$job\$" . ($more ? ", $more" : '') . ')');
}

sub attempts
{
	my ($job, $columns) = @_;
	return sql("SELECT $columns FROM kwdb_internal.job_attempts WHERE job_id = $job");
}

sub wait_until_it_sleeps
{
	my ($job) = @_;
	wait_query($node, <<"EOF");
SELECT count(*) = 1 FROM pg_stat_activity AS a JOIN kwdb_internal.jobs AS j USING (pid)
 WHERE j.job_id = $job AND a.wait_event = 'PgSleep'
EOF
	return;
}

sql(<<'EOF');
CREATE TABLE tried (job bigint, attempt integer);
-- Fails the first few times (times). It counts by a sequence, because no rollback takes that back.
CREATE SEQUENCE failures;
CREATE FUNCTION fail(times integer, code text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('failures') <= times THEN
        RAISE EXCEPTION 'not yet' USING ERRCODE = code;
    END IF;
    INSERT INTO tried VALUES (kwjobs.current_job(), currval('failures'));
END $$;
-- Never gives in, and is only interrupted when it sleeps.
CREATE FUNCTION stubborn(seconds integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := clock_timestamp() + seconds * interval '1 second';
BEGIN
    WHILE clock_timestamp() < until LOOP
        BEGIN
            PERFORM pg_sleep(seconds);
        EXCEPTION WHEN query_canceled THEN
            RAISE LOG 'trapped';
        END;
    END LOOP;
END $$;
EOF

# Those that take long, begun before the rest: they run beside it.
sub retry_slowly
{
	sql(q{SET client_min_messages = warning; DROP SEQUENCE IF EXISTS slowly; CREATE SEQUENCE slowly;
		CREATE OR REPLACE FUNCTION fail_slowly() RETURNS void LANGUAGE plpgsql AS $$
		BEGIN IF nextval('slowly') <= 4 THEN RAISE EXCEPTION 'not yet' USING ERRCODE = '40001'; END IF; END $$});
	return submit('SELECT fail_slowly()', q{retry_initial_delay => '300 ms'});
}
my $retried_slowly = retry_slowly();
my $stubborn = submit('SELECT stubborn(600)');
wait_until_it_sleeps($stubborn);
sql("SELECT kwjobs.cancel($stubborn)");
sql('CREATE TABLE reverted (job bigint)');
my $last_attempt = q{max_attempts => 1, on_revert => 'INSERT INTO reverted VALUES (kwjobs.current_job())'};
my $stubborn_to_pause = submit('SELECT stubborn(600)', $last_attempt);
wait_until_it_sleeps($stubborn_to_pause);
sql("SELECT kwjobs.pause($stubborn_to_pause)");
my $stubborn_too_long = submit('SELECT stubborn(600)', q{timeout => '300 ms'});

# ---- timeout ----

{
	my $job;
	my $too_long = sub {
		$job = submit('SELECT pg_sleep(600)', q{timeout => '500 ms'});
		wait_for_status($node, $job, 'failed');
		return attempts($job, q{count(*), bool_and(finished - started BETWEEN '0.5 seconds' AND '2 seconds'), min(error_code)});
	};
	is_once($too_long, '1|t|57014', 'an attempt that takes too long fails in time, and is not tried again');
	is( job_field($node, $job, 'error_code, error, error_hint'),
		q{57014|the attempt took longer than the job's timeout of 0.500 s|Create the job again with a longer timeout.},
		'... which is said');

	# The limit is that of an attempt, not of a statement or a job.
	my $together = sub {
		$job = submit('SELECT pg_sleep(0.3); SELECT pg_sleep(0.3); SELECT pg_sleep(600)', q{timeout => '500 ms'});
		wait_for_status($node, $job, 'failed');
		return attempts($job, 'tags');
	};
	is_once($together, '{"SELECT 1"}', 'all statements together have to keep it');
	$job = submit('SELECT fail(1, $$40001$$); SELECT pg_sleep(0.4)', q{timeout => '10 seconds'});
	wait_for_status($node, $job, 'succeeded');
	sql('SELECT setval($$failures$$, 1, false)');

	# A statement that is canceled otherwise is not one that took too long.
	$job = submit('SET LOCAL statement_timeout = 200; SELECT pg_sleep(600)', q{timeout => '1 hour'});
	wait_for_status($node, $job, 'failed');
	like(job_field($node, $job, 'error'), qr/statement timeout/, 'statement_timeout is something else');
	my $next = submit('SELECT pg_sleep(0.1)');
	wait_for_status($node, $next, 'succeeded');

	my ($rc, $out, $err) = $node->psql('postgres', "SELECT kwjobs.submit('SELECT 1', timeout => '-1 s')");
	like($err, qr/ERROR:.*timeout/, 'a timeout below zero is refused');

	# With on_failure.
	$job = submit('SELECT pg_sleep(600)',
		q{timeout => '100 ms', on_failure => 'retry', max_attempts => 3, retry_initial_delay => '10 ms'});
	wait_for_status($node, $job, 'failed');
	is(attempts($job, q{count(*), count(*) FILTER (WHERE error LIKE 'the attempt took longer%')}), '3|3',
		q{on_failure => 'retry': each attempt has that time});
	$job = submit('SELECT pg_sleep(600)', q{timeout => '100 ms', on_failure => 'pause'});
	wait_for_status($node, $job, 'paused');
	like(job_field($node, $job, 'error, running_status'),
		qr/took longer than .*\|paused after an error; RESUME JOB tries again/, q{on_failure => 'pause'});
	sql("SELECT kwjobs.resume($job)");
	wait_query($node, "SELECT count(*) = 2 FROM kwdb_internal.job_attempts WHERE job_id = $job AND finished IS NOT NULL");
	wait_for_status($node, $job, 'paused');
	sql("SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');

	# Of a procedure that commits, too; what it has committed stays.
	sql('CREATE TABLE done (n integer); CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
		 BEGIN FOR n IN 1 .. 1000000 LOOP INSERT INTO done VALUES (n); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$');
	my $commits = sub {
		sql('TRUNCATE done');
		$job = submit('CALL commits()', q{timeout => '300 ms'});
		wait_for_status($node, $job, 'failed');
		return sql('SELECT count(*) BETWEEN 2 AND 10 FROM done');
	};
	is_once($commits, 't', 'a procedure that commits has to keep it, too, over all its transactions');
	is(job_field($node, $job, 'error_code'), '57014', '... or fails');
}

# ---- on_failure and max_attempts ----

{
	my $job = submit('SELECT 1 / 0', 'max_attempts => 3');
	wait_for_status($node, $job, 'failed');
	is(attempts($job, 'count(*)'), 1, 'an error that cannot pass by itself fails the job at once');

	$job = submit('SELECT 1 / 0', q{max_attempts => 3, on_failure => 'retry', retry_initial_delay => '20 ms'});
	wait_for_status($node, $job, 'failed');
	is(attempts($job, q{count(*), string_agg(DISTINCT status, ','), string_agg(DISTINCT error_code, ',')}),
		'3|failed|22012', q{on_failure => 'retry': as often as max_attempts says});
	is(job_field($node, $job, 'error_code, total_num_of_ex, total_num_of_fail'), '22012|3|3', '... and the job says why');

	# an attempt that writes a checkpoint and then fails: only the first retry comes at once
	sql('CREATE PROCEDURE fails_behind_checkpoint() LANGUAGE plpgsql AS $$ BEGIN CALL kwjobs.checkpoint(0.5); PERFORM 1 / 0; END $$');
	$job = submit('CALL fails_behind_checkpoint()', q{on_failure => 'retry', retry_initial_delay => '1 hour'});
	wait_query($node, "SELECT status = 'pending' AND due > now() + interval '30 minutes' FROM kwdb_internal.jobs WHERE job_id = $job");
	is(job_field($node, $job, 'total_num_of_fail'), 2, 'a checkpoint in each attempt does not take the delay between them away');
	sql("SELECT kwjobs.cancel($job)");
	$job = submit('SELECT fail(2, $$22012$$)', q{on_failure => 'retry', retry_initial_delay => '20 ms'});
	wait_for_status($node, $job, 'succeeded');
	is(attempts($job, q{string_agg(status, ',' ORDER BY attempt)}), 'failed,failed,succeeded', '... until it succeeds');
	sql('SELECT setval($$failures$$, 1, false)');

	$job = submit('SELECT fail(1, $$22012$$)', q{on_failure => 'pause'});
	wait_for_status($node, $job, 'paused');
	is(job_field($node, $job, 'error_code, running_status'),
		'22012|paused after an error; RESUME JOB tries again', q{on_failure => 'pause'});
	sql("SELECT kwjobs.resume($job)");
	wait_for_status($node, $job, 'succeeded');
	is(job_field($node, $job, 'error, error_code, error_context, errord IS NOT NULL'), '|||t',
		'... and resumed, it succeeds, and has no error any more');
	is(attempts($job, q{string_agg(concat_ws(':', status, error_code), ',' ORDER BY attempt)}), 'failed:22012,succeeded',
		'... but its first attempt has');
	sql('SELECT setval($$failures$$, 1, false)');

	$job = submit('SELECT fail(1000, $$40P01$$)', 'max_attempts => 1');
	wait_for_status($node, $job, 'failed');
	is(attempts($job, 'count(*)'), 1, 'max_attempts => 1: none after the first, whatever the error');
	sql('SELECT setval($$failures$$, 1, false)');
}

# ---- PAUSE and CANCEL ----

{
	my $job;
	my $cancel = sub {
		$job = submit('SELECT pg_sleep(600)');
		wait_until_it_sleeps($job);
		sql("SELECT kwjobs.cancel($job)");
		wait_for_status($node, $job, 'canceled');
		return job_field($node, $job, q{finished - request_time < '1 second'});
	};
	is_once($cancel, 't', 'CANCEL ends pg_sleep within a second');

	# Whether its only attempt ends within a second of the request.
	my $pause = sub {
		sql("SELECT kwjobs.pause($job)");
		wait_for_status($node, $job, 'paused');
		return sql("SELECT a.finished - j.request_time < '1 second' FROM kwdb_internal.jobs AS j JOIN kwdb_internal.job_attempts AS a USING (job_id) WHERE job_id = $job");
	};
	my $pause_sleep = sub {
		sql('SELECT setval($$failures$$, 1, false)');
		$job = submit(q{INSERT INTO tried VALUES (kwjobs.current_job()); SELECT pg_sleep(CASE nextval('failures') WHEN 1 THEN 600 ELSE 0 END)});
		wait_until_it_sleeps($job);
		return $pause->();
	};
	is_once($pause_sleep, 't', 'PAUSE stops it within a second');
	is(sql("SELECT count(*) FROM tried WHERE job = $job"), 0, '... and nothing is done');
	sql("SELECT kwjobs.resume($job)");
	wait_for_status($node, $job, 'succeeded');
	is(sql("SELECT count(*) FROM tried WHERE job = $job"), 1, 'resumed, it is done once');

	# A procedure with checkpoints is not interrupted.
	sql('CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
		 BEGIN FOR n IN coalesce((kwjobs.checkpoint_state())::integer, 0) + 1 .. 3000 LOOP
			 INSERT INTO tried VALUES (kwjobs.current_job(), n);
			 PERFORM pg_sleep(0.1);
			 CALL kwjobs.checkpoint(n / 3000.0, to_jsonb(n));
		 END LOOP; END $$');
	my $control_steps = sub {
		$job = submit('CALL steps()');
		wait_query($node, "SELECT count(*) > 1 FROM tried WHERE job = $job");
		my $soon = $pause->();
		my $so_far = sql("SELECT count(*) FROM tried WHERE job = $job");
		sql("SELECT kwjobs.resume($job)");
		wait_query($node, "SELECT count(*) > $so_far FROM tried WHERE job = $job");
		sql("SELECT kwjobs.cancel($job)");
		wait_for_status($node, $job, 'canceled');
		return "$soon " . job_field($node, $job, q{finished - request_time < '1 second'});
	};
	is_once($control_steps, 't t', 'PAUSE stops a procedure at its next checkpoint, within a second; so does CANCEL');
	is(sql("SELECT count(*) = count(DISTINCT attempt) FROM tried WHERE job = $job"), 't', 'no step was done twice');
}

# A pause is no failure, though the attempt is the last one and ends by an error.
{
	my %statement = (
		'an error that another attempt may not meet' =>
		  q{SELECT pg_advisory_xact_lock_shared(4711); DO $$BEGIN RAISE 'again' USING ERRCODE = '40001'; END$$},
		'a snapshot that is older than the request' =>
		  q{SELECT count(*) FROM kwdb_internal.jobs; SELECT pg_advisory_xact_lock_shared(4711)});
	for my $what (sort keys %statement)
	{
		my $gate = close_gate($node);
		my $job = submit($statement{$what}, $last_attempt . q{, settings => '{"default_transaction_isolation": "repeatable read"}'});
		wait_at_gate($node, $job);
		sql("SELECT kwjobs.pause($job)");
		open_gate($gate);
		wait_query($node, "SELECT active_attempt IS NULL FROM kwjobs.job WHERE job_id = $job");
		# what is done is done, if it was not interrupted before
		like(job_field($node, $job, 'status'), $what =~ /snapshot/ ? qr/^(paused|succeeded)$/ : qr/^paused$/, "PAUSE of $what");
	}
}

# ---- those that were begun at first ----

for my $case ([ $stubborn, 'canceled', 'CANCEL' ], [ $stubborn_to_pause, 'paused', 'PAUSE' ])
{
	my ($job, $status, $what) = @$case;
	wait_for_status($node, $job, $status);
	is( sql(<<"EOF"), 't', "$what ends a job that traps every interrupt: after 5 s its worker is terminated");
SELECT a.finished - j.request_time BETWEEN '4 seconds' AND '60 seconds'
  FROM kwdb_internal.jobs AS j JOIN kwdb_internal.job_attempts AS a USING (job_id) WHERE job_id = $job
EOF
	is(attempts($job, 'count(*), min(status)'), "1|$status", '... with one attempt');
}
is(job_field($node, $stubborn_to_pause, 'error'), '', 'a pause is no error');
is(sql('SELECT count(*) FROM reverted'), '0', '... and nothing was reverted');
wait_for_status($node, $stubborn_too_long, 'failed');
is( job_field($node, $stubborn_too_long, 'error_code, error'),
	q{57014|the attempt took longer than the job's timeout of 0.300 s}, 'so does a timeout');
is(attempts($stubborn_too_long, q{count(*), min(status), max(finished - started) BETWEEN '4 seconds' AND '60 seconds'}),
	'1|failed|t', '... in time');
my $trapped = () = slurp_file($node->logfile) =~ /LOG:  trapped/g;
# once a second, when nobody is in the way; 3 would be once each
cmp_ok($trapped, '>', 3, 'it was interrupted again and again before');
sql("SELECT kwjobs.cancel($stubborn_to_pause)");

my $delays = sub {
	$retried_slowly //= retry_slowly();
	wait_for_status($node, $retried_slowly, 'succeeded');
	my $got = sql(<<"EOF");
WITH waits AS (
    SELECT attempt, extract(epoch FROM started - lag(finished) OVER (ORDER BY attempt)) AS s
      FROM kwdb_internal.job_attempts WHERE job_id = $retried_slowly)
SELECT max(s) FILTER (WHERE attempt = 2) < 0.25,
       max(s) FILTER (WHERE attempt = 3) BETWEEN 0.3 AND 0.45 + 0.5,
       max(s) FILTER (WHERE attempt = 4) BETWEEN 0.6 AND 0.9 + 0.5,
       max(s) FILTER (WHERE attempt = 5) BETWEEN 1.2 AND 1.8 + 0.5 FROM waits
EOF
	undef $retried_slowly;
	return $got;
};
is_once($delays, 't|t|t|t', 'the first retry comes at once; then retry_initial_delay, which doubles, with up to half more');

# Jobs that fail together do not come back together, because a random part is added to the delay of
# each. Without that part, each of them would be due an hour after its failure.
{
	sql(q{SELECT kwjobs.submit('DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = ''40001''; END $$', 'together', retry_initial_delay => '1 hour')
		    FROM generate_series(1, 10)});
	wait_query($node, q{SELECT count(*) = 10 FROM kwjobs.job WHERE description = 'together' AND retries = 2});
	is(sql(q{SELECT max(due - modified) > '62 minutes', max(due - modified) <= '91 minutes' FROM kwjobs.job WHERE description = 'together'}),
		't|t', 'jobs that fail together come back one by one');
	sql(q{SELECT kwjobs.cancel(job_id) FROM kwjobs.job WHERE description = 'together'});
}

is_consistent($node);
$node->stop;
done_testing();
