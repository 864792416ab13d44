-- A role may see and control its own jobs, even if it may not run job statements: kwjobs.my_jobs,
-- wait, pause, resume, cancel, delete. Tags, by which jobs are found. kwjobs.list.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_mine, kwj_member, kwj_stranger;
RESET client_min_messages;

CREATE ROLE kwj_mine LOGIN;
CREATE ROLE kwj_member LOGIN IN ROLE kwj_mine;
CREATE ROLE kwj_stranger LOGIN;
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
\i `echo "$KWJ_INCLUDE/procedures.sql"`

-- 1. The view shows the jobs of the user and of the roles whose privileges the user has.
SET ROLE kwj_mine;
SELECT kwjobs.submit('SELECT 1', description => 'mine', run_at => 'tomorrow') AS job \gset
SELECT description, status, user_name FROM kwjobs.my_jobs;
SET ROLE kwj_member;
SELECT description, status, user_name, running_status IS NOT NULL AS says_why FROM kwjobs.my_jobs;
SET ROLE kwj_stranger;
SELECT count(*) FROM kwjobs.my_jobs;
-- neither a leaky function nor an error reveals the text of another role's job
SELECT count(*) FROM kwjobs.my_jobs WHERE leak(description);
SELECT count(*) FROM kwjobs.my_jobs WHERE 1 / (length(description) - 4) > 0;
RESET ROLE;
-- the view has the columns of kwdb_internal.jobs
SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'kwjobs.my_jobs'::regclass AND attnum > 0
EXCEPT SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'kwdb_internal.jobs'::regclass;
SELECT count(*) FROM kwjobs.my_jobs WHERE job_id = :job;

-- 2. The statements are refused, and the hint says what to use instead.
SET ROLE kwj_mine;
\set VERBOSITY default
PAUSE JOB :job;
\echo :LAST_ERROR_SQLSTATE
SHOW JOBS;

-- 3. The functions work for the owner and for members of the owner's role, but not for other roles.
SELECT kwjobs.pause(:job, 'look first');
SELECT status IN ('pause-requested', 'paused') AS pausing, request_reason, request_user FROM kwjobs.my_jobs;
SET ROLE kwj_member;
SELECT kwjobs.resume(:job);
SELECT kwjobs.pause_jobs(ARRAY[:job, :job, NULL]);
SELECT kwjobs.resume_jobs(ARRAY[:job]);
SELECT kwjobs.resume_jobs(ARRAY[:job]);
SELECT kwjobs.pause(NULL), kwjobs.cancel_jobs(NULL), kwjobs.cancel_jobs('{}');
SET ROLE kwj_stranger;
CALL fails(format('SELECT kwjobs.pause(%s)', :job));
CALL fails(format('SELECT kwjobs.resume(%s)', :job));
CALL fails(format('SELECT kwjobs.cancel(%s)', :job));
CALL fails(format('SELECT kwjobs.cancel_jobs(ARRAY[%s])', :job));
CALL fails(format('SELECT kwjobs.delete(%s)', :job));
CALL fails(format('SELECT kwjobs.delete_jobs(ARRAY[%s])', :job));
CALL fails(format('SELECT * FROM kwjobs.wait(%s)', :job));
CALL fails(format('SELECT kwjobs.wait(%s)', :job));
-- ... which get the same errors as for a job that does not exist
CALL fails('SELECT kwjobs.pause(12345678901)');
CALL fails('SELECT kwjobs.delete(12345678901)');
CALL fails('SELECT * FROM kwjobs.wait(12345678901)');
SET ROLE kwj_mine;
SELECT status FROM kwjobs.my_jobs;

