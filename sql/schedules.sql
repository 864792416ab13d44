-- Schedules: what can be typed, what is refused, and what the rows say. None of these is due before 2099;
-- t/180_schedules.pl has what happens when one is.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null NULL
SET timezone = 'UTC';
CREATE TABLE target (n integer, t text);
CREATE VIEW rules AS SELECT name, schedule_status AS status, next_due, recurrence, command, time_zone, job_type,
    on_previous_running AS previous, on_execution_failure AS failure, catch_up, pause_after, jitter
  FROM kwdb_internal.schedules WHERE name NOT LIKE 'EXEC SQL%';

-- 1. CREATE: SQL, with options of schedules and of jobs
CREATE SCHEDULE late FOR SQL 'DELETE FROM target' RECURRING '0 0 1 1 * 2099';
CREATE SCHEDULE "Late too" FOR SQL $$INSERT INTO target VALUES (1, 'a')$$ RECURRING '30 9 * * mon 2099'
    WITH SCHEDULE OPTIONS (on_previous_running = wait, on_execution_failure = 'retry', catch_up = all,
    time_zone = 'europe/berlin', jitter = '5 minutes', pause_after = 3, priority = 7, timeout = '1 hour',
    max_attempts = 2, tags = '{a,b}', queue = mail, description = 'adds a row', failure_statement = 'NOTIFY failed');
CREATE SCHEDULE 'third' FOR SQL 'SELECT 1' RECURRING '@yearly' WITH SCHEDULE OPTIONS start = '2098-06-01', end = '2099-12-31';
CREATE SCHEDULE fourth FOR SQL 'SELECT 1' RECURRING '90 minutes' WITH SCHEDULE OPTIONS first_run = '2099-02-03 04:05';
CREATE SCHEDULE once FOR SQL 'SELECT 1' RECURRING NEVER WITH SCHEDULE OPTIONS first_run = '2099-02-03 04:05';
CREATE SCHEDULE never FOR SQL 'SELECT 1' RECURRING NEVER;
CREATE SCHEDULE IF NOT EXISTS late FOR SQL 'SELECT 2' RECURRING '@yearly';
SELECT * FROM rules ORDER BY name;
SELECT job - 'payload' AS job, job -> 'payload' ->> 'statement' AS statement, failure_statement FROM kwdb_internal.schedules WHERE name = 'Late too';

-- ... without a name, twice in one second
SET client_min_messages = warning;
CREATE SCHEDULE FOR SQL 'SELECT 3' RECURRING '0 0 1 1 * 2099';
CREATE SCHEDULE FOR SQL 'SELECT 4' RECURRING '0 0 1 1 * 2099';
RESET client_min_messages;
SELECT count(*) FROM kwdb_internal.schedules WHERE name ~ '^EXEC SQL \d+$';
DROP SCHEDULES (SELECT name FROM [SHOW SCHEDULES] WHERE name LIKE 'EXEC SQL%');

-- 2. CREATE of any job: the statement checks the job as it does alone, and creates none
COPY (SELECT 1, 'one') TO '/proc/self/cwd/kwj_schedules.csv' CSV;
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_schedules)" kwj_schedules; ln -s "$(mktemp -d)" kwj_schedules';
SELECT count(*) AS jobs FROM kwjobs.job \gset
CREATE SCHEDULE load FOR IMPORT INTO target (n, t) CSV DATA ('/proc/self/cwd/kwj_schedules.csv') WITH skip = '0', priority = '2'
    RECURRING '0 0 1 1 * 2099' WITH SCHEDULE OPTIONS on_previous_running = start, max_attempts = 4;
CREATE SCHEDULE unload FOR EXPORT INTO CSV '/proc/self/cwd/kwj_schedules/out' FROM SELECT n AS recurring FROM target WHERE n > 0
    RECURRING '0 0 1 1 * 2099';
CREATE SCHEDULE collect FOR CREATE STATISTICS s FROM target RECURRING '0 0 1 1 * 2099';
CREATE SCHEDULE saves FOR BACKUP TABLE target TO '/proc/self/cwd/kwj_schedules/backup' RECURRING '0 0 1 1 * 2099';
SELECT name, job_type, command, job ->> 'priority' AS priority, job ->> 'max_attempts' AS attempts
  FROM kwdb_internal.schedules WHERE job_type <> 'SQL' ORDER BY name;
