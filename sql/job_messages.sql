-- What the statements of a job report: kwjobs.messages, with times; the first and the last ones are kept.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_messages;
RESET client_min_messages;
CREATE ROLE kwj_messages LOGIN;
\set SHOW_CONTEXT never
CREATE PROCEDURE says(n integer, what text DEFAULT '') LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        RAISE NOTICE 'line %', i || what;
    END LOOP;
END $$;

-- 1. Severity, text, detail and hint, and when
SELECT now() AS before \gset
CALL kwjobs.run($$DO 'BEGIN RAISE NOTICE ''hello''; RAISE INFO ''NOTICE:  twice''; RAISE WARNING USING MESSAGE = E''two\nlines'', DETAIL = ''a detail'', HINT = ''a hint''; END'; DROP TABLE IF EXISTS nowhere$$) \gset
SELECT attempt, severity, message FROM kwjobs.messages(:job_id);
SELECT bool_and(at BETWEEN :'before' AND now()) AS are_times, array_agg(at) = array_agg(at ORDER BY at) AS in_order FROM kwjobs.messages(:job_id);
SELECT cardinality(messages) AS messages, cardinality(message_times) AS times FROM kwdb_internal.job_attempts WHERE job_id = :job_id;
CALL kwjobs.run('SELECT 1') \gset
SELECT count(*) FROM kwjobs.messages(:job_id);
SELECT messages IS NULL AS none, message_times IS NULL AS none FROM kwdb_internal.job_attempts WHERE job_id = :job_id;
-- attempts that failed, and the revert
CREATE PROCEDURE fails() LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'attempt';
    PERFORM 1 / 0;
END $$;
SELECT kwjobs.submit('CALL fails()', on_failure => 'retry', max_attempts => 2, on_revert => 'CALL says(1, '' of the revert'')') AS job \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job];
SELECT attempt, severity, message FROM kwjobs.messages(:job);
SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow') AS later \gset
SELECT * FROM kwjobs.messages(:later);
SELECT * FROM kwjobs.messages(NULL);
SELECT * FROM kwjobs.messages(1);
\echo :LAST_ERROR_SQLSTATE

-- 2. If there are too many, the first and the last are kept.
CALL kwjobs.run('CALL says(3000)') \gset
SELECT messages[1] AS first, messages[cardinality(messages)] AS last, octet_length(messages::text) < 64 * 1024 AS bounded,
    cardinality(messages) = cardinality(message_times) AS with_times FROM kwdb_internal.job_attempts WHERE job_id = :job_id;
SELECT count(*) FILTER (WHERE at IS NULL) AS marks, (max(substr(message, 5)) FILTER (WHERE at IS NULL) = (3001 - count(*)) || ' more messages') AS counts,
    count(*) > 500 AS many FROM kwjobs.messages(:job_id);
SELECT count(*) AS gaps FROM (SELECT n - lag(n) OVER () AS n FROM (SELECT substr(message, 6)::integer AS n FROM kwjobs.messages(:job_id) WHERE at IS NOT NULL) AS m) AS d WHERE n <> 1;
CALL kwjobs.run('CALL says(100, repeat(''x'', 1000))') \gset
SELECT left(message, 8) AS message FROM kwjobs.messages(:job_id) AS m WHERE m.severity IS NULL;
CALL kwjobs.run('CALL says(2, repeat(''ü'', 100000))') \gset
SELECT left(message, 8) AS message, octet_length(message) AS bytes, right(message, 25) AS mark FROM kwjobs.messages(:job_id);
-- command tags likewise
SELECT string_agg('SELECT ' || i, ';') || '; SET work_mem = ''5MB''' AS many FROM generate_series(1, 2000) AS i \gset
CALL kwjobs.run(:'many') \gset
SELECT (:'tags'::text[])[1] AS first, (:'tags'::text[])[cardinality(:'tags'::text[])] AS last, octet_length(:'tags') < 16 * 1024 AS bounded,
    (SELECT count(*) FROM unnest(:'tags'::text[]) AS t WHERE t ~ '^\.\.\. \d+ more statements$') AS marks;

-- 3. Only who may see the job sees its messages.
SET ROLE kwj_messages;
\set VERBOSITY sqlstate
SELECT * FROM kwjobs.messages(:job);
\set VERBOSITY default
CALL kwjobs.run($$DO 'BEGIN RAISE NOTICE ''mine''; END'$$) \gset
SELECT message FROM kwjobs.messages(:job_id);
RESET ROLE;

SELECT count(kwjobs.cancel(job_id)) > 0 AS canceled FROM kwdb_internal.jobs WHERE finished IS NULL;
DROP PROCEDURE says, fails();
SET client_min_messages = warning;
DROP ROLE kwj_messages;
