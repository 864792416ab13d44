/*
 * src/statement/parse.c
 *	  Masks the job statements of a text and lets PostgreSQL parse the rest.
 *
 * A job statement is masked as "SELECT 1" and blanks, one in brackets as the
 * table "kwjobs" and blanks, or after LATERAL, where no table can stand, as the
 * function jobs(); fill.c puts the real tree in. The parts of a job statement are
 * parsed by themselves, with everything before them blanked.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "statement/internal.h"

#define STATEMENT_MASK	"SELECT 1"
#define BRACKETS_MASK	"\"kwjobs\""	/* as long, and so is the next */
#define LATERAL_MASK	"\"jobs\"()"	/* quoted: LATERAL may touch the bracket */

/* A piece of the text of the user, made ready for PostgreSQL's parser. */
typedef struct MaskedText
{
	const KwjSource *source;
	char	   *text;
	List	   *statements;		/* those that are masked */
	const char *hint;			/* for a syntax error, or NULL */
} MaskedText;

/* Where the mask of a statement starts, and where it ends. */
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
 * PostgreSQL's parser must not talk about what we have put into the text, nor about an
 * end of input that is but the end of this piece: name what the user has typed there.
 * Returns where that starts.
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

/*
 * PostgreSQL counts characters in the text that it parses: ours has as many
 * bytes as the user's, but where a multibyte character was blanked, more
 * characters.
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
	}
	if (is_syntax_error && masked->hint)
		errhint("%s", masked->hint);
}

/* Call PostgreSQL's parser, once; errors are those of the user's text. */
static List *
parse_masked(MaskedText *masked, RawParseMode mode)
{
	ErrorContextCallback callback;
	List	   *trees;

	callback.callback = correct_error;
	callback.arg = masked;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	trees = raw_parser(masked->text, mode);
	error_context_stack = callback.previous;
	/* a text with many statements is masked many times */
	pfree(masked->text);
	return trees;
}

/* The text up to the end of the last token, blank before the first one. */
static char *
copy_range(const KwjSource *source, int first, int last)
{
	int			start = first == 0 ? 0 : source->tokens[first].start;
	int			end = last == source->ntokens ? source->length : source->tokens[last - 1].end;
	char	   *copy = MemoryContextAllocHuge(source->scratch, (Size) end + 2);

	memset(copy, ' ', start);
	memcpy(copy + start, source->text + start, end - start);
	copy[end] = '\0';
	return copy;
}

static void
blank(char *text, int start, int end, const char *mask)
{
	memset(text + start, ' ', end - start);
	memcpy(text + start, mask, strlen(mask));
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

/* The text of these tokens, as long as the user's, with these statements masked. */
char *
kwj_mask_statements(const KwjSource *source, int first, int last, List *statements)
{
	char	   *text = copy_range(source, first, last);
	ListCell   *cell;

	foreach(cell, statements)
	{
		KwjStatement *statement = lfirst(cell);

		refuse_command_in_brackets(statement);
		/* BACKUP alone is shorter than its mask */
		if (mask_end(statement) - kwj_mask_start(statement) < strlen(STATEMENT_MASK))
			kwj_syntax_error(statement, statement->last, "The statement must go on here.");
		blank(text, kwj_mask_start(statement), mask_end(statement),
			  mask_of(statement));
	}
	return text;
}

/* Parse tokens in which these job statements stand. */
static List *
parse_with_statements(KwjSource *source, int first, int last, RawParseMode mode,
					  const char *hint, List *statements)
{
	MaskedText	masked = {source, kwj_mask_statements(source, first, last, statements),
	statements, hint};
	List	   *trees;
	ListCell   *cell;

	foreach(cell, statements)
		((KwjStatement *) lfirst(cell))->has_tree = false;
	trees = parse_masked(&masked, mode);
	if (statements)
		kwj_fill_statements(trees, statements);
	return trees;
}

static List *
parse_range(KwjSource *source, int first, int last, RawParseMode mode,
			const char *hint)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	return parse_with_statements(source, first, last, mode, hint,
								 kwj_find_statements(source, first, last));
}

/*
 * How PostgreSQL was asked to parse this text. PL/pgSQL's assignments look like
 * no statement; how many names it takes as the variable's is not in the text if
 * there are three (record.field.subfield or label.record.field).
 */
static bool
assignment_mode(const KwjSource *source, RawParseMode *mode)
{
	int			token = 0;
	int			names = 0;

	*mode = RAW_PARSE_DEFAULT;
	if (source->is_statement)
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

/* Parse as a statement, or, if it is none, as an expression of PL/pgSQL. */
static List *
parse_statement_or_expression(KwjSource *source, List *statements)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;
	List	   *volatile trees = NIL;

	PG_TRY();
	{
		trees = parse_with_statements(source, 0, source->ntokens,
									  RAW_PARSE_DEFAULT, NULL, statements);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
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
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		ReThrowError(error);
	}
	PG_END_TRY();
	return trees;
}

/*
 * Parse the whole text; the trees go to the current memory context. *found is
 * false, and nothing is parsed, if there is no job statement in it.
 */
