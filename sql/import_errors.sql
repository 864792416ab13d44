-- Bad input of IMPORT. At submission: SQLSTATE, message and hint, and no job is created.
-- In the data: the place of the error is in the job, and no row is left in the table.
\set schema import_errors
\set roles 'kwj_importer, kwj_reader'
\i `echo "$KWJ_INCLUDE/import.sql"`
SET timezone = 'UTC';

-- Files in the server's data directory. It is the working directory of the server's
-- processes, so this is an absolute path that is the same on every machine.
\set dir /proc/self/cwd/kwj_
\i `echo "$KWJ_INCLUDE/files.sql"`
\set good :dir good.csv
\set empty :dir empty.csv
\set locked :dir locked.csv
\set fifo :dir fifo
\set missing :dir missing.csv
SELECT write_file(:'good', E'1,one\n2,two\n'), write_file(:'empty', '') \gset
COPY (SELECT WHERE false) TO PROGRAM 'touch kwj_locked.csv; chmod 000 kwj_locked.csv; mkfifo kwj_fifo';

CREATE TABLE target (a integer, b text, c integer DEFAULT 7, g integer GENERATED ALWAYS AS (a * 2) STORED);
SELECT count(*) AS jobs FROM kwdb_internal.jobs \gset
\set state 'SELECT :\'LAST_ERROR_SQLSTATE\' AS sqlstate, (SELECT count(*) FROM kwdb_internal.jobs) - :jobs AS new_jobs, (SELECT count(*) FROM import_errors.target) AS rows;'

-- 1. The table
IMPORT INTO missing CSV DATA (:'good');
:state
IMPORT INTO kwjobs.missing CSV DATA (:'good') WITH detached;
:state
SELECT kwjobs.import('missing', ARRAY[:'good']);
:state
SELECT kwjobs.import(NULL, ARRAY[:'good']);
:state
SELECT kwjobs.import(1::oid, ARRAY[:'good']);
:state
CREATE VIEW a_view AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW a_matview AS SELECT 1 AS a;
CREATE SEQUENCE a_sequence;
CREATE INDEX an_index ON target (a);
CREATE TYPE a_type AS (a integer);
CREATE FOREIGN DATA WRAPPER kwj_nothing;
CREATE SERVER kwj_nowhere FOREIGN DATA WRAPPER kwj_nothing;
CREATE FOREIGN TABLE a_foreign_table (a integer) SERVER kwj_nowhere;
CREATE TEMPORARY TABLE a_temp_table (a integer);
CREATE TABLE partitioned (a integer, b text) PARTITION BY RANGE (a);
CREATE TABLE part_1 PARTITION OF partitioned FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE foreign_part PARTITION OF partitioned FOR VALUES FROM (10) TO (20) SERVER kwj_nowhere;
IMPORT INTO a_view CSV DATA (:'good');
:state
IMPORT INTO a_view CSV DATA (:'good') WITH detached;
:state
IMPORT INTO a_matview CSV DATA (:'good');
:state
IMPORT INTO a_sequence CSV DATA (:'good');
:state
IMPORT INTO an_index CSV DATA (:'good');
:state
IMPORT INTO a_type CSV DATA (:'good');
:state
IMPORT INTO a_foreign_table CSV DATA (:'good');
:state
IMPORT INTO partitioned CSV DATA (:'good');
:state
IMPORT INTO a_temp_table CSV DATA (:'good');
:state
IMPORT INTO a_temp_table CSV DATA (:'good') WITH detached;
:state
IMPORT INTO pg_catalog.pg_class CSV DATA (:'good');
:state

-- 2. Columns
IMPORT INTO target (a, missing) CSV DATA (:'good');
:state
IMPORT INTO target (a, missing) CSV DATA (:'good') WITH detached;
:state
IMPORT INTO target (a, b, a) CSV DATA (:'good');
:state
IMPORT INTO target (a, "A") CSV DATA (:'good');
:state
IMPORT INTO target (a, g) CSV DATA (:'good');
:state
IMPORT INTO target (a, ctid) CSV DATA (:'good');
:state
IMPORT INTO target () CSV DATA (:'good');
:state
SELECT kwjobs.import('target', ARRAY[:'good'], ARRAY['a', 'missing']);
:state
SELECT kwjobs.import('target', ARRAY[:'good'], ARRAY['a', NULL]);
:state
SELECT kwjobs.import('target', ARRAY[:'good'], '{}');
:state

