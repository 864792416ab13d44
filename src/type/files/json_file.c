/*
 * src/type/files/json_file.c
 *	  The text of a JSON file that somebody else may have written, such as a manifest.
 *
 * Callers: type/backup, type/import. Process: session, worker. Locks: none.
 */
#include "postgres.h"

#include "job/json.h"
#include "mb/pg_wchar.h"
#include "type/files/json_file.h"
#include "utils/builtins.h"

/* Parses the text. Returns NULL if the parser refuses it. */
static Jsonb *
try_to_parse(const char *text)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *volatile json = NULL;

	PG_TRY();
	{
		json = kwj_json_parse(text);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (geterrcode() != ERRCODE_INVALID_TEXT_REPRESENTATION &&
			geterrcode() != ERRCODE_UNTRANSLATABLE_CHARACTER)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	return json;
}

JsonbContainer *
kwj_json_file_parse(const KwjJsonFile *file, const char *text, int size)
{
	Jsonb	   *json;

	if (strlen(text) != size || !pg_verify_mbstr(PG_UTF8, text, size, true))
		file->damaged(file->path);
	json = try_to_parse(pg_any_to_server(text, size, PG_UTF8));
	if (json == NULL || !JB_ROOT_IS_OBJECT(json))
		file->damaged(file->path);
	return &json->root;
}

JsonbValue *
kwj_json_file_value(const KwjJsonFile *file, JsonbContainer *object, const char *key, enum jbvType type)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);

	if (value == NULL || value->type != type)
		file->damaged(file->path);
	return value;
}

char *
kwj_json_file_text_in(const KwjJsonFile *file, const JsonbValue *value)
{
	if (value->type != jbvString || value->val.string.len > KWJ_JSON_FILE_LONGEST_TEXT)
		file->damaged(file->path);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

char *
kwj_json_file_text(const KwjJsonFile *file, JsonbContainer *object, const char *key)
{
	return kwj_json_file_text_in(file, kwj_json_file_value(file, object, key, jbvString));
}

/* A number of more than 15 digits is refused, so that the result cannot overflow. */
int64
kwj_json_file_number(const KwjJsonFile *file, JsonbContainer *object, const char *key)
{
	char	   *text = kwj_json_scalar_text(kwj_json_file_value(file, object, key, jbvNumeric));

	if (strlen(text) > 15 || strspn(text, "0123456789") != strlen(text))
		file->damaged(file->path);
	return strtoll(text, NULL, 10);
}

List *
kwj_json_file_elements(const KwjJsonFile *file, JsonbContainer *object, const char *key)
{
	JsonbValue *value = kwj_json_file_value(file, object, key, jbvBinary);
	JsonbContainer *array = value->val.binary.data;
	List	   *elements = NIL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;

	if (!JsonContainerIsArray(array))
		file->damaged(file->path);
	it = JsonbIteratorInit(array);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
		{
			JsonbValue *element = palloc(sizeof(JsonbValue));

			*element = v;
			elements = lappend(elements, element);
		}
	}
	return elements;
}

JsonbContainer *
kwj_json_file_object_in(const KwjJsonFile *file, const JsonbValue *value)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		file->damaged(file->path);
	return value->val.binary.data;
}
