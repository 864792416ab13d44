# An import survives the death of each process that takes part in it, and of the
# server: it ends in exactly the rows of the file, without anyone doing anything.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 2000;
my $node = new_node('crash', "kwjobs.import_batch_size = 1kB\n");
my $csv = write_csv($node, $rows);

# An import that is stopped in the middle, committed batches behind it.
sub import_in_the_middle
{
	my ($table) = @_;
	make_target($node, $table, 1000);
	my $gate = close_gate($node);
	my $job = start_import($node, $table, $csv);
	wait_at_gate($node, $job);
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM $table"),
		'>', 0, "$table: some batches are committed");
	return ($job, $gate);
}

# It ends well by itself.
sub ends_well
{
	my ($job, $table) = @_;
	wait_for_status($node, $job, 'succeeded');
	is_imported($node, $table, $rows, "$table: exactly the rows of the file");
	is(job_field($node, $job, 'fraction_completed, rows, total_num_of_success'),
		"1|$rows|1", "$table: the job says so");
	return;
}

# The process of this type that serves the job.
sub pid_of
{
	my ($type, $job) = @_;
	return job_field($node, $job, 'pid') if $type eq 'worker';
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs $type' AND coalesce(datname, 'postgres') = 'postgres'");
}

# A process dies by a signal: the postmaster restarts everything. The gate's session
# dies with it.
for my $type (qw(worker coordinator launcher))
{
	my $table = "killed_$type";
	my ($job, $gate) = import_in_the_middle($table);
	kill_process($node, pid_of($type, $job), $gate);
	ends_well($job, $table);
	is(attempt_statuses($node, $job), 'crashed,succeeded', "$table: the lost attempt is on record");
}

# A process is asked to leave: only it has to be replaced.
for my $type (qw(worker coordinator launcher))
{
	my $table = "terminated_$type";
	my ($job, $gate) = import_in_the_middle($table);
	my $pid = pid_of($type, $job);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	wait_query($node, <<"EOF");
SELECT count(*) = 1 FROM pg_stat_activity
 WHERE backend_type = 'kwjobs $type' AND pid <> $pid AND coalesce(datname, 'postgres') = 'postgres'
EOF
	open_gate($gate);
	ends_well($job, $table);
}

# The server stops, in each way that there is.
for my $mode (qw(immediate fast))
{
	my $table = "stopped_$mode";
	my ($job, $gate) = import_in_the_middle($table);
	$node->stop($mode);
	$gate->{run}->kill_kill;
	$node->start;
	ends_well($job, $table);
	# a fast stop ends the session at the gate first: the import may get to its end before its
	# worker is stopped
	like(attempt_statuses($node, $job), $mode eq 'fast' ? qr/^(interrupted,)?succeeded$/ : qr/^crashed,succeeded$/,
		'... as what it was');
}

# An orderly stop is no failure: not even of a job that has one attempt.
sub start_patient_job
{
	my $job = $node->safe_psql('postgres',
		q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)', max_attempts => 1)});
	wait_at_gate($node, $job);
	return $job;
}
{
	my $gate = close_gate($node);
	my $job = start_patient_job();
	for (1 .. 2)
	{
		$node->stop('fast');
		$gate->{run}->kill_kill;
		$node->start;
		# which of them is first does not matter
		$gate = close_gate($node);
	}
	open_gate($gate);
	wait_for_status($node, $job, 'succeeded');
	unlike(attempt_statuses($node, $job), qr/crashed/, 'restarts of the server are no failures');

	# Nor while the coordinator is still there.
	$gate = close_gate($node);
	$job = start_patient_job();
	my $worker = job_field($node, $job, 'pid');
	my $session = $node->background_psql('postgres');
	system_or_bail('pg_ctl', '-D', $node->data_dir, '-m', 'smart', '-W', 'stop');
	# of the file, as this is what the coordinator goes by
	ok(comes_true(sub { slurp_file($node->data_dir . '/postmaster.pid') =~ /^stopping/m }), 'the server is to stop');
	$session->query_safe("SELECT pg_terminate_backend($worker, 60000)");
	my $ended = sub { $session->query_safe("SELECT status FROM kwdb_internal.job_attempts WHERE job_id = $job AND attempt = 1") };
	comes_true(sub { $ended->() ne 'running' });
	is($ended->(), 'interrupted', 'a worker that ends while the server stops does not count either');
	$_->quit for $session, $gate;
	ok(comes_true(sub { !-e $node->data_dir . '/postmaster.pid' }), 'the server stops');
	undef $node->{_pid};
	$node->start;
	wait_for_status($node, $job, 'succeeded');
}

