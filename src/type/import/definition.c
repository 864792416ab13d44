/*
 * src/type/import/definition.c
 *	  The statements that create what an IMPORT fills: CREATE TABLE, and what may stand beside it.
 *
 * The text comes from IMPORT TABLE t (...), or from a file, such as the meta.sql of an EXPORT. It is
 * parsed by PostgreSQL's parser, and runs as the job's owner, so it can do nothing that the owner cannot.
 * But the job has to be able to undo it by dropping what it has created. Therefore only some statements
 * are allowed, and those of them that change an object have to change one that was created here.
 *
 *    session    parse    run, only to try it, in a subtransaction that is rolled back: so all errors
 *      |                 of the definition, and of the files against its columns, come at once
 *      v
 *    worker     parse    run, and commit it with a checkpoint that has what was created (created.h)
 *
 * What is created is learned from PostgreSQL's hook for that (object_access_hook), not from the text.
 *
 * Process: session (when the job is created), worker. Locks: those of the statements.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "compat.h"
#include "job/transaction.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "parser/scansup.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "type/import/definition.h"
#include "type/import/statement.h"
#include "type/source/source.h"
#include "type/sql/parse.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

/* The longest definition, of a table and of a database, that a job keeps. */
#define MOST_BYTES_OF_TABLE	(1024 * 1024)
#define MOST_BYTES			(32 * 1024 * 1024)

/* How many bytes of a file are read at a time. */
#define READ_SIZE	65536

/* SET of these stands in the head of what psql is to run, and has no effect on what is created. */
static const char *const ignored_settings[] = {
	"client_encoding", "client_min_messages", "idle_in_transaction_session_timeout", "lock_timeout",
	"row_security", "standard_conforming_strings", "statement_timeout", "transaction_timeout",
};

/* These have an effect. They are set until the definition has run. */
static const char *const applied_settings[] = {
	"check_function_bodies", "default_table_access_method", "default_tablespace",
	"default_toast_compression", "search_path", "xmloption",
};

/* ---- what may stand in a definition ---- */

static bool
is_among(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (pg_strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

/*
 * Returns the arguments of the call, if the statement is SELECT pg_catalog.name(constant, ...) and
 * nothing else; else NIL.
 */
static List *
arguments_of_call(const Node *statement, const char *name)
{
	const SelectStmt *select = (const SelectStmt *) statement;
	const ResTarget *target;
	const FuncCall *call;
	ListCell   *lc;

	if (!IsA(statement, SelectStmt) || list_length(select->targetList) != 1 || select->op != SETOP_NONE ||
		select->fromClause || select->whereClause || select->withClause || select->intoClause ||
		select->sortClause || select->limitCount || select->limitOffset || select->lockingClause ||
		select->groupClause || select->havingClause || select->windowClause || select->distinctClause)
		return NIL;
	target = linitial_node(ResTarget, select->targetList);
	call = (const FuncCall *) target->val;
	if (target->indirection || call == NULL || !IsA(call, FuncCall) || list_length(call->funcname) != 2 ||
		strcmp(strVal(linitial(call->funcname)), "pg_catalog") != 0 ||
		strcmp(strVal(lsecond(call->funcname)), name) != 0 ||
		call->agg_filter || call->agg_order || call->over || call->agg_star || call->func_variadic)
		return NIL;
	foreach(lc, call->args)
	{
		const Node *argument = lfirst(lc);

		/* TRUE and FALSE are casts of constants until PostgreSQL 14. */
		if (IsA(argument, TypeCast))
			argument = ((const TypeCast *) argument)->arg;
		if (!IsA(argument, A_Const))
			return NIL;
	}
	return call->args;
}

pg_noreturn static void
refuse(const Node *statement, const char *what)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("%s cannot stand in the definition of a table to import into",
				   what ? what : CreateCommandName(unconstify(Node *, statement))),
			errhint("A definition has one CREATE TABLE. Beside it may stand what the table needs: CREATE SCHEMA, EXTENSION, TYPE, DOMAIN and SEQUENCE, and what belongs to it: partitions, CREATE INDEX, ALTER TABLE, COMMENT, GRANT."));
}

