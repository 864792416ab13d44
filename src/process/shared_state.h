/*
 * src/process/shared_state.h
 *	  What kwjobs keeps in shared memory: databases with a coordinator, workers,
 *	  places to wait. shared_state.c is the only code that touches it.
 *
 * Nothing here survives a restart, and nothing has to: the tables are the truth.
 */
#ifndef KWJ_PROCESS_SHARED_STATE_H
#define KWJ_PROCESS_SHARED_STATE_H

#include "kwjobs.h"
#include "job/progress.h"
#include "job/wait.h"
#include "utils/timestamp.h"

/* How many jobs a coordinator sets out for its workers at once: the most, the least. */
#define KWJ_QUEUE_LEN		512
#define KWJ_QUEUE_MIN		16

/* A job type's name with its NUL. */
#define KWJ_JOB_TYPE_LEN	32

/*
 * Slots of workers: one more than jobs may run at the same time. When all those jobs are of one role, the last slot is
 * for a job of another role (shared_slot.c).
 */
#define kwj_worker_slots	(kwj_max_workers + 1)

/* Ask for the memory, from _PG_init in the postmaster. */
extern void kwj_shared_init(void);

/* Whether it is there: false if the library was not preloaded. */
extern bool kwj_shared_ready(void);

/*
 * The admin role of the server, whatever sessions, databases and roles have for kwjobs.admin_role; set
 * by the launcher.
 */
extern void kwj_shared_set_admin_role(const char *name);
extern bool kwj_shared_is_admin_role(const char *name);

/* ---- launcher ---- */

/* This process is the launcher from now on, until it exits. */
extern void kwj_shared_set_launcher(void);

/* A coordinator that is gone. */
typedef struct KwjLeft
{
	Oid			dboid;
	TimestampTz launched;		/* when it was started */
	bool		at_home;		/* it had found kwjobs there */
	bool		asked;			/* somebody has asked for the next one meanwhile */
	bool		in_order;		/* it left by itself, or for a command; else it died */
	TimestampTz due;			/* with in_order: when the next one has something to do */
	bool		interrupted;	/* see kwj_shared_attach_coordinator */
	bool		start_unrecorded;	/* see server_start.h */
} KwjLeft;

/*
 * A coordinator that is gone, or never came to life; false if there is none. The launcher has to remember what it
 * gets: nobody else knows it any more. Where a command holds the database, nothing is returned until it ends.
 */
extern bool kwj_shared_take_left(KwjLeft *left);

/*
 * A database that has something for a coordinator, but has none. *any: so many databases have that any may be one;
 * then, too, the function has to be called until it returns false.
 */
extern bool kwj_shared_take_wanted(Oid *dboid, bool *any);

/*
 * Whether one more coordinator may be started now. If not, *again is when to ask again, unless a coordinator leaves
 * before, which wakes the launcher; and if all places are taken, one is asked to leave: one that has nothing to do
 * now, else one that cannot get through its first pass, else the one that is there longest, once it has had its time.
 * *crowded: coordinators that have something to do take turns.
 */
extern bool kwj_shared_has_place(TimestampTz *again, bool *crowded);

/* The postmaster has no slot for another coordinator: one of those that there are leaves, as above. */
extern TimestampTz kwj_shared_make_place(void);

typedef enum KwjStarting
{
	KWJ_STARTING,				/* the coordinator may be started */
	KWJ_RUNS_ALREADY,			/* there is one: nothing is to be done until it leaves */
	KWJ_IS_HELD,				/* a command needs the database for itself; its end wakes the launcher */
	KWJ_NO_ENTRY,				/* all entries are in use */
} KwjStarting;

/*
 * A coordinator is about to be started there. launch: a number for kwj_shared_coordinator_gone. interrupted,
 * record_start: what it has to know, see KwjLeft.
 */
extern KwjStarting kwj_shared_coordinator_starting(Oid dboid, bool interrupted, bool record_start,
												   uint32 *launch);

