/*
 * src/job/arguments.c
 *	  The arguments of a new job: a JSON object from a user.
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/arguments.h"
#include "job/json.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"

static bool
is_any_of(const JsonbValue *key, const char *const *names)
{
	for (; *names; names++)
		if (strlen(*names) == key->val.string.len &&
			memcmp(*names, key->val.string.val, key->val.string.len) == 0)
			return true;
	return false;
}

static char *
list_names(const char *const *names)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; names[i]; i++)
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", names[i]);
	return list.data;
}

void
kwj_arguments_check(Jsonb *arguments, const char *job_type, const char *const *names)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(arguments))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the arguments of a job of type %s must be a JSON object", job_type),
				 errhint("Its keys are %s.", list_names(names))));
	iterator = JsonbIteratorInit(&arguments->root);
	(void) JsonbIteratorNext(&iterator, &value, true);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
		if (token == WJB_KEY && !is_any_of(&value, names))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a job of type %s has no argument \"%.*s\"", job_type,
							pg_mbcliplen(value.val.string.val, value.val.string.len, 100),
							value.val.string.val),
					 errhint("Its arguments are %s.", list_names(names))));
}

void
kwj_argument_missing(const char *job_type, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument \"%s\" of a job of type %s must not be null", name, job_type),
			 errhint("Give it in the JSON object of arguments.")));
}

/* Find the value of a key; NULL if there is no such key, or its value is null. */
static JsonbValue *
find(Jsonb *arguments, const char *name)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&arguments->root, name, strlen(name), NULL);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

static void
refuse_kind(const char *name, const char *kind)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" of a job must be %s", name, kind),
			 errhint("Give %s as the value of \"%s\" in the JSON object of arguments.", kind, name)));
}

char *
kwj_argument_text(Jsonb *arguments, const char *name)
{
	JsonbValue *value = find(arguments, name);
	char	   *text = value ? kwj_json_scalar_text(value) : NULL;

	if (value && text == NULL)
		refuse_kind(name, "a text");
	return text;
}

ArrayType *
kwj_argument_texts(Jsonb *arguments, const char *name)
{
	JsonbValue *value = find(arguments, name);
	Datum	   *texts;
	int			n;

	if (value == NULL)
		return NULL;
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerIsScalar(value->val.binary.data))
		refuse_kind(name, "an array of texts");
	n = JsonContainerSize(value->val.binary.data);
	texts = palloc(sizeof(Datum) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		char	   *text = kwj_json_scalar_text(getIthJsonbValueFromContainer(value->val.binary.data, i));

		if (text == NULL)
			refuse_kind(name, "an array of texts");
		texts[i] = CStringGetTextDatum(text);
	}
	return construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT);
}

Jsonb *
kwj_argument_object(Jsonb *arguments, const char *name)
{
	JsonbValue *value = find(arguments, name);

	if (value == NULL)
		return NULL;
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		refuse_kind(name, "an object");
	return JsonbValueToJsonb(value);
}

Jsonb *
kwj_argument_value(Jsonb *arguments, const char *name)
{
	JsonbValue *value = find(arguments, name);

	return value == NULL ? NULL : JsonbValueToJsonb(value);
}

bool
kwj_argument_boolean(Jsonb *arguments, const char *name)
{
	JsonbValue *value = find(arguments, name);

	if (value != NULL && value->type != jbvBool)
		refuse_kind(name, "true or false");
	return value != NULL && value->val.boolean;
}

static void
add_key(StringInfo json, const char *name)
{
	appendStringInfoString(json, json->len == 0 ? "{" : ", ");
	escape_json(json, name);
	appendStringInfoString(json, ": ");
}

void
kwj_arguments_add_text(StringInfo json, const char *name, const char *value)
{
	if (value == NULL)
		return;
	add_key(json, name);
	escape_json(json, value);
}

void
kwj_arguments_add_texts(StringInfo json, const char *name, const List *values)
{
	if (values == NIL)
		return;
	add_key(json, name);
	kwj_json_append_texts(json, values);
}

void
kwj_arguments_add_object(StringInfo json, const char *name, Jsonb *value)
{
	if (value == NULL)
		return;
	add_key(json, name);
	(void) JsonbToCString(json, &value->root, VARSIZE(value));
}

Jsonb *
kwj_arguments_made(StringInfo json)
{
	appendStringInfoString(json, json->len == 0 ? "{}" : "}");
	return kwj_json_parse(json->data);
}
