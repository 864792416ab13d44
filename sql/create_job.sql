-- One door for jobs of all types: kwjobs.create_job, and the options of all jobs in IMPORT.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
SET kwjobs.progress_interval = 0;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null NULL
CREATE TABLE target (n integer, t text);
COPY (SELECT n, 'row ' || n FROM generate_series(1, 3) AS n) TO '/proc/self/cwd/kwj_create_job.csv' CSV;

-- SQL
SELECT kwjobs.create_job('SQL', '{"statement": "INSERT INTO target VALUES (0, ''by SQL'')"}') AS job \gset
SELECT status, job_type, description FROM [SHOW JOB WHEN COMPLETE :job];
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1 / 0", "on_revert": "SELECT 2", "settings": {"work_mem": "1MB"}}',
    'a job that fails', max_attempts => 1, priority => 7, on_failure => 'retry') AS job \gset
SELECT status, description, error FROM [SHOW JOB WHEN COMPLETE :job];
SELECT priority, max_attempts, on_failure, payload ->> 'on_revert' AS on_revert, payload -> 'settings' ->> 'work_mem' AS work_mem
  FROM kwjobs.job WHERE job_id = :job;


-- IMPORT
SELECT kwjobs.create_job('IMPORT', '{"target": "target", "files": ["/proc/self/cwd/kwj_create_job.csv"], "options": {"skip": 1}}',
    timeout => '1 hour') AS job \gset
SELECT status, description, rows FROM [SHOW JOB WHEN COMPLETE :job] AS j JOIN kwdb_internal.jobs USING (job_id, status, description);
SELECT timeout FROM kwjobs.job WHERE job_id = :job;
IMPORT INTO target (t) CSV DATA ('/proc/self/cwd/kwj_create_job.csv') WITH priority = '3', key = 'nightly', detached \gset import_
SELECT error FROM [SHOW JOB WHEN COMPLETE :import_job_id];
IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_create_job.csv')
    WITH priority = '3', timeout = '1 minute', max_attempts = '2', retry_initial_delay = '2s', on_failure = 'fail', description = 'three rows', skip = '1', detached \gset import_
SELECT status, description FROM [SHOW JOB WHEN COMPLETE :import_job_id];
SELECT priority, timeout, max_attempts, retry_delay, on_failure FROM kwjobs.job WHERE job_id = :import_job_id;
SELECT kwjobs.import('target', ARRAY['/proc/self/cwd/kwj_create_job.csv'], options => jsonb_build_object('depends_on', jsonb_build_array(:import_job_id), 'run_at', now() - interval '1 day')) AS job \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job];
SELECT run_at < now() AS ran_late FROM kwjobs.job WHERE job_id = :job;

-- What is wrong changes nothing.
SELECT count(*) AS before FROM kwjobs.job \gset
SELECT kwjobs.create_job(NULL);
SELECT kwjobs.create_job('NONE');
SELECT kwjobs.create_job('RESTART');
SELECT kwjobs.create_job('SQL');
SELECT kwjobs.create_job('SQL', '[]');
SELECT kwjobs.create_job('SQL', '{"statement": ["SELECT 1"]}');
SELECT kwjobs.create_job('SQL', '{"statement": "SELEC 1"}');
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1", "settings": 1}');
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1", "priority": 1}');
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1"}', priority => NULL);
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1"}', priority => 1001);
SELECT kwjobs.create_job('IMPORT', '{"files": ["/proc/self/cwd/kwj_create_job.csv"]}');
SELECT kwjobs.create_job('IMPORT', '{"target": "target", "files": "/proc/self/cwd/kwj_create_job.csv"}');
SELECT kwjobs.create_job('IMPORT', '{"target": "nosuch", "files": ["/proc/self/cwd/kwj_create_job.csv"]}');
SELECT kwjobs.create_job('IMPORT', '{"target": "target"}');
IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_create_job.csv') WITH priority = 'high';
IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_create_job.csv') WITH priority = '1001';
IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_create_job.csv') WITH run_at = 'never';
IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_create_job.csv') WITH on_failure = 'panic';
IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_create_job.csv') WITH depends_on = 'x';
IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_create_job.csv') WITH run_as = 'nosuch';
SELECT count(*) - :before AS created FROM kwjobs.job;

-- As another role: its rights count, and it owns the job.
CREATE ROLE create_job_loader LOGIN;
IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_create_job.csv') WITH run_as = 'create_job_loader';
GRANT pg_read_server_files TO create_job_loader;
IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_create_job.csv') WITH run_as = 'create_job_loader';
GRANT INSERT ON target TO create_job_loader;
IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_create_job.csv') WITH run_as = 'create_job_loader', detached \gset import_
SELECT status, user_name FROM [SHOW JOB WHEN COMPLETE :import_job_id];
SET ROLE create_job_loader;
SELECT kwjobs.create_job('IMPORT', '{"target": "target", "files": ["/proc/self/cwd/kwj_create_job.csv"], "options": {"run_as": "postgres"}}');
RESET ROLE;
SELECT count(*) FROM target;
DELETE FROM kwjobs.job;
DROP TABLE target;
DROP OWNED BY create_job_loader;
DROP ROLE create_job_loader;