static char *
constant_text(Node *argument)
{
	A_Const    *constant = (A_Const *) argument;

	if (!IsA(argument, A_Const) || !kwj_is_string_constant(constant))
		refuse(NULL, "an argument that is no text");
	return kwj_string_of_constant(constant);
}

static void
check_setting(const char *name)
{
	if (!is_among(name, ignored_settings, lengthof(ignored_settings)) &&
		!is_among(name, applied_settings, lengthof(applied_settings)))
		refuse(NULL, psprintf("SET %s", name));
}

static void
check_set(const VariableSetStmt *set)
{
	if (set->kind != VAR_SET_VALUE && set->kind != VAR_SET_DEFAULT)
		refuse(NULL, psprintf("SET %s", set->name ? set->name : ""));
	check_setting(set->name);
}

static void
check_select(const Node *statement)
{
	List	   *arguments = arguments_of_call(statement, "set_config");

	if (list_length(arguments) == 3)
		check_setting(constant_text(linitial(arguments)));
	else if (list_length(arguments_of_call(statement, "setval")) != 3)
		refuse(NULL, "SELECT, other than of pg_catalog.setval and set_config,");
}

static void
check_table(const CreateStmt *create)
{
	if (create->relation->relpersistence == RELPERSISTENCE_TEMP)
		refuse(NULL, "CREATE TEMPORARY TABLE");
	if (create->if_not_exists)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("IF NOT EXISTS cannot stand in the definition of a table to import into"),
				errdetail("The job creates the table, and drops it if it fails."),
				errhint("Leave it out, or type IMPORT INTO table for a table that exists."));
}

static void
check_statement(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateStmt:
			check_table((const CreateStmt *) statement);
			return;
		case T_CreateSchemaStmt:
			if (((const CreateSchemaStmt *) statement)->schemaElts != NIL)
				refuse(NULL, "a schema with elements");
			if (((const CreateSchemaStmt *) statement)->authrole != NULL)
				refuse(NULL, "CREATE SCHEMA ... AUTHORIZATION");
			return;
		case T_CreateSeqStmt:
			if (((const CreateSeqStmt *) statement)->sequence->relpersistence == RELPERSISTENCE_TEMP)
				refuse(NULL, "CREATE TEMPORARY SEQUENCE");
			return;
		case T_IndexStmt:
			if (((const IndexStmt *) statement)->concurrent)
				refuse(NULL, "CREATE INDEX CONCURRENTLY");
			return;
		case T_VariableSetStmt:
			check_set((const VariableSetStmt *) statement);
			return;
		case T_SelectStmt:
			check_select(statement);
			return;
		case T_AlterTableStmt:
		case T_AlterSeqStmt:
		case T_CommentStmt:
		case T_CompositeTypeStmt:
		case T_CreateDomainStmt:
		case T_CreateEnumStmt:
		case T_CreateExtensionStmt:
		case T_CreateRangeStmt:
		case T_GrantStmt:
			return;
		default:
			refuse(statement, NULL);
	}
}

/* ---- parsing ---- */

static bool
is_create_table(const RawStmt *raw)
{
	return IsA(raw->stmt, CreateStmt) && ((const CreateStmt *) raw->stmt)->partbound == NULL;
}

/* Parses the text by the rules of the SQL standard for backslashes, as psql does with the file. */
static List *
parse(const char *text)
{
	int			level = NewGUCNestLevel();
	List	   *statements;

	kwj_set_in_level("standard_conforming_strings", "on");
	statements = raw_parser(text, RAW_PARSE_DEFAULT);
	AtEOXact_GUC(false, level);
	return statements;
}

static void
show_place(void *arg)
{
	int			position = geterrposition();

	if (position <= 0)
		return;
	kwj_sql_show_position(arg, position);
	errposition(0);
}

