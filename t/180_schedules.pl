# Schedules: what becomes of their due times, by a clock that stands still until the test sets it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjSchedules;
use KwjTest;
use PostgreSQL::Test::Utils qw(append_to_file);
use Test::More;

my $node = new_node('schedules', <<'EOF');
timezone = 'UTC'
kwjobs.coordinator_idle_timeout = -1
kwjobs.test_schedule_clock = 1893456000	# 2030-01-01 00:00:00 UTC
EOF
sub sql { my ($query) = @_; return $node->safe_psql('postgres', $query) }
sub clock { my ($time) = @_; stop_clock($node, $time); return }

sql('CREATE TABLE runs (schedule text, at timestamptz DEFAULT clock_timestamp())');

# One due time after the other.
{
	create_schedule($node, 'hourly', '0 * * * *');
	is(schedule_field($node, 'hourly', 'next_run'), '2030-01-01 01:00:00+00', 'the next due time');
	clock('2030-01-01 00:59:59.999999');
	is(due_times($node, 'hourly'), '', 'before it nothing happens');
	clock('2030-01-01 01:00:00');
	is(due_times($node, 'hourly'), '01:00 run', 'at that instant it runs');
	wait_for_ends($node);
	is(schedule_field($node, 'hourly', q(concat_ws(' ', next_run, last_due, last_outcome, runs, succeeded))),
		'2030-01-01 02:00:00+00 2030-01-01 01:00:00+00 succeeded 1 1', '... and what is shown of it');
	is(sql(q{SELECT s.last_success = j.finished FROM kwdb_internal.schedules AS s, kwdb_internal.jobs AS j WHERE s.name = 'hourly' AND j.created_by_id = s.id}),
		't', '... it was successful when its run ended, however late the coordinator has noted that');
	clock('2030-01-01 01:59:59');
	is(due_times($node, 'hourly'), '01:00 run', '... once');
	is(sql('SELECT count(*) FROM runs'), 1, '... its job has done its work once');
}

# Due times that have passed.
{
	create_schedule($node, $_, '0 * * * *', "catch_up = $_") for qw(one all none);
	clock('2030-01-01 05:20:00');
	is(due_times($node, 'one'), "02:00 missed\n03:00 missed\n04:00 missed\n05:00 run", 'catch_up = one runs the last one');
	is(due_times($node, 'all'), "02:00 run\n03:00 skipped\n04:00 skipped\n05:00 skipped", '... all runs each, if no other is in the way');
	is(due_times($node, 'none'), "02:00 missed\n03:00 missed\n04:00 missed\n05:00 missed", '... none runs none that is late');
	is(sql(q{SELECT DISTINCT reason FROM kwdb_internal.due_times WHERE schedule = 'none'}),
		'nothing was started before 2030-01-01 05:20:00+00', '... with the reason');
	wait_for_ends($node);
	sql('SET client_min_messages = warning; ALTER SCHEDULE "all" WITH SCHEDULE OPTIONS on_previous_running = start');
	clock('2030-01-01 08:00:00.5');
	like(due_times($node, 'all'), qr/\n06:00 run\n07:00 run\n08:00 run$/, 'all with start runs each');
	like(due_times($node, 'none'), qr/\n06:00 missed\n07:00 missed\n08:00 run$/, 'none runs one that is hardly late');
	sql(q{DROP SCHEDULES VALUES ('one'), ('all'), ('none'), ('hourly')});
	is(sql('SELECT count(*) FROM kwjobs.due_time'), 0, 'DROP SCHEDULES drops their due times, too');

	create_schedule($node, 'fast', '1 second', 'catch_up = one');
	clock('2030-01-01 15:00:00.5');
	wait_query($node, q{SELECT sum(times) = 25200 FROM kwdb_internal.due_times WHERE schedule = 'fast'});
	cmp_ok(sql(q{SELECT count(*) FROM kwdb_internal.due_times WHERE schedule = 'fast'}), '<', 1100, '25,200 due times have few rows, and are all counted');
	is(sql(q{SELECT count(*) FROM kwdb_internal.due_times WHERE schedule = 'fast' AND outcome = 'run'}), 1, '... of which one has run');
	sql('DROP SCHEDULE fast');
}

