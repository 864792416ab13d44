/*
 * src/type/import/settings.h
 *	  The settings that decide what the text of a file means.
 *
 * COPY reads dates, times, money and so on by the settings of its session, and defaults and
 * triggers find their objects by search_path. All attempts of an IMPORT use the settings of the
 * session that created the job.
 */
#ifndef KWJ_TYPE_IMPORT_SETTINGS_H
#define KWJ_TYPE_IMPORT_SETTINGS_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* Writes this session's settings as a JSON object. */
extern void kwj_import_write_settings(StringInfo json);

/*
 * Sets the settings to their values in member "settings" of the payload. Returns a level, with
 * which the caller calls kwj_import_reset_settings in the same transaction, unless the transaction
 * fails. In between, only code with the user's rights may run.
 */
extern int	kwj_import_apply_settings(Jsonb *payload);
extern void kwj_import_reset_settings(int level);

#endif
