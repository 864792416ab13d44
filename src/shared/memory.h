/*
 * src/shared/memory.h
 *	  The layout of kwjobs's shared memory. Included by src/shared only, which is the only
 *	  code that touches it.
 *
 * Nothing here survives a restart, and nothing has to: the tables are the truth.
 *
 * One LWLock protects everything but progress, which has its own atomics and
 * spinlock, and the condition variables. Nothing is waited for, and no error
 * raised, while it is held. Signals are sent only while it is held, to a process
 * whose entry says that it is still there: entries are cleared by exit callbacks, so
 * a process in an entry is never somebody else's.
 */
#ifndef KWJ_SHARED_MEMORY_H
#define KWJ_SHARED_MEMORY_H

#include "kwjobs.h"
#include "job/progress.h"
#include "port/atomics.h"
#include "shared/queue.h"
#include "shared/start.h"
#include "shared/wait.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

#define KWJ_WAIT_PLACES			64

/* Entries beyond those that coordinators may have: commands put holds on databases without one. */
#define KWJ_HOLD_ENTRIES		32

/* So many databases may ask for a coordinator between two looks of the launcher. */
#define KWJ_WANTED				256

/*
 * What the entry of a database is there for. A database in which nothing of kwjobs happens has no entry: the
 * launcher remembers when the next coordinator has something to do there (launcher.c).
 *
 *	  IDLE -> STARTING -> RUNNING -> LEFT -> (free, or IDLE while a command holds the database)
 *
 * The launcher makes an entry STARTING and frees those that are LEFT, the coordinator makes its own RUNNING and, when
 * it exits, LEFT. A command makes an entry IDLE, for its hold, if there is none.
 */
typedef enum DatabaseState
{
	DATABASE_IDLE,				/* no coordinator: the entry is there because of a hold */
	DATABASE_STARTING,			/* the launcher has asked the postmaster for a coordinator */
	DATABASE_RUNNING,			/* the coordinator runs: proc is its */
	DATABASE_LEFT,				/* the coordinator is gone; the launcher has yet to see why */
} DatabaseState;

/* An attempt whose worker left, in order, before the work began. */
typedef struct KwjUnbegun
{
	Oid			dboid;			/* a copied database has jobs with the same ids */
	int64		job_id;			/* 0: none */
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
	uint32		launch;			/* the number of the coordinator's start, see Started in launcher.c */
	TimestampTz launched;		/* when it was started */
	bool		at_home;		/* it has found kwjobs there, */
	TimestampTz home_since;		/* with at_home: at that time */
	TimestampTz idle_since;		/* it has nothing to do now; 0: it has */
	TimestampTz told_to_leave;	/* another database needs its place; 0: none does */
	bool		asked;			/* somebody asked for a coordinator since this one came, or decided to leave */
	bool		in_order;		/* it leaves by itself, or a hold made it leave */
	TimestampTz due;			/* with in_order: when the next one has something to do; DT_NOEND: nothing is known */
	bool		interrupted;	/* a hold, or a stop of the server, ended what ran there */
	KwjQueue	queue;			/* which jobs wait for a worker */
	TimestampTz limited_since;	/* when queue.limited became that role */
	TimestampTz limited_woken;	/* see kwj_is_kept_for_others; 0: not since the queue was set */
	bool		watched;		/* see kwj_shared_watch */
	bool		overlooked;		/* see kwj_shared_take_overlooked */
	bool		finds_overlooked;	/* the coordinator has taken that, and has not found them all yet */
	TimestampTz lowest_rank;	/* see kwj_shared_take_lowest_rank */
	bool		released;		/* see kwj_shared_take_released */
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
	bool		dismissed;		/* a command on the database has sent it away */
	/* set by the worker without the lock, unset with it */
	bool		begun;			/* its work may have */
	/* with the lock again */
	bool		committing;		/* its work is over: interrupts are too late */
	int64		next_job_id;	/* 0: none */
	int32		next_attempt;
	int64		waits_for;		/* the job for which the attempt waits; 0: none */
	KwjWaitVerdict wait_verdict;
	PGPROC	   *proc;			/* NULL until the worker is attached */

	/* see KwjProgress */
	KwjProgress progress;
} KwjSlot;

/* A job that a coordinator leaves alone: see kwj_shared_set_aside. */
#define KWJ_ASIDES		32

typedef struct KwjAside
{
	Oid			dboid;			/* InvalidOid: free */
	int64		job_id;
	char		why[200];
} KwjAside;

typedef struct KwjShared
{
	LWLock	   *lock;
	PGPROC	   *launcher;		/* protected by lock; NULL: none */
	int			max_coordinators;	/* set by the postmaster */
	uint32		launches;		/* protected by lock; how many coordinators were started */
	/* protected by lock; see kwj_shared_take_overlooked: there may be such jobs in any database without a coordinator */
	bool		overlooked_unseen;
	bool		no_slot;		/* protected by lock; the postmaster had no slot for the last coordinator */
	bool		place_wanted;	/* protected by lock; the launcher waits for a coordinator to leave */
	/* protected by lock: databases without a coordinator that need one, for the launcher */
	int			n_wanted;		/* more than KWJ_WANTED: there are others, too */
	Oid			wanted[KWJ_WANTED];
	Oid			starving;		/* protected by lock; a database that has no worker and waits for one */
	TimestampTz starving_woken; /* protected by lock; see kwj_do_others_starve; 0: not since it looked */
	KwjServerStart server_start;
	pg_atomic_uint64 last_tick; /* of job ids */
	char		admin_role[NAMEDATALEN];	/* protected by lock; of the server, cut to its length */
	ConditionVariable left;		/* a coordinator or worker is gone */
	ConditionVariable job_changed[KWJ_WAIT_PLACES];	/* by job id */

	/* protected by lock: the latest attempts that were not begun, over and over */
	int			next_unbegun;
	int			n_unbegun;		/* so many of them have no new worker yet */
	/* protected by lock; the number may be read without it */
	volatile int n_asides;
	KwjAside	asides[KWJ_ASIDES];
	/* kwj_entries databases, then kwj_worker_slots slots, then kwj_max_unbegun attempts */
} KwjShared;

/* each worker may leave one behind, and then another before the coordinator has looked */
#define kwj_max_unbegun	(2 * kwj_worker_slots)

#define kwj_entries	(kwj_max_databases + KWJ_HOLD_ENTRIES)

extern KwjShared *kwj_shared;
extern KwjDatabase *kwj_databases;
extern KwjSlot *kwj_slots;
extern KwjUnbegun *kwj_unbegun;

#endif
