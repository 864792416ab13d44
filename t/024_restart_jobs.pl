# Each start of the server is recorded as one job of type RESTART in each database that has kwjobs,
# with the kind of the start, however often the coordinator starts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $starts = "FROM kwdb_internal.jobs WHERE job_type = 'RESTART'";

# Waits until this many starts are recorded. Returns the kind of the last one.
sub last_kind
{
	my ($node, $n, $db) = @_;
	wait_query($node, "SELECT count(*) = $n $starts", $db);
	return $node->safe_psql($db // 'postgres',
		"SELECT result ->> 'kind' $starts ORDER BY job_id DESC LIMIT 1");
}

# Terminates the coordinator or the launcher, and waits until a new one has taken over and a job has
# run.
sub replace_process
{
	my ($node, $type) = @_;
	my $process =
	  "FROM pg_stat_activity WHERE backend_type = 'kwjobs $type' AND coalesce(datname, 'postgres') = 'postgres'";
	wait_query($node, "SELECT count(*) = 1 $process");
	my $old = $node->safe_psql('postgres', "SELECT pid $process");
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($old)");
	wait_query($node, "SELECT count(*) = 1 $process AND pid <> $old");
	wait_for_status($node, start_import($node, 'target', write_csv($node, 1)), 'succeeded');
	return;
}

my $primary = new_node('primary', '', allows_streaming => 1, has_archiving => 1);
is($primary->safe_psql('postgres', 'SELECT count(*) FROM kwdb_internal.jobs'),
	'0', 'the start before CREATE EXTENSION is none of this database');
$primary->safe_psql('postgres', 'CREATE DATABASE late');
$primary->safe_psql('postgres', 'CREATE TABLE target (n integer, t text)');
my $before = $primary->safe_psql('postgres', 'SELECT clock_timestamp()');

$primary->restart;
is(last_kind($primary, 1), 'clean start', 'fast stop and start: clean start');
is( $primary->safe_psql('postgres', <<"EOF"),
SELECT status, user_name, fraction_completed, total_num_of_ex, total_num_of_success,
       total_num_of_fail, coordinator_id IS NULL,
       description ~ '^Start PostgreSQL SERVICE: clean start, ready after [0-9.]+ s\$',
       created = started, created > '$before', finished > started,
       finished < clock_timestamp(), finished = time_of_last_success,
       (result ->> 'seconds')::numeric(9,3) = extract(epoch FROM finished - started)::numeric(9,3),
       (result ->> 'from_lsn')::pg_lsn <= (result ->> 'to_lsn')::pg_lsn,
       result ->> 'from_timeline', result ->> 'to_timeline'
  $starts
EOF
	'succeeded|postgres|1|1|1|0|t|t|t|t|t|t|t|t|t|1|1',
	'the job says when and how');

# In a database in which the extension is created later, starts are recorded from then on.
$primary->safe_psql('late', 'CREATE EXTENSION kwjobs');
$primary->stop('immediate');
$primary->start;
is(last_kind($primary, 2), 'crash recovery', 'immediate stop: crash recovery');
is(last_kind($primary, 1, 'late'), 'crash recovery', 'in each database that has the extension');
is( $primary->safe_psql('postgres', "SELECT max(job_id) $starts"),
	$primary->safe_psql('late', "SELECT max(job_id) $starts"),
	'a start has one id');

# A backend is killed, so the postmaster sets up shared memory again.
my $session = $primary->background_psql('postgres');
my $pid = $session->query_safe('SELECT pg_backend_pid()');
kill_process($primary, $pid, $session);
is(last_kind($primary, 3), 'restart after a process crash', 'a backend is killed: restart');

# Neither a new coordinator nor a new launcher records the start again.
for my $type (qw(coordinator launcher))
{
	replace_process($primary, $type);
	is($primary->safe_psql('postgres', "SELECT count(*) $starts"), '3', "another $type: no other job");
}

# If the extension is created again, the present start is not recorded, either.
$primary->safe_psql('late', 'DROP EXTENSION kwjobs; CREATE EXTENSION kwjobs');
is($primary->safe_psql('late', 'SELECT count(*) FROM kwdb_internal.jobs'), '0', 'created again: no old starts');

# A RESTART job cannot be controlled.
my $job = $primary->safe_psql('postgres', "SELECT min(job_id) $starts");
my %refused = (
	PAUSE => 'RESTART jobs cannot be paused',
	RESUME => 'job with status succeeded cannot be resumed',
	CANCEL => "job $job: not cancelable");
for my $verb (sort keys %refused)
{
	my ($rc, $out, $err) = $primary->psql('postgres', "$verb JOB $job");
	like($err, qr/ERROR:  $refused{$verb}\n/, "$verb JOB of a start is refused");
	like($err, qr/HINT:  To see the job, type SHOW JOB $job\./, '... with what to do instead');
}

# A standby records nothing until it is promoted.
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT count(*) $starts"), '3', 'the start of a standby is no job');
$standby->promote;
is(last_kind($standby, 4), 'promotion', 'promotion of a standby');
is( $standby->safe_psql('postgres',
		"SELECT description, result ->> 'from_timeline', result ->> 'to_timeline' $starts ORDER BY job_id DESC LIMIT 1"),
	'Start PostgreSQL SERVICE: promotion, timeline 1 to 2|1|2',
	'with its timelines');
$standby->restart;
is(last_kind($standby, 5), 'clean start', 'the next start is an ordinary one');
$standby->stop;

# Point-in-time recovery.
my $target = $primary->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
my $segment = $primary->safe_psql('postgres', 'CREATE TABLE after_target (); SELECT pg_walfile_name(pg_switch_wal())');
wait_query($primary, "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver");
my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($primary, 'backup', has_restoring => 1, standby => 0);
$restored->append_conf('postgresql.conf',
	# the standby may have archived its new timeline, which this server must not follow
	"recovery_target_lsn = '$target'\nrecovery_target_action = 'promote'\nrecovery_target_timeline = 'current'\n");
$restored->start;
wait_query($restored, 'SELECT NOT pg_is_in_recovery()');
is(last_kind($restored, 4), 'end of archive recovery', 'point-in-time recovery');
like(
	$restored->safe_psql('postgres', "SELECT description $starts ORDER BY job_id DESC LIMIT 1"),
	qr/^Start PostgreSQL SERVICE: end of archive recovery, timeline 1 to \d+, ready after [0-9.]+ s$/,
	'with its timelines and time');
$restored->stop;

# A start that retention has deleted is not recorded again by the next coordinator.
$primary->safe_psql('postgres', 'DELETE FROM kwjobs.job');
replace_process($primary, 'coordinator');
is($primary->safe_psql('postgres', "SELECT count(*) $starts"), '0', 'a deleted start stays deleted');

$primary->stop;
done_testing();
