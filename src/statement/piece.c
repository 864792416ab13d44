/*
 * src/statement/piece.c
 *	  Parses the pieces of job statements: expressions, queries, the heads of IMPORT, and the
 *	  clauses ORDER BY and LIMIT.
 *
 * Caller: parse.c, for the statements of one level (kwj_read_pieces); and the builders in
 * rewrite_*.c and grammar_*.c, which ask for their pieces by kwj_parse_expression, kwj_parse_query and
 * kwj_parse_insert. Process: any that parses SQL. Locks: none.
 *
 * Locations in a tree are offsets in the text, so a piece has to be parsed where it stands, and
 * PostgreSQL's parser has to skip all that comes before it. If thousands of pieces were parsed one
 * by one, the time would grow with the square of the text's length. So the statements of a level
 * are built twice:
 *
 *     1  collect():     builders run with placeholders; each request adds a piece to its statement
 *     2  parse_batches: all pieces are parsed together, in two texts
 *                           queries        "     (SELECT ...);    (VALUES ...); SELECT LIMIT 1"
 *                           expressions    "SELECT f(1)         ,g(2);  SELECT 3"
 *     3  unmask.c:      builders run again, and get the trees of their pieces in the same order
 *
 * Before expressions and clauses, SELECT stands where the words of the job statement are, and a
 * comma takes the place of a token between two expressions. If a batch fails, the first wrong piece
 * is found by bisection and parsed by itself, for the error that the user sees; of several errors,
 * the first in the text is raised.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/memutils.h"

#include "compat.h"
#include "statement/internal.h"

typedef enum KwjPieceKind
{
	KWJ_EXPRESSION,
	KWJ_QUERY,
	KWJ_INSERT,
	KWJ_TABLE,					/* the head of IMPORT TABLE, as a CREATE TABLE */
	KWJ_CLAUSES					/* ORDER BY, LIMIT, OFFSET and FETCH */
} KwjPieceKind;

/* A piece of a job statement. */
typedef struct KwjPiece
{
	KwjStatement *statement;
	KwjPieceKind kind;
	int			first;			/* its tokens: first up to, but not including, last */
	int			last;
	int			select;			/* KWJ_INSERT: the first token that becomes SELECT */
	List	   *statements;		/* job statements in brackets in it */
	const char *expected;		/* a sentence for errors */
	Node	   *tree;			/* NULL until it is parsed */
} KwjPiece;

/* Returns whether this SELECT is a list of expressions and nothing else. */
static bool
is_plain(const SelectStmt *select)
{
	return select->op == SETOP_NONE && !select->distinctClause &&
		!select->intoClause && !select->fromClause && !select->whereClause &&
		!select->groupClause && !select->havingClause && !select->windowClause &&
		!select->sortClause && !select->limitCount && !select->limitOffset &&
		!select->lockingClause && !select->withClause && !select->valuesLists;
}

/* Returns whether the target is the * of SELECT *, which is not an expression. */
static bool
is_star(const Node *target)
{
	return IsA(target, ColumnRef) &&
		IsA(linitial(((const ColumnRef *) target)->fields), A_Star);
}

/* Returns the expression of this target; NULL if the target is more than an expression. */
static Node *
expression_of_target(const ResTarget *target)
{
	if (target->name || target->indirection || is_star(target->val))
		return NULL;
	return target->val;
}

/* Returns the expression, if these trees are one expression; NULL if they are more. */
static Node *
expression_of(List *trees)
{
	SelectStmt *select = (SelectStmt *) linitial_node(RawStmt, trees)->stmt;

	if (!IsA(select, SelectStmt) || !is_plain(select) ||
		list_length(select->targetList) != 1)
		return NULL;
	return expression_of_target(linitial(select->targetList));
}

/*
 * Raises a syntax error for tokens behind an expression. A SELECT accepts them as an alias or a clause; in
 * parentheses they are a syntax error right where they stand.
 */