-- 4. kwjobs.wait returns when the job is over, or after the timeout.
SELECT status, rows, error, running_status ~ '^due at' AS due FROM kwjobs.wait(:job, '10 ms');
SELECT status FROM kwjobs.wait(:job, '-1 day');
SELECT kwjobs.submit('SELECT pg_sleep(0.2); SELECT 1') AS quick \gset
SELECT * FROM kwjobs.wait(:quick);
SELECT (kwjobs.wait(:quick)).status;
SELECT kwjobs.submit('SELECT 1 / 0') AS wrong \gset
SELECT * FROM kwjobs.wait(:wrong, timeout => '1 minute') \gx
SELECT * FROM kwjobs.wait(NULL);
-- the rest of the query sees the job as it is after the wait
SELECT kwjobs.submit('SELECT pg_sleep(0.2)') AS quick \gset
SELECT w.status, j.status FROM kwjobs.wait(:quick) AS w, kwjobs.my_jobs AS j WHERE job_id = :quick;
-- kwjobs.wait in a transaction, an aborted transaction, a prepared statement and a DO block
BEGIN;
SELECT status FROM kwjobs.wait(:quick);
SELECT kwjobs.submit('SELECT 1') AS later \gset
CALL fails(format('SELECT * FROM kwjobs.wait(%s)', :later));
SELECT 1 / 0;
SELECT * FROM kwjobs.wait(:quick);
SELECT kwjobs.pause(:quick);
ROLLBACK;
PREPARE waits(bigint, interval) AS SELECT status FROM kwjobs.wait($1, $2);
EXECUTE waits(:quick, NULL);
EXECUTE waits(:job, '1 ms');
DO $$
DECLARE
    job bigint := kwjobs.submit('SELECT 2');
    status text;
    command_tags text[];
BEGIN
    COMMIT;
    SELECT w.status, w.command_tags INTO status, command_tags FROM kwjobs.wait(job) AS w;
    RAISE NOTICE '%, %', status, command_tags;
    PERFORM kwjobs.delete(job);
END $$;
BEGIN TRANSACTION READ ONLY;
SELECT status FROM kwjobs.wait(:quick);
ROLLBACK;

-- 5. Errors name what the user can type.
CALL fails(format('SELECT kwjobs.cancel(%s)', :quick));
SELECT kwjobs.cancel(:job);
SELECT status, error FROM kwjobs.wait(:job);
CALL fails(format('SELECT kwjobs.pause(%s)', :job));
BEGIN TRANSACTION READ ONLY;
SELECT kwjobs.pause(:job);
ROLLBACK;

-- 6. kwjobs.delete deletes jobs that are over, and no others.
SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow') AS waiting \gset
CALL fails(format('SELECT kwjobs.delete(%s)', :waiting));
SELECT kwjobs.delete_jobs(ARRAY[:waiting, :job, :job]);
SELECT kwjobs.delete(NULL), kwjobs.delete_jobs(NULL), kwjobs.delete_jobs('{}');
-- ... nor does a job that is NULL mean anything to the others
SELECT kwjobs.pause(NULL), kwjobs.cancel(NULL, 'why'), kwjobs.run_now(NULL), kwjobs.close(NULL, 'why');
CALL fails(format('SELECT kwjobs.delete(%s)', :job));
BEGIN TRANSACTION READ ONLY;
SELECT kwjobs.delete_jobs(ARRAY[:wrong]);
ROLLBACK;
-- after ROLLBACK the job is still there
BEGIN;
SELECT kwjobs.delete(:wrong);
SELECT count(*) FROM kwjobs.my_jobs WHERE job_id = :wrong;
ROLLBACK;
SELECT count(*) FROM kwjobs.my_jobs WHERE job_id = :wrong;
BEGIN;
SELECT kwjobs.delete(:wrong);
SELECT 1 / 0;
SELECT kwjobs.delete(:quick);
ROLLBACK;
PREPARE deletes(bigint) AS SELECT kwjobs.delete($1);
EXECUTE deletes(:wrong);
-- one statement creates a job and tries to delete it: the job is not over
CALL fails('SELECT kwjobs.delete(kwjobs.submit($$SELECT 1$$))');
RESET ROLE;
-- only the sums are left of deleted jobs, as after retention
SELECT count(*) FROM kwjobs.attempt WHERE job_id = :wrong;
SET ROLE kwj_mine;
SELECT kwjobs.submit('SELECT generate_series(1, 3)') AS one, kwjobs.submit('SELECT generate_series(1, 4)') AS two \gset
SELECT a.status, b.status FROM kwjobs.wait(:one) AS a, kwjobs.wait(:two) AS b;
RESET ROLE;
SELECT sum(jobs) AS jobs, sum(attempts) AS attempts, sum(rows) AS rows FROM kwdb_internal.job_history
 WHERE job_type = 'SQL' AND status = 'succeeded' \gset before_
