# IMPORT DATABASE: what EXPORT ... FROM DATABASE has written becomes the same tables with the same rows, in
# one job, whatever happens on the way; or nothing is left.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('import_database', <<'EOF');
fsync = off
kwjobs.max_workers = 4
kwjobs.import_batch_size = 16kB
autovacuum = off
EOF
my $dir = abs_path($node->basedir);

$node->safe_psql('postgres', 'CREATE DATABASE source; CREATE DATABASE target; CREATE ROLE reader');
$node->safe_psql($_, 'CREATE EXTENSION kwjobs') for ('source', 'target');
sub source { return $node->safe_psql('source', $_[0]) }
sub target { return $node->safe_psql('target', $_[0]) }

# A record of app.child waits at the gate 4711 in the target. The function says that it is IMMUTABLE, so that
# several workers may import.
source('CREATE FUNCTION public.passes(n integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT true $$');
target(<<'EOF');
CREATE FUNCTION public.passes(n integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF n = 5000 THEN
        PERFORM pg_advisory_xact_lock_shared(4711);
    END IF;
    RETURN true;
END $$;
EOF
source(<<'EOF');
CREATE SCHEMA app;
CREATE TYPE app.kind AS ENUM ('one', 'two');
CREATE DOMAIN app.positive AS integer CHECK (VALUE > 0);
CREATE TYPE app.pair AS (a app.kind, b app.positive);
-- Its name comes before that of the table to which it refers, and it has more rows than a batch.
CREATE TABLE app.child (id integer PRIMARY KEY CHECK (public.passes(id)), of integer, t text, kind app.kind, pair app.pair, more integer[]);
CREATE TABLE app.parent (id serial PRIMARY KEY, name text UNIQUE NOT NULL, n app.positive DEFAULT 7, twice integer GENERATED ALWAYS AS (n * 2) STORED);
ALTER TABLE app.child ADD CONSTRAINT of_parent FOREIGN KEY (of) REFERENCES app.parent;
CREATE INDEX child_t ON app.child (t) WHERE kind = 'one';
CREATE UNIQUE INDEX parent_upper ON app.parent (upper(name));
CREATE TABLE app.parted (k integer, v text) PARTITION BY RANGE (k);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (0) TO (100);
CREATE TABLE app.parted_2 PARTITION OF app.parted FOR VALUES FROM (100) TO (1000);
CREATE INDEX ON app.parted (v);
CREATE TABLE public.empty (id bigint GENERATED ALWAYS AS IDENTITY, "odd ""name" text DEFAULT 'x');
CREATE UNLOGGED TABLE public.unlogged (a integer, b text COLLATE "C");
COMMENT ON TABLE app.parent IS 'it''s the parent';
GRANT SELECT ON app.parent TO reader;
INSERT INTO app.parent (name, n) SELECT 'name ' || i, i FROM generate_series(1, 2000) AS i;
INSERT INTO app.child SELECT i, 1 + i % 2000, CASE WHEN i % 7 > 0 THEN 'text ' || i || E'\n"quoted", ' END, (ARRAY['one', 'two'])[1 + i % 2]::app.kind, ROW('two', i)::app.pair, ARRAY[i, NULL]
  FROM generate_series(1, 8000) AS i;
INSERT INTO app.parted SELECT i, 'v' || i FROM generate_series(0, 999) AS i;
INSERT INTO public.unlogged VALUES (1, NULL), (2, ''), (3, 'ä');
EOF

# The tables whose rows are compared.
my @tables = ('app.child', 'app.parent', 'app.parted', 'public.empty', 'public.unlogged');
my $rows = 2000 + 8000 + 1000 + 3;

my $exports = 0;
sub export
{
	my ($options) = @_;
	my $to = "$dir/export" . ++$exports;
	source("SET kwjobs.progress_interval = 0; EXPORT INTO CSV '$to' FROM DATABASE source" . ($options ? " WITH $options" : ''));
	return $to;
}
my $all = 'foreign_key, comment, privileges';
my $plain = export($all);

# What pg_dump says of the tables, without what is about the dump itself.
sub dump_of
{
	my ($database) = @_;
	my ($out, $err) = run_command([ 'pg_dump', '--schema-only', '-d', $node->connstr($database), '-n', 'app', '-t', 'app.*', '-t', 'public.empty', '-t', 'public.unlogged' ]);
	return join("\n", grep { !/^(--|\\|$|SET |SELECT pg_catalog.set_config)/ } split(/\n/, $out));
}
sub types_of
{
	my ($database) = @_;
	return $node->safe_psql($database, q{SELECT format('%s %s %s', typname, typtype, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
		FROM pg_type AS t WHERE typnamespace = 'app'::regnamespace AND typrelid = 0 ORDER BY 1});
}
sub rows_of { my ($database, $table) = @_; return $node->safe_psql($database, "SELECT md5(string_agg(x::text, E'\\n' ORDER BY x::text)), count(*) FROM $table AS x") }

sub state_of
{
	my ($database) = @_;
	return { dump => dump_of($database), types => types_of($database),
		sequence => $node->safe_psql($database, 'SELECT last_value, is_called FROM app.parent_id_seq'),
		map { $_ => rows_of($database, $_) } @tables };
}
# What is in the source when it is exported. A crash empties its unlogged table, and moves its sequence on.
my $exported = state_of('source');

sub is_same
{
	my ($name) = @_;
	my $state = state_of('target');
	is($state->{$_}, $exported->{$_}, "$name: $_") for sort keys %$exported;
	return;
}
sub is_nothing_left
{
	my ($name) = @_;
	is(target(q{SELECT count(*) FROM pg_class WHERE oid >= 16384 AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')}) . ' '
		  . target(q{SELECT coalesce(to_regnamespace('app')::text, 'none')}), '0 none', "$name: nothing is left");
	return;
}
sub clear { return target('DROP SCHEMA IF EXISTS app CASCADE; DROP TABLE IF EXISTS public.empty, public.unlogged') }

# --- the statement, and functions --------------------------------------------------------------------
my $out = target("SET kwjobs.progress_interval = 0; IMPORT DATABASE CSV DATA ('$plain')");
like($out, qr/^\d+\|succeeded\|1\|$rows\|0\|0\|None$/, 'the statement returns the rows');
my $job = target('SELECT max(job_id) FROM kwdb_internal.jobs');
is(job_field($node, $job, 'job_type, description, status, rows', 'target'), "IMPORT|IMPORT DATABASE CSV DATA ('$plain')|succeeded|$rows", 'so does the job');
is_same('imported');
clear();
like(target("CALL kwjobs.import_database_and_wait('$plain', '{\"thread_concurrency\": \"3\"}')"), qr/succeeded/, 'by a procedure, and several workers');
is_same('by several workers');
clear();
$job = target("SELECT kwjobs.create_job('IMPORT', '{\"directory\": \"$plain\"}')");
wait_for_status($node, $job, 'succeeded', 'target');
is_same('by create_job');
clear();
target("PREPARE p(text) AS IMPORT DATABASE CSV DATA (\$1) WITH detached; EXECUTE p('$plain')");
$job = target('SELECT max(job_id) FROM kwdb_internal.jobs');
wait_for_status($node, $job, 'succeeded', 'target');
target("BEGIN; DROP SCHEMA app CASCADE; DROP TABLE public.empty, public.unlogged; IMPORT DATABASE CSV DATA ('$plain') WITH detached; COMMIT");
$job = target('SELECT max(job_id) FROM kwdb_internal.jobs');
wait_for_status($node, $job, 'succeeded', 'target');
is_same('in a transaction block');
clear();
target("DO \$\$ BEGIN EXECUTE 'IMPORT DATABASE CSV DATA (''$plain'') WITH detached'; END \$\$");
$job = target('SELECT max(job_id) FROM kwdb_internal.jobs');
wait_for_status($node, $job, 'succeeded', 'target');
clear();
my $script = "$dir/script.sql";
for my $mode ('simple', 'extended', 'prepared')
{
	unlink $script;
	append_to_file($script, "IMPORT DATABASE CSV DATA ('$plain') WITH detached;\n");
	$node->command_ok([ 'pgbench', '-n', '-t', 1, '-M', $mode, '-f', $script, $node->connstr('target') ], "protocol mode $mode");
	$job = target('SELECT max(job_id) FROM kwdb_internal.jobs');
	wait_for_status($node, $job, 'succeeded', 'target');
	clear();
}

# --- other options of EXPORT -------------------------------------------------------------------------
my $odd = export(qq{$all, delimiter = ';', enclosed = '''', nullas = '\\N', column_name, chunk_rows = 1000, checksum = 'sha256'});
target("SET kwjobs.progress_interval = 0; IMPORT DATABASE CSV DATA ('$odd') WITH thread_concurrency = 2");
is_same('with other options');
clear();
my $metas = export('meta_only');
target("SET kwjobs.progress_interval = 0; IMPORT DATABASE CSV DATA ('$metas')");
is(target('SELECT count(*) FROM app.child') . target(q{SELECT to_regclass('public.unlogged')}), '0unlogged', 'definitions without rows');
clear();

# --- refused -----------------------------------------------------------------------------------------
sub refusal { my ($statement) = @_; return error_parts($node, $statement, 'target') }
my $jobs = target('SELECT count(*) FROM kwdb_internal.jobs');
target('CREATE TABLE public.unlogged (a integer)');
like(refusal("IMPORT DATABASE CSV DATA ('$plain')"), qr/^42P07\|relation "unlogged" already exists\|The job creates all that its definitions name\./, 'a table that exists');
clear();
my $data = export('data_only');
like(refusal("IMPORT DATABASE CSV DATA ('$data')"), qr/^22023\|the EXPORT of the manifest "\S+" has written no meta.sql\|Export without data_only/, 'an export without definitions');
like(refusal("IMPORT DATABASE CSV DATA ('$dir')"), qr/^58P01\|could not open file "\S+manifest.json"/, 'no export');
append_to_file("$dir/manifest.json", '{"kwjobs_backup": 1}');
like(refusal("IMPORT DATABASE CSV DATA ('$dir')"), qr/^22P04\|file "\S+manifest.json" is not a manifest of EXPORT\|Name a directory that EXPORT has written; type RESTORE/, 'a backup');
unlink("$dir/manifest.json");
like(refusal("IMPORT DATABASE CSV DATA ('relative')"), qr/^42602\|relative path "relative\/manifest.json" not allowed/, 'a relative path');
like(refusal("IMPORT DATABASE CSV DATA ('$plain', '$odd')"), qr/^42601\|/, 'two directories');
like(refusal("IMPORT DATABASE CSV DATA ('$plain') WITH force_null = '*'"), qr/^22023\|IMPORT DATABASE has no option "force_null"/, 'an option about columns');
like(refusal("IMPORT DATABASE CSV DATA ('$plain') WITH delimiter = ';'"), qr/^22023\|IMPORT option "delimiter" contradicts the manifest/, 'an option that contradicts the manifest');
like(refusal('SELECT kwjobs.import_database(NULL)'), qr/^22004\|the directory to import from must not be null/, 'no directory');
my $rejects = "WITH on_error = 'skip', reject_file = '$plain/manifest.json'";
like(refusal("IMPORT DATABASE CSV DATA ('$plain') $rejects"), qr/^58P02\|reject file "\S+manifest.json" already exists\|/, 'a reject file that exists');
target('GRANT pg_read_server_files TO reader');
like(refusal("SET ROLE reader; IMPORT DATABASE CSV DATA ('$plain') $rejects"), qr/^42501\|permission denied to write reject file "\S+manifest.json"\|/, 'a role that may write no files does not learn that');
target('REVOKE pg_read_server_files FROM reader');
source("EXPORT INTO CSV '$dir/query' FROM SELECT 1");
like(refusal("IMPORT DATABASE CSV DATA ('$dir/query')"), qr/^22023\|the manifest "\S+" is of a query, not of tables\|/, 'an export of a query');
my $changed = export($all);
append_to_file("$changed/meta.sql", 'DROP TABLE x;');
like(refusal("IMPORT DATABASE CSV DATA ('$changed')"), qr/^XX001\|file "\S+meta.sql" is not as the EXPORT has written it\|/, 'a changed definition');
# A manifest that names a table which its meta.sql does not create, but which is there.
target('CREATE TABLE public.other (a integer, b text)');
my $foreign = export($all);
my $forged = slurp_file("$foreign/manifest.json");
unlink "$foreign/manifest.json";
append_to_file("$foreign/manifest.json", $forged =~ s/"table": "unlogged"/"table": "other"/r);
like(refusal("IMPORT DATABASE CSV DATA ('$foreign')"), qr/^22023\|the definition does not create table public.other\|/, 'a table of others');
is(target('SELECT count(*) FROM public.other'), 0, '... gets no row');
target('DROP TABLE public.other');
is(target('SELECT count(*) FROM kwdb_internal.jobs'), $jobs, 'there is no job');
is_nothing_left('refused');

# A changed byte is found before the first row, and before anything is created.
$changed = export($all);
my ($file) = glob("$changed/public/unlogged/*.csv");
my $text = slurp_file($file);
unlink $file;
append_to_file($file, $text =~ s/1/9/r);
for my $workers (1, 3)
{
	my $gate = close_gates_in($node, 'target', 4940);
	$job = target("IMPORT DATABASE CSV DATA ('$changed') WITH thread_concurrency = $workers, detached");
	wait_query($node, "SELECT finished IS NOT NULL OR EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted) FROM kwdb_internal.jobs WHERE job_id = $job", 'target');
	is(target(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}), '0', "a changed byte, $workers workers: it is found before anything is created");
	$gate->quit;
	wait_for_status($node, $job, 'failed', 'target');
	is(job_field($node, $job, 'error_code, rows', 'target'), 'XX001|0', "a changed byte, $workers workers");
	is_nothing_left('a changed byte');
}

# --- crashes, PAUSE, CANCEL ---------------------------------------------------------------------------
# A crash would also empty an unlogged table of the target, so that the job could not go on.
source('DROP TABLE public.unlogged');
pop @tables;
$exported = state_of('source');
$plain = export($all);

sub start
{
	my ($workers, $from) = @_;
	return target('IMPORT DATABASE CSV DATA (' . "'" . ($from // $plain) . "') WITH thread_concurrency = $workers, detached");
}
sub wait_at
{
	my ($key) = @_;
	wait_query($node, "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $key", 'target');
	return target("SELECT min(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $key");
}
for my $workers (1, 3)
{
	my $by = "by $workers worker" . ($workers > 1 ? 's' : '');
	for my $key (4940, 4711, 4941)
	{
		my $gate = close_gates_in($node, 'target', $key);
		$job = start($workers);
		my $pid = wait_at($key);
		is(target(q{SELECT to_regclass('app.child_t') IS NULL}), 't', "$by: the index is not there yet at gate $key");
		is(target('SELECT count(*) FROM app.child'), 8000, "$by: but the rows are") if $key == 4941;
		cmp_ok(target('SELECT count(*) FROM app.child'), '>', 1000, "$by: some rows are") if $key == 4711;
		kill_process($node, $pid, $gate);
		wait_for_status($node, $job, 'succeeded', 'target');
		is_same("$by, killed at gate $key");
		clear();
	}

	# The rows are all there, and what comes last fails: the parent of a row is missing.
	my $lost = export($all);
	my ($csv) = glob("$lost/app/parent/*.csv");
	$text = slurp_file($csv);
	unlink $csv;
	append_to_file($csv, $text =~ s/^77,[^\n]*\n//mr);
	# The manifest gets the size and the checksum of the changed file, as if it had been exported so.
	my $manifest = slurp_file("$lost/manifest.json");
	my ($bytes, $sum) = (-s $csv, crc32c(slurp_file($csv)));
	my $base = "app/parent/" . ($csv =~ s/.*\///r);
	$manifest =~ s/("file": "\Q$base\E", "rows": \d+, "bytes": )\d+(, "checksum": ")\w+/$1$bytes$2$sum/;
	unlink "$lost/manifest.json";
	append_to_file("$lost/manifest.json", $manifest);
	$job = start($workers, $lost);
	wait_for_end_in($job);
	is(job_field($node, $job, 'status, error_code', 'target'), 'failed|23503', "$by: a foreign key is checked at the end");
	is_nothing_left($by);

	for my $key (4711, 4941)
	{
		my $gate = close_gates_in($node, 'target', $key);
		$job = start($workers);
		wait_at($key);
		target("PAUSE JOB $job");
		$gate->quit;
		wait_query($node, "SELECT status IN ('paused', 'succeeded') FROM kwdb_internal.jobs WHERE job_id = $job", 'target');
		target("RESUME JOB $job") if job_field($node, $job, 'status', 'target') eq 'paused';
		wait_for_status($node, $job, 'succeeded', 'target');
		is_same("$by, paused at gate $key");
		clear();

		$gate = close_gates_in($node, 'target', $key);
		$job = start($workers);
		wait_at($key);
		target("CANCEL JOB $job");
		wait_for_status($node, $job, 'canceled', 'target');
		$gate->quit;
		is(job_field($node, $job, 'running_status', 'target'), 'dropped 6 tables that the job had created', "$by: canceled at gate $key");
		is_nothing_left("$by: canceled at gate $key");
	}
}

sub wait_for_end_in { my ($id) = @_; wait_query($node, "SELECT finished IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $id", 'target'); return; }

# CRC-32C as in the manifest: eight hexadecimal digits, lowest byte first.
sub crc32c
{
	my ($data) = @_;
	my $crc = 0xffffffff;
	my @table = map { my $c = $_; $c = $c & 1 ? ($c >> 1) ^ 0x82f63b78 : $c >> 1 for 1 .. 8; $c } 0 .. 255;
	$crc = $table[ ($crc ^ $_) & 0xff ] ^ ($crc >> 8) for unpack('C*', $data);
	return unpack('H*', pack('V', $crc ^ 0xffffffff));
}

is_consistent($node, 'target');
$node->stop;
done_testing();
