# A transaction that has called kwjobs.delete and stays open holds up neither retention nor jobs.
# After its commit, the coordinator adds what it counted to the sums.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('delete', "autovacuum = off\njobs.retention_time = '10000d'\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Sets the retention time. The coordinator applies a new one at once.
sub set_retention
{
	my ($time) = @_;
	sql("ALTER SYSTEM SET jobs.retention_time = '$time'");
	$node->reload;
	return;
}

my $sums = "SELECT day, status, jobs, attempts, rows, run_time FROM kwdb_internal.job_history WHERE day = '2024-05-06' ORDER BY status";

sql(<<'EOF');
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts,
                        payload, created, started, finished, modified, total_num_of_ex, rows)
SELECT n, 'SQL', 'a job', 10, 'postgres', CASE WHEN n <= 6 THEN 'succeeded' ELSE 'failed' END, 'infinity', 1,
       '{}', f, f - interval '1 minute', f, f, 2, 5
  FROM (SELECT n, timestamptz '2024-05-06 12:00:00+00' - n * interval '1 second' AS f FROM generate_series(1, 10) AS n) AS ended;
INSERT INTO kwjobs.attempt (job_id, attempt, reverting, status, started, finished, node_id, rows)
SELECT n, 1, false, 'succeeded', now(), now(), 1, 5 FROM generate_series(1, 10) AS n;
EOF

# One session deletes jobs and keeps its transaction open, another one deletes a job and dies.
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe('BEGIN');
is($session->query_safe('SELECT kwjobs.delete_jobs(ARRAY[1, 7])'), '2', 'two jobs are deleted in a transaction that stays open');
my $dying = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $dying->query_safe('SELECT pg_backend_pid()');
$dying->query_safe('BEGIN');
$dying->query_safe('SELECT kwjobs.delete(2)');
sql("SELECT pg_terminate_backend($pid)");
wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
eval { $dying->quit };
is(sql('SELECT count(*) FROM kwjobs.job'), '10', 'other sessions still see all of them');

# Meanwhile retention deletes other jobs that count in the same sums, and a job runs.
set_retention('13d');
wait_query($node, "SELECT array_agg(job_id ORDER BY job_id) = '{1,7}' FROM kwdb_internal.jobs WHERE job_id < 100");
is(sql($sums), "2024-05-06|failed|3|6|15|00:03:00\n2024-05-06|succeeded|5|10|25|00:05:00", 'retention has deleted and counted the others meanwhile');
is(sql("CALL kwjobs.run('SELECT 1')") =~ s/^\d+//r, '|succeeded|1|{"SELECT 1"}|', 'a job runs meanwhile');

# The history counts all deleted jobs, before and after the coordinator adds the loose rows.
my $all = "2024-05-06|failed|4|8|20|00:04:00\n2024-05-06|succeeded|6|12|30|00:06:00";
$session->query_safe('COMMIT');
is(sql($sums), $all, 'the history counts what was deleted by hand');
is(sql('SELECT count(*) FROM kwjobs.attempt WHERE job_id < 100'), '0', 'no attempt is left');
is(sql('SELECT count(*) FROM kwjobs.history WHERE added <> 0'), '2', '... in rows of its own');
set_retention('12d');
wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.history WHERE added <> 0');
is(sql($sums), $all, '... which the coordinator adds to the sums');
is(sql("SELECT count(*) FROM kwjobs.history WHERE day = '2024-05-06'"), '2', '... of which there is one for a day, type and status');
is_consistent($node);
$session->quit;

$node->stop;
done_testing();
