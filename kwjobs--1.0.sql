/* kwjobs--1.0.sql: the objects of the extension. doc/developers/catalog.md explains them. */

\echo Use "CREATE EXTENSION kwjobs" to load this file. \quit

-- Without IF NOT EXISTS: a schema that somebody made beforehand is an error and is never adopted.
CREATE SCHEMA kwjobs;
CREATE SCHEMA kwdb_internal;

COMMENT ON SCHEMA kwjobs IS 'kwjobs: functions and tables of the job system';
COMMENT ON SCHEMA kwdb_internal IS 'kwjobs: the catalog that the job statements read';

-- ---------------------------------------------------------------------------
-- A value of type kwjobs.role is stored as the role's OID, like a regrole, so that the role may be
-- renamed. Its text is the role's name: a dump contains the name, and a restore into another
-- cluster, where the OID may belong to another role, finds the role by its name. If no role has the
-- name, a regrole would make the restore fail; a kwjobs.role becomes no role, whose text is empty.
-- ---------------------------------------------------------------------------

CREATE TYPE kwjobs.role;
CREATE FUNCTION kwdb_internal.role_in(cstring)
RETURNS kwjobs.role LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_role_in';
COMMENT ON FUNCTION kwdb_internal.role_in(cstring) IS 'input of type kwjobs.role';
CREATE FUNCTION kwdb_internal.role_out(kwjobs.role)
RETURNS cstring LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_role_out';
COMMENT ON FUNCTION kwdb_internal.role_out(kwjobs.role) IS 'output of type kwjobs.role';
CREATE TYPE kwjobs.role (INPUT = kwdb_internal.role_in, OUTPUT = kwdb_internal.role_out, LIKE = pg_catalog.oid);
COMMENT ON TYPE kwjobs.role IS 'a role; dumped by its name';
CREATE CAST (kwjobs.role AS oid) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (kwjobs.role AS regrole) WITHOUT FUNCTION;
CREATE CAST (oid AS kwjobs.role) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (regrole AS kwjobs.role) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (integer AS kwjobs.role) WITHOUT FUNCTION AS ASSIGNMENT;
-- PostgreSQL's regression test opr_sanity reports casts WITHOUT FUNCTION that have no reverse cast.
CREATE CAST (kwjobs.role AS integer) WITHOUT FUNCTION;

-- ---------------------------------------------------------------------------
-- Tables. Only src/store and this file name them. Nobody but the extension's owner may read or
-- write them directly. Every job writes to kwjobs.job and kwjobs.attempt several times. These two
-- tables have no CHECK constraint and no foreign key, because checking one would cost more than the
-- rest of the statement; instead, is_consistent() in t/lib/KwjTest.pm checks the rules.
-- ---------------------------------------------------------------------------

CREATE TABLE kwjobs.job (
    -- The columns up to payload come first because they are all that a session writes for a job that it has
    -- done itself (store/record.c): kwjobs writes a row only up to its last column that is not NULL
    -- (store/model_row.c). Of these, the columns with a fixed length come before the others.
    job_id          bigint PRIMARY KEY,
    -- no attempt starts before this; infinity while the job waits for other jobs
    due             timestamptz NOT NULL,
    created         timestamptz NOT NULL,
    started         timestamptz,
    finished        timestamptz,
    modified        timestamptz NOT NULL,
    -- milliseconds before the second retry
    retry_delay     bigint NOT NULL DEFAULT 1000,
    coordinator_id  bigint,
    total_num_of_ex      bigint NOT NULL DEFAULT 0,
    total_num_of_success bigint NOT NULL DEFAULT 0,
    total_num_of_fail    bigint NOT NULL DEFAULT 0,
    time_of_last_success timestamptz,
    owner           kwjobs.role NOT NULL,
    -- who created the job: the current user and the session user
    created_by      kwjobs.role,
    created_by_session kwjobs.role,
    -- the number of the last attempt, 0 if there was none
    attempts        integer NOT NULL DEFAULT 0,
    priority        integer NOT NULL DEFAULT 0,
    max_attempts    integer NOT NULL,
    -- attempts in a row that ended by a crash or a retryable error; the count begins again with an
    -- attempt that wrote a checkpoint
    retries         integer NOT NULL DEFAULT 0,
    -- attempts that ended by a crash; RESUME, RETRY, and an attempt's end that fails the job or
    -- starts its revert set this to 0, but a checkpoint does not
    crashes         integer NOT NULL DEFAULT 0,
    -- attempts in a row that were taken back because the job got no worker
    refusals        integer NOT NULL DEFAULT 0,
    -- true: once the job has started, it is reverted even if it never wrote a checkpoint
    has_revert      boolean NOT NULL DEFAULT false,
    status          text NOT NULL,
    job_type        text NOT NULL,
    -- 'fail', 'retry' or 'pause'
    on_failure      text NOT NULL DEFAULT 'fail',
    error           text NOT NULL DEFAULT '',
    -- the owner's name when the job was created; shown once the role was dropped
    user_name       text NOT NULL,
    statement       text NOT NULL DEFAULT '',
    description     text NOT NULL,
    payload         jsonb NOT NULL,

    -- What only some jobs have.
    -- The roles by whose right the job runs as its owner. Each must be allowed to SET ROLE to the
    -- next, and the last one to the owner; otherwise the attempt fails before it runs anything.
    -- NULL: the owner has created the job, and needs nobody's right.
    authority       oid[],
    running_status  text,
    -- the attempt that runs now, NULL when none does
    active_attempt  integer,
    -- the status that the job gets when its revert has succeeded
    revert_to       text,
    -- no two unfinished jobs of an owner have the same key
    key             text,
    -- the job was submitted to start no earlier than this
    run_at          timestamptz,
    -- the job's place among the jobs that may start now, the lowest first; NULL: this job may not
    -- start now, or it runs, or it is over
    rank            timestamptz,
    -- milliseconds that an attempt may take, NULL: no limit
    timeout         bigint,
    result          jsonb,
    -- the number of rows once the job is over; NULL: kwjobs.checkpoint has the number
    rows            bigint,
    errored         timestamptz,
    error_code      text,
    error_detail    text,
    error_hint      text,
    error_context   text,
    error_file      text,
    error_line      bigint,
    error_column    text,
    -- the error because of which the job is reverted, once the revert has an error of its own,
    -- which is in the columns above
    cause           jsonb,
    request_reason  text,
    request_user    text,
    -- the role whose name request_user was at that time
    requested_by    kwjobs.role,
    request_time    timestamptz,
    created_by_type text,
    created_by_id   bigint,
    -- labels by which users find their jobs; NULL: none
    tags            text[],
    -- the queue to which the job belongs; NULL: none
    queue           text,
    -- of the owner's jobs with this key that are in line, one runs at a time
    serial_key      text,
    -- when the job entered the line of its serial key. The first in line has the turn; its place is
    -- taken away when it is over and the turn was passed on. See doc/developers/lines.md.
    line            timestamptz,
    -- since when the job waits for a place in its queue, which has a limit; it keeps the time while it
    -- has the place, and when it has to wait again
    queued          timestamptz,
    -- the channel on which NOTIFY tells that the job is over; NULL: none
    notify          text,
    -- the hours in which the job may run, with their time zone; NULL: always. Outside of them a job
    -- that waits is due when the window opens next; see doc/developers/windows.md.
    "window"        text,
    -- what becomes of the job at the end of its window: 'pause', 'stop' or 'finish'; NULL: no window
    window_end      text
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
-- Each row is in one of these two indexes. SHOW JOBS reads the unfinished jobs and the jobs that
-- finished last; the limits of a role count its unfinished jobs; retention deletes the jobs that
-- finished first.
CREATE INDEX job_unfinished ON kwjobs.job (owner) WHERE finished IS NULL;
CREATE INDEX job_finished ON kwjobs.job (finished, job_id) WHERE finished IS NOT NULL;
-- The coordinator looks for jobs that may start (job_ready), jobs that run (job_active), jobs that
-- may start later (job_waiting), and jobs that do not run and whose status it has to settle: a
-- request, or a status that kwjobs does not know (job_requested).
CREATE INDEX job_ready ON kwjobs.job (owner, job_type, rank, job_id) WHERE rank IS NOT NULL;
CREATE INDEX job_active ON kwjobs.job (job_id) WHERE active_attempt IS NOT NULL;
CREATE INDEX job_waiting ON kwjobs.job (due, job_id)
    WHERE rank IS NULL AND active_attempt IS NULL AND status IN ('pending', 'reverting');
CREATE INDEX job_requested ON kwjobs.job (job_id)
    WHERE active_attempt IS NULL AND (status IS NULL OR status <> ALL
        ('{succeeded,pending,running,reverting,paused,failed,canceled,revert-failed}'));
-- Jobs that will enter the lines of their serial keys, the lines, and jobs that are over and whose
-- turn is still to be passed on.
CREATE INDEX job_to_enter ON kwjobs.job (owner, serial_key, due, job_id)
    WHERE serial_key IS NOT NULL AND line IS NULL AND rank IS NULL AND active_attempt IS NULL
      AND status IN ('pending', 'reverting');
CREATE INDEX job_line ON kwjobs.job (owner, serial_key, line, job_id) WHERE line IS NOT NULL;
CREATE INDEX job_left_line ON kwjobs.job (job_id) WHERE line IS NOT NULL AND finished IS NOT NULL;
-- Jobs that wait for a place in a queue with a limit, and the jobs of queues that have a place.
CREATE INDEX job_queued ON kwjobs.job (queue, owner, queued, job_id)
    WHERE queued IS NOT NULL AND rank IS NULL AND active_attempt IS NULL
      AND status IN ('pending', 'reverting') AND due = 'infinity';
CREATE INDEX job_place ON kwjobs.job (queue, owner)
    WHERE queue IS NOT NULL AND (rank IS NOT NULL OR active_attempt IS NOT NULL);
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
    -- of a SQL job: the command tag of each statement, and the messages of the statements
    tags        text[],
    messages    text[],
    -- when each of the messages came
    message_times timestamptz[],
    PRIMARY KEY (job_id, attempt)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- The durable state from which the job's next attempt goes on. It is not a part of the job's row,
-- because an uncommitted control statement locks that row, and a worker that writes a checkpoint
-- must not wait for it.
CREATE TABLE kwjobs.checkpoint (
    job_id      bigint PRIMARY KEY REFERENCES kwjobs.job ON DELETE CASCADE,
    -- the attempt that may write here: an older one finds no row and stops
    attempt     integer NOT NULL,
    state       jsonb,
    fraction    double precision NOT NULL DEFAULT 0,
    rows        bigint NOT NULL DEFAULT 0,
    written     timestamptz
);

-- The transactions in which a job changed its target. A revert undoes their changes.
CREATE TABLE kwjobs.job_transaction (
    job_id      bigint NOT NULL REFERENCES kwjobs.job ON DELETE CASCADE,
    xid         xid8 NOT NULL,
    piece       bigint,                     -- the piece of the work that it was for; NULL: no piece
    PRIMARY KEY (job_id, xid)
);

-- The pieces of the work of a job that several workers may do together. They are deleted when the
-- job is over. See doc/developers/parts.md.
CREATE TABLE kwjobs.piece (
    job_id      bigint NOT NULL REFERENCES kwjobs.job ON DELETE CASCADE,
    piece       bigint NOT NULL,            -- the piece's place in the order of the work
    -- the attempt that may write here: a worker of an older attempt finds no row and stops
    attempt     integer NOT NULL,
    units       bigint NOT NULL DEFAULT 0,  -- how much work the piece is, for the progress
    units_done  bigint NOT NULL DEFAULT 0,  -- how much of it is done
    -- what to do, as planned by the job's type; NULL: there is no piece here, only an error with
    -- this place in the order, such as an error of planning
    what        jsonb,
    state       jsonb,                      -- of the piece's last checkpoint; of a done piece: its result
    rows        bigint NOT NULL DEFAULT 0,
    done        boolean NOT NULL DEFAULT false,
    written     timestamptz,                -- when the last checkpoint was written
    error       jsonb,                      -- the error of this attempt; NULL: none
    PRIMARY KEY (job_id, piece)
);
CREATE INDEX piece_left ON kwjobs.piece (job_id, piece) WHERE NOT done;
CREATE INDEX piece_failed ON kwjobs.piece (job_id, piece) WHERE error IS NOT NULL;

-- The records that an IMPORT has left out. If it is to write a file of them, it keeps them here until it ends.
CREATE TABLE kwjobs.rejected (
    job_id      bigint NOT NULL REFERENCES kwjobs.job ON DELETE CASCADE,
    file_number integer NOT NULL,           -- the file's place in the list of the job's files
    file        text NOT NULL,
    line        bigint NOT NULL,            -- in which the record begins
    column_name text,
    sqlstate    text NOT NULL,
    reason      text NOT NULL,
    record      text,
    PRIMARY KEY (job_id, file_number, line)
);

-- A job (job_id) waits for each job that it depends on. The row is deleted when that job has
-- succeeded. If it ends in another way, the waiting job fails.
CREATE TABLE kwjobs.dependency (
    job_id      bigint NOT NULL REFERENCES kwjobs.job ON DELETE CASCADE,
    depends_on  bigint NOT NULL,
    -- the status in which the job depends_on ended, or 'gone' if it was deleted; NULL: it is not
    -- over, as far as is known
    status      text,
    -- true: the coordinator has not yet looked whether the job depends_on is over; status is NULL
    fresh       boolean NOT NULL DEFAULT true,
    PRIMARY KEY (job_id, depends_on)
);
CREATE INDEX dependency_depends_on ON kwjobs.dependency (depends_on, job_id);
CREATE INDEX dependency_fresh ON kwjobs.dependency (job_id, depends_on) WHERE fresh;
CREATE INDEX dependency_known ON kwjobs.dependency (job_id, depends_on) WHERE status IS NOT NULL;

-- Jobs that failed because another job did not succeed. RETRY of that other job (depends_on) makes
-- them pending again.
CREATE TABLE kwjobs.failed_dependency (
    depends_on  bigint NOT NULL,        -- the job that did not succeed
    job_id      bigint NOT NULL REFERENCES kwjobs.job ON DELETE CASCADE,
    others      bigint[] NOT NULL,      -- all jobs that it still waited for, with depends_on
    PRIMARY KEY (depends_on, job_id)
);
CREATE INDEX failed_dependency_job ON kwjobs.failed_dependency (job_id);

-- What was asked of jobs, by whom and why; and the ends of jobs that were not over for good. The
-- view kwdb_internal.job_events shows these rows together with what the tables above have. A job
-- that nobody controls has none. There is no foreign key: the statement that deletes jobs deletes
-- their events, too.
CREATE TABLE kwjobs.event (
    job_id      bigint NOT NULL,
    -- from 1, in the order of the events; of very many, those in the middle are deleted
    number      integer NOT NULL,
    at          timestamptz NOT NULL,
    event       text NOT NULL,
    -- the status that the job got by this
    status      text,
    -- the current user and the session user, with their names at that time; NULL: kwjobs itself
    actor       kwjobs.role,
    actor_name  text,
    actor_session kwjobs.role,
    session_name text,
    reason      text,
    error       text,
    detail      jsonb,
    PRIMARY KEY (job_id, number)
);

-- Jobs that have ended and on which so many other jobs depend that the coordinator sets the status
-- in kwjobs.dependency in steps.
CREATE TABLE kwjobs.untold (
    job_id      bigint PRIMARY KEY,
    status      text NOT NULL,          -- the status in which the job ended
    told        bigint NOT NULL         -- done for the dependent jobs with ids up to this one
);

-- Jobs that have left the lines of their serial keys before they were over, or that were deleted
-- while they were still in line. The coordinator looks at these lines, and deletes the rows.
CREATE TABLE kwjobs.left_line (
    job_id      bigint NOT NULL,
    owner       kwjobs.role NOT NULL,   -- of the job at that time, as its serial key
    serial_key  text NOT NULL
);
CREATE INDEX left_line_job ON kwjobs.left_line (job_id);

-- How many jobs of a queue may run at the same time. A queue without a row has no limit.
CREATE TABLE kwjobs.queue (
    name        text PRIMARY KEY,
    max_running integer CHECK (max_running >= 0),   -- NULL: no limit
    changed     timestamptz NOT NULL,
    changed_by  kwjobs.role
);

-- Errands. A statement of this database that changes a job of another one leaves a row here, which the
-- coordinator deletes when the statement has taken effect there. See doc/developers/server_list.md.
CREATE TABLE kwjobs.errand (
    number      bigint PRIMARY KEY,     -- their order; unique on the server, as an id of a job
    database    oid NOT NULL,           -- the database that has the job
    job_id      bigint NOT NULL,
    -- PAUSE, RESUME, CANCEL, RETRY; or a function: RUN_NOW, ALTER, CLOSE, DELETE
    verb        text NOT NULL,
    many        boolean NOT NULL,       -- of a statement on many jobs, which leaves jobs out
    all_jobs    boolean NOT NULL DEFAULT false, -- of a statement on all jobs
    reason      text,
    change      text,                   -- of ALTER: what changes, as JSON
    -- who asks: the current user and the session user
    actor       kwjobs.role NOT NULL,
    actor_session kwjobs.role NOT NULL,
    made        timestamptz NOT NULL,
    -- the coordinator sends it from this time on; infinity: the other database has refused it
    due         timestamptz NOT NULL,
    tries       integer NOT NULL DEFAULT 0,
    silent      timestamptz,            -- when the other database was last found not to take it
    -- why it has not taken effect
    error       text,
    error_code  text,
    error_hint  text
);
CREATE INDEX errand_due ON kwjobs.errand (due, number) WHERE due <> 'infinity';
CREATE INDEX errand_database ON kwjobs.errand (database, number) WHERE due <> 'infinity';
CREATE INDEX errand_silent ON kwjobs.errand (database) WHERE silent IS NOT NULL;
CREATE INDEX errand_job ON kwjobs.errand (job_id, number);

-- Errands of this database that somebody does not want any more. The coordinator deletes the row when it
-- has withdrawn the errand, or when that has taken effect before. Each row is of its own, so that nobody
-- who withdraws an errand keeps the errand's row locked for the coordinator.
CREATE TABLE kwjobs.errand_withdrawn (
    number      bigint NOT NULL,        -- of the errand
    actor       kwjobs.role NOT NULL    -- who withdraws it
);

-- Errands of other databases that have taken effect here. Each row is there until the other
-- database has deleted its own.
CREATE TABLE kwjobs.errand_done (
    number      bigint PRIMARY KEY,
    source      oid NOT NULL            -- the other database
);

-- Sums over jobs that were deleted.
CREATE TABLE kwjobs.history (
    day         date NOT NULL,          -- the day on which the jobs ended, UTC
    job_type    text NOT NULL,
    status      text NOT NULL,
    jobs        bigint NOT NULL,
    attempts    bigint NOT NULL,
    rows        bigint NOT NULL,
    run_time    interval NOT NULL,      -- the time from start to end, added up over the jobs
    -- 0: the row is the sum, which only the coordinator updates. Otherwise the row is a loose row
    -- that kwjobs.delete has inserted, and this is the lowest id of the jobs that it counts. The
    -- coordinator adds loose rows to the sums, and deletes them.
    added       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day, job_type, status, added)
);
CREATE INDEX history_loose ON kwjobs.history (day) WHERE added <> 0;

