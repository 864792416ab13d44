# Retention by time, number and size: in short transactions, with sums of what was deleted,
# never a job that another one waits for or that has just ended. And history in a dump.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Nothing is deleted before a test says what is to be kept: rows are inserted in several steps.
my $for_ever = '10000d';
my $node = new_node('history', <<"EOF");
shared_preload_libraries = 'kwjobs, auto_explain'
auto_explain.log_settings = on
autovacuum = off
kwjobs.test_haste = 5
jobs.retention_time = '$for_ever'
EOF

# Finished jobs number $first to $last, each with an attempt, a checkpoint and a transaction; job n
# ended n seconds before $before.
sub add_finished
{
	my ($first, $last, $before, $payload) = @_;
	$payload //= "'{}'";
	$node->safe_psql('postgres', <<"EOF");
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts,
                        payload, created, started, finished, modified, total_num_of_ex)
SELECT n, 'SQL', 'a job', 10, 'postgres', CASE WHEN n % 2 = 0 THEN 'succeeded' ELSE 'failed' END,
       'infinity', 1, $payload, f, f - interval '1 minute', f, f, 2
  FROM (SELECT n, timestamptz '$before' - n * interval '1 second' AS f
          FROM generate_series($first, $last) AS n) AS ended;
INSERT INTO kwjobs.attempt (job_id, attempt, reverting, status, started, finished, node_id, rows)
SELECT n, 1, false, 'succeeded', now(), now(), 1, 3 FROM generate_series($first, $last) AS n;
INSERT INTO kwjobs.checkpoint (job_id, attempt, rows)
SELECT n, 1, 5 FROM generate_series($first, $last) AS n WHERE n % 2 = 0;
INSERT INTO kwjobs.job_transaction SELECT n, '4711' FROM generate_series($first, $last) AS n;
EOF
	return;
}

sub set_limits
{
	my (%limits) = @_;
	$node->safe_psql('postgres',
		join(' ', map { "ALTER SYSTEM SET $_ = '$limits{$_}';" } sort keys %limits));
	$node->reload;
	return;
}

sub finished_jobs { return $node->safe_psql('postgres', 'SELECT count(*) FROM kwdb_internal.jobs WHERE finished IS NOT NULL') }

# What a deletion reads of the tables that hang on jobs.
sub whole_scans
{
	return $node->safe_psql('postgres', <<'EOF');
SELECT sum(seq_scan) FROM pg_stat_user_tables
 WHERE schemaname = 'kwjobs' AND relname IN ('attempt', 'checkpoint', 'job_transaction')
EOF
}

# How many jobs go at once.
$node->safe_psql('postgres', <<'EOF');
CREATE TABLE step (jobs bigint, xid xid8, took interval);
CREATE FUNCTION count_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.step SELECT count(*), pg_current_xact_id(), clock_timestamp() - statement_timestamp() FROM old;
    RETURN NULL;
END $$;
CREATE TRIGGER step AFTER DELETE ON kwjobs.job REFERENCING OLD TABLE AS old
    FOR EACH STATEMENT EXECUTE FUNCTION count_step();
EOF

# By time. One that another job waits for stays.
my $long_ago = '2024-05-06 12:00:00+00';
my $recently = $node->safe_psql('postgres', "SELECT now() - interval '1 hour'");
add_finished(1, 2500, $long_ago);
add_finished(3001, 3010, $recently);
$node->safe_psql('postgres', <<'EOF');
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, modified)
VALUES (4000, 'SQL', 'waits', 10, 'postgres', 'paused', 'infinity', 1, '{}', now(), now());
INSERT INTO kwjobs.dependency (job_id, depends_on, fresh) VALUES (4000, 1234, false);
EOF
my $scans = whole_scans();
set_limits('jobs.retention_time' => '13d');
wait_query($node, 'SELECT count(*) = 11 FROM kwdb_internal.jobs WHERE finished IS NOT NULL');
is($node->safe_psql('postgres', 'SELECT count(*), min(job_id) FROM kwdb_internal.jobs WHERE finished < now() - interval \'1 day\''),
	'1|1234', 'only the job that another one waits for is left of the old ones');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT xid) = count(*) AND count(*) >= 5, sum(jobs) FROM step WHERE jobs > 0'),
	't|2499', 'in small steps, each its own transaction');
