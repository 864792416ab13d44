/*
 * src/type/sql/sql.h
 *	  Jobs of type SQL: statements of a user.
 */
#ifndef KWJ_TYPE_SQL_SQL_H
#define KWJ_TYPE_SQL_SQL_H

#include "type/type.h"

extern const KwjType kwj_type_sql;

/*
 * Check what a SQL job is to do, and make its payload. on_revert may be NULL; owner: the
 * role of the job. Errors: as kwj_sql_parse and kwj_sql_write_settings.
 */
extern Jsonb *kwj_sql_validate(const char *statement, const char *on_revert,
							   Jsonb *settings, Oid owner);

#endif
