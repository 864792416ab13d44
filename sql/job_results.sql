-- What a SQL job returns: kwjobs.set_result, and the first rows of its last query (keep_result).
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_results;
RESET client_min_messages;
CREATE ROLE kwj_results LOGIN;
\set SHOW_CONTEXT never
CREATE TABLE done (n integer, what text);
INSERT INTO done SELECT n, 'row ' || n FROM generate_series(1, 3) AS n;
GRANT SELECT ON done TO kwj_results;

-- 1. kwjobs.set_result: the last one counts, and who waits gets it.
CALL kwjobs.run($$SELECT kwjobs.set_result('{"a": 1}'); SELECT kwjobs.set_result('[1, "two", null]')$$) \gset
SELECT :'result' AS result, result FROM kwdb_internal.jobs WHERE job_id = :job_id;
SELECT status, result FROM kwjobs.wait(:job_id);
SELECT result FROM kwjobs.when_complete(ARRAY[:job_id]);
SELECT result FROM kwjobs.my_jobs WHERE job_id = :job_id;
CALL kwjobs.run($$SELECT kwjobs.set_result('1'), kwjobs.set_result(NULL)$$) \gset
SELECT result IS NULL AS is_null FROM kwdb_internal.jobs WHERE job_id = :job_id;
DO $$
DECLARE id bigint; status text; rows bigint; tags text[]; result jsonb;
BEGIN
    CALL kwjobs.run('SELECT kwjobs.set_result(to_jsonb(5))', job_id => id, status => status, rows => rows, tags => tags, result => result);
    RAISE NOTICE '% %', status, result;
END $$;
-- it follows the transactions of the work
CREATE PROCEDURE sets() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kwjobs.set_result('"first"');
    BEGIN
        PERFORM kwjobs.set_result('"rolled back"');
        PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN
        NULL;
    END;
END $$;
CALL kwjobs.run('CALL sets()') \gset
SELECT :'result' AS result;
CREATE OR REPLACE PROCEDURE sets() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kwjobs.set_result('"first"');
    COMMIT;
    PERFORM kwjobs.set_result('"second"');
    ROLLBACK;
    BEGIN
        PERFORM kwjobs.set_result('"third"');
        BEGIN
            PERFORM kwjobs.set_result('"fourth"');
        EXCEPTION WHEN division_by_zero THEN
            NULL;
        END;
        PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN
        NULL;
    END;
END $$;
CALL kwjobs.run('CALL sets()') \gset
SELECT :'result' AS result;
CREATE OR REPLACE PROCEDURE sets() LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM kwjobs.set_result('"kept"');
    EXCEPTION WHEN division_by_zero THEN
        NULL;
    END;
    CALL kwjobs.checkpoint(0.5);
