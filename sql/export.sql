-- EXPORT: tables, queries and the database into CSV files of the server.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP SCHEMA IF EXISTS export CASCADE;
DROP ROLE IF EXISTS kwj_export;
RESET client_min_messages;
SET kwjobs.progress_interval = 0;
\i `echo "$KWJ_INCLUDE/procedures.sql"`
CREATE SCHEMA export;
SET search_path = export, public;
\set SHOW_CONTEXT never
\pset null NULL
-- A directory outside of the server's own, under a name that is the same in each run.
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_export)" kwj_export; ln -s "$(mktemp -d)" kwj_export';
\set dir /proc/self/cwd/kwj_export

-- The last job, without what differs between two runs.
CREATE FUNCTION last_job() RETURNS TABLE (job_type text, description text, status text, rows bigint, result jsonb, error text, hint text) LANGUAGE sql AS
$$ SELECT job_type, description, status, rows, result, nullif(error, ''), error_hint FROM kwdb_internal.jobs ORDER BY job_id DESC LIMIT 1 $$;
-- The files in a directory, with those in directories.
CREATE FUNCTION files(dir text, path text DEFAULT '') RETURNS SETOF text LANGUAGE sql AS
$$ SELECT path || CASE WHEN isdir THEN name || '/' ELSE name END
     FROM pg_ls_dir('/proc/self/cwd/kwj_export/' || dir || '/' || path, true, false) AS name, pg_stat_file('/proc/self/cwd/kwj_export/' || dir || '/' || path || name)
   UNION ALL
   SELECT files(dir, path || name || '/')
     FROM pg_ls_dir('/proc/self/cwd/kwj_export/' || dir || '/' || path, true, false) AS name, pg_stat_file('/proc/self/cwd/kwj_export/' || dir || '/' || path || name)
    WHERE isdir
   ORDER BY 1 $$;
CREATE FUNCTION content(file text) RETURNS text LANGUAGE sql AS $$ SELECT pg_read_file('/proc/self/cwd/kwj_export/' || file) $$;
-- The manifest, without what differs between two runs.
CREATE FUNCTION manifest(dir text) RETURNS text LANGUAGE sql AS
$$ SELECT jsonb_pretty(content(dir || '/manifest.json')::jsonb - '{job_id,database,server_version,system_identifier,snapshot_at,snapshot,lsn,server_encoding}'::text[]) $$;

-- 1. A table. The statement waits, and returns what it has exported.
CREATE TABLE t (id integer PRIMARY KEY, a text, v numeric(6, 2));
INSERT INTO t VALUES (1, 'one', 1.5), (2, NULL, NULL), (3, '', 0), (4, E'line\nand "quote", comma', -1), (5, '\.', 5), (6, 'ä€', 6);

\set to :dir/a
EXPORT INTO CSV :'to' FROM TABLE t \gset
\echo :filename :rows :node_id :file_num
SELECT * FROM last_job();
SELECT * FROM files('a');
SELECT content('a/n1.0.csv');
SELECT manifest('a');
SELECT m ->> 'job_id' = :'job_id' AS job_id, m ->> 'database' = current_database() AS database, (m ->> 'lsn')::pg_lsn <= pg_current_wal_insert_lsn() AS lsn,
       (m ->> 'snapshot')::pg_snapshot IS NOT NULL AS snapshot, (m ->> 'snapshot_at')::timestamptz < now() AS at, m ->> 'server_version' = current_setting('server_version') AS version
  FROM (SELECT content('a/manifest.json')::jsonb) AS f (m);
-- Never into a directory that is not empty.
EXPORT INTO CSV :'to' FROM TABLE t;

