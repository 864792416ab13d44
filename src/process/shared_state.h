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
#include "utils/timestamp.h"

/* Ask for the memory, from _PG_init in the postmaster. */
extern void kwj_shared_init(void);

/* Whether it is there: false if the library was not preloaded. */
extern bool kwj_shared_ready(void);

/* Job statements do not work in this server: no process accepts them any more. */
extern void kwj_shared_turn_statements_off(void);

/* ---- launcher ---- */

/* This process is the launcher from now on, until it exits. */
extern void kwj_shared_set_launcher(void);

/* The databases to which a coordinator should be started. */
typedef struct KwjWanted
{
	Oid			dboid;
	TimestampTz not_before;		/* it died young: not before this */
} KwjWanted;

/*
 * The next database that wants a coordinator; false if there is none, or if enough
 * coordinators are just looking for kwjobs in theirs: they wake the launcher when
 * they know. A database whose turn has not come yet is returned if there is no other.
 */
extern bool kwj_shared_next_wanted(KwjWanted *wanted);

/* A coordinator is being started there; false if it is not wanted any more. */
extern bool kwj_shared_coordinator_starting(Oid dboid);

/* Nobody can connect to that database: it gets no coordinator. */
extern void kwj_shared_forget_database(Oid dboid);

/* It could not be started; try again at not_before. */
extern void kwj_shared_coordinator_refused(Oid dboid, TimestampTz not_before);

/*
 * The postmaster says that the coordinator started for this database is gone.
 * If it never came to life, its entry is wanted again.
 */
extern void kwj_shared_coordinator_gone(Oid dboid);

/*
 * Have a coordinator started in this database: from the launcher at its start,
 * from sessions after CREATE EXTENSION or with a job to run. Does nothing if there is
 * one. Wakes the launcher.
 */
extern void kwj_shared_want_coordinator(Oid dboid);

/* ---- coordinator ---- */

/*
 * This process is the coordinator of that database from now on, until it exits.
 * Call it before connecting. False if there is one already, or a hold.
 * *interrupted: the attempts that its predecessor left were ended by a hold.
 */
extern bool kwj_shared_attach_coordinator(Oid dboid, bool *interrupted);

/* This coordinator has found kwjobs in its database, and stays. */
extern void kwj_shared_coordinator_at_home(void);

/* This coordinator leaves and needs no successor: the database has no kwjobs. */
extern void kwj_shared_coordinator_leaves_for_good(void);

/* A worker of this database, copied. */
typedef struct KwjWorkerInfo
{
	int			slot;
	uint32		generation;
	int64		job_id;
	int32		attempt;
	int			pid;			/* 0: not attached yet */
	TimestampTz launched;
} KwjWorkerInfo;

/* The workers of this database; returns their number (array of kwj_max_workers). */
extern int	kwj_shared_workers(KwjWorkerInfo *workers);

/* How many slots are free. */
extern int	kwj_shared_free_slots(void);

/* Take a free slot for an attempt; -1 if there is none, or a hold. */
extern int	kwj_shared_reserve_slot(int64 job_id, int32 attempt, Oid role, uint32 *generation);

/* Give a slot back whose worker never came to life. */
extern void kwj_shared_free_slot(int slot, uint32 generation);

/*
 * Tell the attempt about a request, and interrupt what it does if asked to. False
 * if the slot holds it no more.
 */
extern bool kwj_shared_deliver(int slot, uint32 generation, KwjRequest request,
							   bool interrupt);

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

/* ---- sessions ---- */

typedef struct KwjLive
{
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
} KwjLive;

/* Between 0 and 1. */
extern double kwj_live_fraction(const KwjLive *live);

/*
 * Progress of the attempts of this database, or of all; returns their number (array of
 * kwj_max_workers).
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
