# The clock of the server is set forward and back, as root does it, while the coordinator or the launcher sleeps. No
# event tells these processes. They look at the clock every kwjobs.scheduler_pace, and schedules go by the new time, and
# so do jobs and errands that were put off by the old one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'the library to preload is for Linux' unless $^O eq 'linux';

my $node = new_node('clock_steps', <<'EOF');
timezone = 'UTC'
autovacuum = off
jobs.retention_time = '10000d'
kwjobs.scheduler_pace = 1s
EOF
my $dir = PostgreSQL::Test::Utils::tempdir();
ok(build_library($node, 'set_clock', $dir), 'the library is built');

# Sets the clock to that of the machine plus these seconds.
sub set_by
{
	my ($seconds) = @_;
	# In place, because the processes have mapped the file.
	open(my $file, '+<', "$dir/clock") or die "$dir/clock: $!";
	syswrite($file, pack('l!', $seconds)) == length(pack('l!', 0)) or die "$dir/clock: $!";
	close($file) or die "$dir/clock: $!";
	return;
}

sub start_by_this_clock
{
	local $ENV{LD_PRELOAD} = "$dir/set_clock.so";
	local $ENV{KWJ_CLOCK_FILE} = "$dir/clock";
	$node->start;
	return;
}

append_to_file("$dir/clock", pack('l!', 0));
$node->stop;
start_by_this_clock();
sub sql { my ($query) = @_; return $node->safe_psql('postgres', "SET client_min_messages = warning; $query") }

set_by(7200);
cmp_ok(sql('SELECT extract(epoch FROM clock_timestamp())') - time, '>', 7000, 'the clock can be set');
set_by(0);

my $runs = 'SELECT count(*) FROM kwjobs.due_time';
my $hour = 3600;

# Returns a job that has failed, and is to be tried again in 10 to 15 minutes.
sub failed_once
{
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1 / 0', on_failure => 'retry', max_attempts => 3, retry_initial_delay => '10 min')});
	wait_query($node, "SELECT attempts = 2 AND status = 'pending' FROM kwjobs.job WHERE job_id = $job");
	return $job;
}

# Waits until that is so by the clock as it shows now.
sub wait_for_ten_minutes
{
	my ($job) = @_;
	wait_query($node, "SELECT due - clock_timestamp() BETWEEN interval '5 min' AND interval '15 min' FROM kwjobs.job WHERE job_id = $job");
	return;
}

# Steps the clock while this process sleeps, coordinator or launcher, and the next due time is an hour or more away.
sub steps
{
	my ($who) = @_;
	my $asleep = sub {
		wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.due_time WHERE job_id IS NOT NULL AND finished IS NULL');
		wait_for_no_coordinator($node) if $who eq 'launcher';
		return;
	};
	set_by(0);
	sql(q{CREATE SCHEDULE interval FOR SQL 'SELECT 1' RECURRING '1 hour'});
	$asleep->();
	set_by($hour);
	wait_query($node, 'SELECT count(*) = 1 FROM kwjobs.due_time');
	note("$who: set forward by an hour, and what is due runs");
	my $failed = failed_once();
	# The window is open at this time of the day, but not by the clock that is wrong.
	my $windowed = sql(q{SELECT kwjobs.submit('SELECT 1', timeout => '1 min', "window" => to_char(clock_timestamp() - interval '65 min', 'HH24:MI')
		|| '-' || to_char(clock_timestamp() - interval '30 min', 'HH24:MI'))});
	my $named = sql(q{SELECT kwjobs.submit('SELECT 1', run_at => clock_timestamp() + interval '10 days')});
	$asleep->();

	# From an hour ahead to a day back: the run that has been does not come again, and the schedule counts from the
	# new time.
	set_by(-24 * $hour);
	wait_query($node, q{SELECT next_due < clock_timestamp() + interval '61 minutes' FROM kwjobs.schedule});
	note("$who: set back by a day, and the schedule counts from the new time");
	is(sql($runs), 1, '... nothing has run twice');
	wait_for_ten_minutes($failed);
	note("$who: ... a job that has failed is tried again when that was to be");
	wait_for_status($node, $windowed, 'succeeded');
	note("$who: ... a job starts whose window is open by the new time");
	is(sql("SELECT due = run_at FROM kwjobs.job WHERE job_id = $named"), 't', '... one whose time a user has named waits for that');
	$asleep->();
	set_by(-23 * $hour + 60);
	wait_query($node, 'SELECT count(*) = 2 FROM kwjobs.due_time');
	note("$who: ... and runs when it is due by that");
	wait_for_status($node, $failed, 'failed');
	$asleep->();
	sql("SELECT kwjobs.cancel($named)");
	sql('DROP SCHEDULE interval');

	# Nothing is due while the clock is wrong, but what is due next is computed then.
	set_by(0);
	sql(q{CREATE SCHEDULE resumed FOR SQL 'SELECT 1' RECURRING '1 hour'; PAUSE SCHEDULE resumed;
		CREATE SCHEDULE fails FOR SQL 'SELECT 1/0' RECURRING '2 years' WITH SCHEDULE OPTIONS on_execution_failure = retry});
	$asleep->();
	set_by(30 * 24 * $hour);
	sql(q{RESUME SCHEDULE resumed; SELECT kwjobs.run_schedule('fails')});
	wait_query($node, q{SELECT retry_of IS NOT NULL FROM kwjobs.schedule WHERE name = 'fails'});
	set_by(0);
	wait_query($node, q{SELECT next_run < clock_timestamp() + interval '61 minutes' FROM kwjobs.schedule WHERE name = 'resumed'});
	note("$who: resumed while the clock was wrong, and it counts from the right time");
	is(sql(q{SELECT retry_of IS NULL AND next_run > clock_timestamp() + interval '1 year' FROM kwjobs.schedule WHERE name = 'fails'}),
		't', '... a retry that was planned then is given up');
	sql('DROP SCHEDULES (SELECT name FROM [SHOW SCHEDULES])');
	return;
}

configure($node, 'kwjobs.coordinator_idle_timeout', -1);
steps('coordinator');
configure($node, 'kwjobs.coordinator_idle_timeout', 100);
configure($node, 'kwjobs.worker_idle_timeout', 0);
steps('launcher');

# The clock is set back while the server is down. pg_ctl does not wait for a server that has started before itself, so
# the clock is still ahead of the machine's.
{
	set_by(49 * $hour);
	my $failed = failed_once();
	$node->stop;
	set_by(24 * $hour);
	start_by_this_clock();
	wait_for_ten_minutes($failed);
	sql("SELECT kwjobs.cancel($failed)");
}

# An errand is put off because a session keeps the job locked.
{
	$node->safe_psql('postgres', 'CREATE DATABASE other');
	$node->safe_psql('other', 'CREATE EXTENSION kwjobs');
	set_by($hour);
	my $job = $node->safe_psql('other', q{SELECT kwjobs.submit('SELECT 1', run_at => clock_timestamp() + interval '10 days')});
	my $session = $node->background_psql('other');
	$session->query_safe("BEGIN; SELECT FROM kwjobs.job WHERE job_id = $job FOR UPDATE");
	sql("SET kwjobs.scope = server; PAUSE JOB $job");
	wait_query($node, 'SELECT tries > 0 FROM kwjobs.errand');
	set_by(-24 * $hour);
	wait_query($node, q{SELECT due < clock_timestamp() + interval '2 min' FROM kwjobs.errand});
	$session->quit;
	wait_for_status($node, $job, 'paused', 'other');
	note('an errand is sent again by the new time');
}

is_consistent($node);
$node->stop;
done_testing();
