# Thousands of small jobs while everything that can fail does: every one ends, those that
# succeeded have done their work exactly once, those that did not not at all.
#
# KWJ_SEED repeats a run as far as timing allows; KWJ_FAULT_SECONDS is how long it lasts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{KWJ_SEED} // int(rand(2**31));
my $seconds = $ENV{KWJ_FAULT_SECONDS} // 30;
diag("KWJ_SEED=$seed repeats this run");
srand($seed);

# More workers than background worker slots: they run out, too.
my $node = new_node('faults', <<'EOF');
kwjobs.max_workers = 6
max_worker_processes = 8
kwjobs.worker_idle_timeout = 2s
kwjobs.max_workers_per_role = 4
EOF

$node->safe_psql('postgres', <<'EOF');
CREATE ROLE worker1 LOGIN;
CREATE ROLE worker2 LOGIN;
-- job: once for each; step: of those that checkpoint; reverted: what on_revert did
CREATE TABLE ledger (job bigint, kind text);
CREATE TABLE step (job bigint, n integer);
CREATE TABLE reverted (job bigint);
GRANT ALL ON ledger, step, reverted TO PUBLIC;

-- Ten steps, each committed with the state that says so.
CREATE PROCEDURE ten_steps() LANGUAGE plpgsql AS $$
DECLARE
    done integer := coalesce((kwjobs.checkpoint_state())::integer, 0);
BEGIN
    WHILE done < 10 LOOP
        done := done + 1;
        INSERT INTO step VALUES (kwjobs.current_job(), done);
        CALL kwjobs.checkpoint(done / 10.0, to_jsonb(done));
    END LOOP;
    INSERT INTO ledger VALUES (kwjobs.current_job(), 'steps');
END $$;

CREATE FUNCTION submit_one(kind integer) RETURNS bigint LANGUAGE plpgsql AS $body$
BEGIN
    CASE kind
    WHEN 0 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'plain')$sql$,
                             max_attempts => 1000);
    WHEN 1 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'slow');
                                  SELECT pg_sleep(random() * 0.2)$sql$,
                             max_attempts => 1000, priority => 1);
    WHEN 2 THEN
        RETURN kwjobs.submit('CALL ten_steps()', max_attempts => 1000);
    WHEN 3 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'failing');
                                  SELECT 1 / 0$sql$, max_attempts => 1000);
    WHEN 4 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'reverting');
                                  SELECT pg_sleep(random() * 0.1), 1 / (random() * 2)::integer$sql$,
                             max_attempts => 1000,
                             on_revert => 'INSERT INTO reverted VALUES (kwjobs.current_job())');
    WHEN 5 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'dependent')$sql$,
                             max_attempts => 1000,
                             depends_on => (SELECT array_agg(job_id) FROM
                                            (SELECT job_id FROM kwjobs.job ORDER BY job_id DESC LIMIT 2) AS j));
    WHEN 6 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'deadlocking');
                                  DO $do$ BEGIN IF random() < 0.5 THEN
                                      RAISE EXCEPTION 'again' USING ERRCODE = '40P01'; END IF; END $do$$sql$,
                             max_attempts => 1000, retry_initial_delay => '10 ms');
    END CASE;
END $body$;
GRANT USAGE ON SCHEMA kwjobs TO PUBLIC;
CREATE ROLE admin;
GRANT admin TO worker1, worker2;
EOF

# Whatever the server's state, the statement is sent and its fate does not matter.
sub try_sql
{
	my ($sql) = @_;
	# psql may be gone before it has read everything
	my ($rc, $out) = eval { $node->psql('postgres', $sql, timeout => 60) };
	return defined $rc && $rc == 0 ? $out : undef;
}

sub pids_of
{
	my ($what) = @_;
	my $out = try_sql("SELECT pid FROM pg_stat_activity WHERE backend_type = '$what'");
	return defined $out ? split(/\n/, $out) : ();
}

sub signal_one
{
	my ($signal, $what) = @_;
	my @pids = pids_of($what);
	kill $signal, $pids[ int(rand(@pids)) ] if @pids;
	return;
}

sub wait_until_up
{
	for (1 .. 10)
	{
		my $up = eval { $node->poll_query_until('postgres', 'SELECT true') };
		return $up if defined $up;
	}
	return 0;
}

my @roles = ('postgres', 'worker1', 'worker2');
my $victims = 0;

