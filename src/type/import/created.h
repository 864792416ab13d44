/*
 * src/type/import/created.h
 *	  The objects of the database that an IMPORT has created, for its revert.
 */
#ifndef KWJ_TYPE_IMPORT_CREATED_H
#define KWJ_TYPE_IMPORT_CREATED_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* An object that can be dropped by itself: a table, sequence, type, schema or extension. */
typedef struct KwjCreatedObject
{
	Oid			class;
	Oid			oid;
	Oid			row_type;		/* of a relation: tells it from a later one with the same OID */
} KwjCreatedObject;

typedef struct KwjCreated
{
	MemoryContext context;		/* where items is allocated */
	bool		is_done;		/* the definition has run */
	Oid			target;			/* the table to import into, if the definition creates one */
	List	   *targets;		/* OIDs: the tables to import into, in the order of the job's */
	int			n;
	int			size;
	KwjCreatedObject *items;	/* in the order in which they were created */
} KwjCreated;

/* Adds an object that was created just now, of whatever class. */
extern void kwj_created_add(KwjCreated *created, Oid class, Oid oid);

/* Returns whether the relation is among the objects. */
extern bool kwj_created_has(const KwjCreated *created, Oid relid);

/*
 * Removes from the list the objects that go when another one is dropped, such as indexes and row
 * types. The worker calls this in the transaction that has created the objects, before
 * kwj_created_write.
 */
extern void kwj_created_complete(KwjCreated *created);

/*
 * Returns the table of this name, if the job has created it. Errors: 42P01 if there is none; 22023 if it is
 * another one.
 */
extern Oid	kwj_created_find(const KwjCreated *created, const char *schema, const char *name);

/* Adds a table to the targets. */
extern void kwj_created_add_target(KwjCreated *created, Oid table);

/* Returns whether one of the objects lies in a schema for temporary objects, or is one. */
extern bool kwj_created_temporary(const KwjCreated *created);

/* Write and read the members "targets" and "created" of a JSON object; without them nothing is read. */
extern void kwj_created_write(const KwjCreated *created, StringInfo json);
extern void kwj_created_read(KwjCreated *created, Jsonb *state);

/*
 * Drops those of the objects that still exist, as the current user, and nothing else. Returns a remark
 * for users about what was dropped, palloc'd. Locks: AccessExclusiveLock on the tables, until the end of
 * the transaction. Errors: 2BP01 if other objects depend on them; 42501 if one has another owner
 * now, before that one is locked.
 */
extern char *kwj_created_drop(const KwjCreated *created);

#endif