-- 3. Rights
CREATE ROLE kwj_importer LOGIN;
CREATE ROLE kwj_reader LOGIN IN ROLE pg_read_server_files;
GRANT USAGE ON SCHEMA import_errors TO kwj_importer, kwj_reader;
GRANT INSERT ON target TO kwj_importer;
-- a table, but no files
SET ROLE kwj_importer;
IMPORT INTO target (a, b) CSV DATA (:'good');
IMPORT INTO target (a, b) CSV DATA (:'good') WITH detached;
SELECT kwjobs.import('target', ARRAY[:'good']);
-- whether a file exists is not told either
IMPORT INTO target (a, b) CSV DATA (:'missing');
RESET ROLE;
:state
-- files, but no table
SET ROLE kwj_reader;
IMPORT INTO target (a, b) CSV DATA (:'good');
IMPORT INTO target (a, b) CSV DATA (:'good') WITH detached;
SELECT kwjobs.import('target', ARRAY[:'good']);
RESET ROLE;
:state
-- one column, but not the other
GRANT INSERT (a) ON target TO kwj_reader;
SET ROLE kwj_reader;
IMPORT INTO target (a, b) CSV DATA (:'good');
IMPORT INTO target CSV DATA (:'good');
RESET ROLE;
:state
REVOKE USAGE ON SCHEMA import_errors FROM kwj_reader;
SET ROLE kwj_reader;
IMPORT INTO import_errors.target (a) CSV DATA (:'good');
RESET ROLE;
:state
GRANT USAGE ON SCHEMA import_errors TO kwj_reader;
-- row-level security that applies to the user
CREATE TABLE secured (a integer, b text);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON secured USING (true);
GRANT INSERT ON secured TO kwj_reader;
SET ROLE kwj_reader;
IMPORT INTO secured CSV DATA (:'good');
IMPORT INTO secured CSV DATA (:'good') WITH detached;
RESET ROLE;
:state

-- 4. Files
IMPORT INTO target (a, b) CSV DATA (:'missing');
:state
IMPORT INTO target (a, b) CSV DATA (:'good', :'missing') WITH detached;
:state
SELECT kwjobs.import('target', ARRAY[:'missing']);
:state
IMPORT INTO target (a, b) CSV DATA (:'locked');
:state
IMPORT INTO target (a, b) CSV DATA ('/proc/self/cwd/base');
:state
IMPORT INTO target (a, b) CSV DATA (:'fifo');
:state
IMPORT INTO target (a, b) CSV DATA ('/dev/null') WITH detached;
:state
IMPORT INTO target (a, b) CSV DATA ('kwj_good.csv');
:state
IMPORT INTO target (a, b) CSV DATA ('');
:state
IMPORT INTO target (a, b) CSV DATA ('nodelocal://1/x.csv');
:state
IMPORT INTO target (a, b) CSV DATA (:'good', 'https://host/x.csv') WITH detached;
:state
IMPORT INTO target (a, b) CSV DATA ('file:///data/x.csv');
:state
IMPORT INTO target (a, b) CSV DATA ('://x.csv');
:state
IMPORT INTO target (a, b) CSV DATA (NULL);
:state
IMPORT INTO target (a, b) CSV DATA (:'good', NULL) WITH detached;
:state
IMPORT INTO target (a, b) CSV DATA ();
:state
IMPORT INTO target (a, b) CSV DATA;
:state
SELECT kwjobs.import('target', '{}');
:state
SELECT kwjobs.import('target', NULL);
:state

