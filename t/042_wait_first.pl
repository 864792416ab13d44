# A query with SHOW JOB WHEN COMPLETE in it shows everything as it is after the wait, whatever
# stands beside it; the ids are evaluated once. Where that cannot be, it is refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Libraries that keep something of their own for each execution
my $node = new_node('wait_first', <<'EOF');
shared_preload_libraries = 'kwjobs,pg_stat_statements,auto_explain'
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
auto_explain.log_nested_statements = on
pg_stat_statements.track = all
autovacuum = off
max_connections = 200
EOF
$node->safe_psql('postgres', <<'EOF');
CREATE EXTENSION pg_stat_statements;
CREATE TABLE t (a integer, filler text);
INSERT INTO t SELECT n % 100, repeat('x', 50) FROM generate_series(1, 100000) AS n;
CREATE INDEX ON t (a);
CREATE TABLE made (n integer);
CREATE TABLE copied (id bigint, status text, attempts bigint);
CREATE TABLE others (n integer);
ANALYZE t;
EOF

# The job inserts its number once the gate is open.
sub start_job
{
	my $job = $node->safe_psql('postgres', <<'EOF');
SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711); INSERT INTO made VALUES (1); INSERT INTO t SELECT 7')
EOF
	wait_at_gate($node, $job);
	return $job;
}

