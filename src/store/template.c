/*
 * src/store/template.c
 *	  A job that is created again and again, as JSON: what each run of a schedule does.
 *
 * Callers: lifecycle/template.c in the session that creates or alters a schedule; lifecycle/due_times.c
 * in the coordinator. Locks: none.
 */
#include "postgres.h"

#include "job/json.h"
#include "job/texts.h"
#include "nodes/pg_list.h"
#include "store/template.h"
#include "utils/array.h"
#include "utils/json.h"

typedef enum Kind
{
	TEXT,						/* const char *; NULL: the key is left out */
	NUMBER32,
	NUMBER64,
	FLAG,
	TEXTS,						/* ArrayType * of text; NULL: the key is left out */
	OBJECT,						/* Jsonb * */
	OBJECT_OR_NONE,				/* Jsonb *; NULL: the key is left out */
} Kind;

typedef struct Field
{
	const char *name;
	Kind		kind;
	Size		offset;			/* in KwjNewJob */
	int			option;			/* the KwjOption that sets it; NOT_GIVEN: none does */
} Field;

#define NOT_GIVEN	(-1)

#define FIELD(name, kind, member, option)	{name, kind, offsetof(KwjNewJob, member), option}

/* The columns of a job that a template has. The comment of kwj_template_write says which it does not have. */
static const Field fields[] = {
	FIELD("description", TEXT, description, NOT_GIVEN),
	FIELD("statement", TEXT, statement, NOT_GIVEN),
	FIELD("payload", OBJECT, payload, NOT_GIVEN),
	FIELD("arguments", OBJECT_OR_NONE, arguments, NOT_GIVEN),
	FIELD("key", TEXT, key, KWJ_OPTION_KEY),
	FIELD("priority", NUMBER32, priority, KWJ_OPTION_PRIORITY),
	FIELD("max_attempts", NUMBER32, max_attempts, KWJ_OPTION_MAX_ATTEMPTS),
	FIELD("retry_delay", NUMBER64, retry_delay_ms, KWJ_OPTION_RETRY_INITIAL_DELAY),
	FIELD("timeout", NUMBER64, timeout_ms, KWJ_OPTION_TIMEOUT),
	FIELD("on_failure", TEXT, on_failure, KWJ_OPTION_ON_FAILURE),
	FIELD("has_revert", FLAG, has_revert, NOT_GIVEN),
	FIELD("tags", TEXTS, tags, KWJ_OPTION_TAGS),
	FIELD("queue", TEXT, queue, KWJ_OPTION_QUEUE),
	FIELD("serial_key", TEXT, serial_key, KWJ_OPTION_SERIAL_KEY),
	FIELD("notify", TEXT, notify, KWJ_OPTION_NOTIFY),
	FIELD("window", TEXT, window, KWJ_OPTION_WINDOW),
	FIELD("window_end", TEXT, window_end, KWJ_OPTION_WINDOW_END),
};

/* A template has this key if the user has given the description, which otherwise says what the job does. */
#define DESCRIBED	"described"

/*
 * Whoever adds an option of all jobs adds a line for it above, too, and counts the option here: without the
 * line the runs of schedules would not get the option. Four options have no line. run_as is the owner of the
 * schedule, and a run cannot have run_at, depends_on and on_conflict.
 */
StaticAssertDecl(KWJ_OPTION_COUNT == 17, "schedules have all options of jobs");

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
			kwj_json_append_texts(json, kwj_texts_of_array(*(ArrayType *const *) place, "a tag must not be null"));
			break;
		case OBJECT:
		case OBJECT_OR_NONE:
			{
				Jsonb	   *object = *(Jsonb *const *) place;

				(void) JsonbToCString(json, &object->root, VARSIZE(object));
				break;
			}
	}
}

bool
kwj_template_is_described(const KwjNewJob *job)
{
	return (job->given & KWJ_GIVEN(KWJ_OPTION_DESCRIPTION)) != 0;
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

		if ((kind == TEXT || kind == TEXTS || kind == OBJECT_OR_NONE) && *(void *const *) place == NULL)
			continue;
		appendStringInfo(&json, "%s\"%s\": ", json.len > 1 ? ", " : "", fields[i].name);
		append_value(&json, kind, place);
	}
	if (kwj_template_is_described(job))
		appendStringInfoString(&json, ", \"" DESCRIBED "\": true");
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
				{
					List	   *texts = kwj_json_texts(template, name);

					*(ArrayType **) place = texts == NIL ? NULL : kwj_array_of_texts(texts);
					break;
				}
			case OBJECT:
				*(Jsonb **) place = kwj_json_object(template, name);
				break;
			case OBJECT_OR_NONE:
				*(Jsonb **) place = kwj_json_object_or_null(template, name);
				break;
		}
	}
	if (kwj_json_bool_or_false(template, DESCRIBED))
		job->given |= KWJ_GIVEN(KWJ_OPTION_DESCRIPTION);
}

/* Copies the field from one job to another. */
static void
copy_field(const Field *field, KwjNewJob *to, const KwjNewJob *from)
{
	static const Size sizes[] = {
		[TEXT] = sizeof(const char *),
		[NUMBER32] = sizeof(int),
		[NUMBER64] = sizeof(int64),
		[FLAG] = sizeof(bool),
		[TEXTS] = sizeof(ArrayType *),
		[OBJECT] = sizeof(Jsonb *),
		[OBJECT_OR_NONE] = sizeof(Jsonb *),
	};

	memcpy((char *) to + field->offset, (const char *) from + field->offset, sizes[field->kind]);
}

void
kwj_template_change(KwjNewJob *job, const KwjNewJob *new)
{
	job->payload = new->payload;
	job->arguments = new->arguments;
	job->has_revert = new->has_revert;
	for (int i = 0; i < lengthof(fields); i++)
		if (fields[i].option != NOT_GIVEN && (new->given & KWJ_GIVEN(fields[i].option)) != 0)
			copy_field(&fields[i], job, new);
	/* If the user's description stays, only the statement says what the schedule does now. */
	if (kwj_template_is_described(job) && !kwj_template_is_described(new))
		job->statement = new->description;
	else
	{
		job->description = new->description;
		job->statement = new->statement;
	}
	job->given |= new->given;
}
