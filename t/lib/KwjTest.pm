# t/lib/KwjTest.pm: what the TAP tests share: a server with kwjobs, files to import, a gate that
# stops an import in the middle, functions that wait until something is true.
package KwjTest;

use strict;
use warnings;

# Set these timeouts before PostgreSQL's modules read them. A busy machine needs minutes for what
# takes a second otherwise. The timeout of a background session counts from its start, not from its
# last statement.
BEGIN
{
	$ENV{PG_TEST_TIMEOUT_DEFAULT} ||= 600;
	$ENV{PGCTLTIMEOUT} ||= 600;
}

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(new_node start_standby set_standby lose_standby configure set_clock write_csv make_target
  close_gate close_gates close_gates_in open_gate create_gated_functions $choosy_autovacuum
  start_import $jobs add_jobs said result_as error_parts
  becomes_true wait_query kill_process wait_in comes_true wait_until_gone wait_at_gate wait_at_gates
  wait_for_status wait_for_end wait_for_pass wait_for_session_jobs start_wait
  begin_waiting ends_as
  wait_for_no_coordinator unrecorded
  busy_looks wait_for_statistics index_reads job_field attempt_statuses is_imported is_consistent is_once
  server_processes start_when_possible files_below build_library);

# Makes the node's cluster. initdb takes longer than many a test, so ./test names a directory in
# which t/lib/bin/initdb keeps what it has made (KWJ_TEMPLATES). Without it, PostgreSQL's initdb
# runs.
sub init_node
{
	my ($node, %init) = @_;
	local $ENV{PATH} = abs_path(dirname(__FILE__)) . "/bin:$ENV{PATH}" if $ENV{KWJ_TEMPLATES};
	$node->init(%init);
	return;
}

# Starts a server with kwjobs. $conf: more lines for postgresql.conf. Where PostgreSQL has LLVM, it
# would compile each query whose estimated cost is high, which can take longer than the rest of a
# test and changes nothing that is tested here.
sub new_node
{
	my ($name, $conf, %init) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	init_node($node, %init);
	$node->append_conf('postgresql.conf', <<"EOF");
shared_preload_libraries = 'kwjobs'
max_worker_processes = 32
restart_after_crash = on
jit = off
log_line_prefix = '%m [%p] %b '
EOF
	$node->append_conf('postgresql.conf', $conf) if defined $conf;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION kwjobs');
	return $node;
}

# Starts a standby of the primary, which must have been made with allows_streaming. $conf: more
# lines for its postgresql.conf.
sub start_standby
{
	my ($primary, $name, $conf) = @_;
	$primary->backup($name);
	my $standby = PostgreSQL::Test::Cluster->new($name);
	$standby->init_from_backup($primary, $name, has_streaming => 1);
	$standby->append_conf('postgresql.conf', $conf) if defined $conf;
	$standby->start;
	return $standby;
}

# Sets the name of the standby for which commits wait; '' for none. Returns when the postmaster knows it. The
# session of the test does not wait for a standby itself.
sub set_standby
{
	my ($node, $name) = @_;
	my $log = -s $node->logfile;
	$node->safe_psql('postgres', "SET synchronous_commit = local; ALTER SYSTEM SET synchronous_standby_names = '$name'");
	$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
	$node->wait_for_log(qr/parameter "synchronous_standby_names" changed to "$name"/, $log);
	return;
}

# Has commits wait for a standby that does not exist. It is the checkpointer that makes them wait, some time after
# the postmaster has told it. So a session writes into table written, again and again, until its commit waits.
# Returns that session.
sub lose_standby
{
	my ($node) = @_;
	set_standby($node, 'nobody');
	my $session = $node->background_psql('postgres');
	for (1 .. 100)
	{
		$session->query_until(qr/writing/, "\\echo writing\nINSERT INTO written VALUES (1);\n");
		last if becomes_true($node, "SELECT wait_event = 'SyncRep' OR state = 'idle' FROM pg_stat_activity WHERE query ~ '^INSERT INTO written'")
		  && $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") > 0;
	}
	return $session;
}

