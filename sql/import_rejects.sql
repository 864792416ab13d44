-- on_error = 'skip': records that cannot be imported are left out, counted, and written into a table.
-- t/153_import_rejects.pl does the same with random files and faults.
\set schema import_rejects
\set roles kwj_rejecter
\i `echo "$KWJ_INCLUDE/import.sql"`
\i `echo "$KWJ_INCLUDE/files.sql"`
\set file /proc/self/cwd/kwj_rejects.csv
\set file2 /proc/self/cwd/kwj_rejects2.csv
CREATE TABLE parent (id integer PRIMARY KEY);
INSERT INTO parent SELECT generate_series(1, 100);
CREATE TABLE t (id integer PRIMARY KEY, a varchar(5) NOT NULL, p integer REFERENCES parent, CHECK (id <> 7));
CREATE TABLE rejected (job_id bigint, file text, line bigint, column_name text, sqlstate text, reason text, record text, "at" timestamptz DEFAULT now());
\set result 'SELECT :\'status\' AS status, :rows AS rows, :\'reject_rows\' AS rejected, :\'note\' AS note;'
\set rejects 'SELECT regexp_replace(file, \'.*kwj_\', \'\'), line, column_name, sqlstate, reason, record FROM rejected ORDER BY file, line; TRUNCATE rejected;'
\set imported 'SELECT id, a, p FROM t ORDER BY id; TRUNCATE t;'
\set job 'SELECT status, error_code, error, error_hint, error_line, error_column, result FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;'

