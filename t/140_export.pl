# EXPORT jobs: paused, canceled, crashed, on a full disk, with a directory that is gone, taken by
# others or reached by links. Each time either all files are there with their manifest, or nothing.
# sql/export.sql has what can be typed, and what is in the files.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('export', <<'EOF', extra => [ '--no-locale', '--encoding=UTF8' ]);
kwjobs.worker_idle_timeout = 0
autovacuum = off
fsync = on
EOF
my $base = PostgreSQL::Test::Utils::tempdir();

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub field { my ($job, $field) = @_; return job_field($node, $job, $field) }

# 2500 rows; row 1700 waits at the gate.
sql(<<'EOF');
CREATE TABLE t (n integer, x text);
INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 2500) AS n;
CREATE FUNCTION gate(n integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    IF n = 1700 THEN
        PERFORM pg_advisory_lock_shared(4711), pg_advisory_unlock_shared(4711);
    END IF;
    RETURN n;
END $$;
CREATE VIEW gated AS SELECT gate(n) AS n, x FROM t;
CREATE TABLE large AS SELECT n, md5(n::text) AS x FROM generate_series(1, 100000) AS n;
EOF
sql("COPY large TO '$base/large.csv' CSV");

my $made = 0;

# Returns the path of a new directory, which is empty.
sub make_directory
{
	my $dir = "$base/d" . ++$made;
	mkdir($dir) or die "$dir: $!";
	return $dir;
}

# Creates a job. Returns its id.
sub export
{
	my ($dir, %more) = @_;
	my $target = $more{target} // 'gated';
	my $options = $more{options} // 'chunk_rows = 1000';
	return sql("EXPORT INTO CSV '$dir' FROM TABLE $target WITH detached, $options");
}

# Returns how many rows the files have, and the sum of their numbers.
sub rows_in
{
	my ($dir) = @_;
	my ($n, $sum) = (0, 0);
	for my $file (glob("$dir/n1.*.csv"))
	{
		for (split(/\n/, slurp_file($file)))
		{
			$n++;
			$sum += (split(/,/))[0];
		}
	}
	return "$n $sum";
}

sub is_complete
{
	my ($dir, $name, $rows) = @_;
	is(files_below($dir), 'manifest.json meta.sql n1.0.csv n1.1.csv n1.2.csv', "$name: all files");
	is(rows_in($dir), $rows // '2500 3126250', "$name: all rows");
	return;
}

# Begins a job that waits at the gate, when the first of three files is complete.
sub stop_in_second_file
{
	my ($dir, %more) = @_;
	my $gate = close_gate($node);
	my $job = export($dir, %more);
	wait_at_gate($node, $job);
	return ($gate, $job);
}

# Kills the worker of the job, so that the server restarts. That ends $gate, too, the session that keeps the
# gate closed.
sub kill_worker
{
	my ($job, $gate) = @_;
	kill_process($node, field($job, 'pid'), $gate);
	return;
}

# ---- while it runs ----

sub test_running
{
	my $dir = make_directory();
	my ($gate, $job) = stop_in_second_file($dir);
	is(files_below($dir), '.kwjobs-N .kwjobs-N/n1.0.csv .kwjobs-N/n1.1.csv', 'running: all files are in the stage');
	like(field($job, 'running_status'), qr/^exported 1000 rows, 0 MB, \d+ rows\/s$/, 'running: the status');
	open_gate($gate);
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'running: it succeeds');
	is_complete($dir, 'running');
	return;
}

# An EXPORT waits for a TRUNCATE before it takes its snapshot; an older one would find no rows. The
# TRUNCATE comes between the look at what is to be locked and the snapshot.
sub test_truncate
{
	sql('CREATE TABLE rewritten (n integer); INSERT INTO rewritten VALUES (1); CREATE VIEW of_rewritten AS SELECT * FROM rewritten');
	my $locks = q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'rewritten'::regclass AND};
	for my $target (qw(rewritten of_rewritten))
	{
		my $dir = make_directory();
		my $session = $node->background_psql('postgres');
		my $gate = close_gates($node, 4934);
		my $job = export($dir, target => $target);
		wait_at_gate($node, $job);
		$session->query_until(qr/begins/, "\\echo begins\nBEGIN; TRUNCATE rewritten; INSERT INTO rewritten VALUES (7);\n");
		wait_query($node, "$locks NOT granted AND mode = 'AccessExclusiveLock'");
		$gate->quit;
		wait_query($node, "$locks NOT granted AND mode = 'AccessShareLock'");
		$session->query_safe('COMMIT');
		$session->quit;
		wait_for_end($node, $job);
		is(field($job, 'status'), 'succeeded', "$target: a TRUNCATE is waited for");
		is(-e "$dir/n1.0.csv" ? slurp_file("$dir/n1.0.csv") : "", "7\n", "$target: the rows after it");
	}
	return;
}

