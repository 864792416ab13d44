-- CREATE STATISTICS name FROM table: a job of type CREATE_STATS, which collects with ANALYZE.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP SCHEMA IF EXISTS stats CASCADE;
DROP ROLE IF EXISTS kwj_stats;
RESET client_min_messages;
SET kwjobs.progress_interval = 0;
\i `echo "$KWJ_INCLUDE/procedures.sql"`
CREATE SCHEMA stats;
SET search_path = stats, public;
CREATE ROLE kwj_stats LOGIN;
GRANT USAGE ON SCHEMA stats TO kwj_stats;
-- Autovacuum would collect statistics, too, at any time.
CREATE TABLE t (a integer, b integer, "C d" integer, x xid) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT n, n % 7, n % 7, '3' FROM generate_series(1, 1000) AS n;

-- The last job, without what differs between two runs.
CREATE FUNCTION last_job() RETURNS TABLE (job_type text, description text, statement text, status text, fraction double precision, error text, hint text) LANGUAGE sql AS
$$ SELECT job_type, description, statement, status, fraction_completed, nullif(error, ''), error_hint FROM kwdb_internal.jobs ORDER BY job_id DESC LIMIT 1 $$;
-- The columns of which there are statistics, and deletes these.
CREATE FUNCTION collected() RETURNS TABLE (relation regclass, columns text) LANGUAGE sql AS
$$ WITH gone AS (DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'stats'::regnamespace) RETURNING starelid, staattnum, stainherit)
   SELECT starelid::regclass, string_agg(attname || CASE WHEN stainherit THEN ' (inherited)' ELSE '' END, ', ' ORDER BY staattnum, stainherit) FROM gone JOIN pg_attribute ON attrelid = starelid AND attnum = staattnum GROUP BY 1 ORDER BY starelid::regclass::text $$;

-- 1. The statement waits for its job, and returns no row.
CREATE STATISTICS s FROM t;
SELECT * FROM last_job();
SELECT * FROM collected();
CREATE STATISTICS "My stats" FROM stats.t WITH OPTIONS THROTTLING 0.5;
SELECT * FROM last_job();
SELECT * FROM collected();
-- One column: only its statistics, and no object.
CREATE STATISTICS s ON "C d" FROM t WITH OPTIONS THROTTLING 0;
SELECT * FROM last_job();
SELECT * FROM collected();
SELECT stxname FROM pg_statistic_ext WHERE stxnamespace = 'stats'::regnamespace;

-- 2. Several columns: a statistics object with this name, in the schema of the table.
SET search_path = public;
CREATE STATISTICS s ON b, "C d" FROM stats.t WITH OPTIONS THROTTLING 0;
SET search_path = stats, public;
SELECT * FROM last_job();
SELECT * FROM collected();
SELECT stxnamespace::regnamespace, stxname, stxrelid::regclass, stxkeys, stxdndistinct FROM pg_statistic_ext JOIN pg_statistic_ext_data ON stxoid = pg_statistic_ext.oid WHERE stxnamespace = 'stats'::regnamespace;
-- Again: the object is there, and gets new statistics. The order of the columns does not matter.
UPDATE t SET b = 1, "C d" = 1;
CREATE STATISTICS s ON "C d", b FROM t WITH OPTIONS THROTTLING 0;
SELECT stxname, stxdndistinct FROM pg_statistic_ext JOIN pg_statistic_ext_data ON stxoid = pg_statistic_ext.oid WHERE stxnamespace = 'stats'::regnamespace;
SELECT count(*) FROM collected();
-- The name belongs to other columns, another table, or expressions.
CREATE STATISTICS s ON a, b FROM t WITH OPTIONS THROTTLING 0;
CREATE TABLE other (b integer, "C d" integer);
CREATE STATISTICS s ON b, "C d" FROM other WITH OPTIONS THROTTLING 0;
CREATE STATISTICS of_expression ON (a + 1), b FROM t;
CREATE STATISTICS of_expression ON a, b FROM t WITH OPTIONS THROTTLING 0;
-- PostgreSQL's own statement is still its own: it creates the object at once, and collects nothing.
CREATE STATISTICS own ON a, b FROM t;
CREATE STATISTICS own_too ON a, b FROM nosuch.t.with options;
SELECT count(*) FROM collected();

