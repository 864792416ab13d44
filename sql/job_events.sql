-- What happened to a job, and who asked for it: kwdb_internal.job_events.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_actor, kwj_boss, kwj_nobody;
RESET client_min_messages;
\i `echo "$KWJ_INCLUDE/procedures.sql"`

CREATE ROLE kwj_actor LOGIN;
CREATE ROLE kwj_boss LOGIN IN ROLE kwj_actor;
CREATE ROLE kwj_nobody LOGIN;
SELECT session_user AS me \gset
-- Times and names that differ from run to run are left out. The order is the view's.
PREPARE events(bigint) AS
    SELECT event, attempt, status, replace(actor, :'me', 'me') AS actor,
           replace(actor_session, :'me', 'me') AS actor_session, reason, error, detail
      FROM kwdb_internal.job_events WHERE job_id = $1 ORDER BY at, seq;

-- 1. A job that nobody controls has no row of its own: all comes from the other tables.
SET ROLE kwj_actor;
SELECT kwjobs.submit('SELECT 1') AS job \gset
SELECT status FROM kwjobs.wait(:job);
RESET ROLE;
EXECUTE events(:job);
SELECT count(*) FROM kwjobs.event WHERE job_id = :job;
SELECT count(DISTINCT (at, seq)) = count(*) AS ordered FROM kwdb_internal.job_events WHERE job_id = :job;

-- 2. Requests on a job that waits, by whom and why; what changes nothing leaves no event.
SELECT kwjobs.submit('SELECT 2', run_at => 'tomorrow', run_as => 'kwj_actor', priority => 3) AS job \gset
SET ROLE kwj_boss;
SELECT kwjobs.pause(:job, 'the disk is full');
SELECT kwjobs.pause(:job, 'still full');
SELECT kwjobs.resume(:job);
SELECT kwjobs.alter(:job, priority => 5, timeout => '1 minute', tags => '{a,b}');
SELECT kwjobs.alter(:job, priority => 5);
SELECT kwjobs.alter(:job, timeout => '0', description => 'mine');
RESET ROLE;
CANCEL JOB :job WITH REASON = 'not needed';
SELECT status FROM kwjobs.wait(:job);
EXECUTE events(:job);
-- a statement that is rolled back, or fails, leaves none
BEGIN;
RETRY JOB :job WITH REASON = 'never mind';
SELECT count(*) FROM kwdb_internal.job_events WHERE job_id = :job AND event = 'retry';
ROLLBACK;
DO $$
BEGIN
    BEGIN
        PERFORM kwjobs.retry(max(job_id), 'in a subtransaction') FROM kwjobs.my_jobs WHERE description = 'mine';
        RAISE EXCEPTION 'undo';
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
END $$;
\set VERBOSITY sqlstate
SELECT kwjobs.pause(:job);
\set VERBOSITY default
SELECT count(*) FROM kwdb_internal.job_events WHERE job_id = :job AND event IN ('retry', 'pause');

-- 3. A job that runs again keeps how it ended before; its dependents have events, too.
CREATE TABLE event_gate ();
SELECT kwjobs.submit('SELECT 1 / (SELECT count(*) FROM event_gate)') AS job \gset
SELECT kwjobs.submit('SELECT 3', depends_on => :job) AS second \gset
SELECT status FROM kwjobs.wait(:second);
INSERT INTO event_gate DEFAULT VALUES;
\set VERBOSITY sqlstate
SELECT kwjobs.retry(:job, 'the gate is open');
\set VERBOSITY default
SELECT status FROM kwjobs.wait(:second);
EXECUTE events(:job);
SELECT event, attempt, status, reason, detail = jsonb_build_object('because_of', :job) AS because_of
  FROM kwdb_internal.job_events WHERE job_id = :second ORDER BY at, seq;

-- 4. A revert that fails, is tried again, and is closed by hand.
SELECT kwjobs.submit('SELECT 1 / 0', on_revert => 'SELECT 2 / 0') AS job \gset
SELECT status FROM kwjobs.wait(:job);
SELECT kwjobs.resume(:job, 'try the revert again');
SELECT status FROM kwjobs.wait(:job);
SELECT kwjobs.close(:job, 'undone by hand');
EXECUTE events(:job);