static void
refuse_trailing_tokens(const KwjPiece *piece)
{
	KwjSource  *source = piece->statement->source;
	int			end = source->tokens[piece->last - 1].end;
	char	   *text = kwj_blank_text(source, end);

	kwj_copy_tokens(source, piece->first, piece->last, text);
	text[source->tokens[piece->first].start - 1] = '(';
	text[end] = ')';
	text[end + 1] = '\0';
	kwj_parse_text(piece->statement, text, RAW_PARSE_PLPGSQL_EXPR);
	kwj_syntax_error(piece->statement, piece->first, "An expression must stand here.");
}

/* Returns whether this is SELECT with the clauses ORDER BY and LIMIT, and nothing else. */
static bool
has_only_clauses(const SelectStmt *select)
{
	return select->op == SETOP_NONE && !select->targetList && !select->intoClause &&
		!select->fromClause && !select->whereClause && !select->groupClause &&
		!select->havingClause && !select->windowClause && !select->lockingClause &&
		!select->withClause && !select->valuesLists;
}

/* Raises a syntax error at FOR UPDATE, which a SELECT may have after these clauses. */
static void
refuse_locking(const KwjPiece *piece)
{
	const KwjSource *source = piece->statement->source;
	int			token = piece->first;

	while (token < piece->last && !kwj_is_word(source, token, "for"))
		token = kwj_skip_nested(source, token, piece->last);
	kwj_syntax_error(piece->statement, token, "Only ORDER BY, LIMIT and OFFSET can stand here.");
}

static void
write_over(char *text, int start, int end, const char *word)
{
	memset(text + start, ' ', end - start);
	memcpy(text + start, word, strlen(word));
}

/* Writes "IMPORT TABLE table (columns)" into the text as a CREATE TABLE. */
static void
write_table(const KwjPiece *piece, char *text)
{
	const KwjSource *source = piece->statement->source;
	const KwjToken *import = &source->tokens[piece->first];

	kwj_copy_tokens(source, piece->first, piece->last, text);
	write_over(text, import->start, import->end, "CREATE");
}

/* Writes "IMPORT INTO table (columns)" into the text as an INSERT ... SELECT. */
static void
write_insert(const KwjPiece *piece, char *text)
{
	const KwjSource *source = piece->statement->source;
	const KwjToken *import = &source->tokens[piece->first];

	kwj_copy_tokens(source, piece->first, piece->select, text);
	write_over(text, import->start, import->end, "INSERT");
	write_over(text, source->tokens[piece->select].start,
			   source->tokens[piece->last - 1].end, "SELECT");
}

/* Parses a piece by itself. Its errors are meant for the user. */
static void
parse_alone(KwjPiece *piece)
{
	KwjStatement *statement = piece->statement;
	List	   *trees;

	if (piece->kind == KWJ_INSERT || piece->kind == KWJ_TABLE)
	{
		KwjSource  *source = statement->source;
		char	   *text = kwj_blank_text(source, source->tokens[piece->last - 1].end);

		if (piece->kind == KWJ_INSERT)
			write_insert(piece, text);
		else
			write_table(piece, text);
		trees = kwj_parse_text(statement, text, RAW_PARSE_DEFAULT);
		piece->tree = linitial_node(RawStmt, trees)->stmt;
		if (piece->kind == KWJ_TABLE && !IsA(piece->tree, CreateStmt))
			kwj_syntax_error(statement, piece->last, piece->expected);
		return;
	}
	if (piece->kind == KWJ_CLAUSES)
	{
		trees = kwj_parse_tail(statement, piece->first, piece->last, piece->statements);
		piece->tree = linitial_node(RawStmt, trees)->stmt;
		if (!has_only_clauses((SelectStmt *) piece->tree))
			refuse_locking(piece);
		return;
	}
	trees = kwj_parse_tokens(statement, piece->first, piece->last,
							 piece->kind == KWJ_QUERY ? RAW_PARSE_DEFAULT : RAW_PARSE_PLPGSQL_EXPR,
							 piece->statements);
	if (piece->kind == KWJ_EXPRESSION)
	{
		piece->tree = expression_of(trees);
		/* SELECT takes ALL for itself */
		if (piece->tree == NULL || kwj_is_word(statement->source, piece->first, "all"))
			refuse_trailing_tokens(piece);
		return;
	}
	piece->tree = linitial_node(RawStmt, trees)->stmt;
	if (list_length(trees) != 1 || !IsA(piece->tree, SelectStmt))
		kwj_syntax_error(statement, piece->first, piece->expected);
}

