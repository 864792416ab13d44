/*
 * src/shared/launch.h
 *	  The life of coordinators, in shared memory: the launcher starts them, they come and go.
 */
#ifndef KWJ_SHARED_LAUNCH_H
#define KWJ_SHARED_LAUNCH_H

#include "kwjobs.h"
#include "utils/timestamp.h"

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

/* What keeps a coordinator that would leave. */
typedef enum KwjStay
{
	KWJ_STAY_FOR_ANYTHING,		/* something that has changed since its last pass began, any worker of the database */
	KWJ_STAY_FOR_STARTED,		/* a worker that has yet to attach */
	KWJ_STAY_FOR_NOTHING,
} KwjStay;

/*
 * This coordinator is about to exit, and its successor has nothing to do before that time (DT_NOEND: until
 * somebody asks for it). False, and it must stay, if there is something of that kind. If something has changed, or a worker
 * has yet to attach, and that does not keep it, its successor is due at once.
 */
extern bool kwj_shared_coordinator_leaves(TimestampTz due, KwjStay stay);

/*
 * Whether this process, a coordinator or a worker, was sent away by somebody who needs its database, or its place.
 */
extern bool kwj_shared_is_dismissed(void);

#endif
