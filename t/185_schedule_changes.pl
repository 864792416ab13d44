# What a statement on a schedule keeps, and what it does not wait for: a first run that is still to come, a
# clock that was wrong when the schedule was created, transactions with one snapshot, lock_timeout. And what
# a schedule tells: the end of a retry, why it was paused, when its run was due.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjSchedules;
use KwjTest;
use Test::More;

my $node = new_node('changes', <<'EOF');
timezone = 'UTC'
kwjobs.coordinator_idle_timeout = -1
kwjobs.test_schedule_clock = 1893456000	# 2030-01-01 00:00:00 UTC
EOF
sub sql { my ($query) = @_; return $node->safe_psql('postgres', "SET client_min_messages = warning; $query") }
sub clock { my ($time) = @_; stop_clock($node, $time); return }
sub next_runs { return sql(q{SELECT string_agg(concat_ws(' ', name, to_char(next_run, 'DD HH24:MI'), schedule_status), ', ' ORDER BY name) FROM kwdb_internal.schedules}) }
sub drop_all { sql('DROP SCHEDULES (SELECT name FROM kwdb_internal.schedules)'); return }

sql('CREATE TABLE runs (schedule text, at timestamptz DEFAULT clock_timestamp())');

# A first run that is still to come stays so, whatever else is done to the schedule; then it is over.
{
	create_schedule($node, $_, '30 * * * *', q{first_run = '2030-01-01 02:00'}) for qw(altered paused);
	sql(q{CREATE SCHEDULE once FOR SQL 'SELECT 1' RECURRING NEVER WITH SCHEDULE OPTIONS first_run = '2030-01-01 02:00'});
	sql(q{ALTER SCHEDULE altered RECURRING '45 * * * *'; PAUSE SCHEDULE paused; RESUME SCHEDULE paused; PAUSE SCHEDULE once});
	clock('2030-01-01 01:00');
	sql('RESUME SCHEDULE once');
	is(next_runs(), 'altered 01 02:00 ACTIVE, once 01 02:00 ACTIVE, paused 01 02:00 ACTIVE', 'ALTER, PAUSE and RESUME keep the first run');
	clock('2030-01-01 02:00');
	wait_for_ends($node);
	is(due_times($node, $_), '02:00 run', "$_: it comes") for qw(altered once paused);
	is(next_runs(), 'altered 01 02:45 ACTIVE, once ENDED, paused 01 02:30 ACTIVE', '... and the expression says when the next one is');
	sql(q{PAUSE SCHEDULE paused; RESUME SCHEDULE paused; ALTER SCHEDULE altered WITH SCHEDULE OPTIONS time_zone = 'UTC'});
	is(next_runs(), 'altered 01 02:45 ACTIVE, once ENDED, paused 01 02:30 ACTIVE', '... for good');
	drop_all();
}

# Its time passes while the schedule is paused, or nobody acts on it.
{
	configure($node, 'kwjobs.scheduler_enabled', 'off');
	create_schedule($node, $_, '30 * * * *', q{first_run = '2030-01-01 04:00'}) for qw(altered late paused);
	sql('PAUSE SCHEDULE paused');
	clock('2030-01-01 04:10');
	sql(q{RESUME SCHEDULE paused; ALTER SCHEDULE altered RECURRING '45 * * * *'});
	is(next_runs(), 'altered 01 04:45 ACTIVE, late 01 04:10 ACTIVE, paused 01 04:30 ACTIVE', 'a first run that has passed is not had again');
	is(due_times($node, 'altered'), '04:00 missed', '... and noted');
	configure($node, 'kwjobs.scheduler_enabled');
	wait_for_pass($node);
	wait_for_ends($node);
	is(due_times($node, 'late'), '04:00 run', '... or caught up with');
	drop_all();
}

