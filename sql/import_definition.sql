-- IMPORT TABLE CREATE USING: files that are no definitions, and definitions that would reach farther than they say.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP SCHEMA IF EXISTS import_definition, hidden CASCADE;
DROP ROLE IF EXISTS kwj_definition_owner, kwj_definition_other;
RESET client_min_messages;
SET kwjobs.progress_interval = 0;
CREATE SCHEMA import_definition;
SET search_path = import_definition, public;
\set SHOW_CONTEXT never
\pset null NULL
\i `echo "$KWJ_INCLUDE/files.sql"`
-- A directory outside of the server's own, under a name that is the same in each run.
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_definition)" kwj_definition; ln -s "$(mktemp -d)" kwj_definition';
\set dir /proc/self/cwd/kwj_definition
\set ddl :dir/ddl.sql
\set good :dir/good.csv
\set bad :dir/bad.csv
SELECT write_file(:'good', E'1,one\n2,two\n'), write_file(:'bad', E'1,one\nx,two\n') \gset

-- 1. A file that is no text, or none that ends.
SELECT write_file(:'ddl', 'CREATE TABLE t (id integer);'::bytea || '\x00'::bytea || ' CREATE TABLE u (id integer);'::bytea) \gset
IMPORT TABLE CREATE USING :'ddl';
SELECT write_file(:'ddl', repeat('-- x' || E'\n', 300000)) \gset
IMPORT TABLE CREATE USING :'ddl';
IMPORT TABLE CREATE USING '/dev/zero';
COPY (SELECT WHERE false) TO PROGRAM 'mkfifo kwj_definition/pipe; ln -s ddl.sql kwj_definition/link.sql';
\set pipe :dir/pipe
IMPORT TABLE CREATE USING :'pipe';
\set link :dir/link.sql
IMPORT TABLE CREATE USING :'link';

-- 2. A byte order mark of UTF-8 is left out. How SET client_encoding is written does not matter.
SELECT write_file(:'ddl', '\xefbbbf'::bytea || convert_to('CREATE TABLE t (id integer, näme text);', 'UTF8')) \gset
IMPORT TABLE CREATE USING :'ddl' \gset
\echo :status
DROP TABLE t;
SELECT write_file(:'ddl', E'-- x\n set  Client_Encoding to ''latin1'';\nCREATE TABLE t (id integer, "n\\344me" text);'::bytea) \gset
IMPORT TABLE CREATE USING :'ddl' \gset
\echo :status
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 2;
DROP TABLE t;
SELECT write_file(:'ddl', E'SET client_encoding = TCVN;\nCREATE TABLE t (id integer, "n\\342me" text);'::bytea) \gset
IMPORT TABLE CREATE USING :'ddl' \gset
\echo :status
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 2;
DROP TABLE t;

