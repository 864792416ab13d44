-- The arguments of a SQL job: values for $1 and :name, never a part of the text.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_args_owner;
RESET client_min_messages;
CREATE ROLE kwj_args_owner LOGIN;
\set SHOW_CONTEXT never
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, b text);
CREATE TABLE got (n integer, amount numeric, what text, at timestamptz, list integer[], doc jsonb, really boolean,
    feeling mood, p positive, both_of pair, span int4range);

-- 1. Types: each value is converted to that of its parameter.
CALL kwjobs.run('INSERT INTO got VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)', arguments => $$[1, 2.50,
    "it's $1 :n $q$ \" \\ \n", "2026-01-02 03:04:05+00", [1, 2, null], {"a": [1, "b"]}, true, "good", 7, {"a": 1, "b": "x"}, "[1,5)"]$$) \gset
SET timezone = 'UTC';
SELECT n, amount, at, list, doc, really, feeling, p, both_of, span FROM got;
SELECT what = E'it''s $1 :n $q$ " \\ \n' AS is_the_text FROM got;
DELETE FROM got;
CALL kwjobs.run('INSERT INTO got VALUES (:n, :amount, :what, :at, :list, :doc, :is, :feeling, :p)', arguments =>
    '{"n": null, "amount": "1e3", "what": 5, "at": null, "list": "{4,5}", "doc": "text", "is": "no", "feeling": null, "p": null}') \gset
SELECT n, amount, what, list, doc, really, p FROM got;
DELETE FROM got;
CALL kwjobs.run('INSERT INTO got (doc, what, list) VALUES ($1, $2, $3)', arguments => '[[1, {"a": null}], {"a": 1}, []]') \gset
SELECT doc, what, list FROM got;
DELETE FROM got;
-- the same argument at several places and in several statements, with a type for each statement
CALL kwjobs.run('INSERT INTO got (n) VALUES (:n), (:n); UPDATE got SET what = :n; SELECT * FROM got WHERE n = :n',
    arguments => '{"n": 12}') \gset
SELECT :'tags' AS tags;
SELECT n, what FROM got;

-- 2. What is a parameter, and what is not
CREATE TABLE arrays (a integer[], b integer);
INSERT INTO arrays VALUES ('{10,20,30}', 2);
CALL kwjobs.run($$SELECT a[1:2] AS slice, a[1:b] AS to_column, a[b:] AS from_column, a[(:n)] AS element, a[(:n):3] AS from_n, ARRAY[:n, :n] AS made,
    ARRAY[[:n], [:n]] AS nested, :n::text AS cast, ':n $1' AS literal, $q$:n$q$ AS dollar, E':n\'' AS escaped, 1 AS ":n", :n - -:n AS sum /* :n */ -- :n
    FROM arrays WHERE b BETWEEN :n::integer AND :n AND a[:b] IS NOT NULL$$, arguments => '{"n": 2}', keep_result => true) \gset
SELECT jsonb_pretty(:'result');
-- columns that are named by keywords
CREATE TABLE words (a integer[], year integer, month integer, value integer, name integer, type integer, data integer, "end" integer);
INSERT INTO words VALUES ('{10,20,30,40}', 1, 2, 3, 2, 4, 2, 3);
CALL kwjobs.run($$SELECT (array[1,2,3])[year:month] AS year, a[name:value] AS name, a[data:type] AS data, a[words.end:type] AS end, a[value:] AS from_value,
    a[year:(:a)] AS to_a, a[(:a):month] AS from_a, a[1: :a] AS one_to_a, a[a[year]/10:month] AS inner, (SELECT a[f.value:f.type] FROM (SELECT 2 AS value, 3 AS type) AS f) AS of_alias,
    a[CASE WHEN year = :year THEN :year ELSE :a END:month] AS of_case, a[coalesce(year, :a):month] AS of_call,
    ARRAY[value, :value] AS made, ARRAY[[name, :a], [:a, 1]] AS nested, (ARRAY[ARRAY[1, :a]])[1:year][year:month] AS of_made
    FROM words$$, arguments => '{"a": 2, "year": 1, "value": 7}', keep_result => true) \gset
