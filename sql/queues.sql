-- Queues with a limit: kwjobs.set_queue.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_queue_1, kwj_queue_2;
-- the NOTICEs of sessions that wait depend on how long that takes
SET kwjobs.progress_interval = 0;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null NULL
CREATE ROLE kwj_queue_1 LOGIN;
CREATE ROLE kwj_queue_2 LOGIN;
\i `echo "$KWJ_INCLUDE/procedures.sql"`
CREATE TABLE done (n serial, what text);
CREATE FUNCTION pass(what text) RETURNS void LANGUAGE sql SET search_path = public AS $$
    SELECT pg_advisory_xact_lock_shared(4714);
    INSERT INTO done (what) VALUES (what);
$$;
GRANT ALL ON done, done_n_seq TO PUBLIC;

-- 1. Who may set a limit, and to what.
SET ROLE kwj_queue_1;
CALL fails($$SELECT kwjobs.set_queue('mail', 1)$$);
RESET ROLE;
CALL fails($$SELECT kwjobs.set_queue(NULL, 1)$$);
CALL fails($$SELECT kwjobs.set_queue('', 1)$$);
CALL fails($$SELECT kwjobs.set_queue('mail', -1)$$);
SELECT kwjobs.set_queue('mail', 3);
SELECT kwjobs.set_queue('mail', 2);
SELECT name, max_running, running, waiting, changed IS NOT NULL AS changed, changed_by = session_user AS by_me FROM kwjobs.queues;

-- 2. No more run than the limit says; the owners take turns.
SELECT pg_advisory_lock(4714) IS NOT NULL AS closed;
SELECT kwjobs.submit('SELECT pass(''a'')', 'a', queue => 'mail') AS a \gset
SELECT kwjobs.submit('SELECT pass(''b'')', 'b', queue => 'mail') AS b \gset
CALL wait_for_job(format('job_id IN (%s, %s) AND status = ''running'' HAVING count(*) = 2', :a, :b));
SET ROLE kwj_queue_1;
SELECT array_agg(kwjobs.submit(format('SELECT public.pass(%L)', 'c' || n), 'c' || n, queue => 'mail')) AS c FROM generate_series(1, 3) AS n \gset
SET ROLE kwj_queue_2;
SELECT kwjobs.submit('SELECT public.pass(''d'')', 'd', queue => 'mail') AS d \gset
RESET ROLE;
SELECT kwjobs.submit('SELECT pass(''other'')', 'other', queue => 'other') AS other \gset
CALL wait_for_job(format('(job_id = ANY (%L) OR job_id = %s) AND due = ''infinity'' HAVING count(*) = 4', :'c', :d));
CALL wait_for_status(:other, 'running');
SELECT name, max_running, running, waiting FROM kwjobs.queues;
SELECT running_status FROM kwdb_internal.jobs WHERE job_id = :d;
SELECT running_status FROM kwjobs.wait(:d, '1 ms');
SELECT same(kwjobs.why(:d)) AS why;
CALL fails(format('SELECT kwjobs.run_now(%s)', :d));
-- the next place is for an owner who has none
SELECT kwjobs.set_queue('mail', 3);
CALL wait_for_job(format('job_id = ANY (%L) AND due < ''infinity''', :'c'));
SELECT kwjobs.set_queue('mail', 4);
CALL wait_for_job(format('job_id = %s AND due < ''infinity''', :d));
SELECT count(*) AS waiting FROM kwdb_internal.jobs WHERE job_id = ANY (:'c') AND due = 'infinity';
SELECT pg_advisory_unlock(4714);
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE SELECT unnest(:'c'::bigint[] || ARRAY[:a, :b, :d, :other])];

-- 3. One after the other, in order; 0 holds all; NULL lets all go.
SELECT kwjobs.set_queue('mail', 0);
SELECT array_agg(kwjobs.submit(format('SELECT pass(%L)', 'e' || n), queue => 'mail', priority => n)) AS e FROM generate_series(1, 5) AS n \gset
CALL wait_for_job(format('job_id = ANY (%L) AND due = ''infinity'' HAVING count(*) = 5', :'e'));
SELECT DISTINCT status, running_status FROM kwdb_internal.jobs WHERE job_id = ANY (:'e');
SELECT kwjobs.set_queue('mail', 1);
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE SELECT unnest(:'e'::bigint[])];
SELECT string_agg(what, ' ' ORDER BY n) AS in_order FROM done WHERE what LIKE 'e%';
SELECT kwjobs.set_queue('mail', 0);
SELECT array_agg(kwjobs.submit(format('SELECT pass(%L)', 'f' || n), queue => 'mail')) AS f FROM generate_series(1, 5) AS n \gset
CALL wait_for_job(format('job_id = ANY (%L) AND due = ''infinity'' HAVING count(*) = 5', :'f'));
BEGIN;
SELECT kwjobs.set_queue('mail', 5);
ROLLBACK;
SELECT max_running, waiting FROM kwjobs.queues;
SELECT kwjobs.set_queue('mail', NULL);
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE SELECT unnest(:'f'::bigint[])];