SELECT count(*) - :jobs AS created FROM kwjobs.job;
-- a job of any type by the function, also of one that has no statement
SELECT kwjobs.create_schedule('by function', '0 0 1 1 * 2099', job_type => 'IMPORT',
    arguments => '{"target": "target", "files": ["/proc/self/cwd/kwj_schedules.csv"]}', options => '{"priority": 3, "pause_after": 2}') > 0 AS created;
SELECT kwjobs.create_schedule('by function', '@daily', 'SELECT 1', if_not_exists => true);
SELECT kwjobs.alter_schedule('by function', options => '{"tags": ["a", "b c", "d\"e", 5]}');
SELECT job -> 'tags' AS tags FROM kwdb_internal.schedules WHERE name = 'by function';
SELECT kwjobs.alter_schedule('by function', options => '{"tags": []}');
SELECT name, job_type, command, job ->> 'priority' AS priority, pause_after FROM kwdb_internal.schedules WHERE name = 'by function';

-- a path that only the first run can make
CREATE SCHEDULE paths FOR IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_schedules.csv') WITH on_error = 'skip', reject_file = '/proc/self/cwd/kwj_schedules/rejected.csv' RECURRING '0 0 1 1 * 2099';
ALTER SCHEDULE paths WITH SCHEDULE OPTIONS priority = 1;
ALTER SCHEDULE paths RECURRING NEVER;
ALTER SCHEDULE paths FOR EXPORT INTO CSV '/proc/self/cwd/kwj_schedules/{due}' FROM TABLE target RECURRING '0 0 1 1 * 2099';
SELECT kwjobs.alter_schedule('paths', job_type => 'BACKUP', arguments => '{"directory": "/proc/self/cwd/kwj_schedules/backup"}');
DROP SCHEDULE paths;

