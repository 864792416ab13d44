# kwjobs.max_workers changes without a restart: lowered, also to 0, and raised up to the reserve.
# A type whose limit is 0 does not start.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('workers', <<'EOC');
kwjobs.max_workers = 2
kwjobs.worker_slots = 6
max_connections = 50
autovacuum = off
EOC

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Jobs that wait at a gate, which is advisory lock number 1.
my $jobs_at_gate = "SELECT count(*) FROM pg_locks AS l JOIN kwdb_internal.jobs AS j USING (pid) WHERE l.locktype = 'advisory' AND NOT l.granted";
sub submit_at_gate
{
	my ($n) = @_;
	return sql("SET client_min_messages = warning; SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(1)', description => 'at the gate') FROM generate_series(1, $n)");
}
my $workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'";
my $coordinators = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'";

# 1. Raised while jobs run and wait: more start at once.
my $gate = close_gates($node, 1);
submit_at_gate(12);
wait_query($node, "SELECT ($jobs_at_gate) = 2");
is(sql("SELECT DISTINCT running_status FROM kwdb_internal.jobs WHERE status = 'pending'"), 'waiting for a worker (2 of 2 run jobs)', 'two jobs run');
configure($node, 'kwjobs.max_workers', 4);
wait_query($node, "SELECT ($jobs_at_gate) = 4");
is(sql("SELECT DISTINCT running_status FROM kwdb_internal.jobs WHERE status = 'pending'"), 'waiting for a worker (4 of 4 run jobs)', 'four jobs run');

# 2. Above the reserve: as many as there is room for, and the log says so.
my $log = -s $node->logfile;
configure($node, 'kwjobs.max_workers', 100);
wait_query($node, "SELECT ($jobs_at_gate) = 6");
is(sql("SELECT DISTINCT running_status FROM kwdb_internal.jobs WHERE status = 'pending'"), 'waiting for a worker (6 of 6 run jobs, kwjobs.worker_slots)', 'six jobs run');
my $above_reserve = qr/WARNING:.* kwjobs\.max_workers is (\d+), but only 6 jobs can run at the same time/;
$node->wait_for_log($above_reserve, $log);
# The first reload changes nothing, the second one changes the setting.
configure($node, 'kwjobs.max_workers', 100);
configure($node, 'kwjobs.max_workers', 101);
$node->wait_for_log(qr/kwjobs\.max_workers is 101/, $log);
is(join(' ', slurp_file($node->logfile, $log) =~ /$above_reserve/g), '100 101', 'the log says it once for each value');
sql('CREATE ROLE other_role LOGIN');
my $other = sql("SET SESSION AUTHORIZATION other_role; SELECT kwjobs.submit('SELECT 1')");
wait_for_status($node, $other, 'succeeded');

# 3. Lowered: what runs goes on, nothing else starts, idle workers leave.
configure($node, 'kwjobs.max_workers', 1);
wait_for_pass($node);
is(sql($jobs_at_gate), 6, 'running jobs go on');
$gate->quit;
wait_query($node, "SELECT count(*) = 12 FROM kwdb_internal.jobs WHERE description = 'at the gate' AND status = 'succeeded'");
is(sql("SELECT max(n) FROM (SELECT count(*) AS n FROM kwdb_internal.job_attempts AS a JOIN kwdb_internal.job_attempts AS b ON b.started BETWEEN a.started AND a.finished AND b.job_id <> a.job_id JOIN (SELECT min(c.finished) AS opened FROM kwdb_internal.job_attempts AS c JOIN kwdb_internal.jobs USING (job_id) WHERE description = 'at the gate') AS o ON a.started > o.opened AND b.started > o.opened GROUP BY a.job_id) AS t"), '',
	'then one runs after the other');
wait_query($node, "SELECT ($workers) <= 2");

# 4. To 0: nothing starts, no worker and no coordinator stays. A submit says so.
configure($node, 'kwjobs.coordinator_idle_timeout', 0);
configure($node, 'kwjobs.max_workers', 0);
wait_query($node, "SELECT ($workers) = 0");
my ($rc, $out, $err) = $node->psql('postgres', "SELECT kwjobs.submit('SELECT 1', description => 'zero')");
like($err, qr/NOTICE:  job \d+ waits: kwjobs\.max_workers is 0\nHINT:  .*type SET CLUSTER SETTING kwjobs\.max_workers = 4\./, 'a submit says that nothing starts');
wait_query($node, "SELECT ($coordinators) = 0");
is(sql("SELECT status, running_status FROM kwdb_internal.jobs WHERE description = 'zero'"), 'pending|waiting: no job may start (kwjobs.max_workers is 0)', 'a job says that nothing starts');
is(sql("SELECT sum(total_num_of_ex) FROM kwdb_internal.jobs WHERE description = 'zero'"), 0, 'it has not started');
configure($node, 'kwjobs.max_workers', 2);
wait_query($node, "SELECT status = 'succeeded' FROM kwdb_internal.jobs WHERE description = 'zero'");

# 5. The same with a role's and a type's jobs: the coordinator comes back when the limit is raised.
{
	configure($node, 'kwjobs.worker_idle_timeout', 0);
	my $path = write_csv($node, 10);
	sql('CREATE TABLE target (n integer, t text)');
	configure($node, 'kwjobs.max_workers_per_type', 'IMPORT = 0');
	my $import = start_import($node, 'target', $path);
	is(sql("CALL kwjobs.run('SELECT 1') \\gset\n\\echo :status"), 'succeeded', 'jobs of other types start');
	wait_query($node, "SELECT ($coordinators) = 0");
	like(job_field($node, $import, 'running_status'), qr/^waiting: no job of type IMPORT may start \(kwjobs\.max_workers_per_type\)$/, 'a job says that its type may not start');
	is(job_field($node, $import, 'total_num_of_ex'), 0, 'it has not started');
	configure($node, 'kwjobs.max_workers_per_type', 'IMPORT = 1');
	wait_for_status($node, $import, 'succeeded');
	configure($node, 'kwjobs.max_workers_per_type', '');
}

# 6. A job that waits for another one while nothing starts is no deadlock.
{
	configure($node, 'kwjobs.max_workers', 2);
	$gate = close_gates($node, 1);
	my $first = sql("SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(1)', run_at => now() + interval '1 hour')");
	my $waits = sql("SELECT kwjobs.submit('SELECT status FROM kwjobs.wait($first)', max_attempts => 1)");
	wait_for_status($node, $waits, 'running');
	configure($node, 'kwjobs.max_workers', 0);
	sql("SELECT kwjobs.run_now($first)");
	wait_for_pass($node);
	is(job_field($node, $waits, 'status'), 'running', 'the wait goes on');
	configure($node, 'kwjobs.max_workers', 2);
	wait_at_gate($node, $first);
	$gate->quit;
	wait_for_status($node, $waits, 'succeeded');
}

# 7. After a crash and a restart, the reserve is the same, and a raised limit lasts.
configure($node, 'kwjobs.max_workers', 5);
$node->stop('immediate');
$node->start;
$gate = close_gates($node, 1);
submit_at_gate(8);
wait_query($node, "SELECT ($jobs_at_gate) = 5");
configure($node, 'kwjobs.max_workers', 6);
wait_query($node, "SELECT ($jobs_at_gate) = 6");
$gate->quit;
wait_query($node, "SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE finished IS NULL");

is_consistent($node);
$node->stop;
done_testing();
