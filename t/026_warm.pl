# Workers that stay: who they work for, that nothing of a job is left for the next one, when
# they leave, and that they cost nothing while there is nothing to do.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('warm', <<'EOF');
kwjobs.max_workers = 2
autovacuum = off
checkpoint_timeout = 1h
log_statement = none
wal_level = replica
max_wal_senders = 1
max_replication_slots = 1
EOF

sub sql
{
	my ($sql, $db) = @_;
	return $node->safe_psql($db // 'postgres', $sql);
}

# Run a job of a role and wait for it, and until its worker can take the next one; returns its id.
sub run_as
{
	my ($role, $statement, $more, $db) = @_;
	my ($rc, $out, $err) = $node->psql($db // 'postgres', <<"EOF", on_error_stop => 0);
SET ROLE $role;
SELECT kwjobs.submit(\$job\$$statement\$job\$$more) AS job \\gset
\\echo :job
SHOW JOB WHEN COMPLETE :job \\g /dev/null
EOF
	my ($job) = $out =~ /^(\d+)/ or die "no job: $err";
	wait_query($node, q{SELECT count(*) = 0 FROM pg_stat_activity
		WHERE backend_type = 'kwjobs worker' AND state IS DISTINCT FROM 'idle'});
	return $job;
}

sub pid_of
{
	my ($job, $db) = @_;
	return sql("SELECT pid FROM kwdb_internal.job_attempts WHERE job_id = $job ORDER BY attempt DESC LIMIT 1", $db);
}

my $workers = q{SELECT coalesce(string_agg(pid::text, ',' ORDER BY pid), '') FROM pg_stat_activity
 WHERE backend_type = 'kwjobs worker'};

sub wait_until_no_worker
{
	wait_query($node, "SELECT ($workers) = ''");
	return;
}

sql(<<'EOF');
CREATE ROLE admin;
CREATE ROLE role1 LOGIN IN ROLE admin;
CREATE ROLE role2 LOGIN IN ROLE admin;
CREATE ROLE member;
GRANT member TO role1;
CREATE TABLE seen (n serial, value text);
GRANT ALL ON seen, seen_n_seq TO PUBLIC;
EOF

# What a job sees; one that fails leaves NULL.
sub seen_by
{
	my ($role, $expression, $more) = @_;
	sql('TRUNCATE seen');
	run_as($role, "INSERT INTO seen (value) SELECT $expression", $more // '');
	return sql('SELECT value FROM seen');
}

# ---- whose ----

{
	my $worker = pid_of(run_as('role1', 'SELECT 1', ''));
	is(pid_of(run_as('role1', 'SELECT 2', '')), $worker, 'a worker takes the next job of its role');
	my $other = pid_of(run_as('role2', 'SELECT 1', ''));
	isnt($other, $worker, '... not that of another role');
	is(pid_of(run_as('role1', 'SELECT 3', '')), $worker, '... and stays meanwhile');
	is(pid_of(run_as('role1', 'SELECT 1 / 0', '')), $worker, 'a job that fails');
	is(pid_of(run_as('role1', 'SELECT 4', '')), $worker, '... leaves its worker fit for the next one');
	is(seen_by('role1', q{session_user || ' ' || current_user}), 'role1 role1', 'it runs as the role');
	is(pid_of(run_as('postgres', 'SELECT 1', '')) =~ /^($worker|$other)$/ ? 1 : 0, 0,
		'a third role gets a new worker');
	is(sql('SELECT array_length(string_to_array((' . $workers . q{), ','), 1)}), 2,
		'... for which an idle one has left');
}

# ---- nothing is left ----

