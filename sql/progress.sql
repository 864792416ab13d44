-- kwjobs.progress: a line for each job that runs; and what SHOW JOBS shows of a job that has said
-- nothing of itself. t/130_progress.pl has commands that are stopped in the middle.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
\i `echo "$KWJ_INCLUDE/procedures.sql"`

-- 1. The bar has 20 characters, whatever the fraction.
SELECT fraction, kwdb_internal.bar(fraction) AS bar, length(kwdb_internal.bar(fraction)) AS length
  FROM (VALUES (NULL), (-1), (0), (0.049), (0.05), (0.5), (0.999), (1), (7), ('NaN')) AS v (fraction);

-- 2. A job that says how far it is. An advisory lock is its own affair, so what it says comes first.
SELECT pg_advisory_lock(4711) IS NULL AS closed;
SELECT kwjobs.submit('SELECT kwjobs.progress(0.25, ''a quarter''), pg_advisory_xact_lock_shared(4711)', description => E'a job\nof two lines that is longer than the view shows') AS i \gset
CALL wait_until($$(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted)$$);
SELECT id = :i AS found, what, bar, percent, waits_for FROM kwjobs.progress;
SELECT status, running_status, fraction_completed FROM [SHOW JOB :i];
SELECT pg_advisory_unlock(4711) AS opened;
SELECT status, fraction_completed, eta, moved FROM kwjobs.when_complete(ARRAY[:i]);
SELECT count(*) FROM kwjobs.progress;

-- 3. A job that says nothing: how far it is, is not known, and so is its end.
SELECT pg_advisory_lock(4711) IS NULL AS closed;
SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)') AS i \gset
CALL wait_until($$(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted)$$);
SELECT bar, percent, rate, "left", regexp_replace(waits_for, '\d+', 'N', 'g') AS waits_for FROM kwjobs.progress;
SELECT status, regexp_replace(running_status, '\d+', 'N', 'g') AS running_status, fraction_completed FROM [SHOW JOB :i];
-- The job moved until it had to wait.
SELECT eta, moved > started AS moved FROM kwdb_internal.jobs WHERE job_id = :i;
SELECT percent FROM kwjobs.list WHERE id = :i;
SELECT pg_advisory_unlock(4711) AS opened;
SELECT status, fraction_completed, eta, moved FROM kwjobs.when_complete(ARRAY[:i]);

-- 4. A message is a move. A wait for a lock would be one, too. So this job does not wait for a lock,
-- but for the end of another job, which this session cancels.
SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day') AS gate \gset
SELECT kwjobs.submit(format('DO $$ BEGIN RAISE NOTICE ''here''; SET LOCAL client_min_messages = warning; PERFORM kwjobs.wait(%s); END $$', :gate)) AS i \gset
CALL wait_until(format('(SELECT count(*) = 1 FROM kwjobs.messages(%s))', :i));
SELECT j.moved = m.at AS moved, m.message FROM kwdb_internal.jobs AS j, kwjobs.messages(:i) AS m WHERE j.job_id = :i;
SELECT kwjobs.cancel(:gate);
SELECT status FROM kwjobs.when_complete(ARRAY[:i]);

-- 5. A session that looks at its own statement.
DELETE FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE';
SET kwjobs.track = top;
CREATE TABLE progress_look AS SELECT status, running_status, fraction_completed, eta, moved FROM kwdb_internal.jobs WHERE pid = pg_backend_pid();
SELECT * FROM progress_look;
DROP TABLE progress_look;
RESET kwjobs.track;
SELECT count(*) FROM kwjobs.when_complete(ARRAY(SELECT job_id FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE'));
DELETE FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE';

-- 6. The view needs the same right as SHOW JOBS.
CREATE ROLE kwj_progress;
SET ROLE kwj_progress;
SELECT count(*) FROM kwjobs.progress;
RESET ROLE;
DROP ROLE kwj_progress;

-- 7. What statements do that PostgreSQL counts nothing of. A trigger, or a constraint that is
-- checked, looks at the job of its own session.
CREATE TABLE looks (running_status text, fraction float);
CREATE FUNCTION look() RETURNS boolean LANGUAGE sql AS $$
    INSERT INTO looks SELECT running_status, fraction_completed FROM kwdb_internal.jobs
     WHERE pid = pg_backend_pid();
    SELECT true $$;
CREATE FUNCTION look_trigger() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM look(); RETURN NULL; END $$;
CREATE FUNCTION look_event() RETURNS event_trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM look(); END $$;
CREATE EVENT TRIGGER look_at_drop ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP VIEW') EXECUTE FUNCTION look_event();
CREATE TABLE progress_t (a integer);
CREATE TABLE progress_u (a integer PRIMARY KEY);
CREATE TRIGGER look BEFORE TRUNCATE ON progress_t EXECUTE FUNCTION look_trigger();
CREATE VIEW progress_v AS SELECT 1 AS a;
CREATE DOMAIN progress_d AS integer;
CREATE TABLE progress_w (a progress_d);
INSERT INTO progress_t VALUES (1);
INSERT INTO progress_w VALUES (1);
CREATE PROCEDURE looked(statement text) LANGUAGE plpgsql AS $$
DECLARE l looks;
BEGIN
    EXECUTE statement;
    FOR l IN DELETE FROM looks RETURNING * LOOP
        RAISE INFO '%: %', coalesce(l.running_status, '-'), coalesce(l.fraction::text, '-');
    END LOOP;
END $$;
SET kwjobs.track = top;
CALL looked('TRUNCATE progress_t');
INSERT INTO progress_t VALUES (1);
CALL looked('ALTER TABLE progress_t ADD CONSTRAINT c CHECK (look())');
CALL looked('ALTER TABLE progress_t DROP CONSTRAINT c');
CALL looked('ALTER TABLE progress_t ADD CONSTRAINT c CHECK (look()) NOT VALID');
CALL looked('ALTER TABLE progress_t VALIDATE CONSTRAINT c');
CALL looked('ALTER TABLE progress_t ADD b boolean DEFAULT look(), ALTER a SET NOT NULL');
CALL looked('ALTER DOMAIN progress_d ADD CONSTRAINT c CHECK (look())');
CALL looked('DROP VIEW progress_v');
CALL looked('DROP TABLE progress_u');
-- The statement is over, and its transaction is not.
BEGIN;
TRUNCATE progress_t;
DROP EVENT TRIGGER look_at_drop;
DROP TABLE progress_t, progress_w;
SELECT description, running_status, fraction_completed FROM kwdb_internal.session_jobs() WHERE pid = pg_backend_pid() ORDER BY job_id;
COMMIT;
RESET kwjobs.track;
DROP DOMAIN progress_d;
DROP PROCEDURE looked;
DROP FUNCTION look_trigger, look_event, look;
DROP TABLE looks;
SELECT count(*) > 0 AS over FROM kwjobs.when_complete(ARRAY(SELECT job_id FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE'));
DELETE FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE';
