# Jobs that wait for other jobs. If such jobs keep all workers, one of them makes way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $workers = 3;
my $node = new_node('waits', <<"EOT");
kwjobs.max_workers = $workers
max_worker_processes = 16
# a worker that stays idle must not hide that all other workers are stuck
kwjobs.worker_idle_timeout = 1h
autovacuum = off
EOT
my $objects = <<'EOT';
CREATE ROLE role1 LOGIN;
CREATE TABLE ran (job bigint, tag text);
GRANT ALL ON ran TO PUBLIC;
CREATE FUNCTION note(tag text, gate integer DEFAULT 0) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(gate);
    INSERT INTO ran VALUES (kwjobs.current_job(), tag);
END $$;
-- waits for a job of its own; gate: before that
CREATE PROCEDURE wait_for_child(tag text, gate integer DEFAULT 0) LANGUAGE plpgsql AS $$
DECLARE
    child bigint;
    status text;
    rows bigint;
    tags text[];
    result jsonb;
BEGIN
    PERFORM pg_advisory_lock_shared(gate);
    CALL kwjobs.run(format('SELECT note(%L)', 'child of ' || tag), key => 'child of ' || tag,
                    job_id => child, status => status, rows => rows, tags => tags,
                    result => result);
    PERFORM note(tag);
END $$;
EOT
$node->safe_psql('postgres', $objects);

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub submit
{
	my ($statement, $more) = @_;
	return sql("SELECT kwjobs.submit(\$\$$statement\$\$" . ($more ? ", $more" : '') . ')');
}

sub wait_until_over
{
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	return;
}

# Returns how many attempts ended with this error.
sub errors
{
	my ($sqlstate) = @_;
	return sql("SELECT count(*) FROM kwdb_internal.job_attempts WHERE error_code = '$sqlstate'");
}

# As many jobs as there are workers wait for jobs at the same time, so no other job can start.
{
	my $gate = close_gates($node, 1);
	submit("CALL wait_for_child('$_', 1)") for 1 .. $workers;
	wait_at_gates($node, $workers);
	$gate->quit;
	wait_until_over();
	is(sql("SELECT string_agg(DISTINCT status, ' ') FROM kwjobs.job"), 'succeeded', 'all workers wait: all jobs succeed in the end');
	is(sql("SELECT string_agg(tag, ' ' ORDER BY tag) FROM ran WHERE tag !~ 'child'"), '1 2 3', '... each once');
	is(sql("SELECT count(DISTINCT tag) FROM ran WHERE tag ~ 'child'"), $workers, '... and all that they waited for');
	cmp_ok(errors('40P01'), '>=', 1, '... as one of those that waited made way');
	cmp_ok(errors('40P01'), '<', 2 * $workers, '... and not many');
	like(sql("SELECT DISTINCT error || ' / ' || error_detail || ' / ' || error_hint FROM kwdb_internal.job_attempts WHERE error_code = '40P01' LIMIT 1"),
		qr{^deadlock detected while waiting for job \d+ / It is held up by jobs that wait for jobs, this one among them\. / Submit jobs with depends_on}, 'what it says');
}

sub start_over
{
	sql('DELETE FROM kwjobs.attempt; DELETE FROM kwjobs.event; DELETE FROM kwjobs.job; TRUNCATE ran');
	return;
}

# As long as one worker runs a job that does not wait, no job makes way.
{
	start_over();
	my $gate = close_gates($node, 2);
	my $gate_of_waiting = close_gates($node, 3);
	submit("SELECT note('other', 2)");
	submit("CALL wait_for_child('$_', 3)") for 4 .. 5;
	wait_at_gates($node, 3);
	$gate_of_waiting->quit;
	wait_query($node, "SELECT count(*) = 2 FROM kwdb_internal.jobs WHERE status = 'pending'");
	wait_for_pass($node);
	is(errors('40P01') + errors('55000'), 0, 'somebody works: all others wait');
	$gate->quit;
	wait_until_over();
	is(sql("SELECT string_agg(DISTINCT status, ' ') FROM kwjobs.job WHERE description !~ '^SELECT 1\$'"), 'succeeded', '... and go on afterwards');
	is(errors('40P01') + errors('55000'), 0, '... without an error');
}

