# A database has a coordinator only while there is something to do. Coordinators never take the room
# of workers, and all databases have their turn, however many there are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node;

sub sql
{
	my ($sql, $db) = @_;
	return $node->safe_psql($db // 'postgres', $sql);
}

my $coordinators = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'};
# Here a coordinator stays for 0.25 s if others need its place, and looks at everything as often.
my $haste = "kwjobs.test_haste = 4\n";
my $leave_soon = $haste . "kwjobs.coordinator_idle_timeout = 100ms\nkwjobs.worker_idle_timeout = 100ms\n";

sub wait_until_none
{
	wait_query($node, "SELECT ($coordinators) = 0");
	return;
}

# ---- more databases than entries: a restart ----

$node = new_node('entries', $haste . "kwjobs.max_databases = 2\n", extra => ['--no-locale', '--encoding=UTF8']);
sql('DROP EXTENSION kwjobs');
my @databases = qw(a b c d e f);
sql("CREATE DATABASE $_") for @databases;
my @with = qw(b d e f);
my (%gate, %job, %queued, %unmet);
for my $db (@with)
{
	sql('CREATE EXTENSION kwjobs; CREATE TABLE ran (at timestamptz)', $db);
	$gate{$db} = close_gate($node, $db);
	$job{$db} = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')}, $db);
	wait_at_gate($node, $job{$db}, $db);
	$queued{$db} = sql(q{SELECT kwjobs.submit('INSERT INTO ran VALUES (clock_timestamp())', run_at => now() + interval '6 seconds')}, $db);
}
my $log = -s $node->logfile;
$node->restart;
eval { $_->quit } for values %gate;
for my $db (@with)
{
	wait_for_status($node, $job{$db}, 'succeeded', $db);
	wait_for_status($node, $queued{$db}, 'succeeded', $db);
	is(sql("SELECT count(*) FROM ran JOIN kwjobs.job ON job_id = $queued{$db} WHERE at >= run_at", $db), 1,
		"$db: the interrupted job went on, and the other one ran when its time had come");
	is(job_field($node, $job{$db}, 'total_num_of_fail', $db), 0, "$db: the restart is no failure of the job");
	is(sql(q{SELECT count(*) FROM kwjobs.job WHERE job_type = 'RESTART'}, $db), 1, "$db: the start is recorded once");
}
unlike(slurp_file($node->logfile, $log), qr/WARNING|entries are in use/, 'nobody was told of entries');

# All four databases have long jobs and waiting jobs, and two coordinators at a time serve them.
for my $db (@with)
{
	$gate{$db} = close_gate($node, $db);
	$job{$db} = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')}, $db);
}
$_->quit for values %gate;
for my $db (@with)
{
	wait_for_status($node, $job{$db}, 'succeeded', $db);
}
# These sleeps are the work: 30 jobs keep the workers of a database busy for longer than its turn.
sql(q{SELECT kwjobs.submit('SELECT pg_sleep(0.2)', priority => 1) FROM generate_series(1, 30)}, $_) for @with;
$job{$_} = sql(q{SELECT kwjobs.submit('SELECT 1', priority => 2)}, $_) for @with;
wait_for_status($node, $job{$_}, 'succeeded', $_) for @with;
for my $db (@with)
{
	my $canceled = sql(q{SELECT kwjobs.submit('SELECT pg_sleep(3600)', priority => 3)}, $db);
	wait_for_status($node, $canceled, 'running', $db);
	sql("SELECT kwjobs.cancel($canceled)", $db);
	wait_for_status($node, $canceled, 'canceled', $db);
	is(job_field($node, $canceled, 'total_num_of_ex', $db), 1, "$db: a job is started and canceled while databases take turns");
}
cmp_ok(sql($coordinators), '<=', 2, 'there are not more coordinators than kwjobs.max_databases');
is(scalar(() = slurp_file($node->logfile, $log) =~ /LOG:  kwjobs has jobs in more databases than coordinators may run/g),
	1, 'the log says once that they take turns');
wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL', $_) for @with;
is( sql(q{SELECT count(*) FROM kwjobs.job WHERE description LIKE '%0.2%' AND (status, total_num_of_ex, total_num_of_fail) = ('succeeded', 1, 0)}, $_),
	30, "$_: all jobs ran, once")
  for @with;
is_consistent($node, $_) for @with;

# A database that is created when there are many is served, too, without a WARNING.
{
	my ($rc, $out, $err) = $node->psql('postgres', 'CREATE DATABASE late');
	is("$rc$err", '0', 'CREATE DATABASE says nothing of kwjobs');
	($rc, $out, $err) = $node->psql('late', q{CREATE EXTENSION kwjobs; CALL kwjobs.run('SELECT 1')}, on_error_die => 0);
	is("$rc$err", '0', 'a job runs there at once');
}
$node->stop;

# ---- coordinators leave, and come back ----

$node = new_node('idle', $leave_soon . 'autovacuum = off', extra => ['--no-locale', '--encoding=UTF8']);
wait_until_none();
note('a coordinator without anything to do leaves');
sql('CREATE TABLE ran (what text)');
{
	my $job = sql(q{SELECT kwjobs.submit('INSERT INTO ran VALUES (''at once'')')});
	wait_for_status($node, $job, 'succeeded');
	is(job_field($node, $job, "started - created < '10 s'"), 't', 'the commit of a job brings one back');
	wait_until_none();
	my $later = sql(q{SELECT kwjobs.submit('INSERT INTO ran VALUES (''later'')', run_at => 'tomorrow')});
	wait_until_none();
	is(job_field($node, $later, 'status'), 'pending', 'there is none before the job is due');
	# the clock goes on from two seconds before
	set_clock($node, sql(q{SELECT date 'tomorrow' - interval '2 seconds'}));
	wait_for_status($node, $later, 'succeeded');
	is(sql(q{SELECT count(*) FROM ran JOIN kwjobs.job ON description LIKE '%later%' WHERE what = 'later' AND started >= run_at}),
		1, 'one comes when it is due');

	# A job is committed when the coordinator has left, but the launcher does not know that yet.
	my $launcher = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs launcher'});
	my $gate = close_gate($node);
	my $last = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')});
	wait_at_gate($node, $last);
	kill 'STOP', $launcher;
	open_gate($gate);
	wait_until_none();
	my $meanwhile = sql(q{SELECT kwjobs.submit('SELECT 1')});
	kill 'CONT', $launcher;
	wait_for_status($node, $meanwhile, 'succeeded');
	note('a job that is committed while the coordinator leaves brings one back');

	# control statements and dependencies bring a coordinator back, too
	wait_until_none();
	my $first = sql(q{SELECT kwjobs.submit('INSERT INTO ran VALUES (''first'')', run_at => now() + interval '1 day')});
	my $second = sql("SELECT kwjobs.submit('INSERT INTO ran VALUES (''second'')', depends_on => ARRAY[$first])");
	wait_until_none();
	sql("SELECT kwjobs.pause($second)");
	wait_for_status($node, $second, 'paused');
	wait_until_none();
	sql("SELECT kwjobs.resume($second)");
	wait_until_none();
	sql("SELECT kwjobs.cancel($first)");
	wait_for_status($node, $first, 'canceled');
	wait_for_status($node, $second, 'failed');
	wait_until_none();
	note('PAUSE, RESUME and CANCEL are heard where no coordinator is');

	# a job whose attempt failed brings a coordinator back when the next attempt is due
	my $retried = sql(q{SELECT kwjobs.submit('DO $$ BEGIN RAISE EXCEPTION ''x''; END $$', on_failure => 'retry', max_attempts => 3, retry_initial_delay => '2 seconds')});
	wait_for_status($node, $retried, 'failed');
	is(job_field($node, $retried, 'total_num_of_ex'), 3, 'an attempt that fails is tried again when it is due');
	wait_until_none();
}
# A worker dies while its database has no coordinator: a new coordinator takes up the job.
{
	configure($node, 'kwjobs.max_databases', 1);
	$node->restart;
	sql('CREATE DATABASE other');
	sql('CREATE EXTENSION kwjobs', 'other');
	my $gate = close_gate($node);
	my $job = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')});
	wait_at_gate($node, $job);
	sql(q{CALL kwjobs.run('SELECT 1')}, 'other');
	note('while a job runs, its coordinator makes place for another database');
	wait_for_no_coordinator($node, 'postgres');
	sql(q{SELECT pg_terminate_backend(pid) FROM kwjobs.running});
	wait_query($node, "SELECT total_num_of_ex = 2 AND pid IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job");
	open_gate($gate);
	wait_for_status($node, $job, 'succeeded');
	note('a job whose worker has died while no coordinator was there goes on');

	# A worker ends a job while no coordinator is there. A trigger keeps the worker from telling the
	# job that depends on this one.
	sql(<<'EOF');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT a.backend_type = 'kwjobs worker' FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a) THEN
        RAISE EXCEPTION 'not by a worker';
    END IF;
    RETURN NEW;
END $$;
EOF
	$gate = close_gate($node);
	$job = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')});
	my $dependent = sql("SELECT kwjobs.submit('SELECT 1', depends_on => $job)");
	wait_at_gate($node, $job);
	wait_query($node, "SELECT NOT fresh FROM kwjobs.dependency WHERE job_id = $dependent");
	sql('CREATE TRIGGER refuse BEFORE UPDATE ON kwjobs.dependency FOR EACH ROW EXECUTE FUNCTION refuse()');
	sql(q{CALL kwjobs.run('SELECT 1')}, 'other');
	wait_for_no_coordinator($node, 'postgres');
	open_gate($gate);
	wait_for_status($node, $dependent, 'succeeded');
	note('a job that was not told of the end of another one, while no coordinator was there, goes on');
	sql('DROP TRIGGER refuse ON kwjobs.dependency');

	# a job that waits for a job which cannot get a worker
	sql('ALTER SYSTEM SET kwjobs.max_workers = 1');
	$node->restart;
	my $alone = sql(q{SELECT kwjobs.submit('CALL kwjobs.run(''SELECT 1'')')});
	wait_for_status($node, $alone, 'failed');
	is(job_field($node, $alone, 'error_code'), '55000', 'a job that keeps the only worker from the one that it waits for is found out');
	wait_until_none();
	is_consistent($node);
}
# Commands on a database whose coordinator has left. The job waits for a table, because a session with
# a gate for it would keep the database from being renamed.
{
	my $job = sql(q{SELECT kwjobs.submit('DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = ''go_on'') LOOP PERFORM pg_sleep(0.02); END LOOP; END $$')}, 'other');
	wait_query($node, "SELECT pid IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job", 'other');
	sql(q{SELECT count(kwjobs.submit('SELECT 1')) FROM generate_series(1, 3)});
	wait_for_no_coordinator($node, 'other');
	sql('ALTER DATABASE other RENAME TO renamed');
	sql('CREATE TABLE go_on ()', 'renamed');
	wait_for_status($node, $job, 'succeeded', 'renamed');
	is(job_field($node, $job, 'total_num_of_fail', 'renamed'), 0, 'a command that interrupts its jobs is no failure of them');
	is(sql("SELECT string_agg(status, ',' ORDER BY attempt) FROM kwdb_internal.job_attempts WHERE job_id = $job", 'renamed'),
		'interrupted,succeeded', '... and they go on afterwards');
	sql('DROP DATABASE renamed');
}
# A command keeps coordinators away from a database that needs one. Meanwhile the launcher starts
# those of other databases.
{
	sql('CREATE DATABASE kept');
	sql('CREATE EXTENSION kwjobs', 'kept');
	wait_until_none();
	my $command = $node->background_psql('kept');
	$command->query_safe('BEGIN; DROP EXTENSION kwjobs');
	configure($node, 'jobs.retention_time', '21d');
	wait_until_none();
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1')});
	wait_for_status($node, $job, 'succeeded');
	note('a job runs while a command keeps coordinators away from another database');
	$command->query_safe('ROLLBACK');
	$command->quit;
	$job = sql(q{SELECT kwjobs.submit('SELECT 1')}, 'kept');
	wait_for_status($node, $job, 'succeeded', 'kept');
	sql('DROP DATABASE kept');
}
# A lower retention time takes effect although the database has no coordinator.
{
	configure($node, 'jobs.retention_time', '20d');
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	wait_until_none();
	sql(q{UPDATE kwjobs.job SET finished = finished - interval '10 days'});
	my $finished = sql('SELECT count(*) FROM kwjobs.job');
	cmp_ok($finished, '>', 5, 'there is a history');
	configure($node, 'jobs.retention_time', '5d');
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job');
	note('a new limit is looked at where no coordinator is');
	configure($node, 'jobs.retention_time', '4s');
	wait_until_none();
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1')});
	wait_for_status($node, $job, 'succeeded');
	wait_until_none();
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job');
	note('a job that gets too old is deleted though nothing happens');
	is(sql(q{SELECT sum(jobs) > 5 FROM kwdb_internal.job_history}), 't', 'and counted');
}
$node->stop;

