# BACKUP ... WITH verify = 'restore': it succeeds only if a restored backup is equal to what was dumped, and
# leaves nothing behind, however it ends.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjPrograms;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/environ';

my $node = new_node('verify', <<'EOC');
kwjobs.max_workers = 4
log_statement = none
autovacuum = off
EOC
my $place = make_place($node);

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }
sub error_of { return sql("SELECT error_code || ': ' || error || ' ' || coalesce(error_detail, '') FROM kwdb_internal.jobs WHERE job_id = $_[0]"); }

# Creates a BACKUP that is verified; returns its id.
sub create
{
	my ($statement, @options) = @_;
	return sql("$statement WITH " . join(', ', 'detached', "verify = 'restore'", @options));
}

sql(<<'EOC');
CREATE ROLE saver LOGIN CREATEDB;
CREATE ROLE "odd owner";
GRANT "odd owner" TO saver;
GRANT pg_write_server_files, pg_read_server_files TO saver;
CREATE ROLE poor LOGIN;
GRANT pg_write_server_files TO poor;
CREATE DATABASE shop OWNER saver;
COMMENT ON DATABASE shop IS 'has one';
EOC
sql('CREATE EXTENSION kwjobs', 'shop');
# Much of what there is, with texts that PostgreSQL writes in another way when it has read them back.
my $objects = <<'EOC';
CREATE SCHEMA own;
CREATE TYPE own.mood AS ENUM ('a', 'b');
CREATE DOMAIN own.short AS varchar(10) CHECK (value IN ('x', 'y'));
CREATE TABLE own.orders (id serial PRIMARY KEY, note varchar(20) CHECK (note IN ('a', 'b')), m own.mood, s own.short, f float8, b bytea, t timestamptz DEFAULT now());
ALTER TABLE own.orders DROP COLUMN b;
INSERT INTO own.orders (note, m, s, f) SELECT 'a', 'b', 'x', 1.0 / n FROM generate_series(1, 1000) AS n;
DELETE FROM own.orders WHERE id % 3 = 0;
UPDATE own.orders SET note = 'b' WHERE id % 7 = 0;
-- rows that do not fit where the last one ended
CREATE TABLE own.wide (n int, t text);
ALTER TABLE own.wide ALTER t SET STORAGE PLAIN;
INSERT INTO own.wide SELECT n, repeat('x', (n * 7919) % 7000) FROM generate_series(1, 300) AS n;
CREATE TABLE own.refs (o int REFERENCES own.orders);
INSERT INTO own.refs VALUES (1), (2);
CREATE TABLE own.lines (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, o int, n int) PARTITION BY RANGE (id);
CREATE TABLE own.lines_1 PARTITION OF own.lines FOR VALUES FROM (0) TO (100);
CREATE TABLE own."lines 2" PARTITION OF own.lines FOR VALUES FROM (100) TO (1000);
INSERT INTO own.lines (o, n) SELECT NULL, n FROM generate_series(1, 500) AS n;
CREATE INDEX ON own.lines (n);
CREATE VIEW own.v AS SELECT * FROM own.orders WHERE note IN ('a', 'b');
CREATE MATERIALIZED VIEW own.mv AS SELECT count(*) FROM own.orders;
CREATE FUNCTION own.tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER tr BEFORE INSERT ON own.orders FOR EACH ROW EXECUTE FUNCTION own.tg();
CREATE SEQUENCE own.s START 5;
SELECT setval('own.s', 77);
GRANT SELECT ON own.orders TO PUBLIC;
COMMENT ON TABLE own.orders IS 'it''s the table';
SELECT lo_from_bytea(4711, 'a large object');
CREATE TABLE own.empty ();
CREATE PUBLICATION pub FOR TABLE own.orders;
EOC
sql('SET SESSION AUTHORIZATION saver; ' . $objects, 'shop');

# ---- it is equal ----

