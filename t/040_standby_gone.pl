# Commits that wait for a synchronous standby which is not there: what a worker would do next can still be
# paused and canceled.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('standby_gone', "kwjobs.max_workers = 1\nwal_level = replica\nmax_wal_senders = 2\n");
my $local = 'SET synchronous_commit = local;';
my $wait_for_standby = q(settings => '{"synchronous_commit": "on"}');

sub sql { return $node->safe_psql('postgres', "$local $_[0]") }

$node->safe_psql('postgres', 'CREATE TABLE written (n integer)');

# The first job's commit waits, whether its work succeeded or not, while others wait for its worker.
for my $statement ('SELECT pg_advisory_xact_lock_shared(4711)', 'SELECT 1 / (pg_advisory_xact_lock_shared(4711) IS NULL)::integer')
{
	my $writer = lose_standby($node);
	my $gate = close_gate($node);
	my $first = sql("SELECT kwjobs.submit(\$\$$statement\$\$, $wait_for_standby)");
	wait_at_gate($node, $first);
	my ($paused, $canceled, $third) = map { sql("SELECT kwjobs.submit('SELECT $_', $wait_for_standby)") } 1 .. 3;
	# the coordinator has set them out for the worker before that comes to its commit
	wait_query($node, "SELECT count(*) = 3 FROM kwjobs.job WHERE status = 'pending' AND rank IS NOT NULL");
	open_gate($gate);
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'kwjobs worker'");
	my ($rc, $out, $err) = $node->psql('postgres', "$local SET lock_timeout = '60s'; PAUSE JOB $paused; CANCEL JOB $canceled");
	is($rc, 0, 'PAUSE and CANCEL do not wait') or diag($err);
	wait_for_status($node, $paused, 'paused');
	wait_for_status($node, $canceled, 'canceled');
	is(job_field($node, $third, 'status'), 'pending', 'the third waits for the worker');
	set_standby($node, '');
	$writer->quit;
	wait_for_status($node, $third, 'succeeded');
	is(job_field($node, $paused, 'status, started'), 'paused|', 'what was paused has not run');
	is(job_field($node, $canceled, 'status, started'), 'canceled|', 'nor has what was canceled');
	sql("CANCEL JOB $paused");
}

# An IMPORT writes its checkpoints without waiting. It comes to the gate at one of the last rows. Its
# worker is a new one, so nothing keeps the worker from reporting the rows of the first batch at once.
{
	sql(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'});
	$node->safe_psql('postgres', q{ALTER DATABASE postgres SET kwjobs.import_batch_size = '1kB'});
	make_target($node, 'target', 190);
	my $csv = write_csv($node, 200);
	my $writer = lose_standby($node);
	my $gate = close_gate($node);
	my $job = sql("SELECT kwjobs.import('target', ARRAY['$csv'])");
	wait_at_gate($node, $job);
	cmp_ok(sql('SELECT count(*) FROM target'), '>', 0, 'the batches of an IMPORT wait for no standby');
	wait_query($node, q{SELECT n_tup_ins > 0 FROM pg_stat_user_tables WHERE relname = 'target'});
	note('... and the statistics have them while it runs');
	open_gate($gate);
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'kwjobs worker'");
	is(job_field($node, $job, 'status'), 'running', '... but its end does');
	set_standby($node, '');
	$writer->quit;
	wait_for_status($node, $job, 'succeeded');
}

is_consistent($node);
$node->stop;
done_testing();
