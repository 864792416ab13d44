# kwjobs.track_autovacuum: VACUUM and ANALYZE of autovacuum are AUTO_CREATE_STATS jobs. How they look
# while they run, and how they end; and that autovacuum works where no place in shared memory is
# free, or where the extension is gone.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Autovacuum comes only to tables that have thresholds of their own. In the last test it comes to all
# tables, to prevent wraparound.
my $node = new_node('autovacuum', <<"EOF", extra => [ '--no-locale', '--encoding=UTF8' ]);
kwjobs.track_autovacuum = on
kwjobs.admin_role = 'boss'
autovacuum_freeze_max_age = 100000
$choosy_autovacuum
EOF

sub sql { my ($query, $db) = @_; return $node->safe_psql($db // 'postgres', $query) }
sub field { my ($job, $field) = @_; return job_field($node, $job, $field) }
sub session { return $node->background_psql('postgres', on_error_stop => 0) }

my $gate = 51;
create_gated_functions($node, $gate);
sql('CREATE ROLE boss; CREATE ROLE nobody');

# Creates a table with 100 rows that autovacuum is to analyze once it may. $index: on what there is
# an index.
sub create
{
	my ($table, $index) = @_;
	$index //= 'a';
	sql(<<"EOF");
CREATE TABLE $table (a integer) WITH (autovacuum_enabled = off, autovacuum_analyze_threshold = 1,
    autovacuum_analyze_scale_factor = 0);
CREATE INDEX ON $table ($index);
INSERT INTO $table SELECT generate_series(1, 100)
EOF
	return;
}

sub let_autovacuum { sql("ALTER TABLE $_[0] RESET (autovacuum_enabled)"); return }

# Waits until a job has this statement and status. Returns the latest of them.
sub wait_for_job
{
	my ($statement, $status) = @_;
	my $are = "FROM kwdb_internal.jobs WHERE statement = '$statement' AND status = '$status'";
	wait_query($node, "SELECT count(*) > 0 $are");
	return sql("SELECT max(job_id) $are");
}

# Waits until autovacuum has analyzed the table.
sub wait_for_analyze
{
	my ($table, $db) = @_;
	wait_query($node, "SELECT autoanalyze_count > 0 FROM pg_stat_user_tables WHERE relname = '$table'", $db);
	return;
}

# Has autovacuum analyze a new table. $command: to be run before that. Returns the session that has
# closed the gate, and the job, which waits at the gate.
sub stop_analyze
{
	my ($table, $command) = @_;
	create($table, 'stop(a)');
	sql($command) if defined $command;
	my $gates = close_gates($node, $gate);
	let_autovacuum($table);
	my $job = wait_for_job("ANALYZE public.$table", 'running');
	wait_at_gate($node, $job);
	return ($gates, $job);
}

# ---- while it runs ----

sub test_running
{
	my ($gates, $job) = stop_analyze('running', 'CREATE TABLE parted (a integer) PARTITION BY RANGE (a); ALTER TABLE parted ATTACH PARTITION running DEFAULT');
	my $is = "job_id = $job";
	is(sql("SELECT job_type, description, statement, user_name = current_user, status, running_status, round(fraction_completed::numeric, 2), finished FROM [SHOW AUTOMATIC JOBS] WHERE $is"),
		'AUTO_CREATE_STATS|Table statistics refresh for postgres.public.running|ANALYZE public.running|t|running||0.90|',
		'SHOW AUTOMATIC JOBS shows ANALYZE of autovacuum while it runs, and how far it is, also of a partition');
	my $worker = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query ~ 'public.running'});
	is(field($job, 'pid'), $worker, '... with the pid of the worker');
	my $holder = $gates->query_safe('SELECT pg_backend_pid()');
	like(field($job, 'running_status'), qr/^waiting for an advisory lock: pid $holder/, '... and whom it waits for');
	is(sql("SELECT count(*) FROM [SHOW JOBS] WHERE $is"), 0, 'SHOW JOBS does not show it');
	is(sql("SELECT percent FROM kwjobs.progress WHERE id = $job"), 90, 'kwjobs.progress shows how far it is');
	like(said($node, 'SET ROLE nobody; SELECT * FROM [SHOW AUTOMATIC JOBS]'), qr/ERROR:  only users with the admin role are allowed to SHOW JOBS/, 'a role that is no admin sees no jobs');
	like(said($node, "PAUSE JOB $job"), qr/AUTO_CREATE_STATS jobs cannot be paused.*work of an autovacuum worker.*CANCEL JOB $job/s, 'PAUSE says what to type');
	is(sql('SELECT kwjobs.cancel_all(), kwjobs.pause_all()'), '0|0', 'ALL JOBS leaves it alone');
	like(sql("SELECT kwjobs.why($job)"), qr/is done by the autovacuum worker with process/, 'kwjobs.why names the worker');
	$gates->quit;
	wait_for_status($node, $job, 'succeeded');
	wait_for_session_jobs($node);
	is(sql("SELECT status, finished > started, fraction_completed, error FROM [SHOW AUTOMATIC JOBS] WHERE $is"), 'succeeded|t|1|', '... it has succeeded');
	is(sql("SELECT count(*) FROM kwjobs.job WHERE $is"), 1, '... and has a row');
	wait_for_analyze('running');
	# The worker may do more for the table as long as it lives. What it has done has a row then.
	ok(wait_until_gone($worker), 'the worker leaves');
	wait_for_session_jobs($node);
	is(sql(q(SELECT count(*) FROM kwdb_internal.jobs WHERE statement ~ 'public.running')), 1, '... which is all there is');
	return;
}

