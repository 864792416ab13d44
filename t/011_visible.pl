# What the server and other extensions show of job statements is the user's own text, in
# either load order; and what a session keeps that uses many of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('visible', <<'EOF');
kwjobs.progress_interval = 0
auto_explain.log_min_duration = 0
auto_explain.log_nested_statements = on
pg_stat_statements.track = all
EOF
my $csv = write_csv($node, 10);
$node->safe_psql('postgres', <<'EOF');
CREATE TABLE target (n integer, t text);
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status,
                        due, max_attempts, payload, created, started, finished, modified)
SELECT n, 'IMPORT', 'a job', 10, 'postgres', status, 'infinity', 1, '{}',
       now(), now(), finished, now()
  FROM (VALUES (1, 'paused', NULL), (2, 'running', NULL), (3, 'canceled', now()))
       AS job (n, status, finished)
EOF

# What the log gets while statements run under this setting.
sub logged
{
	my ($setting, @statements) = @_;
	my $from = -s $node->logfile;
	$node->safe_psql('postgres', join("\n", "SET $setting;", map { "$_;" } @statements));
	return slurp_file($node->logfile, $from);
}

sub check_log
{
	my ($order) = @_;
	my @statements = (
		"PAUSE JOB 1 WITH REASON = 'a reason'",
		'SHOW JOBS',
		'SHOW /* the */ JOB 1',
		'SELECT count(*) FROM [SHOW JOBS WHERE job_id = 1]',
		"IMPORT INTO target CSV DATA ('$csv')",
		"IMPORT INTO target CSV DATA ('$csv') WITH detached");
	my $all = logged('log_statement = "all"', @statements);
	my $duration = logged(q(log_min_duration_statement = 0; SET log_statement = "none"), @statements);
	my $mod = logged('log_statement = "mod"', @statements);
	my $ddl = logged('log_statement = "ddl"', @statements, 'CREATE TEMPORARY TABLE shown AS SHOW JOB 1');

	for (@statements)
	{
		like($all, qr/LOG:  statement: \Q$_\E;$/m, "$order: log_statement = all: $_");
		like($duration, qr/LOG:  duration: .* ms  statement: \Q$_\E;$/m,
			"$order: log_min_duration_statement = 0: $_");
	}
	like($mod, qr/LOG:  statement: PAUSE JOB 1/, "$order: log_statement = mod has what changes jobs");
	unlike($mod, qr/LOG:  statement: (SHOW|SELECT)/, '... and not what shows them');
	like($ddl, qr/LOG:  statement: CREATE TEMPORARY TABLE shown AS SHOW JOB 1/,
		"$order: log_statement = ddl has DDL");
	unlike($ddl, qr/LOG:  statement: (SHOW|SELECT|PAUSE|IMPORT)/, '... and nothing else');
	return;
}

sub check_activity
{
	my ($order) = @_;
	my $query = 'SELECT query FROM pg_stat_activity, [SHOW JOB 1] WHERE pid = pg_backend_pid()';
	is($node->safe_psql('postgres', $query), $query, "$order: pg_stat_activity");
	return;
}

sub check_explain
{
	my ($order) = @_;
	my $log = logged('work_mem = 4096', 'SHOW JOBS', 'SHOW JOB 1', 'PAUSE JOB 1',
		q(DO $$ BEGIN PAUSE JOB 1 WITH REASON = 'nested'; END $$));
	for ('SHOW JOBS;', 'SHOW JOB 1;', 'PAUSE JOB 1;', q(PAUSE JOB 1 WITH REASON = 'nested'))
	{
		like($log, qr/LOG:  duration: .* ms  plan:\n\tQuery Text: \Q$_\E\n/, "$order: auto_explain: $_");
	}
	return;
}

# One entry for each form, with $1 where constants were.
sub check_statements
{
	my ($order) = @_;
	# imports that do not count here, and may run still
	my $no_import = "SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE finished IS NULL AND description LIKE 'IMPORT INTO public.target %'";
	wait_query($node, $no_import);
	$node->safe_psql('postgres', <<"EOF");
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
SELECT pg_stat_statements_reset();
SHOW JOB 1;
SHOW JOB 2;
SHOW JOB 3 WHEN COMPLETE;
SHOW JOBS;
SHOW JOBS;
SHOW JOBS WHERE job_id = 1;
SHOW JOBS WHERE job_id = 2;
PAUSE JOB 1;
PAUSE JOB 1 WITH REASON = 'one';
PAUSE JOB 1 WITH REASON = 'two';
RESUME JOB 2;
CANCEL JOBS (SELECT 3);
CANCEL JOBS (SELECT 3);
SELECT count(*) FROM [SHOW JOB 1];
SELECT count(*) FROM [SHOW JOB 2];
IMPORT INTO target CSV DATA ('$csv') WITH detached;
IMPORT INTO target CSV DATA ('$csv') WITH detached;
EOF
	# the worker's batches are statements, too, with the description of the job as their text
	wait_query($node, $no_import);
	my %calls = split /[|\n]/, $node->safe_psql('postgres', <<'EOF');
SELECT query, sum(calls) FROM pg_stat_statements
 WHERE toplevel AND query ~ '^(SHOW|PAUSE|RESUME|CANCEL|IMPORT|SELECT count.* FROM .SHOW)'
 GROUP BY query
EOF
	is_deeply(
		\%calls,
		{
			'SHOW JOB $1' => 2,
			'SHOW JOB $1 WHEN COMPLETE' => 1,
			'SHOW JOBS' => 2,
			'SHOW JOBS WHERE job_id = $1' => 2,
			'PAUSE JOB $1' => 1,
			'PAUSE JOB $1 WITH REASON = $2' => 2,
			'RESUME JOB $1' => 1,
			'CANCEL JOBS (SELECT $1)' => 2,
			'SELECT count(*) FROM [SHOW JOB $1]' => 2,
			'IMPORT INTO $1 CSV DATA ($2) WITH detached' => 2,
			"IMPORT INTO public.target (n, t) CSV DATA ('$csv')" => 2,
		},
		"$order: pg_stat_statements") or diag(explain(\%calls));
	return;
}