# No job makes way for a job that could not start, anyway.
{
	start_over();
	my $gate = close_gates($node, 7);
	submit("SELECT note('busy $_', 7)") for 1 .. $workers;
	wait_at_gates($node, $workers);
	my $paused = submit("SELECT note('paused')");
	sql("PAUSE JOB $paused");
	wait_for_status($node, $paused, 'paused');
	$gate->quit;
	my @waiting = map { submit("SHOW JOB WHEN COMPLETE $paused") } 1 .. $workers;
	wait_for_status($node, $_, 'running') for @waiting;
	wait_for_pass($node);
	is(errors('40P01') + errors('55000'), 0, 'all wait for a paused job: nobody makes way');
	sql("RESUME JOB $paused");
	wait_until_over();
	is(sql("SELECT string_agg(DISTINCT status, ' ') FROM kwjobs.job WHERE description !~ '^SELECT 1\$'"), 'succeeded', '... until it is resumed');
	is(errors('40P01'), 1, '... then one does');
}

# No job makes way for a job whose role cannot have a worker.
{
	start_over();
	sql('CREATE ROLE refused LOGIN');
	my $gate = close_gates($node, 8);
	# the jobs are of two roles, because one role alone would leave a worker for other roles
	submit("SELECT note('busy $_', 8)", $_ == 1 ? "run_as => 'role1'" : undef) for 1 .. $workers;
	wait_at_gates($node, $workers);
	my $refused = submit("SELECT note('refused')", "run_as => 'refused'");
	sql('ALTER ROLE refused NOLOGIN');
	$gate->quit;
	my @waiting = map { submit("SHOW JOB WHEN COMPLETE $refused") } 1 .. $workers;
	wait_for_status($node, $_, 'running') for @waiting;
	wait_for_pass($node);
	is(errors('40P01') + errors('55000'), 0, 'all wait for a job of a role that may not log in: nobody makes way');
	sql('ALTER ROLE refused LOGIN');
	wait_until_over();
	is(sql("SELECT string_agg(DISTINCT status, ' ') FROM kwjobs.job WHERE description !~ '^SELECT 1\$'"), 'succeeded', '... until it may');
}

# Each worker has a job that waits for its child. The job that began last makes way, and the
# coordinator puts the children of the other jobs first. It cannot move the child of 1 here, but
# still moves that of 2.
{
	start_over();
	sql(<<'EOT');
CREATE TABLE put_first (what text);
CREATE FUNCTION watch_rank() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.description ~ 'child of 1' THEN
        RAISE EXCEPTION 'this one stays where it is';
    END IF;
    INSERT INTO public.put_first VALUES (NEW.description);
    RETURN NEW;
END $$;
CREATE TRIGGER watch BEFORE UPDATE ON kwjobs.job FOR EACH ROW WHEN (NEW.rank = '-infinity' AND OLD.rank > '-infinity')
    EXECUTE FUNCTION watch_rank();
EOT
	my $gate = close_gates($node, 1);
	for my $n (1 .. $workers)
	{
		submit("CALL wait_for_child('$n', 1)");
		wait_at_gates($node, $n);
	}
	$gate->quit;
	wait_until_over();
	is(sql(q{SELECT count(*) FROM put_first WHERE what ~ 'child of 2'}), 1, 'a job that cannot be put first keeps no other from it');
	sql('DROP TRIGGER watch ON kwjobs.job; DROP FUNCTION watch_rank(); DROP TABLE put_first');
}

# All jobs wait for a job of another role. No job makes way, because that one may use the kept slot.
# It cannot start for the moment, because a session has its row locked.
{
	start_over();
	my $locker = $node->background_psql('postgres');
	my $needed = submit("SELECT note('needed')", "run_as => 'role1', run_at => now() + interval '1 day'");
	my @waiting = map { submit("SHOW JOB WHEN COMPLETE $needed") } 1 .. $workers;
	wait_for_status($node, $_, 'running') for @waiting;
	$locker->query_safe("UPDATE kwjobs.job SET due = now() WHERE job_id = $needed");
	$locker->query_safe("BEGIN; SELECT FROM kwjobs.job WHERE job_id = $needed FOR UPDATE");
	wait_for_pass($node);
	is(errors('40P01') + errors('55000'), 0, 'all wait for a job that may use the kept slot: nobody makes way');
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	wait_for_pass($node);
	wait_until_over();
	is(sql("SELECT string_agg(DISTINCT status, ' ') FROM kwjobs.job WHERE description !~ '^SELECT 1\$'"), 'succeeded', '... and it gets it');
	is(errors('40P01') + errors('55000'), 0, '... without an error');
}

