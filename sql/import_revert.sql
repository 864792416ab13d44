-- A revert removes what the job imported, and nothing else, also where triggers changed rows of the same table meanwhile.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
SELECT format('ALTER DATABASE %I SET kwjobs.import_batch_size = ''1kB''', current_database()) \gexec
\set VERBOSITY terse
-- The last record fails, many batches are committed by then.
COPY (SELECT a FROM generate_series(1, 1000) AS a) TO '/proc/self/cwd/kwj_revert.csv';
COPY (SELECT 'bad') TO '/proc/self/cwd/kwj_bad.csv';
CREATE VIEW last_job AS
    SELECT status, running_status, error, error_detail, error_hint
      FROM kwdb_internal.jobs ORDER BY job_id DESC LIMIT 1;

-- rows that were there before: updated by a trigger, they stay
CREATE TABLE history (a integer, current boolean DEFAULT true, before boolean DEFAULT false);
INSERT INTO history SELECT i, true, true FROM generate_series(1, 5) AS i;
CREATE FUNCTION end_old() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.history SET current = false WHERE a = NEW.a AND before AND a <= 3;
    RETURN NULL;
END $$;
CREATE TRIGGER end_old AFTER INSERT ON history FOR EACH ROW EXECUTE FUNCTION end_old();
IMPORT INTO history (a) CSV DATA ('/proc/self/cwd/kwj_revert.csv', '/proc/self/cwd/kwj_bad.csv');
SELECT * FROM last_job \gx
TABLE history ORDER BY a;

-- imported rows that a trigger updated: they go
CREATE TABLE own (a integer, b text);
INSERT INTO own VALUES (0, 'before');
CREATE FUNCTION change_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.own SET b = 'changed' WHERE a = NEW.a;
    RETURN NULL;
END $$;
CREATE TRIGGER change_new AFTER INSERT ON own FOR EACH ROW EXECUTE FUNCTION change_new();
IMPORT INTO own (a) CSV DATA ('/proc/self/cwd/kwj_revert.csv', '/proc/self/cwd/kwj_bad.csv');
SELECT * FROM last_job \gx
TABLE own;

-- both, and rows that a trigger inserted: nothing is removed
INSERT INTO own VALUES (7, 'before');
IMPORT INTO own (a) CSV DATA ('/proc/self/cwd/kwj_revert.csv', '/proc/self/cwd/kwj_bad.csv');
SELECT * FROM last_job \gx
SELECT count(*) FROM own;
CREATE TABLE twice (a integer);
CREATE FUNCTION insert_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.twice VALUES (- NEW.a);
    RETURN NULL;
END $$;
CREATE TRIGGER insert_again AFTER INSERT ON twice FOR EACH ROW WHEN (NEW.a = 10) EXECUTE FUNCTION insert_again();
IMPORT INTO twice CSV DATA ('/proc/self/cwd/kwj_revert.csv', '/proc/self/cwd/kwj_bad.csv');
SELECT * FROM last_job \gx
SELECT count(*) FROM twice;

SELECT format('ALTER DATABASE %I RESET kwjobs.import_batch_size', current_database()) \gexec
COPY (SELECT WHERE false) TO PROGRAM 'rm -f kwj_revert.csv kwj_bad.csv';
DROP VIEW last_job;
DROP TABLE history, own, twice;
DROP FUNCTION end_old, change_new, insert_again;
