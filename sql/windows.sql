-- Windows: the hours in which a job may run. t/165_windows.pl sets the clock, and has what happens when
-- they open and close; t/166_window_oracle.pl has the arithmetic.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_window;
-- the NOTICEs of sessions that wait depend on how long that takes
SET kwjobs.progress_interval = 0;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null NULL
CREATE ROLE kwj_window LOGIN;
SET timezone = 'Europe/Berlin';
SET datestyle = 'ISO';
\i `echo "$KWJ_INCLUDE/procedures.sql"`
\i `echo "$KWJ_INCLUDE/files.sql"`
CREATE TABLE target (n integer, t text);
SELECT current_setting('data_directory') || '/kwj_windows.csv' AS path \gset
SELECT write_file(:'path', E'1,a\n2,b\n');
-- shows the error of a statement, with DAY for the day of its window
CREATE PROCEDURE fails_on(day text, statement text) LANGUAGE plpgsql AS $$
DECLARE
    hint text; detail text;
BEGIN
    EXECUTE statement;
    RAISE INFO 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, detail = PG_EXCEPTION_DETAIL;
    RAISE INFO '%: %, detail: %, hint: %', SQLSTATE, replace(same(SQLERRM), day, 'DAY'),
        regexp_replace(detail, '\d{4}-[-\d]+ [:\d]+\+\d+', 'TIME'), same(hint);
END $$;

-- 1. When windows are open.
SET ROLE kwj_window;
SELECT w AS "window", string_agg(to_char(opens, 'Dy HH24:MI') || '-' || to_char(closes, 'Dy HH24:MI'), ', ' ORDER BY opens) AS times
  FROM unnest(ARRAY['22:00-06:00', 'mon-fri 22:00-06:00', 'sat,sun', 'mon-fri 22:00-06:00; sat,sun', '08:00-12:00, 13:00-17:30',
      'fri-mon 00:00-24:00', 'Saturday-mon', '  MON  ,  Wed 8:00 - 9:00 ', '20:00-24:00; mon 00:00-04:00', '22:00-06:00 America/New_York',
      'sun 23:00-01:00', 'tue 12:00-11:00']) WITH ORDINALITY AS u (w, i), kwjobs.next_windows(w, 3, '2024-12-02 12:00') GROUP BY w, i ORDER BY i;
SELECT opens = now() AS is_open, closes FROM kwjobs.next_windows('mon-sun UTC');
SELECT * FROM kwjobs.next_windows('00:00-12:00,12:00-24:00', 3, '2024-12-02 12:00');
-- a clock that goes forward, and one that goes back
SELECT * FROM kwjobs.next_windows('02:15-02:45', 3, '2024-03-30 00:00');
SELECT * FROM kwjobs.next_windows('01:00-02:30', 4, '2024-10-26 12:00');
SELECT count(*) FROM kwjobs.next_windows('22:00-06:00', 0);
CALL fails($$SELECT kwjobs.next_windows('22:00-06:00', -1)$$);
CALL fails($$SELECT kwjobs.next_windows('22:00-06:00', 1, 'infinity')$$);
-- At the end of all times, which is a Sunday, PostgreSQL has no instant for the next opening.
SELECT * FROM kwjobs.next_windows('mon 10:00-11:00 UTC', 3, '294276-12-31 12:00 UTC');
SELECT opens AT TIME ZONE 'UTC' AS opens, closes FROM kwjobs.next_windows('sat,sun UTC', 3, '294276-12-31 12:00 UTC');
BEGIN;
SELECT kwjobs.submit('SELECT 1', run_at => '294276-12-31 12:00 UTC', timeout => '1 min', "window" => 'mon 10:00-11:00 UTC') AS far \gset
SELECT due AT TIME ZONE 'UTC' AS due FROM kwjobs.my_jobs WHERE job_id = :far;
ROLLBACK;
RESET ROLE;