-- Several tables, of one snapshot, each in a directory of its own. One that is named twice is exported once.
CREATE TABLE u (n integer, t_id integer REFERENCES t);
INSERT INTO u VALUES (7, 1), (8, NULL);
CREATE TABLE "odd, name" (x text);
INSERT INTO "odd, name" VALUES ('x');
\set to :dir/several
EXPORT INTO CSV :'to' FROM TABLE t, export.u, "odd, name", t \gset
\echo :filename :rows :node_id :file_num
SELECT description, status, rows, result FROM last_job();
SELECT * FROM files('several');
SELECT content('several/export/u/n1.0.csv'), content('several/export/odd, name/n1.0.csv');
SELECT t ->> 'table', t ->> 'rows' FROM jsonb_array_elements(content('several/manifest.json')::jsonb -> 'tables') AS t;
\set to :dir/several2
CALL kwjobs.export_and_wait(:'to', tables => ARRAY['u', 't']::regclass[], options => '{"data_only": true}') \gset
\echo :filename :rows :node_id :file_num
SELECT * FROM files('several2');
\set to :dir/several3
SELECT kwjobs.create_job('EXPORT', jsonb_build_object('directory', :'to', 'tables', '["u", "export.t"]'::jsonb)) AS job_id \gset
SELECT status FROM kwjobs.wait(:job_id);
SELECT description, status, rows FROM last_job();
\set to :dir/several4
EXPORT INTO CSV :'to' FROM TABLE t, nothing;
EXPORT INTO CSV :'to' FROM TABLE t, WITH data_only;
EXPORT INTO CSV :'to' FROM TABLE t, u WHERE true;
EXPORT INTO CSV :'to' FROM TABLE t, t_pkey;
SELECT kwjobs.export(:'to', tables => '{}');
SELECT kwjobs.export(:'to', tables => '{NULL}');
SELECT kwjobs.export(:'to', 't', tables => '{u}');
DROP TABLE u, "odd, name";

