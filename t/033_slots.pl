# No background worker slot is free: a job for which one is about to be starts when it is, not
# after the longer and longer delays of one that waits for others.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Launcher, coordinator, and one for a worker.
my $node = new_node('slots', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
max_worker_processes = 3
max_logical_replication_workers = 0
kwjobs.max_workers = 4
EOF
$node->safe_psql('postgres', 'CREATE ROLE role1 LOGIN; CREATE ROLE role2 LOGIN');

sub run_as
{
	my ($role) = @_;
	$node->safe_psql('postgres', "CALL kwjobs.run('SELECT', run_as => '$role')");
	return;
}

# Several jobs want workers of their own, and one gets it. Then it is idle, and leaves for
# another role.
$node->safe_psql('postgres',
	q{SELECT kwjobs.submit('SELECT', run_as => 'role1') FROM generate_series(1, 4)});
wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');

# The idle worker leaves each time, and the postmaster frees its slot a moment later.
my $alternate = sub {
	my $log = -s $node->logfile;
	run_as("role$_") for 2, (1, 2) x 5;
	my $soon = $node->safe_psql('postgres', <<'EOF');
SELECT sum(started - created) < '4 s' FROM (SELECT * FROM kwdb_internal.jobs ORDER BY job_id DESC LIMIT 11) AS j
EOF
	return $soon . (slurp_file($node->logfile, $log) =~ /cannot start a worker/ ? ', but the log asks for more slots' : '');
};
is_once($alternate, 't', 'no job waits for long when a worker leaves for it, and the log does not ask for more slots');
is( $node->safe_psql('postgres', 'SELECT string_agg(DISTINCT total_num_of_ex::text, $$ $$) FROM kwdb_internal.jobs WHERE job_type = $$SQL$$'),
	'1', 'what could not start did not count as an attempt');
# While the postmaster has no slot, the coordinator does not try in each pass to start a worker, but
# after longer and longer delays. Each try claims no more than three of the jobs that wait.
{
	my $gate = close_gate($node);
	my $log = -s $node->logfile;
	my $job = $node->safe_psql('postgres', q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')});
	wait_at_gate($node, $job);
	$node->safe_psql('postgres', q{SELECT count(kwjobs.submit('SELECT 1')) FROM generate_series(1, 200)});
	$node->wait_for_log(qr/kwjobs cannot start a worker: out of background worker slots/, $log);
	my $claims = q{SELECT n_tup_ins, extract(epoch FROM clock_timestamp()) FROM pg_stat_all_tables WHERE schemaname = 'kwjobs' AND relname = 'attempt'};
	my ($before, $began) = split(/\|/, $node->safe_psql('postgres', $claims));
	wait_for_pass($node) for 1 .. 10;
	my ($after, $ended) = split(/\|/, $node->safe_psql('postgres', $claims));
	cmp_ok($after - $before, '<=', 3 * (2 + $ended - $began), 'without a slot, few jobs are claimed in vain');
	open_gate($gate);
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
}
is_consistent($node);

$node->stop;
done_testing();