-- 2. What is no window.
CREATE FUNCTION refusal("window" text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s text; m text; d text; h text;
BEGIN
    PERFORM kwjobs.submit('SELECT 1', timeout => '1 min', "window" => refusal."window");
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN s || ' ' || concat_ws(E'\n    ', m, d, h);
END $$;
SELECT refusal(w) FROM unnest(ARRAY['', ' ', 'Europe/Berlin', '22:00', '22:00-', '22-06', '22:00-25:00', '24:30-01:00', '24:00-06:00', '22:60-06:00',
    '22:0a-06:00', '122:00-06:00', '22:00-22:00', '22:00--06:00', '22:00-06:00-07:00', '22:00-06:00, mon', '22:00-06:00; ', '; mon', 'mon;;tue',
    'mon,', 'mon-', 'mno 22:00-06:00', 'mno', 'mon-fir', 'mon 22:00-06:00 fri', 'mon tue', '22:00-06:00 Europe/Berln', '22:00-06:00 CET Europe/Berlin',
    '22:00-06:00 UTC+3', '22:00-06:00 <-03>+03', '22:00-06:00 Etc/GMT+99', '22:00-06:00 +', '*', 'mon-fri 22:00–06:00']) AS w;
SELECT refusal(repeat('mon,', 60) || 'tue');
SELECT refusal(E'mon\n\x07tue');
-- the session's zone has to be a name, too
SET timezone = '-3';
SELECT refusal('22:00-06:00');
SET timezone = 'Europe/Berlin';

-- 3. What goes together. SQL reserves the word; in job statements it needs no quotes.
CALL fails($$SELECT kwjobs.submit('SELECT 1', window => '22:00-06:00')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', window := '22:00-06:00')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', window '22:00-06:00')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', "window" => '22:00-06:00')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', window_end => 'stop')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', "window" => '22:00-06:00', window_end => 'never')$$);
CALL fails($$SELECT kwjobs.submit('SELECT 1', "window" => '22:00-06:00', window_end => NULL)$$);
CALL fails($$SELECT kwjobs.create_job('BACKUP', '{"directory": "/nowhere"}', "window" => '22:00-06:00')$$);
CALL fails($$SELECT kwjobs.create_job('CREATE_STATS', '{"name": "s", "table": "target"}', "window" => '22:00-06:00')$$);
CALL fails($$BACKUP TO '/nowhere' WITH detached, window = '22:00-06:00'$$);
CALL fails(format($$IMPORT INTO target CSV DATA (%L) WITH detached, window = 'noon'$$, :'path'));
CALL fails(format($$IMPORT INTO target CSV DATA (%L) WITH detached, window_end = 'stop'$$, :'path'));
SELECT count(*) FROM kwjobs.my_jobs WHERE finished IS NULL;

-- 4. A window is closed three days before today, by the server's clock. The zone is stored with it.
SELECT to_char(now() AT TIME ZONE 'UTC' - interval '3 days', 'dy') AS closed \gset
SELECT kwjobs.submit('INSERT INTO target VALUES (0)', timeout => '1 min', "window" => :'closed' || '  UTC') AS job \gset
SELECT status, "window" = :'closed' || ' UTC' AS is_stored, window_end,
       replace(regexp_replace(running_status, '\d{4}-.*', 'TIME'), :'closed', 'DAY') AS running_status FROM kwjobs.my_jobs WHERE job_id = :job;
SELECT replace(regexp_replace(same(kwjobs.why(:job)), '\d{4}-[-\d]+ [:\d]+\+\d+', 'TIME'), :'closed', 'DAY');
CALL fails_on(:'closed', format('SELECT kwjobs.run_now(%s)', :job));
CALL fails(format('SELECT kwjobs.alter(%s, "window" => ''noon'')', :job));
CALL fails(format('SELECT kwjobs.alter(%s, window_end => ''never'')', :job));
SELECT kwjobs.alter(:job, window_end => 'stop');
SELECT replace(detail::text, :'closed', 'DAY') FROM kwdb_internal.job_events WHERE job_id = :job AND event = 'alter';
SELECT kwjobs.alter(:job, "window" => '22:00-06:00', run_at => '2999-01-01 12:00');
SELECT "window", window_end, running_status FROM kwjobs.my_jobs WHERE job_id = :job;
SELECT kwjobs.alter(:job, "window" => '');
SELECT "window", window_end, running_status FROM kwjobs.my_jobs WHERE job_id = :job;
CALL fails(format('SELECT kwjobs.alter(%s, window_end => ''stop'')', :job));
SELECT kwjobs.run_now(:job);
SELECT status FROM kwjobs.wait(:job);

-- 5. One that is always open; by each way to make a job.
SELECT kwjobs.submit('INSERT INTO target VALUES (1)', "window" => 'mon-sun', window_end => 'stop') AS job \gset
SELECT status FROM kwjobs.wait(:job);
CALL kwjobs.run('INSERT INTO target VALUES (2)', timeout => '1 hour', "window" => 'mon-sun') \gset ran_
SELECT :'ran_status' AS status;
SELECT is_new FROM kwjobs.submit_job('INSERT INTO target VALUES (3)', timeout => '1 min', "window" => 'mon-sun');
SELECT kwjobs.create_job('SQL', '{"statement": "INSERT INTO target VALUES (4)"}', timeout => '1 min', "window" => 'mon-sun') AS job \gset
SELECT status FROM kwjobs.wait(:job);
IMPORT INTO target CSV DATA (:'path') WITH window = 'mon-sun', window_end = 'finish' \gset imported_
SELECT :'imported_status' AS status;
CALL wait_until('NOT EXISTS (SELECT FROM kwjobs.my_jobs WHERE finished IS NULL)');
SELECT job_type, status, "window", window_end FROM kwjobs.my_jobs WHERE "window" IS NOT NULL ORDER BY job_id DESC LIMIT 5;
SELECT n FROM target ORDER BY n;