-- 2. Options.
\set to :dir/b
EXPORT INTO CSV :'to' FROM TABLE export.t WITH delimiter = ';', enclosed = '''', escaped = '\', nullas = 'NULL', column_name, chunk_rows = 2, checksum = 'sha256' \gset
\echo :filename :rows :node_id :file_num
SELECT * FROM files('b');
SELECT content('b/n1.0.csv'), content('b/n1.1.csv'), content('b/n1.2.csv');
SELECT f ->> 'file', f ->> 'checksum' = encode(sha256(pg_read_binary_file('/proc/self/cwd/kwj_export/b/' || (f ->> 'file'))), 'hex') AS checksum,
       (f ->> 'bytes')::int = (pg_stat_file('/proc/self/cwd/kwj_export/b/' || (f ->> 'file'))).size AS bytes, f ->> 'rows' AS rows
  FROM jsonb_array_elements(content('b/manifest.json')::jsonb #> '{tables,0,files}') AS f;
\set to :dir/c
EXPORT INTO CSV :'to' FROM TABLE t WITH charset = 'latin1', chunk_rows = 0;
\set to :dir/c
SELECT * FROM last_job();
SELECT pg_ls_dir('/proc/self/cwd/kwj_export/') ORDER BY 1;
DELETE FROM t WHERE a = 'ä€';
INSERT INTO t VALUES (6, 'ä', 6);
EXPORT INTO CSV :'to' FROM TABLE t WITH charset = 'latin1', chunk_rows = 0 \gset
SELECT convert_from(pg_read_binary_file('/proc/self/cwd/kwj_export/c/n1.0.csv'), 'latin1');

-- 3. Queries. Settings of the session count, but dates are always ISO.
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET TimeZone = 'Asia/Tokyo';
\set to :dir/q1
EXPORT INTO CSV :'to' FROM SELECT a, '31/12/2026'::date AS d, '-1 day -2 hours'::interval AS i, timestamptz '2026-01-01 00:00 UTC' AS z FROM t WHERE id < 3 ORDER BY id -- comment
\gset
\echo :filename :rows :node_id :file_num
RESET DateStyle;
RESET IntervalStyle;
RESET TimeZone;
SELECT content('q1/n1.0.csv');
SELECT manifest('q1');
\set to :dir/q2
EXPORT INTO CSV :'to' FROM WITH w AS (SELECT generate_series(1, 5) AS n) SELECT n, n * n AS square FROM w -- a comment ends the query
WITH column_name, chunk_rows = 3 \gset
\echo :filename :rows :node_id :file_num
SELECT content('q2/n1.0.csv'), content('q2/n1.1.csv');
\set to :dir/q3
EXPORT INTO CSV :'to' FROM VALUES (1, 'a'), (2, 'b') \gset
\echo :filename :rows :node_id :file_num
SELECT content('q3/n1.0.csv');
\set to :dir/q4
EXPORT INTO CSV :'to' FROM SELECT job_type, status FROM [SHOW JOBS] ORDER BY created DESC LIMIT 1 \gset
\echo :filename :rows :node_id :file_num
SELECT content('q4/n1.0.csv');
\set to :dir/q5
SELECT kwjobs.export(:'to', query => E' SELECT 1 AS n /* c */ ;\n ') AS job_id \gset
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT content('q5/n1.0.csv');
-- No rows, no file.
\set to :dir/q6
EXPORT INTO CSV :'to' FROM SELECT 1 WHERE false WITH column_name \gset
\echo :filename :rows :node_id :file_num
SELECT * FROM files('q6');
-- What a query raises.
\set to :dir/q7
EXPORT INTO CSV :'to' FROM SELECT 1 / (id - 3) FROM t;
SELECT * FROM last_job();
-- A query that writes.
CREATE SEQUENCE s;
EXPORT INTO CSV :'to' FROM SELECT nextval('export.s');
EXPORT INTO CSV :'to' FROM WITH w AS (DELETE FROM t RETURNING id) SELECT * FROM w;
SELECT count(*) FROM t;
-- Nothing is left of an export that has failed.
SELECT count(*) FROM pg_ls_dir('/proc/self/cwd/kwj_export/') AS name WHERE name = 'q7';

-- 4. Relations of other kinds, and what COPY leaves out.
CREATE TABLE kinds (a integer, "b C" text, g integer GENERATED ALWAYS AS (a * 2) STORED, dropped integer);
ALTER TABLE kinds DROP COLUMN dropped;
INSERT INTO kinds VALUES (1, 'x');
CREATE TABLE child () INHERITS (kinds);
INSERT INTO child VALUES (2, 'y');
CREATE VIEW v AS SELECT a, "b C" FROM kinds;
CREATE MATERIALIZED VIEW m AS SELECT a FROM kinds;
CREATE TABLE p (k integer, x text) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY LIST (k);
CREATE TABLE p21 PARTITION OF p2 FOR VALUES IN (2);
INSERT INTO p VALUES (1, 'one'), (2, 'two');
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
CREATE FUNCTION of_kind(relation regclass, OUT rows bigint, OUT manifest_columns text, OUT text text) LANGUAGE plpgsql AS $$
DECLARE dir text := '/proc/self/cwd/kwj_export/kind_' || relation;
BEGIN
    rows := kwjobs.export(dir, relation, options => '{"column_name": true}');
END $$;
SELECT of_kind(relation) FROM unnest('{kinds,child,v,m,p,p2,nothing}'::regclass[]) AS relation \g /dev/null
SELECT count(kwjobs.wait(job_id)) >= 0 AS waited FROM kwjobs.my_jobs WHERE job_type = 'EXPORT' AND finished IS NULL;
SELECT name, content('kind_' || name || '/n1.0.csv'), content('kind_' || name || '/manifest.json')::jsonb #>> '{tables,0,columns}' AS columns FROM unnest('{kinds,child,v,m,p,p2,nothing}'::text[]) AS name;

-- Definitions and data, or one of them.
CREATE TYPE mood AS ENUM ('sad', 'o''k');
CREATE TABLE defined (id serial PRIMARY KEY, m mood DEFAULT 'sad', n numeric(5, 2) CHECK (n > 0), CONSTRAINT of_t FOREIGN KEY (id) REFERENCES t (id));
CREATE INDEX ON defined (m) WHERE n > 1;
COMMENT ON TABLE defined IS 'it''s defined';
COMMENT ON COLUMN defined.m IS 'mood';
GRANT SELECT ON defined TO PUBLIC;
INSERT INTO defined VALUES (DEFAULT, DEFAULT, 1);
\set to :dir/m1
EXPORT INTO CSV :'to' FROM TABLE defined WITH foreign_key, comment, privileges \gset
SELECT * FROM files('m1');
SELECT content('m1/meta.sql');
SELECT f ->> 'file', (f ->> 'bytes')::int = (pg_stat_file('/proc/self/cwd/kwj_export/m1/meta.sql')).size AS bytes FROM (SELECT content('m1/manifest.json')::jsonb -> 'meta') AS m (f);
\set to :dir/m2
EXPORT INTO CSV :'to' FROM TABLE defined WITH data_only \gset
SELECT * FROM files('m2');
\set to :dir/m3
EXPORT INTO CSV :'to' FROM TABLE defined WITH meta_only \gset
\echo :filename :rows :node_id :file_num
SELECT * FROM files('m3');
SELECT content('m1/meta.sql') LIKE content('m3/meta.sql') || '%' AS without_the_rest;

-- 5. What is refused before there is a job.
SELECT count(*) AS jobs FROM kwdb_internal.jobs WHERE job_type = 'EXPORT' \gset
CREATE PROCEDURE refused(arguments text, options jsonb DEFAULT '{}') LANGUAGE plpgsql AS $$
BEGIN
    CALL fails(format('SELECT kwjobs.export(%s, options => %L)', arguments, options));
END $$;
CALL refused('NULL, ''t''');
CALL refused(''''', ''t''');
CALL refused('''relative'', ''t''');
CALL refused('''/tmp/../etc'', ''t''');
CALL refused('''file:///tmp/x'', ''t''');
CALL refused('''/no/such/directory'', ''t''');
CALL refused('''/proc/self/cwd/kwj_export/a/manifest.json'', ''t''');
CALL refused('''/proc/self/cwd/kwj_export/a'', ''t''');
CALL refused('''/proc/self/cwd/base'', ''t''');
CALL refused('''/proc/self/cwd/new'', ''t''');
CALL refused('repeat(''/x'', 600), ''t''');
\set new '''/proc/self/cwd/kwj_export/new'', '
CALL refused(:'new' || 'NULL');
CALL refused(:'new' || '''t'', ''SELECT 1''');
CALL refused(:'new' || '''t_pkey''');
CALL refused(:'new' || '''s''');
CALL refused(:'new' || '0::regclass');
CALL refused(:'new' || '4000000000::oid::regclass');
CREATE TEMPORARY TABLE temporary (a integer);
CALL refused(:'new' || '''pg_temp.temporary''');
CALL refused(:'new' || 'query => ''''');
CALL refused(:'new' || 'query => ''SELECT 1; SELECT 2''');
CALL refused(:'new' || 'query => ''DELETE FROM t''');
CALL refused(:'new' || 'query => ''SELECT 1 INTO x''');
CALL refused(:'new' || 'query => ''SELECT 1) TO PROGRAM $$x$$ --''');
CALL refused(:'new' || 'query => ''SELECT nothing FROM t''');
CALL refused(:'new' || 'query => ''SELECT $1''');
CALL refused(:'new' || 'database => ''another''');
CALL refused(:'new' || '''t''', '[]');
CALL refused(:'new' || '''t''', '{"nothing": 1}');
CALL refused(:'new' || '''t''', '{"header": true}');
CALL refused(:'new' || '''t''', '{"delimiter": null}');
CALL refused(:'new' || '''t''', '{"delimiter": false}');
CALL refused(:'new' || '''t''', '{"chunk_rows": false}');
CALL refused(:'new' || '''t''', '{"delimiter": "\\t"}');
CALL refused(:'new' || '''t''', '{"delimiter": "\""}');
CALL refused(:'new' || '''t''', '{"delimiter": "\\", "escaped": "\\"}');
CALL refused(:'new' || '''t''', '{"delimiter": "N", "nullas": "NULL"}');
CALL refused(:'new' || '''t''', '{"nullas": "nil"}');
CALL refused(:'new' || '''t''', '{"charset": "nothing"}');
CALL refused(:'new' || '''t''', '{"chunk_rows": 100001}');
CALL refused(:'new' || '''t''', '{"chunk_rows": "x"}');
CALL refused(:'new' || '''t''', '{"thread_concurrency": 1025}');
CALL refused(:'new' || '''t''', '{"compression": "rar"}');
CALL refused(:'new' || '''t''', '{"checksum": "none"}');
CALL refused(:'new' || '''t''', '{"column_name": "perhaps"}');
CALL refused(:'new' || '''t''', '{"meta_only": true, "data_only": true}');
CALL refused(:'new' || 'query => ''SELECT 1''', '{"meta_only": true}');
CALL refused(:'new' || '''t''', '{"priority": "x"}');
BEGIN READ ONLY;
SELECT kwjobs.export('/proc/self/cwd/kwj_export/new', 't');
ROLLBACK;
SELECT count(*) - :jobs AS created FROM kwdb_internal.jobs WHERE job_type = 'EXPORT';

