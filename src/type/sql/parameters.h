/*
 * src/type/sql/parameters.h
 *	  The parameters in the text of a SQL job: where they stand, and which types they have.
 */
#ifndef KWJ_TYPE_SQL_PARAMETERS_H
#define KWJ_TYPE_SQL_PARAMETERS_H

#include "nodes/parsenodes.h"
#include "type/sql/arguments.h"

/* A parameter in the text: $1 or :name. */
typedef struct KwjPlace
{
	int			start;			/* of its first byte */
	int			end;			/* behind its last byte */
	int			argument;		/* number of the argument that it stands for, from 0 */
} KwjPlace;

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
 * PostgreSQL's scanner finds the parameters, so that nothing within a string, an identifier or a
 * comment is one. :name is a parameter where an expression may begin; after an operand, and right
 * after the [ of a subscript, the colon belongs to a slice or to JSON_OBJECT.
 *
 * Errors: as kwj_sql_parse; 22023 if there is no argument for a parameter; 0A000 if a parameter
 * stands in a statement that can have none.
 */
extern List *kwj_sql_parse_with(const char *text, const char *what,
								const KwjArguments *arguments, KwjParameters **parameters);

/*
 * Returns the type of each argument in this statement, as PostgreSQL infers it, palloc'd;
 * InvalidOid: the statement does not use it. NULL: it uses none. Locks the tables of the statement
 * as its analysis does. Needs an active snapshot. Errors: those of the analysis; 42P18 if a type
 * cannot be inferred.
 */
extern Oid *kwj_sql_infer_types(const KwjParameters *parameters, RawStmt *statement);

/* Analyses and rewrites the statement, with arguments of these types as its parameters. */
extern List *kwj_sql_analyze(const KwjParameters *parameters, const Oid *types,
							 RawStmt *statement);

#endif
