# The coordinator finds the row of a job locked by the worker that ends this job, and asks the worker
# to wake the coordinator. Here the worker commits, and begins the job that it has announced, just
# before the coordinator asks. To bring that about, test builds have two gates: the worker waits for
# the advisory lock 4902 before it commits, and the coordinator for 4901 before it asks.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('watch', "kwjobs.max_workers = 1\n");
sub sql { return $node->safe_psql('postgres', $_[0]) }

sub wait_at { return wait_at_gates($node, 1, "objid = $_[0]") }

for my $case (
	[ 'a serial key', ", serial_key => 'k'", "serial_key => 'k'" ],
	[ 'a dependency', '', 'depends_on => %s' ])
{
	my ($name, $first_has, $second_has) = @$case;
	my $gate = $node->background_psql('postgres');
	$gate->query_safe("SELECT pg_advisory_lock($_)") for 4711, 4712, 4902;
	my $first = sql("SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)'$first_has)");
	wait_at(4711);
	my @next = map { sql("SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4712)')") } 1 .. 2;
	# After this pass, the coordinator's next round through the jobs that are due begins at the head of
	# the list, and looks at each job once.
	my $low = sql("SELECT kwjobs.submit('SELECT 1', serial_key => 'low', priority => -50)");
	wait_query($node, "SELECT rank IS NOT NULL FROM kwjobs.job WHERE job_id = $low");
	wait_for_pass($node);
	$gate->query_safe('SELECT pg_advisory_unlock(4711)');
	wait_at(4902);
	$gate->query_safe('SELECT pg_advisory_lock(4901)');
	my $second = sql(sprintf("SELECT kwjobs.submit('SELECT 1', priority => 50, $second_has)", $first));
	wait_at(4901);
	$gate->query_safe('SELECT pg_advisory_unlock(4902)');
	wait_at(4712);
	$gate->query_safe('SELECT pg_advisory_unlock(4901)');
	wait_query($node, "SELECT rank IS NOT NULL FROM kwjobs.job WHERE job_id = $second");
	is(job_field($node, $next[1], 'status'), 'pending', "$name: the job may start before another one ends");
	$gate->query_safe('SELECT pg_advisory_unlock(4712)');
	$gate->quit;
	wait_for_status($node, $_, 'succeeded') for $first, @next, $low, $second;
}

is_consistent($node);
$node->stop;
done_testing();
