# A stop of the server gives the work a moment to write its checkpoint, and batches of an IMPORT are
# made by time: neither a stop nor a crash repeats more than about a second of work.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('stop', "max_prepared_transactions = 4\nkwjobs.import_batch_time = 200ms\n");

# Writes a file of rows with about 110 bytes: a piece of 1 kB has about 10 of them.
sub write_wide_csv
{
	my ($n) = @_;
	my $path = $node->basedir . "/wide$n.csv";
	open(my $fh, '>', $path) or die "$path: $!";
	printf $fh "%d,%s\n", $_, 'x' x 100 for 1 .. $n;
	close($fh) or die "$path: $!";
	return $path;
}

my $rows = 4000;
my $csv = write_wide_csv($rows);

# Creates a table whose trigger takes 2 ms at least for each row, and counts the rows that were read
# in a sequence, which no rollback takes back.
sub slow_target
{
	my ($table, $when) = @_;
	$node->safe_psql('postgres', <<"EOT");
CREATE TABLE $table (n integer, t text);
CREATE SEQUENCE ${table}_read;
CREATE FUNCTION ${table}_slow() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
    PERFORM nextval('${table}_read'), pg_sleep(0.002);
    RETURN NEW;
END \$\$;
CREATE TRIGGER slow $when INSERT ON $table FOR EACH ROW EXECUTE FUNCTION ${table}_slow();
EOT
	return;
}

# How many rows the committed batches of the table have, in order.
sub batches
{
	my ($table) = @_;
	return split(/\n/, $node->safe_psql('postgres',
		"SELECT count(*) FROM $table GROUP BY xmin ORDER BY min(n)"));
}

sub read_so_far
{
	my ($table) = @_;
	return $node->safe_psql('postgres', "SELECT last_value FROM ${table}_read");
}

# The import ends well by itself.
sub ends_well
{
	my ($table, $job, $n) = @_;
	wait_for_status($node, $job, 'succeeded');
	is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT n), sum(n) FROM $table"),
		"$n|$n|" . $n * ($n + 1) / 2, "$table: exactly the rows of the file");
	return;
}

sub max
{
	my ($max, @others) = @_;
	$max = $_ > $max ? $_ : $max for @others;
	return $max;
}

# Batches by time: no row takes less than 2 ms, so a batch of 200 ms has about 100 rows at most, and
# those of its last piece. That is so however busy the machine is.
{
	slow_target('by_time', 'BEFORE');
	my $job = start_import($node, 'by_time', $csv);
	# The commit of a batch does not wait for the disk. A crash may lose the batches of the last
	# three times wal_writer_delay, so there are more of them here than have to be kept.
	wait_query($node, 'SELECT count(DISTINCT xmin::text) >= 8 FROM by_time');
	cmp_ok(max(batches('by_time')), '<=', 150, 'a batch ends when its time is over');
	$node->stop('immediate');
	$node->start;
	my @batches = batches('by_time');
	cmp_ok(scalar @batches, '>=', 4, 'a crash keeps the batches before');
	$node->safe_psql('postgres', 'ALTER TABLE by_time DISABLE TRIGGER slow');
	ends_well('by_time', $job, $rows);
	like(attempt_statuses($node, $job), qr/^crashed,/, '... and was one');
}

# What comes after the last row takes its time, too: the batches become smaller until they fit.
{
	slow_target('after_rows', 'AFTER');
	my $job = start_import($node, 'after_rows', $csv);
	wait_query($node, 'SELECT count(DISTINCT xmin::text) >= 4 FROM after_rows');
	my ($first, @others) = batches('after_rows');
	cmp_ok($first, '>', 1000, 'the first batch is one of 256 kB, as nothing is known of triggers');
	@others = sort { $a <=> $b } @others;
	cmp_ok($others[ @others / 2 ], '<=', 200, '... the next ones are as their time allows');
	$node->safe_psql('postgres', 'ALTER TABLE after_rows DISABLE TRIGGER slow');
	ends_well('after_rows', $job, $rows);
}

