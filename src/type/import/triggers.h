/*
 * src/type/import/triggers.h
 *	  Whose code a revert runs as the owner of a table.
 */
#ifndef KWJ_TYPE_IMPORT_TRIGGERS_H
#define KWJ_TYPE_IMPORT_TRIGGERS_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * Check that a DELETE from this table by its owner runs no code as a role that is not that
 * role's or a superuser's: as that owner, or as the owner of a table to which foreign keys pass it
 * on. Those tables are locked (RowExclusiveLock). In the targets, OIDs of all tables that the current
 * user has imported into, what runs as the current user needs no check. Errors: 55000.
 */
extern void kwj_import_check_triggers(Relation rel, const List *targets);

#endif
