-- Queues by which jobs are listed, and what happens if another job has the key: on_conflict.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_keys;
RESET client_min_messages;
SET kwjobs.progress_interval = 0;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null NULL
CREATE ROLE kwj_keys LOGIN;
\i `echo "$KWJ_INCLUDE/procedures.sql"`
CREATE VIEW unfinished AS SELECT * FROM kwdb_internal.jobs WHERE finished IS NULL;

-- 1. A queue is given when the job is created, in each of the ways that there are.
SELECT kwjobs.submit('SELECT 1', queue => 'letters', run_at => '2099-01-01') AS job \gset
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 2"}', queue => 'letters, slow', run_at => '2099-01-01') IS NOT NULL AS made;
SELECT kwjobs.submit('SELECT 3', run_at => '2099-01-01') IS NOT NULL AS made;
CALL kwjobs.run('SELECT 4', queue => 'now', job_id => NULL, status => NULL, rows => NULL, tags => NULL) \gset run_
CREATE TABLE keys_target (n integer);
SELECT current_setting('data_directory') || '/keys.csv' AS file \gset
COPY (SELECT 1) TO :'file' CSV;
IMPORT INTO keys_target CSV DATA (:'file') WITH queue = 'imports', detached \gset import_
SET client_min_messages = warning;
SELECT status FROM [SHOW JOB WHEN COMPLETE :import_job_id];
RESET client_min_messages;
SELECT job_type, payload ->> 'statement' AS statement, queue FROM kwdb_internal.jobs
 WHERE status = 'pending' OR job_id IN (:run_job_id, :import_job_id) ORDER BY job_id;
SELECT job_id = :job AS found FROM [SHOW JOBS WHERE queue = 'letters'];
SELECT id = :job AS found, what FROM kwjobs.list JOIN kwjobs.my_jobs ON id = job_id WHERE queue = 'letters';
-- what is no name
CALL fails($$SELECT kwjobs.submit('SELECT 1', queue => '')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', queue => repeat('x', 101))$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', queue => E'two\nlines')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', queue => repeat('x', 3000000))$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', key => '__auto__')$$);
CALL fails(format($$IMPORT INTO keys_target CSV DATA (%L) WITH queue = '', detached$$, :'file'));
SELECT kwjobs.submit('SELECT 1', queue => repeat('x', 100), run_at => '2099-01-01') IS NOT NULL AS longest;
SELECT kwjobs.cancel_jobs(ARRAY(SELECT job_id FROM unfinished WHERE run_at = '2099-01-01')) AS canceled;

-- 2. Another job has the key: keep it, which is the default.
SELECT kwjobs.submit('SELECT 1', key => 'report', queue => 'letters', run_at => '2099-01-01') AS job \gset
SELECT job_id = :job AS same_job, is_new
  FROM kwjobs.submit_job('SELECT 1', key => 'report', queue => 'letters', run_at => '2099-01-01');
SELECT job_id = :job AS same_job, is_new
  FROM kwjobs.submit_job('SELECT 1', key => 'report', queue => 'other', run_at => '2099-01-01', on_conflict => 'keep');
SELECT job_id <> :job AS another_job, is_new FROM kwjobs.submit_job('SELECT 1', key => 'another', run_at => '2099-01-01');
SELECT count(*), bool_and(is_new) AS new FROM (SELECT (kwjobs.submit_job('SELECT 1')).is_new FROM generate_series(1, 3)) AS s;

