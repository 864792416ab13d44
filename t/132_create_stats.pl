# CREATE_STATS jobs: CREATE STATISTICS name FROM table while it runs, is paused, canceled, crashes,
# or meets a table or a right that is gone; and the statements of sessions that are of the same
# type. sql/create_stats.sql has what can be typed, and what is collected.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('stats', <<'EOF', extra => [ '--no-locale', '--encoding=UTF8' ]);
max_prepared_transactions = 1
kwjobs.track = top
autovacuum = off
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub field { my ($job, $field) = @_; return job_field($node, $job, $field) }
sub session { return $node->background_psql('postgres', on_error_stop => 0) }

my $has_maintain = sql('SHOW server_version_num') >= 170000;

# Types CREATE STATISTICS with this end, which says DETACHED. Returns the id of the job.
sub collect { my ($what) = @_; return sql("CREATE STATISTICS $what") }

# Tables p2 and alone have statistics objects on stop(...). So ANALYZE of these tables calls stop(),
# which waits while a session has the advisory lock 1.
sql(<<'EOF');
CREATE FUNCTION stop(a integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1); RETURN a; END $$;
CREATE TABLE alone (a integer, b integer);
CREATE STATISTICS alone_stop ON (stop(a)), b FROM alone;
INSERT INTO alone VALUES (1, 2), (2, 3);
CREATE ROLE owner LOGIN;
GRANT CREATE, USAGE ON SCHEMA public TO owner;
EOF

# Makes table p anew, with the partitions p1, p2, p3, in the order in which the job comes to them.
sub make_partitioned
{
	sql(<<'EOF');
SET client_min_messages = error;
DROP TABLE IF EXISTS p, p1, p2, p3;
CREATE TABLE p (k integer, v integer) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3);
INSERT INTO p SELECT n % 3 + 1, n FROM generate_series(1, 300) AS n;
CREATE STATISTICS p2_stop ON (stop(v)), k FROM p2;
EOF
	return;
}

# Returns the tables of which there are statistics.
sub collected
{
	return sql(q{SELECT string_agg(DISTINCT starelid::regclass::text, ' ' ORDER BY starelid::regclass::text) FROM pg_statistic
		WHERE starelid::regclass::text IN ('p', 'p1', 'p2', 'p3')});
}

# Returns how many statistics objects of the job there are.
sub objects { return sql(q{SELECT count(*) FROM pg_statistic_ext WHERE stxname = 's'}) }

# Returns which transaction has collected the statistics of the table.
sub collected_by { my ($table) = @_; return sql("SELECT DISTINCT xmin FROM pg_statistic WHERE starelid = '$table'::regclass") }

# Begins a job of p, which stops in ANALYZE of p2. Returns the session that makes it stop, and the
# job.
sub stop_in_p2
{
	make_partitioned();
	my $gate = close_gates($node, 1);
	my $job = collect('s ON k, v FROM p WITH OPTIONS THROTTLING 0 DETACHED');
	wait_at_gate($node, $job);
	return ($gate, $job);
}

# ---- while it runs ----

sub test_progress
{
	my ($gate, $job) = stop_in_p2();
	is(field($job, q{job_type, status, round(fraction_completed::numeric, 2), running_status}),
		'CREATE_STATS|running|0.25|table 2 of 4: public.p2', 'in the second of four tables');
	is(sql('SELECT query FROM pg_stat_activity WHERE pid = ' . field($job, 'pid')), 'ANALYZE public.p2', '... pg_stat_activity shows the command');
	is(collected(), 'p1', '... the first table is done');
	$gate->quit;
	wait_for_status($node, $job, 'succeeded');
	is(collected(), 'p p1 p2 p3', '... in the end all are');
	is(objects(), 1, '... and there is the statistics object');

	my $holds = session();
	make_partitioned();
	$holds->query_safe('BEGIN; LOCK TABLE p3 IN SHARE UPDATE EXCLUSIVE MODE');
	$job = collect('s FROM p WITH OPTIONS DETACHED');
	wait_query($node, "SELECT running_status ~ '^statement 3 of 4: waiting for lock on public.p3: pid' FROM kwdb_internal.jobs WHERE job_id = $job");
	is(field($job, 'round(fraction_completed::numeric, 2)'), '0.50', 'a lock on a partition: SHOW JOBS says whom the job waits for');
	$holds->quit;
	wait_for_status($node, $job, 'succeeded');

	# A table that is not partitioned has no steps of its own: PostgreSQL counts.
	$gate = close_gates($node, 1);
	$job = collect('s FROM alone WITH OPTIONS DETACHED');
	wait_at_gate($node, $job);
	is(field($job, 'round(fraction_completed::numeric, 2)'), '0.95', 'one table alone');
	$gate->quit;
	wait_for_status($node, $job, 'succeeded');
	return;
}

