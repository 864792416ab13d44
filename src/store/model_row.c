/*
 * src/store/model_row.c
 *	  What many new rows of one of our tables have in common.
 *
 * Caller: table.c. Each row that a session inserts for a job of its own begins with the same two dozen
 * values. So the process keeps them as long as the table has the same columns (columns.c): first the
 * values, then the tuple of a row.
 *
 *     the first row:   values -> heap_form_tuple -> tuple, of which a copy is kept
 *     the next rows:   the same values, but for those that were set since
 *                      -> copy of that tuple, with these values written over the old ones
 *
 * heap_form_tuple goes through all columns twice, which would be a tenth of what a tracked statement
 * costs. The columns in which the first row differs from the model are each row's own. The tuple of the
 * next row can be a copy if this row has NULL in the same columns as the first one, and differs from the
 * model in no other columns than those, and if all of those have fixed lengths, but for one at most, the
 * text (of a job, its description). The values behind the text move with its length, so PostgreSQL must
 * have aligned none of them.
 *
 *     | header | a | b | status | user_name | text       | payload |      the kept tuple
 *                ^   ^                        ^
 *     | header | a'| b'| status | user_name | other text | payload |      that of the next row
 *
 * Process: any with a transaction. Locks: none; the caller has locked and opened the table, so its
 * columns cannot change.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "compat.h"
#include "store/columns.h"
#include "store/model_row.h"
#include "utils/datum.h"
#include "utils/memutils.h"

/* A column of each row's own that has a fixed length. */
typedef struct OwnColumn
{
	int			column;			/* from 0 */
	int			at;				/* where it is in the data of the tuple */
	int16		length;
	bool		by_value;
} OwnColumn;

/* The text, the only column of each row's own that has no fixed length. */
typedef struct OwnText
{
	int			column;			/* from 0; -1: there is none */
	int			begin;			/* where the column before it ends in the data of the tuple */
	int			end;			/* where it ends itself */
	bool		may_be_short;	/* it has a header of one byte if it is short enough */
	char		align;
} OwnText;

struct KwjModelTuple
{
	bool		is_usable;		/* the tuples of other rows can be copied from it */
	HeapTuple	tuple;
	int			n_columns;		/* of the tuple */
	bool	   *isnull;			/* of all columns of the table */
	bool	   *is_own;			/* of the columns of the tuple: their values are each row's own */
	int			n_own;
	OwnColumn  *own;
	OwnText		text;
};

/* ---- the values ---- */

bool
kwj_model_row_copy(const KwjModelRow *model, Relation table, TupleTableSlot *slot)
{
	TupleDesc	columns = RelationGetDescr(table);

	if (model->columns != columns || model->n_changes != kwj_columns_changes())
		return false;
	memcpy(slot->tts_values, model->values, columns->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, model->isnull, columns->natts * sizeof(bool));
	return true;
}