-- by a schedule
CREATE SCHEDULE windowed FOR SQL 'INSERT INTO target VALUES (5)' RECURRING NEVER WITH SCHEDULE OPTIONS window = 'mon-sun', timeout = '1 min';
SELECT kwjobs.run_schedule('windowed') AS job \gset
SELECT status FROM kwjobs.wait(:job);
SELECT "window", window_end FROM kwjobs.my_jobs WHERE job_id = :job;
CALL fails($$CREATE SCHEDULE another FOR SQL 'SELECT 1' RECURRING NEVER WITH SCHEDULE OPTIONS window = 'mon-sun'$$);
CALL fails($$CREATE SCHEDULE another FOR SQL 'SELECT 1' RECURRING NEVER WITH SCHEDULE OPTIONS window = 'noon', timeout = '1 min'$$);
-- ... of jobs whose own WITH has no window, and if it is altered
CALL fails($$CREATE SCHEDULE another FOR CREATE STATISTICS s FROM target RECURRING NEVER WITH SCHEDULE OPTIONS window = 'mon-sun'$$);
CALL fails($$CREATE SCHEDULE another FOR CREATE STATISTICS s FROM target RECURRING NEVER WITH SCHEDULE OPTIONS window_end = 'stop'$$);
CREATE SCHEDULE another FOR CREATE STATISTICS s FROM target RECURRING NEVER WITH SCHEDULE OPTIONS window = 'mon-sun', window_end = 'stop';
CREATE SCHEDULE plain FOR SQL 'SELECT 1' RECURRING NEVER;
CALL fails($$ALTER SCHEDULE plain WITH SCHEDULE OPTIONS window = 'mon-sun'$$);
CALL fails($$ALTER SCHEDULE plain WITH SCHEDULE OPTIONS window_end = 'stop'$$);
CALL fails($$SELECT kwjobs.alter_schedule('plain', options => '{"window": "mon-sun"}')$$);
CALL fails($$ALTER SCHEDULE another WITH SCHEDULE OPTIONS window_end = 'pause'$$);
ALTER SCHEDULE plain WITH SCHEDULE OPTIONS window = 'mon-sun', timeout = '1 min';
SELECT name, job ->> 'window' AS "window", job ->> 'window_end' AS window_end, job ->> 'timeout' AS timeout
  FROM kwjobs.my_schedules WHERE name IN ('another', 'plain') ORDER BY name;
-- ... an empty window removes that of the schedule
ALTER SCHEDULE another WITH SCHEDULE OPTIONS window = '';
CALL fails($$ALTER SCHEDULE another WITH SCHEDULE OPTIONS window = ''$$);
SELECT job ->> 'window' AS "window", job ->> 'window_end' AS window_end FROM kwjobs.my_schedules WHERE name = 'another';
DROP SCHEDULES VALUES ('windowed'), ('another'), ('plain');

-- 6. With a key: what differs, and what is replaced.
SELECT kwjobs.submit('SELECT 1', key => 'w', timeout => '1 min', run_at => '2999-01-01 12:00', "window" => '12:00-13:00') AS first \gset
RESET client_min_messages;
SELECT kwjobs.submit('SELECT 1', key => 'w', timeout => '1 min', run_at => '2999-01-01 12:00', "window" => '12:00-14:00', window_end => 'stop') = :first AS is_first;
SET client_min_messages = warning;
SELECT kwjobs.submit('SELECT 1', key => 'w', timeout => '1 min', "window" => '12:00-14:00', window_end => 'stop', run_at => '2999-01-01 15:00', on_conflict => 'replace') = :first AS is_first;
SELECT "window", window_end, status FROM kwjobs.my_jobs WHERE job_id = :first;
SELECT kwjobs.cancel(:first);

-- 7. In a transaction block that is rolled back, in PL/pgSQL, and prepared.
BEGIN;
IMPORT INTO target CSV DATA (:'path') WITH detached, window = 'mon-sun' \gset
SELECT "window" FROM kwjobs.my_jobs WHERE job_id = :job_id;
IMPORT INTO target CSV DATA (:'path') WITH detached, window = 'someday';
IMPORT INTO target CSV DATA (:'path') WITH detached, window = 'mon-sun';
ROLLBACK;
SELECT count(*) FROM kwjobs.my_jobs WHERE job_id = :job_id;
DO $$
DECLARE
    job bigint := kwjobs.submit('SELECT 1', timeout => '1 min', "window" => 'mon-sun UTC');
BEGIN
    RAISE INFO '%', (SELECT "window" FROM kwjobs.my_jobs WHERE job_id = job);
END $$;
PREPARE windowed (text) AS SELECT kwjobs.submit('SELECT 1', timeout => '1 min', "window" => $1) > 0 AS submitted;
EXECUTE windowed('mon-sun');
EXECUTE windowed('sun-');
CALL wait_until('NOT EXISTS (SELECT FROM kwjobs.my_jobs WHERE finished IS NULL)');

DROP FUNCTION refusal;
DROP PROCEDURE fails_on;
DROP TABLE target;
DROP ROLE kwj_window;
