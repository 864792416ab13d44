-- IMPORT TABLE: the job creates the table that it imports into, and drops it if it does not succeed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP SCHEMA IF EXISTS import_table, import_table_new CASCADE;
DROP ROLE IF EXISTS kwj_table_owner;
RESET client_min_messages;
SET kwjobs.progress_interval = 0;
\i `echo "$KWJ_INCLUDE/procedures.sql"`
CREATE SCHEMA import_table;
SET search_path = import_table, public;
\set SHOW_CONTEXT never
\pset null NULL
\i `echo "$KWJ_INCLUDE/files.sql"`
-- A directory outside of the server's own, under a name that is the same in each run.
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_table)" kwj_table; ln -s "$(mktemp -d)" kwj_table';
\set dir /proc/self/cwd/kwj_table
\set good :dir/good.csv
\set bad :dir/bad.csv
\set ddl :dir/ddl.sql
SELECT write_file(:'good', E'1,one,2024-05-06\n2,two,2024-05-07\n'), write_file(:'bad', E'1,one,2024-05-06\nx,two,2024-05-07\n') \gset
-- The last job, without what differs between two runs.
CREATE FUNCTION last_job() RETURNS TABLE (job_type text, description text, status text, rows bigint, running_status text, error text, hint text) LANGUAGE sql AS
$$ SELECT job_type, description, status, rows, running_status, nullif(error, ''), error_hint FROM kwdb_internal.jobs ORDER BY job_id DESC LIMIT 1 $$;
SELECT count(*) AS jobs FROM kwdb_internal.jobs \gset
\set state 'SELECT :\'LAST_ERROR_SQLSTATE\' AS sqlstate, (SELECT count(*) FROM kwdb_internal.jobs) - :jobs AS new_jobs, to_regclass(\'t\') AS t;'

-- 1. The statement waits, and returns the rows. The owner of the job owns the table.
IMPORT TABLE t (id integer PRIMARY KEY, name text NOT NULL, day date DEFAULT '2000-01-01', CHECK (id > 0)) CSV DATA (:'good') \gset
\echo :status :rows
SELECT * FROM t;
\d t
SELECT * FROM last_job();
SELECT pg_get_userbyid(relowner) = current_user AS owner FROM pg_class WHERE oid = 't'::regclass;
SELECT count(*) AS jobs FROM kwdb_internal.jobs \gset

-- 2. A table of that name is refused, at once. IF NOT EXISTS would hide it.
IMPORT TABLE t (id integer) CSV DATA (:'good');
:state
IMPORT TABLE import_table.t (id integer) CSV DATA (:'good') WITH detached;
:state
IMPORT TABLE IF NOT EXISTS t (id integer) CSV DATA (:'good');
:state
DROP TABLE t;

-- 3. What is wrong with the definition, or with the files, is an error at once, and changes nothing.
\set VERBOSITY default
IMPORT TABLE t (id integer, name) CSV DATA (:'good');
IMPORT TABLE t (id nonsense) CSV DATA (:'good');
:state
IMPORT TABLE missing.t (id integer) CSV DATA (:'good');
:state
IMPORT TABLE t (id integer, id text) CSV DATA (:'good');
:state
IMPORT TABLE t AS SELECT 1 CSV DATA (:'good');
IMPORT TABLE t (id integer) ON COMMIT DROP CSV DATA (:'good');
:state
IMPORT TABLE t (id integer, name text, day date) CSV DATA ('/nowhere/at/all.csv');
:state
IMPORT TABLE t (id integer, name text, day date) CSV DATA (:'good') WITH header = 'match';
:state
\set VERBOSITY terse
IMPORT TABLE t (id integer, name text, day date) CSV DATA (:'good') WITH nonsense = 1;
\set VERBOSITY default
:state
IMPORT TABLE t (id integer) PARTITION BY RANGE (id) CSV DATA (:'good') \gset
SELECT * FROM last_job();
SELECT to_regclass('t');

-- 4. A job that fails leaves no table. Nor does it touch another one that has taken its name.
IMPORT TABLE t (id integer, name text, day date) CSV DATA (:'good', :'bad');
SELECT * FROM last_job();
SELECT to_regclass('t');

-- 5. What PostgreSQL's grammar has: everything after the columns, comments, odd names.

