-- BACKUP, RESTORE and SHOW BACKUP: syntax, options, errors, rights. t/145 and t/146 run them.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
\set VERBOSITY default
CREATE TABLE b (n integer);
CREATE TABLE "odd.na""me" (n integer);
CREATE VIEW bv AS SELECT 1 AS n;
CREATE ROLE regress_saver LOGIN;
CREATE ROLE regress_plain LOGIN;
GRANT pg_write_server_files, pg_read_server_files TO regress_saver;
GRANT SELECT ON b TO regress_saver;

-- No worker starts one of the jobs below.
SELECT kwjobs.hold() IS NOT NULL AS held;
-- Each new job would say that it waits, since when.
SET client_min_messages = warning;

-- 1. What becomes of a statement: the job's description and payload
CREATE FUNCTION made(job_id bigint) RETURNS TABLE (description text, payload jsonb) LANGUAGE sql AS
$$ SELECT j.description, j.payload FROM kwjobs.job AS j WHERE j.job_id = made.job_id $$;
BACKUP TO '/tmp/regress_none' WITH detached \gset
SELECT * FROM made(:job_id);
BACKUP DATABASE contrib_regression TO '/tmp//regress_none/' WITH detached, compress = 0, thread_concurrency = 4, lock_timeout = '2s', schema_only \gset
SELECT * FROM made(:job_id);
BACKUP TABLE b, public/* of a schema */."odd.na""me" , bv TO ('/tmp/regress_none') WITH OPTIONS (detached, priority = 3) \gset
SELECT * FROM made(:job_id);
BACKUP b TO '/tmp/regress_none' WITH detached \gset
SELECT * FROM made(:job_id);
SELECT * FROM made(kwjobs.backup('/tmp/regress_none', ARRAY['b']));
SELECT * FROM made(kwjobs.create_job('BACKUP', '{"directory": "/tmp/regress_none", "options": {"schema_only": false}}'));

-- 2. Where a statement may stand
PREPARE prepared (text) AS BACKUP TABLE b TO $1 WITH detached;
EXECUTE prepared('/tmp/regress_none') \gset
SELECT description FROM made(:job_id);
DO $$ DECLARE backup text := '/tmp/regress_none'; id bigint; BEGIN
    backup := backup || '2';
    BACKUP TABLE b TO backup WITH detached;
EXCEPTION WHEN syntax_error THEN
    RAISE WARNING '%', SQLERRM;
END $$;
DO $$ DECLARE backup text := '/tmp/regress_none'; id bigint; BEGIN
    EXECUTE 'BACKUP TABLE b TO $1 WITH detached' INTO id USING backup;
    RAISE WARNING '%', (SELECT description FROM made(id));
END $$;
BEGIN;
BACKUP TO '/tmp/regress_none';
ROLLBACK;
BEGIN;
BACKUP TABLE b TO '/tmp/regress_none' WITH detached \gset
SELECT description FROM made(:job_id);
ROLLBACK;
SELECT count(*) FROM made(:job_id);
BEGIN;
SELECT 1 / 0;
BACKUP TO '/tmp/regress_none';
RESTORE FROM '/tmp/regress_none';
ROLLBACK;
SET default_transaction_read_only = on;
BACKUP TO '/tmp/regress_none' WITH detached;
RESTORE FROM '/tmp/regress_none' WITH detached;
RESET default_transaction_read_only;
SELECT * FROM [BACKUP TO '/tmp/regress_none'];

