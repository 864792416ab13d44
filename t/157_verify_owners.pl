# BACKUP ... WITH verify = 'restore' does not succeed if the restored database has lost an owner, a right, a
# comment, a policy, a publication or the like; and it does if it has all of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjPrograms;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/environ';

my $node = new_node('verify_owners', <<'EOC');
kwjobs.max_workers = 4
log_statement = none
autovacuum = off
EOC
my $place = make_place($node);

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sub error_of
{
	my ($job) = @_;
	return sql("SELECT concat_ws(' ', error_code || ':', error, error_detail, error_hint) FROM kwdb_internal.jobs WHERE job_id = $job");
}

my $version = sql('SHOW server_version_num');
my $bin = $node->config_data('--bindir');

sql(<<'EOC');
CREATE ROLE saver LOGIN CREATEDB;
CREATE ROLE "odd; owner";
CREATE ROLE reader;
CREATE ROLE writer;
CREATE ROLE other;
GRANT "odd; owner" TO saver;
GRANT pg_write_server_files TO saver;
CREATE DATABASE shop OWNER saver;
ALTER DATABASE shop SET work_mem = '5MB';
COMMENT ON DATABASE shop IS 'has one';
GRANT CONNECT ON DATABASE shop TO reader;
CREATE DATABASE small OWNER saver;
EOC

