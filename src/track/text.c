/*
 * src/track/text.c
 *	  The description of a job that a session's statement is.
 *
 * Caller: track.c, before the statement runs. Process: any. Locks: none.
 */
#include "postgres.h"

#include <ctype.h>

#include "compat.h"
#include "job/secret.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "shared/session_jobs.h"
#include "tcop/utility.h"
#include "track/text.h"
#include "utils/builtins.h"

/* Returns whether these two bytes stand at the beginning of the text. */
static bool
begins(const char *text, const char *end, const char *two)
{
	return end - text >= 2 && text[0] == two[0] && text[1] == two[1];
}

/* Returns the end of the comment that begins at the text; the text itself if none begins there. */
static const char *
skip_comment(const char *text, const char *end)
{
	int			depth = 0;

	if (begins(text, end, "--"))
	{
		while (text < end && *text != '\n' && *text != '\r')
			text++;
		return text;
	}
	if (!begins(text, end, "/*"))
		return text;
	do
	{
		if (begins(text, end, "/*"))
			depth++, text += 2;
		else if (begins(text, end, "*/"))
			depth--, text += 2;
		else
			text++;
	} while (depth > 0 && text < end);
	return text;
}

/*
 * Returns where the statement begins in the string, and sets *end to its end. A client can send
 * several statements in one string. Comments before the statement are left out, because a long one
 * would leave no room for the statement.
 */
static const char *
find_text(const PlannedStmt *statement, const char *string, const char **end)
{
	int			location = statement->stmt_location;
	int			length = statement->stmt_len;
	const char *text = CleanQuerytext(string, &location, &length);
	const char *before;

	*end = text + length;
	do
	{
		while (text < *end && isspace((unsigned char) *text))
			text++;
		before = text;
		text = skip_comment(text, *end);
	} while (text > before);
	return text;
}

/* Returns the kind of the statement, and its relation: CREATE FOREIGN TABLE public.t */
static char *
describe(const Node *statement, const KwjTrackClass *class, const char *note)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, GetCommandTagName(CreateCommandTag(unconstify(Node *, statement))));
	if (class->relation != NULL)
		appendStringInfo(&text, " %s", quote_qualified_identifier(class->relation->schemaname,
																  class->relation->relname));
	appendStringInfoString(&text, note);
	return text.data;
}

char *
kwj_track_text(const PlannedStmt *statement, const char *string, const KwjTrackClass *class,
			   bool *is_hidden)
{
	const char *end;
	const char *text;
	char	   *copy;

	*is_hidden = class->kind == KWJ_TRACK_NAME;
	if (*is_hidden || string == NULL)
		return describe(statement->utilityStmt, class, "");
	text = find_text(statement, string, &end);
	/*
	 * Copy a little more than the place of the job can hold. The place then clips the text between
	 * two characters, and marks it as clipped.
	 */
	copy = pnstrdup(text, Min(end - text, KWJ_SESSION_DESCRIPTION_LEN + MAX_MULTIBYTE_CHAR_LEN));
	*is_hidden = kwj_seems_secret(copy);
	if (!*is_hidden)
		return copy;
	pfree(copy);
	return describe(statement->utilityStmt, class, " " KWJ_NOT_SHOWN);
}