cmp_ok($node->safe_psql('postgres', 'SELECT extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY took)) FROM step WHERE jobs > 0'),
	'<', 0.05, '... that take about 10 ms');
is($node->safe_psql('postgres', <<'EOF'), "2024-05-06|SQL|failed|1250|2500|3750|20:50:00\n2024-05-06|SQL|succeeded|1249|2498|6245|20:49:00", 'the sums are right');
SELECT * FROM kwdb_internal.job_history ORDER BY day, status
EOF
is($node->safe_psql('postgres', <<'EOF'), '11|6|11', 'the rows that hang on the jobs are gone with them');
SELECT (SELECT count(*) FROM kwjobs.attempt), (SELECT count(*) FROM kwjobs.checkpoint),
       (SELECT count(*) FROM kwjobs.job_transaction)
EOF

# The day is that in UTC, whatever the time zone; sums are added up.
set_limits(timezone => 'Pacific/Kiritimati', 'jobs.retention_time' => $for_ever);
add_finished(5001, 5010, $long_ago);
$node->safe_psql('postgres', 'DELETE FROM kwjobs.dependency');
set_limits('jobs.retention_time' => '11d');
wait_query($node, 'SELECT count(*) = 10 FROM kwdb_internal.jobs WHERE finished IS NOT NULL');
is($node->safe_psql('postgres', 'SELECT day, sum(jobs) FROM kwdb_internal.job_history GROUP BY day'),
	'2024-05-06|2510', 'the day is that in UTC; what nobody waits for any more is deleted');

# By number: the latest stay. No whole table is read, however small they were at first.
add_finished(10001, 13000, $recently);
wait_for_statistics($node);
$scans = whole_scans();
my $deleted = "SELECT sum(n_tup_del) FROM pg_stat_user_tables WHERE schemaname = 'kwjobs' AND relname = 'attempt'";
my $before = $node->safe_psql('postgres', $deleted);
set_limits('kwjobs.retention_rows' => 100);
wait_query($node, 'SELECT count(*) = 100 FROM kwdb_internal.jobs WHERE finished IS NOT NULL');
is($node->safe_psql('postgres', 'SELECT min(job_id), max(job_id) FROM kwdb_internal.jobs WHERE finished IS NOT NULL'),
	'3001|10090', 'the latest are left');
wait_query($node, "SELECT ($deleted) = $before + 2910");
is(whole_scans(), $scans, 'attempts, checkpoints and transactions are found by index');

# A job that ends makes another one too many, without anyone telling.
$node->safe_psql('postgres', 'CREATE TABLE target (n integer, t text)');
my $csv = write_csv($node, 10);
my $job = start_import($node, 'target', $csv);
wait_for_status($node, $job, 'succeeded');
wait_query($node, 'SELECT count(*) = 100 FROM kwdb_internal.jobs WHERE finished IS NOT NULL');
is(job_field($node, $job, 'status'), 'succeeded', 'the new one is left');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kwdb_internal.jobs WHERE job_id = 10090'), '0', 'the oldest is not');

# However many jobs end, the coordinator looks only now and then whether there are too many of them.
# Each look reads the index job_finished two times or more.
{
	my $looks = q{SELECT idx_scan FROM pg_stat_all_indexes WHERE indexrelname = 'job_finished'};
	my $at_first = $node->safe_psql('postgres', $looks);
	$node->safe_psql('postgres', join("\n", (q{CALL kwjobs.run('SELECT 1');}) x 40));
	wait_for_pass($node);
	cmp_ok($node->safe_psql('postgres', $looks) - $at_first, '<', 40, 'few looks for surplus jobs while 40 jobs end');
}