-- 3. A partitioned table: each partition, then the table itself.
CREATE TABLE p (k integer, v integer) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10) WITH (autovacuum_enabled = off);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (k);
CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM (10) TO (15) WITH (autovacuum_enabled = off);
CREATE TABLE p2b (v integer, dropped integer, k integer) WITH (autovacuum_enabled = off);
ALTER TABLE p2b DROP COLUMN dropped;
ALTER TABLE p2 ATTACH PARTITION p2b FOR VALUES FROM (15) TO (20);
INSERT INTO p SELECT n % 20, n FROM generate_series(1, 1000) AS n;
CREATE STATISTICS s2 FROM p;
SELECT * FROM last_job();
SELECT * FROM collected();
CREATE STATISTICS s2 ON v, k FROM p WITH OPTIONS THROTTLING 0;
SELECT * FROM last_job();
SELECT * FROM collected();
SELECT stxname, stxrelid::regclass, stxkeys, stxdndistinct FROM pg_statistic_ext JOIN pg_statistic_ext_data ON stxoid = pg_statistic_ext.oid WHERE stxname = 's2';

-- 4. In the background.
CREATE STATISTICS s FROM t WITH OPTIONS DETACHED THROTTLING 0.1 \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
BEGIN;
CREATE STATISTICS s FROM t WITH OPTIONS THROTTLING 0.1 DETACHED \gset
SELECT status FROM [SHOW JOB :job_id];
COMMIT;
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
PREPARE collects AS CREATE STATISTICS s FROM t WITH OPTIONS THROTTLING $1 DETACHED;
EXECUTE collects (0.25) \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT description, payload->>'throttling' AS throttling FROM last_job() JOIN kwdb_internal.jobs USING (description);
EXECUTE collects (1.5);
EXECUTE collects (NULL) \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT * FROM last_job();
SELECT kwjobs.create_job('CREATE_STATS', '{"name": "s", "table": "stats.t", "columns": ["a"], "throttling": 0.3}', priority => 5) AS job_id \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT * FROM last_job();
DO $$
DECLARE
    id bigint;
BEGIN
    CREATE STATISTICS s FROM t;
    FOR id IN CREATE STATISTICS s FROM t WITH OPTIONS DETACHED LOOP
        RAISE INFO 'a job: %', id > 0;
    END LOOP;
END $$;
SELECT count(*) > 0 AS some FROM kwjobs.when_complete(ARRAY(SELECT job_id FROM kwdb_internal.jobs));

-- 5. What cannot be.
\set VERBOSITY default
BEGIN;
CREATE STATISTICS s FROM t;
ROLLBACK;
CREATE FUNCTION collects() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE STATISTICS s FROM t; END $$;
SELECT collects();
BEGIN;
SELECT 1/0;
CREATE STATISTICS s FROM t;
CREATE STATISTICS s FROM t AS OF SYSTEM TIME '-10s';
ROLLBACK;
BEGIN READ ONLY;
CREATE STATISTICS s FROM t WITH OPTIONS DETACHED;
ROLLBACK;
CREATE STATISTICS s FROM no_such_table;
CREATE STATISTICS s ON no_such_column FROM t WITH OPTIONS DETACHED;
CREATE STATISTICS s ON a, a FROM t WITH OPTIONS DETACHED;
CREATE STATISTICS s ON a, b, a1, a2, a3, a4, a5, a6, a7 FROM t WITH OPTIONS DETACHED;
CREATE STATISTICS of_xid ON a, x FROM t WITH OPTIONS DETACHED;
CREATE STATISTICS s ON ctid, xmin FROM t WITH OPTIONS DETACHED;
CREATE STATISTICS s FROM t WITH OPTIONS THROTTLING 1;
CREATE STATISTICS __auto__ FROM t;
CREATE STATISTICS "" FROM t;
CREATE STATISTICS s FROM t AS OF SYSTEM TIME '-10s';
CREATE STATISTICS s FROM t WITH OPTIONS COLLECT_SORTED_HISTOGRAM;
CREATE STATISTICS s FROM [54];
CREATE STATISTICS s ON [1, 2] FROM t;
CREATE VIEW v AS SELECT 1 AS a;
CREATE STATISTICS s FROM v;
CREATE SEQUENCE seq;
CREATE STATISTICS s FROM seq;
CREATE TEMPORARY TABLE temporary (a integer);
CREATE STATISTICS s FROM temporary;
CREATE STATISTICS s ON relname, relkind FROM pg_class WITH OPTIONS DETACHED;
CALL fails($$SELECT kwjobs.create_job('CREATE_STATS', '{"name": "s"}')$$);
CALL fails($$SELECT kwjobs.create_job('CREATE_STATS', '{"name": "s", "table": "t", "columns": []}')$$);
CALL fails($$SELECT kwjobs.create_job('CREATE_STATS', '{"name": "s", "table": "t", "throttling": "NaN"}')$$);
CALL fails($$SELECT kwjobs.create_job('CREATE_STATS', '{"name": "s", "table": "t", "column": ["a"]}')$$);