static bool
is_foreign_key(const AlterTableStmt *alter)
{
	ListCell   *lc;

	foreach(lc, alter->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddConstraint && IsA(command->def, Constraint) &&
			((const Constraint *) command->def)->contype == CONSTR_FOREIGN)
			return true;
	}
	return false;
}

/*
 * Returns whether the statement is better run when the rows are there: an index is built faster then, a
 * foreign key does not depend on the order of the tables, and others do not see half of a table.
 */
static bool
is_rest(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
		case T_GrantStmt:
			return true;
		case T_AlterTableStmt:
			return is_foreign_key((const AlterTableStmt *) statement);
		default:
			return false;
	}
}

static void
check_length(const char *text, int most)
{
	if (strlen(text) > most)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("the definition of what to import into is longer than %d bytes", most),
				errhint("Let psql run it, and type IMPORT INTO table CSV DATA ('file', ...)."));
}

KwjDefinition *
kwj_definition_parse(const char *text, bool one_table)
{
	KwjDefinition *definition = palloc0(sizeof(KwjDefinition));
	ErrorContextCallback callback = {error_context_stack, show_place, unconstify(char *, text)};
	int			tables = 0;
	ListCell   *lc;

	check_length(text, one_table ? MOST_BYTES_OF_TABLE : MOST_BYTES);
	error_context_stack = &callback;
	definition->text = text;
	definition->statements = parse(text);
	foreach(lc, definition->statements)
	{
		RawStmt    *raw = lfirst_node(RawStmt, lc);

		check_statement(raw->stmt);
		definition->has_rest |= is_rest(raw->stmt);
		if (!one_table || !is_create_table(raw))
			continue;
		if (definition->table == NULL)
			definition->table = raw;
		tables++;
	}
	error_context_stack = callback.previous;
	if (one_table && tables != 1)
		ereport(ERROR,
				errcode(tables == 0 ? ERRCODE_INVALID_PARAMETER_VALUE : ERRCODE_FEATURE_NOT_SUPPORTED),
				tables == 0 ? errmsg("the definition has no CREATE TABLE") :
				errmsg("the definition has %d CREATE TABLE, but an IMPORT TABLE creates one", tables),
				tables == 0 ? errhint("Give the text of a CREATE TABLE statement.") :
				errhint("Type an IMPORT TABLE for each, or run the file with psql and type IMPORT INTO for each."));
	return definition;
}

/* Returns what follows the word, and the blanks behind it, if the text begins with the word; else NULL. */
static const char *
after_word(const char *text, const char *word)
{
	size_t		length = strlen(word);

	if (text == NULL || pg_strncasecmp(text, word, length) != 0)
		return NULL;
	return text + length + strspn(text + length, " \t");
}

/* Finds a line SET client_encoding = 'name' in the text. Returns where the name begins; NULL: there is none. */
static const char *
find_encoding(const char *text)
{
	for (const char *line = text; line != NULL; line = strchr(line, '\n'))
	{
		const char *name;

		line += *line == '\n';
		name = after_word(after_word(line + strspn(line, " \t"), "SET"), "client_encoding");
		if (name != NULL && *name == '=')
			return name + 1 + strspn(name + 1, " \t'\"");
		name = after_word(name, "TO");
		if (name != NULL)
			return name + strspn(name, "'\"");
	}
	return NULL;
}

/*
 * Returns the encoding that a line SET client_encoding = 'name' of the text says. Names of encodings and
 * this line are ASCII, whatever the rest is in.
 */
static int
encoding_of(const char *text)
{
	const char *at = find_encoding(text);
	char		name[64];
	int			encoding;
	size_t		length;

	if (at == NULL)
		return PG_UTF8;
	length = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
	strlcpy(name, at, Min(length + 1, sizeof(name)));
	encoding = pg_char_to_encoding(name);
	if (encoding < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid encoding \"%s\" in SET client_encoding", name),
				errhint("Name the encoding of the file, such as UTF8."));
	return encoding;
}