IMPORT TABLE "odd (name"." t" (a integer) CSV DATA (:'good');
CREATE SCHEMA "odd (name";
IMPORT TABLE "odd (name" . " t" /* not this ( */ ("a b" serial, b text COLLATE "C" DEFAULT ')', day date) WITH (fillfactor = 50) CSV DATA (:'good') \gset
SELECT description FROM last_job();
\d "odd (name"." t"
TABLE "odd (name"." t";
DROP SCHEMA "odd (name" CASCADE;
CREATE TABLE parent (id integer, name text);
IMPORT TABLE t (LIKE parent INCLUDING ALL, day date) INHERITS (parent) CSV DATA (:'good') \gset
SELECT tableoid::regclass, * FROM parent;
DROP TABLE parent CASCADE;

-- 6. The search_path of the session counts, and the schema is the one of then.
CREATE SCHEMA import_table_new;
CREATE TYPE import_table_new.kind AS ENUM ('one', 'two');
SET search_path = import_table_new, import_table, public;
IMPORT TABLE t (id integer, name kind, day date) CSV DATA (:'good') WITH run_at = '2100-01-01', detached \gset
CREATE SCHEMA hides_it;
SET search_path = hides_it, import_table, public;
SELECT kwjobs.run_now(:job_id);
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT * FROM import_table_new.t;
DROP SCHEMA hides_it;
SET search_path = import_table, public;

-- 7. Where a statement can stand.
BEGIN;
IMPORT TABLE t (id integer) CSV DATA (:'good');
ROLLBACK;
BEGIN;
IMPORT TABLE t (id integer, name text, day date) CSV DATA (:'good') WITH detached \gset
SELECT to_regclass('t');
COMMIT;
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
TABLE t;
BEGIN;
DROP TABLE t;
IMPORT TABLE t (id integer, name text, day date) CSV DATA (:'good') WITH detached \gset
ROLLBACK;
BEGIN;
SELECT 1 / 0;
IMPORT TABLE t (id integer) CSV DATA (:'good');
ROLLBACK;
DROP TABLE t;
PREPARE p (text) AS IMPORT TABLE t (id integer, name text, day date) CSV DATA ($1) WITH detached;
EXECUTE p (:'good') \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
DROP TABLE t;
EXECUTE p (:'good') \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT rows FROM last_job();
DROP TABLE t;
DO $$ BEGIN IMPORT TABLE t (id integer) CSV DATA ('/proc/self/cwd/kwj_table/good.csv'); END $$;
DO $$ DECLARE id bigint; BEGIN
    EXECUTE 'IMPORT TABLE t (id integer, name text, day date) CSV DATA (''/proc/self/cwd/kwj_table/good.csv'') WITH detached' INTO id;
    RAISE NOTICE '%', id > 0;
END $$;
SELECT status FROM [SHOW JOBS WHEN COMPLETE (SELECT max(job_id) FROM kwdb_internal.jobs)];
DROP TABLE t;
EXPLAIN (COSTS OFF) IMPORT TABLE t (id integer) CSV DATA (:'good') WITH detached;
CREATE FUNCTION in_sql() RETURNS bigint LANGUAGE sql BEGIN ATOMIC
    IMPORT TABLE t (id integer, name text, day date) CSV DATA ('/proc/self/cwd/kwj_table/good.csv') WITH detached;
END;
SELECT in_sql() AS job_id \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
DROP TABLE t;

-- 8. Functions.
SELECT kwjobs.import_table('CREATE TABLE t (id integer, name text, day date)', ARRAY[:'good']) AS job_id \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT description FROM last_job();
DROP TABLE t;
CALL kwjobs.import_table_and_wait('CREATE UNLOGGED TABLE t (id integer, name text, day date)', ARRAY[:'good'], '{"skip": "1"}') \gset
\echo :status :rows
SELECT relpersistence FROM pg_class WHERE oid = 't'::regclass;
DROP TABLE t;
SELECT kwjobs.create_job('IMPORT', jsonb_build_object('definition', 'CREATE TABLE t (id integer, name text, day date)', 'files', ARRAY[:'good'])) AS job_id \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
DROP TABLE t;
SELECT count(*) AS jobs FROM kwdb_internal.jobs \gset
SELECT kwjobs.import_table();
SELECT kwjobs.import_table('CREATE TABLE t (id integer)', ARRAY[:'good'], '{}', :'ddl');
SELECT kwjobs.import_table('CREATE TABLE t (id integer)', ARRAY[]::text[]) IS NOT NULL AS nothing_but_the_table;
SELECT kwjobs.import_table('CREATE TEMPORARY TABLE t (id integer)', ARRAY[:'good']);
SELECT kwjobs.import_table('CREATE TABLE u (id integer); CREATE TABLE v (id integer)', ARRAY[:'good']);
SELECT kwjobs.import_table('', ARRAY[:'good']);
SELECT kwjobs.import_table('SELECT 1', ARRAY[:'good']);
SELECT kwjobs.import_table('CREATE TABLE u (id integer); DROP TABLE t', ARRAY[:'good']);
SELECT kwjobs.import_table('CREATE TABLE u (id integer)' || repeat(' ', 2000000), ARRAY[:'good']);
SELECT kwjobs.import_table(E'CREATE TABLE u (\n  id integer,\n  day nonsense\n)', ARRAY[:'good']);
SELECT status FROM [SHOW JOBS WHEN COMPLETE (SELECT max(job_id) FROM kwdb_internal.jobs)];
TABLE t;
DROP TABLE t;

