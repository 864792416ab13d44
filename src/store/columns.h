/*
 * src/store/columns.h
 *	  What a process keeps of the columns of our tables: their numbers, and the values that many new
 *	  rows have in common.
 */
#ifndef KWJ_STORE_COLUMNS_H
#define KWJ_STORE_COLUMNS_H

#include "kwjobs.h"
#include "access/attnum.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

/*
 * From now on the process keeps what it finds out about the columns of this table, until the columns
 * change. The caller has opened the table. Whoever opens one of our tables calls this each time, because
 * this also forgets what was kept of columns that have changed.
 */
extern void kwj_columns_keep(Relation table);

/*
 * Returns the column's number. name: a literal, because the process finds the number again by this
 * pointer. Errors: XX000 if there is no such column.
 */
extern AttrNumber kwj_column_number(Relation table, const char *name);

/* A row from which many new rows are copied. It begins with all bytes 0, and is never freed. */
typedef struct KwjModelRow
{
	TupleDesc	columns;		/* of the table; NULL: the model has nothing yet */
	uint32		n_changes;		/* how many descriptors were unpinned when the model was kept */
	MemoryContext context;		/* has the values */
	Datum	   *values;
	bool	   *isnull;
	TupleDesc	first_columns;	/* those of the first row that was written; NULL: none was */
} KwjModelRow;

/*
 * Copies the values of the model into the slot, which is empty. Returns false, and does nothing, if
 * the model has no values, or the table's columns have changed since. The values live until the next
 * kwj_model_row_keep.
 */
extern bool kwj_model_row_copy(const KwjModelRow *model, Relation table, TupleTableSlot *slot);

/* Makes the values in the slot those of the model. */
extern void kwj_model_row_keep(KwjModelRow *model, Relation table, const TupleTableSlot *slot);

/*
 * Returns the columns of which the caller has to form a tuple for this row, which was copied from the
 * model or kept in it: all columns of the table, or the first of them if the others are NULL in the row.
 */
extern TupleDesc kwj_model_row_columns(KwjModelRow *model, const TupleTableSlot *row);

#endif
