/*
 * src/shared/launch.h
 *	  The life of coordinators, in shared memory: the launcher starts them, they come and go.
 *
 * Each function takes kwj_shared->lock for a moment; none raises an error. The launcher calls the
 * first half, coordinators the second.
 */
#ifndef KWJ_SHARED_LAUNCH_H
#define KWJ_SHARED_LAUNCH_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * This process is the launcher until it exits. Coordinators that an earlier launcher has started,
 * and that have not attached, count as dead.
 */
extern void kwj_shared_set_launcher(void);

/* What is known of a coordinator that has exited or never came to life. */
typedef struct KwjLeft
{
	Oid			dboid;
	TimestampTz launched;		/* when the launcher started it */
	bool		at_home;		/* it had completed a pass, so the database has kwjobs */
	bool		asked;			/* kwj_need_coordinator() was called meanwhile */
	bool		in_order;		/* it left by itself or for a command; else it died */
	TimestampTz due;			/* with in_order: when its successor has something to do; DT_NOEND: unknown */
	bool		interrupted;	/* see kwj_shared_attach_coordinator() */
	bool		start_unrecorded;	/* see server_start.h */
} KwjLeft;

/*
 * Takes a coordinator that has exited or never came to life, and frees its entry. Returns false if
 * there is none. The launcher has to remember *left, which nothing else knows any more. Databases
 * on which there is a hold are left for later.
 */
extern bool kwj_shared_take_left(KwjLeft *left);

/*
 * Takes a database that needs a coordinator and has none; false if there is none. *any becomes true
 * if so many databases asked that some were forgotten, so that the launcher has to visit all;
 * otherwise it is left alone. To be called until it returns false.
 */
extern bool kwj_shared_take_wanted(Oid *dboid, bool *any);

/*
 * Returns whether one more coordinator may be started now. If not, *again says when to ask again,
 * unless a coordinator exits first, which wakes the launcher.
 *
 * If all places are taken, a coordinator is told to leave: one that has nothing to do, else one
 * that is blocked in its first pass, else the one that has been there longest, once it has had its
 * turn. *crowded: coordinators with something to do take turns.
 */
extern bool kwj_shared_has_place(TimestampTz *again, bool *crowded);

/*
 * Called when the postmaster has no slot for another coordinator: tells one to leave, chosen as
 * above. Returns when to try again.
 */
extern TimestampTz kwj_shared_make_place(void);

typedef enum KwjStarting
{
	KWJ_STARTING,				/* the coordinator may be started */
	KWJ_RUNS_ALREADY,			/* there is one already; the launcher waits until it exits */
	KWJ_IS_HELD,				/* there is a hold on the database; the launcher is woken when it ends */
	KWJ_NO_ENTRY,				/* all entries are in use */
} KwjStarting;

/*
 * Makes the database's entry STARTING, before the launcher asks the postmaster for a coordinator.
 * interrupted and record_start are what that has to know, see KwjLeft. *launch: the number to pass
 * to kwj_shared_coordinator_gone().
 */
extern KwjStarting kwj_shared_coordinator_starting(Oid dboid, bool interrupted, bool record_start,
												   uint32 *launch);

/* The postmaster had no slot for that coordinator: takes kwj_shared_coordinator_starting() back. */
extern void kwj_shared_coordinator_refused(Oid dboid);

/*
 * The postmaster says that the coordinator with this number has exited. If it never attached, its
 * entry becomes LEFT, as if it had died.
 */
extern void kwj_shared_coordinator_gone(Oid dboid, uint32 launch);

/* ---- coordinator ---- */

/*
 * Makes this process the coordinator of the database until it exits. To be called before
 * connecting. Returns false if the launcher has not started it, or another one has taken its place,
 * or there is a hold. *interrupted: the attempts that its predecessor left were ended by a hold, or
 * by an orderly stop of the server.
 */
extern bool kwj_shared_attach_coordinator(Oid dboid, bool *interrupted);

/*
 * This coordinator has completed its first pass, so the database has kwjobs. Wakes the launcher,
 * which may start others.
 */
extern void kwj_shared_coordinator_at_home(void);

/* This coordinator is about to exit and needs no successor, because the database has no kwjobs. */
extern void kwj_shared_coordinator_leaves_for_good(void);

/* Tells the launcher since when this coordinator has nothing to do; 0: it is busy. */
extern void kwj_shared_coordinator_idle(TimestampTz since);

/* Returns whether another database needs this coordinator's place. */
extern bool kwj_shared_told_to_leave(void);

/* What keeps a coordinator that would leave from doing so. */
typedef enum KwjStay
{
	KWJ_STAY_FOR_ANYTHING,		/* news since its last pass began, or any worker of the database */
	KWJ_STAY_FOR_STARTED,		/* a worker that was started and has yet to attach */
	KWJ_STAY_FOR_NOTHING,
} KwjStay;

/*
 * This coordinator wants to exit. due: when its successor has something to do; DT_NOEND: when
 * somebody asks for it. Returns false if something of the kind that `stay` names keeps it: then it
 * must not exit. If there is news, or a worker has yet to attach, and that does not keep it, its
 * successor is due at once.
 */
extern bool kwj_shared_coordinator_leaves(TimestampTz due, KwjStay stay);

/*
 * Returns whether this process, a coordinator or worker, is to exit because a command needs its
 * database, or another database its place.
 */
extern bool kwj_shared_is_dismissed(void);

#endif
