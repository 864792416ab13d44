-- Every form of the job statements, wherever a statement can stand.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
\pset null NULL

-- jobs that no coordinator touches
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due,
                        max_attempts, payload, created, started, finished, modified)
SELECT id, type, description, 'pg_database_owner'::regrole, 'stone', status, 'infinity', 1, '{}',
       '2024-05-06', '2024-05-06', finished, '2024-05-06'
  FROM (VALUES (101, 'IMPORT', 'paused', 'paused', NULL),
               (102, 'SCHEMA CHANGE', 'just finished', 'succeeded', now()),
               (103, 'AUTO_CREATE_STATS', 'automatic', 'paused', NULL),
               (104, 'EXPORT', 'finished long ago', 'canceled', now() - interval '13 hours'),
               (105, 'IMPORT', 'to be controlled', 'paused', NULL)
       ) AS v(id, type, description, status, finished);
-- other tests may have left more jobs
CREATE VIEW ours AS SELECT * FROM [SHOW JOBS] WHERE user_name = 'stone';
SELECT pg_get_viewdef('ours'::regclass) ~ 'kwdb_internal.jobs.* show_jobs' AS names_are_kept;

-- 1. SHOW
SHOW JOBS \gdesc
SELECT * FROM ours WHERE job_id = 101;
SELECT job_id, description FROM ours ORDER BY job_id;
SELECT job_id FROM [SHOW AUTOMATIC JOBS] WHERE user_name = 'stone';
SHOW JOB 103 \gx
SELECT job_id, status FROM [SHOW JOB 104];
SELECT job_id FROM [SHOW JOBS WHERE user_name = 'stone' AND job_type = 'IMPORT' OR job_id = 103] ORDER BY 1;
SELECT job_id FROM [SHOW JOBS WHERE user_name = 'stone' ORDER BY job_id DESC LIMIT 2];
SELECT job_id FROM [SHOW JOBS WHERE user_name = 'stone' ORDER BY job_type DESC, 1 OFFSET 1 LIMIT 1];
SELECT job_id FROM [SHOW JOBS WHERE user_name = 'stone' OFFSET 2 ROWS FETCH FIRST ROW ONLY];
SELECT job_id FROM [SHOW JOBS WHERE user_name = 'stone' ORDER BY priority FETCH NEXT 1 ROW WITH TIES] ORDER BY 1;
SELECT job_id FROM [SHOW JOBS ORDER BY user_name <> 'stone', (SELECT max(job_id) FROM [SHOW JOBS LIMIT 0]), job_id LIMIT 1];
SELECT count(*) FROM [SHOW JOBS LIMIT 2], [SHOW JOBS ORDER BY created LIMIT ALL OFFSET 0] AS jobs WHERE jobs.user_name = 'stone';
SELECT count(*) FROM [SHOW JOBS WHERE (SELECT true ORDER BY 1 LIMIT 1) OFFSET NULL] WHERE user_name = 'stone';
SHOW JOBS WHERE user_name = 'stone' ORDER BY job_id LIMIT 1;
-- with LIMIT there are the same jobs as without: those without a start, then by the start, then by the end
WITH all_jobs AS (SELECT array_agg((finished, started)) AS times, count(*) AS n FROM [SHOW JOBS])
SELECT (SELECT array_agg((finished, started)) FROM [SHOW JOBS LIMIT 1000000]) = a.times AS same_order,
       (SELECT count(*) FROM [SHOW JOBS LIMIT 3]) AS three, (SELECT count(*) FROM [SHOW JOBS LIMIT ALL]) - n AS missing,
       (SELECT count(*) FROM [SHOW JOBS LIMIT 9223372036854775807 OFFSET 2]) - n AS two_skipped,
       (SELECT count(*) FROM [SHOW JOBS FETCH FIRST 1 ROW ONLY]) AS one
  FROM all_jobs AS a;
-- a job that has ended since the transaction began comes first, before those without a start
BEGIN;
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, modified, finished)
SELECT n, 'SQL', 'x', 10, 'stone', CASE n WHEN 8 THEN 'paused' ELSE 'succeeded' END, 'infinity', 1, '{}', now(), now(),
       CASE n WHEN 9 THEN now() + interval '1 second' END FROM generate_series(8, 9) AS n;