my $job = create("BACKUP DATABASE shop TO '$place/one'", "run_as = 'saver'");
wait_for_status($node, $job, 'succeeded');
is(sql("SELECT result ->> 'verified' FROM kwdb_internal.jobs WHERE job_id = $job"), 'restore', 'a backup is restored and compared');
is(sql("SELECT verified, checksums_right FROM [SHOW BACKUP '$place/one']"), 'restore|t', 'SHOW BACKUP says so');
is(databases($node), 'postgres shop', 'the scratch database is gone');
is(entries($place), 'one', 'so is the second dump');
wait_until_clean($node, 'no process is left');
# A table of another role, which pg_restore gives away before that role has its right on the schema.
sql('ALTER TABLE own.wide OWNER TO "odd owner"; GRANT CREATE ON SCHEMA own TO "odd owner"', 'shop');
sql("BACKUP DATABASE shop TO '$place/no-owner' WITH verify = 'restore_no_owner', run_as = 'saver'");
is(sql("SELECT verified FROM [SHOW BACKUP '$place/no-owner']"), 'restore_no_owner', 'with another owner, who is not compared');
sql("BACKUP DATABASE shop TO '$place/by-superuser' WITH verify = 'restore', thread_concurrency = 1, compress = 0");
ok(-e "$place/by-superuser/manifest.json", 'one process, no compression, by a superuser');
sql("BACKUP TABLE own.wide, own.lines TO '$place/tables' WITH verify = 'restore'", 'shop');
is(sql("SELECT verified FROM [SHOW BACKUP '$place/tables']"), 'restore', 'tables');
sql("BACKUP TO '$place/schema' WITH verify = 'restore', schema_only", 'shop');
sql('ALTER TABLE own.wide OWNER TO saver', 'shop');
sql("BACKUP TO '$place/read' WITH verify = 'read'", 'shop');
is(sql("SELECT verified FROM [SHOW BACKUP '$place/read']"), 'read', "verify = 'read'");
system('rm', '-rf', glob("$place/*")) == 0 or die;

# The hash of a value of an enum depends on its OID, so the rows move to other partitions.
SKIP:
{
	skip 'pg_dump dumps such a table so that it can be restored since 16', 1 if sql('SHOW server_version_num') < 160000;
	sql('CREATE DATABASE hashed');
	my $values = join(', ', map { "'v$_'" } 1 .. 50);
	sql("CREATE TYPE e AS ENUM ($values); CREATE TABLE h (e e, n int) PARTITION BY HASH (e);"
		  . join('', map { "CREATE TABLE h_$_ PARTITION OF h FOR VALUES WITH (MODULUS 4, REMAINDER $_);" } 0 .. 3)
		  . 'INSERT INTO h SELECT v, n FROM unnest(enum_range(NULL::e)) AS v, generate_series(1, 20) AS n', 'hashed');
	sql("BACKUP DATABASE hashed TO '$place/hashed' WITH verify = 'restore'");
	ok(-e "$place/hashed/manifest.json", 'rows that move to other partitions');
	sql('DROP DATABASE hashed');
	system('rm', '-rf', "$place/hashed") == 0 or die;
}

# ---- it is not ----

# Returns the error of a backup of a database in which these statements were run.
sub failure
{
	my ($statements) = @_;
	sql('CREATE DATABASE odd OWNER saver');
	sql($statements, 'odd');
	my $id = create("BACKUP DATABASE odd TO '$place/odd'", "max_attempts = '1'");
	wait_for_status($node, $id, 'failed');
	is(databases($node), 'odd postgres shop', 'the scratch database is gone');
	is(entries($place), '', 'nothing is left of the backup');
	sql('DROP DATABASE odd');
	return error_of($id);
}

# A type whose values are not read as they are written.
my $odd_type = <<'EOC';
CREATE TYPE odd;
CREATE FUNCTION odd_in(cstring) RETURNS odd IMMUTABLE STRICT LANGUAGE internal AS 'textin';
CREATE FUNCTION odd_out(odd) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'byteaout';
CREATE TYPE odd (INPUT = odd_in, OUTPUT = odd_out, STORAGE = extended);
EOC
like(failure("$odd_type CREATE TABLE t (n int, o odd); INSERT INTO t VALUES (1, 'a'), (2, 'b')"),
	qr/^XX001: the backup does not restore to what was dumped: the rows of a table differ Table and columns: public.t \(n, o\). Rows in the backup: 2, after a restore: 2/, 'values that differ');
