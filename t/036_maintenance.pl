# Maintenance of the tables of kwjobs, or the settings of a job, do not make jobs fail that end
# meanwhile. Jobs that maintain tables: which tables they touch, and which indexes they leave.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $jobs = 4000;

my $node = new_node('maintenance', <<'EOF');
kwjobs.max_workers = 4
EOF

sub all_ended
{
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	return;
}

# Indexes and tables of kwjobs are rewritten while jobs that end read them.
for my $command ('REINDEX INDEX CONCURRENTLY kwjobs.dependency_depends_on',
	'REINDEX TABLE CONCURRENTLY kwjobs.job', 'VACUUM FULL kwjobs.dependency')
{
	$node->safe_psql('postgres',
		"SELECT count(kwjobs.submit('SELECT 1', description => '$command', max_attempts => 1)) FROM generate_series(1, $jobs)");
	my $times = 0;
	do
	{
		$node->safe_psql('postgres', $command);
		$times++;
	  } while ($times < 15
		&& $node->safe_psql('postgres', 'SELECT count(*) > 0 FROM kwjobs.job WHERE finished IS NULL') eq 't');
	note("$command: $times times");
	all_ended();
	is( $node->safe_psql('postgres',
			"SELECT status, count(*) FROM kwjobs.job WHERE description = '$command' GROUP BY status"),
		"succeeded|$jobs", "$command: no job fails");
}

# The lock_timeout of a job applies to its statements, but not to its end, which waits for a control
# statement that is not committed.
{
	my $gate = close_gate($node);
	my $job = $node->safe_psql('postgres', <<'EOF');
SELECT kwjobs.submit($$SELECT pg_advisory_xact_lock_shared(4711); SET lock_timeout = '10ms'$$, max_attempts => 1)
EOF
	wait_at_gate($node, $job);
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; SELECT kwjobs.pause($job)");
	open_gate($gate);
	# ten times as long as the timeout
	wait_query($node, <<'EOF');
SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype <> 'advisory' AND clock_timestamp() > waitstart + interval '0.1 s'
EOF
	$session->query_safe('ROLLBACK');
	$session->quit;
	wait_for_status($node, $job, 'succeeded');
	is(job_field($node, $job, 'total_num_of_fail'), 0, "a job's lock_timeout does not end the wait for its end");
}

# A job submits a job that depends on it, in its own transaction. The job's end marks the dependency
# without a plan, and then the foreign key's trigger fires for that row.
{
	my $log = -s $node->logfile;
	$node->safe_psql('postgres',
		q{SELECT kwjobs.submit($$SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[kwjobs.current_job()])$$)});
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.dependency');
	all_ended();
	unlike(slurp_file($node->logfile, $log), qr/not closed/, 'what triggers open is closed');
}

# ---- indexes that are made CONCURRENTLY, and rights ----

$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE outsider LOGIN;
CREATE ROLE tenant LOGIN;
GRANT CREATE ON SCHEMA public TO tenant, outsider;
EOF_SQL

