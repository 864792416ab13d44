/*
 * src/type/export/source.h
 *	  What an EXPORT reads: tables, or a query.
 */
#ifndef KWJ_TYPE_EXPORT_SOURCE_H
#define KWJ_TYPE_EXPORT_SOURCE_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "type/export/options.h"
#include "utils/rel.h"

/* A table, or the query, that is exported. */
typedef struct KwjExportItem
{
	Oid			table;			/* InvalidOid: the query */
	char	   *schema;
	char	   *name;
	List	   *columns;		/* their names; NIL for a query */
	List	   *types;			/* their types as text */
	/* what COPY reads: a table with its columns, or a query in parentheses */
	char	   *source;
	double		estimate;		/* rows, about; 0: not known */
	char	   *path;			/* of its files in the directory: "" or "schema/table" */
	/* a table that can be read in ranges of blocks: their number; else 0 */
	BlockNumber blocks;
	char	   *from;			/* the table in FROM, for such a range */
	bool		is_unsafe;		/* an output function of a column may not run in parallel workers */

	/* what was written */
	List	   *files;			/* KwjExportFile */
	int64		rows;
	int64		bytes;
} KwjExportItem;

/* Errors: 42501 unless the current user may write files of the server. */
extern void kwj_export_check_may_write_files(void);

/*
 * Checks the query: it has to be a single SELECT. Returns it without a semicolon, palloc'd. Errors:
 * those of the parser; 0A000 for other statements.
 */
extern char *kwj_export_check_query(const char *query);

/*
 * Finds the tables, or the query, of the job, and locks the tables in AccessShareLock until the end
 * of the transaction. Returns a list of KwjExportItem in CurrentMemoryContext. Needs an active
 * snapshot. Errors: 42P01 if the table is gone; 42809 if it is none; 0A000 for a temporary table, or
 * for another database than this one.
 */
extern List *kwj_export_items(const KwjExportSpec *spec);

/*
 * Returns the OIDs of all relations that the items read, also those behind views, and partitions.
 * Needs an active snapshot.
 */
extern List *kwj_export_relations(List *items);

/*
 * Locks relations in AccessShareLock that were not locked before the active snapshot was taken. Returns false if
 * the snapshot does not see the rows of one of them, because it was truncated or rewritten, or is gone, since then.
 */
extern bool kwj_export_lock_late(List *relations);

/*
 * Checks as the current user whether the item may be read, by planning the query, without reading
 * anything. Errors: 42501 and those of the planner.
 */
extern void kwj_export_check_may_read(const KwjExportItem *item);

/* Returns the names of the item's columns, quoted, between commas. */
extern char *kwj_export_column_list(const KwjExportItem *item);

/*
 * Pushes a callback that adds a hint to an error about a missing right on the item's table. The
 * caller pops it.
 */
extern void kwj_export_push_hint(ErrorContextCallback *callback, const KwjExportItem *item);

#endif
