/*
 * src/type/import/settings.h
 *	  Settings on which it depends what a file means.
 *
 * COPY reads dates, times, money and so on by the settings of its session, and
 * defaults and triggers find their objects by search_path. An IMPORT does it by
 * the settings of the session that created the job, in all its attempts.
 */
#ifndef KWJ_TYPE_IMPORT_SETTINGS_H
#define KWJ_TYPE_IMPORT_SETTINGS_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* This session's settings as a JSON object. */
extern void kwj_import_write_settings(StringInfo json);

/*
 * Set them as they are in member "settings" of the payload. Returns a level; the
 * caller gives it back to kwj_import_reset_settings in the same transaction,
 * unless that fails. In between run only what runs with the user's rights.
 */
extern int	kwj_import_apply_settings(Jsonb *payload);
extern void kwj_import_reset_settings(int level);

#endif