# ---- how it ends ----

sub test_cancel
{
	my ($gates, $job) = stop_analyze('canceled');
	like(said($node, "SET ROLE nobody; CANCEL JOB $job"), qr/ERROR:  only users with the admin role are allowed to CANCEL JOBS/, 'a role that is no admin cannot cancel it');
	is(field($job, 'status'), 'running', '... it goes on');
	sql("SET ROLE boss; CANCEL JOB $job WITH REASON = 'not now'");
	wait_for_status($node, $job, 'canceled');
	is(field($job, 'error_code, request_user, request_reason, error_hint'),
		'57014|boss|not now|Autovacuum does this again when it next comes to the table, if it still has to.', 'the admin role can');
	wait_query($node, "SELECT count(*) = 1 FROM kwjobs.job WHERE job_id = $job");
	unlike(sql("SELECT kwjobs.why($job)"), qr/RETRY/, '... and kwjobs.why does not say to type RETRY, which is refused');
	my $again = wait_for_job('ANALYZE public.canceled', 'running');
	isnt($again, $job, '... and autovacuum comes back to the table, as another job');
	wait_at_gate($node, $again);
	$gates->quit;
	wait_for_status($node, $again, 'succeeded');
	is(sql(q(SELECT status FROM kwdb_internal.jobs WHERE statement = 'ANALYZE public.canceled' ORDER BY job_id)), "canceled\nsucceeded", '... and these are all');
	return;
}

# Locks a table while autovacuum analyzes it.
sub lock_beside_analyze
{
	my ($table, $name) = @_;
	my ($gates, $job) = stop_analyze($table);
	my $session = session();
	my $pid = $session->query_safe(q(SET application_name = 'migrate'; SELECT pg_backend_pid()));
	$session->query_safe("BEGIN; LOCK TABLE $table");
	wait_for_status($node, $job, 'canceled');
	is(field($job, 'error, error_code, request_user'), "canceled by lock of pid $pid (migrate)|57014|", $name);
	$session->quit;
	$gates->quit;
	wait_for_job("ANALYZE public.$table", 'succeeded');
	return;
}

