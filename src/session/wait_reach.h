/*
 * src/session/wait_reach.h
 *	  Which parts of a plan run, whatever rows the query reads.
 */
#ifndef KWJ_SESSION_WAIT_REACH_H
#define KWJ_SESSION_WAIT_REACH_H

#include "kwjobs.h"
#include "executor/execdesc.h"
#include "nodes/pg_list.h"

/*
 * Returns the function scans of a started query that no condition keeps from running: a list of
 * FunctionScan. It leaves out those in expressions that need not be evaluated (a branch of CASE,
 * arguments of COALESCE, AND and OR after the first, an aggregate with FILTER), and those below
 * LIMIT 0 or a condition that is false for the whole query, unless constants and parameters decide
 * that they run. That a table may be empty does not count as a condition.
 */
extern List *kwj_scans_that_run(const QueryDesc *query);

#endif
