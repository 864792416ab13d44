# Why a job does not run: SHOW JOBS says it of each that waits, and so do sessions that wait.

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

# By the statement, as most look at it.
sub reason
{
	my ($job, $db) = @_;
	return sql("SELECT status || '|' || coalesce(running_status, '-') FROM [SHOW JOB $job]", $db);
}

sub waits_because
{
	my ($job, $why, $name, $db) = @_;
	# it may take a moment until what holds it up does
	becomes_true($node, "SELECT running_status = \$why\$$why\$why\$ FROM kwdb_internal.jobs WHERE job_id = $job", $db);
	return is(reason($job, $db), "pending|$why", $name);
}

# Waits until the session gets a message that matches. Returns false if none does in the usual time.
sub hears
{
	my ($session, $message) = @_;
	return eval { pump_until($session->{run}, $session->{timeout}, \$session->{stderr}, $message) };
}

# What a session is told that waits for a new job.
sub is_told
{
	my ($statement, $why, $name, $db) = @_;
	my $session = $node->background_psql($db // 'postgres', on_error_stop => 0);
	$session->query_safe("SET kwjobs.progress_interval = '200ms'; SET timezone = 'UTC'");
	$session->query_until(qr/waiting_now/, "\\echo waiting_now\n$statement\n");
	ok(hears($session, $why), $name) or diag($session->{stderr});
	sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL kwjobs.run%' OR query LIKE 'IMPORT%' OR query LIKE 'SHOW JOB WHEN%'});
	$session->quit;
	return;
}

# ---- one that waits for its time, for others, for a worker ----

$node = new_node('reasons', "kwjobs.max_workers = 2\nautovacuum = off\n", extra => ['--no-locale', '--encoding=UTF8']);
sql('CREATE ROLE one LOGIN; CREATE ROLE two LOGIN');
{
	my $later = sql(q{SELECT kwjobs.submit('SELECT 1', run_at => '2099-01-02 03:04:05 UTC')});
	is(reason($later), 'pending|due at 2099-01-02 03:04:05+00', 'a job of later: when');
	my $after = sql("SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[$later])");
	is(reason($after), "pending|waiting for job $later", 'a job that depends on another: on which');
	my $both = sql("SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[$later, $after])");
	is(reason($both), "pending|waiting for job $later and others", '... on several');
	is_told(q{CALL kwjobs.run('SELECT 1', run_at => '2099-01-02 03:04:05 UTC');}, qr/does not run: due at 2099-01-02 03:04:05\+00/,
		'a session that waits is told when the job is due');
	is_told("CALL kwjobs.run('SELECT 1', depends_on => ARRAY[$later]);", qr/does not run: waiting for job $later$/m,
		'... and for which job it waits');
	sql("SELECT kwjobs.pause($both)");
	wait_for_status($node, $both, 'paused');
	is(reason($both), 'paused|paused by postgres', 'one that is paused: by whom');
	is_told("SHOW JOB WHEN COMPLETE $both;", qr/NOTICE:  job $both does not run: paused by postgres\nHINT:  SELECT kwjobs.why\($both\) says what to do/,
		'... as a session is told that waits for it');
	sql("SELECT kwjobs.resume($both)");
	is(reason($both), "pending|waiting for job $later and others", '... until it is resumed');

	# The reason changes many times, and each session is told once in its kwjobs.progress_interval.
	my $gate = close_gate($node);
	my $first = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)', serial_key => 'k')});
	wait_at_gate($node, $first);
	my $second = sql(q{SELECT kwjobs.submit('SELECT 1', serial_key => 'k')});
	my @sessions = map { $node->background_psql('postgres', on_error_stop => 0) } 1, 2;
	$sessions[$_]->query_safe('SET kwjobs.progress_interval = ' . ($_ == 0 ? "'1h'" : "'100ms'")) for 0, 1;
	$_->query_until(qr/waiting_now/, "\\echo waiting_now\nSHOW JOB WHEN COMPLETE $second;\n") for @sessions;
	ok(hears($_, qr/does not run: waiting for job $first/), 'a session that waits is told why') for @sessions;
	my $waited = $sessions[0]->{stderr};
	for (1 .. 20)
	{
		sql("SELECT kwjobs.pause($second)");
		sql("SELECT kwjobs.resume($second)");
	}
	sql("SELECT kwjobs.pause($second)");
	ok(hears($sessions[1], qr/does not run: paused by postgres\n/), '... and told when the reason changes');
	sql("SELECT kwjobs.resume($second)");
	open_gate($gate);
	$_->quit for @sessions;
	is($sessions[0]->{stderr}, $waited, '... once in an interval');

	my $fails = sql(q{SELECT kwjobs.submit('DO $$ BEGIN RAISE EXCEPTION ''x''; END $$', on_failure => 'retry', retry_initial_delay => '1 hour')});
	wait_query($node, "SELECT total_num_of_fail = 2 AND status = 'pending' FROM kwdb_internal.jobs WHERE job_id = $fails");
	like(reason($fails), qr/^pending\|retry at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00$/, 'one that has failed: when it is tried again');
	is(sql("SELECT running_status = 'retry at ' || due FROM kwdb_internal.jobs WHERE job_id = $fails"), 't', '... which is when it is due');
	sql("SELECT kwjobs.cancel(job_id) FROM kwdb_internal.jobs WHERE finished IS NULL");
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
}
{
	my $gate = close_gate($node);
	sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)', run_as => r::regrole) FROM unnest(ARRAY['one', 'two']) AS r});
	wait_query($node, q{SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted});
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1')});
	waits_because($job, 'waiting for a worker (2 of 2 run jobs)', 'all workers have jobs');
	my $second = sql(q{SELECT kwjobs.submit('SELECT 1')});
	like(sql("SELECT kwjobs.why($second)"), qr/^1 job of its role and type is to start before it\.$/m, '... and how many jobs come before it');
	sql("SELECT kwjobs.cancel($second)");
	is_told(q{CALL kwjobs.run('SELECT 1');}, qr/does not run: waiting for a worker \(2 of 2 run jobs\)/, '... as a session is told that waits');

	# 20000 of them, in a moment, and nothing is written for it
	sql(q{SELECT count(kwjobs.submit('SELECT 1', run_as => r::regrole)) FROM generate_series(1, 10000), unnest(ARRAY['one', 'two']) AS r});
	wait_query($node, 'SELECT count(*) = 20002 FROM kwjobs.job WHERE rank IS NOT NULL');
	# the coordinator reports what it has written before it sleeps
	wait_query($node, q{SELECT bool_and(wait_event_type = 'Extension') FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'});
	my $before = sql('SELECT n_tup_upd FROM pg_stat_all_tables WHERE relid = $$kwjobs.job$$::regclass');
	is(sql(q{SELECT count(*) FROM kwdb_internal.jobs WHERE status = 'pending' AND running_status = 'waiting for a worker (2 of 2 run jobs)'}),
		20002, 'all jobs that wait say so');
	is(sql('SELECT n_tup_upd FROM pg_stat_all_tables WHERE relid = $$kwjobs.job$$::regclass'), $before, '... without a change of any row');
	my $seconds = sub {
		my ($column) = @_;
		return sql(<<"EOF");
SELECT (regexp_match(string_agg(l, ' '), 'Execution Time: ([0-9.]+)'))[1] FROM unnest(string_to_array(explain_of(\$q\$SELECT count($column) FROM kwdb_internal.jobs\$q\$), E'\\n')) AS l
EOF
	};
	sql(<<'EOF');
CREATE FUNCTION explain_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; result text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ANALYZE ' || query LOOP result := result || line || E'\n'; END LOOP;
    RETURN result;
END $$;
EOF
	is_once(sub { $seconds->('running_status') < 10 * $seconds->('status') + 50 ? 't' : 'f' }, 't', 'to ask why costs little');
	sql('TRUNCATE kwjobs.job, kwjobs.attempt, kwjobs.event CASCADE');
	$gate->quit;
	wait_query($node, q{SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'});
}

# ---- limits ----

for my $limit (
	[ 'kwjobs.max_workers_per_role', 1, 'waiting for a worker (its role runs 1 of 1, kwjobs.max_workers_per_role)' ],
	[ 'kwjobs.max_workers_per_database', 1, 'waiting for a worker (this database runs 1 of 1, kwjobs.max_workers_per_database)' ],
	[ 'kwjobs.max_workers_per_type', 'SQL = 1', 'waiting for a worker (1 of 1 jobs of type SQL run, kwjobs.max_workers_per_type)' ])
{
	my ($name, $value, $why) = @$limit;
	configure($node, $name, $value);
	my $gate = close_gate($node);
	my $first = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')});
	wait_at_gate($node, $first);
	my $second = sql(q{SELECT kwjobs.submit('SELECT 1')});
	waits_because($second, $why, "the limit of $name");
	like(sql("SELECT kwjobs.why($second)"), qr/no worker has it: \Q$why\E\.\nTo see what runs, .* raise $name with ALTER SYSTEM/s, '... and what to do');
	is_told(q{CALL kwjobs.run('SELECT 1');}, qr/does not run: \Q$why\E/, '... as a session is told that waits');
	open_gate($gate);
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	sql("ALTER SYSTEM RESET $name");
	sql('SELECT pg_reload_conf()');
}

# ---- no coordinator ----

# All that may be there work elsewhere; a lock is in the way of the one that is here.
{
	sql('ALTER SYSTEM SET kwjobs.max_databases = 1');
	sql('CREATE DATABASE other');
	sql('CREATE EXTENSION kwjobs', 'other');
	$node->restart;
	my $locker = $node->background_psql('other');
	$locker->query_safe('BEGIN; LOCK TABLE kwjobs.job IN ACCESS EXCLUSIVE MODE');
	sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'});
	is_told(q{CALL kwjobs.run('SELECT pg_advisory_lock(1), pg_sleep(3600)');}, qr/(running|pending): 0 %/, 'the other database is served all the same');
	$locker->query_safe('COMMIT');
	$locker->quit;
	sql(q{SELECT kwjobs.cancel(job_id) FROM kwdb_internal.jobs WHERE finished IS NULL});
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	sql('ALTER SYSTEM RESET kwjobs.max_databases');
	$node->restart;

	# a lock keeps a coordinator in its first pass; what SHOW JOBS reads is free
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow')});
	$locker = $node->background_psql('postgres');
	$locker->query_safe('BEGIN; LOCK TABLE kwjobs.home IN ACCESS EXCLUSIVE MODE');
	sql(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'});
	sql("UPDATE kwjobs.job SET due = now(), run_at = NULL WHERE job_id = $job");
	my $why = 'waiting for the coordinator \(PID \d+\), which waits for a lock on the tables of kwjobs that process \d+ has';
	wait_query($node, "SELECT running_status ~ '^$why\$' FROM kwdb_internal.jobs WHERE job_id = $job");
	like(reason($job), qr/^pending\|$why$/, 'a lock is in the way of the coordinator');
	like(sql("SELECT kwjobs.why($job)"), qr/$why\.\nTo see what process (\d+) does, .*; to end it, SELECT pg_terminate_backend\(\1\)\.$/, '... and how to end that');
	$locker->query_safe('COMMIT');
	$locker->quit;
	wait_for_status($node, $job, 'succeeded');
}

# ---- it runs, and waits for a lock ----

{
	sql('CREATE TABLE locked (n integer)');
	my $locker = $node->background_psql('postgres');
	my $pid = $locker->query_safe('BEGIN; LOCK TABLE locked; SELECT pg_backend_pid()') =~ s/\D//gr;
	my $job = sql(q{SELECT kwjobs.submit('SELECT count(*) FROM locked')});
	wait_query($node, q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'locked'::regclass AND NOT granted});
	my $worker = sql("SELECT pid FROM kwdb_internal.jobs WHERE job_id = $job");
	like(sql("SELECT kwjobs.why($job)"),
		qr/^Job $job \(SQL\) is running\.\nProcess $worker has worked on it since .*\.\nProcess $worker waits for a lock that process $pid has\.\n.*; to end it, SELECT pg_terminate_backend\($pid\)\.$/,
		'a job that waits for a lock: who has it');
	sql("SELECT kwjobs.cancel($job, 'enough')");
	wait_for_status($node, $job, 'canceled');
	$locker->query_safe('COMMIT');
	$locker->quit;
}
$node->stop;

# ---- no background worker slots ----

for my $slots (1, 2)
{
	$node = new_node("slots$slots", <<"EOF", extra => ['--no-locale', '--encoding=UTF8']);
max_worker_processes = $slots
kwjobs.max_workers = 1
EOF
	my $csv = write_csv($node, 10);
	sql('CREATE TABLE target (n integer, t text)');
	my $why = $slots == 1 ? 'waiting for the launcher of kwjobs, which does not run (max_worker_processes is 1)' :
	  'waiting for a coordinator: no background worker slot is free (max_worker_processes is 2)';
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1')});
	waits_because($job, $why, "max_worker_processes = $slots");
	is_told("IMPORT INTO target CSV DATA ('$csv');", qr/does not run: \Q$why\E/, '... as a session is told that waits for an IMPORT');
	if ($slots == 2)
	{
		my ($rc, $out, $err) = $node->psql('postgres', q{SELECT kwjobs.submit('SELECT 1') FROM generate_series(1, 3)});
		is(() = $err =~ /WARNING:  the job does not start now: no background worker slot is free for a coordinator of kwjobs\nHINT:  Raise max_worker_processes, which is 2/g,
			1, 'who submits is warned, once for a transaction');
	}
	$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
	$node->restart;
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	is(sql('SELECT count(*) FROM target'), 10, 'the jobs run when there is room');
	is(sql(q{SELECT count(*) FROM kwdb_internal.jobs WHERE running_status LIKE 'waiting%'}), 0, 'and nothing is left of the reason');
	$node->stop;
}

# With a slot for the coordinator, but none for a worker: to run the job "now" would not help.
{
	$node = new_node('slots3', "max_worker_processes = 3\nkwjobs.max_workers = 1\n", extra => ['--no-locale', '--encoding=UTF8']);
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1')});
	ok(becomes_true($node, "SELECT kwjobs.why($job) LIKE '%: waiting for a background worker slot._To have room for it, raise max_worker_processes, which is 3, %'"),
		'no slot for a worker, and what to do');
	$node->stop;
}

# ---- single-user mode ----

{
	$node = new_node('single', undef, extra => ['--no-locale', '--encoding=UTF8']);
	my $csv = write_csv($node, 10);
	sql('CREATE TABLE target (n integer, t text)');
	my $later = sql(q{SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 hour')});
	$node->stop;
	my $input = join("\n", "IMPORT INTO target CSV DATA ('$csv');", q{CALL kwjobs.run('SELECT 2');}, "SHOW JOB WHEN COMPLETE $later;",
		"SHOW JOBS;", q{SELECT kwjobs.submit('INSERT INTO target VALUES (99, ''x'')');});
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'postgres', '--single', '-j', '-D', $node->data_dir, 'postgres' ], '<', \(join("\n\n", split(/\n/, $input)) . "\n\n"), '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	like($err, qr/ERROR:  IMPORT cannot run in single-user mode\n.*DETAIL: .*\n.*HINT:  Use kwjobs.submit, or IMPORT/, 'single-user mode: an IMPORT that would wait is refused');
	like($err, qr/ERROR:  kwjobs.run cannot run in single-user mode/, '... so is kwjobs.run');
	like($err, qr/ERROR:  cannot wait for job $later in single-user mode\n.*DETAIL: .*\n.*HINT:  Start the server, then type SHOW JOB WHEN COMPLETE $later/, '... and a wait');
	$node->start;
	wait_query($node, 'SELECT count(*) = 1 FROM target WHERE n = 99');
	is(sql('SELECT count(*) FROM target'), 1, 'what was refused made no job, and what was submitted runs when the server starts');
	$node->stop;
}
done_testing();
