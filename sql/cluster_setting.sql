-- SET, RESET and SHOW CLUSTER SETTING.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_admin, kwj_operator, kwj_other;
RESET client_min_messages;
CREATE ROLE kwj_admin;
CREATE ROLE kwj_operator LOGIN IN ROLE kwj_admin;
CREATE ROLE kwj_other LOGIN;

-- 1. As a superuser. The next statement sees the new value.
SHOW CLUSTER SETTING jobs.retention_time;
SET CLUSTER SETTING jobs.retention_time = '336h';
SET CLUSTER SETTING jobs.retention_time = '10d';
SHOW CLUSTER SETTING jobs.retention_time;
SHOW jobs.retention_time;
SELECT setting, source, applied FROM pg_file_settings AS s(sourcefile, sourceline, seqno, name, setting, applied, error),
       LATERAL (SELECT regexp_replace(sourcefile, '.*/', '') AS source) AS l
 WHERE name = 'jobs.retention_time';
\set QUIET off
SET CLUSTER SETTING jobs.retention_time = '10d';
RESET CLUSTER SETTING jobs.retention_time;
CALL kwjobs.reset_cluster_setting('jobs.retention_time');
\set QUIET on
-- durations as in the specification, and every way to write a value
SET CLUSTER SETTING jobs.retention_time TO '1m';
SHOW CLUSTER SETTING jobs.retention_time;
set cluster /* comment */ setting "jobs".Retention_Time = '1h30m';
SHOW CLUSTER SETTING jobs.retention_time;
SET CLUSTER SETTING jobs.retention_time = '90s';
SHOW CLUSTER SETTING jobs.retention_time;
SET CLUSTER SETTING jobs.retention_time = 3600;
SHOW CLUSTER SETTING jobs.retention_time;
SET CLUSTER SETTING jobs.retention_time = 3 * 3600;
SHOW CLUSTER SETTING jobs.retention_time;
SET CLUSTER SETTING kwjobs.progress_interval = '1.5s';
SHOW CLUSTER SETTING kwjobs.progress_interval;
SET CLUSTER SETTING kwjobs.progress_interval = '1m0.5s';
SHOW CLUSTER SETTING kwjobs.progress_interval;
SET CLUSTER SETTING kwjobs.job_visibility = owner;
SHOW CLUSTER SETTING kwjobs.job_visibility;
SET CLUSTER SETTING kwjobs.job_visibility = DEFAULT;
SHOW CLUSTER SETTING kwjobs.job_visibility;
SET CLUSTER SETTING search_path = "$user", public, 'it''s; DROP TABLE x';
SHOW CLUSTER SETTING search_path;
RESET CLUSTER SETTING search_path;
SHOW CLUSTER SETTING search_path;
RESET CLUSTER SETTING jobs.retention_time;
SHOW CLUSTER SETTING jobs.retention_time;
-- names of the specification that a configuration file cannot have
SHOW CLUSTER SETTING sql.stats.automatic_collection.enabled;
SET CLUSTER SETTING sql.stats.automatic_collection.min_stale_rows = 1000;
SHOW CLUSTER SETTING SQL.Stats.automatic_collection.MIN_STALE_ROWS;
SHOW kwjobs.automatic_collection_min_stale_rows;
SELECT name, setting, applied FROM pg_file_settings WHERE name ~ 'collection';
RESET CLUSTER SETTING sql.stats.automatic_collection.min_stale_rows;
SHOW CLUSTER SETTING kwjobs.automatic_collection_min_stale_rows;
SET CLUSTER SETTING sql.stats.automatic_collection.min_stale_rows = -1;
SET CLUSTER SETTING sql.stats.automatic_collection.fraction_stale_rows = -0.1;
SET CLUSTER SETTING sql.stats.automatic_collection.enabled = perhaps;
SHOW CLUSTER SETTING jobs.scheduler.enabled;
SET CLUSTER SETTING jobs.scheduler.pace = '30s';
SHOW CLUSTER SETTING jobs.scheduler.pace;
RESET CLUSTER SETTING jobs.scheduler.pace;
-- PostgreSQL shows the range with units since version 17, so only the SQLSTATE is shown here.
\set VERBOSITY sqlstate
SET CLUSTER SETTING jobs.scheduler.pace = 0;
\set VERBOSITY default
SHOW CLUSTER SETTING jobs.scheduler.max_jobs_per_iteration;
SET CLUSTER SETTING sql.stats.automatic_collection.max_fraction_idle = 0.5;
SELECT kwjobs.cluster_setting('sql.stats.automatic_collection.fraction_stale_rows');
-- what SET does in a session is not the cluster's value
SET CLUSTER SETTING kwjobs.show_window = '6h';
SET kwjobs.show_window = '2h';
SHOW CLUSTER SETTING kwjobs.show_window;
SHOW kwjobs.show_window;
BEGIN READ ONLY;
SET LOCAL TimeZone = 'Asia/Tokyo';
SELECT kwjobs.cluster_setting('TimeZone') <> current_setting('TimeZone') AS not_ours;
SHOW TimeZone;
ROLLBACK;
RESET kwjobs.show_window;
SHOW kwjobs.show_window;
RESET CLUSTER SETTING kwjobs.show_window;
RESET CLUSTER SETTING kwjobs.progress_interval;

