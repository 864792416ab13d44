# A job with rows that cannot be used harms no other job: the coordinator goes on, other jobs of its
# role and of other roles run, and nothing that they did is undone. The broken job ends with an
# error that says why.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjBroken;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

# When a process waits for a lock, PostgreSQL sets an alarm for deadlock_timeout, which may go off
# after the wait. It must not wake the coordinator, because this file counts how often the
# coordinator wakes.
my $node = broken_node('broken', "deadlock_timeout = 1h\n");

sub at_bad
{
	my ($bad, $change) = @_;
	return "UPDATE kwjobs.job SET $change WHERE job_id = $bad";
}

# ---- rows that cannot be claimed ----

my $bad = submit_bad($work);
among_others('a duplicate attempt', $bad,
	"INSERT INTO kwjobs.attempt (job_id, attempt, reverting, status, started, finished, node_id)
	 VALUES ($bad, 1, false, 'failed', now(), now(), 1)",
	qr/^failed: the job could not be started: duplicate key value violates unique constraint/);
is(sql("SELECT error_code FROM kwdb_internal.jobs WHERE job_id = $bad"), '23505', 'with the error code');
isnt(sql("SELECT error_hint FROM kwdb_internal.jobs WHERE job_id = $bad"), '', 'and a hint');
sql("DELETE FROM kwjobs.attempt WHERE job_id = $bad; DELETE FROM kwjobs.job WHERE job_id = $bad");