-- 3. A definition changes only what it has created, whatever its texts look like.
CREATE PROCEDURE define(text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kwjobs.import_table($1, '{}');
    RAISE EXCEPTION 'accepted';
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '% %', SQLSTATE, SQLERRM;
END $$;
CREATE SEQUENCE victim;
-- A number is the name of a sequence, not an OID.
SELECT format('CREATE TABLE t (id integer); CREATE SEQUENCE "%1$s"; SELECT pg_catalog.setval(''"%1$s"'', 77, true); SELECT pg_catalog.setval(''%1$s'', 78, false)', 'victim'::regclass::oid) AS definition,
    'victim'::regclass::oid AS number \gset
CALL kwjobs.import_table_and_wait(:'definition', '{}') \gset
\echo :status
SELECT last_value, is_called FROM victim;
SELECT last_value, is_called FROM :"number";
DROP TABLE t;
DROP SEQUENCE :"number";
CALL define('CREATE TABLE u (id serial); SELECT pg_catalog.setval(''u_id_seq'', 5000000000, true)');
CALL define('CREATE TABLE u (id bigserial); SELECT pg_catalog.setval(''u_id_seq'', 5000000000, true)');
CALL define('CREATE TABLE u (id bigserial); SELECT pg_catalog.setval(''u_id_seq'', -5, true)');
CALL define('CREATE TABLE u (id bigserial); SELECT pg_catalog.setval(''u_id_seq'', NULL, true)');
CALL define('CREATE TABLE u (id bigserial); SELECT pg_catalog.setval(''u_id_seq'', ''5'', NULL)');
CALL define('CREATE TABLE u (id bigserial); SELECT pg_catalog.setval(''u_id_seq'', ''5''::bigint, ''f'')');
CALL define('CREATE TABLE u (id integer); SELECT pg_catalog.set_config(''role'', ''postgres'', false)');
CALL define('CREATE TABLE u (id integer); SELECT pg_catalog.set_config(NULL, ''postgres'', false)');
CALL define('CREATE TABLE u (id integer); COMMENT ON COLUMN id IS ''x''');
-- What is said of a sequence is not said of the table.
SELECT kwjobs.import_table('CREATE SEQUENCE victim; CREATE TABLE u (id integer)', '{}');
SELECT kwjobs.import_table('CREATE SEQUENCE IF NOT EXISTS victim; CREATE TABLE u (id integer)', '{}') AS job_id \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT kwjobs.import_table('CREATE TABLE u (id integer)', '{}');
DROP TABLE u;
-- Other objects of the same names come first in search_path.
CREATE SCHEMA hidden;
CREATE TABLE u (id integer);
CALL define('CREATE TABLE hidden.u (id integer); ALTER TABLE u ADD COLUMN b integer');
DROP TABLE u;
CALL kwjobs.import_table_and_wait('CREATE TABLE hidden.u (id integer); SET search_path = hidden; ALTER TABLE u ADD COLUMN b integer; COMMENT ON TABLE u IS ''a table''; COMMENT ON COLUMN u.b IS ''a column''; GRANT SELECT ON u TO PUBLIC; CREATE INDEX ON u (b)', '{}') \gset
\echo :status
\d hidden.u
SELECT obj_description('hidden.u'::regclass), col_description('hidden.u'::regclass, 2);

-- 4. A temporary object would go with the worker, and the column with it.
CALL define('CREATE TYPE pg_temp.kind AS ENUM (''one'', ''two''); CREATE TABLE u (id integer, kind pg_temp.kind)');
CALL define('CREATE SEQUENCE pg_temp.s; CREATE TABLE u (id integer)');
CALL define('SET search_path = pg_temp, import_definition; CREATE DOMAIN d AS integer; CREATE TABLE import_definition.u (id d)');
SELECT to_regclass('u'), to_regtype('kind');

-- 5. Backslashes in a session in which they mean something else.
SET standard_conforming_strings = off;
SET escape_string_warning = off;
IMPORT TABLE v (id integer, name text DEFAULT 'a\\b') CSV DATA (:'good');
IMPORT TABLE v (id integer, name text DEFAULT 'ab') CSV DATA (:'good') \gset
\echo :status
RESET standard_conforming_strings;
RESET escape_string_warning;

-- 6. What an event trigger creates is not dropped.
CREATE FUNCTION note_create() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('import_definition.log') IS NULL AND current_setting('import_definition.inside', true) IS DISTINCT FROM '1' THEN
        PERFORM set_config('import_definition.inside', '1', true);
        CREATE TABLE import_definition.log (id serial, tag text);
    END IF;
END $$;
CREATE EVENT TRIGGER kwj_note_create ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION note_create();
IMPORT TABLE w (id serial, name text UNIQUE) CSV DATA (:'bad');
SELECT running_status FROM kwdb_internal.jobs ORDER BY job_id DESC LIMIT 1;
SELECT to_regclass('w'), to_regclass('w_id_seq'), to_regclass('log'), to_regclass('log_id_seq');
DROP EVENT TRIGGER kwj_note_create;

-- 7. A table that belongs to somebody else by now is not locked by the revert, so it waits for nobody who uses it.
CREATE ROLE kwj_definition_owner LOGIN;
CREATE ROLE kwj_definition_other;
GRANT CREATE, USAGE ON SCHEMA import_definition TO kwj_definition_owner;
GRANT pg_read_server_files TO kwj_definition_owner;
CREATE FUNCTION give_away() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    ALTER TABLE import_definition.x OWNER TO kwj_definition_other;
    GRANT INSERT ON import_definition.x TO kwj_definition_owner;
END $$;
CREATE EVENT TRIGGER kwj_give_away ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION give_away();
SET SESSION AUTHORIZATION kwj_definition_owner;
SELECT kwjobs.import_table('CREATE TABLE x (id integer, name text)', ARRAY[:'bad']) AS job_id \gset
RESET SESSION AUTHORIZATION;
SELECT status, error FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT error_hint FROM kwdb_internal.jobs WHERE job_id = :job_id;
DROP EVENT TRIGGER kwj_give_away;
BEGIN;
LOCK TABLE x IN ACCESS SHARE MODE;
PREPARE TRANSACTION 'kwj_reader';
SET statement_timeout = '30s';
RESUME JOB :job_id;
SELECT status, error FROM [SHOW JOB WHEN COMPLETE :job_id];
RESET statement_timeout;
ROLLBACK PREPARED 'kwj_reader';
-- The owner of the schema may drop it.
ALTER SCHEMA import_definition OWNER TO kwj_definition_owner;
RESUME JOB :job_id;
SELECT status, error FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT to_regclass('x');

SET client_min_messages = warning;
DROP SCHEMA hidden CASCADE;
DROP SCHEMA import_definition CASCADE;
REVOKE pg_read_server_files FROM kwj_definition_owner;
DROP ROLE kwj_definition_owner, kwj_definition_other;
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_definition)" kwj_definition';
