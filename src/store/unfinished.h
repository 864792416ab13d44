/*
 * src/store/unfinished.h
 *	  How many unfinished jobs a role has, and which.
 */
#ifndef KWJ_STORE_UNFINISHED_H
#define KWJ_STORE_UNFINISHED_H

#include "kwjobs.h"
#include "store/store.h"

/*
 * About how many bytes a dependency takes: its row, and its entries in two indexes. On disk it
 * never takes less, however densely they are packed.
 */
#define KWJ_DEPENDENCY_SIZE	100

/* What the unfinished jobs of a role amount to. */
typedef struct KwjUnfinished
{
	int64		jobs;
	int64		bytes;			/* of their rows, long texts and dependencies */
} KwjUnfinished;

/*
 * Count the unfinished jobs of a role and their dependencies, including rows that this transaction
 * has inserted. Counting stops above max_jobs or max_bytes. Both results are 0, without counting,
 * if the sizes of the tables show that all roles together have less.
 */
extern void kwj_store_unfinished(Oid owner, int64 max_jobs, int64 max_bytes,
								 KwjUnfinished *unfinished);

/* Returns the ids of the role's unfinished jobs, at most `limit` of them, in order: the oldest come first. */
extern KwjJobs kwj_store_unfinished_ids(Oid owner, int limit);

#endif
