-- PAUSE ALL, RESUME ALL and CANCEL ALL [type] JOBS, and the functions that do the same.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, started, finished, modified)
SELECT n, type, 'a job', 10, 'somebody', status, 'infinity', 1, '{}', now(), now(), CASE WHEN status = 'succeeded' THEN now() END, now()
  FROM (VALUES (1, 'IMPORT', 'paused'), (2, 'SQL', 'paused'), (3, 'SQL', 'succeeded'), (4, 'AUTO_CREATE_STATS', 'paused')) AS j (n, type, status);
CREATE VIEW asked AS SELECT job_id, job_type, status, request_reason FROM kwdb_internal.jobs WHERE job_id < 10 ORDER BY job_id;

BEGIN;
RESUME ALL JOBS WITH REASON = 'off peak';
SELECT * FROM asked;
RESUME ALL JOBS;
ROLLBACK;
BEGIN;
resume all sql jobs with reason = (SELECT 'for ' || 'one type');
SELECT * FROM asked;
PAUSE ALL IMPORT JOBS;
PAUSE ALL JOBS;
SELECT * FROM asked;
-- a job whose pause has not taken effect is left out
CANCEL ALL SQL JOBS;
SELECT * FROM asked;
ROLLBACK;
BEGIN;
CANCEL ALL JOBS WITH REASON = 'stop';
SELECT * FROM asked;
ROLLBACK;

-- the functions
BEGIN;
SELECT kwjobs.pause_all(), kwjobs.resume_all('sql', 'one'), kwjobs.resume_all(reason => 'rest'), kwjobs.cancel_all('import', 'x');
SELECT * FROM asked;
ROLLBACK;
SELECT kwjobs.cancel_all('nosuch');
SELECT kwjobs.cancel_all('');

-- prepared, in PL/pgSQL, in an aborted and in a read-only transaction, in brackets
BEGIN;
PREPARE all_jobs AS RESUME ALL SQL JOBS WITH REASON = $1;
EXECUTE all_jobs('prepared');
SELECT * FROM asked;
DEALLOCATE all_jobs;
ROLLBACK;
DO $$
DECLARE
    n integer;
BEGIN
    RESUME ALL SQL JOBS WITH REASON = 'from PL/pgSQL';
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE NOTICE '%', n;
    RAISE EXCEPTION 'never mind';
END $$;
BEGIN;
SELECT 1 / 0;
PAUSE ALL JOBS;
ROLLBACK;
BEGIN READ ONLY;
CANCEL ALL JOBS;
ROLLBACK;
SELECT * FROM [CANCEL ALL JOBS];
SELECT * FROM asked;

-- a role without the admin role is refused, or controls only its own jobs
CREATE ROLE kwj_nobody;
SET ROLE kwj_nobody;
PAUSE ALL JOBS;
SELECT kwjobs.pause_all();
RESET ROLE;
SET kwjobs.job_visibility = owner;
SET ROLE kwj_nobody;
CANCEL ALL JOBS;
RESET ROLE;
RESET kwjobs.job_visibility;
DROP ROLE kwj_nobody;
DROP VIEW asked;
DELETE FROM kwjobs.job WHERE job_id < 10;
