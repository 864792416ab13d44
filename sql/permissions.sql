-- Who may see and control jobs.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_admin, kwj_operator, kwj_owner, kwj_other;
RESET client_min_messages;

CREATE ROLE kwj_admin;
CREATE ROLE kwj_operator LOGIN IN ROLE kwj_admin;
CREATE ROLE kwj_owner LOGIN;
CREATE ROLE kwj_other LOGIN;
GRANT pg_read_server_files TO kwj_owner, kwj_other;
CREATE TABLE perm_target (n integer);
GRANT INSERT ON perm_target TO kwj_owner;
SELECT current_setting('data_directory') || '/permissions.csv' AS file \gset
COPY (SELECT 1) TO :'file' CSV;

-- An owner needs no more than INSERT.
SET ROLE kwj_owner;
SELECT kwjobs.import('perm_target', ARRAY[:'file']) AS job \gset
RESET ROLE;
SELECT status, user_name, rows FROM kwjobs.when_complete(ARRAY[:job]);

-- 1. By default, members of the admin role and superusers may. Here there is no role called admin,
-- so only superusers may.
SET ROLE kwj_operator;
SHOW JOBS;
\echo :LAST_ERROR_SQLSTATE
SHOW JOB :job;
\set SHOW_CONTEXT never
SHOW JOB WHEN COMPLETE :job;
SELECT count(*) FROM kwdb_internal.jobs;
SELECT count(*) FROM kwdb_internal.job_attempts;
SELECT count(*) FROM kwdb_internal.job_history;
SELECT count(*) FROM kwjobs.running;
PAUSE JOB :job;
RESUME JOBS (SELECT 1::bigint WHERE false);
CANCEL JOB NULL;
-- the functions are allowed, but only for the role's own jobs
\set VERBOSITY sqlstate
SELECT kwjobs.pause(:job);
\set VERBOSITY default
SELECT kwjobs.cancel(NULL);
RESET ROLE;

-- 2. kwjobs.admin_role names a role.
\set VERBOSITY terse
SET kwjobs.admin_role = 'kwj_admin';
SET ROLE kwj_operator;
SELECT job_id = :job AS seen, user_name, status FROM [SHOW JOBS] WHERE job_id = :job;
CANCEL JOB :job;
SET ROLE kwj_owner;
SHOW JOBS;
CANCEL JOB :job;
-- only a superuser may change these settings
SET kwjobs.admin_role = 'kwj_owner';
SET kwjobs.job_visibility = 'owner';
RESET ROLE;

-- 3. Owners see and control their own jobs.
SET kwjobs.job_visibility = 'owner';
SET ROLE kwj_owner;
SELECT job_id = :job AS seen, status FROM [SHOW JOBS];
SELECT count(*) FROM kwdb_internal.job_attempts;
CANCEL JOB :job;
SELECT status FROM [SHOW JOB WHEN COMPLETE :job];
SET ROLE kwj_other;
SELECT count(*) FROM [SHOW JOBS];
SELECT count(*) FROM [SHOW JOB WHEN COMPLETE :job];
SELECT count(*) FROM kwdb_internal.job_attempts;
SELECT count(*) FROM kwjobs.running;
-- the same error as for a job that does not exist
\set VERBOSITY sqlstate
CANCEL JOB :job;
SELECT kwjobs.cancel(:job);
SELECT kwdb_internal.job_id(:job);
SELECT count(*) FROM kwjobs.job_control;
\set VERBOSITY terse
SET ROLE kwj_operator;
SELECT count(*) > 0 AS all_of_them FROM [SHOW JOBS] WHERE job_id = :job;
RESET ROLE;

-- A leaky function in the query is not called for the rows of other roles.
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
SET ROLE kwj_other;
SELECT count(*) FROM kwdb_internal.jobs WHERE leak(description);
RESET ROLE;

\set VERBOSITY default
-- No role may use the tables directly, or change anything but verb and reason in the view.
SET ROLE kwj_owner;
SELECT count(*) FROM kwjobs.job;
INSERT INTO kwjobs.attempt DEFAULT VALUES;
UPDATE kwjobs.checkpoint SET rows = 0;
DELETE FROM kwjobs.job_transaction;
SELECT count(*) FROM kwjobs.rejected;
INSERT INTO kwjobs.job_control VALUES (1);
DELETE FROM kwjobs.job_control;
UPDATE kwjobs.job_control SET job_id = 1;
UPDATE kwjobs.job_control SET verb = 'explode' WHERE job_id = :job;
RESET ROLE;

-- No role may use the trigger function for a view of its own.
CREATE SCHEMA perm_schema AUTHORIZATION kwj_other;
SET ROLE kwj_other;
CREATE VIEW perm_schema.control AS SELECT 1::bigint AS job_id, 2::bigint AS verb, NULL::text AS reason;
CREATE TRIGGER control INSTEAD OF UPDATE ON perm_schema.control
    FOR EACH ROW EXECUTE FUNCTION kwdb_internal.control_trigger();
RESET ROLE;
CREATE TRIGGER control INSTEAD OF UPDATE ON perm_schema.control
    FOR EACH ROW EXECUTE FUNCTION kwdb_internal.control_trigger();
UPDATE perm_schema.control SET verb = 3;

-- A role that cannot log in cannot own a job, because its worker could not connect.
SET ROLE kwj_admin;
SELECT kwjobs.import('perm_target', ARRAY[:'file']);
RESET ROLE;
GRANT pg_read_server_files TO kwj_admin;
GRANT INSERT ON perm_target TO kwj_admin;
SET ROLE kwj_admin;
SELECT kwjobs.import('perm_target', ARRAY[:'file']);
RESET ROLE;

RESET kwjobs.admin_role;
RESET kwjobs.job_visibility;
DROP FUNCTION leak;
DROP TABLE perm_target;
DROP OWNED BY kwj_admin, kwj_operator, kwj_owner, kwj_other;
DROP ROLE kwj_admin, kwj_operator, kwj_owner, kwj_other;