my %faults = (
	'a worker is killed' => [ 3, sub { signal_one('KILL', 'kwjobs worker') } ],
	'a worker is terminated' => [ 4, sub { signal_one('TERM', 'kwjobs worker') } ],
	'a worker is interrupted' => [ 2, sub { signal_one('INT', 'kwjobs worker') } ],
	'the coordinator is killed' => [ 2, sub { signal_one('KILL', 'kwjobs coordinator') } ],
	'the coordinator is terminated' => [ 2, sub { signal_one('TERM', 'kwjobs coordinator') } ],
	'the launcher is killed' => [ 1, sub { signal_one('KILL', 'kwjobs launcher') } ],
	'the launcher is terminated' => [ 1, sub { signal_one('TERM', 'kwjobs launcher') } ],
	'an immediate stop' => [ 1, sub { $node->stop('immediate'); $node->start; } ],
	'a fast stop' => [ 1, sub { $node->restart; } ],
	'the postmaster is killed' => [ 1, sub { $node->kill9; start_when_possible($node); } ],
	'pauses' => [ 4, sub { try_sql(some_jobs('pause', "'pending', 'running'")) } ],
	'resumes' => [ 4, sub { try_sql(some_jobs('resume', "'paused'")) } ],
	'cancels' => [ 4, sub { try_sql(some_jobs('cancel', "'pending', 'running', 'paused'")) } ],
	'a rolled back cancel' =>
	  [ 1, sub { try_sql('BEGIN;' . some_jobs('cancel', "'pending', 'running'") . ';ROLLBACK') } ],
	'a role is dropped' => [ 1, \&drop_a_role ],
);

# Each by itself: one that has ended meanwhile is an error.
sub some_jobs
{
	my ($verb, $statuses) = @_;
	return <<"EOF";
DO \$\$
DECLARE job bigint;
BEGIN
    FOR job IN SELECT job_id FROM kwjobs.job WHERE status IN ($statuses) ORDER BY random() LIMIT 5 LOOP
        BEGIN
            PERFORM kwjobs.$verb(job);
        EXCEPTION WHEN object_not_in_prerequisite_state OR undefined_object THEN NULL;
        END;
    END LOOP;
END \$\$
EOF
}

sub submit_some
{
	my $role = $roles[ int(rand(@roles)) ];
	my $n = 20 + int(rand(150));
	try_sql("SET ROLE $role; SELECT count(submit_one(floor(random() * 7)::integer)) FROM generate_series(1, $n)");
	return;
}

sub drop_a_role
{
	my $role = 'victim' . ++$victims;
	try_sql(<<"EOF");
CREATE ROLE $role LOGIN IN ROLE admin;
SET ROLE $role;
SELECT count(submit_one(0)) FROM generate_series(1, 10);
RESET ROLE;
SELECT pg_sleep(0.02);
DROP OWNED BY $role;
DROP ROLE $role;
EOF
	return;
}

my @lots = map { ($_) x $faults{$_}->[0] } sort keys %faults;
my %done;
my $end = time + $seconds;
while (time < $end)
{
	submit_some();
	my $fault = $lots[ int(rand(@lots)) ];
	$faults{$fault}->[1]->();
	$done{$fault}++;
	wait_until_up() or BAIL_OUT("the server does not come back after: $fault");
}
note("$_: $done{$_}") for sort keys %done;

# The dust settles.
wait_query($node, q{SELECT count(*) = 0 FROM kwjobs.job WHERE status = 'pause-requested'});
$node->safe_psql('postgres', q{SELECT kwjobs.resume(job_id) FROM kwjobs.job WHERE status = 'paused'});
wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
is( $node->safe_psql('postgres',
		"SELECT job_id, status, running_status FROM kwjobs.job WHERE finished IS NULL"),
	'', 'every job has ended');
note($node->safe_psql('postgres',
		'SELECT status, count(*), sum(attempts) FROM kwjobs.job GROUP BY status ORDER BY status'));

my $many = $node->safe_psql('postgres', q{SELECT count(*) FROM kwjobs.job WHERE job_type = 'SQL'});
cmp_ok($many, '>', 5 * $seconds, 'there were many jobs');
is( $node->safe_psql('postgres', <<'EOF'),
SELECT job_id FROM kwjobs.job WHERE status = 'succeeded' AND job_type = 'SQL'
   AND (SELECT count(*) FROM ledger WHERE job = job_id) <> 1
EOF
	'', 'what succeeded is in the ledger exactly once');
is( $node->safe_psql('postgres', <<'EOF'),
SELECT job FROM ledger WHERE job NOT IN (SELECT job_id FROM kwjobs.job WHERE status = 'succeeded')
EOF
	'', 'what did not is not');
is( $node->safe_psql('postgres', 'SELECT job, n FROM step GROUP BY job, n HAVING count(*) > 1'),
	'', 'no step between two checkpoints was done twice');
is( $node->safe_psql('postgres', <<'EOF'),
SELECT job_id FROM kwjobs.job AS j WHERE has_revert AND started IS NOT NULL
   AND (SELECT count(*) FROM reverted WHERE job = job_id) <> (status IN ('failed', 'canceled'))::integer
EOF
	'', 'on_revert ran exactly once for each job that had started and did not succeed');
is( $node->safe_psql('postgres', <<'EOF'),
SELECT job_id, status, error_code FROM kwjobs.job AS j
 WHERE status = 'failed' AND error_code NOT IN ('22012', '55000', '57014')
   AND owner IN (SELECT oid FROM pg_roles)
EOF
	'', 'nothing failed but what had to');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM kwjobs.job WHERE status = 'failed' AND error_code = '57014'}),
	'<=', $done{'a worker is interrupted'} // 0, 'who was not interrupted did not end by it');
is_consistent($node);

$node->stop;
done_testing();