# Many that ended at the same time are no reason to delete more.
$node->safe_psql('postgres', "UPDATE kwjobs.job SET finished = now() - interval '1 hour' WHERE finished IS NOT NULL");
set_limits('kwjobs.retention_rows' => 40);
wait_query($node, 'SELECT count(*) <= 40 FROM kwdb_internal.jobs WHERE finished IS NOT NULL');
is(finished_jobs(), '40', 'exactly as many as asked for, although all ended at once');

# Nor one on which a job depends that is not committed yet.
my $needed = $node->safe_psql('postgres', "SELECT min(job_id) FROM kwdb_internal.jobs WHERE status = 'succeeded'");
my $session = $node->background_psql('postgres');
my $dependent = $session->query_safe("BEGIN; SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[$needed])");
set_limits('kwjobs.retention_rows' => 10);
wait_query($node, 'SELECT count(*) = 11 FROM kwdb_internal.jobs WHERE finished IS NOT NULL');
is(job_field($node, $needed, 'status'), 'succeeded', 'the job that one of an open transaction depends on is left');
$session->query_safe('COMMIT');
$session->quit;
wait_for_status($node, $dependent, 'succeeded');

# Nor one on which a job comes to depend while a step is under way: before its rows are deleted the
# step waits at a gate, and meanwhile somebody submits such a job.
{
	$node->safe_psql('postgres', <<'EOF');
CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(4712);
    RETURN NULL;
END $$;
CREATE TRIGGER gate BEFORE DELETE ON kwjobs.job FOR EACH STATEMENT EXECUTE FUNCTION pass_gate();
EOF
	my $gate = $node->background_psql('postgres');
	$gate->query_safe('SELECT pg_advisory_lock(4712)');
	my $oldest = $node->safe_psql('postgres',
		"SELECT job_id FROM kwjobs.job WHERE finished IS NOT NULL ORDER BY finished, job_id LIMIT 1");
	set_limits('kwjobs.retention_rows' => 8);
	wait_query($node, "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4712 AND NOT granted");
	my $submitter = $node->background_psql('postgres', on_error_stop => 0);
	$submitter->query_until(qr/begun/, "\\echo begun\nSELECT kwjobs.submit('SELECT 1', key => 'late', depends_on => ARRAY[$oldest]);\n");
	wait_query($node, <<'EOF');
SELECT count(*) = 1 FROM pg_stat_activity
 WHERE query LIKE 'SELECT kwjobs.submit(%late%' AND (state = 'idle' OR wait_event_type = 'Lock')
EOF
	$gate->query_safe('SELECT pg_advisory_unlock(4712)');
	$submitter->query('');
	$submitter->quit;
	wait_query($node, "SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE job_id = $oldest");
	is($node->safe_psql('postgres', "SELECT count(*) FROM kwjobs.job WHERE key = 'late'"), '0',
		'a job that would depend on one that is being deleted is refused');
	$gate->quit;
	$node->safe_psql('postgres', 'DROP TRIGGER gate ON kwjobs.job');
}

# Where one is gone all the same, the job that depends on it fails and says so.
my $lonely = $node->safe_psql('postgres', "SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')");
$dependent = $node->safe_psql('postgres', "SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[$lonely])");
wait_query($node, "SELECT NOT fresh FROM kwjobs.dependency WHERE depends_on = $lonely");
$node->safe_psql('postgres', "DELETE FROM kwjobs.job WHERE job_id = $lonely; UPDATE kwjobs.dependency SET fresh = true WHERE depends_on = $lonely");
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'");
wait_for_status($node, $dependent, 'failed');
is(job_field($node, $dependent, 'error_code, error'), "55000|job $lonely, on which this job depends, does not exist any more",
	'a job that depends on one that is gone fails');