-- 3. What is wrong changes nothing.
SELECT count(*) AS before FROM kwjobs.schedule \gset
CREATE SCHEDULE late FOR SQL 'SELECT 1' RECURRING '@daily';
CREATE SCHEDULE late FOR IMPORT INTO target CSV DATA ('/no/such/file') RECURRING '@daily';
CREATE SCHEDULE x FOR IMPORT INTO target CSV DATA ('/no/such/file') RECURRING '@daily';
CREATE SCHEDULE x FOR IMPORT INTO nowhere CSV DATA ('/proc/self/cwd/kwj_schedules.csv') RECURRING '@daily';
CREATE SCHEDULE x FOR SQL 'SELEC 1' RECURRING '@daily';
CREATE SCHEDULE x FOR SQL 'SELECT $1' RECURRING '@daily';
CREATE SCHEDULE x FOR SQL 'DELETE FROM nowhere' RECURRING '@daily';
CREATE SCHEDULE x FOR SQL 'INSERT INTO target VALUES (1, 2, 3)' RECURRING '@daily';
CREATE SCHEDULE x FOR SQL 'SELECT n; SELECT nofunction()' RECURRING '@daily';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '0 0 30 2 *';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '61 * * * *';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '0 0 1 1 *' WITH SCHEDULE OPTIONS start = '2090-02-01', end = '2090-03-01';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING 'often';
CREATE SCHEDULE '' FOR SQL 'SELECT 1' RECURRING '@daily';
CREATE SCHEDULE E'two\nlines' FOR SQL 'SELECT 1' RECURRING '@daily';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS on_previous_running = stop;
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS on_execution_failure = 'PAUSE';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS catch_up = some;
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS time_zone = 'Mars/Olympus';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS time_zone = 'ABC3';
SET timezone = '<+03>-3';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily';
SET timezone = 'UTC';
ALTER SCHEDULE late WITH SCHEDULE OPTIONS time_zone = 'ABC3';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS first_run = 'soon';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS first_run = infinity;
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS jitter = soon;
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS pause_after = often;
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS first_run = '2200-01-01', end = '2199-01-01';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS first_run;
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS start = '2031-01-01', end = '2030-01-01';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS jitter = '2 days';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS pause_after = -1;
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS priority = 5000;
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS colour = red;
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS run_at = 'tomorrow';
CREATE SCHEDULE x FOR SQL 'SELECT 1' RECURRING '@daily' WITH SCHEDULE OPTIONS failure_statement = 'SELEC';
CREATE SCHEDULE x FOR IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_schedules.csv') WITH run_at = 'tomorrow' RECURRING '@daily';
CREATE SCHEDULE x FOR IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_schedules.csv') RECURRING '@daily' WITH SCHEDULE OPTIONS run_as = current_user;
SELECT kwjobs.create_schedule('x', '@daily');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', job_type => 'SQL');
SELECT kwjobs.create_schedule('x', '@daily', job_type => 'RESTART');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', options => '[]');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', options => '{"end": null}');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', options => '{"settings": {"work_mem": "8MB"}}');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', options => '{"tags": {"a": 1}}');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', options => '{"tags": ["a", null]}');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', options => '{"queue": false}');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', options => '{"failure_statement": false}');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', options => '{"priority": [1]}');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', options => '{"depends_on": [1]}');
SELECT kwjobs.create_schedule('x', '@daily', 'SELECT 1', options => '{"Queue": "a"}');
CALL kwjobs_create_schedule_of_job('x', 1, '@daily', '{}', false);
BEGIN; SELECT kwjobs_for_schedule('x', false); SELECT kwjobs.submit('SELECT 1'); COMMIT;
SELECT count(*) - :before AS created FROM kwjobs.schedule;
-- ... but with IF NOT EXISTS, and IF EXISTS, where there is nothing to do, nothing else is looked at
CREATE SCHEDULE IF NOT EXISTS late FOR IMPORT INTO target CSV DATA ('/no/such/file') RECURRING 'often' WITH SCHEDULE OPTIONS colour = red;
CREATE SCHEDULE IF NOT EXISTS late FOR SQL 'SELEC 1' RECURRING 'often';
SELECT kwjobs.create_schedule('late', 'often', job_type => 'NOTHING', if_not_exists => true);
ALTER SCHEDULE IF EXISTS nothing FOR IMPORT INTO target CSV DATA ('/no/such/file') RECURRING 'often';
SELECT kwjobs.alter_schedule('nothing', 'often', 'SELEC 1', if_exists => true);
BEGIN;
CREATE SCHEDULE IF NOT EXISTS late FOR BACKUP TO '/nowhere' RECURRING '@daily';
SELECT kwjobs.submit('SELECT 1') > 0 AS is_a_job;
ROLLBACK;

-- 4. ALTER keeps what it does not name.
ALTER SCHEDULE "Late too" RECURRING '0 12 1 7 * 2099';
ALTER SCHEDULE "Late too" WITH SCHEDULE OPTIONS on_previous_running = skip, timeout = '2 hours', window = '22:00-06:00 UTC', failure_statement = '';
SELECT * FROM rules WHERE name = 'Late too';
SELECT job ->> 'timeout' AS timeout, job ->> 'priority' AS priority, job ->> 'window' AS "window", failure_statement FROM kwdb_internal.schedules WHERE name = 'Late too';
ALTER SCHEDULE "Late too" FOR SQL 'SELECT 17' RECURRING NEVER;
SELECT status, recurrence, command FROM rules WHERE name = 'Late too';
SELECT job ->> 'description' AS description, job ->> 'timeout' AS timeout, job ->> 'priority' AS priority, job -> 'payload' ->> 'statement' AS statement
  FROM kwdb_internal.schedules WHERE name = 'Late too';
