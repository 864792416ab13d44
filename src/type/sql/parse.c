/*
 * src/type/sql/parse.c
 *	  The text of a SQL job: what is allowed in it, and where errors are.
 *
 * Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "parser/scansup.h"
#include "tcop/tcopprot.h"
#include "type/sql/parse.h"

/* How much of a long line is shown, in characters. */
#define SHOWN_LENGTH	60

/* Returns the character at a position, which counts characters from 1. */
static char
character_at(const char *text, int position)
{
	for (; position > 1 && *text; position--)
		text += pg_mblen(text);
	return *text;
}

/*
 * Moves the error's position into its internal position, and sets the internal query to the job's
 * text. The client then shows that text with the position.
 */
static void
point_into_text(void *arg)
{
	int			position = geterrposition();

	if (position <= 0)
		return;
	if (geterrcode() == ERRCODE_SYNTAX_ERROR && character_at(arg, position) == ':')
		errhint("If this is a parameter, give its value: arguments => '{\"name\": ...}'.");
	errposition(0);
	internalerrposition(position);
	internalerrquery((const char *) arg);
}

void
kwj_sql_push_text(ErrorContextCallback *callback, const char *text)
{
	callback->callback = point_into_text;
	callback->arg = unconstify(char *, text);
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

/* Returns where the statement starts, after blanks. */
static int
start_of(const char *text, const RawStmt *statement)
{
	int			start = Max(statement->stmt_location, 0);

	while (scanner_isspace(text[start]))
		start++;
	return start;
}

char *
kwj_sql_statement_text(const char *text, const RawStmt *statement)
{
	int			start = start_of(text, statement);
	int			end = statement->stmt_len > 0 ?
		statement->stmt_location + statement->stmt_len : (int) strlen(text);

	while (end > start && scanner_isspace(text[end - 1]))
		end--;
	return pnstrdup(text + start, end - start);
}

PlannedStmt *
kwj_sql_plan_utility(Node *statement, int location, int length)
{
	PlannedStmt *planned = makeNode(PlannedStmt);

	planned->commandType = CMD_UTILITY;
	planned->canSetTag = true;
	planned->utilityStmt = statement;
	planned->stmt_location = location;
	planned->stmt_len = length;
	return planned;
}

PlannedStmt *
kwj_sql_plan_copy(const char *text, bool is_from)
{
	List	   *statements = pg_parse_query(text);
	RawStmt    *raw = linitial_node(RawStmt, statements);
	const CopyStmt *copy = (const CopyStmt *) raw->stmt;

	if (list_length(statements) != 1 || !IsA(copy, CopyStmt) || copy->is_from != is_from ||
		copy->is_program || copy->filename != NULL)
		elog(ERROR, "not a COPY of kwjobs: %s", text);
	return kwj_sql_plan_utility(raw->stmt, raw->stmt_location, raw->stmt_len);
}

static int
position_of(const char *text, const RawStmt *statement)
{
	return errposition(pg_mbstrlen_with_len(text, start_of(text, statement)) + 1);
}

static const char *
transaction_command(TransactionStmtKind kind)
{
	switch (kind)
	{
		case TRANS_STMT_BEGIN:
			return "BEGIN";
		case TRANS_STMT_START:
			return "START TRANSACTION";
		case TRANS_STMT_COMMIT:
			return "COMMIT";
		case TRANS_STMT_ROLLBACK:
			return "ROLLBACK";
		case TRANS_STMT_SAVEPOINT:
			return "SAVEPOINT";
		case TRANS_STMT_RELEASE:
			return "RELEASE SAVEPOINT";
		case TRANS_STMT_ROLLBACK_TO:
			return "ROLLBACK TO SAVEPOINT";
		case TRANS_STMT_PREPARE:
			return "PREPARE TRANSACTION";
		case TRANS_STMT_COMMIT_PREPARED:
		case TRANS_STMT_ROLLBACK_PREPARED:
			break;				/* these are allowed */
	}
	return NULL;
}

static void
check_statement(const char *text, const RawStmt *statement)
{
	Node	   *node = statement->stmt;

	if (IsA(node, TransactionStmt))
	{
		const char *command = transaction_command(((TransactionStmt *) node)->kind);

		if (command != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("%s is not allowed in the statement of a job", command),
					 errdetail("The statements of a job are one transaction."),
					 errhint("Leave it out. To commit in between, CALL a procedure that calls kwjobs.checkpoint()."),
					 position_of(text, statement)));
	}
	else if (IsA(node, CopyStmt) && ((CopyStmt *) node)->filename == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 ((CopyStmt *) node)->is_from ?
				 errmsg("COPY FROM STDIN is not allowed in the statement of a job") :
				 errmsg("COPY TO STDOUT is not allowed in the statement of a job"),
				 errdetail("A job has no client."),
				 errhint("Name a file on the server, or a PROGRAM."),
				 position_of(text, statement)));
	else if (IsA(node, ListenStmt))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("LISTEN is not allowed in the statement of a job"),
				 errdetail("A job has no client."),
				 errhint("LISTEN in a session."),
				 position_of(text, statement)));
}

