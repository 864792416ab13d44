/*
 * src/statement/parse.c
 *	  Masks the job statements of a text, lets PostgreSQL parse the rest, and puts
 *	  the trees of the job statements in.
 *
 * A job statement is masked as "SELECT 1" and blanks, one in brackets as the
 * table "kwjobs" and blanks. The locations in the parse tree then tell which
 * node stands for which statement. The parts of a job statement are parsed by
 * themselves, with everything before them blanked.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"

#include "compat.h"
#include "statement/internal.h"

#define STATEMENT_MASK	"SELECT 1"
#define BRACKETS_MASK	"\"kwjobs\""

/* where the 1 of STATEMENT_MASK stands */
#define MASKED_TARGET	7

/* A piece of the text of the user, made ready for PostgreSQL's parser. */
typedef struct MaskedText
{
	const KwjSource *source;
	char	   *text;
	List	   *statements;		/* those that are masked */
	const char *hint;			/* for a syntax error, or NULL */
} MaskedText;

/* What the walker through a parse tree looks for. */
typedef struct Filling
{
	List	   *statements;
	KwjSource  *source;
} Filling;

static List *parse_range(KwjSource *source, int first, int last,
						 RawParseMode mode, const char *hint);

/* Where the mask of a statement starts, and where it ends. */
static int
mask_start(const KwjStatement *statement)
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

/* PostgreSQL's parser must not talk about our mask where it refuses it. */
static void
name_masked_token(const MaskedText *masked, int offset)
{
	const KwjSource *source = masked->source;
	ListCell   *cell;

	foreach(cell, masked->statements)
	{
		KwjStatement *statement = lfirst(cell);
		const KwjToken *token = &source->tokens[statement->first];

		if (mask_start(statement) != offset)
			continue;
		if (statement->in_brackets)
			token--;
		errmsg("syntax error at or near \"%.*s\"", token->end - token->start,
			   source->text + token->start);
	}
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
	int			offset = -1;

	if (position > 0)
	{
		offset = pg_mbcharcliplen(masked->text, strlen(masked->text), position - 1);
		offset = Min(offset, source->length);
		errposition(pg_mbstrlen_with_len(source->text, offset) + 1);
	}
	if (geterrcode() != ERRCODE_SYNTAX_ERROR)
		return;
	name_masked_token(masked, offset);
	if (masked->hint)
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

static void
error_at(const KwjStatement *statement, int sqlerrcode, const char *message,
		 const char *hint)
{
	ereport(ERROR,
			errcode(sqlerrcode),
			errmsg("%s", message),
			errhint("%s", hint),
			kwj_error_position(statement->source,
							   statement->first - (statement->in_brackets ? 1 : 0)));
}

/* The job statement that a node at this location stands for. */
static KwjStatement *
statement_of(const Filling *filling, int location, bool in_brackets)
{
	ListCell   *cell;

	foreach(cell, filling->statements)
	{
		KwjStatement *statement = lfirst(cell);

		if (statement->in_brackets == in_brackets &&
			location == mask_start(statement) + (in_brackets ? 0 : MASKED_TARGET))
			return statement;
	}
	return NULL;
}

/* Turn the masked table into the query, keeping its alias. */
static void
fill_brackets(RangeVar *table, KwjStatement *statement, Filling *filling)
{
	Alias	   *alias = table->alias;
	Node	   *query = statement->form->build(statement);
	RangeSubselect *subquery = (RangeSubselect *) table;

	StaticAssertStmt(sizeof(RangeSubselect) <= sizeof(RangeVar),
					 "a table's node cannot become a subquery's");
	if (alias == NULL)
	{
		int			n = ++filling->source->naliases;

		alias = makeAlias(n == 1 ? "show_jobs" : psprintf("show_jobs_%d", n), NIL);
	}
	memset(subquery, 0, sizeof(RangeVar));
	NodeSetTag(subquery, T_RangeSubselect);
	subquery->subquery = query;
	subquery->alias = alias;
	statement->has_tree = true;
}

/* Turn the masked SELECT into what the job statement means. */
static void
fill_statement(SelectStmt *select, KwjStatement *statement, Filling *filling)
{
	Node	   *tree = statement->form->build(statement);
	Size		size;

	switch (nodeTag(tree))
	{
		case T_SelectStmt:
			size = sizeof(SelectStmt);
			break;
		case T_UpdateStmt:
			StaticAssertStmt(sizeof(UpdateStmt) <= sizeof(SelectStmt),
							 "a SELECT's node cannot become an UPDATE's");
			size = sizeof(UpdateStmt);
			break;
		case T_CallStmt:
			StaticAssertStmt(sizeof(CallStmt) <= sizeof(SelectStmt),
							 "a SELECT's node cannot become a CALL's");
			size = sizeof(CallStmt);
			break;
		default:
			elog(ERROR, "unexpected parse tree of a job statement: %d",
				 (int) nodeTag(tree));
	}
	memset(select, 0, sizeof(SelectStmt));
	memcpy(select, tree, size);
	statement->has_tree = true;
}

/* A table that is changed must not be turned into a query. */
static void
refuse_target(const RangeVar *target, const Filling *filling)
{
	KwjStatement *statement = target ? statement_of(filling, target->location, true) : NULL;

	if (statement)
		error_at(statement, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "the result of a job statement cannot be changed",
				 "To change a job, use PAUSE JOB, RESUME JOB or CANCEL JOB.");
}

static bool
fill_walker(Node *node, void *context)
{
	Filling    *filling = context;
	KwjStatement *statement;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_RangeVar:
			statement = statement_of(filling, ((RangeVar *) node)->location, true);
			if (statement)
				fill_brackets((RangeVar *) node, statement, filling);
			return false;
		case T_SelectStmt:
			{
				SelectStmt *select = (SelectStmt *) node;
				ResTarget  *target = select->targetList ? linitial(select->targetList) : NULL;

				statement = target ? statement_of(filling, target->location, false) : NULL;
				if (statement)
				{
					fill_statement(select, statement, filling);
					return false;
				}
				break;
			}
		case T_InsertStmt:
			refuse_target(((InsertStmt *) node)->relation, filling);
			break;
		case T_UpdateStmt:
			refuse_target(((UpdateStmt *) node)->relation, filling);
			break;
		case T_DeleteStmt:
			refuse_target(((DeleteStmt *) node)->relation, filling);
			break;
		case T_IntoClause:
		case T_LockingClause:
			/* the tables they name are no row sources */
			return false;
		default:
			refuse_target(kwj_merge_target(node), filling);
			break;
	}
	return raw_expression_tree_walker(node, fill_walker, context);
}

