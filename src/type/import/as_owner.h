/*
 * src/type/import/as_owner.h
 *	  Statements that a revert runs as the owner of a table.
 */
#ifndef KWJ_TYPE_IMPORT_AS_OWNER_H
#define KWJ_TYPE_IMPORT_AS_OWNER_H

#include "postgres.h"

#include "utils/rel.h"

/*
 * Runs a statement as the owner of the table, with n arguments of these types, none of them NULL.
 * Returns how many rows a DELETE has removed, or the number that a SELECT has returned. All names in it
 * are qualified. search_path is set for the functions of triggers, which would otherwise run with a path
 * that somebody else has chosen. Errors: 55000 if a rule has replaced the statement.
 */
extern uint64 kwj_import_run_as_owner(Relation rel, const char *sql, int n, Oid *types, Datum *values);

#endif
