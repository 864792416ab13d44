# Windows: a job runs only while its window is open. It pauses at the end, and goes on by itself in the
# next one, over crashes, restarts and a promotion. The clock of the processes of kwjobs is set (see
# src/clock.h), so that nothing has to be waited for.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('windows', <<'EOC', allows_streaming => 1);
timezone = 'UTC'
kwjobs.max_workers = 8
kwjobs.coordinator_idle_timeout = 100ms
kwjobs.worker_idle_timeout = 100ms
kwjobs.import_batch_time = 0
jobs.retention_time = '10000d'
autovacuum = off
EOC

sub sql { return $node->safe_psql('postgres', $_[0]) }

# A day of tests each, so that the clock only goes forward: a Monday in 2031 plus $day.
my $day = 0;

# Sets the clock to a time of the present day, or of a later one.
sub clock
{
	my ($time, $days) = @_;
	set_clock($node, sql("SELECT date '2031-03-03' + " . ($day + ($days // 0)) . " + time '$time'") . '+00');
	return;
}

# What the job's row says of why it does not run, without the date.
sub reason
{
	my ($job) = @_;
	return job_field($node, $job, 'status || \': \' || running_status') =~ s/\d{4}-\d\d-\d\d //gr =~ s/(\d\d:\d\d:\d\d)\.\d+/$1/gr;
}

my $outside = 'pending: outside its window 22:00-06:00 UTC, which opens at 22:00:00+00';

my $path = write_csv($node, 20_000);
my $targets = 0;

# Starts an import of 20000 rows, in which row 5000 waits at the gate. Returns the job and its table.
sub import_in_window
{
	my ($options) = @_;
	my $table = 'target' . ++$targets;
	make_target($node, $table, 5000);
	return (sql("IMPORT INTO $table CSV DATA ('$path') WITH detached" . ($options ? ", $options" : '')), $table);
}

my $window = q{window = '22:00-06:00 UTC'};

# Waits until the job is outside its window, and the coordinator has looked at it.
sub goes_outside
{
	my ($job) = @_;
	wait_query($node, "SELECT status = 'pending' AND due > '2031-01-01' AND due < 'infinity' AND rank IS NULL AND active_attempt IS NULL FROM kwjobs.job WHERE job_id = $job");
	return;
}

sub is_outside
{
	my ($job, $name) = @_;
	goes_outside($job);
	is(reason($job), $outside, $name);
	return;
}

sub succeeds
{
	my ($job, $table, $attempts, $name) = @_;
	wait_for_status($node, $job, 'succeeded');
	is_imported($node, $table, 20_000, "$name: all rows, each once") if $table;
	is(attempt_statuses($node, $job), $attempts, "$name: its attempts");
	return;
}

# 1. Outside its window a job does not start, and keeps no process there.
clock('21:00');
{
	my $gate = close_gate($node);
	my ($job, $table) = import_in_window($window);
	is(reason($job), $outside, 'submitted outside: it says so at once');
	like(sql("SELECT kwjobs.why($job)"), qr/is pending, and no worker has it: outside its window 22:00-06:00 UTC, which opens at .*\nFor another window, type SELECT kwjobs\.alter\($job, "window" => '\.\.\.'\); with an empty one it may start now\./,
		'kwjobs.why says so, and what to type');
	wait_for_no_coordinator($node);
	is(job_field($node, $job, 'total_num_of_ex'), 0, 'no attempt has begun');
	# The launcher sends a coordinator when the window opens, a second later.
	clock('21:59:59');
	wait_at_gate($node, $job);

	# ... and pauses at the next checkpoint when the window closes.
	clock('06:00', 1);
	wait_for_pass($node);
	is(job_field($node, $job, 'status'), 'running', 'closed: it runs up to its next checkpoint');
	like(sql("SELECT kwjobs.why($job)"), qr/^Its window 22:00-06:00 UTC has closed: it stops at its next checkpoint, and goes on in the next one\.$/m, '... kwjobs.why says so');
	open_gate($gate);
	is_outside($job, 'then it is outside its window');
	my $rows = sql("SELECT count(*) FROM $table");
	cmp_ok($rows, '>=', 5000, 'what it has done is there');
	cmp_ok($rows, '<', 20_000, '... and it is not all');
	is(job_field($node, $job, 'rows'), $rows, 'SHOW JOBS counts it');
	is(attempt_statuses($node, $job), 'paused', 'its attempt has paused');
	wait_for_no_coordinator($node);
	clock('22:00', 1);
	succeeds($job, $table, 'paused,succeeded', 'in the next window it goes on');
	$day += 2;
}

# 2. The end of a window is seen without anybody asking: the coordinator knows when it comes.
sql('CREATE TABLE ran (what text, at timestamptz DEFAULT clock_timestamp())');
clock('22:00');
{
	my $session = close_gates($node, 4712);
	my $job = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4712)', "window" => '22:00-06:00', window_end => 'stop')});
	wait_at_gate($node, $job);
	clock('05:59:59', 1);
	is_outside($job, 'the window has closed a second later');
	is(attempt_statuses($node, $job), 'paused', '... and the job was interrupted');
	unlike(sql("SELECT kwjobs.why($job)"), qr/begins anew/, '... which may happen once');
	clock('22:00', 1);
	wait_at_gate($node, $job);
	clock('06:00', 2);
	is_outside($job, '... and again');
	like(sql("SELECT kwjobs.why($job)"), qr/^It was interrupted 2 times, by the end of its window or by PAUSE, and begins anew each time\.\nTo let it go on when its window closes, type SELECT kwjobs\.alter\($job, window_end => 'finish'\)\.$/m,
		'... kwjobs.why says that this may go on so');
	$session->quit;
	clock('22:00', 2);
	succeeds($job, undef, 'paused,paused,succeeded', 'closed by time alone');
	$day += 3;
}

# 3. kill -9 of the worker when the window has closed, and before it opens; and a restart.
clock('22:00');
{
	my $gate = close_gate($node);
	my ($job, $table) = import_in_window($window);
	wait_at_gate($node, $job);
	clock('07:00', 1);
	kill_process($node, job_field($node, $job, 'pid'), $gate);
	is_outside($job, 'killed when the window had closed: it waits for the next');
	is(attempt_statuses($node, $job), 'crashed', 'the attempt has crashed');
	$node->restart;
	is_outside($job, 'after a restart it still waits');
	wait_for_no_coordinator($node);
	$node->stop('immediate');
	$node->start;
	is_outside($job, '... and after a crash');
	clock('22:00', 1);
	succeeds($job, $table, 'crashed,succeeded', 'killed');
	$day += 2;
}

# 4. PAUSE, RESUME and CANCEL outside the window.
clock('12:00');
{
	my ($job, $table) = import_in_window($window);
	is_outside($job, 'outside');
	sql("PAUSE JOB $job WITH REASON = 'later'");
	wait_for_status($node, $job, 'paused');
	is(reason($job), 'paused: paused by postgres: later', 'paused by a user: that is another state');
	clock('23:00');
	wait_for_pass($node);
	is(job_field($node, $job, 'status'), 'paused', 'the window does not resume what a user has paused');
	clock('12:00', 1);
	configure($node, 'kwjobs.max_workers', 0);
	sql("RESUME JOB $job");
	is_outside($job, 'resumed outside its window: it waits, also while no job may start');
	configure($node, 'kwjobs.max_workers', 8);
	sql("CANCEL JOB $job");
	wait_for_status($node, $job, 'canceled');
	is(sql("SELECT count(*) FROM $table"), 0, 'canceled outside: it has never run');
	$day += 2;
}

# 5. PAUSE, RESUME and CANCEL of a job that is to stop for its window, and of one inside.
clock('22:00');
{
	my $gate = close_gate($node);
	my ($paused, $table) = import_in_window($window);
	my ($canceled, $empty) = import_in_window($window);
	my ($stays, $all) = import_in_window($window);
	my ($user, $users) = import_in_window($window);
	wait_at_gate($node, $_) for ($paused, $canceled, $stays, $user);
	sql("PAUSE JOB $user");
	clock('06:00', 1);
	wait_for_pass($node);
	sql("PAUSE JOB $paused");
	sql("CANCEL JOB $canceled");
	wait_for_status($node, $canceled, 'canceled');
	is(sql("SELECT count(*) FROM $empty"), 0, 'CANCEL while it is to stop: reverted at once, outside its window');
	# The window opens again before the third one has come to a checkpoint.
	clock('22:00', 1);
	wait_for_pass($node);
	open_gate($gate);
	wait_for_status($node, $paused, 'paused');
	wait_for_status($node, $user, 'paused');
	like(reason($paused), qr/^paused: paused by postgres$/, 'PAUSE while it is to stop: paused by the user');
	succeeds($stays, $all, 'succeeded', 'the window opened again in time: the attempt goes on');
	sql("RESUME JOB $paused");
	sql("RESUME JOB $user");
	succeeds($paused, $table, 'paused,succeeded', 'resumed inside');
	succeeds($user, $users, 'paused,succeeded', 'paused before the window closed');
	$day += 2;
}

# 6. RESUME of a job inside, and its window closes.
clock('22:00');
{
	my $gate = close_gate($node);
	my ($job, $table) = import_in_window($window);
	wait_at_gate($node, $job);
	sql("PAUSE JOB $job");
	# the worker has the request before it goes on
	wait_for_pass($node);
	open_gate($gate);
	wait_for_status($node, $job, 'paused');
	clock('06:00', 1);
	sql("RESUME JOB $job");
	is_outside($job, 'paused inside, resumed outside');
	clock('22:00', 1);
	succeeds($job, $table, 'paused,succeeded', 'paused inside, resumed outside');
	$day += 2;
}

# 7. ALTER of the window, and run_now.
clock('12:00');
{
	my ($job, $table) = import_in_window($window);
	is_outside($job, 'outside');
	like(said($node, "SELECT kwjobs.run_now($job)"),
		qr/^ERROR:  job $job is outside its window, 22:00-06:00 UTC\nDETAIL:  The window opens at 2031-\d\d-\d\d 22:00:00\+00\.\nHINT:  To run it now all the same, take the window away first: SELECT kwjobs\.alter\($job, "window" => ''\)\./,
		'run_now is refused outside');
	like(said($node, qq{SELECT kwjobs.alter($job, "window" => 'noon')}), qr/^ERROR:  window "noon" is not understood/, 'a bad window is refused');
	is(job_field($node, $job, '"window"'), '22:00-06:00 UTC', '... and changes nothing');
	sql(qq{SELECT kwjobs.alter($job, "window" => '13:00-14:00')});
	wait_query($node, "SELECT running_status LIKE 'outside its window 13:00-14:00 UTC, which opens at % 13:00:00+00' AND due > '2031-01-01' FROM kwdb_internal.jobs WHERE job_id = $job");
	clock('13:00');
	succeeds($job, $table, 'succeeded', 'altered to an earlier window');

	($job, $table) = import_in_window($window);
	is_outside($job, 'outside');
	sql(qq{SELECT kwjobs.alter($job, "window" => '')});
	succeeds($job, $table, 'succeeded', 'without its window it runs');
	is(job_field($node, $job, 'num_nulls("window", window_end)'), 2, '... and has none any more');

	# a job that could run now is put off when it gets a window
	configure($node, 'kwjobs.max_workers', 0);
	($job, $table) = import_in_window();
	sql(qq{SELECT kwjobs.alter($job, "window" => '22:00-06:00 UTC')});
	configure($node, 'kwjobs.max_workers', 8);
	is_outside($job, 'it gets a window');
	configure($node, 'kwjobs.max_workers', 0);
	clock('23:00');
	sql("SELECT kwjobs.run_now($job)");
	configure($node, 'kwjobs.max_workers', 8);
	succeeds($job, $table, 'succeeded', 'run_now inside');
	$day += 1;
}

# 8. Work without checkpoints starts only if it can be expected to end in time.
clock('05:00', 1);
{
	sub quick { return "INSERT INTO ran VALUES (''$_[0]'')" }
	my $short = sql(qq{SELECT kwjobs.submit('${\quick("short")}', timeout => '30 min', "window" => '22:00-06:00')});
	succeeds($short, undef, 'succeeded', 'its timeout fits');
	my $long = sql(qq{SELECT kwjobs.submit('${\quick("long")}', timeout => '2 hours', "window" => '22:00-06:00')});
	wait_query($node, "SELECT due > '2031-01-01' AND rank IS NULL FROM kwjobs.job WHERE job_id = $long");
	is(reason($long), 'pending: waiting for more time in its window: its timeout is 2:00:00', 'its timeout does not fit');
	like(sql("SELECT kwjobs.why($long)"), qr/\nTo let it start all the same, .*, type SELECT kwjobs\.alter\($long, window_end => 'finish'\)\.$/, '... and what to type');
	# once it is known how long it takes
	my $known = sql(qq{SELECT kwjobs.submit('${\quick("short")}', timeout => '2 hours', "window" => '22:00-06:00')});
	succeeds($known, undef, 'succeeded', 'the same took a moment before');
	my $other = sql(qq{SELECT kwjobs.submit('${\quick("short")}', key => 'k', timeout => '2 hours', "window" => '22:00-06:00')});
	wait_query($node, "SELECT running_status LIKE 'waiting for more%' FROM kwjobs.job WHERE job_id = $other");
	sql(qq{SELECT kwjobs.alter($other, window_end => 'finish')});
	succeeds($other, undef, 'succeeded', 'let run by an option');
	my $nothing = sql(qq{SELECT kwjobs.submit('SELECT 1', timeout => '1 min', run_at => '2090-01-01', "window" => '22:00-06:00')});
	sql(qq{SELECT kwjobs.alter($nothing, timeout => '0')});
	sql(qq{SELECT kwjobs.alter($nothing, run_at => now())});
	wait_query($node, "SELECT running_status = 'waiting: it has no timeout, so nobody knows whether it ends in its window' FROM kwdb_internal.jobs WHERE job_id = $nothing");
	sql("CANCEL JOB $nothing");
	clock('22:00', 1);
	succeeds($long, undef, 'succeeded', 'it fits into a whole window');
	$day += 2;
}

# 9. What becomes of it at the end: pause and finish let it run, stop interrupts it.
clock('22:00');
{
	my $session = close_gates($node, 4712);
	my %job;
	for my $end ('pause', 'finish', 'stop')
	{
		$job{$end} = sql(qq{SELECT kwjobs.submit('INSERT INTO ran SELECT ''$end'' FROM pg_advisory_xact_lock_shared(4712)', timeout => '1 hour', "window" => '22:00-06:00', window_end => '$end')});
	}
	my $reverts = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4712)', on_revert => 'SELECT pg_advisory_xact_lock_shared(4713)', "window" => '22:00-06:00', window_end => 'stop')});
	wait_at_gate($node, $_) for values %job, $reverts;
	my $revert_gate = close_gates($node, 4713);
	sql("CANCEL JOB $reverts");
	wait_for_status($node, $reverts, 'reverting');
	wait_at_gate($node, $reverts);
	clock('06:00', 1);
	is_outside($job{stop}, 'stop: it was interrupted');
	$revert_gate->quit;
	wait_for_status($node, $reverts, 'canceled');
	is(attempt_statuses($node, $reverts), 'canceled,succeeded', 'a revert goes on outside the window');
	is(attempt_statuses($node, $job{stop}), 'paused', '... which is no failure');
	is(job_field($node, $job{$_}, 'status'), 'running', "$_: it goes on") for ('pause', 'finish');
	# A timeout is that of the worker, by the real time.
	$session->query_safe('SELECT pg_advisory_unlock(4712)');
	succeeds($job{$_}, undef, 'succeeded', $_) for ('pause', 'finish');
	clock('22:00', 1);
	succeeds($job{stop}, undef, 'paused,succeeded', 'stop');
	is(sql("SELECT count(*) FROM ran WHERE what = 'stop'"), 1, 'its work is done once');
	$session->quit;
	$day += 2;
}

# Types whose work cannot go on from a checkpoint, while they wait for a lock.
{
	my $place = abs_path($node->basedir);
	for my $type ('BACKUP', 'EXPORT')
	{
		clock('12:00');
		my %job = map {
			my $rest = "WITH detached, timeout = '1 hour', window = '22:00-06:00 UTC', window_end = '$_'";
			$_ => sql($type eq 'BACKUP' ? "BACKUP TABLE ran TO '$place/backup_$_' $rest" : "EXPORT INTO CSV '$place/export_$_' FROM TABLE ran $rest")
		} ('pause', 'stop');
		my $locker = $node->background_psql('postgres');
		$locker->query_safe('BEGIN; LOCK TABLE ran');
		clock('22:00');
		wait_query($node, "SELECT count(*) = 2 FROM pg_locks WHERE relation = 'ran'::regclass AND NOT granted");
		clock('06:00', 1);
		is_outside($job{stop}, "$type, stop: it was interrupted");
		is(job_field($node, $job{pause}, 'status'), 'running', "$type, pause: it goes on");
		$locker->query_safe('COMMIT');
		$locker->quit;
		succeeds($job{pause}, undef, 'succeeded', "$type, pause");
		clock('22:00', 1);
		succeeds($job{stop}, undef, 'paused,succeeded', "$type, stop");
		$day += 2;
	}
}

# 10. A SQL job that writes checkpoints pauses at them, and begins whenever its window is open then.
sql(<<'EOS');
CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
DECLARE
    n integer := coalesce((kwjobs.checkpoint_state() ->> 'n')::integer, 0);
BEGIN
    WHILE n < 10 LOOP
        n := n + 1;
        IF n = 5 THEN
            PERFORM pg_advisory_xact_lock_shared(4712);
        END IF;
        INSERT INTO ran VALUES ('step ' || n);
        CALL kwjobs.checkpoint(n / 10.0, jsonb_build_object('n', n));
    END LOOP;
END $$;
EOS
clock('22:00');
{
	my $session = close_gates($node, 4712);
	my $job = sql(q{SELECT kwjobs.submit('CALL steps()', timeout => '7 hours', "window" => '22:00-06:00')});
	wait_at_gate($node, $job);
	clock('06:00', 1);
	wait_for_pass($node);
	$session->query_safe('SELECT pg_advisory_unlock(4712)');
	is_outside($job, 'it has paused at kwjobs.checkpoint()');
	is(sql(q{SELECT string_agg(substr(what, 6), ',' ORDER BY at) FROM ran WHERE what LIKE 'step%'}), '1,2,3,4,5', '... with its work');
	clock('05:00', 2);
	succeeds($job, undef, 'paused,succeeded', 'an hour is left, and it goes on from its checkpoint');
	is(sql(q{SELECT string_agg(substr(what, 6), ',' ORDER BY at) FROM ran WHERE what LIKE 'step%'}), '1,2,3,4,5,6,7,8,9,10', 'each step is done once');
	$session->quit;
	$day += 3;
}

# 11. Outside its window a job holds no place in a queue and no turn of a serial key, unless it has begun.
clock('12:00');
{
	sql(q{SELECT kwjobs.set_queue('one', 1)});
	my ($first) = import_in_window("$window, queue = 'one'");
	is_outside($first, 'of a queue');
	my ($other, $table) = import_in_window("queue = 'one'");
	succeeds($other, $table, 'succeeded', 'another of the queue');
	my ($turn) = import_in_window("$window, serial_key = 'k'");
	is_outside($turn, 'of a serial key');
	my ($next, $table2) = import_in_window("serial_key = 'k'");
	succeeds($next, $table2, 'succeeded', 'another with the key');
	clock('22:00');
	wait_for_status($node, $_, 'succeeded') for ($first, $turn);

	my $gate = close_gate($node);
	my ($begun, $t1) = import_in_window("$window, serial_key = 'k'");
	wait_at_gate($node, $begun);
	# This one has the turn next, and its window closes while it waits for it.
	my ($waits, $t2) = import_in_window("$window, serial_key = 'k', queue = 'one'");
	my ($behind, $t3) = import_in_window("serial_key = 'k'");
	wait_query($node, "SELECT count(*) = 2 FROM kwdb_internal.jobs WHERE job_id IN ($waits, $behind) AND running_status LIKE 'waiting for job $begun, which has serial key%'");
	clock('06:00', 1);
	wait_for_pass($node);
	open_gate($gate);
	is_outside($begun, 'begun, and outside');
	is(sql("SELECT line IS NOT NULL FROM kwjobs.job WHERE job_id = $begun"), 't', '... it keeps its turn, as it is half done');
	sql("CANCEL JOB $begun");
	wait_for_status($node, $begun, 'canceled');
	is_outside($waits, 'it has the turn outside its window');
	succeeds($behind, $t3, 'succeeded', '... and gives it to the one behind it');
	clock('22:00', 1);
	succeeds($waits, $t2, 'succeeded', 'in its window it has the turn again');
	$day += 2;
}

# 12. Dependencies are met outside the window.
clock('12:00');
{
	my $first = sql(q{SELECT kwjobs.submit('SELECT 1', run_at => '2090-01-01')});
	my $second = sql(qq{SELECT kwjobs.submit('SELECT 2', timeout => '1 min', depends_on => $first, "window" => '22:00-06:00')});
	is(reason($second), "pending: waiting for job $first", 'it depends on another');
	sql("SELECT kwjobs.run_now($first)");
	is_outside($second, 'the other one is over');
	clock('22:00');
	succeeds($second, undef, 'succeeded', 'dependent');
	$day += 1;
}

# 13. The clock is set back, and forward over a whole window.
clock('22:30');
{
	my $gate = close_gate($node);
	my ($job, $table) = import_in_window($window);
	wait_at_gate($node, $job);
	clock('21:30');
	# Nobody asks for anything.
	wait_query($node, "SELECT kwjobs.why($job) LIKE '%Its window 22:00-06:00 UTC has closed%'");
	open_gate($gate);
	# The worker was busy, so it has settled the attempt by the old time.
	goes_outside($job);
	like(reason($job), qr/^pending: outside its window 22:00-06:00 UTC, which opens at 22:/, 'the clock is set back: it pauses, and waits for the window again');
	clock('12:00', 3);
	wait_for_pass($node);
	is_outside($job, 'set forward over a whole window: it waits for the next');
	clock('22:00', 3);
	succeeds($job, $table, 'paused,succeeded', 'clock');
	$day += 4;
}

# 14. An import by several workers pauses, and goes on.
clock('22:00');
{
	configure($node, 'kwjobs.import_batch_size', '64kB');
	my $big = write_csv($node, 200_000);
	make_target($node, 'shared', 150_000);
	my $gate = close_gate($node);
	my $job = sql("IMPORT INTO shared CSV DATA ('$big') WITH detached, thread_concurrency = '3', $window");
	wait_at_gate($node, $job);
	clock('06:00', 1);
	wait_for_pass($node);
	open_gate($gate);
	is_outside($job, 'several workers have paused');
	cmp_ok(sql('SELECT count(*) FROM shared'), '<', 200_000, '... before the end');
	clock('22:00', 1);
	wait_for_status($node, $job, 'succeeded');
	is_imported($node, 'shared', 200_000, 'several workers: all rows, each once');
	configure($node, 'kwjobs.import_batch_size');
	$day += 2;
}

# 15. What a session sees that waits; a window that cannot be used.
clock('12:00');
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	make_target($node, 'waited', 5000);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/begins/, "\\echo begins\nIMPORT INTO waited CSV DATA ('$path') WITH $window;\n");
	wait_query($node, "SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE description LIKE 'IMPORT INTO public.waited%' OR description LIKE 'IMPORT INTO waited%'");
	my $job = sql(q{SELECT max(job_id) FROM kwdb_internal.jobs WHERE description LIKE 'IMPORT%waited%'});
	is_outside($job, 'a session waits');
	sql(qq{UPDATE kwjobs.job SET "window" = 'whenever' WHERE job_id = $job});
	is(reason($job), 'pending: its window "whenever" cannot be used: There is no time zone "whenever".', 'a window that cannot be used');
	clock('22:00');
	wait_for_pass($node);
	is(job_field($node, $job, 'status'), 'pending', '... keeps the job from running');
	sql(qq{SELECT kwjobs.alter($job, "window" => '22:00-06:00 UTC')});
	succeeds($job, 'waited', 'succeeded', 'window mended');
	$session->quit;
	like($session->{stderr}, qr/NOTICE:  job $job .*outside its window 22:00-06:00 UTC, which opens at/s, 'the session is told why it waits');
	$day += 1;
}

# 16. A promotion.
clock('12:00');
{
	my ($job, $table) = import_in_window($window);
	is_outside($job, 'outside');
	my $standby = start_standby($node, 'standby');
	$node->wait_for_catchup($standby);
	is($standby->safe_psql('postgres', "SELECT running_status LIKE 'outside its window %' FROM kwdb_internal.jobs WHERE job_id = $job"), 't', 'a standby shows it');
	$standby->promote;
	wait_query($standby, "SELECT count(*) > 0 FROM kwdb_internal.jobs WHERE job_type = 'RESTART' OR job_id = $job");
	is($standby->safe_psql('postgres', "SELECT status FROM kwdb_internal.jobs WHERE job_id = $job"), 'pending', 'promoted outside the window');
	set_clock($standby, sql("SELECT date '2031-03-03' + $day + time '22:00'") . '+00');
	wait_for_status($standby, $job, 'succeeded');
	is_imported($standby, $table, 20_000, 'the new primary runs it in its window');
	$standby->stop;
}

is_consistent($node);
done_testing();