void
kwj_model_row_keep(KwjModelRow *model, Relation table, TupleTableSlot *slot)
{
	TupleDesc	columns = RelationGetDescr(table);
	MemoryContext caller;

	model->columns = model->first_columns = NULL;
	model->tuple = NULL;
	if (!kwj_columns_are_kept(columns))
		return;
	if (model->context == NULL)
		model->context = AllocSetContextCreate(TopMemoryContext, "kwjobs model of rows",
											   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(model->context);
	caller = MemoryContextSwitchTo(model->context);
	model->values = palloc0(columns->natts * sizeof(Datum));
	model->isnull = palloc(columns->natts * sizeof(bool));
	memcpy(model->isnull, slot->tts_isnull, columns->natts * sizeof(bool));
	for (int i = 0; i < columns->natts; i++)
		if (!slot->tts_isnull[i])
			model->values[i] = datumCopy(slot->tts_values[i], TupleDescAttr(columns, i)->attbyval,
										 TupleDescAttr(columns, i)->attlen);
	MemoryContextSwitchTo(caller);
	model->n_changes = kwj_columns_changes();
	model->columns = columns;
	(void) kwj_model_row_copy(model, table, slot);
}

/* ---- the columns that a tuple has ---- */

/* Returns how many columns are left if all NULLs at the end of the row are left out. */
static int
count_columns(const TupleTableSlot *row)
{
	int			n = row->tts_tupleDescriptor->natts;

	while (n > 0 && row->tts_isnull[n - 1])
		n--;
	return n;
}

/*
 * Returns a descriptor of the first n columns of the table; that of the table if a row without the other
 * columns would not have NULL in all of them, because one was added to the table with a default.
 */
static TupleDesc
first_columns(TupleDesc columns, int n, MemoryContext context)
{
	MemoryContext caller;
	TupleDesc	first;

	for (int i = n; i < columns->natts; i++)
		if (TupleDescAttr(columns, i)->atthasmissing)
			return columns;
	caller = MemoryContextSwitchTo(context);
	first = kwj_first_columns(columns, n);
	MemoryContextSwitchTo(caller);
	return first;
}

/*
 * PostgreSQL reads a tuple that has fewer columns than its table as one from before ALTER TABLE ... ADD
 * COLUMN: the missing columns are NULL. To form a tuple without the NULLs at its end takes half as long.
 * The first row decides how many columns the tuples of all rows leave out, because to make a descriptor
 * for each row would take longer.
 */
static TupleDesc
columns_of_tuple(KwjModelRow *model, const TupleTableSlot *row)
{
	int			n = count_columns(row);

	if (model->first_columns == NULL)
		model->first_columns = first_columns(model->columns, n, model->context);
	return n <= model->first_columns->natts ? model->first_columns : model->columns;
}

/* ---- the tuple ---- */

static bool
is_own(const KwjModelRow *model, const TupleTableSlot *row, int i)
{
	return row->tts_isnull[i] != model->isnull[i] ||
		(!row->tts_isnull[i] && row->tts_values[i] != model->values[i]);
}

/* Notes a column of each row's own, which is in the data of the tuple from `at` on. */
static void
note_own(KwjModelTuple *tuple, Form_pg_attribute column, int before, int at, int end)
{
	int			i = column->attnum - 1;

	if (tuple->isnull[i] || column->attlen == -2 || (column->attlen == -1 && tuple->text.column >= 0))
		tuple->is_usable = false;
	else if (column->attlen > 0)
		tuple->own[tuple->n_own++] = (OwnColumn) {i, at, column->attlen, column->attbyval};
	else
		tuple->text = (OwnText) {i, before, end, column->attstorage != TYPSTORAGE_PLAIN, column->attalign};
}

/* Goes through the columns of the tuple, and notes where those are that are each row's own. */
static void
note_columns(KwjModelTuple *tuple, const KwjModelRow *model, const TupleTableSlot *row)
{
	const char *data = (const char *) tuple->tuple->t_data + tuple->tuple->t_data->t_hoff;
	int			end = 0;

	for (int i = 0; i < tuple->n_columns; i++)
	{
		Form_pg_attribute column = TupleDescAttr(model->columns, i);
		int			before = end;
		int			at;

		if (!tuple->isnull[i])
		{
			at = att_align_pointer(end, column->attalign, column->attlen, data + end);
			end = att_addlength_pointer(at, column->attlen, data + at);
			/* Behind the text, a column that is aligned would not just move with its length. */
			if (tuple->text.column >= 0 && (column->attlen != -1 || !VARATT_IS_SHORT(data + at)))
				tuple->is_usable = false;
		}
		else
			at = end;
		tuple->is_own[i] = is_own(model, row, i);
		if (tuple->is_own[i])
			note_own(tuple, column, before, at, end);
	}
}

/* Keeps this tuple, which was formed of the row, in the model. */
static void
keep_tuple(KwjModelRow *model, const TupleTableSlot *row, HeapTuple formed)
{
	MemoryContext caller = MemoryContextSwitchTo(model->context);
	KwjModelTuple *tuple = palloc0(sizeof(KwjModelTuple));
	int			n = HeapTupleHeaderGetNatts(formed->t_data);

	tuple->is_usable = true;
	tuple->tuple = heap_copytuple(formed);
	tuple->n_columns = n;
	tuple->isnull = palloc(model->columns->natts * sizeof(bool));
	memcpy(tuple->isnull, row->tts_isnull, model->columns->natts * sizeof(bool));
	tuple->is_own = palloc0(n * sizeof(bool));
	tuple->own = palloc(n * sizeof(OwnColumn));
	tuple->text.column = -1;
	note_columns(tuple, model, row);
	model->tuple = tuple;
	MemoryContextSwitchTo(caller);
}

/*
 * Returns whether the row has NULL in the same columns as the row of the kept tuple, and the model's values in
 * all columns that are not each row's own.
 */
static bool
can_copy(const KwjModelRow *model, const TupleTableSlot *row)
{
	const KwjModelTuple *tuple = model->tuple;

	if (tuple == NULL || !tuple->is_usable ||
		memcmp(row->tts_isnull, tuple->isnull, model->columns->natts * sizeof(bool)) != 0)
		return false;
	for (int i = 0; i < tuple->n_columns; i++)
		if (!tuple->is_own[i] && row->tts_values[i] != model->values[i])
			return false;
	/* A value that is compressed, or stored elsewhere, is for heap_form_tuple. */
	return tuple->text.column < 0 || VARATT_IS_4B_U(DatumGetPointer(row->tts_values[tuple->text.column]));
}

/* Writes the text into the data of a tuple, at its place. Returns where it ends. */
static int
write_text(char *data, const OwnText *text, const struct varlena *value)
{
	int			at;

	if (text->may_be_short && VARATT_CAN_MAKE_SHORT(value))
	{
		int			size = VARATT_CONVERTED_SHORT_SIZE(value);

		SET_VARSIZE_SHORT(data + text->begin, size);
		memcpy(data + text->begin + 1, VARDATA(value), size - 1);
		return text->begin + size;
	}
	at = att_align_nominal(text->begin, text->align);
	memset(data + text->begin, 0, at - text->begin);
	memcpy(data + at, value, VARSIZE(value));
	return at + VARSIZE(value);
}

/*
 * Writes the row's own values over those of the copy. rest: how many bytes of the kept tuple follow its
 * text.
 */
static void
write_own(HeapTuple copy, const KwjModelTuple *tuple, const TupleTableSlot *row, int rest)
{
	char	   *data = (char *) copy->t_data + copy->t_data->t_hoff;

	for (int i = 0; i < tuple->n_own; i++)
	{
		const OwnColumn *own = &tuple->own[i];
		Datum		value = row->tts_values[own->column];

		if (own->by_value)
			store_att_byval(data + own->at, value, own->length);
		else
			memcpy(data + own->at, DatumGetPointer(value), own->length);
	}
	if (tuple->text.column >= 0)
	{
		int			end = write_text(data, &tuple->text,
									 (struct varlena *) DatumGetPointer(row->tts_values[tuple->text.column]));

		memcpy(data + end, (char *) tuple->tuple->t_data + tuple->tuple->t_len - rest, rest);
		copy->t_len = copy->t_data->t_hoff + end + rest;
		HeapTupleHeaderSetDatumLength(copy->t_data, copy->t_len);
	}
}

static HeapTuple
copy_tuple(const KwjModelTuple *tuple, const TupleTableSlot *row)
{
	const HeapTupleData *kept = tuple->tuple;
	const OwnText *text = &tuple->text;
	int			head = text->column >= 0 ? kept->t_data->t_hoff + text->begin : (int) kept->t_len;
	int			rest = text->column >= 0 ? (int) kept->t_len - kept->t_data->t_hoff - text->end : 0;
	int			most = text->column >= 0 ?
		MAXIMUM_ALIGNOF + VARSIZE(DatumGetPointer(row->tts_values[text->column])) : 0;
	HeapTuple	copy = palloc(HEAPTUPLESIZE + head + most + rest);

	*copy = *kept;
	copy->t_data = (HeapTupleHeader) ((char *) copy + HEAPTUPLESIZE);
	memcpy(copy->t_data, kept->t_data, head);
	write_own(copy, tuple, row, rest);
	return copy;
}

#ifdef USE_ASSERT_CHECKING
/* Frees the second tuple, because the memory context of the caller may live as long as the process. */
static bool
is_same(HeapTuple copy, HeapTuple formed)
{
	bool		is = copy->t_len == formed->t_len && memcmp(copy->t_data, formed->t_data, formed->t_len) == 0;

	heap_freetuple(formed);
	return is;
}
#endif

HeapTuple
kwj_model_row_form(KwjModelRow *model, const TupleTableSlot *row)
{
	HeapTuple	tuple;

	if (model->columns == NULL)
		return heap_form_tuple(row->tts_tupleDescriptor, row->tts_values, row->tts_isnull);
	if (can_copy(model, row))
	{
		tuple = copy_tuple(model->tuple, row);
		Assert(is_same(tuple, heap_form_tuple(columns_of_tuple(model, row), row->tts_values, row->tts_isnull)));
		return tuple;
	}
	tuple = heap_form_tuple(columns_of_tuple(model, row), row->tts_values, row->tts_isnull);
	if (model->tuple == NULL)
		keep_tuple(model, row, tuple);
	return tuple;
}