-- 6. Rights: those of ANALYZE; for several columns also those of PostgreSQL's CREATE STATISTICS.
CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;
CREATE STATISTICS s FROM m;
SET ROLE kwj_stats;
\set VERBOSITY terse
CREATE STATISTICS s FROM t WITH OPTIONS DETACHED;
\set VERBOSITY default
RESET ROLE;
ALTER TABLE other OWNER TO kwj_stats;
SET ROLE kwj_stats;
CREATE STATISTICS s FROM other;
CREATE STATISTICS of_other ON b, "C d" FROM other WITH OPTIONS DETACHED;
RESET ROLE;
GRANT CREATE ON SCHEMA stats TO kwj_stats;
SET ROLE kwj_stats;
CREATE STATISTICS of_other ON b, "C d" FROM other WITH OPTIONS THROTTLING 0;
RESET ROLE;
SELECT stxname, stxowner::regrole FROM pg_statistic_ext WHERE stxname = 'of_other';
SELECT user_name, description FROM [SHOW JOBS] ORDER BY job_id DESC LIMIT 1;
-- A superuser creates a job of the role, which has the rights of the role.
\set VERBOSITY terse
SELECT kwjobs.create_job('CREATE_STATS', '{"name": "s", "table": "t"}', run_as => 'kwj_stats');
\set VERBOSITY default
-- A partition of which the role may not collect statistics is left out, and the job says so.
ALTER TABLE p OWNER TO kwj_stats;
SET ROLE kwj_stats;
CREATE STATISTICS s2 FROM p;
RESET ROLE;
SELECT status, error FROM last_job();
SELECT severity, substring(message FROM '"(\w+)"') AS partition FROM kwjobs.messages((SELECT max(job_id) FROM kwdb_internal.jobs)) ORDER BY 2;
SELECT * FROM collected();

-- 7. Jobs of this type are jobs like others.
SELECT kwjobs.hold('create_stats');
SET client_min_messages = warning;
CREATE STATISTICS s FROM t WITH OPTIONS DETACHED \gset
RESET client_min_messages;
SELECT status, running_status ~ '^held by' AS is_held FROM [SHOW JOB :job_id];
PAUSE ALL CREATE_STATS JOBS;
SELECT status IN ('pause-requested', 'paused') AS stops FROM [SHOW JOB :job_id];
SELECT kwjobs.release('create_stats');
RESUME JOB :job_id;
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT count(*) FROM [SHOW AUTOMATIC JOBS];
CALL fails('PAUSE JOB ' || :job_id);
CALL fails('RETRY JOB ' || :job_id);

SET client_min_messages = warning;
DROP SCHEMA stats CASCADE;
DROP ROLE kwj_stats;
-- The other tests in this database do not expect these jobs.
SELECT kwjobs.delete_jobs(ARRAY(SELECT job_id FROM kwjobs.job WHERE job_type = 'CREATE_STATS')) > 0 AS are_deleted;
