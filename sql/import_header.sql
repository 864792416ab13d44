-- The option header of IMPORT: the first record of each file is left out, or says which field is for
-- which column.
\set schema import_header
\i `echo "$KWJ_INCLUDE/import.sql"`
\i `echo "$KWJ_INCLUDE/files.sql"`
\set file /proc/self/cwd/kwj_header.csv
\set file2 /proc/self/cwd/kwj_header2.csv
CREATE TABLE t (id integer, a text, "B c" text DEFAULT 'b', g integer GENERATED ALWAYS AS (id * 2) STORED);
\set imported 'SELECT * FROM t ORDER BY id; TRUNCATE t;'
\set job 'SELECT status, error_code, error, error_line, error_column FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;'

-- 1. skip: the first record, with its line breaks, whatever is in it
SELECT write_file(:'file', E'id,"a\n""and"" more\r\n",x,y,z\n1,one,b\n2,two,c\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH header = 'skip' \gset
\echo :status :rows
:imported
-- of each file; empty files, and files with nothing else, have no rows
SELECT write_file(:'file2', 'id,a,b') \gset
IMPORT INTO t CSV DATA (:'file', :'file2', :'file') WITH header = 'skip' \gset
:imported
SELECT write_file(:'file2', '') \gset
IMPORT INTO t CSV DATA (:'file2', :'file') WITH header = 'skip' \gset
:imported
IMPORT INTO t CSV DATA (:'file2') WITH header = 'match' \gset
\echo :status :rows
-- the statement does not say that the file has a header: the error has a hint, also if the names are in upper case,
-- but not if the names stand in a later line
\set hint 'SELECT error, error_line, error_hint FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;'
SELECT write_file(:'file', E'ID,a,b\n1,one,b\n') \gset
IMPORT INTO t CSV DATA (:'file') \gset
:hint
SELECT write_file(:'file', E'title\nid,a,b\n1,one,b\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
:hint
SELECT write_file(:'file', E'1,one,b\nid,a,b\n') \gset
IMPORT INTO t CSV DATA (:'file') \gset
:hint
-- after lines that skip leaves out, and after a byte order mark; lines are counted as in the file
SELECT write_file(:'file', '\xefbbbf'::bytea || convert_to(E'5" disks\r\nid,"a\r\n(text)",b\r\n1,one,b\r\nx,two,c\r\n', 'UTF8')) \gset
IMPORT INTO t CSV DATA (:'file') WITH header = 'skip', skip = '1', detached \gset
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
:job
-- another line end than that of the records
SELECT write_file(:'file', E'id,a,b\r\n1,one,b\n2,two,c\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH header = 'skip' \gset
:imported
SELECT write_file(:'file', E'id,a,b\r1,one,b\r2,two,c\r') \gset
IMPORT INTO t CSV DATA (:'file') WITH header = 'skip' \gset
:imported
SELECT write_file(:'file', E'id,a,b\n\n1,one,b\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH header = 'skip' \gset
\echo :LAST_ERROR_SQLSTATE
:job
-- \r at the end of a part that is read, \n at the start of the next one
SELECT write_file(:'file', repeat('x', 65535) || E'\r\n1,one,b\r\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH header = 'skip' \gset
:imported
SELECT write_file(:'file', repeat('x', 65535) || E'\r1,one,b\r') \gset
IMPORT INTO t CSV DATA (:'file') WITH header = 'skip' \gset
:imported

-- 2. match: any order, each file its own
SELECT write_file(:'file', E'B c,id,a\nx,1,one\n,2,\n'), write_file(:'file2', E'a,"id","B c"\nthree,3,y\n') \gset
IMPORT INTO t CSV DATA (:'file', :'file2') WITH header = 'match' \gset
\echo :status :rows
:imported
-- the same by the other ways to create it; the description tells it
SELECT kwjobs.import('t', ARRAY[:'file2', :'file'], options => '{"header": "match"}') AS job_id \gset
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT replace(description, '/proc/self/cwd', 'DIR') FROM kwdb_internal.jobs WHERE job_id = :job_id;
:imported
BEGIN;
IMPORT INTO t CSV DATA (:'file', :'file2') WITH header = 'match', thread_concurrency = '2', detached \gset
-- a column that is renamed later changes nothing
ALTER TABLE t RENAME a TO renamed;
COMMIT;
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
ALTER TABLE t RENAME renamed TO a;
:imported
-- some of the columns
SELECT write_file(:'file', E'a,id\none,1\n') \gset
IMPORT INTO t (id, a) CSV DATA (:'file') WITH header = 'match' \gset
:imported
-- other characters, quotes within a name, line breaks in it
ALTER TABLE t RENAME a TO "a
'""";
SELECT write_file(:'file', E'''B'' c;''a\n\\''"'';id\nx;''it\\''s'';1\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH header = 'match', delimiter = ';', enclosed = '''', escaped = '\' \gset
:imported
SELECT write_file(:'file', E'B c,"a\n''""",id\nx,"it""s",1\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH header = 'match' \gset
:imported
ALTER TABLE t RENAME "a
'""" TO a;
-- an error has the line and the column
SELECT write_file(:'file', E'"B c",a,id\nx,one,1\ny,two,zwei\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH header = 'match' \gset
:job

-- 3. What is refused, before there is a job
SELECT count(*) AS jobs FROM kwdb_internal.jobs \gset
CREATE PROCEDURE try(content bytea, options jsonb DEFAULT '{"header": "match"}') LANGUAGE plpgsql AS $$
DECLARE
    path constant text := '/proc/self/cwd/kwj_header.csv';
    detail text;
    hint text;
BEGIN
    PERFORM import_header.write_file(path, content);
    PERFORM kwjobs.import('import_header.t', ARRAY[path], options => options);
    RAISE NOTICE 'is imported';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE NOTICE '%', replace(concat_ws(' / ', SQLSTATE, SQLERRM, nullif(detail, ''), nullif(hint, '')), path, 'F');
END $$;
CALL try('id,a,b');
CALL try('ID,a,B c');
CALL try('id,a,B c ');
CALL try('id,a');
CALL try('id,a,B c,a');
CALL try('id,a,B c,');
CALL try('id,a,B c,g');
CALL try(E'\nid,a,B c');
CALL try('1,one,b');
CALL try('"id');
CALL try('"id', '{"header": "skip"}');
CALL try(convert_to(repeat('x', 1000) || ',a', 'UTF8'));
CALL try(convert_to(repeat('x', 1100000) || ',a', 'UTF8'));
CALL try(convert_to('"' || repeat(E'1,text\n', 200000) || '"', 'UTF8'), '{"header": "skip"}');
CALL try('\x69642c612c4220ff63');
CALL try('\x69642c61002c42206300');
-- behind a megabyte that is left out
CALL try(convert_to(repeat(E'title\n', 300000) || 'id,a,b', 'UTF8'), '{"header": "match", "skip": 300000}');
CALL try('id,a,B c', '{"header": "true"}');
CALL try('id,a,B c', '{"header": true}');
CALL try('id,a,B c', '{"header": ""}');
CALL try('id,a,B c', '{"header": "MATCH"}');
-- of the second file
SELECT write_file(:'file', E'id,a,B c\n1,one,b\n'), write_file(:'file2', E'id,a,b\n1,one,b\n') \gset
IMPORT INTO t CSV DATA (:'file', :'file2') WITH header = 'match';
SELECT count(*) - :jobs AS new_jobs FROM kwdb_internal.jobs;
-- the job finds it, too, if the file is another one after it was created
SELECT write_file(:'file2', E'id,a,B c\n2,two,b\n') \gset
BEGIN;
IMPORT INTO t CSV DATA (:'file', :'file2') WITH header = 'match', detached \gset
SELECT write_file(:'file2', E'id,a,b\n2,two,b\n') \gset
COMMIT;
SELECT status, error, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
:imported

COPY (SELECT WHERE false) TO PROGRAM 'rm -f kwj_header.csv kwj_header2.csv';
SET client_min_messages = warning;
DROP SCHEMA import_header CASCADE;
