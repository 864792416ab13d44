/*
 * src/job/databases.h
 *	  The databases of the server.
 */
#ifndef KWJ_JOB_DATABASES_H
#define KWJ_JOB_DATABASES_H

#include "postgres.h"

#include "catalog/pg_database.h"
#include "nodes/pg_list.h"

/*
 * Returns whether sessions may connect to the database. They may not if DROP DATABASE was
 * interrupted there and has marked it as invalid.
 */
extern bool kwj_accepts_connections(Form_pg_database database);

/*
 * Returns the OIDs of all databases that accept connections, palloc'd. Needs a transaction with a
 * snapshot. Takes AccessShareLock on pg_database.
 */
extern List *kwj_connectable_databases(void);

/* Returns the name of the database, palloc'd; if it was dropped, "OID n". Needs a transaction. */
extern char *kwj_database_name(Oid dboid);

#endif