# What hangs on a job goes with it, whatever the database says about triggers.
{
	my $hang = 'SELECT (SELECT count(*) FROM kwjobs.checkpoint WHERE job_id BETWEEN 30001 AND 30010) + (SELECT count(*) FROM kwjobs.job_transaction WHERE job_id BETWEEN 30001 AND 30010)';
	my $coordinator = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'";
	my $pid = $node->safe_psql('postgres', $coordinator);
	# The one that starts looks for what is to be deleted, and whoever is told of new limits late,
	# too.
	set_limits('kwjobs.retention_rows' => 0, 'jobs.retention_time' => $for_ever);
	$node->safe_psql('postgres', 'ALTER DATABASE postgres SET session_replication_role = replica');
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	wait_query($node, "SELECT count(*) = 1 FROM ($coordinator) AS c WHERE pid <> $pid");
	add_finished(30001, 30010, $long_ago);
	is($node->safe_psql('postgres', $hang), '15', 'checkpoints and transactions of old jobs');
	set_limits('jobs.retention_time' => '10d');
	wait_query($node, 'SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE job_id BETWEEN 30001 AND 30010');
	is($node->safe_psql('postgres', $hang), '0', '... are gone with them, with session_replication_role = replica, too');
	$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET session_replication_role');
}

# A job that cannot be deleted does not keep the coordinator from deleting others.
{
	$node->safe_psql('postgres', <<'EOF');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the auditors still need it';
END $$;
CREATE TRIGGER refuse BEFORE DELETE ON kwjobs.job FOR EACH ROW WHEN (OLD.job_id = 31005) EXECUTE FUNCTION refuse();
EOF
	my $log = -s $node->logfile;
	add_finished(31001, 31010, $long_ago);
	set_limits('jobs.retention_time' => '9d');
	wait_query($node, 'SELECT count(*) = 1 FROM kwjobs.job WHERE job_id BETWEEN 31001 AND 31010');
	is($node->safe_psql('postgres', 'SELECT job_id FROM kwjobs.job WHERE job_id BETWEEN 31001 AND 31010'), '31005',
		'all are deleted but the one that cannot be');
	like(slurp_file($node->logfile, $log), qr/LOG:  kwjobs cannot delete a job that is over .*\n.*DETAIL:  the auditors still need it/,
		'... and the log says so');
	$node->safe_psql('postgres', 'DROP TRIGGER refuse ON kwjobs.job');
}

# By size.
$node->safe_psql('postgres', 'VACUUM FULL kwjobs.job; VACUUM FULL kwjobs.attempt');
my $size = "(pg_total_relation_size('kwjobs.job') + pg_total_relation_size('kwjobs.attempt') + pg_total_relation_size('kwjobs.checkpoint'))";
add_finished(20001, 24000, $recently,
	"jsonb_build_object('statement', (SELECT string_agg(md5((n * i)::text), '') FROM generate_series(1, 40) AS i))");
cmp_ok($node->safe_psql('postgres', "SELECT $size"), '>', 5_000_000, 'there is much to delete');
set_limits('kwjobs.retention_size' => '2MB');
wait_query($node, 'SELECT sum(700 + pg_column_size(payload)) < 2 * 1024 * 1024 FROM kwjobs.job WHERE finished IS NOT NULL');
$node->safe_psql('postgres', "VACUUM FULL $_") for qw(kwjobs.job kwjobs.attempt kwjobs.checkpoint);
my $left = $node->safe_psql('postgres', "SELECT $size");
cmp_ok($left, '<', 3 * 1024 * 1024, 'by size: not much more is left');
cmp_ok($left, '>', 1024 * 1024, 'by size: nor much less');

# Whoever waits for a job learns how it ended, even if nothing is to be kept.
set_limits('kwjobs.retention_size' => 0, 'jobs.retention_time' => 0);
my $told = $node->safe_psql('postgres', <<"EOF");
TRUNCATE target;
IMPORT INTO target CSV DATA ('$csv');
SELECT count(*) > 0 FROM [SHOW JOBS] WHERE finished IS NOT NULL;
EOF
like($told, qr/\|succeeded\|/, 'retention_time = 0: a statement that waits returns the outcome');
like($told, qr/^t$/m, 'the job is there for a moment');
wait_query($node, 'SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE finished IS NOT NULL');
is($node->safe_psql('postgres', "SELECT sum(jobs) FROM kwdb_internal.job_history WHERE job_type = 'IMPORT'"),
	'2', 'both imports are in the sums');

