/*
 * src/shared/launch.h
 *	  The life of coordinators in shared memory: how they are started, attach and exit.
 *
 * Each function takes kwj_shared->lock for a moment; none raises an error. The launcher calls the
 * first half, coordinators the second.
 */
#ifndef KWJ_SHARED_LAUNCH_H
#define KWJ_SHARED_LAUNCH_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Makes this process the launcher until it exits. Coordinators that an earlier launcher has
 * started, and that have not attached yet, count as dead.
 */
extern void kwj_shared_set_launcher(void);

/* What shared memory knows of a coordinator that has exited, or was started but never attached. */
typedef struct KwjLeft
{
	Oid			dboid;
	TimestampTz launched;		/* when the launcher started it */
	bool		looked;			/* it had completed a pass, so the database has kwjobs */
	bool		asked;			/* kwj_need_coordinator() was called meanwhile */
	bool		in_order;		/* it left by itself or for a command; otherwise it died */
	/* with in_order: when its successor has something to do; DT_NOEND: unknown */
	TimestampTz due;
	bool		interrupted;	/* see kwj_shared_attach_coordinator() */
	bool		start_unrecorded;	/* it has yet to record the start of the server, see start.h */
} KwjLeft;

/*
 * Takes a coordinator that has exited or never attached: copies what is known of it to *left, and
 * frees its entry. The launcher has to remember *left, which shared memory does not have any more.
 * Leaves out databases on which there is a lockout. Returns false if there is no such coordinator.
 */
extern bool kwj_shared_take_left(KwjLeft *left);

/*
 * The launcher calls the first function before it looks at what has happened, and the second one before it sleeps,
 * which returns whether a process has woken it in between. Its latch need not be set any more: where the launcher
 * has waited for a lock, PostgreSQL has reset the latch.
 */
extern void kwj_shared_launcher_looks(void);
extern bool kwj_shared_launcher_was_woken(void);

/*
 * Takes a database that needs a coordinator and has none. Returns false if there is none. Sets *any
 * to true if so many databases needed one that some are not in the list; then the launcher has to
 * visit all databases. The launcher calls this until it returns false.
 */
extern bool kwj_shared_take_wanted(Oid *dboid, bool *any);

/*
 * Returns whether one more coordinator may be started now. If not, *again says when to ask again,
 * unless a coordinator exits first, which wakes the launcher.
 *
 * If as many coordinators run as may, one is told to leave: one that has nothing to do; otherwise
 * one that is blocked in its first pass; otherwise the one that was started first, once it has had
 * its turn. *crowded becomes true if that one has something to do, so that coordinators take turns.
 */
extern bool kwj_shared_has_place(TimestampTz *again, bool *crowded);

/*
 * Called when the postmaster has no slot for another coordinator: tells one to leave, chosen as in
 * kwj_shared_has_place(). Returns when to try again.
 */
extern TimestampTz kwj_shared_make_place(void);

typedef enum KwjStarting
{
	KWJ_STARTING,				/* the coordinator may be started */
	KWJ_RUNS_ALREADY,			/* there is one already; the launcher waits until it exits */
	KWJ_IS_LOCKED_OUT,			/* a lockout is on the database; its release wakes the launcher */
	KWJ_NO_ENTRY,				/* all entries are in use */
} KwjStarting;

/*
 * Makes the database's entry STARTING, before the launcher asks the postmaster for a coordinator. If there is a
 * coordinator already (KWJ_RUNS_ALREADY), has it make a full pass; if it leaves without one, KwjLeft.asked is set.
 * interrupted and record_start are interrupted and start_unrecorded of KwjLeft, for the new
 * coordinator. *launch is the number to pass to kwj_shared_coordinator_gone().
 */
extern KwjStarting kwj_shared_coordinator_starting(Oid dboid, bool interrupted, bool record_start,
												   uint32 *launch);

/* Undoes kwj_shared_coordinator_starting(), because the postmaster had no slot for the process. */
extern void kwj_shared_coordinator_refused(Oid dboid);

/*
 * The postmaster says that the coordinator with this number has exited. If it never attached, its
 * entry becomes LEFT, as if it had died.
 */
extern void kwj_shared_coordinator_gone(Oid dboid, uint32 launch);

/* ---- coordinator ---- */

/*
 * Makes this process, which has yet to connect, the coordinator of the database until it exits.
 * Returns false if the database has no entry that waits for a coordinator, or if there is a lockout
 * on it. *interrupted: the attempts that are still active in the tables were ended by a lockout, or
 * by an orderly stop of the server.
 */
extern bool kwj_shared_attach_coordinator(Oid dboid, bool *interrupted);

/*
 * This coordinator has completed its first pass, so the database has kwjobs. Wakes the launcher,
 * which may start other coordinators now.
 */
extern void kwj_shared_coordinator_has_looked(void);

/*
 * This coordinator is about to exit and needs no successor, because the database has no kwjobs.
 * Unless somebody has asked for a coordinator meanwhile, sessions that list the jobs of the server
 * do not ask this database any more (kwj_ask_leave_out_without).
 */
extern void kwj_shared_coordinator_leaves_for_good(void);

/*
 * Notes since when this coordinator has nothing to do; 0: it is busy. Wakes the launcher if that
 * waits for a place.
 */
extern void kwj_shared_coordinator_idle(TimestampTz since);

/* Returns whether another database needs this coordinator's place. */
extern bool kwj_shared_told_to_leave(void);

/* What keeps a coordinator that wants to exit from exiting. */
typedef enum KwjStay
{
	KWJ_STAY_FOR_ANYTHING,		/* news since its last pass began, or any worker of the database */
	KWJ_STAY_FOR_STARTED,		/* a worker that was started and has yet to attach */
	KWJ_STAY_FOR_NOTHING,
} KwjStay;

/*
 * This coordinator wants to exit. due is when its successor has something to do; DT_NOEND: only
 * when kwj_need_coordinator() is called. Returns false if the coordinator must not exit, because
 * there is something of the kind that `stay` names. If it may exit although there is news, or
 * although a worker has yet to attach, its successor is due at once. newest, quiet_changes: for
 * kwj_note_quiet() (quiet.h); newest is DT_NOEND if some job is not over, or if that is not known.
 */
extern bool kwj_shared_coordinator_leaves(TimestampTz due, KwjStay stay, TimestampTz newest,
										  uint32 quiet_changes);

/*
 * Returns whether this process, a coordinator or worker, has to exit because a command has put a
 * lockout on its database, or because another database needs the coordinator's place.
 */
extern bool kwj_shared_is_dismissed(void);

#endif