-- 9. A file with the definition, such as the meta.sql of an EXPORT, and what the table needs.
CREATE SCHEMA import_table_old;
CREATE TYPE import_table_old.kind AS ENUM ('one', 'two');
CREATE DOMAIN import_table_old.positive AS integer CHECK (VALUE > 0);
CREATE TABLE import_table_old.t (id serial PRIMARY KEY, name import_table_old.kind, n import_table_old.positive, g integer GENERATED ALWAYS AS (n * 2) STORED);
CREATE INDEX t_name ON import_table_old.t (name);
COMMENT ON COLUMN import_table_old.t.name IS 'its name';
INSERT INTO import_table_old.t (name, n) VALUES ('one', 1), ('two', 2), (NULL, NULL);
\set to :dir/export
\set meta :to/meta.sql
\set data :to/n1.0.csv
EXPORT INTO CSV :'to' FROM TABLE import_table_old.t WITH comment \gset
DROP SCHEMA import_table_old CASCADE;
IMPORT TABLE CREATE USING :'meta' CSV DATA (:'data') \gset
\echo :status :rows
SELECT description FROM last_job();
TABLE import_table_old.t;
\d import_table_old.t
SELECT nextval('import_table_old.t_id_seq');
-- Once more: what it needs exists now, and so does the table.
IMPORT TABLE CREATE USING :'meta' CSV DATA (:'data');
-- It fails, and takes all with it that it has created.
DROP SCHEMA import_table_old CASCADE;
IMPORT TABLE CREATE USING :'meta' CSV DATA (:'data', :'bad');
SELECT status, running_status FROM last_job();
SELECT to_regnamespace('import_table_old');
-- Without data it creates the table, and that is all.
IMPORT TABLE CREATE USING :'meta' \gset
\echo :status :rows
TABLE import_table_old.t;
DROP SCHEMA import_table_old CASCADE;

