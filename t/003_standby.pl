# A standby shows jobs and controls none; promoted, it adopts what the primary left
# and goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 2000;
my $primary =
  new_node('primary', "kwjobs.import_batch_size = 1kB\n", allows_streaming => 1);
my $csv = write_csv($primary, $rows);

my $standby = start_standby($primary, 'standby');

make_target($primary, 'target', 1000);
my $gate = close_gate($primary);
my $job = start_import($primary, 'target', $csv);
wait_at_gate($primary, $job);
$primary->wait_for_catchup($standby);

is(job_field($standby, $job, 'status'), 'running', 'the standby shows the job');
is( $standby->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'kwjobs%'"),
	'0',
	'nothing of kwjobs runs on the standby');

# statement or function => what they say
my %refused = (
	"PAUSE JOB $job" => 'cannot execute PAUSE JOB during recovery',
	"CANCEL JOB $job" => 'cannot execute CANCEL JOB during recovery',
	"RESUME JOBS SELECT job_id FROM [SHOW JOBS]" => 'cannot execute RESUME JOBS during recovery',
	"IMPORT INTO target CSV DATA ('$csv')" => 'during recovery',
	"SELECT kwjobs.pause($job)" => 'during recovery',
	"SELECT kwjobs.import('target', ARRAY['$csv'])" => 'during recovery');
for my $statement (sort keys %refused)
{
	my ($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$statement");
	isnt($rc, 0, "refused on the standby: $statement");
	like($err, qr/ERROR:  25006: .*$refused{$statement}/, '... with the reason');
	like($err, qr/HINT:  Connect to the primary server\./, '... and what to do');
}

# SHOW JOB and the others work there.
is($standby->safe_psql('postgres', "SELECT status FROM [SHOW JOB $job]"),
	'running', 'SHOW JOB works on the standby');
my ($rc, $out, $err) = $standby->psql('postgres', "SHOW JOB WHEN COMPLETE $job");
like($err, qr/cannot execute SHOW JOB WHEN COMPLETE during recovery/,
	'nobody would wake a wait on the standby');

# The primary dies; the standby is promoted and goes on.
$primary->stop('immediate');
$gate->{run}->kill_kill;
$standby->promote;
wait_for_status($standby, $job, 'succeeded');
is_imported($standby, 'target', $rows, 'the promoted standby finishes the import');
is( $standby->safe_psql('postgres',
		"SELECT string_agg(status, ',' ORDER BY attempt) FROM kwdb_internal.job_attempts"),
	'crashed,succeeded',
	'the attempt of the primary is on record');

$standby->stop;
done_testing();