sub test_pause
{
	my ($gate, $job) = stop_in_p2();
	my $first = collected_by('p1');
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	is(field($job, 'round(fraction_completed::numeric, 2)') . ' ' . collected(), '0.25 p1', 'PAUSE interrupts ANALYZE');
	# While the job is paused, one partition is dropped, one is detached, and one is attached.
	sql('DROP TABLE p3; ALTER TABLE p DETACH PARTITION p2; CREATE TABLE p4 PARTITION OF p FOR VALUES IN (4); INSERT INTO p VALUES (4, 4)');
	sql("RESUME JOB $job");
	wait_for_status($node, $job, 'succeeded');
	is(collected(), 'p p1', 'partitions that are dropped or detached meanwhile are left out');
	is(sql(q{SELECT count(*) > 0 FROM pg_statistic WHERE starelid = 'p4'::regclass}), 't', '... one that is attached is not');
	is(collected_by('p1'), $first, '... and what was done is not done again');
	$gate->quit;
	return;
}

sub test_cancel
{
	my ($gate, $job) = stop_in_p2();
	sql("CANCEL JOB $job");
	wait_for_status($node, $job, 'canceled');
	is(collected() . ' ' . objects(), 'p1 0', 'CANCEL interrupts ANALYZE: what was done stays, and there is no statistics object');
	sql("RETRY JOB $job");
	wait_at_gate($node, $job);
	$gate->quit;
	wait_for_status($node, $job, 'succeeded');
	is(collected() . ' ' . objects(), 'p p1 p2 p3 1', '... RETRY does the rest');

	# The job is stopped in its last transaction, which has created the object and has not committed.
	$gate = close_gates($node, 1);
	$job = collect('of_alone ON a, b FROM alone WITH OPTIONS THROTTLING 0 DETACHED');
	wait_at_gate($node, $job);
	sql("CANCEL JOB $job");
	wait_for_status($node, $job, 'canceled');
	is(sql(q{SELECT count(*) FROM pg_statistic_ext WHERE stxname = 'of_alone'}), 0, 'CANCEL in the last step leaves no statistics object');
	$gate->quit;
	return;
}

# ---- crashes ----

sub test_crash
{
	my ($gate, $job) = stop_in_p2();
	my $first = collected_by('p1');
	my $pid = field($job, 'pid');
	# The worker does not wait for the disk when it commits what is done of a job, but a crash must
	# not undo that here.
	sql('CHECKPOINT');
	kill_process($node, $pid, $gate);
	wait_for_status($node, $job, 'succeeded');
	is(attempt_statuses($node, $job), 'crashed,succeeded', 'after a crash the job goes on');
	is(collected() . ' ' . objects(), 'p p1 p2 p3 1', '... to its end');
	is(collected_by('p1'), $first, '... with the table that was not done');

	# The stop ends the session that keeps the gate closed, and the worker may go on before the postmaster tells
	# it to end. So a prepared transaction, which stays over the stop, keeps the next table locked.
	($gate, $job) = stop_in_p2();
	$first = collected_by('p1');
	sql(q(BEGIN; LOCK TABLE p3 IN SHARE UPDATE EXCLUSIVE MODE; PREPARE TRANSACTION 'stays'));
	$node->stop('fast');
	$gate->{run}->finish;
	$node->start;
	sql(q(ROLLBACK PREPARED 'stays'));
	wait_for_status($node, $job, 'succeeded');
	is(attempt_statuses($node, $job), 'interrupted,succeeded', 'after a stop of the server, too');
	is(collected_by('p1'), $first, '... with the table that was not done');
	return;
}

# ---- what has changed since the job was created ----

# Returns a job of role owner that waits until it is told to run.
sub later
{
	my ($arguments) = @_;
	return sql("SELECT kwjobs.create_job('CREATE_STATS', '$arguments', run_at => now() + interval '1 day', run_as => 'owner')");
}

sub test_changes
{
	my $all = '{"name": "s", "table": "changed"}';
	my $two = '{"name": "s", "table": "changed", "columns": ["a", "b"]}';
	my $moves = 'ALTER TABLE changed RENAME b TO new; CREATE SCHEMA other; GRANT ALL ON SCHEMA other TO owner; ALTER TABLE changed SET SCHEMA other; ALTER TABLE other.changed RENAME TO renamed';
	my @cases = (
		[ $all, 'ALTER TABLE changed OWNER TO CURRENT_USER', 'failed, 42501, permission denied to collect statistics of table "changed"', 'the right is lost' ],
		[ $all, 'DROP TABLE changed', 'failed, 42P01, table public.changed does not exist any more', 'the table is dropped' ],
		[ $two, 'ALTER TABLE changed DROP COLUMN b', 'failed, 42703, column "b" of table "changed" does not exist any more', 'a column is dropped' ],
		[ $two, 'CREATE STATISTICS s ON a, c FROM changed', 'failed, 42710, statistics object "s" already exists in schema "public"', 'the name is taken' ],
		[ $two, 'CREATE STATISTICS s (mcv) ON b, a FROM changed', 'succeeded', 'the object is there' ],
		[ $two, 'REVOKE CREATE ON SCHEMA public FROM owner, PUBLIC', 'failed, 42501, permission denied for schema public', 'the right to create the object is lost' ],
		[ $two, "GRANT CREATE ON SCHEMA public TO owner; $moves", 'succeeded', 'the table and a column are renamed' ],
	);
	sql('DROP TABLE p');
	for my $case (@cases)
	{
		my ($arguments, $change, $expected, $name) = @$case;
		sql('GRANT CREATE ON SCHEMA public TO owner');
		sql('SET client_min_messages = error; DROP TABLE IF EXISTS changed; CREATE TABLE changed (a integer, b integer, c integer); ALTER TABLE changed OWNER TO owner; INSERT INTO changed VALUES (1, 2, 3)');
		my $job = later($arguments);
		sql($change);
		sql("SELECT kwjobs.run_now($job)");
		wait_for_end($node, $job);
		is(field($job, q(concat_ws(', ', status, error_code, nullif(error, '')))), $expected, $name);
		isnt(field($job, 'error_hint'), '', '... with a hint') if $expected =~ /failed/;
		is(attempt_statuses($node, $job), field($job, 'status'), '... at the first attempt');
	}
	is(sql(q{SELECT stxnamespace::regnamespace, stxkeys FROM pg_statistic_ext WHERE stxrelid = 'other.renamed'::regclass}), 'other|1 2', '... the object is where the table is');
	sql('SET client_min_messages = error; DROP SCHEMA other CASCADE');
	return;
}

