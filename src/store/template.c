/*
 * src/store/template.c
 *	  A job that is created again and again, as JSON: what each run of a schedule does.
 *
 * Callers: lifecycle/template.c in the session that creates or alters a schedule; lifecycle/due_times.c
 * in the coordinator. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/json.h"
#include "nodes/pg_list.h"
#include "store/template.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"

typedef enum Kind
{
	TEXT,						/* const char *; NULL: the key is left out */
	NUMBER32,
	NUMBER64,
	FLAG,
	TEXTS,						/* ArrayType * of text; NULL: the key is left out */
	OBJECT,						/* Jsonb * */
} Kind;

typedef struct Field
{
	const char *name;
	Kind		kind;
	Size		offset;			/* in KwjNewJob */
} Field;

#define FIELD(name, kind, member)	{name, kind, offsetof(KwjNewJob, member)}

/* What a template has of a job. The comments in template.h say what it does not have. */
static const Field fields[] = {
	FIELD("description", TEXT, description),
	FIELD("statement", TEXT, statement),
	FIELD("payload", OBJECT, payload),
	FIELD("key", TEXT, key),
	FIELD("priority", NUMBER32, priority),
	FIELD("max_attempts", NUMBER32, max_attempts),
	FIELD("retry_delay", NUMBER64, retry_delay_ms),
	FIELD("timeout", NUMBER64, timeout_ms),
	FIELD("on_failure", TEXT, on_failure),
	FIELD("has_revert", FLAG, has_revert),
	FIELD("tags", TEXTS, tags),
	FIELD("queue", TEXT, queue),
	FIELD("serial_key", TEXT, serial_key),
	FIELD("notify", TEXT, notify),
	FIELD("window", TEXT, window),
	FIELD("window_end", TEXT, window_end),
};

/*
 * Whoever adds an option that all jobs have adds a line above, too, and counts it here. Without the line the
 * runs of schedules would not get the option. Four options have no line: run_as is the owner of the schedule,
 * and a run cannot have run_at, depends_on and on_conflict.
 */
StaticAssertDecl(KWJ_OPTION_COUNT == 17, "schedules have all options of jobs");

static List *
texts_of(ArrayType *array)
{
	List	   *texts = NIL;
	Datum	   *values;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &n);
	for (int i = 0; i < n; i++)
		texts = lappend(texts, TextDatumGetCString(values[i]));
	return texts;
}

static ArrayType *
array_of(const List *texts)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(list_length(texts), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, texts)
		values[n++] = CStringGetTextDatum(lfirst(lc));
	return n == 0 ? NULL : construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT);
}

static void
append_value(StringInfo json, Kind kind, const void *place)
{
	switch (kind)
	{
		case TEXT:
			escape_json(json, *(const char *const *) place);
			break;
		case NUMBER32:
			appendStringInfo(json, "%d", *(const int *) place);
			break;
		case NUMBER64:
			appendStringInfo(json, INT64_FORMAT, *(const int64 *) place);
			break;
		case FLAG:
			appendStringInfoString(json, *(const bool *) place ? "true" : "false");
			break;
		case TEXTS:
			kwj_json_append_texts(json, texts_of(*(ArrayType *const *) place));
			break;
		case OBJECT:
			{
				Jsonb	   *object = *(Jsonb *const *) place;

				(void) JsonbToCString(json, &object->root, VARSIZE(object));
				break;
			}
	}
}

Jsonb *
kwj_template_write(const KwjNewJob *job)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < lengthof(fields); i++)
	{
		const char *place = (const char *) job + fields[i].offset;
		Kind		kind = fields[i].kind;

		if ((kind == TEXT || kind == TEXTS) && *(void *const *) place == NULL)
			continue;
		appendStringInfo(&json, "%s\"%s\": ", json.len > 1 ? ", " : "", fields[i].name);
		append_value(&json, kind, place);
	}
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

void
kwj_template_read(Jsonb *template, KwjNewJob *job)
{
	for (int i = 0; i < lengthof(fields); i++)
	{
		const char *name = fields[i].name;
		char	   *place = (char *) job + fields[i].offset;

		switch (fields[i].kind)
		{
			case TEXT:
				*(const char **) place = kwj_json_text_or_null(template, name);
				break;
			case NUMBER32:
				*(int *) place = (int) kwj_json_int64(template, name);
				break;
			case NUMBER64:
				*(int64 *) place = kwj_json_int64(template, name);
				break;
			case FLAG:
				*(bool *) place = kwj_json_bool_or_false(template, name);
				break;
			case TEXTS:
				*(ArrayType **) place = array_of(kwj_json_texts(template, name));
				break;
			case OBJECT:
				*(Jsonb **) place = kwj_json_object(template, name);
				break;
		}
	}
}
