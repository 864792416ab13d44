# Whatever one role submits or keeps locked, the coordinator's passes stay short: the jobs of another role
# start as if nothing was. KWJ_BOUNDS makes it more (100000 on a quiet machine), and the times are printed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $many = $ENV{KWJ_BOUNDS} || 10000;
my $n_roles = $many / 10;
my $node = new_node('bounds', <<'EOF');
kwjobs.max_workers = 4
max_connections = 50
autovacuum = off
fsync = off
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql('CREATE ROLE bob LOGIN; CREATE ROLE mallory LOGIN');
my $bob = $node->background_psql('postgres');
$bob->query_safe('SET ROLE bob');

# How long it takes a job of bob from its creation to its end, in the middle of several, in seconds.
sub median_time
{
	my @times;
	for (1 .. 9)
	{
		my $began = time();
		$bob->query_safe(q{CALL kwjobs.run('SELECT 1')});
		push @times, time() - $began;
	}
	@times = sort { $a <=> $b } @times;
	note(sprintf('median %.1f ms, longest %.1f ms', 1000 * $times[4], 1000 * $times[-1]));
	return $times[4];
}

median_time();
my $usual = median_time();

# On a machine that has nothing else to do it takes some 10 ms more. What is proportional to what mallory has
# submitted would take seconds.
sub is_served
{
	my ($name) = @_;
	cmp_ok(median_time(), '<', 20 * $usual + 0.3, "bob is served: $name");
	return;
}

