-- Patterns among the files of an IMPORT: which files they are, in which order, and what is refused.
\set schema import_patterns
\set roles kwj_reader
\i `echo "$KWJ_INCLUDE/import.sql"`

-- Each file has one record: its name.
COPY (SELECT WHERE false) TO PROGRAM 'chmod -fR u+rwx kwj_patterns; rm -rf kwj_patterns; mkdir kwj_patterns && cd kwj_patterns && mkdir a a/deep b c.csv 2025 2026 .hidden && for f in part-1.csv part-2.csv part-10.csv Part-3.csv part.txt .part-0.csv a/x.csv a/deep/x.csv b/x.csv b/y.csv 2025/x.csv 2026/x.csv .hidden/x.csv "s[1].csv" s1.csv "star*.csv" starfish.csv "back\\slash1.csv" "o''clock, \"now\".csv"; do echo "${f##*/}" | sed "s/\"/\"\"/g; s/.*/\"&\"/" >"$f"; done; ln -s a/x.csv link.csv; ln -s nowhere dead.csv; ln -s a dirlink; mkfifo fifo.csv; touch empty.csv; ln -s loop.csv loop.csv';
\set dir /proc/self/cwd/kwj_patterns
\set one :dir '/s1.csv'
\set parts :dir '/part-*.csv'
\set b :dir '/b/*'
\set years :dir '/20*/x.csv'
\set two_years :dir '/202[56]/x.csv'
\set quoted :dir '/o*.csv'
\set b_csv :dir '/b/*.csv'
\set none :dir '/none-*'
\set many_1 :dir '/many/?'
\set many_more :dir '/many/?*[0-9]'
\set many_2 :dir '/many/??'
\set most :dir '/many/?*[1-9]'
\set tens :dir '/many/*[1-9]0'
\set nothing :dir '/nothing-*'
CREATE TABLE t (n integer GENERATED ALWAYS AS IDENTITY, a text);
CREATE TABLE plain (a text);

-- Creates a job, shows the files that it has, and cancels it before it can run.
CREATE PROCEDURE try(pattern text) LANGUAGE plpgsql AS $$
DECLARE
    id bigint;
    detail text;
    hint text;
BEGIN
    id := kwjobs.import('import_patterns.t', ARRAY['/proc/self/cwd/kwj_patterns/' || pattern], ARRAY['a']);
    RAISE NOTICE '%: %', left(pattern, 40), (SELECT replace(substring(description FROM 'DATA (.*)'), '/proc/self/cwd/kwj_patterns/', '') FROM kwdb_internal.jobs WHERE job_id = id);
    PERFORM kwjobs.cancel(id);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE NOTICE '%: %', left(pattern, 40), regexp_replace(replace(concat_ws(' / ', SQLSTATE, SQLERRM, nullif(detail, ''), hint), '/proc/self/cwd/kwj_patterns', 'DIR'), '[*]{100,}', '**...**');
END $$;

-- 1. What matches, sorted by bytes: no hidden files, no directories, no pipes, no links to nothing
CALL try('part-*.csv');
CALL try('?art-[13]*.csv');
CALL try('part-[!12].csv');
CALL try('*.csv');
CALL try('.*.csv');
CALL try('[.]*.csv');
-- in the names of directories
CALL try('*/x.csv');
CALL try('202?/*');
CALL try('.*/x.csv');
CALL try('[ab]/*.csv');
CALL try('*//x.csv');
CALL try('a/*/x.csv');
-- a backslash takes the meaning away, in a pattern only
CALL try('star\*.csv');
CALL try('back\slash1.csv');
CALL try('back\\slash?.csv');
-- a file of that very name is no pattern
CALL try('star*.csv');
CALL try('s[1].csv');
CALL try('s[12].csv');
-- a long one
CALL try(repeat('*', 300));

