/*
 * src/function/args.h
 *	  Arguments of SQL functions: those that may be NULL, and those that have bounds.
 */
#ifndef KWJ_FUNCTION_ARGS_H
#define KWJ_FUNCTION_ARGS_H

#include "kwjobs.h"
#include "fmgr.h"
#include "utils/timestamp.h"

/* Returns a text argument, palloc'd; NULL for NULL. The number of the first argument is 0. */
extern char *kwj_arg_text(FunctionCallInfo fcinfo, int number);

/*
 * Returns the ids in a bigint[] argument, without NULLs, palloc'd; *n: how many there are. A NULL
 * argument gives NULL and 0.
 */
extern int64 *kwj_arg_ids(FunctionCallInfo fcinfo, int number, int *n);

/*
 * Returns an integer argument that says how many rows the function is to return. rows: what the rows are, for
 * the message. Errors: 22023 if it is not a number from 0 to 10000.
 */
extern int	kwj_arg_count(FunctionCallInfo fcinfo, int number, const char *rows);

/*
 * Returns a timestamptz argument. which: the words that say which instant it is, for the message. Errors: 22023
 * if it is infinite.
 */
extern TimestampTz kwj_arg_instant(FunctionCallInfo fcinfo, int number, const char *which);

#endif