# The run before is not over.
{
	my $gate = close_gate($node);
	my $waits = 'SELECT pg_advisory_lock_shared(4711), pg_advisory_unlock_shared(4711)';
	create_schedule($node, $_, '0 * * * *', "on_previous_running = $_", $waits) for qw(start skip wait);
	clock('2030-01-01 16:00:00');
	wait_at_gates($node, 3);
	clock('2030-01-01 17:00:00');
	clock('2030-01-01 18:00:00');
	my ($job) = sql(q{SELECT job_id FROM kwdb_internal.due_times WHERE schedule = 'skip' AND outcome = 'run'});
	is(due_times($node, 'start'), "16:00 run\n17:00 run\n18:00 run", 'start: it runs all the same');
	is(due_times($node, 'skip'), "16:00 run\n17:00 skipped\n18:00 skipped", 'skip');
	is(sql(q{SELECT DISTINCT reason FROM kwdb_internal.due_times WHERE schedule = 'skip' AND outcome = 'skipped'}), "job $job is not over: running", '... with the reason');
	is(schedule_field($node, 'skip', 'state'), 'rescheduled due to 1 already running', '... which the state tells, too');
	is(due_times($node, 'wait'), "16:00 run\n17:00 run\n18:00 skipped", 'wait: one waits for the one before');
	is(sql(q{SELECT status FROM kwdb_internal.due_times WHERE schedule = 'wait' AND job_id IS NOT NULL ORDER BY due}), "running\npending", '...');
	is(schedule_field($node, 'skip', 'jobsrunning'), 1, 'jobsrunning');
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	clock('2030-01-01 19:00:00');
	is(sql(q{SELECT reason FROM kwdb_internal.due_times WHERE schedule = 'skip' ORDER BY due DESC LIMIT 1}), "job $job is not over: paused", 'a paused job is not over');
	open_gate($gate);
	sql("RESUME JOB $job");
	wait_for_ends($node);
	clock('2030-01-01 20:00:00');
	wait_for_ends($node);
	like(due_times($node, $_), qr/20:00 run$/, "$_: once they are over, it runs again") for qw(start skip wait);
	sql("DROP SCHEDULES VALUES ('start'), ('skip'), ('wait')");
}

# While other jobs wait for a worker, the end of a run is noted all the same.
{
	my $gate = close_gate($node);
	my $gate_of_run = close_gates($node, 4712);
	my $waits = 'SELECT pg_advisory_lock_shared(%d), pg_advisory_unlock_shared(%1$d)';
	create_schedule($node, 'ends', '30 20 * * *', undef, sprintf($waits, 4712));
	clock('2030-01-01 20:30:00');
	wait_at_gates($node, 1);
	sql(sprintf("SELECT count(kwjobs.submit('$waits')) FROM generate_series(1, 8)", 4711));
	$gate_of_run->quit;
	wait_for_schedule($node, 'ends', 'succeeded = 1');
	cmp_ok(sql(q{SELECT count(*) FROM kwjobs.job WHERE status = 'pending'}), '>', 0, 'the end of a run is noted while jobs wait for a worker');
	open_gate($gate);
	sql('DROP SCHEDULE ends');
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
}

