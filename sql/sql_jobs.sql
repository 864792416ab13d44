-- Jobs of type SQL: what they can run, what they keep, and what is refused.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_sql_owner, kwj_sql_other, kwj_sql_group;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE ROLE kwj_sql_owner LOGIN;
CREATE ROLE kwj_sql_other LOGIN;
CREATE ROLE kwj_sql_group;
CREATE TABLE said (n serial, who text, what text);
GRANT ALL ON said, said_n_seq TO PUBLIC;
CREATE VIEW last_job AS
    SELECT * FROM kwdb_internal.jobs ORDER BY job_id DESC LIMIT 1;
CREATE VIEW last_attempt AS
    SELECT a.attempt, a.status, a.rows, a.tags, a.messages, a.error_code,
           regexp_replace(a.error_context, '\d{10,}', 'N', 'g') AS error_context
      FROM kwdb_internal.job_attempts AS a JOIN last_job USING (job_id);

-- 1. One statement: rows and command tag.
SELECT kwjobs.submit('INSERT INTO said (who, what) SELECT current_user, ''one'' FROM generate_series(1, 3)') AS job \gset
SELECT job_type, status, description, statement, fraction_completed, rows, error
  FROM kwjobs.when_complete(ARRAY[:job]);
TABLE last_attempt \gx
SELECT payload -> 'statement' AS statement FROM last_job;

-- Waiting for it: the outcome. Results of queries are thrown away.
CALL kwjobs.run('SELECT n FROM said') \gset
\echo :status :rows :tags
CALL kwjobs.run(E'  SELECT 1  -- the text is kept\n') \gset
SELECT description FROM last_job;
CALL kwjobs.run('SELECT 1', description => 'a description') \gset
SELECT description, statement FROM last_job;

-- A procedure gets the outcome in variables.
DO $$
DECLARE id bigint; status text; rows bigint; tags text[]; result jsonb;
BEGIN
    CALL kwjobs.run('UPDATE said SET what = ''two''', job_id => id, status => status, rows => rows, tags => tags, result => result);
    RAISE NOTICE '%, % rows, %', status, rows, tags;
END $$;

-- 2. Several statements are one transaction.
CALL kwjobs.run('CREATE TABLE made (n integer); INSERT INTO made VALUES (1), (2); UPDATE made SET n = n + 1; SELECT FROM made') \gset
\echo :rows :tags
SELECT sum(n) FROM made;
CALL kwjobs.run('DELETE FROM made; SELECT 1 / 0; SELECT 1');
SELECT count(*) FROM made;
SELECT tags, error_code, error_context FROM last_attempt \gx
CALL kwjobs.run(E'SELECT 1;\nINSERT INTO made (n, nowhere)\nVALUES (1, 1)');
SELECT tags, error_code, error_context FROM last_attempt \gx
CALL kwjobs.run('SELECT ''a long line before the error, of which only the part around it is shown'' AS x, nowhere FROM made WHERE n = 1');
SELECT error_context FROM last_attempt \gx

