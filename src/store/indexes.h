/*
 * src/store/indexes.h
 *	  Opens the indexes of our tables, so that rows can be written.
 */
#ifndef KWJ_STORE_INDEXES_H
#define KWJ_STORE_INDEXES_H

#include "kwjobs.h"
#include "nodes/execnodes.h"

/* What rows a process writes into a table that it has opened. */
typedef enum KwjRows
{
	KWJ_ALL_ROWS,				/* any */

	/*
	 * Of kwjobs.job, only those of jobs that a worker begins, or ends with success. They have no
	 * rank, and either an active attempt or the time when they finished.
	 */
	KWJ_WORKED,

	/*
	 * Of kwjobs.job, only those of jobs that have succeeded and have neither a place among jobs
	 * that wait nor a key, a queue or a line. To open the table raises an error instead of waiting
	 * for a lock on an index, because a session opens it at its commit.
	 */
	KWJ_RECORDS
} KwjRows;

#define KWJ_N_ROWS (KWJ_RECORDS + 1)

/*
 * Opens the table's indexes in RowExclusiveLock as ExecOpenIndices does, and sets the prepared
 * predicates of partial ones. Partial indexes that no row of this kind can be in are not opened,
 * unless the table has BEFORE ROW triggers, which could change the row. info: of the opened table.
 * ExecCloseIndices or kwj_indexes_close closes the indexes. The prepared predicates stay valid until
 * the end of the transaction. Needs a transaction. Errors: for KWJ_RECORDS, if it would have to wait
 * for a lock on an index; out of memory; those of a look into the catalogs.
 */
extern void kwj_indexes_open(ResultRelInfo *info, KwjRows rows);

/*
 * Returns a number that grows whenever what kwj_indexes_open has last found for KWJ_RECORDS may have
 * changed: the table, one of its indexes, or what the process keeps of one.
 */
extern uint64 kwj_indexes_changes(void);

/*
 * Opens the same indexes for KWJ_RECORDS once more, after kwj_indexes_close, in another transaction.
 * indexes: their OIDs, in the same order. The caller has found that kwj_indexes_changes() is what it was
 * before kwj_indexes_open, and looks again afterwards: if it has grown, the indexes may be other ones.
 * Errors: as for kwj_indexes_open.
 */
extern void kwj_indexes_open_again(ResultRelInfo *info, const Oid *indexes);

/*
 * Opens the indexes that kwj_indexes_open has not opened, so that rows of any kind can be written.
 * Returns false if another process has locked one of them; then the caller may go on to write only
 * rows of the kind for which it has opened the table.
 */
extern bool kwj_indexes_try_rest(ResultRelInfo *info);

/*
 * Writes the entries of a row that was inserted, as ExecInsertIndexTuples does, but without an executor
 * state (EState). row: has all columns, and its place in the table. The indexes must have no
 * expressions, no exclusion constraint and no deferred uniqueness (kwj_table_may_refuse). Errors: those
 * of the index, such as 23505.
 */
extern void kwj_indexes_insert(ResultRelInfo *info, TupleTableSlot *row);

/*
 * Closes the indexes without unlocking them. A session that is about to commit uses this: its commit
 * releases all locks at once, which costs less.
 */
extern void kwj_indexes_close(ResultRelInfo *info);

#ifdef USE_ASSERT_CHECKING
/* Returns whether a row in the slot is of this kind. If not, it may belong into other indexes. */
extern bool kwj_indexes_take(Relation table, TupleTableSlot *row, KwjRows rows);
#endif

/*
 * Registers the callback by which PostgreSQL tells a process that indexes have changed. _PG_init
 * calls this in the postmaster: PostgreSQL has room for few such callbacks, and a process for which
 * none is left dies, which must not happen at the commit of a session.
 */
extern void kwj_indexes_init(void);

#endif
