/*
 * src/type/sql/fit.h
 *	  Whether the arguments of a new SQL job fit the parameters of its statement.
 */
#ifndef KWJ_TYPE_SQL_FIT_H
#define KWJ_TYPE_SQL_FIT_H

#include "lifecycle/submit.h"
#include "nodes/pg_list.h"
#include "type/sql/parameters.h"

/*
 * Checks the arguments as the job's owner, with the job's settings: converts them to the types that
 * the statements have for them now, and throws the values away. The check ends without an error at
 * the first statement that cannot be analyzed, because its table may be created later, and after
 * the first one that may change tables. It does nothing if the job depends on others. job: its
 * payload is set. parameters: NULL: there are none.
 *
 * Errors: those of the types, if a value does not fit; 42P18, 42P08 if a type cannot be inferred.
 */
extern void kwj_sql_check_fit(const KwjNewJob *job, List *statements,
							  const KwjParameters *parameters);

/*
 * Checks in the same way whether the tables, columns and functions that the statements name are there
 * now, up to the first statement that may change tables. For a statement without parameters. Errors: of
 * class 42.
 */
extern void kwj_sql_check_names(const KwjNewJob *job, List *statements, const char *text);

#endif