# Each kind of thing that is not a definition, with names and texts that are hard to read.
my $objects = <<'EOC';
COMMENT ON SCHEMA public IS 'the public one';
CREATE SCHEMA own AUTHORIZATION saver;
GRANT USAGE ON SCHEMA own TO PUBLIC;
CREATE TABLE own.orders (id int PRIMARY KEY, note text, m int);
INSERT INTO own.orders SELECT n, 'a' FROM generate_series(1, 100) AS n;
ALTER TABLE own.orders OWNER TO "odd; owner";
CREATE TABLE own."it's; ""a" (id int, "b(c" text CHECK ("b(c" IN ('a;', ''')')));
ALTER TABLE own."it's; ""a" FORCE ROW LEVEL SECURITY, REPLICA IDENTITY FULL, ALTER "b(c" SET STORAGE EXTERNAL;
COMMENT ON TABLE own."it's; ""a" IS E'-- it''s; a "text"\nGRANT ALL;\n\\restrict (';
COMMENT ON COLUMN own.orders.note IS 'a column';
GRANT SELECT ON own.orders TO reader WITH GRANT OPTION;
SET SESSION AUTHORIZATION reader;
GRANT SELECT ON own.orders TO other;
RESET SESSION AUTHORIZATION;
GRANT UPDATE (note), INSERT (id, note) ON own.orders TO writer;
GRANT ALL ON own."it's; ""a" TO "odd; owner";
REVOKE DELETE ON own.orders FROM "odd; owner";
CREATE FUNCTION own.f(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN n; /*
GRANT SELECT ON own.orders TO writer;
it's */ END $$;
REVOKE ALL ON FUNCTION own.f FROM PUBLIC;
GRANT EXECUTE ON FUNCTION own.f TO reader;
ALTER FUNCTION own.f OWNER TO saver;
COMMENT ON FUNCTION own.f IS 'a function';
CREATE TYPE own.mood AS ENUM ('a', 'b');
ALTER TYPE own.mood OWNER TO "odd; owner";
REVOKE USAGE ON TYPE own.mood FROM PUBLIC;
CREATE SEQUENCE own.s;
SELECT setval('own.s', 77);
GRANT USAGE ON SEQUENCE own.s TO reader;
CREATE VIEW own.v AS SELECT id FROM own.orders WHERE note IN ('a', 'b');
ALTER VIEW own.v OWNER TO saver;
GRANT SELECT ON own.v TO PUBLIC;
CREATE STATISTICS own.st ON id, m FROM own.orders;
ALTER STATISTICS own.st OWNER TO "odd; owner";
ALTER DEFAULT PRIVILEGES FOR ROLE saver IN SCHEMA own GRANT SELECT ON TABLES TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE saver REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_waldir() TO reader;
GRANT USAGE ON LANGUAGE plpgsql TO reader;
CREATE POLICY p ON own.orders FOR SELECT TO writer, reader USING (note IN ('a', ')') OR id > 1);
CREATE POLICY q ON own.orders AS RESTRICTIVE FOR UPDATE TO writer USING (true) WITH CHECK (note IN ('a''', 'b'));
COMMENT ON POLICY q ON own.orders IS 'a policy';
ALTER TABLE own.orders ENABLE ROW LEVEL SECURITY;
CREATE PUBLICATION pub FOR TABLE own.orders WITH (publish = 'insert, delete');
CREATE PUBLICATION everything FOR ALL TABLES;
COMMENT ON PUBLICATION pub IS 'a publication';
ALTER PUBLICATION pub OWNER TO saver;
CREATE SUBSCRIPTION sub CONNECTION 'dbname=none' PUBLICATION p WITH (connect = false, slot_name = none);
COMMENT ON SUBSCRIPTION sub IS 'a subscription';
SELECT lo_from_bytea(4711, 'a large object'), lo_from_bytea(4712, 'another');
ALTER LARGE OBJECT 4711 OWNER TO saver;
GRANT SELECT ON LARGE OBJECT 4711 TO reader;
COMMENT ON LARGE OBJECT 4711 IS 'a remark';
CREATE EXTENSION kwjobs;
GRANT SELECT ON kwjobs.list TO reader;
CREATE SCHEMA "DATA";
CREATE MATERIALIZED VIEW "DATA".kept AS SELECT id FROM own.orders;
CREATE INDEX ON "DATA".kept (id);
COMMENT ON MATERIALIZED VIEW "DATA".kept IS 'in a schema that has the name of a kind of entries';
CREATE VIEW "DATA".above AS SELECT id FROM "DATA".kept;
CREATE FUNCTION own.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION own.e();
COMMENT ON EVENT TRIGGER e IS 'an event trigger';
EOC
$objects .= <<'EOC' if $version >= 150000;
CREATE PUBLICATION "pub WHERE (" FOR TABLE own.orders (id, note) WHERE (id IN (1, 2));
EOC
sql($objects, 'shop');

# ---- a database that has all of it ----

my $not_restored = qr/NOTICE:  the settings, rights and comment of the database itself are not restored; to see them, type: pg_restore -C -s -f - '/;

sub messages
{
	my ($job, $db) = @_;
	return sql("SELECT array_to_string(messages, ' / ') FROM kwdb_internal.job_attempts WHERE job_id = $job", $db);
}

sub succeeds
{
	my ($statement, $verified, $name) = @_;
	my $job = (split /\|/, sql("$statement TO '$place/one' WITH verify = '$verified'", 'shop'))[0];
	my $messages = messages($job, 'shop');
	is(sql("SELECT verified FROM [SHOW BACKUP '$place/one']"), $verified, $name);
	like($messages, $statement eq 'BACKUP' ? $not_restored : qr/^(?!.*not restored)/s, 'the job tells of settings of the database, if that was dumped');
	system('rm', '-rf', "$place/one") == 0 or die;
	return;
}

# A right that a role gives because it has the grant option needs rights of this role, so their order counts.
my $log = -s $node->logfile;
configure($node, 'log_statement', 'ddl');
succeeds('BACKUP', 'restore', 'a database with all of it is equal');
my %gives = map { $_ => 1 } slurp_file($node->logfile, $log) =~ /\[(\d+)\] kwjobs session LOG:  statement: (?:GRANT|REVOKE) /g;
is(scalar(keys %gives), 1, 'one process gives the rights');
configure($node, 'log_statement');
succeeds('BACKUP', 'restore_no_owner', 'without owners and rights');
succeeds('BACKUP TABLE own.orders', 'restore', 'a table with rights by another role than its owner');
SKIP:
{
	skip 'pg_dump dumps the owner of public since 15', 2 if $version < 150000;
	sql('ALTER SCHEMA public OWNER TO saver', 'shop');
	succeeds('BACKUP', 'restore', 'another owner of public');
}

# ---- something is lost ----

# A small database for what is lost one after the other.
sql(<<'EOC', 'small');
CREATE TABLE t (n int PRIMARY KEY);
ALTER TABLE t OWNER TO saver;
CREATE TABLE u (n int);
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
-- After a restore, b is behind c.
CREATE TABLE parent (a int);
CREATE TABLE child (b text, "d, (e" int) INHERITS (parent);
ALTER TABLE parent ADD c int;
INSERT INTO child (a, b, c) VALUES (1, '2', 3), (4, E'a\t', NULL), (5, '', 6);
GRANT SELECT ON t TO reader;
GRANT UPDATE (n) ON t TO writer;
REVOKE ALL ON FUNCTION f() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE saver GRANT SELECT ON TABLES TO reader;
COMMENT ON TABLE t IS E'first\nsecond';
CREATE POLICY p ON t FOR SELECT TO reader, writer USING (n > 1);
ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE u REPLICA IDENTITY FULL;
CREATE PUBLICATION pub FOR TABLE t;
CREATE SEQUENCE s;
SELECT setval('s', 5);
SELECT lo_from_bytea(4711, 'a large object');
ALTER LARGE OBJECT 4711 OWNER TO saver;
EOC

# Returns the error of a BACKUP, if these statements run in the scratch database when it was restored.
sub failure
{
	my ($statements, $verify) = @_;
	$verify //= 'restore';
	my $gate = close_gates($node, 4947);
	my $job = sql("BACKUP DATABASE small TO '$place/small' WITH detached, verify = '$verify', max_attempts = 1");
	wait_at_gate($node, $job);
	my $scratch = sql("SELECT datname FROM pg_database WHERE datname LIKE 'kwjobs\\_verify\\_${job}\\_%'");
	sql($statements, $scratch);
	$gate->quit;
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status'), 'failed', $statements);
	return error_of($job);
}

my $differs = qr/^XX001: the backup does not restore to what was dumped:/;
like(failure('ALTER TABLE t OWNER TO postgres'),
	qr/$differs something is missing, or has another owner Not there after a restore: TABLE public t saver. There, but not in the backup: TABLE public t postgres. The backup is removed./, 'an owner');
like(failure('ALTER FUNCTION f OWNER TO saver'),
	qr/$differs something is missing, or has another owner Not there after a restore: FUNCTION public f\(\) postgres\./, 'an owner of a function');
like(failure('REVOKE SELECT ON t FROM reader'),
	qr/$differs a right differs In the backup: GRANT SELECT ON TABLE public\.t TO reader; After a restore: nothing\. The backup is removed\. Look for what changes owners, rights/, 'a right, with a hint');
like(failure('REVOKE UPDATE (n) ON t FROM writer'),
	qr/$differs a right differs In the backup: GRANT UPDATE\(n\) ON TABLE public\.t TO writer; After a restore: nothing\./, 'a right on a column');
like(failure('GRANT EXECUTE ON FUNCTION f() TO PUBLIC'),
	qr/$differs a right differs In the backup: REVOKE ALL ON FUNCTION public\.f\(\) FROM PUBLIC; After a restore: nothing\./, 'a right that was taken');
like(failure('GRANT SELECT ON u TO PUBLIC'),
	qr/$differs a right differs In the backup: nothing\. After a restore: GRANT SELECT ON TABLE public\.u TO PUBLIC;/, 'one more right');
like(failure('ALTER DEFAULT PRIVILEGES FOR ROLE saver REVOKE SELECT ON TABLES FROM reader'),
	qr/$differs a default privilege differs In the backup: ALTER DEFAULT PRIVILEGES FOR ROLE saver GRANT SELECT ON TABLES +TO reader; After a restore: nothing\./, 'a default privilege');
like(failure('COMMENT ON TABLE t IS NULL'),
	qr/$differs a comment differs In the backup: COMMENT ON TABLE public\.t IS 'first second'; After a restore: nothing\./, 'a comment');
like(failure(q(COMMENT ON TABLE t IS E'first\nthird')),
	qr/$differs a comment differs In the backup: COMMENT ON TABLE public\.t IS 'first second'; After a restore: COMMENT ON TABLE public\.t IS 'first third';/, 'the end of a comment');
like(failure('DROP POLICY p ON t'), qr/$differs something is missing Not there after a restore: POLICY public t p saver/, 'a policy');
like(failure('ALTER POLICY p ON t TO reader'),
	qr/$differs a policy differs In the backup: CREATE POLICY p ON public\.t FOR SELECT TO .*; After a restore: CREATE POLICY p ON public\.t FOR SELECT TO reader USING/, 'a role of a policy');
like(failure('ALTER TABLE t DISABLE ROW LEVEL SECURITY'), qr/$differs something is missing Not there after a restore: ROW SECURITY public t saver/, 'row security');
like(failure('ALTER TABLE t NO FORCE ROW LEVEL SECURITY'),
	qr/$differs a property of a table differs In the backup: ALTER TABLE ONLY public\.t FORCE ROW LEVEL SECURITY; After a restore: nothing\./, 'row security of the owner');
like(failure('ALTER TABLE u REPLICA IDENTITY NOTHING'),
	qr/$differs a property of a table differs In the backup: ALTER TABLE ONLY public\.u REPLICA IDENTITY FULL; After a restore: ALTER TABLE ONLY public\.u REPLICA IDENTITY NOTHING;/, 'what an UPDATE replicates');
like(failure('DROP PUBLICATION pub'),
	qr/$differs a publication differs In the backup: CREATE PUBLICATION pub WITH .*; After a restore: nothing\./, 'a publication');
like(failure('ALTER PUBLICATION pub DROP TABLE t'),
	qr/$differs a publication differs In the backup: ALTER PUBLICATION pub ADD TABLE ONLY public\.t; After a restore: nothing\./, 'a table of a publication');
like(failure('ALTER PUBLICATION pub OWNER TO saver'),
	qr/$differs a publication differs In the backup: ALTER PUBLICATION pub OWNER TO postgres; After a restore: ALTER PUBLICATION pub OWNER TO saver;/, 'the owner of a publication');
like(failure("SELECT setval('s', 6)"),
	qr/$differs a sequence differs In the backup: SELECT pg_catalog.setval\('public.s', 5, true\); After a restore: SELECT pg_catalog.setval\('public.s', 6, true\);/, 'a sequence');
like(failure('ALTER LARGE OBJECT 4711 OWNER TO postgres'),
	qr/$differs the owner of a large object differs In the backup: ALTER LARGE OBJECT 4711 OWNER TO saver; After a restore: ALTER LARGE OBJECT 4711 OWNER TO postgres;/, 'the owner of a large object');
like(failure("COMMENT ON TABLE t IS 'x'", 'restore_no_owner'), qr/$differs a comment differs/, 'restore_no_owner compares comments');
like(failure(q(UPDATE child SET b = c, c = b::int WHERE a = 1)), qr/$differs the rows of a table differ Table and columns: public\.child \(a, b, "d, \(e", c\)\. Rows in the backup: 3, after a restore: 3\./, 'fields that have changed their columns');
is(databases($node), 'postgres shop small', 'no scratch database is left');
is(entries($place), '', 'nothing is left of the backups');

# A role that is altered meanwhile comes later in pg_authid, and so in the text of a policy.
my $gate = close_gates($node, 4947);
my $job = sql("BACKUP DATABASE small TO '$place/small' WITH detached, verify = 'restore', max_attempts = 1");
wait_at_gate($node, $job);
sql('ALTER ROLE reader CONNECTION LIMIT 5; VACUUM pg_authid; ALTER ROLE writer CONNECTION LIMIT 5; ALTER ROLE reader CONNECTION LIMIT 6');
$gate->quit;
wait_for_status($node, $job, 'succeeded');
is(entries($place), 'small', 'the order of the roles of a policy does not count');
system('rm', '-rf', "$place/small") == 0 or die;

# ---- who may give neither owners nor all rights ----

sub create_as_saver
{
	my ($verify) = @_;
	my $id = sql("BACKUP DATABASE small TO '$place/saver' WITH detached, verify = '$verify', max_attempts = 1, run_as = 'saver'");
	wait_for_end($node, $id);
	return $id;
}

sql('ALTER TABLE t NO FORCE ROW LEVEL SECURITY; GRANT SELECT ON u, s, parent, child TO saver', 'small');
like(error_of(create_as_saver('restore')), qr/^42501: .* Have a superuser create the job, or type verify = 'restore_no_owner'/, 'a role that may not give owners is told what to type');
is(job_field($node, create_as_saver('restore_no_owner'), 'status'), 'succeeded', 'restore_no_owner');
is(sql("SELECT verified FROM [SHOW BACKUP '$place/saver']"), 'restore_no_owner', 'SHOW BACKUP tells it');


# ---- the settings of the database itself ----

$job = (split /\|/, sql("RESTORE FROM '$place/saver' WITH into_db = 'plain'"))[0];
unlike(messages($job), $not_restored, 'a database that has no settings');
sql("ALTER DATABASE small SET work_mem = '5MB'");
sql("BACKUP DATABASE small TO '$place/settings'");
$job = (split /\|/, sql("RESTORE FROM '$place/settings' WITH into_db = 'again'"))[0];
like(messages($job), $not_restored, 'RESTORE tells of settings that it leaves out');
my ($command) = messages($job) =~ /type: (.*?"[^"]*")/;
like(qx($bin/$command), qr/^ALTER DATABASE small SET work_mem TO '5MB';$/m, 'and how to see them');

done_testing();