/* Returns whether this piece belongs to the same SELECT as the one before. */
static bool
continues(const List *pieces, int n)
{
	const KwjPiece *piece = list_nth(pieces, n);

	return piece->kind == KWJ_EXPRESSION && n > 0 &&
		((KwjPiece *) list_nth(pieces, n - 1))->statement == piece->statement;
}

/*
 * Returns whether the piece can be parsed together with others. Before an expression there must be
 * room for SELECT and a blank, and the expression must not start with ALL, which SELECT would take
 * for itself.
 */
static bool
fits(const KwjPiece *piece)
{
	const KwjSource *source = piece->statement->source;

	return piece->kind != KWJ_EXPRESSION ||
		(source->tokens[piece->first].start -
		 source->tokens[piece->statement->first].start > strlen("SELECT") &&
		 !kwj_is_word(source, piece->first, "all"));
}

/* Returns a text with the first n pieces in it. */
static char *
write_together(const List *pieces, int n)
{
	const KwjPiece *last = list_nth(pieces, n - 1);
	const KwjSource *source = last->statement->source;
	char	   *text = kwj_blank_text(source, source->tokens[last->last - 1].end);

	for (int i = 0; i < n; i++)
	{
		const KwjPiece *piece = list_nth(pieces, i);

		CHECK_FOR_INTERRUPTS();
		if (piece->kind == KWJ_INSERT)
			write_insert(piece, text);
		else if (piece->kind == KWJ_TABLE)
			write_table(piece, text);
		else
		{
			kwj_copy_tokens(source, piece->first, piece->last, text);
			kwj_put_masks(piece->statements, text);
		}
		if (continues(pieces, i))
			text[source->tokens[piece->first - 1].start] = ',';
		else if (piece->kind == KWJ_EXPRESSION || piece->kind == KWJ_CLAUSES)
			memcpy(text + source->tokens[piece->statement->first].start, "SELECT", strlen("SELECT"));
		if (i + 1 < n && !continues(pieces, i + 1))
			text[source->tokens[piece->last - 1].end] = ';';
	}
	return text;
}

