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

/*
 * Checks the statements and the settings of a new job, and sets its payload, its statement,
 * has_revert, and its description if it has none. on_revert may be NULL. The caller has set the
 * job's owner. Errors: as kwj_check_may_own, kwj_sql_parse, kwj_sql_check_together and
 * kwj_sql_write_settings.
 */
extern void kwj_sql_validate(const char *statement, const char *on_revert, Jsonb *settings,
							 KwjNewJob *job);

#endif
