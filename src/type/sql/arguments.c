/*
 * src/type/sql/arguments.c
 *	  The arguments of a SQL job, and how they become values of PostgreSQL's types.
 *
 * Callers: parameters.c and fit.c in the session that creates the job; sql.c and execute.c in the
 * worker. Process: session, worker. Locks: none.
 *
 * The values are never put into the text. They go to the statement as the parameters of a prepared
 * statement do, with the types that PostgreSQL finds for these.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "job/json.h"
#include "mb/pg_wchar.h"
#include "type/sql/arguments.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

/* A job has at most this many arguments. */
#define MOST_ARGUMENTS	1000
/* How many bytes of a name are shown in messages. */
#define SHOWN_NAME		100

static void
refuse_kind(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the arguments of the statement must be a JSON array or object"),
			 errhint("Give an array for $1, $2: arguments => '[1, \"two\"]'; or an object for :name: arguments => '{\"name\": 1}'.")));
}

KwjArguments *
kwj_sql_read_arguments(Jsonb *given)
{
	KwjArguments *arguments;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	int			n;

	if (given == NULL)
		return NULL;
	if (JB_ROOT_IS_SCALAR(given))
		refuse_kind();
	n = JB_ROOT_COUNT(given);
	if (n > MOST_ARGUMENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the statement has too many arguments: %d", n),
				 errhint("Give at most %d; an argument may be an array or an object.",
						 MOST_ARGUMENTS)));
	arguments = palloc0(sizeof(KwjArguments));
	arguments->by_name = JB_ROOT_IS_OBJECT(given);
	if (arguments->by_name)
		arguments->names = palloc(sizeof(char *) * Max(n, 1));
	arguments->values = palloc(sizeof(Jsonb *) * Max(n, 1));
	arguments->used = palloc0(sizeof(bool) * Max(n, 1));

	iterator = JsonbIteratorInit(&given->root);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			arguments->names[arguments->n] = pnstrdup(item.val.string.val, item.val.string.len);
		else if (token == WJB_VALUE || token == WJB_ELEM)
			arguments->values[arguments->n++] = JsonbValueToJsonb(&item);
	}
	return arguments;
}

/* Compares two names as jsonb orders keys: the shorter one comes first. */
static int
compare_names(const char *a, int a_length, const char *b, int b_length)
{
	if (a_length != b_length)
		return a_length < b_length ? -1 : 1;
	return memcmp(a, b, a_length);
}

int
kwj_sql_find_argument(const KwjArguments *arguments, const char *name, int length)
{
	int			low = 0;
	int			high = arguments->n - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		const char *other = arguments->names[middle];
		int			order = compare_names(name, length, other, strlen(other));

		if (order == 0)
			return middle;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return -1;
}

char *
kwj_sql_name_argument(const KwjArguments *arguments, int number)
{
	const char *name;

	if (!arguments->by_name)
		return psprintf("$%d", number + 1);
	name = arguments->names[number];
	return psprintf("\"%.*s\"", pg_mbcliplen(name, strlen(name), SHOWN_NAME), name);
}

void
kwj_sql_check_used(const KwjArguments *arguments)
{
	for (int i = 0; arguments != NULL && i < arguments->n; i++)
		if (!arguments->used[i])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument %s is not used in the statement of the job",
							kwj_sql_name_argument(arguments, i)),
					 errdetail("Within a string, $1 and :name are text. A colon right after the [ of a subscript belongs to a slice."),
					 errhint("Leave the argument out, or write %s in the statement.",
							 arguments->by_name ? "a colon and its name" :
							 psprintf("$%d", i + 1))));
}

/* The argument that is being converted, for the context of errors. */
typedef struct Converting
{
	const KwjArguments *arguments;
	int			number;
	Oid			type;
} Converting;