-- 2. What is imported: all files, in this order, with names that stand beside the patterns.
IMPORT INTO t (a) CSV DATA (:'one', :'parts', :'one') \gset
\echo :status :rows
SELECT a FROM t ORDER BY n;
TRUNCATE t;
-- in a prepared statement, in a block, detached, with more workers
PREPARE p AS SELECT kwjobs.import('t', ARRAY[$1], ARRAY['a']) AS job_id;
EXECUTE p(:'b') \gset
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
BEGIN;
IMPORT INTO plain CSV DATA (:'years') WITH thread_concurrency = '3', detached \gset
-- the files are those of the moment when the job was created
COPY (SELECT WHERE false) TO PROGRAM 'cd kwj_patterns && mkdir 2027 && echo late >2027/x.csv';
COMMIT;
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT replace(description, :'dir', 'DIR') FROM kwdb_internal.jobs WHERE job_id = :job_id;
SELECT * FROM plain;
TRUNCATE t, plain;
-- the same by the other ways to create it
CALL kwjobs.import_and_wait('plain', ARRAY[:'two_years']) \gset
\echo :status :rows
SELECT kwjobs.create_job('IMPORT', jsonb_build_object('target', 'plain', 'files', ARRAY[:'quoted'])) AS job_id \gset
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT * FROM plain;
-- an error names the file
COPY (SELECT WHERE false) TO PROGRAM 'cd kwj_patterns && echo 1,2 >b/z.csv';
IMPORT INTO plain CSV DATA (:'b_csv') \gset
\echo :LAST_ERROR_SQLSTATE
SELECT status, error, replace(error_file, :'dir', 'DIR'), error_line FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;

-- 3. What is refused, before there is a job
SELECT count(*) AS jobs FROM kwdb_internal.jobs \gset
CALL try('nothing-*.csv');
CALL try('nowhere/*.csv');
CALL try('part.txt/*');
CALL try('part-*.csv/');
CALL try('c.cs?');
CALL try('[x.csv');
CALL try('**/x.csv');
CALL try('a/**');
CALL try(repeat('*', 2000));
CALL try('loop*/x.csv');
CALL try('fifo.cs?');
IMPORT INTO t (a) CSV DATA ('kwj_patterns/*.csv');
IMPORT INTO t (a) CSV DATA ('file:///data/*.csv');
IMPORT INTO t (a) CSV DATA ('*');
IMPORT INTO t (a) CSV DATA (:'parts', :'none');
SELECT count(*) - :jobs AS new_jobs FROM kwdb_internal.jobs;
-- a directory that cannot be read, or not be searched
COPY (SELECT WHERE false) TO PROGRAM 'chmod 300 kwj_patterns/a; chmod 600 kwj_patterns/b';
CALL try('a/*.csv');
CALL try('a/x.csv');
CALL try('b/*.csv');
CALL try('b/x.csv');
CALL try('[b]/x.csv');
COPY (SELECT WHERE false) TO PROGRAM 'chmod 700 kwj_patterns/a kwj_patterns/b';
-- too many files, in one pattern and in two
COPY (SELECT WHERE false) TO PROGRAM 'cd kwj_patterns && mkdir many && cd many && seq 10001 | xargs touch';
CALL try('many/*');
IMPORT INTO t (a) CSV DATA (:'many_1', :'many_more', :'many_2');
-- 10,000 are not too many
IMPORT INTO t (a) CSV DATA (:'most', :'tens') \gset
\echo :status :rows
SELECT length(description) > 300000 FROM kwdb_internal.jobs WHERE job_id = :job_id;

-- 4. Who may expand patterns: it is the rights of the job's owner that count.
CREATE ROLE kwj_reader LOGIN;
GRANT USAGE ON SCHEMA import_patterns TO kwj_reader;
GRANT INSERT ON plain TO kwj_reader;
SET ROLE kwj_reader;
SELECT kwjobs.import('plain', ARRAY[:'nothing']);
SELECT kwjobs.import('plain', ARRAY[:'parts']);
RESET ROLE;
SELECT kwjobs.import('plain', ARRAY[:'nothing'], options => '{"run_as": "kwj_reader"}');
GRANT pg_read_server_files TO kwj_reader;
SET ROLE kwj_reader;
SELECT kwjobs.import('plain', ARRAY[:'nothing']);
SELECT kwjobs.import('plain', ARRAY[:'parts']) AS job_id \gset
RESET ROLE;
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);

COPY (SELECT WHERE false) TO PROGRAM 'rm -rf kwj_patterns';
SET client_min_messages = warning;
DROP SCHEMA import_patterns CASCADE;
DROP ROLE kwj_reader;
