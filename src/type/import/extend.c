/*
 * src/type/import/extend.c
 *	  Gives a table into which several workers import new pages, many at once, and its indexes, too.
 *
 * Caller: records.c, before each piece that COPY gets, if there are several workers. Process: worker. Locks:
 * those for the extension of the table and its indexes, for moments, and only if they are free.
 *
 * Until PostgreSQL 15, COPY adds page by page, each under that lock. Two workers of an import meet there all
 * the time, and each time one of them sleeps, for longer than it takes to add a page. COPY looks into the free
 * space map before it adds a page itself:
 *
 *     worker 0    adds 64 pages -------> free space map       COPY takes a page, and another one ...
 *     worker 1                                |  <----------  COPY takes a page, and another one ...
 *     worker 0    few are left: adds 64 ->
 *
 * The pages are empty until they are filled, as those are that COPY itself adds for others. Some of them are
 * left at the end: the next rows fill them, or VACUUM cuts them off. From PostgreSQL 16 on, COPY adds several
 * pages at once, and holds the lock for less time.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "compat.h"
#include "storage/freespace.h"
#include "storage/lmgr.h"
#include "type/import/extend.h"
#include "utils/memutils.h"

/* This many pages are added at once to the table, and to an index. */
#define TABLE_PAGES		64
#define INDEX_PAGES		32
/* More are added to the table when about this many are left: two workers use them for a piece of 64 kB each. */
#define PAGES_LEFT		24

/*
 * Adds pages at the end, and tells the free space map that each has so much room. Does nothing if another
 * process adds pages just now. Returns the number of the first page; InvalidBlockNumber: none was added.
 */
static BlockNumber
add_pages(Relation rel, int pages, Size room, BufferAccessStrategy strategy)
{
	BlockNumber first = InvalidBlockNumber;

	if (!ConditionalLockRelationForExtension(rel, ExclusiveLock))
		return InvalidBlockNumber;
	for (int i = 0; i < pages; i++)
	{
		Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, P_NEW, RBM_NORMAL, strategy);

		if (i == 0)
			first = BufferGetBlockNumber(buffer);
		ReleaseBuffer(buffer);
	}
	UnlockRelationForExtension(rel, ExclusiveLock);
	for (BlockNumber block = first; block < first + pages; block++)
		RecordPageWithFreeSpace(rel, block, room);
	FreeSpaceMapVacuumRange(rel, first, first + pages);
	return first;
}

/* Returns whether the table has few empty pages. No page has more room than MaxHeapTupleSize says. */
static bool
is_short(const KwjExtend *extend, Relation table)
{
	if (extend->table == RelationGetRelid(table))
		return GetRecordedFreeSpace(table, extend->mark) < MaxHeapTupleSize;
	return GetPageWithFreeSpace(table, MaxHeapTupleSize) == InvalidBlockNumber;
}

static void
extend_table(KwjExtend *extend, Relation table, MemoryContext context)
{
	BlockNumber first;

	if (!is_short(extend, table))
		return;
	if (extend->strategy == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		extend->strategy = GetAccessStrategy(BAS_BULKWRITE);
		MemoryContextSwitchTo(caller);
	}
	first = add_pages(table, TABLE_PAGES, BLCKSZ - SizeOfPageHeaderData, extend->strategy);
	if (first == InvalidBlockNumber)
		return;
	extend->table = RelationGetRelid(table);
	extend->mark = first + TABLE_PAGES - PAGES_LEFT;
}

/*
 * Returns whether this may add pages to the index. A B-tree takes an empty page that its free space map knows
 * of; other indexes are left alone. So is one that another session has created CONCURRENTLY and is yet to build:
 * the build begins with an empty file, and writes it without the buffers in which this would leave empty pages.
 */
static bool
is_extensible(Relation index)
{
	return index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisready;
}

/* Returns whether the index has no empty page. GetFreeIndexPage looks so, too, but takes the page that it finds. */
static bool
has_no_page(Relation index)
{
	return GetPageWithFreeSpace(index, BLCKSZ / 2) == InvalidBlockNumber;
}

static void
extend_indexes(Relation table)
{
	List	   *indexes = RelationGetIndexList(table);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);

		/* RecordFreeIndexPage calls BLCKSZ - 1 the room of an empty page. */
		if (is_extensible(index) && has_no_page(index))
			(void) add_pages(index, INDEX_PAGES, BLCKSZ - 1, NULL);
		index_close(index, NoLock);
	}
	list_free(indexes);
}

void
kwj_import_extend(KwjExtend *extend, Relation table, MemoryContext context)
{
	Assert(CheckRelationLockedByMe(table, RowExclusiveLock, true));
	if (KWJ_COPY_ADDS_PAGES || table->rd_rel->relkind != RELKIND_RELATION)
		return;
	extend_table(extend, table, context);
	extend_indexes(table);
}