# The clock was wrong when schedules were created, and nothing has been due yet.
{
	clock('2030-06-01 00:00');
	create_schedule($node, 'cron', '0 * * * *');
	create_schedule($node, 'interval', '1 hour');
	create_schedule($node, 'stays', '0 * * * *', q{first_run = '2030-07-01 00:00'});
	clock('2030-01-02 00:00');
	wait_for_schedule($node, 'interval', q{next_due < '2030-02-01'});
	is(sql(q{SELECT string_agg(concat_ws(' ', name, next_run), ', ' ORDER BY name) FROM kwdb_internal.schedules}),
		'cron 2030-01-02 01:00:00+00, interval 2030-01-02 01:00:00+00, stays 2030-07-01 00:00:00+00', 'set back by months: schedules that were never due count from now');
	clock('2030-01-02 01:00');
	wait_for_ends($node);
	is(due_times($node, $_), '01:00 run', "... $_ runs") for qw(cron interval);
	# ... also one that was paused meanwhile.
	clock('2030-06-01 00:00');
	wait_for_ends($node);
	sql(q{ALTER SCHEDULE "interval" WITH SCHEDULE OPTIONS time_zone = 'UTC'; PAUSE SCHEDULE "interval"});
	clock('2030-01-03 00:00');
	sql('RESUME SCHEDULE "interval"');
	is(schedule_field($node, 'interval', 'next_run'), '2030-01-03 01:00:00+00', '... one that was paused counts from RESUME');
	wait_for_ends($node);
	drop_all();
}

# Transactions with one snapshot: schedules have run, and another one was created, since it was taken.
for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	clock('2030-01-04 00:00');
	create_schedule($node, $_, '0 * * * *') for qw(altered dropped paused resumed run);
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe("SET client_min_messages = error; BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM runs");
	create_schedule($node, 'later', '0 * * * *');
	sql('PAUSE SCHEDULE resumed');
	clock('2030-01-04 01:00');
	wait_for_ends($node);
	$session->query(<<'EOF');
ALTER SCHEDULE altered FOR SQL 'SELECT 1' RECURRING '30 * * * *' WITH SCHEDULE OPTIONS priority = 2;
DROP SCHEDULE dropped;
PAUSE SCHEDULE paused;
RESUME SCHEDULE resumed;
SELECT kwjobs.run_schedule('run');
DROP SCHEDULES SELECT 'later';
CREATE SCHEDULE IF NOT EXISTS altered FOR SQL 'SELECT 1' RECURRING '@daily';
COMMIT;
EOF
	$session->quit;
	unlike($session->{stderr}, qr/ERROR/, "$level: no statement fails");
	is(next_runs(), 'altered 04 01:30 ACTIVE, paused PAUSED, resumed 04 02:00 ACTIVE, run 04 02:00 ACTIVE', '... and all have done their work');
	wait_for_ends($node);
	is(due_times($node, 'run'), "01:00 run\n01:00 by hand run", '... also the run by hand');
	drop_all();
}

# Two sessions create a schedule of the same name: the second one waits for the first, and learns of it then.
for my $words ('', 'IF NOT EXISTS ')
{
	my $create = "CREATE SCHEDULE ${words}same FOR SQL 'SELECT 1' RECURRING '\@daily'";
	my @sessions = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
	$sessions[0]->query("BEGIN; $create");
	$sessions[1]->query_until(qr/begun/, "\\echo begun\n$create;\n");
	wait_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CREATE SCHEDULE%' AND wait_event_type = 'Lock'});
	$sessions[0]->query('COMMIT');
	$sessions[1]->query('SELECT 1');
	like($sessions[1]->{stderr}, $words ? qr/NOTICE:  schedule "same" already exists, skipping/ : qr/ERROR:  schedule "same" already exists/, "two sessions: CREATE SCHEDULE ${words}of one name");
	$_->quit for @sessions;
	is(sql('SELECT count(*) FROM kwjobs.schedule'), 1, '... makes one');
	drop_all();
}

# lock_timeout ends the wait for the row of a schedule, or of a job. A job's lock_timeout is for its statements.
{
	sql('CREATE ROLE weak LOGIN');
	sql(q{SELECT kwjobs.create_schedule('locked', 'never', 'SELECT 1', options => '{"run_as": "weak"}')});
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1', run_at => '2099-01-01')});
	my $session = $node->background_psql('postgres');
	$session->query_safe(qq{SET client_min_messages = error; BEGIN; ALTER SCHEDULE locked WITH SCHEDULE OPTIONS priority = 1; SELECT kwjobs.alter($job, priority => 1)});
	for my $statement ('PAUSE SCHEDULE locked', 'DROP SCHEDULES SELECT $$locked$$', 'DROP OWNED BY weak', 'REASSIGN OWNED BY weak TO CURRENT_USER',
		q{SELECT kwjobs.run_schedule('locked')}, "PAUSE JOB $job", "SELECT kwjobs.alter($job, priority => 2)")
	{
		my ($rc, $out, $err) = $node->psql('postgres', "SET lock_timeout = '10ms'; $statement");
		like($err, qr/ERROR:  canceling statement due to lock timeout/, "lock_timeout: $statement");
	}
	my $pauses = sql(q{SELECT kwjobs.submit('PAUSE SCHEDULE locked', settings => '{"lock_timeout": "10ms"}', max_attempts => 1)});
	wait_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs worker' AND wait_event_type = 'Lock'});
	$session->query_safe('COMMIT');
	$session->quit;
	wait_for_status($node, $pauses, 'succeeded');
	sql("CANCEL JOB $job; DROP SCHEDULE locked; DROP ROLE weak");
	wait_for_status($node, $job, 'canceled');
}

