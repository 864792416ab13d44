/* kwjobs--1.0.sql: the objects of the extension. doc/developers/catalog.md explains them. */

\echo Use "CREATE EXTENSION kwjobs" to load this file. \quit

-- A schema that somebody made beforehand is an error, never adopted.
CREATE SCHEMA kwjobs;
CREATE SCHEMA kwdb_internal;

COMMENT ON SCHEMA kwjobs IS 'kwjobs: functions and tables of the job system';
COMMENT ON SCHEMA kwdb_internal IS 'kwjobs: the catalog that the job statements read';

-- ---------------------------------------------------------------------------
-- A role, kept by its OID like a regrole, so that it may be renamed. Its text is its name, so
-- that a dump has the name, and a restore finds the role of that name: OIDs are another role's
-- in another cluster. Unlike regrole it takes a name that no role has, as no role at all (its
-- text is then empty): a restore does not fail for that.
-- ---------------------------------------------------------------------------

CREATE TYPE kwjobs.role;
CREATE FUNCTION kwjobs.role_in(cstring)
RETURNS kwjobs.role LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_role_in';
COMMENT ON FUNCTION kwjobs.role_in(cstring) IS 'input of type kwjobs.role';
CREATE FUNCTION kwjobs.role_out(kwjobs.role)
RETURNS cstring LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_role_out';
COMMENT ON FUNCTION kwjobs.role_out(kwjobs.role) IS 'output of type kwjobs.role';
CREATE TYPE kwjobs.role (INPUT = kwjobs.role_in, OUTPUT = kwjobs.role_out, LIKE = pg_catalog.oid);
COMMENT ON TYPE kwjobs.role IS 'a role; dumped by its name';
CREATE CAST (kwjobs.role AS oid) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (kwjobs.role AS regrole) WITHOUT FUNCTION;
CREATE CAST (oid AS kwjobs.role) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (regrole AS kwjobs.role) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (integer AS kwjobs.role) WITHOUT FUNCTION AS ASSIGNMENT;
-- PostgreSQL's own tests want each cast of this kind in both directions
CREATE CAST (kwjobs.role AS integer) WITHOUT FUNCTION;

-- ---------------------------------------------------------------------------
-- Tables. Only src/store and this file name them. Nobody but the
-- extension's owner may read or write them directly. The two that every job writes
-- to several times have no CHECK and no foreign key, which would cost each of these
-- statements more than all the rest; t/lib/KwjTest.pm checks them instead.
-- ---------------------------------------------------------------------------

CREATE TABLE kwjobs.job (
    job_id          bigint PRIMARY KEY,
    job_type        text NOT NULL,
    description     text NOT NULL,
    statement       text NOT NULL DEFAULT '',
    owner           kwjobs.role NOT NULL,
    -- the owner's name when the job was created: for when the role is gone
    user_name       text NOT NULL,
    -- who created it: the current and the session user
    created_by      kwjobs.role,
    created_by_session kwjobs.role,
    -- by whose right it runs as its owner: each of these roles may SET ROLE to the next, and the
    -- last to the owner, or no attempt begins; NULL: by the owner's own
    authority       oid[],
    status          text NOT NULL,
    running_status  text,
    -- the number of the last attempt, 0 if there was none
    attempts        integer NOT NULL DEFAULT 0,
    -- the attempt that runs now, NULL when none does
    active_attempt  integer,
    -- what status the job ends in once its changes are reverted
    revert_to       text,
    -- of the jobs of one owner that are not over, only one has this key
    key             text,
    priority        integer NOT NULL DEFAULT 0,
    -- as asked for: not before this
    run_at          timestamptz,
    -- no attempt starts before this; infinity while it depends on others
    due             timestamptz NOT NULL,
    -- the order among the jobs that may start now; NULL: this one may not, or runs, or is over
    rank            timestamptz,
    max_attempts    integer NOT NULL,
    -- attempts in a row that ended by a crash or a retryable error
    retries         integer NOT NULL DEFAULT 0,
    -- attempts that ended by a crash since the last RESUME, whatever they achieved before
    crashes         integer NOT NULL DEFAULT 0,
    -- milliseconds before the second retry
    retry_delay     bigint NOT NULL DEFAULT 1000,
    -- attempts in a row for which no worker could be had
    refusals        integer NOT NULL DEFAULT 0,
    -- milliseconds that an attempt may take, NULL: no limit
    timeout         bigint,
    -- 'fail', 'retry' or 'pause'
    on_failure      text NOT NULL DEFAULT 'fail',
    -- once it has started it is reverted even if it never wrote a checkpoint
    has_revert      boolean NOT NULL DEFAULT false,
    payload         jsonb NOT NULL,
    result          jsonb,
    -- once it is over; NULL: those of the checkpoint
    rows            bigint,
    created         timestamptz NOT NULL,
    started         timestamptz,
    finished        timestamptz,
    modified        timestamptz NOT NULL,
    errored         timestamptz,
    error           text NOT NULL DEFAULT '',
    error_code      text,
    error_detail    text,
    error_hint      text,
    error_context   text,
    error_file      text,
    error_line      bigint,
    error_column    text,
    -- the error that made the job revert, while the columns above have the revert's own
    cause           jsonb,
    coordinator_id  bigint,
    total_num_of_ex      bigint NOT NULL DEFAULT 0,
    total_num_of_success bigint NOT NULL DEFAULT 0,
    total_num_of_fail    bigint NOT NULL DEFAULT 0,
    time_of_last_success timestamptz,
    request_reason  text,
    request_user    text,
    -- whose name that was then
    requested_by    kwjobs.role,
    request_time    timestamptz,
    created_by_type text,
    created_by_id   bigint,
    -- by which users find and sort their jobs; NULL: none
    tags            text[]
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
-- SHOW JOBS: those that are not over, and the latest; limits of a role; retention: the oldest. Each row
-- is in one of the two.
CREATE INDEX job_unfinished ON kwjobs.job (owner) WHERE finished IS NULL;
CREATE INDEX job_finished ON kwjobs.job (finished, job_id) WHERE finished IS NOT NULL;
-- what a coordinator looks at: jobs that may start, that run, that may start later,
-- that something is asked of
CREATE INDEX job_ready ON kwjobs.job (owner, job_type, rank, job_id) WHERE rank IS NOT NULL;
CREATE INDEX job_active ON kwjobs.job (job_id) WHERE active_attempt IS NOT NULL;
CREATE INDEX job_waiting ON kwjobs.job (due, job_id)
    WHERE rank IS NULL AND active_attempt IS NULL AND status IN ('pending', 'reverting');
CREATE INDEX job_requested ON kwjobs.job (job_id)
    WHERE active_attempt IS NULL AND (status IS NULL OR status <> ALL
        ('{succeeded,pending,running,reverting,paused,failed,canceled,revert-failed}'));
CREATE UNIQUE INDEX job_key ON kwjobs.job (owner, key) WHERE key IS NOT NULL AND finished IS NULL;

CREATE TABLE kwjobs.attempt (
    job_id      bigint NOT NULL,
    attempt     integer NOT NULL,
    reverting   boolean NOT NULL,
    -- 'running', 'succeeded', 'failed', 'crashed', 'interrupted', 'paused', 'canceled'
    status      text NOT NULL,
    started     timestamptz NOT NULL,
    finished    timestamptz,
    node_id     bigint NOT NULL,
    pid         integer,
    rows        bigint NOT NULL DEFAULT 0,
    error       text,
    error_code  text,
    error_detail text,
    error_hint  text,
    error_context text,
    error_file  text,
    error_line  bigint,
    error_column text,
    -- of a SQL job: the command tag of each statement, and what it said
    tags        text[],
    messages    text[],
    PRIMARY KEY (job_id, attempt)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- The durable state from which the next attempt goes on; made by the first checkpoint.
-- Apart from the job's row, so that a worker never waits for a control statement that
-- is not committed yet.
CREATE TABLE kwjobs.checkpoint (
    job_id      bigint PRIMARY KEY REFERENCES kwjobs.job ON DELETE CASCADE,
    -- the attempt that may write here: an older one finds no row and stops
    attempt     integer NOT NULL,
    state       jsonb,
    fraction    double precision NOT NULL DEFAULT 0,
    rows        bigint NOT NULL DEFAULT 0,
    written     timestamptz
);

-- The transactions in which a job changed its target: what a revert undoes.
CREATE TABLE kwjobs.job_transaction (
    job_id      bigint NOT NULL REFERENCES kwjobs.job ON DELETE CASCADE,
    xid         xid8 NOT NULL,
    PRIMARY KEY (job_id, xid)
);

-- The pieces of the work of a job that several workers may do, until it is over; see
-- doc/developers/parts.md.
CREATE TABLE kwjobs.piece (
    job_id      bigint NOT NULL REFERENCES kwjobs.job ON DELETE CASCADE,
    piece       bigint NOT NULL,            -- its place in the order of the work
    -- the attempt that may write here
    attempt     integer NOT NULL,
    units       bigint NOT NULL DEFAULT 0,  -- how much it is, for the progress
    what        jsonb,                      -- as planned; NULL: a place with an error, and no piece
    state       jsonb,                      -- of its last checkpoint
    rows        bigint NOT NULL DEFAULT 0,
    done        boolean NOT NULL DEFAULT false,
    written     timestamptz,                -- the last checkpoint
    error       jsonb,                      -- of this attempt
    PRIMARY KEY (job_id, piece)
);
CREATE INDEX piece_left ON kwjobs.piece (job_id, piece) WHERE NOT done;
CREATE INDEX piece_failed ON kwjobs.piece (job_id, piece) WHERE error IS NOT NULL;

-- A job waits until all those that it depends on are over. What is met is deleted.
CREATE TABLE kwjobs.dependency (
    job_id      bigint NOT NULL REFERENCES kwjobs.job ON DELETE CASCADE,
    depends_on  bigint NOT NULL,
    -- the status in which that one ended, 'gone' if it was deleted; NULL: it is not over, as
    -- far as is known
    status      text,
    -- the coordinator has not looked yet whether it is over; status is NULL then
    fresh       boolean NOT NULL DEFAULT true,
    PRIMARY KEY (job_id, depends_on)
);
CREATE INDEX dependency_depends_on ON kwjobs.dependency (depends_on, job_id);
CREATE INDEX dependency_fresh ON kwjobs.dependency (job_id, depends_on) WHERE fresh;
CREATE INDEX dependency_known ON kwjobs.dependency (job_id, depends_on) WHERE status IS NOT NULL;

-- Jobs that failed because of another one: RETRY of that one brings them back.
CREATE TABLE kwjobs.failed_dependency (
    depends_on  bigint NOT NULL,        -- the one that did not succeed
    job_id      bigint NOT NULL REFERENCES kwjobs.job ON DELETE CASCADE,
    others      bigint[] NOT NULL,      -- all that the job still waited for, that one among them
    PRIMARY KEY (depends_on, job_id)
);
CREATE INDEX failed_dependency_job ON kwjobs.failed_dependency (job_id);

-- Jobs that have ended and on which so many others depend that they are told in steps.
CREATE TABLE kwjobs.untold (
    job_id      bigint PRIMARY KEY,
    status      text NOT NULL,          -- in which it ended
    told        bigint NOT NULL         -- those that depend on it know it, up to this one
);

-- What is left of jobs that were deleted.
CREATE TABLE kwjobs.history (
    day         date NOT NULL,          -- on which they ended, UTC
    job_type    text NOT NULL,
    status      text NOT NULL,
    jobs        bigint NOT NULL,
    attempts    bigint NOT NULL,
    rows        bigint NOT NULL,
    run_time    interval NOT NULL,      -- from start to end, all together
    -- 0: the sum, which only the coordinator updates; else the lowest id of jobs that a user has
    -- deleted and that are not in the sum yet: a loose row, which the coordinator adds to the sum
    added       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day, job_type, status, added)
);
CREATE INDEX history_loose ON kwjobs.history (day) WHERE added <> 0;

-- Which database this is: in a copy of it, made by CREATE DATABASE, it is still the
-- original. pg_upgrade makes a new cluster, and may give new OIDs.
CREATE TABLE kwjobs.home (
    -- there is one row
    single      boolean PRIMARY KEY DEFAULT true CHECK (single),
    cluster     bigint NOT NULL,        -- pg_control_system()
    database    oid NOT NULL
);
INSERT INTO kwjobs.home (cluster, database) SELECT c.system_identifier, d.oid
  FROM pg_catalog.pg_control_system() AS c, pg_catalog.pg_database AS d
 WHERE d.datname = pg_catalog.current_database();

-- Without a policy: only the owner, through whom views and library go, and superusers see
-- or write a row, whatever other rights a role has, as those of pg_write_all_data.
ALTER TABLE kwjobs.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.checkpoint ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.job_transaction ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.piece ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.dependency ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.failed_dependency ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.untold ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.history ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.home ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE kwjobs.job IS 'every job; read it through kwdb_internal.jobs';
COMMENT ON TABLE kwjobs.attempt IS 'every execution of a job; read it through kwdb_internal.job_attempts';
COMMENT ON TABLE kwjobs.checkpoint IS 'the durable state from which a job''s next attempt goes on';
COMMENT ON TABLE kwjobs.job_transaction IS 'the transactions whose rows a revert removes';
COMMENT ON TABLE kwjobs.piece IS 'the pieces of the work of jobs that several workers may do';
COMMENT ON TABLE kwjobs.dependency IS 'which job waits for which other';
COMMENT ON TABLE kwjobs.failed_dependency IS 'which job failed because of which other';
COMMENT ON TABLE kwjobs.untold IS 'which jobs have ended without all that depend on them knowing it yet';
COMMENT ON TABLE kwjobs.home IS 'the database that the jobs belong to';
COMMENT ON TABLE kwjobs.history IS 'sums of jobs that were deleted; read it through kwdb_internal.job_history';

-- A dump carries the history. It does not carry jobs that are not over: restored,
-- they would run again, on data that they have changed already. Nor those whose revert
-- failed: RESUME would revert them once more, and the transactions to revert are unknown there.
SELECT pg_catalog.pg_extension_config_dump('kwjobs.job',
    $$WHERE finished IS NOT NULL AND status <> 'revert-failed'$$);
SELECT pg_catalog.pg_extension_config_dump('kwjobs.attempt',
    $$WHERE EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = attempt.job_id
        AND j.finished IS NOT NULL AND j.status <> 'revert-failed')$$);