SELECT jsonb_pretty(:'result');
-- positions where a keyword is none of the operands
CALL kwjobs.run($$SELECT DISTINCT extract(year FROM :t::timestamp AT TIME ZONE :zone) AS year, 'a%b' LIKE 'a!%_' ESCAPE :e AS like, n BETWEEN :a AND :b AS between,
    CASE :a WHEN :a THEN :b ELSE :a END AS case, sum(n) OVER (ORDER BY n ROWS :a PRECEDING) AS sum, substring('abc' FROM :b FOR :a) AS part
    FROM generate_series(1, 3) AS n ORDER BY between DESC, sum OFFSET :a FETCH FIRST :b ROWS ONLY$$,
    arguments => '{"t": "2024-05-06", "zone": "UTC", "e": "!", "a": 1, "b": 2}', keep_result => true) \gset
SELECT jsonb_pretty(:'result');
-- right behind a word
\set VERBOSITY default
SELECT kwjobs.submit('INSERT INTO got (n) SELECT n FROM generate_series(1, 3) AS n LIMIT:a', arguments => '{"a": 1}');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1; SELECT 1 WHERE TRUE AND:größe', arguments => '{"größe": true}');
SELECT kwjobs.submit('SELECT :größe; SELECT 1 FROM :größe', arguments => '{"größe": true}');
CALL kwjobs.run('SELECT n+:a*n/:a AS n FROM generate_series(1, 3) AS n WHERE n>:a-1 AND"n"<3/**/LIMIT/**/:a', arguments => '{"a": 1}', keep_result => true) \gset
SELECT :'result' AS result;
CALL kwjobs.run('SELECT :Select || :_x9$ || :größe AS names LIMIT :limit', arguments => '{"Select": "a", "_x9$": "b", "größe": "c", "limit": 1}',
    keep_result => true) \gset
SELECT :'result' AS result;
-- eleven names of one letter, which is shorter than $11
SELECT jsonb_object_agg(chr(96 + i), i::text) AS letters FROM generate_series(1, 11) AS i \gset
CALL kwjobs.run('SELECT :a||:b||:c||:d||:e||:f||:g||:h||:i||:j||:k AS all', arguments => :'letters', keep_result => true) \gset
SELECT :'result' AS result;
-- statements with parameters of their own
CALL kwjobs.run('PREPARE q AS SELECT $1::integer + $2::integer; EXECUTE q(1, 2); DEALLOCATE q') \gset
SELECT :'status' AS status;
CALL kwjobs.run('CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql RETURN $1 * 2; SELECT twice($1)', arguments => '[4]', keep_result => true) \gset
SELECT :'result' AS result;

-- 3. Missing and surplus arguments, when the job is made
\set VERBOSITY default
SELECT kwjobs.submit('SELECT $1');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT $1, $2', arguments => '[1]');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT $0, $2147483647', arguments => '[1]');
SELECT kwjobs.submit('SELECT $2147483647', arguments => '[1]');
SELECT kwjobs.submit('SELECT 1', arguments => '[1]');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT $1, $3', arguments => '[1, 2, 3]');
SELECT kwjobs.submit('SELECT :a, :b', arguments => '{"a": 1}');
SELECT kwjobs.submit('SELECT :a', arguments => '{"a": 1, "A": 2}');
SELECT kwjobs.submit('SELECT a[:n] FROM arrays', arguments => '{"n": 1}');
SELECT kwjobs.submit('SELECT :a', arguments => '[1]');
SELECT kwjobs.submit('SELECT $1', arguments => '{"a": 1}');
SELECT kwjobs.submit('SELECT :a');
SELECT kwjobs.submit('SELECT 1', on_revert => 'SELECT $1');
SELECT kwjobs.submit('SELECT 1', arguments => '1');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', arguments => (SELECT jsonb_agg(i) FROM generate_series(1, 1001) AS i));
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT $1', arguments => jsonb_build_array(repeat('x', 1048577)));
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', keep_result => NULL);
SELECT kwjobs.submit('SELEC :a', arguments => '{"a": 1}');
SELECT kwjobs.submit('SELECT :a FROM FROM', arguments => '{"a": 1}');
SELECT kwjobs.submit('SELECT ''not closed :a', arguments => '{"a": 1}');
-- none of these was made
SELECT count(*) FROM kwdb_internal.jobs WHERE finished IS NULL;
-- no arguments at all
CALL kwjobs.run('SELECT 1', arguments => '[]') \gset
CALL kwjobs.run('SELECT 1', arguments => '{}') \gset
SELECT :'status' AS status;

