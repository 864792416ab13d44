# What an import meets when it goes on after a while, or is to be reverted: files, tables
# and rights that are not what they were; and clients that do not wait for it.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 2000;
my $conf = "kwjobs.import_batch_size = 1kB\nfsync = off\nautovacuum = off\n";
my @encoding = ('--no-locale', '--encoding=UTF8');
my $node = new_node('changes', $conf, extra => [@encoding]);
my $csv = write_csv($node, $rows);

sub run_sql { return $node->safe_psql('postgres', $_[0]); }

run_sql(<<'EOF');
CREATE ROLE importer LOGIN IN ROLE pg_read_server_files;
GRANT USAGE ON SCHEMA public TO importer;
EOF

sub count_rows { return run_sql("SELECT count(*) FROM $_[0]"); }

# An import that waits at the gate, batches behind it; a row that was there before. By a
# role that may only INSERT. Returns job and gate.
sub import_at_gate
{
	my ($table, $path) = @_;
	make_target($node, $table, 1000);
	run_sql("INSERT INTO $table VALUES (-1); GRANT INSERT ON $table TO importer");
	my $gate = close_gate($node);
	my $job = run_sql("SET ROLE importer; SELECT kwjobs.import('$table', ARRAY['"
		  . ($path // $csv) . "'], ARRAY['n', 't'])");
	wait_at_gate($node, $job);
	return ($job, $gate);
}

# The same, paused, and the gate is open.
sub paused_import
{
	my ($table, $path) = @_;
	my ($job, $gate) = import_at_gate($table, $path);
	run_sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	open_gate($gate);
	return $job;
}

# It fails with this SQLSTATE and message, and only the row from before is left.
sub fails
{
	my ($job, $table, $code, $message, $name) = @_;
	run_sql("SELECT kwjobs.resume($job)");
	wait_for_end($node, $job);
	like(job_field($node, $job, "concat_ws('|', status, error_code, error, error_detail, error_hint)"),
		qr/^failed\|$code\|$message/, "$name: fails with $code");
	is(run_sql("SELECT string_agg(n::text, ',') FROM $table"), '-1', "$name: its rows are removed");
	return;
}

# --- files -----------------------------------------------------------------

sub file_of_its_own
{
	my ($name) = @_;
	my $path = abs_path($node->basedir) . "/$name.csv";
	append_to_file($path, slurp_file($csv));
	utime(1700000000, 1700000000, $path);
	return $path;
}

{
	my $path = file_of_its_own('appended');
	my $job = paused_import('appended', $path);
	append_to_file($path, "2001,more\n");
	fails($job, 'appended', '55000',
		qr/file ".*" was changed while it was being imported\|Its size .*\|Import the file again/,
		'text was appended to the file');
}

{
	my $path = file_of_its_own('touched');
	my $job = paused_import('touched', $path);
	utime(1700000001, 1700000001, $path);
	fails($job, 'touched', '55000', qr/file ".*" was changed .*\|Its modification time /, 'the file was written again');
}

{
	my $path = file_of_its_own('replaced');
	my $job = paused_import('replaced', $path);
	append_to_file("$path.new", slurp_file($path));
	utime(1700000000, 1700000000, "$path.new");
	rename("$path.new", $path) or die $!;
	fails($job, 'replaced', '55000', qr/file ".*" was changed .*\|Its inode /, 'another file took its place');
}

{
	my $path = file_of_its_own('removed');
	my $job = paused_import('removed', $path);
	unlink($path);
	fails($job, 'removed', '58P01', qr/could not open file ".*" for reading: /, 'the file is gone');
}

# It changes while it is being read: a file that follows another's rows.
{
	my $path = file_of_its_own('growing');
	my ($job, $gate) = import_at_gate('growing', $path);
	append_to_file($path, "2001,more\n");
	open_gate($gate);
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, error_code'), 'failed|55000', 'the file grows during a batch: fails');
	is(count_rows('growing'), '1', 'the file grows during a batch: its rows are removed');
}

# --- table and rights ------------------------------------------------------

{
	my $job = paused_import('dropped');
	run_sql('DROP TABLE dropped');
	run_sql("SELECT kwjobs.resume($job)");
	wait_for_end($node, $job);
	is( job_field($node, $job, "concat_ws('|', status, error_code, error, error_hint, running_status)"),
		'failed|42P01|table public.dropped does not exist any more|Create a table and type IMPORT again.|the table does not exist any more',
		'the table was dropped');
}

{
	my $job = paused_import('renamed');
	run_sql('ALTER TABLE renamed RENAME TO renamed_table');
	run_sql("SELECT kwjobs.resume($job)");
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, rows'), "succeeded|$rows", 'the table was renamed: the job goes on');
	is(count_rows('renamed_table'), $rows + 1, 'all rows are there');
}

{
	my $job = paused_import('column_renamed');
	run_sql('ALTER TABLE column_renamed RENAME t TO text');
	fails($job, 'column_renamed', '42703', qr/column "t" of table "column_renamed" does not exist\|Columns .*: n, text\.$/,
		'a column was renamed');
}

# Without a list of columns they are those that the table had when the job was created.
{
	my %change = (
		added => 'ADD d date DEFAULT now(), ADD g integer GENERATED ALWAYS AS (n * 2) STORED',
		renamed => 'RENAME n TO number',
		swapped => 'RENAME n TO x; ALTER TABLE all_swapped RENAME t TO n; ALTER TABLE all_swapped RENAME x TO t',
		added_and_dropped => 'ADD x text, ADD y text; ALTER TABLE all_added_and_dropped DROP COLUMN x',
		other_type => 'ALTER t TYPE varchar(100)');
	for my $what (sort keys %change)
	{
		my $table = "all_$what";
		make_target($node, $table, 1000);
		my $gate = close_gate($node);
		my $job = start_import($node, $table, $csv);
		wait_at_gate($node, $job);
		run_sql("SELECT kwjobs.pause($job)");
		wait_for_status($node, $job, 'paused');
		open_gate($gate);
		run_sql("DROP TRIGGER gate ON $table; ALTER TABLE $table $change{$what}");
		run_sql("SELECT kwjobs.resume($job)");
		wait_for_end($node, $job);
		is(job_field($node, $job, "concat_ws('|', status, error, rows)"), 'succeeded||2000', "columns $what: goes on");
		is( run_sql("SELECT count(*), count(DISTINCT a) FROM $table AS row (a, b) WHERE b = 'row ' || a"),
			'2000|2000', '... with all fields in their columns');
	}
	make_target($node, 'all_dropped', 1000);
	my $gate = close_gate($node);
	my $job = start_import($node, 'all_dropped', $csv);
	wait_at_gate($node, $job);
	run_sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	open_gate($gate);
	# another one has the name now
	run_sql('ALTER TABLE all_dropped DROP COLUMN t; ALTER TABLE all_dropped ADD t text; INSERT INTO all_dropped VALUES (-1)');
	fails($job, 'all_dropped', '42703', qr/column "t" of table "all_dropped" does not exist any more\|.*\|Columns .*: n, t\. /,
		'a column was dropped');
}

{
	my $job = paused_import('secured');
	run_sql('ALTER TABLE secured ENABLE ROW LEVEL SECURITY');
	fails($job, 'secured', '0A000', qr/IMPORT is not supported with row-level security\|/, 'row-level security was enabled');
}

{
	my $job = paused_import('revoked');
	run_sql('REVOKE INSERT ON revoked FROM importer');
	fails($job, 'revoked', '42501',
		qr/permission denied for table revoked\|Ask the owner of the table for: GRANT INSERT ON public.revoked TO importer/,
		'the right to insert was revoked');
}

{
	my $job = paused_import('no_files');
	run_sql('REVOKE pg_read_server_files FROM importer');
	fails($job, 'no_files', '42501', qr/permission denied to IMPORT from a file of the server\|/,
		'the right to read files was revoked');
	run_sql('GRANT pg_read_server_files TO importer');
}

# The worker is not superuser any more, and triggers do not act with more rights either.
{
	my $job = paused_import('bad_trigger');
	run_sql(<<'EOF');
CREATE TABLE secret (n integer);
CREATE FUNCTION write_secret() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.secret VALUES (1);
    RETURN NEW;
END $$;
CREATE TRIGGER write_secret BEFORE INSERT ON bad_trigger FOR EACH ROW EXECUTE FUNCTION write_secret();
EOF
	fails($job, 'bad_trigger', '42501', qr/permission denied for table secret/, 'a trigger needs rights that the owner of the job lacks');
}

# --- revert ----------------------------------------------------------------

sub cancel_fails
{
	my ($job, $message, $name) = @_;
	run_sql("SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'revert-failed');
	like(job_field($node, $job, "concat_ws('|', error_code, error, error_detail, error_hint)"), $message, "$name: the revert fails");
	return;
}

sub resume_ends
{
	my ($job, $table, $left, $name) = @_;
	run_sql("SELECT kwjobs.resume($job)");
	wait_for_status($node, $job, 'canceled');
	is(run_sql("SELECT string_agg(n::text, ',') FROM $table"), $left, "$name: RESUME JOB reverts when the cause is gone");
	return;
}

# A rewrite gives all rows to another transaction: the revert does not guess.
{
	my $job = paused_import('rewritten');
	run_sql('ALTER TABLE rewritten ADD changed timestamptz DEFAULT clock_timestamp()');
	my $before = count_rows('rewritten');
	cmp_ok($before, '>', 100, 'rows were imported');
	cancel_fails($job,
		qr/^55000\|\d+ of the rows that this job imported can no longer be told from others\|The table was rewritten since then, by ALTER TABLE for instance\.\|Remove the imported rows by hand; no row was removed by the job\.$/,
		'rewrite');
	is(count_rows('rewritten'), $before, 'rewrite: no row is removed');
	# RESUME JOB ends it when the rows were removed by hand.
	run_sql('DELETE FROM rewritten WHERE n > 0; VACUUM FULL rewritten; TRUNCATE rewritten');
	run_sql("SELECT kwjobs.resume($job)");
	wait_for_status($node, $job, 'canceled');
}

# VACUUM FULL and freezing keep the transactions of rows.
{
	my $job = paused_import('vacuumed');
	run_sql('VACUUM FULL vacuumed');
	run_sql('VACUUM FREEZE vacuumed');
	run_sql("SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');
	is(run_sql("SELECT string_agg(n::text, ',') FROM vacuumed"), '-1', 'VACUUM FULL and FREEZE: the rows are removed');
}

# Policies hide no row from the revert, whoever owns the table.
{
	my $job = paused_import('forced');
	run_sql(<<'EOF');
ALTER TABLE forced OWNER TO importer;
ALTER TABLE forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY nothing ON forced USING (false);
EOF
	run_sql("SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');
	is(run_sql("SELECT string_agg(n::text, ',') FROM forced"), '-1', 'row-level security: the rows are removed');
}

# No partition for a row in the middle.
{
	run_sql('CREATE TABLE parted (n integer, t text) PARTITION BY RANGE (n)');
	run_sql("CREATE TABLE parted_$_ PARTITION OF parted FOR VALUES FROM ($_) TO (" . ($_ + 500) . ')') for 0, 500, 1000;
	run_sql("CREATE TABLE parted_1500 (n integer, t text); INSERT INTO parted_1500 VALUES (1500, 'row 1500')");
	my $job = start_import($node, 'parted', $csv);
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, error_code, error_line'), 'failed|23514|1500', 'no partition for a row: its line is told');
	is(count_rows('parted'), '0', 'and the rows of all partitions are removed');
	run_sql('ALTER TABLE parted ATTACH PARTITION parted_1500 FOR VALUES FROM (1500) TO (2001)');
	$job = start_import($node, 'parted', $csv);
	wait_for_status($node, $job, 'succeeded');
	is(count_rows('parted'), $rows + 1, 'the partition is there: all rows are imported');
}

{
	my $job = paused_import('referenced');
	run_sql(<<'EOF');
ALTER TABLE referenced ADD PRIMARY KEY (n);
CREATE TABLE referencing (n integer REFERENCES referenced);
INSERT INTO referencing VALUES (7);
EOF
	my $before = count_rows('referenced');
	cancel_fails($job, qr/^23503\|update or delete on table "referenced" violates foreign key constraint .*\|Key \(n\)=\(7\) is still referenced/,
		'a row is referenced');
	is(count_rows('referenced'), $before, 'a row is referenced: no row is removed');
	run_sql('DELETE FROM referencing');
	resume_ends($job, 'referenced', '-1', 'a row is referenced');
}

{
	my $job = paused_import('kept');
	run_sql(<<'EOF');
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON kept FOR EACH ROW WHEN (OLD.n = 7) EXECUTE FUNCTION keep();
EOF
	cancel_fails($job, qr/^55000\|imported rows of table "kept" could not be removed\|A trigger of the table may prevent it/,
		'a trigger keeps a row');
	run_sql('DROP TRIGGER keep ON kept; CREATE RULE keep AS ON DELETE TO kept DO INSTEAD NOTHING');
	run_sql("SELECT kwjobs.resume($job)");
	wait_query($node, "SELECT count(*) = 2 FROM kwdb_internal.job_attempts WHERE job_id = $job AND reverting AND status = 'failed'");
	is(job_field($node, $job, 'status, error_code'), 'revert-failed|55000', 'a rule keeps the rows: the revert fails again');
	run_sql('DROP RULE keep ON kept');
	resume_ends($job, 'kept', '-1', 'a trigger, then a rule keeps rows');
}

# A failed job is reverted in the same way.
{
	my $path = file_of_its_own('failing');
	append_to_file($path, "x\n");
	run_sql('CREATE TABLE failing (n integer PRIMARY KEY, t text); CREATE TABLE failing_reference (n integer REFERENCES failing)');
	run_sql(<<'EOF');
CREATE FUNCTION refer() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.failing_reference VALUES (NEW.n); RETURN NULL; END';
CREATE TRIGGER refer AFTER INSERT ON failing FOR EACH ROW WHEN (NEW.n = 7) EXECUTE FUNCTION refer();
EOF
	my $job = start_import($node, 'failing', $path);
	wait_for_status($node, $job, 'revert-failed');
	is(job_field($node, $job, 'error_code, error_file IS NULL, error_line'), '23503|t|',
		'a failed job that could not be reverted shows what is in the way');
	run_sql('DELETE FROM failing_reference');
	run_sql("SELECT kwjobs.resume($job)");
	wait_for_status($node, $job, 'failed');
	is(count_rows('failing'), '0', 'a failed job that could not be reverted: RESUME JOB reverts it');
	is(job_field($node, $job, "error_code, error_file = '$path', error_line, error_column"), "22P02|t|2001|n",
		'... and then it shows why it failed');
}

# --- clients ---------------------------------------------------------------

# A session that waits in IMPORT; its job waits at the gate. $stops: the session is stopped before it waits.
sub client_at_gate
{
	my ($table, $settings, $stops) = @_;
	make_target($node, $table, 1000);
	my $gate = close_gate($node);
	my $client = $node->background_psql('postgres', on_error_stop => 0);
	$client->query_safe($settings) if $settings;
	my $pid = $client->query_safe('SELECT pg_backend_pid()');
	$client->query_until(qr/started/, "\\echo started\nIMPORT INTO $table CSV DATA ('$csv');\n");
	wait_query($node, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid") unless $stops;
	my $find = "FROM kwdb_internal.jobs WHERE description LIKE 'IMPORT INTO public.$table CSV%'";
	wait_query($node, "SELECT count(*) = 1 $find");
	my $job = run_sql("SELECT job_id $find");
	wait_at_gate($node, $job);
	return ($job, $gate, $client, $pid);
}

# The job is not disturbed.
sub goes_on
{
	my ($job, $gate, $table, $name) = @_;
	is(job_field($node, $job, 'status'), 'running', "$name: the job goes on");
	open_gate($gate);
	wait_for_status($node, $job, 'succeeded');
	is_imported($node, $table, $rows, "$name: all rows are imported");
	return;
}

# The client is killed; its backend notices when it looks at the connection, or when it has
# something to tell.
my %notices = (
	'client_connection_check_interval' => 'SET client_connection_check_interval = 100',
	'progress' => 'SET kwjobs.progress_interval = 100');
for my $how (sort keys %notices)
{
	my ($job, $gate, $client, $pid) = client_at_gate("killed_$how", $notices{$how});
	$client->{run}->kill_kill;
	wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
	goes_on($job, $gate, "killed_$how", "client killed ($how)");
}

# What the client is told when its wait ends early.
sub is_told
{
	my ($client, $job, $message, $name) = @_;
	my $told = qr/$message.*DETAIL:  Job $job goes on in the background\..*HINT:  To stop it, type CANCEL JOB $job\./s;
	$client->{run}->pump() until $client->{stderr} =~ /HINT:.*\n/ || $client->{timeout}->is_expired;
	like($client->{stderr}, $told, "$name: the client is told that the job goes on");
	return;
}

{
	my ($job, $gate, $client, $pid) = client_at_gate('wait_canceled');
	run_sql("SELECT pg_cancel_backend($pid)");
	is_told($client, $job, 'ERROR:  canceling statement due to user request', 'wait canceled');
	goes_on($job, $gate, 'wait_canceled', 'wait canceled');
	$client->quit;
}

{
	my ($job, $gate, $client, $pid) = client_at_gate('wait_timeout', "SET statement_timeout = '8s'");
	is_told($client, $job, 'ERROR:  canceling statement due to statement timeout', 'statement_timeout');
	goes_on($job, $gate, 'wait_timeout', 'statement_timeout');
	$client->quit;
}

{
	my ($job, $gate, $client, $pid) = client_at_gate('wait_terminated');
	run_sql("SELECT pg_terminate_backend($pid)");
	is_told($client, $job, 'FATAL:  terminating connection due to administrator command', 'session terminated');
	goes_on($job, $gate, 'wait_terminated', 'session terminated');
	$client->{run}->kill_kill;
}

# The session is canceled just after the commit of its job, at gate 4923 of test builds.
{
	my $stop = close_gates($node, 4923);
	my ($job, $gate, $client, $pid) = client_at_gate('canceled_before_wait', undef, 1);
	wait_at_gates($node, 1, "objid = 4923 AND pid = $pid");
	run_sql("SELECT pg_cancel_backend($pid)");
	is_told($client, $job, 'ERROR:  canceling statement due to user request', 'canceled before the wait');
	goes_on($job, $gate, 'canceled_before_wait', 'canceled before the wait');
	$_->quit for $client, $stop;
}

# Another session pauses, resumes, cancels the job of a session that waits.
{
	my ($job, $gate, $client, $pid) = client_at_gate('canceled_by_other');
	run_sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	is(run_sql("SELECT state FROM pg_stat_activity WHERE pid = $pid"), 'active', 'the job is paused: IMPORT waits');
	run_sql("SELECT kwjobs.resume($job)");
	wait_at_gate($node, $job);
	run_sql("SELECT kwjobs.cancel($job)");
	$client->{run}->pump() until $client->{stderr} =~ /ERROR:.*\n/ || $client->{timeout}->is_expired;
	like($client->{stderr}, qr/ERROR:  job canceled by user/, 'the job is canceled: IMPORT ends with the reason');
	is(count_rows('canceled_by_other'), '0', 'and with its rows removed');
	open_gate($gate);
	$client->quit;
}

# --- crash -----------------------------------------------------------------

# An unlogged table is emptied by a crash: going on would lose the first rows.
{
	my ($job, $gate) = import_at_gate('emptied');
	$node->safe_psql('postgres', "SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');
	run_sql('ALTER TABLE emptied SET UNLOGGED');
	$job = run_sql("SELECT kwjobs.import('emptied', ARRAY['$csv'])");
	wait_at_gate($node, $job);
	# batches commit asynchronously; some of them are to be there after the crash
	run_sql('CHECKPOINT');
	$node->stop('immediate');
	$gate->{run}->kill_kill;
	$node->start;
	wait_for_end($node, $job);
	is( job_field($node, $job, "concat_ws('|', status, error_code, error, error_detail, error_hint)"),
		'failed|55000|rows imported so far are no longer there|Table public.emptied is unlogged; a crash of the server empties it.|Import the files again.',
		'a crash empties an unlogged table: the job fails');
	is(count_rows('emptied'), '0', 'and the table is empty');
}

# Only some of the partitions are unlogged.
{
	run_sql(<<'EOF');
CREATE TABLE partly (n integer, t text) PARTITION BY RANGE (n);
CREATE UNLOGGED TABLE partly_unlogged PARTITION OF partly FOR VALUES FROM (0) TO (300);
CREATE UNLOGGED TABLE partly_never PARTITION OF partly FOR VALUES FROM (10000) TO (10001);
CREATE TABLE partly_logged PARTITION OF partly FOR VALUES FROM (300) TO (10000);
CREATE FUNCTION partly_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(4711);
    RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE INSERT ON partly FOR EACH ROW WHEN (NEW.n = 1000) EXECUTE FUNCTION partly_gate();
EOF
	my $gate = close_gate($node);
	my $job = start_import($node, 'partly', $csv);
	wait_at_gate($node, $job);
	# batches commit asynchronously; some of them are to be there after the crash
	run_sql('CHECKPOINT');
	$node->stop('immediate');
	$gate->{run}->kill_kill;
	$node->start;
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, error_code, error'),
		'failed|55000|rows imported so far are no longer there',
		'a crash empties an unlogged partition: the job fails');
	is(count_rows('partly'), '0', 'and the rows of the others are removed');

	# a pause empties nothing, whichever partitions have rows
	$gate = close_gate($node);
	$job = start_import($node, 'partly', $csv);
	wait_at_gate($node, $job);
	run_sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	open_gate($gate);
	run_sql("SELECT kwjobs.resume($job)");
	wait_for_status($node, $job, 'succeeded');
	is_imported($node, 'partly', $rows, 'unlogged partitions, pause and RESUME JOB: all rows are imported');
}

is_consistent($node);
$node->stop;

# --- transaction numbers that are used again ------------------------------

# Rows of the first 2^32 transactions are frozen; an import of the next 2^32 has the
# same 32-bit numbers.
{
	my $old = new_node('epoch', $conf, extra => [@encoding]);
	my $path = write_csv($old, 200);
	append_to_file($path, "x\n");
	my $max = $old->safe_psql('postgres', <<'EOF');
CREATE TABLE old (n integer, t text);
DO $$ BEGIN FOR i IN 1 .. 400 LOOP INSERT INTO old VALUES (-i); COMMIT; END LOOP; END $$;
SELECT max(xmin::text::bigint) FROM old;
EOF
	my $earlier = $old->safe_psql('postgres', q{SELECT kwjobs.submit('SELECT')});
	wait_for_end($old, $earlier);
	# whoever began before the last of them would keep it from being frozen
	wait_query($old, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()});
	$old->command_ok([ 'vacuumdb', '--all', '--freeze' ], 'all rows are frozen');
	$old->stop;
	command_ok([ 'pg_resetwal', '--epoch=1', '--next-transaction-id=' . ($max - 300), '-D', $old->data_dir ],
		'the numbers of transactions are used up once');
	$old->start;

	# The number of the transaction that has ended this job looks like one that is still to come.
	is($old->safe_psql('postgres', <<"EOF"), "t\nsucceeded", 'a session that waits for a job of the first 2^32 transactions finds that it is over');
SET statement_timeout = '60s';
SELECT xmin::text::bigint > pg_snapshot_xmax(pg_current_snapshot())::text::bigint % (1::bigint << 32) FROM kwjobs.job WHERE job_id = $earlier;
SELECT status FROM kwjobs.wait($earlier);
EOF

	my $job = start_import($old, 'old', $path);
	wait_for_end($old, $job);
	like(job_field($old, $job, "concat_ws('|', status, error_code, error, error_detail, error_hint)"),
		qr/^revert-failed\|55000\|\d+ rows of table "old" may have been imported by the job or be much older\|Their transaction numbers were in use before, and they are frozen\.\|Remove the imported rows by hand\./,
		'old frozen rows have the numbers of the job: the revert fails');
	is($old->safe_psql('postgres', 'SELECT count(*) FROM old WHERE n < 0'), '400', 'and removes no row');

	# rows behind those that were there before cannot be older
	$old->safe_psql('postgres', 'CREATE TABLE young (n integer, t text)');
	$job = start_import($old, 'young', $path);
	wait_for_end($old, $job);
	is(job_field($old, $job, 'status, error_code'), 'failed|22P02', 'no old rows: the job is reverted');
	is($old->safe_psql('postgres', 'SELECT count(*) FROM young'), '0', 'and its rows are removed');
	$old->stop;
}

done_testing();
