# t/lib/KwjFaults.pm: what goes wrong in t/020_faults.pl, one function a fault. Each returns with
# the server perhaps down, but with every setting and right as it was before.
package KwjFaults;

use strict;
use warnings;

use Exporter 'import';
use KwjErrandFaults;
use KwjTest;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(init_faults try_sql wait_until_up next_fault sessions_end release_everything
  late_starts looks_cut_off);

my $node;
my @owners = ('worker1', 'worker2');
my %sessions;    # names of psql processes that nobody waits for, by pid
my $victims = 0;
my $keys = 0;
my $late_starts = 0;
my $cut_off = 0;

# A statement that takes longer hangs: the server log then says so, which is looked at.
my $no_hang = '-c statement_timeout=90s';

# ---- sessions ----

# Whatever the server's state, the statement is sent and its fate does not matter.
sub try_sql
{
	my ($sql) = @_;
	local $ENV{PGOPTIONS} = $no_hang;
	# psql may be gone before it has read everything
	my ($rc, $out) = eval { $node->psql('postgres', $sql, timeout => 120) };
	return defined $rc && $rc == 0 ? $out : undef;
}

sub wait_until_up
{
	for (1 .. 10)
	{
		my $up = eval { $node->poll_query_until('postgres', 'SELECT true') };
		return if defined $up && $up;
	}
	BAIL_OUT('the server does not come back');
}

# Until it is done; to be used for what may be done twice.
sub must_sql
{
	my ($sql) = @_;
	for (1 .. 10)
	{
		wait_until_up();
		my $out = try_sql($sql);
		return $out if defined $out;
	}
	BAIL_OUT("cannot be done: $sql");
}

# At most two seconds: what is waited for need not happen.
sub wait_a_moment_for
{
	my ($query) = @_;
	for (1 .. 20)
	{
		return if (try_sql($query) // '') eq 't';
		usleep(100_000);
	}
	return;
}

# A psql that runs beside the test.
sub start_session
{
	my ($name, @statements) = @_;
	local $ENV{PGOPTIONS} = $name eq 'waiter' ? '' : $no_hang;
	my @psql = ('psql', '-XAtq', '-d', $node->connstr('postgres') . " application_name=$name",
		map { ('-c', $_) } @statements);
	my $pid = fork() // die "fork: $!";
	return $pid if $pid;
	open(STDIN, '<', '/dev/null');
	open(STDOUT, '>', '/dev/null');
	open(STDERR, '>', '/dev/null');
	exec(@psql) or POSIX::_exit(1);
}

# Several at the same time, until all have ended.
sub at_once
{
	my (@scripts) = @_;
	my @pids = map { start_session('together', $_) } @scripts;
	waitpid($_, 0) for @pids;
	return;
}

sub forget_ended_sessions
{
	for my $pid (keys %sessions)
	{
		delete $sessions{$pid} if waitpid($pid, POSIX::WNOHANG()) != 0;
	}
	return;
}

# No more than a few: who waits for jobs that are paused would do so until they are resumed.
sub bound_sessions
{
	forget_ended_sessions();
	for my $pid (sort keys %sessions)
	{
		last if keys %sessions <= 6;
		kill 'TERM', $pid;
		waitpid($pid, 0);
		delete $sessions{$pid};
	}
	return;
}

# Whether all end by themselves.
sub sessions_end
{
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		forget_ended_sessions();
		return 1 unless %sessions;
		usleep(100_000);
	}
	return 0;
}

# ---- signals ----

