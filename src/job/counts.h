/*
 * src/job/counts.h
 *	  What the progress counters that PostgreSQL keeps for a statement say of the whole statement.
 */
#ifndef KWJ_JOB_COUNTS_H
#define KWJ_JOB_COUNTS_H

#include "kwjobs.h"
#include "nodes/nodes.h"

typedef enum KwjCounts
{
	KWJ_COUNTS_PART,			/* they are about a part of it, and nobody knows how large a part */
	KWJ_COUNTS_TABLE,			/* they are about all of it: one table, of REINDEX each index */
	KWJ_COUNTS_INDEX,			/* they are about all of it: REINDEX of one index */
} KwjCounts;

/* Returns what they say of this raw or utility statement. Looks at nothing but the tree. */
extern KwjCounts kwj_counts_of(const Node *statement);

#endif
