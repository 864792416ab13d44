/*
 * src/shared/entry.h
 *	  Pieces for the entries of databases. The caller holds the lock. Included by src/shared only.
 */
#ifndef KWJ_SHARED_ENTRY_H
#define KWJ_SHARED_ENTRY_H

#include "shared/memory.h"

/* The entry of that database; NULL if there is none. */
extern KwjDatabase *kwj_find_database(Oid dboid);

/* The entry of that database, made if there is none; NULL if all are in use. */
extern KwjDatabase *kwj_make_database(Oid dboid);

/* Free the entry if nothing needs it. */
extern void kwj_forget_if_idle(KwjDatabase *database);

/* That database has something for a coordinator: wake the one that is there, or have the launcher start one. */
extern void kwj_need_coordinator(Oid dboid);

/* The coordinator of that database has to look at everything again. */
extern void kwj_unsettle(Oid dboid);

/* Set a process's latch; NULL: nobody. */
extern void kwj_wake(PGPROC *proc);

/* Wake the coordinator of that database, if it runs. */
extern void kwj_wake_coordinator_of(Oid dboid);

extern void kwj_wake_all_coordinators(void);

/* A worker of that database is idle: wake its coordinator and those with jobs that wait. */
extern void kwj_wake_waiting_coordinators(Oid dboid);

/* A job is over: wake the coordinators for which the next worker, or the next job of a role, is kept. */
extern void kwj_wake_kept_for(void);

/* Whether the next worker is for another database than that one, which has none and has not been woken in vain. */
extern bool kwj_do_others_starve(Oid dboid);

/*
 * Whether a job of that role which may run next is for another database than this: jobs of the role wait there for
 * its limit, none of them runs there, they have waited longer than those here, and their coordinator has not been woken
 * in vain.
 */
extern bool kwj_is_kept_for_others(Oid role);

/* That database has a worker, or needs none. */
extern void kwj_not_starving(Oid dboid);

/* Whether a coordinator is there, or has been asked for. */
extern bool kwj_has_coordinator(const KwjDatabase *database);

/*
 * Whether the coordinator waits for a lock of PostgreSQL's, say on one of our tables. Read without a lock, as
 * pg_stat_activity does.
 */
extern bool kwj_is_blocked(const KwjDatabase *database);

#endif