-- Which jobs are not to start. The row is there from the commit of kwjobs.hold to that of
-- kwjobs.release; src/lifecycle/held.c has the states.
CREATE TABLE kwjobs.hold (
    -- the jobs of this type and owner; NULL: of any
    job_type    text,
    owner       kwjobs.role,
    -- the jobs of this queue, of any type and owner; NULL: it is not about a queue
    queue       text,
    -- true: only an administrator may release it; false: it is a hold on a role's own jobs
    by_admin    boolean NOT NULL,
    reason      text,
    -- true: the jobs that ran were paused with it
    pauses      boolean NOT NULL,
    held_by     kwjobs.role NOT NULL,
    -- the name of held_by at that time
    held_by_name text NOT NULL,
    since       timestamptz NOT NULL,
    -- the jobs that it has paused, and the request_time of each: a job with another request_time
    -- was controlled by somebody else since
    paused      bigint[],
    paused_at   timestamptz[]
);
CREATE UNIQUE INDEX hold_scope ON kwjobs.hold
    ((coalesce(job_type, '')), (coalesce(owner::pg_catalog.oid, 0::pg_catalog.oid)),
     (coalesce(queue, '')), by_admin);

-- The collector writes down here which tables it looks after, and when it was at each. See
-- doc/developers/collector.md.
CREATE TABLE kwjobs.collected (
    relid       oid PRIMARY KEY,
    -- How many changes PostgreSQL had counted for the table, with its children, when the statistics
    -- were collected; NULL: the collector has not been at it.
    changes     bigint,
    collected   timestamptz,
    -- when the collector itself was there, the latest last, at most four
    times       timestamptz[] NOT NULL DEFAULT '{}',
    -- its last job of this table
    job_id      bigint
);

-- Schedules (doc/developers/schedules.md).
CREATE TABLE kwjobs.schedule (
    schedule_id     bigint PRIMARY KEY,
    name            text NOT NULL UNIQUE,
    owner           kwjobs.role NOT NULL,
    -- the owner's name when the schedule was created; shown once the role was dropped
    owner_name      text NOT NULL,
    -- as those of kwjobs.job; each run gets them
    created_by      kwjobs.role,
    created_by_session kwjobs.role,
    authority       kwjobs.role[],
    created         timestamptz NOT NULL,
    modified        timestamptz NOT NULL,
    -- The database to which the schedule belongs, and the OID of the table kwjobs.schedule there. If
    -- kwjobs.home names another database, or kwjobs.schedule has another OID here, the row has come with a
    -- dump or a copy, and the schedule counts as paused.
    home_cluster    bigint NOT NULL,
    home_database   oid NOT NULL,
    home_table      oid NOT NULL,
    -- what each run does: the type, and the other columns of the job
    job_type        text NOT NULL,
    job             jsonb NOT NULL,
    -- when: an expression (NULL: NEVER), the instant from which an interval counts, and bounds
    cron            text,
    time_zone       text NOT NULL,
    anchor          timestamptz NOT NULL,
    starts          timestamptz,
    ends            timestamptz,
    -- milliseconds by which a run may be put off, at random
    jitter          bigint NOT NULL DEFAULT 0,
    -- 'start', 'skip' or 'wait'
    on_previous_running text NOT NULL,
    -- 'retry', 'reschedule' or 'pause'
    on_execution_failure text NOT NULL,
    -- 'one', 'all' or 'none'
    catch_up        text NOT NULL,
    -- failures in a row after which it is paused; NULL: never
    pause_after     integer,
    -- a statement that a job of the owner runs when a run has failed, and that job; NULL: none
    failure_statement text,
    failure_job     jsonb,
    -- The due time that comes next, and when the coordinator acts for it. NULL: paused, or there is
    -- no other due time.
    next_due        timestamptz,
    next_run        timestamptz,
    -- the first due time, if a user has named one, until it has come; NULL: the expression says when
    first_run       timestamptz,
    -- at next_run, the run of this due time is tried again; next_due comes later
    retry_of        timestamptz,
    -- the last due time that has come
    last_due        timestamptz,
    -- what has become of it, for users
    state           text,
    -- since when it is paused, by whom and why; NULL: it is not
    paused          timestamptz,
    paused_by       kwjobs.role,
    paused_by_name  text,
    pause_reason    text,
    -- runs in a row that have failed, and due times in a row that were refused
    failures        integer NOT NULL DEFAULT 0,
    refusals        integer NOT NULL DEFAULT 0,
    -- totals
    runs            bigint NOT NULL DEFAULT 0,
    succeeded       bigint NOT NULL DEFAULT 0,
    failed          bigint NOT NULL DEFAULT 0,
    last_success    timestamptz
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX schedule_next ON kwjobs.schedule (next_run, schedule_id) WHERE next_run IS NOT NULL;
CREATE INDEX schedule_owner ON kwjobs.schedule (owner);

-- What has become of the due times of schedules. Rows older than jobs.retention_time are deleted
-- when the schedule is due again.
CREATE TABLE kwjobs.due_time (
    schedule_id bigint NOT NULL,
    due         timestamptz NOT NULL,
    -- 'due', 'retry' (of the run of that due time), or 'by hand' (kwjobs.run_schedule)
    kind        text NOT NULL,
    -- 'run', 'skipped', 'missed' or 'refused', and why
    outcome     text NOT NULL,
    reason      text,
    -- a row may stand for many due times that were missed: how many, and the last of them
    times       bigint NOT NULL DEFAULT 1,
    until       timestamptz,
    decided     timestamptz NOT NULL,
    job_id      bigint,
    -- once the job is over, as it was then; status NULL: it was deleted before this was noted
    status      text,
    started     timestamptz,
    finished    timestamptz
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX due_time_schedule ON kwjobs.due_time (schedule_id, due);
-- Runs whose end was not noted yet.
CREATE INDEX due_time_open ON kwjobs.due_time (schedule_id, job_id) WHERE job_id IS NOT NULL AND finished IS NULL;

-- The database that the jobs belong to. A copy made by CREATE DATABASE ... TEMPLATE still names the
-- original here, so the coordinator notices that the jobs were copied. pg_upgrade makes a new
-- cluster, and may change the database's OID; then the jobs have moved with the database.
CREATE TABLE kwjobs.home (
    -- there is only one row
    single      boolean PRIMARY KEY DEFAULT true CHECK (single),
    cluster     bigint NOT NULL,        -- pg_control_system()
    database    oid NOT NULL
);
INSERT INTO kwjobs.home (cluster, database) SELECT c.system_identifier, d.oid
  FROM pg_catalog.pg_control_system() AS c, pg_catalog.pg_database AS d
 WHERE d.datname = pg_catalog.current_database();

-- There is no policy: only the extension's owner, as whom the views and the library access the
-- tables, superusers, and roles with BYPASSRLS see or write rows. Other roles do not, even if they
-- have rights on the tables, as members of pg_write_all_data do.
ALTER TABLE kwjobs.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.checkpoint ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.job_transaction ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.piece ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.rejected ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.dependency ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.failed_dependency ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.event ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.queue ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.left_line ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.untold ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.errand ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.errand_withdrawn ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.errand_done ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.history ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.collected ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.schedule ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.due_time ENABLE ROW LEVEL SECURITY;
ALTER TABLE kwjobs.home ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE kwjobs.job IS 'every job; read it through kwdb_internal.jobs';
COMMENT ON TABLE kwjobs.attempt IS 'every execution of a job; read it through kwdb_internal.job_attempts';
COMMENT ON TABLE kwjobs.checkpoint IS 'the durable state from which a job''s next attempt goes on';
COMMENT ON TABLE kwjobs.job_transaction IS 'the transactions whose rows a revert removes';
COMMENT ON TABLE kwjobs.piece IS 'the pieces of the work of jobs that several workers may do';
COMMENT ON TABLE kwjobs.rejected IS 'the records that a running IMPORT has left out';
COMMENT ON TABLE kwjobs.dependency IS 'which job waits for which other';
COMMENT ON TABLE kwjobs.failed_dependency IS 'which job failed because of which other';
COMMENT ON TABLE kwjobs.event IS 'what was asked of jobs; read it through kwdb_internal.job_events';
COMMENT ON TABLE kwjobs.untold IS 'which jobs have ended without all that depend on them knowing it yet';
COMMENT ON TABLE kwjobs.hold IS 'which jobs are not to start; read it through kwjobs.holds';
COMMENT ON TABLE kwjobs.left_line IS 'which lines of serial keys are to be looked at, because a job has left them';
COMMENT ON TABLE kwjobs.queue IS 'how many jobs of a queue may run at the same time; read it through kwjobs.queues';
COMMENT ON TABLE kwjobs.errand IS 'statements that change jobs of other databases, on their way there; read it through kwjobs.errands';
COMMENT ON TABLE kwjobs.errand_withdrawn IS 'which errands are to be withdrawn';
COMMENT ON TABLE kwjobs.errand_done IS 'which errands of other databases have taken effect here';
COMMENT ON TABLE kwjobs.collected IS 'of which tables the collector has collected statistics';
COMMENT ON TABLE kwjobs.schedule IS 'every schedule; read it through kwdb_internal.schedules';
COMMENT ON TABLE kwjobs.due_time IS 'what has become of the due times of schedules; read it through kwdb_internal.due_times';
COMMENT ON TABLE kwjobs.home IS 'the database that the jobs belong to';
COMMENT ON TABLE kwjobs.history IS 'sums of jobs that were deleted; read it through kwdb_internal.job_history';

-- A dump contains jobs that are over, and the history. It does not contain unfinished jobs: after a
-- restore they would run again, on data that they have changed already. Nor does it contain jobs
-- whose revert failed: RESUME would revert them again, but the new database does not know the
-- transactions to revert.
SELECT pg_catalog.pg_extension_config_dump('kwjobs.job',
    $$WHERE finished IS NOT NULL AND status <> 'revert-failed'$$);
SELECT pg_catalog.pg_extension_config_dump('kwjobs.attempt',
    $$WHERE EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = attempt.job_id
        AND j.finished IS NOT NULL AND j.status <> 'revert-failed')$$);
SELECT pg_catalog.pg_extension_config_dump('kwjobs.event',
    $$WHERE EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = event.job_id
        AND j.finished IS NOT NULL AND j.status <> 'revert-failed')$$);
SELECT pg_catalog.pg_extension_config_dump('kwjobs.checkpoint',
    $$WHERE EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = checkpoint.job_id
        AND j.finished IS NOT NULL AND j.status <> 'revert-failed')$$);
SELECT pg_catalog.pg_extension_config_dump('kwjobs.rejected',
    $$WHERE EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = rejected.job_id
        AND j.finished IS NOT NULL AND j.status <> 'revert-failed')$$);
SELECT pg_catalog.pg_extension_config_dump('kwjobs.history', '');
SELECT pg_catalog.pg_extension_config_dump('kwjobs.queue', '');
SELECT pg_catalog.pg_extension_config_dump('kwjobs.schedule', '');
SELECT pg_catalog.pg_extension_config_dump('kwjobs.due_time', '');

-- ---------------------------------------------------------------------------
-- Building blocks of the statements and views. Not meant to be called by hand, so they are not in
-- schema kwjobs.
-- ---------------------------------------------------------------------------

CREATE FUNCTION kwdb_internal.may_show()
RETURNS boolean LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_may_show';
COMMENT ON FUNCTION kwdb_internal.may_show() IS
'true, or error 42501 if the caller may not see jobs at all (setting kwjobs.job_visibility)';

CREATE FUNCTION kwdb_internal.may_show_schedules()
RETURNS boolean LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_may_show_schedules';
COMMENT ON FUNCTION kwdb_internal.may_show_schedules() IS
'true, or error 42501 if the caller may not see schedules at all (setting kwjobs.job_visibility)';

CREATE FUNCTION kwdb_internal.may_show_all()
RETURNS boolean LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_may_show_all';
COMMENT ON FUNCTION kwdb_internal.may_show_all() IS
'true, or error 42501 if the caller may not see the jobs of everybody';

CREATE FUNCTION kwdb_internal.is_visible(owner oid)
RETURNS boolean LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_is_visible';
COMMENT ON FUNCTION kwdb_internal.is_visible(oid) IS
'whether the caller may see the jobs of this owner';

CREATE FUNCTION kwdb_internal.job_id(job_id bigint)
RETURNS bigint LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_job_id';
COMMENT ON FUNCTION kwdb_internal.job_id(bigint) IS
'its argument, or error 42704 if the caller may see no such job; NULL for NULL';

-- Functions that job statements and the library call (doc/developers/statements.md). They are in
-- pg_catalog, where only superusers can create objects, so that nobody else can put a function with
-- one of these names in their place.
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

CREATE FUNCTION pg_catalog.kwjobs_job_ids(job_ids bigint[])
RETURNS bigint[] LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_job_ids';
COMMENT ON FUNCTION pg_catalog.kwjobs_job_ids(bigint[]) IS
'its argument, or error 42704 if the caller may not see one of these jobs';

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

CREATE FUNCTION kwdb_internal.left_alone(job_id bigint)
RETURNS text LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_left_alone';
COMMENT ON FUNCTION kwdb_internal.left_alone(bigint) IS
'why the coordinator leaves this job alone for now, as it can be neither used nor ended; NULL: it does not, or the caller may not see the job';

CREATE FUNCTION kwdb_internal.readable(text)
RETURNS text LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_readable';
COMMENT ON FUNCTION kwdb_internal.readable(text) IS
'its argument, or why it cannot be read: a text whose page is lost keeps no other job from being shown';

CREATE FUNCTION pg_catalog.kwjobs_waiting(owner oid, job_type text, due timestamptz, run_at timestamptz,
    ready boolean, noted text, depends_on bigint[], "window" text)
RETURNS text LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_waiting';
COMMENT ON FUNCTION pg_catalog.kwjobs_waiting(oid, text, timestamptz, timestamptz, boolean, text, bigint[], text) IS
'why a job that no worker has does not run, as of now';

CREATE FUNCTION pg_catalog.kwjobs_paused(request_user text, request_reason text)
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_paused';
COMMENT ON FUNCTION pg_catalog.kwjobs_paused(text, text) IS
'what running_status says of a job that somebody has paused: who and why';

CREATE FUNCTION kwdb_internal.queue_held(queue text)
RETURNS text LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_queue_held';
COMMENT ON FUNCTION kwdb_internal.queue_held(text) IS
'what running_status says of a job whose queue is held: by whom and why; NULL: it is not held';

CREATE FUNCTION kwdb_internal.role_name(role kwjobs.role, name_then text)
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_role_name';
COMMENT ON FUNCTION kwdb_internal.role_name(kwjobs.role, text) IS
'the name that the role has now; if it is gone, the one that it had';

CREATE FUNCTION kwdb_internal.live(
    OUT job_id bigint, OUT attempt integer, OUT pid integer,
    OUT running_status text, OUT fraction double precision, OUT rows bigint,
    OUT bytes_done bigint, OUT bytes_total bigint,
    OUT moved timestamptz, OUT eta timestamptz)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'kwjobs_live';
COMMENT ON FUNCTION kwdb_internal.live() IS
'live progress of those attempts in this database that the caller may see, from shared memory and from what PostgreSQL knows of their workers';

-- The view kwjobs.list calls the next two functions.
CREATE FUNCTION kwdb_internal.one_line(value text, length integer)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN char_length(t.line) > length THEN left(t.line, length - 2) || '..' ELSE t.line END
      FROM (SELECT trim(regexp_replace(pg_catalog.kwjobs_shown(value), '[[:cntrl:][:space:]]+', ' ', 'g'))) AS t (line);
END;
COMMENT ON FUNCTION kwdb_internal.one_line(text, integer) IS
'the beginning of a text on one line: at most this many characters';

CREATE FUNCTION kwdb_internal.short_age(since timestamptz)
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN t.seconds < 100 THEN t.seconds || 's'
                WHEN t.seconds < 6000 THEN t.seconds / 60 || 'm'
                WHEN t.seconds < 360000 THEN t.seconds / 3600 || 'h'
                ELSE t.seconds / 86400 || 'd' END
      FROM (SELECT greatest(0, extract(epoch FROM now() - since))::bigint) AS t (seconds);
END;
COMMENT ON FUNCTION kwdb_internal.short_age(timestamptz) IS
'how long ago this was, in one number: 99s, 99m, 99h, 365d';

