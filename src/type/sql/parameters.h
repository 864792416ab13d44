/*
 * src/type/sql/parameters.h
 *	  The parameters in the text of a SQL job: where they stand, and which types they have.
 */
#ifndef KWJ_TYPE_SQL_PARAMETERS_H
#define KWJ_TYPE_SQL_PARAMETERS_H

#include "nodes/parsenodes.h"
#include "type/sql/arguments.h"
#include "type/sql/places.h"

typedef struct KwjParameters
{
	const char *text;
	const KwjArguments *arguments;
	int			n;
	KwjPlace   *places;			/* in the order of the text */
} KwjParameters;

/*
 * Parses and checks the text of a job, and finds its parameters. Returns a list of RawStmt, whose
 * parameters kwj_sql_analyze replaces by arguments. *parameters: NULL if the text has none. what:
 * the name of the text, "statement" or "on_revert". arguments: NULL if none were given.
 *
 * Errors: as kwj_sql_parse and kwj_sql_find_places; 22023 if there is no argument for a parameter;
 * 0A000 if a parameter stands in a statement that can have none.
 */
extern List *kwj_sql_parse_with(const char *text, const char *what,
								const KwjArguments *arguments, KwjParameters **parameters);

/*
 * Returns the type of each argument in this statement, as PostgreSQL infers it, palloc'd;
 * InvalidOid: the statement does not use it. NULL: it uses none. Locks the tables of the statement
 * as its analysis does. Needs an active snapshot. Errors: those of the analysis; 42P18 if a type
 * cannot be inferred; 42P02 if PostgreSQL has not met one of the parameters.
 */
extern Oid *kwj_sql_infer_types(const KwjParameters *parameters, RawStmt *statement);

/* Analyses and rewrites the statement, with arguments of these types as its parameters. */
extern List *kwj_sql_analyze(const KwjParameters *parameters, const Oid *types,
							 RawStmt *statement);

#endif