for my $case (
	[ 'attempts = 2147483647', qr/^failed: the job could not be started: the job's number of attempts is out of range/ ],
	[ 'attempts = -5',         qr/^failed: the job could not be started: the job's number of attempts is out of range/ ],
	[ 'total_num_of_ex = 9223372036854775807', qr/^failed: the job could not be started: bigint out of range/ ],
	[ 'total_num_of_success = 9223372036854775807', qr/^failed: bigint out of range/ ],
	[ q{payload = '{}'},     qr/^failed: job data has no valid key/ ],
	[ q{payload = '[1]'},    qr/^failed: job data has no valid key/ ],
	[ q{status = 'garbage'}, qr/^failed: the job's status "garbage" is none that kwjobs knows/ ],
	[ q{timeout = 9223372036854775807}, qr/^succeeded: $/ ])
{
	my ($change, $expected) = @$case;
	$bad = submit_bad($work);
	among_others($change, $bad, at_bad($bad, $change), $expected);
	sql("DELETE FROM kwjobs.attempt WHERE job_id = $bad; DELETE FROM kwjobs.job WHERE job_id = $bad");
}
is_consistent($node);

# ---- statuses and types that kwjobs does not know ----

{
	my $name = 'an unknown type';
	$bad = submit_bad($work);
	make_due($bad, q{job_type = 'XYZ'});
	others_are_well($name, submit_others(2), submit_others(1, 'other'));
	is_over($name, $bad, qr/^failed: job type "XYZ" does not exist/);
	sql("SELECT kwjobs.cancel(" . submit_bad($work) . ")");
	$bad = submit_bad($work);
	sql(at_bad($bad, q{job_type = 'XYZ'}));
	is($node->psql('postgres', "PAUSE JOB $bad"), 0, "$name: PAUSE JOB works");
	wait_for_status($node, $bad, 'paused');
	is($node->psql('postgres', "SHOW JOB $bad"), 0, "$name: SHOW JOB works");
	is($node->psql('postgres', "CANCEL JOB $bad"), 0, "$name: CANCEL JOB works");
	wait_for_status($node, $bad, 'canceled');
}

# While the job waits at the gate, an unknown status is written into its row, and the control
# statement is run. Then the gate opens.
for my $case (
	[ 'an unknown status', '', qr/^failed: the job's status "cancelled" is none that kwjobs knows/ ],
	[ 'an unknown status, PAUSE',  'PAUSE JOB %s',  qr/^(paused|succeeded)/ ],
	[ 'an unknown status, CANCEL', 'CANCEL JOB %s', qr/^canceled: job canceled by user/ ])
{
	my ($name, $statement, $expected) = @$case;
	my $gate = close_gate($node);
	($bad) = submit_at_gate(1);
	sql(at_bad($bad, q{status = 'cancelled'}));
	others_are_well("$name of a running job", submit_others(2), submit_others(1, 'other'));
	is($node->psql('postgres', "SHOW JOB $bad"), 0, "$name: SHOW JOB works");
	is($node->psql('postgres', 'SHOW JOBS'), 0, "$name: SHOW JOBS works");
	if ($statement)
	{
		is($node->psql('postgres', sprintf($statement, $bad)), 0, "$name: works");
		wait_query($node, "SELECT active_attempt IS NULL FROM kwjobs.job WHERE job_id = $bad");
	}
	open_gate($gate);
	wait_query($node, "SELECT active_attempt IS NULL FROM kwjobs.job WHERE job_id = $bad");
	like(sql("SELECT status || ': ' || error FROM kwjobs.job WHERE job_id = $bad"), $expected, "$name: how it ends");
	is(sql("SELECT count(*) FROM ran WHERE job = $bad"), '0', "$name: its work is undone");
	sql("CANCEL JOB $bad") if $statement =~ /PAUSE/;
}
is($node->psql('postgres', "SHOW JOB WHEN COMPLETE $bad"), 0, 'it can be waited for');
is_consistent($node);

# ---- attempts without their rows ----

{
	my $name = 'an active attempt that has no row';
	for my $attempt (7, 2147483647, -2147483648)
	{
		$bad = submit_bad($work);
		sql(at_bad($bad, "status = 'running', active_attempt = $attempt, due = now()"));
		others_are_well("$name ($attempt)", submit_others(2), submit_others(1, 'other'));
		is_over("$name ($attempt)", $bad, qr/^failed: the attempt could not be ended: attempt $attempt has no row/);
		sql("DELETE FROM kwjobs.job WHERE job_id = $bad");
	}
	$name = 'the row of an attempt goes while it runs';
	my $gate = close_gate($node);
	($bad) = submit_at_gate(1);
	sql("DELETE FROM kwjobs.attempt WHERE job_id = $bad");
	others_are_well($name, submit_others(1), submit_others(1, 'other'));
	open_gate($gate);
	is_over($name, $bad, qr/^failed: .*attempt 1 /);
	is(sql("SELECT count(*) FROM ran WHERE job = $bad"), '0', "$name: its work is undone");
	others_are_well("$name, afterwards", submit_others(1), submit_others(1, 'other'));
	sql("DELETE FROM kwjobs.job WHERE job_id = $bad");
	is_consistent($node);
}

# ---- triggers on our tables that raise an error for one job ----

$node->safe_psql('postgres', <<'EOT');
CREATE TABLE victim (job bigint);
GRANT SELECT ON victim TO PUBLIC;
CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.job_id IN (SELECT job FROM public.victim) THEN
        RAISE EXCEPTION 'disk quota of the audit trail exceeded';
    END IF;
    RETURN NEW;
END $$;
EOT

# kwjobs runs its statements as security-restricted operations, which allow no deferred triggers.
my $deferred = qr/cannot fire deferred trigger within security-restricted operation/;
my $bare = qr/disk quota of the audit trail exceeded/;
for my $case (
	[ 'job, at the start', q{BEFORE UPDATE ON kwjobs.job FOR EACH ROW WHEN (NEW.status = 'running')},
		qr/^failed: the job could not be started: $bare/ ],
	[ 'job, at the start, deferred',
		q{CONSTRAINT AFTER UPDATE ON kwjobs.job DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'running' AND NEW.description = 'bad')},
		qr/^failed: the job could not be started: $deferred/ ],
	[ 'job, at the end', q{BEFORE UPDATE ON kwjobs.job FOR EACH ROW WHEN (NEW.status = 'succeeded')}, qr/^failed: $bare/ ],
	[ 'job, at the end, deferred',
		q{CONSTRAINT AFTER UPDATE ON kwjobs.job DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'succeeded' AND NEW.description = 'bad')},
		qr/^failed: $bare/ ],
	[ 'attempt, new', 'BEFORE INSERT ON kwjobs.attempt FOR EACH ROW', qr/^failed: the job could not be started: $bare/ ],
	[ 'attempt, at the end', 'BEFORE UPDATE ON kwjobs.attempt FOR EACH ROW', qr/^failed: the (attempt|job) could not be .*: $bare/ ])
{
	my ($name, $trigger, $expected) = @$case;
	my $constraint = $trigger =~ s/^CONSTRAINT // ? 'CONSTRAINT ' : '';
	my ($table) = $trigger =~ /ON (kwjobs\.\w+)/;
	$bad = submit_bad($work);
	among_others("a trigger on $name", $bad,
		"CREATE ${constraint}TRIGGER bad $trigger EXECUTE FUNCTION raise(); INSERT INTO victim VALUES ($bad)", $expected);
	is(sql("SELECT count(*) FROM ran WHERE job = $bad"), '0', "a trigger on $name: no work of its own is left");
	sql("DROP TRIGGER bad ON $table; TRUNCATE victim; DELETE FROM kwjobs.attempt WHERE job_id = $bad;
		 DELETE FROM kwjobs.job WHERE job_id = $bad");
}

# An error that may pass ends no job at once: the coordinator leaves the job alone, and tries again.
{
	my $name = 'an error that may pass';
	$bad = submit_bad($work);
	sql(<<'EOT');
CREATE FUNCTION lack() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION 'there is no memory' USING ERRCODE = 'out_of_memory'; END$$;
CREATE TRIGGER bad BEFORE UPDATE ON kwjobs.job FOR EACH ROW
    WHEN (NEW.description = 'bad' AND NEW.status = 'running') EXECUTE FUNCTION lack();
EOT
	make_due($bad);
	others_are_well($name, submit_others(1), submit_others(1, 'other'));
	wait_query($node, "SELECT kwdb_internal.left_alone($bad) LIKE '%: there is no memory'");
	sql('DROP TRIGGER bad ON kwjobs.job');
	is_over($name, $bad, qr/^succeeded: $/);
}

# A trigger lets nothing be written into the job's row. The coordinator leaves the job alone, until
# the trigger is gone.
sql('CREATE ROLE owner_of_bad LOGIN');
for my $late ('', 'DEFERRABLE INITIALLY DEFERRED')
{
	my $name = 'a row that nobody can change' . ($late ? ', deferred' : '');
	my $log = -s $node->logfile;
	$bad = submit_bad($work, q{run_as => 'owner_of_bad'});
	make_due($bad, undef, ($late ? "CREATE CONSTRAINT TRIGGER bad AFTER UPDATE ON kwjobs.job $late FOR EACH ROW
		 WHEN (NEW.description = 'bad')" : 'CREATE TRIGGER bad BEFORE UPDATE ON kwjobs.job FOR EACH ROW')
		 . " EXECUTE FUNCTION raise(); INSERT INTO victim VALUES ($bad)");
	my @jobs = (submit_others(3), submit_others(1, 'other'));
	$node->wait_for_log(qr/kwjobs leaves job $bad alone for now/, $log);
	others_are_well($name, @jobs, submit_others(2), submit_others(1, 'other'));
	my ($shown, $status) = $node->psql('postgres', "SELECT running_status FROM [SHOW JOB $bad]");
	is($shown, 0, "$name: SHOW JOB works");
	my $reason = qr/^left alone for now: the job could not be .*: $bare$|^left alone for now: .*$deferred$/;
	like($status, $reason, "$name: SHOW JOB says why");
	my $why = "SELECT kwdb_internal.left_alone($bad)";
	is(sql("SET ROLE other; $why"), '', "$name: others are not told why");
	is(sql("SET kwjobs.job_visibility = 'owner'; SET ROLE other; $why"), '', "... nor if users see their own jobs");
	like(sql("SET kwjobs.job_visibility = 'owner'; SET ROLE owner_of_bad; $why"), $reason, '... but its owner is, then');
	like(sql($why), $reason, '... and superusers are');
	my ($rc, $out, $err) = $node->psql('postgres', "CANCEL JOB $bad");
	like($err, $late ? $deferred : $bare, "$name: CANCEL JOB says why it does not work");
	sql('DROP TRIGGER bad ON kwjobs.job; TRUNCATE victim');
	# the job fails if the trigger is dropped after claiming it failed and before it is ended
	is_over($name, $bad, qr/^(succeeded: $|failed: .*trigger|failed: .*$bare)/);
	is(sql("SELECT count(*) FROM ran WHERE job = $bad"), sql("SELECT count(*) FROM kwjobs.job WHERE job_id = $bad AND status = 'succeeded'"),
		"$name: once it can be changed, the job goes on");
	my $reports = () = slurp_file($node->logfile, $log) =~ /kwjobs leaves job $bad alone for now/g;
	is($reports, 1, "$name: that is reported once");
}
is_consistent($node);

# An error in the row of the attempt, or in a counter of the job, keeps the job from ending as
# others do. So the coordinator ends the job without them. Afterwards it ends the attempt and the
# dependencies that the job has left.
for my $case (
	[ 'an attempt that cannot be ended', 'CREATE TRIGGER bad BEFORE UPDATE ON kwjobs.attempt FOR EACH ROW EXECUTE FUNCTION raise()', 'running' ],
	[ 'a counter at its end', at_bad('(SELECT job FROM victim)', 'total_num_of_fail = 9223372036854775807'), 'failed' ])
{
	my ($name, $break, $attempt) = @$case;
	my $later = submit_bad($work);
	my $gate = close_gate($node);
	($bad) = submit_at_gate(1);
	sql("INSERT INTO kwjobs.dependency (job_id, depends_on, fresh) VALUES ($bad, $later, false);
		 INSERT INTO victim VALUES ($bad); $break; " . at_bad($bad, q{status = 'garbage'}));
	others_are_well($name, submit_others(1), submit_others(1, 'other'));
	open_gate($gate);
	is_over($name, $bad, qr/^failed: the attempt could not be ended: /);
	wait_query($node, "SELECT count(*) = 0 FROM kwjobs.dependency WHERE job_id = $bad");
	is(sql("SELECT status FROM kwjobs.attempt WHERE job_id = $bad"), $attempt, "$name: what becomes of the attempt");
	sql("DROP TRIGGER IF EXISTS bad ON kwjobs.attempt; TRUNCATE victim; SELECT kwjobs.cancel($later);
		 DELETE FROM kwjobs.attempt WHERE job_id = $bad; DELETE FROM kwjobs.job WHERE job_id = $bad");
}

# ---- the row of a dependency ----

for my $late ('', 'DEFERRABLE INITIALLY DEFERRED')
{
	my $name = 'a dependency that cannot be marked' . ($late ? ', deferred' : '');
	my $gate = close_gate($node);
	my ($first) = submit_at_gate(1);
	my $dependent = sql("SELECT kwjobs.submit('$work', depends_on => ARRAY[$first])");
	my $well = sql("SELECT kwjobs.submit('$work', depends_on => ARRAY[$first])");
	wait_query($node, "SELECT NOT bool_or(fresh) FROM kwjobs.dependency WHERE job_id IN ($dependent, $well)");
	sql(($late ? "CREATE CONSTRAINT TRIGGER bad AFTER UPDATE ON kwjobs.dependency $late FOR EACH ROW WHEN (NEW.job_id = $dependent)" :
			'CREATE TRIGGER bad BEFORE UPDATE ON kwjobs.dependency FOR EACH ROW') .
		" EXECUTE FUNCTION raise(); INSERT INTO victim VALUES ($dependent)");
	open_gate($gate);
	others_are_well($name, $first, $well, submit_others(1), submit_others(1, 'other'));
	is(attempt_statuses($node, $first), 'succeeded', "$name: the end of the first is not undone");
	is_over($name, $dependent, qr/^failed: the end of a job on which this one depends could not be noted: ($bare|$deferred)/);
	sql('DROP TRIGGER bad ON kwjobs.dependency; TRUNCATE victim');
}

# The first job fails: its error, and the end of its attempt, stay.
{
	my $name = 'a dependency on a job that fails cannot be marked, deferred';
	my $gate = close_gate($node);
	my $first = sql(q{SELECT kwjobs.submit('DO $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RAISE EXCEPTION ''x''; END $$')});
	my $dependent = sql("SELECT kwjobs.submit('$work', depends_on => ARRAY[$first])");
	wait_at_gate($node, $first);
	wait_query($node, "SELECT NOT fresh FROM kwjobs.dependency WHERE job_id = $dependent");
	sql("CREATE CONSTRAINT TRIGGER bad AFTER UPDATE ON kwjobs.dependency DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
		 EXECUTE FUNCTION raise(); INSERT INTO victim VALUES ($dependent)");
	open_gate($gate);
	is_over($name, $first, qr/^failed: x$/);
	is(attempt_statuses($node, $first), 'failed', "$name: the end of the first is not undone");
	is_over($name, $dependent, qr/^failed: the end of a job on which this one depends could not be noted: $deferred/);
	others_are_well($name, submit_others(1), submit_others(1, 'other'));
	sql('DROP TRIGGER bad ON kwjobs.dependency; TRUNCATE victim');
}

# One of so many dependencies that the coordinator marks them step by step.
{
	my $name = 'one of many dependencies that cannot be marked';
	my $gate = close_gate($node);
	my ($first) = submit_at_gate(1);
	my @many = split(/\n/, sql("SELECT kwjobs.submit('$work', depends_on => ARRAY[$first]) FROM generate_series(1, 1100)"));
	wait_query($node, "SELECT NOT bool_or(fresh) FROM kwjobs.dependency WHERE depends_on = $first");
	my ($dependent) = splice(@many, 1050, 1);
	sql("CREATE TRIGGER bad BEFORE UPDATE ON kwjobs.dependency FOR EACH ROW EXECUTE FUNCTION raise();
		 INSERT INTO victim VALUES ($dependent)");
	open_gate($gate);
	others_are_well($name, $first, @many, submit_others(1, 'other'));
	is_over($name, $dependent, qr/^failed: .*$bare/);
	sql('DROP TRIGGER bad ON kwjobs.dependency; TRUNCATE victim');
}

# ---- checkpoints and transactions ----

for my $table ('checkpoint', 'job_transaction')
{
	my $name = "a trigger on $table";
	my $csv = write_csv($node, 100);
	sql("DROP TABLE IF EXISTS target; CREATE TABLE target (n integer, t text)");
	sql("CREATE TRIGGER bad BEFORE INSERT OR UPDATE ON kwjobs.$table FOR EACH ROW EXECUTE FUNCTION raise()");
	my $gate = close_gate($node);
	$bad = sql("BEGIN; SELECT kwjobs.import('target', ARRAY['$csv']); INSERT INTO victim SELECT max(job_id) FROM kwjobs.job; COMMIT");
	is_over($name, $bad, qr/^failed: $bare/);
	open_gate($gate);
	others_are_well($name, submit_others(1), submit_others(1, 'other'));
	is(sql('SELECT count(*) FROM target'), '0', "$name: nothing is imported");
	sql("DROP TRIGGER bad ON kwjobs.$table; TRUNCATE victim");
}
is_consistent($node);

# ---- while the coordinator goes job by job ----

# The coordinator goes job by job as long as there is a job that nobody can change.
sql(q{CREATE TRIGGER bad BEFORE UPDATE ON kwjobs.job FOR EACH ROW WHEN (NEW.description = 'bad') EXECUTE FUNCTION raise()});
$bad = submit_bad($work);
make_due($bad, undef, "INSERT INTO victim VALUES ($bad)");
{
	my $log = -s $node->logfile;
	sql('SELECT kwjobs.cancel(kwjobs.submit($$SELECT 1$$))');
	$node->wait_for_log(qr/kwjobs leaves job $bad alone for now/, $log);
}

# The coordinator takes a few jobs of each list at a time. Here it can do nothing with the first
# ones, because a session has locked their rows.
{
	my $name = 'job by job, behind many that are locked';
	my $many = 450;
	my $locker = $node->background_psql('postgres');
	# Gate 4924 stops the coordinator before it claims a job, until the rows are locked.
	my $gate = close_gates($node, 4924);
	submit_others(1);
	wait_at_gates($node, 1, 'objid = 4924');
	$locker->query_safe('BEGIN');
	sql(<<"EOT");
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, modified)
SELECT n, 'SQL', 'x', 10, 'postgres', CASE WHEN n <= $many THEN 'cancel-requested' ELSE 'pending' END,
       CASE WHEN n <= 2 * $many THEN '2000-01-01'::timestamptz + n * interval '1 s' ELSE '2099-01-01' END, 1,
       '{"statement": "SELECT 1", "settings": {}}', now(), now()
  FROM generate_series(1, 3 * $many) AS n;
INSERT INTO kwjobs.dependency (job_id, depends_on, status, fresh)
SELECT n, 1, 'succeeded', false FROM generate_series(2 * $many + 1, 3 * $many) AS n;
EOT
	$locker->query_safe("SELECT count(*) FROM (SELECT FROM kwjobs.job WHERE job_id <= 3 * $many FOR NO KEY UPDATE) AS l");
	$gate->quit;
	my $first = sql(q{SELECT kwjobs.submit('SELECT 1')});
	my $second = sql("SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[$first])");
	my $canceled = sql(q{SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')});
	sql("SELECT kwjobs.cancel($canceled)");
	wait_for_status($node, $canceled, 'canceled');
	wait_for_status($node, $_, 'succeeded') for $first, $second;
	ok(comes_true(sub { busy_looks($node, 5) == 0 }), "$name: it does not look at them again and again");
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	wait_query($node, "SELECT count(*) = $many FROM kwjobs.job WHERE status = 'canceled' AND job_id <= $many");
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.dependency');
	wait_query($node, "SELECT count(*) = $many FROM kwjobs.job WHERE status = 'succeeded' AND job_id BETWEEN $many + 1 AND 2 * $many");
	sql("DELETE FROM kwjobs.attempt WHERE job_id <= 3 * $many; DELETE FROM kwjobs.job WHERE job_id <= 3 * $many");
}

# It does the same with the jobs on which one job depends: the first ones are locked, the last one
# is over.
{
	my $name = 'job by job, what a job depends on stands behind many that are locked';
	my $locker = $node->background_psql('postgres');
	sql(<<'EOT');
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, finished, max_attempts, payload, created, modified)
SELECT n, 'SQL', 'x', 10, 'postgres', CASE WHEN n <= 600 THEN 'paused' WHEN n = 601 THEN 'canceled' ELSE 'pending' END,
       'infinity', CASE WHEN n = 601 THEN now() END, 1, '{"statement": "SELECT 1", "settings": {}}', now(), now()
  FROM generate_series(1, 602) AS n;
EOT
	$locker->query_safe('BEGIN; SELECT count(*) FROM (SELECT FROM kwjobs.job WHERE job_id <= 600 FOR NO KEY UPDATE) AS l');
	sql('INSERT INTO kwjobs.dependency (job_id, depends_on, fresh) SELECT 602, n, true FROM generate_series(1, 601) AS n');
	sql(q{SELECT kwjobs.cancel(kwjobs.submit('SELECT 1', run_at => now() + interval '1 day'))});
	wait_for_status($node, 602, 'failed');
	like(job_field($node, 602, 'error'), qr/601/, "$name: it is found");
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	sql('DELETE FROM kwjobs.job WHERE job_id <= 602');
}

# The coordinator has chosen a job, and gate 4924 stops it before its claim. A session pauses the
# job, and has not committed yet. So the coordinator leaves the job alone, and goes on.
{
	my $name = 'job by job, paused before the claim';
	my $gate = close_gates($node, 4924);
	my ($job) = submit_others(1);
	wait_at_gates($node, 1, 'objid = 4924');
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; PAUSE JOB $job");
	$gate->quit;
	others_are_well($name, submit_others(2), submit_others(1, 'other'));
	$session->query_safe('COMMIT');
	$session->quit;
	wait_for_status($node, $job, 'paused');
	is(job_field($node, $job, 'started'), '', "$name: it has not begun");
	sql("CANCEL JOB $job");
}

# The coordinator hands each claimed job over before it claims the next one. Here the second claim
# waits in a trigger for this test.
{
	my $name = 'job by job, the coordinator is terminated between two claims';
	my $gate = close_gate($node);
	my @two = submit_at_gate(2);
	open_gate($gate);
	wait_for_status($node, $_, 'succeeded') for @two;
	wait_query($node, q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'kwjobs worker' AND usename = current_user AND wait_event_type = 'Extension'});
	sql(<<'EOT');
CREATE FUNCTION wait_for_us() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_catalog.pg_advisory_xact_lock_shared(4712); RETURN NEW; END';
CREATE TRIGGER waits BEFORE UPDATE ON kwjobs.job FOR EACH ROW
    WHEN (NEW.description = 'second' AND NEW.status = 'running') EXECUTE FUNCTION wait_for_us();
EOT
	my $gates = close_gates($node, 4712);
	my ($first, $second) = split(/\n/, sql(<<"EOT"));
SELECT kwjobs.submit('$work', description => d) FROM (VALUES ('first'), ('second')) AS v (d)
EOT
	wait_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND wait_event = 'advisory'});
	sql(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'});
	$gates->quit;
	wait_for_status($node, $_, 'succeeded') for $first, $second;
	is(sql("SELECT string_agg(status, ',') FROM kwjobs.attempt WHERE job_id IN ($first, $second)"),
		'succeeded,succeeded', "$name: no attempt counts that never began");
	sql('DROP TRIGGER waits ON kwjobs.job');
	know_coordinator();
}
sql('DROP TRIGGER bad ON kwjobs.job; TRUNCATE victim');
is_over('the job that could not be changed', $bad, qr/^(succeeded: $|failed: )/);
is_consistent($node);

# After an error the coordinator goes job by job for a while, and takes 200 jobs of a list in a
# pass. Here it waits for this test at one of the first jobs, while a session cancels a job with a
# lower id. The coordinator goes on from its place in the list, where all jobs are locked. In the
# next round through the list it has to find the canceled job.
{
	my $name = 'job by job, a job before the place of the round';
	sql(<<'EOT');
CREATE FUNCTION wait_for_gate() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_catalog.pg_advisory_xact_lock_shared(4712); RETURN NEW; END';
CREATE TRIGGER waits BEFORE UPDATE ON kwjobs.job FOR EACH ROW
    WHEN (NEW.job_id = 150 AND NEW.status = 'canceled') EXECUTE FUNCTION wait_for_gate();
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, modified)
SELECT n, 'SQL', 'x', 10, 'postgres', 'pending', 'infinity', 1, '{"statement": "SELECT 1", "settings": {}}', now(), now()
  FROM generate_series(1, 300) AS n;
EOT
	my $gate = close_gates($node, 4712);
	$bad = submit_bad($work);
	make_due($bad, 'attempts = -5');
	others_are_well($name, submit_others(1));
	is_over($name, $bad, qr/^failed: the job could not be started: /);
	sql('SELECT count(kwjobs.cancel(n)) FROM generate_series(2, 300) AS n');
	wait_at_gates($node, 1, 'objid = 4712');
	sql('SELECT kwjobs.cancel(1)');
	my $locker = $node->background_psql('postgres');
	$locker->query_safe('BEGIN; SELECT FROM kwjobs.job WHERE job_id BETWEEN 202 AND 300 FOR UPDATE');
	$gate->quit;
	wait_for_status($node, 1, 'canceled');
	note("$name: it is found");
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	wait_for_pass($node);
	wait_query($node, q{SELECT count(*) = 300 FROM kwjobs.job WHERE job_id <= 300 AND status = 'canceled'});
	sql("DROP TRIGGER waits ON kwjobs.job; DELETE FROM kwjobs.event WHERE job_id <= 300;
		 DELETE FROM kwjobs.job WHERE job_id <= 300 OR job_id = $bad");
}

# ---- what ends the coordinator itself, as it has nothing to do with one job ----

{
	my $log = -s $node->logfile;
	sql('CREATE ROLE nobody; ALTER TABLE kwjobs.checkpoint OWNER TO nobody');
	# This wakes the coordinator, which no session could.
	configure($node, 'kwjobs.test_haste', 4);
	# After six deaths, the launcher would wait for eight seconds before it starts the next coordinator.
	$node->wait_for_log(qr/(background worker "kwjobs coordinator" \(PID \d+\) exited with exit code 1\b.*){6}/s, $log);
	sql('ALTER TABLE kwjobs.checkpoint OWNER TO postgres');
	my $mended = sql('SELECT clock_timestamp()');
	my ($job) = submit_others(1);
	wait_for_status($node, $job, 'succeeded');
	is(sql("SELECT started < '$mended'::timestamptz + interval '5 seconds' FROM kwjobs.job WHERE job_id = $job"), 't',
		'once the cause is mended, and somebody asks, a coordinator that kept dying comes back soon');
}

$node->stop;
done_testing();
