-- Serial keys: of a role's jobs with the same serial key one runs at a time, in order.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_serial;
-- the NOTICEs of sessions that wait depend on how long that takes
SET kwjobs.progress_interval = 0;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null NULL
CREATE ROLE kwj_serial LOGIN;
\i `echo "$KWJ_INCLUDE/procedures.sql"`
CREATE TABLE done (n serial, what text);
CREATE FUNCTION pass(what text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock_shared(4713);
    INSERT INTO done (what) VALUES (what);
$$;
GRANT ALL ON done, done_n_seq TO kwj_serial;
-- the unfinished jobs, and the letters of those that they wait for
CREATE VIEW waiting AS
SELECT j.description AS job, j.status, regexp_replace(j.running_status, '\d{10,}', coalesce(o.description, '?')) AS why
  FROM kwdb_internal.jobs AS j
  LEFT JOIN kwdb_internal.jobs AS o ON o.job_id::text = substring(j.running_status FROM '\d{10,}')
 WHERE j.finished IS NULL AND j.key IS NULL ORDER BY j.job_id;

-- 1. The first has the turn; the others wait, in order, and say for whom.
SELECT pg_advisory_lock(4713) IS NOT NULL AS closed;
SELECT kwjobs.submit('SELECT pass(''a'')', 'a', serial_key => 'tenant 7') AS a \gset
SELECT kwjobs.submit('SELECT pass(''b'')', 'b', serial_key => 'tenant 7') AS b \gset
SELECT kwjobs.submit('SELECT pass(''c'')', 'c', serial_key => 'tenant 7', priority => 1000) AS c \gset
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT pass(''d'')"}', 'd', serial_key => 'tenant 7') AS d \gset
-- those whose time has not come, or that wait for others, are not in line
SELECT kwjobs.submit('SELECT pass(''e'')', 'e', serial_key => 'tenant 7', run_at => '2099-01-01') AS e \gset
SELECT kwjobs.submit('SELECT pass(''f'')', 'f', serial_key => 'tenant 7', depends_on => :e) AS f \gset
SELECT kwjobs.submit('SELECT pass(''g'')', 'g', serial_key => 'tenant 8') AS g \gset
SET ROLE kwj_serial;
SELECT kwjobs.submit('SELECT public.pass(''h'')', 'h', serial_key => 'tenant 7') AS h \gset
RESET ROLE;
CALL wait_for_job(format('job_id IN (%s) AND status = ''running'' HAVING count(*) = 3', concat_ws(',', :a, :g, :h)));
CALL wait_for_job(format('job_id IN (%s) AND due = ''infinity'' HAVING count(*) = 3', concat_ws(',', :b, :c, :d)));
SELECT job, status, why FROM waiting WHERE job NOT IN ('a', 'e', 'g', 'h');
SELECT serial_key, count(*) FROM kwdb_internal.jobs WHERE finished IS NULL GROUP BY serial_key ORDER BY serial_key;
CALL fails(format('SELECT kwjobs.run_now(%s)', :b));
SELECT status, same(running_status) AS why FROM kwjobs.wait(:b, '1 ms');
SELECT same(kwjobs.why(:b)) AS why;
SELECT pg_advisory_unlock(4713);
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE VALUES (:a), (:b), (:c), (:d), (:g), (:h)];
SELECT string_agg(what, ' ' ORDER BY n) AS in_order FROM done WHERE what IN ('a', 'b', 'c', 'd');
SELECT kwjobs.run_now(:e);
SELECT status FROM [SHOW JOB WHEN COMPLETE :f];
SELECT string_agg(what, ' ' ORDER BY n) AS in_order FROM done WHERE what IN ('e', 'f');
CALL wait_until('NOT EXISTS (SELECT FROM kwjobs.job WHERE line IS NOT NULL) AND NOT EXISTS (SELECT FROM kwjobs.left_line)');