-- 6. Wherever a statement may stand.
\set to :dir/s1
BEGIN;
EXPORT INTO CSV :'to' FROM TABLE t;
EXPORT INTO CSV :'to' FROM TABLE t;
ROLLBACK;
BEGIN;
EXPORT INTO CSV :'to' FROM TABLE t WITH detached \gset
ROLLBACK;
SELECT count(*) FROM kwdb_internal.jobs WHERE job_id = :job_id;
EXPORT INTO CSV :'to' FROM TABLE t WITH OPTIONS (detached, priority = '7', key = 'nightly') \gset
SELECT status FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT priority, key FROM kwdb_internal.jobs WHERE job_id = :job_id;
DO $$ BEGIN EXECUTE format('EXPORT INTO CSV %L FROM SELECT %s WITH detached', '/proc/self/cwd/kwj_export/s2', 42); END $$;
SELECT count(kwjobs.wait(job_id)) >= 0 AS waited FROM kwjobs.my_jobs WHERE job_type = 'EXPORT' AND finished IS NULL;
SELECT content('s2/n1.0.csv');
PREPARE e(text) AS EXPORT INTO CSV $1 FROM TABLE t WITH delimiter = ';', detached;
EXECUTE e('/proc/self/cwd/kwj_export/s3') \gset
SELECT status FROM kwjobs.when_complete(ARRAY[:job_id]);
PREPARE e2(int) AS EXPORT INTO CSV '/proc/self/cwd/kwj_export/s4' FROM SELECT * FROM t WHERE id = $1 WITH detached;
EXPORT INTO CSV '/proc/self/cwd/kwj_export/s4' FROM TABLE only;
EXPORT INTO CSV '/proc/self/cwd/kwj_export/s4' FROM TABLE ONLY kinds \gset
\echo :filename :rows :node_id :file_num
SELECT content('s4/n1.0.csv');
\set to :dir/s5
CALL kwjobs.export_and_wait(:'to', 't', options => '{"chunk_rows": 4}') \gset
\echo :filename :rows :node_id :file_num
\set to :dir/s6
SELECT kwjobs.create_job('EXPORT', jsonb_build_object('directory', :'to', 'table', 'export.t', 'options', jsonb_build_object('column_name', true)), timeout => '1min', tags => '{x}') AS job_id \gset
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT content('s6/n1.0.csv');
SELECT kwjobs.create_job('EXPORT', '{"table": "export.t"}');
SELECT kwjobs.create_job('EXPORT', '{"directory": "/tmp/x", "tabel": "export.t"}');

