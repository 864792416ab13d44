# The private server of a job's program (src/serve): the program has sessions of the job's owner
# without pg_hba.conf and password, and nobody else has; what these sessions do, and what is left when
# the program, a session, the worker or the server dies.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use JSON::PP;
use KwjPrograms;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/environ';

my $node = new_node('private', <<'EOC');
kwjobs.max_workers = 4
kwjobs.track = all
autovacuum = off
EOC
my $data = abs_path($node->data_dir);
my $bin = $node->config_data('--bindir');
my $psql = "$bin/psql -XqAt -v ON_ERROR_STOP=1";

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Creates a job whose program gets up to 3 sessions; returns its id.
sub create
{
	my ($owner, $argv, %more) = @_;
	my $text = encode_json({ sessions => 3, argv => $argv, %more });
	return sql("SELECT kwjobs.create_job('TEST_PROGRAM', \$json\$$text\$json\$, max_attempts => 1, run_as => '$owner')");
}

# Runs a shell script as the program of a job. Returns the id of the job, when it has this status.
sub run_script
{
	my ($owner, $script, $status, %more) = @_;
	my $job = create($owner, [ '/bin/sh', '-c', $script ], %more);
	wait_for_status($node, $job, $status);
	return $job;
}

# Runs psql with this text as the program of a job.
sub run_psql
{
	my ($owner, $text, $status, %more) = @_;
	my $job = create($owner, [ "$bin/psql", '-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', $text ], %more);
	wait_for_status($node, $job, $status);
	return $job;
}

sub messages
{
	return sql("SELECT array_to_string(messages, ' / ') FROM kwdb_internal.job_attempts WHERE job_id = $_[0]");
}

# Waits until this many sessions wait for the lock that a gate keeps.
sub wait_for_sessions
{
	return wait_query($node, "SELECT count(*) = $_[0] FROM pg_stat_activity WHERE backend_type = 'kwjobs session' AND wait_event = 'advisory'");
}

# Returns a job whose program waits for the gate.
sub start_waiting
{
	my $id = create('owner', [ "$bin/psql", '-XqAt', '-c', 'SELECT pg_advisory_lock(1)' ]);
	wait_for_sessions(1);
	return $id;
}

# A script that reads a line of this fifo waits there until open_fifo() is called.
sub make_fifo { return system('mkfifo', "$data/fifo") == 0 || die; }

sub open_fifo
{
	open(my $fh, '>', "$data/fifo") or die;
	print $fh "go\n";
	close($fh);
	return unlink("$data/fifo");
}

sql(<<'EOC');
CREATE ROLE owner LOGIN;
CREATE ROLE other LOGIN;
GRANT CREATE ON SCHEMA public TO owner;
CREATE TABLE secret (n int);
CREATE DATABASE elsewhere;
ALTER ROLE owner SET work_mem = '7MB';
EOC

unlink("$data/pg_hba.conf") or die;
append_to_file("$data/pg_hba.conf", "local all postgres trust\nlocal all all reject\n");
$node->reload;

# ---- who the session is ----

my $job = run_psql('owner', q{SELECT session_user || ' ' || current_user || ' ' || current_setting('work_mem') || ' ' || current_setting('is_superuser') || ' ' || current_database()}, 'succeeded');
is(messages($job), 'owner owner 7MB off postgres', 'the program has a session of the owner, with the settings of the role, and needs no line in pg_hba.conf');

$job = run_psql('owner', 'SELECT current_database()', 'succeeded', database => 'elsewhere');
is(messages($job), 'elsewhere', 'the sessions may be in another database than the job');

