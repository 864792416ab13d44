-- SCHEMA CHANGE jobs show no secrets: each statement of PostgreSQL's grammar that may have one, and
-- how it is stored. Every secret in this file is "hidden", so that no job may have this word. Section 5
-- has those that no look at the text can find.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS kwj_secret;
SET kwjobs.progress_interval = 0;
\i `echo "$KWJ_INCLUDE/procedures.sql"`
CREATE SCHEMA secrets;
SET search_path = secrets, public;
CREATE FUNCTION hello() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
DELETE FROM kwjobs.job WHERE job_type IN ('SCHEMA CHANGE', 'CREATE_STATS');

-- Runs each statement, whether it works or not, and shows what is stored of it. No statement of
-- the table leaves anything behind that is needed later.
CREATE TABLE statements (n integer GENERATED ALWAYS AS IDENTITY, statement text);
CREATE PROCEDURE run_all() LANGUAGE plpgsql AS $$
DECLARE
    each record;
    outcome text;
BEGIN
    FOR each IN SELECT * FROM statements ORDER BY n LOOP
        outcome := 'works';
        BEGIN
            EXECUTE each.statement;
        EXCEPTION WHEN OTHERS THEN outcome := SQLSTATE;
        END;
        RAISE INFO '% %', outcome, each.statement;
        COMMIT;
        PERFORM kwjobs.when_complete(ARRAY(SELECT job_id FROM kwdb_internal.jobs WHERE job_type IN ('SCHEMA CHANGE', 'CREATE_STATS')));
        RAISE INFO '    --> %', coalesce((SELECT string_agg(concat_ws(' | ', description, nullif(error, '')), '; ' ORDER BY job_id) FROM kwdb_internal.jobs WHERE job_type IN ('SCHEMA CHANGE', 'CREATE_STATS')), '(no job)');
        DELETE FROM kwjobs.job WHERE job_type IN ('SCHEMA CHANGE', 'CREATE_STATS');
        COMMIT;
    END LOOP;
    DELETE FROM statements;
END $$;

-- 1. Roles, user mappings, servers, wrappers, subscriptions: no jobs at all.
INSERT INTO statements (statement) VALUES
    ($x$CREATE ROLE kwj_secret PASSWORD 'hidden'$x$),
    ($x$CREATE USER kwj_secret_2 ENCRYPTED PASSWORD 'hidden' IN ROLE nosuch$x$),
    ($x$ALTER ROLE kwj_secret WITH PASSWORD 'hidden' VALID UNTIL 'infinity'$x$),
    ($x$ALTER USER kwj_secret SET search_path = 'hidden'$x$),
    ($x$CREATE FOREIGN DATA WRAPPER w OPTIONS (password 'hidden')$x$),
    ($x$ALTER FOREIGN DATA WRAPPER w OPTIONS (SET password 'hidden')$x$),
    ($x$CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'h', password 'hidden')$x$),
    ($x$ALTER SERVER s OPTIONS (ADD token 'hidden')$x$),
    ($x$CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'u', password 'hidden')$x$),
    ($x$ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (SET password 'hidden')$x$),
    ($x$DROP USER MAPPING FOR CURRENT_USER SERVER s$x$),
    ($x$CREATE SUBSCRIPTION sub CONNECTION 'host=h password=hidden' PUBLICATION p WITH (connect = false, enabled = false, slot_name = NONE)$x$),
    ($x$ALTER SUBSCRIPTION sub CONNECTION 'postgres://u:hidden@h/db'$x$),
    ($x$DROP SUBSCRIPTION sub$x$),
    ($x$ALTER SYSTEM SET primary_conninfo = 'host=h password=hidden'$x$),
    ($x$ALTER DATABASE regression SET kwjobs.nosuch = 'hidden'$x$),
    ($x$SECURITY LABEL FOR nosuch ON TABLE statements IS 'hidden'$x$),
    ($x$COMMENT ON SCHEMA secrets IS 'password = hidden'$x$),
    ($x$COPY statements TO PROGRAM 'PGPASSWORD=hidden cat >/dev/null'$x$),
    ($x$COPY statements FROM PROGRAM 'test https://u:hidden@h/file = x'$x$),
    ($x$SET kwjobs.nosuch = 'hidden'$x$),
    ($x$VACUUM hidden$x$);
SET kwjobs.track = top;
CALL run_all();

