# A role that cannot have a worker: its jobs wait and say why, none of them is tried, nobody else
# waits for it, and they start as soon as it can.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('refused', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
kwjobs.max_workers = 2
autovacuum = off
EOF

sub sql
{
	my ($sql, $db) = @_;
	return $node->safe_psql($db // 'postgres', $sql);
}

# Jobs of "a role", and what makes it one that cannot have a worker, in one transaction.
sub submit_refused
{
	my ($n, $refuse) = @_;
	sql(<<"EOF");
BEGIN;
SET LOCAL ROLE "a role";
SELECT count(kwjobs.submit('SELECT 1')) FROM generate_series(1, $n);
RESET ROLE;
$refuse;
COMMIT;
EOF
	return;
}

sub wait_until_over
{
	my ($role) = @_;
	wait_query($node, "SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL AND user_name = '$role'");
	return;
}

# How a job of the role ends.
sub status_of
{
	my ($role) = @_;
	my $job = sql("SET ROLE $role; SELECT kwjobs.submit('SELECT 1')");
	return sql("SELECT status FROM [SHOW JOB WHEN COMPLETE $job]");
}

sub times_logged
{
	my ($from, $pattern) = @_;
	my @found = slurp_file($node->logfile, $from) =~ /$pattern/g;
	return scalar(@found);
}

sql('CREATE ROLE "a role" LOGIN; CREATE ROLE other LOGIN');
my $why = 'role "a role" is not permitted to log in';

# ---- many jobs of such a role ----

my $log = -s $node->logfile;
submit_refused(2000, 'ALTER ROLE "a role" NOLOGIN');
wait_query($node, "SELECT count(*) = 2000 FROM kwdb_internal.jobs WHERE status = 'pending' AND running_status = 'waiting: $why'");

# A transaction for each job: every worker goes on by itself, as nobody else waits.
my $jobs = 1000;
my $before = sql('SELECT pg_current_xact_id()');
sql("SET ROLE other; SELECT count(kwjobs.submit('SELECT 1')) FROM generate_series(1, $jobs)");
wait_until_over('other');
cmp_ok(sql('SELECT pg_current_xact_id()') - $before, '<', 1.5 * $jobs, 'the jobs of another role run at full speed');

is(sql(q{SELECT count(*) FROM kwdb_internal.job_attempts WHERE job_id IN (SELECT job_id FROM kwjobs.job WHERE user_name = 'a role')}),
	0, 'no attempt was made');
is(sql('SELECT count(*) FROM kwjobs.job WHERE refusals > 0'), 0, 'nor was any job claimed');
is(times_logged($log, qr/FATAL:  role/), 0, 'nor was any worker refused');
is(times_logged($log, qr/LOG:  kwjobs can start no worker for role "a role" in database "postgres"/), 1, 'the log says it once');
is(times_logged($log, qr/DETAIL:  Its jobs wait: \Q$why\E\.\n.*HINT:  Type ALTER ROLE "a role" LOGIN, or cancel the jobs\./), 1,
	'... with what to do');

my $canceled = sql(q{SELECT max(job_id) FROM kwjobs.job WHERE user_name = 'a role'});
sql("SELECT kwjobs.cancel($canceled)");
wait_for_status($node, $canceled, 'canceled');
is(job_field($node, $canceled, 'running_status'), '', 'a job of it can be canceled');

# By now the coordinator would look by itself seconds later only.
wait_query($node, q{SELECT min(created) + interval '8 seconds' < clock_timestamp() FROM kwjobs.job WHERE user_name = 'a role'});
my $now = sql('ALTER ROLE "a role" LOGIN; SELECT clock_timestamp()');
is(sql(q{SELECT count(*) FROM kwdb_internal.jobs WHERE status = 'pending' AND running_status LIKE '%role%'}), 0,
	'nothing of it is shown when the role may log in');
wait_until_over('a role');
is(sql("SELECT min(started) - '$now' < interval '5 seconds' FROM kwjobs.job WHERE user_name = 'a role'"), 't',
	'its jobs start at once');
is(times_logged($log, qr/LOG:  kwjobs can start workers for role "a role" in database "postgres" again/), 1, 'the log says that, once');
is(times_logged($log, qr/LOG:  kwjobs can start no worker/), 1, '... and nothing else');

# ---- what makes such a role, and what ends it ----

sql('CREATE ROLE members; CREATE DATABASE elsewhere');
my $no_connect = 'role "a role" may not connect to this database';
my @refusals = (
	[ 'ALTER ROLE "a role" NOLOGIN', 'ALTER ROLE "a role" LOGIN', $why ],
	[ 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC', 'GRANT CONNECT ON DATABASE postgres TO "a role"', $no_connect ],
	[ 'REVOKE CONNECT ON DATABASE postgres FROM "a role"; GRANT CONNECT ON DATABASE postgres TO members',
		'GRANT members TO "a role"', $no_connect ],
	[ 'REVOKE members FROM "a role"', 'ALTER DATABASE postgres OWNER TO "a role"', $no_connect ],
	[ 'ALTER DATABASE postgres OWNER TO postgres', 'ALTER ROLE "a role" SUPERUSER', $no_connect ],
	[ 'ALTER ROLE "a role" NOSUPERUSER', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC', $no_connect ],
	# no statement tells that this is over
	[ 'ALTER ROLE "a role" NOLOGIN', q{UPDATE pg_authid SET rolcanlogin = true WHERE rolname = 'a role'}, $why ],
);
for my $refusal (@refusals)
{
	my ($refuse, $allow, $reason) = @$refusal;
	submit_refused(1, $refuse);
	wait_query($node, "SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE running_status = 'waiting: $reason'");
	sql($allow);
	wait_until_over('a role');
}

# A database that accepts no connections, seen from a session that is there.
{
	my $session = $node->background_psql('postgres');
	sql('ALTER DATABASE postgres ALLOW_CONNECTIONS false', 'elsewhere');
	$session->query_safe(q{SELECT kwjobs.submit('SELECT 1')});
	my $refuses = q{(SELECT running_status IS NOT DISTINCT FROM 'waiting: this database does not accept connections'
		FROM kwdb_internal.jobs ORDER BY job_id DESC LIMIT 1)};
	wait_in($session, $refuses);
	is($session->query_safe("SELECT $refuses"), 't', 'a database that accepts no connections');
	sql('ALTER DATABASE postgres ALLOW_CONNECTIONS true', 'elsewhere');
	$session->quit;
	wait_until_over('postgres');
}

# ---- what does not ----

sql('ALTER ROLE other CONNECTION LIMIT 0; ALTER DATABASE postgres CONNECTION LIMIT 1');
is(status_of('other'), 'succeeded', 'connection limits are for sessions');
sql('REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; ALTER ROLE other SUPERUSER');
is(status_of('other'), 'succeeded', 'a superuser may connect to any database');
sql('GRANT CONNECT ON DATABASE postgres TO PUBLIC; ALTER ROLE other NOSUPERUSER; ALTER DATABASE postgres CONNECTION LIMIT -1');

# ---- seen too late ----

# The worker is on its way when its role may not log in any more.
{
	sql('CREATE ROLE late LOGIN');
	$log = -s $node->logfile;
	my $postmaster = $node->{_pid};
	my $session = $node->background_psql('postgres');
	kill 'STOP', $postmaster;
	$session->query_safe('SET ROLE late');
	my $job = $session->query_safe(q{SELECT kwjobs.submit('SELECT 1')});
	$session->query_safe('RESET ROLE');
	wait_in($session, "(SELECT status = 'running' FROM kwjobs.job WHERE job_id = $job)");
	is($session->query_safe("SELECT status FROM kwjobs.job WHERE job_id = $job"), 'running', 'a job is claimed');
	$session->query_safe('ALTER ROLE late NOLOGIN');
	kill 'CONT', $postmaster;
	$session->quit;
	wait_query($node, qq{SELECT status = 'pending' AND running_status = 'waiting: role "late" is not permitted to log in'
		FROM kwdb_internal.jobs WHERE job_id = $job});
	is(times_logged($log, qr/FATAL:  role "late" is not permitted to log in/), 1, 'a worker that was refused is not tried again');
	is(job_field($node, $job, 'total_num_of_ex'), 0, '... and does not count');
	sql('ALTER ROLE late LOGIN');
	wait_for_status($node, $job, 'succeeded');
}

# ---- a role that goes while its jobs wait ----

submit_refused(10, 'ALTER ROLE "a role" NOLOGIN');
wait_query($node, "SELECT count(*) = 10 FROM kwdb_internal.jobs WHERE running_status = 'waiting: $why'");
sql('DROP OWNED BY "a role"; DROP ROLE "a role"');
wait_query($node, q{SELECT count(*) = 10 FROM kwdb_internal.jobs WHERE user_name = 'a role' AND status = 'failed' AND error_code = '42704'});

is_consistent($node);
$node->stop;
done_testing();