char *
kwj_definition_read_file(const char *path)
{
	static const char mark[] = "\xef\xbb\xbf";
	KwjSource  *source = kwj_source_open(path, CurrentMemoryContext);
	StringInfoData text;
	size_t		skipped;
	size_t		got;

	initStringInfo(&text);
	do
	{
		CHECK_FOR_INTERRUPTS();
		enlargeStringInfo(&text, READ_SIZE);
		got = kwj_source_read(source, text.data + text.len, READ_SIZE, text.len);
		text.len += got;
		text.data[text.len] = '\0';
	} while (got > 0 && text.len <= MOST_BYTES);
	kwj_source_close(source);
	/* psql leaves out a byte order mark, too. */
	skipped = strncmp(text.data, mark, strlen(mark)) == 0 ? strlen(mark) : 0;
	return pg_any_to_server(text.data + skipped, text.len - skipped, encoding_of(text.data + skipped));
}

/* Returns what follows the table's name in its CREATE TABLE: from the first parenthesis on. */
char *
kwj_definition_body(const KwjDefinition *definition)
{
	const CreateStmt *create = (const CreateStmt *) definition->table->stmt;
	char	   *statement = kwj_sql_statement_text(definition->text, definition->table);
	const char *from = statement;
	bool		quoted = false;

	/* The name may have quotes, and a parenthesis within them. */
	if (create->relation->location > definition->table->stmt_location)
		from = statement + Min(strlen(statement), create->relation->location -
							   (strstr(definition->text, statement) - definition->text));
	for (; *from && (quoted || *from != '('); from++)
	{
		if (*from == '"')
			quoted = !quoted;
		else if (!quoted && strncmp(from, "/*", 2) == 0 && strstr(from, "*/") != NULL)
			from = strstr(from, "*/");
	}
	return pstrdup(from);
}

/* ---- running ---- */

/* What this process has created by the definition that runs now; NULL: none runs. */
static KwjCreated *collecting = NULL;
static bool begins = false;		/* the next call of ProcessUtility is for a statement of the definition */
static object_access_hook_type previous_hook = NULL;
static ProcessUtility_hook_type previous_utility_hook = NULL;

static void
note_object(ObjectAccessType access, Oid class, Oid oid, int sub_id, void *arg)
{
	if (previous_hook)
		previous_hook(access, class, oid, sub_id, arg);
	/* What the script of an extension creates goes with the extension. */
	if (collecting != NULL && access == OAT_POST_CREATE && sub_id == 0 && !creating_extension)
		kwj_created_add(collecting, class, oid);
}

/*
 * What an event trigger creates is not the job's to drop: it may be a table for what all sessions do. Only
 * statements within one of the definition, such as those that CREATE TABLE makes for its sequences and
 * indexes, create what belongs to the definition.
 */
static void
leave_out_others(PlannedStmt *statement, const char *query, bool read_only_tree, ProcessUtilityContext context,
				 ParamListInfo params, QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	KwjCreated *outer = collecting;
	bool		is_own = begins;

	begins = false;
	if (outer == NULL || is_own || context == PROCESS_UTILITY_SUBCOMMAND)
	{
		previous_utility_hook(statement, query, read_only_tree, context, params, env, dest, qc);
		return;
	}
	collecting = NULL;
	PG_TRY();
	{
		previous_utility_hook(statement, query, read_only_tree, context, params, env, dest, qc);
	}
	PG_FINALLY();
	{
		collecting = outer;
	}
	PG_END_TRY();
}

static void
install_hooks(void)
{
	static bool installed = false;

	if (installed)
		return;
	previous_hook = object_access_hook;
	object_access_hook = note_object;
	previous_utility_hook = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = leave_out_others;
	installed = true;
}

typedef struct Running
{
	KwjDefinition *definition;
	KwjCreated *created;
	KwjDefinitionStage stage;
	bool		only_try;
	int			number;			/* of the statement that runs, from 1 */
} Running;