# What comes into being after that look is locked after the snapshot. If it is truncated in between, another
# snapshot is taken.
sub test_late_truncate
{
	sql('CREATE TABLE parted (n integer) PARTITION BY LIST (n); CREATE TABLE first PARTITION OF parted FOR VALUES IN (1); INSERT INTO parted VALUES (1)');
	my $late = q{FROM pg_locks WHERE relation = 'late'::regclass AND};
	for my $what ('TABLE parted', 'SELECT * FROM parted', 'DATABASE postgres')
	{
		my $dir = make_directory();
		my $session = $node->background_psql('postgres');
		my $gate = close_gates($node, 4934);
		my $job = sql("EXPORT INTO CSV '$dir' FROM $what WITH detached" . ($what =~ /SELECT/ ? '' : ', data_only'));
		wait_at_gate($node, $job);
		sql('CREATE TABLE late (n integer); INSERT INTO late VALUES (2), (3)');
		sql('ALTER TABLE parted ATTACH PARTITION late FOR VALUES IN (2, 3, 7)') unless $what =~ /DATABASE/;
		$session->query_safe('BEGIN; TRUNCATE late; INSERT INTO late VALUES (7)');
		$gate->quit;
		wait_query($node, "SELECT count(*) > 0 $late NOT granted AND mode = 'AccessShareLock'");
		$session->query_safe('COMMIT');
		$session->quit;
		wait_for_end($node, $job);
		is(field($job, 'status'), 'succeeded', "$what: a table that came late is truncated");
		my @files = grep { /\.csv$/ && ($what !~ /DATABASE/ || m{/late/}) } map { "$dir/$_" } split(/ /, files_below($dir));
		is(join('', map { slurp_file($_) } @files), $what =~ /DATABASE/ ? "7\n" : "1\n7\n", "$what: the rows after it");
		sql('DROP TABLE late');
	}
	sql('DROP TABLE parted');
	return;
}

# ---- PAUSE, CANCEL ----

sub test_pause
{
	my $dir = make_directory();
	my ($gate, $job) = stop_in_second_file($dir);
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	is(files_below($dir), '', 'PAUSE: the directory is empty');
	is(field($job, 'running_status'), 'the snapshot was given up: RESUME JOB begins with all files again',
		'PAUSE: the job says what that means');
	sql("INSERT INTO t VALUES (3000, 'late')");
	open_gate($gate);
	sql("RESUME JOB $job");
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'RESUME: it succeeds');
	is_complete($dir, 'RESUME', '2501 3129250');
	is(field($job, 'rows'), 2501, 'RESUME: rows count once');
	sql('DELETE FROM t WHERE n = 3000');
	return;
}

