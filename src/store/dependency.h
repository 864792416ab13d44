/*
 * src/store/dependency.h
 *	  The store of dependencies: which of them are met, and who has to be told.
 *
 * Process: coordinator. The rules are those of store.h.
 */
#ifndef KWJ_STORE_DEPENDENCY_H
#define KWJ_STORE_DEPENDENCY_H

#include "job/status.h"
#include "store/due.h"
#include "store/store.h"

/* When a job ends, so many of those that depend on it are told at once; the others in steps. */
#define KWJ_TELL_STEP	1000

/*
 * Dependencies that are new: see whether what they are on is over. Those on a job whose row
 * another transaction has locked stay as they are. The window is in the order of (job, what it
 * depends on).
 */
extern void kwj_store_look_at_dependencies(KwjWindow *window);

/*
 * Dependencies on jobs that are over: those that are met go, a job without others may start, and
 * one that depends on a job that has not succeeded fails. A job that another transaction has
 * locked is left as it is.
 */
extern void kwj_store_meet_dependencies(KwjWindow *window);

/*
 * Within kwj_store_enter, in a transaction that has locked these jobs: forget up to limit of all
 * their dependencies, but for those on the jobs in kept, one for each (0: none). Returns the jobs
 * that have more.
 */
extern KwjJobs kwj_store_forget_dependencies(KwjJobs jobs, const int64 *kept, int limit);

/*
 * These jobs, whose rows the transaction has locked, are over, with this status: tell those that
 * depend on them, and wake whoever waits for them. Within kwj_store_enter.
 */
extern void kwj_store_tell_dependents_of(KwjJobs jobs, KwjStatus status);

/* Whether some job depends on this one. */
extern bool kwj_store_has_dependents(int64 job_id);

/*
 * Tell those that depend on jobs with so many dependents that not all were told at once. The window
 * is in the order of these jobs.
 */
extern void kwj_store_tell_waiting(KwjWindow *window);

/*
 * Do not tell those that depend on this job any more, as one of them cannot be told: have the coordinator
 * find them, and look at each by itself.
 */
extern void kwj_store_stop_telling(int64 job_id);

/*
 * A job whose row this transaction has locked before is over, with this status: tell those
 * that depend on it, whatever the transaction's snapshot shows of them. With an active snapshot. An
 * error in that is not this job's: it goes into the log, and the coordinator is to find them.
 */
extern void kwj_store_tell_dependents(int64 job_id, KwjStatus status);

#endif
