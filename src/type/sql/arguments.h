/*
 * src/type/sql/arguments.h
 *	  The arguments of a SQL job: values for the parameters in its text, $1 or :name.
 */
#ifndef KWJ_TYPE_SQL_ARGUMENTS_H
#define KWJ_TYPE_SQL_ARGUMENTS_H

#include "nodes/params.h"
#include "utils/jsonb.h"

typedef struct KwjArguments
{
	bool		by_name;		/* :name; else $1, $2, ... */
	int			n;
	char	  **names;			/* in the order of jsonb's keys; NULL unless by_name */
	Jsonb	  **values;
	bool	   *used;			/* whether a text of the job uses it; kwj_sql_parse_with sets this */
} KwjArguments;

/*
 * Reads the arguments that a user has given: an array for $1, $2, ..., or an object for :name.
 * Returns NULL for NULL.
 *
 * Errors: 22023 if it is neither; 54000 if there are too many.
 */
extern KwjArguments *kwj_sql_read_arguments(Jsonb *given);

/* Returns the number of the argument with this name, from 0; -1: there is none. */
extern int	kwj_sql_find_argument(const KwjArguments *arguments, const char *name, int length);

/* Returns what messages call the argument: "name" or $1, palloc'd. */
extern char *kwj_sql_name_argument(const KwjArguments *arguments, int number);

/* Errors: 22023 if no text of the job uses one of the arguments. */
extern void kwj_sql_check_used(const KwjArguments *arguments);

/*
 * Converts the arguments to these types, with an active snapshot. types: of each argument;
 * InvalidOid: it is not needed. A JSON null becomes NULL. Strings, numbers and booleans are read by
 * the input function of the type; other values, and all for json and jsonb, are converted as
 * jsonb_to_record does.
 *
 * Errors: those of the types, with the argument in the context.
 */
extern ParamListInfo kwj_sql_convert_arguments(const KwjArguments *arguments, const Oid *types);

#endif