# WITH on_pause = 'keep', the job stands still in the middle, and its files are of the old snapshot.
sub stand_in_second_file
{
	my $dir = make_directory();
	my ($gate, $job) = stop_in_second_file($dir, options => "chunk_rows = 1000, on_pause = 'keep', max_attempts = 1");
	# The coordinator interrupts the query half a second after it has told the worker of the PAUSE. So one session
	# does all of this, without the test in between: it opens the gate as soon as the worker knows.
	$gate->query_safe("PAUSE JOB $job");
	wait_in($gate, "CASE WHEN EXISTS (SELECT FROM kwjobs.running WHERE job_id = $job AND status = 'pause-requested') THEN pg_advisory_unlock(4711) ELSE false END");
	$gate->quit;
	wait_for_status($node, $job, 'paused');
	return ($dir, $job);
}

sub test_keep
{
	my ($dir, $job) = stand_in_second_file();
	is(files_below($dir), '.kwjobs-N .kwjobs-N/n1.0.csv .kwjobs-N/n1.1.csv', 'keep: the files are there');
	is(field($job, 'running_status'), 'paused: its snapshot, the locks on its tables and its files are kept until RESUME', 'keep: the job says so');
	is(sql("SELECT backend_xmin IS NOT NULL FROM pg_stat_activity WHERE pid = " . field($job, 'pid')), 't', 'keep: it has its snapshot');
	sql("INSERT INTO t VALUES (3000, 'late')");
	sql("RESUME JOB $job");
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'keep: it succeeds');
	is_complete($dir, 'keep, without what came later');
	is(sql("SELECT count(*) FROM kwdb_internal.job_attempts WHERE job_id = $job"), 1, 'keep: by the same attempt');
	sql('DELETE FROM t WHERE n = 3000');

	($dir, $job) = stand_in_second_file();
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
	is(field($job, 'status') . ' ' . files_below($dir), 'canceled ', 'keep: CANCEL removes all at once');

	for my $end ('terminate', 'kill')
	{
		($dir, $job) = stand_in_second_file();
		my $pid = field($job, 'pid');
		if ($end eq 'terminate')
		{
			sql("SELECT pg_terminate_backend($pid)");
		}
		else
		{
			kill_process($node, $pid);
			sql("CALL kwjobs.run('SELECT 1')");
		}
		wait_query($node, "SELECT status = 'paused' AND pid IS NULL FROM kwdb_internal.jobs WHERE job_id = $job");
		sql("RESUME JOB $job");
		wait_for_end($node, $job);
		is(field($job, 'status'), 'succeeded', "keep: $end of the worker leaves it paused, and RESUME begins anew");
		is_complete($dir, "keep: $end");
	}
	my ($rc, $out, $err) = $node->psql('postgres', "EXPORT INTO CSV '$base/none' FROM TABLE t WITH on_pause = 'maybe'");
	like($err, qr/invalid value for EXPORT option "on_pause"/, 'keep: another value');
	return;
}

sub test_cancel
{
	for my $exists (1, 0)
	{
		my $dir = $exists ? make_directory() : "$base/created";
		my ($gate, $job) = stop_in_second_file($dir);
		sql("CANCEL JOB $job");
		wait_for_end($node, $job);
		is(field($job, 'status'), 'canceled', 'CANCEL: it is canceled');
		is(files_below($dir), '', 'CANCEL: nothing is left');
		is(-d $dir ? 1 : 0, $exists, 'CANCEL: the directory is left if the job has not created it');
		open_gate($gate);
	}
	return;
}

# A CANCEL that comes when the files have appeared, but before the job has succeeded.
sub test_late_cancel
{
	my $dir = make_directory();
	my $gate = close_gates($node, 4931);
	my $job = export($dir);
	wait_at_gate($node, $job);
	is_complete($dir, 'late CANCEL: before it');
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
	is(field($job, 'status'), 'canceled', 'late CANCEL: it is canceled');
	is(files_below($dir), '', 'late CANCEL: nothing is left');
	$gate->quit;
	return;
}

# ---- crashes ----

sub test_crash_while_reading
{
	my $dir = make_directory();
	my ($gate, $job) = stop_in_second_file($dir);
	kill_worker($job, $gate);
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'kill -9 while it reads: the next attempt succeeds');
	is(attempt_statuses($node, $job), 'crashed,succeeded', 'kill -9 while it reads: two attempts');
	is_complete($dir, 'kill -9 while it reads');
	return;
}

