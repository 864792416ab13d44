# Attempts that several workers carry together. Each piece is done exactly once, whichever process
# dies. The job's error is the first one in the order of the work. Limits count parts, and parts
# make way for other jobs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('parts', <<'EOF');
kwjobs.max_workers = 4
max_connections = 30
log_statement = none
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(<<'EOF');
CREATE TABLE done (job bigint, piece bigint, transaction bigint, pid integer DEFAULT pg_backend_pid());
CREATE TABLE failing (piece bigint, message text, code text DEFAULT 'P0001');
-- Gate n is closed by the advisory lock n: a piece waits there before it is done.
CREATE FUNCTION work(piece bigint, transaction bigint) RETURNS void LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
    failure record;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(piece + 1000);
    SELECT * INTO failure FROM failing AS f WHERE f.piece = work.piece;
    IF FOUND THEN
        RAISE EXCEPTION '%', failure.message USING ERRCODE = failure.code;
    END IF;
    INSERT INTO done VALUES (kwjobs.current_job(), piece, transaction);
END $$;
EOF

sub create
{
	my ($arguments, $more) = @_;
	return sql(qq{SELECT kwjobs.create_job('TEST_PARTS', '{"statement": "SELECT public.work(\$1, \$2)", $arguments}'}
		. ($more ? ", $more" : '') . ')');
}

sub parts_of { return "SELECT count(*) FROM kwjobs.running WHERE job_id = $_[0]" }

sub wait_for_parts
{
	my ($job, $n) = @_;
	return wait_query($node, 'SELECT (' . parts_of($job) . ") = $n");
}

# Waits until workers wait at the gates of these pieces.
sub wait_at_pieces
{
	my (@pieces) = @_;
	my $list = join(', ', map { $_ + 1000 } @pieces);
	return wait_at_gates($node, scalar(@pieces), "objid IN ($list)");
}

sub status_of { return job_field($node, $_[0], 'status') }

# Checks that each piece was done once in each of its transactions.
sub is_done_once
{
	my ($job, $pieces, $transactions, $name) = @_;
	is(sql("SELECT count(*), count(DISTINCT (piece, transaction)), min(piece), max(piece) FROM done WHERE job = $job"),
		join('|', $pieces * $transactions, $pieces * $transactions, 0, $pieces - 1), $name);
	return;
}

sub is_tidy
{
	my ($job, $name) = @_;
	wait_for_parts($job, 0);
	is(sql("SELECT (SELECT count(*) FROM kwjobs.piece WHERE job_id = $job), (SELECT count(*) FROM kwjobs.running WHERE job_id = $job)"),
		'0|0', "$name: nothing is left of it");
	return;
}

# ---- several workers ----
{
	my $gates = close_gates($node, 1000 .. 1002);
	my $job = create('"parts": 3, "pieces": 30');
	wait_for_parts($job, 3);
	wait_at_pieces(0 .. 2);
	is(sql("SELECT string_agg(part::text, ',' ORDER BY part) FROM kwjobs.running WHERE job_id = $job"), '0,1,2',
		'three workers do three pieces at the same time');
	is(sql("SELECT count(*), min(fraction_completed), min(rows) FROM [SHOW JOBS] JOIN kwdb_internal.jobs USING (job_id, fraction_completed) WHERE job_id = $job"), '1|0|0',
		'they are one job');
	$gates->quit;
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', 'they end it');
	is_done_once($job, 30, 1, '... with each piece done once');
	cmp_ok(sql("SELECT count(DISTINCT pid) FROM done WHERE job = $job"), '>=', 3, '... by all of them');
	is(job_field($node, $job, 'rows'), '30', '... and their rows added up');
	is(sql("SELECT count(*), min(status) FROM kwdb_internal.job_attempts WHERE job_id = $job"), '1|succeeded', '... in one attempt');
	is_tidy($job, 'at its end');
}

# ---- one worker is enough; planned in many steps ----
{
	my $job = create('"parts": 1, "pieces": 25, "step": 2, "transactions": 3');
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', 'one worker does all of it');
	is_done_once($job, 25, 3, '... in all transactions, once');
	$job = create('"parts": 4, "pieces": 50, "step": 1, "transactions": 2, "finish": "INSERT INTO public.done VALUES (-1, -1, -1)"');
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', 'pieces may be planned one by one');
	is_done_once($job, 50, 2, '... and are done once');
	is(sql('SELECT count(*) FROM done WHERE job = -1'), '1', 'the end of the work runs once');
	$job = create('"parts": 3, "pieces": 0');
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', 'there may be no pieces');
}

# ---- the first error in the order of the work ----

# The third part may do pieces 6 and 7 before the error of piece 5 is stored, and comes to the gate
# of piece 8 then.
{
	my $gates = close_gates($node, 1002, 1008);
	sql(q{INSERT INTO failing VALUES (2, 'the second failed'), (5, 'the fifth failed')});
	my $job = create('"parts": 3, "pieces": 20', q{max_attempts => 1});
	wait_at_pieces(2);
	wait_query($node, "SELECT count(*) = 1 FROM kwjobs.piece WHERE job_id = $job AND error IS NOT NULL");
	# When the second piece fails, parts with later ones are interrupted.
	wait_query($node, "SELECT count(*) = 4 FROM done WHERE job = $job AND piece IN (0, 1, 3, 4)");
	$gates->query_safe('SELECT pg_advisory_unlock_all()');
	wait_for_end($node, $job);
	is(status_of($job), 'failed', 'a piece that fails fails the job');
	is(job_field($node, $job, 'error'), 'the second failed', '... and the first in the order of the work is its error, though another came earlier');
	is(job_field($node, $job, 'error_code'), 'P0001', '... with its code');
	is(sql("SELECT count(*) FROM done WHERE job = $job AND piece IN (0, 1, 3, 4)"), '4', '... after the pieces before the one that failed first');
	is(sql("SELECT count(*) FROM done WHERE job = $job AND piece > 7"), '0', '... and later ones were not begun');
	is_tidy($job, 'a failed job');
	$gates->quit;
	sql('TRUNCATE failing');
}

# If a piece fails, the parts that do later pieces are interrupted.
{
	my $gates = close_gates($node, 1001, 1002);
	sql(q{INSERT INTO failing VALUES (1, 'failed')});
	my $job = create('"parts": 3, "pieces": 20', q{max_attempts => 1});
	wait_at_pieces(1, 2);
	$gates->query_safe('SELECT pg_advisory_unlock(1001)');
	wait_for_end($node, $job);
	is(job_field($node, $job, 'error'), 'failed', 'a later piece does not hold up the end of the job');
	$gates->quit;
	sql('TRUNCATE failing');
}

# After a retryable error, the next attempt does only the pieces that are not done.
{
	sql(q{INSERT INTO failing VALUES (7, 'once', '40001')});
	my $job = create('"parts": 3, "pieces": 20, "transactions": 2', q{retry_initial_delay => '1 ms', max_attempts => 1000});
	wait_query($node, "SELECT count(*) >= 2 FROM kwdb_internal.job_attempts WHERE job_id = $job");
	sql('TRUNCATE failing');
	wait_query($node, "SELECT finished IS NOT NULL OR status = 'failed' FROM kwdb_internal.jobs WHERE job_id = $job");
	is(status_of($job), 'succeeded', 'an attempt goes on with the pieces that are not done');
	is_done_once($job, 20, 2, '... and does no other');
}

# An attempt that does no work counts for max_attempts, although an earlier one wrote a checkpoint.
# An attempt that does one of the two other pieces makes the count begin again. Which attempt that
# is depends on when the parts start. So there may be 3 attempts before the first of these pieces, 3
# before the second, and 3 after that.
{
	sql(q{INSERT INTO failing VALUES (0, 'always', '40001')});
	my $job = create('"parts": 2, "pieces": 3', q{max_attempts => 3, retry_initial_delay => '1 ms'});
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, total_num_of_ex <= 9'), 'failed|t', 'a piece that always fails ends the job after max_attempts');
	sql('TRUNCATE failing');
}

# The role that created the job loses the right to run jobs as the owner while parts run: each part
# ends with that error.
{
	sql('CREATE ROLE giver LOGIN; CREATE ROLE runner LOGIN; GRANT runner TO giver; GRANT ALL ON done, failing TO PUBLIC');
	my $gates = close_gates($node, 1000 .. 1002);
	my $job = sql(q{SET SESSION AUTHORIZATION giver; SELECT kwjobs.create_job('TEST_PARTS',
		'{"statement": "SELECT public.work($1, $2)", "parts": 3, "pieces": 9}', run_as => 'runner', max_attempts => 1)});
	wait_at_pieces(0 .. 2);
	sql('REVOKE runner FROM giver');
	$gates->quit;
	wait_for_end($node, $job);
	like(job_field($node, $job, "status || ' ' || error_code"), qr/^failed 42501$/, 'a right that is lost ends all parts');
}

# An error of planning comes after all pieces planned before: they are done, and their errors win.
{
	my $job = create('"parts": 2, "pieces": 10, "step": 3, "plan": "SELECT 1 / CASE WHEN $1 >= 6 THEN 0 ELSE 1 END"', q{max_attempts => 1});
	wait_for_end($node, $job);
	is(job_field($node, $job, 'error'), 'division by zero', 'planning can fail');
	is(sql("SELECT count(DISTINCT piece), max(piece) FROM done WHERE job = $job"), '6|5', '... after the pieces planned before');
	sql(q{INSERT INTO failing VALUES (4, 'a piece')});
	$job = create('"parts": 2, "pieces": 10, "step": 3, "plan": "SELECT 1 / CASE WHEN $1 >= 6 THEN 0 ELSE 1 END"', q{max_attempts => 1});
	wait_for_end($node, $job);
	is(job_field($node, $job, 'error'), 'a piece', '... of which one that fails comes first');
	sql('TRUNCATE failing');
	$job = create('"parts": 2, "pieces": 3, "finish": "SELECT 1/0"', q{max_attempts => 1});
	wait_for_end($node, $job);
	is(job_field($node, $job, 'error'), 'division by zero', 'the end of the work can fail');
}

# ---- PAUSE, RESUME, CANCEL ----
{
	my $gates = close_gates($node, 1003 .. 1005);
	my $job = create('"parts": 3, "pieces": 12, "transactions": 2');
	wait_at_pieces(3 .. 5);
	is(job_field($node, $job, 'round(fraction_completed::numeric, 2)'), '0.25', 'the pieces that are done count for the progress');
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	wait_for_parts($job, 0);
	note('PAUSE stops all parts');
	is(job_field($node, $job, 'round(fraction_completed::numeric, 2), rows'), '0.25|6', '... and the progress is kept');
	is(sql("SELECT count(*) FROM done WHERE job = $job"), '6', '... with what they had committed');
	$gates->quit;
	sql("RESUME JOB $job");
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', 'RESUME goes on');
	is_done_once($job, 12, 2, '... with what is left');
	is(job_field($node, $job, 'rows'), '24', '... and all rows are counted');

	# A PAUSE that is taken back does not count as a crash, although part 0 may have left before
	# it planned all pieces.
	$gates = close_gates($node, 1000, 1001);
	$job = create('"parts": 2, "pieces": 30, "step": 2', q{max_attempts => 1});
	wait_at_pieces(0, 1);
	for my $round (1 .. 3)
	{
		sql("PAUSE JOB $job");
		$gates->query_safe('SELECT pg_advisory_unlock(1000)') if $round == 1;
		sql("RESUME JOB $job");
	}
	$gates->quit;
	wait_query($node, "SELECT finished IS NOT NULL OR status = 'paused' FROM kwdb_internal.jobs WHERE job_id = $job");
	is(job_field($node, $job, 'status, crashes'), 'succeeded|0', 'a pause that is taken back');
	is_done_once($job, 30, 1, '... loses nothing');

	$gates = close_gates($node, 1003 .. 1005);
	$job = create('"parts": 3, "pieces": 12');
	wait_at_pieces(3 .. 5);
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
	is(status_of($job), 'canceled', 'CANCEL stops all parts');
	is_tidy($job, 'a canceled job');
	$gates->quit;
}

# ---- parts that die ----
{
	my $gates = close_gates($node, 1003 .. 1005);
	my $job = create('"parts": 3, "pieces": 30');
	wait_at_pieces(3 .. 5);
	sql("SELECT pg_terminate_backend(pid) FROM kwjobs.running WHERE job_id = $job AND part IN (1, 2)");
	wait_query($node, "SELECT count(*) = 0 FROM kwjobs.running WHERE job_id = $job AND part IN (1, 2)");
	$gates->quit;
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', 'others do the pieces of parts that die');
	is_done_once($job, 30, 1, '... once');
	is(job_field($node, $job, 'crashes'), '0', '... which is no crash of the job');

	$gates = close_gates($node, 1003 .. 1005);
	$job = create('"parts": 3, "pieces": 30');
	wait_at_pieces(3 .. 5);
	sql("SELECT pg_terminate_backend(pid) FROM kwjobs.running WHERE job_id = $job AND part = 0");
	wait_query($node, "SELECT count(*) = 0 FROM kwjobs.running WHERE job_id = $job AND part = 0");
	$gates->quit;
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', 'the others go on without the first, if all is planned');
	is_done_once($job, 30, 1, '... and do its piece');

	$gates = close_gates($node, 1000 .. 1002);
	$job = create('"parts": 2, "pieces": 30, "step": 2', q{retry_initial_delay => '1 ms'});
	wait_at_pieces(0, 1);
	sql("SELECT pg_terminate_backend(pid) FROM kwjobs.running WHERE job_id = $job AND part = 0");
	wait_query($node, "SELECT count(*) = 0 FROM kwjobs.running WHERE job_id = $job AND part = 0");
	$gates->quit;
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', 'if it is not, another attempt plans the rest');
	is(sql("SELECT string_agg(status, ',' ORDER BY attempt) FROM kwdb_internal.job_attempts WHERE job_id = $job"), 'crashed,succeeded', '... after one that counts as crashed');
	is_done_once($job, 30, 1, '... and each piece is done once');

	$gates = close_gates($node, 1003 .. 1005);
	$job = create('"parts": 3, "pieces": 30');
	wait_at_pieces(3 .. 5);
	# New parts may join before the last of these has left. If none does, another attempt goes on.
	my $pids = sql("SELECT string_agg(pid::text, ',') FROM kwjobs.running WHERE job_id = $job");
	sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN ($pids)");
	wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid IN ($pids)");
	$gates->quit;
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', 'all parts die, and others go on');
	is_done_once($job, 30, 1, '... with what is left');
}

# ---- a timeout ----
{
	my $gates = close_gates($node, 1003);
	my $job = create('"parts": 3, "pieces": 30', q{timeout => '300 ms', max_attempts => 1});
	wait_for_end($node, $job);
	is(sql("SELECT status, error FROM kwdb_internal.jobs WHERE job_id = $job"),
		q{failed|the attempt took longer than the job's timeout of 0.300 s}, 'the timeout is that of the whole attempt');
	$gates->quit;
}

# ---- parts that come late ----

sub limit_parts { return configure($node, 'kwjobs.max_workers_per_type', "TEST_PARTS = $_[0]") }

sub unlimit_parts { return configure($node, 'kwjobs.max_workers_per_type') }

# Returns the process that waits at the gate with this number.
sub pid_at { return sql("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $_[0]") }

# A worker has got a part, but enters only while part 0, which has done all pieces, ends the
# attempt. Gate 4920 stops the last part before it ends the attempt, gate 4921 stops each later part
# before it enters. If the later part entered, it would wait for the lock on the table of pieces,
# and would be seen.
{
	my $gates = close_gates($node, 1000, 4920, 4921);
	my $job = create('"parts": 2, "pieces": 3');
	wait_at_gates($node, 2, 'objid IN (1000, 4921)');
	$gates->query_safe('SELECT pg_advisory_unlock(1000)');
	wait_at_gates($node, 2, 'objid IN (4920, 4921)');
	my $locker = $node->background_psql('postgres');
	$locker->query_safe('BEGIN; LOCK TABLE kwjobs.piece');
	$gates->query_safe('SELECT pg_advisory_unlock(4921)');
	wait_for_parts($job, 1);
	note('no part enters while the last one ends the attempt');
	$locker->query_safe('COMMIT');
	$locker->quit;
	$gates->quit;
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', '... which ends well');
	is_done_once($job, 3, 1, '... with all pieces done');
}

# A part that finds no piece leaves, and the job gets no worker in its place.
{
	my $gates = close_gates($node, 1000);
	my $job = create('"parts": 2, "pieces": 2');
	wait_at_pieces(0);
	wait_query($node, "SELECT (SELECT count(*) FROM done WHERE job = $job) = 1 AND (" . parts_of($job) . ') = 1');
	$gates->query_safe('SELECT pg_advisory_lock(4921)');
	wait_for_pass($node);
	is(sql(parts_of($job)), '1', 'a part that has found nothing to do gets no successor');
	$gates->quit;
	wait_for_end($node, $job);
	is_done_once($job, 2, 1, '... and all is done');
}

# If a part dies before it has begun, its attempt goes on, and a later crash of the attempt counts.
{
	my $gates = close_gates($node, 1000, 4921);
	my $job = create('"parts": 2, "pieces": 2', q{retry_initial_delay => '1 ms'});
	wait_at_gates($node, 2, 'objid IN (1000, 4921)');
	limit_parts(1);
	sql("SELECT pg_terminate_backend($_)") for pid_at(4921);
	wait_for_parts($job, 1);
	sql("SELECT pg_terminate_backend($_)") for pid_at(1000);
	wait_query($node, "SELECT count(*) = 2 FROM kwdb_internal.job_attempts WHERE job_id = $job");
	$gates->quit;
	wait_for_end($node, $job);
	is(attempt_statuses($node, $job), 'crashed,succeeded', 'a part that dies before it begins does not take the attempt back');
	unlimit_parts();
}

# A part that fails interrupts a part with a later piece, which goes on with an earlier piece. If
# somebody then cancels the statement, this earlier piece fails, because the interrupt was for the
# later piece only.
{
	my $gates = close_gates($node, 1000 .. 1003);
	sql(q{INSERT INTO failing VALUES (2, 'failed')});
	my $job = create('"parts": 4, "pieces": 20', q{max_attempts => 1});
	wait_at_pieces(0 .. 3);
	limit_parts(2);
	my $interrupted = pid_at(1003);
	sql("SELECT pg_terminate_backend($_)") for pid_at(1000), pid_at(1001);
	wait_for_parts($job, 2);
	$gates->query_safe('SELECT pg_advisory_unlock(1002)');
	wait_at_pieces(0, 1);
	sql("SELECT pg_cancel_backend($interrupted)");
	# If that was the first piece, the job ends at once.
	wait_query($node, "SELECT finished IS NOT NULL OR (SELECT count(*) = 2 FROM kwjobs.piece AS p WHERE p.job_id = j.job_id AND error IS NOT NULL) FROM kwjobs.job AS j WHERE job_id = $job");
	$gates->quit;
	wait_for_end($node, $job);
	is(job_field($node, $job, 'error'), 'canceling statement due to user request', 'an interrupt concerns one piece');
	sql('TRUNCATE failing');
	unlimit_parts();
}

# Somebody changes the tables by hand, so that the job begins anew while the worker of an older
# attempt still runs. When the old worker meets an error, it does not write into the pieces of the
# new attempt.
{
	my $gates = close_gates($node, 2001, 2002);
	sql(q{INSERT INTO failing VALUES (0, 'in the older attempt')});
	my $statement = 'SELECT public.work($1, $2) FROM (SELECT pg_advisory_xact_lock_shared(2000 + active_attempt)'
		. ' FROM kwjobs.job WHERE job_id = kwjobs.current_job()) AS gate';
	my $job = sql(qq{SELECT kwjobs.create_job('TEST_PARTS', '{"parts": 1, "pieces": 1, "statement": "$statement"}')});
	wait_at_gates($node, 1, 'objid = 2001');
	sql("UPDATE kwjobs.attempt SET status = 'interrupted', finished = now() WHERE job_id = $job;
		 UPDATE kwjobs.job SET status = 'pending', active_attempt = NULL, due = now() WHERE job_id = $job");
	wait_for_pass($node);
	wait_at_gates($node, 1, 'objid = 2002');
	$gates->query_safe('SELECT pg_advisory_unlock(2001)');
	wait_for_parts($job, 1);
	is(sql("SELECT count(*) FROM kwjobs.piece WHERE job_id = $job AND NOT done AND error IS NULL"), '1',
		'an older attempt cannot write into the pieces of the new one');
	sql('TRUNCATE failing');
	$gates->quit;
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', '... which does the work');
	is_done_once($job, 1, 1, '... once');
}

# ---- other jobs come first ----
{
	my $gates = close_gates($node, 1000 .. 1003);
	my $job = create('"parts": 4, "pieces": 40');
	wait_for_parts($job, 4);
	wait_at_pieces(0 .. 3);
	my $other = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(7)')});
	is(status_of($other), 'pending', 'a job finds all workers taken by parts');
	my $hold = close_gates($node, 7);
	$gates->query_safe("SELECT pg_advisory_unlock($_)") for 1001 .. 1003;
	wait_query($node, "SELECT count(*) = 1 FROM kwjobs.running WHERE job_id = $other");
	note('it gets the worker of a part that has done its piece');
	is(status_of($job), 'running', '... long before the end of that job');
	$hold->quit;
	$gates->quit;
	wait_for_end($node, $_) for $job, $other;
	is_done_once($job, 40, 1, 'nothing is lost by that');
}

# ---- limits ----
for my $limit ('kwjobs.max_workers_per_role = 2', 'kwjobs.max_workers_per_database = 2',
	q{kwjobs.max_workers_per_type = 'TEST_PARTS = 2'})
{
	$node->append_conf('postgresql.conf', $limit);
	$node->reload;
	my $gates = close_gates($node, 1000 .. 1002);
	my $job = create('"parts": 4, "pieces": 10');
	wait_for_parts($job, 2);
	wait_at_pieces(0, 1);
	# In this pass, the coordinator could give the job more workers.
	wait_for_pass($node);
	is(sql(parts_of($job)), '2', "$limit counts parts");
	$gates->quit;
	wait_for_end($node, $job);
	is_done_once($job, 10, 1, '... and all is done');
	my ($name) = $limit =~ /^(\S+)/;
	$node->append_conf('postgresql.conf', "$name = " . ($name =~ /type/ ? q{''} : 0));
	$node->reload;
}

# ---- a crash of the server ----
for my $round (1 .. 3)
{
	my $gates = close_gates($node, 1005 .. 1007);
	my $job = create('"parts": 3, "pieces": 40, "step": 10, "transactions": 2', q{retry_initial_delay => '1 ms'});
	wait_at_pieces(5 .. 7);
	my $pid = sql("SELECT pid FROM kwjobs.running WHERE job_id = $job ORDER BY part LIMIT 1 OFFSET " . ($round - 1));
	kill_process($node, $pid, $gates);
	wait_for_end($node, $job);
	is(status_of($job), 'succeeded', "a job survives kill -9 of part " . ($round - 1));
	is_done_once($job, 40, 2, '... with each piece done once');
}

is_consistent($node);
$node->stop;
done_testing();
