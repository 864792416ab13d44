# NOTIFY when a job is over: each end is told once, in whatever way the job ends, and whoever ends
# it. Neither a full queue nor a sender that waits for a standby keeps a job from its end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('notify', <<'EOF', allows_streaming => 1, extra => [ '--no-locale', '--encoding=UTF8' ]);
log_statement = none
kwjobs.max_workers = 4
synchronous_commit = local
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub submit { return sql("SELECT kwjobs.submit(\$job\$$_[0]\$job\$, notify => 'ends'" . ($_[1] ? ", $_[1]" : '') . ')') }

sub listen_to
{
	my $session = $node->background_psql('postgres');
	$session->query_safe("LISTEN $_") for @_;
	return $session;
}

# Returns the payloads that the session has got until now, in their order. The session sends a
# notification to itself, and gets it after all that were committed before.
sub heard
{
	my ($session) = @_;
	my $text = $session->query(q{NOTIFY ends, 'mark'});
	$text =~ /payload "mark"/ or die "the listener does not hear: $text";
	return grep { $_ ne 'mark' } $text =~ /with payload "(.*)" received/g;
}

# Returns the payloads up to one that matches. This calls heard() again and again, because a session
# looks for notifications only when it runs a statement.
sub heard_until
{
	my ($session, $pattern) = @_;
	my @heard;
	comes_true(sub { push(@heard, heard($session)); return grep { /$pattern/ } @heard });
	return @heard;
}

# The same with N for the id of the job.
sub heard_of
{
	my ($session, $job) = @_;
	return join("\n", map { s/"job_id": $job,/"job_id": N,/r } heard($session));
}

my $listener = listen_to('ends', '"My Channel"');
my $succeeded = '{"job_id": N, "status": "succeeded", "error_code": null, "error": null}';
my $canceled = '{"job_id": N, "status": "canceled", "error_code": "57014", "error": "job canceled by user"}';