/* The postmaster had no slot for it: as if it had not been started. */
extern void kwj_shared_coordinator_refused(Oid dboid);

/*
 * The postmaster says that the coordinator with this number is gone. If it never came to life, it has to be
 * taken for one that is gone.
 */
extern void kwj_shared_coordinator_gone(Oid dboid, uint32 launch);

/*
 * Have a coordinator look at this database, even if there is none: for sessions that have made it, or have made the
 * extension or a job there. Wakes the launcher.
 */
extern void kwj_shared_want_coordinator(Oid dboid);

/* ---- coordinator ---- */

/*
 * This process is the coordinator of that database from now on, until it exits.
 * Call it before connecting. False if there is one already, or a hold.
 * *interrupted: the attempts that its predecessor left were ended by a hold, or by an
 * orderly stop of the server.
 */
extern bool kwj_shared_attach_coordinator(Oid dboid, bool *interrupted);

/* This coordinator has found kwjobs in its database, and stays. */
extern void kwj_shared_coordinator_at_home(void);

/* This coordinator leaves and needs no successor: the database has no kwjobs. */
extern void kwj_shared_coordinator_leaves_for_good(void);

/* This coordinator has nothing to do since then; 0: it has. */
extern void kwj_shared_coordinator_idle(TimestampTz since);

/* Whether another database needs this coordinator's place. */
extern bool kwj_shared_told_to_leave(void);

/*
 * This coordinator is about to exit, and its successor has nothing to do before that time (DT_NOEND: until
 * somebody asks for it). False, and it must stay, if something has changed since its last pass began, or if a worker
 * has yet to attach, or, with no_workers, as long as the database has any.
 */
extern bool kwj_shared_coordinator_leaves(TimestampTz due, bool no_workers);

/* A worker of this database, copied. */
typedef struct KwjWorkerInfo
{
	int			slot;
	uint32		generation;
	int64		job_id;			/* 0: idle */
	int32		attempt;
	int64		next_job_id;	/* 0: none */
	int32		next_attempt;
	int64		waits_for;		/* the job for which the attempt waits; 0: none */
	Oid			role;
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz since;			/* it has the job, or is idle */
	int			pid;			/* 0: not attached yet */
} KwjWorkerInfo;

/*
 * The workers of this database; returns their number (array of kwj_worker_slots).
 * *elsewhere: how many other databases have at that moment.
 */
extern int	kwj_shared_workers(KwjWorkerInfo *workers, int *elsewhere);

/* Whether one of these workers has the attempt. */
extern bool kwj_has_worker(const KwjWorkerInfo *workers, int n, int64 job_id, int32 attempt);

/* Whether the attempt's worker has left before the work began. */
extern bool kwj_shared_was_unbegun(int64 job_id, int32 attempt);

/* How many workers could get a job: slots that are free, workers that are idle anywhere. */
extern int	kwj_shared_capacity(void);

/* Whether all workers but the one that is kept for a role without any are busy. */
extern bool kwj_shared_has_reserve_only(void);

/* The roles of the jobs that run in other databases, one for each job (array of kwj_worker_slots). */
extern int	kwj_shared_roles_elsewhere(Oid *roles);

/*
 * Assign an attempt to an idle worker of the role in this database, or, if may_start, take a
 * free slot for it; returns the slot, and in *pid the worker's (0: it is still to be started). -1 if there
 * is neither, or a hold: then the worker that has been idle longest, whosever it is, is told
 * to leave, and a coordinator woken when it has. others_first: a slot is free, or about to be, for
 * another role, so that this one gets an idle worker only. What is assigned and not handed over
 * goes back when this process exits. *limited: the role has as many jobs in all databases as it may.
 */
extern int	kwj_shared_assign(int64 job_id, int32 attempt, const char *job_type, Oid role,
							  bool may_start, bool others_first, uint32 *generation, int *pid,
							  bool *limited);

/* The postmaster has no room for a worker: an idle one leaves. */
extern void kwj_shared_make_room(void);

