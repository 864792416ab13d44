/*
 * src/job/ids.h
 *	  Ids of jobs as SQL has them: arrays of type bigint[].
 */
#ifndef KWJ_JOB_IDS_H
#define KWJ_JOB_IDS_H

#include "kwjobs.h"
#include "utils/array.h"

/* Returns the ids in a bigint[], NULLs left out, palloc'd; *n becomes how many there are. */
extern int64 *kwj_ids_of_array(ArrayType *array, int *n);

/* Returns a bigint[] with these ids, palloc'd. */
extern ArrayType *kwj_array_of_ids(const int64 *ids, int n);

#endif