# The statement, what comes before, and what it returns; in all of them THE_ID is the job's.
my $wait = '[SHOW JOB WHEN COMPLETE THE_ID] AS w';
my $jobs = 'kwdb_internal.jobs AS j USING (job_id)';
my $attempts = 'kwdb_internal.job_attempts AS a USING (job_id)';
my $t = 'SELECT count(*) FROM t WHERE a = 7';
my $both = "SELECT w.status, j.status, a.status, a.tags IS NOT NULL FROM $wait JOIN $jobs JOIN $attempts";
my $all_over = 'succeeded|succeeded|succeeded|t';
my $generic = 'SET plan_cache_mode = force_generic_plan';
my $status_of_attempt = '(SELECT status FROM kwdb_internal.job_attempts WHERE job_id = THE_ID)';
my @shapes = (
	# beside our views
	[ $both, $all_over ],
	[ "SELECT w.status, j.status FROM kwdb_internal.jobs AS j JOIN $wait USING (job_id)", 'succeeded|succeeded' ],
	[ "SELECT status, (SELECT status FROM kwdb_internal.job_attempts WHERE job_id = THE_ID) FROM $wait", 'succeeded|succeeded' ],
	[ "SELECT (SELECT status FROM $wait), (SELECT status FROM kwdb_internal.job_attempts WHERE job_id = THE_ID)", 'succeeded|succeeded' ],
	[ "WITH done AS (SELECT * FROM $wait) SELECT done.status, a.status FROM done JOIN $attempts", 'succeeded|succeeded' ],
	[ "WITH done AS MATERIALIZED (SELECT * FROM $wait) SELECT done.status, a.status FROM kwdb_internal.job_attempts AS a JOIN done USING (job_id)", 'succeeded|succeeded' ],
	[ "SELECT status FROM [SHOW JOB THE_ID] UNION ALL SELECT status FROM $wait", "succeeded\nsucceeded" ],
	[ "SELECT j.status FROM [SHOW JOBS WHEN COMPLETE SELECT job_id FROM [SHOW JOBS WHERE job_id = THE_ID AND status = 'running']] AS w JOIN $jobs", 'succeeded' ],
	[ "SELECT a.status FROM kwjobs.when_complete(ARRAY[THE_ID]) AS w JOIN $attempts", 'succeeded' ],
	[ "SELECT a.status FROM [SHOW JOBS WHEN COMPLETE (SELECT job_id FROM [SHOW JOB WHEN COMPLETE THE_ID])] AS w JOIN $attempts", 'succeeded' ],
	[ "SELECT count(*) FROM made, $wait", '1' ],
	[ "SELECT w.status FROM $wait JOIN made ON true FOR UPDATE OF made", 'succeeded' ],
	# in statements that run a query
	[ 'EXECUTE p', $all_over, "PREPARE p AS $both" ],
	[ "EXECUTE p(THE_ID)", 'succeeded', "PREPARE p AS SELECT a.status FROM [SHOW JOB WHEN COMPLETE \$1] AS w JOIN $attempts" ],
	[ "COPY ($both) TO STDOUT", "succeeded\tsucceeded\tsucceeded\tt" ],
	[ "CREATE TEMP TABLE seen (a, b, c, d) AS $both", $all_over, undef, 'TABLE seen' ],
	[ "INSERT INTO copied SELECT job_id, a.status, 1 FROM $wait JOIN $attempts RETURNING status", 'succeeded', 'BEGIN' ],
	[ "UPDATE copied SET status = a.status FROM $wait JOIN $attempts RETURNING copied.status", 'succeeded', 'BEGIN; INSERT INTO copied VALUES (1)' ],
	[ "WITH i AS (INSERT INTO copied VALUES (1, 'x') RETURNING id) SELECT a.status, (SELECT count(*) FROM i) FROM $wait JOIN $attempts", 'succeeded|1', 'BEGIN', 'SELECT count(*) FROM copied', '1' ],
	[ "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT 1 FROM $wait, made", qr/Seq Scan on made \(actual rows=1(\.00)? loops=1\)/ ],
	[ 'FETCH ALL c', $all_over, "BEGIN; DECLARE c CURSOR FOR $both" ],
	[ 'FETCH ALL c', $all_over, "BEGIN; DECLARE c CURSOR FOR $both; SAVEPOINT s", 'RELEASE s' ],
	[ 'FETCH ALL c', $all_over, "BEGIN; DECLARE c SCROLL CURSOR FOR $both", 'FETCH PRIOR c', $all_over ],
	[ 'COMMIT', '', "BEGIN; DECLARE c CURSOR WITH HOLD FOR $both", 'FETCH c', $all_over ],
	# in functions
	[ 'SELECT in_plpgsql(THE_ID)', 'succeeded' ], [ 'SELECT in_loop(THE_ID)', 'succeeded' ], [ 'SELECT in_sql(THE_ID)', 'succeeded' ],
	[ 'SELECT * FROM set_in_sql(THE_ID)', 'succeeded' ], [ 'CALL in_procedure(THE_ID, NULL)', 'succeeded' ],
	[ "DO \$\$ BEGIN ASSERT (SELECT a.status FROM $wait JOIN $attempts) = 'succeeded'; END \$\$", '' ],
	# beside subqueries that PostgreSQL < 17 begins before the query's first row
	[ "SELECT status, ($t) FROM $wait", 'succeeded|1001' ],
	[ "SELECT status FROM $wait WHERE ($t) = 1001", 'succeeded' ],
	[ "SELECT status, ($t AND w.status IS NOT NULL) FROM $wait", 'succeeded|1001' ],
	[ "SELECT status FROM $wait LIMIT ($t)", 'succeeded' ],
	[ "SELECT status, EXISTS (SELECT FROM t WHERE a = 7 OFFSET 1000) FROM $wait", 'succeeded|t' ],
	[ "SELECT count(*), ($t) FROM $wait", '1|1001' ],
	[ "WITH m AS MATERIALIZED ($t) SELECT status, (TABLE m) FROM $wait", 'succeeded|1001' ],
	[ "SELECT status, (SELECT count(*) FROM t) FROM $wait", 'succeeded|100001' ],
	[ "FETCH ALL c", 'succeeded|1001', "BEGIN; DECLARE c CURSOR FOR SELECT status, ($t) FROM $wait" ],
	# in a branch that constants or parameters choose
	[ 'EXECUTE p(true)', 'succeeded|succeeded', "$generic; PREPARE p(boolean) AS SELECT CASE WHEN \$1 THEN (SELECT status FROM $wait) END, $status_of_attempt" ],
	[ 'EXECUTE p(NULL)', 'succeeded|succeeded', "$generic; PREPARE p(text) AS SELECT coalesce(\$1, (SELECT status FROM $wait)), $status_of_attempt" ],
	[ 'EXECUTE p(true)', 't|succeeded', "$generic; PREPARE p(boolean) AS SELECT \$1 AND (SELECT status FROM $wait) = 'succeeded', $status_of_attempt" ],
	[ 'EXECUTE p(1)', 'succeeded|succeeded', "$generic; PREPARE p(integer) AS SELECT w.status, a.status FROM $wait JOIN $attempts LIMIT \$1" ],
	[ 'EXECUTE p(true)', 'succeeded|succeeded', "$generic; PREPARE p(boolean) AS SELECT w.status, a.status FROM $wait JOIN $attempts WHERE \$1" ],
	# in one that rows choose
	[ "SELECT CASE WHEN n = 1 THEN (SELECT status FROM $wait) ELSE 'none' END FROM (VALUES (1), (2)) AS v (n)", "succeeded\nnone" ]);
