# The commit that ends an attempt, however it ends, may wait for a synchronous standby that is not there. Neither
# a request nor the timeout of the job ends that wait: a job is over only when the standby has that.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('last_commit', <<'EOF');
kwjobs.max_workers = 2
kwjobs.test_haste = 10
wal_level = replica
max_wal_senders = 2
log_min_messages = warning
EOF
my $local = 'SET synchronous_commit = local;';
my $csv = write_csv($node, 100);

sub sql { return $node->safe_psql('postgres', "$local $_[0]") }

# Closed by a session that does not wait for standbys.
sub close_local_gate
{
	my $session = $node->background_psql('postgres');
	$session->query_safe('SET synchronous_commit = local');
	$session->query_safe('SELECT pg_advisory_lock(4711)');
	return $session;
}

my $at_gate = "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
my $worker_waits = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'kwjobs worker'";
my $canceled = qr/canceling wait for synchronous replication|canceling the wait for synchronous replication/;

$node->safe_psql('postgres', <<'EOT');
CREATE TABLE written (n integer);
CREATE TABLE target (n integer, t text);
CREATE FUNCTION target_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON target DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.n = 100) EXECUTE FUNCTION target_gate();
EOT

# name, how to make the job, what is done at the gate (in the session that holds it), how the job ends,
# and how many seconds the wait is to last: longer than what PAUSE waits before it interrupts, and six
# times what CANCEL waits before it interrupts again, the last time with SIGTERM; or than the timeout.
# Commits wait for the standby from before the job on, so an attempt that fails before its revert does
# not wait, and the revert does.
my $patience = 2;
my $local_job = q(settings => '{"synchronous_commit": "local"}');
my $revert_at_gate = q(on_revert => 'SET LOCAL synchronous_commit = on; SELECT pg_advisory_xact_lock_shared(4711)');
my @cases = (
	[ 'SQL, PAUSE', sub { sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')}) }, 'PAUSE JOB %s', 'succeeded' ],
	[ 'IMPORT, PAUSE', sub { sql("SELECT kwjobs.import('target', ARRAY['$csv'])") }, 'PAUSE JOB %s', 'succeeded' ],
	[ 'revert, timeout', sub { sql("SELECT kwjobs.submit('SELECT 1 / 0', timeout => '5s', $local_job, $revert_at_gate)") }, '', 'failed', 6 ],
	[ 'revert, PAUSE', sub { sql("SELECT kwjobs.submit('SELECT 1 / 0', $local_job, $revert_at_gate)") }, 'PAUSE JOB %s', 'failed' ],
	[ 'SQL, CANCEL: the commit that settles it', sub { sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')}) }, 'CANCEL JOB %s', 'canceled' ],
	[ 'SQL, PAUSE: the commit that settles it', sub { sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711), pg_sleep(600)')}) }, 'PAUSE JOB %s', 'paused' ],
);
for my $case (@cases)
{
	my ($name, $make, $request, $status, $seconds) = @$case;
	my $writer = lose_standby($node);
	my $gate = close_local_gate();
	my $job = $make->();
	wait_query($node, $at_gate);
	my $log = -s $node->logfile;
	# One transaction requests it and opens the gate, so the work goes on when the request is there.
	$gate->query_safe(($request ? sprintf($request, $job) . ' \\; ' : '') . 'SELECT pg_advisory_unlock(4711)');
	$gate->quit;
	wait_query($node, $worker_waits);
	sql('SELECT pg_sleep(' . ($seconds // $patience) . ')');
	is(sql($worker_waits), 't', "$name: the worker still waits for the standby");
	unlike(slurp_file($node->logfile, $log), $canceled, "$name: nothing has ended its wait");
	unlike(job_field($node, $job, 'status'), qr/^(succeeded|failed|canceled|paused)$/, "$name: the job is not over");
	set_standby($node, '');
	$writer->quit;
	wait_for_status($node, $job, $status);
	$node->safe_psql('postgres', 'TRUNCATE target');
}

# The commit that ends a job waits for the standby, and so the row of this job stays locked. Meanwhile
# the next job cannot enter the line of its serial key, or its dependency cannot be marked as met.
# The coordinator hears of the end of that commit, although the worker goes idle then.
for my $case (
	[ 'a serial key', ", serial_key => 'k'", "serial_key => 'k'" ],
	[ 'a dependency', '', 'depends_on => %s' ])
{
	my ($name, $first_has, $second_has) = @$case;
	my $gate = close_local_gate();
	my $first = sql("SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)'$first_has)");
	wait_query($node, $at_gate);
	my $writer = lose_standby($node);
	$gate->query_safe('SELECT pg_advisory_unlock(4711)');
	$gate->quit;
	wait_query($node, $worker_waits);
	my $second = sql(sprintf("SELECT kwjobs.submit('SELECT 1', $second_has)", $first));
	# When another job runs, a pass of the coordinator has looked at the second job, too, in vain.
	my $other = sql("SELECT kwjobs.submit('SELECT 1')");
	wait_for_status($node, $other, 'running');
	is(sql("SELECT rank IS NULL FROM kwjobs.job WHERE job_id = $second"),
		't', "$name: the job waits for the commit of the one before");
	set_standby($node, '');
	$writer->quit;
	wait_for_status($node, $_, 'succeeded') for $first, $second, $other;
}

is_consistent($node);
$node->stop;
done_testing();