foreach my $escape ('RESET SESSION AUTHORIZATION; TABLE secret', 'RESET ROLE; TABLE secret', 'DISCARD ALL; TABLE secret')
{
	$job = create('owner', [ '/bin/sh', '-c', join(' ', $psql, map { "-c '$_'" } split(/; /, $escape)) ]);
	wait_for_status($node, $job, 'failed');
	like(messages($job), qr/permission denied for table secret/, "still the owner after $escape");
}
foreach my $escape ('SET SESSION AUTHORIZATION postgres', 'SET ROLE postgres', "COPY (SELECT 1) TO PROGRAM 'cat'",
	'ALTER ROLE owner SUPERUSER')
{
	$job = run_psql('owner', $escape, 'failed');
	like(messages($job), qr/permission denied|must be superuser/, "refused: $escape");
}

# ---- who gets none ----

$job = run_script('owner', "$psql -U other -c 'SELECT 1'", 'failed');
like(messages($job), qr/gets sessions of the job's owner only/, 'no session of another role');
$job = run_script('owner', "$psql -U postgres -c 'SELECT 1'", 'failed');
like(messages($job), qr/gets sessions of the job's owner only/, 'no session of a superuser');
$job = run_script('owner', "$psql -d elsewhere -c 'SELECT 1'", 'failed');
like(messages($job), qr/gets sessions in the job's database only/, 'no session in another database');
$job = run_script('owner', "PGOPTIONS='-c work_mem=1MB' $psql -c 'SELECT 1'", 'failed');
like(messages($job), qr/take no command-line options/, 'no command-line options');
$job = run_script('owner', "$psql -d 'dbname=postgres replication=database' -c 'IDENTIFY_SYSTEM'", 'failed');
like(messages($job), qr/gets no replication connections/, 'no replication connection');
$job = run_script('owner', "echo 'SELECT 1 \\gdesc' | $psql", 'failed');
like(messages($job), qr/take no message of type "P"/, 'no extended protocol');
# Three of these get a session, and keep it until the fourth one has ended without one.
my $gate = $node->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(1)');
$job = create('owner', [ '/bin/sh', '-c', "for i in 1 2 3 4; do { $psql -c 'SELECT pg_advisory_lock_shared(1)'; touch $data/one_has_ended; } & done; wait" ]);
wait_for_sessions(3);
ok(comes_true(sub { -e "$data/one_has_ended" }), 'a fourth program has ended');
$gate->query_safe('SELECT pg_advisory_unlock(1)');
wait_for_status($node, $job, 'succeeded');
like(messages($job), qr/has all the sessions that it may have/, 'no more sessions than the type has allowed');
# A psql has been killed, but the process of its session has not noticed that yet. The next session waits for the
# end of that process.
$gate->query_safe('SELECT pg_advisory_lock(1)');
my $hangs = "$psql -c 'SELECT pg_advisory_lock_shared(1)' &";
make_fifo();
$job = create('owner', [ '/bin/sh', '-c', "$hangs $hangs $hangs read line < $data/fifo; kill -KILL \$!; $psql -c \"SELECT 'a fourth session'\"" ]);
wait_for_sessions(3);
open_fifo();
wait_for_end($node, $job);
like(messages($job), qr/a fourth session/, 'a session that comes when another one is just over gets its place');
$gate->query_safe('SELECT pg_advisory_unlock(1)');
sql('REVOKE CONNECT ON DATABASE elsewhere FROM PUBLIC');
$job = run_psql('owner', 'SELECT 1', 'failed', database => 'elsewhere');
like(messages($job), qr/permission denied for database "elsewhere"/, 'no session without the right to connect');

sql('GRANT CONNECT ON DATABASE elsewhere TO owner');
sql("ALTER ROLE owner IN DATABASE elsewhere SET session_preload_libraries = 'nothing'");
$job = run_psql('owner', 'SELECT 1', 'failed', database => 'elsewhere');
like(messages($job), qr/could not access file "nothing"/, 'no session without a library that it needs');
$gate->query_safe('SELECT pg_advisory_lock(1)');
my $waits = start_waiting();
my ($directory) = glob("$data/base/pgsql_tmp/pgsql_tmp*");
is(sprintf('%o', (stat($directory))[2] & 07777), '700', 'only the operating system user of the server may look for the socket');
is(join(' ', map { sprintf('%o', (stat($_))[2] & 07777) } glob("$directory/{.s.,}*")), '600 600', 'or connect to it');
my ($relative) = $directory =~ m{(base/.*)};
{
	# a process of the same operating system user that is not the job's program
	my $port = $node->port;
	my $out = `cd $data && PGHOST=/proc/self/cwd/$relative PGPORT=$port PGUSER=owner $bin/psql -d postgres -c 'SELECT 1' 2>&1`;
	like($out, qr/only the program of the job may connect/, 'another process of the same user gets no session');
	ok($node->log_contains(qr/refused a connection of process \d+ to the private socket of a job/), 'which is logged');
	# the socket for sessions
	require IO::Socket::UNIX;
	require Socket;
	chdir($data) or die;
	socket(my $intruder, Socket::AF_UNIX(), Socket::SOCK_SEQPACKET(), 0) or die;
	connect($intruder, Socket::pack_sockaddr_un("$relative/s")) or die;
	send($intruder, 'x' x 8, 0);
	is(sysread($intruder, my $buffer, 100), 0, 'nor the connection of the program by a wrong secret');
	chdir('/') or die;
}
is(sql("SELECT backend_type, usename, application_name FROM pg_stat_activity WHERE wait_event = 'advisory'"),
	"kwjobs session|owner|kwjobs job $waits", 'pg_stat_activity shows whose session it is');

# ---- cancel, and the end ----

my ($pid) = programs($node, qr/psql/);
kill('INT', $pid);
wait_for_status($node, $waits, 'failed');
like(messages($waits), qr/canceling statement due to user request/, 'the program cancels its statement');
wait_until_clean($node, 'nothing is left of a program that has ended');

$waits = start_waiting();
sql("SELECT kwjobs.cancel($waits)");
wait_for_status($node, $waits, 'canceled');
wait_until_clean($node, 'nor of a job that was canceled');

$waits = start_waiting();
($pid) = programs($node, qr/psql/);
kill('KILL', $pid);
wait_for_status($node, $waits, 'failed');
wait_until_clean($node, 'nor of a program that was killed');

$waits = start_waiting();
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'kwjobs session'");
wait_for_status($node, $waits, 'failed');
wait_until_clean($node, 'nor of a session that was terminated');

# A session must not keep other sessions waiting while it is idle: DROP DATABASE and DROP TABLESPACE
# wait until every process has handled a barrier.
make_fifo();
$waits = create('owner', [ '/bin/sh', '-c', "(echo 'SELECT 1;'; read line < $data/fifo; echo 'SELECT 2;') | $psql" ]);
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs session' AND state = 'idle'");
sql('CREATE DATABASE dropped');
sql('DROP DATABASE dropped');
note('DROP DATABASE does not wait for an idle session');
open_fifo();
wait_for_status($node, $waits, 'succeeded');
is(messages($waits), '1 / 2', 'which goes on afterwards');

# ---- what the sessions do ----

# The same script gives the same output as in an ordinary session.
my $script = $node->basedir . '/script.sql';
open(my $fh, '>', $script) or die;
print $fh <<'EOC';
SELECT 1 AS a, NULL AS b, 'x' AS c;
SELECT 1; SELECT 2;
SELECT 1\; SELECT 2;
;
SELECT 1/0;
BEGIN; SELECT 1; SELECT 1/0; SELECT 2; COMMIT;
BEGIN; SAVEPOINT a; SELECT 1/0; ROLLBACK TO a; SELECT 3; COMMIT;
CREATE TEMP TABLE t (n int)\; INSERT INTO t VALUES (1)\; SELECT 1/0;
CREATE TEMP TABLE t (n int);
COPY t FROM STDIN;
1
2
\.
COPY t FROM STDIN;
1
x
3
\.
SELECT count(*) FROM t;
COPY t TO STDOUT;
DO $$ BEGIN RAISE NOTICE 'note'; RAISE WARNING 'careful'; END $$;
BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 5); FETCH 2 FROM c; FETCH ALL FROM c; COMMIT;
PREPARE p AS SELECT $1::int + 1; EXECUTE p(4);
SET client_encoding = 'LATIN1';
SHOW client_encoding;
\echo :ENCODING
SET application_name = 'x';
NOTIFY l, 'heard';
VACUUM secret;
CREATE TABLE made (n int);
DROP TABLE made;
BEGIN\; COMMIT\; SELECT 5;
SELECT lo_from_bytea(4711, 'large');
\lo_export 4711 /dev/null
\lo_unlink 4711
SELEC;
SELECT repeat('y', 100000) FROM generate_series(1, 3);
EOC
close($fh);
my $connstr = $node->connstr('postgres');
my $ordinary = `PGUSER=postgres $bin/psql -XqAt -d "$connstr" -f $script 2>&1`;
my $out = abs_path($node->basedir) . '/private';
# As the same role, a superuser.
my $jobs = sql("SELECT count(*) FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE' AND description LIKE '%made%'");
run_script('postgres', "$bin/psql -XqAt -f $script > $out 2>&1", 'succeeded');
my $private = slurp_file($out);
s/PID \d+/PID n/g foreach $ordinary, $private;
s/psql:\S+sql:/script:/g foreach $ordinary, $private;
is($private, $ordinary, 'a script has the same output as in an ordinary session');
is(sql("SELECT count(*) FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE' AND description LIKE '%made%'"), $jobs,
	'what the program does is no job of its own');
is($jobs, 2, 'though it is in an ordinary session');

# ---- crashes ----

foreach my $victim ('worker', 'session')
{
	if ($victim eq 'session')
	{
		# the crash has ended the session that kept it closed
		$gate = $node->background_psql('postgres');
		$gate->query_safe('SELECT pg_advisory_lock(1)');
	}
	$waits = start_waiting();
	$pid = $victim eq 'worker' ? job_field($node, $waits, 'pid') :
	  sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs session'");
	my $start = sql('SELECT pg_postmaster_start_time()');
	kill_process($node, $pid);
	wait_for_status($node, $waits, 'failed');
	wait_until_clean($node, "nothing is left when the $victim was killed");
}

# ---- a session that does not end ----

$gate = $node->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(1)');

# Returns a job whose program has succeeded, while its session stands still, and the process ids of the
# session and of the worker, which waits for the end of the session.
sub wait_for_a_session
{
	make_fifo();
	my $id = create('owner', [ '/bin/sh', '-c', "$psql -c 'SELECT pg_advisory_lock(1)' & read line < $data/fifo" ]);
	wait_for_sessions(1);
	my $session = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs session'");
	my $worker = job_field($node, $id, 'pid');
	kill('STOP', $session);
	open_fifo();
	# The guardian is the only child of the worker, which reaps it, and then waits for the session.
	ok(comes_true(sub { slurp_file("/proc/$worker/task/$worker/children") eq '' }), 'the program and its guardian have ended');
	return ($id, $session, $worker);
}

my ($session, $worker);
($job, $session, $worker) = wait_for_a_session();
wait_for_status($node, $job, 'failed');
is(job_field($node, $job, "error_code || ': ' || error"), "55P03: a session of the job's program does not end", 'the worker does not wait for ever');
kill('CONT', $session);
wait_until_clean($node, 'the session ends when it can');

($job, $session, $worker) = wait_for_a_session();
kill('KILL', (split /\n/, slurp_file("$data/postmaster.pid"))[0]);
ok(wait_until_gone($worker), 'the worker ends with the postmaster');
kill('KILL', $session);
$node->{_pid} = undef;
$gate->{run}->kill_kill;
start_when_possible($node);
wait_for_status($node, $job, 'failed');
is(job_field($node, $job, 'error'), 'the server or the worker was stopped while the attempt ran', 'and does not take its death for a failure of the job');
wait_until_clean($node, 'nothing is left when the postmaster was killed');

done_testing();
