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
 * Checks that a DELETE from this table by its owner runs no code that others have chosen as that
 * owner, or as the owner of a table to which foreign keys pass it on: the code must be that
 * owner's or a superuser's. Those tables are locked in RowExclusiveLock. targets: OIDs of all
 * tables into which the current user has imported; in these, what runs as the current user needs
 * no check. Errors: 55000.
 */
extern void kwj_import_check_triggers(Relation rel, const List *targets);

#endif