SELECT pg_catalog.pg_extension_config_dump('kwjobs.checkpoint',
    $$WHERE EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = checkpoint.job_id
        AND j.finished IS NOT NULL AND j.status <> 'revert-failed')$$);
SELECT pg_catalog.pg_extension_config_dump('kwjobs.history', '');

-- ---------------------------------------------------------------------------
-- Building blocks of the statements. Not meant to be called by hand.
-- ---------------------------------------------------------------------------

CREATE FUNCTION kwjobs.may_show()
RETURNS boolean LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_may_show';
COMMENT ON FUNCTION kwjobs.may_show() IS
'true, or error 42501 if the caller may not see jobs at all (setting kwjobs.job_visibility)';

CREATE FUNCTION kwjobs.may_show_all()
RETURNS boolean LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_may_show_all';
COMMENT ON FUNCTION kwjobs.may_show_all() IS
'true, or error 42501 if the caller may not see the jobs of everybody';

CREATE FUNCTION kwjobs.is_visible(owner oid)
RETURNS boolean LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_is_visible';
COMMENT ON FUNCTION kwjobs.is_visible(oid) IS
'whether the caller may see the jobs of this owner';

CREATE FUNCTION kwjobs.job_id(job_id bigint)
RETURNS bigint LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_job_id';
COMMENT ON FUNCTION kwjobs.job_id(bigint) IS
'its argument, or error 42704 if the caller may see no such job; NULL for NULL';

-- What job statements and the library call (doc/developers/statements.md), in the one schema where no role but a
-- superuser can create anything: by these names nothing but this extension is ever reached.
CREATE FUNCTION pg_catalog.kwjobs_installed()
RETURNS boolean LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_installed';
COMMENT ON FUNCTION pg_catalog.kwjobs_installed() IS
'true; that this function is there says that the extension kwjobs is';

CREATE FUNCTION pg_catalog.kwjobs_may_control(verb text)
RETURNS boolean LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_may_control';
COMMENT ON FUNCTION pg_catalog.kwjobs_may_control(text) IS
'true, or error 42501 if the caller may not pause, resume or cancel jobs at all';

CREATE FUNCTION pg_catalog.kwjobs_job_id(job_id bigint)
RETURNS bigint LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_job_id';
COMMENT ON FUNCTION pg_catalog.kwjobs_job_id(bigint) IS
'its argument, or error 42704 if the caller may see no such job; NULL for NULL';

CREATE FUNCTION pg_catalog.kwjobs_shown(value text)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_shown';
COMMENT ON FUNCTION pg_catalog.kwjobs_shown(text) IS
'what SHOW JOBS shows of a text: its beginning, with a mark, if it is long';

CREATE FUNCTION pg_catalog.kwjobs_show_window()
RETURNS interval LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_show_window';
COMMENT ON FUNCTION pg_catalog.kwjobs_show_window() IS
'how far SHOW JOBS looks back at finished jobs: the setting kwjobs.show_window';

CREATE FUNCTION pg_catalog.kwjobs_control(job_id bigint, verb text, reason text)
RETURNS text LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_control';
COMMENT ON FUNCTION pg_catalog.kwjobs_control(bigint, text, text) IS
'pauses, resumes or cancels a job and returns NULL: what PAUSE, RESUME and CANCEL JOB call';

CREATE FUNCTION pg_catalog.kwjobs_control_jobs(job_ids bigint[], verb text, reason text)
RETURNS bigint[] LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_control_jobs';
COMMENT ON FUNCTION pg_catalog.kwjobs_control_jobs(bigint[], text, text) IS
'pauses, resumes or cancels jobs, leaves out those for which there is nothing left to ask for, and returns the others: what PAUSE, RESUME and CANCEL JOBS call';

