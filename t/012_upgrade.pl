# pg_upgrade: the history comes along, nothing runs meanwhile, and a job that was
# paused goes on, or is reverted, in the new cluster.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 2000;
my $old = new_node('old', "kwjobs.import_batch_size = 1kB\n");
my $csv = write_csv($old, $rows);

# A paused job in the middle of its work.
sub paused_import
{
	my ($table) = @_;
	make_target($old, $table, 1000);
	my $gate = close_gate($old);
	my $job = start_import($old, $table, $csv);
	wait_at_gate($old, $job);
	$old->safe_psql('postgres', "SELECT kwjobs.pause($job)");
	wait_for_status($old, $job, 'paused');
	open_gate($gate);
	return $job;
}

my $resumed = paused_import('resumed');
my $canceled = paused_import('canceled');
$old->safe_psql('postgres', 'CREATE TABLE done (n integer, t text); INSERT INTO canceled VALUES (-1)');
my $done = start_import($old, 'done', $csv);
wait_for_status($old, $done, 'succeeded');
# Where OIDs of databases are not kept, it is still no copy: the cluster is another one.
my $pending = $old->safe_psql('postgres', "SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')");
$old->safe_psql('postgres', q{SET client_min_messages = warning; CREATE SCHEDULE s FOR SQL 'SELECT 1' RECURRING '@yearly'});
$old->safe_psql('postgres', 'UPDATE kwjobs.home SET database = 4711; UPDATE kwjobs.schedule SET home_database = 4711');
# Roles keep their OIDs, and their jobs.
$old->safe_psql('postgres', 'CREATE ROLE somebody LOGIN; CREATE ROLE creator LOGIN; GRANT somebody TO creator');
my $of_somebody = $old->safe_psql('postgres', <<'EOF');
SET SESSION AUTHORIZATION creator;
SELECT kwjobs.submit('CREATE TEMPORARY TABLE t AS SELECT current_user', run_as => 'somebody', run_at => now() + interval '1 day')
EOF
# pg_upgrade keeps the jobs of schema changes, as all jobs. Its own statements are no jobs.
$old->safe_psql('postgres', 'ALTER SYSTEM SET kwjobs.track = top');
$old->safe_psql('postgres', 'SELECT pg_reload_conf()');
$old->safe_psql('postgres', 'CREATE TABLE tracked ()');
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
my $bin = $old->config_data('--bindir');

# pg_upgrade loads the library by itself to see whether it is there; preloaded it has to
# be only for the jobs.
for my $preload ('', 'kwjobs')
{
	$new->append_conf('postgresql.conf', "shared_preload_libraries = '$preload'\nmax_worker_processes = 32\n" . ($preload ? "kwjobs.track = all\n" : ''));
	command_ok(
		[
			'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir,
			'-b', $bin, '-B', $bin, '-s', $new->host, '-p', $old->port, '-P', $new->port,
			($preload ? () : '--check')
		],
		$preload ? 'pg_upgrade' : 'pg_upgrade --check without preloading');
}
$new->start;

is( $new->safe_psql('postgres', 'SELECT string_agg(status, \',\' ORDER BY job_id) FROM kwdb_internal.jobs WHERE job_type = \'IMPORT\''),
	'paused,paused,succeeded', 'all jobs are there, and nothing has run');
is($new->safe_psql('postgres', q(SELECT string_agg(description || ': ' || status, ', ') FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE')),
	'CREATE TABLE tracked (): succeeded', 'so are schema changes, and those of pg_upgrade are no jobs');
$new->safe_psql('postgres', 'DROP TABLE tracked');
is($new->safe_psql('postgres', q(SELECT count(*) FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE')), 2, '... and tracking goes on');
$new->safe_psql('postgres', "SELECT kwjobs.resume($resumed), kwjobs.cancel($canceled)");
wait_for_status($new, $resumed, 'succeeded');
is_imported($new, 'resumed', $rows, 'a paused job goes on at its checkpoint');
wait_for_status($new, $canceled, 'canceled');
is($new->safe_psql('postgres', 'SELECT n FROM canceled'), '-1', 'another is reverted');

is(job_field($new, $of_somebody, 'user_name, created_by, created_by_session'), 'somebody|creator|creator', 'roles are the same');
# in one transaction, so that it does not start before it is paused
$new->safe_psql('postgres', "BEGIN; UPDATE kwjobs.job SET run_at = NULL, due = now() WHERE job_id = $of_somebody; SELECT kwjobs.pause($of_somebody); COMMIT");
wait_for_status($new, $of_somebody, 'paused');
$new->safe_psql('postgres', "SELECT kwjobs.resume($of_somebody)");
wait_for_status($new, $of_somebody, 'succeeded');
is(job_field($new, $pending, 'status'), 'pending', 'a job that waits for its time still does');
is($new->safe_psql('postgres', <<'EOF'), 't', 'the new cluster is where they are at home');
SELECT h.cluster = c.system_identifier AND h.database = d.oid
  FROM kwjobs.home AS h, pg_control_system() AS c, pg_database AS d WHERE d.datname = current_database()
EOF
is($new->safe_psql('postgres', 'SELECT name, schedule_status FROM [SHOW SCHEDULES]'), 's|ACTIVE', 'so are schedules, which go on');

$new->stop;
done_testing();