-- 10. What such a file cannot have.
CREATE TABLE other (id integer);
CREATE PROCEDURE define(text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_file('/proc/self/cwd/kwj_table/ddl.sql', 'CREATE TABLE t (id integer, name text, day date);' || $1);
    PERFORM kwjobs.import_table(definition_file => '/proc/self/cwd/kwj_table/ddl.sql', files => ARRAY['/proc/self/cwd/kwj_table/good.csv']);
    RAISE EXCEPTION 'accepted';
EXCEPTION WHEN OTHERS THEN
    DECLARE detail text; hint text; BEGIN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        RAISE NOTICE '% % % %', SQLSTATE, SQLERRM, detail, left(hint, 60);
    END;
END $$;
CALL define('DROP TABLE other');
CALL define('DELETE FROM other');
CALL define('SELECT pg_catalog.lo_create(4711)');
CALL define('SELECT pg_catalog.set_config(''search_path'', '''', false), 1');
CALL define('SELECT pg_catalog.setval(''other'', 5, true)');
CALL define('SELECT pg_catalog.setval(''other'', (SELECT 5), true)');
CALL define('SET ROLE postgres');
CALL define('SET session_replication_role = replica');
CALL define('ALTER TABLE other ADD COLUMN b integer');
CALL define('ALTER TABLE t OWNER TO CURRENT_USER');
CALL define('ALTER TABLE t ADD COLUMN b integer REFERENCES other');
CALL define('CREATE INDEX ON other (id)');
CALL define('CREATE INDEX CONCURRENTLY ON t (id)');
CALL define('COMMENT ON TABLE other IS ''x''');
CALL define('COMMENT ON SCHEMA public IS ''x''');
CALL define('GRANT SELECT ON other TO PUBLIC');
CALL define('GRANT SELECT ON ALL TABLES IN SCHEMA import_table TO PUBLIC');
CALL define('CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS ''SELECT 1''');
CALL define('CREATE TABLE part PARTITION OF other DEFAULT');
CALL define('BEGIN');
CALL define('COPY t FROM stdin');
CALL define('CREATE SCHEMA s CREATE TABLE x (a integer)');
CALL define('CREATE SEQUENCE s; ALTER SEQUENCE s OWNED BY other.id');
CALL define(E'\nSET client_encoding = ''nonsense''');
CALL define('CREATE TABLE');
SELECT write_file(:'ddl', E'SET client_encoding = ''latin1'';\nCREATE TABLE t (id integer, "n\\344me" text, day date);'::bytea) \gset
IMPORT TABLE CREATE USING :'ddl' CSV DATA (:'good') \gset
\d t
DROP TABLE t;
IMPORT TABLE CREATE USING 'relative.sql';
IMPORT TABLE CREATE USING '/nowhere/at/all.sql';
IMPORT TABLE CREATE USING :'to';
\set there :dir/missing.sql
IMPORT TABLE CREATE USING :'there';
IMPORT TABLE CREATE USING '/proc/self/cwd/postgresql.conf';

-- 11. Rights: those of the owner, when the job is created, and when it runs.
CREATE ROLE kwj_table_owner LOGIN;
SELECT write_file(:'ddl', 'CREATE TABLE import_table.t (id integer, name text, day date);') \gset
SET SESSION AUTHORIZATION kwj_table_owner;
IMPORT TABLE import_table.t (id integer, name text, day date) CSV DATA (:'good') WITH detached;
IMPORT TABLE CREATE USING :'ddl' WITH detached;
RESET SESSION AUTHORIZATION;
GRANT pg_read_server_files TO kwj_table_owner;
SET SESSION AUTHORIZATION kwj_table_owner;
IMPORT TABLE import_table.t (id integer, name text, day date) CSV DATA (:'good') WITH detached;
RESET SESSION AUTHORIZATION;
GRANT CREATE, USAGE ON SCHEMA import_table TO kwj_table_owner;
SET SESSION AUTHORIZATION kwj_table_owner;
IMPORT TABLE import_table.t (id integer, name text, day date) CSV DATA (:'good') WITH run_at = '2100-01-01', detached \gset
RESET SESSION AUTHORIZATION;
REVOKE CREATE ON SCHEMA import_table FROM kwj_table_owner;
SELECT kwjobs.run_now(:job_id);
SELECT status, error FROM [SHOW JOB WHEN COMPLETE :job_id];
GRANT CREATE ON SCHEMA import_table TO kwj_table_owner;
RETRY JOB :job_id;
SELECT status, error FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE oid = 't'::regclass;
DROP TABLE t;
-- A job of another owner creates the table as that one.
IMPORT TABLE import_table.t (id integer, name text, day date) CSV DATA (:'good') WITH run_as = 'kwj_table_owner', detached \gset
SELECT status, error FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE oid = 't'::regclass;
DROP TABLE t;

-- 12. The revert drops the job's table, whatever it is called by now, and no other one.
IMPORT TABLE t (id integer, name text, day date) CSV DATA (:'good', :'bad') WITH run_at = '2100-01-01', detached \gset
CREATE TABLE t (other integer);
SELECT kwjobs.run_now(:job_id);
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT * FROM last_job();
TABLE t;
DROP TABLE t;
CREATE TABLE dropped (tag text, object text);
CREATE FUNCTION note_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO import_table.dropped SELECT tg_tag, object_identity FROM pg_event_trigger_dropped_objects() WHERE original;
END $$;
CREATE EVENT TRIGGER kwj_note_drop ON sql_drop EXECUTE FUNCTION note_drop();
CREATE FUNCTION note_create() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO import_table.dropped SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands();
END $$;
CREATE EVENT TRIGGER kwj_note_create ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION note_create();
IMPORT TABLE t (id integer, name text, day date) CSV DATA (:'bad');
TABLE dropped;
DROP EVENT TRIGGER kwj_note_drop;
DROP EVENT TRIGGER kwj_note_create;

SET client_min_messages = warning;
DROP SCHEMA import_table, import_table_new CASCADE;
REVOKE pg_read_server_files FROM kwj_table_owner;
DROP ROLE kwj_table_owner;
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_table)" kwj_table';
