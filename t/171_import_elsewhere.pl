# Targets of which a revert could not remove the rows: foreign tables and partitions, views with INSTEAD OF
# triggers, tables that other libraries keep. They are refused, unless the user accepts that the rows stay
# (revert = 'none'). Then rows arrive where COPY brings them, by COPY statements.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 5000;
my $node = new_node('import_elsewhere', <<'EOF');
kwjobs.import_batch_size = 8kB
autovacuum = off
EOF
my $dir = abs_path($node->basedir);
my $good = write_csv($node, $rows);

sub query { return $node->safe_psql('postgres', $_[0]) }
sub remotely { return $node->safe_psql('remote', $_[0]) }

sub write_file
{
	my ($name, $text) = @_;
	unlink "$dir/$name";
	append_to_file("$dir/$name", $text);
	return "$dir/$name";
}

# The other server is this one, another database.
$node->safe_psql('postgres', 'CREATE DATABASE remote');
remotely(<<'EOF');
CREATE TABLE t (n integer, a text);
CREATE TABLE p2 (n integer, a text);
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(4711);
    RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.n = 3000) EXECUTE FUNCTION gate();
EOF
my ($host, $port) = ($node->host, $node->port);
query(<<"EOF");
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION file_fdw;
CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'remote');
CREATE USER MAPPING FOR PUBLIC SERVER other;
CREATE FOREIGN TABLE foreign_t (n integer, a text) SERVER other OPTIONS (table_name 't');
CREATE TABLE parted (n integer, a text) PARTITION BY RANGE (n);
CREATE TABLE p1 PARTITION OF parted FOR VALUES FROM (0) TO (2000);
CREATE FOREIGN TABLE p2 PARTITION OF parted FOR VALUES FROM (2000) TO (100000) SERVER other OPTIONS (table_name 'p2');
CREATE TABLE behind (n integer, a text, seen timestamptz DEFAULT now());
CREATE VIEW v AS SELECT n, a FROM behind;
CREATE FUNCTION through() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
    INSERT INTO public.behind (n, a) VALUES (NEW.n, NEW.a);
    RETURN NEW;
END \$\$;
CREATE TRIGGER through INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION through();
CREATE VIEW simple AS SELECT n, a FROM behind;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE file_t (n integer, a text) SERVER files OPTIONS (filename '$good', format 'csv');
CREATE TABLE with_file (n integer, a text) PARTITION BY RANGE (n);
CREATE TABLE with_file_1 PARTITION OF with_file FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE with_file_2 PARTITION OF with_file FOR VALUES FROM (10) TO (100000) SERVER files OPTIONS (filename '$good', format 'csv');
EOF

# --- refused, and accepted ---------------------------------------------------------------------------

# Returns SQLSTATE, message and hint of a statement that fails.
sub refusal { my ($statement) = @_; return error_parts($node, $statement) }
my $accept = "Type WITH revert = 'none' if the rows may stay when the job fails or is canceled.";
my $jobs = query('SELECT count(*) FROM kwjobs.job');
is(refusal("IMPORT INTO foreign_t CSV DATA ('$good')"), qq(0A000|cannot import into foreign table "foreign_t"|$accept), 'a foreign table');
is(refusal("IMPORT INTO parted CSV DATA ('$good')"), qq(0A000|cannot import into a table with foreign partition "p2"|$accept), 'a foreign partition');
is(refusal("IMPORT INTO p2 CSV DATA ('$good') WITH revert = 'exact'"), qq(0A000|cannot import into a table with foreign partition "p2"|$accept), 'that partition itself');
is(refusal("SELECT kwjobs.import('v', ARRAY['$good'])"), qq(0A000|cannot import into view "v"|$accept), 'a view with a trigger');
like(refusal("IMPORT INTO simple CSV DATA ('$good') WITH revert = 'none'"),
	qr/^42809\|cannot import into "simple"\|Create an INSTEAD OF INSERT trigger/, 'a view without a trigger');
like(refusal("IMPORT INTO file_t CSV DATA ('$good') WITH revert = 'none'"), qr/^0A000\|foreign table "file_t" does not allow inserts\|/, 'a foreign table that takes no rows');
like(refusal("IMPORT INTO with_file CSV DATA ('$good') WITH revert = 'none'"), qr/^0A000\|foreign table "with_file_2" does not allow inserts\|/, 'a partition that takes no rows');
like(refusal("IMPORT INTO p1 CSV DATA ('$good') WITH revert = 'some'"), qr/^22023\|invalid value for IMPORT option "revert": "some"\|Type revert = 'none'/, 'another value of the option');
is(query('SELECT count(*) FROM kwjobs.job'), $jobs, 'there is no job');

