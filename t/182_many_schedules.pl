# Ten thousand schedules: while none is due, the coordinator does nothing; when all are due in the same second,
# all run. And a schedule that becomes due while its database has no coordinator.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjSchedules;
use KwjTest;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $many = 10000;
my $node = new_node('many', <<'EOF');
timezone = 'UTC'
fsync = off
autovacuum = off
kwjobs.coordinator_idle_timeout = -1
kwjobs.max_schedules_per_role = 10
kwjobs.test_schedule_clock = 1893456000	# 2030-01-01 00:00:00 UTC
EOF
sub sql { my ($query) = @_; return $node->safe_psql('postgres', $query) }

# Limits of a role.
{
	sql('CREATE ROLE weak LOGIN');
	my $create = q{SELECT kwjobs.create_schedule('weak ' || n, '@daily', 'SELECT 1') FROM generate_series(1, };
	is(result_as($node, 'weak', "$create 11) AS n"), '53400', 'a role may have so many schedules');
	like(result_as($node, 'weak', "SET client_min_messages = warning; $create 10) AS n"), qr/^(\d+\n){9}\d+$/, '...');
	sql('DROP SCHEDULES (SELECT name FROM kwdb_internal.schedules)');
}

# Returns the seconds of processor time that the server's processes have had, those that have exited among them.
sub processor_time
{
	my $ticks = 0;
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	# server_processes() may have the postmaster twice
	my %pids = map { $_ => 1 } server_processes($node);
	for my $pid (keys %pids)
	{
		my $stat = eval { slurp_file("/proc/$pid/stat") } or next;
		# utime and stime; of the postmaster also those of the children for which it has waited
		my @fields = split / /, $stat =~ s/^.*\) //r;
		$ticks += $fields[11] + $fields[12];
		$ticks += $fields[13] + $fields[14] if $pid == $postmaster;
	}
	return $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

{
	my $began = time;
	sql(<<"EOF");
SET client_min_messages = warning;
SET kwjobs.log_control = off;
SELECT count(kwjobs.create_schedule('s' || n, '0 * * * *', 'SELECT 1')) FROM generate_series(1, $many) AS n;
VACUUM ANALYZE kwjobs.schedule;
CHECKPOINT;
EOF
	note(sprintf('%d schedules were created in %.1f s', $many, time - $began));
	wait_for_pass($node);
	# A session that begins may clean up pages of the catalogs, so there is one for all of this.
	my $session = $node->background_psql('postgres');
	my $written = 'SELECT pg_current_wal_insert_lsn() - %s FROM (SELECT count(*) FROM pg_stat_activity) AS looks';
	# Returns how many looks have found the coordinator busy, and how many bytes were written meanwhile.
	my $look = sub {
		my $before = $session->query_safe('SELECT pg_current_wal_insert_lsn()');
		my $busy = busy_looks($node, $_[0], $session);
		return ($busy, $session->query_safe(sprintf($written, "'$before'")));
	};
	# The coordinator may still have to do with the jobs of wait_for_pass: up to a second after the last one, it looks
	# at everything once more.
	ok(comes_true(sub { my ($busy, $bytes) = $look->(60); return $busy == 0 && $bytes < 200; }), 'the coordinator comes to rest');
	my ($busy, $bytes) = $look->(50);
	is($busy, 0, 'idle, the coordinator does nothing');
	cmp_ok($bytes, '<', 200, '... and nothing is written meanwhile');
	$session->quit;

	my $processors = processor_time();
	my $due = sql('SELECT clock_timestamp()');
	$began = time;
	configure($node, 'kwjobs.test_schedule_clock', 1893459600);	# 2030-01-01 01:00:00 UTC
	wait_query($node, "SELECT count(*) = $many FROM kwjobs.due_time WHERE outcome = 'run'");
	note(sprintf('their jobs were created after %.1f s', time - $began));
	wait_query($node, "SELECT count(*) = $many FROM kwjobs.job WHERE created_by_type = 'schedule' AND status = 'succeeded'");
	note(sprintf('all of them have run after %.1f s', time - $began));
	is(sql('SELECT count(DISTINCT schedule_id) FROM kwjobs.due_time'), $many, 'each has run once');
	wait_for_ends($node);
	note(sprintf('the end of each was noted after %.1f s', time - $began));
	note('milliseconds until they started, median and 99 %: ' . sql("SELECT percentile_cont('{0.5,0.99}'::float8[]) WITHIN GROUP (ORDER BY (1000 * extract(epoch FROM started - '$due'))::integer) FROM kwjobs.job WHERE created_by_type = 'schedule'"));
	note(sprintf('processor time of the server: %.2f s', processor_time() - $processors));
	is(sql(q{SELECT count(*) FROM kwjobs.schedule WHERE succeeded = 1 AND next_due = '2030-01-01 02:00+00'}), $many, '... and is due again');
	ok(comes_true(sub { return busy_looks($node, 60) == 0; }), 'then the coordinator comes to rest again');
	is(busy_looks($node, 50), 0, '... and is idle');
	$began = time;
	is(sql('SELECT count(*) FROM [SHOW SCHEDULES]'), $many, 'SHOW SCHEDULES');
	note(sprintf('it took %.1f s', time - $began));
	is_consistent($node);
	sql('SET kwjobs.log_control = off; DROP SCHEDULES (SELECT name FROM kwdb_internal.schedules)');
}

# By the server's own clock, with a coordinator that leaves at once when it has nothing to do.
{
	configure($node, 'kwjobs.coordinator_idle_timeout', 100);
	configure($node, 'kwjobs.worker_idle_timeout', 0);
	configure($node, 'kwjobs.test_schedule_clock', 0);
	sql(q{SET client_min_messages = warning; CREATE SCHEDULE often FOR SQL 'SELECT 1' RECURRING '2 seconds'});
	wait_for_no_coordinator($node, 'postgres');
	wait_query($node, q{SELECT count(*) >= 1 FROM kwjobs.due_time WHERE outcome = 'run'});
	my $late = q{(SELECT extract(epoch FROM min(decided - due)) * 1000 FROM kwjobs.due_time)};
	wait_for_no_coordinator($node, 'postgres');
	wait_query($node, q{SELECT count(*) >= 3 FROM kwjobs.due_time WHERE outcome = 'run'});
	cmp_ok(sql("SELECT coalesce($late, 1e9)"), '<', 50, 'a coordinator comes before a schedule is due, and starts it in time');
	is(sql(q{SELECT count(*) FROM kwjobs.due_time WHERE outcome <> 'run'}), 0, '... and misses no due time');
	configure($node, 'kwjobs.scheduler_enabled', 'off');
	# Another one may come, whose start was due before, and leave.
	ok(becomes_true($node, q{SELECT coordinator = 'starts when something is due' AND last_tick BETWEEN (SELECT max(due) FROM kwjobs.due_time) AND now() FROM kwjobs.health}),
		'kwjobs.health has the last look of a coordinator that has left');
	my $runs = sql('SELECT count(*) FROM kwjobs.due_time');
	configure($node, 'kwjobs.scheduler_enabled');
	wait_query($node, "SELECT count(*) > $runs FROM kwjobs.due_time");
	note('switched on, schedules run where no coordinator was');
	sql('DROP SCHEDULE often');
	wait_for_no_coordinator($node, 'postgres');
}

$node->stop;
done_testing();
