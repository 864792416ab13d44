/*
 * src/statement/parse.c
 *	  Masks the job statements of a text, and lets PostgreSQL parse the rest.
 *
 * Caller: fallback.c, in any process that parses SQL. No locks.
 *
 *     PAUSE JOB 1; SELECT * FROM [SHOW JOBS], LATERAL [SHOW JOB t.id]
 *     SELECT 1   ; SELECT * FROM "kwjobs"   , LATERAL "jobs"()
 *
 * A job statement is masked by "SELECT 1" and blanks; one in brackets by the table "kwjobs" and
 * blanks; and after LATERAL, where no table can stand, by the function "jobs"(). unmask.c puts the
 * real trees in the place of the masks. piece.c parses the expressions and queries of the
 * statements, with everything around them blanked.
 *
 * Those pieces may have job statements in brackets, which have pieces, and so on. All pieces of one
 * level are parsed together, and the number of levels is limited, so the work grows linearly with
 * the text.
 *
 * Errors: PostgreSQL's parser sees the masked text. correct_error() translates positions, and
 * replaces names of masks by what the user has typed there.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "statement/internal.h"

/*
 * All masks have the same length. The name in LATERAL_MASK is quoted, because LATERAL may stand
 * right before the bracket.
 */
#define STATEMENT_MASK	"SELECT 1"
#define BRACKETS_MASK	"\"kwjobs\""
#define LATERAL_MASK	"\"jobs\"()"

/* A masked text, as PostgreSQL's parser gets it. */
typedef struct MaskedText
{
	const KwjSource *source;
	char	   *text;
	List	   *statements;		/* the job statements that are masked in it */
	const KwjStatement *statement;	/* the statement whose piece it is; NULL: the whole text */
} MaskedText;

/* The offsets where the mask of a statement starts and ends. */
int
kwj_mask_start(const KwjStatement *statement)
{
	int			token = statement->first - (statement->in_brackets ? 1 : 0);

	return statement->source->tokens[token].start;
}

static int
mask_end(const KwjStatement *statement)
{
	int			token = statement->last - (statement->in_brackets ? 0 : 1);

	return statement->source->tokens[token].end;
}

/*
 * If the message of the syntax error at this offset names a mask, or speaks of an end of input
 * where only this piece ends, replaces it by one that names what the user has typed there. Returns
 * the offset where these words of the user start.
 */
static int
name_token(const MaskedText *masked, int offset)
{
	const KwjSource *source = masked->source;
	int			start = source->length;
	int			length = 0;
	int			token = 0;
	bool		is_typed;
	ListCell   *cell;

	foreach(cell, masked->statements)
	{
		const KwjStatement *statement = lfirst(cell);

		if (offset > kwj_mask_start(statement) && offset < mask_end(statement))
			offset = kwj_mask_start(statement);
	}
	while (token < source->ntokens && source->tokens[token].start < offset)
		token++;
	if (token < source->ntokens)
	{
		start = source->tokens[token].start;
		length = source->tokens[token].end - start;
	}
	if (start == offset && length > 0)
		is_typed = strncmp(masked->text + start, source->text + start, length) == 0;
	else
		is_typed = masked->text[offset] == source->text[offset];
	if (is_typed)
		return offset;
	if (length > 0)
		errmsg("syntax error at or near \"%.*s\"", length, source->text + start);
	else
		errmsg("syntax error at end of input");
	return start;
}

/* Returns whether brackets with a job statement start at this offset. */
static bool
is_at_brackets(const MaskedText *masked, int offset)
{
	ListCell   *cell;

	foreach(cell, masked->statements)
	{
		const KwjStatement *statement = lfirst(cell);

		if (statement->in_brackets && kwj_mask_start(statement) == offset)
			return true;
	}
	return false;
}

/*
 * An error context callback: translates the position of an error. PostgreSQL counts characters in
 * the text that it parses. The masked text has as many bytes as the user's, but more characters
 * where a multibyte character was blanked.
 */
static void
correct_error(void *arg)
{
	MaskedText *masked = arg;
	const KwjSource *source = masked->source;
	int			position = geterrposition();
	bool		is_syntax_error = geterrcode() == ERRCODE_SYNTAX_ERROR;

	if (position > 0)
	{
		int			offset = pg_mbcharcliplen(masked->text, strlen(masked->text), position - 1);

		if (is_syntax_error)
			offset = name_token(masked, offset);
		offset = Min(offset, source->length);
		errposition(pg_mbstrlen_with_len(source->text, offset) + 1);
		if (is_syntax_error && masked->statement)
		{
			/*
			 * kwj_hint looks at tokens, which checks for interrupts; these must not be handled
			 * while this error is in progress
			 */
			HOLD_INTERRUPTS();
			errhint("%s", kwj_hint(masked->statement, offset));
			RESUME_INTERRUPTS();
		}
		else if (is_syntax_error && is_at_brackets(masked, offset))
			errhint(KWJ_USE_BRACKETS);
	}
}

