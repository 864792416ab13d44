\set ECHO none
-- Procedures that several tests use. A test includes this file with
--     \i `echo "$KWJ_INCLUDE/procedures.sql"`
-- where make installcheck sets KWJ_INCLUDE. The procedures stay in the database for the next test.

-- Replaces the ids of jobs, which differ in each run, by N.
CREATE OR REPLACE FUNCTION same(message text) RETURNS text LANGUAGE sql AS
$$ SELECT regexp_replace(message, '\d{10,}', 'N', 'g') $$;

-- Runs a statement that is to fail, and shows its error. INFO is shown at any client_min_messages.
CREATE OR REPLACE PROCEDURE fails(statement text) LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE statement;
    RAISE INFO 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RAISE INFO '%: %, hint: %', SQLSTATE, same(SQLERRM), same(hint);
END $$;

-- Waits until the condition holds: looks every 10 ms, and gives up after ten minutes. Use it only
-- where there is no event. The end of a job is one, for which kwjobs.wait waits. But nobody tells a
-- session that a job has begun to run, has been paused, has been parked or waits for a lock.
CREATE OR REPLACE PROCEDURE wait_until(condition text) LANGUAGE plpgsql AS $$
DECLARE
    met boolean;
BEGIN
    FOR i IN 1 .. 60000 LOOP
        EXECUTE 'SELECT ' || condition INTO met;
        COMMIT;
        IF met THEN
            RETURN;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE 'waited in vain until %', condition;
END $$;

-- Waits until the caller sees such a job: the condition is on the columns of kwjobs.my_jobs.
CREATE OR REPLACE PROCEDURE wait_for_job(condition text) LANGUAGE plpgsql AS $$
BEGIN
    CALL wait_until(format('EXISTS (SELECT FROM kwjobs.my_jobs WHERE %s)', condition));
END $$;

CREATE OR REPLACE PROCEDURE wait_for_status(job bigint, wanted text) LANGUAGE plpgsql AS $$
BEGIN
    CALL wait_for_job(format('job_id = %s AND status = %L', job, wanted));
END $$;

-- Waits until the job waits for an advisory lock, which the test holds meanwhile.
CREATE OR REPLACE PROCEDURE wait_at_gate(job bigint) LANGUAGE plpgsql AS $$
BEGIN
    CALL wait_until(format('EXISTS (SELECT FROM pg_locks AS l JOIN kwdb_internal.jobs AS j USING (pid)
                                     WHERE l.locktype = ''advisory'' AND NOT l.granted AND j.job_id = %s)', job));
END $$;
\set ECHO all