# No worker starts after the crash, so that the test sees what the crash has left.
sub test_crash_then_cancel
{
	my $dir = make_directory();
	my ($gate, $job) = stop_in_second_file($dir);
	configure($node, 'kwjobs.max_workers', 0);
	kill_worker($job, $gate);
	wait_for_status($node, $job, 'pending');
	is(files_below($dir), '.kwjobs-N .kwjobs-N/n1.0.csv .kwjobs-N/n1.1.csv', 'kill -9: what is left does not look complete');
	sql("CANCEL JOB $job");
	configure($node, 'kwjobs.max_workers');
	wait_for_end($node, $job);
	is(field($job, 'status'), 'canceled', 'kill -9, then CANCEL: it is canceled');
	is(files_below($dir), '', 'kill -9, then CANCEL: nothing is left');
	return;
}

# 4930: all is written, nothing has appeared. 4931: all has appeared.
sub test_crash_while_publishing
{
	for my $number (4930, 4931)
	{
		my $dir = make_directory();
		my $gate = close_gates($node, $number);
		my $job = export($dir);
		wait_at_gate($node, $job);
		my $manifest = $number == 4931 ? slurp_file("$dir/manifest.json") : '';
		kill_worker($job, $gate);
		wait_for_end($node, $job);
		is(field($job, 'status'), 'succeeded', "kill -9 at gate $number: it succeeds");
		is(field($job, 'rows'), 2500, "kill -9 at gate $number: rows");
		is_complete($dir, "kill -9 at gate $number");
		is(slurp_file("$dir/manifest.json"), $manifest, 'kill -9 at gate 4931: what has appeared stays')
		  if $number == 4931;
	}
	return;
}

# The same as a crash between two renames: some files have appeared, and the manifest has not.
sub test_half_published
{
	my $dir = make_directory();
	my $gate = close_gates($node, 4931);
	my $job = export($dir);
	wait_at_gate($node, $job);
	configure($node, 'kwjobs.max_workers', 0);
	kill_worker($job, $gate);
	my $stage = "$dir/.kwjobs-$job";
	mkdir($stage) or die "$stage: $!";
	for ('manifest.json', 'n1.2.csv')
	{
		rename("$dir/$_", "$stage/$_") or die "$_: $!";
	}
	# Another program's file, of a name that the manifest lists, but which was not moved yet.
	append_to_file("$dir/n1.2.csv", 'precious');
	sql("CANCEL JOB $job");
	configure($node, 'kwjobs.max_workers');
	wait_for_end($node, $job);
	is(field($job, 'status'), 'canceled', 'half published: it is canceled');
	is(files_below($dir), 'n1.2.csv', "half published: exactly the job's files are gone");
	return;
}

sub test_stop
{
	my $dir = make_directory();
	my ($gate, $job) = stop_in_second_file($dir);
	$node->stop('fast');
	$gate->{run}->kill_kill;
	$node->start;
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'stop of the server: it succeeds after the start');
	is_complete($dir, 'stop of the server');
	return;
}

# ---- errors ----

# Checks that the job fails with this SQLSTATE, and what is left in the directory.
sub fails_with
{
	my ($job, $code, $dir, $name, $left) = @_;
	wait_for_end($node, $job);
	is(field($job, 'status') . ' ' . field($job, 'error_code'), "failed $code", "$name: the job fails");
	isnt(field($job, q{coalesce(error_hint, '')}), '', "$name: there is a hint");
	is(files_below($dir), $left // '', "$name: what is left");
	return;
}

# A write fails in the middle of a file, as if the disk were full: fault 4932.
sub test_disk_full
{
	my $dir = make_directory();
	my ($gate, $job) = stop_in_second_file($dir, options => 'chunk_rows = 1000, max_attempts = 1');
	my $fault = close_gates($node, 4932);
	open_gate($gate);
	fails_with($job, '53100', $dir, 'disk full');
	like(field($job, 'error'), qr/^could not write to file "n1.1.csv": No space left on device$/, 'disk full: the error');

	# While it lasts, the job is tried again; when there is space, it succeeds.
	$job = export($dir, options => "chunk_rows = 1000, retry_initial_delay = '10 ms', max_attempts = 1000");
	wait_query($node, "SELECT count(*) > 1 FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed'");
	$fault->quit;
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'disk full for a while: it succeeds');
	is_complete($dir, 'disk full for a while');
	return;
}