/* Calls PostgreSQL's parser, and frees the masked text. Errors refer to the user's text. */
static List *
parse_masked(MaskedText *masked, RawParseMode mode)
{
	ErrorContextCallback callback;
	List	   *trees;

	callback.callback = correct_error;
	callback.arg = masked;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	kwj_count_work(strlen(masked->text));
	trees = raw_parser(masked->text, mode);
	error_context_stack = callback.previous;
	pfree(masked->text);
	return trees;
}

/* Returns a text of blanks up to this offset, with room for two more characters. */
char *
kwj_blank_text(const KwjSource *source, int end)
{
	char	   *text = MemoryContextAllocHuge(source->scratch, (Size) end + 3);

	kwj_count_work(end);
	memset(text, ' ', end + 2);
	text[end] = '\0';
	return text;
}

/* Copies these tokens, and what is between them, to the same offsets of the text. */
void
kwj_copy_tokens(const KwjSource *source, int first, int last, char *text)
{
	int			start = source->tokens[first].start;

	memcpy(text + start, source->text + start, source->tokens[last - 1].end - start);
}

static const char *
mask_of(const KwjStatement *statement)
{
	if (!statement->in_brackets)
		return STATEMENT_MASK;
	return statement->is_lateral ? LATERAL_MASK : BRACKETS_MASK;
}

static void
refuse_command_in_brackets(const KwjStatement *statement)
{
	if (statement->in_brackets && !statement->form->is_query)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s cannot be used as a table", statement->form->name),
				errhint("Only a statement that starts with SHOW can stand in brackets; run %s as a statement of its own.",
						statement->form->name),
				kwj_error_position(statement->source, statement->first));
}

/* Writes the masks of these statements into the text. */
void
kwj_put_masks(const List *statements, char *text)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		KwjStatement *statement = lfirst(cell);
		int			start = kwj_mask_start(statement);
		int			end = mask_end(statement);
		const char *mask = mask_of(statement);

		CHECK_FOR_INTERRUPTS();
		refuse_command_in_brackets(statement);
		/* BACKUP alone would be shorter than its mask */
		if (end - start < strlen(STATEMENT_MASK))
			kwj_syntax_error(statement, statement->last, "The statement must go on here.");
		memset(text + start, ' ', end - start);
		memcpy(text + start, mask, strlen(mask));
	}
}

/*
 * Returns the text with these statements masked. It is blank before the first of these tokens, and
 * ends with the last one. If these are all tokens that the source has, it is the whole text,
 * including what stands before, between and after the tokens.
 */
char *
kwj_mask_statements(const KwjSource *source, int first, int last, List *statements)
{
	bool		is_whole = first == 0 && last == source->ntokens;
	char	   *text = kwj_blank_text(source, is_whole ? source->length : source->tokens[last - 1].end);

	if (is_whole)
		memcpy(text, source->text, source->length);
	else
		kwj_copy_tokens(source, first, last, text);
	kwj_put_masks(statements, text);
	return text;
}

/* Builds the trees of these statements, which were masked, and puts them into the parsed trees. */
void
kwj_put_trees(KwjSource *source, List *trees, List *statements)
{
	ListCell   *cell;

	if (statements == NIL)
		return;
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (++source->depth > KWJ_MAX_DEPTH)
		ereport(ERROR,
				errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				errmsg("job statements are nested more than %d levels deep", KWJ_MAX_DEPTH),
				errhint("Put the result of the inner ones into a table, or select from kwdb_internal.jobs."),
				kwj_error_position(source, ((KwjStatement *) linitial(statements))->first));
	foreach(cell, statements)
		((KwjStatement *) lfirst(cell))->has_tree = false;
	kwj_read_pieces(source, statements);
	kwj_fill_statements(trees, statements);
	source->depth--;
}

/* Parses tokens with these job statements among them. */
static List *
parse_with_statements(KwjSource *source, int first, int last, RawParseMode mode,
					  const KwjStatement *statement, List *statements)
{
	MaskedText	masked = {source, kwj_mask_statements(source, first, last, statements),
	statements, statement};
	List	   *trees = parse_masked(&masked, mode);

	kwj_put_trees(source, trees, statements);
	return trees;
}

/* Parses these tokens of a statement, which may have other job statements in brackets. */
List *
kwj_parse_tokens(KwjStatement *statement, int first, int last, RawParseMode mode,
				 List *statements)
{
	return parse_with_statements(statement->source, first, last, mode, statement, statements);
}

/*
 * Parses these tokens, the last ones of the statement, as the end of a SELECT. The word SELECT
 * takes the place of the statement's beginning.
 */
