/*
 * src/type/import/triggers.h
 *	  Checks whose code a revert would run as the owner of a table.
 */
#ifndef KWJ_TYPE_IMPORT_TRIGGERS_H
#define KWJ_TYPE_IMPORT_TRIGGERS_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * Checks that a DELETE from this table by its owner runs only code that belongs to the owner or to
 * a superuser. Checks the same for the owner of each table to which foreign keys pass the DELETE
 * on, and locks these tables in RowExclusiveLock. targets: OIDs of all tables into which the
 * current user has imported; code that triggers of these tables run as the current user needs no
 * check. Errors: 55000.
 */
extern void kwj_import_check_triggers(Relation rel, const List *targets);

#endif