-- 2. The first stays the first while it is paused, or waits for its next attempt.
SELECT pg_advisory_lock(4713) IS NOT NULL AS closed;
SELECT kwjobs.submit('SELECT pass(''i'')', 'i', serial_key => 'k') AS i \gset
CALL wait_for_status(:i, 'running');
SELECT kwjobs.submit('SELECT pass(''j'')', 'j', serial_key => 'k') AS j \gset
PAUSE JOB :i;
CALL wait_for_status(:i, 'paused');
CALL wait_for_job(format('job_id = %s AND due = ''infinity''', :j));
SELECT job, status, why FROM waiting WHERE job = 'j';
-- one that is paused in line keeps its place, too
PAUSE JOB :j;
CALL wait_for_status(:j, 'paused');
SELECT kwjobs.submit('SELECT pass(''k'')', 'k', serial_key => 'k') AS k \gset
RESUME JOB :j;
CALL wait_for_job(format('job_id = %s AND status = ''pending'' AND due = ''infinity''', :j));
SELECT pg_advisory_unlock(4713);
RESUME JOB :i;
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE VALUES (:i), (:j), (:k)];
SELECT string_agg(what, ' ' ORDER BY n) AS in_order FROM done WHERE what IN ('i', 'j', 'k');
SELECT kwjobs.submit($$DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''40001''; END'$$, 'l', serial_key => 'k', retry_initial_delay => '1 hour') AS l \gset
CALL wait_for_job(format('job_id = %s AND total_num_of_fail = 2 AND status = ''pending''', :l));
SELECT kwjobs.submit('SELECT pass(''m'')', 'm', serial_key => 'k') AS m \gset
CALL wait_for_job(format('job_id = %s AND due = ''infinity''', :m));
SELECT job, status, why FROM waiting WHERE job = 'm';
-- whatever ends the first gives the turn to the next
CANCEL JOB :l;
SELECT status FROM [SHOW JOB WHEN COMPLETE :m];
SELECT kwjobs.submit('SELECT 1 / 0', 'n', serial_key => 'k') AS n \gset
SELECT kwjobs.submit('SELECT pass(''o'')', 'o', serial_key => 'k') AS o \gset
SELECT job_id = :n AS first, status FROM [SHOW JOBS WHEN COMPLETE VALUES (:n), (:o)] ORDER BY job_id;
-- one that failed enters anew when it is retried
SELECT pg_advisory_lock(4713) IS NOT NULL AS closed;
SELECT kwjobs.submit('SELECT pass(''p'')', 'p', serial_key => 'k') AS p \gset
CALL wait_for_status(:p, 'running');
RETRY JOB :n;
CALL wait_for_job(format('job_id = %s AND due = ''infinity''', :n));
SELECT job, status, why FROM waiting WHERE job = 'n';
SELECT pg_advisory_unlock(4713);
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE VALUES (:n), (:p)] ORDER BY status;

-- When the clock is set back by an hour, a job that comes later still stands behind the others.
SELECT pg_advisory_lock(4713) IS NOT NULL AS closed;
SELECT kwjobs.submit('SELECT pass(''o1'')', 'o1', serial_key => 'clock') AS o1 \gset
SELECT kwjobs.submit('SELECT pass(''o2'')', 'o2', serial_key => 'clock') AS o2 \gset
CALL wait_for_job(format('job_id = %s AND due = ''infinity''', :o2));
UPDATE kwjobs.job SET line = line + interval '1 hour' WHERE job_id IN (:o1, :o2);
SELECT kwjobs.submit('SELECT pass(''o3'')', 'o3', serial_key => 'clock') AS o3 \gset
CALL wait_for_job(format('job_id = %s AND due = ''infinity''', :o3));
SELECT pg_advisory_unlock(4713);
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE VALUES (:o1), (:o2), (:o3)];
SELECT string_agg(what, ' ' ORDER BY n) AS in_order FROM done WHERE what LIKE 'o_';