# Imports as a user does, and compares with what COPY makes of it.
sub imports
{
	my ($table, $where, $database, $name) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "SET kwjobs.progress_interval = 0; IMPORT INTO $table CSV DATA ('$good') WITH revert = 'none'");
	like($out, qr/\|succeeded\|1\|$rows\|/, "$name: the rows are imported");
	like($err, qr/NOTICE:  rows imported into "$table" stay there if the job fails or is canceled/, "$name: and the user is told that they stay");
	is($node->safe_psql($database, "SELECT count(*), count(DISTINCT n), sum(n) FROM $where"), "$rows|$rows|12502500", "$name: they are where COPY brings them");
	my $job = query('SELECT max(job_id) FROM kwdb_internal.jobs');
	is(job_field($node, $job, 'description'), "IMPORT INTO public.$table CSV DATA ('$good') WITH revert = 'none'", "$name: SHOW JOB says what was accepted");
	is(job_field($node, $job, q(result->>'revert')), 'none', "$name: so does the result");
	return;
}
imports('foreign_t', 't', 'remote', 'foreign table');
imports('parted', 'parted', 'postgres', 'foreign partition');
is(query('SELECT count(*) FROM ONLY p1') . ' ' . remotely('SELECT count(*) FROM p2'), '1999 3001', 'each partition has its rows');
imports('v', 'behind', 'postgres', 'view');
is(query('SELECT count(DISTINCT seen) > 2 FROM behind'), 't', 'in batches');

# --- errors ------------------------------------------------------------------------------------------
query('TRUNCATE behind');
remotely('TRUNCATE t; TRUNCATE p2');
my @lines = map { "$_,row $_\n" } 1 .. 2000;
$lines[1500] = qq{1501,"two\nlines"\n};
my $bad = write_file('bad.csv', join('', @lines, "x,bad\n", @lines));
my $job = query("IMPORT INTO foreign_t CSV DATA ('$bad') WITH revert = 'none', detached");
ends_as($node, $job, 'failed, 22P02, invalid input syntax for type integer: "x"', 'a bad record');
is(job_field($node, $job, 'error_file, error_line, error_column'), "$bad|2002|n", 'its place is known');
my $kept = job_field($node, $job, 'rows');
is(remotely('SELECT count(*), max(n) FROM t'), "$kept|$kept", 'the rows of earlier batches stay');
is(job_field($node, $job, 'running_status'), "$kept imported rows were kept (revert = 'none'); RETRY JOB imports the rest", 'the job says so');

# A batch that begins with a record of several lines.
my $long = write_file('long.csv', join('', map { qq{$_,"two\nlines"\n} } 1 .. 2000) . "x,bad\n");
$job = query("IMPORT INTO v CSV DATA ('$long') WITH revert = 'none', detached");
wait_for_end($node, $job);
is(job_field($node, $job, 'error_file, error_line, error_column'), "$long|4001|n", 'the place of an error behind records of several lines');
query('TRUNCATE behind');

# What an error leaves on another server is not known.
like(refusal("IMPORT INTO foreign_t CSV DATA ('$bad') WITH revert = 'none', on_error = 'skip'"), qr/^0A000\|on_error = 'skip' is not supported for "foreign_t"/, 'on_error = skip is refused');

# Other formats.
for my $format ('text', 'binary')
{
	query("COPY (SELECT n, 'row ' || n FROM generate_series(1, 3000) AS n) TO '$dir/rows.$format' (FORMAT $format)");
	remotely('TRUNCATE t');
	$job = query("IMPORT INTO foreign_t CSV DATA ('$dir/rows.$format') WITH revert = 'none', format = '$format', detached");
	ends_as($node, $job, 'succeeded', "format $format");
	is(remotely('SELECT count(*), count(DISTINCT n), count(DISTINCT a) FROM t'), '3000|3000|3000', "format $format: the rows are there");
}
my $ended = write_file('ended.txt', "1\ta\n\\.\n2\tb\n");
$job = query("IMPORT INTO v CSV DATA ('$ended') WITH revert = 'none', format = 'text', detached");
wait_for_end($node, $job);
is(job_field($node, $job, 'error_code'), '22P04', 'format text: what follows the marker is not lost');
is(job_field($node, $job, 'error_hint'), 'Remove the line, or write a backslash as two of them.', 'format text: the hint is about this format');

