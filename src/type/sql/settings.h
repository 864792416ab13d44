/*
 * src/type/sql/settings.h
 *	  The settings with which the statement of a SQL job runs.
 */
#ifndef KWJ_TYPE_SQL_SETTINGS_H
#define KWJ_TYPE_SQL_SETTINGS_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/*
 * Append the settings to a job's payload, as a JSON object of texts: those given, and
 * the current search_path if it is not among them.
 *
 * Errors: 22023 not an object, a value that is no text, number or boolean, or not one of
 * this setting; 42704 unknown; 42501 the owner may not set it; 55P02 nobody may in a
 * session; 0A000 it makes no sense in a job.
 */
extern void kwj_sql_write_settings(StringInfo json, Jsonb *settings, Oid owner);

/*
 * Set them in this session. Needs a transaction, and outlives it. Errors: as above; what was
 * allowed when the job was created need not be now.
 */
extern void kwj_sql_apply_settings(Jsonb *payload);

/* Jobs have brought so many settings along that the server does not know that a new worker is better. */
extern bool kwj_sql_settings_pile_up(void);

#endif
