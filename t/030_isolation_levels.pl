# Jobs whose transactions have one snapshot from beginning to end: the bookkeeping goes by what
# is committed now all the same, and is no conflict between jobs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $gate = 4712;
my $jobs = 400;

my $node = new_node('isolation_levels', <<'EOF');
kwjobs.max_workers = 4
EOF
my $keeper = $node->background_psql('postgres');

sub submit
{
	my ($statement, $level, $more) = @_;
	return $node->safe_psql('postgres',
		qq{SELECT kwjobs.submit('$statement', settings => '{"default_transaction_isolation": "$level"}'}
		  . ($more ? ", $more" : '') . ')');
}

for my $level ('repeatable read', 'serializable')
{
	$node->safe_psql('postgres', <<"EOF");
SELECT count(kwjobs.submit('SELECT 1', key => 'n' || n, max_attempts => 1,
                           settings => '{"default_transaction_isolation": "$level"}'))
  FROM generate_series(1, $jobs) AS n
EOF
	wait_query($node, "SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL");
	is( $node->safe_psql('postgres',
			"SELECT status, attempts, count(*) FROM kwjobs.job WHERE key IS NOT NULL GROUP BY 1, 2"),
		"succeeded|1|$jobs", "$level: jobs at the same time do not meet each other");
	$node->safe_psql('postgres', 'UPDATE kwjobs.job SET key = NULL');

	# what comes after the job's snapshot
	$keeper->query_safe("SELECT pg_advisory_lock($gate)");
	my $first = submit("SELECT pg_advisory_xact_lock_shared($gate)", $level, 'max_attempts => 1');
	wait_query($node,
		"SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = $gate AND NOT granted");
	my $second = submit('SELECT 1', $level, "depends_on => ARRAY[$first]");
	wait_query($node, 'SELECT NOT bool_or(fresh) FROM kwjobs.dependency');
	$keeper->query_safe("SELECT pg_advisory_unlock($gate)");
	wait_for_status($node, $second, 'succeeded');
	is(job_field($node, $first, 'total_num_of_ex'), 1, "$level: a job that another one came to depend on");
	is( $node->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.dependency'),
		0, "$level: nothing depends on it any more");
}

$keeper->quit;
is_consistent($node);
$node->stop;
done_testing();