CREATE FUNCTION pg_catalog.kwjobs_control_all(job_ids bigint[], verb text, reason text)
RETURNS bigint[] LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_control_all';
COMMENT ON FUNCTION pg_catalog.kwjobs_control_all(bigint[], text, text) IS
'the same for all jobs there are, leaving out what cannot be asked for now: what PAUSE, RESUME and CANCEL ALL JOBS call';

CREATE FUNCTION pg_catalog.kwjobs_job_type(job_type text)
RETURNS text LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_type';
COMMENT ON FUNCTION pg_catalog.kwjobs_job_type(text) IS
'the name of a job type, given in upper or lower case, or error 42704 if there is none; NULL for NULL';

CREATE FUNCTION kwjobs.left_alone(job_id bigint)
RETURNS text LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_left_alone';
COMMENT ON FUNCTION kwjobs.left_alone(bigint) IS
'why the coordinator leaves this job alone for now, as it can be neither used nor ended; NULL: it does not, or the caller may not see the job';

CREATE FUNCTION kwjobs.readable(text)
RETURNS text LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_readable';
COMMENT ON FUNCTION kwjobs.readable(text) IS
'its argument, or why it cannot be read: a text whose page is lost keeps no other job from being shown';

CREATE FUNCTION pg_catalog.kwjobs_waiting(owner oid, job_type text, due timestamptz, run_at timestamptz,
    ready boolean, noted text, depends_on bigint[])
RETURNS text LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_waiting';
COMMENT ON FUNCTION pg_catalog.kwjobs_waiting(oid, text, timestamptz, timestamptz, boolean, text, bigint[]) IS
'why a job that no worker has does not run, as of now';

CREATE FUNCTION kwjobs.role_name(role kwjobs.role, name_then text)
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_role_name';
COMMENT ON FUNCTION kwjobs.role_name(kwjobs.role, text) IS
'the name that the role has now; if it is gone, the one that it had';

CREATE FUNCTION kwjobs.live(
    OUT job_id bigint, OUT attempt integer, OUT pid integer,
    OUT running_status text, OUT fraction double precision, OUT rows bigint,
    OUT bytes_done bigint, OUT bytes_total bigint)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'kwjobs_live';
COMMENT ON FUNCTION kwjobs.live() IS
'live progress of those attempts in this database that the caller may see, from shared memory';

-- Of two columns of kwjobs.list. PostgreSQL puts their bodies into the query.
CREATE FUNCTION kwjobs.one_line(value text, length integer)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN char_length(t.line) > length THEN left(t.line, length - 2) || '..' ELSE t.line END
      FROM (SELECT trim(regexp_replace(pg_catalog.kwjobs_shown(value), '[[:cntrl:][:space:]]+', ' ', 'g'))) AS t (line);
END;
COMMENT ON FUNCTION kwjobs.one_line(text, integer) IS
'the beginning of a text on one line: so many characters at most';

CREATE FUNCTION kwjobs.short_age(since timestamptz)
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN t.seconds < 100 THEN t.seconds || 's'
                WHEN t.seconds < 6000 THEN t.seconds / 60 || 'm'
                WHEN t.seconds < 360000 THEN t.seconds / 3600 || 'h'
                ELSE t.seconds / 86400 || 'd' END
      FROM (SELECT greatest(0, extract(epoch FROM now() - since))::bigint) AS t (seconds);
END;
COMMENT ON FUNCTION kwjobs.short_age(timestamptz) IS
'how long ago this was, in one number: 99s, 99m, 99h, 365d';

-- The columns are those of kwdb_internal.jobs, in their order. own: whether those of the caller's own
-- are to be returned, as in kwjobs.my_jobs, or those that the statements show.
CREATE FUNCTION kwjobs.session_jobs(
    own boolean DEFAULT false,
    OUT job_id bigint, OUT job_type text, OUT description text, OUT statement text,
    OUT user_name text, OUT status text, OUT running_status text, OUT created timestamptz,
    OUT started timestamptz, OUT finished timestamptz, OUT modified timestamptz,
    OUT errord timestamptz, OUT fraction_completed double precision, OUT error text,
    OUT coordinator_id bigint, OUT total_num_of_ex bigint, OUT total_num_of_success bigint,
    OUT total_num_of_fail bigint, OUT time_of_last_success timestamptz,
    OUT created_by_type text, OUT created_by_id bigint, OUT rows bigint, OUT pid integer,
    OUT key text, OUT priority integer, OUT run_at timestamptz, OUT due timestamptz,
    OUT max_attempts integer, OUT timeout interval, OUT on_failure text, OUT waits_for bigint[],
    OUT error_code text, OUT error_detail text, OUT error_hint text, OUT error_context text,
    OUT error_file text, OUT error_line bigint, OUT error_column text,
    OUT request_reason text, OUT request_user text, OUT request_time timestamptz,
    OUT payload jsonb, OUT result jsonb, OUT created_by text, OUT created_by_session text,
    OUT crashes integer, OUT cause jsonb, OUT tags text[])
RETURNS SETOF record LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'kwjobs_session_jobs';
COMMENT ON FUNCTION kwjobs.session_jobs(boolean) IS
'jobs that sessions of this database do themselves, that have no row yet and that the caller may see, from shared memory';

CREATE FUNCTION kwjobs.session_job_places(OUT places integer, OUT taken integer, OUT unrecorded bigint)
RETURNS record LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_session_job_places';
COMMENT ON FUNCTION kwjobs.session_job_places() IS
'places for jobs that sessions do themselves (kwjobs.max_session_jobs), how many are taken in all databases, and how many jobs since the start of the server found none or got no row';

-- ---------------------------------------------------------------------------
-- The catalog that the statements read
-- ---------------------------------------------------------------------------

-- Checkpoints by subqueries: only those of the rows and columns that are asked for are
-- looked up, never all of them. Why a job does not run is computed as of now: nobody has to write
-- it into the rows of all jobs that wait. The second part of the views has the jobs without a row:
-- no job is in both, as both go by the query's snapshot. The function leaves out what the caller may
-- not see.
DO LANGUAGE plpgsql $views$
DECLARE
    -- the columns of a job, for two views that show different jobs
    job CONSTANT text := $job$
SELECT j.job_id,
       j.job_type,
       kwjobs.readable(j.description) AS description,
       kwjobs.readable(j.statement) AS statement,
       -- what a row says that was written by hand is believed
       CASE WHEN j.created_by IS NULL THEN j.user_name
            ELSE kwjobs.role_name(j.owner, j.user_name) END AS user_name,
       j.status,
       CASE WHEN j.job_type = 'AUTO_CREATE_STATS' THEN NULL
            WHEN kwjobs.left_alone(j.job_id) IS NOT NULL THEN kwjobs.left_alone(j.job_id)
            WHEN j.active_attempt IS NULL AND j.status IN ('pending', 'reverting')
            THEN pg_catalog.kwjobs_waiting(j.owner, j.job_type, j.due, j.run_at, j.rank IS NOT NULL,
                      kwjobs.readable(j.running_status),
                     CASE WHEN j.due = 'infinity'
                          THEN ARRAY(SELECT d.depends_on FROM kwjobs.dependency AS d
                                      WHERE d.job_id = j.job_id ORDER BY d.depends_on LIMIT 2) END)
            ELSE coalesce(l.running_status, kwjobs.readable(j.running_status)) END AS running_status,
       j.created,
       j.started,
       j.finished,
       j.modified,
       j.errored AS errord,
       CASE WHEN j.status = 'succeeded' THEN 1.0
            ELSE coalesce(l.fraction, (SELECT c.fraction FROM kwjobs.checkpoint AS c
                                        WHERE c.job_id = j.job_id), 0)
       END AS fraction_completed,
       kwjobs.readable(j.error) AS error,
       j.coordinator_id,
       j.total_num_of_ex,
       j.total_num_of_success,
       j.total_num_of_fail,
       j.time_of_last_success,
       j.created_by_type,
       j.created_by_id,
       coalesce(l.rows, j.rows, (SELECT c.rows FROM kwjobs.checkpoint AS c
                                  WHERE c.job_id = j.job_id), 0) AS rows,
       l.pid,
       j.key,
       j.priority,
       j.run_at,
       j.due,
       j.max_attempts,
       j.timeout * interval '1 millisecond' AS timeout,
       j.on_failure,
       (SELECT array_agg(d.depends_on ORDER BY d.depends_on)
          FROM kwjobs.dependency AS d WHERE d.job_id = j.job_id) AS waits_for,
       j.error_code,
       kwjobs.readable(j.error_detail) AS error_detail,
       kwjobs.readable(j.error_hint) AS error_hint,
       kwjobs.readable(j.error_context) AS error_context,
       j.error_file,
       j.error_line,
       j.error_column,
       kwjobs.readable(j.request_reason) AS request_reason,
       kwjobs.role_name(j.requested_by, j.request_user) AS request_user,
       j.request_time,
       j.payload,
       j.result,
       kwjobs.role_name(j.created_by, NULL) AS created_by,
       kwjobs.role_name(j.created_by_session, NULL) AS created_by_session,
       j.crashes,
       j.cause,
       j.tags
  FROM kwjobs.job AS j
  LEFT JOIN kwjobs.live() AS l ON l.job_id = j.job_id AND l.attempt = j.active_attempt
