/*
 * src/store/dependency.h
 *	  Dependencies between jobs: which of them are met, and how jobs learn that another one has
 *	  ended.
 *
 * See store.h for the rules, and dependency.c for the states of a dependency.
 */
#ifndef KWJ_STORE_DEPENDENCY_H
#define KWJ_STORE_DEPENDENCY_H

#include "job/status.h"
#include "store/due.h"
#include "store/store.h"

/*
 * When a job ends, at most this many dependencies on it are marked in the same transaction. The
 * coordinator marks the others in steps.
 */
#define KWJ_TELL_STEP	1000

/*
 * For each fresh dependency of the window, look whether the job depended on is over. If so, mark
 * the dependency with its status; if not, the dependency is not fresh any more. If another
 * transaction has locked that job's row, leave the dependency fresh. The window is in the order of
 * (job_id, depends_on).
 */
extern void kwj_store_look_at_dependencies(KwjWindow *window);

/*
 * Act on the marked dependencies of the window: delete those that are met, let a job start if it
 * has no others, and fail a job that depends on one which did not succeed. A job that runs, or
 * whose row another transaction has locked, is left as it is. The window is in the order of
 * (job_id, depends_on).
 */
extern void kwj_store_meet_dependencies(KwjWindow *window);

/*
 * Delete up to limit of the dependencies of these jobs, whose rows the transaction has locked.
 * kept: for each job, the id of a job on which the dependency stays (0: none). Returns the jobs
 * that have more dependencies. Call it between kwj_store_enter and kwj_store_leave.
 */
extern KwjJobs kwj_store_forget_dependencies(KwjJobs jobs, const int64 *kept, int limit);

/*
 * These jobs, whose rows the transaction has locked, are over with this status: mark the
 * dependencies on them, or have the coordinator do so, and arm the wake-up for sessions that wait
 * for these jobs. An error goes into the log; the coordinator then searches for the dependencies.
 * Call it between kwj_store_enter and kwj_store_leave.
 */
extern void kwj_store_tell_dependents_of(KwjJobs jobs, KwjStatus status);

/*
 * Returns whether some job depends on this one. Also returns true if that is not known, because somebody has
 * dropped the index of dependents, or builds it anew.
 */
extern bool kwj_store_has_dependents(int64 job_id);

/*
 * Mark up to window->limit dependencies on the next job in kwjobs.untold. The window is in the
 * order of these jobs.
 */
extern void kwj_store_tell_waiting(KwjWindow *window);

/*
 * Delete this job from kwjobs.untold, because an error keeps one of the dependencies on it from
 * being marked. The coordinator will search for the dependencies instead, and handle each dependent
 * job by itself.
 */
extern void kwj_store_stop_telling(int64 job_id);

/*
 * This job, whose row the transaction has locked, will run again: make all dependencies on it
 * fresh, so that the dependent jobs wait for it as if it had never ended.
 */
extern void kwj_store_take_back_end(int64 job_id);

/*
 * A job whose row this transaction has locked is over with this status: mark the dependencies on
 * it, whatever the transaction's snapshot shows of them. Needs an active snapshot. An error does
 * not undo the end of this job: it goes into the log, and the coordinator searches for the
 * dependencies.
 */
extern void kwj_store_tell_dependents(int64 job_id, KwjStatus status);

#endif