# While a batch waits for the lock of a partition, its time (kwjobs.import_batch_time) does not run.
{
	my $few = write_wide_csv(30);
	my $job = $node->safe_psql('postgres', <<"EOT");
ALTER DATABASE postgres SET kwjobs.import_batch_time = '2s';
CREATE TABLE locked (n integer, t text) PARTITION BY RANGE (n);
CREATE TABLE locked_1 PARTITION OF locked FOR VALUES FROM (0) TO (1000);
BEGIN;
SELECT kwjobs.import('locked', ARRAY['$few']) AS job \\gset
PAUSE JOB :job;
COMMIT;
SELECT :job;
EOT
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN; LOCK TABLE locked_1');
	$node->safe_psql('postgres', "RESUME JOB $job");
	wait_query($node, "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'locked_1'::regclass AND clock_timestamp() - waitstart > '2 s'");
	$session->query_safe('COMMIT');
	$session->quit;
	ends_well('locked', $job, 30);
	is_deeply([batches('locked')], [30], 'a batch that waited for a lock is a whole one');
	$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET kwjobs.import_batch_time');
}

# Without a limit of time, only bytes count.
{
	my $job = $node->safe_psql('postgres', <<"EOT");
ALTER DATABASE postgres SET kwjobs.import_batch_time = 0;
CREATE TABLE by_size (n integer, t text);
SELECT kwjobs.import('by_size', ARRAY['$csv']);
EOT
	wait_for_status($node, $job, 'succeeded');
	is_deeply([batches('by_size')], [$rows], 'a batch without a limit of time takes 16 MB');
	$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET kwjobs.import_batch_time');
}

# Stops the server in the middle of an import. Returns how many rows were read twice.
my $tables = 0;
my $short = 1000;
my $short_csv = write_wide_csv($short);

sub stop_import
{
	my ($mode) = @_;
	my $table = 'stopped_' . ++$tables;
	slow_target($table, 'BEFORE');
	my $job = start_import($node, $table, $short_csv);
	wait_query($node, "SELECT count(DISTINCT xmin::text) >= 2 AND (SELECT last_value FROM ${table}_read) > count(*) + 20 FROM $table");
	$node->stop($mode);
	$node->start;
	ends_well($table, $job, $short);
	is(attempt_statuses($node, $job), 'interrupted,succeeded', "$table: the stop was no failure");
	cmp_ok(max(batches($table)), '<=', 150, "$table: no batch is larger than its time allows");
	cmp_ok(read_so_far($table) - $short, '<=', 150, "$table: at most one batch is done again");
	return read_so_far($table) - $short;
}

is_once(sub { stop_import('fast') }, 0, 'a fast stop loses no row that was read');
is_once(sub { stop_import('smart') }, 0, 'a smart stop loses none either');

# The stop does not wait for long: here the batch waits for a lock that outlives the server.
sub import_at_lock
{
	my ($table) = @_;
	make_target($node, $table, 500);
	$node->safe_psql('postgres', "BEGIN; SELECT pg_advisory_xact_lock(4711); PREPARE TRANSACTION 'gate'");
	my $job = start_import($node, $table, $short_csv);
	wait_at_gate($node, $job);
	return $job;
}

for my $mode (qw(fast smart))
{
	my $job = import_at_lock("at_lock_$mode");
	my $began = time;
	$node->stop($mode);
	cmp_ok(time - $began, '<', 60, "a $mode stop ends though the batch cannot");
	$node->start;
	$node->safe_psql('postgres', q{ROLLBACK PREPARED 'gate'});
	ends_well("at_lock_$mode", $job, $short);
	is(attempt_statuses($node, $job), 'interrupted,succeeded', '... which is no failure');
}

# Only the stop of the server is put off: pg_terminate_backend ends the worker at once, also while a
# smart stop waits for sessions.
{
	my $job = import_at_lock('terminated');
	my $worker = job_field($node, $job, 'pid');
	my $session = $node->background_psql('postgres');
	system_or_bail('pg_ctl', '-D', $node->data_dir, '-m', 'smart', '-W', 'stop');
	wait_in($session, q{pg_read_file('postmaster.pid') ~ '\nstopping'});
	is($session->query_safe("SELECT pg_terminate_backend($worker, 60000)"), 't', 'a worker that is terminated is gone');
	wait_in($session, "(SELECT status FROM kwdb_internal.job_attempts WHERE job_id = $job AND attempt = 1) = 'interrupted'");
	is($session->query_safe('SELECT count(*) FROM terminated'), 0, '... without a checkpoint');
	is($session->query_safe("SELECT retry_delay > 0 AND due >= modified + retry_delay * interval '1 ms' FROM kwjobs.job WHERE job_id = $job"),
		't', '... and is not tried again at once while the server stops');
	$session->quit;
	undef $node->{_pid};
	start_when_possible($node);
	$node->safe_psql('postgres', q{ROLLBACK PREPARED 'gate'});
	ends_well('terminated', $job, $short);
}

