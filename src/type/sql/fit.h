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
 * Converts the arguments to the types that the statements have for them now, as the job's owner
 * and with the job's settings, and throws the values away. Statements that cannot be analyzed now
 * are left to the attempt: a table may be created later. So are those behind one that may change
 * tables, and all if the job waits for others. job: its payload is set. parameters: NULL: there are
 * none.
 *
 * Errors: those of the types, if a value does not fit; 42P18, 42P08 if a type cannot be inferred.
 */
extern void kwj_sql_check_fit(const KwjNewJob *job, List *statements,
							  const KwjParameters *parameters);

#endif