# The disk fails when the files are to be made durable, after all of them were written: faults 4939 and 4946.
sub test_sync_fails
{
	my $dir = make_directory();
	my $fault = close_gates($node, 4939);
	my $job = export($dir, target => 'large', options => 'chunk_rows = 9000, thread_concurrency = 1, max_attempts = 1');
	fails_with($job, '58030', $dir, 'fsync fails');
	like(field($job, 'error'), qr/^could not fsync file ".*n1\.\d+\.csv": Input\/output error$/, 'fsync fails: the error');
	$fault->quit;

	# Only in the parallel workers, each of which has written something.
	$dir = make_directory();
	(my $gate, $job) = stop_parallel($dir, ', max_attempts = 1');
	$fault = close_gates($node, 4946);
	$gate->quit;
	fails_with($job, '58030', $dir, 'fsync fails in a parallel worker');
	$fault->quit;
	return;
}

# The operating system lets the worker start no thread that could make files durable.
sub test_no_thread
{
	my $dir = make_directory();
  SKIP:
	{
		skip 'needs prlimit', 4 if system('command -v prlimit >/dev/null') != 0;
		my $gate = close_gates($node, 4930, 4934);
		my $job = export($dir, target => 't', options => 'chunk_rows = 1000, max_attempts = 1');
		wait_at_gate($node, $job);
		my $pid = field($job, 'pid');
		system_or_bail('prlimit', "--pid=$pid", '--nproc=1:');
		$gate->query_safe('SELECT pg_advisory_unlock(4934)');
		wait_at_gate($node, $job);
		is(scalar(() = glob("/proc/$pid/task/*")), 1, 'no thread: the worker has none');
		$gate->quit;
		wait_for_end($node, $job);
		is(field($job, 'status'), 'succeeded', 'no thread: the worker waits for the disk itself');
		is_complete($dir, 'no thread');
	}
	return;
}

sub test_directory_gone
{
	my $dir = make_directory();
	my ($gate, $job) = stop_in_second_file($dir);
	system_or_bail('rm', '-rf', $dir);
	open_gate($gate);
	fails_with($job, '58P01', $dir, 'directory gone while it is written to');
	$dir = make_directory();
	$job = export($dir, options => "run_at = '2100-01-01'");
	rmdir($dir) or die "$dir: $!";
	sql("SELECT kwjobs.run_now($job)");
	fails_with($job, '58P01', $dir, 'directory gone before the job runs');
	return;
}

# Another directory in its place: nothing in it is touched.
sub test_directory_replaced
{
	my $dir = make_directory();
	my ($gate, $job) = stop_in_second_file($dir);
	rename($dir, "$dir.moved") or die "$dir: $!";
	mkdir($dir) or die "$dir: $!";
	mkdir("$dir/.kwjobs-$job") or die "$dir: $!";
	append_to_file("$dir/.kwjobs-$job/precious", 'x');
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
	is(field($job, 'status'), 'canceled', 'directory replaced: the job is canceled');
	is(files_below($dir), '.kwjobs-N .kwjobs-N/precious', 'directory replaced: nothing is touched');
	is(files_below("$dir.moved"), '', 'directory replaced: the files are gone where they were written');
	like(field($job, 'running_status'), qr/^nothing was removed/, 'directory replaced: the job says so');
	open_gate($gate);
	return;
}