-- 5. Options
IMPORT INTO target CSV DATA (:'good') WITH delimeter = ';';
:state
IMPORT INTO target CSV DATA (:'good') WITH delimeter = ';', detached;
:state
IMPORT INTO target CSV DATA (:'good') WITH skip = '1', skip = '1';
:state
IMPORT INTO target CSV DATA (:'good') WITH skip = '1', "skip" = '1', detached;
:state
IMPORT INTO target CSV DATA (:'good') WITH detached, detached;
:state
IMPORT INTO target CSV DATA (:'good') WITH detached = 'yes';
:state
IMPORT INTO target CSV DATA (:'good') WITH skip;
:state
IMPORT INTO target CSV DATA (:'good') WITH skip = ;
:state
IMPORT INTO target CSV DATA (:'good') WITH;
:state
IMPORT INTO target CSV DATA (:'good') WITH skip = NULL;
:state
IMPORT INTO target CSV DATA (:'good') WITH skip = '-1';
:state
IMPORT INTO target CSV DATA (:'good') WITH skip = '1.5';
:state
IMPORT INTO target CSV DATA (:'good') WITH skip = '';
:state
IMPORT INTO target CSV DATA (:'good') WITH skip = '99999999999999999999';
:state
IMPORT INTO target CSV DATA (:'good') WITH delimiter = '';
:state
IMPORT INTO target CSV DATA (:'good') WITH delimiter = ';;';
:state
IMPORT INTO target CSV DATA (:'good') WITH delimiter = U&'\00E9';
:state
IMPORT INTO target CSV DATA (:'good') WITH delimiter = E'\n';
:state
IMPORT INTO target CSV DATA (:'good') WITH delimiter = '"';
:state
IMPORT INTO target CSV DATA (:'good') WITH enclosed = ',' ;
:state
IMPORT INTO target CSV DATA (:'good') WITH enclosed = '';
:state
IMPORT INTO target CSV DATA (:'good') WITH escaped = ',';
:state
IMPORT INTO target CSV DATA (:'good') WITH escaped = 'ab';
:state
IMPORT INTO target CSV DATA (:'good') WITH nullif = 'a,b';
:state
IMPORT INTO target CSV DATA (:'good') WITH nullif = '"';
:state
IMPORT INTO target CSV DATA (:'good') WITH nullif = E'a\nb';
:state
SELECT kwjobs.import('target', ARRAY[:'good'], options => '[]');
:state
SELECT kwjobs.import('target', ARRAY[:'good'], options => '{"skip": true}');
:state
SELECT kwjobs.import('target', ARRAY[:'good'], options => '{"skip": -1}');
:state
SELECT kwjobs.import('target', ARRAY[:'good'], options => '{"detached": "1"}');
:state
-- what other systems have, with a value and without
IMPORT INTO target CSV DATA (:'good') WITH header;
:state
IMPORT INTO target CSV DATA (:'good') WITH header = 'true', detached;
:state
IMPORT INTO target CSV DATA (:'good') WITH allow_quoted_null;
:state
IMPORT INTO target CSV DATA (:'good') WITH Escape = 'x';
:state
IMPORT INTO target CSV DATA (:'good') WITH nosuch;
:state
SELECT kwjobs.import('target', ARRAY[:'good'], options => '{"header": null}');
:state
SELECT kwjobs.import('target', ARRAY[:'good'], options => '{"header": {"a": [1]}}');
:state
-- an option that is no flag takes neither true nor false; a flag takes both
SELECT kwjobs.import('target', ARRAY[:'good'], options => '{"header": false}');
:state
SELECT kwjobs.import('target', ARRAY[:'good'], options => '{"delimiter": false}');
:state
SELECT kwjobs.import('target', ARRAY[:'good'], options => '{"nullif": true}');
:state
SELECT kwjobs.import('target', ARRAY[:'good'], options => '{"force_null": false}');
:state
SELECT kwjobs.create_job('IMPORT', jsonb_build_object('target', 'target', 'files', ARRAY[:'good'], 'options', jsonb_build_object('skip', false)));
:state
SELECT kwjobs.import('target', ARRAY[:'good'], options => '{"Freeze": false}');
:state
IMPORT INTO target CSV DATA (:'good') WITH delimiter = '\t';
:state
-- the format
IMPORT INTO target AVRO DATA (:'good');
:state

-- 6. Transactions
BEGIN;
IMPORT INTO target (a, b) CSV DATA (:'good');
-- the transaction is aborted
IMPORT INTO target (a, b) CSV DATA (:'good');
IMPORT INTO target (a, b) CSV DATA (:'good') WITH detached;
SELECT kwjobs.import('target', ARRAY[:'good'], '{a,b}');
ROLLBACK;
:state
BEGIN;
SAVEPOINT s;
IMPORT INTO target (a, b) CSV DATA (:'good');
ROLLBACK TO s;
COMMIT;
:state
CREATE TABLE before (a integer) \; IMPORT INTO target (a, b) CSV DATA (:'good');
SELECT to_regclass('before');
:state
IMPORT INTO target (a, b) CSV DATA (:'good') \; SELECT 1 AS after;
:state
DO $$ BEGIN IMPORT INTO import_errors.target (a, b) CSV DATA ('/proc/self/cwd/kwj_good.csv'); END $$;
:state
CREATE FUNCTION import_in_function() RETURNS void LANGUAGE plpgsql AS
$$ BEGIN IMPORT INTO import_errors.target (a, b) CSV DATA ('/proc/self/cwd/kwj_good.csv'); END $$;
SELECT import_in_function();
:state
CREATE PROCEDURE call_import() LANGUAGE plpgsql AS $$
DECLARE
    job_id bigint; status text; fraction double precision; rows bigint;
    abandoned text; rejected text; note text;