ALTER SCHEDULE nothing RECURRING '@daily';
ALTER SCHEDULE IF EXISTS nothing RECURRING '@daily';
ALTER SCHEDULE late RECURRING 'x';
ALTER SCHEDULE late RECURRING '@daily' WITH SCHEDULE OPTIONS run_as = current_user;
SELECT * FROM rules WHERE name = 'late';
-- ... also a first run that is still to come; an empty one takes it away, and so do other empty values
CREATE SCHEDULE first FOR SQL 'SELECT 1' RECURRING '0 0 * * *' WITH SCHEDULE OPTIONS first_run = '2098-05-06 07:08', jitter = '1 hour';
CREATE SCHEDULE only FOR SQL 'SELECT 1' RECURRING NEVER WITH SCHEDULE OPTIONS first_run = '2098-05-06 07:08';
CREATE VIEW firsts AS SELECT name, schedule_status AS status, next_run, next_due, starts, ends FROM kwdb_internal.schedules WHERE name IN ('first', 'only');
ALTER SCHEDULE first WITH SCHEDULE OPTIONS priority = 3;
ALTER SCHEDULE first WITH SCHEDULE OPTIONS time_zone = 'Asia/Tokyo';
ALTER SCHEDULE first RECURRING '30 12 * * *' WITH SCHEDULE OPTIONS end = '2098-06-01';
ALTER SCHEDULE first WITH SCHEDULE OPTIONS end = '2098-05-01';
ALTER SCHEDULE first WITH SCHEDULE OPTIONS start = '2098-05-07';
PAUSE SCHEDULE first;
PAUSE SCHEDULE only;
RESUME SCHEDULE first;
RESUME SCHEDULE only;
SELECT * FROM firsts ORDER BY name;
PAUSE SCHEDULE only;
ALTER SCHEDULE only WITH SCHEDULE OPTIONS first_run = now;
ALTER SCHEDULE only WITH SCHEDULE OPTIONS first_run = '2097-01-01', end = '2096-01-01';
ALTER SCHEDULE only RECURRING '0 0 1 1 * 2020' WITH SCHEDULE OPTIONS first_run = '';
ALTER SCHEDULE only WITH SCHEDULE OPTIONS first_run = '2097-01-01', start = '2096-01-01', end = '2098-01-01';
RESUME SCHEDULE only;
ALTER SCHEDULE only WITH SCHEDULE OPTIONS start = '', end = '';
SELECT * FROM firsts ORDER BY name;
ALTER SCHEDULE only WITH SCHEDULE OPTIONS first_run = '';
ALTER SCHEDULE first RECURRING '30 12 1 7 *' WITH SCHEDULE OPTIONS first_run = '', end = '', start = '2098-06-01', jitter = 0;
SELECT * FROM firsts ORDER BY name;
ALTER SCHEDULE only WITH SCHEDULE OPTIONS key = k, serial_key = s, queue = q, notify = n, tags = t, timeout = '1 hour', window = 'mon-sun UTC';
SELECT job - 'payload' AS job FROM kwdb_internal.schedules WHERE name = 'only';
ALTER SCHEDULE only WITH SCHEDULE OPTIONS key = '', serial_key = '', queue = '', notify = '', tags = '', timeout = 0, window = '';
SELECT job - 'payload' AS job FROM kwdb_internal.schedules WHERE name = 'only';
ALTER SCHEDULE only WITH SCHEDULE OPTIONS key = '';
ALTER SCHEDULE only WITH SCHEDULE OPTIONS timeout = 0;
DROP SCHEDULES VALUES ('first'), ('only');
DROP VIEW firsts;
-- ... what each run does: any job, also of another type. Its options stay unless the statement names them.
CREATE VIEW jobs AS SELECT name, job_type, command, job ->> 'description' AS description, job ->> 'priority' AS priority,
    job ->> 'max_attempts' AS attempts, job ->> 'timeout' AS timeout, job -> 'tags' AS tags, next_due FROM kwdb_internal.schedules;
CREATE TABLE other (LIKE target);
CREATE SCHEDULE changed FOR SQL 'SELECT 1' RECURRING '0 0 1 1 * 2099' WITH SCHEDULE OPTIONS priority = 7, timeout = '1 hour', tags = '{a,b}';
ALTER SCHEDULE changed FOR IMPORT INTO other (n, t) CSV DATA ('/proc/self/cwd/kwj_schedules.csv') WITH skip = '0', priority = '2';
SELECT * FROM jobs WHERE name = 'changed';
ALTER SCHEDULE changed FOR EXPORT INTO CSV '/proc/self/cwd/kwj_schedules/out' FROM SELECT n AS recurring FROM target WHERE n > 0
    RECURRING '0 0 2 1 * 2099' WITH SCHEDULE OPTIONS description = 'all of it', max_attempts = 3;
