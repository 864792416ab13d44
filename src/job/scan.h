/*
 * src/job/scan.h
 *	  How far the scan is that drives the plan of a job's statement.
 */
#ifndef KWJ_JOB_SCAN_H
#define KWJ_JOB_SCAN_H

#include "kwjobs.h"
#include "job/position.h"
#include "nodes/parsenodes.h"

/*
 * A statement of the worker's job begins: if it changes rows or makes a table, and its plan is driven
 * by one scan, the worker shows how far that is (kwj_progress_scan) while the plan runs.
 */
extern void kwj_scan_begin(const RawStmt *statement);

/* The statement has ended well. After an error, the end of the transaction does this. */
extern void kwj_scan_end(void);

/*
 * The statement is about to check a foreign key of this table with a query: if one scan drives it, the
 * process shows how far that is. The next SELECT that reads the table is taken for this query.
 */
extern void kwj_scan_expect_check(KwjPosition *position, Oid table);

/* The statement does something else, too, so its query is not to be watched. */
extern void kwj_scan_expect_nothing(void);

/* Sets the hooks. The postmaster calls this once, before kwj_wait_hook_init(). */
extern void kwj_scan_init(void);

#endif
