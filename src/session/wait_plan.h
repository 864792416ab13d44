/*
 * src/session/wait_plan.h
 *	  Finds the calls in a query's plan that wait for jobs.
 */
#ifndef KWJ_SESSION_WAIT_PLAN_H
#define KWJ_SESSION_WAIT_PLAN_H

#include "kwjobs.h"
#include "executor/execdesc.h"
#include "nodes/pg_list.h"
#include "nodes/plannodes.h"
#include "utils/array.h"
#include "utils/timestamp.h"

/*
 * Returns the scans in a started query's plan that wait for jobs (kwjobs.wait, when_complete), are
 * run whatever rows the query reads (wait_reach.h), and have arguments that do not depend on rows:
 * a list of FunctionScan.
 */
extern List *kwj_wait_scans(const QueryDesc *query);

/*
 * Returns whether the query reads tables of the extension for anything but the arguments of these
 * scans.
 */
extern bool kwj_wait_reads_jobs(const QueryDesc *query, const List *scans);

/* What a scan waits for: the values of the function's arguments. */
typedef struct KwjWaitCall
{
	ArrayType  *ids;			/* argument of when_complete; may be NULL */
	int64	   *own;			/* job_id of kwjobs.wait; may be NULL */
	Interval   *timeout;		/* of kwjobs.wait; NULL: no limit */
} KwjWaitCall;

/* Evaluates the arguments of one of these scans. The result is palloc'd in CurrentMemoryContext. */
extern KwjWaitCall *kwj_wait_evaluate(const QueryDesc *query, const FunctionScan *scan);

/*
 * Returns a copy of a plan, in which constants replace the arguments of these scans. calls: a list
 * of KwjWaitCall, one for each scan. A timeout becomes 0, because the wait comes before the plan is
 * run.
 */
extern PlannedStmt *kwj_wait_plan_with_calls(const PlannedStmt *plan, const List *scans,
											 const List *calls);

#endif
