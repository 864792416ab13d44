-- Holds: rights, texts and forms. That nothing starts under races is in specs/ and t/.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
CREATE ROLE hold_admin LOGIN;
CREATE ROLE hold_a LOGIN;
CREATE ROLE hold_b LOGIN;
CREATE ROLE admin;
GRANT admin TO hold_admin;
RESET client_min_messages;
\set VERBOSITY default
-- the time is different in each run
CREATE FUNCTION shown(job bigint) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(running_status, 'since [^:]*:\d\d:\d\d(\.\d+)?([-+]\d\d(:\d\d)?| [A-Z]+)?', 'since T')
      FROM kwjobs.my_jobs WHERE job_id = job $$;
CREATE FUNCTION status_of(job bigint) RETURNS text LANGUAGE sql AS $$
    SELECT status FROM kwjobs.my_jobs WHERE job_id = job $$;
-- runs a statement, and shows what it says, without times and ids
CREATE FUNCTION told(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text; detail text; hint text; code text;
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT, code = RETURNED_SQLSTATE;
    RETURN code || ': ' || message ||
        coalesce(E'\n  ' || nullif(regexp_replace(detail, 'since [^:]*:\d\d:\d\d(\.\d+)?([-+]\d\d(:\d\d)?| [A-Z]+)?', 'since T'), ''), '') ||
        coalesce(E'\n  ' || nullif(hint, ''), '');
END $$;

-- what cannot be held
SELECT told($$SELECT kwjobs.hold('no such type')$$);
SELECT told($$SELECT kwjobs.hold('schema change')$$);
SELECT told($$SELECT kwjobs.hold('restart')$$);
SELECT told($$SELECT kwjobs.hold(running => 'stop')$$);
SELECT told($$SELECT kwjobs.hold(running => NULL)$$);
SELECT told($$SELECT kwjobs.hold(owner => 'no such role')$$);
SELECT told($$SELECT kwjobs.release()$$);
SELECT told($$SELECT kwjobs.release('sql', 'hold_a')$$);
SELECT kwjobs.release_all();
BEGIN READ ONLY;
SELECT told('SELECT kwjobs.hold()');
SELECT told('SELECT kwjobs.release()');
SELECT told('SELECT kwjobs.release_all()');
COMMIT;
BEGIN;
SELECT kwjobs.hold(job_type => 'IMPORT');
PREPARE TRANSACTION 'x';
SELECT count(*) FROM kwjobs.holds;

-- without rights
SET ROLE hold_a;
SELECT told('SELECT kwjobs.hold()');
SELECT told($$SELECT kwjobs.hold('SQL')$$);
SELECT told($$SELECT kwjobs.hold(owner => 'hold_b')$$);
SELECT told($$SELECT kwjobs.release(owner => 'hold_b')$$);
SELECT kwjobs.release_all();
SELECT count(*) FROM kwjobs.holds;
RESET ROLE;

-- a role holds its own jobs, of one type
SET SESSION AUTHORIZATION hold_a;
SELECT kwjobs.hold('sql', 'hold_a', reason => 'lunch');
SET client_min_messages = warning;
SELECT kwjobs.submit('SELECT 1') AS first \gset
SELECT status_of(:first), shown(:first);
SELECT job_type, owner, reason, held_by, by_admin, jobs, running, paused FROM kwjobs.holds;
-- the same hold again changes nothing
SELECT kwjobs.hold('SQL', 'hold_a', reason => 'dinner');
SELECT reason FROM kwjobs.holds;
-- another role does not see it, and cannot release it
SET SESSION AUTHORIZATION hold_b;
SELECT count(*) FROM kwjobs.holds;
SELECT told($$SELECT kwjobs.release('SQL', 'hold_a')$$);
SELECT kwjobs.release_all();
-- its own jobs run
CALL kwjobs.run('SELECT 1') \gset
SELECT :'status' AS status;
-- an administrator holds the same jobs: the role cannot take that away
SET SESSION AUTHORIZATION hold_admin;
SELECT kwjobs.hold('SQL', 'hold_a', reason => 'maintenance');
SELECT job_type, owner, reason, held_by, by_admin, jobs FROM kwjobs.holds ORDER BY by_admin;
SET SESSION AUTHORIZATION hold_a;
SELECT kwjobs.release('sql', 'hold_a');
SELECT told($$SELECT kwjobs.release('SQL', 'hold_a')$$);
SELECT kwjobs.release_all();
SELECT status_of(:first), shown(:first);
RESET SESSION AUTHORIZATION;
-- a rolled back release, and one that is committed
BEGIN;
SELECT kwjobs.release('SQL', 'hold_a');
ROLLBACK;
SELECT status_of(:first), shown(:first);
DO $$ BEGIN PERFORM kwjobs.release('SQL', 'hold_a'); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END $$;
SELECT status_of(:first), shown(:first);
PREPARE let_go(text) AS SELECT kwjobs.release($1, 'hold_a');
EXECUTE let_go('SQL');
SELECT status FROM kwjobs.wait(:first);

-- a hold that was never committed holds nothing
BEGIN;
SELECT kwjobs.hold();
SELECT kwjobs.submit('SELECT 1') AS second \gset
ROLLBACK;
CALL kwjobs.run('SELECT 1') \gset
SELECT :'status' AS status;

-- a hold on everything; of a long reason the beginning of its first line is shown, with blanks for
-- control characters; the order of release does not matter
SELECT kwjobs.hold(reason => repeat('long ', 100));
SELECT kwjobs.hold('SQL', reason => E'one\x1b[2Jline\nand another');
SELECT kwjobs.submit('SELECT 1') AS third \gset
SELECT shown(:third);
SELECT kwjobs.release();
SELECT shown(:third);
SELECT kwjobs.run_now(:third);
SELECT status_of(:third), shown(:third);
SELECT kwjobs.cancel(:third);
SELECT status FROM kwjobs.wait(:third);
SELECT kwjobs.release_all('done');
SELECT kwjobs.release_all();

-- the number of holds that a role may have of its own
DO $$ BEGIN
    FOR i IN 1 .. 32 LOOP
        EXECUTE format('CREATE ROLE hold_many_%s', i);
        EXECUTE format('GRANT hold_many_%s TO hold_b', i);
    END LOOP;
END $$;
SET SESSION AUTHORIZATION hold_b;
SELECT count(kwjobs.hold(owner => ('hold_many_' || i)::name)) FROM generate_series(1, 32) AS i;
SELECT told($$SELECT kwjobs.hold(owner => 'hold_b')$$);
-- ... and may pause what runs by one of them
SELECT told($$SELECT kwjobs.hold(owner => 'hold_many_1', running => 'pause')$$);
SELECT count(*) FROM kwjobs.holds;
SELECT kwjobs.release_all();
RESET SESSION AUTHORIZATION;

-- a submission of a job that is not held reads the holds once after a change of them
SELECT kwjobs.hold('IMPORT');
BEGIN;
SELECT kwjobs.submit('SELECT 1') > 0 AS submitted;
SELECT seq_scan AS before FROM pg_stat_xact_all_tables WHERE relid = 'kwjobs.hold'::regclass \gset
SELECT count(kwjobs.submit('SELECT 1')) FROM generate_series(1, 3);
SELECT seq_scan - :before AS scans FROM pg_stat_xact_all_tables WHERE relid = 'kwjobs.hold'::regclass;
ROLLBACK;
SELECT kwjobs.release_all();

-- the whole server, only for administrators; without a commit it holds nothing
SET SESSION AUTHORIZATION hold_a;
SELECT told('SELECT kwjobs.hold_server()');
SELECT told('SELECT kwjobs.release_server()');
SET SESSION AUTHORIZATION hold_admin;
SELECT told('SELECT kwjobs.release_server()');
SELECT told(format('SELECT kwjobs.hold_server(%L)', repeat('x', 1001)));
BEGIN READ ONLY;
SELECT told('SELECT kwjobs.hold_server()');
SELECT told('SELECT kwjobs.release_server()');
COMMIT;
BEGIN;
SELECT kwjobs.hold_server(E'\u00fc two\nlines');
SELECT everywhere, job_type, owner, reason = E'\u00fc two\nlines' AS reason, held_by, by_admin FROM kwjobs.holds;
SAVEPOINT s;
SELECT kwjobs.release_server();
SELECT count(*) FROM kwjobs.holds;
ROLLBACK TO s;
SELECT kwjobs.hold_server('again');
SELECT count(*) FROM kwjobs.holds;
PREPARE TRANSACTION 'x';
SELECT count(*) FROM kwjobs.holds;
RESET SESSION AUTHORIZATION;

-- bounds, and a dropped owner
SELECT told(format('SELECT kwjobs.hold(reason => %L)', repeat('x', 1024 * 1024 + 1)));
CREATE ROLE hold_gone;
SELECT kwjobs.hold(owner => 'hold_gone');
DROP ROLE hold_gone;
SELECT owner ~ '^unknown' AS gone FROM kwjobs.holds;
SELECT kwjobs.release_all();
SELECT count(*) FROM kwjobs.holds;

DO $$ BEGIN
    FOR i IN 1 .. 32 LOOP
        EXECUTE format('DROP ROLE hold_many_%s', i);
    END LOOP;
END $$;
SELECT count(kwjobs.cancel(job_id)) FROM kwdb_internal.jobs WHERE finished IS NULL;
DROP FUNCTION shown, status_of, told;
DROP ROLE hold_admin, hold_a, hold_b, admin;