SELECT (SELECT job_id FROM [SHOW JOBS] LIMIT 1) AS without, (SELECT job_id FROM [SHOW JOBS LIMIT 1]) AS with;
ROLLBACK;
PREPARE few AS SHOW JOBS LIMIT $1 OFFSET $2;
EXECUTE few(0, NULL);
EXECUTE few(-1, NULL);
DEALLOCATE few;
-- what is no bigint is converted, or refused, as by any LIMIT
SELECT count(*) FROM [SHOW JOBS LIMIT 1.5];
SHOW JOBS LIMIT true;
SHOW JOBS LIMIT 99999999999999999999;
PREPARE some_jobs(numeric) AS SELECT count(*) FROM [SHOW JOBS LIMIT $1];
EXECUTE some_jobs(1.4);
DEALLOCATE some_jobs;
PREPARE some_jobs(text) AS SHOW JOBS LIMIT $1;
SHOW JOBS LIMIT 0\; SHOW JOBS WHERE job_id = 101 LIMIT 1\; SELECT 1 AS last;
SELECT job_id FROM [SHOW JOB 103];
SELECT job_id FROM [SHOW JOB NULL];
SELECT job_id FROM [SHOW JOBS (SELECT 103 UNION ALL SELECT 104 UNION ALL SELECT 104)] ORDER BY 1;
SELECT job_id FROM [SHOW JOBS VALUES (101), (NULL)];
SELECT job_id FROM [SHOW JOBS WITH w AS (SELECT 101) TABLE w];
SELECT job_id FROM [SHOW JOB WHEN COMPLETE 104];
SELECT job_id FROM [SHOW JOB 104 WHEN COMPLETE];
SELECT job_id FROM [SHOW JOBS WHEN COMPLETE (SELECT job_id FROM ours WHERE job_id = 102)];
SELECT job_id FROM [SHOW JOB CASE WHEN true THEN 104 END WHEN COMPLETE];

-- 2. Control
BEGIN;
PAUSE JOB 101;
RESUME JOB 101 WITH REASON = 'go' || ' on';
SELECT status, request_reason FROM kwjobs.job WHERE job_id = 101;
CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE user_name = 'stone' AND description = 'paused')
    WITH REASON = 'not needed';
SELECT status, request_reason FROM kwjobs.job WHERE job_id = 101;
ROLLBACK;
PAUSE JOB NULL;
PAUSE JOBS (SELECT 101 WHERE false);
PAUSE JOBS VALUES (105), (105), (NULL);
PAUSE JOBS WITH reason AS (SELECT 105 AS id) SELECT id FROM reason WITH REASON = 'twice';
PAUSE JOB 'a';
PAUSE JOB 7;
PAUSE JOB job_id;
CANCEL JOB extract(day FROM timestamp with time zone '2024-01-09')::int;

-- 3. In FROM
SELECT a.job_id, b.job_id AS b FROM [SHOW JOB 101] AS a, [SHOW JOBS (SELECT 102)] b, [SHOW JOB 103];
SELECT count(*) FROM [SHOW JOB 101] JOIN [SHOW JOB 101] USING (job_id);
SELECT v.id, status FROM (VALUES (101), (102)) AS v (id), LATERAL [SHOW JOB v.id] ORDER BY v.id;
SELECT v.id, j.x FROM (VALUES (101), (7)) AS v (id) LEFT JOIN LATERAL [ /* [ */ SHOW JOBS VALUES (v.id)] AS j (x) ON true ORDER BY v.id;
SELECT j.status FROM (VALUES (102)) AS v (id), LATERAL [SHOW JOB v.id WHEN COMPLETE] j, LATERAL generate_series(1, 2) WITH ORDINALITY;
SELECT j.status FROM (VALUES (102)) AS v (id),LATERAL[SHOW JOB v.id]AS j,[SHOW JOB 101]AS i;
SELECT status, atomic backup FROM [SHOW JOB 101], (VALUES (1)) AS v (atomic);
SELECT FROM [SHOW JOB 101] AS j, LATERAL [SHOW JOB j.job_id] WITH ORDINALITY;
SELECT FROM [SHOW JOB 101] AS j, LATERAL [SHOW JOB j.job_id] AS (a int);
SELECT FROM [SHOW JOB 101] AS j, LATERAL [PAUSE JOB j.job_id];
SELECT x FROM [SHOW JOB 101] AS j(x);
SELECT show_jobs.job_id FROM [SHOW JOB 101];
SELECT job_id FROM [ /* ] */ show -- ]
    JOBS WHERE description <> ']' AND (ARRAY[job_id])[1] IN (SELECT job_id FROM [SHOW JOB 101]) ];