-- 4. Statements that take none
SELECT kwjobs.submit('CREATE VIEW v AS SELECT :a AS a', arguments => '{"a": 1}');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT :a; SET work_mem = :a', arguments => '{"a": 1}');
SELECT kwjobs.submit('DROP TABLE :a', arguments => '{"a": "got"}');
SELECT kwjobs.submit('SELECT $1; ALTER TABLE got ALTER n SET DEFAULT $1', arguments => '[1]');
SELECT kwjobs.submit('PREPARE q AS SELECT :a', arguments => '{"a": 1}');
SELECT kwjobs.submit('CREATE MATERIALIZED VIEW v AS SELECT $1', arguments => '[1]');
SELECT kwjobs.submit('DO $$BEGIN END$$; VACUUM got; SELECT $1', arguments => '[1]');

-- 5. Values that do not fit, when the job is made if the statement can be analyzed then
SELECT kwjobs.submit('INSERT INTO got (n) VALUES (:n)', arguments => '{"n": "one"}');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '[{"a": 1}]');
SELECT kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '[3000000000]');
SELECT kwjobs.submit('INSERT INTO got (feeling) VALUES ($1)', arguments => '["so so"]');
SELECT kwjobs.submit('INSERT INTO got (p) VALUES ($1)', arguments => '[-1]');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('INSERT INTO got (at) VALUES ($1)', arguments => '["soon"]');
SELECT kwjobs.submit('INSERT INTO got (list) VALUES ($1)', arguments => '[[1, "two"]]');
SELECT kwjobs.submit('SELECT jsonb_build_array($1)', arguments => '[1]');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT :a WHERE 1 = :a', arguments => '{"a": 1}');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', on_revert => 'DELETE FROM got WHERE n = $1', arguments => '["one"]');
-- the check keeps no locks
BEGIN;
SELECT count(kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '[1]', run_at => 'tomorrow'));
SELECT count(*) FROM pg_locks WHERE relation = 'got'::regclass AND pid = pg_backend_pid();
ROLLBACK;
-- ... and goes by the job's settings
SET search_path = pg_catalog;
SELECT count(kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '["one"]', run_at => 'tomorrow'));
SELECT kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '["one"]', settings => '{"search_path": "public"}');
RESET search_path;
SHOW search_path;
-- a table that is not there yet, or is made or changed by the job
CALL kwjobs.run('INSERT INTO not_there (n) VALUES ($1)', arguments => '["one"]');
CALL kwjobs.run('CREATE TABLE made AS SELECT $1::integer AS n; INSERT INTO made VALUES ($2)', arguments => '[1, "2"]') \gset
SELECT * FROM made;
CALL kwjobs.run($$SELECT ''::text AS n INTO TEMP made UNION SELECT NULL; INSERT INTO made VALUES ($1)$$, arguments => '["one"]') \gset
CALL kwjobs.run('ALTER TABLE made ALTER n TYPE text; INSERT INTO made VALUES ($1)', arguments => '["three"]') \gset
SELECT * FROM made;
CALL kwjobs.run('DROP TABLE made; CREATE TABLE made (n integer); INSERT INTO made VALUES ($1)', arguments => '["four"]');
SELECT * FROM made;
-- the check runs as the owner
CREATE FUNCTION is_owner() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'as %', current_user; END $$;
CREATE DOMAIN of_owner AS integer CHECK (is_owner());
GRANT CREATE ON SCHEMA public TO kwj_args_owner;
SELECT kwjobs.submit('SELECT $1::of_owner', arguments => '[1]', run_as => 'kwj_args_owner');
-- what other code than the conversion reports gets no hint about the value
CREATE FUNCTION reports(integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'checking %', $1 USING HINT = 'Look here.';
    IF $1 < 0 THEN
        RAISE EXCEPTION 'negative' USING HINT = 'Give more.';
    END IF;
    RETURN true;
END $$;
CREATE DOMAIN reporting AS integer CHECK (reports(VALUE));
SELECT count(kwjobs.submit('SELECT $1::reporting', arguments => '[1]', run_at => 'tomorrow'));
SELECT kwjobs.submit('SELECT $1::reporting', arguments => '[-1]');
SELECT kwjobs.submit('SELECT $1::reporting', arguments => '["x"]');
-- a NOTICE of the scanner comes once
SELECT count(kwjobs.submit('SELECT $1::integer AS ' || repeat('n', 70), arguments => '[1]', run_at => 'tomorrow'));

-- types without a length
CREATE TABLE widths (c char(5), b bit(3), v varchar(4), n numeric(4,1), cs char(5)[], bs bit(3)[], vs varchar(4)[], ns numeric(4,1)[], qs "char"[], ts timestamp(0)[]);
CALL kwjobs.run('INSERT INTO widths VALUES (:c, :b, :v, :n, :cs, :bs, :vs, :ns, :qs, :ts)', arguments =>
    '{"c": "abc", "b": "101", "v": "abcd", "n": 1.25, "cs": ["abc", "d"], "bs": ["101"], "vs": ["abcd"], "ns": [1.25, 100], "qs": ["x"], "ts": ["2024-01-01 00:00:00.7"]}') \gset
SELECT * FROM widths;
CALL kwjobs.run('SELECT $1::bpchar[] AS c, $2::varbit[] AS b, $3::bit(2)[] AS two', arguments => '[["abc", null], ["101"], ["10", "11"]]', keep_result => true) \gset
SELECT :'result' AS result;
SELECT kwjobs.submit('INSERT INTO widths (cs) VALUES ($1)', arguments => '[["abcdef"]]', run_at => 'tomorrow') IS NOT NULL AS fits_when_it_is_read;
-- the context of an error names the argument, and shows no query that the user has not written
\set SHOW_CONTEXT always
SELECT kwjobs.submit('INSERT INTO got (list) VALUES (:list)', arguments => '{"list": [1, "two"]}');
SELECT kwjobs.submit('INSERT INTO got (both_of) VALUES ($1)', arguments => '[{"a": "x"}]');
\set SHOW_CONTEXT never
-- the analysis of one job makes another: a literal of a type with a domain runs the CHECK of that
CREATE FUNCTION makes_job(i integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kwjobs.submit('SELECT $2::integer, $1::text, $2 + $3::integer', arguments => '[1, 2, 3]', run_at => 'tomorrow');
    RETURN i > 0;
END $$;
CREATE DOMAIN making AS integer CHECK (makes_job(VALUE));
CREATE TYPE has_making AS (x making);
CREATE TABLE made_by (x has_making, n integer, what text);
CALL kwjobs.run($$INSERT INTO made_by SELECT '(1)', $1, $2 UNION ALL SELECT '(2)'::has_making, $1 + 1, $2 WHERE $3::making > 0$$, arguments => '[1, "a", 3]') \gset
SELECT status, error FROM [SHOW JOB WHEN COMPLETE :job_id];
SELECT * FROM made_by;
SELECT kwjobs.submit($$SELECT '(-1)'::has_making, $1::integer$$, arguments => '[1]', run_at => 'tomorrow') IS NOT NULL AS passes_until_it_runs;
SELECT kwjobs.submit($$SELECT $1::has_making$$, arguments => '[{"x": -1}]');
SELECT count(*) > 0 AS made FROM kwdb_internal.jobs WHERE description LIKE 'SELECT $2::integer, $1::text%';

-- 6. Procedures, and other statements that take parameters
CREATE PROCEDURE takes(a integer, b text, INOUT c jsonb DEFAULT NULL) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO got (n, what) VALUES (a, b);
    COMMIT;
    UPDATE got SET what = what || '!' WHERE n = a;
    c := jsonb_build_object('c', c);
END $$;
TRUNCATE got;
CALL kwjobs.run('CALL takes($1, $2)', arguments => '[1, "a"]') \gset
CALL kwjobs.run('CALL takes(b => :b, a => :a, c => :c)', arguments => '{"a": 2, "b": "b", "c": [1]}', keep_result => true) \gset
SELECT n, what, :'result' AS result FROM got;
SELECT kwjobs.submit('CALL takes($1, $2)', arguments => '["one", "a"]');
CALL kwjobs.run('EXPLAIN (costs off) SELECT n FROM got WHERE n = :n', arguments => '{"n": 1}', keep_result => true) \gset
SELECT :'result' AS result;
CALL kwjobs.run('DECLARE c CURSOR FOR SELECT n FROM got WHERE n > $1; FETCH ALL FROM c', arguments => '[1]', keep_result => true) \gset
SELECT :'result' AS result;
CALL kwjobs.run('WITH d AS (DELETE FROM got WHERE n = :n RETURNING n) SELECT n FROM d', arguments => '{"n": 1}', keep_result => true) \gset
SELECT :'result' AS result;
CALL kwjobs.run('SHOW JOBS WHERE job_id = :id', arguments => '{"id": 1}') \gset
SELECT :'tags' AS tags;
SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow') AS later \gset
CALL kwjobs.run('CANCEL JOB :id WITH REASON = ''by argument''', arguments => jsonb_build_object('id', :later)) \gset
SELECT :'tags' AS tags, status FROM [SHOW JOB WHEN COMPLETE :later];

-- 7. Where jobs are made: prepared, in PL/pgSQL, rolled back, by create_job; with the same key
PREPARE submit AS SELECT kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => jsonb_build_array($1::integer));
EXECUTE submit(21) \gset
SELECT status, error FROM [SHOW JOB WHEN COMPLETE :submit];
DO $$
BEGIN
    PERFORM kwjobs.submit('INSERT INTO got (n) VALUES (:n)', arguments => '{"n": 22}');
    BEGIN
        PERFORM kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '["x"]');
    EXCEPTION WHEN invalid_text_representation THEN
        RAISE NOTICE 'caught: %', SQLERRM;
    END;