SELECT * FROM jobs WHERE name = 'changed';
ALTER SCHEDULE changed FOR CREATE STATISTICS s FROM target WITH SCHEDULE OPTIONS tags = '{c}', pause_after = 4;
SELECT * FROM jobs WHERE name = 'changed';
ALTER SCHEDULE changed FOR BACKUP TABLE target TO '/proc/self/cwd/kwj_schedules/backup' WITH description = 'the backup', timeout = '2 hours'
    RECURRING NEVER;
SELECT * FROM jobs WHERE name = 'changed';
SELECT kwjobs.alter_schedule('changed', '0 0 3 1 * 2099', job_type => 'SQL', arguments => '{"statement": "SELECT 2"}', options => '{"priority": 4}');
SELECT * FROM jobs WHERE name = 'changed';
SELECT kwjobs.alter_schedule('changed', job_type => 'IMPORT', arguments => '{"target": "target", "files": ["/proc/self/cwd/kwj_schedules.csv"]}');
SELECT jobs.*, pause_after FROM jobs JOIN kwdb_internal.schedules AS s USING (name) WHERE name = 'changed' \gx
-- ... what is wrong changes nothing
ALTER SCHEDULE nothing FOR IMPORT INTO target CSV DATA ('/no/such/file');
ALTER SCHEDULE IF EXISTS nothing FOR CREATE STATISTICS s FROM target;
ALTER SCHEDULE changed FOR IMPORT INTO target CSV DATA ('/no/such/file');
ALTER SCHEDULE changed FOR IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_schedules.csv') WITH run_at = 'tomorrow';
ALTER SCHEDULE changed FOR CREATE STATISTICS s FROM target WITH SCHEDULE OPTIONS window = '22:00-06:00 UTC', timeout = '1 minute', colour = red;
ALTER SCHEDULE changed FOR CREATE STATISTICS s FROM target RECURRING '0 0 30 2 *';
SELECT kwjobs.alter_schedule('changed', statement => 'SELECT 1', job_type => 'SQL');
SELECT kwjobs.alter_schedule('changed', job_type => 'RESTART');
SELECT kwjobs.alter_schedule('nothing', job_type => 'RESTART');
CALL kwjobs_alter_schedule_of_job('changed', 1, NULL, '{}', false);
SELECT name, job_type, description, next_due FROM jobs WHERE name = 'changed';
-- ... in a transaction, an aborted one, a function, prepared
BEGIN;
ALTER SCHEDULE changed FOR CREATE STATISTICS s FROM target;
SELECT job_type FROM jobs WHERE name = 'changed';
SAVEPOINT s;
ALTER SCHEDULE changed FOR IMPORT INTO target CSV DATA ('/no/such/file');
ALTER SCHEDULE changed FOR CREATE STATISTICS s FROM target;
ROLLBACK TO s;
SELECT kwjobs_for_altered_schedule('changed', false);
ROLLBACK TO s;
SELECT job_type FROM jobs WHERE name = 'changed';
ROLLBACK;
SELECT job_type FROM jobs WHERE name = 'changed';
DO $$
BEGIN
    ALTER SCHEDULE changed FOR CREATE STATISTICS s FROM target RECURRING '0 0 4 1 * 2099';
    EXECUTE $x$ALTER SCHEDULE changed FOR IMPORT INTO target CSV DATA ('/proc/self/cwd/kwj_schedules.csv') RECURRING $1$x$ USING '0 0 5 1 * 2099';
END $$;
SELECT job_type, next_due FROM jobs WHERE name = 'changed';
PREPARE p(text, text) AS ALTER SCHEDULE $1 FOR BACKUP TABLE target TO $2 WITH SCHEDULE OPTIONS priority = 9;
EXECUTE p('changed', '/proc/self/cwd/kwj_schedules/backup-{due}');
DEALLOCATE p;
SELECT job_type, command, priority, next_due FROM jobs WHERE name = 'changed';
DROP SCHEDULE changed;
DROP TABLE other;

