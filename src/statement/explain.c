/*
 * src/statement/explain.c
 *	  Errors after parsing that are about the objects of ours: they talk of job
 *	  statements, which is what the user typed.
 *
 * Runs in whatever process fails, while the error is reported.
 */
#include "postgres.h"

#include <ctype.h>

#include "tcop/tcopprot.h"
#include "utils/elog.h"
#include "utils/memutils.h"

#include "kwjobs.h"
#include "statement/internal.h"

#define KWJ_INSTALL_HINT	"Run CREATE EXTENSION " KWJ_EXTENSION " in this database."

/* Whether the statement that failed is an IMPORT. */
static bool
is_import(const ErrorData *error)
{
	const char *text = error->internalquery ? error->internalquery : debug_query_string;

	while (text && isspace((unsigned char) *text))
		text++;
	return text && pg_strncasecmp(text, "import", 6) == 0 &&
		isspace((unsigned char) text[6]);
}

/* Whether the statement that failed has words of a job statement in it. */
static bool
is_job_statement(const ErrorData *error)
{
	const char *text = error->internalquery ? error->internalquery : debug_query_string;

	return text && kwj_mentions_form(text, strlen(text));
}

/*
 * A statement of ours that fails because its objects are not there: say how to
 * get them. An error about a misspelt object in our schemas is left alone.
 */
static void
explain_missing(const ErrorData *error)
{
	static const char *const tables[] = {
		"\"kwdb_internal.jobs\"", "\"kwjobs.job_control\"", NULL
	};
	static const char *const schemas[] = {"\"kwjobs\"", "\"kwdb_internal\"", NULL};
	const char *const *missing =
		error->sqlerrcode == ERRCODE_UNDEFINED_TABLE ? tables : schemas;

	if (error->hint != NULL)
		return;
	for (; *missing; missing++)
	{
		if (strstr(error->message, *missing))
		{
			errhint(KWJ_INSTALL_HINT);
			return;
		}
	}
	if (is_import(error))
		errhint("Type the name of an existing table, with its schema if that is not in search_path.");
}

/*
 * What job statements call is there whenever the extension is. And job IDs are arguments of
 * a function that takes a bigint: for a type that is not converted to that PostgreSQL says "function
 * pg_catalog.int8up(type) does not exist", which says nothing to those who typed PAUSE JOB.
 */
static void
explain_missing_function(const ErrorData *error)
{
	static const char *const function = "pg_catalog." KWJ_INTEGER_FUNCTION "(";
	const char *start = strstr(error->message, function);
	const char *end = start ? strrchr(start, ')') : NULL;

	if (strstr(error->message, "pg_catalog." KWJ_FUNCTION_PREFIX))
	{
		errcode(ERRCODE_INVALID_SCHEMA_NAME);
		errmsg("extension \"%s\" is not installed in this database", KWJ_EXTENSION);
		errhint(KWJ_INSTALL_HINT);
	}
	else if (end != NULL && is_job_statement(error))
	{
		start += strlen(function);
		errcode(ERRCODE_DATATYPE_MISMATCH);
		errmsg("a job ID must be an integer, not %.*s", (int) (end - start), start);
		errhint("SHOW JOBS lists the IDs of jobs.");
	}
}

static void
explain_error(void (*explain) (const ErrorData *error))
{
	MemoryContext scratch = AllocSetContextCreate(TopMemoryContext, "error of a job statement",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	PG_TRY();
	{
		ErrorData  *error = CopyErrorData();

		MemoryContextSwitchTo(old);
		if (error->message)
			explain(error);
	}
	PG_FINALLY();
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(scratch);
	}
	PG_END_TRY();
}

/* For use in an error context callback: add to the error if it is about objects of ours. */
void
kwj_explain_error(void)
{
	switch (geterrcode())
	{
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_SCHEMA:
			explain_error(explain_missing);
			break;
		case ERRCODE_UNDEFINED_FUNCTION:
			explain_error(explain_missing_function);
			break;
		default:
			break;
	}
}
