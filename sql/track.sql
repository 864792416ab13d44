-- SCHEMA CHANGE jobs: which statements of a session are jobs (kwjobs.track), with which text, and
-- how they end.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_track, kwj_track_other;
RESET client_min_messages;
SET kwjobs.progress_interval = 0;
\i `echo "$KWJ_INCLUDE/procedures.sql"`

-- Waits until all jobs are over and have rows. The coordinator has to write those rows that this
-- session could not commit together with its work.
CREATE PROCEDURE settled() LANGUAGE plpgsql AS
$$ BEGIN PERFORM kwjobs.when_complete(ARRAY(SELECT job_id FROM kwdb_internal.jobs)); END $$;
-- Deletes all jobs; the next look shows what has been done since. No place in shared memory may stay
-- taken. There is no event for a place that becomes free.
CREATE PROCEDURE start_over() LANGUAGE plpgsql AS $$
BEGIN
    CALL settled();
    CALL wait_until('(SELECT taken = 0 FROM kwjobs.session_job_places())');
    DELETE FROM kwjobs.job;
END $$;
CREATE FUNCTION jobs() RETURNS TABLE (description text, status text, code text, error text) LANGUAGE sql AS
$$ SELECT description, status, error_code, nullif(error, '') FROM kwdb_internal.jobs WHERE job_type IN ('SCHEMA CHANGE', 'CREATE_STATS') ORDER BY job_id $$;
CREATE SCHEMA tracked;
SET search_path = tracked, public;

-- 1. Nothing is tracked by default.
SHOW kwjobs.track;
CREATE TABLE untracked ();
DROP TABLE untracked;
SELECT count(*) FROM jobs();

-- 2. One job for each statement of this kind, with its own text.
SET kwjobs.track = top;
CREATE TABLE t (a integer, b text);
CREATE TABLE u (a serial PRIMARY KEY, b text UNIQUE);
CREATE INDEX ON t (a);
CREATE INDEX CONCURRENTLY t_b ON t (b);
REINDEX INDEX t_b;
REINDEX TABLE CONCURRENTLY t;
DROP INDEX CONCURRENTLY t_b;
ALTER TABLE t ADD COLUMN c integer DEFAULT 5, ALTER COLUMN a TYPE bigint;
ALTER TABLE t RENAME TO tt;
ALTER TABLE tt SET SCHEMA public;
ALTER TABLE public.tt SET SCHEMA tracked;
CREATE VIEW v AS SELECT a FROM tt;
CREATE MATERIALIZED VIEW m AS SELECT 1 AS x;
REFRESH MATERIALIZED VIEW m;
CREATE TABLE ctas AS SELECT 1 AS x;
SELECT 2 AS x INTO into_table;
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE CREATE TABLE explained AS SELECT 1 AS x'; END $$;
EXPLAIN (COSTS off) CREATE TABLE not_explained AS SELECT 1 AS x;
CREATE SEQUENCE s;
ALTER SEQUENCE s RESTART;
TRUNCATE tt, u;
VACUUM FULL u;
CLUSTER u USING u_pkey;
CREATE TYPE e AS ENUM ('a');
ALTER TYPE e ADD VALUE 'b';
CREATE TYPE c AS (x integer);
CREATE DOMAIN d AS integer CHECK (VALUE > 0);
ALTER DOMAIN d DROP CONSTRAINT d_check;
CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION f() COST 5;
CREATE FUNCTION returns_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON tt FOR EACH ROW EXECUTE FUNCTION returns_trigger();
DROP TRIGGER tr ON tt;
CREATE RULE r AS ON DELETE TO u DO INSTEAD NOTHING;
CREATE POLICY p ON tt USING (true);
ALTER POLICY p ON tt USING (false);
CREATE STATISTICS tracked.st (ndistinct) ON a, b FROM tt;
ALTER STATISTICS st SET STATISTICS 5;
DROP STATISTICS st;
CREATE AGGREGATE agg (integer) (SFUNC = int4pl, STYPE = integer);
CREATE SCHEMA elements CREATE TABLE one () CREATE VIEW two AS SELECT 1 AS x;
DROP SCHEMA elements CASCADE;
SET client_min_messages = error;
CREATE PUBLICATION pub FOR TABLE u;
DROP PUBLICATION pub;
RESET client_min_messages;
DROP TABLE IF EXISTS no_such_table;
DROP VIEW v;
ALTER TABLE tt OWNER TO CURRENT_USER;
CALL settled();
SELECT description, status FROM jobs();
SELECT bool_and(statement = '' AND user_name = current_user AND fraction_completed = 1 AND finished >= started) AS sound FROM [SHOW JOBS] WHERE job_type = 'SCHEMA CHANGE';
SELECT count(*) > 0 AS not_automatic FROM [SHOW JOBS] WHERE job_type = 'SCHEMA CHANGE';
SELECT count(*) FROM [SHOW AUTOMATIC JOBS] WHERE job_type = 'SCHEMA CHANGE';