# Somebody creates a file that the job is to create, too.
sub test_file_in_the_way
{
	my $dir = make_directory();
	my ($gate, $job) = stop_in_second_file($dir);
	append_to_file("$dir/n1.1.csv", 'precious');
	open_gate($gate);
	fails_with($job, '58P02', $dir, 'file in the way', 'n1.1.csv');
	is(slurp_file("$dir/n1.1.csv"), 'precious', 'file in the way: it is as it was');
	return;
}

sub test_two_jobs
{
	my $dir = make_directory();
	my $later = export($dir, options => "run_at = '2100-01-01'");
	my ($gate, $job) = stop_in_second_file($dir);
	sql("SELECT kwjobs.run_now($later)");
	wait_for_end($node, $later);
	is(field($later, 'status') . ' ' . field($later, 'error_code'), 'failed 58P02', 'two jobs: the second one fails');
	open_gate($gate);
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'two jobs: the first one succeeds');
	is_complete($dir, 'two jobs');
	return;
}

# What the job has written cannot be removed.
sub test_revert_fails
{
	my $dir = make_directory();
	my $gate = close_gates($node, 4931);
	my $job = export($dir);
	wait_at_gate($node, $job);
  SKIP:
	{
		skip 'root may write everywhere', 4 if $> == 0;
		chmod(0555, $dir) or die "$dir: $!";
		sql("CANCEL JOB $job");
		wait_for_status($node, $job, 'revert-failed');
		isnt(field($job, q{coalesce(error_hint, '')}), '', 'cannot be removed: there is a hint');
		chmod(0755, $dir) or die "$dir: $!";
		sql("RESUME JOB $job");
		wait_for_end($node, $job);
		is(field($job, 'status'), 'canceled', 'cannot be removed: RESUME after it was mended');
		is(files_below($dir), '', 'cannot be removed: nothing is left after it was mended');
	}
	$gate->quit;
	return;
}

# ---- kwjobs.data_directories ----

sub refused
{
	my ($dir, $code, $name) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nEXPORT INTO CSV '$dir' FROM TABLE t");
	like($err, qr/ERROR:  $code: .*HINT: /s, $name);
	return;
}

sub test_directories
{
	my $allowed = make_directory();
	my $outside = make_directory();
	configure($node, 'kwjobs.data_directories', "/nowhere, $allowed");
	my $job = export("$allowed/new", target => 't');
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'data_directories: below one of them');
	refused($outside, 42501, 'data_directories: outside');
	refused("${allowed}x", 42501, 'data_directories: a name that begins like one');
	refused("$allowed/../d1", 42602, 'data_directories: a way up');
	symlink($outside, "$allowed/link") or die "$!";
	refused("$allowed/link", 42501, 'data_directories: a link');
	refused("$allowed/link/x", 42501, 'data_directories: through a link');

	# A link takes the place of a directory after the job was created.
	mkdir("$allowed/sub") or die "$!";
	$job = export("$allowed/sub/new", target => 't', options => "run_at = '2100-01-01'");
	rmdir("$allowed/sub") or die "$!";
	symlink($outside, "$allowed/sub") or die "$!";
	sql("SELECT kwjobs.run_now($job)");
	fails_with($job, 42501, $outside, 'data_directories: a link instead of a directory');

	# ... and while it runs.
	(my $gate, $job) = stop_in_second_file("$allowed/running");
	rename("$allowed/running", "$allowed/moved") or die "$!";
	symlink($outside, "$allowed/running") or die "$!";
	open_gate($gate);
	wait_for_end($node, $job);
	is(files_below($outside), '', 'data_directories: nothing is written through a link');
	is_complete("$allowed/moved", 'data_directories: a directory that was moved');

	# The setting is changed before the job runs.
	$job = export("$allowed/later", target => 't', options => "run_at = '2100-01-01'");
	configure($node, 'kwjobs.data_directories', '/nowhere');
	sql("SELECT kwjobs.run_now($job)");
	fails_with($job, 42501, "$allowed/later", 'data_directories: changed before the job runs');
	configure($node, 'kwjobs.data_directories');
	my ($rc, $out, $err) = $node->psql('postgres', q{ALTER SYSTEM SET kwjobs.data_directories = 'relative'});
	like($err, qr/invalid value.*is not an absolute path/s, 'data_directories: a relative path is refused');
	return;
}