SELECT kwjobs.delete_jobs(ARRAY[:two, :one]);
SELECT sum(jobs) - :before_jobs AS jobs, sum(attempts) - :before_attempts AS attempts, sum(rows) - :before_rows AS rows
  FROM kwdb_internal.job_history WHERE job_type = 'SQL' AND status = 'succeeded';
-- the view has one row for a day, type and status, however often jobs were deleted
SELECT count(*) FROM kwdb_internal.job_history GROUP BY day, job_type, status HAVING count(*) > 1;
-- a job that could not revert its changes is not deleted
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts,
                        payload, created, started, finished, modified)
VALUES (1234567890123, 'IMPORT', '', 'kwj_mine'::regrole, 'kwj_mine', 'revert-failed', now(), 1, '{}', now(), now(), now(), now());
SET ROLE kwj_mine;
CALL fails('SELECT kwjobs.delete(1234567890123)');
SELECT kwjobs.delete_jobs(ARRAY[1234567890123, :waiting]);
RESET ROLE;
DELETE FROM kwjobs.job WHERE job_id = 1234567890123;
-- a job on which another one depends is not deleted
SET ROLE kwj_mine;
SELECT kwjobs.cancel(:waiting);
SELECT status FROM kwjobs.wait(:waiting);
RESET ROLE;
BEGIN;
INSERT INTO kwjobs.dependency (job_id, depends_on) VALUES (:quick, :waiting);
CALL fails(format('SELECT kwjobs.delete(%s)', :waiting));
SELECT kwjobs.delete_jobs(ARRAY[:waiting]);
ROLLBACK;
SELECT kwjobs.delete_jobs(ARRAY[:waiting]);

-- 7. Tags.
SET ROLE kwj_mine;
SELECT kwjobs.submit('SELECT 1', description => 'tagged', tags => ARRAY['nightly', 'customer 5', 'nightly'], run_at => 'tomorrow') AS job \gset
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1"}', tags => ARRAY['nightly'], run_at => 'tomorrow') AS other \gset
SELECT tags FROM kwjobs.my_jobs WHERE 'nightly' = ANY (tags) ORDER BY job_id;
CALL kwjobs.run('SELECT 1', tags => ARRAY['now'], job_id => NULL, status => NULL, rows => NULL) \gset run_
\echo :run_status :run_tags
SELECT tags FROM kwjobs.my_jobs WHERE job_id = :run_job_id;
SELECT kwjobs.submit('SELECT 1', tags => '{}', run_at => 'tomorrow') AS none \gset
SELECT tags IS NULL AS none FROM kwjobs.my_jobs WHERE job_id = :none;
SELECT count(*) FROM (SELECT kwjobs.submit('SELECT 1', tags => array_agg(n::text || repeat('x', 197)), run_at => 'tomorrow') FROM generate_series(1, 100) AS n WHERE n < 100) AS most;
CALL fails($$SELECT kwjobs.submit('SELECT 1', tags => ARRAY['a', NULL])$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', tags => ARRAY['a', ''])$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', tags => ARRAY[repeat('x', 201)])$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', tags => (SELECT array_agg(n::text) FROM generate_series(1, 101) AS n))$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', tags => ARRAY[repeat('x', 100000)])$$);
-- a second job with the same key, with the same tags and with other tags
SELECT kwjobs.submit('SELECT 1', key => 'k', tags => ARRAY['a'], run_at => 'tomorrow') IS NOT NULL AS made;
\set VERBOSITY terse
SELECT kwjobs.submit('SELECT 1', key => 'k', tags => ARRAY['a'], run_at => 'tomorrow') IS NOT NULL AS made;
\set VERBOSITY default
SELECT kwjobs.submit('SELECT 1', key => 'k', tags => ARRAY['b'], run_at => 'tomorrow') IS NOT NULL AS made;
RESET ROLE;
CREATE TABLE own_target (n integer);
SELECT current_setting('data_directory') || '/own_jobs.csv' AS file \gset
COPY (SELECT 1) TO :'file' CSV;
IMPORT INTO own_target CSV DATA (:'file') WITH tags = 'nightly', detached \gset
SELECT tags FROM kwdb_internal.jobs WHERE job_id = :job_id;
IMPORT INTO own_target CSV DATA (:'file') WITH tags = ARRAY['nightly', 'a "b" \ c'], detached \gset
SELECT tags FROM kwdb_internal.jobs WHERE job_id = :job_id;
SELECT kwjobs.import('own_target', ARRAY[:'file'], options => '{"tags": ["nightly", "a \"b\" \\ c"]}') AS job_id \gset
SELECT tags FROM kwdb_internal.jobs WHERE job_id = :job_id;
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
CALL fails(format($$IMPORT INTO own_target CSV DATA (%L) WITH tags = '{a', detached$$, :'file'));
CALL fails(format($$SELECT kwjobs.import('own_target', ARRAY[%L], options => '{"tags": ["a", {}]}')$$, :'file'));