-- 2. Of a statement with OPTIONS, the job shows only the kind and the object.
INSERT INTO statements (statement) VALUES
    ($x$CREATE FOREIGN TABLE ft (a integer OPTIONS (token 'hidden')) SERVER s OPTIONS (api_key 'hidden')$x$),
    ($x$ALTER FOREIGN TABLE ft OPTIONS (SET api_key 'hidden')$x$),
    ($x$ALTER FOREIGN TABLE ft ALTER COLUMN a OPTIONS (SET token 'hidden')$x$),
    ($x$ALTER FOREIGN TABLE ft ADD COLUMN b integer DEFAULT length('hidden')$x$),
    ($x$ALTER TABLE ft OPTIONS (ADD bearer 'hidden')$x$),
    ($x$ALTER TABLE ft ALTER COLUMN a OPTIONS (ADD bearer 'hidden'), ALTER COLUMN a SET NOT NULL$x$),
    ($x$ALTER TABLE ft ADD COLUMN c integer OPTIONS (bearer 'hidden')$x$),
    ($x$IMPORT FOREIGN SCHEMA hidden FROM SERVER s INTO secrets OPTIONS (api_key 'hidden')$x$),
    ($x$CREATE SCHEMA nested CREATE FOREIGN TABLE ft2 (a integer) SERVER s OPTIONS (api_key 'hidden')$x$),
    ($x$CREATE TABLE plain (a integer OPTIONS (bearer 'hidden'))$x$),
    ($x$CREATE SCHEMA nested CREATE TABLE plain (a integer OPTIONS (bearer 'hidden'))$x$),
    ($x$ALTER TABLE statements ADD COLUMN c integer OPTIONS (bearer 'hidden')$x$),
    ($x$CREATE FOREIGN TABLE ft3 PARTITION OF nosuch DEFAULT SERVER s OPTIONS (api_key 'hidden')$x$);
CALL run_all();

