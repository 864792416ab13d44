# SCHEMA CHANGE jobs (kwjobs.track) while they run: seen by others, canceled, killed; with commands
# that commit in between; beside dumps, extensions, other databases. sql/track.sql has which
# statements are jobs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('track', <<'EOF', allows_streaming => 1, extra => [ '--no-locale', '--encoding=UTF8' ]);
kwjobs.track = top
max_prepared_transactions = 10
autovacuum = off
EOF

sub sql { my ($query, $db) = @_; return $node->safe_psql($db // 'postgres', $query) }
sub field { my ($job, $field) = @_; return job_field($node, $job, $field) }

# Returns a session that goes on after an ERROR.
sub session
{
	my ($db) = @_;
	return $node->background_psql($db // 'postgres', on_error_stop => 0);
}

# Returns the latest job with this description.
sub id_of
{
	my ($description) = @_;
	return sql("SELECT max(job_id) FROM kwdb_internal.jobs WHERE description = '$description'");
}

# Returns all SCHEMA CHANGE jobs of a database, one a line, once they have rows.
sub jobs
{
	my ($db) = @_;
	wait_for_session_jobs($node);
	return sql(q{SELECT concat_ws(', ', description, status, error_code) FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE' ORDER BY job_id}, $db);
}

sub start_over
{
	my ($db) = @_;
	wait_for_session_jobs($node);
	sql(q(DELETE FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE'), $db);
	return;
}

# ---- a job whose row the coordinator writes after it has failed ----

# Between the session's error and the coordinator's commit the next look of any session may take its snapshot.
sub test_older_snapshot
{
	my $older = session();
	$older->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM kwdb_internal.jobs');
	$node->psql('postgres', 'CREATE INDEX CONCURRENTLY ON no_table (a)');
	wait_for_session_jobs($node);
	my $look = q{SELECT status, finished IS NOT NULL, error FROM kwdb_internal.jobs WHERE description LIKE '%no_table%'};
	is(sql($look), 'failed|t|relation "no_table" does not exist', 'a failed statement has its row');
	is($older->query_safe($look), sql($look), '... and a snapshot that is older than the row sees the same, not that it runs');
	$older->query_safe('COMMIT');
	$older->quit;
	start_over();
	return;
}

# ---- a statement that waits for a lock ----

sub test_running
{
	my ($holds, $session) = map { session() } 1 .. 2;
	$holds->query_safe('BEGIN; LOCK TABLE t');
	my $job = begin_waiting($node, $session, 'ALTER TABLE t ADD c integer');
	is(field($job, 'job_type, status, user_name, started IS NOT NULL, finished IS NULL, pid IS NOT NULL'),
		'SCHEMA CHANGE|running|' . sql('SELECT current_user') . '|t|t|t', 'a statement that waits for a lock is seen as running');
	is(sql("SELECT count(*) FROM [SHOW JOBS] WHERE job_id = $job"), 1, '... by SHOW JOBS');
	like(said($node, "PAUSE JOB $job"), qr/SCHEMA CHANGE jobs cannot be paused.*HINT:  To stop it, type CANCEL JOB $job\./s, 'PAUSE says what to type');
	is(sql('SELECT kwjobs.pause_all(), kwjobs.cancel_all()'), '0|0', '... ALL JOBS leaves it alone');
	sql(q(SELECT kwjobs.hold(running => 'pause')));
	sql('SELECT kwjobs.release()');
	is(field($job, 'status'), 'running', '... and so does a hold');
	my $waits = start_wait($node, $job);
	sql("CANCEL JOB $job WITH REASON = 'in the way'");
	ends_as($node, $job, 'canceled, 57014, canceling statement due to user request', 'CANCEL JOB cancels the statement');
	is(field($job, 'request_reason'), 'in the way', '... with the reason');
	like($waits->query_safe('SELECT 1'), qr/over: canceled/, '... SHOW JOB WHEN COMPLETE hears of it');
	like($session->query('SELECT 1'), qr/^1$/m, '... and the session goes on');
	like($session->{stderr}, qr/canceling statement due to user request/, '... after its error');

	$job = begin_waiting($node, $session, 'ALTER TABLE t ADD c integer');
	$holds->query_safe('ROLLBACK');
	ends_as($node, $job, 'succeeded', 'with the lock it succeeds');

	$holds->query_safe('BEGIN; LOCK TABLE t');
	$job = begin_waiting($node, $session, 'ALTER TABLE t ADD d integer');
	sql('SELECT kwjobs.cancel_all($$schema change$$)');
	ends_as($node, $job, 'canceled, 57014, canceling statement due to user request', 'CANCEL ALL with the type');
	$job = begin_waiting($node, $session, 'ALTER TABLE t ADD d integer');
	sql('SELECT pg_terminate_backend(' . field($job, 'pid') . ')');
	ends_as($node, $job, 'failed, 40000, transaction rolled back, as its session ended', 'a session that is terminated');
	$session = session();
	$session->query_safe(q(SET lock_timeout = '10ms'));
	$session->query('DROP TABLE t');
	$holds->query_safe('ROLLBACK');
	ends_as($node, id_of('DROP TABLE t'), 'failed, 55P03, canceling statement due to lock timeout', 'lock_timeout');
	$_->quit for $holds, $session, $waits;
	return;
}

# A session waits for the job of a statement which is then too short for kwjobs.track_min_duration.
# The job is not kept, and the wait ends.
sub test_not_kept
{
	my ($holds, $session) = map { session() } 1 .. 2;
	$session->query_safe(q(SET kwjobs.track_min_duration = '1h'));
	$holds->query_safe('BEGIN; LOCK TABLE t');
	my $job = begin_waiting($node, $session, 'ALTER TABLE t ADD e integer');
	my $waits = start_wait($node, $job);
	$holds->query_safe('ROLLBACK');
	$session->query_safe('SELECT 1');
	is($waits->query_safe('SELECT 1'), 1, 'who waits for a job that is not kept waits no longer');
	is(sql("SELECT count(*) FROM kwdb_internal.jobs WHERE job_id = $job"), 0, '... and there is none');
	$_->quit for $holds, $session, $waits;
	return;
}

# ---- commands that commit in between ----

# Cancels the statement while it waits for a session that has written to the table, after the
# statement has committed once.
sub cancel_waiting
{
	my ($statement, $hint, $table) = @_;
	my ($holds, $session) = map { session() } 1 .. 2;
	$holds->query_safe('BEGIN; INSERT INTO ' . ($table // 't') . ' VALUES (1)');
	my $job = begin_waiting($node, $session, $statement);
	sql("CANCEL JOB $job");
	ends_as($node, $job, 'canceled, 57014, canceling statement due to user request', "$statement is canceled");
	like(field($job, 'error_hint'), qr/^$hint$/, '... its hint says what is left');
	$holds->query_safe('ROLLBACK');
	like($session->query('SELECT 1'), qr/^1$/m, '... and the session goes on');
	$_->quit for $holds, $session;
	return;
}

sub test_concurrently
{
	cancel_waiting('CREATE INDEX CONCURRENTLY t_a ON t (a)',
		qr/public\.t_a was left INVALID: .* type DROP INDEX CONCURRENTLY public\.t_a\./);
	is(sql(q(SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass)), 'f', '... which is so');
	sql('DROP INDEX CONCURRENTLY public.t_a');
	cancel_waiting('CREATE INDEX CONCURRENTLY ON t (a)',
		qr/public\.t_a_idx was left INVALID: .* type DROP INDEX CONCURRENTLY public\.t_a_idx\./);
	sql('DROP INDEX t_a_idx');
	sql('CREATE INDEX t_a ON t (a); CREATE INDEX t_b ON t (b)');
	cancel_waiting('REINDEX TABLE CONCURRENTLY t',
		qr/(public\.t_a_ccnew), (public\.t_b_ccnew), (pg_toast\.\w+_ccnew) were left INVALID: .* type DROP INDEX CONCURRENTLY \1; DROP INDEX CONCURRENTLY \2; DROP INDEX CONCURRENTLY \3\./);
	sql($_) for split(/; /, field(id_of('REINDEX TABLE CONCURRENTLY t'), q(substring(error_hint from 'type (.*)\.$'))));
	is(sql('SELECT count(*) FROM pg_index WHERE NOT indisvalid'), 0, '... and what it says to type cleans up');
	cancel_waiting('DROP INDEX CONCURRENTLY t_b',
		qr/The index may be INVALID now\. To remove it, type DROP INDEX CONCURRENTLY again\./);
	sql('DROP INDEX t_b');
	sql('CREATE TABLE parent (a integer) PARTITION BY RANGE (a); CREATE TABLE part PARTITION OF parent FOR VALUES FROM (0) TO (10)');
	cancel_waiting('ALTER TABLE parent DETACH PARTITION part CONCURRENTLY',
		qr/The partition may be half detached\. To go on, type ALTER TABLE \.\.\. DETACH PARTITION \.\.\. FINALIZE\./, 'parent');
	sql('ALTER TABLE parent DETACH PARTITION part FINALIZE');

	my $fails = 'CREATE INDEX CONCURRENTLY t_x ON t (no_such_column)';
	$node->psql('postgres', $fails);
	ends_as($node, id_of($fails), 'failed, 42703, column "no_such_column" does not exist', 'an error at once');
	is(field(id_of($fails), 'error_hint IS NULL'), 't', '... leaves nothing');
	return;
}

# CREATE INDEX CONCURRENTLY waits for transactions of other sessions, but not for the sessions that
# wait for its job, and not for the coordinator.
sub test_waited_for
{
	my ($holds, $session) = map { session() } 1 .. 2;
	$holds->query_safe('BEGIN; INSERT INTO t VALUES (0)');
	my $job = begin_waiting($node, $session, 'CREATE INDEX CONCURRENTLY t_c ON t (c)');
	my @waits = map { start_wait($node, $job) } 1 .. 3;
	$holds->query_safe('ROLLBACK');
	$session->query_safe('SELECT 1');
	ends_as($node, $job, 'succeeded', 'CREATE INDEX CONCURRENTLY does not wait for those that wait for it');
	like($_->query_safe('SELECT 1'), qr/over: succeeded/, '... and they hear of it') for @waits;
	$_->quit for $holds, $session, @waits;
	return;
}

# ---- transactions ----

sub test_transactions
{
	start_over();
	my $session = session();
	$session->query_safe('BEGIN READ ONLY');
	$session->query_safe('REINDEX TABLE t');
	$session->query_safe('COMMIT');
	$session->query_safe('VACUUM FULL t');
	$session->query_safe(q(BEGIN; CREATE TABLE prepared (); PREPARE TRANSACTION 'p'));
	my $job = id_of('CREATE TABLE prepared ()');
	like(field($job, 'status, running_status'), qr/^running\|waiting for COMMIT PREPARED or ROLLBACK PREPARED/, 'PREPARE TRANSACTION');
	sql(q(COMMIT PREPARED 'p'));
	ends_as($node, $job, 'succeeded', '... and COMMIT PREPARED');
	$session->query_safe(q(BEGIN; CREATE TABLE prepared_2 (); PREPARE TRANSACTION 'p'));
	$session->query_safe(q(ROLLBACK PREPARED 'p'));
	$session->quit;
	is(jobs(), <<'EOF' =~ s/\n$//r, 'READ ONLY, VACUUM, two-phase commit');
REINDEX TABLE t, succeeded
VACUUM FULL t, succeeded
CREATE TABLE prepared (), succeeded
CREATE TABLE prepared_2 (), failed, 40000
EOF
	return;
}

# ---- protocols ----

sub test_protocols
{
	my $script = $node->basedir . '/ddl.sql';
	append_to_file($script, "CREATE TABLE of_pgbench (a integer);\nALTER TABLE of_pgbench ADD b integer;\nDROP TABLE of_pgbench;\n");
	for my $protocol ('simple', 'extended', 'prepared')
	{
		start_over();
		$node->command_ok([ 'pgbench', '-n', '-M', $protocol, '-t', '2', '-f', $script, 'postgres' ], "pgbench with the protocol $protocol");
		is(jobs(), join("\n", ('CREATE TABLE of_pgbench (a integer), succeeded', 'ALTER TABLE of_pgbench ADD b integer, succeeded', 'DROP TABLE of_pgbench, succeeded') x 2),
			'... each statement is a job');
	}
	return;
}

# A statement that a SQL job runs is no SCHEMA CHANGE job.
sub test_in_jobs
{
	start_over();
	sql(q(ALTER DATABASE postgres SET kwjobs.track = 'all'));
	my $job = sql(q(SELECT kwjobs.submit('CREATE TABLE of_job ()')));
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'a SQL job that changes the schema');
	is(jobs(), '', '... is one job');
	sql('ALTER DATABASE postgres RESET kwjobs.track');
	return;
}

# ---- databases and extensions ----

sub test_databases
{
	start_over();
	sql('CREATE DATABASE other');
	sql('CREATE DATABASE without');
	my $session = session('other');
	like(said($node, 'ALTER DATABASE other RENAME TO another'), qr/is being accessed by other users/, 'ALTER DATABASE fails while others are there');
	$session->quit;
	sql('ALTER DATABASE other ALLOW_CONNECTIONS true');
	is(jobs(), <<'EOF' =~ s/\n$//r, 'commands on databases');
CREATE DATABASE other, succeeded
CREATE DATABASE without, succeeded
ALTER DATABASE other RENAME TO another, failed, 55006
ALTER DATABASE other ALLOW_CONNECTIONS true, succeeded
EOF
	is(sql('CREATE TABLE x (); DROP TABLE x; SELECT 1', 'without'), 1, 'a database without the extension');
	sql('CREATE EXTENSION kwjobs', 'other');
	is(jobs('other'), '', 'CREATE EXTENSION kwjobs is no job');
	sql('CREATE TABLE x ()', 'other');
	is(jobs('other'), 'CREATE TABLE x (), succeeded', '... what comes then is');
	sql('DROP EXTENSION kwjobs; CREATE TABLE y ()', 'other');
	sql('BEGIN; CREATE EXTENSION kwjobs; CREATE TABLE z (); COMMIT', 'other');
	is(jobs('other'), 'CREATE TABLE z (), succeeded', 'DROP EXTENSION kwjobs and CREATE EXTENSION kwjobs work');
	sql('BEGIN; CREATE TABLE z2 (); DROP EXTENSION kwjobs; COMMIT', 'other');
	is(sql(q(SELECT count(*) FROM pg_class WHERE relname IN ('x', 'y', 'z', 'z2')), 'other'), 4, '... also in one transaction');
	# Gate 4922 stops DROP DATABASE at its end, when the files are gone. A CANCEL JOB that comes
	# then is too late.
	my $gate = close_gates($node, 4922);
	$session = session();
	$session->query_until(qr/drops/, "\\echo drops\nDROP DATABASE other;\n");
	wait_at_gates($node, 1, 'objid = 4922');
	sql('CANCEL JOB ' . id_of('DROP DATABASE other'));
	$gate->quit;
	$session->query('SELECT 1');
	$session->quit;
	is(sql(q{SELECT count(*) FROM pg_database WHERE datname = 'other'}), 0, 'a CANCEL JOB of DROP DATABASE that comes too late');
	like(jobs(), qr/^DROP DATABASE other, succeeded$/m, 'DROP DATABASE');
	return;
}

# The script of an extension, which creates tables, is one job.
sub test_extension_script
{
	start_over();
	sql(q(SET kwjobs.track = 'all'; CREATE EXTENSION pg_stat_statements; DROP EXTENSION pg_stat_statements));
	is(jobs(), "CREATE EXTENSION pg_stat_statements, succeeded\nDROP EXTENSION pg_stat_statements, succeeded", 'the script of an extension is one job');
	return;
}

# ---- dumps ----

sub count_restored { my ($db) = @_; return sql(q(SELECT count(*) FROM pg_class WHERE relname ~ '^dumped_\d+$'), $db) }

sub is_no_flood
{
	my ($db, $name, $which) = @_;
	wait_for_session_jobs($node);
	is(sql(q{SELECT count(*) FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE' AND status <> 'failed' AND finished - started < interval '1 s' AND } . ($which // 'true'), $db), 0, $name);
	return;
}

sub test_restore
{
	my $dump = $node->basedir . '/dump';
	# PostgreSQL's test modules set PGAPPNAME. Without it, application_name is pg_restore, by which
	# kwjobs knows sessions of pg_restore.
	local $ENV{PGAPPNAME};
	delete $ENV{PGAPPNAME};
	sql('CREATE DATABASE source');
	sql('CREATE EXTENSION kwjobs; ' . join('', map { "CREATE TABLE dumped_$_ (a integer PRIMARY KEY, b integer REFERENCES dumped_1); COMMENT ON TABLE dumped_$_ IS 'x'; " } 1 .. 30), 'source');
	$node->command_ok([ 'pg_dump', '-Fc', '--exclude-table-data', 'kwjobs.*', '-f', "$dump.custom", 'source' ], 'pg_dump');
	$node->command_ok([ 'pg_dump', '-f', "$dump.sql", 'source' ], 'pg_dump as a script');
	sql('CREATE DATABASE restored');
	sql('CREATE EXTENSION kwjobs; CREATE TABLE dumped_7 ()', 'restored');
	start_over('restored');
	$node->command_fails([ 'pg_restore', '-j', '2', '-d', 'restored', "$dump.custom" ], 'pg_restore, where an object exists already');
	is(count_restored('restored'), 30, '... restores the others');
	is_no_flood('restored', '... leaves no job of a short statement');
	like(jobs('restored'), qr/^CREATE TABLE public\.dumped_7 .*, failed, 42P07$/ms, '... but of one that failed');
	$node->command_ok([ 'pg_restore', '--clean', '--if-exists', '-d', 'restored', "$dump.custom" ], 'pg_restore --clean, which drops and creates kwjobs');
	is(count_restored('restored'), 30, '... restores all');
	sql('CREATE TABLE after_restore ()', 'restored');
	like(jobs('restored'), qr/^CREATE TABLE after_restore \(\), succeeded$/m, '... and tracking goes on');
	start_over('restored');
	{
		local $ENV{PGAPPNAME} = 'nightly restore';
		$node->command_ok([ 'pg_restore', '--clean', '--if-exists', '-d', 'restored', "$dump.custom" ], 'pg_restore under another name');
	}
	is_no_flood('restored', '... leaves no job of a short statement either');
	sql('CREATE DATABASE restored_by_psql');
	sql('CREATE EXTENSION kwjobs', 'restored_by_psql');
	$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dump.sql", 'restored_by_psql' ], 'the script restores, too');
	is(count_restored('restored_by_psql'), 30, '... all');
	# The dump has the rows of the source's own jobs, whose texts do not name the schema.
	is_no_flood('restored_by_psql', '... and leaves no job of a short statement', q(description ~ 'public\.'));
	sql(q(SET search_path = ''; CREATE TABLE public.no_restore ()), 'restored_by_psql');
	sql(q(SET check_function_bodies = off; CREATE TABLE no_restore_2 ()), 'restored_by_psql');
	is(sql(q{SELECT string_agg(description || ', ' || status, E'\n' ORDER BY job_id) FROM kwjobs.job WHERE description ~ 'no_restore'}, 'restored_by_psql'), "CREATE TABLE public.no_restore (), succeeded\nCREATE TABLE no_restore_2 (), succeeded",
		'one of the settings of a dump does not make a restore');
	return;
}

# ---- limits and crashes ----

# With 8 places, a session has 2 of them at a time.
sub test_full
{
	my $full = new_node('full', "kwjobs.track = top\nkwjobs.max_session_jobs = 8\n");
	$full->safe_psql('postgres', 'BEGIN; ' . join('', map { "CREATE TABLE many_$_ (a serial); " } 1 .. 10) . 'COMMIT');
	is($full->safe_psql('postgres', q(SELECT count(*) FROM pg_class WHERE relname ~ '^many_\d+$')), 10, 'more statements in a transaction than places work');
	is($full->safe_psql('postgres', 'SELECT * FROM kwjobs.session_job_places()'), '8|0|0', '... and all are recorded');
	is($full->safe_psql('postgres', q(SELECT count(*) FROM kwjobs.job WHERE status = 'succeeded' AND job_type = 'SCHEMA CHANGE')), 10, '... each once');

	my @others = map { $full->background_psql('postgres') } 1 .. 4;
	$others[$_]->query_safe("BEGIN; CREATE TABLE other_$_ (); CREATE TABLE other_too_$_ ()") for 0 .. 3;
	$full->safe_psql('postgres', 'CREATE TABLE without_place (a serial); DROP TABLE without_place');
	is($full->safe_psql('postgres', 'SELECT * FROM kwjobs.session_job_places()'), '8|8|2', 'where other sessions have all places, statements work and are counted, each once');
	$others[0]->query_safe('CREATE TABLE other_third ()');
	is($full->safe_psql('postgres', 'SELECT * FROM kwjobs.session_job_places()'), '8|8|2', '... but a session that has places uses them again');
	$_->query_safe('COMMIT') for @others;
	is($full->safe_psql('postgres', q(SELECT count(*) FROM kwjobs.job WHERE status = 'succeeded' AND description ~ 'other')), 9, '... and all of these have rows');
	$_->quit for @others;
	$full->stop;
	return;
}

# ---- transactions with many statements ----

sub many { my ($name, $n) = @_; return join('', map { "CREATE TABLE ${name}_$_ (); " } 1 .. $n) }

# Runs the statements. Returns how many jobs have succeeded, have failed, and are only counted.
sub outcome_of
{
	my ($statements) = @_;
	start_over();
	my $before = unrecorded($node);
	sql($statements);
	wait_for_session_jobs($node);
	return sql(q(SELECT concat_ws(', ', count(*) FILTER (WHERE status = 'succeeded'), count(*) FILTER (WHERE status = 'failed' AND error_code = '40000')) FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE'))
	  . ', ' . (unrecorded($node) - $before);
}

# A session has 64 places. If a transaction has more jobs, the session keeps the earlier ones in its
# own memory until the commit.
sub test_many
{
	is(outcome_of('BEGIN; ' . many('migration', 300) . 'COMMIT'), '300, 0, 0', 'a migration of 300 statements in one transaction');
	is(sql(q(SELECT string_agg(substring(description FROM '_(\d+) ')::text, ' ' ORDER BY job_id) FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE')),
		join(' ', 1 .. 300), '... each has its job, in order');
	is(sql(q(SELECT count(*) FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE' AND started <= finished AND user_name = current_user AND total_num_of_success = 1 AND error = '')), 300, '... with all that it needs');
	is(outcome_of('BEGIN; ' . many('kept', 100) . 'SAVEPOINT a; ' . many('undone', 100) . 'ROLLBACK TO a; CREATE TABLE after_savepoint (); COMMIT'),
		'101, 64, 36', 'after ROLLBACK TO, the last statements are shown as failed, the others are counted');
	is(outcome_of('BEGIN; SAVEPOINT a; ' . many('released', 100) . 'RELEASE a; SAVEPOINT b; ' . many('undone', 1) . 'ROLLBACK TO b; COMMIT'), '100, 1, 0', 'after RELEASE');
	is(outcome_of('BEGIN; ' . many('undone', 100) . 'ROLLBACK'), '0, 64, 36', 'after ROLLBACK');
	is(outcome_of('BEGIN; ' . many('prepared', 100) . q(PREPARE TRANSACTION 'many'; COMMIT PREPARED 'many')), '100, 0, 0', 'two-phase commit');
	is(outcome_of('BEGIN ISOLATION LEVEL SERIALIZABLE; ' . many('serializable', 100) . 'COMMIT'), '64, 0, 36', 'where the session must not insert rows');
	sql('CREATE DATABASE dropping');
	sql('CREATE EXTENSION kwjobs', 'dropping');
	my $before = unrecorded($node);
	sql('BEGIN; ' . many('dropping', 100) . 'DROP EXTENSION kwjobs; COMMIT', 'dropping');
	is(unrecorded($node) - $before, 0, 'what goes with the extension is not counted');

	my $session = session();
	$session->query_safe('BEGIN; ' . many('seen', 70));
	is(sql(q(SELECT count(*), min(substring(description FROM '_(\d+) ')::integer) FROM kwdb_internal.jobs WHERE description ~ 'seen')), '64|7', 'until the commit, others see the last ones');
	my $first = $session->query_safe('CREATE TABLE seen_71 (); SELECT max(job_id) FROM kwdb_internal.jobs');
	my $waits = start_wait($node, $first);
	$session->query_safe(many('seen_later', 64));
	is(sql(q(SELECT count(*) FROM kwdb_internal.jobs WHERE description ~ 'seen_70 ')), 0, '... and not the earlier ones');
	is(($node->psql('postgres', "SELECT status FROM kwjobs.wait($first, interval '0')"))[1], 'running', '... except those for which somebody waits');
	$session->query_safe('COMMIT');
	like($waits->query_safe('SELECT 1'), qr/over: succeeded/, '... who hears how they end');
	is(sql(q(SELECT count(*), count(DISTINCT job_id) FROM kwjobs.job WHERE description ~ 'seen')), '135|135', '... each has one row');
	$_->quit for $session, $waits;
	return;
}

sub test_standby
{
	my $standby = start_standby($node, 'standby');
	like(said($standby, 'CREATE TABLE on_standby ()'), qr/cannot execute CREATE TABLE in a read-only transaction/, 'on a standby, PostgreSQL says what it says');
	is($standby->safe_psql('postgres', 'SELECT taken, unrecorded FROM kwjobs.session_job_places()'), '0|0', '... and there is no job');
	$standby->stop;
	return;
}

sub test_kill
{
	start_over();
	my ($holds, $session) = map { session() } 1 .. 2;
	sql('CREATE TABLE killed (a integer)');
	$holds->query_safe('BEGIN; LOCK TABLE killed');
	my $job = begin_waiting($node, $session, 'ALTER TABLE killed ADD b integer');
	my $pid = field($job, 'pid');
	kill('KILL', $pid);
	ok(wait_until_gone($pid), 'a session is killed');
	wait_query($node, q(SELECT count(*) = 1 FROM kwjobs.job WHERE description = 'CREATE TABLE killed (a integer)'));
	is(sql("SELECT count(*) FROM kwdb_internal.jobs WHERE job_id = $job"), 0, 'nothing is left of its statement');
	sql('ALTER TABLE killed ADD c integer');
	is(jobs(), "CREATE TABLE killed (a integer), succeeded\nALTER TABLE killed ADD c integer, succeeded", '... and tracking goes on');
	$_->{run}->kill_kill for $holds, $session;
	return;
}

sql('CREATE TABLE t (a integer, b text); INSERT INTO t SELECT n FROM generate_series(1, 1000) AS n');
test_older_snapshot();
test_running();
test_not_kept();
test_concurrently();
test_waited_for();
test_transactions();
test_protocols();
test_in_jobs();
test_databases();
test_extension_script();
test_many();
test_restore();
is_consistent($node);
test_standby();
test_kill();
test_full();
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal (?!9)/, 'no process crashed by itself');
$node->stop;
done_testing();