-- The view kwjobs.progress calls this function.
CREATE FUNCTION kwdb_internal.bar(fraction double precision)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN fraction IS NULL THEN repeat('?', 20)
                ELSE repeat('#', t.full_ones) || repeat('.', 20 - t.full_ones) END
      FROM (SELECT floor(least(greatest(fraction, 0), 1) * 20)::integer) AS t (full_ones);
END;
COMMENT ON FUNCTION kwdb_internal.bar(double precision) IS
'a fraction from 0 to 1 as 20 characters; question marks for NULL';

-- The columns are the same as in kwdb_internal.jobs, in the same order. own: true returns the
-- caller's own jobs, for kwjobs.my_jobs; false returns the jobs that SHOW JOBS shows to the caller.
CREATE FUNCTION kwdb_internal.session_jobs(
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
    OUT crashes integer, OUT cause jsonb, OUT tags text[], OUT queue text, OUT serial_key text,
    OUT notify text, OUT "window" text, OUT window_end text, OUT eta timestamptz, OUT moved timestamptz, OUT database text)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'kwjobs_session_jobs';
COMMENT ON FUNCTION kwdb_internal.session_jobs(boolean) IS
'jobs that sessions of this database do themselves, that have no row yet and that the caller may see, from shared memory';

CREATE FUNCTION kwjobs.session_job_places(OUT places integer, OUT taken integer, OUT unrecorded bigint)
RETURNS record LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_session_job_places';
COMMENT ON FUNCTION kwjobs.session_job_places() IS
'places for jobs that sessions do themselves (kwjobs.max_session_jobs), how many are taken in all databases, and how many jobs since the start of the server found none or got no row';

-- ---------------------------------------------------------------------------
-- The catalog that the statements read
-- ---------------------------------------------------------------------------

-- Checkpoints are read by subqueries, so that a query looks up only the checkpoints of the rows and
-- columns that it asks for. Why a job does not run now is computed when it is shown; otherwise
-- somebody would have to keep it up to date in the rows of all jobs that wait. The second part of
-- each view has the jobs of sessions that have no row yet. No job is in both parts, because both go
-- by the query's snapshot. kwdb_internal.session_jobs() leaves out jobs that the caller may not see.
DO LANGUAGE plpgsql $views$
DECLARE
    -- the columns of a job, which three views share
    job CONSTANT text := $job$
SELECT j.job_id,
       j.job_type,
       kwdb_internal.readable(j.description) AS description,
       kwdb_internal.readable(j.statement) AS statement,
       -- a row that was inserted by hand has no created_by: show the name that it gives
       CASE WHEN j.created_by IS NULL THEN j.user_name
            ELSE kwdb_internal.role_name(j.owner, j.user_name) END AS user_name,
       j.status,
       CASE WHEN j.job_type = 'AUTO_CREATE_STATS' THEN NULL
            WHEN kwdb_internal.left_alone(j.job_id) IS NOT NULL THEN kwdb_internal.left_alone(j.job_id)
            -- the next two expressions are also in C: KWJ_WAITS_IN_LINE (src/store/line.h) and
            -- KWJ_WAITS_IN_QUEUE (src/store/queue.h)
            WHEN j.line IS NOT NULL AND j.rank IS NULL AND j.active_attempt IS NULL
                 AND j.status IN ('pending', 'reverting') AND j.due = 'infinity' AND j.queued IS NULL
            THEN coalesce((SELECT 'waiting for job ' || f.job_id || ', which has serial key '
                                  || f.serial_key || ' (' || f.status || ')'
                             FROM kwjobs.job AS f
                            WHERE f.owner = j.owner AND f.serial_key = j.serial_key
                              AND f.line IS NOT NULL
                            ORDER BY f.line, f.job_id LIMIT 1), 'waiting for its turn')
            WHEN j.queued IS NOT NULL AND j.rank IS NULL AND j.active_attempt IS NULL
                 AND j.status IN ('pending', 'reverting') AND j.due = 'infinity'
            THEN coalesce(kwdb_internal.queue_held(j.queue), 'waiting for queue ' || j.queue || ' ('
                 || (SELECT count(*) FROM kwjobs.job AS r WHERE r.queue = j.queue
                        AND (r.rank IS NOT NULL OR r.active_attempt IS NOT NULL))
                 || coalesce(' of ' || (SELECT q.max_running FROM kwjobs.queue AS q
                                         WHERE q.name = j.queue), '') || ' run)')
            WHEN j.active_attempt IS NULL AND j.status IN ('pending', 'reverting')
            THEN pg_catalog.kwjobs_waiting(j.owner, j.job_type, j.due, j.run_at, j.rank IS NOT NULL,
                      kwdb_internal.readable(j.running_status),
                     CASE WHEN j.due = 'infinity'
                          THEN ARRAY(SELECT d.depends_on FROM kwjobs.dependency AS d
                                      WHERE d.job_id = j.job_id ORDER BY d.depends_on LIMIT 2) END,
                     CASE WHEN j.status = 'pending' THEN j."window" END)
            WHEN j.status = 'paused' AND j.active_attempt IS NULL
            THEN coalesce(kwdb_internal.readable(j.running_status), pg_catalog.kwjobs_paused(
                     kwdb_internal.role_name(j.requested_by, j.request_user), kwdb_internal.readable(j.request_reason)))
            ELSE coalesce(l.running_status, kwdb_internal.readable(j.running_status)) END AS running_status,
       j.created,
       j.started,
       j.finished,
       j.modified,
       j.errored AS errord,
       -- Is NULL while an attempt runs of which no fraction is known. A checkpoint that was written
       -- without a fraction has 0 in its column, so 0 counts as not known there.
       CASE WHEN j.status = 'succeeded' THEN 1.0
            ELSE coalesce(l.fraction, (SELECT nullif(c.fraction, 0) FROM kwjobs.checkpoint AS c
                                        WHERE c.job_id = j.job_id),
                          CASE WHEN j.active_attempt IS NULL THEN 0.0 END)
       END AS fraction_completed,
       kwdb_internal.readable(j.error) AS error,
       j.coordinator_id,
       -- Of a job that a schedule has created, the next four are the totals of the schedule. The coordinator
       -- counts a run a moment after its end; until then the job's own end is added here.
       coalesce(CASE WHEN j.created_by_type = 'schedule'
                     THEN (SELECT s.runs FROM kwjobs.schedule AS s WHERE s.schedule_id = j.created_by_id) END,
                j.total_num_of_ex) AS total_num_of_ex,
       coalesce(CASE WHEN j.created_by_type = 'schedule'
                     THEN (SELECT s.succeeded + (j.status = 'succeeded' AND EXISTS (
                                    SELECT FROM kwjobs.due_time AS d WHERE d.schedule_id = j.created_by_id
                                       AND d.job_id = j.job_id AND d.job_id IS NOT NULL AND d.finished IS NULL))::integer
                             FROM kwjobs.schedule AS s WHERE s.schedule_id = j.created_by_id) END,
                j.total_num_of_success) AS total_num_of_success,
       coalesce(CASE WHEN j.created_by_type = 'schedule'
                     THEN (SELECT s.failed + (j.status IN ('failed', 'revert-failed') AND EXISTS (
                                    SELECT FROM kwjobs.due_time AS d WHERE d.schedule_id = j.created_by_id
                                       AND d.job_id = j.job_id AND d.job_id IS NOT NULL AND d.finished IS NULL))::integer
                             FROM kwjobs.schedule AS s WHERE s.schedule_id = j.created_by_id) END,
                j.total_num_of_fail) AS total_num_of_fail,
       coalesce(CASE WHEN j.created_by_type = 'schedule'
                     THEN (SELECT greatest(s.last_success, j.time_of_last_success) FROM kwjobs.schedule AS s
                            WHERE s.schedule_id = j.created_by_id) END,
                j.time_of_last_success) AS time_of_last_success,
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
       kwdb_internal.readable(j.error_detail) AS error_detail,
       kwdb_internal.readable(j.error_hint) AS error_hint,
       kwdb_internal.readable(j.error_context) AS error_context,
       j.error_file,
       j.error_line,
       j.error_column,
       kwdb_internal.readable(j.request_reason) AS request_reason,
       kwdb_internal.role_name(j.requested_by, j.request_user) AS request_user,
       j.request_time,
       -- Only IMPORT has secrets. The payload of another job is handed on as it is stored, so that PostgreSQL
       -- does not decompress it unless the query uses this column.
       CASE j.job_type WHEN 'IMPORT' THEN j.payload - 'secrets' ELSE j.payload END AS payload,
       j.result,
       kwdb_internal.role_name(j.created_by, NULL) AS created_by,
       kwdb_internal.role_name(j.created_by_session, NULL) AS created_by_session,
       j.crashes,
       j.cause,
       j.tags,
       j.queue,
       j.serial_key,
       j.notify,
       j."window",
       j.window_end,
       l.eta,
       CASE WHEN j.active_attempt IS NOT NULL
            THEN greatest(l.moved, (SELECT c.written FROM kwjobs.checkpoint AS c
                                     WHERE c.job_id = j.job_id)) END AS moved,
       current_database()::text AS database
  FROM kwjobs.job AS j
  LEFT JOIN kwdb_internal.live() AS l ON l.job_id = j.job_id AND l.attempt = j.active_attempt