-- 2. Wherever a statement can stand
SELECT * FROM [SHOW CLUSTER SETTING kwjobs.show_window];
SELECT s."kwjobs.show_window" AS value FROM [SHOW CLUSTER SETTING kwjobs.show_window] AS s;
SHOW CLUSTER SETTING kwjobs.show_window \gdesc
PREPARE show_setting AS SHOW CLUSTER SETTING jobs.retention_time;
EXECUTE show_setting;
DEALLOCATE show_setting;
SELECT kwjobs.cluster_setting('jobs.retention_time'), kwjobs.cluster_setting(NULL);
CALL kwjobs.set_cluster_setting('jobs.retention_time', '7d');
SHOW CLUSTER SETTING jobs.retention_time;
CALL kwjobs.reset_cluster_setting('jobs.retention_time');
DO $$ BEGIN CALL kwjobs.set_cluster_setting('jobs.retention_time', '5d'); END $$;
SHOW CLUSTER SETTING jobs.retention_time;
RESET CLUSTER SETTING jobs.retention_time;
-- ... but not where it would have to be rolled back
BEGIN;
SET CLUSTER SETTING jobs.retention_time = '1d';
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
RESET CLUSTER SETTING jobs.retention_time;
ROLLBACK;
\set VERBOSITY terse
SELECT 1 AS one\; SET CLUSTER SETTING jobs.retention_time = '1d';
CREATE FUNCTION set_it() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN SET CLUSTER SETTING jobs.retention_time = '1d'; END $$;
SELECT set_it();
DO $$ BEGIN EXECUTE 'SET CLUSTER SETTING jobs.retention_time = $1' USING '1d'; END $$;
DROP FUNCTION set_it;
\set VERBOSITY default
SHOW CLUSTER SETTING jobs.retention_time;

-- 3. What is wrong
SET CLUSTER SETTING jobs.nosuch = 1;
\echo :LAST_ERROR_SQLSTATE
SET jobs.made_up = 1;
SET CLUSTER SETTING jobs.made_up = 1;
SHOW CLUSTER SETTING jobs.made_up;
RESET CLUSTER SETTING nosuch;
SHOW CLUSTER SETTING nosuch;
SET CLUSTER SETTING kwjobs.max_databases = 8;
\echo :LAST_ERROR_SQLSTATE
SET CLUSTER SETTING shared_preload_libraries = kwjobs, 'it''s';
RESET CLUSTER SETTING kwjobs.max_databases;
SET CLUSTER SETTING jobs.retention_time = 'soon';
\echo :LAST_ERROR_SQLSTATE
SET CLUSTER SETTING jobs.retention_time = '5 parsecs';
SET CLUSTER SETTING jobs.retention_time = '1m1';
SET CLUSTER SETTING jobs.retention_time = '1h', '2h';
SET CLUSTER SETTING kwjobs.job_visibility = everybody;
SET CLUSTER SETTING server_version = '1';
SET CLUSTER SETTING transaction_isolation = serializable;
SET CLUSTER SETTING jobs.retention_time = (NULL);
CALL kwjobs.set_cluster_setting(NULL, '1d');
CALL kwjobs.set_cluster_setting('jobs.retention_time', VARIADIC NULL);
CALL kwjobs.set_cluster_setting('jobs.retention_time', VARIADIC ARRAY['1d', NULL]);
CALL kwjobs.reset_cluster_setting(NULL);
-- misspelt
SET CLUSTER SETTING;
SET CLUSTER SETTING jobs.retention_time;
SET CLUSTER SETTING jobs.retention_time '1d';
SET CLUSTER SETTING jobs.retention_time =;
SET CLUSTER SETTING jobs.retention_time = NULL;
SET CLUSTER SETTING jobs.retention_time = 1, ;
SET CLUSTER SETTING jobs.retention_time = 1, DEFAULT;
SET CLUSTER SETTING jobs.retention_time = 'ü' 5;
SET CLUSTER SETTING jobs. = 1;
SET CLUSTER SETTING 'jobs.retention_time' = 1;
RESET CLUSTER SETTING;
RESET CLUSTER SETTING jobs.retention_time TO 5;
SHOW CLUSTER SETTING;
SHOW CLUSTER SETTING jobs.retention_time, work_mem;
SELECT * FROM [SET CLUSTER SETTING jobs.retention_time = 1];
-- PostgreSQL's own
SET CLUSTER x = 1;
SET cluster.setting = 1;
SHOW cluster.setting;
SHOW cluster;

