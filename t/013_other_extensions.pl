# Beside other extensions that look at statements, in either load order: plpgsql_check,
# pgaudit, pg_stat_statements, auto_explain.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('others', 'max_prepared_transactions = 2');
my $libraries = $node->config_data('--pkglibdir');
my @others = qw(pg_stat_statements auto_explain pgaudit plpgsql_check);
my %has = map { $_ => -e "$libraries/$_.so" } @others;

add_jobs($node);
# where they do not show among the others
$node->safe_psql('postgres', 'CREATE DATABASE sql_jobs');
$node->safe_psql('sql_jobs', 'CREATE EXTENSION kwjobs');
$node->safe_psql('postgres', <<'EOF');
CREATE FUNCTION all_forms(v_id bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r record;
    n bigint;
    seen text := '';
BEGIN
    PAUSE JOB v_id;
    PAUSE JOB v_id WITH REASON = 'reason of ' || v_id;
    PAUSE JOBS (SELECT v_id);
    FOR r IN SHOW JOBS LOOP seen := seen || r.job_id; END LOOP;
    FOR r IN SHOW JOB v_id LOOP seen := seen || r.status; END LOOP;
    FOR r IN SELECT * FROM [SHOW JOBS] WHERE job_id = v_id LOOP seen := seen || r.job_id; END LOOP;
    SELECT count(*) INTO n FROM [SHOW JOBS];
    seen := seen || n;
    SHOW JOB v_id INTO r;
    seen := seen || r.job_type;
    n := (SELECT count(*) FROM [SHOW JOB v_id]);
    PERFORM job_id FROM [SHOW JOBS];
    IF EXISTS (SELECT FROM [SHOW JOB v_id] WHERE job_id = v_id) THEN seen := seen || n; END IF;
    EXECUTE 'PAUSE JOB $1' USING v_id;
    RETURN seen;
END $$;
CREATE FUNCTION wrong(v_id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    PAUSE JOB v_jd;
    FOR r IN SHOW JOBS LOOP RAISE NOTICE '%', r.nosuch; END LOOP;
END $$;
CREATE FUNCTION ids() RETURNS SETOF bigint LANGUAGE plpgsql STABLE AS
    'BEGIN RETURN QUERY SELECT job_id FROM [SHOW JOBS] ORDER BY job_id; END';
EOF

# Job statements wherever a statement can stand, and the answers; then errors.
sub check_statements
{
	my ($order) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', <<'EOF', on_error_stop => 0);
SELECT job_id FROM [SHOW JOBS];
SELECT all_forms(1);
SELECT string_agg(id::text, ',') FROM ids() AS id;
BEGIN;
DO $$ BEGIN CANCEL JOB 1 WITH REASON = 'do'; END $$;
SELECT request_reason FROM kwjobs.job WHERE job_id = 1;
ROLLBACK;
PREPARE p AS SELECT status FROM [SHOW JOB $1];
EXECUTE p(1);
EXECUTE p(3);
DEALLOCATE p;
SELECT 'first'\; PAUSE JOB 1\; SELECT 'last';
BEGIN;
PAUSE JOB 99;
ROLLBACK;
PAUSE JOB 99;
SELEC 1;
PAUSE JOB;
SHOW JOB 'a';
BEGIN;
SAVEPOINT s;
PAUSE JOB 99;
ROLLBACK TO s;
SELECT 'after an error ' || status FROM [SHOW JOB 1];
PREPARE TRANSACTION 'gid';
ROLLBACK PREPARED 'gid';
SELECT 'at the end ' || status FROM [SHOW JOB 1];
EOF
	is( $out, join("\n",
			1, 2, 3, '123paused13IMPORT1', '1,2,3', 'do', 'paused', 'canceled', 'first', 'last',
			'after an error paused', 'at the end paused'),
		"$order: job statements");
	my @errors = $err =~ /ERROR:  (.*)/g;
	is_deeply(
		\@errors,
		[
			('job with ID 99 does not exist') x 2,
			'syntax error at or near "SELEC"',
			'syntax error at or near ";"',
			'invalid input syntax for type bigint: "a"',
			'job with ID 99 does not exist',
		],
		'... and their errors') or diag($err);
	return;
}

sub check_plpgsql_check
{
	my ($order) = @_;
	$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS plpgsql_check');
	for my $function (qw(all_forms ids))
	{
		is( $node->safe_psql('postgres', "SELECT plpgsql_check_function('$function', all_warnings => true)"),
			'', "$order: plpgsql_check finds nothing wrong in $function");
	}
	my $found = $node->safe_psql('postgres', "SELECT plpgsql_check_function('wrong', fatal_errors => false)");
	like($found, qr/^error:42703:5:SQL statement:column "v_jd" does not exist\nQuery: PAUSE JOB v_jd\n--               \^$/m,
		'... but a name that is wrong in a job statement');
	like($found, qr/record "r" has no field "nosuch"/, '... and a column that SHOW JOBS does not have');

	# when functions start, and with everything else that it does
	is( $node->safe_psql('postgres', <<'EOF'),
SET plpgsql_check.mode = every_start;
SET plpgsql_check.profiler = on;
SET plpgsql_check.enable_tracer = on;
SET plpgsql_check.tracer = on;
SET client_min_messages = warning;
SELECT all_forms(1);
SELECT trim(exec_stmts::text, '{}'), source FROM plpgsql_profiler_function_tb('all_forms') WHERE source ~ 'PAUSE JOB v_id;';
SELECT all_forms(1);
EOF
		"123paused13IMPORT1\n1|    PAUSE JOB v_id;\n123paused13IMPORT1",
		"$order: checked when it starts, profiled, traced");
	return;
}

sub check_pgaudit
{
	my ($order) = @_;
	$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS pgaudit');
	my $from = -s $node->logfile;
	my %class = (
		'SHOW JOBS' => 'READ,SELECT',
		'SHOW /* the */ JOB 1' => 'READ,SELECT',
		"PAUSE JOB 1 WITH REASON = 'a reason'" => 'WRITE,UPDATE',
		'SELECT job_id FROM [SHOW JOB 1]' => 'READ,SELECT',
		'PREPARE p AS PAUSE JOB $1' => 'WRITE,PREPARE',
		'PAUSE JOB 99' => 'WRITE,UPDATE');
	$node->psql('postgres', "SET pgaudit.log = 'all'; SET log_statement = 'none';\n" . join(";\n", sort(keys %class), 'EXECUTE p(1)', 'DO $$BEGIN PAUSE JOB 1; END$$;'),
		on_error_stop => 0);
	my $log = slurp_file($node->logfile, $from);
	# since PostgreSQL 17 it leaves out the semicolon, and the other statements of the text
	for my $statement (sort keys %class)
	{
		like($log, qr/LOG:  AUDIT: SESSION,\d+,\d+,$class{$statement},,,"?\Q$statement\E;?"?,<not logged>$/m,
			"$order: pgaudit: $statement");
	}
	like($log, qr/LOG:  AUDIT: SESSION,\d+,\d+,WRITE,UPDATE,,,PAUSE JOB 1,<not logged>$/m, "$order: pgaudit: in DO");
	like($log, qr/LOG:  AUDIT: SESSION,\d+,\d+,MISC,EXECUTE,,,EXECUTE p\(1\);?,<not logged>$/m, "$order: pgaudit: EXECUTE");
	$node->safe_psql('sql_jobs', q{CALL kwjobs.run('SELECT 1; SELECT 42 AS in_a_job', settings => '{"pgaudit.log": "all"}')});
	like(slurp_file($node->logfile, $from), qr/kwjobs worker LOG:  AUDIT: SESSION,\d+,\d+,READ,SELECT,,,(SELECT 1; )?SELECT 42 AS in_a_job,<not logged>$/m, "$order: pgaudit: in a SQL job");
	return;
}

sub check_pg_stat_statements
{
	my ($order) = @_;
	$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
	is( $node->safe_psql('postgres', <<'EOF'),
SET client_min_messages = error;
DO $$ BEGIN PERFORM pg_stat_statements_reset(); END $$;
PAUSE JOB 1;
PAUSE JOB 1;
SELECT query, calls FROM pg_stat_statements WHERE query ~ '^PAUSE';
EOF
		'PAUSE JOB $1|2', "$order: pg_stat_statements");
	$node->safe_psql('sql_jobs', q{CALL kwjobs.run('SELECT 1; SELECT length(repeat(''x'', 42))')});
	is( $node->safe_psql('postgres', <<'EOF'),
SELECT query, calls, toplevel FROM pg_stat_statements WHERE query ~ '^SELECT length.repeat'
EOF
		'SELECT length(repeat($1, $2))|1|t', "$order: pg_stat_statements, in a SQL job");
	return;
}

sub check_auto_explain
{
	my ($order) = @_;
	my $from = -s $node->logfile;
	$node->safe_psql('postgres', 'SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on; SHOW JOB 1;');
	like(slurp_file($node->logfile, $from), qr/plan:\n\tQuery Text: .*SHOW JOB 1;\n/, "$order: auto_explain");
	$node->safe_psql('sql_jobs', q{CALL kwjobs.run('SELECT 42 AS in_a_job', settings => '{"auto_explain.log_min_duration": 0}')});
	like(slurp_file($node->logfile, $from), qr/kwjobs worker LOG:  duration: .*plan:\n\tQuery Text: SELECT 42 AS in_a_job\n/, "$order: auto_explain, in a SQL job");
	return;
}

my @present = grep { $has{$_} } @others;
for my $order (join(',', 'kwjobs', @present), join(',', reverse('kwjobs', @present)))
{
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$order'");
	$node->restart;
	# the start is a job, too: not here
	wait_query($node, q{SELECT count(*) = 1 FROM kwjobs.job WHERE job_type = 'RESTART'});
	$node->safe_psql('postgres', q{DELETE FROM kwjobs.job WHERE job_type = 'RESTART'});
	check_statements($order);
	for my $other (@others)
	{
	  SKIP:
		{
			no strict 'refs';
			skip "$order: $other is not installed for this server ($libraries)", 1 unless $has{$other};
			&{"check_$other"}($order);
		}
	}
}

unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal/, 'no process crashed');
$node->stop;
done_testing();
