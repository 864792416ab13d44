-- The option notify: which channels it takes, and where it is shown. t/116_notify.pl listens.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
CREATE TABLE notify_target (n integer);
COPY (SELECT 1) TO '/proc/self/cwd/kwj_notify.csv' CSV;
SELECT current_setting('data_directory') || '/kwj_notify.csv' AS file \gset

-- 1. Names that NOTIFY does not take are errors, and no job is created.
SELECT kwjobs.submit('SELECT 1', notify => '');
SELECT kwjobs.submit('SELECT 1', notify => repeat('x', 64));
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1"}', notify => repeat('x', 1000));
CALL kwjobs.run('SELECT 1', notify => '');
\set VERBOSITY sqlstate
SELECT kwjobs.submit('SELECT 1', notify => repeat('x', 2000000));
\set VERBOSITY default
SELECT kwjobs.import('notify_target', ARRAY[:'file'], options => '{"notify": ""}');
SELECT count(*) FROM kwdb_internal.jobs WHERE notify IS NOT NULL;

-- 2. The longest name, and one that an identifier would need quotes for.
SELECT kwjobs.submit('SELECT 1', notify => repeat('x', 63)) AS longest,
       kwjobs.submit('SELECT 2', notify => 'My "Channel"') AS quoted,
       kwjobs.create_job('SQL', '{"statement": "SELECT 3"}', notify => 'third') AS third,
       kwjobs.import('notify_target', ARRAY[:'file'], options => '{"notify": "imported"}') AS imported,
       kwjobs.submit('SELECT 4', notify => NULL) AS none \gset
SELECT job_type, notify, status FROM kwjobs.when_complete(ARRAY[:longest, :quoted, :third, :imported, :none]) ORDER BY job_id;
CALL kwjobs.run('SELECT 5', notify => 'run', job_id => NULL, status => NULL, rows => NULL, tags => NULL) \gset
SELECT notify, status FROM kwdb_internal.jobs WHERE job_id = :job_id;
SELECT kwjobs.import('notify_target', ARRAY[:'file'], options => '{"run_at": "tomorrow", "notify": "later", "key": "told"}') AS later \gset
SELECT notify FROM kwjobs.my_jobs WHERE job_id = :later;

-- 3. A job with the same key and another channel differs.
SELECT kwjobs.submit('SELECT 6', key => 'told twice', run_at => '2099-01-01', notify => 'one') AS job \gset
SELECT kwjobs.submit('SELECT 6', key => 'told twice', run_at => '2099-01-01', notify => 'one') = :job AS same;
SELECT kwjobs.submit('SELECT 6', key => 'told twice', run_at => '2099-01-01') = :job AS same;
SELECT kwjobs.submit('SELECT 6', key => 'told twice', run_at => '2099-01-01', notify => 'two', on_conflict => 'replace') = :job AS same;
SELECT notify FROM kwdb_internal.jobs WHERE job_id = :job;

SELECT kwjobs.cancel(:job), kwjobs.cancel(:later);
SELECT status FROM kwjobs.when_complete(ARRAY[:job, :later]);
DROP TABLE notify_target;
COPY (SELECT WHERE false) TO PROGRAM 'rm -f kwj_notify.csv';
