-- When expressions of schedules are due, and what they say: kwjobs.next_runs and kwjobs.describe.
-- t/138_cron.pl has more cases.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_cron;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null NULL
CREATE ROLE kwj_cron;
SET timezone = 'Europe/Berlin';
SET datestyle = 'ISO';
-- every role may call them, without rights of its own
SET ROLE kwj_cron;

-- 1. What expressions say.
SELECT cron, kwjobs.describe(cron) FROM unnest(ARRAY[
    '* * * * *', '*/5 * * * *', '*/7 * * * *', '0 * * * *', '5 * * * *', '5 */2 * * *', '0 */5 * * *', '30 9 * * *', '0,30 9,17 * * *',
    '0,20,40 9-17 * * *', '5,10 9-17 * * *', '5 0-11,13-23 * * *', '* 9 * * *', '* * * * * * *', '*/15 * * * * * *', '30 * * * * * *',
    '30 5 * * * * *', '*/10 30 1 * * * *', '10,20,30 */20 9-17 * * * *', '0 30 9 * * * *']) AS cron;
SELECT cron, kwjobs.describe(cron) FROM unnest(ARRAY[
    '0 0 1 * *', '0 0 1,15 * *', '0 0 1-7 * *', '0 0 11,12,13,21,22,23,31 * *', '0 0 */2 * *', '0 0 */10 * *', '0 0 5/10 * *', '0 0 L * *',
    '0 0 LW * *', '0 0 15W,1W * *', '0 0 1,L,15W * *', '0 0 ? * mon', '0 0 * * 0', '0 0 * * 7', '0 0 * * mon-fri', '0 0 * * sat,sun',
    '0 0 * * fri-sun', '0 0 * * 1-7', '0 0 * * 7-2', '0 0 * * 2/2', '0 0 * * 7/2', '0 0 * * friL', '0 0 * * 1#2', '0 0 * * mon#1,wed#1,2#3,0L,5L',
    '0 0 13 * 5', '0 0 L * friL']) AS cron;
SELECT cron, kwjobs.describe(cron) FROM unnest(ARRAY[
    '0 0 * 1 *', '0 0 * jan,jul *', '0 0 1 4-9 *', '0 9 29 2 *', '0 0 * 2 mon#5', '*/5 * * 6 *', '0 0 1 1 * 2027', '0 0 * * * 2027-2030',
    '0 0 1 */3 * 2027,2029,2031', '@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@HOURLY']) AS cron;
SELECT cron, kwjobs.describe(cron) FROM unnest(ARRAY[
    '1 second', '30 seconds', '90 minutes', '1 hour', '1 day', '1 week', '1 month', '1 year', '1 year 2 mons 3 days 04:05:06.5', 'PT1H', '1.5 s', '1 d 1 h']) AS cron;