sub test_canceled_by_lock
{
	lock_beside_analyze('locked', 'the job says whose lock has canceled it');
	sql('ALTER DATABASE postgres SET log_min_messages = panic');
	lock_beside_analyze('quiet', '... also where the server log is told of no error');
	sql('ALTER DATABASE postgres RESET log_min_messages');

	my ($gates, $job) = stop_analyze('hit');
	sql('SELECT pg_cancel_backend(' . field($job, 'pid') . ')');
	wait_for_status($node, $job, 'canceled');
	is(field($job, 'error, request_user'), 'canceling autovacuum task|', '... and nobody if nobody waits for a lock');
	$gates->quit;
	wait_for_job('ANALYZE public.hit', 'succeeded');

	# A session that waits for the table has not waited long enough to cancel anything.
	configure($node, 'deadlock_timeout', '1h');
	($gates, $job) = stop_analyze('waited_for');
	my $waits = session();
	my $pid = $waits->query_safe('SELECT pg_backend_pid()');
	$waits->query_until(qr/locking/, "BEGIN;\n\\echo locking\nLOCK TABLE waited_for;\n");
	wait_query($node, "SELECT count(*) = 1 FROM pg_locks WHERE pid = $pid AND NOT granted");
	sql('SELECT pg_cancel_backend(' . field($job, 'pid') . ')');
	wait_for_status($node, $job, 'canceled');
	is(field($job, 'error'), 'canceling autovacuum task', '... nor a session that has just begun to wait');
	$waits->quit;
	$gates->quit;
	configure($node, 'deadlock_timeout');
	wait_for_job('ANALYZE public.waited_for', 'succeeded');
	return;
}

sub test_failed
{
	create('failing', 'fail(a)');
	my $gates = close_gates($node, $gate);
	let_autovacuum('failing');
	my $job = wait_for_job('ANALYZE public.failing', 'failed');
	is(field($job, 'error, error_code'), 'the index does not want to|P0001', 'an error of the work is the error of the job');
	$gates->quit;
	wait_for_job('ANALYZE public.failing', 'succeeded');

	($gates, $job) = stop_analyze('ended');
	sql('SELECT pg_terminate_backend(' . field($job, 'pid') . ')');
	wait_for_status($node, $job, 'failed');
	is(field($job, 'error, error_code'), 'terminating autovacuum process due to administrator command|57P01', 'so is the end of the worker');
	$gates->quit;
	wait_for_job('ANALYZE public.ended', 'succeeded');
	return;
}

# ---- VACUUM ----

# Creates a table of 1000 pages, each of which costs autovacuum 100 ms, so that VACUUM does not end
# before a test has seen it.
sub create_slow
{
	my ($table, $options) = @_;
	sql(<<"EOF");
CREATE TABLE $table (a integer, b text) WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, $options);
ALTER TABLE $table ALTER b SET STORAGE PLAIN;
INSERT INTO $table SELECT n, repeat('x', 3900) FROM generate_series(1, 2000) AS n
EOF
	return;
}

sub test_vacuum
{
	create('twice', 'stop(a)');
	sql('DELETE FROM twice WHERE a > 50; ALTER TABLE twice SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0)');
	my $gates = close_gates($node, $gate);
	# Autovacuum must not come before PostgreSQL has counted the rows. A session may report them only when it ends,
	# and psql does not wait for that.
	wait_query($node, q(SELECT n_tup_ins = 100 AND n_dead_tup = 50 FROM pg_stat_user_tables WHERE relname = 'twice'));
	let_autovacuum('twice');
	my $analyze = wait_for_job('ANALYZE public.twice', 'running');
	my $vacuum = wait_for_job('VACUUM public.twice', 'succeeded');
	cmp_ok($vacuum, '<', $analyze, 'VACUUM and ANALYZE of a table are two jobs');
	is(field($vacuum, 'description'), 'Table vacuum for postgres.public.twice', '... VACUUM says what it is');
	is(field($vacuum, q{result->>'dead_rows', (result->>'pages_hit')::integer + (result->>'pages_read')::integer > 0, (result->>'wal_records')::integer > 0}),
		'50|t|t', '... and what it has cost');
	wait_at_gate($node, $analyze);
	$gates->quit;
	wait_for_status($node, $analyze, 'succeeded');

	create_slow('slow', 'autovacuum_enabled = off, autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0');
	sql('DELETE FROM slow');
	let_autovacuum('slow');
	my $job = wait_for_job('VACUUM public.slow', 'running');
	wait_query($node, "SELECT fraction_completed > 0 FROM kwdb_internal.jobs WHERE job_id = $job");
	is(field($job, 'running_status, fraction_completed < 0.7'), 'scanning heap|t', 'VACUUM shows its phase, and how far it is');
	my $session = session();
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_safe('DROP TABLE slow');
	wait_for_status($node, $job, 'canceled');
	like(field($job, 'error'), qr/^canceled by lock of pid $pid/, '... and whose lock has canceled it');
	$session->quit;
	return;
}

