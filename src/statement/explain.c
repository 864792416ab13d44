/*
 * src/statement/explain.c
 *	  Errors after parsing that are about objects of ours: they get a text or a hint about the job
 *	  statement that the user has typed.
 *
 * Process: whatever raises the error, in the error context callback (fallback.c), while it is
 * reported.
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "tcop/tcopprot.h"
#include "utils/elog.h"
#include "utils/memutils.h"

#include "kwjobs.h"
#include "statement/internal.h"

#define KWJ_INSTALL_HINT	"Run CREATE EXTENSION " KWJ_EXTENSION " in this database."

/* Finds the place of the error in its text. Returns false if it is not known. */
static bool
place_of_error(const ErrorData *error, KwjPlace *place)
{
	const char *text = error->internalquery ? error->internalquery : debug_query_string;
	int			position = error->internalquery ? error->internalpos : error->cursorpos;
	int			length;

	if (text == NULL || position <= 0)
		return false;
	length = strlen(text);
	*place = kwj_place(text, length, pg_mbcharcliplen(text, length, position - 1));
	return true;
}

/*
 * PostgreSQL has reported that a table does not exist. Returns whether the user has named this table
 * as the target of IMPORT INTO.
 */
static bool
is_import(const ErrorData *error)
{
	static const char *const words[] = {"import", "into", NULL};
	KwjPlace	place;

	return place_of_error(error, &place) && kwj_words_before(&place, words);
}

/*
 * PostgreSQL has reported that the table "show" does not exist. Returns whether the user has typed
 * FROM SHOW JOBS, without the brackets that belong around SHOW JOBS there.
 */
static bool
is_show(const ErrorData *error)
{
	static const char *const jobs[] = {"show", "jobs", NULL};
	static const char *const job[] = {"show", "job", NULL};
	KwjPlace	place;

	return place_of_error(error, &place) &&
		(kwj_words_at(&place, jobs) || kwj_words_at(&place, job));
}

/* Returns whether the error is in a job statement, as far as the text before it shows. */
static bool
is_job_statement(const ErrorData *error)
{
	KwjPlace	place;

	return place_of_error(error, &place) && kwj_form_before(&place, kwj_words_of_form);
}

/*
 * If a job statement fails because the extension does not exist, the hint says how to create it. An
 * error about a misspelt object in our schemas gets no hint.
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
	else if (error->sqlerrcode == ERRCODE_UNDEFINED_TABLE && is_show(error))
		errhint(KWJ_USE_BRACKETS);
}

/*
 * The functions that job statements call exist if and only if the extension does. The ids of jobs
 * are arguments of int8up(bigint): for a type without an implicit cast, PostgreSQL says "function
 * pg_catalog.int8up(type) does not exist", which tells nothing to a user who has typed PAUSE JOB.
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
		if (strncmp(start, "record)", strlen("record)")) == 0)
			errhint("To name several jobs by their IDs, type VALUES (1), (2) after JOBS.");
		else
			errhint("SHOW JOBS lists the IDs of jobs.");
	}
}

static bool
is_name_byte(const KwjPlace *place, int at)
{
	return at < place->length &&
		(isalnum((unsigned char) place->text[at]) || place->text[at] == '_' || IS_HIGHBIT_SET(place->text[at]));
}

/*
 * PostgreSQL has reported that a column does not exist. In a job statement, a name after an equal sign may
 * be meant as a text: WITH header = skip, WHERE status = running. The hint shows it in quotes.
 */
static void
explain_missing_column(const ErrorData *error)
{
	KwjPlace	place;
	int			at;
	int			end;

	if (error->hint != NULL || !place_of_error(error, &place))
		return;
	at = end = place.stop;
	while (is_name_byte(&place, end) && end - place.stop < NAMEDATALEN)
		end++;
	while (at > 0 && isspace((unsigned char) place.text[at - 1]))
		at--;
	if (end == place.stop || is_name_byte(&place, end) || (end < place.length && place.text[end] == '.') ||
		at == 0 || place.text[at - 1] != '=' || !kwj_form_before(&place, kwj_words_of_form))
		return;
	errhint("If it is meant as a text, type it in quotes: '%.*s'.", end - place.stop, place.text + place.stop);
}

/*
 * PL/pgSQL takes INTO for its own, but for a few statements, and has reported that the word after it is no
 * variable. Job statements with an INTO need EXECUTE there.
 */
static void
explain_into(const ErrorData *error)
{
	static const char *const exports[] = {"export", "into", NULL};
	static const char *const imports[] = {"import", "into", NULL};
	KwjPlace	place;

	if (error->hint == NULL && error->message_id && strstr(error->message_id, "is not a known variable") &&
		place_of_error(error, &place) && (kwj_words_before(&place, exports) || kwj_words_before(&place, imports)))
		errhint("PL/pgSQL expects a variable after INTO. Give it the statement as a text: EXECUTE 'statement'.");
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

/*
 * Returns whether a job statement may be the reason for the syntax error: the error is at one of
 * the statement's first words, at the token after them, or at a bracket before them.
 */
static bool
is_refused_statement(const ErrorData *error)
{
	KwjPlace	place;

	if (!place_of_error(error, &place))
		return false;
	/* place.stop has to be the end of the token */
	while (place.stop < place.length && isalnum((unsigned char) place.text[place.stop]))
		place.stop++;
	if (place.stop < place.length && place.text[place.stop] == '[')
		place.stop++;
	return kwj_form_near(&place, kwj_words_of_form);
}

/*
 * Where job statements are off, PostgreSQL raises a syntax error for them. The hint says why they
 * are off.
 */
static void
explain_off(const ErrorData *error)
{
	if (error->hint == NULL && is_refused_statement(error))
		errhint("Job statements are off: %s. Use the functions of schema kwjobs instead.",
				kwj_statement_problem());
}

void
kwj_explain_off(void)
{
	if (geterrcode() == ERRCODE_SYNTAX_ERROR)
		explain_error(explain_off);
}

/*
 * For use in an error context callback: if the error is about objects of ours, changes its text or adds a hint.
 */
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
		case ERRCODE_SYNTAX_ERROR:
			explain_error(explain_into);
			break;
		case ERRCODE_UNDEFINED_COLUMN:
			explain_error(explain_missing_column);
			break;
		default:
			break;
	}
}