my $function = "SELECT a.status FROM [SHOW JOB WHEN COMPLETE id] AS w JOIN $attempts";
$node->safe_psql('postgres', <<"EOF");
CREATE FUNCTION in_plpgsql(id bigint) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ($function); END';
CREATE FUNCTION in_loop(id bigint) RETURNS text LANGUAGE plpgsql AS 'DECLARE r record; BEGIN FOR r IN $function LOOP RETURN r.status; END LOOP; END';
CREATE FUNCTION in_sql(id bigint) RETURNS text LANGUAGE sql AS 'INSERT INTO others VALUES (1); $function';
CREATE FUNCTION set_in_sql(id bigint) RETURNS SETOF text LANGUAGE sql AS '$function';
CREATE PROCEDURE in_procedure(id bigint, INOUT s text) LANGUAGE plpgsql AS 'BEGIN COMMIT; s := ($function); COMMIT; END';
CREATE FUNCTION in_branch(id bigint, wait boolean) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN wait THEN (SELECT status FROM [SHOW JOB WHEN COMPLETE id]) ELSE ''no'' END; END';
CREATE FUNCTION in_stable(id bigint) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN RETURN ($function); END';
CREATE FUNCTION alone_in_stable(id bigint) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT status FROM [SHOW JOB WHEN COMPLETE id]); END';
EOF
my $set = 'SET enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off; SET max_parallel_workers_per_gather = 0';

sub with_job { my ($text, $job) = @_; return defined $text ? $text =~ s/THE_ID/$job/gr : undef; }