# ---- what is no job ----

sub test_left_out
{
	create('busy');
	let_autovacuum_beside_lock('busy');
	my $before = unrecorded($node);
	sql('CREATE DATABASE other');
	sql(q(CREATE TABLE elsewhere (a integer) WITH (autovacuum_analyze_threshold = 1); INSERT INTO elsewhere SELECT generate_series(1, 100)), 'other');
	wait_for_analyze('elsewhere', 'other');
	is(unrecorded($node), $before, 'work in a database without the extension is not counted');
	sql('CREATE EXTENSION kwjobs', 'other');
	is(sql(q(SELECT count(*) FROM [SHOW AUTOMATIC JOBS] WHERE statement ~ 'elsewhere'), 'other'), 0, '... and leaves nothing');
	return;
}

# Has autovacuum come to a table that is locked. A RESET would wait for the lock, and a lock after the RESET for
# autovacuum. So a session waits for the lock that the RESET has, and gets its own at the commit.
sub let_autovacuum_beside_lock
{
	my ($table) = @_;
	my ($resets, $session) = (session(), session());
	my $log = -s $node->logfile;
	$resets->query_safe("ALTER TABLE $table SET (log_autovacuum_min_duration = 0)");
	$resets->query_safe("BEGIN; ALTER TABLE $table RESET (autovacuum_enabled)");
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/locking/, "BEGIN;\n\\echo locking\nLOCK TABLE $table;\n");
	wait_query($node, "SELECT count(*) = 1 FROM pg_locks WHERE pid = $pid AND NOT granted");
	$resets->query_safe('COMMIT');
	$resets->quit;
	ok($node->wait_for_log(qr/skipping analyze of "$table" --- lock not available/, $log), 'autovacuum leaves out a table that is locked');
	wait_for_session_jobs($node);
	is(sql(qq(SELECT count(*) FROM kwjobs.job WHERE statement = 'ANALYZE public.$table')), 0, '... which is no job');
	$session->quit;
	wait_for_job("ANALYZE public.$table", 'succeeded');
	return;
}

# Changes a setting of the database, and waits until no autovacuum worker is left that has the one before.
sub set_for_autovacuum
{
	my ($change) = @_;
	sql("ALTER DATABASE postgres $change");
	my $changed = sql('SELECT clock_timestamp()');
	wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND backend_start < '$changed'");
	return;
}

sub test_settings
{
	set_for_autovacuum(q(SET kwjobs.track_min_duration = '1h'));
	create('short');
	let_autovacuum('short');
	wait_for_analyze('short');
	sql('ALTER DATABASE postgres RESET kwjobs.track_min_duration');
	set_for_autovacuum('SET kwjobs.track_autovacuum = off');
	create('off');
	let_autovacuum('off');
	wait_for_analyze('off');
	wait_for_session_jobs($node);
	is(sql(q(SELECT count(*) FROM kwdb_internal.jobs WHERE statement ~ 'public.(short|off)')), 0, 'work that is too short is not kept, nor any without the setting');
	sql('ALTER DATABASE postgres RESET kwjobs.track_autovacuum');
	return;
}

