/*
 * src/store/line.h
 *	  The lines of jobs with the same serial key, of which one runs at a time.
 *
 * line.c has the rules; doc/developers/lines.md draws them.
 */
#ifndef KWJ_STORE_LINE_H
#define KWJ_STORE_LINE_H

#include "kwjobs.h"
#include "store/due.h"
#include "store/store.h"
#include "store/table.h"
#include "utils/timestamp.h"

/*
 * SQL: whether the job in table alias j is parked: it is in line, and only another job's end lets
 * it start.
 */
#define KWJ_PARKED(j) \
	j ".line IS NOT NULL AND " j ".rank IS NULL AND " j ".active_attempt IS NULL AND " \
	j ".status IN ('pending', 'reverting') AND " j ".due = 'infinity' AND " j ".queued IS NULL"

/*
 * SQL: the subquery that reads column `what` of the first job of the line in which the job in table
 * alias j is.
 */
#define KWJ_FIRST_OF_LINE(what, j) \
	"(SELECT " what " FROM kwjobs.job AS f WHERE f.owner = " j ".owner" \
	" AND f.serial_key = " j ".serial_key AND f.line IS NOT NULL ORDER BY f.line, f.job_id LIMIT 1)"

/* SQL: why the parked job in table alias j waits. kwdb_internal.jobs has the same expression. */
#define KWJ_WAITS_IN_LINE(j) \
	"coalesce(" KWJ_FIRST_OF_LINE("'waiting for job ' || f.job_id || ', which has serial key '" \
	" || f.serial_key || ' (' || f.status || ')'", j) ", 'waiting for its turn')"

/*
 * Let these jobs enter the lines of their serial keys, as far as they are due at `now`, and give a
 * rank to each that is the first of its line, or let it wait for a place in its queue. Jobs whose
 * rows other transactions have locked stay as they are. *unfinished becomes true if a job could not
 * enter because an earlier one of its key could not. Returns how many jobs were changed. Call it
 * between kwj_store_enter and kwj_store_leave. Process: coordinator.
 */
extern int	kwj_store_enter_lines(KwjJobs jobs, TimestampTz now, bool *unfinished);

/*
 * Give the turn to the next in line after this job, which the transaction is about to end. `jobs`
 * has this job's row, locked and read, before the call and after it. Returns true if the caller may
 * set "line" to NULL. Returns false if the coordinator has to pass the turn on: then the caller
 * leaves "line" as it is, and the coordinator is woken at the end of the transaction. Process:
 * worker or coordinator.
 */
extern bool kwj_store_pass_turn(KwjTable *jobs, int64 job_id);

/*
 * For jobs of the window that are over and still in line: give the turn to the next in line, and
 * take them out. The window is in the order of ids. Process: coordinator.
 */
extern void kwj_store_pass_turns(KwjWindow *window);

/*
 * For entries of kwjobs.left_line in the window: give the turn to the next in line, and delete the
 * entries. Process: coordinator.
 */
extern void kwj_store_free_lines(KwjWindow *window);

/*
 * Note that this job, whose row the transaction has locked, leaves its line, if it is in one. The
 * session calls this between kwj_store_enter and kwj_store_leave, before it changes the row.
 */
extern void kwj_store_note_leaving(int64 job_id);

#endif