-- 8. kwjobs.list: each job on a short line, the newest first.
BEGIN;
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload,
                        created, started, finished, modified, error, requested_by, request_user, running_status, active_attempt)
SELECT 9000000000000000000 + n, type, description, 'kwj_mine'::regrole, 'kwj_mine', status, 'infinity', 1, '{}',
       now() - interval '400 days', started, finished, now(), error, CASE WHEN by <> '' THEN 'kwj_mine'::regrole END, nullif(by, ''), running, NULL
  FROM (VALUES (1, 'IMPORT', 'IMPORT INTO public.orders (id, what) CSV DATA (...)', 'failed', now(), now() - interval '99 minutes', E'line\nbreaks and a long text', '', NULL),
               (2, 'SQL', E'SELECT\t1,\n\n  2', 'succeeded', now(), now() + interval '99 seconds', '', '', NULL),
               (3, 'SQL', E'\u001b[31m' || repeat('ü', 100), 'paused', now() - interval '2 hours', NULL, '', 'kwj_mine', NULL),
               (4, 'SQL', 'ok', 'pause-requested', NULL, NULL, '', '', 'waiting for a worker (8 of 8 run jobs)')
       ) AS v (n, type, description, status, started, finished, error, by, running);
SELECT id - 9000000000000000000 AS n, type, what, status, percent, since, why FROM kwjobs.list LIMIT 4;
SELECT max(length(format(' %s | %s | %s | %s | %s | %s | %s ', lpad('', 19), rpad(type, 6), rpad(what, 18), rpad(status, 9), '    100', rpad(since, 5), rpad(why, 16))))
  FROM kwjobs.list WHERE id > 9000000000000000000 AND status <> 'pause-requested';
ROLLBACK;
-- kwjobs.list needs the same right as SHOW JOBS
SET ROLE kwj_mine;
\set VERBOSITY terse
SELECT count(*) FROM kwjobs.list;
RESET ROLE;
SET kwjobs.job_visibility = owner;
SET ROLE kwj_mine;
SELECT count(*) = (SELECT count(*) FROM kwjobs.my_jobs) AS all_of_mine FROM kwjobs.list;
SET ROLE kwj_stranger;
SELECT count(*) FROM kwjobs.list WHERE leak(what);
SELECT count(*) FROM kwdb_internal.jobs WHERE leak(job_type);
RESET ROLE;
RESET kwjobs.job_visibility;
\set VERBOSITY default

-- Delete the jobs of the role before the role is dropped.
SELECT kwjobs.cancel_jobs(ARRAY(SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'kwj_mine' AND finished IS NULL)) > 0 AS canceled;
SELECT count(*) FROM kwjobs.when_complete(ARRAY(SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'kwj_mine' AND finished IS NULL)) WHERE status <> 'canceled';
SELECT kwjobs.delete_jobs(ARRAY(SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'kwj_mine')) > 0 AS deleted;
SELECT count(*) FROM kwdb_internal.jobs WHERE user_name = 'kwj_mine';
DROP TABLE own_target;
DROP FUNCTION leak;
DROP ROLE kwj_mine, kwj_member, kwj_stranger;
