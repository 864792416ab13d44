/*
 * src/type/import_target.h
 *	  The table that an IMPORT fills, and the storage in which its rows lie.
 */
#ifndef KWJ_TYPE_IMPORT_TARGET_H
#define KWJ_TYPE_IMPORT_TARGET_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "parser/parse_node.h"
#include "storage/block.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

/*
 * A table that holds rows: the target, or a partition of it, as it was when the
 * job saw it first. A rewrite changes relfilenode.
 */
typedef struct KwjStorage
{
	Oid			relid;
	Oid			relfilenode;
	BlockNumber blocks;			/* blocks from here on are younger than the job */
} KwjStorage;

typedef struct KwjStorageMap
{
	MemoryContext context;		/* where items is allocated */
	int			n;
	int			size;
	KwjStorage *items;			/* sorted by relid */
} KwjStorageMap;

/*
 * Open and lock (RowExclusiveLock) the target, after checking that the current
 * user may import into these columns of it, and that the import can be reverted.
 * pstate gets the range table that COPY needs.
 *
 * table: what the error calls a table that does not exist; NULL: its OID.
 */
extern Relation kwj_import_open_target(ParseState *pstate, Oid target,
									   const char *table, List *columns);

/* The current user must be allowed to read files of the server. */
extern void kwj_import_check_may_read_files(void);

extern char *kwj_qualified_name(Relation rel);

/*
 * Check that the rows of each partition (or of the target itself) can be told by
 * xmin, and add those that are not in the map yet.
 */
extern void kwj_storage_note(KwjStorageMap *map, Relation target);

extern const KwjStorage *kwj_storage_find(const KwjStorageMap *map, Oid relid);

/* As member "storage" of a JSON object. */
extern void kwj_storage_write(const KwjStorageMap *map, StringInfo json);
extern void kwj_storage_read(KwjStorageMap *map, Jsonb *state);

#endif
