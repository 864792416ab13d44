/*
 * src/function/args.h
 *	  Arguments of SQL functions that may be NULL.
 */
#ifndef KWJ_FUNCTION_ARGS_H
#define KWJ_FUNCTION_ARGS_H

#include "kwjobs.h"
#include "fmgr.h"

/* Returns a text argument, palloc'd; NULL for NULL. The number of the first argument is 0. */
extern char *kwj_arg_text(FunctionCallInfo fcinfo, int number);

/*
 * Returns the ids in a bigint[] argument, without NULLs, palloc'd; *n: how many there are. A NULL
 * argument gives NULL and 0.
 */
extern int64 *kwj_arg_ids(FunctionCallInfo fcinfo, int number, int *n);

#endif
