# RETRY JOB makes a failed or canceled job pending again, under the same id, and also the jobs that
# failed because of it. A job that was reverted begins anew; others go on from the checkpoint.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('retry', "log_statement = none\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub statuses { return sql("SELECT string_agg(status, ',' ORDER BY job_id) FROM kwdb_internal.jobs WHERE job_id IN (" . join(',', @_) . ')') }

sql(<<'EOF');
CREATE TABLE broken (what text);
CREATE TABLE ran (what text);
CREATE FUNCTION run(what text) RETURNS void LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    INSERT INTO ran VALUES (run.what);
    IF EXISTS (SELECT FROM broken AS b WHERE b.what = run.what) THEN
        RAISE EXCEPTION '% is broken', run.what;
    END IF;
END $$;
EOF

sub submit { return sql("SELECT kwjobs.submit(\$job\$SELECT public.run('$_[0]')\$job\$" . ($_[1] ? ", $_[1]" : '') . ')') }

# ---- a job and those that depend on it ----
{
	sql(q{INSERT INTO broken VALUES ('first')});
	my $first = submit('first', 'priority => 7');
	my $second = submit('second', "depends_on => $first");
	my $third = submit('third', "depends_on => ARRAY[$first, $second]");
	wait_for_end($node, $first, $second, $third);
	is(statuses($first, $second, $third), 'failed,failed,failed', 'a job fails, and those that depend on it');
	like(job_field($node, $second, 'error_hint'), qr/to run both again, RETRY JOB $first\.$/, '... and say what to type');
	is(said($node, "RETRY JOB $first WITH REASON = 'once more'"),
		"NOTICE:  2 jobs that failed because of job $first are pending again, too", 'RETRY JOB tells of them');
	wait_for_end($node, $first, $second, $third);
	is(job_field($node, $first, 'status, error, total_num_of_ex, total_num_of_fail, request_reason, request_user, priority'),
		'failed|first is broken|2|2|once more|' . $node->safe_psql('postgres', 'SELECT current_user') . '|7', 'the job has failed once more, in a second attempt');
	sql('TRUNCATE broken');
	is(said($node, "RETRY JOBS (SELECT job_id FROM [SHOW JOBS] WHERE job_id IN ($first, $second, $third))"), <<"EOF" =~ s/\n$//r, 'RETRY JOBS');
NOTICE:  2 jobs that failed because of job $first are pending again, too
NOTICE:  2 jobs were left out: they are neither failed nor canceled
EOF
	wait_for_end($node, $first, $second, $third);
	is(statuses($first, $second, $third), 'succeeded,succeeded,succeeded', '... runs all of them once what was wrong is mended');
	is(sql('SELECT string_agg(what, chr(44)) FROM ran'), 'first,second,third', '... in their order');
	is(job_field($node, $first, 'error, error_code IS NULL'), '|t', '... and without the error of before');
	is(sql("SELECT string_agg(status, ',' ORDER BY attempt) FROM kwdb_internal.job_attempts WHERE job_id = $first"), 'failed,failed,succeeded', '... which its attempts tell');
	is(sql('SELECT count(*) FROM kwjobs.failed_dependency'), '0', '... and nothing is left');
	like(said($node, "RETRY JOB $first"), qr/^ERROR:  job with status succeeded cannot be retried\nHINT:  To do the same once more, create the job again\./, 'only jobs that failed run again');
}

# A dependent job that comes back waits again for all jobs that it waited for.
{
	my $gate = close_gates($node, 5);
	sql(q{INSERT INTO broken VALUES ('a')});
	my $slow = sql(q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(5)')});
	my $first = submit('a');
	my $both = submit('both', "depends_on => ARRAY[$first, $slow]");
	wait_for_end($node, $first, $both);
	sql('TRUNCATE broken');
	sql("RETRY JOB $first");
	wait_for_end($node, $first);
	is(statuses($slow, $first, $both), 'running,succeeded,pending', 'a dependent that is back waits for the other job, too');
	$gate->quit;
	wait_for_end($node, $both);
	is(statuses($slow, $first, $both), 'succeeded,succeeded,succeeded', '... and runs after it');
}

# RETRY of a dependent job brings back the jobs that failed because of it. After that, the dependent
# job does not come back with the job that it depended on.
{
	sql(q{INSERT INTO broken VALUES ('head')});
	my $head = submit('head');
	my $middle = submit('middle', "depends_on => $head");
	my $tail = submit('tail', "depends_on => $middle");
	wait_for_end($node, $head, $middle, $tail);
	sql("RETRY JOB $middle");
	wait_for_end($node, $middle, $tail);
	is(statuses($head, $middle, $tail), 'failed,succeeded,succeeded', 'RETRY of a dependent does not wait for the job that failed');
	sql('TRUNCATE broken');
	is(said($node, "RETRY JOB $head"), '', 'then it does not come back with that one');
	wait_for_end($node, $head);
}

# ---- what was done ----
{
	my $dir = $node->basedir;
	append_to_file("$dir/rows.csv", join('', map { "$_,row $_\n" } 1 .. 500) . "bad,row\n");
	sql('CREATE TABLE target (n integer, t text)');
	$node->append_conf('postgresql.conf', "kwjobs.import_batch_size = '1kB'");
	$node->reload;
	my $import = sql("SELECT kwjobs.import('target', ARRAY['$dir/rows.csv'])");
	wait_for_end($node, $import);
	is(job_field($node, $import, 'status, error_line') . '|' . sql('SELECT count(*) FROM target'), 'failed|501|0', 'an import fails at a line, and is reverted');
	unlink "$dir/rows.csv";
	append_to_file("$dir/rows.csv", join('', map { "$_,row $_\n" } 1 .. 500));
	sql("RETRY JOB $import");
	wait_for_end($node, $import);
	is(job_field($node, $import, 'status, rows') . '|' . sql('SELECT count(*), count(DISTINCT n) FROM target'), 'succeeded|500|500|500', 'RETRY imports all rows of the mended file, once');
}
{
	sql(<<'EOF');
CREATE TABLE steps (n integer);
CREATE PROCEDURE in_steps() LANGUAGE plpgsql AS $$
DECLARE
    n integer := coalesce((kwjobs.checkpoint_state() ->> 'n')::integer, 0);
BEGIN
    WHILE n < 6 LOOP
        n := n + 1;
        INSERT INTO public.steps VALUES (n);
        IF n = 4 AND EXISTS (SELECT FROM public.broken) THEN
            RAISE EXCEPTION 'stopped';
        END IF;
        CALL kwjobs.checkpoint(n / 6.0, jsonb_build_object('n', n));
    END LOOP;
END $$;
INSERT INTO broken VALUES ('steps');
EOF
	my $job = sql(q{SELECT kwjobs.submit('CALL public.in_steps()')});
	my $reverted = sql(q{SELECT kwjobs.submit('CALL public.in_steps()', on_revert => 'DELETE FROM public.steps WHERE n < 100; UPDATE public.steps SET n = n + 1000')});
	wait_for_end($node, $job, $reverted);
	is(statuses($job, $reverted), 'failed,failed', 'procedures that stop in the middle');
	sql('TRUNCATE broken, steps');
	sql("RETRY JOB $job");
	wait_for_end($node, $job);
	is(sql('SELECT string_agg(n::text, chr(44) ORDER BY n) FROM steps'), '4,5,6', 'RETRY goes on from the checkpoint, as nothing was reverted');
	sql('TRUNCATE steps');
	sql("RETRY JOB $reverted");
	wait_for_end($node, $reverted);
	is(sql('SELECT string_agg(n::text, chr(44) ORDER BY n) FROM steps'), '1,2,3,4,5,6', '... and from the start after a revert');
}

# RETRY may come right after the job's end, before its dependents have failed. They wait for the job
# again.
for my $round (1 .. 20)
{
	sql(q{INSERT INTO broken VALUES ('quick')});
	my $job = submit('quick');
	my @dependents = map { submit("of quick $_", "depends_on => $job") } 1 .. 3;
	sql("SHOW JOB WHEN COMPLETE $job; TRUNCATE broken; RETRY JOB $job");
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	my $statuses = statuses($job, @dependents);
	is($statuses, 'succeeded,succeeded,succeeded,succeeded', 'a retry that comes before its dependents have failed') if $statuses ne 'succeeded,succeeded,succeeded,succeeded' || $round == 20;
}

# After kwjobs.close, which says that the job's changes were undone by hand, RETRY begins anew.
{
	sql(q{TRUNCATE steps; INSERT INTO broken VALUES ('revert')});
	my $job = sql(q{SELECT kwjobs.submit('CALL public.in_steps()', on_revert => 'SELECT public.run(''revert'')')});
	wait_for_status($node, $job, 'revert-failed');
	sql("TRUNCATE steps, broken; SELECT kwjobs.close($job, 'undone'); RETRY JOB $job");
	wait_for_end($node, $job);
	is(sql('SELECT string_agg(n::text, chr(44) ORDER BY n) FROM steps'), '1,2,3,4,5,6', 'RETRY after kwjobs.close begins anew');
}

# ---- canceled, before its time, keys, closed ----
{
	my $job = submit('later', q{run_at => now() + interval '1 day', key => 'only one'});
	like(said($node, "RETRY JOB $job"), qr/^ERROR:  job with status pending cannot be retried\nHINT:  To run it before its time, type SELECT kwjobs\.run_now\($job\)\./, 'a job that waits for its time');
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
	my $other = submit('other', q{run_at => now() + interval '1 day', key => 'only one'});
	like(said($node, "RETRY JOB $job"), qr/^ERROR:  job $job cannot be retried, as another one with key "only one" is not over\nHINT:  Wait for job $other, or cancel it\./, 'a key is one of a single job');
	sql("SELECT kwjobs.run_now($other)");
	wait_for_end($node, $other);
	is(statuses($other), 'succeeded', 'kwjobs.run_now starts a job before its time');
	sql("SELECT kwjobs.retry($job, 'now')");
	is(job_field($node, $job, 'status, due > now(), request_reason'), 'pending|t|now', 'a canceled job is retried at its time');
	sql("SELECT kwjobs.run_now($job)");
	wait_for_end($node, $job);
	is(statuses($job), 'succeeded', '... or now');
	my $waiting = submit('waiting', 'depends_on => ' . submit('never', q{run_at => now() + interval '1 day'}));
	like(said($node, "SELECT kwjobs.run_now($waiting)"), qr/^ERROR:  job $waiting waits for other jobs\n/, 'not one that waits for others');

	sql(q{INSERT INTO broken VALUES ('work'), ('revert')});
	my $stuck = sql(q{SELECT kwjobs.submit('SELECT public.run(''work'')', on_revert => 'SELECT public.run(''revert'')')});
	wait_for_status($node, $stuck, 'revert-failed');
	like(said($node, "RETRY JOB $stuck"), qr/^ERROR:  job with status revert-failed cannot be retried\nHINT:  To go on with reverting, type RESUME JOB $stuck; if you have undone its changes, SELECT kwjobs\.close\($stuck, 'reason'\)\./, 'a job whose revert failed');
	sql("SELECT kwjobs.close($stuck, 'by hand')");
	is(job_field($node, $stuck, 'status, error, cause IS NULL, request_reason'), 'failed|work is broken|t|by hand', 'kwjobs.close: it has failed, with its first error');
	sql('TRUNCATE broken');
	sql("RETRY JOB $stuck");
	wait_for_end($node, $stuck);
	is(statuses($stuck), 'succeeded', '... and can be retried');
}

# ---- rights, transactions, races ----
{
	sql('CREATE ROLE nobody LOGIN');
	sql(q{INSERT INTO broken VALUES ('x')});
	my $job = submit('x');
	wait_for_end($node, $job);
	like(said($node, "RETRY JOB $job", 'nobody'), qr/^ERROR:  only users with the admin role are allowed to RETRY JOBS\n/, 'a role without the right');
	$node->psql('postgres', "BEGIN; RETRY JOB $job; ROLLBACK");
	is(statuses($job), 'failed', 'it is rolled back with its transaction');
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; RETRY JOB $job");
	my $second = $node->background_psql('postgres', on_error_stop => 0);
	$second->query_until(qr/waiting/, "\\echo waiting\nRETRY JOB $job;\n");
	wait_query($node, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'RETRY%'});
	# otherwise the job could fail again at once, and the second session would retry it once more
	sql('TRUNCATE broken');
	$session->query_safe('COMMIT');
	$session->quit;
	$second->quit;
	wait_for_end($node, $job);
	is(job_field($node, $job, 'total_num_of_ex'), '2', 'of two at once, one retries');
}
# ---- one's own jobs, by functions ----
{
	sql('CREATE ROLE mine LOGIN; GRANT ALL ON broken, ran TO mine');
	sql(q{INSERT INTO broken VALUES ('own'), ('work'), ('revert')});
	my $job = sql(q{SET SESSION AUTHORIZATION mine; SELECT kwjobs.submit('SELECT public.run(''own'')')});
	my $stuck = sql(q{SET SESSION AUTHORIZATION mine; SELECT kwjobs.submit('SELECT public.run(''work'')', on_revert => 'SELECT public.run(''revert'')')});
	wait_for_end($node, $job);
	wait_for_status($node, $stuck, 'revert-failed');
	like(said($node, "SELECT kwjobs.$_($job)", 'nobody'), qr/^ERROR:  job with ID $job does not exist\n/, "kwjobs.$_ of the job of another role") for qw(retry run_now close);
	like(said($node, "SELECT kwjobs.retry_jobs(ARRAY[$job])", 'nobody'), qr/^ERROR:  job with ID $job does not exist\n/, '... and of many');
	like(said($node, "RETRY JOB $job", 'mine'), qr/^ERROR:  only users with the admin role are allowed to RETRY JOBS\nHINT:  Your own jobs/, 'the statement needs the right');
	like(said($node, "SELECT kwjobs.run_now($job)", 'mine'), qr/^ERROR:  job with status failed cannot be run now\nHINT:  .* type SELECT \* FROM kwjobs\.my_jobs WHERE job_id = $job\./, 'what to type for one that is not pending');
	like(said($node, "SELECT kwjobs.retry($stuck)", 'mine'), qr/\nHINT:  To go on with reverting, type SELECT kwjobs\.resume\($stuck\); if you have undone its changes, SELECT kwjobs\.close\($stuck, 'reason'\)\./, '... for one whose revert failed');
	is(said($node, "SELECT kwjobs.close($stuck, 'by hand')", 'mine'), '', 'kwjobs.close');
	sql('TRUNCATE broken');
	is(said($node, "SELECT kwjobs.retry($job)", 'mine'), '', 'kwjobs.retry');
	is(said($node, "SELECT kwjobs.retry_jobs(ARRAY[$stuck])", 'mine'), '', 'kwjobs.retry_jobs');
	wait_for_end($node, $job, $stuck);
	is(statuses($job, $stuck), 'succeeded,succeeded', '... run them again');
	my $later = sql(q{SET SESSION AUTHORIZATION mine; SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')});
	my $waiting = sql("SET SESSION AUTHORIZATION mine; SELECT kwjobs.submit('SELECT 1', depends_on => $later)");
	like(said($node, "SELECT kwjobs.run_now($waiting)", 'mine'), qr/\nHINT:  SELECT running_status, waits_for FROM kwjobs\.my_jobs WHERE job_id = $waiting names them\./, 'what one that waits for others waits for');
	is(said($node, "SELECT kwjobs.run_now($later)", 'mine'), '', 'kwjobs.run_now');
	wait_for_end($node, $later, $waiting);
}
like(said($node, 'RETRY JOBS WHERE status = 1'), qr/HINT:  Type RETRY JOBS \(SELECT job_id FROM \[SHOW JOBS\] WHERE status = 'failed'\)\./, 'what to type');
is(said($node, q{DO $$ BEGIN RETRY JOBS (SELECT 0 WHERE false); END $$; PREPARE p AS RETRY JOBS (SELECT $1::bigint WHERE false); EXECUTE p(1)}), '', 'in PL/pgSQL, and prepared');
is_consistent($node);
$node->stop;
done_testing();