# A run fails.
{
	sql('CREATE TABLE alerts (schedule text, job bigint, error text)');
	create_schedule($node, 'retry', '0 * * * *', 'on_execution_failure = retry', 'SELECT 1 / 0');
	create_schedule($node, 'reschedule', '0 * * * *',
		q{failure_statement = 'INSERT INTO alerts VALUES (:schedule, :job_id, :error)'}, 'SELECT 1 / 0');
	create_schedule($node, 'pause', '0 * * * *', 'on_execution_failure = pause', 'SELECT 1 / 0');
	create_schedule($node, 'three', '0 * * * *', 'pause_after = 3', 'SELECT 1 / 0');
	clock('2030-01-01 21:00:00');
	wait_for_ends($node);
	my ($job) = sql(q{SELECT job_id FROM kwdb_internal.due_times WHERE schedule = 'reschedule'});
	is(schedule_field($node, 'retry', q(concat_ws(' ', next_run, next_due))), '2030-01-01 21:01:00+00 2030-01-01 22:00:00+00', 'retry: again in a minute');
	is(schedule_field($node, 'reschedule', q(concat_ws(' ', next_run, state))), "2030-01-01 22:00:00+00 reschedule: job $job failed: division by zero", 'reschedule: at the next due time');
	like(schedule_field($node, 'pause', q(concat_ws('|', schedule_status, next_run, why_paused))), qr/^PAUSED\|paused: job \d+ failed: division by zero$/, 'pause');
	wait_query($node, 'SELECT count(*) = 1 FROM alerts');
	is(sql('SELECT * FROM alerts'), "reschedule|$job|division by zero", 'failure_statement has run');
	clock('2030-01-01 21:01:00');
	wait_for_ends($node);
	is(due_times($node, 'retry'), "21:00 run\n21:00 retry run", 'the retry has a row');
	clock('2030-01-01 21:59:30');
	wait_for_ends($node);
	is(schedule_field($node, 'retry', 'next_run'), '2030-01-01 22:00:00+00', 'no retry comes after the next due time');
	clock('2030-01-01 22:00:00');
	wait_for_ends($node);
	clock('2030-01-01 23:00:00');
	wait_for_ends($node);
	is(sql('SELECT schedules, paused_schedules, failing_schedules, late_by FROM kwjobs.health'), '4|2|4|00:00:00', 'kwjobs.health');
	like(schedule_field($node, 'three', 'why_paused'), qr/^paused: 3 runs in a row have failed, the last one: job \d+ failed: division by zero$/, 'pause_after');
	is(schedule_field($node, 'three', q(concat_ws(' ', runs, failed, failures))), '3 3 3', '... and its totals');
	is(sql(q{SELECT DISTINCT concat_ws(' ', total_num_of_ex, total_num_of_success, total_num_of_fail) FROM [SHOW JOBS FOR SCHEDULE three] AS j}), '3 0 3', '... which its jobs show');
	sql('SET client_min_messages = warning; RESUME SCHEDULE three');
	is(schedule_field($node, 'three', q(concat_ws(' ', schedule_status, next_run, failures))), 'ACTIVE 2030-01-02 00:00:00+00 0', 'RESUME');
	wait_query($node, 'SELECT count(*) = 3 FROM alerts');
	sql('DROP SCHEDULES (SELECT name FROM kwdb_internal.schedules)');
}

# Bounds, jitter, one-off schedules.
{
	create_schedule($node, 'bounded', '0 * * * *', q{start = '2030-01-02 02:00', end = '2030-01-02 03:00'});
	create_schedule($node, 'put_off', '0 2 * * *', q{jitter = '10 minutes'});
	create_schedule($node, 'at_once', '0 0 1 1 * 2040', 'first_run = now');
	sql(q{SET client_min_messages = warning; CREATE SCHEDULE once FOR SQL 'INSERT INTO runs VALUES (''once'')' RECURRING NEVER WITH SCHEDULE OPTIONS first_run = '2030-01-02 01:30'});
	my $later = schedule_field($node, 'put_off', q(next_run - '2030-01-02 02:00'::timestamptz));
	cmp_ok($later, 'ge', '00:00:00', 'a run is put off');
	cmp_ok($later, 'lt', '00:10:00', '... by less than its jitter');
	wait_for_pass($node);
	is(due_times($node, 'at_once'), '23:00 run', 'first_run = now');
	clock('2030-01-02 01:45');
	is(due_times($node, 'bounded'), '', 'nothing before the start');
	is(due_times($node, 'once'), '01:30 run', 'a schedule that does not recur runs once');
	is(schedule_field($node, 'once', 'schedule_status'), 'ENDED', '... and has ended');
	clock('2030-01-02 02:00');
	clock('2030-01-02 02:10');
	is(due_times($node, 'put_off'), '02:00 run', 'its due time is noted, and not when it was put off to');
	wait_for_ends($node);
	clock('2030-01-02 03:00');
	clock('2030-01-02 04:00');
	is(due_times($node, 'bounded'), "02:00 run\n03:00 run", 'nothing after the end');
	is(schedule_field($node, 'bounded', 'schedule_status'), 'ENDED', '...');
	wait_for_ends($node);
	sql('DROP SCHEDULES (SELECT name FROM kwdb_internal.schedules)');
}