# ---- several processes ----

# Exports the large table by four processes, of which three are parallel workers. They wait at the
# gate when each has exported a range. Until then the leader waits at another gate. It exports all other ranges.
sub stop_parallel
{
	my ($dir, $more) = @_;
	my $gate = close_gates($node, 4933, 4938);
	my $job = export($dir, target => 'large', options => 'chunk_rows = 9000, thread_concurrency = 4, data_only' . ($more // ''));
	wait_at_gates($node, 3, q{backend_type = 'parallel worker'});
	$gate->query_safe('SELECT pg_advisory_unlock(4938)');
	return ($gate, $job);
}

sub is_all_of_large
{
	my ($dir, $name) = @_;
	my @lines = sort(map { split(/\n/, slurp_file($_)) } glob("$dir/n1.*.csv"));
	my @expected = sort(split(/\n/, slurp_file("$base/large.csv")));
	is_deeply(\@lines, \@expected, "$name: all rows, once");
	unlike(files_below($dir), qr/\.files|\.kwjobs/, "$name: nothing else");
	return;
}

sub test_parallel
{
	my $dir = make_directory();
	my ($gate, $job) = stop_parallel($dir);
	sql('UPDATE large SET n = -n; DELETE FROM large WHERE n % 2 = 0; VACUUM large');
	$gate->quit;
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'four processes: it succeeds');
	is(field($job, 'rows'), 100000, 'four processes: the number of rows');
	is_all_of_large($dir, 'four processes, while the table changes');
	sql("TRUNCATE large; COPY large FROM '$base/large.csv' CSV");

	# A header in each file; a manifest that adds up.
	$dir = make_directory();
	$job = export($dir, target => 'large', options => 'chunk_rows = 9000, thread_concurrency = 3, column_name');
	wait_for_end($node, $job);
	is(sql(<<"EOF"), '100000|t|t', 'three processes: the manifest, and a header in each file');
SELECT sum((f ->> 'rows')::int), bool_and(pg_read_file('$dir/' || (f ->> 'file')) LIKE E'n,x\\n%'),
       bool_and((SELECT count(*) - 1 = (f ->> 'rows')::int FROM regexp_split_to_table(rtrim(pg_read_file('$dir/' || (f ->> 'file')), E'\\n'), E'\\n')))
  FROM jsonb_array_elements(pg_read_file('$dir/manifest.json')::jsonb #> '{tables,0,files}') AS f
EOF

	# What has to be done by one process: the gate would stop a parallel worker.
	for my $alone ('thread_concurrency = 4, chunk_rows = 0', 'thread_concurrency = 1', '')
	{
		$dir = make_directory();
		$gate = close_gates($node, 4933);
		wait_for_end($node, export($dir, target => 'large', options => $alone ? "data_only, $alone" : 'data_only'));
		is_all_of_large($dir, "one process: $alone");
		$gate->quit;
	}
	return;
}

sub test_parallel_ends
{
	my $dir = make_directory();
	my ($gate, $job) = stop_parallel($dir);
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	is(files_below($dir), '', 'PAUSE of four processes: nothing is left');
	is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'}), 0,
		'PAUSE of four processes: the others are gone');
	$gate->quit;
	sql("RESUME JOB $job");
	wait_for_end($node, $job);
	is_all_of_large($dir, 'RESUME of four processes');

	# The leader has come to its end, and waits; the others stand still at their next report.
	$dir = make_directory();
	($gate, $job) = stop_parallel($dir, ", on_pause = 'keep'");
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	$gate->quit;
	wait_query($node, q{SELECT count(*) = 3 FROM pg_stat_activity WHERE backend_type = 'parallel worker' AND wait_event_type = 'Extension'});
	sql("RESUME JOB $job");
	wait_for_end($node, $job);
	is(field($job, 'status'), 'succeeded', 'four processes that stood still: it succeeds');
	is_all_of_large($dir, 'four processes that stood still');
	is(sql("SELECT count(*) FROM kwdb_internal.job_attempts WHERE job_id = $job"), 1, 'four processes that stood still: the same attempt');

	$dir = make_directory();
	($gate, $job) = stop_parallel($dir, ", on_pause = 'keep'");
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
	is(field($job, 'status') . ' ' . files_below($dir), 'canceled ', 'CANCEL of four processes that stand still');
	$gate->quit;

	$dir = make_directory();
	($gate, $job) = stop_parallel($dir);
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
	is(field($job, 'status') . ' ' . files_below($dir), 'canceled ', 'CANCEL of four processes: nothing is left');
	$gate->quit;

	# A parallel worker is ended, or killed.
	for my $signal (qw(TERM KILL))
	{
		$dir = make_directory();
		($gate, $job) = stop_parallel($dir);
		my $pid = sql(q{SELECT min(pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker'});
		if ($signal eq 'KILL')
		{
			kill_process($node, $pid, $gate);
		}
		else
		{
			kill($signal, $pid) or die "kill $pid: $!";
			wait_query($node, "SELECT count(*) > 0 FROM kwdb_internal.job_attempts WHERE job_id = $job AND status <> 'running'");
			$gate->quit;
		}
		wait_for_end($node, $job);
		is(field($job, 'status'), 'succeeded', "SIG$signal of a parallel worker: the job succeeds");
		is_all_of_large($dir, "SIG$signal of a parallel worker");
	}

	# An error in any of them.
	$dir = make_directory();
	$gate = close_gates($node, 4932);
	$job = export($dir, target => 'large', options => 'chunk_rows = 9000, thread_concurrency = 4, max_attempts = 1');
	fails_with($job, '53100', $dir, 'disk full for four processes');
	$gate->quit;
	return;
}

# ---- compression ----

sub test_compression
{
	my %suffixes = (gzip => 'gz', lz4 => 'lz4', zstd => 'zst');
	for my $name (sort keys %suffixes)
	{
		my $dir = make_directory();
		my ($rc, $job, $err) = $node->psql('postgres',
			"EXPORT INTO CSV '$dir' FROM TABLE large WITH detached, compression = '$name', chunk_rows = 60000");
	  SKIP:
		{
			skip "this build has no $name", 4 if $rc != 0 && $err =~ /this build of kwjobs has no compression/;
			wait_for_end($node, $job);
			is(field($job, 'status'), 'succeeded', "$name: it succeeds");
			is(files_below($dir), "manifest.json meta.sql n1.0.csv.$suffixes{$name} n1.1.csv.$suffixes{$name}", "$name: the files");
			my $bytes = 0;
			$bytes += -s $_ for glob("$dir/n1.*");
			is(field($job, q{result ->> 'bytes'}), $bytes, "$name: their bytes");
			skip "there is no program $name", 1 if system("command -v $name >/dev/null") != 0;
			is(`cat $dir/n1.0.* $dir/n1.1.* | $name -dc | md5sum`, `md5sum <$base/large.csv`, "$name: their contents");
		}
	}
	return;
}

test_running();
test_truncate();
test_late_truncate();
test_pause();
test_keep();
test_cancel();
test_late_cancel();
test_crash_while_reading();
test_crash_then_cancel();
test_crash_while_publishing();
test_half_published();
test_stop();
test_disk_full();
test_sync_fails();
test_no_thread();
test_directory_gone();
test_directory_replaced();
test_file_in_the_way();
test_two_jobs();
test_revert_fails();
test_directories();
test_parallel();
test_parallel_ends();
test_compression();
is_consistent($node);

done_testing();
