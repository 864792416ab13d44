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
 * Has the process keep what it finds out about the columns of this table, which is open, until they
 * change. To be called whenever one of our tables is opened.
 */
extern void kwj_columns_keep(Relation table);

/*
 * Returns the column's number. name: a literal, because the number is kept by this pointer. Errors:
 * XX000 if there is no such column.
 */
extern AttrNumber kwj_column_number(Relation table, const char *name);

/* A row from which many new rows are copied. It begins with all bytes 0, and is never freed. */
typedef struct KwjModelRow
{
	TupleDesc	columns;		/* of the table; NULL: the model has nothing yet */
	uint32		n_changes;		/* when the model was kept */
	MemoryContext context;		/* has the values */
	Datum	   *values;
	bool	   *isnull;
	TupleDesc	first_columns;	/* those that the first row had; NULL: none was written yet */
} KwjModelRow;

/*
 * Copies the values of the model into the slot, which is empty. Returns false, and does nothing, if
 * the model has none that fit the table as it is now. The values live until the model is kept anew.
 */
extern bool kwj_model_row_copy(const KwjModelRow *model, Relation table, TupleTableSlot *slot);

/* Makes the values in the slot those of the model. */
extern void kwj_model_row_keep(KwjModelRow *model, Relation table, const TupleTableSlot *slot);

/*
 * Returns the columns of which a tuple has to be formed for this row, which was copied from the
 * model or kept in it: the table's, or fewer of them if the row has only NULLs at its end.
 */
extern TupleDesc kwj_model_row_columns(KwjModelRow *model, const TupleTableSlot *row);

#endif
