-- Job statements that are wrong: what is said, and where the caret points.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
CREATE TABLE error_target (a integer);

-- 1. Misspelt
SHOW JOB;
SHOW JOBS 5;
SHOW JOBS WHEN COMPLET;
SHOW JOBS WHEN COMPLETE 5;
SHOW JOBS WHERE;
SHOW JOBS WHERE true GROUP BY 1;
SHOW JOB 5 WHEN;
SHOW JOB 5 WHEN COMPLETED;
SHOW JOB WHEN COMPLETE;
SHOW JOB 5, 6;
SHOW AUTOMATIC JOBS WHERE true;
PAUSE JOB;
PAUSE JOB 1, 2;
PAUSE JOB 1 2;
PAUSE JOB 1 AS one;
PAUSE JOB 1 +;
PAUSE JOB 1 OR;
PAUSE JOB *;
PAUSE JOB 1 WITH REASON = *;
SHOW JOB * WHEN COMPLETE;
SHOW JOBS WHERE *;
IMPORT INTO error_target CSV DATA (*);
IMPORT INTO error_target CSV DATA ('x') WITH skip = *;
PAUSE JOBS 1, 2;
PAUSE JOBS (SELECT 1, 2);
RESUME JOB 1 WITH REASONS = 'x';
RESUME JOB 1 WITH REASON 'x';
RESUME JOB 1 WITH REASON =;
CANCEL JOBS (SELECT 1 FORM x);
CANCEL JOB nosuch;
-- these values are not integers, whether or not a job has such an id
PAUSE JOB 1.5;
\echo :LAST_ERROR_SQLSTATE
RESUME JOB '1'::text WITH REASON = 'x';
CANCEL JOB (SELECT 'ü' COLLATE "C");
PAUSE JOBS (SELECT 'x'::text);
RESUME JOBS (SELECT 1.0);
CANCEL JOBS (VALUES (now()));
SHOW JOB 1.5;
SHOW JOB ARRAY[1];
SHOW JOB 'x';
SHOW JOBS (SELECT 'x'::text);
SHOW JOB WHEN COMPLETE 1.5;
SHOW JOB true WHEN COMPLETE;
SHOW JOBS WHEN COMPLETE (SELECT 1.5);
SELECT 'ü' FROM [SHOW JOB 1.5], [SHOW JOB 2.5];
DO $$ BEGIN PAUSE JOB 1.5; END $$;
SELECT 'ü'; CANCEL JOB 'ü' ü;
SELECT 'ü' \; CANCEL JOB 'ü' ü;

-- These expressions are parsed after SELECT, where ALL would be accepted; it must be an error.
CANCEL JOB 105 WITH REASON = ALL 'rolled back';
PAUSE JOBS (VALUES (1)) WITH REASON = ALL 'rolled back';
CANCEL JOB ALL 105;
CANCEL JOB ALL 105 WITH REASON = 'rolled back';