# ---- ends by the worker ----
{
	my $job = submit('SELECT 1');
	wait_for_end($node, $job);
	is(heard_of($listener, $job), $succeeded, 'a job succeeds');

	$job = submit('SELECT 1 / 0');
	wait_for_end($node, $job);
	is(heard_of($listener, $job), '{"job_id": N, "status": "failed", "error_code": "22012", "error": "division by zero"}', 'a job fails');

	sql("RETRY JOB $job");
	wait_for_end($node, $job);
	is(heard_of($listener, $job), '{"job_id": N, "status": "failed", "error_code": "22012", "error": "division by zero"}', '... and again after RETRY');

	# a chain of jobs of one worker: the commit of one is the claim of the next
	my @jobs = split(/\n/, sql("SELECT kwjobs.submit('SELECT 1', notify => 'ends') FROM generate_series(1, 50)"));
	wait_for_end($node, @jobs);
	is(join(' ', sort map { /"job_id": (\d+)/ } heard($listener)), join(' ', sort @jobs), 'each of many jobs is told once');

	$job = submit(q{DO $do$ BEGIN RAISE EXCEPTION '%', repeat(E'é"\\\n\001', 20000); END $do$});
	wait_for_end($node, $job);
	my ($payload) = heard($listener);
	cmp_ok(length($payload), '<', 8000, 'a long error is clipped');
	is(sql("SELECT (\$json\$$payload\$json\$::jsonb ->> 'status')"), 'failed', '... and is still JSON');

	$job = submit('SELECT 1 / 0', "on_revert => 'SELECT 1'");
	wait_for_end($node, $job);
	is(heard_of($listener, $job), '{"job_id": N, "status": "failed", "error_code": "22012", "error": "division by zero"}', 'a job that was reverted, with the error that it failed with');

	$job = submit('SELECT 1 / 0', "on_revert => 'SELECT 1 FROM nowhere'");
	wait_for_end($node, $job);
	like(heard_of($listener, $job), qr/^\{"job_id": N, "status": "revert-failed", "error_code": "42P01", "error": "relation [^}]*\}$/, 'a revert fails');
	sql("BEGIN; SAVEPOINT s; SELECT kwjobs.close($job); ROLLBACK TO s; COMMIT");
	is(heard_of($listener, $job), '', '... and is not closed: that was rolled back to a savepoint');
	sql("SELECT kwjobs.close($job)");
	is(heard_of($listener, $job), '{"job_id": N, "status": "failed", "error_code": "22012", "error": "division by zero"}', '... and the job is closed');

	$job = sql("SELECT kwjobs.submit('SELECT 1', notify => 'My Channel')");
	wait_for_end($node, $job);
	is(heard_of($listener, $job), $succeeded, 'the name of the channel is taken as it is');

	my $path = write_csv($node, 10);
	sql('CREATE TABLE target (n integer, t text)');
	$job = sql("IMPORT INTO target CSV DATA ('$path') WITH notify = 'ends', detached");
	wait_for_end($node, $job);
	is(heard_of($listener, $job), $succeeded, 'an IMPORT');
}

# ---- no end, no notification ----
{
	sql("BEGIN; SELECT kwjobs.submit('SELECT 1', notify => 'ends'); ROLLBACK");
	my $job = submit('SELECT 1', "run_at => 'tomorrow'");
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	is(join(',', heard($listener)), '', 'neither a submit that is rolled back nor a pause is told');

	# ---- ends by the coordinator ----
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
	is(heard_of($listener, $job), $canceled, 'a paused job is canceled');

	$job = submit('SELECT 1', "run_at => 'tomorrow'");
	sql("BEGIN; CANCEL JOB $job; ROLLBACK");
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
	is(heard_of($listener, $job), $canceled, 'a job is canceled before it starts');

	my @jobs = split(/\n/, sql("SELECT kwjobs.submit('SELECT 1', notify => 'ends', run_at => 'tomorrow') FROM generate_series(1, 300)"));
	sql('CANCEL ALL JOBS');
	wait_for_end($node, @jobs[ 0, -1 ]);
	wait_query($node, 'SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE finished IS NULL');
	is(join(' ', sort map { /"job_id": (\d+), "status": "canceled"/ } heard($listener)), join(' ', sort @jobs), 'many jobs are canceled');

	my $first = submit('SELECT 1 / 0', "run_at => now() + interval '100 ms'");
	my $second = sql("SELECT kwjobs.submit('SELECT 1', notify => 'ends', depends_on => $first)");
	wait_for_end($node, $second);
	# The worker that has told the end of the first job may still be at its commit when the coordinator ends the
	# second one. Then the coordinator tells that with a later commit.
	is((heard_until($listener, qr/"job_id": $second,/))[-1],
		qq({"job_id": $second, "status": "failed", "error_code": "55000", "error": "job $first, on which this job depends, has not succeeded"}),
		'a job fails because of another one');
}

# ---- a job that runs ----
{
	my $gate = close_gates($node, 9);
	my $job = submit('SELECT pg_advisory_xact_lock_shared(9)');
	wait_at_gate($node, $job);
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
	is(heard_of($listener, $job), $canceled, 'a job that runs is canceled');

	$job = submit('SELECT pg_advisory_xact_lock_shared(9)', 'max_attempts => 1');
	wait_at_gate($node, $job);
	sql("SELECT pg_terminate_backend(pid) FROM kwdb_internal.jobs WHERE job_id = $job");
	wait_for_end($node, $job);
	like(heard_of($listener, $job), qr/^\{"job_id": N, "status": "failed", "error_code": "57P0\d", "error": "[^"]+"\}$/, 'a job whose worker is gone');

	# a crash of the server: the job ends later, and is told then
	$job = submit('SELECT pg_advisory_xact_lock_shared(9)');
	my $waits = submit('SELECT 1', "run_at => 'tomorrow'");
	wait_at_gate($node, $job);
	$node->kill9;
	$_->quit for $gate, $listener;
	start_when_possible($node);
	$listener = listen_to('ends');
	wait_for_end($node, $job);
	my $told = heard_of($listener, $job);
	# it may have ended before the session listened
	ok($told eq $succeeded || $told eq '', 'after a crash of the server a job is told at most once') or diag($told);
	sql("CANCEL JOB $waits");
	wait_for_end($node, $waits);
	is(heard_of($listener, $waits), $canceled, '... and others as before');
}

# ---- broken rows ----
{
	my $job = submit('SELECT 1', "run_at => 'tomorrow'");
	sql(<<"EOF");
BEGIN;
UPDATE kwjobs.job SET payload = '[]', run_at = NULL, due = now() WHERE job_id = $job;
SELECT kwjobs.alter($job, priority => 1);
COMMIT;
EOF
	wait_for_end($node, $job);
	like(heard_of($listener, $job), qr/^\{"job_id": N, "status": "failed", "error_code": "\w+", "error": "[^}]+"\}$/, 'a job whose rows are broken');

	$job = submit('SELECT 1', "run_at => 'tomorrow'");
	sql("UPDATE kwjobs.job SET notify = repeat('x', 500) WHERE job_id = $job");
	sql("SELECT kwjobs.run_now($job)");
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status'), 'succeeded', 'a channel that NOTIFY does not take keeps no job from its end');
	is(join(',', heard($listener)), '', '... and is not told');
}

# ---- a sender that waits for a standby holds the lock of all senders ----
{
	sql('CREATE TABLE written (n integer)');
	my $writer = do
	{
		local $ENV{PGOPTIONS} = '-c synchronous_commit=on';
		lose_standby($node);
	};
	my $sender = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $sender->query_safe('SET synchronous_commit = on; SELECT pg_backend_pid()');
	$sender->query_until(qr/waits/, "\\echo waits\nBEGIN; INSERT INTO target VALUES (0); NOTIFY ends, 'from a session'; COMMIT;\n");
	wait_query($node, "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $pid");
	my $waits = submit('SELECT 1', "run_at => 'tomorrow'");
	my $plain = sql("SELECT kwjobs.submit('SELECT 1')");
	sql("CANCEL JOB $waits");
	wait_for_end($node, $waits, $plain);
	is(job_field($node, $waits, 'status'), 'canceled', 'the coordinator does not wait for a sender');
	my $last = sql("SELECT kwjobs.submit('SELECT 1', depends_on => $plain)");
	wait_for_end($node, $last);
	sql("SELECT pg_cancel_backend($pid)");
	$sender->query('SELECT 1');
	$sender->quit;
	my $told = join("\n", heard_until($listener, qr/"job_id": $waits/));
	like($told, qr/^from a session\n?\{"job_id": $waits, "status": "canceled", [^}]*\}$/, '... and tells when that one is through');
	set_standby($node, '');
	$writer->quit;
}

# ---- a full queue ----
SKIP:
{
	skip 'before PostgreSQL 17 the queue has 8 GB', 5 if sql("SELECT count(*) FROM pg_settings WHERE name = 'max_notify_queue_pages'") eq '0';
	$node->append_conf('postgresql.conf', "max_notify_queue_pages = 64\n");
	$listener->quit;
	$node->restart;
	$listener = listen_to('ends');
	$listener->query_safe('BEGIN');
	sql("SELECT pg_notify('ends', 'filler ' || n || repeat('x', 7000)) FROM generate_series(1, 10) AS n")
	  while sql('SELECT pg_notification_queue_usage() <= 0.9') eq 't';
	my $place = -s $node->logfile;
	my $job = submit('SELECT 1');
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status'), 'succeeded', 'a job succeeds though the queue of notifications is full');
	like(slurp_file($node->logfile, $place), qr/LOG:  1 notifications of ended jobs were not sent/, '... the log tells');
	my $waits = submit('SELECT 1', "run_at => 'tomorrow'");
	sql("CANCEL JOB $waits");
	wait_for_end($node, $waits);
	is(job_field($node, $waits, 'status'), 'canceled', 'a job is canceled');
	$listener->query('COMMIT');
	my $told = join("\n", grep { !/^filler/ } heard_until($listener, qr/"job_id": $waits/));
	unlike($told, qr/"job_id": $job,/, 'the worker drops what it cannot send');
	like($told, qr/^\{"job_id": $waits, "status": "canceled"/, '... the coordinator keeps it');
}

$listener->quit;
is_consistent($node);
done_testing();
