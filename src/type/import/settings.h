/*
 * src/type/import/settings.h
 *	  The settings on which it depends what a file means.
 *
 * COPY reads dates, times, money and so on by the settings of its session, and defaults and
 * triggers find their objects by search_path. An IMPORT does that by the settings of the session
 * that has created the job, in all its attempts.
 */
#ifndef KWJ_TYPE_IMPORT_SETTINGS_H
#define KWJ_TYPE_IMPORT_SETTINGS_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* Writes this session's settings as a JSON object. */
extern void kwj_import_write_settings(StringInfo json);

/*
 * Sets the settings as they are in member "settings" of the payload. Returns a level, which the
 * caller gives to kwj_import_reset_settings in the same transaction, unless that fails. In
 * between, only code that has the user's rights may run.
 */
extern int	kwj_import_apply_settings(Jsonb *payload);
extern void kwj_import_reset_settings(int level);

#endif
