# Beside TimescaleDB, where it is installed: IMPORT brings rows into hypertables as COPY does, or is refused
# before the first row; EXPORT has each row once; job statements, kwjobs.track and commands on databases
# work in either load order.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 5000;
my $node = new_node('hypertables', <<'EOF');
kwjobs.import_batch_size = 8kB
autovacuum = off
EOF
my $libraries = $node->config_data('--pkglibdir');
unless (-e "$libraries/timescaledb.so")
{
  SKIP: { skip("TimescaleDB is not installed for this server ($libraries)", 1) }
	$node->stop;
	done_testing();
	exit;
}
# TimescaleDB's telemetry would look for a server of the Internet.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'timescaledb, kwjobs'\ntimescaledb.telemetry_level = off");
$node->restart;
my $dir = abs_path($node->basedir);

sub query { return $node->safe_psql('postgres', $_[0]) }

# Rows of 17 days and 4 devices. Of ten rows, nine have a value of two lines, and one has NULL.
query('SET client_min_messages = error; CREATE EXTENSION timescaledb');
my $file = "$dir/rows.csv";
query(<<"EOF");
COPY (SELECT timestamptz '2024-01-01 00:00:00+00' + n * interval '5 min' + interval '1 us' * (n % 7), n % 4, n,
             CASE WHEN n % 10 > 0 THEN 'text "' || n || '", with' || chr(10) || 'two lines' END
        FROM generate_series(1, $rows) AS n) TO '$file' (FORMAT csv)
EOF
my $columns = '(at timestamptz NOT NULL, device integer, n integer, t text)';
query(<<"EOF");
CREATE TABLE by_time $columns;
SELECT create_hypertable('by_time', 'at', chunk_time_interval => interval '1 day');
CREATE TABLE by_space $columns;
SELECT create_hypertable('by_space', 'at', 'device', 3, chunk_time_interval => interval '7 days');
CREATE TABLE copied (LIKE by_time);
SELECT create_hypertable('copied', 'at', chunk_time_interval => interval '1 day');
COPY copied FROM '$file' (FORMAT csv);
CREATE TABLE checked (LIKE by_time, CHECK (n <> 4000));
SELECT create_hypertable('checked', 'at', chunk_time_interval => interval '1 day');
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(4711);
    RETURN NEW;
END \$\$;
CREATE TABLE gated (LIKE by_time);
SELECT create_hypertable('gated', 'at', chunk_time_interval => interval '1 day');
CREATE TRIGGER gate BEFORE INSERT ON gated FOR EACH ROW WHEN (NEW.n = 3000) EXECUTE FUNCTION gate();
CREATE TABLE late (LIKE by_time);
EOF

# Returns SQLSTATE, message and hint of a statement that fails.
sub refusal { my ($statement) = @_; return error_parts($node, $statement) }

# Checks that the table has the rows that COPY has brought, all of them in chunks.
sub has_all_rows
{
	my ($table, $name) = @_;
	is(query("SELECT count(*) FROM $table") . ' ' . query("SELECT count(*) FROM ((TABLE $table EXCEPT ALL TABLE copied) UNION ALL (TABLE copied EXCEPT ALL TABLE $table)) AS x"),
		"$rows 0", "$name: the rows are those of COPY");
	is(query("SELECT count(*) FROM ONLY $table"), '0', "$name: ... and in chunks");
	return;
}

# --- refused, and accepted ---------------------------------------------------------------------------
my $accept = "Type WITH revert = 'none' if the rows may stay when the job fails or is canceled.";
is(refusal("IMPORT INTO by_time CSV DATA ('$file')"), qq(0A000|cannot import into table "by_time", whose rows are kept by TimescaleDB|$accept), 'a hypertable is refused');
my $chunk = query(q{SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks WHERE hypertable_name = 'copied' ORDER BY range_start LIMIT 1});
like(refusal("IMPORT INTO $chunk CSV DATA ('$file')"), qr/^0A000\|cannot import into table "_hyper_\w+", whose rows are kept by TimescaleDB\|/, 'so is a chunk');
like(refusal("IMPORT INTO by_time CSV DATA ('$file') WITH revert = 'none', on_error = 'skip'"), qr/^0A000\|on_error = 'skip' is not supported for "by_time"\|/, 'on_error = skip is refused');
like(refusal("IMPORT INTO by_time CSV DATA ('$file') WITH revert = 'none', analyze"), qr/^0A000\|IMPORT cannot run ANALYZE of "by_time"\|/, 'analyze is refused');
is(query('SELECT count(*) FROM by_time') . ' ' . query(q{SELECT count(*) FROM kwjobs.job WHERE job_type = 'IMPORT'}), '0 0', 'before the first row, and there is no job');

