/*
 * src/type/import/triggers.h
 *	  Whose code a revert runs as the owner of a table.
 */
#ifndef KWJ_TYPE_IMPORT_TRIGGERS_H
#define KWJ_TYPE_IMPORT_TRIGGERS_H

#include "postgres.h"
#include "utils/rel.h"

/*
 * Check that a DELETE from this table by its owner runs no code as an owner of a table
 * that is not that owner's or a superuser's: triggers, and those of tables to which
 * foreign keys pass it on, which are locked (RowExclusiveLock). The current user's own
 * tables need no check. Errors: 55000.
 */
extern void kwj_import_check_triggers(Relation rel);

#endif