-- The session looks at no more of a text than the job keeps, which is about 2 kB.
DO $$ BEGIN EXECUTE format('CREATE FUNCTION far() RETURNS integer LANGUAGE sql AS ''SELECT 1 /* %s */ -- password = ''''x''''''', repeat('x', 3000)); END $$;
SELECT left(description, 41) AS text, description ~ 'password' AS shown FROM jobs() WHERE description ~ 'FUNCTION far';
DROP FUNCTION far();

-- 3. What is no schema change, or might show a secret.
CALL start_over();
SELECT 1 AS plain;
INSERT INTO ctas VALUES (2);
BEGIN;
COMMIT;
SET work_mem = '4MB';
COPY ctas TO PROGRAM 'cat >/dev/null';
VACUUM ctas;
VACUUM (ANALYZE off, VERBOSE off) ctas;
CREATE STATISTICS st FROM no_such_table; -- fails before it begins
VACUUM (FULL off) ctas;
VACUUM (FULL 0) ctas;
LOCK TABLE ctas; -- fails
COMMENT ON TABLE ctas IS 'a comment';
GRANT SELECT ON ctas TO PUBLIC;
CREATE ROLE kwj_track LOGIN PASSWORD 'secret';
ALTER ROLE kwj_track PASSWORD 'secret';
ALTER ROLE kwj_track RENAME TO kwj_track_other;
ALTER ROLE kwj_track_other RENAME TO kwj_track;
CREATE FOREIGN DATA WRAPPER wrapper OPTIONS (password 'secret');
CREATE SERVER server FOREIGN DATA WRAPPER wrapper OPTIONS (password 'secret');
CREATE USER MAPPING FOR CURRENT_USER SERVER server OPTIONS (password 'secret');
SET client_min_messages = error;
CREATE SUBSCRIPTION sub CONNECTION 'dbname=x password=secret' PUBLICATION p WITH (connect = false, enabled = false, slot_name = NONE);
ALTER SUBSCRIPTION sub CONNECTION 'dbname=y password=secret';
DROP SUBSCRIPTION sub;
RESET client_min_messages;
SELECT count(*) FROM jobs();
CREATE FOREIGN TABLE foreign_table (a integer) SERVER server OPTIONS (password 'secret');
ALTER FOREIGN TABLE tracked.foreign_table OPTIONS (SET password 'other secret');
ALTER TABLE tracked.foreign_table OPTIONS (ADD token 'a third secret');
ALTER TABLE tracked.foreign_table ALTER COLUMN a OPTIONS (ADD token 'a fourth secret');
CREATE TABLE has_default (password text, x text DEFAULT 'host=h password = secret');
CREATE TABLE has_uri (x text DEFAULT 'postgres://user:secret@host/db');
DO $$ BEGIN EXECUTE format('CREATE TABLE cut_uri (x text DEFAULT %L)', repeat('a', 1980) || ' postgres://user:' || repeat('secret', 20) || '@host'); END $$;
CREATE TABLE has_json (x text DEFAULT '{"passwd": "secret"}');
CREATE TABLE has_word (password text, url text DEFAULT 'http://host:80/path', at text DEFAULT 'a@b');
SELECT description, status FROM jobs();
DROP SERVER server CASCADE;
DROP FOREIGN DATA WRAPPER wrapper;

-- 4. Temporary objects.
CALL start_over();
CREATE TEMPORARY TABLE temporary (a serial PRIMARY KEY);
CREATE TABLE pg_temp.temporary2 (a integer);
CREATE INDEX ON temporary2 (a);
CREATE STATISTICS st ON (a + 1) FROM temporary2;
CREATE STATISTICS pg_temp.st ON (x + 1) FROM ctas;
DROP STATISTICS pg_temp.st;
ALTER TABLE temporary ADD b text;
ALTER TABLE pg_temp.temporary2 ADD b text;
CREATE TEMPORARY VIEW temporary_view AS SELECT 1 AS x;
SET client_min_messages = warning;
CREATE VIEW turns_out AS SELECT * FROM temporary;
RESET client_min_messages;
CREATE TEMPORARY SEQUENCE temporary_sequence;
SELECT 1 AS x INTO TEMPORARY temporary3;
CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION pg_temp.f() COST 5;
CREATE TYPE pg_temp.e AS ENUM ('a');
TRUNCATE temporary, temporary2;
VACUUM FULL temporary2;
ANALYZE temporary2;
VACUUM ANALYZE pg_temp.temporary2;
CREATE TRIGGER tr BEFORE INSERT ON temporary FOR EACH ROW EXECUTE FUNCTION returns_trigger();
DROP TRIGGER tr ON temporary;
DROP VIEW turns_out;
DROP FUNCTION pg_temp.f();
DROP TYPE pg_temp.e;
DROP TABLE temporary, pg_temp.temporary2;
SELECT count(*) FROM jobs();
-- A permanent object is tracked, also beside a temporary one, or with the same name.
CREATE TABLE temporary3 (a integer);
CREATE TEMPORARY TABLE gone ();
DROP TABLE tracked.temporary3, gone;
CREATE TEMPORARY TABLE ctas ();
ALTER TABLE tracked.ctas ADD y integer;
ALTER TABLE ctas ADD y integer;
DROP TABLE pg_temp.ctas;
SET search_path = pg_temp, tracked, public;
CREATE TABLE by_path (a integer);
RESET search_path;
SET search_path = tracked, public;
SELECT description, status FROM jobs();

-- 5. Texts: of several statements in a string each has its own, without the comments before it.
CALL start_over();
/* one */ -- two
CREATE TABLE one ();
DROP TABLE one\; SELECT 1 AS x\; /* nested /* comment */ */ CREATE TABLE two (a integer /* inside */)  \;
CREATE TABLE
    three ();
DO $$ BEGIN EXECUTE format('CREATE TABLE long (%s)', (SELECT string_agg('column_' || n || ' integer', ', ') FROM generate_series(1, 500) AS n)); END $$;
SELECT left(description, 60) AS description, right(description, 3) AS "end", length(description) FROM jobs();

-- 6. Transactions.
CALL start_over();
BEGIN;
CREATE TABLE committed ();
SELECT description, status, running_status FROM kwdb_internal.jobs;
COMMIT;
SELECT * FROM jobs();
BEGIN;
CREATE TABLE rolled_back ();
ROLLBACK;
BEGIN;
CREATE TABLE before_savepoint ();
SAVEPOINT a;
CREATE TABLE after_savepoint ();
ROLLBACK TO a;
SAVEPOINT b;
CREATE TABLE released ();
RELEASE b;
COMMIT;
BEGIN;
CREATE TABLE fails_later ();
SELECT 1/0;
CREATE TABLE in_failed_block ();
ROLLBACK;
CREATE TABLE first_of_string ()\; SELECT 1/0\; CREATE TABLE never ();
CREATE TABLE committed ();
ALTER TABLE no_such_table ADD a integer;
CREATE TABLE no_query AS SELECT * FROM no_such_table;
CREATE INDEX CONCURRENTLY no_index ON committed (a);
BEGIN READ ONLY;
CREATE TABLE read_only ();
ROLLBACK;
BEGIN;
CREATE INDEX CONCURRENTLY in_block ON ctas (x);
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
CREATE TABLE serializable ();
COMMIT;
CALL settled();
SELECT * FROM jobs();

-- 7. Functions, procedures, blocks of PL/pgSQL.
CALL start_over();
CREATE FUNCTION creates(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I ()', name);
END $$;
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE of_procedure ();
    COMMIT;
    CREATE TABLE of_procedure_2 ();
    ROLLBACK;
    CREATE TABLE of_procedure_3 ();
    BEGIN
        CREATE TABLE in_exception_block ();
        PERFORM 1/0;
    EXCEPTION WHEN division_by_zero THEN
        DROP TABLE of_procedure_3;
    END;
    BEGIN
        CREATE TABLE of_procedure ();
    EXCEPTION WHEN duplicate_table THEN NULL;
    END;
END $$;
CALL start_over();
SELECT creates('of_function');
CALL commits();
DO $$ BEGIN CREATE TABLE of_do (); PERFORM creates('of_function_in_do'); END $$;
CREATE PROCEDURE calls() LANGUAGE plpgsql AS $$ BEGIN CALL commits(); EXCEPTION WHEN OTHERS THEN CREATE TABLE of_handler (); END $$;
BEGIN;
DO $$ BEGIN CREATE TABLE do_in_block (); END $$;
COMMIT;
CALL settled();
SELECT * FROM jobs();
CALL start_over();
SET kwjobs.track = 'all';
SELECT creates('all_of_function');
CREATE FUNCTION does(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DO $x$ BEGIN CREATE TABLE %I (); END $x$', name);
END $$;
SELECT does('by_do_in_function');
SET kwjobs.track = top;
SELECT does('by_do_in_function_of_top');
CALL settled();
SELECT * FROM jobs();
-- An error leaves no level behind: the session tracks the next statements as ever.
CALL start_over();
DO $$ BEGIN PERFORM 1/0; END $$;
SELECT creates('after_failed_do');
CREATE SCHEMA fails CREATE TABLE x (a no_such_type);
CREATE TABLE after_failed_schema ();
CALL settled();
SELECT * FROM jobs();

-- 8. Nested statements belong to the outermost one.
CALL start_over();
CREATE TABLE log (command text);
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tg_tag = 'CREATE SEQUENCE' THEN
        EXECUTE 'CREATE TABLE of_event_trigger ()';
    END IF;
END $$;
CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION on_ddl();
CREATE SEQUENCE with_trigger;
SELECT count(*) AS created FROM pg_class WHERE relname = 'of_event_trigger';
DROP EVENT TRIGGER on_ddl;
CREATE TABLE with_parts (a serial PRIMARY KEY, b integer REFERENCES with_parts) PARTITION BY RANGE (a);
SELECT description, status FROM jobs();

-- 9. Prepared statements: the protocol prepares statements of all kinds, PL/pgSQL keeps plans.
CALL start_over();
DO $$
BEGIN
    FOR i IN 1 .. 3 LOOP
        CREATE TABLE again ();
        DROP TABLE again;
    END LOOP;
END $$;
PREPARE p AS SELECT creates('by_execute');
EXECUTE p;
PREPARE q AS SELECT 1 AS x;
CREATE TABLE as_execute AS EXECUTE q;
SELECT description, count(*), min(status) AS status FROM jobs() GROUP BY description ORDER BY 1;

-- 10. How long it has taken.
CALL start_over();
SET kwjobs.track_min_duration = '1h';
CREATE TABLE too_short ();
CREATE TABLE too_short ();
BEGIN;
CREATE TABLE too_short_2 ();
ROLLBACK;
CREATE INDEX CONCURRENTLY short_index ON ctas (x);
RESET kwjobs.track_min_duration;
SET application_name = 'pg_restore';
CREATE TABLE restored ();
CREATE TABLE restored ();
RESET application_name;
CALL settled();
SELECT * FROM jobs();

-- 11. An INVALID index is left.
CALL start_over();
INSERT INTO ctas VALUES (7), (7);
CREATE UNIQUE INDEX CONCURRENTLY invalid ON ctas (x);
CREATE UNIQUE INDEX CONCURRENTLY ON ctas (x);
CREATE UNIQUE INDEX not_left ON ctas (x);
SET track_activities = off;
CREATE UNIQUE INDEX CONCURRENTLY invalid_2 ON ctas (x);
RESET track_activities;
SET client_min_messages = error;
REINDEX TABLE CONCURRENTLY ctas;
RESET client_min_messages;
CALL settled();
SELECT description, status, error_code, error, error_hint FROM kwdb_internal.jobs ORDER BY job_id;
DELETE FROM ctas;
SET client_min_messages = error;
REINDEX TABLE ctas;
RESET client_min_messages;

-- 12. Control.
CALL start_over();
BEGIN;
CREATE TABLE controlled ();
SELECT job_id AS job FROM kwdb_internal.jobs \gset
CALL fails('PAUSE JOB ' || :job);
SELECT kwjobs.pause_all(), kwjobs.cancel_all();
COMMIT;
CALL fails('RETRY JOB ' || :job);
CALL fails('RESUME JOB ' || :job);
CALL fails('CANCEL JOB ' || :job);
CALL fails($$SELECT kwjobs.hold('schema change')$$);
CALL fails($$SELECT kwjobs.create_job('SCHEMA CHANGE', '{}')$$);
SELECT status FROM [SHOW JOB :job];

-- 13. Settings: for superusers; for a role.
SET ROLE kwj_track;
SET kwjobs.track = 'all';
SET kwjobs.track_min_duration = 5;
RESET ROLE;
SET kwjobs.track = everything;
ALTER ROLE kwj_track SET kwjobs.track = none;

-- 14. To write the row of a job, the session opens only the indexes that the row can be in. An index
-- that somebody adds later is one of them. Each row is found in the indexes that kwjobs has.
CALL start_over();
CREATE TABLE before_index ();
CREATE INDEX added ON kwjobs.job (description) WHERE status = 'succeeded' AND finished IS NOT NULL;
CREATE TABLE after_index ();
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT status FROM kwjobs.job WHERE description = 'CREATE TABLE after_index ()' AND status = 'succeeded' AND finished IS NOT NULL;
SELECT status FROM kwjobs.job WHERE description = 'CREATE TABLE after_index ()' AND status = 'succeeded' AND finished IS NOT NULL;
DROP INDEX kwjobs.added;
SELECT count(*) FROM kwjobs.job WHERE finished IS NOT NULL AND job_type = 'SCHEMA CHANGE';
SELECT count(*) FROM kwjobs.job WHERE job_id IN (SELECT job_id FROM kwdb_internal.jobs) AND job_type = 'SCHEMA CHANGE';
RESET enable_bitmapscan;
RESET enable_seqscan;
SELECT description, status FROM jobs();

-- 15. One job for a command that has a transaction for each table, and one row, whatever it commits.
CALL start_over();
CREATE TABLE several_1 (a integer PRIMARY KEY);
CREATE TABLE several_2 (a integer PRIMARY KEY);
CLUSTER several_1 USING several_1_pkey;
CALL start_over();
VACUUM FULL several_1, several_2;
VACUUM (FULL, ANALYZE) several_1, several_2;
CLUSTER;
SET client_min_messages = error;
REINDEX SCHEMA tracked;
REINDEX SCHEMA CONCURRENTLY tracked;
RESET client_min_messages;
VACUUM FULL several_1, no_such_table;
CALL settled();
SELECT * FROM jobs();

-- 16. What collects statistics is of type CREATE_STATS: ANALYZE, VACUUM with the option ANALYZE, and
-- CREATE STATISTICS. VACUUM FULL is a schema change also if it collects statistics.
CALL start_over();
ANALYZE several_1;
ANALYZE several_1 (a), several_2;
ANALYZE (VERBOSE off) several_1;
VACUUM ANALYZE several_1;
VACUUM (ANALYZE, FULL off) several_1, several_2;
VACUUM (FULL, ANALYZE) several_1;
CREATE STATISTICS tracked.st ON a, b FROM tt;
ALTER STATISTICS st SET STATISTICS 5;
DROP STATISTICS st;
ANALYZE no_such_table;
ANALYZE several_1 (no_such_column);
CREATE STATISTICS st ON (a / 0), b FROM tt, tt AS again;
BEGIN;
ANALYZE several_1;
SELECT job_type, description, status, running_status FROM kwdb_internal.jobs WHERE finished IS NULL;
SELECT job_id AS analyze FROM kwdb_internal.jobs WHERE finished IS NULL \gset
ROLLBACK;
BEGIN READ ONLY;
ANALYZE several_1;
COMMIT;
BEGIN;
VACUUM ANALYZE several_1;
ROLLBACK;
DO $$ BEGIN ANALYZE several_2; END $$;
CALL settled();
SELECT job_type, description, status, error_code, nullif(error, '') AS error FROM kwdb_internal.jobs WHERE job_type <> 'RESTART' ORDER BY job_id;
-- Nobody can run the statement of a session again.
CALL fails('PAUSE JOB ' || :analyze);
CALL fails('RETRY JOB ' || :analyze);
CALL fails('RESUME JOB ' || :analyze);

-- 17. The memory of a procedure that commits often does not grow with the rows of its jobs.
CREATE FUNCTION memory_of_procedures() RETURNS numeric LANGUAGE sql AS
$$ SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name = 'SPI Proc' $$;
CREATE PROCEDURE commits_often() LANGUAGE plpgsql AS $$
DECLARE
    before numeric;
BEGIN
    FOR n IN 1 .. 300 LOOP
        CREATE TABLE passing ();
        DROP TABLE passing;
        COMMIT;
        before := coalesce(before, CASE WHEN n = 100 THEN memory_of_procedures() END);
    END LOOP;
    RAISE INFO 'its memory grows: %', memory_of_procedures() - before > 200000;
END $$;
CALL commits_often();

-- 18. The rows of a session have much in common. Each has its own type, status, roles and times, and
-- the name that its role had at that moment.
CALL start_over();
GRANT CREATE, USAGE ON SCHEMA tracked TO kwj_track;
CREATE TABLE alike_1 (a integer);
ANALYZE alike_1;
CREATE TABLE alike_2 ();
CREATE TABLE alike_2 ();
CREATE TABLE alike_3 ();
SET ROLE kwj_track;
CREATE TABLE alike_4 ();
ALTER TABLE alike_4 ADD COLUMN a integer;
RESET ROLE;
ALTER ROLE kwj_track RENAME TO kwj_track_other;
SET ROLE kwj_track_other;
ALTER TABLE alike_4 ADD COLUMN b integer;
RESET ROLE;
BEGIN;
ALTER ROLE kwj_track_other RENAME TO kwj_track_passing;
SET ROLE kwj_track_passing;
ALTER TABLE alike_4 ADD COLUMN c integer;
ROLLBACK;
SET ROLE kwj_track_other;
ALTER TABLE alike_4 ADD COLUMN c integer;
RESET ROLE;
CREATE TABLE alike_5 ();
CALL settled();
SELECT job_type, description, status, nullif(user_name, session_user) AS user_name, nullif(owner::regrole::text, session_user) AS owner, owner = created_by AS by_owner,
       created_by_session = session_user::regrole AS by_session, total_num_of_success AS success, total_num_of_fail AS fail, time_of_last_success = finished AS succeeded, errored = finished AS errored,
       created = started AND due = started AND modified = finished AND started < finished AND started >= coalesce(lag(started) OVER (ORDER BY job_id), '-infinity') AS times
  FROM kwjobs.job WHERE job_type <> 'RESTART' ORDER BY job_id;
ALTER ROLE kwj_track_other RENAME TO kwj_track;

-- 19. The statements of a transaction succeed at the same moment, also those that have given their places
-- to others. SHOW JOBS shows the last one first.
CALL start_over();
DO $$ BEGIN FOR i IN 1 .. 100 LOOP EXECUTE format('CREATE TABLE ordered_%s ()', i); END LOOP; END $$;
SELECT description, finished = first_value(finished) OVER () AS same FROM [SHOW JOBS] LIMIT 3;
SELECT count(*), count(DISTINCT finished) FROM [SHOW JOBS] WHERE job_type = 'SCHEMA CHANGE';

-- 20. A session makes the tuple of a row from that of the last one. Texts of 126 bytes and less are
-- stored in another way than longer ones, so here texts of many lengths follow each other.
CALL start_over();
CREATE FUNCTION sized(n integer) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT format('CREATE TABLE sized_%s (%I integer)', n, repeat('a', 1 + n % 57)) || format(' /* %s */', repeat('x', CASE WHEN n % 10 = 0 THEN 1500 ELSE n END)) $$;
DO $$ BEGIN FOR n IN 1 .. 120 LOOP EXECUTE sized(n); COMMIT; END LOOP; END $$;
SELECT count(*), count(*) FILTER (WHERE description = sized(substring(description FROM 'sized_(\d+)')::integer)) AS right, min(length(description)), max(length(description)),
       count(*) FILTER (WHERE octet_length(description) BETWEEN 125 AND 128) > 0 AS borders, count(DISTINCT payload) AS payloads
  FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE' AND description LIKE 'CREATE TABLE sized%';

SET kwjobs.track = none;
SET client_min_messages = warning;
DROP SCHEMA tracked CASCADE;
DROP ROLE kwj_track;
DROP PROCEDURE IF EXISTS start_over(), settled();
DROP FUNCTION IF EXISTS jobs();
