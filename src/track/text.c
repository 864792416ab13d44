/*
 * src/track/text.c
 *	  The description of a SCHEMA CHANGE job.
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

/* If a comment begins at *text, moves *text behind it. Returns false if none begins there. */
static bool
skip_comment(const char **text, const char *end)
{
	const char *c = *text;
	int			depth = 0;

	if (end - c < 2)
		return false;
	if (c[0] == '-' && c[1] == '-')
	{
		while (c < end && *c != '\n' && *c != '\r')
			c++;
		*text = c;
		return true;
	}
	while (end - c >= 2 && (depth > 0 || (c == *text && c[0] == '/' && c[1] == '*')))
	{
		if (c[0] == '/' && c[1] == '*')
			depth++, c += 2;
		else if (c[0] == '*' && c[1] == '/')
			depth--, c += 2;
		else
			c++;
	}
	if (c == *text)
		return false;
	*text = c;
	return true;
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

	*end = text + length;
	do
	{
		while (text < *end && isspace((unsigned char) *text))
			text++;
	} while (skip_comment(&text, *end));
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
	return describe(statement->utilityStmt, class,
					" (text not shown, as it seems to have a password in it)");
}