$job$;
BEGIN
    -- The UNION ALL stands in FROM. PostgreSQL takes a view apart that is itself a UNION ALL, and
    -- forgets that the view was a security barrier.
    EXECUTE 'CREATE VIEW kwdb_internal.jobs WITH (security_barrier) AS SELECT jobs.* FROM (' || job ||
        'WHERE (SELECT kwdb_internal.may_show()) AND kwdb_internal.is_visible(j.owner)
        UNION ALL SELECT s.* FROM kwdb_internal.session_jobs() AS s) AS jobs';
    -- pg_has_role(..., USAGE) gives the same answer as has_privs_of_role(), which kwj_is_own() in
    -- the library calls. The subquery looks up the roles once for a query, so that an index on
    -- owner can find their unfinished jobs.
    EXECUTE 'CREATE VIEW kwjobs.my_jobs WITH (security_barrier) AS SELECT jobs.* FROM (' || job ||
        'WHERE j.owner = ANY (ARRAY(SELECT r.oid FROM pg_catalog.pg_authid AS r
            WHERE pg_catalog.pg_has_role(r.oid, ''USAGE'')))
        UNION ALL SELECT s.* FROM kwdb_internal.session_jobs(own => true) AS s) AS jobs';
    -- ORDER BY job_id DESC is the order of an index, so that a query with LIMIT reads only the
    -- first rows, however many jobs there are. It stands inside of the view, because PostgreSQL
    -- does not push an order down into a security barrier.
    EXECUTE 'CREATE VIEW kwjobs.list WITH (security_barrier) AS
        SELECT jobs.job_id AS id,
               jobs.job_type AS type,
               kwdb_internal.one_line(regexp_replace(jobs.description, ''^IMPORT INTO '', ''''), 18) AS what,
               jobs.status,
               floor(jobs.fraction_completed * 100)::integer AS percent,
               kwdb_internal.short_age(coalesce(jobs.finished, jobs.started, jobs.created)) AS since,
               kwdb_internal.one_line(CASE
                   WHEN jobs.status IN (''failed'', ''revert-failed'') THEN jobs.error
                   WHEN jobs.status IN (''paused'', ''canceled'') AND jobs.request_user IS NOT NULL
                   THEN ''by '' || jobs.request_user
                   WHEN jobs.finished IS NULL
                   THEN regexp_replace(jobs.running_status, ''^waiting for (a |the )?'', '''')
                   END, 16) AS why
          FROM ((' || job || 'WHERE (SELECT kwdb_internal.may_show()) AND kwdb_internal.is_visible(j.owner)
                 ORDER BY j.job_id DESC)
                UNION ALL SELECT s.* FROM kwdb_internal.session_jobs() AS s
                ORDER BY job_id DESC) AS jobs';
END $views$;
COMMENT ON VIEW kwdb_internal.jobs IS 'all jobs of this database: what SHOW JOBS reads';
COMMENT ON COLUMN kwdb_internal.jobs.job_id IS 'names the job; never used twice';
COMMENT ON COLUMN kwdb_internal.jobs.job_type IS 'IMPORT, EXPORT, BACKUP, RESTORE, SQL, SCHEMA CHANGE, CREATE_STATS, AUTO_CREATE_STATS or RESTART';
COMMENT ON COLUMN kwdb_internal.jobs.description IS 'the statement that made the job, or the text that was given for it';
COMMENT ON COLUMN kwdb_internal.jobs.statement IS 'the statement, where the description is another text; else empty';
COMMENT ON COLUMN kwdb_internal.jobs.user_name IS 'the owner, as whom the job runs: the name of now; if the role is gone, that of then';
COMMENT ON COLUMN kwdb_internal.jobs.status IS 'pending, running, paused, pause-requested, cancel-requested, reverting, succeeded, failed, canceled or revert-failed';
COMMENT ON COLUMN kwdb_internal.jobs.running_status IS 'what it does now, or what and whom it waits for';
COMMENT ON COLUMN kwdb_internal.jobs.created IS 'when it was created';
COMMENT ON COLUMN kwdb_internal.jobs.started IS 'when its first attempt began';
COMMENT ON COLUMN kwdb_internal.jobs.finished IS 'when it was over';
COMMENT ON COLUMN kwdb_internal.jobs.modified IS 'when the row last changed';
COMMENT ON COLUMN kwdb_internal.jobs.errord IS 'when the job last met an error: not a cancel, a pause or an interruption';
COMMENT ON COLUMN kwdb_internal.jobs.fraction_completed IS 'how much is done, from 0 to 1, of some commands estimated; NULL: it runs, and that is not known';
COMMENT ON COLUMN kwdb_internal.jobs.error IS 'the last error, or empty';
COMMENT ON COLUMN kwdb_internal.jobs.coordinator_id IS 'kwjobs.node_id of the server that ran it';
COMMENT ON COLUMN kwdb_internal.jobs.total_num_of_ex IS 'attempts to execute it; of a job of a schedule: runs of the schedule';
COMMENT ON COLUMN kwdb_internal.jobs.total_num_of_success IS 'attempts that succeeded; of a job of a schedule: runs of the schedule that did';
COMMENT ON COLUMN kwdb_internal.jobs.total_num_of_fail IS 'attempts that failed or crashed; of a job of a schedule: runs of the schedule that failed';
COMMENT ON COLUMN kwdb_internal.jobs.time_of_last_success IS 'when an attempt succeeded; of a job of a schedule: when a run of the schedule did last';
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
COMMENT ON COLUMN kwdb_internal.jobs.result IS 'what it returned: kwjobs.set_result, or the rows of keep_result; of other types than SQL, what they tell';
COMMENT ON COLUMN kwdb_internal.jobs.created_by IS 'who created it: the current user';
COMMENT ON COLUMN kwdb_internal.jobs.created_by_session IS 'who created it: the user of the session';
COMMENT ON COLUMN kwdb_internal.jobs.crashes IS
'attempts that ended because the server or the worker crashed, since the last RESUME: kwjobs.max_crashes';
COMMENT ON COLUMN kwdb_internal.jobs.cause IS
'why the job is reverted, while the columns of the error tell why that failed: the same columns as JSON';

COMMENT ON COLUMN kwdb_internal.jobs.tags IS 'as given for it, to find it by';
COMMENT ON COLUMN kwdb_internal.jobs.queue IS 'the queue to which it belongs';
COMMENT ON COLUMN kwdb_internal.jobs.serial_key IS 'of the owner''s jobs that have it, one runs at a time, in order';
COMMENT ON COLUMN kwdb_internal.jobs.notify IS 'the channel on which NOTIFY tells that it is over';
COMMENT ON COLUMN kwdb_internal.jobs."window" IS 'the hours in which it may run, with their time zone; NULL: always';
COMMENT ON COLUMN kwdb_internal.jobs.window_end IS 'what becomes of it at the end of its window: pause, stop or finish';
COMMENT ON COLUMN kwdb_internal.jobs.eta IS 'while it runs: when it will be over, estimated from how long the part that is done took; NULL: not known, or it waits';
COMMENT ON COLUMN kwdb_internal.jobs.moved IS 'while it runs: when it moved last, as far as is known: a checkpoint, a message, its counters since the look before this one; NULL: not known';
COMMENT ON COLUMN kwdb_internal.jobs.database IS 'the database to which it belongs';
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

-- Shows only jobs that a process has (pid IS NOT NULL). Because of this condition, PostgreSQL can
-- look up just the rows of these jobs.
CREATE VIEW kwjobs.progress WITH (security_barrier) AS
SELECT r.id, r.what,
       kwdb_internal.bar(r.fraction) AS bar,
       floor(r.fraction * 100)::integer AS percent,
       CASE WHEN r.seconds_left > 0 AND r.rows > 0
            THEN round(r.rows / r.fraction * (1 - r.fraction) / r.seconds_left) || ' rows/s'
            WHEN r.seconds_left > 0
            THEN round((100 * (1 - r.fraction) / (r.seconds_left / 60))::numeric, 1) || ' %/min'
            END AS rate,
       kwdb_internal.short_age(r.started) AS elapsed,
       CASE WHEN r.seconds_left IS NOT NULL
            THEN kwdb_internal.short_age(now() - r.seconds_left * interval '1 second') END AS "left",
       kwdb_internal.one_line(substring(r.running_status FROM '\mwaiting for (.*)'), 80) AS waits_for
  FROM (SELECT j.job_id AS id,
               kwdb_internal.one_line(regexp_replace(j.description, '^IMPORT INTO ', ''), 30) AS what,
               j.fraction_completed AS fraction, j.rows, j.started, j.running_status,
               CASE WHEN j.eta IS NOT NULL
                    THEN greatest(extract(epoch FROM j.eta - clock_timestamp()), 0)::double precision
                    END AS seconds_left
          FROM kwdb_internal.jobs AS j
         WHERE j.pid IS NOT NULL AND j.finished IS NULL) AS r
 ORDER BY r.started, r.id;
COMMENT ON VIEW kwjobs.progress IS
'the jobs that run in this database, a line each, the oldest first: SELECT * FROM kwjobs.progress \watch 1';
COMMENT ON COLUMN kwjobs.progress.id IS 'the job';
COMMENT ON COLUMN kwjobs.progress.what IS 'the beginning of its description, for an IMPORT from the table on';
COMMENT ON COLUMN kwjobs.progress.bar IS 'how much is done, in 20 characters; question marks: not known';
COMMENT ON COLUMN kwjobs.progress.percent IS 'how much is done';
COMMENT ON COLUMN kwjobs.progress.rate IS 'rows in a second, or percent in a minute, on the average; NULL: not known';
COMMENT ON COLUMN kwjobs.progress.elapsed IS 'how long ago its first attempt began';
COMMENT ON COLUMN kwjobs.progress.left IS 'how long it will take from now, estimated; NULL: not known';
COMMENT ON COLUMN kwjobs.progress.waits_for IS 'what and whom it waits for; NULL: it works';

CREATE VIEW kwdb_internal.job_attempts WITH (security_barrier) AS
SELECT a.job_id, a.attempt, a.reverting, a.status, a.started, a.finished,
       a.node_id, a.pid, a.rows, kwdb_internal.readable(a.error) AS error, a.error_code,
       kwdb_internal.readable(a.error_detail) AS error_detail, kwdb_internal.readable(a.error_hint) AS error_hint,
       kwdb_internal.readable(a.error_context) AS error_context, a.error_file, a.error_line, a.error_column,
       a.tags, a.messages, a.message_times
  FROM kwjobs.attempt AS a
  JOIN kwjobs.job AS j ON j.job_id = a.job_id
 WHERE (SELECT kwdb_internal.may_show()) AND kwdb_internal.is_visible(j.owner);
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
COMMENT ON COLUMN kwdb_internal.job_attempts.messages IS 'of a SQL job: what its statements said, as RAISE NOTICE; while it runs: kwjobs.messages';
COMMENT ON COLUMN kwdb_internal.job_attempts.message_times IS 'when each of the messages was said';

-- Each of the tables has a part of what happened to a job. The UNION ALL stands in FROM, as in the
-- views of jobs. A job that a session has done itself has no attempts, and its one request is in
-- its row. seq orders what happened at the same moment: an attempt ends before its job does.
CREATE VIEW kwdb_internal.job_events WITH (security_barrier) AS
SELECT e.job_id, e.at, e.seq, e.event, e.attempt, e.status, e.actor, e.actor_session, e.reason,
       e.error, e.detail
  FROM (SELECT j.job_id, j.created AS at, 0 AS seq, 'submit' AS event, NULL::integer AS attempt,
               NULL::text AS status, kwdb_internal.role_name(j.created_by, j.user_name) AS actor,
               kwdb_internal.role_name(j.created_by_session, NULL) AS actor_session, NULL::text AS reason,
               NULL::text AS error, NULL::jsonb AS detail
          FROM kwjobs.job AS j
         WHERE (SELECT kwdb_internal.may_show()) AND kwdb_internal.is_visible(j.owner)
        UNION ALL
        SELECT v.job_id, v.at, v.number + CASE v.event WHEN 'end' THEN 3000000 ELSE 0 END, v.event,
               NULL, v.status, kwdb_internal.role_name(v.actor, v.actor_name),
               kwdb_internal.role_name(v.actor_session, v.session_name), kwdb_internal.readable(v.reason),
               kwdb_internal.readable(v.error), v.detail
          FROM kwjobs.event AS v JOIN kwjobs.job AS j ON j.job_id = v.job_id
         WHERE (SELECT kwdb_internal.may_show()) AND kwdb_internal.is_visible(j.owner)
        UNION ALL
        SELECT j.job_id, j.request_time, 1, 'cancel', NULL, 'cancel-requested',
               kwdb_internal.role_name(j.requested_by, j.request_user), NULL,
               kwdb_internal.readable(j.request_reason), NULL, NULL
          FROM kwjobs.job AS j
         WHERE j.attempts = 0 AND j.total_num_of_ex = 1 AND j.request_time IS NOT NULL
           AND (SELECT kwdb_internal.may_show()) AND kwdb_internal.is_visible(j.owner)
        UNION ALL
        SELECT a.job_id, a.started, 1000000 + least(a.attempt, 999999),
               CASE WHEN a.reverting THEN 'revert_start' ELSE 'attempt_start' END, a.attempt,
               NULL, NULL, NULL, NULL, NULL, NULL
          FROM kwjobs.attempt AS a JOIN kwjobs.job AS j ON j.job_id = a.job_id
         WHERE (SELECT kwdb_internal.may_show()) AND kwdb_internal.is_visible(j.owner)
        UNION ALL
        SELECT a.job_id, a.finished, 2000000 + least(a.attempt, 999999),
               CASE WHEN a.reverting THEN 'revert_end' ELSE 'attempt_end' END, a.attempt,
               a.status, NULL, NULL, NULL, kwdb_internal.readable(a.error), NULL
          FROM kwjobs.attempt AS a JOIN kwjobs.job AS j ON j.job_id = a.job_id
         WHERE a.finished IS NOT NULL
           AND (SELECT kwdb_internal.may_show()) AND kwdb_internal.is_visible(j.owner)
        UNION ALL
        SELECT j.job_id, j.finished, 4000000, 'end', NULL, j.status, NULL, NULL, NULL,
               nullif(kwdb_internal.readable(j.error), ''), NULL
          FROM kwjobs.job AS j
         WHERE j.finished IS NOT NULL
           AND (SELECT kwdb_internal.may_show()) AND kwdb_internal.is_visible(j.owner)
        UNION ALL
        SELECT s.job_id, p.at, p.seq, p.event, NULL, p.status, p.actor, p.actor_session, p.reason,
               p.error, NULL
          FROM kwdb_internal.session_jobs() AS s
         CROSS JOIN LATERAL (VALUES
               (s.created, 0, 'submit', NULL, s.created_by, s.created_by_session, NULL, NULL),
               (s.request_time, 1, 'cancel', 'cancel-requested', s.request_user, NULL,
                s.request_reason, NULL),
               (s.finished, 4000000, 'end', s.status, NULL, NULL, NULL, nullif(s.error, '')))
               AS p (at, seq, event, status, actor, actor_session, reason, error)
         WHERE p.at IS NOT NULL) AS e;
COMMENT ON VIEW kwdb_internal.job_events IS
'what happened to the jobs of this database, and who asked for it: ORDER BY job_id, at, seq';
COMMENT ON COLUMN kwdb_internal.job_events.job_id IS 'the job';
COMMENT ON COLUMN kwdb_internal.job_events.at IS 'when it happened, or was asked for';
COMMENT ON COLUMN kwdb_internal.job_events.seq IS 'orders the events of one job that have the same time';
COMMENT ON COLUMN kwdb_internal.job_events.event IS 'submit, replace, pause, resume, cancel, retry, run_now, alter, close, attempt_start, attempt_end, revert_start, revert_end or end';
COMMENT ON COLUMN kwdb_internal.job_events.attempt IS 'the number of the attempt that began or ended';
COMMENT ON COLUMN kwdb_internal.job_events.status IS 'the status that the job got, or how the attempt ended';
COMMENT ON COLUMN kwdb_internal.job_events.actor IS 'who asked for it: the current user; NULL: nobody did';
COMMENT ON COLUMN kwdb_internal.job_events.actor_session IS 'who asked for it: the user of the session';
COMMENT ON COLUMN kwdb_internal.job_events.reason IS 'the reason that was given';
COMMENT ON COLUMN kwdb_internal.job_events.error IS 'the error with which the attempt or the job ended';
COMMENT ON COLUMN kwdb_internal.job_events.detail IS 'of alter: the options that changed, each with its old and new value; of replace: what the job was before; of retry: the job because of which it is pending again, too';

CREATE VIEW kwdb_internal.job_history WITH (security_barrier) AS
-- the table stands in WITH, so that the view is not updatable
WITH history AS NOT MATERIALIZED (SELECT * FROM kwjobs.history)
SELECT h.day, h.job_type, h.status, sum(h.jobs)::bigint AS jobs, sum(h.attempts)::bigint AS attempts,
       sum(h.rows)::bigint AS rows, sum(h.run_time) AS run_time
  FROM history AS h
 WHERE (SELECT kwdb_internal.may_show_all())
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

CREATE FUNCTION kwdb_internal.running_attempts(
    OUT database name, OUT job_id bigint, OUT attempt integer, OUT job_type text,
    OUT owner name, OUT pid integer, OUT status text, OUT running_status text,
    OUT fraction_completed double precision, OUT rows bigint, OUT since timestamptz,
    OUT part integer)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'kwjobs_running_attempts';
COMMENT ON FUNCTION kwdb_internal.running_attempts() IS
'the attempts that run in all databases and that the caller may see, from shared memory';

CREATE VIEW kwjobs.running AS SELECT * FROM kwdb_internal.running_attempts();
COMMENT ON VIEW kwjobs.running IS 'what the workers of all databases do now';
COMMENT ON COLUMN kwjobs.running.database IS 'in which database';
COMMENT ON COLUMN kwjobs.running.job_id IS 'the job';
COMMENT ON COLUMN kwjobs.running.attempt IS 'the number of the attempt';
COMMENT ON COLUMN kwjobs.running.job_type IS 'the type of the job';
COMMENT ON COLUMN kwjobs.running.owner IS 'as whom it runs';
COMMENT ON COLUMN kwjobs.running.pid IS 'process id of the worker';
COMMENT ON COLUMN kwjobs.running.status IS 'running, reverting, pause-requested, cancel-requested, or paused if it stands still with all that it has';
COMMENT ON COLUMN kwjobs.running.running_status IS 'what it does now';
COMMENT ON COLUMN kwjobs.running.fraction_completed IS 'how much is done, from 0 to 1';
COMMENT ON COLUMN kwjobs.running.rows IS 'rows so far';
COMMENT ON COLUMN kwjobs.running.since IS 'when the worker got the attempt';
COMMENT ON COLUMN kwjobs.running.part IS 'its number among the workers of the attempt, from 0';

-- ---------------------------------------------------------------------------
-- Control. PAUSE, RESUME and CANCEL JOB become an UPDATE of the view kwjobs.job_control, so that
-- the command tag has the number of jobs.
-- ---------------------------------------------------------------------------

CREATE FUNCTION kwdb_internal.control_trigger()
RETURNS trigger LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_control_trigger';
COMMENT ON FUNCTION kwdb_internal.control_trigger() IS 'what an UPDATE of kwjobs.job_control does';

CREATE FUNCTION kwdb_internal.found_elsewhere(OUT job_id bigint, OUT database oid)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'kwjobs_found_elsewhere';
COMMENT ON FUNCTION kwdb_internal.found_elsewhere() IS
'the jobs of other databases that statements of this transaction are about, if kwjobs.scope is server';

CREATE FUNCTION kwdb_internal.all_elsewhere(verb text, job_type text, OUT job_id bigint, OUT database oid)
RETURNS SETOF record LANGUAGE c PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'kwjobs_all_elsewhere';
COMMENT ON FUNCTION kwdb_internal.all_elsewhere(text, text) IS
'the jobs of other databases that PAUSE ALL JOBS and its like control, for members of the admin role if kwjobs.scope is server';

CREATE VIEW kwjobs.job_control WITH (security_barrier) AS
-- The table stands in WITH, so that SELECT FOR UPDATE of the view does not lock its rows. The
-- coordinator skips locked rows, and the end of such a lock would not wake it.
WITH job AS NOT MATERIALIZED (
    SELECT j.job_id FROM kwjobs.job AS j WHERE kwdb_internal.is_visible(j.owner)
    UNION ALL SELECT s.job_id FROM kwdb_internal.session_jobs() AS s
    UNION ALL SELECT e.job_id FROM kwdb_internal.found_elsewhere() AS e)
SELECT j.job_id, NULL::text AS verb, NULL::text AS reason
  FROM job AS j;
CREATE TRIGGER control INSTEAD OF UPDATE ON kwjobs.job_control
    FOR EACH ROW EXECUTE FUNCTION kwdb_internal.control_trigger();
COMMENT ON VIEW kwjobs.job_control IS 'what PAUSE, RESUME and CANCEL JOB update';
COMMENT ON COLUMN kwjobs.job_control.job_id IS 'the job';
COMMENT ON COLUMN kwjobs.job_control.verb IS 'set to pause, resume or cancel to control it';
COMMENT ON COLUMN kwjobs.job_control.reason IS 'set beside it: why';

CREATE VIEW kwjobs.errands WITH (security_barrier) AS
-- the table stands in WITH, so that the view is not updatable
WITH errand AS NOT MATERIALIZED (SELECT * FROM kwjobs.errand)
SELECT e.number, coalesce(d.datname::text, e.database::text) AS database, e.job_id, e.verb,
       kwdb_internal.readable(e.reason) AS reason, kwdb_internal.role_name(e.actor, NULL) AS actor, e.made,
       e.tries, e.due = 'infinity' AS refused, e.error, e.error_code, e.error_hint
  FROM errand AS e LEFT JOIN pg_catalog.pg_database AS d ON d.oid = e.database
 WHERE kwdb_internal.is_visible(e.actor) OR pg_catalog.pg_has_role(e.actor::oid, 'USAGE');
COMMENT ON VIEW kwjobs.errands IS
'statements of this database that change jobs of others and have not taken effect, and the last ones that were refused: for members of the admin role, and for who has asked';
COMMENT ON COLUMN kwjobs.errands.number IS 'their order, and what kwjobs.withdraw_errand() takes';
COMMENT ON COLUMN kwjobs.errands.database IS 'the database that has the job';
COMMENT ON COLUMN kwjobs.errands.job_id IS 'the job';
COMMENT ON COLUMN kwjobs.errands.verb IS 'what was asked of it: PAUSE, RESUME, CANCEL, RETRY, or by a function RUN_NOW, ALTER, CLOSE or DELETE';
COMMENT ON COLUMN kwjobs.errands.reason IS 'the reason that was given';
COMMENT ON COLUMN kwjobs.errands.actor IS 'who asked for it';
COMMENT ON COLUMN kwjobs.errands.made IS 'when';
COMMENT ON COLUMN kwjobs.errands.tries IS 'how often it was sent in vain';
COMMENT ON COLUMN kwjobs.errands.refused IS 'whether the other database has refused it, or it was withdrawn, so that it will not take effect';
COMMENT ON COLUMN kwjobs.errands.error IS 'why it has not taken effect';
COMMENT ON COLUMN kwjobs.errands.error_code IS 'SQLSTATE of the error, if it was refused';
COMMENT ON COLUMN kwjobs.errands.error_hint IS 'hint of the error';

-- Returns the jobs that PAUSE ALL JOBS, RESUME ALL JOBS or CANCEL ALL JOBS is about: unfinished jobs
-- with a status that the verb can change. For CANCEL this includes pause-requested, although such a
-- job cannot be canceled yet, so that a NOTICE tells that it was left out. Automatic jobs, and
-- those that sessions do themselves, are returned only if the statement names their type.
CREATE FUNCTION pg_catalog.kwjobs_all_jobs(verb text, job_type text)
RETURNS SETOF bigint LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT j.job_id FROM kwdb_internal.jobs AS j
     WHERE (SELECT pg_catalog.kwjobs_may_control(kwjobs_all_jobs.verb))
       AND CASE WHEN kwjobs_all_jobs.job_type IS NULL
                THEN j.job_type <> 'AUTO_CREATE_STATS'
                     AND j.job_id NOT IN (SELECT s.job_id FROM kwdb_internal.session_jobs() AS s)
                ELSE j.job_type = kwjobs_all_jobs.job_type END
       AND j.finished IS NULL
       AND j.status = ANY (CASE kwjobs_all_jobs.verb
                           WHEN 'pause' THEN '{pending,running,reverting}'::text[]
                           WHEN 'resume' THEN '{paused,pause-requested}'
                           ELSE '{pending,running,paused,pause-requested}' END)
    UNION ALL
    SELECT e.job_id FROM kwdb_internal.all_elsewhere(kwjobs_all_jobs.verb, kwjobs_all_jobs.job_type) AS e
     WHERE (SELECT pg_catalog.kwjobs_may_control(kwjobs_all_jobs.verb))
     ORDER BY job_id;
END;
COMMENT ON FUNCTION pg_catalog.kwjobs_all_jobs(text, text) IS
'the jobs, of this type or of all types, that there are to pause, resume or cancel, of all databases if kwjobs.scope is server: what PAUSE ALL JOBS reads';

CREATE FUNCTION kwjobs.pause(job_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_pause';
COMMENT ON FUNCTION kwjobs.pause(bigint, text) IS
'PAUSE JOB as a function: the job stops at its next checkpoint, or where it can be interrupted; also for one''s own jobs';

CREATE FUNCTION kwjobs.resume(job_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_resume';
COMMENT ON FUNCTION kwjobs.resume(bigint, text) IS
'RESUME JOB as a function: the job goes on from its last checkpoint; also for one''s own jobs';

CREATE FUNCTION kwjobs.cancel(job_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_cancel';
COMMENT ON FUNCTION kwjobs.cancel(bigint, text) IS
'CANCEL JOB as a function: the job stops for good, and what it did is reverted; also for one''s own jobs';

CREATE FUNCTION kwjobs.retry(job_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_retry';
COMMENT ON FUNCTION kwjobs.retry(bigint, text) IS
'RETRY JOB as a function: a job that failed or was canceled is pending again, and so are those that failed because of it; also for one''s own jobs';

CREATE FUNCTION kwjobs.run_now(job_id bigint)
RETURNS void LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'kwjobs_run_now';
COMMENT ON FUNCTION kwjobs.run_now(bigint) IS 'lets a pending job start now, before its time, also for one''s own jobs';

CREATE FUNCTION kwjobs.alter(
    job_id bigint, description text DEFAULT NULL, priority integer DEFAULT NULL,
    max_attempts integer DEFAULT NULL, retry_initial_delay interval DEFAULT NULL,
    timeout interval DEFAULT NULL, run_at timestamptz DEFAULT NULL,
    on_failure text DEFAULT NULL, tags text[] DEFAULT NULL, "window" text DEFAULT NULL,
    window_end text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_alter';
COMMENT ON FUNCTION kwjobs.alter(bigint, text, integer, integer, interval, interval, timestamptz, text, text[],
    text, text) IS
'changes a job that waits or is paused; what is not given stays; a timeout of 0 takes the timeout away, and an empty window the window';

CREATE FUNCTION kwjobs.close(job_id bigint, reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_close';
COMMENT ON FUNCTION kwjobs.close(bigint, text) IS
'says that the changes of a revert-failed job were undone by hand: it becomes failed, with its first error, also for one''s own jobs';

CREATE FUNCTION kwjobs.withdraw_errand(number bigint)
RETURNS void LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'kwjobs_withdraw_errand';
COMMENT ON FUNCTION kwjobs.withdraw_errand(bigint) IS
'withdraws a statement about a job of another database that has not taken effect yet; for who has asked for it, and for members of the admin role';

CREATE FUNCTION kwjobs.set_queue(name text, max_running integer)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_set_queue';
COMMENT ON FUNCTION kwjobs.set_queue(text, integer) IS
'sets how many jobs of a queue may run at the same time, whoever owns them; NULL: any number; 1: one after the other. For members of the admin role';

CREATE VIEW kwjobs.queues WITH (security_barrier) AS
-- the table stands in WITH, so that the view is not updatable
WITH queue AS NOT MATERIALIZED (SELECT * FROM kwjobs.queue)
SELECT q.name, q.max_running,
       (SELECT count(*) FROM kwjobs.job AS j WHERE j.queue = q.name AND j.active_attempt IS NOT NULL
           AND kwdb_internal.is_visible(j.owner)) AS running,
       (SELECT count(*) FROM kwjobs.job AS j WHERE j.queue = q.name AND j.queued IS NOT NULL
           AND j.rank IS NULL AND j.active_attempt IS NULL AND j.status IN ('pending', 'reverting')
           AND j.due = 'infinity' AND kwdb_internal.is_visible(j.owner)) AS waiting,
       q.changed, kwdb_internal.role_name(q.changed_by, NULL) AS changed_by
  FROM queue AS q
 WHERE (SELECT kwdb_internal.may_show());
COMMENT ON VIEW kwjobs.queues IS 'the queues that have, or had, a limit or a hold';
COMMENT ON COLUMN kwjobs.queues.name IS 'the queue, as it is given with a job';
COMMENT ON COLUMN kwjobs.queues.max_running IS 'how many of its jobs may run at the same time; NULL: any number';
COMMENT ON COLUMN kwjobs.queues.running IS 'how many run now, of those that the user may see';
COMMENT ON COLUMN kwjobs.queues.waiting IS 'how many wait for a place, of those that the user may see';
COMMENT ON COLUMN kwjobs.queues.changed IS 'when kwjobs.set_queue was called last';
COMMENT ON COLUMN kwjobs.queues.changed_by IS 'who called it';

CREATE FUNCTION kwjobs.retry_jobs(job_ids bigint[], reason text DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_retry_jobs';
COMMENT ON FUNCTION kwjobs.retry_jobs(bigint[], text) IS
'RETRY JOBS as a function: leaves out jobs that have neither failed nor been canceled, returns how many are pending again';

CREATE FUNCTION kwjobs.pause_jobs(job_ids bigint[], reason text DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_pause_jobs';
COMMENT ON FUNCTION kwjobs.pause_jobs(bigint[], text) IS
'PAUSE JOBS as a function: leaves out jobs that are over or being canceled, returns how many are asked to pause';

CREATE FUNCTION kwjobs.resume_jobs(job_ids bigint[], reason text DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_resume_jobs';
COMMENT ON FUNCTION kwjobs.resume_jobs(bigint[], text) IS
'RESUME JOBS as a function: leaves out jobs that are not paused, returns how many it has resumed';

CREATE FUNCTION kwjobs.cancel_jobs(job_ids bigint[], reason text DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_cancel_jobs';
COMMENT ON FUNCTION kwjobs.cancel_jobs(bigint[], text) IS
'CANCEL JOBS as a function: leaves out jobs that are over or being reverted, returns how many are asked to end';

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
    OUT running_status text, OUT command_tags text[], OUT result jsonb)
RETURNS record LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_wait';
COMMENT ON FUNCTION kwjobs.wait(bigint, interval) IS
'waits until the job is over, or for so long, and returns how it stands; for every role, for its own jobs, and for those that it may see';

CREATE FUNCTION kwjobs.why(job_id bigint)
RETURNS text LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'kwjobs_why';
COMMENT ON FUNCTION kwjobs.why(bigint) IS
'says why the job does not run, does not end, or has failed, and what to type, in sentences; for every role, for its own jobs, and for those that it may see';

CREATE FUNCTION kwjobs.messages(
    job_id bigint,
    OUT attempt integer, OUT at timestamptz, OUT severity text, OUT message text)
RETURNS SETOF record LANGUAGE c PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_messages';
COMMENT ON FUNCTION kwjobs.messages(bigint) IS
'what the statements of a job have reported so far (NOTICE, WARNING, INFO), also while it runs: then the last messages; for every role, for its own jobs, and for those that it may see';

-- SHOW JOBS LIMIT calls this function. SHOW JOBS sorts jobs that have ended since the transaction
-- began before all others, and then jobs without a start, in any order among themselves. So the
-- others are read only if there are too few of the latter.
CREATE FUNCTION pg_catalog.kwjobs_first(count bigint, skip bigint)
RETURNS SETOF bigint LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH wanted AS (
        -- LIMIT NULL is no limit
        SELECT least(greatest(coalesce(kwjobs_first.count, 1::bigint << 61), 0), 1::bigint << 61)
               + least(greatest(coalesce(kwjobs_first.skip, 0), 0), 1::bigint << 61) AS n),
    unstarted AS MATERIALIZED (
        SELECT j.job_id FROM kwdb_internal.jobs AS j
         WHERE j.finished IS NULL AND j.started IS NULL AND j.job_type <> 'AUTO_CREATE_STATS'
         LIMIT (SELECT w.n FROM wanted AS w))
    SELECT u.job_id FROM unstarted AS u
    UNION ALL
    (SELECT j.job_id FROM kwdb_internal.jobs AS j
      WHERE j.finished > now() AND j.job_type <> 'AUTO_CREATE_STATS'
      ORDER BY j.finished DESC LIMIT (SELECT w.n FROM wanted AS w))
    UNION ALL
    (SELECT j.job_id FROM kwdb_internal.jobs AS j
      WHERE (SELECT w.n > (SELECT count(*) FROM unstarted) FROM wanted AS w)
        AND j.job_type <> 'AUTO_CREATE_STATS'
        AND (j.finished > now() - pg_catalog.kwjobs_show_window()
             OR j.finished IS NULL AND j.started IS NOT NULL)
      ORDER BY coalesce(j.finished, now()) DESC, j.started DESC
      LIMIT (SELECT w.n FROM wanted AS w));
END;
COMMENT ON FUNCTION pg_catalog.kwjobs_first(bigint, bigint) IS
'the jobs among which are all that SHOW JOBS LIMIT count OFFSET skip shows';

CREATE FUNCTION kwdb_internal.elsewhere(
    automatic boolean, job_ids bigint[], OUT database text, OUT job jsonb)
RETURNS SETOF record LANGUAGE c ROWS 100
AS 'MODULE_PATHNAME', 'kwjobs_elsewhere';
COMMENT ON FUNCTION kwdb_internal.elsewhere(boolean, bigint[]) IS
'jobs of the other databases of this server, for members of the admin role if kwjobs.scope is server: those that SHOW JOBS or SHOW AUTOMATIC JOBS shows, or those with these ids';

-- kwjobs.show(), kwjobs.show(ids) and kwjobs.show_automatic() read this function; so do the SHOW
-- statements if kwjobs.scope is server. What another database sends is data: its columns are matched
-- by their names, and the name of the database is the one that it has here. A job that is found in
-- this database is not looked for elsewhere.
CREATE FUNCTION pg_catalog.kwjobs_server_jobs(automatic boolean, job_ids bigint[])
RETURNS SETOF kwdb_internal.jobs LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT j.* FROM kwdb_internal.jobs AS j
     WHERE kwjobs_server_jobs.job_ids IS NULL
       AND (j.job_type = 'AUTO_CREATE_STATS') = kwjobs_server_jobs.automatic
       AND (j.finished IS NULL OR j.finished > now() - pg_catalog.kwjobs_show_window())
    UNION ALL
    SELECT j.* FROM kwdb_internal.jobs AS j WHERE j.job_id = ANY (kwjobs_server_jobs.job_ids)
    UNION ALL
    SELECT r.*
      FROM kwdb_internal.elsewhere(kwjobs_server_jobs.automatic,
               CASE WHEN kwjobs_server_jobs.job_ids IS NOT NULL
                    THEN ARRAY(SELECT i.id FROM unnest(kwjobs_server_jobs.job_ids) AS i (id)
                                WHERE i.id IS NOT NULL
                               EXCEPT
                               SELECT j.job_id FROM kwdb_internal.jobs AS j
                                WHERE j.job_id = ANY (kwjobs_server_jobs.job_ids)) END) AS e,
           jsonb_populate_record(NULL::kwdb_internal.jobs,
               e.job || jsonb_build_object('database', e.database)) AS r;
END;
COMMENT ON FUNCTION pg_catalog.kwjobs_server_jobs(boolean, bigint[]) IS
'what the SHOW statements read where kwjobs.scope is server';

CREATE FUNCTION kwjobs.show()
RETURNS SETOF kwdb_internal.jobs LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM pg_catalog.kwjobs_server_jobs(false, NULL) AS j
     ORDER BY coalesce(j.finished, now()) DESC, j.started DESC;
END;
COMMENT ON FUNCTION kwjobs.show() IS 'SHOW JOBS as a function';

CREATE FUNCTION kwjobs.show_automatic()
RETURNS SETOF kwdb_internal.jobs LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM pg_catalog.kwjobs_server_jobs(true, NULL) AS j
     ORDER BY coalesce(j.finished, now()) DESC, j.started DESC;
END;
COMMENT ON FUNCTION kwjobs.show_automatic() IS 'SHOW AUTOMATIC JOBS as a function';

CREATE FUNCTION kwjobs.show(VARIADIC job_ids bigint[])
RETURNS SETOF kwdb_internal.jobs LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT * FROM pg_catalog.kwjobs_server_jobs(false, job_ids) AS j;
END;
COMMENT ON FUNCTION kwjobs.show(bigint[]) IS 'SHOW JOBS with ids as a function';

-- A bare SHOW JOBS becomes a CALL of this procedure (doc/developers/statements.md), which only
-- provides the names and types of the columns. The library runs the query of SHOW JOBS instead.
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

CREATE FUNCTION kwjobs.import_table(
    definition text DEFAULT NULL, files text[] DEFAULT NULL, options jsonb DEFAULT '{}',
    definition_file text DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import_table';
COMMENT ON FUNCTION kwjobs.import_table(text, text[], jsonb, text) IS
'creates an IMPORT job that creates its table, and returns its job_id at once: IMPORT TABLE ... WITH detached';

CREATE PROCEDURE kwjobs.import_table_and_wait(
    definition text DEFAULT NULL, files text[] DEFAULT NULL, options jsonb DEFAULT '{}',
    definition_file text DEFAULT NULL,
    INOUT job_id bigint DEFAULT NULL, INOUT status text DEFAULT NULL,
    INOUT fraction_completed double precision DEFAULT NULL, INOUT rows bigint DEFAULT NULL,
    INOUT abandon_rows text DEFAULT NULL, INOUT reject_rows text DEFAULT NULL,
    INOUT note text DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import_table_and_wait';
COMMENT ON PROCEDURE kwjobs.import_table_and_wait(text, text[], jsonb, text, bigint, text,
    double precision, bigint, text, text, text) IS
'creates an IMPORT job that creates its table, waits for it and returns its result: IMPORT TABLE';

CREATE FUNCTION kwjobs.import_database(directory text, options jsonb DEFAULT '{}')
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import_database';
COMMENT ON FUNCTION kwjobs.import_database(text, jsonb) IS
'creates an IMPORT job for all tables that EXPORT has written into a directory, and returns its job_id at once: IMPORT DATABASE ... WITH detached';

CREATE PROCEDURE kwjobs.import_database_and_wait(
    directory text, options jsonb DEFAULT '{}',
    INOUT job_id bigint DEFAULT NULL, INOUT status text DEFAULT NULL,
    INOUT fraction_completed double precision DEFAULT NULL, INOUT rows bigint DEFAULT NULL,
    INOUT abandon_rows text DEFAULT NULL, INOUT reject_rows text DEFAULT NULL,
    INOUT note text DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import_database_and_wait';
COMMENT ON PROCEDURE kwjobs.import_database_and_wait(text, jsonb, bigint, text,
    double precision, bigint, text, text, text) IS
'creates an IMPORT job for all tables of an EXPORT, waits for it and returns its result: IMPORT DATABASE';

-- ---------------------------------------------------------------------------
-- EXPORT
-- ---------------------------------------------------------------------------

-- "table" is a word of the grammar, so the argument is called target, as it is for IMPORT.
CREATE FUNCTION kwjobs.export(
    directory text, target regclass DEFAULT NULL, query text DEFAULT NULL,
    database text DEFAULT NULL, options jsonb DEFAULT '{}', tables regclass[] DEFAULT NULL)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_export';
COMMENT ON FUNCTION kwjobs.export(text, regclass, text, text, jsonb, regclass[]) IS
'creates an EXPORT job and returns its job_id at once: EXPORT ... WITH detached';

CREATE PROCEDURE kwjobs.export_and_wait(
    directory text, target regclass DEFAULT NULL, query text DEFAULT NULL,
    database text DEFAULT NULL, options jsonb DEFAULT '{}',
    INOUT filename text DEFAULT NULL, INOUT rows bigint DEFAULT NULL,
    INOUT node_id integer DEFAULT NULL, INOUT file_num bigint DEFAULT NULL,
    INOUT job_id bigint DEFAULT NULL, tables regclass[] DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_export_and_wait';
COMMENT ON PROCEDURE kwjobs.export_and_wait(text, regclass, text, text, jsonb, text, bigint,
    integer, bigint, bigint, regclass[]) IS
'creates an EXPORT job, waits for it and returns its result: EXPORT without detached';

-- ---------------------------------------------------------------------------
-- BACKUP and RESTORE
-- ---------------------------------------------------------------------------

CREATE FUNCTION kwjobs.backup(
    directory text, tables text[] DEFAULT NULL, database text DEFAULT NULL,
    options jsonb DEFAULT '{}')
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_backup';
COMMENT ON FUNCTION kwjobs.backup(text, text[], text, jsonb) IS
'creates a BACKUP job and returns its job_id at once: BACKUP ... WITH detached; without tables, it backs up the whole database, by default the current one';

CREATE PROCEDURE kwjobs.backup_and_wait(
    directory text, tables text[] DEFAULT NULL, database text DEFAULT NULL,
    options jsonb DEFAULT '{}',
    INOUT job_id bigint DEFAULT NULL, INOUT status text DEFAULT NULL,
    INOUT fraction_completed double precision DEFAULT NULL, INOUT bytes bigint DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_backup_and_wait';
COMMENT ON PROCEDURE kwjobs.backup_and_wait(text, text[], text, jsonb, bigint, text,
    double precision, bigint) IS
'creates a BACKUP job, waits for it and returns its result: BACKUP without detached';

CREATE FUNCTION kwjobs.restore(
    directory text, tables text[] DEFAULT NULL, database text DEFAULT NULL,
    options jsonb DEFAULT '{}')
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_restore';
COMMENT ON FUNCTION kwjobs.restore(text, text[], text, jsonb) IS
'creates a RESTORE job and returns its job_id at once: RESTORE ... WITH detached; a backup of a database becomes a new database, one of tables goes into an existing one';

CREATE PROCEDURE kwjobs.restore_and_wait(
    directory text, tables text[] DEFAULT NULL, database text DEFAULT NULL,
    options jsonb DEFAULT '{}',
    INOUT job_id bigint DEFAULT NULL, INOUT status text DEFAULT NULL,
    INOUT fraction_completed double precision DEFAULT NULL, INOUT bytes bigint DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_restore_and_wait';
COMMENT ON PROCEDURE kwjobs.restore_and_wait(text, text[], text, jsonb, bigint, text,
    double precision, bigint) IS
'creates a RESTORE job, waits for it and returns its result: RESTORE without detached';

CREATE FUNCTION kwjobs.show_backup(
    directory text, OUT database text, OUT tables text[], OUT created timestamptz,
    OUT server_version text, OUT files integer, OUT bytes bigint, OUT checksums_right boolean,
    OUT problem text, OUT verified text)
RETURNS SETOF record LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_show_backup';
COMMENT ON FUNCTION kwjobs.show_backup(text) IS
'what a backup holds and whether its files are as they were written, for which it reads all of them: SHOW BACKUP; tables: NULL for a whole database';

-- ---------------------------------------------------------------------------
-- SQL jobs
-- ---------------------------------------------------------------------------

-- kwjobs.owner and kwjobs.job_ids are the types of the arguments run_as and depends_on. Casts to
-- these types let an argument be a regrole or a role's name, or one id or an array of ids. Without
-- them, kwjobs.submit, kwjobs.create_job and kwjobs.run would have to be overloaded.
CREATE TYPE kwjobs.owner;
CREATE FUNCTION kwdb_internal.owner_in(cstring)
RETURNS kwjobs.owner LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_owner_in';
COMMENT ON FUNCTION kwdb_internal.owner_in(cstring) IS 'input of type kwjobs.owner';
CREATE FUNCTION kwdb_internal.owner_out(kwjobs.owner)
RETURNS cstring LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_owner_out';
COMMENT ON FUNCTION kwdb_internal.owner_out(kwjobs.owner) IS 'output of type kwjobs.owner';
CREATE TYPE kwjobs.owner (INPUT = kwdb_internal.owner_in, OUTPUT = kwdb_internal.owner_out, LIKE = pg_catalog.regrole);
COMMENT ON TYPE kwjobs.owner IS
'argument run_as: a role, as a regrole, or its name, as current_user';
CREATE FUNCTION kwdb_internal.owner(role name)
RETURNS kwjobs.owner LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_owner_from_name';
COMMENT ON FUNCTION kwdb_internal.owner(name) IS 'cast of a role''s name to type kwjobs.owner';
CREATE FUNCTION kwdb_internal.owner(role text)
RETURNS kwjobs.owner LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_owner_from_text';
COMMENT ON FUNCTION kwdb_internal.owner(text) IS 'cast of a role''s name to type kwjobs.owner';
CREATE CAST (name AS kwjobs.owner) WITH FUNCTION kwdb_internal.owner(name) AS IMPLICIT;
CREATE CAST (text AS kwjobs.owner) WITH FUNCTION kwdb_internal.owner(text) AS IMPLICIT;
CREATE CAST (varchar AS kwjobs.owner) WITH FUNCTION kwdb_internal.owner(text) AS IMPLICIT;
CREATE CAST (regrole AS kwjobs.owner) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (oid AS kwjobs.owner) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (kwjobs.owner AS regrole) WITHOUT FUNCTION;
CREATE CAST (kwjobs.owner AS oid) WITHOUT FUNCTION;

CREATE TYPE kwjobs.job_ids;
CREATE FUNCTION kwdb_internal.job_ids_in(cstring)
RETURNS kwjobs.job_ids LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_in';
COMMENT ON FUNCTION kwdb_internal.job_ids_in(cstring) IS 'input of type kwjobs.job_ids';
CREATE FUNCTION kwdb_internal.job_ids_out(kwjobs.job_ids)
RETURNS cstring LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_out';
COMMENT ON FUNCTION kwdb_internal.job_ids_out(kwjobs.job_ids) IS 'output of type kwjobs.job_ids';
CREATE TYPE kwjobs.job_ids (INPUT = kwdb_internal.job_ids_in, OUTPUT = kwdb_internal.job_ids_out,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE kwjobs.job_ids IS 'argument depends_on: the id of a job, or an array of ids';
CREATE FUNCTION kwdb_internal.job_ids(job_id bigint)
RETURNS kwjobs.job_ids LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_from_id';
COMMENT ON FUNCTION kwdb_internal.job_ids(bigint) IS 'cast of the id of a job to type kwjobs.job_ids';
CREATE FUNCTION kwdb_internal.job_ids(job_id integer)
RETURNS kwjobs.job_ids LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_from_integer';
COMMENT ON FUNCTION kwdb_internal.job_ids(integer) IS 'cast of a small id of a job to type kwjobs.job_ids';
CREATE FUNCTION kwdb_internal.job_ids(job_ids bigint[])
RETURNS kwjobs.job_ids LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_from_ids';
COMMENT ON FUNCTION kwdb_internal.job_ids(bigint[]) IS 'cast of ids of jobs to type kwjobs.job_ids';
CREATE FUNCTION kwdb_internal.job_ids(job_ids integer[])
RETURNS kwjobs.job_ids LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_job_ids_from_integers';
COMMENT ON FUNCTION kwdb_internal.job_ids(integer[]) IS 'cast of small ids of jobs to type kwjobs.job_ids';
CREATE CAST (bigint AS kwjobs.job_ids) WITH FUNCTION kwdb_internal.job_ids(bigint) AS IMPLICIT;
CREATE CAST (integer AS kwjobs.job_ids) WITH FUNCTION kwdb_internal.job_ids(integer) AS IMPLICIT;
CREATE CAST (integer[] AS kwjobs.job_ids) WITH FUNCTION kwdb_internal.job_ids(integer[]) AS IMPLICIT;
CREATE CAST (bigint[] AS kwjobs.job_ids) WITH FUNCTION kwdb_internal.job_ids(bigint[]) AS IMPLICIT;

CREATE FUNCTION kwjobs.submit(
    statement text, description text DEFAULT NULL, priority integer DEFAULT 0,
    max_attempts integer DEFAULT 5, retry_initial_delay interval DEFAULT '1 second',
    timeout interval DEFAULT NULL, run_at timestamptz DEFAULT NULL,
    key text DEFAULT NULL, depends_on kwjobs.job_ids DEFAULT NULL,
    on_failure text DEFAULT 'fail', on_revert text DEFAULT NULL,
    run_as kwjobs.owner DEFAULT NULL, settings jsonb DEFAULT '{}', tags text[] DEFAULT NULL,
    queue text DEFAULT NULL, serial_key text DEFAULT NULL, on_conflict text DEFAULT 'keep',
    notify text DEFAULT NULL, "window" text DEFAULT NULL, window_end text DEFAULT 'pause',
    arguments jsonb DEFAULT NULL, keep_result boolean DEFAULT false)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_submit';
COMMENT ON FUNCTION kwjobs.submit(text, text, integer, integer, interval, interval,
    timestamptz, text, kwjobs.job_ids, text, text, kwjobs.owner, jsonb, text[], text, text, text, text,
    text, text, jsonb, boolean) IS
'creates a job of type SQL and returns its job_id; it starts when the transaction commits';

CREATE FUNCTION kwjobs.submit_job(
    statement text, description text DEFAULT NULL, priority integer DEFAULT 0,
    max_attempts integer DEFAULT 5, retry_initial_delay interval DEFAULT '1 second',
    timeout interval DEFAULT NULL, run_at timestamptz DEFAULT NULL,
    key text DEFAULT NULL, depends_on kwjobs.job_ids DEFAULT NULL,
    on_failure text DEFAULT 'fail', on_revert text DEFAULT NULL,
    run_as kwjobs.owner DEFAULT NULL, settings jsonb DEFAULT '{}', tags text[] DEFAULT NULL,
    queue text DEFAULT NULL, serial_key text DEFAULT NULL, on_conflict text DEFAULT 'keep',
    notify text DEFAULT NULL, "window" text DEFAULT NULL, window_end text DEFAULT 'pause',
    arguments jsonb DEFAULT NULL, keep_result boolean DEFAULT false,
    OUT job_id bigint, OUT is_new boolean)
RETURNS record LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_submit_job';
COMMENT ON FUNCTION kwjobs.submit_job(text, text, integer, integer, interval, interval,
    timestamptz, text, kwjobs.job_ids, text, text, kwjobs.owner, jsonb, text[], text, text, text, text,
    text, text, jsonb, boolean) IS
'kwjobs.submit that also returns whether the job is new: false if it is the one that has the key already';

CREATE FUNCTION kwjobs.create_job(
    job_type text, arguments jsonb DEFAULT '{}',
    description text DEFAULT NULL, priority integer DEFAULT 0,
    max_attempts integer DEFAULT 5, retry_initial_delay interval DEFAULT '1 second',
    timeout interval DEFAULT NULL, run_at timestamptz DEFAULT NULL,
    key text DEFAULT NULL, depends_on kwjobs.job_ids DEFAULT NULL,
    on_failure text DEFAULT 'fail', run_as kwjobs.owner DEFAULT NULL, tags text[] DEFAULT NULL,
    queue text DEFAULT NULL, serial_key text DEFAULT NULL, on_conflict text DEFAULT 'keep',
    notify text DEFAULT NULL, "window" text DEFAULT NULL, window_end text DEFAULT 'pause')
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_create_job';
COMMENT ON FUNCTION kwjobs.create_job(text, jsonb, text, integer, integer, interval, interval,
    timestamptz, text, kwjobs.job_ids, text, kwjobs.owner, text[], text, text, text, text, text, text) IS
'creates a job of any type and returns its job_id; arguments: those of the type, such as statement for SQL';

CREATE PROCEDURE kwjobs.run(
    statement text, description text DEFAULT NULL, priority integer DEFAULT 0,
    max_attempts integer DEFAULT 5, retry_initial_delay interval DEFAULT '1 second',
    timeout interval DEFAULT NULL, run_at timestamptz DEFAULT NULL,
    key text DEFAULT NULL, depends_on kwjobs.job_ids DEFAULT NULL,
    on_failure text DEFAULT 'fail', on_revert text DEFAULT NULL,
    run_as kwjobs.owner DEFAULT NULL, settings jsonb DEFAULT '{}',
    INOUT job_id bigint DEFAULT NULL, INOUT status text DEFAULT NULL,
    INOUT rows bigint DEFAULT NULL, INOUT tags text[] DEFAULT NULL,
    queue text DEFAULT NULL, serial_key text DEFAULT NULL, on_conflict text DEFAULT 'keep',
    notify text DEFAULT NULL, "window" text DEFAULT NULL, window_end text DEFAULT 'pause',
    arguments jsonb DEFAULT NULL, keep_result boolean DEFAULT false,
    INOUT result jsonb DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_run';
COMMENT ON PROCEDURE kwjobs.run(text, text, integer, integer, interval, interval,
    timestamptz, text, kwjobs.job_ids, text, text, kwjobs.owner, jsonb, bigint, text, bigint, text[],
    text, text, text, text, text, text, jsonb, boolean, jsonb) IS
'creates a job of type SQL, waits for it and returns its outcome, or raises its error; tags: what is passed in are tags for the job, what comes out are the command tags of its statements';

-- The following functions are for the statement of a SQL job.
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

CREATE FUNCTION kwjobs.set_result(result jsonb)
RETURNS void LANGUAGE c PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_set_result';
COMMENT ON FUNCTION kwjobs.set_result(jsonb) IS
'inside a job: what the job returns when this attempt has succeeded, at most 1 MB; elsewhere nothing';

CREATE FUNCTION kwjobs.current_job()
RETURNS bigint LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_current_job';
COMMENT ON FUNCTION kwjobs.current_job() IS
'the job_id of the job that this session executes, NULL if it executes none';

-- ---------------------------------------------------------------------------
-- Holds
-- ---------------------------------------------------------------------------

CREATE FUNCTION kwjobs.hold(
    job_type text DEFAULT NULL, owner kwjobs.owner DEFAULT NULL, queue text DEFAULT NULL,
    reason text DEFAULT NULL, running text DEFAULT 'continue')
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_hold';
COMMENT ON FUNCTION kwjobs.hold(text, kwjobs.owner, text, text, text) IS
'lets no job of this type and owner (NULL: of any), or of this queue, start until kwjobs.release; running: what becomes of those that run, continue or pause; for the admin role, and for one''s own jobs';

CREATE FUNCTION kwjobs.release(
    job_type text DEFAULT NULL, owner kwjobs.owner DEFAULT NULL, queue text DEFAULT NULL,
    reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_release';
COMMENT ON FUNCTION kwjobs.release(text, kwjobs.owner, text, text) IS
'takes away the hold with exactly this type, owner and queue, and resumes the jobs that are still paused by it';

CREATE FUNCTION kwjobs.release_all(reason text DEFAULT NULL)
RETURNS integer LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_release_all';
COMMENT ON FUNCTION kwjobs.release_all(text) IS
'takes away all holds of this database that the caller may release, and returns how many; without the admin role, those on one''s own jobs';

CREATE FUNCTION kwjobs.hold_server(reason text DEFAULT NULL)
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_hold_server';
COMMENT ON FUNCTION kwjobs.hold_server(text) IS
'lets no job of any database start until kwjobs.release_server; for the admin role';

CREATE FUNCTION kwjobs.release_server()
RETURNS void LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_release_server';
COMMENT ON FUNCTION kwjobs.release_server() IS
'takes away the hold that kwjobs.hold_server has put';

CREATE FUNCTION kwdb_internal.server_hold(OUT reason text, OUT held_by text, OUT since timestamptz)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'kwjobs_server_hold';
COMMENT ON FUNCTION kwdb_internal.server_hold() IS 'the hold on the whole server, if there is one';

CREATE VIEW kwjobs.holds WITH (security_barrier) AS
-- the table stands in WITH, so that the view is not updatable
WITH hold AS NOT MATERIALIZED (
    SELECT false AS everywhere, h.job_type, h.owner, h.queue, h.reason,
           kwdb_internal.role_name(h.held_by, h.held_by_name) AS held_by, h.since, h.by_admin,
           h.paused, h.paused_at
      FROM kwjobs.hold AS h
    UNION ALL
    SELECT true, NULL, NULL, NULL, s.reason, s.held_by, s.since, true, NULL, NULL
      FROM kwdb_internal.server_hold() AS s)
SELECT h.everywhere,
       h.job_type,
       CASE WHEN h.owner IS NOT NULL THEN kwdb_internal.role_name(h.owner, NULL) END AS owner,
       h.queue,
       h.reason,
       h.held_by,
       h.since,
       h.by_admin,
       (SELECT coalesce(sum(g.n), 0)::bigint
          FROM (SELECT j.owner, count(*) AS n FROM kwjobs.job AS j
                 WHERE (j.rank IS NOT NULL OR (h.queue IS NOT NULL AND j.queued IS NOT NULL
                        AND j.active_attempt IS NULL AND j.status IN ('pending', 'reverting')
                        AND j.due = 'infinity'))
                   AND (h.owner IS NULL OR j.owner = h.owner)
                   AND (h.job_type IS NULL OR j.job_type = h.job_type)
                   AND (h.queue IS NULL OR j.queue = h.queue)
                 GROUP BY j.owner) AS g
         WHERE kwdb_internal.is_visible(g.owner) OR pg_has_role(g.owner, 'USAGE')) AS jobs,
       (SELECT count(*)
          FROM kwjobs.job AS j
         WHERE j.active_attempt IS NOT NULL AND (h.owner IS NULL OR j.owner = h.owner)
           AND (h.job_type IS NULL OR j.job_type = h.job_type)
           AND (h.queue IS NULL OR j.queue = h.queue)
           AND (kwdb_internal.is_visible(j.owner) OR pg_has_role(j.owner, 'USAGE'))) AS running,
       (SELECT array_agg(j.job_id ORDER BY j.job_id)
          FROM unnest(h.paused, h.paused_at) AS p (job_id, at)
          JOIN kwjobs.job AS j ON j.job_id = p.job_id
         WHERE j.status IN ('paused', 'pause-requested') AND j.request_time = p.at
           AND (kwdb_internal.is_visible(j.owner) OR pg_has_role(j.owner, 'USAGE'))) AS paused
  FROM hold AS h
 WHERE h.owner IS NULL OR kwdb_internal.is_visible(h.owner) OR pg_has_role(h.owner, 'USAGE');
COMMENT ON VIEW kwjobs.holds IS
'what keeps jobs of this database from starting: for each user, what holds jobs of everybody or the jobs that the user may see';
COMMENT ON COLUMN kwjobs.holds.everywhere IS 'whether it holds the jobs of all databases: kwjobs.hold_server';
COMMENT ON COLUMN kwjobs.holds.job_type IS 'jobs of this type; NULL: of any';
COMMENT ON COLUMN kwjobs.holds.owner IS 'jobs of this role; NULL: of any';
COMMENT ON COLUMN kwjobs.holds.queue IS 'jobs of this queue, of any type and role; NULL: it is not about a queue';
COMMENT ON COLUMN kwjobs.holds.reason IS 'why they are held';
COMMENT ON COLUMN kwjobs.holds.held_by IS 'who holds them: the name of now';
COMMENT ON COLUMN kwjobs.holds.since IS 'since when they are held';
COMMENT ON COLUMN kwjobs.holds.by_admin IS 'whether only the admin role may release them';
COMMENT ON COLUMN kwjobs.holds.jobs IS 'how many of them, in this database, could start now otherwise';
COMMENT ON COLUMN kwjobs.holds.running IS 'how many of them run, in this database';
COMMENT ON COLUMN kwjobs.holds.paused IS 'which ones it has paused and would resume';

-- ---------------------------------------------------------------------------
-- Schedules
-- ---------------------------------------------------------------------------

CREATE FUNCTION pg_catalog.kwjobs_clock()
RETURNS timestamptz LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_clock';
COMMENT ON FUNCTION pg_catalog.kwjobs_clock() IS 'the clock by which schedules are due';

CREATE FUNCTION kwdb_internal.coordinator_state()
RETURNS text LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_coordinator_state';
COMMENT ON FUNCTION kwdb_internal.coordinator_state() IS
'whether the coordinator of this database runs, or will when something is due, or why it cannot';

DO LANGUAGE plpgsql $views$
DECLARE
    -- the columns of a schedule, which two views share
    schedule CONSTANT text := $schedule$
SELECT s.schedule_id AS id,
       s.name,
       CASE WHEN s.paused IS NOT NULL OR NOT h.here THEN 'PAUSED'
            WHEN s.next_run IS NULL THEN 'ENDED' ELSE 'ACTIVE' END AS schedule_status,
       CASE WHEN h.here AND s.next_run IS NOT NULL THEN greatest(s.next_run, h.clock) END AS next_run,
       CASE WHEN NOT h.here THEN 'paused: it has come with a dump or a copy of another database'
            WHEN s.next_run < h.clock - interval '1 second'
            THEN 'overdue: ' || CASE WHEN pg_is_in_recovery() THEN 'this server is a standby'
                 WHEN NOT current_setting('kwjobs.scheduler_enabled')::boolean THEN 'kwjobs.scheduler_enabled is off'
                 ELSE CASE kwdb_internal.coordinator_state() WHEN 'runs' THEN 'the coordinator has not come to it yet'
                      WHEN 'starts when something is due' THEN 'the coordinator has yet to start'
                      WHEN 'waits for a lock' THEN 'the coordinator waits for a lock'
                      ELSE 'there is no coordinator: ' || kwdb_internal.coordinator_state() END END
            ELSE kwdb_internal.readable(s.state) END AS state,
       coalesce(s.cron, 'NEVER') AS recurrence,
       (SELECT count(*) FROM kwjobs.due_time AS d JOIN kwjobs.job AS j ON j.job_id = d.job_id
         WHERE d.schedule_id = s.schedule_id AND d.job_id IS NOT NULL AND d.finished IS NULL
           AND j.status = 'running') AS jobsrunning,
       kwdb_internal.role_name(s.owner, s.owner_name) AS owner,
       s.created,
       kwdb_internal.readable(coalesce(nullif(s.job ->> 'statement', ''), s.job ->> 'description')) AS command,
       s.time_zone,
       s.last_due,
       l.outcome AS last_outcome,
       r.last_duration,
       r.usual_duration,
       CASE WHEN h.here AND s.next_run < h.clock - interval '1 second' THEN h.clock - s.next_run END AS overdue,
       CASE WHEN s.paused IS NOT NULL
            THEN pg_catalog.concat_ws(': ', 'paused' || coalesce(' by ' || kwdb_internal.role_name(s.paused_by, s.paused_by_name), ''),
                                      kwdb_internal.readable(s.pause_reason))
            WHEN NOT h.here
            THEN 'paused: it has come with a dump or a copy of another database; RESUME SCHEDULE lets it run here'
            END AS why_paused,
       s.paused,
       s.job_type,
       s.next_due,
       s.starts,
       s.ends,
       s.jitter * interval '1 millisecond' AS jitter,
       s.on_previous_running,
       s.on_execution_failure,
       s.catch_up,
       s.pause_after,
       s.failure_statement,
       s.runs,
       s.succeeded,
       s.failed,
       s.failures,
       s.last_success,
       s.job
  FROM kwjobs.schedule AS s
 CROSS JOIN LATERAL (SELECT s.home_cluster = o.cluster AND s.home_database = o.database AND s.home_table = s.tableoid AS here,
                            pg_catalog.kwjobs_clock() AS clock FROM kwjobs.home AS o) AS h
  LEFT JOIN LATERAL (SELECT CASE WHEN d.outcome = 'run' THEN coalesce(j.status, d.status, 'deleted') ELSE d.outcome END AS outcome
                       FROM (SELECT * FROM kwjobs.due_time AS e WHERE e.schedule_id = s.schedule_id
                              ORDER BY e.due DESC, e.decided DESC LIMIT 1) AS d
                       LEFT JOIN kwjobs.job AS j ON j.job_id = d.job_id) AS l ON true
  LEFT JOIN LATERAL (SELECT (array_agg(d.took ORDER BY d.due DESC))[1] AS last_duration,
                            percentile_cont(0.5) WITHIN GROUP (ORDER BY d.took) AS usual_duration
                       FROM (SELECT e.due, e.finished - e.started AS took
                               FROM (SELECT * FROM kwjobs.due_time AS f WHERE f.schedule_id = s.schedule_id
                                      ORDER BY f.due DESC LIMIT 1000) AS e
                              WHERE e.status = 'succeeded'
                              ORDER BY e.due DESC LIMIT 20) AS d) AS r ON true
$schedule$;
    due_time CONSTANT text := $due_time$
SELECT d.schedule_id, s.name AS schedule, d.due, d.kind, d.outcome, kwdb_internal.readable(d.reason) AS reason, d.times,
       d.until, d.decided, d.job_id, coalesce(j.status, d.status) AS status,
       coalesce(j.started, d.started) AS started, coalesce(j.finished, d.finished) AS finished
  FROM kwjobs.due_time AS d JOIN kwjobs.schedule AS s ON s.schedule_id = d.schedule_id
  LEFT JOIN kwjobs.job AS j ON j.job_id = d.job_id
$due_time$;
    visible CONSTANT text := 'WHERE (SELECT kwdb_internal.may_show_schedules()) AND kwdb_internal.is_visible(s.owner)';
    own CONSTANT text := 'WHERE s.owner = ANY (ARRAY(SELECT r.oid FROM pg_catalog.pg_authid AS r
            WHERE pg_catalog.pg_has_role(r.oid, ''USAGE'')))';
BEGIN
    EXECUTE 'CREATE VIEW kwdb_internal.schedules WITH (security_barrier) AS ' || schedule || visible;
    EXECUTE 'CREATE VIEW kwjobs.my_schedules WITH (security_barrier) AS ' || schedule || own;
    EXECUTE 'CREATE VIEW kwdb_internal.due_times WITH (security_barrier) AS ' || due_time || visible;
    EXECUTE 'CREATE VIEW kwjobs.my_due_times WITH (security_barrier) AS ' || due_time || own;
END $views$;
COMMENT ON VIEW kwdb_internal.schedules IS 'all schedules of this database: what SHOW SCHEDULES reads';
COMMENT ON VIEW kwjobs.my_schedules IS
'the schedules that are the current user''s own: those of roles whose privileges the user has; for every role';
COMMENT ON VIEW kwdb_internal.due_times IS 'what has become of each due time of the schedules';
COMMENT ON VIEW kwjobs.my_due_times IS 'what has become of each due time of the current user''s own schedules; for every role';
COMMENT ON COLUMN kwdb_internal.schedules.id IS 'names the schedule; jobs have it as created_by_id';
COMMENT ON COLUMN kwdb_internal.schedules.name IS 'as it was given; no two schedules of a database have the same';
COMMENT ON COLUMN kwdb_internal.schedules.schedule_status IS 'ACTIVE, PAUSED, or ENDED: there is no other due time';
COMMENT ON COLUMN kwdb_internal.schedules.next_run IS 'when it runs next; never in the past: if it is overdue, now';
COMMENT ON COLUMN kwdb_internal.schedules.state IS 'what became of the last due time, or of its run; or that it is overdue, and why';
COMMENT ON COLUMN kwdb_internal.schedules.recurrence IS 'the expression, or NEVER';
COMMENT ON COLUMN kwdb_internal.schedules.jobsrunning IS 'how many of its jobs run';
COMMENT ON COLUMN kwdb_internal.schedules.owner IS 'as whom its jobs run: the name of now; if the role is gone, that of then';
COMMENT ON COLUMN kwdb_internal.schedules.created IS 'when it was created';
COMMENT ON COLUMN kwdb_internal.schedules.command IS 'what each run does';
COMMENT ON COLUMN kwdb_internal.schedules.time_zone IS 'the zone by whose clocks it is due';
COMMENT ON COLUMN kwdb_internal.schedules.last_due IS 'the last due time that has come';
COMMENT ON COLUMN kwdb_internal.schedules.last_outcome IS 'the status of its last job; or skipped, missed, refused';
COMMENT ON COLUMN kwdb_internal.schedules.last_duration IS 'how long the last run that has succeeded took';
COMMENT ON COLUMN kwdb_internal.schedules.usual_duration IS 'the median of the last 20 of them, as far as they are among the last 1000 due times';
COMMENT ON COLUMN kwdb_internal.schedules.overdue IS 'for how long it should have run already; NULL: it is not overdue';
COMMENT ON COLUMN kwdb_internal.schedules.why_paused IS 'who has paused it, and why; NULL: it is not paused';
COMMENT ON COLUMN kwdb_internal.schedules.paused IS 'since when it is paused';
COMMENT ON COLUMN kwdb_internal.schedules.job_type IS 'the type of its jobs';
COMMENT ON COLUMN kwdb_internal.schedules.next_due IS 'the next due time; next_run may be later, by the jitter, or earlier: a run is tried again';
COMMENT ON COLUMN kwdb_internal.schedules.starts IS 'no due time before this';
COMMENT ON COLUMN kwdb_internal.schedules.ends IS 'no due time after this';
COMMENT ON COLUMN kwdb_internal.schedules.jitter IS 'by how much a run may be put off, at random';
COMMENT ON COLUMN kwdb_internal.schedules.on_previous_running IS 'start, skip or wait';
COMMENT ON COLUMN kwdb_internal.schedules.on_execution_failure IS 'retry, reschedule or pause';
COMMENT ON COLUMN kwdb_internal.schedules.catch_up IS 'one, all or none';
COMMENT ON COLUMN kwdb_internal.schedules.pause_after IS 'after so many failed runs in a row it is paused; NULL: never';
COMMENT ON COLUMN kwdb_internal.schedules.failure_statement IS 'what is run when a run has failed';
COMMENT ON COLUMN kwdb_internal.schedules.runs IS 'how many jobs it has created';
COMMENT ON COLUMN kwdb_internal.schedules.succeeded IS 'how many of them have succeeded';
COMMENT ON COLUMN kwdb_internal.schedules.failed IS 'how many of them have failed';
COMMENT ON COLUMN kwdb_internal.schedules.failures IS 'how many of the last ones have failed in a row';
COMMENT ON COLUMN kwdb_internal.schedules.last_success IS 'when one of them succeeded last';
COMMENT ON COLUMN kwdb_internal.schedules.job IS 'what each run does, with all its options';
COMMENT ON COLUMN kwdb_internal.due_times.schedule_id IS 'the schedule';
COMMENT ON COLUMN kwdb_internal.due_times.schedule IS 'its name';
COMMENT ON COLUMN kwdb_internal.due_times.due IS 'when it was due';
COMMENT ON COLUMN kwdb_internal.due_times.kind IS 'due; retry: the run of this due time was tried again; by hand: kwjobs.run_schedule';
COMMENT ON COLUMN kwdb_internal.due_times.outcome IS 'run, skipped, missed or refused';
COMMENT ON COLUMN kwdb_internal.due_times.reason IS 'why it did not run';
COMMENT ON COLUMN kwdb_internal.due_times.times IS 'how many due times the row stands for: mostly one';
COMMENT ON COLUMN kwdb_internal.due_times.until IS 'the last of them, if there are many';
COMMENT ON COLUMN kwdb_internal.due_times.decided IS 'when the job was created, or it was clear that none is';
COMMENT ON COLUMN kwdb_internal.due_times.job_id IS 'the job';
COMMENT ON COLUMN kwdb_internal.due_times.status IS 'the status of the job';
COMMENT ON COLUMN kwdb_internal.due_times.started IS 'when the job started';
COMMENT ON COLUMN kwdb_internal.due_times.finished IS 'when the job was over';

DO LANGUAGE plpgsql $$
DECLARE
    comment text;
BEGIN
    FOR comment IN
        SELECT pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', v.mine, a.attname,
                                 pg_catalog.col_description(a.attrelid, a.attnum))
          FROM (VALUES ('kwdb_internal.schedules', 'kwjobs.my_schedules'),
                       ('kwdb_internal.due_times', 'kwjobs.my_due_times')) AS v ("all", mine)
          JOIN pg_catalog.pg_attribute AS a ON a.attrelid = v."all"::pg_catalog.regclass AND a.attnum > 0
    LOOP
        EXECUTE comment;
    END LOOP;
END $$;

-- DROP SCHEDULES deletes from this view.
CREATE VIEW kwjobs.schedule_control WITH (security_barrier) AS
SELECT s.name FROM kwjobs.schedule AS s WHERE (SELECT kwdb_internal.may_show_schedules()) AND kwdb_internal.is_visible(s.owner);
COMMENT ON VIEW kwjobs.schedule_control IS 'what DROP SCHEDULES becomes a DELETE of';
COMMENT ON COLUMN kwjobs.schedule_control.name IS 'the schedule';
CREATE FUNCTION kwdb_internal.drop_trigger()
RETURNS trigger LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_drop_trigger';
COMMENT ON FUNCTION kwdb_internal.drop_trigger() IS 'trigger of view kwjobs.schedule_control';
CREATE TRIGGER drop INSTEAD OF DELETE ON kwjobs.schedule_control
    FOR EACH ROW EXECUTE FUNCTION kwdb_internal.drop_trigger();

CREATE FUNCTION kwjobs.create_schedule(
    name text, recurring text, statement text DEFAULT NULL, job_type text DEFAULT NULL, arguments jsonb DEFAULT NULL,
    options jsonb DEFAULT NULL, if_not_exists boolean DEFAULT false)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_create_schedule';
COMMENT ON FUNCTION kwjobs.create_schedule(text, text, text, text, jsonb, jsonb, boolean) IS
'CREATE SCHEDULE as a function: of a SQL statement, or of a job of any type with its arguments; recurring NULL: NEVER';

CREATE FUNCTION kwjobs.alter_schedule(
    name text, recurring text DEFAULT NULL, statement text DEFAULT NULL, job_type text DEFAULT NULL,
    arguments jsonb DEFAULT NULL, options jsonb DEFAULT NULL, if_exists boolean DEFAULT false)
RETURNS boolean LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_alter_schedule';
COMMENT ON FUNCTION kwjobs.alter_schedule(text, text, text, text, jsonb, jsonb, boolean) IS
'ALTER SCHEDULE as a function; what is not given stays as it is; false: there is no such schedule';

CREATE FUNCTION kwjobs.pause_schedule(name text, if_exists boolean DEFAULT false, reason text DEFAULT NULL)
RETURNS boolean LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_pause_schedule';
COMMENT ON FUNCTION kwjobs.pause_schedule(text, boolean, text) IS 'PAUSE SCHEDULE as a function';

CREATE FUNCTION kwjobs.resume_schedule(name text, if_exists boolean DEFAULT false)
RETURNS boolean LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_resume_schedule';
COMMENT ON FUNCTION kwjobs.resume_schedule(text, boolean) IS 'RESUME SCHEDULE as a function';

CREATE FUNCTION kwjobs.drop_schedule(name text, if_exists boolean DEFAULT false)
RETURNS boolean LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_drop_schedule';
COMMENT ON FUNCTION kwjobs.drop_schedule(text, boolean) IS 'DROP SCHEDULE as a function';

CREATE FUNCTION kwjobs.drop_schedules(names text[], if_exists boolean DEFAULT false)
RETURNS text[] LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_drop_schedules';
COMMENT ON FUNCTION kwjobs.drop_schedules(text[], boolean) IS
'DROP SCHEDULES as a function: returns the names of those that it dropped';

CREATE FUNCTION kwjobs.run_schedule(name text)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_run_schedule';
COMMENT ON FUNCTION kwjobs.run_schedule(text) IS
'runs a schedule now, whatever its due times are, and returns the job_id; kwdb_internal.due_times has it, too';

-- A bare SHOW SCHEDULES becomes a CALL of this procedure, as SHOW JOBS does.
CREATE PROCEDURE pg_catalog.kwjobs_show_schedules(
    OUT id bigint, OUT name text, OUT schedule_status text, OUT next_run timestamptz, OUT state text,
    OUT recurrence text, OUT jobsrunning bigint, OUT owner text, OUT created timestamptz, OUT command text,
    OUT time_zone text, OUT last_due timestamptz, OUT last_outcome text, OUT last_duration interval,
    OUT usual_duration interval, OUT overdue interval, OUT why_paused text)
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT s.id, s.name, s.schedule_status, s.next_run, s.state, s.recurrence, s.jobsrunning, s.owner, s.created,
           s.command, s.time_zone, s.last_due, s.last_outcome, s.last_duration, s.usual_duration, s.overdue,
           s.why_paused
      FROM kwdb_internal.schedules AS s LIMIT 1;
END;
COMMENT ON PROCEDURE pg_catalog.kwjobs_show_schedules() IS
'what SHOW SCHEDULES calls; to list schedules in a query, use kwdb_internal.schedules';

CREATE FUNCTION kwdb_internal.last_tick()
RETURNS timestamptz LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kwjobs_last_tick';
COMMENT ON FUNCTION kwdb_internal.last_tick() IS
'when a coordinator of this database last looked whether a schedule is due; NULL: not since the server started';

-- One row, whatever there is. It looks at 10,000 jobs that are not over at most, so that it costs little
-- however many there are.
CREATE VIEW kwjobs.health WITH (security_barrier) AS
SELECT current_setting('kwjobs.scheduler_enabled')::boolean AS scheduler_enabled,
       kwdb_internal.coordinator_state() AS coordinator,
       kwdb_internal.last_tick() AS last_tick,
       s.next_due,
       greatest(pg_catalog.kwjobs_clock() - s.next_due, interval '0') AS late_by,
       s.schedules, s.paused_schedules, s.failing_schedules,
       j.pending, j.oldest_pending, j.running,
       current_setting('kwjobs.max_workers')::integer AS max_workers,
       j.paused_jobs, j.paused_since
  FROM (SELECT min(s.next_run) FILTER (WHERE h.here) AS next_due, count(*) AS schedules,
               count(*) FILTER (WHERE s.paused IS NOT NULL OR NOT h.here) AS paused_schedules,
               count(*) FILTER (WHERE s.failures > 0 OR s.refusals > 0) AS failing_schedules
          FROM kwjobs.schedule AS s CROSS JOIN LATERAL (
               SELECT s.home_cluster = o.cluster AND s.home_database = o.database AND s.home_table = s.tableoid AS here FROM kwjobs.home AS o) AS h) AS s,
       (SELECT count(*) FILTER (WHERE u.active_attempt IS NULL AND u.status IN ('pending', 'reverting') AND u.due <= now()) AS pending,
               min(u.due) FILTER (WHERE u.active_attempt IS NULL AND u.status IN ('pending', 'reverting') AND u.due <= now()) AS oldest_pending,
               count(*) FILTER (WHERE u.active_attempt IS NOT NULL) AS running,
               count(*) FILTER (WHERE u.status = 'paused') AS paused_jobs,
               min(u.request_time) FILTER (WHERE u.status = 'paused') AS paused_since
          FROM (SELECT k.active_attempt, k.status, k.due, k.request_time FROM kwjobs.job AS k
                 WHERE k.finished IS NULL LIMIT 10000) AS u) AS j;
COMMENT ON VIEW kwjobs.health IS
'one row for a monitor: whether schedules run, and what waits; of at most 10000 jobs that are not over';
COMMENT ON COLUMN kwjobs.health.scheduler_enabled IS 'kwjobs.scheduler_enabled';
COMMENT ON COLUMN kwjobs.health.coordinator IS 'runs, or starts when something is due; else why it cannot';
COMMENT ON COLUMN kwjobs.health.last_tick IS 'when the coordinator last looked whether a schedule is due; NULL: not since the server started';
COMMENT ON COLUMN kwjobs.health.next_due IS 'when the first schedule runs; NULL: none does';
COMMENT ON COLUMN kwjobs.health.late_by IS 'by how much that is late; more than a second: schedules do not run';
COMMENT ON COLUMN kwjobs.health.schedules IS 'how many there are';
COMMENT ON COLUMN kwjobs.health.paused_schedules IS 'how many of them are paused';
COMMENT ON COLUMN kwjobs.health.failing_schedules IS 'of how many the last run failed, or could not be created';
COMMENT ON COLUMN kwjobs.health.pending IS 'jobs that could start and wait for a worker, or for a limit';
COMMENT ON COLUMN kwjobs.health.oldest_pending IS 'since when the first of them waits';
COMMENT ON COLUMN kwjobs.health.running IS 'jobs that run in this database';
COMMENT ON COLUMN kwjobs.health.max_workers IS 'kwjobs.max_workers: how many run at a time, in all databases';
COMMENT ON COLUMN kwjobs.health.paused_jobs IS 'jobs that are paused';
COMMENT ON COLUMN kwjobs.health.paused_since IS 'since when the first of them is';

-- ---------------------------------------------------------------------------
-- Expressions of schedules
-- ---------------------------------------------------------------------------

CREATE FUNCTION kwjobs.next_runs(
    cron text, n integer, zone text DEFAULT pg_catalog.current_setting('timezone'), after timestamptz DEFAULT pg_catalog.now())
RETURNS SETOF timestamptz LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 10
AS 'MODULE_PATHNAME', 'kwjobs_next_runs';
COMMENT ON FUNCTION kwjobs.next_runs(text, integer, text, timestamptz) IS
'the next n times at which a cron expression or an interval is due in a time zone, after an instant; fewer if it is not due so often until the end of 2099';

CREATE FUNCTION kwjobs.describe(cron text)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kwjobs_describe';
COMMENT ON FUNCTION kwjobs.describe(text) IS
'says in English when a cron expression or an interval is due';

CREATE FUNCTION kwjobs.next_windows(
    "window" text, n integer DEFAULT 5, after timestamptz DEFAULT pg_catalog.now(),
    OUT opens timestamptz, OUT closes timestamptz)
RETURNS SETOF record LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 5
AS 'MODULE_PATHNAME', 'kwjobs_next_windows';
COMMENT ON FUNCTION kwjobs.next_windows(text, integer, timestamptz) IS
'the next n times in which a window is open, from an instant on; opens is that instant if it is open then, and closes infinity if it is always open';

-- ---------------------------------------------------------------------------
-- Cluster settings
-- ---------------------------------------------------------------------------

-- SET and RESET are procedures, because ALTER SYSTEM cannot be rolled back: a procedure can find
-- out that it was called in a transaction block or a function, and refuse.
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
-- Job statements call these functions and procedures in pg_catalog (why there: see above), which do
-- the same as the ones in schema kwjobs. A role needs EXECUTE on the one here to run the statement.
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

CREATE FUNCTION pg_catalog.kwjobs_import_table(
    definition text, files text[], options jsonb, definition_file text)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import_table';
COMMENT ON FUNCTION pg_catalog.kwjobs_import_table(text, text[], jsonb, text) IS
'what IMPORT TABLE ... WITH detached calls; in a query, use kwjobs.import_table';

CREATE PROCEDURE pg_catalog.kwjobs_import_table_and_wait(
    definition text, files text[], options jsonb, definition_file text,
    OUT job_id bigint, OUT status text, OUT fraction_completed double precision,
    OUT rows bigint, OUT abandon_rows text, OUT reject_rows text, OUT note text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import_table_and_wait';
COMMENT ON PROCEDURE pg_catalog.kwjobs_import_table_and_wait(text, text[], jsonb, text) IS
'what IMPORT TABLE calls; by hand, use kwjobs.import_table_and_wait';

CREATE FUNCTION pg_catalog.kwjobs_import_database(directory text, options jsonb)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import_database';
COMMENT ON FUNCTION pg_catalog.kwjobs_import_database(text, jsonb) IS
'what IMPORT DATABASE ... WITH detached calls; in a query, use kwjobs.import_database';

CREATE PROCEDURE pg_catalog.kwjobs_import_database_and_wait(
    directory text, options jsonb,
    OUT job_id bigint, OUT status text, OUT fraction_completed double precision,
    OUT rows bigint, OUT abandon_rows text, OUT reject_rows text, OUT note text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_import_database_and_wait';
COMMENT ON PROCEDURE pg_catalog.kwjobs_import_database_and_wait(text, jsonb) IS
'what IMPORT DATABASE calls; by hand, use kwjobs.import_database_and_wait';

CREATE FUNCTION pg_catalog.kwjobs_export(
    directory text, target regclass, query text, database text, options jsonb, tables regclass[])
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_export';
COMMENT ON FUNCTION pg_catalog.kwjobs_export(text, regclass, text, text, jsonb, regclass[]) IS
'what EXPORT ... WITH detached calls; in a query, use kwjobs.export';

CREATE PROCEDURE pg_catalog.kwjobs_export_and_wait(
    directory text, target regclass, query text, database text, options jsonb, tables regclass[],
    OUT filename text, OUT rows bigint, OUT node_id integer, OUT file_num bigint, OUT job_id bigint)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_export_and_wait';
COMMENT ON PROCEDURE pg_catalog.kwjobs_export_and_wait(text, regclass, text, text, jsonb, regclass[]) IS
'what EXPORT calls; by hand, use kwjobs.export_and_wait';

CREATE FUNCTION pg_catalog.kwjobs_backup(
    directory text, tables text[], database text, options jsonb)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_backup';
COMMENT ON FUNCTION pg_catalog.kwjobs_backup(text, text[], text, jsonb) IS
'what BACKUP ... WITH detached calls; in a query, use kwjobs.backup';

CREATE PROCEDURE pg_catalog.kwjobs_backup_and_wait(
    directory text, tables text[], database text, options jsonb,
    OUT job_id bigint, OUT status text, OUT fraction_completed double precision, OUT bytes bigint)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_backup_and_wait';
COMMENT ON PROCEDURE pg_catalog.kwjobs_backup_and_wait(text, text[], text, jsonb) IS
'what BACKUP calls; by hand, use kwjobs.backup_and_wait';

CREATE FUNCTION pg_catalog.kwjobs_restore(
    directory text, tables text[], database text, options jsonb)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_restore';
COMMENT ON FUNCTION pg_catalog.kwjobs_restore(text, text[], text, jsonb) IS
'what RESTORE ... WITH detached calls; in a query, use kwjobs.restore';

CREATE PROCEDURE pg_catalog.kwjobs_restore_and_wait(
    directory text, tables text[], database text, options jsonb,
    OUT job_id bigint, OUT status text, OUT fraction_completed double precision, OUT bytes bigint)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_restore_and_wait';
COMMENT ON PROCEDURE pg_catalog.kwjobs_restore_and_wait(text, text[], text, jsonb) IS
'what RESTORE calls; by hand, use kwjobs.restore_and_wait';

CREATE FUNCTION pg_catalog.kwjobs_show_backup(
    directory text, OUT database text, OUT tables text[], OUT created timestamptz,
    OUT server_version text, OUT files integer, OUT bytes bigint, OUT checksums_right boolean,
    OUT problem text, OUT verified text)
RETURNS SETOF record LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_show_backup';
COMMENT ON FUNCTION pg_catalog.kwjobs_show_backup(text) IS
'what SHOW BACKUP calls; in a query, use kwjobs.show_backup';

-- "table" is a word of the grammar, so the argument is called target, as it is for IMPORT.
CREATE FUNCTION pg_catalog.kwjobs_create_statistics(
    name text, target regclass, columns text[], throttling double precision)
RETURNS bigint LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_create_statistics';
COMMENT ON FUNCTION pg_catalog.kwjobs_create_statistics(text, regclass, text[], double precision) IS
'what CREATE STATISTICS ... FROM ... WITH OPTIONS DETACHED calls; in a query, use kwjobs.create_job';

CREATE PROCEDURE pg_catalog.kwjobs_create_statistics_and_wait(
    name text, target regclass, columns text[], throttling double precision)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_create_statistics_and_wait';
COMMENT ON PROCEDURE pg_catalog.kwjobs_create_statistics_and_wait(text, regclass, text[], double precision) IS
'what CREATE STATISTICS name FROM table calls';

CREATE FUNCTION pg_catalog.kwjobs_for_schedule(name text, if_not_exists boolean)
RETURNS text LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_for_schedule';
COMMENT ON FUNCTION pg_catalog.kwjobs_for_schedule(text, boolean) IS
'what CREATE SCHEDULE ... FOR a job statement calls before it';

CREATE FUNCTION pg_catalog.kwjobs_wants_job()
RETURNS boolean LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_wants_job';
COMMENT ON FUNCTION pg_catalog.kwjobs_wants_job() IS
'whether the job in CREATE SCHEDULE ... FOR a job statement is to be checked; not if there is such a schedule already';

CREATE PROCEDURE pg_catalog.kwjobs_create_schedule_of_job(
    name text, job_id bigint, recurring text, options jsonb, if_not_exists boolean)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_create_schedule_of_job';
COMMENT ON PROCEDURE pg_catalog.kwjobs_create_schedule_of_job(text, bigint, text, jsonb, boolean) IS
'what CREATE SCHEDULE ... FOR a job statement calls; by hand, use kwjobs.create_schedule';

CREATE FUNCTION pg_catalog.kwjobs_for_altered_schedule(name text, if_exists boolean)
RETURNS text LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_for_altered_schedule';
COMMENT ON FUNCTION pg_catalog.kwjobs_for_altered_schedule(text, boolean) IS
'what ALTER SCHEDULE ... FOR a job statement calls before it';

CREATE PROCEDURE pg_catalog.kwjobs_alter_schedule_of_job(
    name text, job_id bigint, recurring text, options jsonb, if_exists boolean)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_alter_schedule_of_job';
COMMENT ON PROCEDURE pg_catalog.kwjobs_alter_schedule_of_job(text, bigint, text, jsonb, boolean) IS
'what ALTER SCHEDULE ... FOR a job statement calls; by hand, use kwjobs.alter_schedule';

CREATE PROCEDURE pg_catalog.kwjobs_create_schedule(
    name text, recurring text, statement text, job_type text, arguments jsonb, options jsonb, if_not_exists boolean)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_create_schedule';
COMMENT ON PROCEDURE pg_catalog.kwjobs_create_schedule(text, text, text, text, jsonb, jsonb, boolean) IS
'what CREATE SCHEDULE ... FOR SQL calls; by hand, use kwjobs.create_schedule';

CREATE PROCEDURE pg_catalog.kwjobs_alter_schedule(
    name text, recurring text, statement text, job_type text, arguments jsonb, options jsonb, if_exists boolean)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_alter_schedule';
COMMENT ON PROCEDURE pg_catalog.kwjobs_alter_schedule(text, text, text, text, jsonb, jsonb, boolean) IS
'what ALTER SCHEDULE calls; by hand, use kwjobs.alter_schedule';

CREATE PROCEDURE pg_catalog.kwjobs_pause_schedule(name text, if_exists boolean, reason text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_pause_schedule';
COMMENT ON PROCEDURE pg_catalog.kwjobs_pause_schedule(text, boolean, text) IS
'what PAUSE SCHEDULE calls; by hand, use kwjobs.pause_schedule';

CREATE PROCEDURE pg_catalog.kwjobs_resume_schedule(name text, if_exists boolean)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_resume_schedule';
COMMENT ON PROCEDURE pg_catalog.kwjobs_resume_schedule(text, boolean) IS
'what RESUME SCHEDULE calls; by hand, use kwjobs.resume_schedule';

CREATE PROCEDURE pg_catalog.kwjobs_drop_schedule(name text, if_exists boolean)
LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_drop_schedule';
COMMENT ON PROCEDURE pg_catalog.kwjobs_drop_schedule(text, boolean) IS
'what DROP SCHEDULE calls; by hand, use kwjobs.drop_schedule';

CREATE FUNCTION pg_catalog.kwjobs_drop_schedules(names text[], if_exists boolean)
RETURNS text[] LANGUAGE c
AS 'MODULE_PATHNAME', 'kwjobs_drop_schedules';
COMMENT ON FUNCTION pg_catalog.kwjobs_drop_schedules(text[], boolean) IS
'what DROP SCHEDULES calls; in a query, use kwjobs.drop_schedules';

CREATE FUNCTION pg_catalog.kwjobs_schedule_jobs(name text)
RETURNS bigint[] LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'kwjobs_schedule_jobs';
COMMENT ON FUNCTION pg_catalog.kwjobs_schedule_jobs(text) IS
'what SHOW JOBS FOR SCHEDULE calls; in a query, use kwdb_internal.due_times';

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
-- Rights. The DO block revokes all rights, including those that ALTER DEFAULT PRIVILEGES gave to
-- roles. Then PUBLIC is granted the rights on what is meant for users, even if ALTER DEFAULT
-- PRIVILEGES took them from PUBLIC.
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
                 WHERE p.pronamespace IN ('kwjobs'::pg_catalog.regnamespace, 'kwdb_internal'::pg_catalog.regnamespace)
                    OR p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
                       AND pg_catalog.starts_with(p.proname, 'kwjobs_')) AS o (object, acl, owner, kind),
               pg_catalog.aclexplode(coalesce(o.acl, pg_catalog.acldefault(o.kind::"char", o.owner))) AS a
         WHERE a.grantee <> o.owner
    LOOP
        EXECUTE revoke;
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA kwjobs, kwdb_internal TO PUBLIC;
GRANT SELECT ON kwdb_internal.jobs, kwdb_internal.job_attempts, kwdb_internal.job_events, kwdb_internal.job_history,
    kwjobs.running, kwjobs.progress, kwjobs.my_jobs, kwjobs.list, kwjobs.holds, kwjobs.queues,
    kwjobs.errands, kwdb_internal.schedules, kwdb_internal.due_times, kwjobs.my_schedules,
    kwjobs.my_due_times, kwjobs.health TO PUBLIC;
GRANT SELECT, DELETE ON kwjobs.schedule_control TO PUBLIC;
GRANT SELECT (job_id), UPDATE (verb, reason) ON kwjobs.job_control TO PUBLIC;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA kwjobs, kwdb_internal TO PUBLIC;
GRANT EXECUTE ON ROUTINE pg_catalog.kwjobs_installed, pg_catalog.kwjobs_may_control,
    pg_catalog.kwjobs_job_id, pg_catalog.kwjobs_job_ids, pg_catalog.kwjobs_shown, pg_catalog.kwjobs_show_window,
    pg_catalog.kwjobs_waiting, pg_catalog.kwjobs_paused, pg_catalog.kwjobs_first, pg_catalog.kwjobs_control,
    pg_catalog.kwjobs_control_jobs, pg_catalog.kwjobs_control_all, pg_catalog.kwjobs_job_type, pg_catalog.kwjobs_all_jobs,
    pg_catalog.kwjobs_show_jobs, pg_catalog.kwjobs_server_jobs,
    pg_catalog.kwjobs_when_complete, pg_catalog.kwjobs_import,
    pg_catalog.kwjobs_import_and_wait, pg_catalog.kwjobs_import_table,
    pg_catalog.kwjobs_import_table_and_wait, pg_catalog.kwjobs_import_database,
    pg_catalog.kwjobs_import_database_and_wait, pg_catalog.kwjobs_export, pg_catalog.kwjobs_export_and_wait,
    pg_catalog.kwjobs_backup, pg_catalog.kwjobs_backup_and_wait,
    pg_catalog.kwjobs_restore, pg_catalog.kwjobs_restore_and_wait,
    pg_catalog.kwjobs_show_backup, pg_catalog.kwjobs_create_statistics,
    pg_catalog.kwjobs_create_statistics_and_wait, pg_catalog.kwjobs_clock, pg_catalog.kwjobs_show_schedules,
    pg_catalog.kwjobs_for_schedule, pg_catalog.kwjobs_create_schedule_of_job, pg_catalog.kwjobs_create_schedule,
    pg_catalog.kwjobs_for_altered_schedule, pg_catalog.kwjobs_wants_job, pg_catalog.kwjobs_alter_schedule_of_job,
    pg_catalog.kwjobs_alter_schedule, pg_catalog.kwjobs_pause_schedule, pg_catalog.kwjobs_resume_schedule,
    pg_catalog.kwjobs_drop_schedule, pg_catalog.kwjobs_drop_schedules, pg_catalog.kwjobs_schedule_jobs,
    pg_catalog.kwjobs_set_cluster_setting,
    pg_catalog.kwjobs_reset_cluster_setting, pg_catalog.kwjobs_cluster_setting TO PUBLIC;
REVOKE EXECUTE ON FUNCTION kwdb_internal.control_trigger(), kwdb_internal.drop_trigger() FROM PUBLIC;
