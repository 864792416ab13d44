-- Procedures that go on from a checkpoint, and statements that revert a job.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE TABLE work (step integer, attempt integer);
CREATE TABLE reverted (what text);
CREATE VIEW last_job AS
    SELECT * FROM kwdb_internal.jobs ORDER BY job_id DESC LIMIT 1;
\i `echo "$KWJ_INCLUDE/procedures.sql"`

-- Ten steps, each one committed with what the next attempt needs to know. At step 5 there is
-- a gate.
CREATE PROCEDURE ten_steps(gate boolean DEFAULT false) LANGUAGE plpgsql AS $$
DECLARE
    done integer := coalesce((kwjobs.checkpoint_state() ->> 'done')::integer, 0);
    attempt integer := coalesce((kwjobs.checkpoint_state() ->> 'attempt')::integer, 0) + 1;
BEGIN
    WHILE done < 10 LOOP
        done := done + 1;
        INSERT INTO work VALUES (done, attempt);
        IF gate AND done = 5 THEN
            PERFORM pg_advisory_xact_lock_shared(4712);
        END IF;
        CALL kwjobs.checkpoint(done / 10.0, jsonb_build_object('done', done, 'attempt', attempt), format('step %s', done));
    END LOOP;
END $$;

-- 1. To its end.
CALL kwjobs.run('CALL ten_steps()') \gset
\echo :status :tags
SELECT count(*), count(DISTINCT step), max(attempt) FROM work;
TRUNCATE work;

-- 2. Paused in step 5, and resumed: it goes on after step 4.
SELECT pg_advisory_lock(4712);
SELECT kwjobs.submit('CALL ten_steps(true)') AS job \gset
CALL wait_at_gate(:job);
SELECT fraction_completed, running_status, status FROM kwdb_internal.jobs WHERE job_id = :job;
PAUSE JOB :job;
CALL wait_for_status(:job, 'paused');
SELECT max(step) FROM work;
SELECT fraction_completed, status, pid FROM kwdb_internal.jobs WHERE job_id = :job;
SELECT pg_advisory_unlock(4712);
RESUME JOB :job;
SELECT status, fraction_completed, error FROM kwjobs.when_complete(ARRAY[:job]);
SELECT attempt, array_agg(step ORDER BY step) AS steps FROM work GROUP BY attempt ORDER BY attempt;
SELECT attempt, status, error FROM kwdb_internal.job_attempts WHERE job_id = :job ORDER BY attempt;
TRUNCATE work;

-- 3. A request that is there when a checkpoint is written ends the procedure, handler or not.
CREATE PROCEDURE pause_myself(verb text) LANGUAGE plpgsql AS $$
BEGIN
    IF kwjobs.checkpoint_state() IS NULL THEN
        INSERT INTO work VALUES (1, 1);
        IF verb = 'pause' THEN
            PERFORM kwjobs.pause(kwjobs.current_job(), 'by itself');
        ELSE
            PERFORM kwjobs.cancel(kwjobs.current_job(), 'by itself');
        END IF;
        CALL kwjobs.checkpoint(state => '{}');
        INSERT INTO work VALUES (2, 1);
    END IF;
    INSERT INTO work VALUES (3, 1);
END $$;
SELECT kwjobs.submit('CALL pause_myself(''pause'')', on_revert => 'INSERT INTO reverted VALUES (''pause'')') AS job \gset
CALL wait_for_status(:job, 'paused');
TABLE work;
RESUME JOB :job;
SELECT status, request_reason FROM kwjobs.when_complete(ARRAY[:job]);
TABLE work;
TRUNCATE work;
SELECT kwjobs.submit('CALL pause_myself(''cancel'')', on_revert => 'INSERT INTO reverted SELECT ''cancel '' || sum(step) FROM work; DELETE FROM work') AS job \gset
SELECT status, request_reason, error_code, error FROM kwjobs.when_complete(ARRAY[:job]);
TABLE work;
TABLE reverted;
SELECT attempt, reverting, status, tags, error FROM kwdb_internal.job_attempts WHERE job_id = :job ORDER BY attempt;
TRUNCATE reverted;

-- 4. on_revert also runs for what has no checkpoint: canceled while it runs, ...
SELECT pg_advisory_lock(4712);
SELECT kwjobs.submit('INSERT INTO work VALUES (1, 1); SELECT pg_advisory_xact_lock(4712)',
    on_revert => 'INSERT INTO reverted SELECT ''work: '' || count(*) FROM work') AS job \gset
