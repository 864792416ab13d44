/*
 * src/type/import/settings.c
 *	  The settings that decide what the text of a file means.
 *
 * Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "job/transaction.h"
#include "utils/guc.h"
#include "utils/json.h"

#include "type/import/settings.h"
#include "job/json.h"

static const char *const settings[] = {
	"DateStyle",
	"IntervalStyle",
	"TimeZone",
	"array_nulls",
	"default_text_search_config",
	"lc_monetary",
	"search_path",
	"xmloption",
};

void
kwj_import_write_settings(StringInfo json)
{
	for (int i = 0; i < lengthof(settings); i++)
	{
		appendStringInfo(json, "%s\"%s\": ", i > 0 ? ", " : "{", settings[i]);
		escape_json(json, GetConfigOption(settings[i], false, false));
	}
	appendStringInfoChar(json, '}');
}

int
kwj_import_apply_settings(Jsonb *payload)
{
	Jsonb	   *values = kwj_json_object(payload, "settings");
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		kwj_set_in_level(settings[i], kwj_json_text(values, settings[i]));
	return level;
}

/* Also resets settings that triggers have changed, as the end of a failed transaction does. */
void
kwj_import_reset_settings(int level)
{
	AtEOXact_GUC(false, level);
}
