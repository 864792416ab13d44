# Control statements that are not committed yet. Workers and the coordinator go on without waiting
# for them, and nothing is lost when their transactions end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 2000;
my $node = new_node('races', "kwjobs.import_batch_size = 1kB\n");
my $csv = write_csv($node, $rows);

sub rows_in
{
	my ($table) = @_;
	return $node->safe_psql('postgres', "SELECT count(*) FROM $table");
}

# While a PAUSE is not committed, the worker writes its checkpoints. It waits for the PAUSE only at
# the end of the job.
make_target($node, 'beside', 1000);
my $gate = close_gate($node);
my $job = start_import($node, 'beside', $csv);
wait_at_gate($node, $job);
my $control = $node->background_psql('postgres');
$control->query_safe("BEGIN; SELECT kwjobs.pause($job)");
open_gate($gate);
wait_query($node, "SELECT count(*) > $rows - 100 FROM beside");
wait_query($node, "SELECT wait_event = 'transactionid' FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'");
$control->query_safe('ROLLBACK');
wait_for_status($node, $job, 'succeeded');
is_imported($node, 'beside', $rows, 'PAUSE rolled back');

# A worker dies while a PAUSE is not committed. The coordinator cannot settle the attempt yet, and
# sleeps until the lock on the job's row is gone, here by ROLLBACK TO SAVEPOINT.
make_target($node, 'orphan', 1000);
$gate = close_gate($node);
$job = start_import($node, 'orphan', $csv);
wait_at_gate($node, $job);
$control->query_safe("BEGIN; SAVEPOINT s; SELECT kwjobs.pause($job)");
$node->safe_psql('postgres',
	"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'");
wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'");
is_once(sub { busy_looks($node, 20) < 10 ? 't' : 'f' }, 't', 'the coordinator sleeps');
open_gate($gate);
$control->query_safe('ROLLBACK TO s');
wait_for_status($node, $job, 'succeeded');
is_imported($node, 'orphan', $rows, 'the orphan is adopted then');
$control->query_safe('ROLLBACK');
$control->quit;

# Autovacuum learns what the coordinator writes, although the coordinator does not exit.
wait_query($node, "SELECT n_tup_ins > 0 FROM pg_stat_all_tables WHERE relid = 'kwjobs.attempt'::regclass");

# If a synchronous standby does not answer, jobs are claimed all the same, and the server can stop.
make_target($node, 'nobody', 1000);
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->restart;
$gate = close_gate($node);
$job = $node->safe_psql('postgres',
	"SET synchronous_commit = local; SELECT kwjobs.import('nobody', ARRAY['$csv'])");
wait_at_gate($node, $job);
$node->stop('fast');
$gate->{run}->kill_kill;
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->start;
wait_for_status($node, $job, 'succeeded');
is_imported($node, 'nobody', $rows, 'the job went on after the restart');

is_consistent($node);
$node->stop;
done_testing();
