/*
 * src/store/model_row.h
 *	  What many new rows of one of our tables have in common.
 */
#ifndef KWJ_STORE_MODEL_ROW_H
#define KWJ_STORE_MODEL_ROW_H

#include "kwjobs.h"
#include "access/htup.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

typedef struct KwjModelTuple KwjModelTuple;

/* A row from which many new rows are copied. It begins with all bytes 0, and is never freed. */
typedef struct KwjModelRow
{
	TupleDesc	columns;		/* of the table; NULL: the model has nothing yet */
	uint32		n_changes;		/* kwj_columns_changes() when the model was kept */
	MemoryContext context;		/* has all that follows */
	Datum	   *values;
	bool	   *isnull;
	TupleDesc	first_columns;	/* those of the first row that was written; NULL: none was */
	KwjModelTuple *tuple;		/* of the first row that was written; NULL: none was */
} KwjModelRow;

/*
 * Copies the values of the model into the slot, which is empty. Returns false, and does nothing, if
 * the model has no values, or the table's columns have changed since. The values live until the next
 * kwj_model_row_keep.
 */
extern bool kwj_model_row_copy(const KwjModelRow *model, Relation table, TupleTableSlot *slot);

/*
 * Makes the values in the slot those of the model, and from now on the slot has the model's copies of
 * them. Does nothing if the process does not keep the table's columns.
 */
extern void kwj_model_row_keep(KwjModelRow *model, Relation table, TupleTableSlot *slot);

/*
 * Forms the tuple of a row that was copied from the model or kept in it, and of which other values may
 * have been set since. It may leave out columns at its end that are NULL. Returns it palloc'd.
 */
extern HeapTuple kwj_model_row_form(KwjModelRow *model, const TupleTableSlot *row);

#endif