# name => [ what a job does, what the next one sees, what it has to see ]
my @leftovers = (
	[ 'SET', q{SET work_mem = '7MB'}, q{current_setting('work_mem')}, '4MB' ],
	[ 'SET of a setting of one\'s own', q{SET my.own = 'left'}, q{current_setting('my.own', true)}, '' ],
	[ 'SET in a function', q{DO $$ BEGIN PERFORM set_config('TimeZone', 'Asia/Tokyo', false); END $$},
		q{current_setting('TimeZone')}, 'Etc/UTC' ],
	[ 'SET search_path', 'SET search_path = pg_temp', q{current_setting('search_path')}, '"$user", public' ],
	[ 'SET SESSION CHARACTERISTICS', 'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE',
		q{current_setting('transaction_read_only') || ' ' || current_setting('transaction_isolation')},
		'off read committed' ],
	[ 'SET lock_timeout', 'SET lock_timeout = 1', q{current_setting('lock_timeout')}, '0' ],
	[ 'the argument settings', q{SELECT 1}, q{current_setting('work_mem')}, '4MB',
		q{, settings => '{"work_mem": "9MB", "TimeZone": "Asia/Tokyo"}'} ],
	[ 'a temporary table', 'CREATE TEMP TABLE left_over AS SELECT 1',
		q{concat(to_regclass('pg_temp.left_over'), (SELECT count(*) FROM pg_class WHERE relname = 'left_over'))}, '0' ],
	[ 'a prepared statement', 'PREPARE left_over AS SELECT 1', 'count(*) FROM pg_prepared_statements', '0' ],
	[ 'an advisory lock', 'SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2)',
		q{count(*) FROM pg_locks WHERE locktype = 'advisory'}, '0' ],
	[ 'a cursor', 'DECLARE left_over CURSOR WITH HOLD FOR SELECT 1', 'count(*) FROM pg_cursors', '0' ],
	[ 'a listening session', q{DO $$ BEGIN EXECUTE 'LISTEN channel'; EXCEPTION WHEN OTHERS THEN END $$},
		'count(*) FROM pg_listening_channels()', '0' ],
	[ 'SET ROLE', q{DO $$ BEGIN EXECUTE 'SET ROLE member'; EXCEPTION WHEN OTHERS THEN END $$},
		q{session_user || ' ' || current_user || ' ' || current_setting('role')}, 'role1 role1 none' ],
	[ 'SET ROLE by set_config', q{SELECT set_config('role', 'member', false)},
		q{session_user || ' ' || current_user || ' ' || current_setting('role')}, 'role1 role1 none' ],
	[ 'an error in the middle', q{SET work_mem = '7MB'; CREATE TEMP TABLE left_over AS SELECT 1; SELECT pg_advisory_lock(1); SELECT 1 / 0},
		q{concat(current_setting('work_mem'), to_regclass('pg_temp.left_over'))}, '4MB' ],
	[ 'an error after a commit', q{DO $$ BEGIN PERFORM pg_advisory_lock(1); SET work_mem = '7MB'; COMMIT; PERFORM 1 / 0; END $$},
		q{concat(current_setting('work_mem'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'))}, '4MB0' ],
);
for my $leftover (@leftovers)
{
	my ($name, $leave, $look, $expected, $more) = @$leftover;
	my $job = run_as('role1', $leave, $more // '');
	is(seen_by('role1', $look), $expected, "nothing is left of: $name");
	is(pid_of($job), pid_of(sql('SELECT max(job_id) FROM kwdb_internal.jobs')), '... in the same worker');
}

# Neither a job nor a session that has used temporary tables spoils temp_buffers for the next job.
{
	my $others = q{, settings => '{"temp_buffers": "64MB"}'};
	run_as('role1', 'CREATE TEMP TABLE left_over AS SELECT 1', '');
	is(seen_by('role1', q{current_setting('temp_buffers')}, $others), '64MB', 'a job with temp_buffers of its own');
	run_as('role1', 'CREATE TEMP TABLE left_over AS SELECT 1', '');
	is(job_field($node, run_as('role1', q{SET temp_buffers = '64MB'}, ''), 'status, error'), 'succeeded|', '... that it sets itself');
	# one after the other without a pause, too
	sql(q{SELECT kwjobs.submit(s) FROM generate_series(1, 20), unnest(ARRAY['CREATE TEMP TABLE left_over AS SELECT 1', 'SET temp_buffers = 200']) AS s});
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	is(sql(q{SELECT count(*) FROM kwjobs.job WHERE description LIKE '%temp_buffers%' AND (status, attempts) <> ('succeeded', 1)}),
		0, '... of many jobs');
	is(sql("CREATE TEMP TABLE mine AS SELECT 1; SELECT count(kwjobs.submit('SELECT 1'$others))"), 1,
		'a session that has temporary tables submits such a job');
	my ($rc, $out, $err) = $node->psql('postgres', q{SELECT kwjobs.submit('SELECT 1', settings => '{"temp_buffers": "much"}')});
	like($err, qr/ERROR:  invalid value for parameter "temp_buffers"/, '... and its value is checked');
}

run_as('role1', q{SELECT nextval('seen_n_seq')}, '');
{
	my $job = run_as('role1', q{SELECT currval('seen_n_seq')}, '');
	is(job_field($node, $job, 'error_code'), '55000', 'currval() knows nothing of the last job');
	$job = run_as('role1', q{SELECT lastval()}, '');
	is(job_field($node, $job, 'error_code'), '55000', 'nor does lastval()');
}

# Nothing waits for a snapshot that serializable transactions leave alone: one is open all the time.
{
	my $other = $node->background_psql('postgres');
	$other->query_safe('BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO seen (value) VALUES (0)');
	for my $how ('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE',
		'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE; SELECT 1 / 0')
	{
		my $worker = pid_of(run_as('role1', $how, ''));
		my $next = run_as('role1', 'SELECT 1', '');
		is(pid_of($next), $worker, "the worker goes on after: $how");
	}
	$other->query_safe('ROLLBACK');
	$other->quit;
}

# As a superuser, who may do more.
for my $leave ('SET SESSION AUTHORIZATION role1', q{SELECT set_config('session_authorization', 'role1', false)},
	'SET session_replication_role = replica')
{
	my $quoted = $leave =~ s/'/''/gr;
	run_as('postgres', "DO \$\$ BEGIN EXECUTE '$quoted'; EXCEPTION WHEN OTHERS THEN END \$\$", '');
	is( seen_by('postgres', q{session_user || ' ' || current_user || ' ' || current_setting('session_replication_role')}),
		'postgres postgres origin', "nothing is left of: $leave");
}

{
	my $origin = "pg_replication_origin_create('left')";
	run_as('postgres', "SELECT $origin, pg_replication_origin_session_setup('left')", '');
	is(seen_by('postgres', 'pg_replication_origin_session_is_setup()'), 'false', 'nothing is left of: a replication origin');
	sql(q{SELECT pg_replication_origin_drop('left')});
	my $job = run_as('postgres', q{SELECT pg_create_physical_replication_slot('left', temporary => true)}, '');
	is(job_field($node, $job, 'status, error'), 'succeeded|', 'a job creates a temporary replication slot');
	is(seen_by('postgres', 'count(*) FROM pg_replication_slots'), '0', 'nothing is left of: a temporary replication slot');
}

# ---- settings of roles and databases, the configuration ----

{
	my $old = pid_of(run_as('role1', 'SELECT 1', ''));
	sql(q{ALTER ROLE role1 SET work_mem = '5MB'});
	is(seen_by('role1', q{current_setting('work_mem')}), '5MB', 'ALTER ROLE ... SET counts for the next job');
	sql(q{ALTER ROLE role1 IN DATABASE postgres SET work_mem = '6MB'});
	is(seen_by('role1', q{current_setting('work_mem')}), '6MB', 'so does ALTER ROLE ... IN DATABASE');
	sql(q{ALTER ROLE role1 RESET ALL; ALTER ROLE role1 IN DATABASE postgres RESET ALL});
	is(seen_by('role1', q{current_setting('work_mem')}), '4MB', 'and RESET');
	sql(q{ALTER DATABASE postgres SET work_mem = '8MB'});
	is(seen_by('role1', q{current_setting('work_mem')}), '8MB', 'so does ALTER DATABASE ... SET');
	sql(q{ALTER DATABASE postgres RESET ALL});
	is(seen_by('role1', q{current_setting('work_mem')}), '4MB', 'and RESET');
	isnt(pid_of(run_as('role1', 'SELECT 1', '')), $old, 'by a new worker');
}
# Libraries that sessions preload, as guards of a role or a database do.
{
	my $loaded = q{current_setting('plpgsql.extra_errors', true)};
	is(seen_by('role1', $loaded), '', 'no library is loaded');
	sql(q{ALTER ROLE role1 SET session_preload_libraries = 'plpgsql'});
	is(seen_by('role1', $loaded), 'none', 'session_preload_libraries counts for jobs');
	sql(q{ALTER ROLE role1 RESET session_preload_libraries});
	is(seen_by('role1', $loaded), '', 'and is gone with the setting');
	configure($node, 'session_preload_libraries', 'plpgsql');
	is(seen_by('role1', $loaded), 'none', 'that of the configuration counts for the next job');
	my $log = -s $node->logfile;
	sql('ALTER SYSTEM RESET session_preload_libraries');
	sql('SELECT pg_reload_conf()');
	$node->wait_for_log(qr/parameter "session_preload_libraries" removed/, $log);
	is(seen_by('role1', $loaded), '', 'and is gone with it');
	sql(q{ALTER ROLE role1 SET session_preload_libraries = 'no_such_library'});
	my $job = sql(q{SET ROLE role1; SELECT kwjobs.submit('SELECT 1')});
	wait_query($node, "SELECT running_status LIKE 'waiting: its worker could not connect%' FROM kwdb_internal.jobs WHERE job_id = $job");
	sql(q{ALTER ROLE role1 RESET session_preload_libraries});
	wait_for_status($node, $job, 'succeeded');
	is(job_field($node, $job, 'total_num_of_ex'), 1, 'a library that cannot be loaded is no failure of the job');
}

# What the log shows with an error.
{
	sql('CREATE SCHEMA for_statement AUTHORIZATION role1; CREATE TABLE for_statement.gone(); ALTER TABLE for_statement.gone OWNER TO role1');
	my $log = -s $node->logfile;
	my $failed = run_as('role1', 'SELECT 1/0', '');
	sql('SET ROLE role1; BEGIN; CREATE STATISTICS s FROM for_statement.gone WITH OPTIONS DETACHED; DROP TABLE for_statement.gone; COMMIT');
	my $next = sql(q{SELECT max(job_id) FROM kwdb_internal.jobs WHERE job_type = 'CREATE_STATS'});
	wait_for_status($node, $next, 'failed');
	is(pid_of($next), pid_of($failed), 'the worker of a statement that has failed has another job');
	my ($first, $second) = slurp_file($node->logfile, $log) =~ /job (?:$failed|$next) \([A-Z_]+\), attempt 1\n(.*\n?)/g;
	like($first, qr/STATEMENT:  SELECT 1\/0/, 'the log shows the statement with its error');
	unlike($second, qr/STATEMENT/, '... and not with that of the other job');
}

# One that was given back by such a worker counts when it has begun.
{
	run_as('role1', 'SELECT 1', '');
	sql(q{ALTER ROLE role1 SET work_mem = '5MB'});
	my $job = sql(q{SET ROLE role1; SELECT kwjobs.submit('SELECT pg_sleep(0.1), pg_terminate_backend(pg_backend_pid()), pg_sleep(60)', max_attempts => 1)});
	wait_for_status($node, $job, 'failed');
	is(sql("SELECT string_agg(attempt || ' ' || status, ',') FROM kwdb_internal.job_attempts WHERE job_id = $job"),
		'1 crashed', 'a worker that dies after another one has given the job back counts');
	sql('ALTER ROLE role1 RESET ALL');
}
# The first worker gives the job back, and stops at gate 4906 of test builds, and at gate 4905 before it exits. The
# second worker gets the job, and dies when the first one is gone.
{
	# An idle worker of another role would keep the second slot until its idle timeout is over, because
	# one worker at a time is told to exit.
	sql(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'});
	my $old = pid_of(run_as('role1', 'SELECT 1', ''));
	sql(q{ALTER ROLE role1 SET work_mem = '5MB'});
	my $giving = close_gates($node, 4906);
	my $leaving = close_gates($node, 4905);
	my $gate = close_gates($node, 4712);
	my $job = sql(q{SET ROLE role1; SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4712)', max_attempts => 1)});
	wait_at_gates($node, 1, 'objid = 4906');
	wait_at_gates($node, 1, 'objid = 4712');
	is(sql(join(' UNION ALL ', map { "SELECT count(*), min(pid) <> $old FROM $_ WHERE job_id = $job" } 'kwdb_internal.jobs', 'kwjobs.my_jobs', 'kwjobs.running')),
		"1|t\n1|t\n1|t", 'while a worker gives a job back, the job is shown once, with the other worker');
	sql("PAUSE JOB $job");
	# it reaches the other worker
	wait_for_status($node, $job, 'paused');
	sql("RESUME JOB $job");
	wait_at_gates($node, 1, 'objid = 4712');
	$giving->quit;
	wait_at_gates($node, 1, 'objid = 4905');
	$leaving->quit;
	wait_until_gone($old);
	sql('SELECT pg_terminate_backend(pid) FROM kwjobs.running');
	wait_for_end($node, $job);
	is(attempt_statuses($node, $job), 'paused,crashed', '... also one that dies after the other worker has left');
	$gate->quit;
	sql('ALTER ROLE role1 RESET ALL');
}
# Of jobs that follow one another without a pause, those that come after a reload see it.
{
	sql('TRUNCATE seen');
	my $gate = close_gate($node);
	sql(q{SELECT count(kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711); INSERT INTO seen (value) SELECT current_setting(''work_mem'')'))
	      FROM generate_series(1, 400)});
	wait_query($node, q{SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted});
	configure($node, 'work_mem', '3MB');
	open_gate($gate);
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	is(sql(q{SELECT count(*), count(*) FILTER (WHERE value = '3MB') >= 398 FROM seen}), '400|t',
		'a reload counts for the next job while others wait');
	configure($node, 'work_mem', '4MB');
}

# ---- a standby that does not answer ----

{
	my $old = pid_of(run_as('role1', 'SELECT 1', ''));
	# a new worker, which nobody has waited for yet
	sql(q{ALTER ROLE role1 SET work_mem = '5MB'});
	sql('CREATE TABLE written (n integer)');
	my $session = lose_standby($node);
	my $job = sql(q{SET synchronous_commit = local; SET ROLE role1; SELECT kwjobs.submit('SELECT 1', settings => '{"synchronous_commit": "local"}')});
	wait_for_status($node, $job, 'succeeded');
	isnt(pid_of($job), $old, 'a new worker does not wait for standbys to begin its first job');
	set_standby($node, '');
	$session->quit;
	sql('ALTER ROLE role1 RESET ALL');
}

# ---- a role that may not connect any more ----

my @refusals = (
	[ 'ALTER ROLE role1 NOLOGIN', 'ALTER ROLE role1 LOGIN', 'role "role1" is not permitted to log in' ],
	[ 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC',
		'role "role1" may not connect to this database' ]);
for my $refusal (@refusals)
{
	my ($refuse, $allow, $why) = @$refusal;
	my $worker = pid_of(run_as('role1', 'SELECT 1', ''));
	my $job = sql(q{SET ROLE role1; SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 hour')});
	sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	sql("UPDATE kwjobs.job SET run_at = NULL WHERE job_id = $job");
	sql($refuse);
	sql("SELECT kwjobs.resume($job)");
	wait_query($node, "SELECT running_status LIKE '%role%' FROM kwdb_internal.jobs WHERE job_id = $job");
	is(job_field($node, $job, 'status, running_status, total_num_of_ex'), "pending|waiting: $why|0",
		"the next job waits: $refuse");
	sql($allow);
	wait_for_status($node, $job, 'succeeded');
	isnt(pid_of($job), $worker, '... for a new worker');
}

# ---- when a worker leaves ----

configure($node, 'kwjobs.worker_idle_timeout', '300ms');
run_as('role1', 'SELECT 1', '');
wait_until_no_worker();
{
	my $job = run_as('role1', 'SELECT 1', '');
	my $worker = pid_of($job);
	wait_until_no_worker();
	cmp_ok(sql("SELECT extract(epoch FROM clock_timestamp() - finished) FROM kwdb_internal.jobs WHERE job_id = $job"),
		'>=', 0.3, 'an idle worker leaves after kwjobs.worker_idle_timeout, not earlier');
	isnt(pid_of(run_as('role1', 'SELECT 1', '')), $worker, 'the next job has a new one');
}
configure($node, 'kwjobs.worker_idle_timeout', '0');
{
	my %different;
	for (1 .. 3)
	{
		$different{ pid_of(run_as('role1', 'SELECT 1', '')) } = 1;
		wait_until_no_worker();
	}
	is(scalar(keys %different), 3, 'with 0, each job has a worker of its own');
}
configure($node, 'kwjobs.worker_idle_timeout', '1h');
run_as('role1', 'SELECT 1', '');
run_as('role2', 'SELECT 1', '');
# A shorter timeout counts for workers that are idle already.
configure($node, 'kwjobs.worker_idle_timeout', '0');
wait_until_no_worker();
configure($node, 'kwjobs.worker_idle_timeout', '1h');

# Idle workers hold all slots: they make way, for a role and for a database.
$node->safe_psql('postgres', "CREATE DATABASE $_") for 'second', 'third';
sql('CREATE EXTENSION kwjobs', $_) for 'second', 'third';
run_as('role1', 'SELECT 1', '');
run_as('role2', 'SELECT 1', '');
run_as('postgres', 'SELECT 1', '');
run_as('role1', 'SELECT 1', '', 'second');
run_as('role1', 'SELECT 1', '', 'third');
is( sql(q{SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'}),
	'second third', 'idle workers make way for those of other databases');

# Nothing waits for them.
for my $drop ([ 'postgres', 'DROP DATABASE third' ], [ 'second', 'DROP EXTENSION kwjobs' ],
	[ 'postgres', 'ALTER DATABASE second RENAME TO renamed' ])
{
	my ($db, $statement) = @$drop;
	my $took = sql("SELECT clock_timestamp() AS began \\gset\n$statement;\nSELECT clock_timestamp() - :'began' < interval '60 seconds'", $db);
	is($took, 't', "at once, with idle workers: $statement");
}
is(sql($workers), '', 'they are gone');
{
	my $job = run_as('role1', 'SELECT 1', '');
	sql('DROP EXTENSION kwjobs; CREATE EXTENSION kwjobs');
	my $worker = pid_of(run_as('role1', 'SELECT 1', ''));
	ok($worker, 'DROP and CREATE EXTENSION, and jobs run again');
}

# The worker has noted which statement of the first job it runs, and notes none for the second one.
{
	my $role = q(SET ROLE role1; );
	my $pid = pid_of(run_as('role1', 'SELECT 1; SELECT 2', ''));
	my $gate = close_gate($node);
	my $job = sql($role . q(SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')));
	wait_at_gate($node, $job);
	is(pid_of($job), $pid, 'a worker that has run a job of two statements');
	like(job_field($node, $job, 'running_status'), qr/^waiting for an advisory lock: /, '... is at no statement of them in the next job');
	open_gate($gate);
	wait_for_status($node, $job, 'succeeded');
}

# ---- what it costs ----

# for replicas, the background writer writes WAL now and then
$node->append_conf('postgresql.conf', "wal_level = minimal\nmax_wal_senders = 0\n");
$node->restart;

SKIP:
{
	skip 'needs /proc', 4 unless -r '/proc/self/status';

	my $field = sub {
		my ($pid, $name) = @_;
		return slurp_file("/proc/$pid/status") =~ /^$name:\s+(\d+)/m ? $1 : undef;
	};
	my $many = sub {
		my ($n) = @_;
		sql("SET ROLE role1; SELECT count(kwjobs.submit('SELECT ' || n || ' /* ' || repeat('x', 1000) || ' */')) FROM generate_series(1, $n) AS n");
		wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	};
	# one worker for all of them
	$node->append_conf('postgresql.conf', "kwjobs.max_workers = 1\n");
	$node->restart;
	my %pid = (worker => pid_of(run_as('role1', 'SELECT 1', '')));
	$pid{coordinator} = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'});
	$many->(1000);
	# By now the coordinator has planned all its queries, also those that such jobs do not need.
	wait_for_pass($node);
	my %before = map { $_ => $field->($pid{$_}, 'RssAnon') } keys %pid;
	$many->(2000);
	is(sql($workers), $pid{worker}, 'one worker ran 3000 jobs');
	for my $process (sort keys %pid)
	{
		my $after = $field->($pid{$process}, 'RssAnon');
		# less than what one copy of each statement would take
		cmp_ok($after, '<=', $before{$process} + 1500,
			"memory of the $process: $before{$process} kB after 1000 jobs, $after kB after 3000");
	}

	# Nothing to do: no WAL, and no process wakes up. A checkpoint first, for what is still to be
	# written. Once after jobs have ended, the coordinator looks for what is to be deleted.
	sql('CHECKPOINT');
	$pid{launcher} = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs launcher'});
	my $state = sub {
		my %state = map { my $pid = $pid{$_}; $_ => $field->($pid, 'voluntary_ctxt_switches') } keys %pid;
		$state{"$_ CPU"} = join(' ', (split / /, slurp_file("/proc/$pid{$_}/stat") =~ s/^.*\) //sr)[ 11, 12 ])
		  for keys %pid;
		$state{WAL} = sql('SELECT pg_current_wal_insert_lsn()');
		return \%state;
	};
	sleep 1;
	my $changes = sub {
		my $idle = $state->();
		sleep 3;
		my $later = $state->();
		return join(', ', grep { $later->{$_} ne $idle->{$_} } sort keys %$idle);
	};
	is_once($changes, '', 'with nothing to do, no WAL, no CPU and no wake-up');
}

# ---- what is shown ----

{
	my $gate = close_gate($node);
	my $job = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')});
	wait_at_gate($node, $job);
	is( sql(q{SELECT backend_type, application_name, state, usename, query FROM pg_stat_activity
			  WHERE wait_event_type = 'Lock'}),
		"kwjobs worker|kwjobs job $job (SQL)|active|postgres|SELECT pg_advisory_xact_lock_shared(4711)",
		'pg_stat_activity shows the job');
	open_gate($gate);
	wait_for_status($node, $job, 'succeeded');
	wait_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'postgres' AND state = 'idle' AND
		backend_type = 'kwjobs worker' AND application_name = 'kwjobs worker'});
}

is_consistent($node);
$node->stop;
done_testing();
