# Few workers for many: a worker that is idle makes way for another role or database, a database
# without a worker gets one, and nothing is left of a coordinator that ends in between.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('room', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
kwjobs.max_workers = 1
kwjobs.worker_idle_timeout = 1h
autovacuum = off
EOF

sub sql
{
	my ($sql, $db) = @_;
	return $node->safe_psql($db // 'postgres', $sql);
}

sub submit
{
	my ($role, $statement, $db, $n) = @_;
	$n //= 1;
	return sql("SET ROLE $role; SELECT max(kwjobs.submit('$statement')) FROM generate_series(1, $n)", $db);
}

# Run a job and wait for it; returns its worker's pid.
sub run_job
{
	my ($role, $db) = @_;
	my $job = submit($role, 'SELECT 1', $db);
	wait_for_status($node, $job, 'succeeded', $db);
	return sql("SELECT pid FROM kwdb_internal.job_attempts WHERE job_id = $job", $db);
}

sub wait_until_idle
{
	wait_query($node, q{SELECT count(*) > 0 AND bool_and(state = 'idle') FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'});
	return;
}

my $workers = q{SELECT string_agg(datname || ' ' || usename, ', ' ORDER BY datname, usename) FROM pg_stat_activity
 WHERE backend_type = 'kwjobs worker'};

sql('CREATE ROLE role1 LOGIN; CREATE ROLE role2 LOGIN; CREATE DATABASE other');
sql('CREATE EXTENSION kwjobs', 'other');

# ---- idle workers make way ----

# Nothing but an eviction ends an idle worker here.
{
	my $first = run_job('role1');
	wait_until_idle();
	my $second = run_job('role2');
	isnt($second, $first, 'the only worker, idle, makes way for another role');
	is(sql($workers), 'postgres role2', '... and is gone');
	wait_until_idle();
	isnt(run_job('role2', 'other'), $second, 'it makes way for another database');
	is(sql($workers), 'other role2', '... and is gone');
	wait_until_idle();
	isnt(run_job('role1'), 0, 'and back');
}

# ---- the list of a coordinator that is gone ----

# A worker takes its next job from the list only while there is a coordinator, because only a
# coordinator changes the list when jobs of other roles come. This test stops the launcher, so that
# the next coordinator does not start yet.
{
	my $launcher = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs launcher'});
	my $gate = close_gate($node);
	my $first = submit('role1', 'SELECT pg_advisory_xact_lock_shared(4711)');
	wait_at_gate($node, $first);
	my $second = submit('role1', 'SELECT 1');
	wait_for_pass($node);
	kill 'STOP', $launcher;
	sql(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'});
	open_gate($gate);
	wait_until_idle();
	is(job_field($node, $second, 'status'), 'pending', 'a worker does not go on with the list of a coordinator that is gone');
	kill 'CONT', $launcher;
	wait_for_status($node, $second, 'succeeded');
}

# ---- one worker, two databases, queues without end ----

# A worker that goes on by itself for ever would leave the other database none.
sql('CREATE TABLE ran (n serial); GRANT ALL ON ran, ran_n_seq TO PUBLIC', $_) for 'postgres', 'other';
submit('role1', 'INSERT INTO ran SELECT FROM pg_sleep(0.02)', 'postgres', 400);
wait_query($node, 'SELECT count(*) > 0 FROM ran');
{
	my $job = submit('role2', 'INSERT INTO ran DEFAULT VALUES', 'other');
	wait_for_status($node, $job, 'succeeded', 'other');
	my $finished = job_field($node, $job, 'finished', 'other');
	submit('role2', 'INSERT INTO ran DEFAULT VALUES', 'other', 20);
	wait_query($node, q{SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL});
	is(sql("SELECT count(*) > 0 FROM kwjobs.job WHERE started > '$finished'"), 't',
		'a database without a worker gets one while another one has jobs that wait');
	wait_query($node, q{SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL}, 'other');
	is(sql('SELECT count(*) FROM ran'), 400, 'all jobs of the one have run');
	is(sql('SELECT count(*) FROM ran', 'other'), 21, '... and of the other');
}

# ---- a coordinator that does not take what is kept for its database ----

# The only worker, or the next job of role1, is kept for the other database, whose coordinator waits
# for a lock. After five seconds the other database loses that right. Then the coordinator here
# starts its job, although no event wakes it.
for my $what ('a worker', 'the next job of a role')
{
	configure($node, 'kwjobs.max_workers_per_role', $what eq 'a worker' ? 0 : 1);
	my $gate = close_gate($node);
	my $first = submit('role1', 'SELECT pg_advisory_xact_lock_shared(4711)');
	wait_at_gate($node, $first);
	my $there = submit('role1', 'SELECT 1', 'other');
	wait_for_pass($node, 'other');
	my $locker = $node->background_psql('other');
	$locker->query_safe('BEGIN; LOCK TABLE kwjobs.job');
	my $here = submit('role1', 'SELECT 1');
	wait_for_pass($node);
	open_gate($gate);
	wait_for_status($node, $here, 'succeeded');
	note("$what is kept only for a while for a database that does not react");
	$locker->query_safe('COMMIT');
	$locker->quit;
	wait_for_status($node, $there, 'succeeded', 'other');
}
configure($node, 'kwjobs.max_workers_per_role', 0);

# ---- two workers: the one that has been idle longest leaves ----

$node->append_conf('postgresql.conf', "kwjobs.max_workers = 2\n");
$node->restart;
wait_query($node, 'SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = \'kwjobs coordinator\'');
{
	my $oldest = run_job('role1');
	wait_until_idle();
	run_job('role2');
	wait_until_idle();
	is(sql($workers), 'postgres role1, postgres role2', 'two idle workers of two roles');
	run_job('role1', 'other');
	is(sql($workers), 'other role1, postgres role2', 'the one that has been idle longest makes way');
	wait_until_idle();
	run_job('role1');
	is(sql($workers), 'other role1, postgres role1', '... then the next one');
	wait_until_idle();

	# One works without end, the other is idle: only this one can leave.
	my $gate = close_gate($node);
	my $job = submit('role1', 'SELECT pg_advisory_xact_lock_shared(4711)');
	wait_at_gate($node, $job);
	run_job('role2');
	is(sql($workers), 'postgres role1, postgres role2', 'one that works stays');
	open_gate($gate);
	wait_for_status($node, $job, 'succeeded');
}

# ---- a claim that cannot be taken back at first ----

# There is no room for the workers of two jobs that it has claimed; what it does for the first one
# fails once. Both claims are taken back all the same.
$node->append_conf('postgresql.conf', "kwjobs.max_workers = 4\nmax_worker_processes = 4\n");
sql('DROP EXTENSION kwjobs; DROP TABLE ran', 'other');
$node->restart;
sql(<<'EOF');
CREATE SEQUENCE failures;
CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('public.failures') = 1 THEN
        RAISE EXCEPTION 'this claim stays';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER fail_once BEFORE DELETE ON kwjobs.attempt FOR EACH ROW EXECUTE FUNCTION fail_once();
EOF
{
	my $gate = close_gate($node);
	my $log = -s $node->logfile;
	my $job = submit('role1', 'SELECT pg_advisory_xact_lock_shared(4711)');
	wait_at_gate($node, $job);
	submit('role1', 'SELECT 2', 'postgres', 2);
	$node->wait_for_log(qr/ERROR:  this claim stays/, $log);
	wait_query($node, q{SELECT count(*) = 2 FROM kwdb_internal.jobs WHERE description = 'SELECT 2' AND status = 'pending'
		AND running_status = 'waiting for a background worker slot'});
	is(sql(q{SELECT bool_and(modified < created + interval '30 seconds') FROM kwdb_internal.jobs WHERE description = 'SELECT 2'}),
		't', 'the coordinator takes what was not started back at once');
	open_gate($gate);
	wait_query($node, q{SELECT count(*) = 3 FROM kwdb_internal.jobs WHERE status = 'succeeded' AND
		(description = 'SELECT 2' OR description LIKE '%4711%') AND created > pg_postmaster_start_time()});
	is(sql(q{SELECT DISTINCT total_num_of_ex FROM kwdb_internal.jobs WHERE description = 'SELECT 2'}), 1, '... and it did not count');
	sql('DROP TRIGGER fail_once ON kwjobs.attempt');
}

is_consistent($node);
$node->stop;
done_testing();