sub pid_of
{
	my ($which) = @_;
	my @pids = split(/\n/, try_sql("SELECT pid FROM pg_stat_activity WHERE $which ORDER BY pid") // '');
	return @pids ? $pids[ int(rand(@pids)) ] : undef;
}

sub signal_one
{
	my ($signal, $which) = @_;
	my $pid = pid_of($which) // return;
	kill $signal, $pid;
	# Until the postmaster knows of it, the server seems to be up, and then crashes. The wait is
	# short, because another process may have the pid by now.
	wait_until_gone($pid, 5) if $signal eq 'KILL';
	return;
}

sub signal_to
{
	my ($signal, $process) = @_;
	return sub { signal_one($signal, "backend_type = 'kwjobs $process'") };
}

# It misses what happens meanwhile, and gets all of it at once.
sub stop_for_a_moment
{
	my ($process) = @_;
	my $pid = pid_of("backend_type = 'kwjobs $process'") // return;
	kill 'STOP', $pid;
	# who has to wait for the stopped process must not be waited for
	my $control = start_session('beside',
		some_jobs([ 'pause', 'cancel' ]->[ int(rand(2)) ], "'running'"));
	usleep(50_000 + int(rand(200_000)));
	kill 'CONT', $pid;
	waitpid($control, 0);
	return;
}

# ---- jobs ----

# Each by itself: one that has ended meanwhile is an error.
sub some_jobs
{
	my ($verb, $statuses) = @_;
	return <<"EOF_SQL";
DO \$\$
DECLARE job bigint;
BEGIN
    FOR job IN SELECT job_id FROM kwjobs.job WHERE status IN ($statuses) AND finished IS NULL
                ORDER BY random() LIMIT 5 LOOP
        BEGIN
            PERFORM ask(job, '$verb');
        EXCEPTION WHEN object_not_in_prerequisite_state OR undefined_object THEN NULL;
        END;
    END LOOP;
END \$\$
EOF_SQL
}

# Sessions that pause, resume and cancel the same few jobs, each for itself.
sub fight_for_jobs
{
	my $ids = try_sql(<<'EOF_SQL') or return;
SELECT string_agg(job_id::text, ', ') FROM
    (SELECT job_id FROM kwjobs.job WHERE finished IS NULL
      ORDER BY active_attempt IS NULL, random() LIMIT 3) AS j
EOF_SQL
	my $script = <<"EOF_SQL";
DO \$\$
BEGIN
    FOR i IN 1 .. 15 LOOP
        BEGIN
            PERFORM ask((ARRAY[$ids])[1 + floor(random() * cardinality(ARRAY[$ids]))],
                        (ARRAY['pause', 'pause', 'resume', 'resume', 'cancel'])[1 + floor(random() * 5)]);
            PERFORM pg_sleep(random() * 0.02);
        EXCEPTION WHEN object_not_in_prerequisite_state OR undefined_object THEN NULL;
        END;
        COMMIT;
    END LOOP;
END \$\$
EOF_SQL
	at_once($script, $script);
	return;
}

# Sessions that control jobs of another database, while processes that bring the statements there end.
sub control_elsewhere
{
	my (@signals) = @_;
	my @pids = map { start_session('together', control_far_jobs()) } 1, 2;
	usleep(int(rand(300_000)));
	signal_one($_, "backend_type = 'kwjobs coordinator'") for @signals;
	waitpid($_, 0) for @pids;
	return;
}

# All want a job with a key that is new, and that it waits until they have: the first one makes it.
sub same_key_at_once
{
	my $key = 'once' . ++$keys;
	my $submit = <<"EOF_SQL";
BEGIN;
SELECT ask(kwjobs.submit(\$sql\$INSERT INTO ledger VALUES (kwjobs.current_job(), 'keyed')\$sql\$,
                         max_attempts => 1000, key => '$key'), 'pause');
COMMIT
EOF_SQL
	at_once($submit, $submit, $submit);
	return;
}

# A session with jobs that nobody else can see yet ends.
sub end_a_submitter
{
	my ($signal) = @_;
	my $pid = start_session('doomed', 'BEGIN', <<'EOF_SQL', 'SELECT pg_sleep(60)', 'ROLLBACK');
SELECT count(kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'doomed')$sql$,
                           priority => 5)) FROM generate_series(1, 200)
EOF_SQL
	# at some point, or when all are there
	my $when = rand() < 0.5 ? "state = 'active'" : "wait_event = 'PgSleep'";
	wait_a_moment_for("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'doomed' AND $when");
	signal_one($signal, "application_name = 'doomed'");
	# it may have come too late
	kill 'TERM', $pid;
	waitpid($pid, 0);
	return;
}

# For some jobs, or for one of its own.
sub start_a_waiter
{
	bound_sessions();
	my $script = rand() < 0.5 ?
	  'SHOW JOBS WHEN COMPLETE SELECT job_id FROM kwjobs.job WHERE finished IS NULL ORDER BY random() LIMIT 20' :
	  q{CALL kwjobs.run($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'run')$sql$, max_attempts => 1000)};
	$sessions{ start_session('waiter', $script) } = 'waiter';
	return;
}

sub end_a_waiter
{
	my ($signal) = @_;
	start_a_waiter() for 1 .. 2;
	my $waits = "application_name = 'waiter' AND wait_event_type = 'Extension'";
	wait_a_moment_for("SELECT count(*) > 0 FROM pg_stat_activity WHERE $waits");
	signal_one($signal, $waits);
	return;
}

