# SQL jobs when something goes wrong in the middle: the work of a transaction is there exactly
# once, a procedure goes on from its checkpoint, and no invalid index is left. And what only a
# server of one's own can show: CREATE DATABASE, the log, how soon a cancel ends a statement.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('sql', "compute_query_id = on\n");
my $at_gate = 'SELECT pg_advisory_xact_lock_shared(4711)';

sub submit
{
	my ($statement, $more) = @_;
	return $node->safe_psql('postgres',
		"SELECT kwjobs.submit(\$job\$$statement\$job\$" . ($more // '') . ')');
}

# The worker of a job dies by a signal, and the postmaster restarts everything: the gate is
# open then.
sub kill_worker
{
	my ($job, @sessions) = @_;
	kill_process($node, job_field($node, $job, 'pid'), @sessions);
	return;
}

sub stop_server
{
	my ($job, @sessions) = @_;
	$node->stop('immediate');
	$_->{run}->kill_kill for @sessions;
	$node->start;
	return;
}

my %ends = ('kill -9' => \&kill_worker, 'immediate stop' => \&stop_server);

# One transaction, cut short in the middle: all of it happens, once.
for my $end (sort keys %ends)
{
	$node->safe_psql('postgres', 'DROP TABLE IF EXISTS once; CREATE TABLE once (n integer)');
	my $gate = close_gate($node);
	my $job = submit("INSERT INTO once VALUES (1); $at_gate; INSERT INTO once VALUES (2)");
	wait_at_gate($node, $job);
	$ends{$end}->($job, $gate);
	wait_for_status($node, $job, 'succeeded');
	is($node->safe_psql('postgres', 'SELECT array_agg(n ORDER BY n) FROM once'),
		'{1,2}', "$end: the work is there exactly once");
	is(attempt_statuses($node, $job), 'crashed,succeeded', "$end: in the second attempt");
}

# A procedure goes on from the last state that it committed.
$node->safe_psql('postgres', <<'EOF2');
CREATE TABLE steps (n integer, attempt integer);
CREATE PROCEDURE walk() LANGUAGE plpgsql AS $$
DECLARE
    n integer := coalesce((kwjobs.checkpoint_state() ->> 'n')::integer, 0);
    attempt integer := coalesce((kwjobs.checkpoint_state() ->> 'attempt')::integer, 0) + 1;
BEGIN
    WHILE n < 20 LOOP
        n := n + 1;
        INSERT INTO steps VALUES (n, attempt);
        IF n = 10 THEN
            PERFORM pg_advisory_xact_lock_shared(4711);
        END IF;
        CALL kwjobs.checkpoint(n / 20.0, jsonb_build_object('n', n, 'attempt', attempt));
    END LOOP;
END $$;
EOF2
for my $end (sort keys %ends)
{
	$node->safe_psql('postgres', 'TRUNCATE steps');
	my $gate = close_gate($node);
	my $job = submit('CALL walk()');
	wait_at_gate($node, $job);
	$ends{$end}->($job, $gate);
	wait_for_status($node, $job, 'succeeded');
	is( $node->safe_psql('postgres',
			'SELECT attempt, min(n), max(n), count(*) FROM steps GROUP BY attempt ORDER BY attempt'),
		"1|1|9|9\n2|10|20|11",
		"$end: the procedure goes on after its checkpoint");
	is(attempt_statuses($node, $job), 'crashed,succeeded', "$end: the lost attempt is on record");
}

# CREATE INDEX CONCURRENTLY waits for an open transaction that writes to the table; its index
# is there by then, and invalid.
sub start_index
{
	my ($statement) = @_;
	$node->safe_psql('postgres', <<'EOF2');
DROP TABLE IF EXISTS target;
CREATE TABLE target (n integer, t text);
INSERT INTO target SELECT n, 'row ' || n FROM generate_series(1, 100) AS n;
EOF2
	my $writer = $node->background_psql('postgres');
	$writer->query_safe("BEGIN; INSERT INTO target VALUES (0, 'open')");
	my $job = submit($statement);
	wait_query($node, "SELECT count(*) = 1 FROM pg_index WHERE indrelid = 'target'::regclass AND NOT indisvalid");
	return ($job, $writer);
}

sub end_writer
{
	my ($writer) = @_;
	$writer->query_safe('COMMIT');
	$writer->quit;
	return;
}

sub indexes
{
	return $node->safe_psql('postgres',
		"SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'target'::regclass");
}

for my $index ([ 'named', 'target_named' ], [ '', 'target_n_lower_idx' ])
{
	my ($name, $made) = @$index;
	my $statement = "CREATE INDEX CONCURRENTLY $name ON target (n, lower(t))";
	$name ||= 'without a name';
	$statement =~ s/named/target_named/;

	for my $end (sort keys %ends)
	{
		my ($job, $writer) = start_index($statement);
		$ends{$end}->($job, $writer);
		wait_for_status($node, $job, 'succeeded');
		is(indexes(), "$made|t", "$name, $end: one index, and it is valid");
		is(attempt_statuses($node, $job), 'crashed,succeeded', "$name, $end: in the second attempt");
	}

	my ($job, $writer) = start_index($statement);
	$node->safe_psql('postgres', "SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	$node->safe_psql('postgres', "SELECT kwjobs.resume($job)");
	end_writer($writer);
	wait_for_status($node, $job, 'succeeded');
	is(indexes(), "$made|t", "$name, paused and resumed: one index, and it is valid");

	($job, $writer) = start_index($statement);
	$node->safe_psql('postgres', "SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'reverting');
	end_writer($writer);
	wait_for_status($node, $job, 'canceled');
	is(indexes(), '', "$name, canceled: no index is left");
}

# While the job is paused, somebody makes an index of the name that the job wants. So the job has
# nothing left to do.
{
	my ($job, $writer) = start_index('CREATE INDEX CONCURRENTLY target_named ON target (n)');
	$node->safe_psql('postgres', "SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	end_writer($writer);
	$node->safe_psql('postgres', 'DROP INDEX target_named; CREATE INDEX target_named ON target (n)');
	$node->safe_psql('postgres', "SELECT kwjobs.resume($job)");
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, error'), 'succeeded|', 'a valid index of that name is what the job wants');
	is(indexes(), 'target_named|t', '... and it stays');
	$node->safe_psql('postgres', 'DROP INDEX target_named');
}

# A unique index over duplicates: the statement fails, and leaves an invalid index behind.
$node->safe_psql('postgres', 'INSERT INTO target SELECT 1 FROM generate_series(1, 2)');
{
	my $job = submit('CREATE UNIQUE INDEX CONCURRENTLY ON target (n)');
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code'), '23505', 'failed: the error of the statement');
	is(indexes(), '', 'failed: no index is left');
}

# An invalid index that was there before is somebody else's.
{
	$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY old ON target (n)');
	is(indexes(), 'old|f', 'an invalid index of somebody else');
	my $job = submit('CREATE INDEX CONCURRENTLY old ON target (n)');
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code'), '42P07', 'its name is taken');
	is(indexes(), 'old|f', 'it is still there');
}

# REINDEX CONCURRENTLY does the same with new indexes beside the old ones. One that somebody else
# has left stays.
$node->safe_psql('postgres', <<'EOF2');
CREATE TABLE parted (n integer, t text) PARTITION BY RANGE (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
CREATE INDEX parted_idx ON parted (n);
INSERT INTO parted SELECT n, 'row ' || n FROM generate_series(0, 199) AS n;
EOF2

# $written is the table that an open transaction has written to: the statement stops there.
sub start_reindex
{
	my ($statement, $written) = @_;
	my $writer = $node->background_psql('postgres');
	$writer->query_safe("BEGIN; INSERT INTO $written VALUES (150, 'open')");
	my $job = submit($statement);
	# not for an index: one of another job may be there
	wait_query($node, <<"EOF2");
SELECT a.wait_event = 'virtualxid' FROM pg_stat_activity AS a JOIN kwdb_internal.jobs AS j USING (pid)
 WHERE j.job_id = $job
EOF2
	return ($job, $writer);
}

sub invalid_indexes
{
	return $node->safe_psql('postgres', <<'EOF2');
SELECT indexrelid::regclass FROM pg_index
 WHERE NOT indisvalid AND indrelid <> 'target'::regclass ORDER BY 1
EOF2
}

for my $case (
	[ 'REINDEX INDEX CONCURRENTLY parted_2_n_idx', 'parted_2' ],
	# Where an option is given twice, PostgreSQL obeys the last one.
	[ 'REINDEX (CONCURRENTLY false, CONCURRENTLY) TABLE parted_2', 'parted_2' ])
{
	my ($statement, $written) = @$case;
	my ($others, $writer) = start_reindex($statement, $written);
	# in one transaction, so that no other attempt begins before the job is paused
	$node->safe_psql('postgres',
		"BEGIN; SELECT kwjobs.pause($others); SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'; COMMIT");
	wait_for_status($node, $others, 'paused');
	# whose they are now
	my $left = invalid_indexes();
	isnt($left, '', "$statement: an index of somebody else");
	end_writer($writer);

	for my $end (sort keys %ends)
	{
		my $job;
		($job, $writer) = start_reindex($statement, $written);
		$ends{$end}->($job, $writer);
		wait_for_status($node, $job, 'succeeded');
		is(invalid_indexes(), $left, "$statement, $end: nothing is left");
		is(attempt_statuses($node, $job), 'crashed,succeeded', "$statement, $end: in the second attempt");
	}

	my $job;
	($job, $writer) = start_reindex($statement, $written);
	$node->safe_psql('postgres', "SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'reverting');
	end_writer($writer);
	wait_for_status($node, $job, 'canceled');
	is(invalid_indexes(), $left, "$statement, canceled: nothing is left");

	$node->safe_psql('postgres', "SELECT kwjobs.cancel($others)");
	wait_for_status($node, $others, 'canceled');
	is(invalid_indexes(), '', "$statement: nor of the other job, once it is canceled, too");
}

# While a REINDEX job is paused, another session tries to create a unique index on the same table. This
# fails, and leaves an INVALID index. When the job goes on, it drops what its own REINDEX has left, but
# not this index.
{
	my ($job, $writer) = start_reindex('REINDEX TABLE CONCURRENTLY parted_2', 'parted_2');
	$node->safe_psql('postgres', "SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	end_writer($writer);
	$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY of_somebody ON parted_2 ((n % 2))');
	$node->safe_psql('postgres', "SELECT kwjobs.resume($job)");
	wait_for_status($node, $job, 'succeeded');
	is(invalid_indexes(), 'of_somebody', 'an invalid index with another name is not dropped');
	$node->safe_psql('postgres', 'DROP INDEX of_somebody');
}

# Outside of transactions.
$node->safe_psql('postgres', q{CALL kwjobs.run('CREATE DATABASE made_by_a_job')});
is($node->safe_psql('made_by_a_job', 'SELECT 1'), '1', 'CREATE DATABASE');
$node->safe_psql('postgres', q{CALL kwjobs.run('ALTER SYSTEM SET work_mem = ''5MB''')});
$node->safe_psql('postgres', q{CALL kwjobs.run('VACUUM')});
$node->safe_psql('postgres', <<'EOF2');
CREATE TABLE committed (n integer);
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT n FROM generate_series(1, 100) AS n LOOP
        INSERT INTO committed VALUES (r.n);
        COMMIT;
    END LOOP;
END $$;
CREATE TYPE mood AS ENUM ('good');
EOF2
$node->safe_psql('postgres', q{CALL kwjobs.run('CALL commits()')});
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT xmin::text) FROM committed'),
	'100|100', 'CALL with COMMIT, also while a cursor is open');
$node->safe_psql('postgres', q{CALL kwjobs.run('ALTER TYPE mood ADD VALUE ''bad''')});
is($node->safe_psql('postgres', q{SELECT 'bad'::mood}), 'bad', 'ALTER TYPE ... ADD VALUE');

# An error in such a loop leaves the worker fit for the next job.
{
	$node->psql('postgres',
		q{CALL kwjobs.run('DO $$DECLARE r record; BEGIN FOR r IN SELECT n FROM generate_series(1, 5) AS n LOOP COMMIT; PERFORM 1 / (r.n - 3); END LOOP; END$$')});
	$node->safe_psql('postgres', q{CALL kwjobs.run('SELECT 1')});
	is($node->safe_psql('postgres', <<'EOF2'), '22012|t', 'an error after a COMMIT, while a cursor is open');
SELECT a.error_code, EXISTS (SELECT FROM pg_stat_activity AS s WHERE s.pid = a.pid)
  FROM kwdb_internal.job_attempts AS a ORDER BY job_id DESC OFFSET 1 LIMIT 1
EOF2
}

# What a running statement shows, and how soon a cancel ends it.
{
	my $job;
	my $cancel = sub {
		$job = submit('SELECT 1; SELECT pg_sleep(600) ; SELECT 2');
		wait_query($node, <<"EOF2");
SELECT a.query = 'SELECT pg_sleep(600)' AND a.query_id IS NOT NULL AND a.wait_event = 'PgSleep'
  FROM pg_stat_activity AS a JOIN kwdb_internal.jobs AS j USING (pid) WHERE j.job_id = $job
EOF2
		$node->safe_psql('postgres', "SELECT kwjobs.cancel($job)");
		wait_for_status($node, $job, 'canceled');
		return job_field($node, $job, q{finished - request_time < interval '1 second'});
	};
	is_once($cancel, 't', 'CANCEL ends a statement within a second');
	is($node->safe_psql('postgres',
			"SELECT tags FROM kwdb_internal.job_attempts WHERE job_id = $job"),
		'{"SELECT 1"}', 'the statements that had ended are on record');
}

# The log gets what it would get from a session, and no more.
{
	my $log = -s $node->logfile;
	$node->safe_psql('postgres', <<'EOF2');
CALL kwjobs.run($$DO 'BEGIN RAISE NOTICE ''only kept''; RAISE WARNING ''kept and logged''; RAISE LOG ''only logged''; END'$$);
CALL kwjobs.run($$DO 'BEGIN RAISE WARNING ''kept too''; END'$$, settings => '{"log_min_messages": "error"}');
EOF2
	my $said = slurp_file($node->logfile, $log);
	like($said, qr/WARNING:  kept and logged/, 'a WARNING is in the log');
	like($said, qr/LOG:  only logged/, 'so is a LOG message');
	unlike($said, qr/WARNING:  kept too|NOTICE:  only kept/, 'a message below log_min_messages is not');
	is($node->safe_psql('postgres', <<'EOF2'),
SELECT string_agg(message, ', ' ORDER BY message) FROM (SELECT unnest(messages) AS message
  FROM (SELECT * FROM kwdb_internal.job_attempts ORDER BY job_id DESC LIMIT 2) AS latest) AS m
EOF2
		'NOTICE:  only kept, WARNING:  kept and logged, WARNING:  kept too',
		'the job keeps all that a client would get');

	$log = -s $node->logfile;
	$node->safe_psql('postgres', <<'EOF2');
CALL kwjobs.run('SELECT 41; SELECT 42', settings => '{"log_statement": "all", "log_min_duration_statement": 0}');
EOF2
	$said = slurp_file($node->logfile, $log);
	like($said, qr/LOG:  statement: SELECT 41; SELECT 42/, 'log_statement');
	like($said, qr/LOG:  duration: [0-9.]+ ms$/m, 'log_min_duration_statement');
}

$node->stop;
done_testing();
