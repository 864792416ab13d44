/*
 * src/type/given.c
 *	  The options that a user gives for a new job: WITH name = 'value', ... or a JSON object.
 *
 * Callers: type/import, type/export, type/backup. Process: session (when the job is created). Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/json.h"
#include "lifecycle/options.h"
#include "type/given.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/formatting.h"

/* Returns the name of the function that does the same as the statement. */
static char *
function_of(const char *statement)
{
	return asc_tolower(statement, strlen(statement));
}

/* Returns the text of an option's value, which is a JSON string or a number. */
static char *
value_text(const char *statement, const char *name, const JsonbValue *value)
{
	char	   *text = kwj_json_scalar_text(value);

	if (text)
		return text;
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			value->type == jbvNull ?
			errmsg("%s option \"%s\" has no value", statement, name) :
			errmsg("value of %s option \"%s\" is neither a string nor a number", statement, name),
			errhint("Type WITH %s = 'value', or '{\"%s\": \"value\"}' in a call of kwjobs.%s.",
					name, name, function_of(statement)));
}

static int
compare_given(const ListCell *a, const ListCell *b)
{
	return strcmp(((const KwjGiven *) lfirst(a))->name, ((const KwjGiven *) lfirst(b))->name);
}

static void
check_is_object(const char *statement, Jsonb *jb)
{
	if (JB_ROOT_IS_OBJECT(jb))
		return;
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("%s options are not a JSON object", statement),
			errhint("Write for example '{\"delimiter\": \";\"}'."));
}

List *
kwj_given_options(const char *statement, Jsonb *jb, KwjGivenIsFlag is_flag)
{
	List	   *given = NIL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	KwjGiven   *option = NULL;
	KwjOption	of_all_jobs;

	if (jb == NULL)
		return NIL;
	check_is_object(statement, jb);
	it = JsonbIteratorInit(&jb->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			option = palloc(sizeof(KwjGiven));
			option->name = pnstrdup(v.val.string.val, v.val.string.len);
		}
		else if (token == WJB_VALUE && !kwj_option_from_name(option->name, &of_all_jobs))
		{
			if (is_flag(option->name) && v.type == jbvBool && !v.val.boolean)
				continue;
			option->value = v.type == jbvNull || v.type == jbvBool ? NULL :
				value_text(statement, option->name, &v);
			given = lappend(given, option);
		}
	}
	list_sort(given, compare_given);
	return given;
}

void
kwj_given_refuse_option(const char *statement, const char *name, const KwjForeignOption *foreign, int n,
						const char *hint)
{
	for (int i = 0; i < n; i++)
		if (pg_strcasecmp(name, foreign[i].name) == 0)
			hint = foreign[i].hint;
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("%s option \"%s\" does not exist", statement, name),
			errhint("%s", hint));
}

void
kwj_given_refuse_value(const char *statement, const char *name, const char *value, const char *hint)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			value != NULL ?
			errmsg("invalid value for %s option \"%s\": \"%s\"", statement, name, value) :
			errmsg("%s option \"%s\" has no value", statement, name),
			errhint("%s", hint));
}

char
kwj_given_character(const char *statement, const char *name, const char *value)
{
	if (strlen(value) != 1 || IS_HIGHBIT_SET(value[0]) || value[0] == '\n' || value[0] == '\r')
		kwj_given_refuse_value(statement, name, value, strcmp(value, "\\t") == 0 ?
							   psprintf("A tab is typed as %s = e'\\t'.", name) :
							   "Give one ASCII character that is not a line end.");
	return value[0];
}

char *
kwj_given_character_text(char c)
{
	return pnstrdup(&c, 1);
}

int64
kwj_given_number(const char *statement, const char *name, const char *value, int64 least, int64 most,
				 const char *hint)
{
	char	   *end;
	long long	n;

	if (value == NULL)
		kwj_given_refuse_value(statement, name, value, hint);
	errno = 0;
	n = strtoll(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || n < least || n > most)
		kwj_given_refuse_value(statement, name, value, hint);
	return n;
}

bool
kwj_given_flag(const char *statement, const KwjGiven *option)
{
	bool		on = true;

	if (option->value != NULL && !parse_bool(option->value, &on))
		kwj_given_refuse_value(statement, option->name, option->value,
							   psprintf("It has no value: type WITH %s.", option->name));
	return on;
}

void
kwj_given_append(StringInfo text, List *given)
{
	const char *separator = " WITH ";
	ListCell   *lc;

	foreach(lc, given)
	{
		const KwjGiven *option = lfirst(lc);

		appendStringInfo(text, "%s%s", separator, option->name);
		if (option->value != NULL)
			appendStringInfo(text, " = %s", quote_literal_cstr(option->value));
		separator = ", ";
	}
}

/* Returns the strings in a JSON array as PostgreSQL writes an array of texts. */
static char *
text_of_strings(const char *statement, const char *name, JsonbContainer *array)
{
	ArrayBuildState *strings = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	JsonbIterator *it = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue	v;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
		if (token == WJB_ELEM)
			accumArrayResult(strings, CStringGetTextDatum(value_text(statement, name, &v)), false,
							 TEXTOID, CurrentMemoryContext);
	return OidOutputFunctionCall(F_ARRAY_OUT, makeArrayResult(strings, CurrentMemoryContext));
}

/*
 * Returns the value, as text, of an option that jobs of all types have. The values of depends_on
 * and tags may be arrays.
 */
static char *
job_option_text(const char *statement, const char *name, KwjOption option, JsonbValue *value)
{
	bool		is_array = value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
	char	   *text;

	if (is_array && option == KWJ_OPTION_TAGS)
		return text_of_strings(statement, name, value->val.binary.data);
	if (!is_array || option != KWJ_OPTION_DEPENDS_ON)
		return value_text(statement, name, value);
	text = JsonbToCString(NULL, value->val.binary.data, -1);
	text[0] = '{';
	text[strlen(text) - 1] = '}';
	return text;
}

void
kwj_given_set_job_options(const char *statement, Jsonb *options, KwjNewJob *job)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	KwjOption	option;
	char	   *name = NULL;

	if (options == NULL || !JB_ROOT_IS_OBJECT(options))
		return;
	it = JsonbIteratorInit(&options->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE && kwj_option_from_name(name, &option))
			kwj_set_option_text(job, option, job_option_text(statement, name, option, &v));
	}
}

Jsonb *
kwj_given_own_options(Jsonb *options)
{
	Datum		own = JsonbPGetDatum(options);

	if (options == NULL)
		return NULL;
	for (int i = 0; i < KWJ_OPTION_COUNT; i++)
		own = DirectFunctionCall2(jsonb_delete, own, CStringGetTextDatum(kwj_option_name((KwjOption) i)));
	return DatumGetJsonbP(own);
}
