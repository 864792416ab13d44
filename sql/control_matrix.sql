-- Every status against every control statement: what it becomes, or why not.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;

BEGIN;

-- A job in that status, seen by nobody else: this transaction is rolled back.
CREATE FUNCTION job_with(status text, reverting boolean, started boolean) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status,
                            revert_to, due, max_attempts, payload, created, started,
                            finished, modified)
    SELECT 1 + coalesce((SELECT max(job_id) FROM kwjobs.job WHERE job_id < 1000), 0),
           'IMPORT', 'a job', 'pg_database_owner'::regrole, 'pg_database_owner', status,
           CASE WHEN reverting THEN 'failed' END, 'infinity', 1, '{}', now(),
           CASE WHEN started THEN now() END,
           CASE WHEN status IN ('succeeded', 'failed', 'canceled', 'revert-failed')
                THEN now() END,
           now()
    RETURNING job_id
$$;

CREATE FUNCTION outcome(verb text, id bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    text_before text := (SELECT status FROM kwjobs.job WHERE job_id = id);
    text_after text;
    hint text;
BEGIN
    EXECUTE format('SELECT kwjobs.%I($1)', verb) USING id;
    SELECT status INTO text_after FROM kwjobs.job WHERE job_id = id;
    RETURN CASE WHEN text_after = text_before THEN 'stays' ELSE text_after END;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN SQLERRM || ' | ' || regexp_replace(hint, '[0-9]+', 'N');
END $$;

CREATE TEMPORARY TABLE statuses (n serial, status text, reverting boolean, started boolean, remark text);
-- The statement on many jobs: how many it has controlled, and what became of this one.
CREATE FUNCTION outcome_of_many(verb text, id bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    text_before text := (SELECT status FROM kwjobs.job WHERE job_id = id);
    text_after text;
    n bigint;
BEGIN
    EXECUTE format('%s JOBS SELECT $1', verb) USING id;
    GET DIAGNOSTICS n = ROW_COUNT;
    SELECT status INTO text_after FROM kwjobs.job WHERE job_id = id;
    RETURN n || ': ' || CASE WHEN text_after = text_before THEN 'stays' ELSE text_after END;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RETURN SQLERRM;
END $$;

INSERT INTO statuses (status, reverting, started, remark) VALUES
    ('pending', false, false, 'new'), ('pending', false, true, 'resumed or retried'),
    ('running', false, true, ''), ('pause-requested', false, true, ''),
    ('paused', false, true, ''), ('paused', true, true, 'while reverting'),
    ('cancel-requested', false, true, ''), ('reverting', true, true, ''),
    ('succeeded', false, true, ''), ('failed', true, true, ''),
    ('canceled', true, true, ''), ('revert-failed', true, true, '');

SELECT s.status, s.remark, outcome('pause', job_with(s.status, s.reverting, s.started)) AS pause
  FROM statuses AS s ORDER BY n;
SELECT s.status, s.remark, outcome('resume', job_with(s.status, s.reverting, s.started)) AS resume
  FROM statuses AS s ORDER BY n;
SELECT s.status, s.remark, outcome('cancel', job_with(s.status, s.reverting, s.started)) AS cancel
  FROM statuses AS s ORDER BY n;

-- On many jobs: one for which there is nothing left to ask for is left out, with one NOTICE.
SELECT s.status, s.remark, outcome_of_many('pause', job_with(s.status, s.reverting, s.started)) AS pause
  FROM statuses AS s ORDER BY n;
SELECT s.status, s.remark, outcome_of_many('resume', job_with(s.status, s.reverting, s.started)) AS resume
  FROM statuses AS s ORDER BY n;
SELECT s.status, s.remark, outcome_of_many('cancel', job_with(s.status, s.reverting, s.started)) AS cancel
  FROM statuses AS s ORDER BY n;

-- RESUME takes a PAUSE back that is not settled yet: the job goes on as it did, with its turn and
-- its count of retries.
CREATE FUNCTION taken_back(reverting boolean, active integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id bigint := job_with(CASE WHEN reverting THEN 'reverting' WHEN active IS NOT NULL THEN 'running' ELSE 'pending' END, reverting, true);
    was kwjobs.job;
    has_become kwjobs.job;
BEGIN
    UPDATE kwjobs.job SET active_attempt = active, retries = 1, due = now() + interval '1 h' WHERE job_id = id
    RETURNING * INTO was;
    PERFORM kwjobs.pause(id), kwjobs.resume(id, 'not needed');
    SELECT * INTO has_become FROM kwjobs.job WHERE job_id = id;
    RETURN concat_ws(' ', has_become.status, has_become.status = was.status, has_become.due = was.due,
                     has_become.retries, has_become.request_reason);
END $$;
SELECT reverting, active, taken_back(reverting, active)
  FROM (VALUES (false, NULL::integer), (false, 1), (true, NULL), (true, 1)) AS v (reverting, active);

-- Reason, actor and time are kept.
SELECT job_with('running', false, true) AS job \gset
SELECT kwjobs.pause(:job, 'out of disk');
SELECT status, request_reason, request_user = current_user AS by_me, request_time IS NOT NULL AS at
  FROM kwdb_internal.jobs WHERE job_id = :job;

-- An id that is none; NULL is skipped.
SAVEPOINT s;
SELECT kwjobs.pause(999999);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT kwjobs.pause(NULL);
SELECT kwjobs.resume(NULL, NULL);
SELECT kwjobs.cancel(NULL, 'reason');

-- The first bad id fails the statement, and nothing changes.
SELECT job_with('running', false, true) AS good \gset
SAVEPOINT s;
PAUSE JOBS (SELECT unnest(ARRAY[:good, 999999]));
ROLLBACK TO s;
SELECT status FROM kwdb_internal.jobs WHERE job_id = :good;

-- The number of jobs is in the tag; NULLs do not count, what is so already does.
\set QUIET off
PAUSE JOBS (SELECT unnest(ARRAY[:good, NULL, :job]));
PAUSE JOB NULL;
CANCEL JOBS (SELECT job_id FROM kwdb_internal.jobs WHERE false);
\set QUIET on

-- One NOTICE for all of them, and the tag counts the others. Each id counts once.
CREATE TEMPORARY TABLE several AS
SELECT job_with(status, false, true) AS id, status
  FROM unnest('{succeeded,failed,canceled,cancel-requested,running,pending,paused}'::text[]) AS status;
SAVEPOINT s;
\set QUIET off
PAUSE JOBS (SELECT id FROM several UNION ALL SELECT id FROM several) WITH REASON = 'all';
RESUME JOBS (SELECT id FROM several);
RESUME JOBS (SELECT id FROM several);
CANCEL JOBS (SELECT id FROM several);
CANCEL JOBS (SELECT id FROM several WHERE status IN ('succeeded', 'canceled'));
\set QUIET on
SELECT status FROM kwjobs.job WHERE job_id IN (SELECT id FROM several) ORDER BY status;
ROLLBACK TO s;

-- As functions.
SELECT kwjobs.pause_jobs(ARRAY(SELECT id FROM several UNION ALL SELECT NULL), 'all');
SELECT kwjobs.resume_jobs(array_agg(id)), count(*) FROM several;
SELECT kwjobs.cancel_jobs(array_agg(id) FILTER (WHERE status <> 'failed')) FROM several;
SELECT kwjobs.pause_jobs('{}'), kwjobs.resume_jobs(NULL), kwjobs.cancel_jobs('{NULL}', NULL);

-- Whatever else is wrong with one of them fails the statement, and nothing changes.
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts,
                        payload, created, modified)
VALUES (998, 'RESTART', 'a job', 10, 'postgres', 'running', 'infinity', 1, '{}', now(), now());
INSERT INTO several VALUES (998, 'RESTART');
SAVEPOINT s;
PAUSE JOBS (SELECT id FROM several);
ROLLBACK TO s;
SELECT kwjobs.pause_jobs(array_agg(id)) FROM several;
ROLLBACK TO s;
SELECT kwjobs.cancel_jobs('{998, 999}');
ROLLBACK TO s;
-- RESUME is legal for a job that cannot be paused: it may have to be reverted once more
UPDATE kwjobs.job SET status = 'revert-failed', finished = now() WHERE job_id = 998;
SELECT kwjobs.resume(998), status FROM kwjobs.job WHERE job_id = 998;
SELECT status FROM kwjobs.job WHERE job_id = 998;

-- It cannot be prepared: nobody would be told of the commit.
PREPARE TRANSACTION 'jobs';
\echo :LAST_ERROR_SQLSTATE

-- A string of statements, one of them wrong: nothing happened.
SELECT count(*) FROM kwdb_internal.jobs WHERE job_id < 1000;

-- A read-only transaction says so by the statement's name.
BEGIN READ ONLY;
SELECT kwjobs.pause(1);
ROLLBACK;
