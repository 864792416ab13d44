/*
 * src/job/counts.h
 *	  What the progress counters that PostgreSQL keeps for a statement say of the whole statement.
 */
#ifndef KWJ_JOB_COUNTS_H
#define KWJ_JOB_COUNTS_H

#include "kwjobs.h"
#include "nodes/parsenodes.h"

typedef enum KwjCounts
{
	/* the counters show only a part of the statement, and nobody knows how large a part */
	KWJ_COUNTS_PART,
	/* the counters show the whole statement, which works on one table; REINDEX: on each index of it */
	KWJ_COUNTS_TABLE,
	/* the counters show the whole statement, which is a REINDEX of one index */
	KWJ_COUNTS_INDEX,
	/*
	 * the counters show VACUUM or ANALYZE of this relation alone, as autovacuum runs it: also of a
	 * partition or a TOAST table
	 */
	KWJ_COUNTS_RELATION,
	/* no counters: the new file that the statement writes shows how far the statement is */
	KWJ_COUNTS_FILE,
	/* as KWJ_COUNTS_FILE, but the statement also validates a constraint; nothing shows how far that is */
	KWJ_COUNTS_VALIDATION,
	/* no counters: the statement checks the rows of tables; the scan may show how far that is */
	KWJ_COUNTS_CHECK,
	/* no counters: what the statement does is known, but not how far it is */
	KWJ_COUNTS_DROP,
	KWJ_COUNTS_TRUNCATE,
	KWJ_COUNTS_DROP_DATABASE,
} KwjCounts;

/* Returns whether this is INSERT, UPDATE, DELETE or MERGE. */
extern bool kwj_is_row_change(const Node *statement);

/* Returns whether this is SELECT ... INTO. */
extern bool kwj_makes_table(const SelectStmt *select);

/*
 * Returns what the counters say of this statement (a raw parse tree, or that of a utility
 * statement). Looks at nothing but the tree.
 */
extern KwjCounts kwj_counts_of(const Node *statement);

#endif