for my $table ('by_time', 'by_space')
{
	for my $workers (1, 4)
	{
		query("TRUNCATE $table");
		my $job = query("IMPORT INTO $table CSV DATA ('$file') WITH revert = 'none', thread_concurrency = $workers, detached");
		ends_as($node, $job, 'succeeded', "$table, $workers workers");
		is(job_field($node, $job, 'rows'), $rows, "$table, $workers workers: the job counts the rows");
		has_all_rows($table, "$table, $workers workers");
	}
	cmp_ok(query("SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = '$table'"), '>=', 9, "$table: in several chunks");
}

# --- errors ------------------------------------------------------------------------------------------
my $job = query("IMPORT INTO checked CSV DATA ('$file') WITH revert = 'none', detached");
wait_for_end($node, $job);
is(job_field($node, $job, 'status, error_code'), 'failed|23514', 'a row that a constraint refuses');
my $kept = job_field($node, $job, 'rows');
is(query('SELECT count(*), max(n) FROM checked'), "$kept|$kept", 'the rows of the batches before it stay');
is(job_field($node, $job, 'running_status'), "$kept imported rows were kept (revert = 'none'); RETRY JOB imports the rest", 'the job says so');
query("ALTER TABLE checked DROP CONSTRAINT checked_n_check; RETRY JOB $job");
ends_as($node, $job, 'succeeded', 'RETRY goes on');
has_all_rows('checked', 'RETRY');

# The place of an error: nine of ten records before it have two lines.
append_to_file("$dir/bad.csv", slurp_file($file) . "2024-01-01 00:00:00+00,x,0,\n");
query('TRUNCATE by_time');
$job = query("IMPORT INTO by_time CSV DATA ('$dir/bad.csv') WITH revert = 'none', detached");
wait_for_end($node, $job);
is(job_field($node, $job, 'error_code, error_file, error_line, error_column'), "22P02|$dir/bad.csv|" . ($rows * 19 / 10 + 1) . '|device', 'the place of an error is known');

# --- PAUSE, CANCEL, crash ----------------------------------------------------------------------------
sub at_gate
{
	my ($table, $revert) = @_;
	my $gate = close_gate($node);
	my $at = query("TRUNCATE $table; IMPORT INTO $table CSV DATA ('$file') WITH revert = '$revert', detached");
	wait_at_gate($node, $at);
	return ($at, $gate);
}

my $gate;
($job, $gate) = at_gate('gated', 'none');
query("PAUSE JOB $job");
open_gate($gate);
wait_for_status($node, $job, 'paused');
my $seen = query('SELECT count(*) FROM gated');
ok($seen > 0 && $seen < $rows, 'PAUSE: some rows are there');
query("RESUME JOB $job");
ends_as($node, $job, 'succeeded', 'RESUME');
has_all_rows('gated', 'RESUME');

($job, $gate) = at_gate('gated', 'none');
query("CANCEL JOB $job");
ends_as($node, $job, 'canceled, 57014, job canceled by user', 'CANCEL');
open_gate($gate);
$kept = job_field($node, $job, 'rows');
cmp_ok($kept, '>', 1000, 'CANCEL: some batches were done');
is(query('SELECT count(*) FROM gated'), $kept, '... their rows stay');

($job, $gate) = at_gate('gated', 'none');
kill_process($node, query("SELECT pid FROM kwdb_internal.jobs WHERE job_id = $job"), $gate);
ends_as($node, $job, 'succeeded', 'after kill -9 of the worker');
has_all_rows('gated', 'kill -9');

# --- a table that becomes a hypertable while its job is paused -----------------------------------------
for my $revert ('exact', 'none')
{
	query('DROP TABLE late; CREATE TABLE late (LIKE by_time); CREATE TRIGGER gate BEFORE INSERT ON late FOR EACH ROW WHEN (NEW.n = 3000) EXECUTE FUNCTION gate()');
	($job, $gate) = at_gate('late', $revert);
	query("PAUSE JOB $job");
	open_gate($gate);
	wait_for_status($node, $job, 'paused');
	$seen = query('SELECT count(*) FROM late');
	query("SET client_min_messages = error; SELECT create_hypertable('late', 'at', migrate_data => true); RESUME JOB $job");
	wait_for_end($node, $job);
	if ($revert eq 'none')
	{
		is(job_field($node, $job, 'status'), 'succeeded', 'a hypertable since the pause, rows may stay: the job goes on');
		has_all_rows('late', '... there');
	}
	else
	{
		is(job_field($node, $job, 'status, error'), 'revert-failed|imported rows of table "late" cannot be removed: its rows are kept by TimescaleDB now', 'a hypertable since the pause: the job ends');
		is(query('SELECT count(*) FROM late'), $seen, '... and no row has come or gone');
	}
}

