/*
 * src/store/columns.c
 *	  What a process keeps of the columns of our tables: their numbers.
 *
 * Callers: table.c; model_row.c. Each job needs dozens of columns, so the process keeps their numbers as
 * long as the table has the same columns.
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

/* How many descriptors this process has unpinned. */
static uint32 n_changes = 0;

bool
kwj_columns_are_kept(TupleDesc columns)
{
	for (int i = 0; i < MOST_PINNED; i++)
		if (pinned[i].columns == columns)
			return true;
	return false;
}

uint32
kwj_columns_changes(void)
{
	return n_changes;
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
	if (place != NULL && kwj_columns_are_kept(columns))
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