END $$;
SELECT max(job_id) AS job FROM kwdb_internal.jobs WHERE description LIKE '%VALUES (:n)' \gset
SELECT status, error FROM [SHOW JOB WHEN COMPLETE :job];
BEGIN;
SELECT count(kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '[23]'));
SAVEPOINT s;
SELECT kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '["x"]');
ROLLBACK TO s;
SELECT count(kwjobs.submit('INSERT INTO got (n) VALUES ($1)', arguments => '[24]'));
ROLLBACK;
SELECT kwjobs.create_job('SQL', '{"statement": "INSERT INTO got (n) VALUES (:n)", "arguments": {"n": 25}}') AS job \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job];
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1", "arguments": [1]}');
SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1", "keep_result": 1}');
SELECT n FROM got WHERE n > 20 ORDER BY n;
SELECT kwjobs.submit('SELECT $1', arguments => '[1]', key => 'a', run_at => 'tomorrow') = kwjobs.submit('SELECT $1', arguments => '[2]', key => 'a', run_at => 'tomorrow') AS same;

-- 8. A job that is reverted has the same arguments.
CALL kwjobs.run('INSERT INTO got (n) VALUES (:n); SELECT 1 / :zero', on_revert => 'INSERT INTO got (n, what) VALUES (:n, :why)',
    arguments => '{"n": 31, "zero": 0, "why": "reverted"}');