sub submit_as
{
	my ($role, $statement, $more) = @_;
	my ($rc, $job, $err) = $node->psql('postgres', "SELECT kwjobs.submit('$statement'" . ($more // '') . ')',
		extra_params => [ '-U', $role ]);
	is($err, '', "$role submits $statement");
	return $job;
}

# Returns the error codes of a job's attempts, in order.
sub errors
{
	my ($job) = @_;
	return $node->safe_psql('postgres',
		"SELECT string_agg(error_code, ',' ORDER BY attempt) FROM kwdb_internal.job_attempts WHERE job_id = $job");
}

# Returns a session that keeps locks in a transaction, for which the job's statement has to wait.
sub begin_in_session
{
	my ($sql) = @_;
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; $sql");
	return $session;
}

sub end_session
{
	my ($session) = @_;
	$session->query_safe('COMMIT');
	$session->quit;
	return;
}

sub wait_for_lock
{
	my ($job) = @_;
	wait_query($node,
		"SELECT count(*) > 0 FROM pg_locks JOIN kwdb_internal.jobs USING (pid) WHERE job_id = $job AND NOT granted");
	return;
}

# Pauses the job when its statement waits for a lock, so the job has noted what it needs by then.
sub pause_in_statement
{
	my ($job) = @_;
	wait_for_lock($job);
	$node->safe_psql('postgres', "SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	return;
}

sub resume
{
	my ($job) = @_;
	$node->safe_psql('postgres', "SELECT kwjobs.resume($job)");
	return;
}

my $short = q{, settings => '{"lock_timeout": "200ms"}'};

# If the role has no right on a table, the job notes nothing of the table, and neither the first
# attempt nor a later one nor the revert waits for a lock on it.
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE secret (n integer);
CREATE INDEX secret_n ON secret (n);
CREATE TABLE secrets (n integer) PARTITION BY RANGE (n);
CREATE TABLE secrets_1 PARTITION OF secrets FOR VALUES FROM (0) TO (100);
CREATE INDEX secrets_n ON secrets (n);
EOF_SQL
my $holder = begin_in_session('LOCK TABLE secret, secrets, secrets_1 IN SHARE UPDATE EXCLUSIVE MODE');
for my $statement (
	'CREATE INDEX CONCURRENTLY outside ON secret (n)',
	'REINDEX INDEX CONCURRENTLY secret_n',
	'REINDEX TABLE CONCURRENTLY secret',
	'REINDEX INDEX CONCURRENTLY secrets_n',
	'REINDEX TABLE CONCURRENTLY secrets')
{
	my $job = submit_as('outsider', $statement, ", on_failure => 'pause'$short");
	wait_for_status($node, $job, 'paused');
	is($node->safe_psql('postgres', "SELECT count(*) FROM kwjobs.checkpoint WHERE job_id = $job"),
		0, "$statement: nothing is noted without a right");
	$node->safe_psql('postgres', "SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');

	$job = submit_as('outsider', $statement,
		", on_failure => 'retry', retry_initial_delay => '10ms', max_attempts => 3$short");
	wait_for_status($node, $job, 'failed');
	is(errors($job), '42501,42501,42501', "$statement: no attempt waits for a lock");
}
end_session($holder);

# The right on the table, or the table, is gone when the job is resumed.
for my $case (
	[ 'CREATE INDEX CONCURRENTLY made ON mine (n)', 'ALTER TABLE mine OWNER TO postgres', '42501' ],
	[ 'REINDEX TABLE CONCURRENTLY mine', 'ALTER TABLE mine OWNER TO postgres', '42501' ],
	[ 'REINDEX INDEX CONCURRENTLY mine_n', 'ALTER TABLE mine OWNER TO postgres', '42501' ],
	[ 'CREATE INDEX CONCURRENTLY made ON mine (n)', 'DROP TABLE mine', '42P01' ],
	[ 'REINDEX TABLE CONCURRENTLY mine', 'DROP TABLE mine', '42P01' ])
{
	my ($statement, $change, $error) = @$case;
	$node->safe_psql('postgres', <<'EOF_SQL');
DROP TABLE IF EXISTS mine;
CREATE TABLE mine (n integer);
CREATE INDEX mine_n ON mine (n);
ALTER TABLE mine OWNER TO tenant;
EOF_SQL
	my $writer = begin_in_session('INSERT INTO mine VALUES (1)');
	my $job = submit_as('tenant', $statement, $short);
	pause_in_statement($job);
	end_session($writer);
	my $invalid = "SELECT count(*) FROM pg_index WHERE indrelid = to_regclass('mine') AND NOT indisvalid";
	is($node->safe_psql('postgres', $invalid), 1, "$statement: an index is left");
	$node->safe_psql('postgres', $change);
	$holder = begin_in_session($change =~ /^DROP/ ? 'SELECT 1' : 'LOCK TABLE mine IN SHARE UPDATE EXCLUSIVE MODE');
	resume($job);
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code'), $error, "$statement, $change: the error is that of the statement");
	is($node->safe_psql('postgres', $invalid), $error eq '42501' ? 1 : 0, "$statement, $change: nothing is dropped");
	end_session($holder);
}

# The job drops an invalid index that its first attempt left on a table of its owner, but not one on
# the TOAST table, which only a superuser may drop.
{
	$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE owned (n integer, t text);
ALTER TABLE owned OWNER TO tenant;
CREATE INDEX owned_n ON owned (n);
EOF_SQL
	my $writer = begin_in_session('INSERT INTO owned VALUES (1)');
	my $job = submit_as('tenant', 'REINDEX TABLE CONCURRENTLY owned', ', max_attempts => 1');
	pause_in_statement($job);
	end_session($writer);
	my $left = <<'EOF_SQL';
SELECT regexp_replace(indexrelid::regclass::text, '\d+', 'N') FROM pg_index JOIN pg_class AS t ON t.oid = 'owned'::regclass
 WHERE indrelid IN (t.oid, t.reltoastrelid) AND NOT indisvalid ORDER BY 1
EOF_SQL
	is($node->safe_psql('postgres', $left), "owned_n_ccnew\npg_toast.pg_toast_N_index_ccnew", 'two indexes are left');
	resume($job);
	wait_for_status($node, $job, 'succeeded');
	is($node->safe_psql('postgres', $left), 'pg_toast.pg_toast_N_index_ccnew', 'that of the table is dropped');
	is($node->safe_psql('postgres', <<"EOF_SQL"), 't', 'the job tells of that of the TOAST table');
SELECT bool_or(m ~ '^WARNING:  an earlier attempt has left the invalid index pg_toast.pg_toast_[0-9]+_index_ccnew\n')
  FROM kwdb_internal.job_attempts, unnest(messages) AS m WHERE job_id = $job
EOF_SQL
}

# A role that may MAINTAIN a table, but does not own it, may REINDEX it, but not drop its indexes.
SKIP:
{
	skip 'there is MAINTAIN since 17', 1 if $node->pg_version < 17;
	$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE maintained (n integer);
CREATE INDEX maintained_n ON maintained (n);
GRANT MAINTAIN ON maintained TO tenant;
EOF_SQL
	my $writer = begin_in_session('INSERT INTO maintained VALUES (1)');
	my $job = submit_as('tenant', 'REINDEX TABLE CONCURRENTLY maintained');
	pause_in_statement($job);
	end_session($writer);
	resume($job);
	wait_for_status($node, $job, 'succeeded');
	is($node->safe_psql('postgres', <<"EOF_SQL"), 't', 'MAINTAIN: the job tells of what it has left');
SELECT bool_or(m LIKE 'WARNING:  an earlier attempt has left the invalid index public.maintained_n_ccnew%')
  FROM kwdb_internal.job_attempts, unnest(messages) AS m WHERE job_id = $job
EOF_SQL
}

# REINDEX also rebuilds the index of a partition that another role owns, but the job may not drop an
# index that is left there. There is one WARNING for it, whatever else the job drops.
{
	$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE shared (n integer) PARTITION BY RANGE (n);
CREATE TABLE shared_1 PARTITION OF shared FOR VALUES FROM (0) TO (100);
CREATE TABLE shared_2 PARTITION OF shared FOR VALUES FROM (100) TO (200);
CREATE INDEX shared_n ON shared (n);
INSERT INTO shared VALUES (1), (1), (101), (101);
ALTER TABLE shared OWNER TO tenant;
ALTER TABLE shared_2 OWNER TO tenant;
EOF_SQL
	my $writer = begin_in_session('INSERT INTO shared_1 VALUES (2)');
	my $job = submit_as('tenant', 'REINDEX TABLE CONCURRENTLY shared');
	pause_in_statement($job);
	end_session($writer);
	# The tables have duplicates, so these indexes stay invalid. Their names end like the names of
	# indexes that REINDEX leaves.
	$node->psql('postgres', "CREATE UNIQUE INDEX CONCURRENTLY $_")
	  for 'others_ccnew ON shared_1 (n)', 'one_ccnew ON shared_2 (n)', 'two_ccnew ON shared_2 (n)';
	my $left = <<'EOF_SQL';
SELECT indexrelid::regclass FROM pg_index
 WHERE indrelid IN ('shared_1'::regclass, 'shared_2'::regclass) AND NOT indisvalid ORDER BY indexrelid
EOF_SQL
	is($node->safe_psql('postgres', $left), "others_ccnew\none_ccnew\ntwo_ccnew", 'three indexes are left');
	my $log = -s $node->logfile;
	resume($job);
	wait_for_status($node, $job, 'succeeded');
	is($node->safe_psql('postgres', $left), 'others_ccnew', 'those of the own partition are dropped');
	my @warnings = slurp_file($node->logfile, $log) =~ /WARNING:  an earlier attempt has left the invalid index (\S+)/g;
	is("@warnings", 'public.others_ccnew', 'one WARNING tells of that of the other partition');
}

# While another session builds an index on the table or its TOAST table, the job waits for it, and
# does not take the index for one that was left. The other session does not wait for the job.
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE busy (n integer, t text);
ALTER TABLE busy ALTER t SET STORAGE EXTERNAL;
CREATE INDEX busy_n ON busy (n);
CREATE TABLE children () INHERITS (busy);
EOF_SQL
my $toast = $node->safe_psql('postgres', q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'busy'::regclass});
for my $case (
	[ 'REINDEX TABLE CONCURRENTLY busy', 'REINDEX INDEX CONCURRENTLY busy_n' ],
	[ 'REINDEX TABLE CONCURRENTLY busy', "REINDEX INDEX CONCURRENTLY ${toast}_index" ],
	[ 'CREATE INDEX CONCURRENTLY busy_new ON busy (n)', 'CREATE INDEX CONCURRENTLY busy_other ON busy (n)' ])
{
	my ($statement, $others) = @$case;
	$holder = begin_in_session('LOCK TABLE busy IN SHARE UPDATE EXCLUSIVE MODE');
	my $job = submit_as('postgres', $statement);
	pause_in_statement($job);
	end_session($holder);

	my $writer = begin_in_session(q{INSERT INTO busy VALUES (1, repeat('x', 10000))});
	my $other = $node->background_psql('postgres');
	$other->query_until(qr/begun/, "\\echo begun\n$others;\n");
	wait_query($node, <<"EOF_SQL");
SELECT count(*) = 1 FROM pg_index WHERE NOT indisvalid AND indrelid IN ('busy'::regclass, '$toast'::regclass)
EOF_SQL
	# A new worker has to read the catalogs, and must not keep that snapshot while it waits.
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'");
	resume($job);
	wait_for_lock($job);
	end_session($writer);
	wait_for_status($node, $job, 'succeeded');
	is(errors($job), '', "$statement beside $others: no attempt fails");
	$other->quit;
	is($other->{stderr}, '', "$statement beside $others: nor does the other");
}

# REINDEX does not touch tables that inherit from the table, as they are no partitions. Nor does the
# job.
{
	$holder = begin_in_session('LOCK TABLE busy IN SHARE UPDATE EXCLUSIVE MODE');
	my $job = submit_as('postgres', 'REINDEX TABLE CONCURRENTLY busy');
	pause_in_statement($job);
	end_session($holder);
	$holder = begin_in_session('LOCK TABLE children IN SHARE UPDATE EXCLUSIVE MODE');
	resume($job);
	wait_for_status($node, $job, 'succeeded');
	is(job_field($node, $job, 'total_num_of_ex'), 2, 'no lock on the child of a table is waited for');
	end_session($holder);
}

# A session that waits for a job keeps no lock on the tables of kwjobs, except while it reads them.
for my $statement ('VACUUM FULL kwjobs.job', 'VACUUM FULL')
{
	my ($status, $out, $err) = $node->psql('postgres', "SET statement_timeout = '100s'; CALL kwjobs.run('$statement')");
	like($out . $err, qr/\|succeeded\|/, "kwjobs.run waits for $statement, and is not in its way");
}

is_consistent($node);
$node->stop;
done_testing();