/* Returns whether the statement belongs to the stage. Settings belong to all of them. */
static bool
is_of_stage(const Running *running, const Node *statement)
{
	return running->stage == KWJ_DEFINE_ALL || IsA(statement, VariableSetStmt) ||
		list_length(arguments_of_call(statement, "set_config")) > 0 ||
		is_rest(statement) == (running->stage == KWJ_DEFINE_REST);
}

/* Returns whether the statement fails, instead of raising a NOTICE, if what it creates exists. */
static bool
must_create(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateStmt:
			return !((const CreateStmt *) statement)->if_not_exists;
		case T_CreateSeqStmt:
			return !((const CreateSeqStmt *) statement)->if_not_exists;
		case T_IndexStmt:
			return !((const IndexStmt *) statement)->if_not_exists;
		case T_CreateDomainStmt:
		case T_CreateEnumStmt:
		case T_CreateRangeStmt:
		case T_CompositeTypeStmt:
			return true;
		default:
			return false;
	}
}

static void
name_statement(void *arg)
{
	const Running *running = arg;
	const RawStmt *raw = list_nth(running->definition->statements, running->number - 1);

	show_place(unconstify(char *, running->definition->text));
	errcontext("statement %d of the definition, %s", running->number, CreateCommandName(raw->stmt));
	if (geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE)
		errhint("The definition runs as the owner of the job, role \"%s\", which needs this right.",
				GetUserNameFromId(GetUserId(), false));
	if (geterrcode() == ERRCODE_UNIQUE_VIOLATION)
		errhint("Another transaction is creating an object of this name. Choose another name, or import when it is over.");
	/* Sequences and indexes have names of this kind, too, and IF NOT EXISTS of one is only a notice. */
	if (geterrcode() == ERRCODE_DUPLICATE_TABLE && raw == running->definition->table)
		errhint("The job creates the table. Choose another name, or type IMPORT INTO table for one that exists.");
	else if ((geterrcode() == ERRCODE_DUPLICATE_TABLE || geterrcode() == ERRCODE_DUPLICATE_OBJECT) && must_create(raw->stmt))
		errhint("The job creates all that its definitions name. Drop or rename what exists, or import into another database.");
}

/*
 * Raises an error unless the definition has created this relation. Adds its schema to the name: another
 * role may create a relation of this name in an earlier schema of search_path before the statement runs.
 */
static Oid
require_created(const Running *running, RangeVar *relation)
{
	Oid			relid = RangeVarGetRelid(relation, NoLock, false);

	if (!kwj_created_has(running->created, relid))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("the definition would change \"%s\", which it has not created", relation->relname),
				errdetail("The job could not undo that if it fails or is canceled."),
				errhint("Let psql run this statement before."));
	relation->schemaname = get_namespace_name(get_rel_namespace(relid));
	return relid;
}

/*
 * Raises an error unless the definition has created the relation that a COMMENT names, or whose column it
 * names. Returns the name with its schema.
 */
static List *
require_created_of_comment(const Running *running, List *name, bool is_column)
{
	int			length = list_length(name) - (is_column ? 1 : 0);
	RangeVar   *relation;
	List	   *whole;

	if (length == 0)
		ereport(ERROR,
				errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("column name must be qualified"),
				errhint("Type COMMENT ON COLUMN table.column IS 'text'."));
	relation = makeRangeVarFromNameList(list_truncate(list_copy(name), length));
	require_created(running, relation);
	whole = list_make2(makeString(relation->schemaname), makeString(relation->relname));
	return is_column ? lappend(whole, llast(name)) : whole;
}

static void
check_alter_table(const Running *running, const AlterTableStmt *alter)
{
	ListCell   *lc;

	(void) require_created(running, alter->relation);
	foreach(lc, alter->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_ChangeOwner)
			refuse(NULL, "ALTER TABLE ... OWNER TO");
		if (command->subtype == AT_AttachPartition)
			(void) require_created(running, ((const PartitionCmd *) command->def)->name);
	}
}