CREATE PROCEDURE commits(a integer) LANGUAGE plpgsql AS $$ BEGIN CALL kwjobs.checkpoint(0.5); PERFORM 1 / a; END $$;
CALL kwjobs.run('CALL commits(:zero)', on_revert => 'INSERT INTO got (n, what) VALUES (:n, :why)', arguments => '{"n": 32, "zero": 0, "why": "reverted"}');
SELECT n, what FROM got WHERE n > 30;

SELECT count(kwjobs.cancel(job_id)) > 0 AS canceled FROM kwdb_internal.jobs WHERE finished IS NULL;
DROP PROCEDURE takes, commits;
DROP FUNCTION twice;
DROP DOMAIN of_owner, reporting;
DROP FUNCTION is_owner, reports;
DROP TABLE got, arrays, made, words, widths, made_by;
DROP TYPE has_making;
DROP DOMAIN making;
DROP FUNCTION makes_job;
DROP TYPE mood, positive, pair;
REVOKE CREATE ON SCHEMA public FROM kwj_args_owner;
SET client_min_messages = warning;
DROP ROLE kwj_args_owner;
-- a temporary table of the session hides no table from the check, as it hides none from the job
RESET client_min_messages;
CREATE TABLE shadowed (a text);
CREATE TEMP TABLE shadowed (a integer);
SELECT kwjobs.submit('INSERT INTO shadowed VALUES ($1)', arguments => '["x"]') AS job \gset
SELECT status FROM kwjobs.wait(:job);
DROP TABLE pg_temp.shadowed;
DROP TABLE shadowed;
-- a text of which each token could be the end of another one: a minute, if each were looked at to its end
SET statement_timeout = '20s';
\set VERBOSITY sqlstate
SELECT kwjobs.submit(repeat('$x$', 100000), arguments => '[1]');
\set VERBOSITY default
RESET statement_timeout;
