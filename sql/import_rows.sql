-- What a row of a file may be: force_null, force_not_null, trailing_delimiter, charset, format.
-- t/152_import_rows.pl compares them with COPY, in other encodings, too.
\set schema import_rows
\i `echo "$KWJ_INCLUDE/import.sql"`
\i `echo "$KWJ_INCLUDE/files.sql"`
\set file /proc/self/cwd/kwj_rows.csv
CREATE TABLE t (id integer, a text, "B c" text DEFAULT 'b', g integer GENERATED ALWAYS AS (id * 2) STORED);
\set imported 'SELECT id, a, "B c" FROM t ORDER BY id; TRUNCATE t;'
\set job 'SELECT status, error_code, error, error_line, error_column FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;'
\set description 'SELECT regexp_replace(description, \'/proc.*kwj_\', \'\') FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;'

-- 1. force_null and force_not_null: names as in SQL, or all columns
SELECT write_file(:'file', E'1,"",\n2,,""\n3,"-","-"\n4,-,-\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH force_null = 'A, "B c"' \gset
:description
:imported
IMPORT INTO t CSV DATA (:'file') WITH force_not_null = '"B c"', nullif = '-' \gset
:imported
IMPORT INTO t CSV DATA (:'file') WITH force_null = '*', nullif = '-' \gset
:imported
-- both: NULL within quotes, and a text without
IMPORT INTO t CSV DATA (:'file') WITH force_null = 'a', force_not_null = 'a', nullif = '-' \gset
:imported
-- columns that are renamed or added later make no difference
BEGIN;
IMPORT INTO t CSV DATA (:'file') WITH force_null = 'a', nullif = '-', detached \gset
ALTER TABLE t RENAME a TO z;
ALTER TABLE t ADD a text DEFAULT 'new';
COMMIT;
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT id, z, a FROM t ORDER BY id;
TRUNCATE t;
ALTER TABLE t DROP a;
ALTER TABLE t RENAME z TO a;
-- with a header that says which field is for which column
SELECT write_file(:'file', E'B c,id,a\n"",1,""\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH force_null = 'a', header = 'match' \gset
:imported
IMPORT INTO t CSV DATA (:'file') WITH force_null = 'missing' \gset
IMPORT INTO t (id, a) CSV DATA (:'file') WITH force_null = '"B c"' \gset
IMPORT INTO t CSV DATA (:'file') WITH force_not_null = 'a,' \gset
IMPORT INTO t CSV DATA (:'file') WITH force_null = '' \gset
IMPORT INTO t CSV DATA (:'file') WITH force_null \gset
SELECT kwjobs.import('t', ARRAY[:'file'], options => '{"force_null": true}');
IMPORT INTO t CSV DATA (:'file') WITH allow_quoted_null = 'true' \gset

-- 2. A delimiter after the last field. It is none if a field is missing.
SELECT write_file(:'file', E'1,one,b,\n2,"two\n,",c,\n3,,,\n4,four,\n5,five,"",\n6,six,d,') \gset
IMPORT INTO t CSV DATA (:'file') \gset
\echo :LAST_ERROR_SQLSTATE
IMPORT INTO t CSV DATA (:'file') WITH trailing_delimiter \gset
:description
:imported
-- one column; line ends of two characters; in the header, too
SELECT write_file(:'file', E'id,\r\n1,\r\n2,\r\n3\r\n') \gset
IMPORT INTO t (id) CSV DATA (:'file') WITH trailing_delimiter = 'on', header = 'match' \gset
:imported
SELECT write_file(:'file', E'1;one;b;;\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH trailing_delimiter, delimiter = ';' \gset
\echo :LAST_ERROR_SQLSTATE
-- pieces that COPY gets end anywhere
SELECT write_file(:'file', string_agg(format(E'%s,%s,,\n', n, repeat('x', n % 7)), '' ORDER BY n)) FROM generate_series(1, 20000) AS n \gset
IMPORT INTO t CSV DATA (:'file') WITH trailing_delimiter, force_not_null = 'a' \gset
SELECT count(*), count(*) FILTER (WHERE length(a) = id % 7), count("B c") FROM t;
TRUNCATE t;
-- the line of an error is that of the file
SELECT write_file(:'file', E'1,one,b,\n2,"two\n",b,\nx,,,\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH trailing_delimiter \gset
:job
-- off is as if it were not given
SELECT kwjobs.import('t', ARRAY[:'file'], options => '{"trailing_delimiter": false}') AS job_id \gset
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);
IMPORT INTO t CSV DATA (:'file') WITH trailing_delimiter = 'perhaps' \gset

-- 3. charset, or encoding
IMPORT INTO t CSV DATA (:'file') WITH charset = 'UTF-16LE' \gset
IMPORT INTO t CSV DATA (:'file') WITH charset = 'nothing' \gset
IMPORT INTO t CSV DATA (:'file') WITH charset = 'LATIN1', encoding = 'UTF8' \gset
SELECT write_file(:'file', '\xefbbbf'::bytea || convert_to(E'1,one,b\n', 'UTF8')) \gset
IMPORT INTO t CSV DATA (:'file') WITH encoding = 'LATIN1' \gset
IMPORT INTO t CSV DATA (:'file') WITH encoding = 'utf-8' \gset
:description
:imported

-- 4. format = 'text': backslashes protect line ends and delimiters
SELECT write_file(:'file', E'1\tone\\\ttab\tb\n2\tt\\\nwo\\\\\t\\N\n3\t\t\\\\N\n4\t"four\tc\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'text' \gset
:description
:imported
SELECT write_file(:'file', E'title\\\nid;a;B c;\r\n1;one\\;;-;\r\nx;\\x41\\102;two;\r\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'text', delimiter = ';', nullif = '-', skip = '1', header = 'match', trailing_delimiter, on_error = 'skip' \gset
:imported
SELECT result FROM kwdb_internal.jobs WHERE job_id = :job_id;
SELECT message FROM kwjobs.messages(:job_id);
-- the line of an error is the number of the record, as for COPY; what follows the end mark is not lost
SELECT write_file(:'file', E'1\tone\\\n\tb\n2\ttwo\\\n\tb\nx\ta\tb\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'text' \gset
:job
SELECT write_file(:'file', E'1\tone\tb\n\\.\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'text' \gset
:imported
SELECT write_file(:'file', E'1\tone\tb\n\\.\n2\ttwo\tb\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'text' \gset
:job
IMPORT INTO t CSV DATA (:'file') WITH format = 'text', on_error = 'skip' \gset
:imported
IMPORT INTO t CSV DATA (:'file') WITH format = 'text', enclosed = '"' \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'text', force_null = '*' \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'text', delimiter = 'a' \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'TEXT' \gset

-- 5. format = 'binary': header, records, trailer
INSERT INTO t SELECT n, CASE n % 3 WHEN 0 THEN NULL ELSE repeat('x', n % 100) END, E'\\xff\n' FROM generate_series(1, 3000) AS n;
CREATE TABLE original AS SELECT id, a, "B c" FROM t;
COPY original TO :'file' (FORMAT binary);
TRUNCATE t;
IMPORT INTO t CSV DATA (:'file', :'file') WITH format = 'binary' \gset
:description
SELECT count(*), (SELECT count(*) FROM (SELECT id, a, "B c" FROM t EXCEPT TABLE original) AS x) FROM t;
TRUNCATE t;
-- by several workers, in batches of 1 kB
SELECT format('ALTER DATABASE %I SET kwjobs.import_batch_size = ''1kB''', current_database()) \gexec
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary', thread_concurrency = '3' \gset
SELECT count(*), (SELECT count(*) FROM (SELECT id, a, "B c" FROM t EXCEPT TABLE original) AS x) FROM t;
TRUNCATE t;
SELECT format('ALTER DATABASE %I RESET kwjobs.import_batch_size', current_database()) \gexec
-- no records
COPY (SELECT id, a, "B c" FROM original LIMIT 0) TO :'file' (FORMAT binary);
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary' \gset
\echo :rows
-- bad records: the number of fields, their bytes; each field of the others is where it was
CREATE FUNCTION field(value bytea) RETURNS bytea RETURN int4send(length(value)) || value;
CREATE FUNCTION record(VARIADIC fields bytea[]) RETURNS bytea RETURN (SELECT int2send(cardinality(fields)::smallint) || string_agg(field(f), '' ORDER BY n) FROM unnest(fields) WITH ORDINALITY AS x (f, n));
\set head '\'\\x5047434f50590aff0d0a000000000000000000\'::bytea'
SELECT write_file(:'file', :head || record('\x00000001', 'a', 'b') || record('\x00000002', 'a') || record('\x0003', 'a', 'b') || record('\x00000004', '\xff00', 'b') || record('\x00000005', 'e', 'f') || '\xffff'::bytea) \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary' \gset
:job
CREATE TABLE rejected (job_id bigint, file text, line bigint, column_name text, sqlstate text, reason text, record text);
IMPORT INTO t (id, a, "B c") CSV DATA (:'file') WITH format = 'binary', on_error = 'skip', reject_table = 'rejected' \gset
:imported
SELECT line, column_name, sqlstate, record FROM rejected ORDER BY line;
-- what is no such file, or not all of it
IMPORT INTO t CSV DATA (:'file') \gset
SELECT write_file(:'file', E'1,one,b\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary' \gset
SELECT write_file(:'file', '') \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary' \gset
SELECT write_file(:'file', :head) \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary' \gset
SELECT write_file(:'file', :head || record('\x00000001', 'a', 'b')) \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary' \gset
SELECT write_file(:'file', overlay(:head placing '\x01' from 12) || '\xffff'::bytea) \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary' \gset
-- data behind the trailer; a length that cannot be
SELECT write_file(:'file', :head || record('\x00000001', 'a', 'b') || '\xffff'::bytea || record('\x00000002', 'a', 'b') || '\xffff'::bytea) \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary' \gset
:job
SELECT write_file(:'file', :head || record('\x00000001', 'a', 'b') || '\x0003fffffff0'::bytea || record('\x00000002', 'a', 'b') || '\xffff'::bytea) \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary' \gset
:job
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary', header = 'skip' \gset
IMPORT INTO t CSV DATA (:'file') WITH format = 'binary', charset = 'UTF8' \gset

SET client_min_messages = warning;
DROP SCHEMA import_rows CASCADE;
