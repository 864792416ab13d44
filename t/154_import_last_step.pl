# The last step of an IMPORT, ANALYZE and VACUUM (FREEZE): what it does, and what happens if it has to
# wait, is interrupted, or dies.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjGates;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('last_step', <<'END', extra => [ '--no-locale', '--encoding=UTF8' ]);
fsync = off
kwjobs.max_workers = 4
max_connections = 40
autovacuum = off
END
my $dir = abs_path($node->basedir);
begin_session($node);

my $rows = 5000;
append_to_file("$dir/rows.csv", join('', map { "$_,row $_\n" } 1 .. $rows));

sub import_into
{
	my ($table, $options) = @_;
	return run_sql("SELECT kwjobs.import('$table', ARRAY['$dir/rows.csv'], NULL, '$options')");
}

# Imports as import_into does, but waits for the job, without a snapshot: the snapshot of this session would
# keep VACUUM from freezing what is newer. Returns what the procedure returns, without the job's id.
sub import_and_wait
{
	my ($table, $options) = @_;
	return run_sql("CALL kwjobs.import_and_wait('$table', ARRAY['$dir/rows.csv'], NULL, '$options')") =~ s/^\d+\|//r;
}

# Returns what the last step has done to the table. (How much VACUUM could freeze is not looked at, because it
# depends on the snapshots that other processes had.)
sub state_of
{
	my ($table) = @_;
	return run_sql("SELECT CASE WHEN reltuples = $rows THEN 'counted' ELSE 'not counted' END,
		CASE pg_stat_get_vacuum_count(oid) WHEN 0 THEN 'not vacuumed' WHEN 1 THEN 'vacuumed' ELSE 'vacuumed ' || pg_stat_get_vacuum_count(oid) END,
		CASE WHEN EXISTS (SELECT FROM pg_stats WHERE tablename = '$table') THEN 'analyzed' ELSE 'not analyzed' END
		FROM pg_class WHERE relname = '$table'");
}

# ---- what it does ----
run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '4kB'");
for my $case ([ 'nothing', '{}', 'not counted|not vacuumed|not analyzed' ],
	[ 'analyze', '{"analyze": true}', 'counted|not vacuumed|analyzed' ],
	[ 'freeze', '{"freeze": true}', 'counted|vacuumed|not analyzed' ],
	[ 'both', '{"freeze": true, "analyze": "on"}', 'counted|vacuumed|analyzed' ])
{
	my ($name, $options, $state) = @$case;
	for my $workers (1, 3)
	{
		my $table = "t_${name}_$workers";
		run_sql("CREATE TABLE $table (n integer, t text)");
		my $before = run_sql("SELECT relfrozenxid FROM pg_class WHERE relname = '$table'");
		is(import_and_wait($table, $options =~ s/\}$/($options eq '{}' ? '' : ', ') . "\"thread_concurrency\": $workers}"/er),
			"succeeded|1|$rows|0|0|None", "$name, $workers workers");
		is(state_of($table), $state, "... the table is $state");
		is(run_sql("SELECT relfrozenxid::text::bigint > $before FROM pg_class WHERE relname = '$table'"),
			$options =~ /freeze/ ? 't' : 'f', $options =~ /freeze/ ? '... and what is older is frozen' : '... and what is older is not frozen');
	}
}
run_sql('CREATE TABLE parted (n integer, t text) PARTITION BY RANGE (n)');
run_sql('CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (1) TO (1000)');
run_sql('CREATE TABLE part_2 PARTITION OF parted DEFAULT');
{
	is(import_and_wait('parted', '{"freeze": true, "analyze": true}'), "succeeded|1|$rows|0|0|None", 'partitions');
	is(run_sql("SELECT count(DISTINCT tablename) FROM pg_stats WHERE tablename IN ('parted', 'part_1', 'part_2')"), '3', '... are all analyzed');
	is(run_sql("SELECT bool_and(pg_stat_get_vacuum_count(oid) = 1) FROM pg_class WHERE relname LIKE 'part\\__'"), 't', '... and vacuumed');
}

# If only all pieces together go beyond reject_limit, the last part finds that out before the last step.
{
	append_to_file("$dir/bad.csv", join('', map { ($_ % 1600 == 0 ? 'x' : $_) . ",row $_\n" } 1 .. $rows));
	run_sql('CREATE TABLE limited (n integer, t text)');
	my $job = run_sql("SELECT kwjobs.import('limited', ARRAY['$dir/bad.csv'], NULL,
		'{\"freeze\": true, \"thread_concurrency\": 3, \"on_error\": \"skip\", \"reject_limit\": 2}')");
	wait_until_over($job);
	is(run_sql("SELECT status, error_code, error_line FROM kwdb_internal.jobs WHERE job_id = $job"), 'failed|22P02|4800', 'too many bad records');
	is(run_sql("SELECT pg_stat_get_vacuum_count('limited'::regclass)"), '0', '... keep the last step from being done');
}