static void
check_comment(const Running *running, CommentStmt *comment)
{
	switch (comment->objtype)
	{
		case OBJECT_TABLE:
		case OBJECT_SEQUENCE:
		case OBJECT_COLUMN:
			comment->object = (Node *) require_created_of_comment(running, (List *) comment->object,
																  comment->objtype == OBJECT_COLUMN);
			break;
		default:
			refuse(NULL, "COMMENT ON something else than a table, column or sequence");
	}
}

static void
check_grant(const Running *running, const GrantStmt *grant)
{
	ListCell   *lc;

	if (grant->targtype != ACL_TARGET_OBJECT ||
		(grant->objtype != OBJECT_TABLE && grant->objtype != OBJECT_SEQUENCE))
		refuse(NULL, "GRANT on something else than tables and sequences");
	foreach(lc, grant->objects)
		(void) require_created(running, lfirst_node(RangeVar, lc));
}

/* Checks that the statement changes only what was created here, and adds schemas to its names. */
static void
check_reach(const Running *running, Node *statement)
{
	ListCell   *lc;

	switch (nodeTag(statement))
	{
		case T_CreateStmt:
			if (((const CreateStmt *) statement)->partbound != NULL)
				foreach(lc, ((const CreateStmt *) statement)->inhRelations)
					(void) require_created(running, lfirst_node(RangeVar, lc));
			break;
		case T_IndexStmt:
			(void) require_created(running, ((const IndexStmt *) statement)->relation);
			break;
		case T_AlterSeqStmt:
			(void) require_created(running, ((const AlterSeqStmt *) statement)->sequence);
			break;
		case T_AlterTableStmt:
			check_alter_table(running, (const AlterTableStmt *) statement);
			break;
		case T_CommentStmt:
			check_comment(running, (CommentStmt *) statement);
			break;
		case T_GrantStmt:
			check_grant(running, (const GrantStmt *) statement);
			break;
		default:
			break;				/* it only creates something */
	}
}

/*
 * Returns whether what IF NOT EXISTS is about exists. Then the statement is not run: PostgreSQL would want
 * the right to create a schema, though there is nothing to create.
 */
static bool
exists_already(const Node *statement)
{
	if (IsA(statement, CreateSchemaStmt))
		return ((const CreateSchemaStmt *) statement)->if_not_exists &&
			SearchSysCacheExists1(NAMESPACENAME,
								  CStringGetDatum(((const CreateSchemaStmt *) statement)->schemaname));
	if (IsA(statement, CreateExtensionStmt))
		return ((const CreateExtensionStmt *) statement)->if_not_exists &&
			OidIsValid(get_extension_oid(((const CreateExtensionStmt *) statement)->extname, true));
	return false;
}

static void
run_utility(const Running *running, const RawStmt *raw)
{
	PlannedStmt *statement = kwj_sql_plan_utility(raw->stmt, raw->stmt_location, raw->stmt_len);

	begins = !running->only_try;
	if (running->only_try)
		standard_ProcessUtility(statement, running->definition->text, false, PROCESS_UTILITY_SUBCOMMAND,
								NULL, NULL, None_Receiver, NULL);
	else
		ProcessUtility(statement, running->definition->text, false, PROCESS_UTILITY_QUERY, NULL, NULL,
					   None_Receiver, NULL);
}

/*
 * Sets one of applied_settings until the definition has run; leaves out those that have no effect. value:
 * NULL: the default.
 */
static void
apply_setting(const char *name, const char *value)
{
	if (is_among(name, applied_settings, lengthof(applied_settings)))
		kwj_set_in_level(name, value);
}

/* Returns a constant as text, whatever its type. */
static char *
constant_value(Node *argument)
{
	A_Const    *constant;

	if (IsA(argument, TypeCast))
		argument = ((TypeCast *) argument)->arg;
	constant = castNode(A_Const, argument);
	if (kwj_is_null_constant(constant))
		refuse(NULL, "setval with NULL");
	return kwj_is_string_constant(constant) ? kwj_string_of_constant(constant) :
		nodeToString(&constant->val);
}

