# Passes of the coordinator. What one pass could not see, the next one sees, although no event tells
# the coordinator of it. Test builds have gates for this: a full pass waits for the advisory lock
# 4903 before its first look at the tables, and for 4904 after its last one. Other tests here are
# about how long the coordinator and the launcher wait for a job that is due later, and about how a
# pass searches for jobs that may start.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('passes', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
kwjobs.coordinator_idle_timeout = 0
kwjobs.worker_idle_timeout = 10ms
jobs.retention_time = 10000d
autovacuum = off
# While a process waits at a gate, PostgreSQL sets an alarm, which could wake the coordinator later.
deadlock_timeout = 1h
EOF
sub sql { return $node->safe_psql('postgres', $_[0]) }

my $tomorrow = q{kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')};

sub pid_of
{
	my ($type) = @_;
	return sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs $type'");
}

# A session cancels a job after the last look of a pass. The next pass takes that for news.
{
	my $gate = close_gates($node, 4904);
	my ($one, $two) = map { sql("SELECT $tomorrow") } 1 .. 2;
	sql("SELECT kwjobs.cancel($one)");
	wait_at_gates($node, 1, 'objid = 4904');
	sql("SELECT kwjobs.cancel($two)");
	$gate->quit;
	wait_for_status($node, $_, 'canceled') for $one, $two;
	note('a CANCEL behind the last look of a pass is heard');
}

# A job is created after the last look of a full pass, and its row is locked. The next pass does not
# see the job. It is a short one if it begins within a second of the full one. Nothing else happens:
# the coordinator does not leave, and a full pass follows by itself.
{
	wait_query($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('kwjobs coordinator', 'kwjobs worker')});
	my ($behind, $before) = map { close_gates($node, $_) } 4904, 4711;
	my $locker = $node->background_psql('postgres');
	my $later = $locker->query_safe("SELECT $tomorrow");
	wait_in($locker, 'EXISTS (SELECT FROM pg_locks WHERE objid = 4904 AND NOT granted)');
	$before->query_safe('SELECT pg_advisory_lock(4903)');
	my $job = $locker->query_safe(<<'EOF');
SELECT kwjobs.submit('SELECT 1') AS job \gset
BEGIN;
SELECT job_id FROM kwjobs.job WHERE job_id = :job FOR UPDATE;
EOF
	$behind->query_safe('SELECT pg_advisory_unlock(4904)');
	wait_at_gates($node, 1, 'objid = 4903');
	note('a full pass follows by itself');
	$locker->query_safe('ROLLBACK');
	$_->quit for $locker, $before, $behind;
	wait_for_status($node, $job, 'succeeded');
	note('... and finds the job that was locked');
	sql("SELECT kwjobs.cancel($later)");
	wait_for_status($node, $later, 'canceled');
}

# Instead of leaving, the coordinator waits for a job that is due within its idle timeout. It
# decides that in the full pass which follows after a second. While the job waits at its gate, the
# coordinator stays.
{
	configure($node, 'kwjobs.coordinator_idle_timeout', '300ms');
	my $gate = close_gate($node);
	my $job = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)', run_at => now() + interval '1.2 s')});
	wait_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'});
	my $coordinator = pid_of('coordinator');
	wait_at_gate($node, $job);
	is(pid_of('coordinator'), $coordinator, 'a coordinator does not leave if a job is due soon');
	open_gate($gate);
	wait_for_status($node, $job, 'succeeded');
	configure($node, 'kwjobs.coordinator_idle_timeout', '0');
}