-- 1. Errors of all kinds: of the format, of a value, of each kind of constraint; with a line break; at the end
SELECT write_file(:'file', E'1,one,1\nx,two,2\n3,three,3,3\n4,four\n5,,5\n6,"si\nx",600\n7,seven,7\n1,again,8\n9,"ni\nneteen",9\n10,ten,10\n,none,11\n12,tw"elve,12\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected' \gset
:result
:rejects
:imported
SELECT result, rows FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1;
SELECT message FROM kwjobs.messages(:job_id);
-- all are bad, none is, only one there is; files without records
SELECT write_file(:'file', E'x,1,1\ny,2,2\nz,3,3'), write_file(:'file2', '') \gset
IMPORT INTO t CSV DATA (:'file2', :'file', :'file2', :'file') WITH on_error = 'skip', reject_table = 'import_rejects.rejected' \gset
:result
:rejects
SELECT write_file(:'file', E'1,one,1\n2,two,2\n') \gset
IMPORT INTO t CSV DATA (:'file2', :'file') WITH on_error = 'skip', reject_table = 'rejected' \gset
:result
:imported
SELECT write_file(:'file', E'1,one,1000') \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected' \gset
:result
:rejects
IMPORT INTO t CSV DATA (:'file2') WITH on_error = 'skip', reject_table = 'rejected' \gset
:result
-- without a table they are counted, and the first ones are in the messages
SELECT write_file(:'file', string_agg(CASE n % 3 WHEN 0 THEN 'x' ELSE n::text END || ',a,1' || E'\n', '' ORDER BY n)) FROM generate_series(1, 60) AS n \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip' \gset
:result
SELECT count(*), min(message) FROM kwjobs.messages(:job_id);
TRUNCATE t;
-- a quote that is not closed takes the rest of the file
SELECT write_file(:'file', E'1,one,1\n2,"two,2\n3,three,3\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected' \gset
:rejects
:imported
-- bytes that are no text
SELECT write_file(:'file', '\x312c61ff62e2822c310a322c622c320a332c63002c330a'::bytea) \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected' \gset
SELECT line, sqlstate, record FROM rejected ORDER BY line; TRUNCATE rejected;
:imported

-- 2. Many bad records, many batches, deferred constraints, partitions, triggers
CREATE TABLE many (id integer, p integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);
SELECT write_file(:'file', string_agg(format(E'%s,%s\n', CASE n % 11 WHEN 0 THEN 'x' ELSE (CASE n % 50 WHEN 1 THEN n - 1 ELSE n END)::text END, CASE n % 17 WHEN 0 THEN 1000 ELSE 1 END), '' ORDER BY n)) FROM generate_series(1, 5000) AS n \gset
IMPORT INTO many CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected' \gset
:result
SELECT sqlstate, count(*), min(line), max(line) FROM rejected GROUP BY sqlstate ORDER BY sqlstate;
-- the oracle: one record after the other
SELECT count(*) FILTER (WHERE n % 11 = 0) AS syntax,
       count(*) FILTER (WHERE n % 11 <> 0 AND n % 17 = 0) AS parent,
       count(*) FILTER (WHERE n % 11 <> 0 AND n % 17 <> 0 AND n % 50 = 1 AND (n - 1) % 11 <> 0 AND (n - 1) % 17 <> 0 AND n > 1) AS key
  FROM generate_series(1, 5000) AS n;
SELECT count(*) + (SELECT count(*) FROM rejected) FROM many;
TRUNCATE rejected;
CREATE TABLE parts (id integer, a text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (50);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (60) TO (100);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.a = 'bad' THEN RAISE EXCEPTION 'a bad row' USING DETAIL = NEW.id; END IF;
    IF NEW.a = 'right' THEN RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'no right'; END IF;
    IF NEW.a = 'none' THEN RETURN NULL; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON parts_1 FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER refuse AFTER INSERT ON parts_2 FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT write_file(:'file', E'1,a\n2,bad\n55,a\n60,bad\n61,a\n3,none\n62,bad\n101,a\n') \gset
IMPORT INTO parts CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected' \gset
:result
:rejects
SELECT * FROM parts ORDER BY id;
-- an error that is not about a record ends the job: nothing is left, in neither table
TRUNCATE parts;
SELECT write_file(:'file', E'1,a\n2,bad\n3,right\n4,a\n') \gset
IMPORT INTO parts CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected';
:job
SELECT count(*) FROM parts UNION ALL SELECT count(*) FROM rejected;
-- a value that names nothing is one of a record
CREATE TABLE names (c regclass, r regtype);
SELECT write_file(:'file', E'import_rejects.t,text\nimport_rejects.missing,text\n1,nothing\nx.y.z.w,text\n') \gset
IMPORT INTO names CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected' \gset
:rejects
SELECT * FROM names;

-- 3. reject_limit: the next bad record is the error of the job
-- (an error with a hint of its own)
CREATE TABLE words (w text);
SELECT write_file(:'file', E'one,\ntwo,\n') \gset
IMPORT INTO words CSV DATA (:'file') WITH on_error = 'skip', reject_limit = '1';
SELECT write_file(:'file', E'1,one,1\nx,two,2\n3,three,3\ny,four,4\n5,five,500\n') \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected', reject_limit = 1;
:job
SELECT count(*) FROM t UNION ALL SELECT count(*) FROM rejected;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_limit = '2';
:job
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_limit = '0', reject_table = 'rejected';
:job
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_limit = '3', reject_table = 'rejected' \gset
:result
:rejects
:imported
SELECT count(*) FROM t UNION ALL SELECT count(*) FROM rejected;

-- 4. The reject table
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'nosuch' \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'import_rejects."No such"' \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'a b' \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = '' \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 't' \gset
IMPORT INTO parts CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'parts_1' \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'parent' \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'parts' \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'pg_class' \gset
CREATE VIEW a_view AS TABLE rejected;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'a_view' \gset
CREATE TABLE other_types (LIKE rejected);
ALTER TABLE other_types ALTER line TYPE integer;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'other_types' \gset
CREATE TEMPORARY TABLE temporary (LIKE rejected);
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'temporary' \gset
CREATE UNLOGGED TABLE unlogged (LIKE rejected);
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'unlogged' \gset
IMPORT INTO t CSV DATA (:'file') WITH reject_table = 'rejected' \gset
IMPORT INTO t CSV DATA (:'file') WITH reject_limit = '1', on_error = 'stop' \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'ignore' \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_limit = '-1' \gset
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_limit \gset
IMPORT INTO t CSV DATA (:'file') WITH rejected_rows = '1' \gset
CREATE TABLE tree (id integer PRIMARY KEY, parent integer REFERENCES tree);
IMPORT INTO tree CSV DATA (:'file') WITH on_error = 'skip' \gset
-- rights, when the job is created and again in each batch
CREATE ROLE kwj_rejecter LOGIN IN ROLE pg_read_server_files;
GRANT USAGE ON SCHEMA import_rejects TO kwj_rejecter;
GRANT INSERT ON t TO kwj_rejecter;
SET ROLE kwj_rejecter;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected' \gset
RESET ROLE;
GRANT INSERT (job_id, file, line, column_name, sqlstate, reason, record) ON rejected TO kwj_rejecter;
SET ROLE kwj_rejecter;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected' \gset
RESET ROLE;
:result
:rejects
TRUNCATE t;
BEGIN;
SET LOCAL ROLE kwj_rejecter;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected', detached \gset
RESET ROLE;
REVOKE INSERT (reason) ON rejected FROM kwj_rejecter;
COMMIT;
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT count(*) FROM t UNION ALL SELECT count(*) FROM rejected;
-- it goes
BEGIN;
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected', detached \gset
DROP TABLE rejected CASCADE;
COMMIT;
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT count(*) FROM t;
-- an error of the reject table is one of the job
CREATE TABLE rejected (job_id bigint, file text, line bigint CHECK (line < 4), column_name text, sqlstate text, reason text, record text);
\set VERBOSITY terse
IMPORT INTO t CSV DATA (:'file') WITH on_error = 'skip', reject_table = 'rejected';
SELECT count(*) FROM t UNION ALL SELECT count(*) FROM rejected;

SET client_min_messages = warning;
DROP OWNED BY kwj_rejecter;
DROP SCHEMA import_rejects CASCADE;
DROP ROLE kwj_rejecter;
