/*
 * src/job/texts.c
 *	  Lists of strings as SQL has them: arrays of type text[].
 *
 * Process: any. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/texts.h"
#include "utils/builtins.h"

List *
kwj_texts_of_array(ArrayType *array, const char *null_error)
{
	List	   *texts = NIL;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	if (array == NULL)
		return NIL;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg_internal("%s", null_error),
					errhint("Give its name."));
		texts = lappend(texts, TextDatumGetCString(values[i]));
	}
	return texts;
}

ArrayType *
kwj_array_of_texts(const List *texts)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(list_length(texts), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, texts)
		values[n++] = CStringGetTextDatum(lfirst(lc));
	return construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT);
}

ArrayType *
kwj_array_of_strings(const char *const *strings, int n)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(n, 1));
	int			lower_bound = 1;

	for (int i = 0; i < n; i++)
	{
		nulls[i] = strings[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(strings[i]);
	}
	return construct_md_array(values, nulls, 1, &n, &lower_bound, TEXTOID, -1, false, TYPALIGN_INT);
}