-- 4. Who may: the admin role kwjobs's own settings, without being a superuser
\set VERBOSITY terse
SET ROLE kwj_operator;
SET CLUSTER SETTING jobs.retention_time = '1d';
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SET CLUSTER SETTING kwjobs.admin_role = kwj_admin;
SET ROLE kwj_operator;
SET CLUSTER SETTING jobs.retention_time = '3d';
SHOW CLUSTER SETTING jobs.retention_time;
SELECT current_user;
RESET CLUSTER SETTING jobs.retention_time;
SHOW CLUSTER SETTING jobs.retention_time;
-- an error leaves the user who it was
SET CLUSTER SETTING jobs.retention_time = 'soon';
SELECT current_user;
DO $$
BEGIN
    BEGIN
        SET CLUSTER SETTING jobs.retention_time = 'soon';
    EXCEPTION WHEN active_sql_transaction OR invalid_parameter_value THEN
        RAISE NOTICE '%', SQLERRM;
    END;
    RAISE NOTICE '%', current_user;
END $$;
SET CLUSTER SETTING sql.stats.automatic_collection.fraction_stale_rows = 0.3;
SHOW CLUSTER SETTING kwjobs.automatic_collection_fraction_stale_rows;
RESET CLUSTER SETTING kwjobs.automatic_collection_fraction_stale_rows;
-- not who is an admin, nor anything of others
SET CLUSTER SETTING kwjobs.admin_role = kwj_operator;
SET CLUSTER SETTING work_mem = '1GB';
RESET CLUSTER SETTING work_mem;
SET CLUSTER SETTING archive_command = 'true';
SET CLUSTER SETTING kwjobs.max_databases = 8;
-- nor what decides who sees what, and what a statement means
SET CLUSTER SETTING kwjobs.job_visibility = owner;
SET CLUSTER SETTING kwjobs.statements = off;
\set VERBOSITY default
RESET CLUSTER SETTING kwjobs.statements;
\set VERBOSITY terse
RESET CLUSTER SETTING kwjobs.job_visibility;
CALL kwjobs.set_cluster_setting('kwjobs.statements', 'off');
SHOW CLUSTER SETTING kwjobs.statements;
RESET ROLE;
SET CLUSTER SETTING kwjobs.job_visibility = owner;
-- nor with the visibility that lets owners control their jobs
SET ROLE kwj_other;
SET CLUSTER SETTING jobs.retention_time = '1d';
RESET CLUSTER SETTING kwjobs.job_visibility;
CALL kwjobs.set_cluster_setting('jobs.retention_time', '1d');
SHOW CLUSTER SETTING kwjobs.job_visibility;
RESET ROLE;
RESET CLUSTER SETTING kwjobs.job_visibility;
RESET CLUSTER SETTING kwjobs.admin_role;
SHOW CLUSTER SETTING kwjobs.admin_role;
SELECT name FROM pg_file_settings WHERE sourcefile ~ 'auto.conf$' AND name ~ 'jobs|path|mem';

DROP ROLE kwj_admin, kwj_operator, kwj_other;