-- 2. What is no expression: what is wrong, what was expected, what to type.
RESET ROLE;
CREATE FUNCTION refusal(cron text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s text; m text; d text; h text;
BEGIN
    RETURN kwjobs.describe(cron);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN s || ' ' || concat_ws(E'\n    ', m, d, h);
END $$;
SELECT refusal(cron) FROM unnest(ARRAY[
    '', '5', '* * * *', '* * * * * * * *', 'tomorrow', '60 * * * * * *', '60 * * * *', '0 24 * * *', '0 0 32 * *', '0 0 * 13 *', '0 0 * * 8',
    '0 0 * * * 1969', '0 0 * jan5 *', '0 0 * * funday', 'H * * * *', '5- * * * *', '-5 * * * *', '5-6-7 * * * *', '*5 * * * *',
    '*/60 * * * *', '*/0 * * * *', '*/ * * * *', '5,,6 * * * *', ', * * * *', '0 ? * * *', '0 0 ?,5 * *', '0 0 $ * *', '0 0 L-3 * *', '0 0 0W * *',
    '0 0 * * L', '0 0 * * fri#6', '0 0 * * fri#', '0 0 * * #2']) AS cron;
SELECT refusal(cron) FROM unnest(ARRAY[
    '50-10 * * * *', '0 22-6 * * *', '0 0 25-5 * *', '0 0 * nov-feb *', '0 0 * 12-1 *', '0 0 * * fri-mon', '0 0 * * 6-2', '0 0 * * * 2030-2027']) AS cron;
SELECT refusal(cron) FROM unnest(ARRAY[
    '0 0 30 2 *', '0 0 31 4,6,9,11 *', '0 0 29 2 * 2027', '0 0 12 * * ?', '0 0 0 1W * ?', '30 55 5,11,17 * * *', '@reboot', '@every', '@every 5m', '@daily 5',
    '0.9 seconds', '-1 day', '1 day -2 hours', '1 hour ago', '0 days', '101 years', 'infinity']) AS cron;
-- texts are quoted in part
SELECT refusal(repeat('x', 200) || ' * * * *');
SELECT refusal('* * * * ' || repeat('ä', 200));
SELECT refusal(repeat('1,', 600) || '1 * * * *');
SELECT refusal(E'1\n2');
SELECT refusal(E' \t30  9\n* * mon-fri ');

-- 3. The zone is by default that of the session; times are due after the instant that is given.
SET ROLE kwj_cron;
SELECT * FROM kwjobs.next_runs('30 9 * * *', 2, after => '2026-03-28 09:30+01');
SELECT * FROM kwjobs.next_runs('30 9 * * *', 2, 'America/New_York', '2026-03-28 12:00+01');
SELECT * FROM kwjobs.next_runs('30 9 * * *', 1, 'europe/berlin', '2026-03-28 12:00+01');
SELECT * FROM kwjobs.next_runs('30 9 * * *', 1, 'CET-1CEST,M3.5.0/2,M10.5.0/3', '2026-03-28 12:00+01');
SELECT count(*), min(r) > now() AS later, max(r) - min(r) AS in_all FROM kwjobs.next_runs('1 hour', 3) AS r;
SELECT * FROM kwjobs.next_runs('0 0 1 1 * 2027', 3, after => '2026-01-01');
SELECT * FROM kwjobs.next_runs('0 0 1 1 * 2020', 3, after => '2026-01-01');
SELECT * FROM kwjobs.next_runs('* * * * *', 0);
SELECT count(*), max(r) FROM kwjobs.next_runs('* * * * *', 10000, 'UTC', '2026-01-01 00:00+00') AS r;
-- in the list of a SELECT, also in part
SELECT kwjobs.next_runs('0 0 * * *', 10, 'UTC', '2026-01-01 00:00+00') LIMIT 2;
-- NULL brings nothing
SELECT count(*) FROM kwjobs.next_runs(NULL, 3);
SELECT count(*) FROM kwjobs.next_runs('0 0 * * *', NULL);
SELECT kwjobs.describe(NULL);

-- 4. Arguments that are refused.
SELECT kwjobs.next_runs('* * * * *', -1);
SELECT kwjobs.next_runs('* * * * *', 10001);
SELECT kwjobs.next_runs('61 * * * *', 1);
SELECT kwjobs.next_runs('* * * * *', 1, 'Europe/Berlim');
SELECT kwjobs.next_runs('* * * * *', 1, 'Europe/Berlin2');
SELECT kwjobs.next_runs('* * * * *', 1, 'PST');
SELECT kwjobs.next_runs('* * * * *', 1, '');
SELECT kwjobs.next_runs('* * * * *', 1, repeat('ä', 300));
SELECT kwjobs.next_runs('* * * * *', 1, 'UTC', 'infinity');
SELECT kwjobs.next_runs('* * * * *', 1, 'UTC', '-infinity');

-- 5. The same with parameters, in PL/pgSQL and in an index.
PREPARE runs AS SELECT kwjobs.next_runs($1, $2, $3, $4);
EXECUTE runs('30 9 * * mon-fri', 2, 'UTC', '2026-01-01 12:00+00');
DO $$ BEGIN
    RAISE INFO '% %', kwjobs.describe('30 9 * * mon-fri'), (SELECT max(r) FROM kwjobs.next_runs('30 9 * * mon-fri', 2, 'UTC', '2026-01-01 12:00+00') AS r);
END $$;
SELECT p.oid::regprocedure, provolatile, proisstrict, proparallel FROM pg_proc AS p
 WHERE oid IN ('kwjobs.next_runs'::regproc, 'kwjobs.describe'::regproc) ORDER BY 1;
-- what an expression says does not depend on settings
SET intervalstyle = 'sql_standard';
SELECT kwjobs.describe('1 day 2 hours'), kwjobs.describe('P1DT2H');
RESET intervalstyle;
RESET ROLE;
CREATE TABLE kwj_schedules (cron text);
CREATE INDEX ON kwj_schedules (kwjobs.describe(cron));
INSERT INTO kwj_schedules VALUES ('0 0 * * mon'), ('@daily');
INSERT INTO kwj_schedules VALUES ('0 0 * * moon');
SELECT * FROM kwj_schedules ORDER BY kwjobs.describe(cron);
DROP TABLE kwj_schedules;
DROP FUNCTION refusal(text);
DROP ROLE kwj_cron;