List *
kwj_parse_tail(KwjStatement *statement, int first, int last, List *statements)
{
	KwjSource  *source = statement->source;
	MaskedText	masked = {source, kwj_mask_statements(source, first, last, statements),
	statements, statement};
	List	   *trees;

	memcpy(masked.text + source->tokens[statement->first].start, "SELECT", strlen("SELECT"));
	trees = parse_masked(&masked, RAW_PARSE_DEFAULT);
	kwj_put_trees(source, trees, statements);
	return trees;
}

/* Parses a text that was made of tokens of this statement, and frees it. */
List *
kwj_parse_text(KwjStatement *statement, char *text, RawParseMode mode)
{
	MaskedText	masked = {statement->source, text, NIL, statement};

	return parse_masked(&masked, mode);
}

/*
 * Sets *mode to the mode in which PostgreSQL was asked to parse this text. An assignment of
 * PL/pgSQL does not look like a statement. If three names stand before the :=
 * (record.field.subfield or label.record.field), the text does not tell how many of them are the
 * variable's: then this function returns false.
 */
static bool
assignment_mode(const KwjSource *source, RawParseMode *mode)
{
	int			token = 0;
	int			names = 0;

	*mode = RAW_PARSE_DEFAULT;
	/* PL/pgSQL has each assignment parsed by itself */
	if (source->is_statement || source->is_cut)
		return true;
	while (kwj_is_any_word(source, token))
	{
		names++;
		if (!kwj_is_symbol(source, ++token, '.'))
			break;
		token++;
	}
	while (kwj_is_symbol(source, token, '[') || kwj_is_symbol(source, token, '.'))
		token = kwj_skip_nested(source, token, source->ntokens) +
			(kwj_is_symbol(source, token, '.') ? 1 : 0);
	if (names == 0 || token >= source->ntokens ||
		!(kwj_is_symbol(source, token, '=') ||
		  strncmp(source->text + source->tokens[token].start, ":=", 2) == 0))
		return true;
	*mode = names == 1 ? RAW_PARSE_PLPGSQL_ASSIGN1 : RAW_PARSE_PLPGSQL_ASSIGN2;
	return names <= 2;
}

/* Parses the text as a statement, or, if it is none, as an expression of PL/pgSQL. */
static List *
parse_statement_or_expression(KwjSource *source, List *statements)
{
	MemoryContext caller = CurrentMemoryContext;
	int			depth = source->depth;
	ErrorData  *volatile error = NULL;
	List	   *volatile trees = NIL;

	PG_TRY();
	{
		trees = parse_with_statements(source, 0, source->ntokens,
									  RAW_PARSE_DEFAULT, NULL, statements);
	}
	PG_CATCH();
	{
		if (!kwj_is_error_of_text())
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		/* start all counts again */
		source->depth = depth;
		source->nstatements = list_length(statements);
		source->npieces = 0;
	}
	PG_END_TRY();
	if (error == NULL)
		return trees;

	PG_TRY();
	{
		trees = parse_with_statements(source, 0, source->ntokens,
									  RAW_PARSE_PLPGSQL_EXPR, NULL, statements);
	}
	PG_CATCH();
	{
		if (!kwj_is_error_of_text())
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		ReThrowError(error);
	}
	PG_END_TRY();
	return trees;
}

/*
 * Returns the job statements of the text. PostgreSQL's parser has accepted everything before the
 * token that ends at source->stop, so that token belongs to the first job statement. If no job
 * statement is there, the rest of the text is not looked at. Only tokens of statements that have
 * job statements in them are kept.
 */
static List *
find_all(KwjSource *source)
{
	List	   *found = NIL;
	int			first = source->ntokens;

	for (; kwj_scan_statement(source); first = source->ntokens)
	{
		List	   *here = NIL;
		bool		is_reached = source->is_complete ||
			source->tokens[source->ntokens - 1].end >= source->stop;

		if (is_reached)
			here = kwj_find_statements(source, first, source->ntokens);
		while (found == NIL && here != NIL && mask_end(linitial(here)) < source->stop)
			here = list_delete_first(here);
		if (here == NIL)
			kwj_forget_tokens(source, first);
		if (is_reached && found == NIL && here == NIL && source->stop > 0)
			return NIL;
		found = list_concat(found, here);
	}
	return found;
}

/*
 * Parses the whole text, into trees in the current memory context. If it has no job statement,
 * parses nothing, and sets *found to false.
 */
List *
kwj_parse_source(KwjSource *source, bool *found)
{
	MemoryContext caller = MemoryContextSwitchTo(source->scratch);
	List	   *statements = find_all(source);
	RawParseMode mode;

	MemoryContextSwitchTo(caller);
	*found = statements != NIL && assignment_mode(source, &mode);
	if (!*found)
		return NIL;
	if (source->scan_error)
		ReThrowError(source->scan_error);
	if (source->is_statement || mode != RAW_PARSE_DEFAULT)
		return parse_with_statements(source, 0, source->ntokens, mode, NULL,
									 statements);
	return parse_statement_or_expression(source, statements);
}
