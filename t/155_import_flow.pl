# What an IMPORT does so that its workers do not wait: the WAL writer writes its WAL while it goes on,
# and several workers find empty pages in the table and its B-trees.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjCsv;
use KwjGates;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

# The WAL writer hardly wakes by itself.
my $node = new_node('import_flow', <<'EOF', extra => [ '--no-locale', '--encoding=UTF8' ]);
fsync = off
autovacuum = off
wal_buffers = 4MB
wal_writer_delay = '10s'
kwjobs.max_workers = 4
kwjobs.import_batch_time = 0
EOF
my $dir = abs_path($node->basedir);
my $rows = 100000;

begin_session($node);
run_sql("$csv_tables ALTER FUNCTION gate() IMMUTABLE");
run_sql(<<'EOF');
CREATE TABLE imported.many (n integer PRIMARY KEY, t text);
CREATE INDEX ON imported.many USING hash (n);
CREATE TRIGGER gate BEFORE INSERT ON imported.many FOR EACH ROW WHEN (NEW.n IN (1, 2000, 10600, 80000)) EXECUTE FUNCTION gate();
EOF
my $path = "$dir/many.csv";
write_file($path, join('', map { "$_," . 'x' x (99 - length($_)) . "\n" } 1 .. $rows));

sub import_by
{
	my ($workers) = @_;
	return run_sql("SELECT kwjobs.import('imported.many', ARRAY['$path'], NULL, '{\"thread_concurrency\": $workers}')");
}

sub pages { return run_sql("SELECT pg_relation_size('$_[0]') / current_setting('block_size')::integer") }

# Without the help of the WAL writer, the worker would have to write all WAL itself that does not fit into the
# buffers: each page when it needs the buffer.
{
	run_sql("SELECT pg_stat_reset_shared('wal')");
	my $from = run_sql('SELECT pg_current_wal_insert_lsn()');
	my $job = import_by(1);
	wait_until_over($job);
	is(end_of($job), "succeeded|$rows", 'an import in one batch');
	my $pages = run_sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$from')::bigint / current_setting('wal_block_size')::integer");
	cmp_ok($pages, '>', 1500, '... writes more WAL than there are buffers');
	# The worker tells its counts when it is idle.
	wait_until('(SELECT wal_records > 100000 FROM pg_stat_wal)');
	cmp_ok(run_sql('SELECT wal_buffers_full FROM pg_stat_wal'), '<', $pages / 4, '... and mostly finds buffers that are written already');
}

# Two workers. One has a gate in the first piece, before it inserts anything, the other one in the second. So they
# never wait for each other: then PostgreSQL would add pages, too.
SKIP:
{
	skip 'COPY adds many pages at once', 12 if $node->pg_version >= 16;
	run_sql("TRUNCATE imported.many; TRUNCATE gates");
	run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '256kB'");
	close_at(1, 2000, 10600);
	my $job = import_by(2);
	at_gate($job, $_) for 1, 10600;
	open_at(1);
	ok(at_gate($job, 2000), 'one of two workers has imported some records');
	# These records, and those before the gate of the other worker.
	cmp_ok(pages('imported.many'), '>=', 64, '... into pages that were added at once');
	cmp_ok(pages('imported.many_pkey'), '>=', 32, '... and so were those of the B-tree');
	open_at(2000, 10600);
	wait_until_over($job);
	is(end_of($job), "succeeded|$rows", '... and both end');
	is(run_sql('SELECT count(*), count(DISTINCT n), min(n), max(n) FROM imported.many'), "$rows|$rows|1|$rows", '... with all records');
	is(run_sql('SET enable_seqscan = off; SELECT count(*) FROM imported.many WHERE n > 0; RESET enable_seqscan'), $rows, '... also in the index');

	# One worker adds pages while another session has created an index, and waits for the other worker to build it.
	run_sql('TRUNCATE imported.many; TRUNCATE gates');
	close_at(1, 10600, 80000);
	$job = import_by(2);
	at_gate($job, $_) for 1, 10600;
	my $builder = $node->background_psql('postgres');
	$builder->query_until(qr/begins/, "\\echo begins\nCREATE INDEX CONCURRENTLY built ON imported.many (t);\n");
	wait_until("(SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock')");
	open_at(1);
	at_gate($job, 80000);
	is(pages('imported.built'), 0, 'an index that is not built yet gets no pages');
	open_at(10600, 80000);
	wait_until_over($job);
	is(end_of($job), "succeeded|$rows", '... and the import ends');
	$builder->query_safe('SELECT 1');
	$builder->quit;
	is(run_sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'imported.built'::regclass"), 't', '... and the index is built');
	is(run_sql("SET enable_seqscan = off; SELECT count(*) FROM imported.many WHERE t > ''; RESET enable_seqscan"), $rows, '... of all records');
	run_sql('DROP INDEX imported.built');

	# What is left over is used, and cut off.
	run_sql('TRUNCATE imported.many');
	close_at(80000);
	$job = import_by(2);
	at_gate($job, 80000);
	run_sql("SELECT kwjobs.cancel($job)");
	wait_until_over($job);
	like(end_of($job), qr/^canceled/, 'a canceled import');
	run_sql('SELECT pg_advisory_unlock_all()');
	# VACUUM leaves the rows that a snapshot may need which is older than the end of the job.
	wait_until('NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid())');
	$node->safe_psql('postgres', 'VACUUM imported.many');
	is(pages('imported.many'), 0, '... leaves no page behind VACUUM');
}

quit_session();
$node->stop;
done_testing();