# A failure that can be mended: RETRY goes on.
remotely('TRUNCATE t; ALTER TABLE t ADD CONSTRAINT few CHECK (n < 4000)');
$job = query("IMPORT INTO foreign_t CSV DATA ('$good') WITH revert = 'none', detached");
wait_for_status($node, $job, 'failed');
is(job_field($node, $job, 'error_code'), '23514', 'the other server refuses a row');
cmp_ok(remotely('SELECT count(*) FROM t'), '>', 1000, 'rows are there');
remotely('ALTER TABLE t DROP CONSTRAINT few');
query("RETRY JOB $job");
ends_as($node, $job, 'succeeded', 'RETRY succeeds');
is(remotely('SELECT count(*), count(DISTINCT n) FROM t'), "$rows|$rows", 'and has imported the rest, no row twice');

# The table is a plain one: the rows stay as well.
query('CREATE TABLE plain (n integer, a text)');
$job = query("IMPORT INTO plain CSV DATA ('$bad') WITH revert = 'none', thread_concurrency = 4, detached");
wait_for_status($node, $job, 'failed');
is(query('SELECT count(*) FROM plain'), job_field($node, $job, 'rows'), 'rows in a plain table stay, too');
cmp_ok(job_field($node, $job, 'rows'), '>', 1000, '... some of them');

# COPY stops at a line of just \. until PostgreSQL 17.
SKIP:
{
	skip 'COPY does not stop at \.', 2 if $node->pg_version >= 18;
	query('TRUNCATE behind');
	my $marked = write_file('marked.csv', "1,a\n\\.\n2,b\n");
	$job = query("IMPORT INTO v CSV DATA ('$marked') WITH revert = 'none', detached");
	ends_as($node, $job, qq{failed, 22P04, text follows the end-of-data marker "\\." in file "$marked"}, 'text behind the marker is not lost');
	$marked = write_file('marked.csv', "1,a\n\\.\n");
	$job = query("IMPORT INTO v CSV DATA ('$marked') WITH revert = 'none', detached");
	ends_as($node, $job, 'succeeded', 'at the end it does no harm');
}
# Within a field, such a line is data in all versions.
query('TRUNCATE behind');
for my $line_end ("\n", "\r\n", "\r")
{
	my $quoted = write_file('quoted.csv', join($line_end, '1,"a', '\\.', 'b"', '2,c', ''));
	$job = query("IMPORT INTO v CSV DATA ('$quoted') WITH revert = 'none', detached");
	ends_as($node, $job, 'succeeded', 'such a line within a field: ' . unpack('H*', $line_end));
}
query("COPY v FROM '$dir/quoted.csv' (FORMAT csv)");
is(query(q{SELECT count(*), count(*) FILTER (WHERE replace(replace(a, E'\r\n', E'\n'), E'\r', E'\n') = E'a\n\\\\.\nb') FROM behind}), '8|4', '... is data, as for COPY');