# ---- it waits for a lock ----
my $locker = $node->background_psql('postgres');
$locker->set_query_timer_restart();
# The lock of VACUUM. Before, a worker may wait for the lock by which another one extends the table.
my $waits = sub {
	my ($job) = @_;
	return "EXISTS (SELECT FROM pg_locks AS l JOIN kwdb_internal.jobs AS j USING (pid)
		WHERE l.mode = 'ShareUpdateExclusiveLock' AND NOT l.granted AND j.job_id = $job)";
};
for my $workers (1, 3)
{
	my $options = "{\"freeze\": true, \"thread_concurrency\": $workers}";
	my $start = sub {
		my ($table) = @_;
		run_sql("DROP TABLE IF EXISTS $table");
		run_sql("CREATE TABLE $table (n integer, t text)");
		$locker->query_safe("BEGIN; LOCK TABLE $table IN SHARE UPDATE EXCLUSIVE MODE");
		my $job = import_into($table, $options);
		wait_until($waits->($job));
		return $job;
	};

	my $job = $start->('waited');
	like(run_sql("SELECT running_status FROM kwdb_internal.jobs WHERE job_id = $job"), qr/^waiting for lock on public.waited: pid /,
		"$workers workers: a job whose last step waits for a lock says whom it waits for");
	is(run_sql("SELECT query FROM pg_stat_activity JOIN kwdb_internal.jobs USING (pid) WHERE job_id = $job"), 'VACUUM (FREEZE) public.waited', '... and what it does');
	is(run_sql('SELECT count(*) FROM waited'), $rows, '... and its rows are committed');
	run_sql("SELECT kwjobs.pause($job)");
	wait_until("(SELECT status = 'paused' FROM kwdb_internal.jobs WHERE job_id = $job)");
	run_sql("SELECT kwjobs.resume($job)");
	wait_until($waits->($job));
	is(run_sql('SELECT count(*) FROM waited'), $rows, '... RESUME after PAUSE imports nothing twice');
	$locker->query_safe('COMMIT');
	wait_until_over($job);
	is(end_of($job), "succeeded|$rows", '... and it ends when it has the lock');
	is(state_of('waited'), 'counted|vacuumed|not analyzed', '... with the step done');

	$job = $start->('canceled');
	run_sql("SELECT kwjobs.cancel($job)");
	wait_until_over($job);
	is(end_of($job) =~ s/\|.*//r, 'canceled', '... CANCEL interrupts it');
	is(run_sql('SELECT count(*) FROM canceled'), '0', '... and removes all rows');
	$locker->query_safe('COMMIT');

	$job = $start->('crashed');
	# The worker is killed while the session has the lock. So it cannot do the step before.
	crash(job_field($node, $job, 'pid'));
	$locker->{run}->kill_kill;
	$locker = $node->background_psql('postgres');
	$locker->set_query_timer_restart();
	wait_until_over($job);
	is(end_of($job), "succeeded|$rows", '... after a crash the next attempt does it');
	is(attempt_statuses($node, $job), 'crashed,succeeded', '... and not the one that was killed');
	is(run_sql('SELECT count(*), count(DISTINCT n) FROM crashed'), "$rows|$rows", '... and each row is there once');
	is(run_sql("SELECT reltuples FROM pg_class WHERE relname = 'crashed'"), $rows, '... with the step done');
}

# Rows that are frozen already are removed by a revert as others are.
{
	run_sql('CREATE TABLE frozen (n integer, t text)');
	$locker->query_safe('BEGIN; LOCK TABLE frozen IN SHARE UPDATE EXCLUSIVE MODE');
	my $job = import_into('frozen', '{"freeze": true}');
	wait_until($waits->($job));
	run_sql("SELECT kwjobs.pause($job)");
	wait_until("(SELECT status = 'paused' FROM kwdb_internal.jobs WHERE job_id = $job)");
	$locker->query_safe('COMMIT');
	run_sql('VACUUM (FREEZE) frozen');
	is(state_of('frozen'), 'counted|vacuumed|not analyzed', 'rows of a paused job are frozen');
	run_sql("SELECT kwjobs.cancel($job)");
	wait_until_over($job);
	is(run_sql('SELECT count(*) FROM frozen'), '0', '... and CANCEL removes them');
}

# ---- rights ----
run_sql('CREATE ROLE importer LOGIN IN ROLE pg_read_server_files');
run_sql('CREATE TABLE others (n integer, t text)');
run_sql('GRANT INSERT ON others TO importer');
for my $option ('analyze', 'freeze')
{
	my ($code, $out, $error) = $node->psql('postgres', "SET ROLE importer; SELECT kwjobs.import('others', ARRAY['$dir/rows.csv'], NULL, '{\"$option\": true}')");
	like($error, qr/permission denied for (ANALYZE|VACUUM \(FREEZE\)) of table "others"/, "$option of a table that another role owns is refused");
}
run_sql('ALTER TABLE others OWNER TO importer');
{
	$locker->query_safe('BEGIN; LOCK TABLE others IN SHARE UPDATE EXCLUSIVE MODE');
	run_sql('SET ROLE importer');
	my $job = import_into('others', '{"analyze": true}');
	run_sql('RESET ROLE');
	wait_until($waits->($job));
	run_sql("SELECT kwjobs.pause($job)");
	wait_until("(SELECT status = 'paused' FROM kwdb_internal.jobs WHERE job_id = $job)");
	$locker->query_safe('COMMIT');
	run_sql('ALTER TABLE others OWNER TO postgres');
	run_sql('GRANT INSERT ON others TO importer');
	run_sql("SELECT kwjobs.resume($job)");
	wait_until_over($job);
	is(run_sql("SELECT status, error_code FROM kwdb_internal.jobs WHERE job_id = $job"), 'failed|42501', 'a right that is lost meanwhile fails the job');
	is(run_sql('SELECT count(*) FROM others'), '0', '... and no row is left');
}

$locker->quit;
quit_session();
$node->stop;
done_testing();
