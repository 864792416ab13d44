-- What stands in the files of an IMPORT: lines to skip, byte order marks, line ends, files
-- of other kinds. What succeeded has all rows with the values that COPY would read.
\set schema import_files
\i `echo "$KWJ_INCLUDE/import.sql"`
\i `echo "$KWJ_INCLUDE/files.sql"`
\set file /proc/self/cwd/kwj_files.csv
CREATE TABLE t (id integer, a text);
CREATE TABLE texts (id text, a text);
-- rows, the first and the last, and what the job has told
\set imported 'SELECT count(*), min(id), max(id), string_agg(a, \'|\' ORDER BY id) FILTER (WHERE id < 3) FROM t; TRUNCATE t;'
\set said 'SELECT messages FROM kwdb_internal.job_attempts WHERE job_id = :job_id;'
\set job 'SELECT status, error_code, error, error_line, error_column FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;'

-- 1. skip counts lines. A title with a quote, in lines and fields of all kinds.
SELECT write_file(:'file', E'export of 5" disks\nid,a\n' || string_agg(n || ',row ' || n || E'\n', '' ORDER BY n))
  FROM generate_series(1, 1000) AS n \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '2' \gset
\echo :status :rows
:said
:imported
-- detached, and by the function
IMPORT INTO t CSV DATA (:'file') WITH skip = '2', detached \gset
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
:imported
SELECT kwjobs.import('t', ARRAY[:'file'], options => '{"skip": 2}') AS job_id \gset
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
:imported
-- a header whose quotes do not match
SELECT write_file(:'file', E'id,"a\n1,one\n2,two\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
:imported
-- quotes later on do not make a header of it
SELECT write_file(:'file', E'"5 inch\nid,"a"\n1,"one"\n2,two\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '2' \gset
:imported
-- two titles with one quote each
SELECT write_file(:'file', E'5" disks\n3" disks\n1,one\n2,two\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '2' \gset
:imported
-- other characters that enclose and escape
SELECT write_file(:'file', E'the name''s list\nid;a\n1;''o\\''ne''\n2;two\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '2', delimiter = ';', enclosed = '''', escaped = '\' \gset
:imported
-- more lines than are in the buffer
SELECT write_file(:'file', repeat(E'"\n', 70001) || E'1,one\n2,two\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '70001' \gset
:imported
SELECT write_file(:'file', repeat('x', 200000) || E'"\r\n1,one\r\n2,two') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
:imported

-- 2. A header of several lines: the rest of it is left out, whichever of its lines is the last.
SELECT write_file(:'file', E'id,"a\n(in\nwords)"\n1,one\n2,two\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
:said
:imported
IMPORT INTO t CSV DATA (:'file') WITH skip = '2' \gset
:imported
IMPORT INTO t CSV DATA (:'file') WITH skip = '3' \gset
:imported
-- after a title, with escaped quotes, with \r in it
SELECT write_file(:'file', E'the list\r\n"i""d\r","a\r\n"\r\n1,one\r\n2,two\r\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '2' \gset
:imported
-- with another number of fields it is no header
SELECT write_file(:'file', E'id,"a\n1,b",c\n2,two\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
\echo :LAST_ERROR_SQLSTATE
:job
IMPORT INTO t (id) CSV DATA (:'file') WITH skip = '1' \gset
\echo :LAST_ERROR_SQLSTATE
-- it never ends
SELECT write_file(:'file', E'id,"a\n1,b"') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
\echo :status :rows
SELECT write_file(:'file', E'id,"a\n1,b\n2,c') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
:imported

-- 3. Fewer lines than are to be skipped
SELECT write_file(:'file', E'id,a\n1,one') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '3' \gset
:said
:imported
-- just as many: nothing to say
IMPORT INTO t CSV DATA (:'file') WITH skip = '2' \gset
:said
:imported

-- 4. The line end of the first record that is imported holds, that of the header does not.
SELECT write_file(:'file', E'id,a\r\n1,one\n2,two\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
:imported
SELECT write_file(:'file', E'id,a\n1,one\r\n2,two\r\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
:imported
SELECT write_file(:'file', E'title\rid,a\n1,one\r2,two\r') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '2' \gset
:imported
SELECT write_file(:'file', E'title\n\r\nid,a\r1,"o\nne"\n2,two\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '3' \gset
:imported
-- of the records all must be alike
SELECT write_file(:'file', E'id,a\r\n1,one\n2,two\r\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
\echo :LAST_ERROR_SQLSTATE
:job

-- 5. A byte order mark is no data: at the start of each file, alone, before quotes, after no header.
SELECT write_file(:'file', '\xefbbbf'::bytea || convert_to(E'1,one\n2,two\n', 'UTF8')) \gset
IMPORT INTO t CSV DATA (:'file') \gset
:imported
IMPORT INTO texts CSV DATA (:'file', :'file') \gset
SELECT id, length(id), a FROM texts ORDER BY id;
TRUNCATE texts;
SELECT write_file(:'file', '\xefbbbf'::bytea || convert_to(E'"1",one\n2,two\n', 'UTF8')) \gset
IMPORT INTO texts CSV DATA (:'file') \gset
SELECT id, length(id), a FROM texts ORDER BY id;
TRUNCATE texts;
SELECT write_file(:'file', '\xefbbbf'::bytea || convert_to(E'"id","a\n"\n1,one\n', 'UTF8')) \gset
IMPORT INTO texts CSV DATA (:'file') WITH skip = '1' \gset
SELECT id, length(id), a FROM texts ORDER BY id;
TRUNCATE texts;
SELECT write_file(:'file', '\xefbbbf'::bytea) \gset
IMPORT INTO texts CSV DATA (:'file') \gset
\echo :status :rows
-- later on it is a character
SELECT write_file(:'file', convert_to(E'1,', 'UTF8') || '\xefbbbf0a'::bytea) \gset
IMPORT INTO texts CSV DATA (:'file') \gset
SELECT id, a = chr(65279) FROM texts ORDER BY id;
TRUNCATE texts;

-- 6. Files of other kinds are refused when the job is created.
CREATE TABLE kinds (name text, bytes bytea);
INSERT INTO kinds VALUES
    ('gzip', '\x1f8b0800000000000003'), ('bzip2', '\x425a68393141592653591234'), ('empty bzip2', '\x425a683917724538509000000000'),
    ('xz', '\xfd377a585a000004'), ('zstd', '\x28b52ffd04000100'), ('lz4', '\x04224d186440a7'), ('old lz4', '\x02214c1800'),
    ('zip', '\x504b030414000000'), ('empty zip', '\x504b0506000000000000'), ('7z', '\x377abcaf271c0004'), ('compress', '\x1f9d90610a'),
    ('lzip', '\x4c5a495001'), ('lzma', '\x5d00008000'), ('snappy', '\xff060000734e61507059'),
    ('UTF-16 LE', '\xfffe31002c0061000a00'), ('UTF-16 BE', '\xfeff0031002c0061000a'), ('UTF-16 LE without a mark', '\x31002c0061000a00'),
    ('UTF-16 BE without a mark', '\x0031002c0061000a'), ('UTF-32 LE', '\xfffe0000310000002c000000'), ('UTF-32 BE', '\x0000feff000000310000002c'),
    ('UTF-32 LE without a mark', '\x310000002c000000'), ('UTF-32 BE without a mark', '\x000000310000002c'),
    ('COPY BINARY', '\x5047434f50590aff0d0a0000000000'),
    ('text that begins like bzip2', convert_to(E'BZh9,x\n', 'UTF8')), ('text that begins like zip', convert_to(E'PK,x\n', 'UTF8')),
    ('two bytes', convert_to('1,', 'UTF8'));
CREATE FUNCTION try_kind(content bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    path constant text := '/proc/self/cwd/kwj_files.csv';
    detail text;
    hint text;
BEGIN
    PERFORM import_files.write_file(path, content);
    PERFORM kwjobs.import('import_files.texts', ARRAY[path]);
    RETURN 'is imported';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' / ', SQLSTATE, replace(SQLERRM, path, 'F'), detail, hint);
END $$;
BEGIN;
SELECT name, try_kind(bytes) FROM kinds;
ROLLBACK;
-- what the file system calls empty need not be
IMPORT INTO t CSV DATA ('/proc/self/status');
\echo :LAST_ERROR_SQLSTATE
IMPORT INTO t CSV DATA ('/proc/self/status') WITH detached, skip = '1';
\echo :LAST_ERROR_SQLSTATE
-- a job finds it, too, if a file becomes one after it was created
SELECT write_file(:'file', E'1,one\n') \gset
BEGIN;
IMPORT INTO t CSV DATA (:'file') WITH detached \gset
SELECT write_file(:'file', '\x1f8b0800000000000003'::bytea) \gset
COMMIT;
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);

-- 7. The line of an error is the first of its record.
SELECT write_file(:'file', E'1,"one\nand\nmore"\nx,"two\nand\nmore"\n') \gset
IMPORT INTO t CSV DATA (:'file') \gset
\echo :LAST_ERROR_SQLSTATE
:job
SELECT write_file(:'file', E'id,a\r\n1,"one\r\nand"\r\n2,"two\r\nand",\r\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH skip = '1' \gset
\echo :LAST_ERROR_SQLSTATE
:job
SELECT write_file(:'file', string_agg(CASE n WHEN 500 THEN '500,"oops' ELSE n || ',x' END || E'\n', '' ORDER BY n))
  FROM generate_series(1, 1000) AS n \gset
IMPORT INTO t CSV DATA (:'file') \gset
\echo :LAST_ERROR_SQLSTATE
SELECT status, error, error_line FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;

-- 8. A long value does not make a long error.
SELECT write_file(:'file', '"' || repeat('1,text' || E'\n', 100000) || E'",b\n') \gset
\set VERBOSITY sqlstate
IMPORT INTO t CSV DATA (:'file') \gset
\set VERBOSITY default
SELECT length(error) < 10000, error LIKE 'invalid input syntax for type integer: "1,text%more bytes)', length(error_context) < 1000
  FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;

SET client_min_messages = warning;
DROP SCHEMA import_files CASCADE;