# --- EXPORT ------------------------------------------------------------------------------------------
sub records_of { return join("", sort split(m{(?<=\n)(?=2024)}, join("", map { slurp_file($_) } @_))) }
query("TRUNCATE by_space; COPY by_space FROM '$file' (FORMAT csv)");
query("EXPORT INTO CSV '$dir/table' FROM TABLE by_space");
is(records_of(glob("$dir/table/*.csv")), records_of($file), 'EXPORT of a hypertable has each row once');
query("EXPORT INTO CSV '$dir/database' FROM DATABASE postgres");
is(join(' ', sort map { s{.*/database/}{}r } glob("$dir/database/*/")), 'public/', 'EXPORT of the database: the chunks are not exported for themselves');
is(records_of(glob("$dir/database/public/by_space/*.csv")), records_of($file), '... each row is there once');
query('CREATE DATABASE imported');
$node->safe_psql('imported', "SET client_min_messages = error; CREATE EXTENSION kwjobs; IMPORT DATABASE CSV DATA ('$dir/database')");
is($node->safe_psql('imported', 'SELECT count(*), count(DISTINCT n) FROM by_space'), "$rows|$rows", '... IMPORT DATABASE makes ordinary tables with all rows');

# --- in either order -----------------------------------------------------------------------------------
sub jobs_of
{
	my ($statements) = @_;
	my $last = query('SELECT max(job_id) FROM kwjobs.job');
	query("SET client_min_messages = error; SET kwjobs.track = 'all';\n$statements");
	wait_for_session_jobs($node);
	return query("SELECT concat_ws(' ', status, description) FROM kwdb_internal.jobs WHERE job_id > $last AND job_type IN ('SCHEMA CHANGE', 'CREATE_STATS') ORDER BY job_id");
}

sub check_order
{
	my ($order) = @_;
	$job = query(q{SELECT kwjobs.submit('SELECT count(*) FROM by_space')});
	ends_as($node, $job, 'succeeded', "$order: a SQL job");
	is(query("SELECT job_id = $job FROM [SHOW JOB $job]"), 't', "$order: SHOW JOB in a query");
	is(query("SELECT count(*) FROM by_space AS b JOIN [SHOW JOBS] AS j ON j.job_id = $job"), $rows, "$order: ... beside a hypertable");
	like(refusal('PAUSE JOB 1'), qr/^\w+\|job with ID 1 does not exist/, "$order: PAUSE JOB");

	my @statements = (
		'CREATE INDEX tracked ON copied (at)', 'REINDEX TABLE copied', 'CLUSTER copied USING tracked',
		'VACUUM (ANALYZE) copied', 'ANALYZE copied', 'ALTER TABLE copied ADD COLUMN x integer DEFAULT 1',
		'ALTER TABLE copied DROP COLUMN x', 'DROP INDEX tracked', 'TRUNCATE made', 'DROP TABLE made');
	query(q{CREATE TABLE made (at timestamptz NOT NULL); SELECT create_hypertable('made', 'at'); INSERT INTO made VALUES ('2024-01-01')});
	is(jobs_of(join(";\n", @statements)), join("\n", map { "succeeded $_" } @statements), "$order: a statement about a hypertable is one job");
	is(query('SELECT count(*) FROM copied'), $rows, "$order: ... and does what it does");
	$job = query('CREATE STATISTICS all_columns FROM copied WITH OPTIONS DETACHED');
	ends_as($node, $job, 'succeeded', "$order: CREATE STATISTICS of a hypertable");
	cmp_ok(query(q{SELECT count(*) FROM pg_stats WHERE tablename = 'copied' AND inherited}), '>', 2, "$order: ... collects those of all chunks together");

	query('CREATE DATABASE source');
	$node->safe_psql('source', q{SET client_min_messages = error; CREATE EXTENSION timescaledb; CREATE EXTENSION kwjobs; CALL kwjobs.run('SELECT 1')});
	wait_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'source' AND backend_type LIKE 'TimescaleDB%Scheduler'});
	# TimescaleDB's scheduler, which begins again at once, sometimes comes back too soon, also without kwjobs.
	my $copied = 0;
	for (1 .. 6)
	{
		$copied = $node->psql('postgres', 'CREATE DATABASE target TEMPLATE source') == 0;
		last if $copied;
		wait_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'source' AND backend_type LIKE 'TimescaleDB%Scheduler'});
	}
	ok($copied, "$order: CREATE DATABASE TEMPLATE");
	for my $command ('ALTER DATABASE source RENAME TO elsewhere', 'DROP DATABASE target', 'DROP DATABASE elsewhere')
	{
		my ($rc, $out, $err) = $node->psql('postgres', $command);
		is($rc, 0, "$order: $command") or diag($err);
	}
	return;
}
check_order('timescaledb, kwjobs');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kwjobs, timescaledb'");
$node->restart;
check_order('kwjobs, timescaledb');
query('TRUNCATE by_time');
$job = query("IMPORT INTO by_time CSV DATA ('$file') WITH revert = 'none', detached");
ends_as($node, $job, 'succeeded', 'kwjobs, timescaledb: IMPORT');
has_all_rows('by_time', 'kwjobs, timescaledb: IMPORT');

is_consistent($node);
$node->stop;
done_testing();
