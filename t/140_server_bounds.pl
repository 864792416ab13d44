# Control statements for jobs of other databases, where one of the databases does not play along:
# the others are served all the same, and what is kept in shared memory stays small.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('server_bounds', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
kwjobs.coordinator_idle_timeout = 0
kwjobs.worker_idle_timeout = 10ms
kwjobs.scope = server
max_connections = 60
autovacuum = off
dynamic_shared_memory_type = mmap
EOF

sub segments { return glob($node->data_dir . '/pg_dynshmem/mmap.*') }

# Returns a job that waits for its time.
sub waiting
{
	my ($db) = @_;
	return $node->safe_psql($db, q{SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow')});
}

sub at_gate { my ($gate) = @_; wait_at_gates($node, 1, "objid = $gate"); return }

sub no_errands
{
	my ($db) = @_;
	wait_query($node, q{SELECT count(*) = 0 FROM kwjobs.errand WHERE due <> 'infinity'}, $db);
	return;
}

my $segments = scalar(segments());
for my $db ('one', 'two', 'three')
{
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, 'CREATE EXTENSION kwjobs');
}
my %job = map { $_ => waiting($_) } 'one', 'two', 'three';

# ---- a table of the other database is locked ----

# The coordinator of "one" has taken the errands, and would wait for the table.
my $gate = close_gates_in($node, 'postgres', 4927);
$node->safe_psql('postgres', "PAUSE JOB $job{one}");
at_gate(4927);
my $blocker = $node->background_psql('one');
$blocker->query_safe('BEGIN; LOCK TABLE kwjobs.errand_done IN ACCESS EXCLUSIVE MODE');
$gate->quit;
wait_query($node, "SELECT count(*) = 1 FROM kwjobs.errands WHERE job_id = $job{one} AND tries > 0");
$node->safe_psql('postgres', "PAUSE JOB $job{two}");
wait_for_status($node, $job{two}, 'paused', 'two');
pass('a lock on a table of one database does not hold up errands for another');
$blocker->quit;
wait_for_status($node, $job{one}, 'paused', 'one');
no_errands();

# ---- an errand waits for one before it ----

# The one before it has to wait for its time, because a session keeps the job locked. Meanwhile the
# coordinator sleeps.
$blocker = $node->background_psql('one');
$blocker->query_safe("BEGIN; RESUME JOB $job{one}");
$node->safe_psql('postgres', "RESUME JOB $job{one}");
wait_query($node, "SELECT count(*) = 1 FROM kwjobs.errand WHERE job_id = $job{one} AND tries >= 5");
$node->safe_psql('postgres', "PAUSE JOB $job{one}");
cmp_ok(busy_looks($node, 50), '<=', 25, 'the coordinator sleeps while an errand waits for one before it');
$blocker->quit;
wait_for_status($node, $job{one}, 'paused', 'one');
no_errands();

$node->stop;
done_testing();