# Since 17, MAINTAIN on the table is enough to collect statistics of single columns.
sub test_maintain
{
	sql('CREATE TABLE maintained (a integer, b integer); INSERT INTO maintained VALUES (1, 2)');
	sql('GRANT MAINTAIN ON maintained TO owner') if $has_maintain;
	my $said = said($node, q{SET ROLE owner; SET kwjobs.progress_interval = 0; CREATE STATISTICS s FROM maintained});
	$has_maintain ? is($said, '', 'MAINTAIN is enough') :
		like($said, qr/permission denied to collect statistics of table "maintained".*HINT/s, 'only the owner may');
	like(said($node, q{SET ROLE owner; CREATE STATISTICS s ON a, b FROM maintained WITH OPTIONS DETACHED}),
		qr/(must be owner of|permission denied).*HINT/s, '... not for several columns');
	sql('DROP TABLE maintained');
	return;
}

# ---- protocols ----

sub test_protocols
{
	my $file = $node->basedir . '/statistics.sql';
	append_to_file($file, "CREATE STATISTICS s FROM alone;\nCREATE STATISTICS s ON a FROM alone WITH OPTIONS THROTTLING 0 DETACHED;\n");
	my $count = q{SELECT count(*) FROM kwdb_internal.jobs WHERE description ~ '^CREATE STATISTICS s .*alone'};
	for my $mode (qw(simple extended prepared))
	{
		my $before = sql($count);
		$node->command_ok([ 'pgbench', '-n', '-t', '2', '-M', $mode, '-f', $file, '-h', $node->host, '-p', $node->port, 'postgres' ], "pgbench -M $mode");
		is(sql($count) - $before, 4, '... a job each time');
	}
	wait_query($node, q{SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE finished IS NULL});
	return;
}

# ---- statements of sessions ----

sub test_sessions
{
	my ($gate, $session) = (close_gates($node, 1), session());
	my $job = begin_waiting($node, $session, 'VACUUM ANALYZE alone');
	is(field($job, 'job_type, status'), 'CREATE_STATS|running', 'VACUUM ANALYZE of a session is seen by others');
	is(sql("SELECT count(*) FROM [SHOW JOBS] WHERE job_id = $job"), 1, '... by SHOW JOBS');
	like(said($node, "PAUSE JOB $job"), qr/CREATE_STATS jobs cannot be paused.*HINT:  To stop it, type CANCEL JOB $job\./s, 'PAUSE says what to type');
	is(sql('SELECT kwjobs.pause_all(), kwjobs.cancel_all()'), '0|0', '... ALL JOBS leaves it alone');
	sql(q{SELECT kwjobs.hold('create_stats', running => 'pause')});
	my $held = collect('s FROM alone WITH OPTIONS DETACHED');
	is(field($held, 'status') . ' ' . field($job, 'status'), 'pending running', '... and so does a hold, which holds the jobs of workers');
	sql("CANCEL JOB $job");
	ends_as($node, $job, 'canceled, 57014, canceling statement due to user request', 'CANCEL JOB cancels the statement');
	$session->query('SELECT 1');

	sql(q{SELECT kwjobs.release('create_stats')});
	wait_at_gate($node, $held);
	$job = begin_waiting($node, $session, 'ANALYZE alone');
	is(sql(q{SELECT kwjobs.cancel_all('create_stats')}), 2, 'CANCEL ALL with the type cancels the jobs of sessions and of workers');
	ends_as($node, $job, 'canceled, 57014, canceling statement due to user request', '... a statement');
	wait_for_status($node, $held, 'canceled');
	like(said($node, "RETRY JOB $job"), qr/CREATE_STATS jobs cannot be retried.*DETAIL:  Job $job was a statement of a session\./s, 'nobody can run the statement again');
	$_->quit for $gate, $session;
	return;
}

test_progress();
test_pause();
test_cancel();
test_changes();
test_maintain();
test_protocols();
test_sessions();
test_crash();
is_consistent($node);
$node->stop;
done_testing();