# Parallel workers take what background worker slots they can get, while other faults go on.
sub start_parallel_queries
{
	bound_sessions();
	my @settings = map { "SET $_" } ('max_parallel_workers_per_gather = 8', 'parallel_setup_cost = 0',
		'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0');
	my @queries = ('SELECT count(pg_sleep(0.01)) FROM wide') x 5;
	$sessions{ start_session('parallel', @settings, @queries) } = 'parallel' for 1 .. 2;
	# their workers are there sooner
	signal_one('TERM', "backend_type = 'kwjobs worker'") for 1 .. 2;
	return;
}

# PostgreSQL's own leader of a parallel query fails an assertion if it outlives the postmaster.
sub kill_the_postmaster
{
	kill 'TERM', grep { $sessions{$_} eq 'parallel' } keys %sessions;
	try_sql(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'parallel'});
	$node->kill9;
	start_when_possible($node);
	return;
}

# ---- roles ----

sub drop_a_role
{
	my $role = 'victim' . ++$victims;
	try_sql(<<"EOF_SQL");
CREATE ROLE $role LOGIN IN ROLE admin;
SET ROLE $role;
SELECT count(submit_one(0)) FROM generate_series(1, 10);
RESET ROLE;
SELECT pg_sleep(0.02);
DROP OWNED BY $role;
DROP ROLE $role;
EOF_SQL
	return;
}

# Until jobs wait for it, and its workers have left.
sub wait_until_refused
{
	my ($roles) = @_;
	wait_a_moment_for(<<"EOF_SQL");
SELECT EXISTS (SELECT FROM kwdb_internal.jobs WHERE user_name IN ($roles) AND running_status LIKE 'waiting: role%')
   AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename IN ($roles) AND backend_type = 'kwjobs worker')
EOF_SQL
	return;
}

sub forbid_login
{
	my $role = $owners[ int(rand(@owners)) ];
	try_sql("ALTER ROLE $role NOLOGIN");
	wait_until_refused("'$role'");
	must_sql("ALTER ROLE $role LOGIN");
	return;
}

sub forbid_connect
{
	try_sql('REVOKE CONNECT ON DATABASE postgres FROM PUBLIC');
	wait_until_refused(join(', ', map { "'$_'" } @owners));
	must_sql('GRANT CONNECT ON DATABASE postgres TO PUBLIC');
	return;
}

# ---- holds ----

sub release_everything
{
	must_sql('SELECT kwjobs.release_all()');
	must_sql('SELECT kwjobs.release_server() FROM kwjobs.holds WHERE everywhere');
	return;
}

# Some jobs are held for a moment, in which something may go wrong.
sub hold_some
{
	my ($meanwhile) = @_;
	my @scopes = ('', "'SQL'", "owner => 'worker1'", "'SQL', 'worker2'");
	my $scope = $scopes[ int(rand(@scopes)) ];
	my $running = rand() < 0.5 ? 'pause' : 'continue';
	my $comma = $scope ? ', ' : '';
	try_sql(rand() < 0.2 ? 'SELECT kwjobs.hold_server()' : "SELECT kwjobs.hold($scope${comma}running => '$running')");
	usleep(int(rand(200_000)));
	$meanwhile->() if $meanwhile;
	release_everything();
	return;
}

# Attempts that run, or are claimed.
my $active = q{SELECT coalesce(string_agg(format('(%s,%s)', job_id, active_attempt), ','), '(0,0)') FROM kwjobs.job WHERE active_attempt IS NOT NULL};

# Holds all jobs, waits until none runs, and counts attempts that have begun after the hold. A job that
# is claimed after the hold is no such attempt, because the worker gives it back and leaves no row in
# kwjobs.attempt. Returns false if the server was down in between.
sub look_at_hold
{
	# The time is that after the commit of the hold, because attempts may begin before.
	my $held = try_sql("SELECT kwjobs.hold();\nSELECT clock_timestamp()") // '';
	my ($time) = $held =~ /^(\d{4}-.*)$/m or return 0;
	my $before = try_sql($active) // return 0;
	wait_a_moment_for('SELECT NOT EXISTS (SELECT FROM kwjobs.running)');
	my $late = try_sql(<<"EOF_SQL") // return 0;
SELECT count(*) FROM kwjobs.attempt WHERE started > '$time' AND status <> 'running' AND (job_id, attempt) NOT IN (VALUES $before)
EOF_SQL
	$late_starts += $late;
	return 1;
}

