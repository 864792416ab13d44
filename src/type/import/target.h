/*
 * src/type/import/target.h
 *	  The table that an IMPORT fills, and the storage in which its rows lie.
 */
#ifndef KWJ_TYPE_IMPORT_TARGET_H
#define KWJ_TYPE_IMPORT_TARGET_H

#include "postgres.h"
#include "executor/execdesc.h"
#include "job/current.h"
#include "lib/stringinfo.h"
#include "parser/parse_node.h"
#include "storage/block.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

/*
 * A table that holds rows: the target or one of its partitions, as it was when the job saw it
 * first. If the table is rewritten, it gets another relfilenode.
 */
typedef struct KwjStorage
{
	Oid			relid;
	Oid			relfilenode;
	BlockNumber blocks;			/* blocks from this one on are younger than the job */
} KwjStorage;

typedef struct KwjStorageMap
{
	MemoryContext context;		/* where items is allocated */
	int			n;
	int			size;
	KwjStorage *items;			/* sorted by relid */
} KwjStorageMap;

/*
 * Opens the target, locks it in RowExclusiveLock, and checks that COPY can put rows into it, and that a
 * worker sees it.
 *
 * table: what the error calls a table that does not exist; NULL: its OID. Errors: 42P01, 42809,
 * 42501 for a system catalog, 0A000 for a temporary table.
 */
extern Relation kwj_import_lock_target(Oid target, const char *table);

/*
 * The columns of the target that the files fill: names as char *, numbers as integers, in the
 * order of the fields. A job without a list of columns keeps the numbers, and the names for
 * messages only. So columns that are added or renamed later make no difference.
 */
extern List *kwj_import_column_numbers(Relation rel, List *names);
extern List *kwj_import_column_names(Relation rel, List *numbers, List *before);

/*
 * Begins a statement that inserts into these columns. pstate gets the range table that COPY needs.
 * text: see kwj_import_begin_statement. Errors: 42501 if the current user may not insert; 0A000 if
 * row-level security applies to the user.
 */
extern QueryDesc *kwj_import_begin(ParseState *pstate, Relation rel, List *numbers,
								   const char *text);

/*
 * Errors: 42501 unless the current user may read files of the server. kwj_import_check_may_read looks
 * whether that is needed for these locations (char *).
 */
extern void kwj_import_check_may_read_files(void);
extern void kwj_import_check_may_read(const List *locations);

/* Returns the OIDs of the target and, if it is partitioned, of its partitions: where its rows may be. */
extern List *kwj_import_tables_of(Relation target);

/*
 * Returns whether COPY brings rows of the target to where a revert could not remove them: another server,
 * another extension, a table access method of which nothing is known, or the trigger of a view.
 */
extern bool kwj_import_is_elsewhere(Relation target);

/* Checks that rows can be inserted into such a target, and its partitions. Errors: 0A000, and those of the FDW. */
extern void kwj_import_check_elsewhere(Relation target);

/*
 * Checks that in the target, or in each of its partitions, xmin tells which transaction inserted a
 * row, and that no other extension keeps the rows. Adds the tables that are not in the map yet.
 * Errors: 0A000 for all others (kwj_import_is_elsewhere).
 */
extern void kwj_storage_note(KwjStorageMap *map, Relation target);

extern const KwjStorage *kwj_storage_find(const KwjStorageMap *map, Oid relid);

/*
 * Write and read the map as member "storage" of a JSON object. Reading adds the tables that are not
 * in the map yet.
 */
extern void kwj_storage_write(const KwjStorageMap *map, StringInfo json);
extern void kwj_storage_read(KwjStorageMap *map, Jsonb *state);

/*
 * Reads the map of a job that parts carry: from the state of its planning, and from its pieces.
 * Returns how many tables are in the state of planning.
 */
extern int	kwj_import_read_storage(KwjAttempt *attempt, KwjStorageMap *map);

#endif