-- 5. PAUSE, RESUME, DROP
PAUSE SCHEDULE late WITH REASON = 'not ' || 'now';
PAUSE SCHEDULE late;
SELECT name, schedule_status, next_run, state, regexp_replace(why_paused, 'by \w+', 'by me') AS why FROM [SHOW SCHEDULE late];
PAUSE SCHEDULE late WITH REASON = 'never';
SELECT regexp_replace(why_paused, 'by \w+', 'by me') AS why FROM [SHOW SCHEDULE late];
ALTER SCHEDULE late RECURRING '0 0 2 1 * 2099';
SELECT status, next_due FROM rules WHERE name = 'late';
RESUME SCHEDULE late;
RESUME SCHEDULE late;
SELECT schedule_status, next_run, why_paused FROM [SHOW SCHEDULE late];
PAUSE SCHEDULE nothing;
PAUSE SCHEDULE IF EXISTS nothing;
RESUME SCHEDULE nothing;
DROP SCHEDULE nothing;
DROP SCHEDULE IF EXISTS nothing;
DROP SCHEDULES (SELECT name FROM [SHOW SCHEDULES] WHERE name IN ('unload', 'saves'));
DROP SCHEDULES SELECT 'nothing';
DROP SCHEDULES IF EXISTS VALUES ('nothing'), ('collect');
DROP SCHEDULES (SELECT 1, 2);
SELECT string_agg(name, ', ' ORDER BY name) FROM kwdb_internal.schedules;
SELECT kwjobs.pause_schedule('late', reason => 'x'), kwjobs.resume_schedule('late'), kwjobs.drop_schedule('nothing', true), kwjobs.drop_schedules('{load,nothing}', true);

-- 6. In a transaction that is rolled back nothing has happened; in functions, prepared, with parameters and variables.
BEGIN;
CREATE SCHEDULE gone FOR SQL 'SELECT 1' RECURRING '0 0 1 1 * 2099';
DROP SCHEDULE late;
SELECT count(*) FROM [SHOW SCHEDULES] WHERE name IN ('gone', 'late');
SAVEPOINT s;
CREATE SCHEDULE gone FOR SQL 'SELECT 1' RECURRING '0 0 1 1 * 2099';
ROLLBACK TO s;
PAUSE SCHEDULE gone;
ROLLBACK;
SELECT name, schedule_status FROM [SHOW SCHEDULES] WHERE name IN ('gone', 'late');
BEGIN;
SELECT 1 / 0;
CREATE SCHEDULE gone FOR SQL 'SELECT 1' RECURRING '@daily';
SHOW SCHEDULES;
ROLLBACK;
BEGIN READ ONLY;
CREATE SCHEDULE gone FOR SQL 'SELECT 1' RECURRING '@daily';
ROLLBACK;
DO $$
DECLARE
    which text := 'from a block';
    often text := '0 0 1 1 * 2099';
BEGIN
    CREATE SCHEDULE "from a block" FOR SQL 'SELECT 1' RECURRING '0 0 1 1 * 2099';
    EXECUTE 'ALTER SCHEDULE "from a block" RECURRING $1' USING '0 0 3 1 * 2099';
    PAUSE SCHEDULE "from a block" WITH REASON = often;
    RAISE NOTICE '%', (SELECT count(*) FROM [SHOW SCHEDULES] WHERE name = which);
    BEGIN
        EXECUTE $x$CREATE SCHEDULE bad FOR IMPORT INTO target CSV DATA ('/no/such/file') RECURRING '@daily'$x$;
    EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%', sqlerrm;
    END;
    DROP SCHEDULE "from a block";
END $$;
PREPARE p(text, text) AS CREATE SCHEDULE $1 FOR IMPORT INTO target CSV DATA ($2) RECURRING '0 0 1 1 * 2099';
EXECUTE p('prepared', '/proc/self/cwd/kwj_schedules.csv');
PREPARE shows AS SELECT name, next_run, command FROM [SHOW SCHEDULE 'prepared'];
EXECUTE shows;
PREPARE drops AS DROP SCHEDULES (SELECT 'prepared');
EXECUTE drops;
SELECT name FROM kwdb_internal.schedules WHERE name = 'prepared';