List *
kwj_parse_source(KwjSource *source, bool *found)
{
	List	   *statements = kwj_find_statements(source, 0, source->ntokens);
	RawParseMode mode;

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

/* Is this SELECT nothing but one expression? */
static bool
is_lone_expression(const SelectStmt *select)
{
	ResTarget  *target;

	if (list_length(select->targetList) != 1 || select->op != SETOP_NONE ||
		select->distinctClause || select->intoClause || select->fromClause ||
		select->whereClause || select->groupClause || select->havingClause ||
		select->windowClause || select->sortClause || select->limitCount ||
		select->limitOffset || select->lockingClause)
		return false;
	target = linitial(select->targetList);
	return target->name == NULL && target->indirection == NIL;
}

/* The * of SELECT *, which is a target but no expression. */
static bool
is_star(const Node *target)
{
	return IsA(target, ColumnRef) &&
		IsA(linitial(((const ColumnRef *) target)->fields), A_Star);
}

static Node *
expression_of(List *trees)
{
	SelectStmt *select = (SelectStmt *) linitial_node(RawStmt, trees)->stmt;
	Node	   *value;

	if (!IsA(select, SelectStmt) || !is_lone_expression(select))
		return NULL;
	value = linitial_node(ResTarget, select->targetList)->val;
	return is_star(value) ? NULL : value;
}

/*
 * What comes after an expression and does not belong to it is accepted as an
 * alias or a clause of a SELECT. In parentheses it is a syntax error where it
 * stands.
 */
static void
refuse_trailing_tokens(KwjStatement *statement, int first, int last)
{
	KwjSource  *source = statement->source;
	MaskedText	masked = {source, copy_range(source, first, last), NIL,
	statement->form->usage};
	int			end = source->tokens[last - 1].end;

	masked.text[source->tokens[first].start - 1] = '(';
	masked.text[end] = ')';
	masked.text[end + 1] = '\0';
	parse_masked(&masked, RAW_PARSE_PLPGSQL_EXPR);
	kwj_syntax_error(statement, first, "An expression must stand here.");
}

/* The expression in these tokens; "expected" says what it is for. */
Node *
kwj_parse_expression(KwjStatement *statement, int first, int last,
					 const char *expected)
{
	int			comma;
	Node	   *expression;

	if (first >= last)
		kwj_syntax_error(statement, last, expected);
	comma = kwj_find_symbol(statement->source, first, last, ',');
	if (comma < last)
		kwj_syntax_error(statement, comma, expected);

	expression = expression_of(parse_range(statement->source, first, last,
										   RAW_PARSE_PLPGSQL_EXPR,
										   statement->form->usage));
	if (expression == NULL)
		refuse_trailing_tokens(statement, first, last);
	return expression;
}

/* The query in these tokens; "expected" says what it is for. */
Node *
kwj_parse_query(KwjStatement *statement, int first, int last,
				const char *expected)
{
	KwjSource  *source = statement->source;
	List	   *trees;
	Node	   *query;

	if (first >= last ||
		!(kwj_is_symbol(source, first, '(') ||
		  kwj_is_word(source, first, "select") ||
		  kwj_is_word(source, first, "values") ||
		  kwj_is_word(source, first, "table") ||
		  kwj_is_word(source, first, "with")))
		kwj_syntax_error(statement, Min(first, last), expected);

	trees = parse_range(source, first, last, RAW_PARSE_DEFAULT,
						statement->form->usage);
	query = linitial_node(RawStmt, trees)->stmt;
	if (list_length(trees) != 1 || !IsA(query, SelectStmt))
		kwj_syntax_error(statement, first, expected);
	return query;
}

/*
 * Parse "IMPORT INTO table (columns)" as an INSERT: the first token becomes
 * INSERT, and [select, select_end) SELECT.
 */
InsertStmt *
kwj_parse_insert(KwjStatement *statement, int head, int select, int select_end)
{
	const KwjSource *source = statement->source;
	MaskedText	masked = {source, copy_range(source, head, select_end), NIL,
	statement->form->usage};
	const KwjToken *import = &source->tokens[head];

	blank(masked.text, import->start, import->end, "INSERT");
	blank(masked.text, source->tokens[select].start,
		  source->tokens[select_end - 1].end, "SELECT");
	return (InsertStmt *) linitial_node(RawStmt,
										parse_masked(&masked, RAW_PARSE_DEFAULT))->stmt;
}

/* For use inside ereport(): the error is at this token, or after the last one. */
int
kwj_error_position(const KwjSource *source, int token)
{
	int			offset = token < source->ntokens ? source->tokens[token].start : source->length;

	return errposition(pg_mbstrlen_with_len(source->text, offset) + 1);
}

/* A syntax error of ours: "expected" is a sentence. */
void
kwj_syntax_error(KwjStatement *statement, int token, const char *expected)
{
	const KwjSource *source = statement->source;

	if (token >= source->ntokens)
		ereport(ERROR,
				errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("syntax error at end of input"),
				errdetail("%s", expected),
				errhint("%s", statement->form->usage),
				kwj_error_position(source, token));
	ereport(ERROR,
			errcode(ERRCODE_SYNTAX_ERROR),
			errmsg("syntax error at or near \"%.*s\"",
				   source->tokens[token].end - source->tokens[token].start,
				   source->text + source->tokens[token].start),
			errdetail("%s", expected),
			errhint("%s", statement->form->usage),
			kwj_error_position(source, token));
}
