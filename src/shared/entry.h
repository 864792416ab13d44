/*
 * src/shared/entry.h
 *	  Helpers for the entries of databases. Only src/shared includes this file.
 *
 * The caller holds kwj_shared->lock: exclusively for a function that changes something, at least shared for all
 * others. Only kwj_lock_my_database() takes the lock itself. None of them raises an error.
 */
#ifndef KWJ_SHARED_ENTRY_H
#define KWJ_SHARED_ENTRY_H

#include "shared/memory.h"

/* Returns the entry of the database, or NULL if it has none. */
extern KwjDatabase *kwj_find_database(Oid dboid);

/*
 * Takes the lock in this mode, and returns the entry of this process's database, or NULL if it has
 * none. The caller does what it has to with the entry, and then releases the lock.
 */
extern KwjDatabase *kwj_lock_my_database(LWLockMode mode);

/*
 * Returns the entry of the database, and makes one if it has none. Returns NULL if all entries are
 * in use.
 */
extern KwjDatabase *kwj_make_database(Oid dboid);

/* Frees the entry if it has neither a coordinator nor a lockout. */
extern void kwj_forget_if_idle(KwjDatabase *database);

/* Wakes the coordinator of the database or, if there is none, has the launcher start one. */
extern void kwj_need_coordinator(Oid dboid);

/*
 * Returns the place of the database among the quiet ones (quiet.h); -1: it is none of them. The
 * caller holds the lock.
 */
extern int	kwj_find_quiet(Oid dboid);

/*
 * Ends the quiet of the database, because something happens there, or is about to. The caller holds
 * the lock exclusively.
 */
extern void kwj_forget_quiet(Oid dboid);

/* Notes that a coordinator has found no kwjobs in the database. */
extern void kwj_note_without(Oid dboid);

/*
 * Forgets that the database has no kwjobs: it may have it now, or was dropped. The caller holds the
 * lock exclusively.
 */
extern void kwj_forget_without(Oid dboid);

/*
 * Returns the place of the database among those without kwjobs; -1: it is none of them. The caller
 * holds the lock.
 */
extern int	kwj_find_without(Oid dboid);

/* Makes the next pass of the database's coordinator a full one. */
extern void kwj_want_full_pass(Oid dboid);

/*
 * Empties the list from which workers claim jobs themselves. Until the coordinator has set a new
 * list, it assigns jobs to them. The caller holds the lock exclusively.
 */
extern void kwj_forget_ready(KwjDatabase *database);

/*
 * Returns whether a hold on the database's jobs has changed since kwj_shared_hold_changes() had
 * this value (shared/held.h). The caller holds the lock at least shared.
 */
extern bool kwj_holds_are_old(const KwjDatabase *database, uint32 as_of);

/* Sets the latch of the process; does nothing for NULL. Coordinators and the launcher have functions of their own. */
extern void kwj_wake(PGPROC *proc);

/*
 * Set the latch of the database's coordinator, if it has one, and of the launcher. They also note that, because
 * the process resets its latch where it waits for a lock. The caller holds the lock exclusively.
 */
extern void kwj_wake_coordinator(KwjDatabase *database);
extern void kwj_wake_launcher(void);

/*
 * Sends a signal to a process that the caller has found in shared memory while it holds the lock.
 * Exit callbacks remove the process there under the lock, so no other process can have its pid yet.
 */
extern void kwj_signal(const PGPROC *proc, int signal_number);

extern void kwj_wake_coordinator_of(Oid dboid);

/*
 * Called when the attempt of the slot's worker is over. If the coordinator waits for that
 * (kwj_shared_watch_jobs), it is woken for a full pass. The caller holds the lock exclusively.
 */
extern void kwj_wake_if_watched(KwjSlot *slot);

extern void kwj_wake_all_coordinators(void);

/*
 * Called when a worker of the database has become idle. This function sets the latch of the
 * database's coordinator, of the coordinators of other databases in which jobs wait for a worker,
 * and of those that kwj_wake_kept_for() wakes.
 */
extern void kwj_wake_waiting_coordinators(Oid dboid);

/*
 * Called when a job is over or a worker has exited, because a worker, or a place under a role's
 * limit, may be free now. Some coordinators come first: the next worker is kept for a database that
 * has none, and a role's next job for a database in which none of its jobs runs. This function
 * sets their latches, and notes when it first did, since they lose this right if they do not react
 * within KEPT_MS.
 */
extern void kwj_wake_kept_for(void);

/*
 * Returns whether the next worker is kept for another database, which has no worker at all. It is
 * kept only until that database's coordinator has had KEPT_MS to take it.
 */
extern bool kwj_do_others_starve(Oid dboid);

/*
 * Returns whether the next job of the role is kept for another database, given that the role has
 * a limit (kwjobs.max_workers_per_role). That is a database in which none of the role's jobs run
 * because of the limit, whose jobs have waited longer than those of this database, and whose
 * coordinator has not let KEPT_MS pass since it was woken.
 */
extern bool kwj_is_kept_for_others(Oid role);

/*
 * Other databases may have a right to the next worker, or to the next job of a role. Returns when
 * the first of these rights ends; rights that have ended by `since` do not count. DT_NOEND: there is
 * no such right, or the coordinators that have one have yet to be woken for it.
 */
extern TimestampTz kwj_kept_until(TimestampTz since);

/*
 * The database has a worker or needs none. If the next worker was kept for it, that ends, and other
 * databases may have the worker.
 */
extern void kwj_not_starving(Oid dboid);

/* Returns whether a coordinator runs in the database, or is being started. */
extern bool kwj_has_coordinator(const KwjDatabase *database);

/*
 * Returns whether the coordinator waits for a heavyweight lock, such as one on a table of kwjobs.
 * Reads the coordinator's wait event without a lock, as pg_stat_activity does.
 */
extern bool kwj_is_blocked(const KwjDatabase *database);

#endif