# Looks at a hold. An earlier fault may have caused a crash that cuts the look off. Then this
# function looks again, up to ten times.
sub hold_all_and_look
{
	for (1 .. 10)
	{
		my $done = look_at_hold();
		release_everything();
		return if $done;
	}
	$cut_off++;
	return;
}

# How many attempts have begun in spite of a hold.
sub late_starts { return $late_starts }

# Returns how often hold_all_and_look() was in vain, as each of its ten looks was cut off.
sub looks_cut_off { return $cut_off }

# ---- which, when ----

# How often each happens, and how.
my %faults = (
	'a worker is killed' => [ 3, signal_to('KILL', 'worker') ],
	'a worker is terminated' => [ 4, signal_to('TERM', 'worker') ],
	'a worker is interrupted' => [ 2, signal_to('INT', 'worker') ],
	'a worker stands still' => [ 3, sub { stop_for_a_moment('worker') } ],
	'the coordinator is killed' => [ 2, signal_to('KILL', 'coordinator') ],
	'the coordinator is terminated' => [ 2, signal_to('TERM', 'coordinator') ],
	'the coordinator stands still' => [ 2, sub { stop_for_a_moment('coordinator') } ],
	'the launcher is killed' => [ 1, signal_to('KILL', 'launcher') ],
	'the launcher is terminated' => [ 1, signal_to('TERM', 'launcher') ],
	'an immediate stop' => [ 1, sub { $node->stop('immediate'); $node->start; } ],
	'a fast stop' => [ 1, sub { $node->restart; } ],
	'the postmaster is killed' => [ 1, \&kill_the_postmaster ],
	'pauses' => [ 3, sub { try_sql(some_jobs('pause', "'pending', 'running'")) } ],
	'resumes' => [ 4, sub { try_sql(some_jobs('resume', "'paused'")) } ],
	'cancels' => [ 3, sub { try_sql(some_jobs('cancel', "'pending', 'running', 'paused'")) } ],
	'a rolled back cancel' =>
	  [ 1, sub { try_sql('BEGIN;' . some_jobs('cancel', "'pending', 'running'") . ';ROLLBACK') } ],
	'two sessions control the same jobs' => [ 4, \&fight_for_jobs ],
	'a role is dropped' => [ 1, \&drop_a_role ],
	'a role may not log in' => [ 1, \&forbid_login ],
	'roles may not connect' => [ 1, \&forbid_connect ],
	'jobs are held' => [ 3, \&hold_some ],
	'jobs are held, and the coordinator is terminated' =>
	  [ 1, sub { hold_some(signal_to('TERM', 'coordinator')) } ],
	'jobs are held, and the server crashes' =>
	  [ 1, sub { hold_some(sub { $node->stop('immediate'); $node->start; }) } ],
	'all jobs are held' => [ 3, \&hold_all_and_look ],
	'jobs of another database are controlled' => [ 3, \&control_elsewhere ],
	'... and coordinators are terminated' => [ 3, sub { control_elsewhere('TERM', 'TERM') } ],
	'... and a coordinator is killed' => [ 2, sub { control_elsewhere('KILL') } ],
	'one key, three sessions' => [ 3, \&same_key_at_once ],
	'who submits is killed' => [ 1, sub { end_a_submitter('KILL') } ],
	'who submits is terminated' => [ 2, sub { end_a_submitter('TERM') } ],
	'sessions wait for jobs' => [ 2, \&start_a_waiter ],
	'who waits is killed' => [ 1, sub { end_a_waiter('KILL') } ],
	'who waits is terminated' => [ 2, sub { end_a_waiter('TERM') } ],
	'who waits is interrupted' => [ 2, sub { end_a_waiter('INT') } ],
	'parallel queries take the workers' => [ 3, \&start_parallel_queries ],
);

my @deck;
my $dealt = 0;

sub init_faults
{
	($node) = @_;
	return;
}

sub shuffled
{
	my (@cards) = @_;
	for my $i (reverse 1 .. $#cards)
	{
		my $j = int(rand($i + 1));
		@cards[ $i, $j ] = @cards[ $j, $i ];
	}
	return @cards;
}

# Lets one happen and returns its name. First each once, so that a short run has them all.
sub next_fault
{
	my $fault;

	if (!@deck)
	{
		@deck = shuffled(map { ($_) x ($dealt ? $faults{$_}->[0] : 1) } sort keys %faults);
		$dealt = 1;
	}
	$fault = shift @deck;
	$faults{$fault}->[1]->();
	return $fault;
}

1;