/*
 * Sets a sequence. setval() itself would find it by its text, which may also be an OID, and maybe that of
 * a sequence of others.
 */
static void
set_sequence(const Running *running, List *arguments)
{
	List	   *name = textToQualifiedNameList(cstring_to_text(constant_text(linitial(arguments))));
	Oid			relid = require_created(running, makeRangeVarFromNameList(name));
	Datum		value = DirectFunctionCall1(int8in, CStringGetDatum(constant_value(lsecond(arguments))));
	Datum		is_called = DirectFunctionCall1(boolin, CStringGetDatum(constant_value(lthird(arguments))));

	(void) DirectFunctionCall3(setval3_oid, ObjectIdGetDatum(relid), value, is_called);
}

/* Runs SELECT pg_catalog.set_config(name, value, ...) or SELECT pg_catalog.setval(sequence, ...). */
static void
run_select(const Running *running, const RawStmt *raw)
{
	List	   *arguments = arguments_of_call(raw->stmt, "set_config");

	if (arguments != NIL)
		apply_setting(constant_text(linitial(arguments)), constant_text(lsecond(arguments)));
	else
		set_sequence(running, arguments_of_call(raw->stmt, "setval"));
}

static void
run_set(VariableSetStmt *set)
{
	apply_setting(set->name, set->kind == VAR_SET_DEFAULT ? NULL : ExtractSetVariableArgs(set));
}

/* Returns the table among what was created from number `first` on. */
static Oid
find_table(const KwjCreated *created, int first)
{
	for (int i = first; i < created->n; i++)
	{
		char		relkind = created->items[i].class == RelationRelationId ?
			get_rel_relkind(created->items[i].oid) : '\0';

		if (relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE)
			return created->items[i].oid;
	}
	elog(ERROR, "CREATE TABLE has created no table");
}

static void
run_statement(Running *running, RawStmt *raw)
{
	KwjCreated *created = running->created;
	int			first = created->n;

	CHECK_FOR_INTERRUPTS();
	check_reach(running, raw->stmt);
	if (IsA(raw->stmt, VariableSetStmt))
		run_set((VariableSetStmt *) raw->stmt);
	else if (IsA(raw->stmt, SelectStmt))
		run_select(running, raw);
	else if (!exists_already(raw->stmt))
		run_utility(running, raw);
	kwj_import_next_command();
	if (raw == running->definition->table)
		created->target = find_table(created, first);
}

static void
run_all(Running *running)
{
	ErrorContextCallback callback = {error_context_stack, name_statement, running};
	ListCell   *lc;

	error_context_stack = &callback;
	foreach(lc, running->definition->statements)
	{
		running->number++;
		if (is_of_stage(running, lfirst_node(RawStmt, lc)->stmt))
			run_statement(running, lfirst_node(RawStmt, lc));
	}
	error_context_stack = callback.previous;
}

/* Refuses temporary objects: they are dropped when the worker ends, and so are columns of a temporary type. */
static void
refuse_temporary(const KwjCreated *created)
{
	if (kwj_created_temporary(created))
		refuse(NULL, "a temporary object");
}

void
kwj_definition_run(KwjDefinition *definition, KwjDefinitionStage stage, const char *schema, bool only_try,
				   KwjCreated *created)
{
	Running		running = {.definition = definition, .stage = stage, .created = created, .only_try = only_try};
	int			level = NewGUCNestLevel();

	Assert(ActiveSnapshotSet());
	if (schema != NULL)
		((CreateStmt *) definition->table->stmt)->relation->schemaname = pstrdup(schema);
	install_hooks();
	collecting = created;
	PG_TRY();
	{
		run_all(&running);
	}
	PG_FINALLY();
	{
		collecting = NULL;
		begins = false;
	}
	PG_END_TRY();
	AtEOXact_GUC(false, level);
	if (stage != KWJ_DEFINE_REST)
		kwj_created_complete(created);
	refuse_temporary(created);
}
