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
$node->stop;
done_testing();
