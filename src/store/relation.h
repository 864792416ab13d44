/*
 * src/store/relation.h
 *	  The OIDs of our tables and indexes, by name.
 */
#ifndef KWJ_STORE_RELATION_H
#define KWJ_STORE_RELATION_H

#include "kwjobs.h"

/*
 * Returns the OID of the table or index in schema kwjobs that has this name. The caller is in a
 * transaction. Errors: 55000 if the extension is not installed in this database.
 */
extern Oid	kwj_store_relation(const char *name);

/*
 * As kwj_store_relation, but returns InvalidOid if the relation does not exist or the extension is
 * not installed.
 */
extern Oid	kwj_store_find_relation(const char *name);

/* Registers the callbacks by which PostgreSQL tells a process of changes. _PG_init calls this. */
extern void kwj_store_relation_init(void);

#endif
