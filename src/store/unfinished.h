/*
 * src/store/unfinished.h
 *	  How many jobs of a role are not over.
 */
#ifndef KWJ_STORE_UNFINISHED_H
#define KWJ_STORE_UNFINISHED_H

#include "kwjobs.h"

/*
 * What a dependency of a job takes, about: its row and its entries in two indexes. On the disk it takes no
 * less, however they are packed.
 */
#define KWJ_DEPENDENCY_SIZE	100

/* Jobs of a role that are not over. */
typedef struct KwjUnfinished
{
	int64		jobs;
	int64		bytes;
} KwjUnfinished;

/*
 * Count them and their dependencies, with those of this transaction, until they are more than that; both are 0 where those of
 * all roles together cannot be so many.
 */
extern void kwj_store_unfinished(Oid owner, int64 max_jobs, int64 max_bytes,
								 KwjUnfinished *unfinished);

#endif