-- 3. An error.
CALL fails($$SELECT kwjobs.submit('SELECT 1', key => 'report', on_conflict => 'error')$$);
CALL fails($$SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1"}', key => 'report', on_conflict => 'error')$$);
CALL fails(format($$IMPORT INTO keys_target CSV DATA (%L) WITH key = 'report', on_conflict = 'error', detached$$, :'file'));
SELECT is_new FROM kwjobs.submit_job('SELECT 1', key => 'free', on_conflict => 'error', run_at => '2099-01-01');
CALL fails($$SELECT kwjobs.submit('SELECT 1', on_conflict => 'ignore')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', on_conflict => NULL)$$);

-- 4. Replace: the job takes all that is given, and keeps its id.
CALL fails(format($$SELECT kwjobs.submit('SELECT 2', depends_on => %s - 1, key => 'report', on_conflict => 'replace')$$, :job));
CALL fails(format($$SELECT kwjobs.submit('SELECT 2', depends_on => %s, key => 'report', on_conflict => 'replace')$$, :job));
SELECT kwjobs.submit('SELECT 1', run_at => '2099-01-01') AS later \gset
CALL fails(format($$SELECT kwjobs.submit('SELECT 2', depends_on => %s, key => 'report', on_conflict => 'replace')$$, :later));
SELECT kwjobs.submit('SELECT 1', run_at => '2099-01-01', key => 'first of two') AS first \gset
SELECT kwjobs.submit('SELECT 1', run_at => '2099-01-01', key => 'second of two') AS second \gset
SELECT kwjobs.submit('SELECT 2', 'the second', key => 'second of two', queue => 'other', priority => 5, max_attempts => 2,
      retry_initial_delay => '2 s', timeout => '1 h', run_at => '2098-01-01', depends_on => :first,
      on_failure => 'pause', on_revert => 'SELECT 3', settings => '{"work_mem": "1MB"}', tags => ARRAY['a'],
      on_conflict => 'replace') = :second AS same_job;
SELECT description, statement, status, priority, max_attempts, timeout, run_at = '2098-01-01' AS run_at,
       due, waits_for = ARRAY[:first]::bigint[] AS waits, on_failure, payload ->> 'statement' AS does, payload ->> 'on_revert' AS on_revert,
       payload -> 'settings' ->> 'work_mem' AS work_mem, tags, queue
  FROM unfinished WHERE job_id = :second \gx
SELECT retry_delay, has_revert FROM kwjobs.job WHERE job_id = :second;
-- ... and nothing is left of what it was
SELECT kwjobs.create_job('IMPORT', jsonb_build_object('target', 'keys_target', 'files', jsonb_build_array(:'file')),
      key => 'second of two', on_conflict => 'replace') = :second AS same_job;
SET client_min_messages = warning;
SELECT status, job_type FROM [SHOW JOB WHEN COMPLETE :second] AS j;
RESET client_min_messages;
SELECT priority, max_attempts, timeout, run_at, waits_for, on_failure, tags, queue, rows FROM kwdb_internal.jobs WHERE job_id = :second;
-- the key is free again
SELECT job_id <> :second AS another_job, is_new
  FROM kwjobs.submit_job('SELECT 1', key => 'second of two', run_at => '2099-01-01', on_conflict => 'replace');
-- in a transaction that is rolled back
BEGIN;
SELECT kwjobs.submit('SELECT 9', key => 'report', on_conflict => 'replace') = :job AS same_job;
ROLLBACK;
SELECT payload ->> 'statement' AS does, run_at FROM kwdb_internal.jobs WHERE job_id = :job;
-- in PL/pgSQL and as a prepared statement
DO $$
DECLARE
    made record;
BEGIN
    FOR n IN 1..3 LOOP
        SELECT * INTO made FROM kwjobs.submit_job('SELECT ' || n, key => 'loop', run_at => '2099-01-01', on_conflict => 'replace');
        RAISE NOTICE '%', made.is_new;
    END LOOP;
END $$;
PREPARE once AS SELECT (kwjobs.submit_job($1, key => 'loop', run_at => '2099-01-01', on_conflict => 'replace')).is_new;
EXECUTE once('SELECT 10');
EXECUTE once('SELECT 11');
SELECT payload ->> 'statement' AS does FROM unfinished WHERE key = 'loop';
-- a paused job stays paused
SELECT job_id AS loop FROM unfinished WHERE key = 'loop' \gset
PAUSE JOB :loop;
SET client_min_messages = warning;
SELECT kwjobs.submit('SELECT 12', key => 'loop', on_conflict => 'replace') = :loop AS same_job;
RESET client_min_messages;
SELECT status IN ('pause-requested', 'paused') AS paused, payload ->> 'statement' AS does FROM unfinished WHERE job_id = :loop;
CANCEL JOB :later;
SET client_min_messages = warning;
SELECT status FROM [SHOW JOB WHEN COMPLETE :later];
RESET client_min_messages;
-- one that runs, or has run before, is not replaced
SELECT pg_advisory_lock(4712) IS NULL AS locked;
SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4712)', key => 'runs') AS runs \gset
CALL wait_at_gate(:runs);
CALL fails($$SELECT kwjobs.submit('SELECT 12', key => 'runs', on_conflict => 'replace')$$);
SELECT pg_advisory_unlock(4712);
SET client_min_messages = warning;
SELECT status FROM [SHOW JOB WHEN COMPLETE :runs];
RESET client_min_messages;
SELECT kwjobs.submit($$DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''40001''; END'$$, key => 'again', retry_initial_delay => '1 hour') AS again \gset
CALL wait_for_job(format('job_id = %s AND total_num_of_fail = 2', :again));
CALL fails($$SELECT kwjobs.submit('SELECT 12', key => 'again', on_conflict => 'replace')$$);

-- 5. A role replaces only its own jobs, and those of a role as which it may create jobs.
SET ROLE kwj_keys;
SELECT is_new FROM kwjobs.submit_job('SELECT 1', key => 'report', run_at => '2099-01-01', on_conflict => 'replace');
CALL fails(format($$SELECT kwjobs.submit('SELECT 1', key => 'report', run_as => %L, on_conflict => 'replace')$$, session_user::text));
RESET ROLE;
SELECT is_new FROM kwjobs.submit_job('SELECT 2', key => 'report', run_as => 'kwj_keys', run_at => '2099-01-01', on_conflict => 'replace');
SELECT user_name, created_by = session_user AS by_me, payload ->> 'statement' AS does FROM unfinished
 WHERE key = 'report' AND user_name = 'kwj_keys';
-- 6. The row of a job with a key is the same as that of one without, column by column, but for the
-- key, the id and the time.
CREATE FUNCTION row_of(bigint) RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb(j) - '{job_id,key,created,modified,due,rank}'::text[]
        || jsonb_build_object('due', CASE j.due WHEN j.created THEN 'now' ELSE j.due::text END,
                              'rank', j.rank - j.created)
      FROM kwjobs.job AS j WHERE j.job_id = $1 $$;
CREATE FUNCTION differences(options text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    a bigint;
    b bigint;
    n integer;
    different jsonb;
BEGIN
    EXECUTE format('SELECT kwjobs.submit(''SELECT 1'', %s)', options) INTO a;
    EXECUTE format('SELECT kwjobs.submit(''SELECT 1'', key => %L, %s)', md5(options), options) INTO b;
    SELECT count(*), jsonb_object_agg(x.key, ARRAY[x.value, y.value]) FILTER (WHERE x.value IS DISTINCT FROM y.value)
      INTO n, different
      FROM jsonb_each(row_of(a)) AS x FULL JOIN jsonb_each(row_of(b)) AS y USING (key);
    IF n < 50 THEN
        RAISE EXCEPTION 'only % columns', n;
    END IF;
    RETURN different;
END $$;
BEGIN;
SELECT differences('priority => 0') AS plain;
SELECT differences($$ priority => 7, max_attempts => 3, retry_initial_delay => '3s', timeout => '1min', on_revert => 'SELECT 2', on_failure => 'pause', settings => '{"work_mem": "1MB"}' $$) AS many_options;
SELECT differences($$ run_at => '2099-01-01', tags => '{a,b}', queue => 'q', serial_key => 's', notify => 'n' $$) AS other_options;
SELECT differences(format('depends_on => %s', kwjobs.submit('SELECT 1', run_at => '2099-01-01'))) AS depends;
ROLLBACK;
DROP FUNCTION row_of, differences;

-- 7. A user has added a column, and triggers. They see to both kinds of jobs.
BEGIN;
ALTER TABLE kwjobs.job ADD extra integer NOT NULL DEFAULT 5;
CREATE TABLE fired (n bigint);
CREATE FUNCTION note_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.fired SELECT count(*) FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER note_rows AFTER INSERT ON kwjobs.job REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION note_rows();
SELECT kwjobs.submit('SELECT 1') AS plain, kwjobs.submit('SELECT 1', key => 'triggers') AS keyed \gset
SELECT extra, key FROM kwjobs.job WHERE job_id IN (:plain, :keyed) ORDER BY key;
SELECT n FROM fired;
CREATE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER refuse_row BEFORE INSERT ON kwjobs.job FOR EACH ROW EXECUTE FUNCTION refuse_row();
CALL fails($$SELECT kwjobs.submit('SELECT 1')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', key => 'refused')$$);
ROLLBACK;

SELECT array_agg(job_id) AS ids FROM unfinished WHERE key IS NOT NULL \gset
SELECT kwjobs.cancel_jobs(:'ids') AS canceled;
SET client_min_messages = warning;
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE SELECT unnest(:'ids'::bigint[])];
RESET client_min_messages;
DROP VIEW unfinished;
DROP TABLE keys_target;
DROP ROLE kwj_keys;