# ---- one that is told to leave does ----

# Two databases share one place for a coordinator.
$node = new_node('told', $haste . "kwjobs.max_databases = 1\nfsync = off\nautovacuum = off\n", extra => ['--no-locale', '--encoding=UTF8']);
sql('CREATE DATABASE other');
sql('CREATE EXTENSION kwjobs', 'other');

# In one of them something happens during each pass of its coordinator, which a trigger makes slow.
{
	sql(<<'EOF');
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT a.backend_type = 'kwjobs coordinator' FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a) THEN
        PERFORM pg_catalog.pg_sleep(0.1);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER slow BEFORE UPDATE ON kwjobs.job FOR EACH ROW EXECUTE FUNCTION slow();
EOF
	# The coordinator needs 0.1 s for each of these jobs (slow), so it has always something to do.
	my $busy = $node->background_psql('postgres');
	$busy->query_until(qr/begins/, <<'EOF');
\echo begins
DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = 'over') LOOP
    PERFORM kwjobs.pause(kwjobs.submit('SELECT 1', run_at => now() + interval '1 day'));
    COMMIT;
    PERFORM pg_sleep(0.02);
END LOOP; END $$;
EOF
	for my $turn (1 .. 2)
	{
		for my $db ('other', 'postgres')
		{
			my ($rc) = $node->psql($db, q{SET statement_timeout = '2min'; CALL kwjobs.run('SELECT 1')});
			is($rc, 0, "$db: a job runs though one of two databases always has something to do (turn $turn)");
		}
	}
	sql('CREATE TABLE over ()');
	$busy->quit;
	sql('DROP TRIGGER slow ON kwjobs.job');
}
# A worker does not come to life, because the postmaster is stopped. The coordinator does not wait
# for it forever.
{
	my $watcher = $node->background_psql('postgres');
	my $here = $node->background_psql('postgres');
	my $there = $node->background_psql('other');
	my $coordinator = q{SELECT FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'};
	my $worker = q{SELECT FROM pg_stat_activity WHERE backend_type = 'kwjobs worker' AND datname = 'postgres'};
	sql(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'});
	sql(q{CALL kwjobs.run('SELECT 1')});
	sql(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'});
	wait_query($node, "SELECT EXISTS ($coordinator)");
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)$/m;
	kill 'STOP', $postmaster;
	my $job = $here->query_safe(q{SELECT kwjobs.submit('SELECT 1')});
	wait_in($watcher, "EXISTS (SELECT FROM kwjobs.job WHERE job_id = $job AND status = 'running')");
	my $other = $there->query_safe(q{SELECT kwjobs.submit('SELECT 1')});
	wait_in($watcher, "NOT EXISTS ($coordinator)");
	note('a coordinator leaves though a worker that it has started does not come to life');
	kill 'CONT', $postmaster;
	wait_for_status($node, $other, 'succeeded', 'other');
	wait_for_status($node, $job, 'succeeded');
	is(job_field($node, $job, 'total_num_of_ex, total_num_of_fail'), '1|0', '... and the job has not failed because of that');
	$_->quit for $watcher, $here, $there;
}
# A command locks a database out that has no coordinator, and no entry in shared memory for one.
# Another coordinator uses the only entry. When that one has left, no coordinator starts in the
# database which is locked out.
{
	sql('CREATE DATABASE third');
	sql('CREATE EXTENSION kwjobs', 'third');
	sql(q{CALL kwjobs.run('SELECT 1')});
	my $session = $node->background_psql('other');
	$session->query_safe('SET client_min_messages = warning; BEGIN; ALTER EXTENSION kwjobs UPDATE');
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1')}, 'other');
	sql(q{CALL kwjobs.run('SELECT 1')}, 'third');
	is(sql("SELECT status FROM kwjobs.job WHERE job_id = $job", 'other'), 'pending',
		'no job runs where a command has locked out a database without an entry');
	$session->query_safe('COMMIT');
	wait_for_status($node, $job, 'succeeded', 'other');
	$session->quit;
}
is_consistent($node);
$node->stop;

# ---- many copies, few background workers ----

$node = new_node('copies', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
max_worker_processes = 8
max_logical_replication_workers = 0
EOF
sql('CREATE ROLE bob LOGIN; CREATE DATABASE original');
sql('CREATE EXTENSION kwjobs', 'original');
sql("CREATE DATABASE copy$_ TEMPLATE original") for 1 .. 12;
# the other slots are for the launcher and five workers
cmp_ok(sql($coordinators), '<=', 2, 'coordinators leave room for the workers');
{
	my $gates = close_gates($node, 1);
	sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(1)') FROM generate_series(1, 4)});
	wait_query($node, q{SELECT count(*) = 4 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted});
	sql("SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')", "copy$_") for 1 .. 12;
	sql(q{SET ROLE bob; CALL kwjobs.run('SELECT 1')});
	sql(q{SET ROLE bob; CALL kwjobs.run('SELECT 1')}, "copy$_") for 1 .. 12;
	note('jobs run in all of them, while four jobs of another role run on');
	$gates->quit;
}
wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
$log = -s $node->logfile;
$node->restart;
wait_query($node, q{SELECT count(*) = 1 FROM kwjobs.job WHERE job_type = 'RESTART'}, "copy$_") for 1 .. 12;
unlike(slurp_file($node->logfile, $log), qr/out of background worker slots/, 'the server had a slot for each of our processes');
# The coordinators of the databases that were served last stay for a while. None of them is replaced
# without a reason.
{
	my $pids = q{SELECT coalesce(string_agg(pid::text, ' ' ORDER BY pid), '') FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'};
	is_once(sub { my $before = sql($pids); sql('SELECT pg_sleep(2)'); sql($pids) eq $before ? 'same' : 'others' }, 'same',
		'coordinators do not change places when there is nothing to do');
}
$node->stop;

# ---- databases whose tables are locked ----

$node = new_node('locked', 'kwjobs.max_databases = 3', extra => ['--no-locale', '--encoding=UTF8']);
my @locked = map { "locked$_" } 1 .. 4;
sql("CREATE DATABASE $_") for @locked, 'open';
sql('CREATE EXTENSION kwjobs', $_) for @locked, 'open';
my @sessions = map { $node->background_psql($_) } @locked;
$_->query_safe('BEGIN; LOCK TABLE kwjobs.checkpoint, kwjobs.job IN ACCESS EXCLUSIVE MODE') for @sessions;
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'kwjobs %'");
sql(q{CALL kwjobs.run('SELECT 1')}, 'open');
sql(q{CALL kwjobs.run('SELECT 1')}) for 1 .. 2;
note('databases whose tables are locked hold up no other');
$_->query_safe('COMMIT') for @sessions;
$_->quit for @sessions;
sql(q{CALL kwjobs.run('SELECT 1')}, $_) for @locked;
note('and are served when the lock is gone');
is_consistent($node);
$node->stop;

# ---- more databases ask than the launcher's list has room for ----

# In a build for tests, the list has room for two.
$node = new_node('many', $leave_soon, extra => ['--no-locale', '--encoding=UTF8']);
@databases = map { "ask$_" } 1 .. 4;
sql("CREATE DATABASE $_") for @databases;
sql('CREATE EXTENSION kwjobs', $_) for @databases;
wait_until_none();
{
	my $launcher = sql(q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs launcher'));
	kill 'STOP', $launcher;
	my %asked = map { $_ => sql(q(SELECT kwjobs.submit('SELECT 1')), $_) } @databases;
	kill 'CONT', $launcher;
	wait_for_status($node, $asked{$_}, 'succeeded', $_) for @databases;
	note('all databases that ask while the launcher stands still get their turn');
}
$node->stop;
done_testing();
