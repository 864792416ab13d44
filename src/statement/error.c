/*
 * src/statement/error.c
 *	  Errors of job statements.
 *
 * Process: whatever parses SQL.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "statement/internal.h"

/*
 * For use inside ereport(): sets the error's position to this token, or to the end of the text if
 * there is no such token.
 */
int
kwj_error_position(const KwjSource *source, int token)
{
	int			offset = token < source->ntokens ? source->tokens[token].start : source->length;

	return errposition(pg_mbstrlen_with_len(source->text, offset) + 1);
}

/* Raises a syntax error at this token. expected: a sentence that says what should stand there. */
void
kwj_syntax_error(KwjStatement *statement, int token, const char *expected)
{
	const KwjSource *source = statement->source;
	bool		is_end = token >= source->ntokens;
	const char *hint = kwj_hint(statement, is_end ? source->length : source->tokens[token].start);

	if (is_end)
		ereport(ERROR,
				errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("syntax error at end of input"),
				errdetail("%s", expected),
				errhint("%s", hint),
				kwj_error_position(source, token));
	ereport(ERROR,
			errcode(ERRCODE_SYNTAX_ERROR),
			errmsg("syntax error at or near \"%.*s\"",
				   source->tokens[token].end - source->tokens[token].start,
				   source->text + source->tokens[token].start),
			errdetail("%s", expected),
			errhint("%s", hint),
			kwj_error_position(source, token));
}