{
	my ($job, $gate) = import_in_the_middle('killed_postmaster');
	$node->kill9;
	$gate->{run}->kill_kill;
	start_when_possible($node);
	ends_well($job, 'killed_postmaster');
}

# A paused job stays paused over a restart, and goes on at its checkpoint.
{
	my ($job, $gate) = import_in_the_middle('paused');
	$node->safe_psql('postgres', "SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM paused');
	$node->stop('immediate');
	$gate->{run}->kill_kill;
	$node->start;
	is(job_field($node, $job, 'status, pid IS NULL'), 'paused|t', 'still paused');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM paused'),
		$before, 'with the rows of its checkpoint');
	$node->safe_psql('postgres', "SELECT kwjobs.resume($job)");
	ends_well($job, 'paused');
}

# A job that takes the server down is tried again so often, however far it comes each time.
{
	$node->append_conf('postgresql.conf', "kwjobs.max_crashes = 3\n");
	$node->reload;
	$node->safe_psql('postgres', <<'EOT');
CREATE TABLE step (n integer);
CREATE PROCEDURE goes_on() LANGUAGE plpgsql AS $$
DECLARE
    n integer := coalesce(kwjobs.checkpoint_state()::integer, 0) + 1;
BEGIN
    INSERT INTO step VALUES (n);
    CALL kwjobs.checkpoint(n / 100.0, to_jsonb(n));
    PERFORM pg_sleep(3600);
END $$;
EOT
	my $job = $node->safe_psql('postgres',
		q{SELECT kwjobs.submit('CALL goes_on()', max_attempts => 1000, retry_initial_delay => '1 ms')});
	for my $crash (1 .. 3)
	{
		wait_query($node, "SELECT max(n) = $crash FROM step");
		is(job_field($node, $job, 'crashes, status'), ($crash - 1) . '|running', "$crash: crashes are counted");
		is($node->safe_psql('postgres', "SELECT retries FROM kwjobs.job WHERE job_id = $job"), $crash > 1 ? 1 : 0,
			'... apart from retries, which start again with each checkpoint');
		my ($pid) = job_field($node, $job, 'pid');
		kill('KILL', $pid);
		wait_query($node, "SELECT count(*) >= $crash FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'crashed'");
	}
	wait_for_status($node, $job, 'failed');
	like(job_field($node, $job, q{error_code || ' ' || error_detail}), qr/^57P02 That has happened 3 times to this job, and kwjobs\.max_crashes allows no more/,
		'then it fails, and says why');
	is(attempt_statuses($node, $job), 'crashed,crashed,crashed,succeeded', '... after as many attempts, and one that reverts');
	cmp_ok($node->safe_psql('postgres', "SELECT extract(epoch FROM c.started - b.finished) FROM kwjobs.attempt AS b JOIN kwjobs.attempt AS c USING (job_id)
		 WHERE job_id = $job AND b.attempt = 2 AND c.attempt = 3"), '>=', 1, '... at growing distances, whatever the job asks for');
	$node->append_conf('postgresql.conf', "kwjobs.max_crashes = 10\n");
	$node->reload;
}

# When the coordinator gives a job to an idle worker, it writes its claim to disk at the end of the
# pass. The walwriter would do that a little later. This test stops the walwriter, and then kills
# it, which crashes the server.
{
	$node->safe_psql('postgres', q{CALL kwjobs.run('SELECT 1')});
	my $gate = close_gate($node);
	my $walwriter = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
	kill('STOP', $walwriter);
	my $job = $node->safe_psql('postgres', q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')});
	wait_at_gate($node, $job);
	wait_query($node, q{SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'});
	kill_process($node, $walwriter, $gate);
	wait_for_status($node, $job, 'succeeded');
	is(attempt_statuses($node, $job), 'crashed,succeeded', 'the claim of an idle worker survives a crash');
}

# A job that is canceled while the server dies is reverted afterwards.
{
	my ($job, $gate) = import_in_the_middle('canceled');
	$node->safe_psql('postgres', 'INSERT INTO canceled VALUES (-1)');
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; SELECT kwjobs.cancel($job); COMMIT");
	$node->stop('immediate');
	$_->{run}->kill_kill for $session, $gate;
	$node->start;
	wait_for_status($node, $job, 'canceled');
	is($node->safe_psql('postgres', 'SELECT n FROM canceled'),
		'-1', 'only the row of somebody else is left');
}

is_consistent($node);
$node->stop;
done_testing();