/*
 * The parser has raised an error about the masked text. Makes the error show the job's own text, at
 * the same byte. The position is another one, because positions count characters: in the place of a
 * name, the masked text has an ASCII character for each byte of the name.
 */
static void
unmask_error(ErrorData *edata, const char *text, const char *masked)
{
	char		at = '\0';

	if (edata->internalquery != NULL && strcmp(edata->internalquery, masked) == 0)
	{
		int			offset = pg_mbcharcliplen(masked, strlen(masked), edata->internalpos - 1);

		edata->internalquery = pstrdup(text);
		edata->internalpos = pg_mbstrlen_with_len(text, offset) + 1;
		at = character_at(text, edata->internalpos);
	}
	if (edata->sqlerrcode == ERRCODE_SYNTAX_ERROR && (at == ':' || at == '$'))
		edata->hint = pstrdup("A parameter stands for a value in a query, or for an argument of CALL. Make other statements with format().");
}

/*
 * Parses the masked text. PostgreSQL gives the position of an error in the text that it parses, so
 * the error context points into the masked text. The user sees the job's own text (unmask_error).
 */
static List *
parse_masked(const char *text, const char *masked)
{
	ErrorContextCallback callback;
	MemoryContext caller = CurrentMemoryContext;
	List	   *volatile statements = NIL;

	PG_TRY();
	{
		kwj_sql_push_text(&callback, masked);
		statements = raw_parser(masked, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		FlushErrorState();
		unmask_error(edata, text, masked);
		ReThrowError(edata);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	return statements;
}

/* Checks what the parser has made of the text. */
static void
check_parsed(const char *text, const List *statements, const char *what)
{
	ListCell   *lc;

	if (statements == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no statement in argument \"%s\" of the job", what),
				 errhint("For instance: SELECT kwjobs.submit('VACUUM my_table').")));
	foreach(lc, statements)
		check_statement(text, lfirst(lc));
}

List *
kwj_sql_parse(const char *text, const char *what)
{
	ErrorContextCallback callback;
	List	   *statements;

	kwj_sql_push_text(&callback, text);
	statements = raw_parser(text, RAW_PARSE_DEFAULT);
	check_parsed(text, statements, what);
	error_context_stack = callback.previous;
	return statements;
}

List *
kwj_sql_parse_masked(const char *text, const char *masked, const char *what)
{
	ErrorContextCallback callback;
	List	   *statements = parse_masked(text, masked);

	kwj_sql_push_text(&callback, text);
	check_parsed(text, statements, what);
	error_context_stack = callback.previous;
	return statements;
}

static bool
has_option(const List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
		if (strcmp(((DefElem *) lfirst(lc))->defname, name) == 0)
			return true;
	return false;
}

bool
kwj_sql_is_on(const List *options, const char *name)
{
	bool		on = false;
	ListCell   *lc;

	/* If the option is given several times, the last one counts. */
	foreach(lc, options)
		if (strcmp(((DefElem *) lfirst(lc))->defname, name) == 0)
			on = defGetBoolean(lfirst(lc));
	return on;
}

static bool
detaches_concurrently(const AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *command = lfirst(lc);

		if (command->subtype == AT_DetachPartition && ((PartitionCmd *) command->def)->concurrent)
			return true;
	}
	return false;
}

/*
 * Returns the name of the statement if PostgreSQL always refuses it in a transaction block. Returns
 * NULL for others, also if more than the statement decides that.
 */
