-- What DROP ROLE, DROP OWNED and REASSIGN OWNED do to the schedules and jobs of a role. No schedule is due before 2099.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_leaver, kwj_heir, kwj_plain, "Kwj Other";
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null NULL
SET timezone = 'UTC';
CREATE ROLE kwj_leaver LOGIN;
CREATE ROLE kwj_heir LOGIN;
CREATE ROLE kwj_plain LOGIN;
CREATE ROLE "Kwj Other" LOGIN;
CREATE VIEW owners AS SELECT name, owner, schedule_status AS status, regexp_replace(why_paused, 'by \w+', 'by me') AS why, next_due
  FROM kwdb_internal.schedules;
CREATE FUNCTION create_as(role text, schedule text) RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    PERFORM kwjobs.create_schedule(schedule, '0 0 1 1 * 2099', 'SELECT current_user',
        options => jsonb_build_object('run_as', quote_ident(role), 'failure_statement', 'SELECT 1'));
END $$;

-- 1. DROP ROLE is refused, with PostgreSQL's own reasons first.
SELECT create_as('kwj_leaver', 'first'), create_as('kwj_leaver', 'second'), create_as('Kwj Other', 'third');
DROP ROLE kwj_leaver;
DROP ROLE IF EXISTS kwj_nobody, "Kwj Other";
DROP ROLE kwj_plain, kwj_leaver;
DROP ROLE kwj_nobody, kwj_leaver;
CREATE TABLE of_leaver (n integer);
ALTER TABLE of_leaver OWNER TO kwj_leaver;
DROP ROLE kwj_leaver;
\set VERBOSITY sqlstate
SET ROLE kwj_plain;
DROP ROLE kwj_leaver;
DROP OWNED BY kwj_leaver;
REASSIGN OWNED BY kwj_leaver TO kwj_plain;
RESET ROLE;
\set VERBOSITY default
BEGIN;
SAVEPOINT s;
DROP ROLE "Kwj Other";
DROP OWNED BY "Kwj Other";
ROLLBACK TO s;
DROP OWNED BY "Kwj Other";
DROP ROLE "Kwj Other";
SELECT count(*) FROM owners;
ROLLBACK;
SELECT * FROM owners ORDER BY name;
SELECT count(create_as('kwj_plain', 'of plain ' || chr(64 + n))) FROM generate_series(1, 13) AS n;
DROP ROLE kwj_plain;
DO $$
BEGIN
    DROP ROLE kwj_plain;
EXCEPTION WHEN dependent_objects_still_exist THEN RAISE NOTICE 'refused';
END $$;
-- ... in a job and by EXECUTE, too
SELECT kwjobs.submit('DROP ROLE kwj_plain') AS job \gset
SELECT j.status, j.error_code, j.error FROM [SHOW JOB WHEN COMPLETE :job] AS w JOIN kwdb_internal.jobs AS j USING (job_id);
DO $$ BEGIN EXECUTE 'DROP ROLE kwj_plain'; END $$;

-- 2. REASSIGN OWNED gives schedules to the other role, paused.
PAUSE SCHEDULE second WITH REASON = 'not now';
REASSIGN OWNED BY kwj_leaver TO kwj_heir;
SELECT * FROM owners WHERE name IN ('first', 'second') ORDER BY name;
-- ... whose jobs run by the right of the old one, until somebody who may act as the new one resumes it
SELECT authority::oid[]::regrole[] = ARRAY[current_user::regrole, 'kwj_leaver'] AS by_that_of_the_old_one FROM kwjobs.schedule WHERE name = 'first';
RESUME SCHEDULE first;
SELECT created_by::oid::regrole = current_user::regrole AS by_me, authority::oid[]::regrole[] = ARRAY[current_user::regrole] AS by_my_right
  FROM kwjobs.schedule WHERE name = 'first';
SELECT kwjobs.run_schedule('first') AS job \gset
SELECT status, user_name FROM [SHOW JOB WHEN COMPLETE :job];
-- ... nothing depends on the old one any more
DROP ROLE kwj_leaver;
REASSIGN OWNED BY kwj_heir TO kwj_heir;
SELECT name, status FROM owners WHERE owner = 'kwj_heir' ORDER BY name;
\set VERBOSITY sqlstate
SET ROLE kwj_heir;
REASSIGN OWNED BY CURRENT_USER TO kwj_plain;
RESET ROLE;
\set VERBOSITY default

-- 3. DROP OWNED drops them, of several roles, and of oneself.
SELECT kwjobs.run_schedule('third') AS job \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job];
BEGIN; DROP OWNED BY "Kwj Other"; ROLLBACK;
DROP OWNED BY kwj_plain, "Kwj Other";
SELECT name FROM owners ORDER BY name;
SELECT count(*) FROM kwjobs.due_time AS d WHERE NOT EXISTS (SELECT FROM kwjobs.schedule AS s WHERE s.schedule_id = d.schedule_id);
DROP ROLE "Kwj Other";
GRANT kwj_heir TO kwj_plain;
SET ROLE kwj_plain;
DO $$ BEGIN DROP OWNED BY kwj_heir; END $$;
RESET ROLE;
SELECT name FROM owners ORDER BY name;
DROP ROLE kwj_heir;

-- 4. Jobs that are not over: a warning
SELECT kwjobs.submit('SELECT 1', run_as => 'kwj_plain', run_at => '2099-01-01') > 0 AS submitted;
\set VERBOSITY terse
BEGIN;
DROP ROLE kwj_plain;
ROLLBACK;
\set VERBOSITY default
SELECT kwjobs.cancel(job_id) FROM kwdb_internal.jobs WHERE user_name = 'kwj_plain' AND finished IS NULL;
SELECT count(*) FROM [SHOW JOBS WHEN COMPLETE SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'kwj_plain'];
DROP ROLE kwj_plain;

-- 5. Clean up
DROP VIEW owners;
DROP FUNCTION create_as;