# What a schedule tells.
{
	clock('2030-01-05 00:00');
	sql('CREATE TABLE seen (due timestamptz); CREATE SEQUENCE tries');
	create_schedule($node, 'retried', '0 * * * *', 'on_execution_failure = retry', q{SELECT 1 / (nextval(''tries'') - 1)});
	create_schedule($node, 'fails', '0 * * * *', 'pause_after = 1', 'SELECT 1 / 0');
	create_schedule($node, 'sees', '0 * * * *', 'catch_up = all, on_previous_running = start', 'INSERT INTO seen SELECT due FROM kwjobs.my_due_times WHERE job_id = kwjobs.current_job()');
	my $log = -s $node->logfile;
	clock('2030-01-05 01:00');
	wait_for_ends($node);
	is(schedule_field($node, 'retried', 'last_outcome'), 'failed', 'a run has failed');
	$node->wait_for_log(qr/LOG:  schedule "fails" has been paused: 1 runs in a row have failed, the last one: job \d+ failed: division by zero\n/, $log);
	note('the log says that a schedule has been paused');
	clock('2030-01-05 01:01');
	wait_for_ends($node);
	is(due_times($node, 'retried'), "01:00 run\n01:00 retry run", 'it was tried again');
	is(schedule_field($node, 'retried', 'last_outcome'), 'succeeded', '... which is the last outcome');
	clock('2030-01-05 04:00');
	wait_for_ends($node);
	is(sql(q{SELECT string_agg(to_char(due, 'HH24:MI'), ' ' ORDER BY due) FROM seen}), '01:00 02:00 03:00 04:00', 'a run can see for which due time it is');
	drop_all();
}

# A role that has too many jobs: each due time is refused, and the schedule is not paused for that.
{
	clock('2030-01-05 08:00');
	sql(q{CREATE ROLE weak LOGIN; SELECT kwjobs.create_schedule('full', '0 * * * *', 'SELECT 1', options => '{"run_as": "weak"}')});
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1', run_as => 'weak', run_at => '2099-01-01')});
	configure($node, 'kwjobs.max_jobs_per_role', 1);
	clock(sprintf('2030-01-05 %02d:00', $_)) for 9 .. 20;
	is(sql(q{SELECT count(*) FROM kwdb_internal.due_times WHERE outcome = 'refused' AND reason LIKE 'role "weak" has too many%'}), 12, 'a role has too many jobs');
	is(schedule_field($node, 'full', 'schedule_status'), 'ACTIVE', '... which pauses no schedule');
	configure($node, 'kwjobs.max_jobs_per_role');
	clock('2030-01-05 21:00');
	wait_for_ends($node);
	like(due_times($node, 'full'), qr/21:00 run$/, '... and it goes on');
	sql("CANCEL JOB $job; DROP SCHEDULE full");
	wait_for_status($node, $job, 'canceled');
	sql('DROP ROLE weak');
}

# kwjobs.scheduler_max_jobs_per_iteration bounds a transaction of the coordinator.
{
	clock('2030-01-06 00:00');
	my $gate = close_gate($node);
	configure($node, 'kwjobs.scheduler_max_jobs_per_iteration', 10);
	sql(q{SELECT kwjobs.create_schedule('s' || n, '0 * * * *', 'SELECT pg_advisory_lock_shared(4711), pg_advisory_unlock_shared(4711)') FROM generate_series(1, 45) AS n});
	clock('2030-01-06 01:00');
	wait_query($node, 'SELECT count(*) = 45 FROM kwjobs.due_time');
	is(sql('SELECT max(n) FROM (SELECT count(*) AS n FROM kwjobs.due_time GROUP BY xmin::text) AS t'), 10, 'kwjobs.scheduler_max_jobs_per_iteration');
	configure($node, 'kwjobs.scheduler_max_jobs_per_iteration');
	open_gate($gate);
	wait_for_ends($node);
	drop_all();
}

is_consistent($node);
$node->stop;
done_testing();
