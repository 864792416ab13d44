/*
 * src/lifecycle/due_times.h
 *	  Decides for each due time of a schedule whether it runs, and what the schedule does once a run has ended.
 */
#ifndef KWJ_LIFECYCLE_DUE_TIMES_H
#define KWJ_LIFECYCLE_DUE_TIMES_H

#include "kwjobs.h"
#include "store/due_times.h"
#include "store/schedules.h"

/*
 * Users write this for the due time in the texts of a job, such as the directory of a BACKUP, but not in those
 * of a SQL job.
 */
#define KWJ_DUE		"{due}"

/*
 * The arguments of the option failure_statement, which uses them as :schedule, :job_id and :error. When a run
 * has failed, the coordinator sets their values.
 */
#define KWJ_FAILURE_ARGUMENTS	"{\"schedule\": \"\", \"job_id\": 0, \"error\": \"\"}"

/*
 * Acts on a schedule whose next_run has come by `now`, and whose row the caller has locked: creates
 * jobs for its due times, notes what has become of them, and writes the row with its next due time.
 * Afterwards it may be due again at once, if there are very many due times.
 *
 * Process: coordinator, in a transaction. Errors: if no job can be created. Then the caller rolls the
 * transaction back, and calls kwj_due_times_refuse in another one.
 */
extern void kwj_due_times_act(KwjSchedule *schedule, TimestampTz now);

/*
 * The caller could not create a job for a due time, or for the retry, for this reason. Does as
 * kwj_due_times_act, but notes the reason in place of the job. If this has happened ten times in a row, it
 * pauses the schedule, unless the reason is a limit (is_limit), which other jobs may leave by themselves.
 * Errors: 22023 if the schedule's expression or zone cannot be read; then the caller calls
 * kwj_due_times_give_up.
 */
extern void kwj_due_times_refuse(KwjSchedule *schedule, TimestampTz now, const char *why, bool is_limit);

/*
 * For a session that pauses the schedule or changes when it is due. Notes the due times that have passed,
 * and on which the coordinator has not acted yet, as missed for this reason, and sets last_due. The caller
 * has locked the row, and writes it. Errors: 22023.
 */
extern void kwj_due_times_leave(KwjSchedule *schedule, TimestampTz now, const char *why);

/*
 * Sets that the schedule is paused from now on, and forgets when it is due next. by: the role that pauses it;
 * InvalidOid: kwjobs itself. reason: may be NULL; is copied. The caller has locked the row, has called
 * kwj_due_times_leave() if due times may have passed, and writes the row.
 */
extern void kwj_due_times_pause(KwjSchedule *schedule, TimestampTz now, Oid by, const char *reason);

/* Pauses the schedule for this reason, because the coordinator can do nothing else with it. */
extern void kwj_due_times_give_up(KwjSchedule *schedule, TimestampTz now, const char *why);

/*
 * The clock was set back, to `now`: makes the next due time the first one after it. But if the schedule had its
 * last due time after `now` and not after `latest`, that one does not come again. Errors: 22023.
 */
extern void kwj_due_times_go_back(KwjSchedule *schedule, TimestampTz now, TimestampTz latest);

/*
 * Notes how a run has ended, and does what the schedule says for a failure. The caller has locked the
 * schedule's row.
 */
extern void kwj_due_times_end(KwjSchedule *schedule, const KwjEndedRun *run, TimestampTz now);

/*
 * Creates a run of the schedule now, as a user has asked, whatever its due times are, and notes it.
 * Returns the id of the job. Errors: as kwj_submit_run; 55000 if a job of the schedule has the same key.
 */
extern int64 kwj_due_times_run_now(KwjSchedule *schedule, TimestampTz now);

#endif