static const char *
needs_no_block(const Node *node)
{
	switch (nodeTag(node))
	{
		case T_VacuumStmt:
			return ((const VacuumStmt *) node)->is_vacuumcmd ? "VACUUM" : NULL;
		case KWJ_CLUSTER:
			return kwj_cluster_needs_no_block(node, kwj_sql_is_on);
		case T_IndexStmt:
			return ((const IndexStmt *) node)->concurrent ? "CREATE INDEX CONCURRENTLY" : NULL;
		case T_DropStmt:
			return ((const DropStmt *) node)->concurrent ? "DROP INDEX CONCURRENTLY" : NULL;
		case T_ReindexStmt:
			return kwj_sql_is_on(((const ReindexStmt *) node)->params, "concurrently") ?
				"REINDEX CONCURRENTLY" :
				((const ReindexStmt *) node)->kind == REINDEX_OBJECT_INDEX ||
				((const ReindexStmt *) node)->kind == REINDEX_OBJECT_TABLE ? NULL :
				"REINDEX of more than a table";
		case T_AlterTableStmt:
			return detaches_concurrently((const AlterTableStmt *) node) ?
				"ALTER TABLE ... DETACH CONCURRENTLY" : NULL;
		case T_CreatedbStmt:
			return "CREATE DATABASE";
		case T_DropdbStmt:
			return "DROP DATABASE";
		case T_AlterDatabaseStmt:
			return has_option(((const AlterDatabaseStmt *) node)->options, "tablespace") ?
				"ALTER DATABASE SET TABLESPACE" : NULL;
		case T_CreateTableSpaceStmt:
			return "CREATE TABLESPACE";
		case T_DropTableSpaceStmt:
			return "DROP TABLESPACE";
		case T_AlterSystemStmt:
			return "ALTER SYSTEM";
		case T_DiscardStmt:
			return ((const DiscardStmt *) node)->target == DISCARD_ALL ? "DISCARD ALL" : NULL;
		case T_CreateSubscriptionStmt:
			/* With some options it may run in a block. */
			return ((const CreateSubscriptionStmt *) node)->options == NIL ?
				"CREATE SUBSCRIPTION" : NULL;
		case T_AlterSubscriptionStmt:
			return ((const AlterSubscriptionStmt *) node)->kind == KWJ_REFRESH_PUBLICATION ?
				"ALTER SUBSCRIPTION ... REFRESH" : NULL;
		case T_TransactionStmt:
			/* kwj_sql_parse has refused all other transaction statements. */
			return "COMMIT PREPARED and ROLLBACK PREPARED";
		default:
			return NULL;
	}
}

/* Returns whether all statements but this one are SET. */
static bool
are_others_settings(const List *statements, const RawStmt *except)
{
	ListCell   *lc;

	foreach(lc, statements)
		if (lfirst(lc) != except && !IsA(lfirst_node(RawStmt, lc)->stmt, VariableSetStmt))
			return false;
	return true;
}

void
kwj_sql_check_together(const char *text, List *statements)
{
	ErrorContextCallback callback;
	ListCell   *lc;

	if (list_length(statements) < 2)
		return;
	kwj_sql_push_text(&callback, text);
	foreach(lc, statements)
	{
		const RawStmt *statement = lfirst(lc);
		const char *name = needs_no_block(statement->stmt);

		if (name != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
					 errmsg("%s cannot run inside a transaction block", name),
					 errdetail("The several statements of a job are one transaction."),
					 are_others_settings(statements, statement) ?
					 errhint("Give the values of SET as settings of the job: settings => '{\"name\": \"value\"}'.") :
					 errhint("Create a job for it alone; with depends_on it starts when another job has succeeded."),
					 position_of(text, statement)));
	}
	error_context_stack = callback.previous;
}

/* Appends up to n characters of the line. Returns how many columns they take. */
static int
append_characters(StringInfo buf, const char *from, int n)
{
	int			columns = 0;

	for (; n > 0 && *from && *from != '\n' && *from != '\r'; n--)
	{
		int			length = pg_mblen(from);

		if (*from == '\t')
			appendStringInfoChar(buf, ' ');
		else
			appendBinaryStringInfo(buf, from, length);
		columns += Max(1, pg_dsplen(from));
		from += length;
	}
	return columns;
}

void
kwj_sql_show_position(const char *text, int position)
{
	const char *line = text;	/* its start */
	const char *shown = text;	/* where what is shown starts */
	const char *at = text;
	int			number = 1;
	int			column = 0;		/* characters from shown to at */
	StringInfoData buf;
	int			indent;

	while (--position > 0 && *at)
	{
		bool		line_end = *at == '\n';

		at += pg_mblen(at);
		column++;
		if (line_end)
		{
			number++;
			line = shown = at;
			column = 0;
		}
	}
	for (; column > SHOWN_LENGTH / 2; column--)
		shown += pg_mblen(shown);

	initStringInfo(&buf);
	appendStringInfo(&buf, "LINE %d: %s", number, shown > line ? "..." : "");
	indent = buf.len + append_characters(&buf, shown, column);
	append_characters(&buf, at, SHOWN_LENGTH - column);
	appendStringInfo(&buf, "\n%*s^", indent, "");
	errcontext_msg("%s", buf.data);
	pfree(buf.data);
}