-- 3. Text that looks like a secret, wherever PostgreSQL's grammar takes a string.
INSERT INTO statements (statement) VALUES
    ($x$CREATE TABLE d (x text DEFAULT 'host=h user=u password=hidden')$x$),
    ($x$CREATE TABLE d (x text DEFAULT E'PASSWORD\t=\t''hidden''')$x$),
    ($x$CREATE TABLE d (x text DEFAULT 'postgresql://u:hidden@h:5432/db?sslmode=require')$x$),
    ($x$CREATE TABLE d (x text DEFAULT 'postgresql://h/db?user=u&password=hidden')$x$),
    ($x$CREATE TABLE d (x text DEFAULT 'https://user:hidden@h/path')$x$),
    ($x$CREATE TABLE d (x jsonb DEFAULT '{"password": "hidden"}')$x$),
    ($x$CREATE TABLE d (x jsonb DEFAULT '{"db_passwd" : "hidden"}')$x$),
    ($x$CREATE TABLE d (x text DEFAULT 'Server=h;Uid=u;Pwd=hidden;')$x$),
    ($x$CREATE TABLE d (x text DEFAULT 'SSLPASSWORD=hidden sslkey=k')$x$),
    ($x$ALTER TABLE statements ALTER COLUMN statement SET DEFAULT 'password=hidden'$x$),
    ($x$ALTER TABLE statements ADD CHECK (statement <> 'password=hidden')$x$),
    ($x$CREATE VIEW v AS SELECT * FROM dblink('dbname=x password=hidden', 'SELECT 1') AS t (a integer)$x$),
    ($x$CREATE TABLE d AS SELECT 'dbname=x password=hidden' AS a$x$),
    ($x$SELECT 'postgres://u:hidden@h/db' AS a INTO d2$x$),
    ($x$CREATE MATERIALIZED VIEW m AS SELECT * FROM dblink('postgresql://u:hidden@h/db', 'SELECT 1') AS t (a integer)$x$),
    ($x$CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $b$ SELECT dblink_connect('c', 'host=h password=hidden') $b$$x$),
    ($x$CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $b$ BEGIN PERFORM dblink_exec('postgres://u:hidden@h/db', 'SELECT 1'); END $b$$x$),
    ($x$CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $b$ BEGIN EXECUTE 'ALTER ROLE x PASSWORD ''hidden'''; END $b$$x$),
    ($x$CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $b$ BEGIN CREATE ROLE x ENCRYPTED PASSWORD 'hidden'; END $b$$x$),
    ($x$CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $b$ BEGIN COPY t FROM PROGRAM 'PGPASSWORD=hidden psql -c x'; END $b$$x$),
    ($x$CREATE FUNCTION f() RETURNS text LANGUAGE sql SET kwjobs.nosuch = 'password=hidden' AS 'SELECT NULL::text'$x$),
    ($x$CREATE PROCEDURE p() LANGUAGE plpgsql AS $b$ DECLARE password text := 'hidden'; BEGIN NULL; END $b$$x$),
    ($x$CREATE PROCEDURE p() LANGUAGE plpgsql AS $b$ DECLARE my_password varchar(20) DEFAULT 'hidden'; BEGIN NULL; END $b$$x$),
    ($x$CREATE FUNCTION g(password text = 'hidden') RETURNS integer LANGUAGE sql AS 'SELECT 1'$x$),
    ($x$CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $b$ BEGIN PERFORM http_get('https://h', api_key => 'hidden'); END $b$$x$),
    ($x$CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $b$ BEGIN PERFORM http_header('Authorization', 'Bearer hidden'); END $b$$x$),
    ($x$CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $b$ SELECT aws('AKIA', secret_access_key => 'hidden') $b$$x$),
    ($x$CREATE TRIGGER tr BEFORE INSERT ON statements FOR EACH ROW EXECUTE FUNCTION hello('password=hidden')$x$),
    ($x$CREATE RULE r AS ON INSERT TO statements DO ALSO NOTIFY x, 'password=hidden'$x$),
    ($x$CREATE POLICY p ON statements USING (statement <> 'password=hidden')$x$),
    ($x$CREATE DOMAIN dom AS text DEFAULT 'password=hidden'$x$),
    ($x$CREATE TYPE en AS ENUM ('password=hidden')$x$),
    ($x$CREATE INDEX ON statements ((statement = 'password=hidden'))$x$),
    ($x$CREATE STATISTICS st ON (statement = 'password=hidden'), n FROM statements$x$),
    ($x$CREATE TEXT SEARCH DICTIONARY di (TEMPLATE = simple, password = 'hidden')$x$),
    ($x$CREATE PUBLICATION pu FOR TABLE statements WITH (password = 'hidden')$x$),
    ($x$CREATE EVENT TRIGGER ev ON ddl_command_start WHEN TAG IN ('password=hidden') EXECUTE FUNCTION nosuch()$x$),
    ($x$CREATE TABLESPACE kwj_tb LOCATION '/nosuch' WITH (password = 'hidden')$x$),
    ($x$CREATE EXTENSION nosuch VERSION 'password=hidden'$x$),
    ($x$ALTER EXTENSION nosuch UPDATE TO 'password=hidden'$x$),
    ($x$EXPLAIN ANALYZE CREATE TABLE d3 AS SELECT 'password=hidden' AS a$x$),
    ($x$CREATE TABLE d (x text DEFAULT 'token=hidden')$x$),
    ($x$CREATE TABLE d (x text DEFAULT 'AccountKey=hidden;Secret: hidden')$x$),
    ($x$CREATE TABLE d (password text NOT NULL DEFAULT 'hidden')$x$),
    ($x$CREATE TABLE d (password character varying(20) COLLATE "C" DEFAULT ('hidden'))$x$),
    ($x$CREATE TABLE d ("password" text DEFAULT 'hidden')$x$),
    ($x$CREATE TABLE d (password text DEFAULT E'hidden')$x$),
    ($x$CREATE PROCEDURE p() LANGUAGE plpgsql AS $b$ DECLARE password CONSTANT text := 'hidden'; BEGIN NULL; END $b$$x$),
    ($x$CREATE PROCEDURE p() LANGUAGE plpgsql AS 'DECLARE password text DEFAULT ''hidden''; BEGIN NULL; END'$x$),
    ($x$CREATE PROCEDURE p() LANGUAGE plpgsql AS $b$ BEGIN CREATE ROLE x PASSWORD E'hidden'; END $b$$x$),
    ($x$CREATE PROCEDURE p() LANGUAGE plpgsql AS $b$ BEGIN CREATE ROLE x PASSWORD $p$hidden$p$; END $b$$x$),
    -- PostgreSQL's error quotes only the value, without a word such as password.
    ($x$CREATE TABLE e (password integer DEFAULT 'hidden')$x$),
    ($x$CREATE FUNCTION u() RETURNS void LANGUAGE plpgsql AS $b$ DECLARE password text; BEGIN password := 'hidden; END $b$$x$);
CALL run_all();

-- 4. What only speaks of passwords is shown.
INSERT INTO statements (statement) VALUES
    ($x$CREATE TABLE account (name text, password text NOT NULL, password_hash bytea, api_key uuid, token text)$x$),
    ($x$ALTER TABLE account RENAME COLUMN password TO passwd$x$),
    ($x$ALTER TABLE account ALTER COLUMN passwd TYPE varchar(100)$x$),
    ($x$CREATE INDEX account_token ON account (token)$x$),
    ($x$ALTER TABLE account ADD COLUMN secret text DEFAULT ''$x$),
    ($x$CREATE TABLE links (url text DEFAULT 'https://h:8080/path', mail text DEFAULT 'a@b')$x$),
    ($x$DROP TABLE account, links$x$),
    ($x$CREATE FUNCTION says() RETURNS text LANGUAGE sql AS $$SELECT 'x'::text AS password$$ STABLE$x$),
    ($x$CREATE FUNCTION says_2() RETURNS text LANGUAGE sql AS $b$ SELECT ''::text AS password $b$$x$);
CALL run_all();

-- 5. What no look at the text can tell from any other value.
INSERT INTO statements (statement) VALUES
    ($x$CREATE TABLE d4 (x bytea DEFAULT pgp_sym_encrypt('x', 'known by its place only'))$x$),
    ($x$CREATE FUNCTION h() RETURNS text LANGUAGE sql AS $b$ SELECT crypt('known by its place only', 'salt') $b$$x$);
CALL run_all();

SET kwjobs.track = none;
DROP SERVER IF EXISTS s CASCADE;
DROP FOREIGN DATA WRAPPER w CASCADE;
DROP SCHEMA secrets CASCADE;
DROP SCHEMA IF EXISTS nested CASCADE;
DROP ROLE kwj_secret;