# All of them wait for the same job. In the second round another session has a transaction open with many
# subtransactions: the snapshot after the wait has another size than the one before.
for my $writers (0, 1)
{
	my $name = $writers ? 'beside a writer: ' : '';
	$node->safe_psql('postgres', 'TRUNCATE made, copied; DELETE FROM t WHERE filler IS NULL; SELECT pg_stat_statements_reset()');
	my $gate = close_gate($node);
	my $job = start_job();
	my @sessions;
	for my $shape (@shapes)
	{
		my $session = $node->background_psql('postgres', on_error_stop => 0);
		my $pid = $session->query_safe('SELECT pg_backend_pid()');
		$session->query_safe($_) for map { s/^\s+//r } split(/;/, "$set;" . (with_job($shape->[2], $job) // ''));
		$session->query_until(qr/^waiting$/m, "\\echo waiting\n" . with_job($shape->[0], $job) . ";\n");
		wait_query($node, "SELECT state = 'active' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid");
		push @sessions, [ $session, $shape ];
	}
	my $writer = $node->background_psql('postgres');
	if ($writers)
	{
		$writer->query_safe('BEGIN');
		$writer->query_safe("SAVEPOINT s$_ \\; INSERT INTO others VALUES ($_)") for 1 .. 40;
	}
	open_gate($gate);
	for (@sessions)
	{
		my ($session, $shape) = @$_;
		my ($statement, $expected, $before, $after, $then) = @$shape;
		my $got = $session->query('');
		$got = $session->query($after) if defined $after && $after =~ /^TABLE/;
		ref $expected ? like($got, $expected, $name . $statement) : is($got, $expected, $name . $statement);
		diag($session->{stderr}) if $session->{stderr} =~ /ERROR|WARNING/;
		is($session->query($after), $then // '', "... then $after") if defined $after && $after !~ /^TABLE/;
		$session->query('ROLLBACK') if ($before // '') =~ /BEGIN/;
		$session->quit;
	}
	$writer->query_safe('COMMIT') if $writers;
	$writer->quit;
}
is( $node->safe_psql('postgres', q{SELECT bool_and(calls = 1), bool_and(rows = 1), count(*) FROM pg_stat_statements WHERE query LIKE 'SELECT count(*) FROM made, [SHOW%'}),
	't|t|1', 'pg_stat_statements counts such a query once');
my $log = slurp_file($node->logfile);
is(() = $log =~ /Query Text: SELECT count\(\*\) FROM made, \[SHOW/g, 2, '... and so does auto_explain, in each round');
unlike($log, qr/TRAP:|terminated by signal/, 'no crash');
unlike($log, qr/leak|was not closed/, 'nothing is left behind');

# An error in the wait, in a subtransaction too
my $gate = close_gate($node);
my $job = start_job();
my ($rc, $out, $err) = $node->psql('postgres', <<"EOF", on_error_stop => 0);
SET statement_timeout = '100ms';
@{[with_job($both, $job)]};
DO \$\$ BEGIN PERFORM in_plpgsql($job); EXCEPTION WHEN query_canceled THEN RAISE NOTICE 'caught'; END \$\$;
SET statement_timeout = 0;
SELECT count(*) FROM made;
EOF
like($err, qr/canceling statement due to statement timeout.*NOTICE:  caught/s, 'a wait that is ended by statement_timeout');
is($out, '1', '... after which the session goes on');

# A wait in what is not evaluated is none.
for my $case (
	[ 'false', 'no', "(boolean) AS SELECT CASE WHEN \$1 THEN (SELECT status FROM $wait) ELSE 'no' END" ],
	[ 'false', 'no', "(boolean) AS SELECT CASE WHEN NOT \$1 THEN 'no' ELSE (SELECT min(status) FROM $wait) END" ],
	[ 'false', 'f', "(boolean) AS SELECT \$1 AND (SELECT status FROM $wait) = 'succeeded'" ],
	[ 'true', 't', "(boolean) AS SELECT \$1 OR EXISTS (SELECT FROM $wait WHERE status = 'succeeded')" ],
	[ q('no'), 'no', "(text) AS SELECT coalesce(\$1, (SELECT status FROM $wait))" ],
	[ '2', 'no', "(integer) AS SELECT CASE WHEN n = \$1 THEN 'no' ELSE (SELECT status FROM $wait) END FROM (VALUES (2)) AS v (n)" ],
	[ '1', '1|0', "(integer) AS SELECT count(*), count((SELECT status FROM $wait)) FILTER (WHERE n <> \$1) FROM (VALUES (1)) AS v (n)" ],
	[ '2', '', "(integer) AS SELECT n FROM (VALUES (1)) AS v (n) WHERE n = \$1 AND CASE WHEN n = \$1 THEN (SELECT status FROM $wait) = 'succeeded' END" ],
	[ '0', '', "(integer) AS SELECT status FROM $wait LIMIT \$1" ],
	[ 'false', '', "(boolean) AS SELECT status FROM $wait WHERE \$1" ],
	[ 'false', '0', "(boolean) AS WITH w AS MATERIALIZED (SELECT status FROM $wait) SELECT count(*) FROM (SELECT FROM w WHERE \$1) AS v" ])
{
	my ($argument, $expected, $prepare) = map { with_job($_, $job) } @$case;
	for my $mode ('force_generic_plan', 'force_custom_plan')
	{
		# the timeout only ends what waits in error
		($rc, $out, $err) = $node->psql('postgres', "SET plan_cache_mode = $mode; SET statement_timeout = '20s'; PREPARE p $prepare; EXECUTE p($argument)");
		is("$out$err", $expected, "no wait, $mode: EXECUTE p($argument) of $prepare");
	}
}
($rc, $out, $err) = $node->psql('postgres', "SET statement_timeout = '20s'; SELECT in_branch($job, false)");
is("$out$err", 'no', '... nor in a function');

# Where there can be no new snapshot
for my $case ([ 'BEGIN ISOLATION LEVEL REPEATABLE READ', with_job($both, $job), 'its transaction', ' in a transaction of its own' ],
	[ 'BEGIN ISOLATION LEVEL SERIALIZABLE', with_job("SELECT (SELECT count(*) FROM [SHOW JOBS]) FROM $wait", $job), 'its transaction', ' in a transaction of its own' ],
	[ 'BEGIN', "SELECT in_stable($job)", 'what called it', '' ])
{
	my ($before, $statement, $whose, $how) = @$case;
	($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$before; SELECT 1 FROM pg_class LIMIT 1; $statement; COMMIT");
	like($err, qr/ERROR:  0A000: cannot read the tables of jobs in the query that waits for jobs here\n.*DETAIL:  .* snapshot of $whose is older\.\nHINT:  Type SHOW JOB WHEN COMPLETE as a statement of its own, and read after it$how\./s,
		"refused: $before; $statement");
}
my @patient = map {
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/^waiting$/m, "\\echo waiting\n" . with_job($_, $job) . ";\n");
	wait_query($node, "SELECT state = 'active' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid");
	$session;
} ("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT status FROM $wait", "BEGIN; SELECT alone_in_stable(THE_ID)",
	"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT status FROM [SHOW JOBS WHEN COMPLETE SELECT job_id FROM [SHOW JOB THE_ID]] AS w",
	"BEGIN; SELECT w.status FROM (VALUES (THE_ID)) AS v (id), LATERAL [SHOW JOB WHEN COMPLETE v.id] AS w");
open_gate($gate);
is($_->query(''), 'succeeded', '... but not what reads no jobs beside the wait') for @patient;
$_->quit for @patient;

# The ids are evaluated once.
add_jobs($node);
$node->safe_psql('postgres', <<'EOF');
CREATE TABLE calls (n serial, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE ids (id bigint);
CREATE FUNCTION f(id bigint) RETURNS bigint VOLATILE LANGUAGE plpgsql AS $$BEGIN INSERT INTO calls DEFAULT VALUES; RETURN id; END$$;
CREATE FUNCTION pop() RETURNS bigint VOLATILE LANGUAGE sql AS $$DELETE FROM ids WHERE id = (SELECT min(id) FROM ids) RETURNING id$$;
EOF
for my $statement (map { with_job($_, $job) } 'SHOW JOB WHEN COMPLETE f(THE_ID)', 'SHOW JOBS WHEN COMPLETE SELECT f(THE_ID)', 'PREPARE p AS SHOW JOB WHEN COMPLETE f($1); EXECUTE p(THE_ID)',
	'SELECT * FROM kwjobs.when_complete(ARRAY[f(THE_ID)])', 'SELECT * FROM kwjobs.when_complete(ARRAY[f(THE_ID)]), (VALUES (1)) AS v',
	'SELECT * FROM [SHOW JOB WHEN COMPLETE f(THE_ID)] AS w JOIN kwdb_internal.jobs USING (job_id)', 'SELECT (SELECT status FROM [SHOW JOB WHEN COMPLETE f(THE_ID)])',
	'BEGIN ISOLATION LEVEL REPEATABLE READ; SHOW JOB WHEN COMPLETE f(THE_ID); COMMIT', 'DO $$ BEGIN PERFORM FROM [SHOW JOB WHEN COMPLETE f(THE_ID)]; END $$',
	'CREATE TEMP TABLE x AS SHOW JOB WHEN COMPLETE f(THE_ID)', 'COPY (SHOW JOB WHEN COMPLETE f(THE_ID)) TO STDOUT', 'EXPLAIN ANALYZE SHOW JOB WHEN COMPLETE f(THE_ID)',
	'BEGIN; DECLARE c CURSOR FOR SHOW JOB WHEN COMPLETE f(THE_ID); FETCH c; FETCH c; COMMIT',
	# ... also those of statements that do not wait
	'SHOW JOB f(THE_ID)', 'SHOW JOBS (SELECT f(THE_ID))', 'SELECT * FROM [SHOW JOB f(THE_ID)] AS a, [SHOW JOBS] AS b', 'PAUSE JOB f(1)', 'CANCEL JOBS (SELECT f(3))',
	q(PAUSE JOB 1 WITH REASON = f(1)::text), q(PAUSE JOBS (SELECT job_id FROM kwdb_internal.jobs WHERE job_id < 4 AND status = 'paused') WITH REASON = f(1)::text))
{
	$node->safe_psql('postgres', 'TRUNCATE calls');
	$node->safe_psql('postgres', $statement);
	is($node->safe_psql('postgres', 'SELECT count(*) FROM calls'), 1, "evaluated once: $statement");
}
my $second = $node->safe_psql('postgres', "SELECT kwjobs.submit('SELECT 2')");
wait_for_status($node, $second, 'succeeded');
$node->safe_psql('postgres', "INSERT INTO ids VALUES ($job), ($second)");
is($node->safe_psql('postgres', 'SELECT job_id FROM [SHOW JOB WHEN COMPLETE pop()]'), $job, 'the job that is shown is the one that was waited for');
is($node->safe_psql('postgres', 'SELECT count(*) FROM ids'), 1, '... and no other id is taken');

$node->stop;
done_testing();
