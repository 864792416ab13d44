/*
 * src/type/sql/sql.h
 *	  Jobs of type SQL: statements of a user.
 */
#ifndef KWJ_TYPE_SQL_SQL_H
#define KWJ_TYPE_SQL_SQL_H

#include "lifecycle/submit.h"
#include "type/type.h"

extern const KwjType kwj_type_sql;

/* Tells what to do if a statement is too long. */
#define KWJ_LONG_STATEMENT_HINT	"Create a procedure, and have the job CALL it."

/* What a user gives for a new SQL job, beside the options of all jobs. */
typedef struct KwjNewSql
{
	const char *statement;
	const char *on_revert;		/* NULL: none */
	Jsonb	   *settings;
	Jsonb	   *arguments;		/* for $1 or :name in both texts; NULL: none */
	bool		names_exist;	/* what a statement without parameters names must be there now */
	bool		spare_arguments;	/* arguments that no text uses are no error */
	bool		keep_result;	/* keep the first rows of the last query as the result */
} KwjNewSql;

/*
 * Checks what is given for a new job, and sets its payload, its statement, has_revert, and its
 * description if it has none. The caller has set the job's options, the owner among them. Errors:
 * as kwj_check_may_own, kwj_sql_parse_with, kwj_sql_check_together, kwj_sql_read_arguments,
 * kwj_sql_check_used, kwj_sql_write_settings and kwj_sql_check_fit.
 */
extern void kwj_sql_validate(const KwjNewSql *sql, KwjNewJob *job);

#endif