-- Constraints that wait for the end of the transaction are part of it.
CREATE TABLE deferred (n integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
CALL kwjobs.run('INSERT INTO deferred VALUES (1), (1)');
SELECT status, rows, error_code, error_detail FROM last_job;

-- 3. What cannot run in a transaction block can be a job alone.
CALL kwjobs.run('VACUUM ANALYZE made') \gset
\echo :status :tags
CALL kwjobs.run('CREATE INDEX CONCURRENTLY ON made (n, (n + 1))') \gset
\echo :status :tags
CALL kwjobs.run('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS made_unique ON made (n)') \gset
CALL kwjobs.run('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS made_unique ON made (n)') \gset
SELECT tags, messages FROM last_attempt;
CALL kwjobs.run('CREATE INDEX CONCURRENTLY made_unique ON made (n)');
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'made'::regclass ORDER BY 1;
-- Without a name in the statement, the index gets the name that it would get in a session.
CREATE TABLE named (a integer, b integer);
CREATE INDEX ON named (a, a, (a + 1), (b + 1), lower(a::text), lower(b::text)) INCLUDE (b);
SELECT indexrelid::regclass AS index FROM pg_index WHERE indrelid = 'named'::regclass \gset
DROP INDEX :index;
CALL kwjobs.run('CREATE INDEX CONCURRENTLY ON named (a, a, (a + 1), (b + 1), lower(a::text), lower(b::text)) INCLUDE (b)') \gset
SELECT indexrelid::regclass, indexrelid::regclass::text = :'index' AS as_in_session FROM pg_index WHERE indrelid = 'named'::regclass;
DROP TABLE named;
CALL kwjobs.run('REINDEX TABLE CONCURRENTLY made') \gset
\echo :status :tags
-- An option that is off does not keep a statement from running with others.
CALL kwjobs.run('REINDEX (CONCURRENTLY false) TABLE made; SELECT 1') \gset
\echo :status :tags
CALL kwjobs.run('REINDEX (CONCURRENTLY) TABLE made; SELECT 1');
CALL kwjobs.run('VACUUM made; SELECT 1');
CALL kwjobs.run('DO $$BEGIN FOR i IN 1 .. 3 LOOP INSERT INTO made VALUES (i + 10); COMMIT; END LOOP; END$$') \gset
\echo :status :tags
SELECT count(*) FROM made;

-- 4. Messages, as a client would get them.
CALL kwjobs.run($$DO 'BEGIN
    RAISE DEBUG ''unheard''; RAISE LOG ''unheard''; RAISE NOTICE ''first''; RAISE INFO ''second'';
    RAISE WARNING ''third'' USING DETAIL = ''more of it'', HINT = ''do something'';
END'; DROP TABLE IF EXISTS not_there$$) \gset
SELECT tags, unnest(messages) AS message FROM last_attempt;
CALL kwjobs.run('DROP TABLE IF EXISTS not_there', settings => '{"client_min_messages": "warning"}') \gset
SELECT tags, messages FROM last_attempt;
CALL kwjobs.run($$DO 'BEGIN RAISE DEBUG ''a detail''; END'$$, settings => '{"client_min_messages": "debug1"}') \gset
SELECT 'DEBUG:  a detail' = ANY (messages) AS kept FROM last_attempt;
CALL kwjobs.run($$DO 'BEGIN FOR i IN 1 .. 100 LOOP RAISE NOTICE ''%'', repeat(''x'', 1000); END LOOP; END'$$) \gset
SELECT cardinality(messages), (SELECT m FROM unnest(messages) AS m WHERE m LIKE '... %') AS mark FROM last_attempt;

-- 5. Settings: search_path is the creator's, the others the owner's.
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.found (n integer);
SET search_path = elsewhere, public;
SET work_mem = '5MB';
CALL kwjobs.run('INSERT INTO found SELECT 1; INSERT INTO said (what) SELECT current_setting(''work_mem'')') \gset
RESET search_path;
RESET work_mem;
CALL kwjobs.run('INSERT INTO said (what) SELECT concat_ws('' '', current_setting(''search_path''), current_setting(''work_mem''), current_setting(''enable_seqscan''), current_setting(''my.tenant''))',
    settings => '{"search_path": "public, elsewhere", "work_mem": "6MB", "enable_seqscan": false, "my.tenant": 7}') \gset
CALL kwjobs.run('INSERT INTO said (what) SELECT current_setting(''work_mem'') || coalesce(current_setting(''my.tenant'', true), '''')') \gset
SELECT what FROM said ORDER BY n DESC LIMIT 3;
SELECT payload -> 'settings' AS settings FROM last_job;
CALL kwjobs.run('SELECT pg_sleep(600)', settings => '{"statement_timeout": 20}');

SELECT kwjobs.submit('SELECT 1', settings => NULL);
SELECT kwjobs.submit('SELECT 1', settings => '[1]');
SELECT kwjobs.submit('SELECT 1', settings => '"work_mem"');
SELECT kwjobs.submit('SELECT 1', settings => '{"work_mem": null}');
SELECT kwjobs.submit('SELECT 1', settings => '{"work_mem": ["5MB"]}');
SELECT kwjobs.submit('SELECT 1', settings => '{"work_mem": "much"}');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', settings => '{"no_such_parameter": 1}');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', settings => '{"shared_buffers": "1GB"}');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', settings => '{"log_statement": "all"}', run_as => 'kwj_sql_owner');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', settings => '{"Role": "kwj_sql_owner"}');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', settings => '{"session_authorization": "kwj_sql_owner"}');
SELECT kwjobs.submit('SELECT 1', settings => '{"client_encoding": "latin1"}');
SELECT kwjobs.submit('SELECT 1', settings => '{"transaction_read_only": true}');
SELECT kwjobs.submit('SELECT 1', settings => '{"transaction_isolation": "serializable"}');
SELECT kwjobs.submit('SELECT 1', settings => '{"idle_session_timeout": 1}');

-- A read-only job; and one that leaves the rest of the session so, while it fails.
CALL kwjobs.run('SELECT count(*) FROM said', settings => '{"default_transaction_read_only": true}') \gset
\echo :status :tags
CALL kwjobs.run('INSERT INTO said (what) VALUES (''never'')', settings => '{"default_transaction_read_only": true}');
CALL kwjobs.run('SET TRANSACTION READ ONLY; SELECT count(*) FROM said') \gset
\echo :status :tags
CALL kwjobs.run('DO $$BEGIN SET default_transaction_read_only = on; COMMIT; PERFORM 1 / 0; END$$');
CALL kwjobs.run('SELECT 1', settings => '{"default_transaction_isolation": "serializable"}') \gset
\echo :status :tags

-- 6. As whom.
CALL kwjobs.run('INSERT INTO said (who) SELECT session_user', run_as => 'kwj_sql_owner') \gset
SELECT who FROM said ORDER BY n DESC LIMIT 1;
SELECT user_name FROM last_job;
SELECT kwjobs.submit('SELECT 1', run_as => 'kwj_sql_group');
SELECT kwjobs.submit('SELECT 1', run_as => 'kwj_no_such_role');
SET ROLE kwj_sql_owner;
SELECT kwjobs.submit('SELECT 1', run_as => 'kwj_sql_other');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT kwj_sql_other TO kwj_sql_owner;
SET ROLE kwj_sql_owner;
CALL kwjobs.run('INSERT INTO said (who) SELECT session_user', run_as => 'kwj_sql_other') \gset
RESET ROLE;
SELECT who FROM said ORDER BY n DESC LIMIT 1;

-- 7. The key: one job at a time.
SELECT kwjobs.submit('SELECT 1', key => 'nightly', run_at => now() + interval '1 day') AS first \gset
SELECT kwjobs.submit('SELECT 2', key => 'nightly') = :first AS same;
SELECT kwjobs.submit('SELECT 2', key => 'nightly', run_as => 'kwj_sql_owner') = :first AS same_of_another_owner;
SELECT description, key, status, run_at > now() AS later FROM kwdb_internal.jobs WHERE job_id = :first;
SELECT kwjobs.cancel(:first);
SELECT status FROM kwjobs.when_complete(ARRAY[:first]);
SELECT kwjobs.submit('SELECT 2', key => 'nightly') = :first AS same;
SELECT kwjobs.submit('SELECT 2', key => '');
SELECT kwjobs.submit('SELECT 2', key => repeat('x', 201));
SELECT kwjobs.submit('SELECT 2', key => repeat('x', 200)) > 0 AS created;

-- 8. Other jobs first.
SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day') AS first \gset
SELECT kwjobs.submit('SELECT 2', depends_on => ARRAY[:first, :first]) AS second \gset
SELECT waits_for = ARRAY[:first] AS waits FROM kwdb_internal.jobs WHERE job_id = :second;
WITH made AS MATERIALIZED (SELECT kwjobs.submit('SELECT 1') AS job_id)
SELECT kwjobs.submit('SELECT 2', depends_on => ARRAY[job_id]) AS second FROM made \gset
SELECT status FROM kwjobs.when_complete(ARRAY[:second]);
SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[1]);
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[:first, NULL]);
\echo :LAST_ERROR_SQLSTATE
SET ROLE kwj_sql_owner;
\set VERBOSITY sqlstate
SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[:second]);
\set VERBOSITY default
SELECT kwjobs.submit('SELECT 1') AS own \gset
SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[:own]) > 0 AS created;
RESET ROLE;

-- 9. Every other argument.
SELECT kwjobs.submit(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('  -- nothing ; ;');
SELECT kwjobs.submit('SELECT 1', priority => NULL);
SELECT kwjobs.submit('SELECT 1', priority => 1001);
SELECT kwjobs.submit('SELECT 1', priority => -1001);
SELECT kwjobs.submit('SELECT 1', max_attempts => NULL);
SELECT kwjobs.submit('SELECT 1', max_attempts => 0);
SELECT kwjobs.submit('SELECT 1', max_attempts => 1001);
SELECT kwjobs.submit('SELECT 1', retry_initial_delay => NULL);
SELECT kwjobs.submit('SELECT 1', retry_initial_delay => '0 seconds');
SELECT kwjobs.submit('SELECT 1', retry_initial_delay => '-1 month');
SELECT kwjobs.submit('SELECT 1', timeout => '100 years');
SELECT kwjobs.submit('SELECT 1', timeout => '-1 ms');
SELECT kwjobs.submit('SELECT 1', run_at => 'infinity');
SELECT kwjobs.submit('SELECT 1', on_failure => NULL);
SELECT kwjobs.submit('SELECT 1', on_failure => 'explode');
DO $$ BEGIN
    PERFORM kwjobs.submit('SELECT 1', on_failure => repeat('x', 100000));
EXCEPTION WHEN invalid_parameter_value THEN
    RAISE INFO 'a message of % bytes at most', ceil(octet_length(SQLERRM) / 10000.0) * 10000;
END $$;
SELECT kwjobs.submit('SELECT 1', on_revert => '');
SELECT kwjobs.submit('SELECT 1', on_revert => 'SELECT FROM WHERE');

CALL kwjobs.run('SELECT 1', priority => -1000, max_attempts => 1, retry_initial_delay => '1 us',
    timeout => '50 years', run_at => '1000-01-01 BC', on_failure => 'retry') \gset
SELECT priority, max_attempts, timeout, on_failure, status FROM last_job;
BEGIN READ ONLY;
SELECT kwjobs.submit('SELECT 1');
ROLLBACK;

-- 10. Errors in the text point into it, and what cannot be in it is refused.
SELECT kwjobs.submit(E'SELECT 1;\nSELECT 2 FORM said');
SELECT kwjobs.submit('SELECT 1; PAUSE JOB');
SELECT kwjobs.submit('BEGIN; SELECT 1; COMMIT');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1; COMMIT');
SELECT kwjobs.submit('START TRANSACTION');
SELECT kwjobs.submit('ROLLBACK');
SELECT kwjobs.submit('SAVEPOINT a');
SELECT kwjobs.submit('RELEASE a');
SELECT kwjobs.submit('ROLLBACK TO a');
SELECT kwjobs.submit('PREPARE TRANSACTION ''a''');
SELECT kwjobs.submit('COPY said FROM STDIN');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1;   COPY said TO STDOUT');
SELECT kwjobs.submit('SELECT 1', on_revert => 'LISTEN something');
\echo :LAST_ERROR_SQLSTATE

-- 11. kwjobs.run waits, so it cannot be where the job could not start.
BEGIN;
CALL kwjobs.run('SELECT 1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT 1 AS before\; CALL kwjobs.run('SELECT 1');
CREATE FUNCTION run_in_function() RETURNS text LANGUAGE plpgsql AS $$
DECLARE id bigint; status text; rows bigint; tags text[]; result jsonb;
BEGIN
    CALL kwjobs.run('SELECT 1', job_id => id, status => status, rows => rows, tags => tags, result => result);
    RETURN status;
END $$;
SELECT run_in_function();
CREATE PROCEDURE run_with_handler() LANGUAGE plpgsql AS $$
DECLARE id bigint; status text; rows bigint; tags text[]; result jsonb;
BEGIN
    BEGIN
        CALL kwjobs.run('SELECT 1', job_id => id, status => status, rows => rows, tags => tags, result => result);
    EXCEPTION WHEN division_by_zero THEN
        RAISE NOTICE 'caught';
    END;
END $$;
CALL run_with_handler();
CREATE FUNCTION run_in_sql() RETURNS void LANGUAGE sql AS $$ CALL kwjobs.run('SELECT 1') $$;
CALL kwjobs.run('SELECT 1; CALL kwjobs.run(''SELECT 2'')');
CALL kwjobs.run('CALL kwjobs.run(''SELECT 2'')') \gset
\echo :status :tags
CALL kwjobs.run(NULL);
-- The job's error is the caller's, with all its parts.
CALL kwjobs.run($$DO 'BEGIN RAISE EXCEPTION ''it broke'' USING ERRCODE = ''KW001'', DETAIL = ''the detail'', HINT = ''the hint''; END'$$);
\echo :LAST_ERROR_SQLSTATE

-- 12. Job statements inside of jobs.
SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day') AS first \gset
SELECT kwjobs.submit(format('SELECT count(*) FROM [SHOW JOB %s]; SHOW JOBS; SHOW JOB %1$s; CANCEL JOBS (SELECT %1$s) WITH REASON = ''said a job''', :first)) AS second \gset
SELECT status, error FROM kwjobs.when_complete(ARRAY[:second]);
SELECT tags FROM last_attempt;
SELECT status, request_reason FROM kwjobs.when_complete(ARRAY[:first]);
-- a job cannot wait for itself
\set VERBOSITY sqlstate
CALL kwjobs.run('SELECT status FROM kwjobs.when_complete(ARRAY[kwjobs.current_job()])');
\set VERBOSITY default
SELECT regexp_replace(error, '\d+', 'N') AS error, error_code, error_detail, error_hint FROM last_job;
-- one that cancels itself ends as canceled, without its work
CALL kwjobs.run('INSERT INTO said (what) VALUES (''too much''); SELECT kwjobs.cancel(kwjobs.current_job()); INSERT INTO said (what) VALUES (''more'')',
                on_revert => 'INSERT INTO said (what) VALUES (''canceled myself'')');
SELECT status, error, error_code FROM last_job;
SELECT what FROM said ORDER BY n DESC LIMIT 1;
SELECT attempt, status, error FROM kwdb_internal.job_attempts WHERE job_id = (SELECT max(job_id) FROM kwdb_internal.jobs) ORDER BY attempt;
-- one that pauses itself has done its work before that can happen
CALL kwjobs.run('INSERT INTO said (what) VALUES (''paused myself''); SELECT kwjobs.pause(kwjobs.current_job())') \gset
\echo :status :tags
SELECT what FROM said ORDER BY n DESC LIMIT 1;

-- 13. The session that the next job finds is like a new one.
CALL kwjobs.run('SET work_mem = ''9MB''; CREATE TEMP TABLE left_over (n integer); PREPARE q AS SELECT 1; SELECT pg_advisory_lock(123456)') \gset
CALL kwjobs.run('INSERT INTO said (what) SELECT concat_ws('' '', current_setting(''work_mem''), to_regclass(''left_over''), (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_locks WHERE objid = 123456 AND pid = pg_backend_pid()))') \gset
SELECT what FROM said ORDER BY n DESC LIMIT 1;
CALL kwjobs.run('DISCARD ALL') \gset
\echo :status :tags
CALL kwjobs.run('SET ROLE kwj_sql_owner; INSERT INTO said (who, what) SELECT current_user, session_user::text = current_user::text') \gset
SELECT who, what FROM said ORDER BY n DESC LIMIT 1;

SELECT count(kwjobs.cancel(job_id)) > 0 AS some_were_left FROM kwdb_internal.jobs WHERE finished IS NULL;
DROP VIEW last_attempt, last_job;
DROP FUNCTION run_in_function;
DROP PROCEDURE run_with_handler;
SET client_min_messages = warning;
DROP SCHEMA elsewhere CASCADE;
DROP TABLE said, made, deferred;
DROP ROLE kwj_sql_owner, kwj_sql_other, kwj_sql_group;