BEGIN
    CALL kwjobs.import_and_wait('import_errors.target', '{/proc/self/cwd/kwj_good.csv}', '{a,b}', '{}',
                                job_id, status, fraction, rows, abandoned, rejected, note);
    RAISE NOTICE '% %', status, rows;
END $$;
BEGIN;
CALL call_import();
ROLLBACK;
:state
BEGIN READ ONLY;
IMPORT INTO target (a, b) CSV DATA (:'good') WITH detached;
ROLLBACK;
:state
SET default_transaction_read_only = on;
IMPORT INTO target (a, b) CSV DATA (:'good');
RESET default_transaction_read_only;
:state

-- The procedure can also be called from another one that may commit.
CALL call_import();
TRUNCATE target;

-- Rolled back: the job never was, whatever was in the transaction with it.
BEGIN;
IMPORT INTO target (a, b) CSV DATA (:'good') WITH detached \gset
SELECT count(*) FROM kwdb_internal.jobs WHERE job_id = :job_id;
ROLLBACK;
BEGIN;
SAVEPOINT s;
IMPORT INTO target (a, b) CSV DATA (:'good') WITH detached \gset sub_
ROLLBACK TO s;
COMMIT;
-- one that is committed later runs, they did not
CREATE TABLE later (a integer, b text);
IMPORT INTO later CSV DATA (:'good') \gset
\echo :status :rows
SELECT count(*) FROM kwdb_internal.jobs WHERE job_id IN (:sub_job_id);
SELECT count(*) FROM target;

-- Detached in a transaction block, and in a function: it runs after the commit.
BEGIN;
IMPORT INTO target (a, b) CSV DATA (:'good') WITH detached \gset
SELECT status FROM [SHOW JOB :job_id];
COMMIT;
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
CREATE FUNCTION import_detached() RETURNS bigint LANGUAGE sql AS
$$ SELECT kwjobs.import('import_errors.target', '{/proc/self/cwd/kwj_good.csv}', '{a,b}') $$;
SELECT import_detached() AS job_id \gset
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT a, b, c, g FROM target ORDER BY a;
TRUNCATE target;

-- An empty file is legal, also with lines to skip.
IMPORT INTO target CSV DATA (:'empty') \gset
\echo :status :fraction_completed :rows
IMPORT INTO target CSV DATA (:'empty', :'empty') WITH skip = '1' \gset
\echo :status :fraction_completed :rows
IMPORT INTO target (a, b) CSV DATA (:'empty', :'good', :'empty') WITH skip = '2' \gset
\echo :status :fraction_completed :rows