static void
name_argument(void *arg)
{
	const Converting *converting = arg;
	int			class = ERRCODE_TO_CATEGORY(geterrcode());

	/*
	 * Errors of other classes are not about the value, or a user's code has raised them with a hint
	 * of its own.
	 */
	if (class == ERRCODE_DATA_EXCEPTION || class == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
		errhint("Give a value of type %s, or cast the parameter to another type in the statement.",
				format_type_be(converting->type));
	errcontext("argument %s of the job",
			   kwj_sql_name_argument(converting->arguments, converting->number));
}

/* Returns the row type with the only column v. */
static TupleDesc
row_with(Oid type)
{
	TupleDesc	desc = CreateTemplateTupleDesc(1);

	TupleDescInitEntry(desc, 1, "v", type, -1, 0);
	kwj_finish_row_type(desc);
	return BlessTupleDesc(desc);
}

/* Returns {"v": value}. */
static Jsonb *
object_with(Jsonb *value)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"v\": ");
	(void) JsonbToCString(&json, &value->root, VARSIZE(value));
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

/*
 * Converts the value by calling jsonb_to_record, which can also make arrays and rows, with a row
 * type of one column. This runs no query, because in its text the type name character[] would mean
 * character(1)[].
 */
static Datum
populate(Jsonb *value, Oid type, bool *isnull)
{
	LOCAL_FCINFO(call, 1);
	FmgrInfo	function;
	ReturnSetInfo wanted = {
		.type = T_ReturnSetInfo, .allowedModes = SFRM_ValuePerCall, .expectedDesc = row_with(type)
	};
	Datum		row;

	fmgr_info(F_JSONB_TO_RECORD, &function);
	InitFunctionCallInfoData(*call, &function, 1, InvalidOid, NULL, (Node *) &wanted);
	call->args[0].value = JsonbPGetDatum(object_with(value));
	call->args[0].isnull = false;
	row = FunctionCallInvoke(call);
	if (call->isnull)
		elog(ERROR, "could not convert an argument of the job");
	return GetAttributeByNum(DatumGetHeapTupleHeader(row), 1, isnull);
}

static bool
is_json(Oid type)
{
	Oid			base = getBaseType(type);

	return base == JSONOID || base == JSONBOID;
}

/* Returns the text that the input function of a type reads; NULL for a JSON null. */
static char *
scalar_text(const JsonbValue *scalar)
{
	if (scalar->type == jbvNull)
		return NULL;
	if (scalar->type == jbvBool)
		return pstrdup(scalar->val.boolean ? "true" : "false");
	return kwj_json_scalar_text(scalar);
}

static Datum
convert(Jsonb *value, Oid type, bool *isnull)
{
	JsonbValue	scalar;
	Oid			input;
	Oid			parameter;
	char	   *text;

	if (!JB_ROOT_IS_SCALAR(value) || !JsonbExtractScalar(&value->root, &scalar) ||
		(scalar.type != jbvNull && is_json(type)))
		return populate(value, type, isnull);
	/* NULL goes through the input function, too: a domain may refuse it. */
	text = scalar_text(&scalar);
	*isnull = text == NULL;
	getTypeInputInfo(type, &input, &parameter);
	return OidInputFunctionCall(input, text, parameter, -1);
}

ParamListInfo
kwj_sql_convert_arguments(const KwjArguments *arguments, const Oid *types)
{
	Converting	converting = {.arguments = arguments};
	ErrorContextCallback callback = {error_context_stack, name_argument, &converting};
	ParamListInfo list = makeParamList(arguments->n);

	error_context_stack = &callback;
	for (int i = 0; i < arguments->n; i++)
	{
		ParamExternData *param = &list->params[i];

		param->ptype = types[i];
		param->pflags = PARAM_FLAG_CONST;
		param->isnull = true;
		param->value = (Datum) 0;
		if (!OidIsValid(types[i]))
			continue;
		converting.number = i;
		converting.type = types[i];
		param->value = convert(arguments->values[i], types[i], &param->isnull);
	}
	error_context_stack = callback.previous;
	return list;
}
