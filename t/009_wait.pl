# Sessions that wait for jobs are woken by the job's end, can be interrupted, and keep no snapshot
# that would hold back VACUUM.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('wait', "kwjobs.import_batch_size = 1kB\n");
my $rows = 200;
my $csv = write_csv($node, $rows);
make_target($node, 'target', 100);

# Returns a session in which this statement waits, and its pid.
sub start_waiting
{
	my ($statement) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/^waiting$/m, "\\echo waiting\n$statement;\n");
	wait_query($node, "SELECT state = 'active' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid");
	return ($session, $pid);
}

# A session looks at the job with a snapshot, each time that the job has changed. So where it is to keep none, this
# waits until it has none while it sleeps.
sub keeps_snapshot
{
	my ($pid, $keeps, $name) = @_;
	my $sleeps = "FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Extension'";
	return ok(becomes_true($node, "SELECT backend_xmin IS NULL $sleeps"), "no snapshot while $name") if !$keeps;
	return is($node->safe_psql('postgres', "SELECT backend_xmin IS NULL $sleeps"), 'f', "a snapshot while $name");
}

my $gate = close_gate($node);
my $job = start_import($node, 'target', $csv);
wait_at_gate($node, $job);

# Statements that wait for the job, and whether they keep a snapshot meanwhile.
my @waits = (
	[ "SHOW JOB WHEN COMPLETE $job", 't' ],
	[ "SHOW JOB $job WHEN COMPLETE", 't' ],
	[ "SHOW JOBS WHEN COMPLETE SELECT job_id FROM [SHOW JOBS]", 't' ],
	[ "SELECT count(*) FROM [SHOW JOB WHEN COMPLETE $job] WHERE status = 'succeeded'", 't' ],
	[ "SELECT status FROM kwjobs.when_complete(ARRAY[$job]) ORDER BY 1 LIMIT 1", 't' ],
	[ "EXECUTE wait($job)", 'f', "PREPARE wait AS SHOW JOB WHEN COMPLETE \$1" ],
	[ "SELECT status FROM kwjobs.wait($job)", 't' ],
	[ "SELECT (kwjobs.wait($job, '1 hour')).status", 'f' ],
	[ "FETCH c", 't', "BEGIN; DECLARE c CURSOR FOR SHOW JOB WHEN COMPLETE $job" ],
	[ "SHOW JOB WHEN COMPLETE $job", 'f', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class' ],
	[ "SELECT * FROM [SHOW JOB WHEN COMPLETE $job] AS a JOIN pg_class ON true LIMIT 1", 't' ],
	[ "DO \$\$ BEGIN PERFORM FROM [SHOW JOB WHEN COMPLETE $job]; END \$\$", 'f' ]);
my @sessions;
for my $wait (@waits)
{
	my ($statement, $without, $before) = @$wait;
	my ($session, $pid) = start_waiting(($before ? "$before;\n" : '') . $statement);
	keeps_snapshot($pid, $without eq 'f', "this waits: $statement");
	push @sessions, $session;
}

# A wait can be canceled, and can time out. The job goes on.
my ($session, $pid) = start_waiting("SHOW JOB WHEN COMPLETE $job");
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
wait_query($node, "SELECT state = 'idle' FROM pg_stat_activity WHERE pid = $pid");
is($session->query("SELECT status FROM [SHOW JOB $job]"), 'running',
	'a canceled wait leaves session and job alone');
$session->quit;
my ($rc, $out, $err) = $node->psql('postgres',
	"SET statement_timeout = '10ms'; SHOW JOB WHEN COMPLETE $job");
like($err, qr/ERROR:  canceling statement due to statement timeout/, 'statement_timeout ends a wait');

# A statement does not wait for a job that does not exist.
is($node->safe_psql('postgres', 'SELECT count(*) FROM [SHOW JOB WHEN COMPLETE 1]'), '0', 'unknown id');
is($node->safe_psql('postgres', 'SELECT count(*) FROM [SHOW JOB WHEN COMPLETE NULL]'), '0', 'NULL');
is($node->safe_psql('postgres', 'SELECT count(*) FROM [SHOW JOBS WHEN COMPLETE SELECT 1::bigint WHERE false]'),
	'0', 'no id');

# IMPORT waits for its job, and tells that the job goes on if the wait is canceled.
make_target($node, 'second', 100);
($session, $pid) = start_waiting("IMPORT INTO second CSV DATA ('$csv')");
keeps_snapshot($pid, 0, 'IMPORT waits');
$session->{stderr} = '';
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
wait_query($node, "SELECT state = 'idle' FROM pg_stat_activity WHERE pid = $pid");
my $second = $node->safe_psql('postgres', "SELECT max(job_id) FROM [SHOW JOBS]");
$session->query('SELECT 1');
like($session->{stderr}, qr/canceling statement due to user request/, 'the wait of IMPORT is canceled');
like($session->{stderr}, qr/DETAIL:  Job $second goes on in the background\./, '... its job is not');
like($session->{stderr}, qr/HINT:  To stop it, type CANCEL JOB $second\./, '... and how to cancel it');
$session->quit;

# IMPORT keeps no snapshot under REPEATABLE READ, either.
make_target($node, 'third', 100);
($session, $pid) = start_waiting("SET default_transaction_isolation = 'repeatable read'; IMPORT INTO third CSV DATA ('$csv')");
keeps_snapshot($pid, 0, 'IMPORT waits in a session with REPEATABLE READ');
push @sessions, $session;
push @waits, [];

# Waiting is refused for a job that cannot end before this transaction has ended.
for my $statement ("SELECT status FROM kwjobs.when_complete(ARRAY[kwjobs.import('target', ARRAY['$csv'])])",
	"BEGIN; CANCEL JOB $second; SHOW JOB WHEN COMPLETE $second",
	"PAUSE JOB $second \\; SHOW JOB WHEN COMPLETE $second")
{
	($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");
	like($err, qr/ERROR:  25001: cannot wait for job \d+ in the transaction that created or controlled it.*HINT:  COMMIT first\./s,
		"refused: $statement");
}

# Other processes tell by the virtual transaction id of a transaction whether it still has locks on
# tables. A session that waits for a job gives up its id for a new one, unless it has read a table
# of somebody else: then it keeps the id and the locks.
sub transaction_of
{
	my ($pid) = @_;
	return $node->safe_psql('postgres', "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE pid = $pid");
}

$node->safe_psql('postgres', 'CREATE TABLE read_before ()');
for my $table ('pg_class', 'kwjobs.job', 'read_before')
{
	my $reader = $node->background_psql('postgres');
	my $pid = $reader->query_safe("BEGIN; SELECT FROM $table LIMIT 1; SELECT pg_backend_pid()");
	my $before = transaction_of($pid);
	$reader->query_until(qr/waiting/, "\\echo waiting\nSHOW JOB WHEN COMPLETE $job;\n");
	wait_query($node, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid");
	my $keeps = transaction_of($pid) eq $before ? 'keeps' : 'gives up';
	is($keeps, $table eq 'read_before' ? 'keeps' : 'gives up', "a transaction that has read $table: its id during the wait");
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)");
	$reader->{run}->kill_kill;
}

# The end of the job wakes all sessions, and they see how the job ended.
open_gate($gate);
for my $n (0 .. $#sessions)
{
	my $result = $sessions[$n]->query('');
	$sessions[$n]->query_safe('ROLLBACK') if $waits[$n][2] && $waits[$n][2] =~ /BEGIN/;
	$sessions[$n]->quit;
}
wait_for_status($node, $job, 'succeeded');
wait_for_status($node, $second, 'succeeded');
is( $node->safe_psql('postgres', "SELECT status, rows FROM kwjobs.when_complete(ARRAY[$job])"),
	"succeeded|$rows", 'the result is that of the end');

# ... also if their snapshot is older than the end.
$node->safe_psql('postgres', 'TRUNCATE target');
my $third = start_import($node, 'target', $csv);
is( $node->safe_psql('postgres', <<"EOF"), "succeeded", 'the same under REPEATABLE READ');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT status FROM kwjobs.when_complete(ARRAY[$third]);
COMMIT;
EOF

# A session that waits looks at the job each time that the job changes. Each look frees the memory
# that the look before has taken.
{
	my $later = $node->safe_psql('postgres', "SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow')");
	my ($session, $pid) = start_waiting("SHOW JOB WHEN COMPLETE $later");
	$node->safe_psql('postgres', <<"EOF");
DO \$\$ BEGIN FOR n IN 1 .. 1000 LOOP PERFORM kwjobs.alter($later, priority => n % 10); COMMIT; END LOOP; END \$\$
EOF
	my $log = -s $node->logfile;
	$node->safe_psql('postgres', "SELECT pg_log_backend_memory_contexts($pid)");
	my $context = qr/level: \d+; kwjobs wait: (\d+) total in/;
	$node->wait_for_log($context, $log);
	my ($size) = slurp_file($node->logfile, $log) =~ $context;
	cmp_ok($size, '<=', 16384, 'the memory of a wait does not grow with each look');
	$node->safe_psql('postgres', "CANCEL JOB $later");
	$session->query('SELECT 1');
	$session->quit;
}

# One transaction ends a job and deletes it. No session can see the job's end, but the waits end.
my $deleted = $node->safe_psql('postgres', "SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow')");
my @waiting = map { [ start_waiting($_) ] } "SHOW JOB WHEN COMPLETE $deleted", "SELECT status FROM kwjobs.wait($deleted)";
$node->safe_psql('postgres', <<"EOF");
BEGIN;
UPDATE kwjobs.job SET status = 'canceled', finished = now() WHERE job_id = $deleted;
SELECT kwjobs.delete($deleted);
COMMIT;
EOF
for my $wait (@waiting)
{
	wait_query($node, "SELECT state = 'idle' FROM pg_stat_activity WHERE pid = $wait->[1]");
}
is($waiting[0][0]->query('SELECT 4711'), '4711', 'SHOW JOB WHEN COMPLETE of a deleted job returns nothing');
$waiting[1][0]->query('SELECT 4711');
like($waiting[1][0]->{stderr}, qr/ERROR:  job with ID $deleted does not exist/, '... and kwjobs.wait says that it is gone');
$_->[0]->quit for @waiting;

# A session that has waited for the job of another session finds at once what that one has done, also where it
# asks without a lock, and has the old answer in its caches. It looks in the statement that has waited.
{
	$node->safe_psql('postgres', <<'EOF');
CREATE TABLE looks (found boolean);
CREATE PROCEDURE look(job bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM to_regclass('public.made'), kwjobs.wait(job);
    INSERT INTO looks VALUES (to_regclass('public.made') IS NOT NULL);
END $$;
EOF
	my $maker = $node->background_psql('postgres');
	my $looker = $node->background_psql('postgres');
	my $pid = $looker->query_safe('SELECT pg_backend_pid()');
	$maker->query_safe('SET kwjobs.track = top');
	for my $command (map { ('CREATE TABLE made ()', 'DROP TABLE made') } 1 .. 30)
	{
		$maker->query_safe("BEGIN; $command");
		my $made = $node->safe_psql('postgres', "SELECT job_id FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE' AND finished IS NULL");
		$looker->query_until(qr/^looking$/m, "\\echo looking\nCALL look($made);\n");
		wait_query($node, "SELECT state = 'active' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid");
		$maker->query_safe('COMMIT');
		$looker->query_safe('SELECT');
	}
	is($node->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE found) FROM looks'), '60|30', 'a session finds what the job of another session has made');
	$_->quit for $maker, $looker;
}

# DROP EXTENSION needs locks that sessions which wait for jobs have, so it ends their waits.
$gate = close_gate($node);
my $fourth = start_import($node, 'target', $csv);
wait_at_gate($node, $fourth);
($session, $pid) = start_waiting("SHOW JOB WHEN COMPLETE $fourth");
$session->{stderr} = '';
$node->safe_psql('postgres', 'DROP EXTENSION kwjobs');
$session->query('SELECT 1');
like($session->{stderr}, qr/ERROR:  the wait for job $fourth ended before the job did.*Extension kwjobs is being dropped or altered/s,
	'DROP EXTENSION ends the waits');
$_->quit for $session, $gate;

$node->stop;
done_testing();
