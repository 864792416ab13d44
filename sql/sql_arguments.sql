-- Arguments of kwjobs.submit that take several kinds of values, and their bounds.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP ROLE IF EXISTS "Kwj Owner", kwj_plain;
RESET client_min_messages;
CREATE ROLE "Kwj Owner" LOGIN;
CREATE ROLE kwj_plain LOGIN;
\set SHOW_CONTEXT never
-- of jobs that never run
CREATE FUNCTION owner_of(id bigint) RETURNS text LANGUAGE sql AS 'SELECT user_name FROM kwdb_internal.jobs WHERE job_id = id';
CREATE FUNCTION waits_for(id bigint) RETURNS integer LANGUAGE sql AS 'SELECT coalesce(array_length(waits_for, 1), 0) FROM kwdb_internal.jobs WHERE job_id = id';
SELECT count(kwjobs.pause(kwjobs.submit('SELECT 1'))) AS submitted;

-- 1. run_as
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => 'kwj_plain', run_at => 'tomorrow')) AS literal;
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => 'KWJ_plain', run_at => 'tomorrow')) AS folded;
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => '"Kwj Owner"', run_at => 'tomorrow')) AS quoted;
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => 'kwj_plain'::regrole, run_at => 'tomorrow')) AS of_regrole;
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => 'kwj_plain'::regrole::oid, run_at => 'tomorrow')) AS of_oid;
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => 'Kwj Owner'::name, run_at => 'tomorrow')) AS of_name;
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => 'Kwj Owner'::text, run_at => 'tomorrow')) AS of_text;
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => 'Kwj Owner'::varchar, run_at => 'tomorrow')) AS of_varchar;
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => current_user, run_at => 'tomorrow')) = current_user AS ours;
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => session_user, run_at => 'tomorrow')) = current_user AS ours;
SELECT owner_of(kwjobs.submit('SELECT 1', run_as => NULL, run_at => 'tomorrow')) = current_user AS ours;
SET ROLE "Kwj Owner";
SELECT kwjobs.submit('SELECT 1', run_as => current_user, run_at => 'tomorrow') AS job \gset
RESET ROLE;
SELECT owner_of(:job);
SELECT kwjobs.submit('SELECT 1', run_as => 'kwj_nobody');
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', run_as => 'kwj_nobody'::name);
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', run_as => 'Kwj Owner');
SELECT kwjobs.submit('SELECT 1', run_as => '');
SELECT kwjobs.submit('SELECT 1', run_as => 4294967295::oid);

-- 2. depends_on
SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow') AS one, kwjobs.submit('SELECT 1', run_at => 'tomorrow') AS two \gset
SELECT waits_for(kwjobs.submit('SELECT 1', depends_on => :one)) AS of_id;
SELECT waits_for(kwjobs.submit('SELECT 1', depends_on => :'one')) AS literal;
SELECT waits_for(kwjobs.submit('SELECT 1', depends_on => ARRAY[:one, :two])) AS of_array;
SELECT ('{' || :one || ', ' || :two || '}') AS both \gset
SELECT waits_for(kwjobs.submit('SELECT 1', depends_on => :'both')) AS literal;
SELECT waits_for(kwjobs.submit('SELECT 1', depends_on => kwjobs.submit('SELECT 1', run_at => 'tomorrow'))) AS of_call;
SELECT waits_for(kwjobs.submit('SELECT 1', run_at => 'tomorrow', depends_on => NULL)) AS none,
       waits_for(kwjobs.submit('SELECT 1', run_at => 'tomorrow', depends_on => '{}')) AS none,
       waits_for(kwjobs.submit('SELECT 1', run_at => 'tomorrow', depends_on => ARRAY[]::bigint[])) AS none;
SELECT kwjobs.submit('SELECT 1', depends_on => 1);
SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[1, 2]);
SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[1, NULL]);
SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[:one, NULL]);
SELECT kwjobs.submit('SELECT 1', depends_on => 'soon');
SELECT kwjobs.submit('SELECT 1', depends_on => '{1, soon}');
DO $$
DECLARE
    id bigint := kwjobs.submit('SELECT 1', run_at => 'tomorrow');
    ids bigint[] := ARRAY[id];
    who text := current_user;
BEGIN
    ASSERT waits_for(kwjobs.submit('SELECT 1', depends_on => id, run_as => who)) = 1;
    ASSERT waits_for(kwjobs.submit('SELECT 1', depends_on => ids)) = 1;
END $$;

-- 3. As parameters, whose types are not given
PREPARE submit AS SELECT waits_for(kwjobs.submit($1, $2, depends_on => $3, run_as => $4, run_at => 'tomorrow'));
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'submit';
EXECUTE submit('SELECT 1', 'a description', :one, current_user);
EXECUTE submit('SELECT 1', NULL, ARRAY[:one, :two], 'kwj_plain');
EXECUTE submit('SELECT 1', NULL, :'both', NULL);
DEALLOCATE submit;

-- 4. Rights name the function without its arguments.
REVOKE EXECUTE ON FUNCTION kwjobs.submit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kwjobs.submit TO PUBLIC;
REVOKE EXECUTE ON PROCEDURE kwjobs.run FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE kwjobs.run TO PUBLIC;

-- 5. Bounds: a job has no more than can be shown.
SELECT kwjobs.submit(repeat('x', 1048577));
\echo :LAST_ERROR_SQLSTATE
SELECT kwjobs.submit('SELECT 1', description => repeat('x', 1048577));
SELECT kwjobs.submit('SELECT 1', on_revert => repeat('x', 1048577));
SELECT kwjobs.pause(:one, repeat('x', 1048577));
PAUSE JOB :one WITH REASON = 'a reason';
SELECT kwjobs.submit('SELECT ' || repeat('1', 1000000), run_at => 'tomorrow') AS job \gset
SELECT length(description), right(description, 24) FROM [SHOW JOB :job];
SELECT length(description) FROM kwdb_internal.jobs WHERE job_id = :job;
SELECT kwjobs.submit('SELECT 1', description => repeat('ü', 600), run_at => 'tomorrow') AS job \gset
SELECT length(description), octet_length(description), right(description, 24) FROM [SHOW JOB :job];
SELECT kwjobs.submit('SELECT 1', description => repeat('x', 1000), run_at => 'tomorrow') AS job \gset
SELECT length(description), statement FROM [SHOW JOB :job];
-- of a job that is there already, whatever it is like
UPDATE kwjobs.job SET description = repeat('x', 100000000), statement = repeat('y', 100000000), error = repeat('z', 100000000) WHERE job_id = :job;
SELECT length(description), length(statement), length(error), status FROM [SHOW JOB :job];
SELECT length(description) FROM [SHOW JOBS] WHERE job_id = :job;
SELECT length(description) FROM [SHOW JOBS WHERE job_id = :job];
CANCEL JOB :job;
SELECT length(description), status FROM [SHOW JOB WHEN COMPLETE :job];

SELECT count(kwjobs.cancel(job_id)) > 0 AS canceled FROM kwdb_internal.jobs WHERE finished IS NULL;
DROP FUNCTION owner_of, waits_for;
SET client_min_messages = error;
DROP ROLE "Kwj Owner", kwj_plain;