for my $order ('kwjobs,pg_stat_statements,auto_explain', 'auto_explain,pg_stat_statements,kwjobs')
{
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$order'");
	$node->restart;
	check_log($order);
	check_activity($order);
	check_explain($order);
	check_statements($order);
}

# Thousands of job statements leave nothing in the session, whether they are right or wrong.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kwjobs'");
$node->restart;
my $many = join(
	"\n", map { "$_;" }
	  ('SHOW JOBS', 'SHOW JOB 1', 'PAUSE JOB 1', 'PAUSE JOBS 1, 2', 'SHOW JOB nosuch',
		'SELECT count(*) FROM [SHOW JOB 1], [SHOW JOB 2]', 'SELEC 1', 'SHOW JOB WHEN COMPLETE 3',
		'SELECT * FROM [SHOW JOBS', 'PAUSE JOB 1.5')) . "\n";
my $memory = "SELECT 'memory', sum(used_bytes) FROM pg_backend_memory_contexts;\n";
my (undef, $out) = $node->psql('postgres', $many x 10 . $memory . $many x 1000 . $memory, on_error_stop => 0);
my ($before, $after) = $out =~ /^memory\|(\d+)$/mg;
cmp_ok($after, '<', $before + 100_000, "10,000 job statements leave no memory behind ($before, $after bytes)");

# Job statements in functions that job statements call.
is( $node->safe_psql('postgres', <<'EOF'),
CREATE FUNCTION inner_job(n bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE found bigint;
BEGIN
    BEGIN
        EXECUTE 'PAUSE JOBS 1, 2';
    EXCEPTION WHEN syntax_error THEN NULL;
    END;
    EXECUTE 'SELECT job_id FROM [SHOW JOB $1]' INTO found USING n;
    RETURN found;
END $$;
CREATE FUNCTION outer_job(n bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE found bigint;
BEGIN
    EXECUTE 'SELECT job_id FROM [SHOW JOB inner_job($1)]' INTO found USING n;
    RETURN found;
END $$;
CREATE FUNCTION deep_job(n bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE found bigint;
BEGIN
    IF n = 0 THEN RETURN 1; END IF;
    EXECUTE 'SELECT job_id FROM [SHOW JOB deep_job($1 - 1)]' INTO found USING n;
    RETURN found;
END $$;
SELECT job_id FROM [SHOW JOB outer_job(2)];
SELECT job_id FROM [SHOW JOB deep_job(50)];
EOF
	"2\n1", 'job statements in functions that job statements call');

# SHOW JOBS in an SQL function is a query, too, the last one or not.
is( $node->safe_psql('postgres', <<'EOF'),
CREATE TABLE shape AS SHOW JOB 1;
CREATE FUNCTION all_jobs() RETURNS SETOF shape LANGUAGE sql AS 'SHOW JOBS';
CREATE FUNCTION first_job(n bigint) RETURNS bigint LANGUAGE sql AS 'SHOW JOBS; SELECT job_id FROM [SHOW JOB $1]';
SELECT count(*) FROM all_jobs() WHERE job_id < 4;
SELECT (all_jobs()).job_id INTERSECT SELECT 2;
SELECT first_job(2), first_job(1);
EOF
	"3\n2\n2|1", 'SHOW JOBS in SQL functions');

# A time limit that ends statements while they are scanned, parsed, planned, executed.
my $ids = join(', ', map { "(($_))" } 1 .. 20_000);
for my $statement ("SHOW JOBS WHERE job_id IN ($ids)", "SELECT count(*) FROM [SHOW JOBS (VALUES $ids)]",
	"PAUSE JOBS (SELECT 1 FROM generate_series(1, 100000000))", 'SHOW JOB WHEN COMPLETE 2')
{
	my $script = '';
	for my $limit (1, 2, 3, 5, 8, 13, 21, 34, 55)
	{
		$script .= "SET statement_timeout = $limit;\n$statement;\nRESET statement_timeout;\nRESET statement_timeout;\n";
	}
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $script . "SELECT status FROM [SHOW JOB 1];\n", on_error_stop => 0);
	my $name = substr($statement, 0, 40);
	like($stderr, qr/canceling statement due to statement timeout/, "canceled: $name");
	unlike($stderr, qr/(?<!canceling statement due to )(syntax error|PANIC|server closed)/, '... with no other error');
	like($stdout, qr/^paused$/m, '... and the session goes on');
}

# SET LOCAL ends with the transaction, for job statements, too.
is( $node->safe_psql('postgres', <<'EOF'),
UPDATE kwjobs.job SET finished = now() - interval '2 hours' WHERE job_id = 3;
BEGIN;
SET LOCAL kwjobs.show_window = '1h';
SELECT count(*) FROM [SHOW JOBS] WHERE job_id = 3;
COMMIT;
SELECT count(*) FROM [SHOW JOBS] WHERE job_id = 3;
BEGIN;
SET LOCAL kwjobs.statements = off;
SAVEPOINT s;
\set ON_ERROR_STOP 0
SHOW JOB 1;
\set ON_ERROR_STOP 1
ROLLBACK TO s;
SET LOCAL kwjobs.statements = on;
SELECT job_id FROM [SHOW JOB 1];
ROLLBACK;
SELECT job_id FROM [SHOW JOB 2];
EOF
	"0\n1\n1\n2", 'SET LOCAL');

unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal/, 'no process crashed');
$node->stop;
done_testing();