-- 3. What is refused
BACKUP TO 'relative';
BACKUP TO '';
BACKUP TO '/';
BACKUP TO '/tmp/../tmp/x';
BACKUP TO 's3://bucket/x';
BACKUP TO '/nonexistent/x';
BACKUP TO NULL;
SELECT kwjobs.backup(NULL);
BACKUP DATABASE nowhere TO '/tmp/regress_none';
BACKUP TABLE nothing TO '/tmp/regress_none';
BACKUP TABLE a.b.c.d TO '/tmp/regress_none';
SELECT kwjobs.backup('/tmp/regress_none', '{}');
SELECT kwjobs.backup('/tmp/regress_none', ARRAY[NULL]);
CREATE INDEX bi ON b (n);
BACKUP TABLE bi TO '/tmp/regress_none';
CREATE TEMPORARY TABLE temporary (n integer);
BACKUP TABLE temporary TO '/tmp/regress_none';
-- the hint depends on the version
\set VERBOSITY terse
BACKUP TO '/tmp/regress_none' WITH compress;
BACKUP TO '/tmp/regress_none' WITH compress = 10;
BACKUP TO '/tmp/regress_none' WITH compress = 'zip:1';
\set VERBOSITY default
BACKUP TO '/tmp/regress_none' WITH thread_concurrency = 0;
BACKUP TO '/tmp/regress_none' WITH thread_concurrency = 'x';
BACKUP TO '/tmp/regress_none' WITH lock_timeout = '-1';
BACKUP TO '/tmp/regress_none' WITH lock_timeout = '1 fortnight';
BACKUP TO '/tmp/regress_none' WITH schema_only = 'perhaps';
SELECT kwjobs.backup('/tmp/regress_none', options => '{"verify": false}');
SELECT kwjobs.backup('/tmp/regress_none', options => '{"thread_concurrency": false}');
BACKUP TO '/tmp/regress_none' WITH encryption_passphrase = 'x';
BACKUP TO '/tmp/regress_none' WITH jobs = 2;
BACKUP TO '/tmp/regress_none' WITH priority = 'x';
SELECT kwjobs.create_job('BACKUP', '{}');
SELECT kwjobs.create_job('BACKUP', '{"directory": "/tmp/regress_none", "dir": 1}');
SELECT kwjobs.create_job('RESTORE', '{"database": "x"}');
RESTORE FROM '/tmp';
RESTORE FROM '/nonexistent/x';
RESTORE FROM '/tmp' WITH into_db;
SELECT kwjobs.restore('/tmp', options => '{"into_db": false}');
RESTORE FROM '/tmp' WITH into_db = '';
RESTORE FROM '/tmp' WITH no_owner = 'x';
RESTORE FROM '/tmp' WITH thread_concurrency = 33;
RESTORE FROM '/tmp' WITH skip_missing_views;
SHOW BACKUP '/tmp';
SHOW BACKUP 'x';
SHOW BACKUP '/tmp' '/tmp';
SHOW BACKUP /tmp;
SHOW backup;
SELECT * FROM kwjobs.show_backup(NULL);

-- 4. Rights
SET SESSION AUTHORIZATION regress_plain;
SELECT kwjobs.backup('/tmp/regress_none');
SELECT kwjobs.restore('/tmp');
SELECT * FROM kwjobs.show_backup('/tmp');
SET SESSION AUTHORIZATION regress_saver;
SELECT kwjobs.backup('/tmp/regress_none', ARRAY['b']) > 0 AS created;
SELECT kwjobs.backup('/tmp/regress_none', ARRAY['"odd.na""me"']);
RESET SESSION AUTHORIZATION;
BACKUP TABLE bv TO '/tmp/regress_none' WITH run_as = 'regress_saver';
BACKUP TABLE b TO '/tmp/regress_none' WITH run_as = 'regress_plain';

-- 5. Control: a job that has not begun has nothing to revert.
CANCEL JOBS (SELECT job_id FROM kwdb_internal.jobs WHERE job_type = 'BACKUP');
SELECT count(*) FROM kwjobs.when_complete(ARRAY(SELECT job_id FROM kwdb_internal.jobs WHERE job_type = 'BACKUP'));
SELECT job_type, status, count(*) FROM kwdb_internal.jobs WHERE job_type IN ('BACKUP', 'RESTORE') GROUP BY 1, 2;

SELECT kwjobs.release() IS NOT NULL AS released;
SELECT kwjobs.delete_jobs(array_agg(job_id)) > 0 AS deleted FROM kwdb_internal.jobs WHERE job_type = 'BACKUP';
DROP VIEW bv;
DROP TABLE b, "odd.na""me", temporary;
DROP FUNCTION made(bigint);
REVOKE pg_write_server_files, pg_read_server_files FROM regress_saver;
DROP ROLE regress_saver, regress_plain;
