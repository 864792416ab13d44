/*
 * src/type/sql/settings.h
 *	  The settings with which the statement of a SQL job runs.
 */
#ifndef KWJ_TYPE_SQL_SETTINGS_H
#define KWJ_TYPE_SQL_SETTINGS_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/*
 * Appends a JSON object of texts to a job's payload: the given settings, and the current
 * search_path unless it is one of them.
 *
 * Errors: 22023 if settings is not an object, or a value is no text, number or boolean, or is not
 * valid for its setting; 42704 if there is no such setting; 42501 if the owner may not set it;
 * 55P02 if no session may set it; 0A000 if it makes no sense in a job; 54000 if there are too many
 * settings, or they are too large.
 */
extern void kwj_sql_write_settings(StringInfo json, Jsonb *settings, Oid owner);

/*
 * Sets the settings of the payload in this session, in the current transaction; they stay after its
 * commit. Errors: as kwj_sql_write_settings, because a setting that was allowed when the job was
 * created may not be allowed any more.
 */
extern void kwj_sql_apply_settings(Jsonb *payload);

/*
 * Sets, until the end of the subtransaction, those settings of the payload by which PostgreSQL
 * finds names and reads values: search_path, datestyle, intervalstyle, timezone.
 */
extern void kwj_sql_apply_reading(Jsonb *payload);

/*
 * Returns whether the jobs of this worker have added so many settings that the server does not know
 * that the next job should get a new worker. PostgreSQL never removes such settings, and they make
 * it slower to add more.
 */
extern bool kwj_sql_settings_pile_up(void);

#endif