END $$;
CALL kwjobs.run('CALL sets()') \gset
SELECT :'result' AS result;
-- the result of an attempt that failed is not kept
SELECT kwjobs.submit($$SELECT kwjobs.set_result('"never"'); SELECT 1 / 0$$) AS job \gset
SELECT status, result, (w.result IS NULL) AS is_null FROM kwjobs.wait(:job) AS w;
SELECT result IS NULL AS is_null FROM kwdb_internal.jobs WHERE job_id = :job;
CREATE PROCEDURE sets_and_fails() LANGUAGE plpgsql AS $$ BEGIN PERFORM kwjobs.set_result('"never"'); COMMIT; PERFORM 1 / 0; END $$;
SELECT kwjobs.submit('CALL sets_and_fails()', on_revert => $$SELECT kwjobs.set_result('"of the revert"')$$) AS job \gset
SELECT status, error, result IS NULL AS is_null FROM [SHOW JOB WHEN COMPLETE :job] AS s JOIN kwdb_internal.jobs AS j USING (job_id, status, error);
-- ... nor does the next job of the same worker get it
CALL kwjobs.run('SELECT 1') \gset
SELECT result IS NULL AS is_null FROM kwdb_internal.jobs WHERE job_id = :job_id;
-- bounds
CALL kwjobs.run($$SELECT kwjobs.set_result(to_jsonb(repeat('x', 1048576)))$$);
\echo :LAST_ERROR_SQLSTATE
CALL kwjobs.run($$SELECT kwjobs.set_result(to_jsonb(repeat('x', 1048000)))$$) \gset
SELECT length(result #>> '{}') FROM kwdb_internal.jobs WHERE job_id = :job_id;
-- elsewhere it does nothing
SELECT kwjobs.set_result('1');

-- 2. keep_result: the rows of the last query that returns rows
CALL kwjobs.run('SELECT 1 AS a; SELECT n, what FROM done ORDER BY n; UPDATE done SET n = n', keep_result => true) \gset
SELECT :'result' AS result, :'tags' AS tags;
CALL kwjobs.run('SELECT * FROM done WHERE n > 5', keep_result => true) \gset
SELECT :'result' AS result;
CALL kwjobs.run('INSERT INTO done VALUES (4, NULL) RETURNING n, what, now() > ''2000-01-01'' AS late, ARRAY[n] AS list, ROW(1, 2) AS made, done AS whole', keep_result => true) \gset
SELECT :'result' AS result;
CALL kwjobs.run('DELETE FROM done WHERE n = 4', keep_result => true) \gset
SELECT result IS NULL AS is_null FROM kwdb_internal.jobs WHERE job_id = :job_id;
CALL kwjobs.run('SELECT n AS a, what AS a FROM done ORDER BY n LIMIT 1', keep_result => true) \gset
SELECT :'result' AS result;
CALL kwjobs.run('SHOW work_mem', keep_result => true, settings => '{"work_mem": "7MB"}') \gset
SELECT :'result' AS result;
CALL kwjobs.run('SELECT 1 AS a; SELECT kwjobs.set_result(''"set"'')', keep_result => true) \gset
SELECT :'result' AS result;
CALL kwjobs.run('SELECT n FROM done', keep_result => false) \gset
SELECT result IS NULL AS is_null FROM kwdb_internal.jobs WHERE job_id = :job_id;
CALL kwjobs.run('SELECT FROM done', keep_result => true) \gset
SELECT :'result' AS result, :rows AS rows;
CALL kwjobs.run($$SELECT 'NaN'::numeric AS n, 'infinity'::timestamptz AS t, '\x00ff'::bytea AS b, E'a\tb"\\' AS s, '{"x": [1.50]}'::json AS j, NULL AS nothing$$, keep_result => true) \gset
SELECT :'result' AS result;
-- bounded by rows and by bytes, with a mark
CALL kwjobs.run('SELECT n FROM generate_series(1, 1000) AS n', keep_result => true) \gset
SELECT jsonb_array_length(:'result') AS n, :'result'::jsonb -> -1 AS last;
CALL kwjobs.run('SELECT n FROM generate_series(1, 1003) AS n', keep_result => true) \gset
SELECT jsonb_array_length(:'result') AS n, :'result'::jsonb -> -2 AS last, :'result'::jsonb -> -1 AS mark, :rows AS rows;
CALL kwjobs.run('SELECT repeat(''x'', 60000) AS x FROM generate_series(1, 10)', keep_result => true) \gset
SELECT jsonb_array_length(:'result') AS n, :'result'::jsonb -> -1 AS mark;
CALL kwjobs.run('SELECT repeat(''x'', 100000000) AS x', keep_result => true) \gset
SELECT :'result' AS result;
CALL kwjobs.run('SELECT n, repeat(''x'', CASE n WHEN 2 THEN 300000 ELSE 1 END) AS x FROM generate_series(1, 3) AS n', keep_result => true) \gset
SELECT :'result' AS result;
-- rows that jsonb refuses: the work is done all the same
CALL kwjobs.run($$SELECT n, CASE n WHEN 2 THEN '"\u0000"' WHEN 4 THEN '1e200000' ELSE '"a"' END::json AS j FROM generate_series(1, 5) AS n$$, keep_result => true) \gset
SELECT :'status' AS status, :rows AS rows, :'result' AS result;
SELECT m.message FROM kwjobs.messages(:job_id) AS m;
CALL kwjobs.run($$INSERT INTO done VALUES (9, 'nine') RETURNING n, '{"a": "\u0000"}'::json AS j$$, keep_result => true) \gset
SELECT :'status' AS status, :'result' AS result, (SELECT count(*) FROM done WHERE n = 9) AS done;
SELECT m.message FROM kwjobs.messages(:job_id) AS m;
CALL kwjobs.run($$SELECT CASE n WHEN 3 THEN '"\u0000"' ELSE '1' END::json AS j FROM generate_series(1, 1002) AS n$$, keep_result => true) \gset
SELECT jsonb_array_length(:'result') AS n, :'result'::jsonb -> -1 AS mark;

-- 3. Only who may see the job sees its result and its arguments.
SELECT kwjobs.submit('SELECT kwjobs.set_result(to_jsonb($1::text))', arguments => '["secret"]') AS job \gset
SELECT status, result FROM kwjobs.wait(:job);
SET ROLE kwj_results;
SELECT count(*) FROM kwjobs.my_jobs WHERE job_id = :job;
\set VERBOSITY sqlstate
SELECT result FROM kwjobs.wait(:job);
SELECT payload, result FROM kwdb_internal.jobs WHERE job_id = :job;
\set VERBOSITY default
SELECT kwjobs.submit('SELECT n FROM done WHERE n = $1', arguments => '[2]', keep_result => true) AS own \gset
SELECT status, result FROM kwjobs.wait(:own);
SELECT payload ->> 'arguments' AS arguments, result FROM kwjobs.my_jobs WHERE job_id = :own;
RESET ROLE;

DROP PROCEDURE sets, sets_and_fails;
DROP TABLE done;
SET client_min_messages = warning;
DROP ROLE kwj_results;
