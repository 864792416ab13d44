/*
 * src/type/sql/settings.h
 *	  The settings with which the statement of a SQL job runs.
 */
#ifndef KWJ_TYPE_SQL_SETTINGS_H
#define KWJ_TYPE_SQL_SETTINGS_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/*
 * Appends the settings to a job's payload, as a JSON object of texts: those that were given, and
 * the current search_path unless that is among them.
 *
 * Errors: 22023 if it is not an object, or a value is no text, number or boolean, or not valid for
 * its setting; 42704 if there is no such setting; 42501 if the owner may not set it; 55P02 if
 * nobody may in a session; 0A000 if it makes no sense in a job; 54000 if there are too many, or
 * they are too large.
 */
extern void kwj_sql_write_settings(StringInfo json, Jsonb *settings, Oid owner);

/*
 * Sets the settings in this session, beyond the end of the transaction that this needs. Errors: as
 * above; what was allowed when the job was created may not be allowed any more.
 */
extern void kwj_sql_apply_settings(Jsonb *payload);

/*
 * Returns whether the jobs of this worker have added so many settings that the server does not
 * know that a new worker is better.
 */
extern bool kwj_sql_settings_pile_up(void);

#endif