# Changes a setting, or resets it if there is no value, and tells all processes of the server. The
# postmaster logs that it reloads, then tells all processes, and then starts new sessions. So when a
# session begins after the message, all processes have been told. A coordinator obeys before its
# next pass.
sub configure
{
	my ($node, $name, $value) = @_;
	$node->safe_psql('postgres', 'ALTER SYSTEM ' . (defined $value ? "SET $name = '$value'" : "RESET $name"));
	# What an earlier reload has logged is before this place, because the session began after that.
	my $log = -s $node->logfile;
	$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
	$node->wait_for_log(qr/received SIGHUP, reloading configuration files/, $log);
	$node->safe_psql('postgres', 'SELECT 1');
	return;
}

# Sets the clock by which the processes of kwjobs go in a build for tests (src/clock.h): to this
# time, which must not be before that of the server. It goes on from there.
sub set_clock
{
	my ($node, $time) = @_;
	configure($node, 'kwjobs.test_clock', $node->safe_psql('postgres',
			"SELECT ceil(extract(epoch FROM timestamptz '$time' - clock_timestamp()))::integer"));
	return;
}

# Writes a file of rows (n, 'row n') that the server can read. Returns its path.
sub write_csv
{
	my ($node, $rows) = @_;
	my $path = abs_path($node->basedir) . "/rows$rows.csv";
	open(my $fh, '>', $path) or die "$path: $!";
	print $fh "$_,row $_\n" for 1 .. $rows;
	close($fh) or die "$path: $!";
	return $path;
}

# Builds the library of t/lib with this name for the server, in this directory. Returns whether that worked.
sub build_library
{
	my ($node, $name, $dir) = @_;
	return system('cc', '-shared', '-fPIC', '-I' . $node->config_data('--includedir-server'),
		'-o', "$dir/$name.so", dirname(__FILE__) . "/$name.c") == 0;
}

# Returns the names of all that is below the directory, also of hidden files, with N for the ids of jobs.
sub files_below
{
	my ($dir) = @_;
	return '' unless -d $dir;
	my @files = sort(split(/\n/, `cd '$dir' && find . -mindepth 1`));
	s/^\.\///, s/kwjobs-\d+/kwjobs-N/ for @files;
	return join(' ', @files);
}