# Procedures that call kwjobs.checkpoint, and jobs in parts: no step is done twice.
$node->safe_psql('postgres', <<'EOT');
CREATE TABLE step (job bigint, n bigint);
CREATE SEQUENCE steps;
-- how many seconds a step takes
CREATE TABLE pace (seconds double precision);
INSERT INTO pace VALUES (0);
CREATE PROCEDURE do_steps(last integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN coalesce(kwjobs.checkpoint_state()::integer, 0) + 1 .. last LOOP
        INSERT INTO step VALUES (kwjobs.current_job(), i);
        PERFORM nextval('steps'), pg_sleep(seconds) FROM pace;
        CALL kwjobs.checkpoint(i::float8 / last, to_jsonb(i));
    END LOOP;
END $$;
CREATE FUNCTION do_piece(piece bigint, transaction bigint) RETURNS void LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    INSERT INTO step VALUES (kwjobs.current_job(), 10 * piece + transaction);
    PERFORM nextval('steps'), pg_sleep(seconds) FROM pace;
END $$;
EOT

# Returns how many steps were done in vain. Until the stop, all steps would take seconds.
sub stop_steps
{
	my ($create) = @_;
	my $job = $node->safe_psql('postgres', "UPDATE pace SET seconds = 0.1; ALTER SEQUENCE steps RESTART; SELECT $create");
	wait_query($node, 'SELECT count(*) >= 5 FROM step WHERE job = ' . $job);
	$node->stop('fast');
	$node->start;
	$node->safe_psql('postgres', 'UPDATE pace SET seconds = 0');
	wait_for_status($node, $job, 'succeeded');
	is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT n) FROM step WHERE job = $job"), '60|60', 'each step is there once');
	is(attempt_statuses($node, $job), 'interrupted,succeeded', '... and the stop was no failure');
	return $node->safe_psql('postgres', 'SELECT last_value - 60 FROM steps');
}

is_once(sub { stop_steps(q{kwjobs.submit('CALL do_steps(60)')}) }, 0, 'a procedure goes on at its last step');
is_once(sub { stop_steps(q{kwjobs.create_job('TEST_PARTS', '{"statement": "SELECT public.do_piece($1, $2)", "parts": 2, "pieces": 20, "transactions": 3}')}) },
	0, 'so do jobs in parts');

# An error that the stop causes is no failure of the job: here its lock is released because the
# session that has it ends first.
{
	$node->safe_psql('postgres', <<'EOT');
CREATE PROCEDURE fail_at_stop() LANGUAGE plpgsql AS $$
BEGIN
    IF kwjobs.checkpoint_state() IS NOT NULL THEN
        RETURN;
    END IF;
    CALL kwjobs.checkpoint(0.5, 'true');
    PERFORM pg_advisory_xact_lock_shared(4711);
    PERFORM pg_sleep(0.2);
    RAISE EXCEPTION 'somebody is gone';
END $$;
EOT
	my $gate = close_gate($node);
	my $log = -s $node->logfile;
	my $job = $node->safe_psql('postgres', q{SELECT kwjobs.submit('CALL fail_at_stop()', max_attempts => 1)});
	wait_at_gate($node, $job);
	$node->stop('fast');
	$gate->{run}->kill_kill;
	$node->start;
	wait_for_status($node, $job, 'succeeded');
	is(attempt_statuses($node, $job), 'interrupted,succeeded', 'an error while the server stops does not count');
	unlike(slurp_file($node->logfile, $log), qr/somebody is gone/, '... and is not reported');
}

# While the server stops, a worker puts its exit off until its checkpoint, or until the launcher
# ends it. Here the server stops when the launcher is gone and the postmaster has not started
# another one. So the worker exits at once.
{
	my $job = import_at_lock('no_launcher');
	my $launcher = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs launcher'});
	my $session = $node->background_psql('postgres');
	my $began = time;
	$session->query_safe("SELECT pg_terminate_backend($launcher, 60000)");
	$node->stop('fast');
	cmp_ok(time - $began, '<', 60, 'a fast stop ends though there is no launcher');
	$session->{run}->kill_kill;
	$node->start;
	$node->safe_psql('postgres', q{ROLLBACK PREPARED 'gate'});
	ends_well('no_launcher', $job, $short);
}

is_consistent($node);
$node->stop;
done_testing();