-- 3. Jobs that leave the line: canceled, put off, replaced.
SELECT pg_advisory_lock(4713) IS NOT NULL AS closed;
SELECT kwjobs.submit('SELECT pass(''q'')', 'q', serial_key => 'k') AS q \gset
SELECT kwjobs.submit('SELECT pass(''r'')', 'r', serial_key => 'k') AS r \gset
SELECT kwjobs.submit('SELECT pass(''s'')', 's', serial_key => 'k') AS s \gset
SELECT kwjobs.submit('SELECT pass(''t'')', 't', serial_key => 'k', key => 'to be replaced') AS t \gset
SELECT kwjobs.submit('SELECT pass(''u'')', 'u', serial_key => 'k', key => 'to be replaced, too') AS u \gset
CALL wait_for_job(format('job_id IN (%s) AND due = ''infinity'' HAVING count(*) = 4', concat_ws(',', :r, :s, :t, :u)));
CANCEL JOB :r;
SELECT status FROM [SHOW JOB WHEN COMPLETE :r];
SELECT kwjobs.alter(:s, run_at => '2099-01-01');
SELECT kwjobs.submit('SELECT pass(''t2'')', 't', serial_key => 'k', key => 'to be replaced', on_conflict => 'replace') = :t AS same_job;
SELECT kwjobs.submit('SELECT pass(''u2'')', 'u', serial_key => 'l', key => 'to be replaced, too', on_conflict => 'replace') = :u AS same_job;
CALL wait_for_status(:u, 'running');
SELECT pg_advisory_unlock(4713);
SELECT DISTINCT status FROM [SHOW JOBS WHEN COMPLETE VALUES (:q), (:t), (:u)];
SELECT string_agg(what, ' ' ORDER BY n) AS in_order FROM done WHERE what IN ('q', 'r', 's', 't', 't2');
-- the first is put off while it is paused
SELECT pg_advisory_lock(4713) IS NOT NULL AS closed;
SELECT kwjobs.submit('SELECT pass(''v'')', 'v', serial_key => 'k') AS v \gset
CALL wait_for_status(:v, 'running');
PAUSE JOB :v;
CALL wait_for_status(:v, 'paused');
SELECT kwjobs.submit('SELECT pass(''w'')', 'w', serial_key => 'k') AS w \gset
CALL wait_for_job(format('job_id = %s AND due = ''infinity''', :w));
SELECT pg_advisory_unlock(4713);
SELECT kwjobs.alter(:v, run_at => '2099-01-01');
SELECT status FROM [SHOW JOB WHEN COMPLETE :w];
CALL wait_until('NOT EXISTS (SELECT FROM kwjobs.job WHERE line IS NOT NULL) AND NOT EXISTS (SELECT FROM kwjobs.left_line)');
SELECT kwjobs.cancel_jobs(ARRAY[:s, :v]);

-- 4. A job that is deleted before its turn was passed on: the coordinator looks at its line.
BEGIN;
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload,
                        created, finished, modified, serial_key, line)
VALUES (1, 'SQL', 'gone', current_user::regrole, current_user, 'failed', now(), 1, '{}', now(), now(), now(), 'gone', now());
SELECT kwjobs.delete(1);
SELECT job_id, serial_key FROM kwjobs.left_line;
ROLLBACK;
SELECT count(*) FROM kwjobs.left_line;

-- 5. What is no key.
CALL fails($$SELECT kwjobs.submit('SELECT 1', serial_key => '')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', serial_key => repeat('x', 201))$$);
SELECT kwjobs.submit('SELECT 1', key => 'both', run_at => '2099-01-01', serial_key => 'a') AS both \gset
RESET client_min_messages;
\set VERBOSITY terse
SELECT kwjobs.submit('SELECT 1', key => 'both', run_at => '2099-01-01', serial_key => 'b') = :both AS same_job;
SET client_min_messages = warning;
CANCEL JOB :both;
SELECT status FROM [SHOW JOBS WHEN COMPLETE VALUES (:both), (:s), (:v)];
DROP VIEW waiting;
DROP FUNCTION pass(text);
DROP TABLE done;
DROP ROLE kwj_serial;
