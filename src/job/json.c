/*
 * src/job/json.c
 *	  Reading and writing the payloads and checkpoints of jobs.
 *
 * Process: session, worker. Locks: none.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "job/json.h"

static JsonbValue *
get_key(Jsonb *jb, const char *key, enum jbvType type, bool missing_ok)
{
	JsonbValue *value = NULL;

	if (JB_ROOT_IS_OBJECT(jb))
		value = getKeyJsonValueFromContainer(&jb->root, key, strlen(key), NULL);
	if (value == NULL && missing_ok)
		return NULL;
	if (value == NULL || value->type != type)
		elog(ERROR, "job data has no valid key \"%s\"", key);
	return value;
}

static int64
numeric_value(const JsonbValue *value)
{
	return DatumGetInt64(DirectFunctionCall1(numeric_int8,
											 NumericGetDatum(value->val.numeric)));
}

int64
kwj_json_int64(Jsonb *jb, const char *key)
{
	return numeric_value(get_key(jb, key, jbvNumeric, false));
}

char *
kwj_json_text(Jsonb *jb, const char *key)
{
	JsonbValue *value = get_key(jb, key, jbvString, false);

	return pnstrdup(value->val.string.val, value->val.string.len);
}

char *
kwj_json_text_or_null(Jsonb *jb, const char *key)
{
	return get_key(jb, key, jbvString, true) ? kwj_json_text(jb, key) : NULL;
}

Jsonb *
kwj_json_object(Jsonb *jb, const char *key)
{
	return JsonbValueToJsonb(get_key(jb, key, jbvBinary, false));
}

Jsonb *
kwj_json_object_or_null(Jsonb *jb, const char *key)
{
	return get_key(jb, key, jbvBinary, true) ? kwj_json_object(jb, key) : NULL;
}

int64
kwj_json_int64_or(Jsonb *jb, const char *key, int64 otherwise)
{
	return get_key(jb, key, jbvNumeric, true) ? kwj_json_int64(jb, key) : otherwise;
}

bool
kwj_json_bool_or_false(Jsonb *jb, const char *key)
{
	JsonbValue *value = get_key(jb, key, jbvBool, true);

	return value != NULL && value->val.boolean;
}

/* Get an element of an array, which must have this type. */
static JsonbValue *
get_element(JsonbContainer *array, int i, enum jbvType type, const char *key)
{
	JsonbValue *value = getIthJsonbValueFromContainer(array, i);

	if (value == NULL || value->type != type)
		elog(ERROR, "job data has an invalid element under key \"%s\"", key);
	return value;
}

List *
kwj_json_texts(Jsonb *jb, const char *key)
{
	JsonbValue *array = get_key(jb, key, jbvBinary, true);
	List	   *result = NIL;

	if (array == NULL)
		return NIL;
	for (int i = 0; i < JsonContainerSize(array->val.binary.data); i++)
	{
		JsonbValue *value = get_element(array->val.binary.data, i, jbvString, key);

		result = lappend(result, pnstrdup(value->val.string.val,
										  value->val.string.len));
	}
	return result;
}

int64 *
kwj_json_int64s(Jsonb *jb, const char *key, int *n)
{
	JsonbValue *array = get_key(jb, key, jbvBinary, true);
	int64	   *result;

	*n = 0;
	if (array == NULL)
		return NULL;
	*n = JsonContainerSize(array->val.binary.data);
	result = palloc(sizeof(int64) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		result[i] = numeric_value(get_element(array->val.binary.data, i,
											  jbvNumeric, key));
	return result;
}

Jsonb *
kwj_json_copy(Datum value, bool isnull, MemoryContext context)
{
	MemoryContext old;
	Jsonb	   *copy;

	if (isnull)
		return NULL;
	old = MemoryContextSwitchTo(context);
	copy = DatumGetJsonbPCopy(value);
	MemoryContextSwitchTo(old);
	return copy;
}

Jsonb *
kwj_json_parse(const char *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

Jsonb *
kwj_json_empty(void)
{
	static Jsonb *empty = NULL;

	if (empty == NULL)
		empty = kwj_json_copy(JsonbPGetDatum(kwj_json_parse("{}")), false, TopMemoryContext);
	return empty;
}

char *
kwj_json_scalar_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		default:
			return NULL;
	}
}

void
kwj_json_append_texts(StringInfo json, const List *texts)
{
	ListCell   *lc;

	appendStringInfoChar(json, '[');
	foreach(lc, texts)
	{
		appendStringInfoString(json, foreach_current_index(lc) > 0 ? ", " : "");
		escape_json(json, lfirst(lc));
	}
	appendStringInfoChar(json, ']');
}

void
kwj_json_append_numbers(StringInfo json, const List *numbers)
{
	ListCell   *lc;

	appendStringInfoChar(json, '[');
	foreach(lc, numbers)
		appendStringInfo(json, "%s%d", foreach_current_index(lc) > 0 ? ", " : "", lfirst_int(lc));
	appendStringInfoChar(json, ']');
}

Jsonb *
kwj_json_with(Jsonb *object, const char *key, Jsonb *value)
{
	StringInfoData json;
	Jsonb	   *added;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	escape_json(&json, key);
	appendStringInfoString(&json, ": ");
	(void) JsonbToCString(&json, &value->root, VARSIZE(value));
	appendStringInfoChar(&json, '}');
	added = kwj_json_parse(json.data);
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(object), JsonbPGetDatum(added)));
}