# Creates a table for this file. Row number $gate waits at a gate, which is advisory lock 4711.
sub make_target
{
	my ($node, $table, $gate, $db) = @_;
	$node->safe_psql($db // 'postgres', <<"EOF");
CREATE TABLE $table (n integer, t text);
CREATE FUNCTION ${table}_gate() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(4711);
    RETURN NEW;
END \$\$;
CREATE TRIGGER gate BEFORE INSERT ON $table FOR EACH ROW
    WHEN (NEW.n = $gate) EXECUTE FUNCTION ${table}_gate();
EOF
	return;
}

# Settings with which an autovacuum worker comes to each database every second, and leaves all tables
# alone that have no thresholds of their own. A session that waits for a lock which the worker has
# cancels the work after 0.1 s.
our $choosy_autovacuum = <<'EOF';
autovacuum_naptime = 1s
autovacuum_vacuum_threshold = 1000000
autovacuum_vacuum_insert_threshold = -1
autovacuum_analyze_threshold = 1000000
autovacuum_max_workers = 6
deadlock_timeout = 100ms
EOF

# Creates functions stop and fail, for indexes on stop(column) and fail(column). While a session keeps
# the gate with this number closed, ANALYZE of a table waits for it at the first of these indexes, and
# fails at the second.
sub create_gated_functions
{
	my ($node, $gate) = @_;
	$node->safe_psql('postgres', <<"EOF");
CREATE FUNCTION stop(a integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
\$\$ BEGIN PERFORM pg_advisory_xact_lock_shared($gate); RETURN a; END \$\$;
CREATE FUNCTION fail(a integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
\$\$ BEGIN
    IF NOT pg_try_advisory_xact_lock_shared($gate) THEN
        RAISE EXCEPTION 'the index does not want to';
    END IF;
    RETURN a;
END \$\$;
EOF
	return;
}

# Returns a session of this database that keeps the gates with these numbers closed.
sub close_gates_in
{
	my ($node, $db, @gates) = @_;
	my $session = $node->background_psql($db);
	$session->query_safe("SELECT pg_advisory_lock($_)") for @gates;
	return $session;
}

sub close_gates { my ($node, @gates) = @_; return close_gates_in($node, 'postgres', @gates) }

# Returns a session that keeps the gate closed. Pass it to open_gate().
sub close_gate
{
	my ($node, $db) = @_;
	return close_gates_in($node, $db // 'postgres', 4711);
}

sub open_gate
{
	my ($session) = @_;
	$session->query_safe('SELECT pg_advisory_unlock(4711)');
	$session->quit;
	return;
}

# Creates an import job. Returns its id.
sub start_import
{
	my ($node, $table, $path, $db) = @_;
	return $node->safe_psql($db // 'postgres',
		"SELECT kwjobs.import('$table', ARRAY['$path'])");
}

# Jobs that no worker will run. A control statement that does not change the status is legal again
# and again: PAUSE of job 1, RESUME of job 2, CANCEL of job 3. SHOW JOBS shows them in this order.
our $jobs = <<'EOF';
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status,
                        due, max_attempts, payload, created, started, finished, modified)
SELECT n, 'IMPORT', 'a job', 10, 'postgres', status, 'infinity', 1, '{}',
       now(), now() - n * interval '1 minute', finished, now()
  FROM (VALUES (1, 'paused', NULL), (2, 'running', NULL), (3, 'canceled', now()))
       AS job (n, status, finished);
EOF

sub add_jobs
{
	my ($node, $db) = @_;
	$node->safe_psql($db // 'postgres', $jobs);
	return;
}

# Returns the NOTICE or ERROR that a statement raises.
sub said
{
	my ($node, $statement, $role) = @_;
	my ($out, $err);
	$node->psql('postgres', ($role ? "SET SESSION AUTHORIZATION $role; " : '') . $statement, stdout => \$out, stderr => \$err);
	return $err =~ s/^psql:<stdin>:\d+: //gmr;
}

# Returns what statements return in a session of this role, or the SQLSTATE of their error.
sub result_as
{
	my ($node, $role, $sql, $db) = @_;
	my ($rc, $out, $err) = $node->psql($db // 'postgres', "\\set VERBOSITY sqlstate\n$sql", extra_params => [ '-U', $role ]);
	return $rc == 0 ? $out : $err =~ s/^.*ERROR:\s+(\w+).*$/$1/sr;
}

# Returns the SQLSTATE, the message and the hint of the error that a statement raises, between bars.
sub error_parts
{
	my ($node, $statement, $db) = @_;
	my ($rc, $out, $err) = $node->psql($db // 'postgres', $statement, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return join('|', $err =~ /ERROR:  (\w+): (.*)/, $err =~ /HINT:  (.*)/);
}

# Waits until a query returns true, also across restarts of the server, and returns whether it did in
# the usual time. A session looks every 20 ms, because no event tells it of most that a test waits for.
# It stays for a second, and then the next one comes, so that a command which waits until no session is
# left in its database gets through. It ends its transaction before it sleeps, so it keeps no lock. It has
# a snapshot while it sleeps, too, but takes a new one for each look.
sub becomes_true
{
	my ($node, $query, $db) = @_;
	my $looks = <<"EOF";
DO \$wait\$
#variable_conflict use_column
BEGIN
    FOR i IN 1 .. 50 LOOP
        IF (
$query
        ) THEN
            PERFORM pg_catalog.set_config('test.reached', 'reached', false);
            EXIT;
        END IF;
        COMMIT;
        PERFORM pg_catalog.pg_sleep(0.02);
    END LOOP;
END \$wait\$;
SELECT pg_catalog.current_setting('test.reached', true)
EOF
	return comes_true(sub {
		# While a server restarts after a crash, psql may exit before it has read the script.
		my ($rc, $out) = eval { $node->psql($db // 'postgres', $looks, on_error_stop => 0) };
		die $@ if !defined $rc && $@ !~ /Broken pipe/;
		return defined $rc && $out eq 'reached';
	});
}

# Waits until a query returns true. A test fails if that takes longer than the usual time.
sub wait_query
{
	my ($node, $query, $db) = @_;
	ok(becomes_true($node, $query, $db), "reached: $query")
	  or diag($node->safe_psql($db // 'postgres',
			'SELECT job_id, status, running_status, error FROM kwdb_internal.jobs'));
	return;
}

# Kills a process of the server. Waits until the postmaster has ended all others because of that, and takes
# connections again, which it logs. (A session that begins earlier may be one of those that it ends.)
# @sessions: sessions of the test; their psql ends, too.
sub kill_process
{
	my ($node, $pid, @sessions) = @_;
	my $log = -s $node->logfile;
	$pid =~ /^[1-9]\d*$/ && kill('KILL', $pid) == 1 or die "no process $pid";
	$node->wait_for_log(qr/database system is ready to accept connections/, $log);
	$_->{run}->kill_kill for @sessions;
	return;
}

# Waits until a session that is connected already sees that a condition is true. Use it while no new
# session can connect. The session looks every 10 ms, because no event tells it that a process has
# come or gone, or that a job runs or is paused. query_safe() gives up after the usual time.
sub wait_in
{
	my ($session, $condition) = @_;
	$session->query_safe("DO \$\$ BEGIN WHILE NOT ($condition) LOOP PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01); END LOOP; END \$\$");
	return;
}

# Waits until the condition, a function, returns true. Returns false if it does not become true in
# $seconds seconds, or in the usual time.
sub comes_true
{
	my ($condition, $seconds) = @_;
	my $end = time() + ($seconds // $PostgreSQL::Test::Utils::timeout_default);
	until ($condition->())
	{
		return 0 if time() >= $end;
		select(undef, undef, undef, 0.05);
	}
	return 1;
}

# Waits until no process has this id. Returns false if one still has it after $seconds seconds, or
# after the usual time; that may be another process.
sub wait_until_gone
{
	my ($pid, $seconds) = @_;
	return comes_true(sub { !kill(0, $pid) }, $seconds);
}

# Looks $looks times, every 20 ms, whether the coordinator is at work. Returns how often it was. $session: the
# session that looks, if not a new one.
sub busy_looks
{
	my ($node, $looks, $session) = @_;
	my $look = <<"EOF";
DO \$\$
DECLARE
    busy integer := 0;
BEGIN
    FOR i IN 1 .. $looks LOOP
        PERFORM pg_stat_clear_snapshot(), pg_sleep(0.02);
        busy := busy + (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND
                        (wait_event IS NULL OR wait_event_type <> 'Extension'));
    END LOOP;
    PERFORM set_config('test.busy', busy::text, false);
END \$\$;
SELECT current_setting('test.busy')
EOF
	return $session ? $session->query_safe("$look;") : $node->safe_psql('postgres', $look);
}

# Waits until workers and coordinators are idle, as that is when they report what they have read and written.
sub wait_for_statistics
{
	my ($node) = @_;
	wait_query($node, <<'EOF');
SELECT bool_and(wait_event_type IN ('Extension', 'Activity'))
  FROM pg_stat_activity WHERE backend_type IN ('kwjobs worker', 'kwjobs coordinator')
EOF
	return;
}

# Returns how many rows the indexes of this table of kwjobs, or else of all, have given until now.
sub index_reads
{
	my ($node, $table) = @_;
	wait_for_statistics($node);
	return $node->safe_psql('postgres', "SELECT sum(idx_tup_read) FROM pg_stat_all_indexes WHERE schemaname = 'kwjobs'"
		  . (defined $table ? " AND relname = '$table'" : ''));
}

# For tests of how fast something is, which may fail when the machine is busy with something else:
# three of at most five tries have to return what is expected. Each try does everything anew.
sub is_once
{
	my ($try, $expected, $name) = @_;
	my ($good, @others) = (0);
	while ($good < 3 && @others < 3)
	{
		my $got = $try->() // 'NULL';
		if ($got eq $expected) { $good++ }
		else { push(@others, $got) }
	}
	diag("$name: got $_, expected $expected") for @others;
	return cmp_ok($good, '>=', 3, $name);
}

sub wait_at_gate
{
	my ($node, $job, $db) = @_;
	wait_query($node, <<"EOF", $db);
SELECT count(*) = 1 FROM pg_locks AS l JOIN kwdb_internal.jobs AS j USING (pid)
 WHERE l.locktype = 'advisory' AND NOT l.granted AND j.job_id = $job
EOF
	return;
}

# Waits until this many sessions and workers wait at gates. $which: a condition on pg_locks and
# pg_stat_activity, if not all of them count.
sub wait_at_gates
{
	my ($node, $n, $which) = @_;
	$which //= 'true';
	wait_query($node, <<"EOF");
SELECT count(*) = $n FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
 WHERE l.locktype = 'advisory' AND NOT l.granted AND $which
EOF
	return;
}

sub wait_for_status
{
	my ($node, $job, $status, $db) = @_;
	wait_query($node,
		"SELECT status = '$status' FROM kwdb_internal.jobs WHERE job_id = $job", $db);
	return;
}

# Waits until the jobs are over, however they end.
sub wait_for_end
{
	my ($node, @jobs) = @_;
	wait_query($node, "SELECT finished IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $_") for @jobs;
	return;
}

# Waits until no job of a session has a place in shared memory any more: all of them are over, and
# those that are kept have rows, which the coordinator may have to write after the session's commit.
sub wait_for_session_jobs
{
	my ($node) = @_;
	wait_query($node, 'SELECT taken = 0 FROM kwjobs.session_job_places()');
	return;
}

# Waits until no coordinator is left: of this database, or else of any.
sub wait_for_no_coordinator
{
	my ($node, $db) = @_;
	wait_query($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'}
		  . ($db ? " AND datname = '$db'" : ''));
	return;
}

# Returns how much work of sessions and autovacuum had no place in shared memory, or could not be
# looked up, since the server has started.
sub unrecorded
{
	my ($node) = @_;
	return $node->safe_psql('postgres', 'SELECT unrecorded FROM kwjobs.session_job_places()');
}

# Returns a session that waits for the end of the job, once it sleeps. Its result comes with the
# answer to the next query. It is told nothing of the job's progress, because query_safe() takes a
# NOTICE for an error.
sub start_wait
{
	my ($node, $job) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SET kwjobs.progress_interval = 0; SELECT pg_backend_pid()');
	$session->query_until(qr/waits/, "\\echo waits\nSELECT 'over: ' || status FROM [SHOW JOB WHEN COMPLETE $job];\n");
	wait_query($node, "SELECT state = 'active' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid");
	return $session;
}

# Has the session begin a statement that waits for a lock. Returns the statement's job.
sub begin_waiting
{
	my ($node, $session, $statement) = @_;
	$session->query_until(qr/begins/, "\\echo begins\n$statement;\n");
	wait_query($node, <<"EOF");
SELECT count(*) = 1 FROM kwdb_internal.jobs AS j JOIN pg_stat_activity AS a USING (pid)
 WHERE j.description = '$statement' AND a.wait_event_type = 'Lock'
EOF
	return $node->safe_psql('postgres', "SELECT max(job_id) FROM kwdb_internal.jobs WHERE description = '$statement'");
}

# Waits until the job is over and has a row, and checks its status and its error.
sub ends_as
{
	my ($node, $job, $expected, $name) = @_;
	wait_query($node, "SELECT count(*) = 1 FROM kwjobs.job WHERE job_id = $job AND finished IS NOT NULL");
	is(job_field($node, $job, q(concat_ws(', ', status, error_code, nullif(error, '')))), $expected, $name);
	return;
}

# Waits until the coordinator has run a full pass that began after this was called. A pass settles
# the CANCEL of a job that does not run, so this function cancels such a job and waits until it is
# canceled. Then it does the same again: when a second pass settles something, the first one has
# also done what it does after its commit. While kwjobs.max_workers is 0, call this only for a
# database that has a coordinator.
sub wait_for_pass
{
	my ($node, $db) = @_;
	for (1 .. 2)
	{
		my $job = $node->safe_psql($db // 'postgres',
			q{SELECT kwjobs.submit('SELECT 1', run_at => '2999-01-01')});
		$node->safe_psql($db // 'postgres', "CANCEL JOB $job");
		wait_for_status($node, $job, 'canceled', $db);
	}
	return;
}

sub job_field
{
	my ($node, $job, $field, $db) = @_;
	return $node->safe_psql($db // 'postgres',
		"SELECT $field FROM kwdb_internal.jobs WHERE job_id = $job");
}

# Returns how the attempts of a job went, in their order, between commas.
sub attempt_statuses
{
	my ($node, $job) = @_;
	return $node->safe_psql('postgres',
		"SELECT string_agg(status, ',' ORDER BY attempt) FROM kwdb_internal.job_attempts WHERE job_id = $job");
}

# Checks that the table has exactly the rows of the file, each once.
sub is_imported
{
	my ($node, $table, $rows, $name, $db) = @_;
	is( $node->safe_psql($db // 'postgres',
			"SELECT count(*), count(DISTINCT n), min(n), max(n) FROM $table"),
		"$rows|$rows|1|$rows",
		$name);
	return;
}

# Returns the server's processes: the processes whose working directory is the data directory (if
# the system has /proc), and the postmaster as long as a process has its process id.
sub server_processes
{
	my ($node) = @_;
	my $directory = abs_path($node->data_dir);
	my @pids = grep { (readlink("/proc/$_/cwd") // '') eq $directory } map { m{(\d+)$} } glob('/proc/[0-9]*');
	if (-e "$directory/postmaster.pid")
	{
		my ($postmaster) = slurp_file("$directory/postmaster.pid") =~ /^(\d+)$/m;
		push(@pids, $postmaster) if defined $postmaster && kill(0, $postmaster);
	}
	return @pids;
}

# Starts the server after the postmaster's death. The start fails until all children of the dead
# postmaster have exited by themselves. Each start that fails would copy the server's log into the
# log of the test, so wait for the children first.
sub start_when_possible
{
	my ($node) = @_;
	my $tries = 10 * $PostgreSQL::Test::Utils::timeout_default;
	while (server_processes($node) || !$node->start(fail_ok => 1))
	{
		die 'the server does not start' if --$tries <= 0;
		# forget the process that the dead postmaster's file names
		undef $node->{_pid};
		select(undef, undef, undef, 0.1);
	}
	return;
}

# Rules for which the tables of kwjobs have no constraints. Each line of the result is a row that
# breaks a rule. of_worker has the jobs that workers run: a session or an autovacuum worker that does
# a job itself makes no attempts, and writes 1 as total_num_of_ex.
my $rules = <<'EOF';
WITH counted AS (
    SELECT job_id, count(*) AS n, count(*) FILTER (WHERE NOT reverting) AS n_executions,
           count(*) FILTER (WHERE NOT reverting AND status IN ('failed', 'crashed')) AS n_failures
      FROM kwjobs.attempt GROUP BY job_id),
of_worker AS (
    SELECT * FROM kwjobs.job
     WHERE job_type NOT IN ('SCHEMA CHANGE', 'TEST_SESSION')
       AND NOT (job_type IN ('CREATE_STATS', 'AUTO_CREATE_STATS') AND attempts = 0 AND total_num_of_ex = 1))
SELECT 'status', job_id FROM kwjobs.job WHERE status NOT IN
    ('pending', 'running', 'paused', 'pause-requested', 'cancel-requested', 'reverting',
     'succeeded', 'failed', 'canceled', 'revert-failed')
UNION ALL SELECT 'finished', job_id FROM kwjobs.job
 WHERE (finished IS NOT NULL) <> (status IN ('succeeded', 'failed', 'canceled', 'revert-failed'))
UNION ALL SELECT 'active', job_id FROM kwjobs.job
 WHERE active_attempt IS NOT NULL AND (finished IS NOT NULL OR active_attempt <> attempts)
UNION ALL SELECT 'running', job_id FROM kwjobs.job
 WHERE status = 'running' AND active_attempt IS NULL
UNION ALL SELECT 'rank', job_id FROM kwjobs.job
 WHERE rank IS NOT NULL AND (active_attempt IS NOT NULL OR status NOT IN ('pending', 'reverting'))
UNION ALL SELECT 'limits', job_id FROM kwjobs.job
 WHERE max_attempts < 1 OR retries >= max_attempts OR retry_delay < 0 OR timeout <= 0 OR
       on_failure NOT IN ('fail', 'retry', 'pause') OR revert_to NOT IN ('failed', 'canceled')
UNION ALL SELECT 'attempt without a job', job_id FROM kwjobs.attempt AS a
 WHERE NOT EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = a.job_id)
UNION ALL SELECT 'event without a job', job_id FROM kwjobs.event AS e
 WHERE NOT EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = e.job_id)
UNION ALL SELECT 'numbers of events', job_id FROM kwjobs.event
 GROUP BY job_id HAVING count(*) <> least(max(number), 1000)
UNION ALL SELECT 'attempt', a.job_id FROM kwjobs.attempt AS a JOIN kwjobs.job AS j USING (job_id)
 WHERE a.attempt NOT BETWEEN 1 AND j.attempts OR
       (a.status = 'running') <> (a.attempt IS NOT DISTINCT FROM j.active_attempt) OR
       (a.status = 'running') <> (a.finished IS NULL) OR
       a.status NOT IN ('running', 'succeeded', 'failed', 'crashed', 'interrupted', 'paused', 'canceled')
UNION ALL SELECT 'number of attempts', job_id FROM of_worker LEFT JOIN counted USING (job_id)
 WHERE job_type <> 'RESTART' AND
       (attempts, total_num_of_ex) <> (coalesce(n, 0), coalesce(n_executions, 0))
UNION ALL SELECT 'started', job_id FROM of_worker
 WHERE job_type <> 'RESTART' AND (started IS NULL) <> (attempts = 0)
UNION ALL SELECT 'successes', job_id FROM kwjobs.job
 WHERE job_type NOT IN ('RESTART', 'SCHEMA CHANGE', 'TEST_SESSION') AND
       (total_num_of_success <> (status = 'succeeded')::integer OR
        (time_of_last_success IS NULL) <> (status <> 'succeeded'))
UNION ALL SELECT 'failures', job_id FROM of_worker LEFT JOIN counted USING (job_id)
 WHERE total_num_of_fail <> coalesce(n_failures, 0)
UNION ALL SELECT 'dependency of a finished job', job_id FROM kwjobs.dependency
 WHERE job_id IN (SELECT job_id FROM kwjobs.job WHERE finished IS NOT NULL)
UNION ALL SELECT 'rejected records of a finished job', job_id FROM kwjobs.rejected
 WHERE job_id IN (SELECT job_id FROM kwjobs.job WHERE finished IS NOT NULL AND status NOT IN ('failed', 'canceled', 'revert-failed'))
UNION ALL SELECT 'transactions of a finished job', job_id FROM kwjobs.job_transaction
 WHERE job_id IN (SELECT job_id FROM kwjobs.job WHERE finished IS NOT NULL AND status <> 'revert-failed')
EOF

sub is_consistent
{
	my ($node, $db) = @_;
	is($node->safe_psql($db // 'postgres', $rules), '', 'the tables of kwjobs are consistent');
	has_all_entries($node, $db);
	return;
}

# Each index of the tables of kwjobs has an entry for each row that belongs into it, and is in
# order.
sub has_all_entries
{
	my ($node, $db) = @_;
	my ($exit, $out, $err) = $node->psql($db // 'postgres', <<'EOF');
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS amcheck;
SELECT count(public.bt_index_check(indexrelid, true)) FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid
 WHERE relnamespace = 'kwjobs'::regnamespace AND indisvalid;
EOF
	like("$out|$err", qr/^[1-9]\d+\|$/, 'their indexes are complete');
	return;
}

1;
