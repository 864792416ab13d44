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
 * An empty tuplestore as the result of a set-returning function. Error: 0A000 where a set
 * cannot be returned.
 */
extern Tuplestorestate *kwj_materialize(FunctionCallInfo fcinfo, TupleDesc *desc);

#endif
