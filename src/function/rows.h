/*
 * src/function/rows.h
 *	  Results of set-returning functions.
 */
#ifndef KWJ_FUNCTION_ROWS_H
#define KWJ_FUNCTION_ROWS_H

#include "postgres.h"

#include "funcapi.h"
#include "utils/tuplestore.h"

/*
 * Makes an empty tuplestore the result of a set-returning function, and returns it with the
 * description of its rows. Errors: 0A000 where a set cannot be returned.
 */
extern Tuplestorestate *kwj_materialize(FunctionCallInfo fcinfo, TupleDesc *desc);

#endif
