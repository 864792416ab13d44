/*
 * src/session/wait_reach.h
 *	  Which parts of a plan run, whatever the rows are that the query reads.
 */
#ifndef KWJ_SESSION_WAIT_REACH_H
#define KWJ_SESSION_WAIT_REACH_H

#include "kwjobs.h"
#include "executor/execdesc.h"
#include "nodes/pg_list.h"

/*
 * The function scans of a started query that no condition keeps from being run: a list of
 * FunctionScan. Left out are those in what need not be evaluated (a branch of CASE, what comes
 * after the first argument of COALESCE, AND and OR, an aggregate with FILTER), and those below
 * LIMIT 0 or a condition that is false for the whole query, as far as constants and parameters do
 * not decide otherwise. That a table may have no rows is no condition.
 */
extern List *kwj_scans_that_run(const QueryDesc *query);

#endif
