# Every job statement through the simple and the extended protocol, prepared and with
# parameters; and the text that the server shows for it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('protocol', <<'EOF');
kwjobs.import_batch_size = 1kB
log_statement = all
EOF
my $csv = write_csv($node, 10);
$node->safe_psql('postgres', 'CREATE TABLE target (n integer, t text)');
my $done = start_import($node, 'target', $csv);
wait_for_status($node, $done, 'succeeded');

# Jobs that nobody runs, in statuses in which a control statement is legal time and again:
# 1 to pause, 2 to resume, 3 to cancel.
$node->safe_psql('postgres', <<'EOF');
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status,
                        due, max_attempts, payload, created, started, finished, modified)
SELECT n, 'IMPORT', 'a job', 10, 'postgres', status, 'infinity', 1, '{}',
       now(), now(), finished, now()
  FROM (VALUES (1, 'paused', NULL), (2, 'running', NULL), (3, 'canceled', now()))
       AS job (n, status, finished)
EOF

# Statements with a parameter in each place where an expression can stand. Each script
# runs in each of pgbench's modes; -M prepared executes each one several times.
my %scripts = (
	show => <<"EOF",
SHOW JOBS;
SHOW AUTOMATIC JOBS;
\\set id $done
SHOW JOB :id;
SHOW JOBS SELECT :id::bigint;
SHOW JOBS WHERE job_id = :id;
SHOW JOB WHEN COMPLETE :id;
SHOW JOB :id WHEN COMPLETE;
SHOW JOBS WHEN COMPLETE SELECT :id::bigint;
SELECT count(*) FROM [SHOW JOBS] AS a JOIN [SHOW JOB :id] AS b USING (job_id);
EOF
	control => <<"EOF",
\\set id $done
\\set one 1
\\set two 2
\\set three 3
PAUSE JOB :one;
PAUSE JOBS SELECT :one::bigint WITH REASON = 'text';
RESUME JOB :two WITH REASON = 'text';
RESUME JOBS SELECT :two::bigint;
CANCEL JOB :three;
CANCEL JOBS (SELECT :three::bigint) WITH REASON = 'text';
CANCEL JOB NULL;
PAUSE JOBS (SELECT job_id FROM [SHOW JOBS] WHERE job_id = :id AND status = 'running');
BEGIN;
CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE job_id = :three) WITH REASON = 'text';
ROLLBACK;
EOF
	import => <<"EOF",
\\set skip 3
IMPORT INTO target (n, t) CSV DATA ('$csv') WITH skip = :skip;
BEGIN;
IMPORT INTO target CSV DATA ('$csv') WITH skip = :skip, detached;
COMMIT;
EOF
);
for my $name (sort keys %scripts)
{
	my $file = $node->basedir . "/$name.sql";
	append_to_file($file, $scripts{$name});
	for my $mode (qw(simple extended prepared))
	{
		$node->command_ok(
			[ 'pgbench', '-n', '-t', '5', '-M', $mode, '-f', $file, '-h', $node->host, '-p', $node->port, 'postgres' ],
			"$name: pgbench -M $mode");
	}
}
wait_query($node, "SELECT bool_and(status = 'succeeded') FROM kwdb_internal.jobs WHERE job_id > 3");
is($node->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE rows = 7) FROM kwdb_internal.jobs WHERE job_id > 3'),
	'31|30', 'each IMPORT made one job, with its parameter');
is($node->safe_psql('postgres', 'SELECT count(*) FROM target'), 10 + 30 * 7, '... and its rows');

# What the server shows is what the user typed.
my $log = slurp_file($node->logfile);
like($log, qr/LOG:  statement: PAUSE JOBS \(SELECT job_id FROM \[SHOW JOBS\] WHERE job_id = $done AND/,
	'the log has the statement (simple)');
like($log, qr/LOG:  execute P\w*_\d+: PAUSE JOBS \(SELECT job_id FROM \[SHOW JOBS\] WHERE job_id = \$1 AND/,
	'the log has the statement (prepared)');
unlike($log, qr/TRAP|PANIC/, 'no assertion failed');

# Prepared, executed again after DISCARD ALL and after the extension was made anew.
is( $node->safe_psql('postgres', <<"EOF"),
PREPARE show AS SELECT status FROM [SHOW JOB \$1];
EXECUTE show($done);
DISCARD ALL;
SELECT status FROM [SHOW JOB $done];
PREPARE show AS SHOW JOB \$1;
DEALLOCATE show;
PREPARE show AS SELECT count(*) FROM [SHOW JOBS];
DROP EXTENSION kwjobs;
CREATE EXTENSION kwjobs;
EXECUTE show;
EOF
	"succeeded\nsucceeded\n0",
	'prepared statements');

# In an aborted transaction: PostgreSQL's own error for each of them.
for my $statement ('SHOW JOBS', 'SHOW JOB 1', 'SHOW JOB WHEN COMPLETE 1', 'PAUSE JOB 1',
	'RESUME JOB 1', 'CANCEL JOB 1', 'SELECT * FROM [SHOW JOBS]', "IMPORT INTO target CSV DATA ('$csv')")
{
	my ($rc, $out, $err) = $node->psql('postgres', "BEGIN; SELECT 1/0;\n\\set ON_ERROR_STOP 0\n$statement;\nROLLBACK;\nSELECT 'fine'",
		on_error_stop => 0);
	like($err, qr/current transaction is aborted, commands ignored until end of transaction block/,
		"in an aborted transaction: $statement");
	like($out, qr/fine$/, '... and the session goes on');
}

$node->stop;
done_testing();