# A job waits for one that depends on others in very many ways. The coordinator, which looks for the
# jobs that must run first, reads each dependency once.
{
	start_over();
	my ($one, $two) = split(/\|/, sql(<<'EOT'));
CREATE FUNCTION submit_layers(layers integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    first bigint := kwjobs.submit('SELECT 1', run_at => now() + interval '1 day');
    last bigint[] := ARRAY[first];
BEGIN
    FOR i IN 1 .. layers LOOP
        last := ARRAY[kwjobs.submit('SELECT 1', depends_on => last), kwjobs.submit('SELECT 1', depends_on => last)];
    END LOOP;
    RETURN ARRAY[first, last[1]];
END $$;
SELECT a[1], a[2] FROM submit_layers(17) AS a
EOT
	wait_query($node, 'SELECT NOT EXISTS (SELECT FROM kwjobs.dependency WHERE fresh)');
	my $before = index_reads($node, 'dependency');
	my $waiting = submit("SHOW JOB WHEN COMPLETE $two");
	wait_for_status($node, $waiting, 'running');
	wait_for_pass($node);
	cmp_ok(index_reads($node, 'dependency') - $before, '<', 20000, 'of 66 dependencies, which make 65536 ways, each is read once');
	sql("CANCEL JOB $one");
	wait_until_over();
}

# A job waits for a job that depends on it.
{
	start_over();
	sql(<<'EOT');
CREATE PROCEDURE wait_for_dependent() LANGUAGE plpgsql AS $$
DECLARE
    job bigint := kwjobs.submit('SELECT note(''dependent'')', depends_on => ARRAY[kwjobs.current_job()]);
BEGIN
    COMMIT;
    EXECUTE format('SHOW JOB WHEN COMPLETE %s', job);
END $$;
EOT
	my $job = submit('CALL wait_for_dependent()', 'max_attempts => 1');
	wait_until_over();
	is(sql("SELECT status || ' ' || error_code FROM kwdb_internal.jobs WHERE job_id = $job"), 'failed 40P01', 'a job that waits for one that depends on it');
	is(sql("SELECT string_agg(status, ' ') FROM kwdb_internal.jobs WHERE job_id <> $job"), 'failed', '... and that one fails with it');
}

# All workers wait for a job that depends on another job, which cannot start, either.
{
	start_over();
	my $gate = close_gates($node, 3);
	my @first = map { submit("SELECT note('first $_', 3)") } 1 .. $workers;
	wait_at_gates($node, $workers);
	my $needed = submit("SELECT note('needed')", 'priority => -100');
	my $last = submit("SELECT note('last')", "depends_on => ARRAY[$needed]");
	my @waiting = map { submit("SHOW JOB WHEN COMPLETE $last") } 1 .. $workers;
	$gate->quit;
	wait_until_over();
	is(sql("SELECT string_agg(DISTINCT status, ' ') FROM kwjobs.job"), 'succeeded', 'waits for a job that depends on one without a worker');
	cmp_ok(errors('40P01'), '>=', 1, '... one makes way');
}

# Two jobs wait for each other.
{
	start_over();
	sql(<<'EOT');
CREATE TABLE pair (job bigint, waits_for bigint);
CREATE PROCEDURE wait_for_other() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_lock_shared(4);
    EXECUTE format('SHOW JOB WHEN COMPLETE %s', (SELECT waits_for FROM pair WHERE job = kwjobs.current_job()));
END $$;
EOT
	my $gate = close_gates($node, 4);
	my ($one, $two) = map { submit('CALL wait_for_other()', 'max_attempts => 2') } 1 .. 2;
	sql("INSERT INTO pair VALUES ($one, $two), ($two, $one)");
	$gate->quit;
	wait_until_over();
	is(sql("SELECT string_agg(status, ' ' ORDER BY status) FROM kwjobs.job"), 'failed succeeded', 'two wait for each other: one gives up, the other goes on');
	is(errors('40P01'), 3, '... after all its attempts, as they take turns in making way');
	is(sql("SELECT count(*) FROM kwjobs.job WHERE error_code = '40P01'"), 1, '... and says why');
}

# At a limit of a role or type, jobs that share the limit keep each other from going on.
for my $limit ([ 'kwjobs.max_workers_per_role', '2', '0' ], [ 'kwjobs.max_workers_per_type', 'SQL = 2', '' ])
{
	start_over();
	my ($name, $value, $default) = @$limit;
	configure($node, $name, $value);
	my $gate = close_gates($node, 5);
	submit("CALL wait_for_child('$_', 5)", "run_as => 'role1'") for 6 .. 7;
	wait_at_gates($node, 2);
	$gate->quit;
	wait_until_over();
	is(sql("SELECT string_agg(DISTINCT status, ' ') FROM kwjobs.job"), 'succeeded', "$name: all succeed");
	cmp_ok(errors('40P01'), '>=', 1, '... as one made way');
	configure($node, $name, $default);
}

# A job that could never go on is not tried again. The job that it waited for runs.
{
	start_over();
	configure($node, 'kwjobs.max_workers_per_role', '1');
	my $job = submit("CALL wait_for_child('alone')", "run_as => 'role1', on_failure => 'pause'");
	wait_for_status($node, $job, 'paused');
	wait_query($node, "SELECT count(*) = 1 FROM ran WHERE tag = 'child of alone'");
	is(sql("SELECT a.error_code || ' ' || regexp_replace(a.error, '\\d+', 'N') || ' / ' || a.error_detail FROM kwdb_internal.job_attempts AS a WHERE a.job_id = $job"),
		'55000 job N cannot get a worker while this job waits for it / This job keeps the only worker that it could get.',
		'a job that keeps the only worker');
	sql("CANCEL JOB $job");
	wait_until_over();
	configure($node, 'kwjobs.max_workers_per_role', '0');
}

# A session may wait as long as it likes, although a job may not. A job may catch the error.
{
	start_over();
	configure($node, 'kwjobs.max_workers_per_role', '1');
	sql(<<'EOT');
CREATE PROCEDURE try_to_wait(job bigint) LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE format('SHOW JOB WHEN COMPLETE %s', job);
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        PERFORM note('caught');
    END;
    -- a wait of its own, which can end: that one is over
    EXECUTE format('SHOW JOB WHEN COMPLETE %s', (SELECT min(job_id) FROM kwdb_internal.jobs));
    PERFORM note('went on');
END $$;
CREATE ROLE admin;
GRANT admin TO role1;
EOT
	my $over = submit("SELECT note('over')", "run_as => 'role1'");
	wait_for_status($node, $over, 'succeeded');
	my $gate = close_gates($node, 6);
	my $first = submit("SELECT note('first', 6)", "run_as => 'role1'");
	wait_at_gates($node, 1);
	my $later = submit("SELECT note('later')", "run_as => 'role1', priority => -100");
	my $job = submit("CALL try_to_wait($later)", "run_as => 'role1'");
	my $session = $node->background_psql('postgres');
	$session->query_until(qr/begun/, "\\echo begun\nSHOW JOB WHEN COMPLETE $later;\n");
	$gate->quit;
	$session->query('');
	$session->quit;
	wait_until_over();
	is(sql("SELECT string_agg(tag, ' ') FROM ran"), 'over first caught went on later', 'a job that catches the error goes on');
	configure($node, 'kwjobs.max_workers_per_role', '0');
}
{
	start_over();
	is_queue_worked_off($node, 40, 'a long queue');
}
is_consistent($node);
$node->stop;

# Many jobs wait for jobs that stand behind all of them in the queue.
sub is_queue_worked_off
{
	my ($on, $n, $name) = @_;
	$on->safe_psql('postgres', "SELECT count(kwjobs.submit(format('CALL wait_for_child(%L)', n))) FROM generate_series(1, $n) AS n");
	wait_query($on, "SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL");
	is($on->safe_psql('postgres', "SELECT string_agg(DISTINCT status, ' ') FROM kwjobs.job"), 'succeeded', "$name: all succeed");
	my $made_way = $on->safe_psql('postgres', "SELECT count(*) FROM kwdb_internal.job_attempts WHERE error_code = '40P01'");
	cmp_ok($made_way, '>=', 1, '... as some made way');
	cmp_ok($made_way, '<', $n, '... but not all, as what the others wait for comes first');
	is($on->safe_psql('postgres', "SELECT count(*), count(DISTINCT tag) FROM ran WHERE tag !~ 'child'"), "$n|$n", '... each once');
	return;
}

# The waiting jobs keep all background worker slots of the server.
my $small = new_node('few_slots', <<"EOT");
kwjobs.max_workers = 8
max_worker_processes = 5
max_logical_replication_workers = 0
autovacuum = off
EOT
$small->safe_psql('postgres', $objects);
is_queue_worked_off($small, 6, 'no background worker slot');
$small->stop;

done_testing();