# The launcher waits for a job that is due later than WaitLatch can wait.
{
	my $launcher = pid_of('launcher');
	my $far = sql(q{SELECT kwjobs.submit('SELECT 1', run_at => '9999-01-01 UTC')});
	wait_for_no_coordinator($node);
	wait_query($node, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $launcher");
	sql("CALL kwjobs.run('SELECT 1')");
	is(pid_of('launcher'), $launcher, 'the launcher waits for a job of the year 9999');
	is(job_field($node, $far, 'status'), 'pending', '... which is not due');
}

# The search for jobs that may start finds each of them once, though the rank of one changes between
# two steps of the search. The first step is for jobs of the rank with which the search begins; in a
# full pass that is -infinity.
{
	sql('CREATE SEQUENCE times');
	my ($gate, $work) = (close_gates($node, 4925), close_gate($node));
	my $job = sql(<<'EOF');
BEGIN;
SELECT kwjobs.submit($$SELECT nextval('times'), pg_advisory_xact_lock_shared(4711)$$, description => 'moves');
UPDATE kwjobs.job SET rank = '-infinity' WHERE description = 'moves';
COMMIT;
EOF
	wait_at_gates($node, 1, 'objid = 4925');
	sql("UPDATE kwjobs.job SET rank = now() WHERE job_id = $job");
	$gate->quit;
	# If two workers got the job, both of them are at its gate now.
	wait_query($node, q{SELECT bool_and(coalesce(wait_event = 'advisory', false)) FROM kwjobs.running LEFT JOIN pg_stat_activity USING (pid)});
	open_gate($work);
	wait_for_status($node, $job, 'succeeded');
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.running');
	is(sql('SELECT last_value FROM times'), '1', 'a job whose rank changes while it is found runs once');
}

# The coordinator begins a short pass with the search for jobs that can start. The search locks the
# tables of kwjobs in the order of their names. Every process that locks several of these tables does
# so in this order, so that no two of them wait for each other. The session $holder has locked kwjobs.hold, the first of them, so the coordinator waits for it.
# Meanwhile the session $alters locks kwjobs.attempt, the next one. If the last full pass is more than
# a second ago, the coordinator makes a full pass, which locks kwjobs.attempt before that: then the
# test begins anew. To be quick enough, the test uses sessions that are connected already. A worker
# that exits makes the next pass a full one, too, so the test begins when there is none.
{
	my $waits_for = q{SELECT count(*) = 1 FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
		WHERE a.backend_type = 'kwjobs coordinator' AND NOT l.granted AND l.relation = 'kwjobs.%s'::regclass};
	my ($is_short, $locked, @jobs);
	sql(q{SELECT kwjobs.hold('IMPORT')});
	for my $try (1 .. 10)
	{
		wait_query($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'});
		my $gate = close_gates($node, 4904);
		my ($holder, $alters) = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
		push(@jobs, sql("SELECT $tomorrow"));
		wait_in($alters, q{EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4904 AND NOT granted)});
		push(@jobs, $alters->query_safe(q{SELECT kwjobs.submit('SELECT 1')}));
		$holder->query_until(qr/locking/, "BEGIN;\n\\echo locking\nLOCK TABLE kwjobs.hold;\n");
		wait_in($alters, q{EXISTS (SELECT FROM pg_locks WHERE relation = 'kwjobs.hold'::regclass AND NOT granted)});
		$gate->query_safe('SELECT pg_advisory_unlock(4904)');
		wait_query($node, sprintf($waits_for, 'hold'));
		$alters->query('BEGIN');
		$alters->query('LOCK TABLE kwjobs.attempt NOWAIT');
		$is_short = $alters->{stderr} !~ /could not obtain lock/;
		$holder->query_safe('COMMIT');
		if ($is_short)
		{
			wait_query($node, sprintf($waits_for, 'attempt'));
			$locked = sql(q{SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
				WHERE a.backend_type = 'kwjobs coordinator' AND l.granted AND l.relation = 'kwjobs.job'::regclass});
		}
		$alters->query('ROLLBACK');
		$_->quit for $holder, $alters, $gate;
		note("try $try" . ($is_short ? ': a short pass' : ': a full pass'));
		last if $is_short;
		wait_for_end($node, $jobs[-1]);
	}
	is($locked, '0', 'a short pass that waits for kwjobs.attempt has not locked kwjobs.job');
	sql(q{SELECT kwjobs.release('IMPORT')});
	sql(q{CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE status = 'pending')});
	wait_for_end($node, @jobs);
}

# PostgreSQL resets the latch of a process that waits for a lock. A session submits a job while the coordinator
# does so behind a pass, and nothing else happens afterwards.
{
	configure($node, 'kwjobs.automatic_collection_enabled', 'off');
	configure($node, 'kwjobs.coordinator_idle_timeout', -1);
	my ($gate, $work) = (close_gates($node, 4962), close_gate($node));
	sql(q{SELECT kwjobs.create_schedule('waits', 'never', 'SELECT pg_advisory_lock_shared(4711), pg_advisory_unlock_shared(4711)'),
		kwjobs.run_schedule('waits')});
	wait_at_gates($node, 1, 'objid = 4711');
	wait_at_gates($node, 1, 'objid = 4962');
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1')});
	$gate->quit;
	wait_for_status($node, $job, 'succeeded');
	note('a job is heard of that comes while the coordinator waits for a lock behind its pass');
	open_gate($work);
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.due_time WHERE finished IS NULL');
	sql(q{SELECT kwjobs.drop_schedule('waits')});
	configure($node, 'kwjobs.coordinator_idle_timeout', 0);
	wait_for_no_coordinator($node);
}

# The same with the launcher, which looks whether a database accepts connections. It does not, so that there is no
# coordinator whose start would wake the launcher again. The sessions have read beforehand what they need of pg_database.
{
	sql('CREATE DATABASE closed');
	$node->safe_psql('closed', 'CREATE EXTENSION kwjobs');
	my $locker = $node->background_psql('postgres');
	my ($closed, $asks) = map { $node->background_psql($_) } 'closed', 'postgres';
	sql(q{UPDATE pg_database SET datallowconn = false WHERE datname = 'closed'});
	$_->query_safe("SELECT $tomorrow") for $closed, $asks;
	wait_for_no_coordinator($node);
	$locker->query_safe('BEGIN; LOCK TABLE pg_database');
	$closed->query_safe("SELECT $tomorrow");
	wait_in($locker, q{SELECT count(*) = 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE relation = 'pg_database'::regclass AND NOT granted AND backend_type = 'kwjobs launcher'});
	my $job = $asks->query_safe(q{SELECT kwjobs.submit('SELECT 1')});
	$locker->query_safe('COMMIT');
	wait_for_status($node, $job, 'succeeded');
	note('... and the launcher');
	$_->quit for $locker, $closed, $asks;
	sql('DROP DATABASE closed');
	sql(q{CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE status = 'pending')});
	configure($node, 'kwjobs.automatic_collection_enabled');
}

# The coordinator refuses to search in an INVALID index, because it would never find the jobs that
# are not in the index.
{
	my $log = -s $node->logfile;
	sql(q{UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'kwjobs.job_ready'::regclass});
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1')});
	$node->wait_for_log(qr/table kwjobs\.job has no usable index "job_ready"/, $log);
	sql('REINDEX INDEX kwjobs.job_ready');
	wait_for_status($node, $job, 'succeeded');
}

is_consistent($node);
$node->stop;
done_testing();
