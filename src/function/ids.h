/*
 * src/function/ids.h
 *	  Ids of jobs as an argument of a SQL function.
 */
#ifndef KWJ_FUNCTION_IDS_H
#define KWJ_FUNCTION_IDS_H

#include "kwjobs.h"
#include "utils/array.h"

/* Returns the ids in a bigint[], without NULLs, palloc'd. *n: how many there are. */
extern int64 *kwj_ids_of_array(ArrayType *array, int *n);

#endif