# Jobs of other types than SQL; a directory for each run; all through the extended protocol.
{
	my $place = PostgreSQL::Test::Utils::tempdir();
	my $file = "$place/script.sql";
	PostgreSQL::Test::Utils::append_to_file($file, <<"EOF");
SET client_min_messages = warning;
\\set minute 30
CREATE SCHEDULE 'out' FOR EXPORT INTO CSV '$place/out-{due}' FROM TABLE runs RECURRING '30 * * * *'
    WITH SCHEDULE OPTIONS time_zone = 'Asia/Kolkata', priority = :minute;
CREATE SCHEDULE IF NOT EXISTS keyed FOR SQL 'SELECT 1' RECURRING '30 * * * *' WITH SCHEDULE OPTIONS key = :minute;
ALTER SCHEDULE keyed WITH SCHEDULE OPTIONS max_attempts = :minute;
ALTER SCHEDULE keyed FOR EXPORT INTO CSV '$place/out-{due}' FROM SELECT * FROM runs WHERE at > now() WITH SCHEDULE OPTIONS priority = :minute;
ALTER SCHEDULE keyed FOR CREATE STATISTICS s FROM runs RECURRING '40 * * * *';
PAUSE SCHEDULE keyed WITH REASON = :minute;
RESUME SCHEDULE keyed;
SHOW SCHEDULES;
SHOW SCHEDULE 'out';
SELECT * FROM [SHOW SCHEDULES] AS s WHERE id > :minute;
SHOW JOBS FOR SCHEDULE keyed;
DROP SCHEDULES IF EXISTS SELECT 'nothing' || :minute;
DROP SCHEDULE 'out';
DROP SCHEDULE IF EXISTS keyed;
EOF
	$node->command_ok([ 'pgbench', '-n', '-t', '3', '-M', $_, '-f', $file, '-h', $node->host, '-p', $node->port, 'postgres' ], "pgbench -M $_")
	  for qw(simple extended prepared);
	sql("SET client_min_messages = warning; CREATE SCHEDULE out FOR EXPORT INTO CSV '$place/out-{due}' FROM TABLE runs RECURRING '30 * * * *' WITH SCHEDULE OPTIONS time_zone = 'Asia/Kolkata'");
	append_to_file("$place/taken.csv", "1\nx\n");
	sql("SET client_min_messages = warning; CREATE TABLE taken (n integer); CREATE SCHEDULE taken FOR IMPORT INTO taken CSV DATA ('$place/taken.csv') WITH on_error = 'skip', reject_file = '$place/rejected-{due}.csv' RECURRING '0 * * * *' WITH SCHEDULE OPTIONS time_zone = 'UTC'");
	clock('2030-01-02 05:00');
	wait_for_ends($node);
	clock('2030-01-02 06:00');
	wait_for_ends($node);
	is(sql(q{SELECT string_agg(status, ' ') FROM kwdb_internal.due_times WHERE schedule = 'out'}), 'succeeded succeeded', 'an EXPORT again and again');
	is(join(' ', sort map { s/.*\///r } glob("$place/out*")), 'out-20300102T103000+0530 out-20300102T113000+0530', '... has a directory for each run');
	is(sql(q{SELECT string_agg(status, ' ') FROM kwdb_internal.due_times WHERE schedule = 'taken'}), 'succeeded succeeded', 'an IMPORT that leaves out a record again and again');
	is(join(' ', sort map { s/.*\///r } glob("$place/rejected*")), 'rejected-20300102T050000+0000.csv rejected-20300102T060000+0000.csv', '... has a reject file for each run');
	sql('DROP SCHEDULE out; DROP SCHEDULE taken; DROP TABLE taken');
}

# The clock is set back; summer time; zones.
{
	clock('2030-01-02 07:00');
	create_schedule($node, 'minutes', '*/10 * * * *');
	clock('2030-01-02 07:10');
	wait_for_ends($node);
	clock('2030-01-02 06:00');
	clock('2030-01-02 07:15');
	is(due_times($node, 'minutes'), '07:10 run', 'set back by an hour: no due time comes twice');
	clock('2030-01-02 07:20');
	is(due_times($node, 'minutes'), "07:10 run\n07:20 run", '... and it goes on when the clock has caught up');
	wait_for_ends($node);
	clock('2029-12-31 12:00');
	wait_for_schedule($node, 'minutes', q(next_run = '2029-12-31 12:10+00'));
	clock('2029-12-31 12:10');
	like(due_times($node, 'minutes'), qr/12:10 run/, 'set back by two days: it goes on from there');
	wait_for_ends($node);
	sql('DROP SCHEDULE minutes');
	clock('2030-03-30 23:00');
	create_schedule($node, 'berlin', '30 2 * * *', q{time_zone = 'Europe/Berlin'});
	clock('2030-03-31 01:00');
	is(due_times($node, 'berlin'), '01:00 run', 'a time that the clock skips comes right after');
	wait_for_ends($node);
	clock('2030-10-26 12:00');
	wait_for_ends($node);
	clock('2030-10-27 00:30');
	wait_for_ends($node);
	clock('2030-10-27 01:30');
	like(due_times($node, 'berlin', 'MM-DD HH24:MI'), qr/10-27 00:30 run$/, 'a time that comes twice runs once, at the first');
	sql('DROP SCHEDULE berlin');
}

# The scheduler is off.
{
	clock('2030-11-01 00:00');
	create_schedule($node, 'hourly', '0 * * * *');
	configure($node, 'kwjobs.scheduler_enabled', 'off');
	clock('2030-11-01 01:30');
	is(due_times($node, 'hourly'), '', 'off: nothing runs');
	is(schedule_field($node, 'hourly', q(concat_ws('|', next_run, state, overdue))), '2030-11-01 01:30:00+00|overdue: kwjobs.scheduler_enabled is off|00:30:00', '... and it is shown as overdue');
	is(sql('SELECT scheduler_enabled, last_tick, next_due, late_by FROM kwjobs.health'),
		'f|2030-11-01 00:00:00+00|2030-11-01 01:00:00+00|00:30:00', '... in kwjobs.health, too, with the last look before');
	configure($node, 'kwjobs.scheduler_enabled');
	wait_for_pass($node);
	is(sql('SELECT last_tick, late_by FROM kwjobs.health'), '2030-11-01 01:30:00+00|00:00:00', 'on: it looks again');
	is(due_times($node, 'hourly'), '01:00 run', 'on: it catches up');
	sql('DROP SCHEDULE hourly');
}

# A transaction that has the row of a schedule locked holds up no other.
{
	create_schedule($node, $_, '0 * * * *') for qw(free locked);
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query('SET client_min_messages = warning; BEGIN; ALTER SCHEDULE locked WITH SCHEDULE OPTIONS priority = 1');
	clock('2030-11-01 02:00');
	is(due_times($node, 'free') . due_times($node, 'locked'), '02:00 run', 'the others run');
	wait_for_ends($node);
	clock('2030-11-01 03:00');
	like(due_times($node, 'free'), qr/03:00 run/, '... also the next time');
	$session->query('COMMIT');
	wait_query($node, q{SELECT count(*) = 2 FROM kwdb_internal.due_times WHERE schedule = 'locked'});
	is(due_times($node, 'locked'), "02:00 missed\n03:00 run", 'its end lets the schedule run');
	wait_for_ends($node);
	$session->query('BEGIN; DROP SCHEDULE locked');
	clock('2030-11-01 04:00');
	$session->query('ROLLBACK');
	$session->quit;
	wait_query($node, q{SELECT count(*) = 3 FROM kwdb_internal.due_times WHERE schedule = 'locked'});
	wait_for_ends($node);
	sql('DROP SCHEDULES (SELECT name FROM kwdb_internal.schedules)');
}

# A transaction keeps the row of a schedule locked for longer than a minute, which kwjobs.test_haste makes a second.
# The process that has the lock tells nobody when its transaction ends.
{
	configure($node, 'kwjobs.test_haste', 60);
	create_schedule($node, 'locked', '0 * * * *');
	my $session = $node->background_psql('postgres');
	$session->query_safe(q{BEGIN; SELECT FROM kwjobs.schedule WHERE name = 'locked' FOR UPDATE});
	clock('2030-11-01 05:00');
	busy_looks($node, 75);
	is_once(sub { busy_looks($node, 20) < 10 ? 'sleeps' : 'busy' }, 'sleeps', 'the coordinator sleeps as long as the row of a schedule is locked');
	is(due_times($node, 'locked'), '', '... without a job for it');
	$session->query_safe('COMMIT');
	$session->quit;
	wait_query($node, q{SELECT count(*) = 1 FROM kwdb_internal.due_times WHERE schedule = 'locked'});
	is(due_times($node, 'locked'), '05:00 run', '... and looks again although nobody tells it that the lock is released');
	wait_for_ends($node);
	configure($node, 'kwjobs.test_haste');
	sql('DROP SCHEDULE locked');
}

is_consistent($node);
$node->stop;
done_testing();