/* Parses this text, and frees it. Returns NIL if PostgreSQL refuses it. */
static List *
try_to_parse(char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *volatile trees = NIL;

	kwj_count_work(strlen(text));
	PG_TRY();
	{
		trees = raw_parser(text, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		if (!kwj_is_error_of_text())
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
	}
	PG_END_TRY();
	pfree(text);
	return trees;
}

/*
 * Returns the tree of a piece, out of the tree of the statement in which it was parsed; NULL if it is not of
 * the kind that the piece should have. expression: the number of the piece in this statement.
 */
static Node *
tree_of_piece(const KwjPiece *piece, Node *statement, int expression)
{
	SelectStmt *select = (SelectStmt *) statement;

	if (piece->kind == KWJ_INSERT)
		return IsA(statement, InsertStmt) ? statement : NULL;
	if (piece->kind == KWJ_TABLE)
		return IsA(statement, CreateStmt) ? statement : NULL;
	if (!IsA(statement, SelectStmt))
		return NULL;
	if (piece->kind == KWJ_QUERY)
		return statement;
	if (piece->kind == KWJ_CLAUSES)
		return has_only_clauses(select) ? statement : NULL;
	if (!is_plain(select) || expression >= list_length(select->targetList))
		return NULL;
	return expression_of_target(list_nth(select->targetList, expression));
}

/*
 * Parses the first n pieces together. Returns the tree of each; NIL if one of them is wrong. *statements: the
 * trees of the whole text.
 */
static List *
parse_together(const List *pieces, int n, List **statements)
{
	List	   *trees = NIL;
	Node	   *statement = NULL;
	int			nstatements = 0;
	int			nexpressions = 0;

	*statements = try_to_parse(write_together(pieces, n));
	for (int i = 0; i < n; i++)
	{
		const KwjPiece *piece = list_nth(pieces, i);
		Node	   *tree;

		if (!continues(pieces, i))
		{
			if (nstatements == list_length(*statements))
				return NIL;
			statement = list_nth_node(RawStmt, *statements, nstatements++)->stmt;
			nexpressions = 0;
		}
		tree = tree_of_piece(piece, statement, nexpressions++);
		if (tree == NULL)
			return NIL;
		if (piece->kind == KWJ_EXPRESSION && !(i + 1 < n && continues(pieces, i + 1)) &&
			nexpressions != list_length(((SelectStmt *) statement)->targetList))
			return NIL;
		trees = lappend(trees, tree);
	}
	return nstatements == list_length(*statements) ? trees : NIL;
}

/*
 * Returns the first piece that is wrong. The caller knows that at least one of these pieces is. In the loop,
 * the first `right` pieces are right, and at least one of the first `wrong` pieces is wrong.
 */
static KwjPiece *
find_wrong(const List *pieces)
{
	int			right = 0;
	int			wrong = list_length(pieces);

	while (wrong - right > 1)
	{
		int			middle = right + (wrong - right) / 2;
		List	   *statements;

		CHECK_FOR_INTERRUPTS();
		if (parse_together(pieces, middle, &statements) != NIL)
			right = middle;
		else
			wrong = middle;
	}
	return list_nth(pieces, right);
}

/* Pieces that are parsed in one text. */
typedef struct KwjBatch
{
	List	   *pieces;
	List	   *trees;			/* of each piece, once all are right */
	List	   *statements;		/* trees of the whole text, which contain them */
} KwjBatch;

/* Parses the batch. Returns the first wrong piece; NULL if there is none. */
static KwjPiece *
parse_batch(KwjBatch *batch)
{
	if (batch->pieces == NIL)
		return NULL;
	batch->trees = parse_together(batch->pieces, list_length(batch->pieces), &batch->statements);
	return batch->trees == NIL ? find_wrong(batch->pieces) : NULL;
}

/* Sets the trees of the pieces, and puts the trees of job statements in brackets into them. */
static void
finish_batch(KwjBatch *batch)
{
	List	   *statements = NIL;
	ListCell   *cell;
	ListCell   *tree;

	forboth(cell, batch->pieces, tree, batch->trees)
	{
		KwjPiece   *piece = lfirst(cell);

		piece->tree = lfirst(tree);
		statements = list_concat(statements, piece->statements);
	}
	if (statements != NIL)
		kwj_put_trees(((KwjPiece *) linitial(batch->pieces))->statement->source,
					  batch->statements, statements);
}

/*
 * Parses both batches. The first wrong piece in the text is parsed by itself, which raises the error for the
 * user. If this raises no error, the piece is wrong only together with others; it now has its tree, and the
 * batches are tried without it.
 */
static void
parse_batches(KwjBatch *queries, KwjBatch *expressions)
{
	for (;;)
	{
		KwjPiece   *query = parse_batch(queries);
		KwjPiece   *wrong = parse_batch(expressions);

		if (wrong == NULL || (query != NULL && query->first < wrong->first))
			wrong = query;
		if (wrong == NULL)
			break;
		parse_alone(wrong);
		queries->pieces = list_delete_ptr(queries->pieces, wrong);
		expressions->pieces = list_delete_ptr(expressions->pieces, wrong);
	}
	finish_batch(queries);
	finish_batch(expressions);
}

/*
 * Builds the statements to find out what their pieces are. Returns the error that ended this; NULL if there was
 * none.
 */
static ErrorData *
collect(KwjSource *source, List *statements)
{
	MemoryContext waste = AllocSetContextCreate(source->scratch, "trees without pieces",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(waste);
	ErrorData  *volatile error = NULL;
	ListCell   *cell;

	foreach(cell, statements)
	{
		((KwjStatement *) lfirst(cell))->pieces = NIL;
		((KwjStatement *) lfirst(cell))->npieces = 0;
	}
	source->is_collecting = true;
	PG_TRY();
	{
		foreach(cell, statements)
		{
			CHECK_FOR_INTERRUPTS();
			kwj_build_statement(lfirst(cell));
		}
	}
	PG_CATCH();
	{
		if (!kwj_is_error_of_text())
			PG_RE_THROW();
		MemoryContextSwitchTo(source->scratch);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	source->is_collecting = false;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(waste);
	return error;
}

/*
 * Parses all pieces of these statements, so that the statements can be built. Of several errors, raises the one
 * that comes first in the text.
 */
void
kwj_read_pieces(KwjSource *source, List *statements)
{
	ErrorData  *error = collect(source, statements);
	KwjBatch	queries = {0};
	KwjBatch	expressions = {0};
	ListCell   *cell;
	ListCell   *next;

	foreach(cell, statements)
	{
		foreach(next, ((KwjStatement *) lfirst(cell))->pieces)
		{
			KwjPiece   *piece = lfirst(next);

			if (!fits(piece))
				parse_alone(piece);
			else if (piece->kind == KWJ_EXPRESSION)
				expressions.pieces = lappend(expressions.pieces, piece);
			else
				queries.pieces = lappend(queries.pieces, piece);
		}
	}
	if (list_length(queries.pieces) + list_length(expressions.pieces) > 1)
		parse_batches(&queries, &expressions);
	else if (queries.pieces != NIL)
		parse_alone(linitial(queries.pieces));
	else if (expressions.pieces != NIL)
		parse_alone(linitial(expressions.pieces));
	if (error)
		ReThrowError(error);
}

/* Returns the placeholder from which a statement is built while its pieces are collected. */
static Node *
placeholder(KwjPieceKind kind)
{
	InsertStmt *insert;

	if (kind == KWJ_EXPRESSION)
		return kwj_null();
	if (kind == KWJ_QUERY)
		return (Node *) kwj_select(kwj_null());
	if (kind == KWJ_CLAUSES)
		return (Node *) makeNode(SelectStmt);
	if (kind == KWJ_TABLE)
		return (Node *) makeNode(CreateStmt);
	insert = makeNode(InsertStmt);
	insert->relation = makeRangeVar(NULL, "", -1);
	return (Node *) insert;
}

/*
 * Returns the tree of the next piece of the statement. While the pieces are still collected, notes the
 * tokens of the piece, and returns a placeholder.
 */
static Node *
next_piece(KwjStatement *statement, const KwjPiece *tokens)
{
	KwjPiece   *piece;
	MemoryContext waste;

	if (!statement->source->is_collecting)
	{
		piece = list_nth(statement->pieces, statement->npieces++);
		Assert(piece->first == tokens->first && piece->last == tokens->last);
		return piece->tree;
	}
	if (++statement->source->npieces > KWJ_MAX_PIECES)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("the job statements of a text can have at most %d expressions", KWJ_MAX_PIECES),
				errhint("Send several texts."),
				kwj_error_position(statement->source, tokens->first));
	waste = MemoryContextSwitchTo(statement->source->scratch);
	piece = palloc(sizeof(KwjPiece));
	*piece = *tokens;
	piece->statement = statement;
	if (piece->kind != KWJ_INSERT && piece->kind != KWJ_TABLE)
		piece->statements = kwj_find_statements(statement->source, piece->first, piece->last);
	statement->pieces = lappend(statement->pieces, piece);
	MemoryContextSwitchTo(waste);
	return placeholder(piece->kind);
}

/*
 * Parses "IMPORT TABLE table (columns)", up to `last`, as a CREATE TABLE. Returns its text, in which comments
 * are blanks, palloc'd. expected: a sentence that says what must stand at `last`.
 */
char *
kwj_parse_table(KwjStatement *statement, int head, int last, const char *expected)
{
	KwjPiece	piece = {.kind = KWJ_TABLE, .first = head, .last = last, .expected = expected};
	const KwjSource *source = statement->source;
	char	   *text;

	(void) next_piece(statement, &piece);
	text = kwj_blank_text(source, source->tokens[last - 1].end);
	piece.statement = statement;
	write_table(&piece, text);
	return text + source->tokens[head].start;
}

/* Returns the expression in these tokens. expected: a sentence that says what it is for. */
Node *
kwj_parse_expression(KwjStatement *statement, int first, int last,
					 const char *expected)
{
	KwjPiece	piece = {.kind = KWJ_EXPRESSION, .first = first, .last = last};
	int			comma;

	if (first >= last)
		kwj_syntax_error(statement, last, expected);
	comma = kwj_find_symbol(statement->source, first, last, ',');
	if (comma < last)
		kwj_syntax_error(statement, comma, expected);
	return next_piece(statement, &piece);
}

/* Returns the expression in these tokens, cast to text. */
Node *
kwj_parse_text_value(KwjStatement *statement, int first, int last, const char *expected)
{
	return kwj_cast(kwj_parse_expression(statement, first, last, expected), "text", false, -1);
}

/* Returns the query in these tokens. expected: a sentence that says what it is for. */
Node *
kwj_parse_query(KwjStatement *statement, int first, int last,
				const char *expected)
{
	KwjSource  *source = statement->source;
	KwjPiece	piece = {.kind = KWJ_QUERY, .first = first, .last = last, .expected = expected};

	if (first >= last ||
		!(kwj_is_symbol(source, first, '(') ||
		  kwj_is_word(source, first, "select") ||
		  kwj_is_word(source, first, "values") ||
		  kwj_is_word(source, first, "table") ||
		  kwj_is_word(source, first, "with")))
		kwj_syntax_error(statement, Min(first, last), expected);
	return next_piece(statement, &piece);
}

/*
 * Returns the first of these tokens, outside parentheses and brackets, at which ORDER BY, LIMIT,
 * OFFSET or FETCH begins; `last` if there is none. These words are reserved, so an expression
 * cannot contain them.
 */
int
kwj_find_clauses(const KwjStatement *statement, int first, int last)
{
	static const char *const words[] = {"order", "limit", "offset", "fetch"};
	const KwjSource *source = statement->source;
	int			token = first;

	while (token < last)
	{
		/* after a dot, any word is a name */
		for (int i = 0; i < lengthof(words) && !kwj_is_symbol(source, token - 1, '.'); i++)
			if (kwj_is_word(source, token, words[i]))
				return token;
		token = kwj_skip_nested(source, token, last);
	}
	return last;
}

/* Returns the clauses in these tokens, the statement's last ones, as a SELECT of nothing else. */
SelectStmt *
kwj_parse_clauses(KwjStatement *statement, int first, int last)
{
	KwjPiece	piece = {.kind = KWJ_CLAUSES, .first = first, .last = last};

	return (SelectStmt *) next_piece(statement, &piece);
}

/*
 * Parses "IMPORT INTO table (columns)" as an INSERT: the first token becomes INSERT, and the tokens from select
 * up to select_end become SELECT.
 */
InsertStmt *
kwj_parse_insert(KwjStatement *statement, int head, int select, int select_end)
{
	KwjPiece	piece = {.kind = KWJ_INSERT, .first = head, .last = select_end, .select = select};

	return (InsertStmt *) next_piece(statement, &piece);
}
