/*
 * src/job/scan.h
 *	  How far the scan is that drives the plan of a job's statement.
 */
#ifndef KWJ_JOB_SCAN_H
#define KWJ_JOB_SCAN_H

#include "kwjobs.h"
#include "compat.h"
#include "executor/executor.h"
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

/*
 * Where to show how far the next plan is, if it is of the expected kind; NULL: no plan is to be watched.
 * Others only read it. It is no function, because every query of every session asks.
 */
extern KwjPosition *kwj_scan_expected;

/*
 * Has `run` execute the plan, and meanwhile shows how far its scan is if it is the plan that is expected,
 * and driven by one scan. wait_hook.c calls this only if one is expected. Errors: those of `run`.
 */
extern void kwj_scan_run(ExecutorRun_hook_type run, KWJ_EXECUTOR_RUN_PARAMETERS);

#endif
