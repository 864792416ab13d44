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
 * The scans in the plan of a started query that wait for jobs whose ids do not depend on rows of
 * the query, and that no condition keeps from being run (wait_reach.h): a list of FunctionScan.
 */
extern List *kwj_wait_scans(const QueryDesc *query);

/*
 * Whether the query reads tables of the extension, other than to find out the ids that these scans
 * wait for.
 */
extern bool kwj_wait_reads_jobs(const QueryDesc *query, const List *scans);

/* The ids of one of these scans, of the type bigint[]; NULL for NULL. In CurrentMemoryContext. */
extern ArrayType *kwj_wait_ids(const QueryDesc *query, const FunctionScan *scan);

/*
 * A copy of a plan in which the scan with the same plan_node_id as each of these has the ids
 * that stand at its place in the second list.
 */
extern PlannedStmt *kwj_wait_plan_with_ids(const PlannedStmt *plan, const List *scans,
										   const List *ids);

#endif
