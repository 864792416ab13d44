# Many workers claim small jobs at the same time, beside the coordinator: each job is done once, and
# a worker that finds its job claimed by another one goes on without an error.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('claims', <<'EOF');
kwjobs.max_workers = 8
fsync = off
EOF
my $jobs = 20000;

$node->safe_psql('postgres', "SELECT count(kwjobs.submit('SELECT 1')) FROM generate_series(1, $jobs)");
wait_query($node, 'SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE finished IS NULL');
is($node->safe_psql('postgres', 'SELECT status, total_num_of_ex, count(*) FROM kwdb_internal.jobs GROUP BY 1, 2'),
	"succeeded|1|$jobs", 'each job is done once');
is($node->safe_psql('postgres', 'SELECT status, count(*) FROM kwdb_internal.job_attempts GROUP BY 1'),
	"succeeded|$jobs", '... in one attempt');
is(join("\n", grep { /ERROR:/ } split(/\n/, slurp_file($node->logfile))), '', 'no worker met an error');

# Before each job a worker looks whether ALTER ROLE and ALTER DATABASE have changed a setting. Here
# the catalog of such settings has no page, so the worker does not search it. Only new sessions do.
{
	my $n_scans = q{SELECT sum(idx_scan) FROM pg_stat_all_indexes WHERE relid = 'pg_db_role_setting'::regclass};
	my $before = $node->safe_psql('postgres', $n_scans);
	$node->safe_psql('postgres', q{SELECT count(kwjobs.submit('SELECT 1')) FROM generate_series(1, 2000)});
	wait_query($node, 'SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE finished IS NULL');
	$node->restart;
	cmp_ok($node->safe_psql('postgres', $n_scans) - $before, '<', 2000, 'where there are no settings, a job costs no search for them');
}

# A worker that finds a job which it cannot run leaves the job's row unlocked while it commits the
# end of its own. Here the second job needs another session, because the first one has used
# temporary tables. Gate 4902 stops the worker before that commit.
{
	configure($node, 'kwjobs.max_workers', 1);
	my $gates = close_gates($node, 4711, 4902);
	my $first = $node->safe_psql('postgres', q{SELECT kwjobs.submit('CREATE TEMP TABLE used AS SELECT 1; SELECT pg_advisory_xact_lock_shared(4711)')});
	wait_at_gate($node, $first);
	my $second = $node->safe_psql('postgres', q{SELECT kwjobs.submit('SELECT 1', settings => '{"temp_buffers": "1600kB"}')});
	wait_query($node, "SELECT rank IS NOT NULL FROM kwjobs.job WHERE job_id = $second");
	wait_for_pass($node);
	$gates->query_safe('SELECT pg_advisory_unlock(4711)');
	wait_at_gates($node, 1, 'objid = 4902');
	is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT FROM kwjobs.job WHERE job_id = $second FOR UPDATE SKIP LOCKED) AS l"),
		'1', 'a job that the worker cannot run is not locked');
	$gates->quit;
	wait_for_status($node, $_, 'succeeded') for $first, $second;
}
$node->stop;
done_testing();
