/*
 * src/function/args.h
 *	  Arguments of SQL functions: those that may be NULL, and those that have bounds.
 */
#ifndef KWJ_FUNCTION_ARGS_H
#define KWJ_FUNCTION_ARGS_H

#include "kwjobs.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* Returns a text argument, palloc'd; NULL for NULL. The number of the first argument is 0. */
extern char *kwj_arg_text(FunctionCallInfo fcinfo, int number);

/*
 * Returns the ids in a bigint[] argument, without NULLs, palloc'd; *n: how many there are. A NULL
 * argument gives NULL and 0.
 */
extern int64 *kwj_arg_ids(FunctionCallInfo fcinfo, int number, int *n);

/* Returns a jsonb argument; NULL for NULL. */
extern Jsonb *kwj_arg_jsonb(FunctionCallInfo fcinfo, int number);

/* Returns an array argument; NULL for NULL. */
extern ArrayType *kwj_arg_array(FunctionCallInfo fcinfo, int number);

/* Returns a boolean argument; false for NULL. */
extern bool kwj_arg_flag(FunctionCallInfo fcinfo, int number);

/*
 * Returns the name of a job type as the rows of jobs have it; NULL for NULL. The argument may be in capital or
 * small letters. Errors: 42704 if there is no such type.
 */
extern const char *kwj_arg_type(FunctionCallInfo fcinfo, int number);

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