$job$;
BEGIN
    -- PostgreSQL takes a view that is itself a UNION ALL apart, and forgets that it was a barrier;
    -- so it stands in FROM
    EXECUTE 'CREATE VIEW kwdb_internal.jobs WITH (security_barrier) AS SELECT jobs.* FROM (' || job ||
        'WHERE (SELECT kwjobs.may_show()) AND kwjobs.is_visible(j.owner)
        UNION ALL SELECT s.* FROM kwjobs.session_jobs() AS s) AS jobs';
    -- pg_has_role() says the same as has_privs_of_role() in the library; the roles are looked up
    -- once for a query, and an index finds their jobs
    EXECUTE 'CREATE VIEW kwjobs.my_jobs WITH (security_barrier) AS SELECT jobs.* FROM (' || job ||
        'WHERE j.owner = ANY (ARRAY(SELECT r.oid FROM pg_catalog.pg_authid AS r
            WHERE pg_catalog.pg_has_role(r.oid, ''USAGE'')))
        UNION ALL SELECT s.* FROM kwjobs.session_jobs(own => true) AS s) AS jobs';
    -- The order is that of an index, so that the first rows of millions cost no more than those
    -- of few. It has to stand inside: PostgreSQL hands no order down into a security barrier.
    EXECUTE 'CREATE VIEW kwjobs.list WITH (security_barrier) AS
        SELECT jobs.job_id AS id,
               jobs.job_type AS type,
               kwjobs.one_line(regexp_replace(jobs.description, ''^IMPORT INTO '', ''''), 18) AS what,
               jobs.status,
               floor(jobs.fraction_completed * 100)::integer AS percent,
               kwjobs.short_age(coalesce(jobs.finished, jobs.started, jobs.created)) AS since,
               kwjobs.one_line(CASE
                   WHEN jobs.status IN (''failed'', ''revert-failed'') THEN jobs.error
                   WHEN jobs.status IN (''paused'', ''canceled'') AND jobs.request_user IS NOT NULL
                   THEN ''by '' || jobs.request_user
                   WHEN jobs.finished IS NULL
                   THEN regexp_replace(jobs.running_status, ''^waiting for (a |the )?'', '''')
                   END, 16) AS why
          FROM ((' || job || 'WHERE (SELECT kwjobs.may_show()) AND kwjobs.is_visible(j.owner)
                 ORDER BY j.job_id DESC)
                UNION ALL SELECT s.* FROM kwjobs.session_jobs() AS s
                ORDER BY job_id DESC) AS jobs';
END $views$;
COMMENT ON VIEW kwdb_internal.jobs IS 'all jobs of this database: what SHOW JOBS reads';
COMMENT ON COLUMN kwdb_internal.jobs.job_id IS 'names the job; never used twice';
COMMENT ON COLUMN kwdb_internal.jobs.job_type IS 'IMPORT, SQL or RESTART';
COMMENT ON COLUMN kwdb_internal.jobs.description IS 'the statement that made the job, or the text that was given for it';
COMMENT ON COLUMN kwdb_internal.jobs.statement IS 'the statement, where the description is another text; else empty';
COMMENT ON COLUMN kwdb_internal.jobs.user_name IS 'the owner, as whom the job runs: the name of now; if the role is gone, that of then';
COMMENT ON COLUMN kwdb_internal.jobs.status IS 'pending, running, paused, pause-requested, cancel-requested, reverting, succeeded, failed, canceled or revert-failed';
COMMENT ON COLUMN kwdb_internal.jobs.running_status IS 'what it does now, or what it waits for';
COMMENT ON COLUMN kwdb_internal.jobs.created IS 'when it was created';
COMMENT ON COLUMN kwdb_internal.jobs.started IS 'when its first attempt began';
COMMENT ON COLUMN kwdb_internal.jobs.finished IS 'when it was over';
COMMENT ON COLUMN kwdb_internal.jobs.modified IS 'when the row last changed';
COMMENT ON COLUMN kwdb_internal.jobs.errord IS 'when the job last met an error: not a cancel, a pause or an interruption';
COMMENT ON COLUMN kwdb_internal.jobs.fraction_completed IS 'how much is done, from 0 to 1';
COMMENT ON COLUMN kwdb_internal.jobs.error IS 'the last error, or empty';
COMMENT ON COLUMN kwdb_internal.jobs.coordinator_id IS 'kwjobs.node_id of the server that ran it';
COMMENT ON COLUMN kwdb_internal.jobs.total_num_of_ex IS 'attempts to execute it';
COMMENT ON COLUMN kwdb_internal.jobs.total_num_of_success IS 'attempts that succeeded';
COMMENT ON COLUMN kwdb_internal.jobs.total_num_of_fail IS 'attempts that failed or crashed';
COMMENT ON COLUMN kwdb_internal.jobs.time_of_last_success IS 'when an attempt succeeded';
COMMENT ON COLUMN kwdb_internal.jobs.created_by_type IS 'what has created the job by itself, as a schedule does; NULL: a session has';
COMMENT ON COLUMN kwdb_internal.jobs.created_by_id IS 'the id of what has created the job by itself';
COMMENT ON COLUMN kwdb_internal.jobs.rows IS 'rows so far';
COMMENT ON COLUMN kwdb_internal.jobs.pid IS 'process id of its worker, or of the session that does it, while there is one';
COMMENT ON COLUMN kwdb_internal.jobs.key IS 'of the owner''s jobs that are not over, only one has it';
COMMENT ON COLUMN kwdb_internal.jobs.priority IS 'the higher, the sooner it starts';
COMMENT ON COLUMN kwdb_internal.jobs.run_at IS 'as asked for: not before this';
COMMENT ON COLUMN kwdb_internal.jobs.due IS 'no attempt starts before this; infinity: it depends on other jobs';
COMMENT ON COLUMN kwdb_internal.jobs.max_attempts IS 'attempts in a row that may end by errors that can pass';
COMMENT ON COLUMN kwdb_internal.jobs.timeout IS 'what an attempt may take';
COMMENT ON COLUMN kwdb_internal.jobs.on_failure IS 'fail, retry or pause';
COMMENT ON COLUMN kwdb_internal.jobs.waits_for IS 'jobs on which it depends and that are not over';
COMMENT ON COLUMN kwdb_internal.jobs.error_code IS 'SQLSTATE of the error';
COMMENT ON COLUMN kwdb_internal.jobs.error_detail IS 'detail of the error';
COMMENT ON COLUMN kwdb_internal.jobs.error_hint IS 'hint of the error: what to do';
COMMENT ON COLUMN kwdb_internal.jobs.error_context IS 'where it came from, as PostgreSQL tells';
COMMENT ON COLUMN kwdb_internal.jobs.error_file IS 'the file in which it was found';
COMMENT ON COLUMN kwdb_internal.jobs.error_line IS 'the line of that file';
COMMENT ON COLUMN kwdb_internal.jobs.error_column IS 'the column of the table for which it was read';
COMMENT ON COLUMN kwdb_internal.jobs.request_reason IS 'the reason that was given with the last control statement';
COMMENT ON COLUMN kwdb_internal.jobs.request_user IS 'who said the last control statement: the name of now';
COMMENT ON COLUMN kwdb_internal.jobs.request_time IS 'when the last control statement was said';
COMMENT ON COLUMN kwdb_internal.jobs.payload IS 'what the job is to do';
COMMENT ON COLUMN kwdb_internal.jobs.result IS 'what it returned';
COMMENT ON COLUMN kwdb_internal.jobs.created_by IS 'who created it: the current user';
COMMENT ON COLUMN kwdb_internal.jobs.created_by_session IS 'who created it: the user of the session';
COMMENT ON COLUMN kwdb_internal.jobs.crashes IS
'attempts that ended because the server or the worker crashed, since the last RESUME: kwjobs.max_crashes';
COMMENT ON COLUMN kwdb_internal.jobs.cause IS
'why the job is reverted, while the columns of the error tell why that failed: the same columns as JSON';

COMMENT ON COLUMN kwdb_internal.jobs.tags IS 'as given for it, to find it by';
COMMENT ON VIEW kwjobs.my_jobs IS
'the jobs that are the current user''s own: those of roles whose privileges the user has; for every role';
DO LANGUAGE plpgsql $$
DECLARE
    comment text;
BEGIN
    FOR comment IN
        SELECT pg_catalog.format('COMMENT ON COLUMN kwjobs.my_jobs.%I IS %L', a.attname,
                                 pg_catalog.col_description(a.attrelid, a.attnum))
          FROM pg_catalog.pg_attribute AS a
         WHERE a.attrelid = 'kwdb_internal.jobs'::pg_catalog.regclass AND a.attnum > 0
    LOOP
        EXECUTE comment;
    END LOOP;
END $$;

COMMENT ON VIEW kwjobs.list IS
'the jobs of this database in 100 columns of a terminal, the newest first: SELECT * FROM kwjobs.list LIMIT 20';
COMMENT ON COLUMN kwjobs.list.id IS 'the job';
COMMENT ON COLUMN kwjobs.list.type IS 'its type';
COMMENT ON COLUMN kwjobs.list.what IS 'the beginning of its description, for an IMPORT from the table on';
COMMENT ON COLUMN kwjobs.list.status IS 'as in kwdb_internal.jobs';
COMMENT ON COLUMN kwjobs.list.percent IS 'how much is done';
COMMENT ON COLUMN kwjobs.list.since IS 'how long ago it ended; or else began; or else was created';
COMMENT ON COLUMN kwjobs.list.why IS 'the beginning of its error, or of what it does or waits for, or who paused or canceled it';

CREATE VIEW kwdb_internal.job_attempts WITH (security_barrier) AS
SELECT a.job_id, a.attempt, a.reverting, a.status, a.started, a.finished,
       a.node_id, a.pid, a.rows, kwjobs.readable(a.error) AS error, a.error_code,
       kwjobs.readable(a.error_detail) AS error_detail, kwjobs.readable(a.error_hint) AS error_hint,
       kwjobs.readable(a.error_context) AS error_context, a.error_file, a.error_line, a.error_column,
       a.tags, a.messages
  FROM kwjobs.attempt AS a
  JOIN kwjobs.job AS j ON j.job_id = a.job_id
 WHERE (SELECT kwjobs.may_show()) AND kwjobs.is_visible(j.owner);
COMMENT ON VIEW kwdb_internal.job_attempts IS 'all executions of the jobs of this database';
COMMENT ON COLUMN kwdb_internal.job_attempts.job_id IS 'the job';
COMMENT ON COLUMN kwdb_internal.job_attempts.attempt IS 'its number, from 1';
COMMENT ON COLUMN kwdb_internal.job_attempts.reverting IS 'whether it reverted what others had done';
COMMENT ON COLUMN kwdb_internal.job_attempts.status IS 'running, succeeded, failed, crashed, interrupted, paused or canceled';
COMMENT ON COLUMN kwdb_internal.job_attempts.started IS 'when it began';
COMMENT ON COLUMN kwdb_internal.job_attempts.finished IS 'when it was over';
COMMENT ON COLUMN kwdb_internal.job_attempts.node_id IS 'kwjobs.node_id of the server';
COMMENT ON COLUMN kwdb_internal.job_attempts.pid IS 'process id of the worker';
COMMENT ON COLUMN kwdb_internal.job_attempts.rows IS 'rows of the job when it was over';
COMMENT ON COLUMN kwdb_internal.job_attempts.error IS 'the error that ended it';
COMMENT ON COLUMN kwdb_internal.job_attempts.error_code IS 'SQLSTATE of the error';
COMMENT ON COLUMN kwdb_internal.job_attempts.error_detail IS 'detail of the error';
COMMENT ON COLUMN kwdb_internal.job_attempts.error_hint IS 'hint of the error: what to do';
COMMENT ON COLUMN kwdb_internal.job_attempts.error_context IS 'where it came from, as PostgreSQL tells';
COMMENT ON COLUMN kwdb_internal.job_attempts.error_file IS 'the file in which it was found';
COMMENT ON COLUMN kwdb_internal.job_attempts.error_line IS 'the line of that file';
COMMENT ON COLUMN kwdb_internal.job_attempts.error_column IS 'the column of the table for which it was read';
COMMENT ON COLUMN kwdb_internal.job_attempts.tags IS 'of a SQL job: the command tag of each statement';
COMMENT ON COLUMN kwdb_internal.job_attempts.messages IS 'of a SQL job: what its statements said, as RAISE NOTICE';

CREATE VIEW kwdb_internal.job_history WITH (security_barrier) AS
-- in WITH, so that the view cannot be written to
WITH history AS NOT MATERIALIZED (SELECT * FROM kwjobs.history)
SELECT h.day, h.job_type, h.status, sum(h.jobs)::bigint AS jobs, sum(h.attempts)::bigint AS attempts,
       sum(h.rows)::bigint AS rows, sum(h.run_time) AS run_time
  FROM history AS h
 WHERE (SELECT kwjobs.may_show_all())
 GROUP BY h.day, h.job_type, h.status;
COMMENT ON VIEW kwdb_internal.job_history IS
'what is left of jobs that retention or kwjobs.delete has deleted: sums per day, type and status';
COMMENT ON COLUMN kwdb_internal.job_history.day IS 'the day on which they ended, UTC';
COMMENT ON COLUMN kwdb_internal.job_history.job_type IS 'their type';
COMMENT ON COLUMN kwdb_internal.job_history.status IS 'the status in which they ended';
COMMENT ON COLUMN kwdb_internal.job_history.jobs IS 'how many';
COMMENT ON COLUMN kwdb_internal.job_history.attempts IS 'their attempts, all together';
COMMENT ON COLUMN kwdb_internal.job_history.rows IS 'their rows, all together';
COMMENT ON COLUMN kwdb_internal.job_history.run_time IS 'from start to end, all together';

CREATE FUNCTION kwjobs.running_attempts(
    OUT database name, OUT job_id bigint, OUT attempt integer, OUT job_type text,
    OUT owner name, OUT pid integer, OUT status text, OUT running_status text,
    OUT fraction_completed double precision, OUT rows bigint, OUT since timestamptz,
    OUT part integer)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'kwjobs_running_attempts';
COMMENT ON FUNCTION kwjobs.running_attempts() IS
'the attempts that run in all databases and that the caller may see, from shared memory';

CREATE VIEW kwjobs.running AS SELECT * FROM kwjobs.running_attempts();
COMMENT ON VIEW kwjobs.running IS 'what the workers of all databases do now';
COMMENT ON COLUMN kwjobs.running.database IS 'in which database';
COMMENT ON COLUMN kwjobs.running.job_id IS 'the job';
COMMENT ON COLUMN kwjobs.running.attempt IS 'the number of the attempt';
COMMENT ON COLUMN kwjobs.running.job_type IS 'the type of the job';
COMMENT ON COLUMN kwjobs.running.owner IS 'as whom it runs';
COMMENT ON COLUMN kwjobs.running.pid IS 'process id of the worker';
COMMENT ON COLUMN kwjobs.running.status IS 'running, reverting, pause-requested or cancel-requested';
COMMENT ON COLUMN kwjobs.running.running_status IS 'what it does now';
COMMENT ON COLUMN kwjobs.running.fraction_completed IS 'how much is done, from 0 to 1';
COMMENT ON COLUMN kwjobs.running.rows IS 'rows so far';
COMMENT ON COLUMN kwjobs.running.since IS 'when the worker got the attempt';
COMMENT ON COLUMN kwjobs.running.part IS 'its number among the workers of the attempt, from 0';

-- ---------------------------------------------------------------------------
-- Control. PAUSE, RESUME and CANCEL JOB become an UPDATE of this view, so that
-- the command tag carries the number of jobs.
-- ---------------------------------------------------------------------------

CREATE FUNCTION kwjobs.control_trigger()
RETURNS trigger LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_control_trigger';
COMMENT ON FUNCTION kwjobs.control_trigger() IS 'what an UPDATE of kwjobs.job_control does';

CREATE VIEW kwjobs.job_control WITH (security_barrier) AS
-- in WITH, where SELECT FOR UPDATE does not lock the rows of the table: the end of such a
-- lock would wake nobody
WITH job AS NOT MATERIALIZED (
    SELECT j.job_id FROM kwjobs.job AS j WHERE kwjobs.is_visible(j.owner)
    UNION ALL SELECT s.job_id FROM kwjobs.session_jobs() AS s)
SELECT j.job_id, NULL::text AS verb, NULL::text AS reason
  FROM job AS j;
CREATE TRIGGER control INSTEAD OF UPDATE ON kwjobs.job_control
    FOR EACH ROW EXECUTE FUNCTION kwjobs.control_trigger();
COMMENT ON VIEW kwjobs.job_control IS 'what PAUSE, RESUME and CANCEL JOB update';
COMMENT ON COLUMN kwjobs.job_control.job_id IS 'the job';
COMMENT ON COLUMN kwjobs.job_control.verb IS 'set to pause, resume or cancel to control it';
COMMENT ON COLUMN kwjobs.job_control.reason IS 'set beside it: why';

-- What there is to pause, resume or cancel: the jobs of PAUSE ALL JOBS and its like. Automatic ones
-- only by their type.
CREATE FUNCTION pg_catalog.kwjobs_all_jobs(verb text, job_type text)
RETURNS SETOF bigint LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT j.job_id FROM kwdb_internal.jobs AS j
     WHERE (SELECT pg_catalog.kwjobs_may_control(kwjobs_all_jobs.verb))
       AND CASE WHEN kwjobs_all_jobs.job_type IS NULL THEN j.job_type <> 'AUTO_CREATE_STATS'
                ELSE j.job_type = kwjobs_all_jobs.job_type END
       AND j.finished IS NULL
       AND j.status = ANY (CASE kwjobs_all_jobs.verb
                           WHEN 'pause' THEN '{pending,running,reverting}'::text[]
                           WHEN 'resume' THEN '{paused,pause-requested}'
                           ELSE '{pending,running,paused,pause-requested}' END)
     ORDER BY j.job_id;
END;
COMMENT ON FUNCTION pg_catalog.kwjobs_all_jobs(text, text) IS
'the jobs, of this type or of all types, that there are to pause, resume or cancel: what PAUSE ALL JOBS reads';

CREATE FUNCTION kwjobs.pause(job_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_pause';
COMMENT ON FUNCTION kwjobs.pause(bigint, text) IS 'PAUSE JOB as a function, also for one''s own jobs';

CREATE FUNCTION kwjobs.resume(job_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_resume';
COMMENT ON FUNCTION kwjobs.resume(bigint, text) IS 'RESUME JOB as a function, also for one''s own jobs';

CREATE FUNCTION kwjobs.cancel(job_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_cancel';
COMMENT ON FUNCTION kwjobs.cancel(bigint, text) IS 'CANCEL JOB as a function, also for one''s own jobs';

CREATE FUNCTION kwjobs.retry(job_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_retry';
COMMENT ON FUNCTION kwjobs.retry(bigint, text) IS
'RETRY JOB as a function: a job that failed or was canceled is pending again, and those that failed because of it, also for one''s own jobs';

CREATE FUNCTION kwjobs.run_now(job_id bigint)
RETURNS void LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'kwjobs_run_now';
COMMENT ON FUNCTION kwjobs.run_now(bigint) IS 'lets a pending job start now, before its time, also for one''s own jobs';

CREATE FUNCTION kwjobs.alter(
    job_id bigint, description text DEFAULT NULL, priority integer DEFAULT NULL,
    max_attempts integer DEFAULT NULL, retry_initial_delay interval DEFAULT NULL,
    timeout interval DEFAULT NULL, run_at timestamptz DEFAULT NULL,
    on_failure text DEFAULT NULL, tags text[] DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_alter';
COMMENT ON FUNCTION kwjobs.alter(bigint, text, integer, integer, interval, interval, timestamptz, text, text[]) IS
'changes a job that waits or is paused; what is not given stays, and a timeout of 0 takes the timeout away';

CREATE FUNCTION kwjobs.close(job_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_close';
COMMENT ON FUNCTION kwjobs.close(bigint, text) IS
'says that the changes of a revert-failed job were undone by hand: it becomes failed, with its first error, also for one''s own jobs';

CREATE FUNCTION kwjobs.retry_jobs(job_ids bigint[], reason text DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_retry_jobs';
COMMENT ON FUNCTION kwjobs.retry_jobs(bigint[], text) IS
'RETRY JOBS as a function: leaves out jobs that have neither failed nor been canceled, returns how many are pending again';

CREATE FUNCTION kwjobs.pause_jobs(job_ids bigint[], reason text DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_pause_jobs';
COMMENT ON FUNCTION kwjobs.pause_jobs(bigint[], text) IS
'PAUSE JOBS as a function: leaves out jobs that are over, returns how many it has paused';

CREATE FUNCTION kwjobs.resume_jobs(job_ids bigint[], reason text DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_resume_jobs';
COMMENT ON FUNCTION kwjobs.resume_jobs(bigint[], text) IS
'RESUME JOBS as a function: leaves out jobs that are not paused, returns how many it has resumed';

CREATE FUNCTION kwjobs.cancel_jobs(job_ids bigint[], reason text DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_cancel_jobs';
COMMENT ON FUNCTION kwjobs.cancel_jobs(bigint[], text) IS
'CANCEL JOBS as a function: leaves out jobs that are over, returns how many it has canceled';

CREATE FUNCTION kwjobs.delete(job_id bigint)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_delete';
COMMENT ON FUNCTION kwjobs.delete(bigint) IS
'deletes a job that is over; kwdb_internal.job_history counts it';

CREATE FUNCTION kwjobs.delete_jobs(job_ids bigint[])
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_delete_jobs';
COMMENT ON FUNCTION kwjobs.delete_jobs(bigint[]) IS
'deletes jobs: leaves out those that cannot be deleted, returns how many it has deleted';

CREATE FUNCTION kwjobs.pause_all(job_type text DEFAULT NULL, reason text DEFAULT NULL)
RETURNS bigint LANGUAGE sql
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT cardinality(pg_catalog.kwjobs_control_all(ARRAY(SELECT pg_catalog.kwjobs_all_jobs('pause',
               pg_catalog.kwjobs_job_type(pause_all.job_type))), 'pause', pause_all.reason));
END;
COMMENT ON FUNCTION kwjobs.pause_all(text, text) IS 'PAUSE ALL JOBS as a function: returns how many it has paused';

CREATE FUNCTION kwjobs.resume_all(job_type text DEFAULT NULL, reason text DEFAULT NULL)
RETURNS bigint LANGUAGE sql
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT cardinality(pg_catalog.kwjobs_control_all(ARRAY(SELECT pg_catalog.kwjobs_all_jobs('resume',
               pg_catalog.kwjobs_job_type(resume_all.job_type))), 'resume', resume_all.reason));
END;
COMMENT ON FUNCTION kwjobs.resume_all(text, text) IS 'RESUME ALL JOBS as a function: returns how many it has resumed';

CREATE FUNCTION kwjobs.cancel_all(job_type text DEFAULT NULL, reason text DEFAULT NULL)
RETURNS bigint LANGUAGE sql
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT cardinality(pg_catalog.kwjobs_control_all(ARRAY(SELECT pg_catalog.kwjobs_all_jobs('cancel',
               pg_catalog.kwjobs_job_type(cancel_all.job_type))), 'cancel', cancel_all.reason));
END;
COMMENT ON FUNCTION kwjobs.cancel_all(text, text) IS 'CANCEL ALL JOBS as a function: returns how many it has canceled';

-- ---------------------------------------------------------------------------
-- SHOW JOB WHEN COMPLETE, and the function twins of the SHOW statements
-- ---------------------------------------------------------------------------

CREATE FUNCTION kwjobs.when_complete(job_ids bigint[])
RETURNS SETOF kwdb_internal.jobs LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'kwjobs_when_complete';
COMMENT ON FUNCTION kwjobs.when_complete(bigint[]) IS
'waits until each of these jobs is over (unknown ids do not count), then returns them: SHOW JOBS WHEN COMPLETE';

CREATE FUNCTION kwjobs.wait(
    job_id bigint, timeout interval DEFAULT NULL,
    OUT status text, OUT rows bigint, OUT error text, OUT error_code text,
    OUT error_detail text, OUT error_hint text, OUT fraction_completed double precision,
    OUT running_status text, OUT command_tags text[])
RETURNS record LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_wait';
COMMENT ON FUNCTION kwjobs.wait(bigint, interval) IS
'waits until the job is over, or for so long, and returns how it stands; for every role, for its own jobs, and for those that it may see';

CREATE FUNCTION kwjobs.show()
RETURNS SETOF kwdb_internal.jobs LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM kwdb_internal.jobs AS j
     WHERE j.job_type <> 'AUTO_CREATE_STATS'
       AND (j.finished IS NULL OR j.finished > now() - pg_catalog.kwjobs_show_window())
     ORDER BY coalesce(j.finished, now()) DESC, j.started DESC;
END;
COMMENT ON FUNCTION kwjobs.show() IS 'SHOW JOBS as a function';

-- What bare SHOW JOBS parses into (doc/developers/statements.md). The library runs the query
-- of SHOW JOBS in its place; it needs the names and types of the columns.
CREATE PROCEDURE pg_catalog.kwjobs_show_jobs(
    OUT job_id bigint, OUT job_type text, OUT description text,
    OUT statement text, OUT user_name text, OUT status text,
    OUT running_status text, OUT created timestamptz, OUT started timestamptz,
    OUT finished timestamptz, OUT modified timestamptz, OUT errord timestamptz,
    OUT fraction_completed double precision, OUT error text,
    OUT coordinator_id bigint, OUT total_num_of_ex bigint,
    OUT total_num_of_success bigint, OUT total_num_of_fail bigint,
    OUT time_of_last_success timestamptz)
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT j.job_id, j.job_type, j.description, j.statement, j.user_name, j.status,
           j.running_status, j.created, j.started, j.finished, j.modified, j.errord,
           j.fraction_completed, j.error, j.coordinator_id, j.total_num_of_ex,
           j.total_num_of_success, j.total_num_of_fail, j.time_of_last_success
      FROM kwjobs.show() AS j LIMIT 1;
END;
COMMENT ON PROCEDURE pg_catalog.kwjobs_show_jobs() IS 'what SHOW JOBS calls; to list jobs in a query, use kwjobs.show()';

CREATE FUNCTION kwjobs.show_automatic()
RETURNS SETOF kwdb_internal.jobs LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM kwdb_internal.jobs AS j
     WHERE j.job_type = 'AUTO_CREATE_STATS'
       AND (j.finished IS NULL OR j.finished > now() - pg_catalog.kwjobs_show_window())
     ORDER BY coalesce(j.finished, now()) DESC, j.started DESC;
END;
COMMENT ON FUNCTION kwjobs.show_automatic() IS 'SHOW AUTOMATIC JOBS as a function';

CREATE FUNCTION kwjobs.show(VARIADIC job_ids bigint[])
RETURNS SETOF kwdb_internal.jobs LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM kwdb_internal.jobs AS j WHERE j.job_id = ANY (job_ids);
END;
COMMENT ON FUNCTION kwjobs.show(bigint[]) IS 'SHOW JOBS with ids as a function';

-- ---------------------------------------------------------------------------
-- IMPORT
-- ---------------------------------------------------------------------------

CREATE FUNCTION kwjobs.import(
    target regclass, files text[], columns text[] DEFAULT NULL,
    options jsonb DEFAULT '{}')
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import';
COMMENT ON FUNCTION kwjobs.import(regclass, text[], text[], jsonb) IS
'creates an IMPORT job and returns its job_id at once: IMPORT ... WITH detached';

CREATE PROCEDURE kwjobs.import_and_wait(
    target regclass, files text[], columns text[] DEFAULT NULL, options jsonb DEFAULT '{}',
    INOUT job_id bigint DEFAULT NULL, INOUT status text DEFAULT NULL,
    INOUT fraction_completed double precision DEFAULT NULL, INOUT rows bigint DEFAULT NULL,
    INOUT abandon_rows text DEFAULT NULL, INOUT reject_rows text DEFAULT NULL,
    INOUT note text DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import_and_wait';
COMMENT ON PROCEDURE kwjobs.import_and_wait(regclass, text[], text[], jsonb, bigint, text,
    double precision, bigint, text, text, text) IS
'creates an IMPORT job, waits for it and returns its result: IMPORT without detached';

-- ---------------------------------------------------------------------------
-- SQL jobs
-- ---------------------------------------------------------------------------

-- The types of two arguments of kwjobs.submit and kwjobs.run, so that each takes whatever means the
-- same, and there is but one function of the name.
CREATE TYPE kwjobs.owner;
CREATE FUNCTION kwjobs.owner_in(cstring)
RETURNS kwjobs.owner LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_owner_in';
COMMENT ON FUNCTION kwjobs.owner_in(cstring) IS 'input of type kwjobs.owner';
CREATE FUNCTION kwjobs.owner_out(kwjobs.owner)
RETURNS cstring LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_owner_out';
COMMENT ON FUNCTION kwjobs.owner_out(kwjobs.owner) IS 'output of type kwjobs.owner';
CREATE TYPE kwjobs.owner (INPUT = kwjobs.owner_in, OUTPUT = kwjobs.owner_out, LIKE = pg_catalog.regrole);
COMMENT ON TYPE kwjobs.owner IS
'argument run_as: a role, as a regrole, or its name, as current_user';
CREATE FUNCTION kwjobs.owner(role name)
RETURNS kwjobs.owner LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_owner_from_name';
COMMENT ON FUNCTION kwjobs.owner(name) IS 'cast of a role''s name to type kwjobs.owner';
CREATE FUNCTION kwjobs.owner(role text)
RETURNS kwjobs.owner LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_owner_from_text';
COMMENT ON FUNCTION kwjobs.owner(text) IS 'cast of a role''s name to type kwjobs.owner';
CREATE CAST (name AS kwjobs.owner) WITH FUNCTION kwjobs.owner(name) AS IMPLICIT;
CREATE CAST (text AS kwjobs.owner) WITH FUNCTION kwjobs.owner(text) AS IMPLICIT;
CREATE CAST (varchar AS kwjobs.owner) WITH FUNCTION kwjobs.owner(text) AS IMPLICIT;
CREATE CAST (regrole AS kwjobs.owner) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (oid AS kwjobs.owner) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (kwjobs.owner AS regrole) WITHOUT FUNCTION;
CREATE CAST (kwjobs.owner AS oid) WITHOUT FUNCTION;

CREATE TYPE kwjobs.job_ids;
CREATE FUNCTION kwjobs.job_ids_in(cstring)
RETURNS kwjobs.job_ids LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_in';
COMMENT ON FUNCTION kwjobs.job_ids_in(cstring) IS 'input of type kwjobs.job_ids';
CREATE FUNCTION kwjobs.job_ids_out(kwjobs.job_ids)
RETURNS cstring LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_out';
COMMENT ON FUNCTION kwjobs.job_ids_out(kwjobs.job_ids) IS 'output of type kwjobs.job_ids';
CREATE TYPE kwjobs.job_ids (INPUT = kwjobs.job_ids_in, OUTPUT = kwjobs.job_ids_out,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE kwjobs.job_ids IS 'argument depends_on: the id of a job, or an array of ids';
CREATE FUNCTION kwjobs.job_ids(job_id bigint)
RETURNS kwjobs.job_ids LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_from_id';
COMMENT ON FUNCTION kwjobs.job_ids(bigint) IS 'cast of the id of a job to type kwjobs.job_ids';
CREATE FUNCTION kwjobs.job_ids(job_id integer)
RETURNS kwjobs.job_ids LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_from_integer';
COMMENT ON FUNCTION kwjobs.job_ids(integer) IS 'cast of a small id of a job to type kwjobs.job_ids';
CREATE FUNCTION kwjobs.job_ids(job_ids bigint[])
RETURNS kwjobs.job_ids LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_from_ids';
COMMENT ON FUNCTION kwjobs.job_ids(bigint[]) IS 'cast of ids of jobs to type kwjobs.job_ids';
CREATE FUNCTION kwjobs.job_ids(job_ids integer[])
RETURNS kwjobs.job_ids LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_from_integers';
COMMENT ON FUNCTION kwjobs.job_ids(integer[]) IS 'cast of small ids of jobs to type kwjobs.job_ids';
CREATE CAST (bigint AS kwjobs.job_ids) WITH FUNCTION kwjobs.job_ids(bigint) AS IMPLICIT;
CREATE CAST (integer AS kwjobs.job_ids) WITH FUNCTION kwjobs.job_ids(integer) AS IMPLICIT;
CREATE CAST (integer[] AS kwjobs.job_ids) WITH FUNCTION kwjobs.job_ids(integer[]) AS IMPLICIT;
CREATE CAST (bigint[] AS kwjobs.job_ids) WITH FUNCTION kwjobs.job_ids(bigint[]) AS IMPLICIT;

CREATE FUNCTION kwjobs.submit(
    statement text, description text DEFAULT NULL, priority integer DEFAULT 0,
    max_attempts integer DEFAULT 5, retry_initial_delay interval DEFAULT '1 second',
    timeout interval DEFAULT NULL, run_at timestamptz DEFAULT NULL,
    key text DEFAULT NULL, depends_on kwjobs.job_ids DEFAULT NULL,
    on_failure text DEFAULT 'fail', on_revert text DEFAULT NULL,
    run_as kwjobs.owner DEFAULT NULL, settings jsonb DEFAULT '{}', tags text[] DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_submit';
COMMENT ON FUNCTION kwjobs.submit(text, text, integer, integer, interval, interval,
    timestamptz, text, kwjobs.job_ids, text, text, kwjobs.owner, jsonb, text[]) IS
'creates a job of type SQL and returns its job_id; it starts when the transaction commits';

CREATE FUNCTION kwjobs.create_job(
    job_type text, arguments jsonb DEFAULT '{}',
    description text DEFAULT NULL, priority integer DEFAULT 0,
    max_attempts integer DEFAULT 5, retry_initial_delay interval DEFAULT '1 second',
    timeout interval DEFAULT NULL, run_at timestamptz DEFAULT NULL,
    key text DEFAULT NULL, depends_on kwjobs.job_ids DEFAULT NULL,
    on_failure text DEFAULT 'fail', run_as kwjobs.owner DEFAULT NULL, tags text[] DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_create_job';
COMMENT ON FUNCTION kwjobs.create_job(text, jsonb, text, integer, integer, interval, interval,
    timestamptz, text, kwjobs.job_ids, text, kwjobs.owner, text[]) IS
'creates a job of any type and returns its job_id; arguments: those of the type, such as statement for SQL';

CREATE PROCEDURE kwjobs.run(
    statement text, description text DEFAULT NULL, priority integer DEFAULT 0,
    max_attempts integer DEFAULT 5, retry_initial_delay interval DEFAULT '1 second',
    timeout interval DEFAULT NULL, run_at timestamptz DEFAULT NULL,
    key text DEFAULT NULL, depends_on kwjobs.job_ids DEFAULT NULL,
    on_failure text DEFAULT 'fail', on_revert text DEFAULT NULL,
    run_as kwjobs.owner DEFAULT NULL, settings jsonb DEFAULT '{}',
    INOUT job_id bigint DEFAULT NULL, INOUT status text DEFAULT NULL,
    INOUT rows bigint DEFAULT NULL, INOUT tags text[] DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_run';
COMMENT ON PROCEDURE kwjobs.run(text, text, integer, integer, interval, interval,
    timestamptz, text, kwjobs.job_ids, text, text, kwjobs.owner, jsonb, bigint, text, bigint, text[]) IS
'creates a job of type SQL, waits for it and returns its outcome, or raises its error; tags: what is passed in are tags for the job, what comes out are the command tags of its statements';

-- For the statement of a SQL job.
CREATE PROCEDURE kwjobs.checkpoint(
    fraction double precision DEFAULT NULL, state jsonb DEFAULT NULL,
    running_status text DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_checkpoint';
COMMENT ON PROCEDURE kwjobs.checkpoint(double precision, jsonb, text) IS
'inside a job: commits the work together with the state from which the next attempt goes on, then honours PAUSE and CANCEL; elsewhere COMMIT';

CREATE FUNCTION kwjobs.checkpoint_state()
RETURNS jsonb LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_checkpoint_state';
COMMENT ON FUNCTION kwjobs.checkpoint_state() IS
'inside a job: the state of its last checkpoint, NULL if there is none; elsewhere NULL';

CREATE FUNCTION kwjobs.progress(fraction double precision, running_status text DEFAULT NULL)
RETURNS void LANGUAGE c PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_progress';
COMMENT ON FUNCTION kwjobs.progress(double precision, text) IS
'inside a job: shows how much is done, without a commit; elsewhere nothing';

CREATE FUNCTION kwjobs.current_job()
RETURNS bigint LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_current_job';
COMMENT ON FUNCTION kwjobs.current_job() IS
'the job_id of the job that this session executes, NULL if it executes none';

-- ---------------------------------------------------------------------------
-- Cluster settings
-- ---------------------------------------------------------------------------

-- Procedures: what they do cannot be rolled back, so they refuse to run where it
-- could be.
CREATE PROCEDURE kwjobs.set_cluster_setting(name text, VARIADIC value text[])
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_set_cluster_setting';
COMMENT ON PROCEDURE kwjobs.set_cluster_setting(text, text[]) IS
'SET CLUSTER SETTING as a procedure: ALTER SYSTEM SET and a reload, for members of the admin role';

CREATE PROCEDURE kwjobs.reset_cluster_setting(name text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_reset_cluster_setting';
COMMENT ON PROCEDURE kwjobs.reset_cluster_setting(text) IS
'RESET CLUSTER SETTING as a procedure: ALTER SYSTEM RESET and a reload, for members of the admin role';

CREATE FUNCTION kwjobs.cluster_setting(name text)
RETURNS text LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'kwjobs_cluster_setting';
COMMENT ON FUNCTION kwjobs.cluster_setting(text) IS
'SHOW CLUSTER SETTING as a function: the value without what SET did in this session';

-- ---------------------------------------------------------------------------
-- What job statements call, in pg_catalog (see above): the same once more. Whoever is to
-- say one of these statements needs EXECUTE on the function here.
-- ---------------------------------------------------------------------------

CREATE FUNCTION pg_catalog.kwjobs_when_complete(job_ids bigint[])
RETURNS SETOF kwdb_internal.jobs LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'kwjobs_when_complete';
COMMENT ON FUNCTION pg_catalog.kwjobs_when_complete(bigint[]) IS
'what SHOW JOB WHEN COMPLETE calls; in a query, use kwjobs.when_complete';

CREATE FUNCTION pg_catalog.kwjobs_import(
    target regclass, files text[], columns text[], options jsonb)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import';
COMMENT ON FUNCTION pg_catalog.kwjobs_import(regclass, text[], text[], jsonb) IS
'what IMPORT ... WITH detached calls; in a query, use kwjobs.import';

CREATE PROCEDURE pg_catalog.kwjobs_import_and_wait(
    target regclass, files text[], columns text[], options jsonb,
    OUT job_id bigint, OUT status text, OUT fraction_completed double precision,
    OUT rows bigint, OUT abandon_rows text, OUT reject_rows text, OUT note text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import_and_wait';
COMMENT ON PROCEDURE pg_catalog.kwjobs_import_and_wait(regclass, text[], text[], jsonb) IS
'what IMPORT calls; by hand, use kwjobs.import_and_wait';

CREATE PROCEDURE pg_catalog.kwjobs_set_cluster_setting(name text, VARIADIC value text[])
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_set_cluster_setting';
COMMENT ON PROCEDURE pg_catalog.kwjobs_set_cluster_setting(text, text[]) IS
'what SET CLUSTER SETTING calls; by hand, use kwjobs.set_cluster_setting';

CREATE PROCEDURE pg_catalog.kwjobs_reset_cluster_setting(name text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_reset_cluster_setting';
COMMENT ON PROCEDURE pg_catalog.kwjobs_reset_cluster_setting(text) IS
'what RESET CLUSTER SETTING calls; by hand, use kwjobs.reset_cluster_setting';

CREATE FUNCTION pg_catalog.kwjobs_cluster_setting(name text)
RETURNS text LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'kwjobs_cluster_setting';
COMMENT ON FUNCTION pg_catalog.kwjobs_cluster_setting(text) IS
'what SHOW CLUSTER SETTING calls; in a query, use kwjobs.cluster_setting';

-- ---------------------------------------------------------------------------
-- Rights. First nobody has any, not even those that ALTER DEFAULT PRIVILEGES gives to
-- roles or takes from PUBLIC; then PUBLIC has what is meant for users.
-- ---------------------------------------------------------------------------

DO LANGUAGE plpgsql $$
DECLARE
    revoke text;
BEGIN
    FOR revoke IN
        SELECT pg_catalog.format('REVOKE ALL ON %s FROM %s CASCADE', o.object,
                                 CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END)
          FROM (SELECT 'SCHEMA ' || nspname, nspacl, nspowner, 'n' FROM pg_catalog.pg_namespace
                 WHERE nspname IN ('kwjobs', 'kwdb_internal')
                UNION ALL
                SELECT 'TABLE ' || c.oid::pg_catalog.regclass, c.relacl, c.relowner, 'r' FROM pg_catalog.pg_class AS c
                 WHERE c.relnamespace IN ('kwjobs'::pg_catalog.regnamespace, 'kwdb_internal'::pg_catalog.regnamespace)
                   AND c.relkind IN ('r', 'v')
                UNION ALL
                SELECT 'TYPE ' || t.oid::pg_catalog.regtype, t.typacl, t.typowner, 'T' FROM pg_catalog.pg_type AS t
                 WHERE t.typnamespace = 'kwjobs'::pg_catalog.regnamespace AND t.typtype = 'b' AND t.typelem = 0
                UNION ALL
                SELECT 'ROUTINE ' || p.oid::pg_catalog.regprocedure, p.proacl, p.proowner, 'f' FROM pg_catalog.pg_proc AS p
                 WHERE p.pronamespace = 'kwjobs'::pg_catalog.regnamespace
                    OR p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
                       AND pg_catalog.starts_with(p.proname, 'kwjobs_')) AS o (object, acl, owner, kind),
               pg_catalog.aclexplode(coalesce(o.acl, pg_catalog.acldefault(o.kind::"char", o.owner))) AS a
         WHERE a.grantee <> o.owner
    LOOP
        EXECUTE revoke;
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA kwjobs, kwdb_internal TO PUBLIC;
GRANT SELECT ON kwdb_internal.jobs, kwdb_internal.job_attempts, kwdb_internal.job_history,
    kwjobs.running, kwjobs.my_jobs, kwjobs.list TO PUBLIC;
GRANT SELECT (job_id), UPDATE (verb, reason) ON kwjobs.job_control TO PUBLIC;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA kwjobs TO PUBLIC;
GRANT EXECUTE ON ROUTINE pg_catalog.kwjobs_installed, pg_catalog.kwjobs_may_control,
    pg_catalog.kwjobs_job_id, pg_catalog.kwjobs_shown, pg_catalog.kwjobs_show_window,
    pg_catalog.kwjobs_waiting, pg_catalog.kwjobs_control,
    pg_catalog.kwjobs_control_jobs, pg_catalog.kwjobs_control_all, pg_catalog.kwjobs_job_type, pg_catalog.kwjobs_all_jobs,
    pg_catalog.kwjobs_show_jobs,
    pg_catalog.kwjobs_when_complete, pg_catalog.kwjobs_import,
    pg_catalog.kwjobs_import_and_wait, pg_catalog.kwjobs_set_cluster_setting,
    pg_catalog.kwjobs_reset_cluster_setting, pg_catalog.kwjobs_cluster_setting TO PUBLIC;
REVOKE EXECUTE ON FUNCTION kwjobs.control_trigger() FROM PUBLIC;
