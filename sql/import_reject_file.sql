-- on_error = 'skip' with reject_file: the server writes the records that are left out into a file.
-- t/153_import_rejects.pl does the same with random files and faults.
\set schema import_reject_file
\set roles kwj_reject_writer
\i `echo "$KWJ_INCLUDE/import.sql"`
\i `echo "$KWJ_INCLUDE/files.sql"`
-- A directory outside of the server's own, under a name that is the same in each run.
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_rejects)" kwj_rejects; ln -s "$(mktemp -d)" kwj_rejects';
\set file /proc/self/cwd/kwj_rejects/in.csv
\set file2 /proc/self/cwd/kwj_rejects/in2.csv
\set out /proc/self/cwd/kwj_rejects/rejected.csv
CREATE TABLE t (id integer PRIMARY KEY, a varchar(5));
CREATE TABLE rejected (job_id bigint, file text, line bigint, column_name text, sqlstate text, reason text, record text);
\set result 'SELECT :\'status\' AS status, :rows AS rows, :\'reject_rows\' AS rejected, :\'note\' AS note;'
\set job 'SELECT status, error_code, error, error_hint, error_line, result FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;'
\set names 'SELECT name FROM pg_ls_dir(\'/proc/self/cwd/kwj_rejects\', true, false) AS name ORDER BY 1;'
\set content 'SELECT regexp_replace(pg_read_file(:\'out\'), \'^\\d+,\', \'ID,\', \'gn\');'
\set remove 'COPY (SELECT WHERE false) TO PROGRAM \'rm kwj_rejects/rejected.csv\';'

-- 1. The same records as in a reject table, which COPY reads back
SELECT write_file(:'file', E'1,one\nx,two\n3,"th\nree"\n4,"fo\n""ur"",\n"\n,five\n1,one\n7,\n8,ä€\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = '/proc/self/cwd/kwj_rejects//rejected.csv', reject_table = 'rejected' \gset
:result
:job
:names
:content
CREATE TABLE back (LIKE rejected);
COPY back FROM '/proc/self/cwd/kwj_rejects/rejected.csv' (FORMAT csv, HEADER);
(TABLE back EXCEPT ALL TABLE rejected) UNION ALL (TABLE rejected EXCEPT ALL TABLE back);
SELECT count(*) FROM back;
SELECT count(*) FROM kwjobs.rejected;
-- it is never replaced
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'out' \gset
\echo :SQLSTATE
:remove
TRUNCATE t;
-- nothing is left out: no file
SELECT write_file(:'file', E'1,one\n2,two\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'out' \gset
:result
:job
:names
TRUNCATE t;
-- several files, by one worker and by several: in the order of the list
SELECT write_file(:'file', string_agg(CASE n % 500 WHEN 0 THEN 'x' || n ELSE n::text END || E',a\n', '' ORDER BY n)) FROM generate_series(1, 2000) AS n \gset
SELECT write_file(:'file2', E'2001,a\ny,a\n') \gset
CREATE TABLE no_key (id integer, a text);
SELECT kwjobs.import('no_key', ARRAY[:'file2', :'file', :'file2'], NULL, jsonb_build_object('on_error', 'skip', 'reject_file', :'out', 'thread_concurrency', 3)) AS job_id \gset
SELECT status, result FROM kwjobs.when_complete(ARRAY[:job_id]);
:content
:remove
SELECT kwjobs.import('no_key', ARRAY[:'file2', :'file', :'file2'], NULL, jsonb_build_object('on_error', 'skip', 'reject_file', :'out', 'thread_concurrency', 1)) AS job_id \gset
SELECT status, result FROM kwjobs.when_complete(ARRAY[:job_id]);
:content
:remove
-- with a last step, and into a table that the job creates
IMPORT TABLE created (id integer PRIMARY KEY, a text) CSV DATA (:'file2', :'file2') WITH on_error = 'skip', reject_file = :'out', analyze \gset
:result
:content
:remove

-- 2. reject_limit: the file says which records the job has left out before it failed
SELECT write_file(:'file', string_agg(CASE n % 500 WHEN 0 THEN 'x' || n ELSE n::text END || E',a\n', '' ORDER BY n)) FROM generate_series(1, 2000) AS n \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'out', reject_limit = 2;
:job
:content
SELECT count(*) FROM t UNION ALL SELECT count(*) FROM kwjobs.rejected;
:names
-- RETRY removes that file, and writes another one
SELECT write_file(:'file', E'1,a\nz,a\n') \gset
SELECT job_id FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1 \gset
RETRY JOB :job_id;
SELECT status, result FROM kwjobs.when_complete(ARRAY[:job_id]);
:content
:remove
TRUNCATE t;
-- reject_limit = 0: the first bad record ends the job, and there is no file
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'out', reject_limit = 0;
:names
-- nor after an error that is not about a record
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.a = 'right' THEN RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'no right'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT write_file(:'file', E'1,a\nz,a\n3,right\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'out';
:names
SELECT count(*) FROM t UNION ALL SELECT count(*) FROM kwjobs.rejected;

-- 3. What is refused when the job is created
SELECT write_file(:'file', E'1,a\nz,a\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH reject_file = :'out';
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = '';
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = 'rejected.csv';
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = '/proc/self/cwd/kwj_rejects/';
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = '/proc/self/cwd/kwj_rejects/../rejected.csv';
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = '/proc/self/cwd/kwj_rejects/nosuch/rejected.csv';
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = '/proc/self/cwd/rejected.csv';
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'file';
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = '/proc/self/cwd/kwj_rejects';
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', log_errors = '1';

-- 4. Rights, when the job is created and again when it runs
CREATE ROLE kwj_reject_writer LOGIN IN ROLE pg_read_server_files;
GRANT USAGE ON SCHEMA import_reject_file TO kwj_reject_writer;
GRANT INSERT ON t TO kwj_reject_writer;
SET ROLE kwj_reject_writer;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'out';
RESET ROLE;
GRANT pg_write_server_files TO kwj_reject_writer;
SET ROLE kwj_reject_writer;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'out' \gset
:result
-- the role that has the job cannot read the table of kwjobs
TABLE kwjobs.rejected;
RESET ROLE;
:content
:remove
TRUNCATE t;
BEGIN;
SET LOCAL ROLE kwj_reject_writer;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'out', detached \gset
RESET ROLE;
REVOKE pg_write_server_files FROM kwj_reject_writer;
COMMIT;
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);
-- somebody else takes the name: it stays theirs
BEGIN;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'out', detached \gset
SELECT write_file(:'out', 'theirs') \gset
COMMIT;
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);
:content
SELECT count(*) FROM t UNION ALL SELECT count(*) FROM kwjobs.rejected;
:remove

-- 5. revert = 'none': the job fails with a file, too
ALTER TABLE t DISABLE TRIGGER refuse;
SELECT write_file(:'file', E'1,a\nz,a\n3,a\ny,a\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_file = :'out', reject_limit = 1, revert = 'none';
:job
:content
SELECT job_id FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1 \gset
RETRY JOB :job_id;
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);
:content

COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_rejects)" kwj_rejects';
SET client_min_messages = warning;
DROP OWNED BY kwj_reject_writer;
DROP SCHEMA import_reject_file CASCADE;
DROP ROLE kwj_reject_writer;