sub test_names
{
	sql('CREATE SCHEMA "S.1"; CREATE SCHEMA "S"');
	create('"S.1"."T x"');
	let_autovacuum('"S.1"."T x"');
	my $job = wait_for_job('ANALYZE "S.1"."T x"', 'succeeded');
	is(field($job, 'description'), 'Table statistics refresh for postgres."S.1"."T x"', 'names are shown as they can be typed');
	create('"S"."1.T"');
	create('"S.1"."T"');
	let_autovacuum('"S.1"."T"');
	wait_for_job('ANALYZE S.1.T', 'succeeded');
	return;
}

# ---- no harm ----

sub test_no_harm
{
	my ($gates, $job) = stop_analyze('gone');
	sql('DROP EXTENSION kwjobs');
	$gates->quit;
	wait_for_analyze('gone');
	# The work counts as done before its transaction ends. A job that ends in the new extension gets a row there.
	wait_query($node, 'SELECT taken = 0 FROM kwjobs.session_job_places()', 'other');
	sql('CREATE EXTENSION kwjobs');
	wait_query($node, "SELECT count(*) = 0 FROM kwdb_internal.session_jobs() WHERE job_id = $job");
	is(sql("SELECT count(*) FROM kwdb_internal.jobs WHERE job_id = $job"), 0, 'DROP EXTENSION does not disturb ANALYZE, and takes its job along');

	# With four places in shared memory, autovacuum may have one. The first job has it.
	$node->append_conf('postgresql.conf', 'kwjobs.max_session_jobs = 4');
	$node->restart;
	($gates, $job) = stop_analyze('first');
	create('second');
	my $before = unrecorded($node);
	let_autovacuum('second');
	wait_for_analyze('second');
	is(unrecorded($node), $before + 1, 'without a place ANALYZE works, and is counted');
	is(sql(q(SELECT count(*) FROM kwdb_internal.jobs WHERE statement = 'ANALYZE public.second')), 0, '... and is no job');
	is(field($job, 'status'), 'running', '... beside one that has a place');
	$gates->quit;
	wait_for_status($node, $job, 'succeeded');
	$node->append_conf('postgresql.conf', 'kwjobs.max_session_jobs = 256');
	$node->restart;
	return;
}

# ---- wraparound ----

sub test_wraparound
{
	create_slow('old', 'fillfactor = 100');
	sql(<<'EOF');
CREATE TABLE xids (a integer);
DO $$
BEGIN
    FOR n IN 1 .. 101000 LOOP
        BEGIN
            INSERT INTO xids VALUES (n);
        EXCEPTION WHEN division_by_zero THEN
        END;
    END LOOP;
END $$
EOF
	my $job = wait_for_job('VACUUM public.old', 'running');
	is(field($job, 'description'), 'Table vacuum for postgres.public.old, to prevent wraparound', 'VACUUM says that it prevents wraparound');
	like(said($node, "CANCEL JOB $job"), qr/ERROR:  job $job cannot be canceled.*wrapping around.*HINT:  Let it go on/s, '... and cannot be canceled');
	like(said($node, 'CANCEL ALL AUTO_CREATE_STATS JOBS'), qr/of a kind for which that is not possible/, '... ALL JOBS leaves it out');
	is(field($job, 'status'), 'running', '... it goes on');
	wait_query($node, q(SELECT age(relfrozenxid) < 90000 FROM pg_class WHERE relname = 'pg_database'));
	wait_for_job('VACUUM pg_catalog.pg_proc', 'succeeded');
	is(sql(q(SELECT count(*) FROM kwdb_internal.jobs WHERE statement ~ 'pg_database')), 0, 'work on a catalog that all databases share is no job');
	return;
}

test_running();
test_cancel();
test_canceled_by_lock();
test_failed();
test_vacuum();
test_left_out();
test_settings();
test_names();
test_no_harm();
test_wraparound();
is_consistent($node);
$node->stop('immediate');
done_testing();