/* Go into the statements that PostgreSQL's walker does not know. */
static void
fill_utility(Node *node, Filling *filling)
{
	ListCell   *cell;

	if (node == NULL)
		return;
	switch (nodeTag(node))
	{
		case T_List:
			foreach(cell, (List *) node)
				fill_utility(lfirst(cell), filling);
			break;
		case T_RawStmt:
			fill_utility(((RawStmt *) node)->stmt, filling);
			break;
		case T_ExplainStmt:
			fill_utility(((ExplainStmt *) node)->query, filling);
			break;
		case T_PrepareStmt:
			fill_utility(((PrepareStmt *) node)->query, filling);
			break;
		case T_ExecuteStmt:
			fill_walker((Node *) ((ExecuteStmt *) node)->params, filling);
			break;
		case T_DeclareCursorStmt:
			fill_utility(((DeclareCursorStmt *) node)->query, filling);
			break;
		case T_CopyStmt:
			fill_utility(((CopyStmt *) node)->query, filling);
			break;
		case T_CreateTableAsStmt:
			fill_utility(((CreateTableAsStmt *) node)->query, filling);
			break;
		case T_ViewStmt:
			fill_utility(((ViewStmt *) node)->query, filling);
			break;
		case T_RuleStmt:
			fill_walker(((RuleStmt *) node)->whereClause, filling);
			fill_utility((Node *) ((RuleStmt *) node)->actions, filling);
			break;
		case T_CreateFunctionStmt:
			fill_utility(((CreateFunctionStmt *) node)->sql_body, filling);
			break;
		case T_CreateSchemaStmt:
			fill_utility((Node *) ((CreateSchemaStmt *) node)->schemaElts, filling);
			break;
		case T_CreatePolicyStmt:
			fill_walker(((CreatePolicyStmt *) node)->qual, filling);
			fill_walker(((CreatePolicyStmt *) node)->with_check, filling);
			break;
		case T_CallStmt:
			fill_walker((Node *) ((CallStmt *) node)->funccall, filling);
			break;
		case T_ReturnStmt:
			fill_walker(((ReturnStmt *) node)->returnval, filling);
			break;
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_PLAssignStmt:
			fill_walker(node, filling);
			break;
		default:
			if (kwj_merge_target(node))
				fill_walker(node, filling);
			break;
	}
}

/* A statement that no node stands for is somewhere where it cannot be. */
static void
refuse_unfilled(const Filling *filling)
{
	ListCell   *cell;

	foreach(cell, filling->statements)
	{
		KwjStatement *statement = lfirst(cell);

		if (!statement->has_tree)
			error_at(statement, ERRCODE_SYNTAX_ERROR,
					 "a job statement cannot stand here",
					 "Put it in brackets where a table can stand: SELECT * FROM [SHOW JOBS].");
	}
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

/* Parse tokens in which these job statements stand. */
static List *
parse_with_statements(KwjSource *source, int first, int last, RawParseMode mode,
					  const char *hint, List *statements)
{
	MaskedText	masked = {source, copy_range(source, first, last), statements, hint};
	Filling		filling = {statements, source};
	List	   *trees;
	ListCell   *cell;

	foreach(cell, statements)
	{
		KwjStatement *statement = lfirst(cell);

		statement->has_tree = false;
		refuse_command_in_brackets(statement);
		blank(masked.text, mask_start(statement), mask_end(statement),
			  statement->in_brackets ? BRACKETS_MASK : STATEMENT_MASK);
	}
	trees = parse_masked(&masked, mode);
	if (statements)
	{
		fill_utility((Node *) trees, &filling);
		refuse_unfilled(&filling);
	}
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

static Node *
expression_of(List *trees)
{
	SelectStmt *select = (SelectStmt *) linitial_node(RawStmt, trees)->stmt;

	if (IsA(select, SelectStmt) && is_lone_expression(select))
		return linitial_node(ResTarget, select->targetList)->val;
	return NULL;
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

/* The query in these tokens. */
Node *
kwj_parse_query(KwjStatement *statement, int first, int last)
{
	static const char *const expected = "A query that returns job IDs must stand here.";
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
