-- kwjobs.why says why a job does not run, and what to type; statements that wait say it, too.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_why, kwj_curious;
RESET client_min_messages;
CREATE ROLE kwj_why LOGIN;
CREATE ROLE kwj_curious LOGIN;

-- the text without ids, times and pids
CREATE FUNCTION why(job bigint) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(regexp_replace(regexp_replace(line, '\d{4}-\d\d-\d\d[^.,:;]*:\d\d:[^.,:;]*(\.\d+)?([+-]\d\d)?', 'TIME', 'g'),
                          '\d{10,}', 'N', 'g'), '(P|p)rocess \d+', '\1rocess PID', 'g')
      FROM regexp_split_to_table(kwjobs.why(job), '\n') AS line
$$;
\i `echo "$KWJ_INCLUDE/procedures.sql"`

-- 1. It waits: for a time, for another job, for a retry.
SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow') AS later \gset
SELECT * FROM why(:later);
SELECT kwjobs.submit('SELECT 1', depends_on => :later) AS dependent \gset
SELECT * FROM why(:dependent);
SELECT kwjobs.submit('SELECT 1/n FROM (VALUES (0)) AS t (n)', on_failure => 'retry',
                     retry_initial_delay => '1 hour', max_attempts => 9) AS retried \gset
-- the first retry comes after a second at most, the next one after an hour
CALL wait_for_job(format('job_id = %s AND status = ''pending'' AND total_num_of_ex = 2', :retried));
SELECT * FROM why(:retried);

-- 2. It is paused: by somebody, or because of an error.
PAUSE JOB :later WITH REASON = 'look first';
CALL wait_for_status(:later, 'paused');
SELECT running_status FROM kwdb_internal.jobs WHERE job_id = :later;
SELECT * FROM why(:later);
SELECT why FROM kwjobs.list WHERE id = :later;
SELECT kwjobs.submit('SELECT 1/0', on_failure => 'pause') AS broken \gset
CALL wait_for_status(:broken, 'paused');
SELECT running_status FROM kwdb_internal.jobs WHERE job_id = :broken;
SELECT * FROM why(:broken);
-- a long reason is cut, and only its first line is shown
PAUSE JOB :dependent WITH REASON = E'one line\nand another';
CALL wait_for_status(:dependent, 'paused');
SELECT running_status FROM kwdb_internal.jobs WHERE job_id = :dependent;
SELECT kwjobs.resume(:dependent), kwjobs.pause(:dependent, repeat('ä', 1000));
CALL wait_for_status(:dependent, 'paused');
SELECT length(running_status), right(running_status, 5) FROM kwdb_internal.jobs WHERE job_id = :dependent;

-- 3. It is over.
SELECT kwjobs.submit('SELECT 1') AS good, kwjobs.submit('SELECT 1/0') AS bad \gset
SELECT status FROM kwjobs.wait(:good);
SELECT status FROM kwjobs.wait(:bad);
SELECT * FROM why(:good);
SELECT * FROM why(:bad);
-- with its hint, and its place
SELECT kwjobs.submit('SELECT 1', depends_on => :bad) AS failed_with_it \gset
SELECT status FROM kwjobs.wait(:failed_with_it);
SELECT * FROM why(:failed_with_it);
CREATE TABLE why_target (a integer);
\set wrong /proc/self/cwd/kwj_why.csv
COPY (VALUES ('1'), ('x')) TO :'wrong';
SELECT kwjobs.import('why_target', ARRAY[:'wrong']) AS wrong_file \gset
SELECT status FROM kwjobs.wait(:wrong_file);
SELECT * FROM why(:wrong_file);
DROP TABLE why_target;
CANCEL JOB :later;
SELECT status FROM kwjobs.wait(:later);
SELECT * FROM why(:later);

-- 4. Who may ask.
SELECT kwjobs.why(NULL);
SELECT kwjobs.why(12);
SET ROLE kwj_curious;
\set VERBOSITY sqlstate
SELECT kwjobs.why(:bad);
\set VERBOSITY default
RESET ROLE;
SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow', run_as => 'kwj_why') AS own \gset
SET ROLE kwj_why;
SELECT * FROM why(:own);
SELECT kwjobs.pause(:own);
CALL wait_for_status(:own, 'paused');
RESET ROLE;
SELECT kwjobs.cancel_jobs(ARRAY[:broken, :retried, :own]) AS canceled;
-- in an aborted transaction, a prepared statement, a read-only transaction
BEGIN;
SELECT 1/0;
SELECT kwjobs.why(:good);
ROLLBACK;
PREPARE p AS SELECT count(*) FROM why($1);
EXECUTE p(:good);
BEGIN TRANSACTION READ ONLY;
SELECT count(*) FROM why(:good);
COMMIT;
SET client_min_messages = error;
DROP ROLE kwj_why, kwj_curious;
