/*
 * src/store/columns.c
 *	  What a process keeps of the columns of our tables: their numbers, and what many new rows have
 *	  in common.
 *
 * Caller: table.c. Each job needs dozens of columns, and each row that a session inserts for a job
 * begins with the same two dozen values. So the process keeps the numbers and the values as long as
 * the table has the same columns.
 *
 * How the process knows that the columns are the same. Its relation cache has a descriptor of the columns
 * of each table. If the columns change, PostgreSQL puts another descriptor in its place. The process pins the
 * descriptor, and unpins it only when it finds another one in the cache. PostgreSQL does not free a pinned
 * descriptor, so no other one can get its address. So if the cache still has a descriptor at this address,
 * all that the process has kept of the table is right.
 *
 *     open the table -> kwj_columns_keep: is its descriptor the one that is pinned?
 *                         | yes             | no, or none is
 *                         v                 v
 *                       nothing to do     forget what is known by the old one, unpin it; pin this one
 *
 * Process: any with a transaction. Locks: none; the caller has locked and opened the table, so its
 * columns cannot change.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "common/hashfn.h"
#include "compat.h"
#include "store/columns.h"
#include "utils/datum.h"
#include "utils/memutils.h"

/* ---- pinned descriptors ---- */

/* A process opens fewer of our tables. If the array is full all the same, the process forgets a table. */
#define MOST_PINNED		32

typedef struct Pinned
{
	Oid			table;			/* InvalidOid: the place is free */
	TupleDesc	columns;
} Pinned;

static Pinned pinned[MOST_PINNED];

/* How many descriptors this process has unpinned. A model row that was kept before may be of one of them. */
static uint32 n_changes = 0;

static bool
is_pinned(TupleDesc columns)
{
	for (int i = 0; i < MOST_PINNED; i++)
		if (pinned[i].columns == columns)
			return true;
	return false;
}

/* Returns the place of the table's descriptor; if none is pinned, the place where one can be pinned. */
static Pinned *
place_of(Oid table)
{
	static int	next = 0;
	Pinned	   *unused = NULL;

	for (int i = 0; i < MOST_PINNED; i++)
	{
		if (pinned[i].table == table)
			return &pinned[i];
		if (unused == NULL && pinned[i].table == InvalidOid)
			unused = &pinned[i];
	}
	return unused != NULL ? unused : &pinned[next++ % MOST_PINNED];
}

/* ---- numbers of columns ---- */

typedef struct Known
{
	const char *name;			/* the caller's pointer; NULL: the place is free */
	TupleDesc	columns;
	AttrNumber	number;
} Known;

/* A process has about a hundred, so mostly the first place that find_known tries is right. */
#define MOST_KNOWN		512
#define N_TRIES			8

static Known known[MOST_KNOWN];

/* Returns what is known of the column, or the place for it; NULL if there is no place. */
static Known *
find_known(TupleDesc columns, const char *name)
{
	uint32		first = murmurhash32((uint32) (uintptr_t) name ^ (uint32) (uintptr_t) columns);

	for (uint32 i = 0; i < N_TRIES; i++)
	{
		Known	   *place = &known[(first + i) % MOST_KNOWN];

		if (place->name == NULL || (place->name == name && place->columns == columns))
			return place;
	}
	return NULL;
}

static AttrNumber
look_up(Relation table, const char *name)
{
	TupleDesc	columns = RelationGetDescr(table);

	for (int i = 0; i < columns->natts; i++)
		if (!TupleDescAttr(columns, i)->attisdropped &&
			strcmp(NameStr(TupleDescAttr(columns, i)->attname), name) == 0)
			return i + 1;
	elog(ERROR, "table \"%s\" has no column \"%s\"", RelationGetRelationName(table), name);
	return InvalidAttrNumber;
}

AttrNumber
kwj_column_number(Relation table, const char *name)
{
	TupleDesc	columns = RelationGetDescr(table);
	Known	   *place = find_known(columns, name);
	AttrNumber	number;

	if (place != NULL && place->name != NULL)
		return place->number;
	number = look_up(table, name);
	if (place != NULL && is_pinned(columns))
		*place = (Known) {.name = name, .columns = columns, .number = number};
	return number;
}

/* Forgets the columns that were found with the descriptor in this place, and unpins the descriptor. */
static void
forget(Pinned *place)
{
	TupleDesc	columns = place->columns;

	*place = (Pinned) {.table = InvalidOid};
	if (columns == NULL)
		return;
	n_changes++;
	for (int i = 0; i < MOST_KNOWN; i++)
		if (known[i].columns == columns)
			known[i] = (Known) {.name = NULL};
	if (--columns->tdrefcount == 0)
		FreeTupleDesc(columns);
}

void
kwj_columns_keep(Relation table)
{
	TupleDesc	columns = RelationGetDescr(table);
	Pinned	   *place = place_of(RelationGetRelid(table));

	if (place->columns == columns)
		return;
	forget(place);
	/* Not PinTupleDesc, because that pin would end with the transaction. */
	Assert(columns->tdrefcount > 0);
	columns->tdrefcount++;
	*place = (Pinned) {.table = RelationGetRelid(table), .columns = columns};
}

/* ---- the values that many new rows have in common ---- */

bool
kwj_model_row_copy(const KwjModelRow *model, Relation table, TupleTableSlot *slot)
{
	TupleDesc	columns = RelationGetDescr(table);

	if (model->columns != columns || model->n_changes != n_changes)
		return false;
	memcpy(slot->tts_values, model->values, columns->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, model->isnull, columns->natts * sizeof(bool));
	return true;
}

void
kwj_model_row_keep(KwjModelRow *model, Relation table, const TupleTableSlot *slot)
{
	TupleDesc	columns = RelationGetDescr(table);
	MemoryContext caller;

	model->columns = NULL;
	model->first_columns = NULL;
	if (!is_pinned(columns))
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
	model->n_changes = n_changes;
	model->columns = columns;
}

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
TupleDesc
kwj_model_row_columns(KwjModelRow *model, const TupleTableSlot *row)
{
	int			n = count_columns(row);

	if (model->columns == NULL)
		return row->tts_tupleDescriptor;
	if (model->first_columns == NULL)
		model->first_columns = first_columns(model->columns, n, model->context);
	return n <= model->first_columns->natts ? model->first_columns : model->columns;
}