SELECT (ARRAY[1, 2])[1], '[SHOW JOBS]', $$[SHOW JOBS]$$ /* [SHOW JOBS] */ FROM [SHOW JOB 101] -- [SHOW JOBS]
;
WITH w AS (SELECT job_id FROM [SHOW JOB 101])
SELECT (SELECT count(*) FROM w), job_id FROM w WHERE EXISTS (SELECT FROM [SHOW JOB 102]);
TABLE ours EXCEPT TABLE [SHOW JOB 101] EXCEPT TABLE [SHOW JOB 102] EXCEPT TABLE [SHOW JOB 105];
CREATE TEMPORARY TABLE copied AS SHOW JOB 101;
INSERT INTO copied SELECT * FROM [SHOW JOB 102];
UPDATE copied SET status = j.job_type FROM [SHOW JOB 102] AS j WHERE j.job_id = copied.job_id;
DELETE FROM copied USING [SHOW JOB 101] AS j WHERE j.job_id = copied.job_id;
SELECT job_id, status FROM copied;
COPY (SELECT job_id FROM [SHOW JOB 101]) TO STDOUT;
COPY (SHOW JOB 103) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE (job_id));
EXPLAIN (COSTS OFF) SELECT FROM [SHOW JOBS (SELECT 1 WHERE false)] WHERE false;

-- 4. Prepared, with parameters, in cursors
PREPARE show_job AS SELECT status FROM [SHOW JOB $1] WHERE job_type = $2;
EXECUTE show_job(101, 'IMPORT');
PREPARE cancel_job AS CANCEL JOB $1 WITH REASON = $2;
BEGIN;
EXECUTE cancel_job(105, 'prepared');
SELECT request_reason FROM kwjobs.job WHERE job_id = 105;
ROLLBACK;
-- the reason may be a query, which sees only the user's own tables
BEGIN;
CREATE TEMPORARY TABLE requested AS SELECT 'from a table' AS id;
CANCEL JOB 105 WITH REASON = (SELECT id FROM requested);
SELECT request_reason FROM kwjobs.job WHERE job_id = 105;
ROLLBACK;
BEGIN;
EXECUTE cancel_job(101, 'again');
SELECT request_reason FROM kwjobs.job WHERE job_id = 101;
ROLLBACK;
DEALLOCATE ALL;
BEGIN;
DECLARE c CURSOR FOR SHOW JOBS WHERE user_name = 'stone' AND job_id < 102;
MOVE ALL c;
DECLARE d CURSOR FOR SHOW JOBS WHERE user_name = 'stone' ORDER BY job_id DESC LIMIT 2;
MOVE ALL d;
PREPARE few(bigint, bigint) AS SHOW JOBS WHERE user_name = 'stone' ORDER BY job_id LIMIT $1 OFFSET $2;
EXECUTE few(1, 0);
SELECT 1 / 0;
SHOW JOBS LIMIT 1;
ROLLBACK;
-- kwjobs leaves nothing in the session
SHOW JOBS \g /dev/null
DISCARD ALL;
SHOW JOBS \g /dev/null
\echo :ERROR
SELECT count(*) FROM pg_prepared_statements;

-- 5. Several in one string; in functions
SELECT 1 AS first\; PAUSE JOB 105\; SELECT job_id FROM [SHOW JOB 101]\; SELECT 2 AS last;
DO $$
DECLARE
    job_id bigint := 105;
    reason text := 'a variable';
    n bigint;
    r record;