CALL wait_at_gate(:job);
CANCEL JOB :job;
SELECT status, error FROM kwjobs.when_complete(ARRAY[:job]);
SELECT pg_advisory_unlock(4712);
TABLE reverted;
-- ... failed, ...
CALL kwjobs.run('INSERT INTO reverted VALUES (''never''); SELECT 1 / 0', on_revert => 'INSERT INTO reverted VALUES (''failed'')');
SELECT status, error_code FROM last_job;
TABLE reverted;
-- ... but not for a job that has not begun, or has succeeded.
SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day', on_revert => 'INSERT INTO reverted VALUES (''never'')') AS job \gset
CANCEL JOB :job;
SELECT status FROM kwjobs.when_complete(ARRAY[:job]);
CALL kwjobs.run('SELECT 1', on_revert => 'INSERT INTO reverted VALUES (''never'')') \gset
TABLE reverted;
TRUNCATE reverted;
-- A revert that fails: RESUME tries it again, and the job's own error is kept.
CALL kwjobs.run('SELECT 1 / 0', on_revert => 'INSERT INTO not_yet_there VALUES (1)');
SELECT status, error_code FROM last_job;
CREATE TABLE not_yet_there (n integer);
SELECT job_id AS job FROM last_job \gset
RESUME JOB :job;
SELECT status, error_code FROM kwjobs.when_complete(ARRAY[:job]);
TABLE not_yet_there;

-- 5. on_failure: pause.
SELECT kwjobs.submit('INSERT INTO work SELECT 7, 1 / count(*) FROM not_yet_there WHERE n = 2', on_failure => 'pause') AS job \gset
CALL wait_for_status(:job, 'paused');
SELECT running_status, error FROM kwdb_internal.jobs WHERE job_id = :job;
INSERT INTO not_yet_there VALUES (2);
RESUME JOB :job;
SELECT status FROM kwjobs.when_complete(ARRAY[:job]);
TABLE work;
TRUNCATE work;

-- 6. Where a checkpoint cannot commit, in a job ...
CALL kwjobs.run('SELECT 1; CALL kwjobs.checkpoint()');
\echo :LAST_ERROR_SQLSTATE
CREATE PROCEDURE in_block() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO work VALUES (1, 1);
    BEGIN
        CALL kwjobs.checkpoint(0.5, '{}');
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
END $$;
CALL kwjobs.run('CALL in_block()');
CALL kwjobs.run('CALL kwjobs.checkpoint(1.5)');
CALL kwjobs.run('SELECT kwjobs.progress(-0.5)');
CALL kwjobs.run('CALL kwjobs.checkpoint(0.25, ''{"a": [1, "b"]}'', ''a quarter''); ') \gset
\echo :status :tags
-- What is left out stays as it was.
CREATE PROCEDURE partial() LANGUAGE plpgsql AS $$
DECLARE seen text;
BEGIN
    CALL kwjobs.checkpoint(0.25, '{"a": 1}', 'a quarter');
    CALL kwjobs.checkpoint();
    CALL kwjobs.checkpoint(running_status => 'still');
    SELECT format('%s %s %s', fraction_completed, running_status, kwjobs.checkpoint_state()) INTO seen
      FROM kwdb_internal.jobs WHERE job_id = kwjobs.current_job();
    RAISE NOTICE '%', seen;
    PERFORM kwjobs.progress(0.75);
    PERFORM kwjobs.progress(NULL, 'more');
    PERFORM kwjobs.progress(NULL);
    SELECT format('%s %s', fraction_completed, running_status) INTO seen
      FROM kwdb_internal.jobs WHERE job_id = kwjobs.current_job();
    RAISE NOTICE '%', seen;
END $$;
CALL kwjobs.run('CALL partial()') \gset
SELECT messages FROM kwdb_internal.job_attempts JOIN last_job USING (job_id);

-- 7. ... and outside of one, where it is COMMIT.
BEGIN;
CALL kwjobs.checkpoint();
ROLLBACK;
CREATE FUNCTION in_function() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL kwjobs.checkpoint(); END $$;
SELECT in_function();
CREATE PROCEDURE by_hand() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO work VALUES (1, 1);
    CALL kwjobs.checkpoint(0.5, '{"never": "seen"}', 'half');
    PERFORM kwjobs.progress(0.7, 'more');
    INSERT INTO work VALUES (2, 1);
    RAISE NOTICE 'job %, state %', kwjobs.current_job(), kwjobs.checkpoint_state();
    ROLLBACK;
END $$;
CALL by_hand();
TABLE work;
CALL kwjobs.checkpoint(NULL, NULL, NULL);
CALL kwjobs.checkpoint(-0.1);
SELECT kwjobs.progress('NaN');
SELECT kwjobs.progress(NULL), kwjobs.current_job(), kwjobs.checkpoint_state();

DROP VIEW last_job;
DROP PROCEDURE ten_steps, pause_myself, in_block, partial, by_hand;
DROP FUNCTION in_function;
DROP TABLE work, reverted, not_yet_there;