-- 7. The data. Small batches, so that rows were committed before the error.
SELECT format('ALTER DATABASE %I SET kwjobs.import_batch_size = ''1kB''', current_database()) \gexec
\pset tuples_only off
\pset expanded
-- the job, and what is left of its rows
\set job 'SELECT status, error_code, error, error_detail, error_hint, error_file, error_line, error_column, regexp_replace(error_context, \'job \\d+\', \'job N\') AS error_context, (SELECT count(*) FROM import_errors.target) AS rows_left FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;'
CREATE FUNCTION lines(first integer, last integer) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(n || ',' || 'row ' || n || E'\n', '' ORDER BY n) FROM generate_series(first, last) AS n $$;
\set bad :dir bad.csv
-- a bad value
SELECT write_file(:'bad', lines(1, 300) || E'x301,row 301\n' || lines(302, 310)) \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
-- in the second file, detached
IMPORT INTO target (a, b) CSV DATA (:'good', :'bad') WITH detached \gset
SELECT count(*) FROM [SHOW JOB WHEN COMPLETE :job_id];
:job
-- by the function; a header line, and a value over several lines before it
SELECT write_file(:'bad', E'a,b\n1,"two\nlines"\n2,x\n3,x,4\n') \gset
SELECT kwjobs.import('target', ARRAY[:'bad'], '{a,b}', '{"skip": 1}') AS job_id \gset
SELECT count(*) FROM [SHOW JOB WHEN COMPLETE :job_id];
:job
-- too few fields, too many
SELECT write_file(:'bad', lines(1, 300) || E'301\n') \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
SELECT write_file(:'bad', lines(1, 300) || E'301,row,301\n') \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
-- a field that is never closed
SELECT write_file(:'bad', lines(1, 300) || E'301,"row\n' || lines(302, 303)) \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
-- line ends of two kinds
SELECT write_file(:'bad', lines(1, 300) || E'301,row 301\r\n') \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
-- not UTF-8, and a NUL byte
SELECT write_file(:'bad', convert_to(lines(1, 300), 'UTF8') || '\x3330312cff0a') \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
SELECT write_file(:'bad', convert_to(lines(1, 300), 'UTF8') || '\x3330312c000a') \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
-- the last character is cut off
SELECT write_file(:'bad', convert_to(lines(1, 300), 'UTF8') || '\x3330312ce282') \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
-- a byte order mark is data but at the start
SELECT write_file(:'bad', '\xefbbbf312c780aefbbbf322c780a'::bytea) \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
-- out of range
SELECT write_file(:'bad', E'1,x\n3000000000,x\n') \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
-- constraints
SELECT write_file(:'bad', lines(1, 300)) \gset
ALTER TABLE target ADD CONSTRAINT not_250 CHECK (a <> 250);
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
ALTER TABLE target DROP CONSTRAINT not_250, ALTER c DROP DEFAULT, ALTER c SET NOT NULL;
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
ALTER TABLE target ALTER c SET DEFAULT 7, ADD UNIQUE (b);
SELECT write_file(:'bad', lines(1, 300) || lines(299, 299)) \gset
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
ALTER TABLE target DROP CONSTRAINT target_b_key;
CREATE TABLE referenced (a integer PRIMARY KEY);
INSERT INTO referenced SELECT generate_series(1, 280);
SELECT write_file(:'bad', lines(1, 300)) \gset
ALTER TABLE target ADD FOREIGN KEY (a) REFERENCES referenced;
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
ALTER TABLE target DROP CONSTRAINT target_a_fkey;
ALTER TABLE target ADD FOREIGN KEY (a) REFERENCES referenced DEFERRABLE INITIALLY DEFERRED;
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
ALTER TABLE target DROP CONSTRAINT target_a_fkey;
-- no partition
DROP FOREIGN TABLE foreign_part;
IMPORT INTO partitioned CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
SELECT count(*) FROM partitioned;
-- an error of a trigger
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'row % refused', NEW.a USING DETAIL = 'The detail.', HINT = 'The hint.', ERRCODE = 'KW001';
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON target FOR EACH ROW WHEN (NEW.a = 250) EXECUTE FUNCTION refuse();
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
DROP TRIGGER refuse ON target;
-- rows that were there, and rows of others, stay; the same file goes in afterwards
INSERT INTO target (a, b) VALUES (-1, 'there before');
ALTER TABLE target ADD CONSTRAINT not_250 CHECK (a <> 250);
IMPORT INTO target (a, b) CSV DATA (:'bad');
\echo :LAST_ERROR_SQLSTATE
:job
ALTER TABLE target DROP CONSTRAINT not_250;
IMPORT INTO target (a, b) CSV DATA (:'bad') \gset
\pset expanded off
SELECT count(*), min(a), max(a) FROM target;

-- Every failed job counts as one failure, and none hangs.
SELECT count(*) FROM kwdb_internal.jobs
 WHERE description LIKE 'IMPORT INTO import_errors.%'
   AND (finished IS NULL OR (status = 'failed' AND (total_num_of_fail, total_num_of_success) <> (1, 0)));

SELECT format('ALTER DATABASE %I RESET kwjobs.import_batch_size', current_database()) \gexec
COPY (SELECT WHERE false) TO PROGRAM 'rm -f kwj_good.csv kwj_empty.csv kwj_bad.csv kwj_locked.csv kwj_fifo';
SET client_min_messages = warning;
DROP FOREIGN DATA WRAPPER kwj_nothing CASCADE;
DROP SCHEMA import_errors CASCADE;
DROP OWNED BY kwj_importer, kwj_reader;
DROP ROLE kwj_importer, kwj_reader;
