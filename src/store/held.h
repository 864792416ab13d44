/*
 * src/store/held.h
 *	  Holds: which jobs of this database are not to start, who said so, and why.
 */
#ifndef KWJ_STORE_HELD_H
#define KWJ_STORE_HELD_H

#include "kwjobs.h"
#include "nodes/pg_list.h"
#include "store/store.h"
#include "utils/timestamp.h"

/* Which jobs a hold is about. Two holds with the same scope are the same hold. */
typedef struct KwjHoldScope
{
	const char *job_type;		/* NULL: any */
	Oid			owner;			/* InvalidOid: any */
	const char *queue;			/* if not NULL: the jobs of this queue, of any type and owner */
	/* An administrator has put it; the role's own hold with the same values is another one. */
	bool		by_admin;
} KwjHoldScope;

/* A hold, as it is shown. */
typedef struct KwjHold
{
	KwjHoldScope scope;
	bool		everywhere;		/* it is the hold on the server: all jobs of all databases */
	const char *by;				/* the name of the role that has put it */
	TimestampTz since;
	const char *reason;			/* NULL: none */
} KwjHold;

/* Returns whether the hold is about jobs of this owner, type and queue; NULL: of no queue. */
static inline bool
kwj_hold_concerns(const KwjHoldScope *scope, Oid owner, const char *job_type, const char *queue)
{
	if (scope->queue != NULL)
		return queue != NULL && strcmp(scope->queue, queue) == 0;
	return (!OidIsValid(scope->owner) || scope->owner == owner) &&
		(scope->job_type == NULL || strcmp(scope->job_type, job_type) == 0);
}

/*
 * Add a hold in the name of the current user. reason: NULL for none. pauses: whether running jobs
 * are paused with it. Returns false, and changes nothing, if there is one with this scope: *present
 * is that one then. It waits for a transaction that adds or removes the same hold.
 */
extern bool kwj_store_hold(const KwjHoldScope *scope, const char *reason, bool pauses,
						   KwjHold *present);

/*
 * Note in the hold that it has paused these jobs, too. The caller has paused them in this
 * transaction. Waits for a transaction that removes the hold. Returns false if it is gone.
 */
extern bool kwj_store_note_paused(const KwjHoldScope *scope, KwjJobs jobs);

/*
 * Remove the hold with this scope. Returns how many there were: 0 or 1. *paused: the jobs that it
 * has paused and that are still paused by it. waits: waits for another transaction that changes
 * the hold; else that one is left alone.
 */
extern int	kwj_store_release(const KwjHoldScope *scope, bool waits, KwjJobs *paused);

/*
 * Remove all holds of this database; without `admin`, only those that no administrator has put, and
 * whose owner's privileges the user has. Leaves alone the holds that other transactions change.
 * Returns how many it has removed, and sets *paused as kwj_store_release does.
 */
extern int	kwj_store_release_all(bool admin, KwjJobs *paused);

/* Returns how many holds, that are not an administrator's, the current user has put. */
extern int	kwj_store_count_holds(void);

/*
 * Read all holds, first the one on the server, then those of this database, the oldest first: a
 * list of KwjHold. Cheap while there is none. as_of_query: with the caller's snapshot; else with a
 * new one, which sees what this transaction has changed.
 */
extern List *kwj_store_holds(bool as_of_query);

/*
 * Returns the first hold of the list that keeps jobs of this owner, type and queue from starting;
 * NULL: none does. queue: NULL for none.
 */
extern const KwjHold *kwj_hold_find(const List *holds, Oid owner, const char *job_type,
									const char *queue);

/* Read the jobs that such a hold is about, and that run and are not asked to stop. */
extern KwjJobs kwj_store_running_jobs(const KwjHoldScope *scope);

/* Returns whether a hold has paused the job, so that its release would resume it. */
extern bool kwj_store_is_paused_by_hold(int64 job_id);

#endif