# --- options, rights ---------------------------------------------------------------------------------
query('TRUNCATE behind');
my $odd = write_file('odd.csv', qq{a;n\n'it''s; "x"';1\n\\N;2\n'line\nbreak';3\n});
$job = query("IMPORT INTO v (n, a) CSV DATA ('$odd') WITH revert = 'none', header = 'match', delimiter = ';', enclosed = '''', nullif = '\\N', detached");
ends_as($node, $job, 'succeeded', 'options of the files');
is(query(q{SELECT string_agg(n || '=' || coalesce(a, 'NULL'), '|' ORDER BY n) FROM behind}), qq{1=it's; "x"|2=NULL|3=line\nbreak}, 'mean what they always mean');
query('CREATE ROLE loader LOGIN IN ROLE pg_read_server_files');
like(refusal("SET ROLE loader; IMPORT INTO v CSV DATA ('$good') WITH revert = 'none'"), qr/^42501\|permission denied for view v/, 'INSERT is needed');
query('GRANT INSERT ON v TO loader');
$job = query("SET ROLE loader; IMPORT INTO v CSV DATA ('$good') WITH revert = 'none', detached");
wait_for_status($node, $job, 'failed');
is(job_field($node, $job, 'error'), 'permission denied for table behind', 'the trigger runs as the owner of the job');

# --- PAUSE, CANCEL, crash ----------------------------------------------------------------------------
sub at_gate
{
	remotely('TRUNCATE t');
	my $gate = close_gates_in($node, 'remote', 4711);
	my $at = query("IMPORT INTO foreign_t CSV DATA ('$good') WITH revert = 'none', detached");
	wait_query($node, q{SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 4711}, 'remote');
	return ($at, $gate);
}
my $gate;
($job, $gate) = at_gate();
query("PAUSE JOB $job");
open_gate($gate);
wait_for_status($node, $job, 'paused');
cmp_ok(remotely('SELECT count(*) FROM t'), '<', $rows, 'paused in the middle');
query("RESUME JOB $job");
ends_as($node, $job, 'succeeded', 'resumed');
is(remotely('SELECT count(*), count(DISTINCT n) FROM t'), "$rows|$rows", 'each row is there once');

($job, $gate) = at_gate();
query("CANCEL JOB $job");
ends_as($node, $job, 'canceled, 57014, job canceled by user', 'canceled in the middle');
open_gate($gate);
$kept = job_field($node, $job, 'rows');
cmp_ok($kept, '>', 1000, 'some batches were done');
is(remotely('SELECT count(*) FROM t'), $kept, 'their rows stay');

($job, $gate) = at_gate();
kill_process($node, query("SELECT pid FROM kwdb_internal.jobs WHERE job_id = $job"), $gate);
ends_as($node, $job, 'succeeded', 'after kill -9 of the worker');
is(remotely('SELECT count(*), count(DISTINCT n) FROM t'), "$rows|$rows", 'each row is there once: no batch was committed on one server only');

# --- a library that takes COPY over ------------------------------------------------------------------
my $built = build_library($node, 'keeper_hooks', $dir);
ok($built, 'the library is built');
SKIP:
{
	skip 'there is no compiler', 6 unless $built;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kwjobs, $dir/keeper_hooks'\nallow_system_table_mods = on");
	$node->restart;
	query(<<'EOF');
CREATE TABLE pg_catalog.pg_dist_partition (
    logicalrelid regclass NOT NULL, partmethod "char" NOT NULL, partkey text, colocationid integer, repmodel "char", autoconverted boolean);
CREATE TABLE kept (n integer, a text);
CREATE TABLE store (n integer, a text);
INSERT INTO pg_catalog.pg_dist_partition VALUES ('kept', 'h');
EOF
	is(refusal("IMPORT INTO kept CSV DATA ('$good')"), qq(0A000|cannot import into table "kept", whose rows are kept by Citus|$accept), 'refused');
	my $log = -s $node->logfile;
	$job = query("IMPORT INTO kept CSV DATA ('$good') WITH revert = 'none', detached");
	ends_as($node, $job, 'succeeded', 'accepted');
	is(query('SELECT count(*) FROM kept') . ' ' . query('SELECT count(*) FROM store'), "0 $rows", 'the rows are where the library keeps them');
	my $seen = slurp_file($node->logfile, $log);
	like($seen, qr/keeper_hooks: COPY public\.kept \(n, a\) FROM STDIN \(format 'csv', delimiter ',', .*encoding 'UTF8'\)/, 'it has seen COPY statements');
	# Taken over in the middle.
	query('TRUNCATE store; DELETE FROM pg_catalog.pg_dist_partition');
	query(q{ALTER SYSTEM SET kwjobs.import_batch_size = '1kB'; SELECT pg_reload_conf()});
	query('CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$;
	       CREATE TRIGGER gate BEFORE INSERT ON kept FOR EACH ROW WHEN (NEW.n = 2500) EXECUTE FUNCTION gate()');
	$gate = close_gate($node);
	$job = query("IMPORT INTO kept CSV DATA ('$good') WITH revert = 'none', detached");
	wait_at_gate($node, $job);
	query("PAUSE JOB $job");
	open_gate($gate);
	wait_for_status($node, $job, 'paused');
	query("INSERT INTO pg_catalog.pg_dist_partition VALUES ('kept', 'h'); RESUME JOB $job");
	ends_as($node, $job, 'succeeded', 'a table that is taken over while the job is paused');
	is(query('SELECT count(*) = 5000, count(DISTINCT n) = 5000 FROM (TABLE kept UNION ALL TABLE store) AS x'), 't|t', 'has its rows here and there, none is lost');
	cmp_ok(query('SELECT count(*) FROM store'), '>', 1000, 'the later ones there');
}

is_consistent($node);
$node->stop;
done_testing();
