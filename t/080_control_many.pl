# PAUSE, RESUME and CANCEL JOBS on a busy queue: jobs that end between the statement's snapshot and
# their turn are left out. RESUME takes a PAUSE back at any moment, whatever the job does with it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('control_many', <<'EOF');
kwjobs.max_workers = 4
kwjobs.import_batch_size = 1kB
autovacuum = off
EOF
my $all = q{SELECT job_id FROM [SHOW JOBS] WHERE user_name = 'stone'};
my $live = q{SELECT job_id FROM [SHOW JOBS] WHERE status IN ('pending', 'running')};
my $unpaused = q{SELECT count(*) = 0 FROM kwjobs.job WHERE status IN ('pending', 'running', 'pause-requested')};

$node->safe_psql('postgres', <<'EOF');
CREATE ROLE stone LOGIN;
CREATE ROLE mallory LOGIN;
CREATE TABLE ran (job bigint, note text);
GRANT ALL ON ran TO PUBLIC;
CREATE PROCEDURE steps(n integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN coalesce((kwjobs.checkpoint_state())::text::integer, 0) + 1 .. n LOOP
        PERFORM pg_advisory_xact_lock_shared(4711);
        INSERT INTO ran VALUES (kwjobs.current_job(), i);
        CALL kwjobs.checkpoint(i::double precision / n, i::text::jsonb);
    END LOOP;
END $$;
-- heeds no interrupt
CREATE PROCEDURE stubborn() LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(4711);
            INSERT INTO ran VALUES (kwjobs.current_job(), 'passed');
            RETURN;
        EXCEPTION WHEN query_canceled THEN
            NULL;
        END;
    END LOOP;
END $$;
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub submit
{
	my ($arguments) = @_;
	return sql("SELECT kwjobs.submit($arguments)");
}

sub submit_many
{
	my ($n, $statement) = @_;
	sql("SET ROLE stone; SELECT count(kwjobs.submit('$statement')) FROM generate_series(1, $n)");
	return;
}

# The statement's output, which ends with its tag, and its messages.
sub control
{
	my ($statement) = @_;
	my ($out, $err);
	my $result = IPC::Run::run(
		[ 'psql', '-XAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', $statement ],
		'>', \$out, '2>', \$err);
	ok($result, "no error: $statement") or diag($err);
	return ($out, $err);
}

# ---- a busy queue ----

# Each way is tried while four workers end jobs all the time.
my %ways = (
	'the statement' => "PAUSE JOBS ($live)",
	'the example of the specification' => "PAUSE JOBS ($all)",
	'a reason' => "PAUSE JOBS ($live) WITH REASON = 'peak'",
	'PL/pgSQL' => "DO \$\$ BEGIN PAUSE JOBS ($live); END \$\$",
	'prepared' => "PREPARE p AS PAUSE JOBS (SELECT job_id FROM [SHOW JOBS] WHERE user_name = \$1); EXECUTE p('stone')",
	'a transaction block' => "BEGIN; PAUSE JOBS ($all); COMMIT",
	'the function' => "SELECT kwjobs.pause_jobs(array_agg(job_id)) FROM kwdb_internal.jobs WHERE user_name = 'stone'",
);
for my $way (sort keys %ways)
{
	submit_many(1500, 'SELECT pg_sleep(0.002)');
	# some have run, most are left
	wait_query($node, q{SELECT count(*) > 20 FROM kwjobs.job WHERE status = 'succeeded'});
	control($ways{$way});
	wait_query($node, $unpaused);
	cmp_ok(sql(q{SELECT count(*) FROM kwjobs.job WHERE status = 'paused'}), '>', 0, "$way: jobs are paused");
	my ($out, $err) = control("RESUME JOBS ($all)");
	my $notices = () = $err =~ /NOTICE:/g;
	is($notices, 1, "$way: RESUME JOBS says once what it leaves out");
	like($err, qr/NOTICE:  \d+ jobs were left out: they are over/, "$way: RESUME JOBS has left out those that are over");
	wait_query($node, q{SELECT count(*) > 10 FROM kwjobs.job WHERE request_time < finished});
	control("CANCEL JOBS ($all)");
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	sql('DELETE FROM kwjobs.job; DELETE FROM kwjobs.attempt; DELETE FROM kwjobs.event');
}

# The tag has the number of those that were controlled, not of those that were asked for.
{
	my $over = submit(q{'SELECT 1'});
	wait_for_status($node, $over, 'succeeded');
	my $later = submit(q{'SELECT 1', run_at => '2099-01-01'});
	my ($out, $err) = control("CANCEL JOBS (VALUES ($over), ($later), ($over), ($later))");
	like($out, qr/ 1$/, 'the tag counts each job once, and only those that were canceled');
	like($err, qr/NOTICE:  1 job was left out: it is over/, 'one is left out');
	for my $statement ("PAUSE JOBS (VALUES ($later), (1))", "SELECT kwjobs.cancel_jobs('{1}')")
	{
		my (undef, undef, $error) = $node->psql('postgres', $statement);
		like($error, qr/ERROR:  job with ID 1 does not exist/, "an id that is none is an error: $statement");
	}
}

# A job that retention deletes before its turn was over, too.
{
	my $job = submit(q{'SELECT 1'});
	wait_for_status($node, $job, 'succeeded');
	my $locker = $node->background_psql('postgres');
	$locker->query_safe("BEGIN; DELETE FROM kwjobs.attempt WHERE job_id = $job; DELETE FROM kwjobs.job WHERE job_id = $job; DELETE FROM kwjobs.event WHERE job_id = $job");
	my ($out, $err) = ('', '');
	my $waiter = IPC::Run::start([ 'psql', '-XAt', '-d', $node->connstr('postgres'), '-c', "CANCEL JOBS (SELECT $job)" ],
		'>', \$out, '2>', \$err);
	wait_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CANCEL JOBS%' AND wait_event_type = 'Lock'});
	$locker->query_safe('COMMIT');
	$locker->quit;
	$waiter->finish;
	is($err, "NOTICE:  1 job was left out: it is over\n", 'a job that was deleted meanwhile is left out');
}

# Who may not see a job learns nothing from the plural forms either.
{
	$node->append_conf('postgresql.conf', 'kwjobs.job_visibility = owner');
	$node->restart;
	my $job = submit(q{'SELECT 1', run_at => '2099-01-01'});
	my $locker = $node->background_psql('postgres');
	$locker->query_safe("BEGIN; PAUSE JOB $job");
	for my $statement ("PAUSE JOBS (SELECT $job)", "SELECT kwjobs.pause_jobs('{$job}')",
		"SELECT pg_catalog.kwjobs_control_jobs('{$job}', 'pause', NULL)")
	{
		my (undef, undef, $error) =
		  $node->psql('postgres', "SET ROLE mallory; SET statement_timeout = '60s'; $statement");
		like($error, qr/ERROR:  job with ID $job does not exist/, "a job of another role, locked: $statement");
	}
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	sql("CANCEL JOB $job");
}

# ---- RESUME right after PAUSE ----

# The moments lie before, at and after the interrupt, which comes half a second after the PAUSE.
for my $seconds (0, 0.2, 0.49, 0.5, 0.51, 0.6)
{
	my $gate = close_gate($node);
	my $job = submit(q{'INSERT INTO ran VALUES (kwjobs.current_job(), ''sql''); SELECT pg_advisory_xact_lock_shared(4711)', max_attempts => 1});
	wait_at_gate($node, $job);
	sql("PAUSE JOB $job");
	sql("SELECT pg_sleep($seconds)");
	sql("RESUME JOB $job");
	open_gate($gate);
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, error, total_num_of_fail'), 'succeeded||0', "a statement, taken back after $seconds s");
	is(sql("SELECT count(*) FROM ran WHERE job = $job"), '1', '... done once');
}

# PAUSE and RESUME, one transaction each, as often as it takes until the job is over. Returns how often.
sub take_back_until_over
{
	my ($job) = @_;
	my $times = 0;
	while (job_field($node, $job, 'finished IS NULL') eq 't')
	{
		sql("PAUSE JOBS SELECT $job");
		sql("RESUME JOBS SELECT $job");
		$times++;
	}
	return $times;
}

# Work that looks by itself, many times while it runs.
{
	my $steps = 3000;
	# the first time before its first step, as it may be through before the second
	my $gate = close_gate($node);
	my $job = submit("'CALL steps($steps)', max_attempts => 1");
	wait_at_gate($node, $job);
	sql("PAUSE JOBS SELECT $job");
	sql("RESUME JOBS SELECT $job");
	open_gate($gate);
	my $times = 1 + take_back_until_over($job);
	is(job_field($node, $job, 'status, error, total_num_of_fail'), 'succeeded||0', "a procedure, taken back $times times, succeeds");
	is(sql("SELECT count(*), count(DISTINCT note) FROM ran WHERE job = $job"), "$steps|$steps", '... each step once');
}
{
	my $rows = 20000;
	my $csv = write_csv($node, $rows);
	sql('CREATE TABLE target (n integer, t text)');
	my $job = start_import($node, 'target', $csv);
	my $times = take_back_until_over($job);
	is(job_field($node, $job, 'status, error, total_num_of_fail'), 'succeeded||0', "an import, taken back $times times");
	is_imported($node, 'target', $rows, '... has its rows once');
}

# Work that heeds no interrupt is terminated in the end. That is no crash of its: if the PAUSE is taken back
# before it is settled, the job goes on.
{
	my $gate = close_gate($node);
	my $job = submit(q{'CALL stubborn()', max_attempts => 1});
	wait_at_gate($node, $job);
	my $pid = job_field($node, $job, 'pid');
	sql("PAUSE JOB $job");
	my $resume = $node->background_psql('postgres');
	$resume->query_safe("BEGIN; RESUME JOB $job");
	wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
	$resume->query_safe('COMMIT');
	$resume->quit;
	wait_at_gate($node, $job);
	open_gate($gate);
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, error, total_num_of_ex, total_num_of_fail'), 'succeeded||2|0', 'work that had to be terminated goes on');
	is(sql("SELECT string_agg(status, ' ' ORDER BY attempt) FROM kwdb_internal.job_attempts WHERE job_id = $job"), 'paused succeeded', '... in a second attempt');
}

# A PAUSE that follows stays one, and a CANCEL wins.
{
	my $gate = close_gate($node);
	my $job = submit(q{'SELECT pg_advisory_xact_lock_shared(4711)'});
	wait_at_gate($node, $job);
	sql($_) for "PAUSE JOB $job", "RESUME JOB $job", "PAUSE JOB $job";
	wait_for_status($node, $job, 'paused');
	sql("RESUME JOB $job");
	wait_at_gate($node, $job);
	sql($_) for "PAUSE JOB $job", "RESUME JOB $job", "CANCEL JOB $job";
	wait_for_status($node, $job, 'canceled');
	open_gate($gate);
}

# Jobs that nobody runs: those that wait for their time, for a worker, for another job.
{
	my $gate = close_gate($node);
	my @busy = map { submit(q{'SELECT pg_advisory_xact_lock_shared(4711)'}) } 1 .. 4;
	wait_at_gate($node, $_) for @busy;
	my $later = submit(q{'SELECT 1', run_at => '2099-01-01'});
	my $ready = submit(q{'SELECT 1'});
	my $dependent = submit("'SELECT 1', depends_on => ARRAY[$ready]");
	for (1 .. 20)
	{
		sql("PAUSE JOBS (VALUES ($later), ($ready), ($dependent))");
		sql("RESUME JOBS (VALUES ($later), ($ready), ($dependent))");
	}
	open_gate($gate);
	wait_for_status($node, $_, 'succeeded') for @busy, $ready, $dependent;
	is(job_field($node, $later, 'status, due = run_at'), 'pending|t', 'a job that waits for its time still does');
	sql("CANCEL JOB $later");
	wait_for_status($node, $later, 'canceled');
}
is_consistent($node);
$node->stop;
done_testing();
