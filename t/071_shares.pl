# Jobs of one role or database do not take everything: one role alone leaves a worker for other
# roles, roles and databases have limits, and timeouts have an upper bound.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('shares', undef, extra => ['--no-locale', '--encoding=UTF8']);

sub sql
{
	my ($sql, $db) = @_;
	return $node->safe_psql($db // 'postgres', $sql);
}

# Submits jobs of a role that wait at a gate. Returns their ids.
sub submit
{
	my ($role, $n, $gate, $db) = @_;
	return split(/\n/, sql("SET ROLE $role; SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared($gate)') FROM generate_series(1, $n)", $db));
}

my $at_gates = q{FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE l.locktype = 'advisory' AND NOT l.granted};

# Returns whether a job of this role starts soon after it was created.
sub starts_soon
{
	my ($role, $db) = @_;
	my $job = sql("SET ROLE $role; SELECT kwjobs.submit('SELECT 1')", $db);
	wait_for_status($node, $job, 'succeeded', $db);
	return job_field($node, $job, "started - created < '100 ms'", $db);
}

sub wait_until_over
{
	for my $db ('postgres', 'other')
	{
		wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL', $db);
	}
	return;
}

sql('CREATE ROLE mallory LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN; CREATE DATABASE other');
sql('CREATE EXTENSION kwjobs', 'other');
sql('GRANT CREATE ON SCHEMA public TO PUBLIC', $_) for 'postgres', 'other';

# ---- a worker for others ----

for my $workers (4, 1, 2)
{
	$node->append_conf('postgresql.conf', "kwjobs.max_workers = $workers");
	$node->restart;
	my $gates = close_gates($node, 1, 2, 3);
	submit('mallory', $workers + 5, 1);
	wait_at_gates($node, $workers, "usename = 'mallory'");
	is_once(sub { starts_soon('bob') }, 't', "of $workers, a job of another role starts at once though one role has all workers");
	is_once(sub { starts_soon('carol', 'other') }, 't', '... also in another database');
	is_once(sub { starts_soon('bob') }, 't', '... and for a third role, and again');

	# the last worker is for one job only, and the first role does not get it
	submit('bob', 2, 2);
	wait_at_gates($node, 1, "usename = 'bob'");
	submit('carol', 1, 3);
	sql('SELECT pg_advisory_unlock_shared(0)');
	wait_query($node, q{SELECT count(*) = 1 FROM kwjobs.job WHERE owner = 'carol'::regrole AND rank IS NOT NULL});
	is(sql("SELECT count(*) $at_gates"), $workers + 1, 'more are not started');
	is(sql("SELECT count(*) $at_gates AND usename = 'mallory'"), $workers, '... and the role that has most gets no more');

	# when a job of the first role is over, the number of jobs is back at the limit
	sql(q{SELECT kwjobs.cancel((SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'mallory' AND status = 'running' LIMIT 1))});
	wait_query($node, q{SELECT count(*) = 1 FROM kwjobs.job WHERE status = 'canceled'});
	wait_for_pass($node);
	# with one worker, bob's job has it now, and another role gets the extra worker
	wait_at_gates($node, $workers == 1 ? 2 : $workers);
	is(sql("SELECT count(*) $at_gates"), $workers == 1 ? 2 : $workers, 'a job that ends is not replaced while one too many runs');
	$gates->quit;
	wait_until_over();
	sql('TRUNCATE kwjobs.job, kwjobs.attempt, kwjobs.event CASCADE');
}
$node->append_conf('postgresql.conf', 'kwjobs.max_workers = 4');
$node->restart;
# A setting that is changed during a coordinator's first pass takes effect in the next one, so wait
# until the first pass is over.
sql(q{CALL kwjobs.run('SELECT 1')}, $_) for 'postgres', 'other';

# ---- limits over the whole server ----

{
	configure($node, 'kwjobs.max_workers_per_role', 2);
	my $here = close_gates($node, 1);
	my $there = $node->background_psql('other');
	$there->query_safe('SELECT pg_advisory_lock(1)');
	submit('mallory', 5, 1);
	wait_at_gates($node, 2, "usename = 'mallory'");
	my ($job) = submit('mallory', 1, 0, 'other');
	my ($bobs) = submit('bob', 1, 0, 'other');
	wait_for_status($node, $bobs, 'succeeded', 'other');
	is(job_field($node, $job, 'status', 'other'), 'pending', 'a role at its limit in one database has no worker in another');

	# when a job ends, it is the turn of the database in which the role has no running job
	sql(q{SELECT kwjobs.cancel((SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'mallory' AND status = 'running' LIMIT 1))});
	wait_for_status($node, $job, 'succeeded', 'other');
	wait_at_gates($node, 2, "usename = 'mallory'");
	is(sql(q{SELECT count(*) FROM kwjobs.job WHERE owner = 'mallory'::regrole AND status = 'succeeded'}), 0,
		'a job of the role in the other database has its turn');
	submit('mallory', 50, 0);
	submit('mallory', 50, 0, 'other');
	$here->quit;
	$there->quit;
	wait_until_over();
	note('jobs of a role at its limit go on in both databases');
	sql('TRUNCATE kwjobs.job, kwjobs.attempt, kwjobs.event CASCADE', $_) for 'postgres', 'other';
}
# Two databases have long queues of jobs of one role, which may run one job: both get on.
{
	configure($node, 'kwjobs.max_workers_per_role', 1);
	sql('CREATE TABLE ran (n serial, at timestamptz DEFAULT clock_timestamp()); GRANT ALL ON ran, ran_n_seq TO PUBLIC', $_)
	  for 'postgres', 'other';
	my $here = close_gates($node, 1);
	submit('mallory', 1, 1);
	wait_at_gates($node, 1, "usename = 'mallory'");
	sql("SET ROLE mallory; SELECT count(kwjobs.submit('INSERT INTO ran SELECT FROM pg_sleep(0.01)')) FROM generate_series(1, 200)", $_)
	  for 'postgres', 'other';
	wait_query($node, q{SELECT count(*) = 200 FROM kwjobs.job WHERE rank IS NOT NULL}, 'other');
	$here->quit;
	wait_until_over();
	my @ranges = map { [ split(/\|/, sql('SELECT extract(epoch FROM min(at)), extract(epoch FROM max(at)) FROM ran', $_)) ] } 'postgres', 'other';
	ok($ranges[0][0] < $ranges[1][1] && $ranges[1][0] < $ranges[0][1],
		'two databases take turns at the limit of a role: neither waits until the queue of the other is empty');
	configure($node, 'kwjobs.max_workers_per_role', 0);
	sql('TRUNCATE kwjobs.job, kwjobs.attempt, kwjobs.event CASCADE', $_) for 'postgres', 'other';
}
{
	configure($node, 'kwjobs.max_workers_per_database', 2);
	my $gates = close_gates($node, 1);
	sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(1)', run_as => r::regrole) FROM unnest(ARRAY['mallory', 'bob']) AS r, generate_series(1, 3)});
	wait_query($node, "SELECT count(*) = 2 $at_gates");
	my ($there) = submit('carol', 1, 0, 'other');
	wait_for_status($node, $there, 'succeeded', 'other');
	is(sql("SELECT count(*) $at_gates"), 2, 'not more jobs of a database run than kwjobs.max_workers_per_database');
	is(sql("SELECT count(DISTINCT usename) $at_gates"), 2, '... and roles share them');
	configure($node, 'kwjobs.max_workers_per_database', 3);
	wait_query($node, "SELECT count(*) = 3 $at_gates");
	configure($node, 'kwjobs.max_workers_per_database', 1);
	submit('carol', 300, 0);
	$gates->quit;
	wait_until_over();
	is(sql(<<'EOF'), 1, 'a lowered limit takes effect, also where workers go on by themselves');
SELECT max((SELECT count(*) FROM kwjobs.attempt AS b WHERE b.started <= a.started AND b.finished > a.started))
  FROM kwjobs.attempt AS a JOIN kwjobs.job USING (job_id) WHERE owner = 'carol'::regrole
EOF
	configure($node, 'kwjobs.max_workers_per_database', 0);
}

# A job waits for another job, in a database that may have only one worker.
{
	configure($node, 'kwjobs.max_workers_per_database', 1);
	my $alone = sql(q{SELECT kwjobs.submit('CALL kwjobs.run(''SELECT 1'')')});
	wait_for_status($node, $alone, 'failed');
	is(job_field($node, $alone, 'error_code'), '55000', 'a job that keeps the only worker of the database is found out');
	configure($node, 'kwjobs.max_workers_per_database', 0);
}

# ---- an upper bound for timeouts ----

{
	my %job;
	configure($node, 'kwjobs.max_timeout', '1s');
	for my $timeout (q{}, q{, timeout => '1 hour'})
	{
		my $job = sql("SELECT kwjobs.submit('SELECT pg_sleep(3600)'$timeout)");
		wait_for_status($node, $job, 'failed');
		is(job_field($node, $job, 'error_code, error, error_hint'),
			'57014|the attempt took longer than kwjobs.max_timeout, 1.000 s|'
			  . 'Split the job, or have an administrator raise kwjobs.max_timeout.',
			"an administrator's bound ends a job" . ($timeout ? ' with a longer timeout' : ' without a timeout'));
	}
	my $shorter = sql(q{SELECT kwjobs.submit('SELECT pg_sleep(3600)', timeout => '100 ms')});
	wait_for_status($node, $shorter, 'failed');
	is(job_field($node, $shorter, 'error'), 'the attempt took longer than the job\'s timeout of 0.100 s', 'a shorter timeout counts');

	# a job that ignores interrupts, and jobs that a worker takes one after the other
	my $traps = sql(q{SELECT kwjobs.submit('DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN END; END LOOP; END $$')});
	wait_for_status($node, $traps, 'failed');
	is(job_field($node, $traps, 'error'), 'the attempt took longer than kwjobs.max_timeout, 1.000 s',
		'one that traps its interrupts ends, too');
	my @chain = split(/\n/, sql(q{SELECT kwjobs.submit(s) FROM unnest(ARRAY['SELECT 1', 'SELECT 2', 'SELECT pg_sleep(3600)', 'SELECT 3', 'SELECT pg_sleep(3600)']) AS s}));
	wait_until_over();
	is(sql("SELECT string_agg(status, ',' ORDER BY job_id) FROM kwjobs.job WHERE job_id IN (" . join(', ', @chain) . ')'),
		'succeeded,succeeded,failed,succeeded,failed', 'so do jobs that a worker takes one after the other');

	# a higher limit applies to attempts that start from now on
	configure($node, 'kwjobs.max_timeout', '1h');
	sql(q{CALL kwjobs.run('SELECT pg_sleep(1.5)')});
	configure($node, 'kwjobs.max_timeout', '1s');
	sql(q{CREATE ROLE admin; GRANT admin TO bob});
	my ($rc, $out, $err) = $node->psql('postgres', q{SET ROLE mallory; SET kwjobs.max_timeout = 0});
	like($err, qr/ERROR:  parameter "kwjobs.max_timeout" cannot be changed now/, 'nobody changes it for a session');
	($rc, $out, $err) = $node->psql('postgres', q{SELECT kwjobs.submit('SELECT 1', settings => '{"kwjobs.max_timeout": "0"}')});
	isnt($rc, 0, '... or for a job');
}
is_consistent($node, $_) for 'postgres', 'other';
$node->stop;
done_testing();