-- 2. In brackets
SELECT * FROM [PAUSE JOB 1];
SELECT * FROM [SHOW JOBS;
SELECT * FROM [SHOW JOBS WHERE ];
SELECT * FROM [SHOW JOBS WHERE 1 + ];
SELECT * FROM [SHOW JOBS WHERE nosuch] AS j;
SELECT 'ü' FROM [SHOW JOBS WHERE 'ü' = 'ü'] AS ü WHERE ü.nosuch;
SELECT 'ü' FROM [SHOW JOBS WHERE 'ü' = 'ü'] AS ü WHERE ü.job_id FORM;
SELECT f([SHOW JOBS]);
DELETE FROM [SHOW JOBS];
TRUNCATE TABLE [SHOW JOBS];
SELECT j.lateral [SHOW JOB 1];
SELECT * FROM [SHOW JOB 1] AS j FOR UPDATE OF j, [SHOW JOBS];
COPY error_target FROM [SHOW JOBS];

-- 3. IMPORT
IMPORT INTO nosuch CSV DATA ('x');
IMPORT INTO error_target ('x');
IMPORT INTO error_target SQL DATA ('x');
IMPORT INTO error_target CSV DATA 'x';
IMPORT INTO error_target CSV DATA ();
IMPORT INTO error_target CSV DATA ('x',);
IMPORT INTO error_target (a.b) CSV DATA ('x');
IMPORT INTO error_target e CSV DATA ('x');
IMPORT INTO error_target AS CSV DATA ('x');
IMPORT INTO 5 CSV DATA ('x');
IMPORT INTO error_target CSV DATA ('x') now;
IMPORT INTO error_target CSV DATA ('x') WITH;
IMPORT INTO error_target CSV DATA ('x') WITH skip 1;
IMPORT INTO error_target CSV DATA ('x') WITH skip = ;
IMPORT INTO error_target CSV DATA ('x') WITH skip = 1, delimiter = ',', SKIP = 2;
IMPORT INTO error_target CSV DATA ('x') WITH OPTIONS (skip = 1) now;
IMPORT INTO error_target CSV DATA ('x') WITH detached = true;

-- 4. What is refused names what works.
SHOW JOBS ORDER;
SHOW JOBS ORDER BY;
SHOW JOBS ORDER BY nosuch LIMIT 1;
SHOW JOBS LIMIT;
SHOW JOBS LIMIT 1, 2;
SHOW JOBS LIMIT 'five';
SHOW JOBS LIMIT job_id;
SHOW JOBS LIMIT 1 WHERE true;
SHOW JOBS LIMIT 1 FOR UPDATE;
SHOW JOBS ORDER BY (1, 2) LIMIT 1 FOR UPDATE; SHOW JOBS LIMIT 0;
SHOW JOBS LIMIT 1 UNION SELECT 1;
SHOW JOBS WHERE LIMIT 1;
SHOW JOBS WHERE status = 'running' ORDER created LIMIT 1;
SELECT * FROM [SHOW JOBS OFFSET];
SELECT * FROM [SHOW JOBS ORDER BY (SELECT 1 FROM [SHOW JOBS LIMIT])];
SHOW JOBS GROUP BY status;
SHOW JOBS FORMAT JSON;
SHOW JOBS LIKE 'x';
SHOW JOBS (SELECT job_id FROM [SHOW JOBS GROUP BY 1]);
SHOW JOBS (SELECT 1 ORDER 1);
SHOW JOBS (1, 2);
SHOW JOB WHERE job_id = 1;
SHOW JOB 1 ORDER BY created;
EXPLAIN SHOW JOBS ORDER BY 1 2;
CREATE VIEW v AS SHOW JOBS ORDER BY 20;
PAUSE JOBS (1, 2);
PAUSE JOBS (SELECT 1 2);
PAUSE JOB (1, 2);
PREPARE p AS CANCEL JOBS ($1, $2) WITH REASON = 'x';
CANCEL JOB a, b WITH REASON = 'x';
PAUSE JOB ALL;
PAUSE JOBS WHERE status = 'running';
RESUME JOBS ALL;
SHOW RUNNING JOBS;
show /* all */ failed -- of them
jobs;
SHOW ALL JOBS;
SHOW MY JOBS;
LIST JOBS;
PAUSE ALL;
PAUSE ALL SQL;
PAUSE ALL JOBS 5;
RESUME ALL SQL JOBS WITH REASON 5;
CANCEL ALL JOBS WITH OTHER = 'x';
CANCEL ALL NOSUCH JOBS;
RERUN JOB 1;
RETRY JOB ALL;
RETRY JOB 1, 2;
DROP JOB 1;
DELETE JOB 1;
ALTER JOB 1;
ALTER JOB 1 SET PRIORITY 2;
KILL JOB 1;
STOP JOBS (SELECT 1);
START JOB 1;
WAIT FOR JOB 1;
SHOW CLUSTER SETTINGS;
SHOW ALL CLUSTER SETTINGS;
BACKUP DATABASE contrib_regression INTO 'place';
SELECT 1 \; DROP JOB 1;
DO $$ BEGIN DROP JOB 1; END $$;
-- where brackets are missing, or where they cannot stand
SELECT * FROM SHOW JOBS;
SELECT count(*) FROM show /* all */ jobs WHERE status = 'running';
SELECT * FROM SHOW JOB 1;
SELECT * FROM (SHOW JOBS) AS j;
SELECT * FROM (SHOW AUTOMATIC JOBS) AS j;
WITH j AS (SHOW JOBS) SELECT * FROM j;
SELECT 1 WHERE 1 IN (SHOW JOBS);
SELECT 1 WHERE 1 IN [SHOW JOBS];
INSERT INTO error_target SHOW JOBS;
INSERT INTO error_target [SHOW JOBS];
COPY SHOW JOBS TO STDOUT;
COPY [SHOW JOBS] TO STDOUT;
DO $$ BEGIN PERFORM FROM SHOW JOBS; END $$;

-- 5. In functions
CREATE FUNCTION wrong() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PAUSE JOB 1 WITH REASONS = 'x';
END $$;
CREATE FUNCTION wrong() RETURNS void LANGUAGE sql AS 'SELECT * FROM [SHOW JOBS WHERE ]';
DO $$ BEGIN EXECUTE 'PAUSE JOB'; END $$;
DO $$ BEGIN EXECUTE 'SHOW JOBS WHERE true OR '; END $$;
DO $$ BEGIN EXECUTE $s$ IMPORT INTO error_target CSV DATA (('x') $s$; END $$;
DO $$ BEGIN EXECUTE $s$ IMPORT INTO error_target CSV DATA ('x') WITH OPTIONS (detached now $s$; END $$;
DO $$ BEGIN PAUSE JOB nosuch; END $$;

DO $$ BEGIN EXPORT INTO CSV '/x' FROM TABLE error_target; END $$;
CREATE FUNCTION wrong() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CREATE SCHEDULE s FOR IMPORT INTO error_target CSV DATA ('/x') RECURRING '@daily';
END $$;
DO $$ BEGIN SELECT 1 INTO nosuch; END $$;

-- A text without quotes
SHOW JOBS WHERE status = running;
SELECT 'ü', status FROM [SHOW JOBS WHERE status = running] WHERE 'ü' = 'ü';
SELECT job_id FROM [SHOW JOBS] WHERE status = ü;
IMPORT INTO error_target CSV DATA ('/x') WITH header = skip;
EXPORT INTO CSV '/x' FROM TABLE error_target WITH compression =zstd, comment;
DO $$ BEGIN IMPORT INTO error_target CSV DATA ('/x') WITH header = skip; END $$;
PREPARE p AS IMPORT INTO error_target CSV DATA ('/x') WITH header = skip;
-- ... but not where none can be meant
SHOW JOBS WHERE nosuch = 'running';
SHOW JOBS WHERE nosuch;
SHOW JOBS WHERE status = "running";
SHOW JOBS WHERE status = running.x;
SELECT a FROM error_target WHERE a = nosuch;

-- 6. What is not a job statement gets PostgreSQL's own error.
SELEC 1;
SELECT pause job FORM x;
SELECT a[1 FROM [SHOW JOBS];
SELECT * FROM [SHOW TABLES];
SELECT 'PAUSE JOB 1' FORM x;
IMPORT FOREIGN SCHEMA x;
SHOW jobx;
SELECT show jobs FORM x;
SELECT count(*) FROM show;
SELECT count(*) FROM show AS jobs;
SELECT drop job;
SELECT 1 AS retry job 1;
SELECT 'DROP JOB 1' FORM /* SHOW RUNNING JOBS */ x;
DROP TABLE job 1;
DROP jobs;
DROP job;
ALTER job ADD COLUMN b integer;
DELETE job WHERE a = 1;
CREATE job (a integer);
SHOW jobs.retention_time \g /dev/null
SELECT pause AS job, show AS jobs FROM (VALUES (1, 2)) AS import(pause, show);
SET kwjobs.statements = off;
SHOW JOBS;
PAUSE JOB 1;
SELECT * FROM [SHOW JOBS];
RESET kwjobs.statements;

-- No job statement is found in a comment or a string that does not end.
DO $$ BEGIN EXECUTE ' /*  j -1 .LATERAL [SHOW JOB'; END $$;
DO $$ BEGIN EXECUTE 'select ''from SHOW JOBS'; END $$;
DO $$ BEGIN EXECUTE 'select ''from SHOW JOBS'''''; END $$;
DO $$ BEGIN EXECUTE 'select e''from SHOW JOBS\'''; END $$;
DO $$ BEGIN EXECUTE 'select "from SHOW JOBS'; END $$;
DO $$ BEGIN EXECUTE 'select $a$from SHOW JOBS $b$'; END $$;

-- 7. Without the extension
CREATE DATABASE kwj_without;
\c kwj_without
SHOW JOBS;
SHOW JOB 1;
PAUSE JOB 1;
SELECT * FROM [SHOW JOBS];
IMPORT INTO pg_class CSV DATA ('x');
SELECT kwjobs.nosuch();
SELECT * FROM kwjobs;
\c contrib_regression
DROP DATABASE kwj_without;
DROP TABLE error_target;