BEGIN
    PAUSE JOB job_id WITH REASON = reason;
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE NOTICE '% job paused', n;
    PAUSE JOBS (SELECT job_id);
    SELECT count(*) INTO n FROM [SHOW JOB job_id];
    RAISE NOTICE '% job shown', n;
    n := (SELECT count(*) FROM [SHOW JOB job_id]) + 1;
    SELECT 1 AS field INTO r;
    r.field := (WITH w AS (SELECT 1) SELECT count(*) FROM [SHOW JOB job_id]);
    RAISE NOTICE '% %', n, r.field;
    IF (SELECT count(*) FROM [SHOW JOB job_id]) = 1 AND NOT EXISTS (SELECT FROM [SHOW JOB 0]) THEN
        RAISE NOTICE 'as a condition';
    END IF;
    FOR r IN SELECT * FROM [SHOW JOB job_id] LOOP RAISE NOTICE 'query: %', r.job_id; END LOOP;
    FOR r IN SHOW JOBS LOOP
        IF r.job_id = 102 THEN RAISE NOTICE 'SHOW JOBS: %', r.description; END IF;
    END LOOP;
    FOR r IN SHOW JOBS WHERE job_type = 'SCHEMA CHANGE' AND user_name = 'stone' LOOP
        RAISE NOTICE 'SHOW JOBS WHERE: %', r.description;
    END LOOP;
    FOR r IN SHOW JOBS WHERE user_name = 'stone' ORDER BY job_id DESC LIMIT n - 1 LOOP
        RAISE NOTICE 'SHOW JOBS LIMIT: %', r.description;
    END LOOP;
    SHOW JOBS WHERE user_name = 'stone' ORDER BY job_id OFFSET n - 1 INTO r;
    RAISE NOTICE 'offset: %', r.description;
    SHOW JOB job_id INTO r;
    RAISE NOTICE 'into: %', r.description;
    EXECUTE 'PAUSE JOB $1 WITH REASON = $2' USING job_id, 'dynamic';
    EXECUTE 'SHOW JOB $1' INTO r USING job_id;
    RAISE NOTICE 'dynamic: %', r.description;
END $$;
CREATE FUNCTION sql_body(bigint) RETURNS text LANGUAGE sql AS
    'PAUSE JOB $1 WITH REASON = ''sql''; SELECT status FROM [SHOW JOB $1] WHERE job_type <> ''x''';
CREATE FUNCTION sql_atomic(id bigint) RETURNS text LANGUAGE sql BEGIN ATOMIC
    PAUSE JOB id WITH REASON = 'atomic';
    SELECT status FROM [SHOW JOB id];
END;
CREATE FUNCTION plpgsql_body() RETURNS SETOF bigint LANGUAGE plpgsql AS
    'BEGIN RETURN QUERY SELECT job_id FROM [SHOW JOB 101] WHERE job_type <> ''x''; END';
SELECT sql_body(105), sql_atomic(105), plpgsql_body();

-- 6. Transactions
BEGIN;
CANCEL JOB 105 WITH REASON = 'rolled back';
SELECT status, request_reason FROM kwjobs.job WHERE job_id = 105;
ROLLBACK;
SELECT status, request_reason FROM kwjobs.job WHERE job_id = 105;
BEGIN;
SELECT 1 / 0;
PAUSE JOB 105;
SHOW JOBS;
SELECT * FROM [SHOW JOBS];
ROLLBACK;
-- whatever the server logs, job statements work after an error
SET log_min_messages = panic;
BEGIN;
SELECT 1 / 0;
SELECT 1;
SELEC 1;
PAUSE JOB 105;
ROLLBACK;
PAUSE JOB 105;
SELEC 1;
PAUSE JOB 105;

-- 7. IMPORT
RESET log_min_messages;
CREATE TABLE "Statement target" (a integer, "B" integer);
SELECT current_setting('data_directory') || '/statement.csv' AS file \gset
COPY (SELECT 1, 2) TO :'file' CSV;
\pset tuples_only on
\set VERBOSITY terse
SET client_min_messages = warning;
IMPORT INTO "Statement target" CSV DATA (:'file') \g /dev/null
import /* comments */ INTO public."Statement target" -- anywhere
    ("B", a) CSV /* and */ DATA (:'file') WITH delimiter = ',', skip = 0 \g /dev/null
SELECT * FROM "Statement target" ORDER BY a;
IMPORT INTO "Statement target" CSV DATA (:'file') WITH OPTIONS (detached, nullif = 'x') \gset
SELECT status, job_type FROM [SHOW JOB :job_id WHEN COMPLETE];
PREPARE import_file AS IMPORT INTO "Statement target" CSV DATA ($1) WITH detached, delimiter = $2;
EXECUTE import_file(:'file', ',') \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];

DROP FUNCTION sql_body, sql_atomic, plpgsql_body;
DROP TABLE "Statement target";
DROP VIEW ours;
DELETE FROM kwjobs.job WHERE user_name = 'stone';
