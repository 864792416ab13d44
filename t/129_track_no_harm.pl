# kwjobs.track does no harm. Whatever has become of kwjobs's tables and processes, and in each mode
# of the server, the statements of a session work, do not wait for kwjobs, and leave no lock on its
# tables. Jobs that could not be recorded are counted. A CANCEL JOB that comes too late cancels
# nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('no_harm', <<'EOF', extra => [ '--no-locale', '--encoding=UTF8' ]);
kwjobs.track = top
kwjobs.max_session_jobs = 32
max_connections = 150
max_prepared_transactions = 5
autovacuum = off
EOF

sub sql { my ($query, $db) = @_; return $node->safe_psql($db // 'postgres', $query) }
sub session { return $node->background_psql('postgres', on_error_stop => 0) }

# Returns how the jobs have ended whose statements have this name in them, once they have rows.
sub ends_of
{
	my ($name) = @_;
	wait_for_session_jobs($node);
	return sql(qq{SELECT string_agg(concat_ws(' ', status, error_code), ', ' ORDER BY job_id) FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE' AND description ~ '$name'});
}

# ---- CANCEL JOB that comes when the statement has done its work ----

# Has the statement do its work, cancels its job, and then lets it go on. Returns what the client is
# told and how the job ends.
sub cancel_late
{
	my ($statement, $name) = @_;
	my $gate = close_gates($node, 4922);
	my $session = session();
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/begins/, "\\echo begins\n$statement;\n\\echo ended :SQLSTATE\nSELECT 'next statement';\n");
	wait_at_gates($node, 1, "pid = $pid");
	my $job = sql("SELECT job_id FROM kwdb_internal.jobs WHERE pid = $pid AND job_type = 'SCHEMA CHANGE'");
	sql("CANCEL JOB $job");
	is(job_field($node, $job, 'status'), 'cancel-requested', "$name: CANCEL comes after the work");
	$gate->quit;
	wait_query($node, "SELECT count(*) = 1 FROM kwjobs.job WHERE job_id = $job");
	my $said = $session->query('SELECT 1');
	like($said, qr/next statement/, '... the next statement is not canceled');
	$session->quit;
	return ($said =~ /ended (\w{5})/)[0] . ', ' . job_field($node, $job, q(concat_ws(' ', status, error_code)));
}

sub test_late_cancel
{
	sql('CREATE TABLE t (a integer); INSERT INTO t SELECT n FROM generate_series(1, 100) AS n');
	is(cancel_late('ALTER TABLE t ADD late integer', 'ALTER TABLE'), '57014, canceled 57014', '... a rollback undoes the work');
	is(sql(q(SELECT count(*) FROM pg_attribute WHERE attname = 'late')), 0, '... which is so');
	is(cancel_late('CREATE INDEX CONCURRENTLY late ON t (a)', 'CREATE INDEX CONCURRENTLY'), '00000, succeeded', '... it is too late');
	is(sql(q(SELECT indisvalid FROM pg_index WHERE indexrelid = 'late'::regclass)), 't', '... and the index is valid');
	is(cancel_late('CREATE DATABASE late', 'CREATE DATABASE'), '00000, succeeded', '... it is too late');
	is(cancel_late('DROP DATABASE late', 'DROP DATABASE'), '00000, succeeded', '... it is too late');
	is(sql(q(SELECT count(*) FROM pg_database WHERE datname = 'late')), 0, '... and the database is gone');
	is(cancel_late('VACUUM FULL t', 'VACUUM FULL'), '00000, succeeded', '... it is too late');
	return;
}

# ---- 100 sessions that wait for the job of a CREATE INDEX CONCURRENTLY ----

sub test_many_waits
{
	my ($holds, $session) = map { session() } 1 .. 2;
	my $script = $node->basedir . '/wait.sql';
	$holds->query_safe('BEGIN; INSERT INTO t VALUES (0)');
	$session->query_until(qr/begins/, "\\echo begins\nCREATE INDEX CONCURRENTLY waited_for ON t (a);\n");
	wait_query($node, q{SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE description ~ 'waited_for' AND status = 'running'});
	my $job = sql(q{SELECT job_id FROM kwdb_internal.jobs WHERE description ~ 'waited_for'});
	append_to_file($script, "SHOW JOB WHEN COMPLETE $job;\n");
	my ($out, $err) = ('', '');
	my $waits = IPC::Run::start([ 'pgbench', '-n', '-c', '100', '-t', '1', '-f', $script, $node->connstr('postgres') ], '<', \undef, '>', \$out, '2>', \$err);
	wait_query($node, "SELECT count(*) = 100 FROM pg_stat_activity WHERE query ~ 'WHEN COMPLETE $job' AND wait_event_type = 'Extension'");
	$holds->query_safe('ROLLBACK');
	$session->query_safe('SELECT 1');
	is(ends_of('waited_for'), 'succeeded', 'CREATE INDEX CONCURRENTLY does not wait for 100 sessions that wait for it');
	$waits->finish;
	like($out, qr{number of transactions actually processed: 100/100}, '... and they hear of it');
	$_->quit for $holds, $session;
	return;
}

# ---- locks ----

sub test_locks
{
	my ($session, $lock) = map { session() } 1 .. 2;
	$session->query_safe('BEGIN; CREATE TABLE locks_nothing ()');
	is($session->query_safe(q{SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'kwjobs'::regnamespace)}),
		0, 'a transaction with a tracked statement has no lock on a table of kwjobs');
	$session->query_safe('COMMIT');
	$lock->query_safe('BEGIN; LOCK TABLE kwjobs.job');
	is($session->query_safe(q(SET statement_timeout = '60s'; CREATE TABLE while_locked (); SELECT 1)), 1, 'ACCESS EXCLUSIVE on kwjobs.job delays no statement');
	$session->query_safe('BEGIN; CREATE TABLE while_locked_2 ()');
	$session->query_safe('ROLLBACK');
	$lock->query_safe('ROLLBACK');
	is(ends_of('while_locked'), 'succeeded, failed 40000', '... and the coordinator writes the rows');
	# This command locks the index, but not its table. A session opens all indexes when it writes
	# its first row, and only some of them from then on, so there is one session of each kind.
	for my $session (session(), $session)
	{
		$lock->query_safe('BEGIN; ALTER INDEX kwjobs.job_finished SET TABLESPACE pg_default');
		is($session->query_safe('CREATE TABLE while_index_locked (); DROP TABLE while_index_locked; SELECT 1'), 1, 'nor does a lock on an index');
		$lock->query_safe('ROLLBACK');
	}
	is(ends_of('while_index_locked'), join(', ', ('succeeded') x 4), '... and the coordinator writes the rows');
	$_->quit for $session, $lock;
	return;
}

# ---- a coordinator that does nothing ----

sub test_stopped_coordinator
{
	my $before = unrecorded($node);
	my $pid = sql(q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'));
	kill('STOP', $pid);
	sql('BEGIN; ' . join('', map { "CREATE TABLE undone_$_ (); " } 1 .. 8) . 'ROLLBACK') for 1 .. 5;
	is(sql('SELECT taken FROM kwjobs.session_job_places()'), 32, 'a coordinator that does nothing: failed jobs keep their places');
	is(unrecorded($node) - $before, 8, '... further ones are counted');
	is(sql('CREATE TABLE without_place (); SELECT 1'), 1, '... and statements work');
	kill('CONT', $pid);
	is(ends_of('undone'), join(', ', ('failed 40000') x 32), 'when it goes on, it writes the rows');
	return;
}

# ---- our tables: changed, and gone ----

sub test_changed_tables
{
	my $before = unrecorded($node);
	sql(<<'EOF');
SET kwjobs.track = none;
CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no rows here'; END $$;
CREATE TRIGGER raises BEFORE INSERT ON kwjobs.job FOR EACH ROW EXECUTE FUNCTION raises();
EOF
	is(sql('CREATE TABLE with_trigger (); SELECT 1'), 1, 'a trigger that refuses our rows refuses no statement');
	wait_for_session_jobs($node);
	is(unrecorded($node) - $before, 1, '... what it refuses is counted');
	sql('SET kwjobs.track = none; DROP TRIGGER raises ON kwjobs.job');
	sql('SET kwjobs.track = none; ALTER TABLE kwjobs.job ADD CONSTRAINT short CHECK (length(description) < 5) NOT VALID');
	is(sql('CREATE TABLE with_constraint (); SELECT 1'), 1, 'nor does a constraint');
	wait_for_session_jobs($node);
	is(unrecorded($node) - $before, 2, '... and it is counted');
	sql('SET kwjobs.track = none; ALTER TABLE kwjobs.job DROP CONSTRAINT short');
	sql('SET kwjobs.track = none; ALTER TABLE kwjobs.job ADD COLUMN needed integer NOT NULL DEFAULT 5; ALTER TABLE kwjobs.job ALTER COLUMN needed DROP DEFAULT');
	is(sql('CREATE TABLE with_needed_column (); SELECT 1'), 1, 'nor does a column that must not be NULL');
	wait_for_session_jobs($node);
	is(unrecorded($node) - $before, 3, '... and it is counted');
	sql('SET kwjobs.track = none; ALTER TABLE kwjobs.job DROP COLUMN needed');
	is(ends_of('with_trigger|with_constraint|with_needed_column'), '', 'they have no rows');

	sql('CREATE DATABASE broken');
	sql('CREATE EXTENSION kwjobs; CREATE TABLE before_rename ()', 'broken');
	sql('SET kwjobs.track = none; ALTER TABLE kwjobs.job RENAME TO gone', 'broken');
	is(sql('CREATE TABLE without_table (); SELECT 1', 'broken'), 1, 'without kwjobs.job, statements work');
	is(sql('BEGIN; CREATE TABLE without_table_2 (); ROLLBACK; SELECT 1', 'broken'), 1, '... and roll back');
	sql('SET kwjobs.track = none; ALTER TABLE kwjobs.gone RENAME TO job', 'broken');
	sql('DROP DATABASE broken');

	sql('CREATE DATABASE plain');
	sql('CREATE EXTENSION kwjobs; DROP EXTENSION plpgsql', 'plain');
	sql('CREATE TABLE without_plpgsql ()', 'plain');
	is(sql(q(SELECT string_agg(description || ': ' || status, ', ' ORDER BY job_id) FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE'), 'plain'),
		'DROP EXTENSION plpgsql: succeeded, CREATE TABLE without_plpgsql (): succeeded', 'without PL/pgSQL');
	return;
}

# ---- two-phase commit over a restart ----

sub test_prepared
{
	sql(q(BEGIN; CREATE TABLE prepared_1 (); PREPARE TRANSACTION 'one'));
	sql(q(BEGIN; CREATE TABLE prepared_2 (); PREPARE TRANSACTION 'two'));
	$node->restart;
	is(sql(q(SELECT count(*) FROM kwdb_internal.jobs WHERE description ~ 'prepared_')), 0, 'after a restart, nobody sees the jobs of prepared transactions');
	sql(q(COMMIT PREPARED 'one'));
	sql(q(ROLLBACK PREPARED 'two'));
	is(ends_of('prepared_'), 'succeeded', '... until COMMIT PREPARED, which has the row');
	return;
}

# ---- other modes of the server ----

sub test_modes
{
	my ($out, $err) = ('', '');
	$node->stop;
	IPC::Run::run([ 'postgres', '--single', '-D', $node->data_dir, 'postgres' ], '<', \"CREATE TABLE single_user ()\n", '>', \$out, '2>', \$err)
	  or die "single-user mode: $err";
	unlike($out . $err, qr/ERROR|FATAL/, 'single-user mode: a statement works');
	# pg_upgrade starts a server with -b, too.
	$node->command_ok([ 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', 'start' ], 'a server that is being upgraded');
	is(sql('CREATE SCHEMA being_upgraded; SELECT 1'), 1, '... statements work');
	is(sql(q(SELECT count(*) FROM kwdb_internal.jobs WHERE description ~ 'being_upgraded')), 0, '... and are no jobs');
	$node->command_ok([ 'pg_ctl', '-w', '-D', $node->data_dir, 'stop' ], '... it stops');
	$node->start;
	is(sql(q(SELECT count(*) FROM pg_class WHERE relname = 'single_user')), 1, 'what was done in single-user mode is there');
	is(ends_of('single_user|being_upgraded'), '', '... and has no jobs');
	sql('DROP TABLE single_user');
	is(ends_of('single_user'), 'succeeded', 'tracking goes on');
	return;
}

test_late_cancel();
test_many_waits();
test_locks();
test_stopped_coordinator();
test_changed_tables();
test_prepared();
test_modes();
is_consistent($node);
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal (?!9)/, 'no process crashed by itself');
$node->stop;
done_testing();