# An index that cannot be made again, because its function says something else meanwhile.
like(failure('CREATE TABLE t (n int); INSERT INTO t VALUES (0); CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT 1 $$;'
	  . 'CREATE INDEX ON t (f(n)); CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT 1 / $1 $$'),
	qr/^22012: division by zero/, 'what cannot be restored');

my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE poor; SELECT kwjobs.backup('$place/x', options => '{\"verify\": \"restore\"}')");
like($err, qr/permission denied to create database.*ALTER ROLE poor CREATEDB/s, 'it takes CREATEDB');
($rc, $out, $err) = $node->psql('postgres', "BACKUP TO '$place/x' WITH verify = 'often'");
like($err, qr/invalid value for BACKUP option "verify"/, 'a wrong value');
sql('CREATE TYPE own.extra AS ENUM (\'z\'); CREATE TABLE own.needs (e own.extra)', 'shop');
$job = sql("BACKUP TABLE own.needs TO '$place/x' WITH verify = 'restore', detached, max_attempts = 1", 'shop');
ok(becomes_true($node, "SELECT status = 'failed' FROM kwdb_internal.jobs WHERE job_id = $job", 'shop'), 'a table that needs a type');
like(sql("SELECT error FROM kwdb_internal.jobs WHERE job_id = $job", 'shop'), qr/type "own.extra" does not exist/, 'cannot be restored by itself');

# ---- PAUSE, CANCEL, kill -9 in the middle ----

# The index of this table reads a catalog of the whole server, so a lock on that stops pg_restore.
sql(<<'EOC', 'shop');
DROP TABLE own.needs;
DROP TYPE own.extra;
SET SESSION AUTHORIZATION saver;
CREATE FUNCTION own.gate(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
$$ BEGIN PERFORM FROM pg_catalog.pg_shdescription; RETURN n; END $$;
CREATE TABLE own.gated (n int);
INSERT INTO own.gated VALUES (1);
CREATE INDEX ON own.gated (own.gate(n));
EOC
foreach my $end ('cancel', 'pause', 'worker', 'pg_restore', 'stop')
{
	my $start = close_gates($node, 4945);
	$job = create("BACKUP DATABASE shop TO '$place/$end'", "run_as = 'saver'", $end eq 'pg_restore' ? "max_attempts = '1'" : ());
	wait_at_gate($node, $job);
	my $gate = $node->background_psql('postgres');
	$gate->query_safe('BEGIN; LOCK TABLE pg_shdescription IN ACCESS EXCLUSIVE MODE');
	$start->quit;
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs session' AND wait_event_type = 'Lock' AND datname LIKE 'kwjobs\\_verify\\_${job}\\_%'");
	like(job_field($node, $job, 'running_status'), qr{^verifying: restored \d+/\d+ tables}, "$end: the progress says what it does");
	if ($end eq 'cancel' || $end eq 'pause')
	{
		if ($end eq 'pause')
		{
			sql("PAUSE JOB $job");
			wait_for_status($node, $job, 'paused');
		}
		sql("CANCEL JOB $job");
		wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname LIKE 'kwjobs\\_verify%'");
		$gate->query_safe('ROLLBACK');
		wait_for_status($node, $job, 'canceled');
	}
	elsif ($end eq 'pg_restore')
	{
		kill('KILL', programs($node, qr/pg_restore/));
		$gate->query_safe('ROLLBACK');
		wait_for_status($node, $job, 'failed');
	}
	elsif ($end eq 'worker')
	{
		kill_process($node, job_field($node, $job, 'pid'));
		wait_for_status($node, $job, 'succeeded');
	}
	else
	{
		$node->stop('fast');
		$node->start;
		wait_for_status($node, $job, 'succeeded');
	}
	is(databases($node), 'postgres shop', "$end: no database is left");
	is(entries($place), $end eq 'worker' || $end eq 'stop' ? $end : '', "$end: nor any file");
	wait_until_clean($node, "$end: nor any process");
	system('rm', '-rf', "$place/$end") == 0 or die;
}

done_testing();