-- 7. Rights, when the job is created and when it runs.
CREATE ROLE kwj_export LOGIN;
GRANT USAGE ON SCHEMA export TO kwj_export;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA export TO kwj_export;
SET ROLE kwj_export;
CALL refused(:'new' || '''t''');
RESET ROLE;
GRANT pg_write_server_files TO kwj_export;
SET ROLE kwj_export;
CALL refused(:'new' || '''t''');
CALL refused(:'new' || 'query => ''SELECT count(*) FROM t''');
CALL refused(:'new' || '''v''');
RESET ROLE;
GRANT SELECT (id) ON t TO kwj_export;
GRANT SELECT ON v TO kwj_export;
SET ROLE kwj_export;
CALL refused(:'new' || '''t''');
\set to :dir/r1
EXPORT INTO CSV :'to' FROM SELECT id FROM t WHERE id < 3 WITH detached \gset
\set to :dir/r2
EXPORT INTO CSV :'to' FROM TABLE v WITH detached \gset
RESET ROLE;
SELECT count(kwjobs.wait(job_id)) >= 0 AS waited FROM kwdb_internal.jobs WHERE job_type = 'EXPORT' AND finished IS NULL;
SELECT content('r1/n1.0.csv'), content('r2/n1.0.csv');
-- Row-level security, as COPY has it.
GRANT SELECT ON t TO kwj_export;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON t USING (id % 2 = 1);
\set to :dir/r3
SELECT kwjobs.create_job('EXPORT', jsonb_build_object('directory', :'to', 'table', 'export.t'), run_as => 'kwj_export') AS job_id \gset
SELECT status, rows FROM kwjobs.when_complete(ARRAY[:job_id]);
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
-- The right is lost before the job runs.
\set to :dir/r4
SELECT kwjobs.create_job('EXPORT', jsonb_build_object('directory', :'to', 'table', 'export.t'), run_as => 'kwj_export', run_at => '2100-01-01') AS job_id \gset
REVOKE SELECT ON t FROM kwj_export;
REVOKE SELECT (id) ON t FROM kwj_export;
SELECT kwjobs.run_now(:job_id);
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT error_code, error_hint FROM kwdb_internal.jobs WHERE job_id = :job_id;
GRANT SELECT ON t TO kwj_export;
SELECT kwjobs.create_job('EXPORT', jsonb_build_object('directory', :'to', 'table', 'export.t'), run_as => 'kwj_export', run_at => '2100-01-01') AS job_id \gset
REVOKE pg_write_server_files FROM kwj_export;
SELECT kwjobs.run_now(:job_id);
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT error_code, error_hint FROM kwdb_internal.jobs WHERE job_id = :job_id;
-- The table is dropped before the job runs.
SELECT kwjobs.export(:'to', 'm', options => '{"run_at": "2100-01-01"}') AS job_id \gset
DROP MATERIALIZED VIEW m;
SELECT kwjobs.run_now(:job_id);
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT error_code, error_hint FROM kwdb_internal.jobs WHERE job_id = :job_id;
-- Somebody has written into the directory before the job runs.
SELECT kwjobs.export(:'to', 't', options => '{"run_at": "2100-01-01"}') AS job_id \gset
COPY (SELECT WHERE false) TO PROGRAM 'mkdir kwj_export/r4; touch kwj_export/r4/precious';
SELECT kwjobs.run_now(:job_id);
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT * FROM files('r4');

SET client_min_messages = warning;
SELECT count(kwjobs.delete(job_id)) > 0 FROM kwdb_internal.jobs WHERE job_type = 'EXPORT';
DROP SCHEMA export CASCADE;
DROP ROLE kwj_export;
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_export)" kwj_export';
