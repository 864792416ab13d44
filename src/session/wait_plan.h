/*
 * src/session/wait_plan.h
 *	  Where in the plan of a query jobs are waited for.
 */
#ifndef KWJ_SESSION_WAIT_PLAN_H
#define KWJ_SESSION_WAIT_PLAN_H

#include "kwjobs.h"
#include "executor/execdesc.h"
#include "nodes/pg_list.h"
#include "nodes/plannodes.h"
#include "utils/array.h"

/*
 * The scans of the waiting function, in the plan of a started query, that the query runs whatever
 * rows it reads (wait_reach.h), and whose ids do not depend on rows: a list of FunctionScan.
 */
extern List *kwj_wait_scans(const QueryDesc *query);

/*
 * Returns whether the query reads tables of the extension for anything but the ids for which these scans
 * wait.
 */
extern bool kwj_wait_reads_jobs(const QueryDesc *query, const List *scans);

/*
 * Evaluate the ids of one of these scans, a bigint[]; NULL for NULL. Palloc'd in
 * CurrentMemoryContext.
 */
extern ArrayType *kwj_wait_ids(const QueryDesc *query, const FunctionScan *scan);

/*
 * Copy a plan, and replace the ids of these scans by constants. ids: a list of arrays, one for each
 * scan.
 */
extern PlannedStmt *kwj_wait_plan_with_ids(const PlannedStmt *plan, const List *scans,
										   const List *ids);

#endif