/* This role cannot have a worker: those of it that are idle in this database leave. */
extern void kwj_shared_dismiss_idle(Oid role);

/* The claims are committed: the workers to which they are assigned may begin. */
extern void kwj_shared_hand_over(void);

/*
 * Whether this process, a coordinator or a worker, was sent away by somebody who needs its database, or its place.
 */
extern bool kwj_shared_is_dismissed(void);

/*
 * The claims were rolled back: what was assigned in this pass goes back, all of it or that of one
 * slot.
 */
extern void kwj_shared_take_back(void);
extern void kwj_shared_take_back_one(int slot, uint32 generation);

/* Whether there may be jobs of which nobody could note that what they depend on is over; once. */
extern bool kwj_shared_take_overlooked(void);

/* Give a slot back whose worker never came to life. */
extern void kwj_shared_free_slot(int slot, uint32 generation);

typedef enum KwjForce
{
	KWJ_TELL,					/* it looks by itself */
	KWJ_INTERRUPT,				/* and its statement is canceled */
	KWJ_TERMINATE,				/* and its process ends */
} KwjForce;

/* Tell the attempt about a request. False if the slot holds it no more. */
extern bool kwj_shared_deliver(const KwjWorkerInfo *worker, KwjRequest request, KwjForce force);

/* The worker's wait for a job ends with an error, if it still waits for that. */
extern void kwj_shared_end_wait(const KwjWorkerInfo *worker, KwjWaitVerdict verdict);

/*
 * Whether to be woken when a worker of this database has committed and goes on by itself; else it
 * is not, as it mostly has nothing to do then.
 */
extern void kwj_shared_watch(bool watch);

/*
 * Something is asked of the job that a worker has announced: watch. False if it has begun
 * it meanwhile.
 */
extern bool kwj_shared_watch_announced(const KwjWorkerInfo *worker);

/* Who waits for a worker in this database, so that none is given to others. */
typedef struct KwjQueue
{
	enum
	{
		KWJ_NOBODY_WAITS,
		KWJ_ONE_WAITS,			/* jobs of that owner and type only */
		KWJ_SEVERAL_WAIT,
	}			who;
	Oid			owner;
	char		job_type[KWJ_JOB_TYPE_LEN];

	/* with KWJ_ONE_WAITS: the most urgent of them, for workers that go on by themselves */
	int			n;
	int			taken;			/* so many of them */
	int64		job_ids[KWJ_QUEUE_LEN];

	bool		refused;		/* besides: jobs of roles that cannot have a worker now */

	/*
	 * Besides: a role of which no job runs in this database, and whose jobs wait because the role has as many in other
	 * databases as it may. InvalidOid: there is none.
	 */
	Oid			limited;
} KwjQueue;

/*
 * Who waits in this database. If it has no worker at all, workers of other databases make way
 * for it when their jobs end.
 */
extern void kwj_shared_set_queue(const KwjQueue *queue);

/*
 * What is new among the jobs of this database since the last call: the lowest rank of those that
 * were created, DT_NOEND if there are none; DT_NOBEGIN: anything may have changed.
 */
extern TimestampTz kwj_shared_take_lowest_rank(void);

/*
 * Whether a transaction has ended since the last call that may have had rows of jobs locked, or has
 * created jobs that depend on others.
 */
extern bool kwj_shared_take_released(void);

/*
 * How many jobs to set out next: a few times as many as workers have taken of those that are set out
 * now, since reading more of them than they take is work for nothing.
 */
extern int	kwj_shared_queue_length(void);

/* ---- worker ---- */

typedef struct KwjAssignment
{
	Oid			dboid;
	Oid			role;
	int64		job_id;
	int32		attempt;
} KwjAssignment;

/*
 * This process is the worker of that slot from now on, until it exits: then the
 * slot is free. Call it before connecting to the database, so that the slot is freed after
 * the session is gone. False if the slot was given to another.
 */
extern bool kwj_shared_attach_worker(int slot, uint32 generation, KwjAssignment *assignment);