-- 4. A limit takes effect at once: also for jobs that are ready already.
SELECT pg_advisory_lock(4714) IS NOT NULL AS closed;
SELECT array_agg(kwjobs.submit(format('SELECT pass(%L)', 'g' || n), queue => 'late')) AS g FROM generate_series(1, 20) AS n \gset
CALL wait_for_job(format('job_id = ANY (%L) AND status = ''running''', :'g'));
SELECT kwjobs.set_queue('late', 1);
CALL wait_for_job(format('job_id = ANY (%L) AND status = ''pending'' AND due = ''infinity''', :'g'));
SELECT count(*) AS ready FROM kwjobs.job WHERE job_id = ANY (:'g') AND rank IS NOT NULL;
SELECT pg_advisory_unlock(4714);
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE SELECT unnest(:'g'::bigint[])];

-- A query that shows many jobs of a held queue reads the holds once.
SELECT kwjobs.hold(queue => 'late');
SELECT array_agg(kwjobs.submit('SELECT 1', queue => 'late')) AS l FROM generate_series(1, 5) \gset
CALL wait_for_job(format('job_id = ANY (%L) AND due = ''infinity'' HAVING count(*) = 5', :'l'));
BEGIN;
SELECT seq_scan AS before FROM pg_stat_xact_all_tables WHERE relid = 'kwjobs.hold'::regclass \gset
SELECT count(*) FROM kwdb_internal.jobs WHERE job_id = ANY (:'l') AND running_status LIKE 'held by %';
SELECT seq_scan - :before AS scans FROM pg_stat_xact_all_tables WHERE relid = 'kwjobs.hold'::regclass;
COMMIT;
SELECT kwjobs.release(queue => 'late');
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE SELECT unnest(:'l'::bigint[])];

-- 5. A place is free when the job that has it is paused, waits for its next attempt, or ends.
SELECT kwjobs.set_queue('mail', 1);
SELECT pg_advisory_lock(4714) IS NOT NULL AS closed;
SELECT kwjobs.submit('SELECT pass(''h'')', queue => 'mail') AS h \gset
CALL wait_for_status(:h, 'running');
SELECT kwjobs.submit($$DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''40001''; END'$$, queue => 'mail', retry_initial_delay => '1 hour') AS i \gset
SELECT kwjobs.submit('SELECT 1 / 0', queue => 'mail') AS j \gset
SELECT kwjobs.submit('SELECT 1', queue => 'mail') AS k \gset
CALL wait_for_job(format('job_id IN (%s, %s, %s) AND due = ''infinity'' HAVING count(*) = 3', :i, :j, :k));
PAUSE JOB :h;
SELECT job_id = :k AS last, status FROM [SHOW JOBS WHEN COMPLETE VALUES (:j), (:k)] ORDER BY job_id;
CALL wait_for_job(format('job_id = %s AND total_num_of_fail = 2 AND status = ''pending''', :i));
SELECT job_id = :h AS paused, status FROM kwdb_internal.jobs WHERE job_id IN (:h, :i) ORDER BY job_id;
SELECT pg_advisory_unlock(4714);
RESUME JOB :h;
SELECT status FROM [SHOW JOB WHEN COMPLETE :h];
CANCEL JOB :i;
SELECT status FROM [SHOW JOB WHEN COMPLETE :i];

-- 6. With a serial key: first its turn, then a place.
SELECT pg_advisory_lock(4714) IS NOT NULL AS closed;
SELECT kwjobs.submit('SELECT pass(''l'')', 'l', queue => 'mail', serial_key => 'k') AS l \gset
CALL wait_for_status(:l, 'running');
SELECT kwjobs.submit('SELECT pass(''m'')', 'm', queue => 'mail', serial_key => 'k') AS m \gset
SELECT kwjobs.submit('SELECT pass(''n'')', 'n', queue => 'mail', serial_key => 'other') AS n \gset
SELECT kwjobs.submit('SELECT pass(''o'')', 'o', queue => 'mail') AS o \gset
CALL wait_for_job(format('job_id IN (%s, %s, %s) AND due = ''infinity'' HAVING count(*) = 3', :m, :n, :o));
SELECT description, same(running_status) AS why FROM kwdb_internal.jobs WHERE job_id IN (:m, :n, :o) ORDER BY job_id;
SELECT pg_advisory_unlock(4714);
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE VALUES (:l), (:m), (:n), (:o)];
SELECT string_agg(what, ' ' ORDER BY n) AS in_order FROM done WHERE what IN ('l', 'm');
SELECT kwjobs.set_queue(name, NULL) FROM kwjobs.queues;
DROP FUNCTION pass(text);
DROP TABLE done;
DELETE FROM kwjobs.queue;
DROP ROLE kwj_queue_1, kwj_queue_2;