-- 5. SET ROLE and SECURITY DEFINER: both users are told. A role that was dropped keeps its name.
CREATE FUNCTION kwj_pause_for_me(job bigint) RETURNS void LANGUAGE sql SECURITY DEFINER
AS $$ SELECT kwjobs.pause(job, 'by a function') $$;
ALTER FUNCTION kwj_pause_for_me OWNER TO kwj_actor;
SELECT kwjobs.submit('SELECT 5', run_at => 'tomorrow', run_as => 'kwj_actor') AS job \gset
SET SESSION AUTHORIZATION kwj_boss;
SELECT kwj_pause_for_me(:job);
SELECT kwjobs.resume(:job);
SELECT kwjobs.run_now(:job);
RESET SESSION AUTHORIZATION;
SELECT status FROM kwjobs.wait(:job);
DROP ROLE kwj_boss;
SELECT event, status, actor, actor_session, reason FROM kwdb_internal.job_events
 WHERE job_id = :job AND actor_session <> session_user ORDER BY at, seq;
DROP FUNCTION kwj_pause_for_me;

-- 6. Of very many events a job keeps the first and the last. Long texts are clipped.
SELECT kwjobs.submit('SELECT 6', run_at => 'tomorrow', priority => 0) AS job \gset
DO $$
DECLARE
    job bigint := (SELECT max(job_id) FROM kwdb_internal.jobs);
BEGIN
    FOR i IN 1 .. 1100 LOOP
        PERFORM kwjobs.alter(job, priority => i % 1000);
    END LOOP;
END $$;
SELECT count(*), min(number), max(number), count(*) FILTER (WHERE number <= 500) AS first,
       count(*) FILTER (WHERE number > 600) AS last
  FROM kwjobs.event WHERE job_id = :job;
SELECT kwjobs.pause(:job, repeat('long ', 100000));
SELECT length(reason) < 9000 AS clipped FROM kwdb_internal.job_events WHERE job_id = :job AND event = 'pause';
CALL wait_for_status(:job, 'paused');
SELECT kwjobs.cancel(:job);
SELECT status FROM kwjobs.wait(:job);

-- A job that is replaced keeps what it was, and who had created it.
SELECT kwjobs.submit('SELECT 7', run_at => 'tomorrow', run_as => 'kwj_actor', key => 'event') AS replaced \gset
SET ROLE kwj_actor;
SELECT kwjobs.submit('SELECT 8', run_at => 'tomorrow', key => 'event', on_conflict => 'replace') = :replaced AS same;
SELECT kwjobs.cancel(:replaced);
SELECT status FROM kwjobs.wait(:replaced);
RESET ROLE;
SELECT event, status, actor, replace(detail::text, :'me', 'me') AS detail
  FROM kwdb_internal.job_events WHERE job_id = :replaced AND event <> 'submit' ORDER BY at, seq;

-- 7. Who may not see the job sees no events.
SELECT count(*) FROM kwdb_internal.job_events WHERE job_id = :job AND event = 'cancel';
SET ROLE kwj_nobody;
\set VERBOSITY terse
SELECT count(*) FROM kwdb_internal.job_events;
SELECT count(*) FROM kwjobs.event;
\set VERBOSITY default
RESET ROLE;
SET kwjobs.job_visibility = owner;
SET ROLE kwj_nobody;
SELECT count(*) FROM kwdb_internal.job_events;
-- neither a leaky function nor an error reveals anything
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
SELECT count(*) FROM kwdb_internal.job_events WHERE pg_temp.leak(reason);
SELECT count(*) FROM kwdb_internal.job_events WHERE 1 / (length(event) - 6) > 0;
SET ROLE kwj_actor;
SELECT DISTINCT event FROM kwdb_internal.job_events WHERE actor = 'kwj_actor' ORDER BY event;
RESET ROLE;
RESET kwjobs.job_visibility;
DROP FUNCTION pg_temp.leak(text);

-- 8. Events go with their job. Only one job's rows are read for its events.
SELECT kwjobs.delete(:job);
SELECT count(*) FROM kwjobs.event WHERE job_id = :job;
SELECT count(*) FROM kwjobs.event AS e WHERE NOT EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = e.job_id);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END $$;
SELECT count(*) FILTER (WHERE line LIKE '%Index Cond: (job_id = 5)%') AS by_id,
       count(*) FILTER (WHERE line LIKE '%Seq Scan%') AS all_rows
  FROM plan_of('SELECT * FROM kwdb_internal.job_events WHERE job_id = 5') AS line;
RESET enable_seqscan;
RESET enable_bitmapscan;
DROP FUNCTION plan_of;

-- 9. The setting of the log is a superuser's.
SHOW kwjobs.log_control;
SET ROLE kwj_actor;
\set VERBOSITY terse
SET kwjobs.log_control = off;
\set VERBOSITY default
RESET ROLE;

DROP TABLE event_gate;
SELECT count(*) FROM kwjobs.delete_jobs(ARRAY(SELECT job_id FROM kwdb_internal.jobs WHERE finished IS NOT NULL AND user_name = 'kwj_actor'));
DROP ROLE kwj_actor, kwj_nobody;