-- 7. RUN by hand; the totals of the schedule in the columns for many executions
SELECT kwjobs.run_schedule('once') AS job \gset
SELECT status, total_num_of_ex AS ex, total_num_of_success AS success, total_num_of_fail AS fail FROM [SHOW JOB WHEN COMPLETE :job];
SELECT kwjobs.run_schedule('once') AS job \gset
SELECT status, total_num_of_ex AS ex FROM [SHOW JOB WHEN COMPLETE :job];
SELECT job_type, description, status, total_num_of_ex AS ex FROM [SHOW JOBS FOR SCHEDULE once];
SHOW JOBS FOR SCHEDULE nothing;
SELECT kind, outcome, times, status FROM kwdb_internal.due_times WHERE schedule = 'once';
SELECT created_by_type, created_by_id = id AS its FROM kwdb_internal.jobs, kwdb_internal.schedules WHERE job_id = :job AND name = 'once';
SELECT kwjobs.run_schedule('nothing');

SELECT scheduler_enabled, coordinator IN ('runs', 'starts when something is due') AS alive, now() - last_tick < '1 hour' AS ticks, next_due, late_by, schedules,
    paused_schedules, failing_schedules, pending >= 0 AS pending, running >= 0 AS running, max_workers > 0 AS workers, paused_jobs >= 0 AS paused FROM kwjobs.health;

-- 8. Rights: the owner by functions, the admin role by statements
SET client_min_messages = warning;
DROP ROLE IF EXISTS kwj_scheduler, kwj_other;
RESET client_min_messages;
CREATE ROLE kwj_scheduler LOGIN;
CREATE ROLE kwj_other LOGIN;
SET ROLE kwj_scheduler;
CREATE SCHEDULE mine FOR SQL 'SELECT 1' RECURRING '0 0 1 1 * 2099';
SHOW SCHEDULES;
SELECT kwjobs.create_schedule('mine', '0 0 1 1 * 2099', 'SELECT 1') > 0 AS created;
SELECT kwjobs.create_schedule('not mine', '0 0 1 1 * 2099', 'SELECT 1', options => '{"run_as": "kwj_other"}');
SELECT kwjobs.create_schedule('late', '0 0 1 1 * 2099', 'SELECT 1');
SELECT name, owner FROM kwjobs.my_schedules;
SELECT kwjobs.alter_schedule('mine', '0 0 5 1 * 2099'), kwjobs.pause_schedule('mine'), kwjobs.resume_schedule('mine');
SELECT kwjobs.pause_schedule('late');
ALTER SCHEDULE mine RECURRING '@daily';
ALTER SCHEDULE mine FOR SQL 'SELECT 2';
ALTER SCHEDULE IF EXISTS mine FOR CREATE STATISTICS all_of_it FROM target;
PAUSE SCHEDULE mine;
RESUME SCHEDULE nothing;
DROP SCHEDULE IF EXISTS mine;
DROP SCHEDULES SELECT 'mine';
SELECT kwjobs.drop_schedule('late', true);
SELECT kwjobs.run_schedule('late');
SELECT * FROM kwjobs.schedule;
DELETE FROM kwjobs.schedule_control;
SET kwjobs.job_visibility = owner;
RESET ROLE;
ALTER ROLE kwj_scheduler SET kwjobs.job_visibility = owner;
SET kwjobs.job_visibility = owner;
SET ROLE kwj_scheduler;
PAUSE SCHEDULE mine;
PAUSE SCHEDULE late;
SELECT name, schedule_status FROM [SHOW SCHEDULES];
-- what the jobs do is the owner's; a member of the admin role cannot change it
RESET ROLE;
RESET kwjobs.job_visibility;
ALTER SCHEDULE mine FOR SQL 'SELECT 2' RECURRING '0 0 6 1 * 2099';
CREATE ROLE kwj_boss LOGIN;
SET kwjobs.admin_role = kwj_boss;
SET ROLE kwj_boss;
ALTER SCHEDULE mine RECURRING '0 0 6 1 * 2099';
ALTER SCHEDULE mine FOR SQL 'SELECT 2';
ALTER SCHEDULE mine WITH SCHEDULE OPTIONS failure_statement = 'SELECT 2';
RESUME SCHEDULE mine;
RESET ROLE;
RESET kwjobs.admin_role;
DROP SCHEDULE mine;
DROP ROLE kwj_scheduler, kwj_other, kwj_boss;

-- 9. Clean up
SET client_min_messages = warning;
DROP SCHEDULES (SELECT name FROM kwdb_internal.schedules);
SELECT count(*) FROM kwjobs.due_time;
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_schedules)" kwj_schedules kwj_schedules.csv';
DROP TABLE target CASCADE;