/* What was handed over to this worker; false if there is nothing. */
extern bool kwj_shared_assignment(KwjAssignment *assignment);

/*
 * The next job of this type that this worker may claim itself, as no other role or type waits;
 * false if there is none. Who takes one of the last wakes the coordinator. The job may be
 * claimed, or gone, by now.
 */
extern bool kwj_shared_take_job(const char *job_type, int64 *job_id);

/* This worker is about to commit a claim. */
extern void kwj_shared_announce(int64 job_id, int32 attempt);

/* It is committed (true), or was rolled back. */
extern void kwj_shared_begin_announced(bool committed);

/* The work of the attempt begins: if the process ends from now on, it counts. */
extern void kwj_shared_begin_work(void);

/*
 * The work is over and about to be committed, or to be settled: the coordinator does not interrupt it
 * any more, which would end its wait for a synchronous standby. A signal that was sent before has
 * arrived.
 */
extern void kwj_shared_begin_commit(void);

/* This worker has no job any more. Wakes the coordinator. */
extern void kwj_shared_worker_idle(void);

/*
 * This worker leaves, and has given its job back in the tables: who leaves with a job that it has
 * not begun is taken for one that has not.
 */
extern void kwj_shared_worker_gives_back(void);

/*
 * Whether an idle worker is to leave: it was told to, or it wants to. It gets no
 * job after that.
 */
extern bool kwj_shared_worker_leaves(bool wants_to);

/* ---- what sessions are told of the server ---- */

/* A job that runs, in whatever database. */
typedef struct KwjRunning
{
	Oid			dboid;
	Oid			role;
	char		job_type[KWJ_JOB_TYPE_LEN];
} KwjRunning;

typedef enum KwjCoordinatorState
{
	KWJ_COORDINATOR_RUNS,
	KWJ_COORDINATOR_BLOCKED,	/* it waits for a lock, as on one of our tables */
	KWJ_COORDINATOR_STARTS,
	KWJ_NO_SLOT,				/* the postmaster has no slot for it */
	KWJ_NO_PLACE,				/* all that may be there are in other databases */
	KWJ_NO_LAUNCHER,			/* there is nobody who could start it */
} KwjCoordinatorState;

typedef struct KwjServerRoom
{
	KwjCoordinatorState coordinator;	/* of this database */
	int			coordinator_pid;	/* with KWJ_COORDINATOR_RUNS and KWJ_COORDINATOR_BLOCKED */
	int			n_coordinators;
	int			max_coordinators;
	int			n_running;
	KwjRunning *running;		/* array of kwj_worker_slots, from the caller */
} KwjServerRoom;

extern void kwj_shared_room(KwjServerRoom *room);

/* ---- sessions ---- */

/* Who may connect to what has changed: wake the coordinators with jobs of roles that may not. */
extern void kwj_shared_wake_refused(void);

typedef struct KwjLive
{
	Oid			dboid;
	int64		job_id;
	int32		attempt;
	Oid			owner;
	int			pid;
	uint64		done;
	uint64		total;
	uint64		rows;
	KwjRequest	request;
	bool		reverting;
	char		running_status[KWJ_RUNNING_STATUS_LEN];
	int			encoding;		/* of running_status, if that is not empty */
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz since;			/* the attempt began */
} KwjLive;

/* Between 0 and 1. */
extern double kwj_live_fraction(const KwjLive *live);

/*
 * Progress of the attempts of this database, or of all; returns their number (array of
 * kwj_worker_slots).
 */
extern int	kwj_shared_live(KwjLive *live, bool everywhere);

/*
 * Hold: have the coordinator and the workers of a database leave, wait until they have,
 * and keep new ones from starting until the hold is released. A hold goes with
 * the session at the latest. Interruptible. end_waits: sessions that wait for a job
 * there get an error.
 */
extern void kwj_shared_hold(Oid dboid, bool end_waits);

/* Release all holds of this session. gone: this database no longer exists. */
extern void kwj_shared_release_holds(Oid gone);

#endif
