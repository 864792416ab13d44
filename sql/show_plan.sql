-- SHOW JOBS reads the jobs of its window, not the whole history.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
BEGIN;
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due,
                        max_attempts, payload, created, started, finished, modified)
SELECT n, 'SQL', 'a job', 10, 'stone of 300', CASE WHEN n > 50 THEN 'succeeded' ELSE 'pending' END,
       'infinity', 1, '{}', f, f, CASE WHEN n > 50 THEN f END, f
  FROM (SELECT n, now() - CASE WHEN n > 300 THEN interval '1 day' ELSE '0' END - n * interval '1 minute' AS f
          FROM generate_series(1, 30000) AS n) AS ended;
INSERT INTO kwjobs.attempt (job_id, attempt, reverting, status, started, finished, node_id)
SELECT job_id, 1, false, 'succeeded', coalesce(started, created), finished, 1 FROM kwjobs.job WHERE finished IS NOT NULL ON CONFLICT DO NOTHING;
INSERT INTO kwjobs.checkpoint (job_id, attempt) SELECT job_id, 1 FROM kwjobs.job ON CONFLICT DO NOTHING;
ANALYZE kwjobs.job, kwjobs.attempt, kwjobs.checkpoint, kwjobs.dependency;

CREATE FUNCTION pg_temp.whole_tables(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        IF line ~ 'Seq Scan on (job|attempt|checkpoint)' THEN
            RETURN NEXT trim(line);
        END IF;
    END LOOP;
END $$;

-- whole_tables() finds a query that reads a whole table
SELECT * FROM pg_temp.whole_tables('SELECT * FROM kwdb_internal.jobs');

SELECT * FROM pg_temp.whole_tables('SELECT * FROM [SHOW JOBS]');
SELECT * FROM pg_temp.whole_tables('SELECT * FROM [SHOW AUTOMATIC JOBS]');
SELECT * FROM pg_temp.whole_tables($$SELECT * FROM [SHOW JOBS WHERE status = 'failed']$$);
SELECT * FROM pg_temp.whole_tables('SELECT * FROM [SHOW JOB 4711]');
SELECT * FROM pg_temp.whole_tables('SELECT * FROM [SHOW JOBS (SELECT 4711)]');
SELECT * FROM pg_temp.whole_tables('SELECT * FROM kwdb_internal.job_attempts WHERE job_id = 4711');
SELECT * FROM pg_temp.whole_tables('SELECT job_id FROM kwdb_internal.jobs WHERE finished IS NULL');
SELECT * FROM pg_temp.whole_tables('SELECT * FROM kwjobs.list LIMIT 20');
SELECT * FROM pg_temp.whole_tables('SELECT * FROM [SHOW JOBS (SELECT id FROM kwjobs.list LIMIT 20)]');
SELECT * FROM pg_temp.whole_tables('SELECT * FROM [SHOW JOBS LIMIT 20 OFFSET 10]');
SELECT * FROM pg_temp.whole_tables('SELECT * FROM kwjobs.my_jobs WHERE job_id = 4711');
SELECT * FROM pg_temp.whole_tables('SELECT job_id FROM kwjobs.my_jobs WHERE finished IS NULL');
SELECT count(*) FROM [SHOW JOBS] WHERE user_name = 'stone of 300';

-- kwjobs.show() does not read whole tables, either.
CREATE VIEW pg_temp.whole_scans AS
SELECT sum(seq_scan) AS scans FROM pg_stat_xact_user_tables
 WHERE schemaname = 'kwjobs' AND relname IN ('job', 'attempt', 'checkpoint');
SELECT scans FROM pg_temp.whole_scans \gset
SELECT count(*) FROM kwjobs.show() WHERE user_name = 'stone of 300';
SELECT count(*) FROM [SHOW JOBS LIMIT 20 OFFSET 10];
SELECT scans - :scans AS more FROM pg_temp.whole_scans;
SELECT count(*) > 0 FROM kwdb_internal.jobs;
SELECT scans - :scans AS more FROM pg_temp.whole_scans;
ROLLBACK;
