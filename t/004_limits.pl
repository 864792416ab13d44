# Too few workers, a role that cannot log in any more, a worker that cannot be
# started: jobs wait or fail with the reason, and others are not disturbed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Room for the launcher, one coordinator (the other databases are probed one by one)
# and one worker.
my $node = new_node('limits', <<'EOF');
kwjobs.import_batch_size = 1kB
kwjobs.max_workers = 4
max_worker_processes = 4
EOF
my $rows = 2000;
my $csv = write_csv($node, $rows);

# Launcher, logical replication launcher, coordinator: one is left.
make_target($node, 'first', 1000);
$node->safe_psql('postgres', 'CREATE TABLE second (n integer, t text)');
my $gate = close_gate($node);
my $first = start_import($node, 'first', $csv);
wait_at_gate($node, $first);
my $log = -s $node->logfile;
my $second = start_import($node, 'second', $csv);
wait_query($node, <<"EOF");
SELECT status = 'pending' AND running_status = 'waiting for a background worker slot'
  FROM kwdb_internal.jobs WHERE job_id = $second
EOF
$node->wait_for_log(qr/kwjobs cannot start a worker: out of background worker slots/, $log);
open_gate($gate);
wait_for_status($node, $first, 'succeeded');
wait_for_status($node, $second, 'succeeded');
is_imported($node, 'second', $rows, 'the job that waited ran by itself');
my $said = () = slurp_file($node->logfile, $log) =~ /cannot start a worker/g;
is($said, 1, 'the log says it once');

# A role that may not connect for a while: the job waits, says why, is not charged an attempt,
# and starts when it may.
$node->safe_psql('postgres', <<'EOF');
CREATE ROLE importer LOGIN;
GRANT pg_read_server_files TO importer;
GRANT CREATE ON SCHEMA public TO importer;
SET ROLE importer;
CREATE TABLE third (n integer, t text);
EOF
sub job_of_importer
{
	my ($refuse) = @_;
	return $node->safe_psql('postgres', <<"EOF");
SET ROLE importer;
TRUNCATE third;
BEGIN;
SELECT kwjobs.import('third', ARRAY['$csv']);
RESET ROLE;
$refuse;
COMMIT;
EOF
}
my @refusals = (
	[ 'ALTER ROLE importer NOLOGIN', 'ALTER ROLE importer LOGIN',
		'role "importer" is not permitted to log in' ],
	[ 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC',
		'role "importer" may not connect to this database' ],
);
for my $refusal (@refusals)
{
	my ($refuse, $allow, $why) = @$refusal;
	my $job = job_of_importer($refuse);
	wait_query($node, "SELECT running_status LIKE '%role%' FROM kwdb_internal.jobs WHERE job_id = $job");
	is(job_field($node, $job, 'status, running_status, total_num_of_ex'),
		"pending|waiting: $why|0", "a job that has to wait: $why");
	is($node->safe_psql('postgres', "SELECT count(*) FROM kwdb_internal.job_attempts WHERE job_id = $job"),
		0, 'no attempt was made');
	$node->safe_psql('postgres', $allow);
	wait_for_status($node, $job, 'succeeded');
	is_imported($node, 'third', $rows, 'and starts by itself');
}
$node->safe_psql('postgres', 'ALTER ROLE importer NOLOGIN');
my ($rc, $out, $err) = $node->psql('postgres',
	"SET ROLE importer; SELECT kwjobs.import('third', ARRAY['$csv'])");
like($err, qr/role "importer" cannot own a job: it is not permitted to log in/,
	'such a role cannot create one');

# A role that is gone.
my $fourth = $node->safe_psql('postgres', <<"EOF");
ALTER ROLE importer LOGIN;
SET ROLE importer;
TRUNCATE third;
BEGIN;
SELECT kwjobs.import('third', ARRAY['$csv']);
RESET ROLE;
DROP OWNED BY importer;
DROP ROLE importer;
COMMIT;
EOF
wait_for_status($node, $fourth, 'failed');
is(job_field($node, $fourth, 'error_code, user_name'),
	'42704|importer', 'a job whose owner is gone fails, and still names it');

# No worker is tried for the jobs of such a role: they would take it from others.
$log = -s $node->logfile;
$node->safe_psql('postgres', <<'EOF');
CREATE ROLE gone LOGIN;
BEGIN;
SET LOCAL ROLE gone;
SELECT count(kwjobs.submit('SELECT 1')) FROM generate_series(1, 100);
RESET ROLE;
DROP ROLE gone;
COMMIT;
EOF
wait_query($node, "SELECT count(*) = 100 FROM kwdb_internal.jobs WHERE user_name = 'gone' AND status = 'failed' AND error_code = '42704'");
unlike(slurp_file($node->logfile, $log), qr/role with OID \d+ does not exist/,
	'no worker was started for the jobs of a role that is gone');

# The engine goes on.
$node->safe_psql('postgres', 'TRUNCATE second');
my $fifth = start_import($node, 'second', $csv);
wait_for_status($node, $fifth, 'succeeded');
is_imported($node, 'second', $rows, 'other jobs are not disturbed');

is_consistent($node);
$node->stop;
done_testing();
