/*
 * src/process/shared_internal.h
 *	  The layout of kwjobs's shared memory. Included by shared_*.c only: they are
 *	  the only code that touches it.
 *
 * One LWLock protects everything but progress, which has its own atomics and
 * spinlock, and the condition variables. Nothing is waited for, and no error
 * raised, while it is held. Signals are sent only while it is held, to a process
 * whose entry says that it is still there: entries are cleared by exit callbacks, so
 * a process in an entry is never somebody else's.
 */
#ifndef KWJ_PROCESS_SHARED_INTERNAL_H
#define KWJ_PROCESS_SHARED_INTERNAL_H

#include "process/server_start.h"
#include "process/shared_state.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

#define KWJ_WAIT_PLACES			64

typedef enum DatabaseState
{
	DATABASE_IDLE,				/* known because of a hold only */
	DATABASE_WANTED,			/* a coordinator is to be started */
	DATABASE_STARTING,			/* the launcher has asked the postmaster for it */
	DATABASE_RUNNING,			/* it runs: proc is its */
} DatabaseState;

#define KWJ_UNBEGUN		16

typedef struct KwjUnbegun
{
	int64		job_id;
	int32		attempt;
} KwjUnbegun;

/* Protected by kwj_shared->lock. */
typedef struct KwjDatabase
{
	Oid			dboid;			/* InvalidOid: free entry */
	DatabaseState state;
	int			holds;			/* sessions that want it idle */
	int			waits_end;		/* those of them that waiting sessions make way for */
	PGPROC	   *proc;			/* with DATABASE_RUNNING */
	TimestampTz launched;
	TimestampTz not_before;		/* with DATABASE_WANTED */
	int			died_young;		/* times in a row */
	bool		at_home;		/* with DATABASE_RUNNING: it has found kwjobs there */
	bool		asked;			/* for a coordinator, since the present one came */
	bool		interrupted;	/* a hold, or a stop of the server, ended what ran there */
	KwjQueue	queue;			/* who waits for a worker */
	bool		watched;		/* see kwj_shared_watch */
	bool		overlooked;		/* see kwj_shared_take_overlooked */
	TimestampTz lowest_rank;	/* see kwj_shared_take_lowest_rank */

	/* attempts whose workers left before they began, the latest of them */
	int			n_unbegun;		/* may exceed KWJ_UNBEGUN */
	KwjUnbegun	unbegun[KWJ_UNBEGUN];
	bool		start_unrecorded;	/* the start of the server is to become a job there */
} KwjDatabase;

/*
 * A worker's life: reserved for a job (proc NULL), attached, then by turns idle (job_id 0)
 * and with a job. A job is assigned by the coordinator before its claim is committed and handed
 * over afterwards, or announced by the worker itself (next_job_id) before and begun afterwards:
 * so a committed claim always has a slot.
 */
typedef struct KwjSlot
{
	/* protected by kwj_shared->lock */
	bool		in_use;
	uint32		generation;		/* of its workers */
	Oid			dboid;
	Oid			role;
	int64		job_id;			/* 0: idle */
	int32		attempt;
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz since;			/* it has the job, or is idle */
	bool		handed_over;	/* the claim of job_id is committed */
	bool		leave;			/* it gets no more jobs */
	/* set by the worker without the lock, unset with it */
	bool		begun;			/* its work may have */
	bool		committing;		/* its work is over: interrupts are too late */
	/* with the lock again */
	int64		next_job_id;	/* 0: none */
	int32		next_attempt;
	int64		waits_for;		/* the job for which the attempt waits; 0: none */
	KwjWaitVerdict wait_verdict;
	PGPROC	   *proc;			/* NULL until the worker is attached */

	/* see KwjProgress */
	KwjProgress progress;
} KwjSlot;

typedef struct KwjShared
{
	LWLock	   *lock;
	PGPROC	   *launcher;		/* protected by lock; NULL: none */
	Oid			starving;		/* protected by lock; a database that has no worker and waits for one */
	KwjServerStart server_start;
	pg_atomic_uint64 last_tick; /* of job ids */
	char		admin_role[NAMEDATALEN];	/* protected by lock; of the server, cut to its length */
	volatile bool statements_off;	/* set once by the launcher, before anybody asks */
	ConditionVariable left;		/* a coordinator or worker is gone */
	ConditionVariable job_changed[KWJ_WAIT_PLACES];	/* by job id */
	/* kwj_max_databases databases, then kwj_max_workers slots */
} KwjShared;

extern KwjShared *kwj_shared;
extern KwjDatabase *kwj_databases;
extern KwjSlot *kwj_slots;

/* ---- pieces; the caller holds the lock ---- */

/* The entry of that database; NULL if there is none. */
extern KwjDatabase *kwj_find_database(Oid dboid);

/* The coordinator of that database has to look at everything again. */
extern void kwj_unsettle(Oid dboid);

/* Set a process's latch; NULL: nobody. */
extern void kwj_wake(PGPROC *proc);

/* Wake the coordinator of that database, if it runs. */
extern void kwj_wake_coordinator_of(Oid dboid);

extern void kwj_wake_all_coordinators(void);

/* A worker of that database is idle: wake its coordinator and those with jobs that wait. */
extern void kwj_wake_waiting_coordinators(Oid dboid);

/* That database has a worker, or needs none. */
extern void kwj_not_starving(Oid dboid);

/* A new job, or none (0), for the slot: nothing of the last one is left. */
extern void kwj_set_job(KwjSlot *slot, int64 job_id, int32 attempt, const char *job_type,
						bool handed_over);

/* A slot has no worker any more. */
extern void kwj_free_slot(KwjSlot *slot);

/*
 * This coordinator leaves: what it has assigned and not handed over is nobody's, nor is a slot whose
 * worker has not attached. The next coordinator could not tell whether the postmaster was asked for
 * that worker; if it still comes, it finds its slot gone, and leaves.
 */
extern void kwj_take_assignments_back(Oid dboid);

/* ---- pieces; the caller does not hold it ---- */

/* A transaction of this process changed a job (see job/wakeup.h). */
extern void kwj_wake_my_coordinator(TimestampTz lowest_rank);

/* A transaction of this process could not tell jobs that depend on one that is over. */
extern void kwj_note_overlooked(void);

/* Whether a hold ends the waits of this database. */
extern bool kwj_waits_must_end(void);

/* See KwjWaitHooks; of other processes than workers nothing is noted. */
extern void kwj_set_wait(int64 job_id);
extern KwjWaitVerdict kwj_my_wait_verdict(void);

/* Wake the sessions that wait for this job; 0: for any. */
extern void kwj_wake_waiters(int64 job_id);

/* Whether this process is the worker in that slot. */
extern bool kwj_is_my_slot(int slot);

#endif