# Jobs of mallory, in this status, with other columns and their values.
sub add_jobs_of_mallory
{
	my ($first, $n, $status, $due, $columns, $values) = @_;
	sql(<<"EOF");
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts,
                        payload, created, modified @{[ $columns // '' ]})
SELECT n, 'SQL', 'x', 'mallory'::regrole, 'mallory', '$status', $due, 1,
       '{"statement": "SELECT 1", "settings": {}}', now(), now() @{[ $values // '' ]}
  FROM generate_series($first, $first - 1 + $n) AS n
EOF
	return;
}

# A job that depends on all of them: on as many as it may, and by hand on the others.
sub submit_dependent
{
	my $job = sql("SET ROLE mallory; SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY(SELECT generate_series(1, least($many, 10000))))");
	sql("INSERT INTO kwjobs.dependency (job_id, depends_on) SELECT $job, n FROM generate_series(10001, $many) AS n");
	return $job;
}

sub wake { sql(q{SELECT kwjobs.cancel(kwjobs.submit('SELECT 1', run_at => '2099-01-01'))}); return; }

sub count_of
{
	my ($what) = @_;
	return sql("SELECT count(*) FROM kwjobs.$what");
}

# What mallory had is away, and all that the coordinator had to do with it is done.
sub start_over
{
	sql(<<'EOF');
BEGIN; LOCK TABLE kwjobs.dependency IN SHARE ROW EXCLUSIVE MODE; DELETE FROM kwjobs.dependency; COMMIT;
DELETE FROM kwjobs.untold; DELETE FROM kwjobs.job WHERE active_attempt IS NULL;
DELETE FROM kwjobs.event AS e WHERE NOT EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = e.job_id);
DELETE FROM kwjobs.attempt AS a WHERE NOT EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = a.job_id);
EOF
	sql('VACUUM kwjobs.job, kwjobs.dependency, kwjobs.untold');
	return;
}

# ---- dependencies ----

# One job depends on very many, and another waits for it, so that deadlocks are looked for.
{
	add_jobs_of_mallory(1, $many, 'pending', q{'2099-01-01'});
	my $job = submit_dependent();
	is_served("one of mallory's jobs depends on $many");
	wait_query($node, 'SELECT NOT EXISTS (SELECT FROM kwjobs.dependency WHERE fresh)');
	my $waits = sql("SELECT kwjobs.submit('SHOW JOB WHEN COMPLETE $job')");
	wait_for_status($node, $waits, 'running');
	is_served('... and a job waits for it');
	# with a limit, any of these jobs might be kept out by it
	for my $limit (1, 0)
	{
		sql("ALTER SYSTEM SET kwjobs.max_workers_per_role = $limit");
		sql('SELECT pg_reload_conf()');
		is_served("... with kwjobs.max_workers_per_role = $limit");
	}
	# they are met, one after the other
	sql('UPDATE kwjobs.job SET due = now() WHERE job_id <= 100');
	wake();
	wait_query($node, "SELECT count(*) = $many - 100 FROM kwjobs.dependency");
	# all at once, but for one
	sql("UPDATE kwjobs.dependency SET status = 'succeeded' WHERE depends_on < $many");
	wake();
	is_served('... while they are met');
	wait_query($node, 'SELECT count(*) = 1 FROM kwjobs.dependency');
	sql("UPDATE kwjobs.job SET due = now() WHERE job_id = $many");
	wake();
	wait_for_status($node, $_, 'succeeded') for $job, $waits;
	start_over();
}

# It is canceled, or fails because of one of them.
for my $how ('canceled', 'failed')
{
	add_jobs_of_mallory(1, $many, 'paused', q{'infinity'});
	my $job = submit_dependent();
	wait_query($node, 'SELECT NOT EXISTS (SELECT FROM kwjobs.dependency WHERE fresh)');
	sql($how eq 'canceled' ? "CANCEL JOB $job" : "CANCEL JOB @{[ $many / 2 ]}");
	is_served("a job that depends on $many is $how");
	wait_for_status($node, $job, $how);
	is(count_of('dependency'), 0, '... and depends on nothing any more');
	start_over();
}

# Very many depend on one job, which ends: by the coordinator, by a worker.
for my $status ('canceled', 'succeeded', 'failed')
{
	my $gate = close_gate($node);
	my $statement = 'DO $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); ' . ($status eq 'failed' ? 'RAISE EXCEPTION \'x\'; ' : '') . 'END $$';
	my $job = sql("SET ROLE mallory; SELECT kwjobs.submit(\$x\$$statement\$x\$)");
	wait_at_gate($node, $job);
	add_jobs_of_mallory(1, $many, 'pending', q{'infinity'});
	sql("INSERT INTO kwjobs.dependency (job_id, depends_on) SELECT n, $job FROM generate_series(1, $many) AS n");
	wake();
	is_served("$many jobs depend on one");
	wait_query($node, 'SELECT NOT EXISTS (SELECT FROM kwjobs.dependency WHERE fresh)');
	sql("CANCEL JOB $job") if $status eq 'canceled';
	open_gate($gate);
	is_served("... which has $status");
	my $end = $status eq 'succeeded' ? 'succeeded' : 'failed';
	wait_query($node, "SELECT count(*) = $many FROM kwjobs.job WHERE status = '$end' AND job_id <= $many");
	is(count_of('dependency') + count_of('untold'), 0, '... and all are told');
	start_over();
}

# A chain of them.
{
	add_jobs_of_mallory(1, $many, 'pending', q{'infinity'});
	sql("INSERT INTO kwjobs.dependency (job_id, depends_on) SELECT n, n - 1 FROM generate_series(2, $many) AS n");
	sql("UPDATE kwjobs.job SET due = '2099-01-01' WHERE job_id = 1");
	wake();
	wait_query($node, 'SELECT NOT EXISTS (SELECT FROM kwjobs.dependency WHERE fresh)');
	my $waits = sql("SELECT kwjobs.submit('SHOW JOB WHEN COMPLETE $many')");
	wait_for_status($node, $waits, 'running');
	is_served("a chain of $many jobs, for whose end a job waits");
	sql('CANCEL JOB 1');
	is_served('... fails from its beginning on');
	sql("CANCEL JOB $waits");
	wait_for_status($node, $waits, 'canceled');
	# with the table locked first: the coordinator deletes from it, too, in another order
	sql('BEGIN; LOCK TABLE kwjobs.dependency IN SHARE ROW EXCLUSIVE MODE; DELETE FROM kwjobs.dependency; COMMIT');
	start_over();
}

# ---- rows that are locked ----

# A job on which very many depend: what cannot be looked up is not read again and again.
{
	add_jobs_of_mallory(1, $many + 1, 'pending', q{'infinity'});
	# locked before there are any dependencies: the coordinator looks when it likes
	my $locker = $node->background_psql('postgres');
	$locker->query_safe('BEGIN; PAUSE JOB 1');
	sql("INSERT INTO kwjobs.dependency (job_id, depends_on) SELECT n + 1, 1 FROM generate_series(1, $many) AS n");
	wake();
	is_served("$many jobs depend on one that its owner keeps locked");
	# the coordinator has seen once that it is locked
	wait_query($node, <<'EOF');
SELECT bool_and(wait_event_type IN ('Extension', 'Activity')) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'
EOF
	my $before = index_reads($node, 'dependency');
	median_time() for 1 .. 3;
	my $reads = index_reads($node, 'dependency') - $before;
	cmp_ok($reads, '<', 2 * $many, "few of them are read again while 27 jobs run ($reads)");
	# others' dependencies are seen meanwhile
	my $first = sql(q{SET ROLE bob; SELECT kwjobs.submit('SELECT 1')});
	my $second = sql("SET ROLE bob; SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[$first])");
	wait_for_status($node, $second, 'succeeded');
	is(sql('SELECT count(*) FROM kwjobs.dependency WHERE fresh'), $many, "... and bob's are seen");
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	wait_query($node, 'SELECT NOT EXISTS (SELECT FROM kwjobs.dependency WHERE fresh)');
	start_over();
}

# Jobs that may start, whose time has come, of which something is asked, whose dependencies are met.
{
	add_jobs_of_mallory(1, $many, 'pending', 'now()', ', rank', ', now()');
	my $locker = $node->background_psql('postgres');
	my $last = $many - 3;
	$locker->query_safe("BEGIN; SELECT count(*) FROM (SELECT FROM kwjobs.job WHERE job_id <= $last FOR NO KEY UPDATE) AS l");
	wake();
	is_served("$many jobs may start, nearly all of them locked");
	wait_query($node, "SELECT count(*) = 3 FROM kwjobs.job WHERE status = 'succeeded' AND job_id BETWEEN $last + 1 AND $many");
	is(sql("SELECT count(*) FROM kwjobs.job WHERE status = 'succeeded' AND job_id <= $last"), 0, '... those that are not have run');
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	wake();
	is_served('... while they run');
	sql("CANCEL JOBS (SELECT generate_series(1, $many))");
	wait_query($node, "SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL AND job_id <= $many");
	start_over();
}
{
	add_jobs_of_mallory(1, $many, 'pending', q{now() + interval '2 s'});
	add_jobs_of_mallory($many + 1, $many, 'paused', q{'infinity'});
	add_jobs_of_mallory(2 * $many + 1, $many, 'pending', q{'infinity'});
	sql(<<"EOF");
INSERT INTO kwjobs.dependency (job_id, depends_on, status, fresh)
SELECT n, 1, 'succeeded', false FROM generate_series(2 * $many + 1, 3 * $many) AS n;
UPDATE kwjobs.job SET status = 'cancel-requested' WHERE status = 'paused'
EOF
	my $locker = $node->background_psql('postgres');
	$locker->query_safe("BEGIN; SELECT count(*) FROM (SELECT FROM kwjobs.job WHERE job_id <= 3 * $many FOR NO KEY UPDATE) AS l");
	sql('SELECT pg_sleep(2)');
	wake();
	is_served("$many jobs each are due, canceled, and could go on, all of them locked");
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	wake();
	is_served('... while all that is done');
	wait_query($node, "SELECT count(*) = $many FROM kwjobs.job WHERE status = 'canceled' AND job_id BETWEEN $many + 1 AND 2 * $many");
	wait_query($node, "SELECT count(*) = 0 FROM kwjobs.dependency");
	sql(q{CANCEL JOBS (SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'mallory')});
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	start_over();
}

# ---- very many at once ----

{
	add_jobs_of_mallory(1, $many, 'pending', q{now() + interval '1 s'}, ', key', q{, 'key ' || n});
	wake();
	sql('SELECT pg_sleep(1)');
	is_served("$many jobs with a key are due at the same moment");
	sql(q{PAUSE JOBS (SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'mallory')});
	is_served('... are paused by one statement');
	wait_query($node, q{SELECT count(*) = 0 FROM kwjobs.job WHERE status NOT IN ('paused', 'succeeded', 'canceled')});
	sql(q{RESUME JOBS (SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'mallory')});
	is_served('... resumed by one statement');
	sql(q{CANCEL JOBS (SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'mallory')});
	is_served('... and canceled by one statement');
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	start_over();
}

# ---- very many roles ----

# Of their jobs few are locked, and the most urgent one comes first.
{
	sql(<<"EOF");
DO \$\$ BEGIN FOR i IN 1 .. $n_roles LOOP EXECUTE format('CREATE ROLE role%s LOGIN', i); END LOOP; END \$\$
EOF
	my $gate = close_gate($node);
	my @busy = map { sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')}) } 1 .. 4;
	wait_at_gate($node, $_) for @busy;
	# The most urgent job is in the last role that a search comes to. The coordinator sees all jobs with
	# their ranks at once.
	my $last = sql("SELECT 10 * n + 1 FROM generate_series(1, $n_roles) AS n ORDER BY ('role' || n)::regrole::oid DESC LIMIT 1");
	sql(<<"EOF");
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, rank, max_attempts,
                        payload, created, modified)
SELECT id, 'SQL', 'x', ('role' || n)::regrole, 'role' || n, 'pending', now(),
       CASE id WHEN $last THEN '2000-01-01' ELSE now() + n * interval '1 ms' END, 1,
       '{"statement": "SELECT 1", "settings": {}}', now(), now()
  FROM generate_series(1, $n_roles) AS n, generate_series(1, 5) AS k, LATERAL (SELECT 10 * n + k AS id) AS job
EOF
	wake();
	wait_query($node, "SELECT xmax::text <> '0' FROM kwjobs.job WHERE job_id = $last");
	# another two passes
	wake() for 1 .. 2;
	my $locked = sql(q{SELECT count(*) FROM kwjobs.job WHERE xmax::text <> '0' AND rank IS NOT NULL});
	cmp_ok($locked, '<', 400, "of the jobs of $n_roles roles, few are locked while all workers are busy ($locked)");
	# one worker comes free
	sql("CANCEL JOB $busy[0]");
	wait_for_status($node, $last, 'succeeded');
	cmp_ok(sql("SELECT count(*) FROM kwjobs.job WHERE job_id < 100000000 AND finished < (SELECT finished FROM kwjobs.job WHERE job_id = $last)"),
		'<', 10, 'the most urgent job comes first');
	open_gate($gate);
	wait_query($node, "SELECT count(DISTINCT owner) > 50 FROM kwjobs.job WHERE job_id < 100000000 AND status = 'succeeded'");
	sql(q{CANCEL JOBS (SELECT job_id FROM kwdb_internal.jobs WHERE user_name LIKE 'role%')});
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	start_over();
}

# Their jobs may not run: a role with one that may is found behind all of them.
{
	sql('ALTER SYSTEM SET kwjobs.max_workers_per_type = \'IMPORT = 1\'');
	sql('SELECT pg_reload_conf()');
	my $csv = write_csv($node, 100);
	make_target($node, 'target', 50);
	my $gate = close_gate($node);
	my $import = start_import($node, 'target', $csv);
	wait_at_gate($node, $import);
	sql(<<"EOF");
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, rank, max_attempts,
                        payload, created, modified)
SELECT n, 'IMPORT', 'x', ('role' || n)::regrole, 'role' || n, 'pending', now(), '2000-01-01', 1, '{}', now(), now()
  FROM generate_series(1, $n_roles) AS n
EOF
	wake();
	is_served("$n_roles roles have more urgent jobs, which may not run because of a limit");
	sql("CANCEL JOBS (SELECT generate_series(1, $n_roles))");
	open_gate($gate);
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
}

# They have no jobs any more, but a session has an old snapshot, for which the index keeps the
# entries. The worker takes its jobs by itself all the same: one transaction for each.
{
	my $old = $node->background_psql('postgres');
	$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$old->query_safe('SELECT 1');
	sql(<<"EOF");
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, rank, max_attempts,
                        payload, created, modified)
SELECT 300000000 + 2 * n + k, type, 'x', ('role' || n)::regrole, 'role' || n, 'pending', now(), now(), 1, '{}', now(), now()
  FROM generate_series(1, $n_roles) AS n, (VALUES (0, 'SQL'), (1, 'IMPORT')) AS types (k, type);
DELETE FROM kwjobs.job WHERE user_name LIKE 'role%' AND finished IS NULL
EOF
	configure($node, 'kwjobs.max_workers', 1);
	my $before = sql('SELECT pg_current_xact_id()');
	sql(q{SELECT count(kwjobs.submit('SELECT 1')) FROM generate_series(1, 500)});
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	cmp_ok(sql('SELECT pg_current_xact_id()') - $before, '<', 750,
		"beside entries of past jobs of $n_roles roles, a worker goes on by itself");
	$old->quit;
}
is_consistent($node);
$bob->quit;
$node->stop;
done_testing();