# A dump has the sums and the jobs that are over; restored, nothing starts.
set_limits('jobs.retention_time' => '14d');
$job = start_import($node, 'target', $csv);
wait_for_status($node, $job, 'succeeded');
$node->safe_psql('postgres', <<'EOF');
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, rank, max_attempts, payload, created, modified)
VALUES (4001, 'SQL', 'later', 10, 'postgres', 'pending', now() + interval '1 day', NULL, 1, '{}', now(), now());
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, started, finished, modified, total_num_of_ex, attempts)
SELECT n, 'SQL', 'a job', 10, 'postgres', s, 'infinity', 1, '{}', now(), now(), now(), now(), 1, 1
  FROM (VALUES (4002, 'failed'), (4003, 'revert-failed')) AS j (n, s);
INSERT INTO kwjobs.attempt (job_id, attempt, reverting, status, started, finished, node_id, rows)
SELECT n, 1, false, 'failed', now(), now(), 1, 3 FROM generate_series(4002, 4003) AS n;
INSERT INTO kwjobs.checkpoint (job_id, attempt, fraction, rows, written)
SELECT n, 1, 0.5, 7, now() FROM generate_series(4001, 4003) AS n;
EOF
my $dump = $node->basedir . '/history.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->safe_psql('postgres', 'DROP TRIGGER step ON kwjobs.job');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], 'pg_restore');
is($node->safe_psql('restored', 'SELECT job_id, status, fraction_completed, rows FROM kwdb_internal.jobs ORDER BY job_id'),
	"4002|failed|0.5|7\n$job|succeeded|1|10",
	'restored: the jobs that were over, with how far they came; none that runs again, nor that can be resumed');
is($node->safe_psql('restored', 'SELECT count(*) FROM kwdb_internal.job_attempts'), '2', '... with their attempts');
is($node->safe_psql('restored', 'SELECT count(*) FROM kwjobs.checkpoint'), '2', '... and checkpoints');
my $sums = 'SELECT * FROM kwdb_internal.job_history ORDER BY day, job_type, status';
is($node->safe_psql('restored', $sums), $node->safe_psql('postgres', $sums), '... and the sums');
my $new = start_import($node, 'target', $csv, 'restored');
wait_for_status($node, $new, 'succeeded', 'restored');
is($node->safe_psql('restored', 'SELECT sum(total_num_of_ex) FROM kwdb_internal.jobs'),
	'3', 'restored jobs did not run');
$node->safe_psql('restored', "UPDATE kwjobs.job SET finished = finished - interval '20 days'");
set_limits('jobs.retention_time' => '15d');
wait_query($node, 'SELECT count(*) = 0 FROM kwdb_internal.jobs', 'restored');

# A step of retention plans its queries without whole scans of tables. What the coordinator plans later for a
# session of another database may have them again.
my $gate = close_gate($node);
my $long = $node->safe_psql('postgres', "SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')");
wait_at_gate($node, $long);
my $coordinator = $node->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'");
my $log = -s $node->logfile;
set_limits('auto_explain.log_min_duration' => 0, 'jobs.retention_time' => '16d');
$node->wait_for_log(qr/\[$coordinator\] kwjobs coordinator LOG: .* plan:\n\tQuery Text: SELECT count\(\*\) AS found/, $log);
$node->safe_psql('restored', "SET kwjobs.scope = server; SELECT kwjobs.why($long)");
set_limits('auto_explain.log_min_duration' => -1);
my ($settings) = slurp_file($node->logfile, $log) =~
  /\[$coordinator\] kwjobs coordinator LOG: [^\n]* plan:\n\tQuery Text: SELECT kwjobs\.why.*?\n\tSettings: ([^\n]*)/s;
like($settings, qr/search_path/, 'the coordinator has planned a query for a session of another database');
unlike($settings, qr/enable_seqscan/, '... for which the settings of a step of retention do not count');
$node->safe_psql('postgres', "CANCEL JOB $long");
wait_for_status($node, $long, 'canceled');
$gate->quit;

$node->stop;
done_testing();
