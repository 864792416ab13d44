/*
 * src/store/unfinished.h
 *	  How many jobs of a role are not over.
 */
#ifndef KWJ_STORE_UNFINISHED_H
#define KWJ_STORE_UNFINISHED_H

#include "kwjobs.h"

/* Jobs of a role that are not over. */
typedef struct KwjUnfinished
{
	int64		jobs;
	int64		bytes;
} KwjUnfinished;

/*
 * Count them, with those of this transaction, until they are more than that; both are 0 where those of
 * all roles together cannot be so many.
 */
extern void kwj_store_unfinished(Oid owner, int64 max_jobs, int64 max_bytes,
								 KwjUnfinished *unfinished);

#endif
