/*
 * src/type/sql/parameters.c
 *	  The parameters in the text of a SQL job.
 *
 * Callers: sql.c and fit.c in the session that creates the job; sql.c and execute.c in the worker.
 * Process: session, worker. Locks: those of the analysis of a statement.
 *
 * PostgreSQL's grammar knows $1, but not :name. So the parser reads a copy of the text, in which
 * $1 and blanks stand in the place of each :name. The copy has the same length, so that all
 * positions are those of the text; and a hook of the analysis finds by its position which argument
 * a parameter stands for. Only the parser sees the copy.
 *
 *    INSERT INTO t VALUES (:id, :name)      the text, with arguments {"id": 1, "name": "a"}
 *    INSERT INTO t VALUES ($1 , $1   )      what the parser reads
 *                          ^    ^           positions by which the hook finds the arguments
 *
 * The types are inferred as for a prepared statement whose types are not given
 * (parse_analyze_varparams). That is a pass of its own: only then are the values converted, and the
 * statement analyzed with parameters of known types.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "compat.h"
#include "common/kwlookup.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/parse_param.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "type/sql/parameters.h"
#include "type/sql/parse.h"
#include "utils/lsyscache.h"

/* How many bytes of a name are shown in messages. */
#define SHOWN_NAME	100

/* ---- finding them ---- */

/* What is known of the token before the present one. */
typedef struct Reader
{
	const char *text;
	KwjParameters *found;
	int			allocated;
	bool		after_operand;	/* it ends an operand: a colon does not begin one */
	bool		before_array;	/* a [ after it opens an array constructor, not a subscript */
	bool		in_slice;		/* it is the [ of a subscript: a colon may follow */
} Reader;

static bool
begins_name(char c)
{
	return isalpha((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

/* Returns how many bytes of a name stand here. */
static int
name_length(const char *text)
{
	const char *end = text;

	while (begins_name(*end) || isdigit((unsigned char) *end) || *end == '$')
		end++;
	return end - text;
}

/* Returns whether this is no name, but the beginning of a string such as E'...' or U&"...". */
static bool
is_prefix(const char *text, int length)
{
	return text[length] == '\'' ||
		(text[length] == '&' && (text[length + 1] == '\'' || text[length + 1] == '"'));
}

/* JOB is a keyword of job statements, as in PAUSE JOB :id. */
static bool
is_keyword(const char *text, int length)
{
	if (length == 3 && pg_strncasecmp(text, "job", 3) == 0)
		return true;
	return length < NAMEDATALEN &&
		ScanKeywordLookup(pnstrdup(text, length), &ScanKeywords) >= 0;
}

static bool
ends_operand(const char *token)
{
	int			length = name_length(token);

	if (begins_name(*token))
		return is_prefix(token, length) || !is_keyword(token, length);
	return strchr(")]\"'$", *token) != NULL || isdigit((unsigned char) *token) ||
		(*token == '.' && isdigit((unsigned char) token[1]));
}

/* Remembers a token that is no parameter, for the next one. */
static void
pass(Reader *reader, int start)
{
	const char *token = reader->text + start;

	reader->in_slice = *token == '[' && !reader->before_array;
	reader->after_operand = ends_operand(token);
	reader->before_array = *token == '[' || *token == ',' ||
		(name_length(token) == 5 && pg_strncasecmp(token, "array", 5) == 0);
}

static void
add_place(Reader *reader, int start, int end)
{
	KwjParameters *found = reader->found;

	if (found->n == reader->allocated)
	{
		reader->allocated *= 2;
		found->places = repalloc(found->places, sizeof(KwjPlace) * reader->allocated);
	}
	found->places[found->n].start = start;
	found->places[found->n].end = end;
	found->places[found->n].argument = -1;
	found->n++;
	reader->after_operand = true;
	reader->before_array = reader->in_slice = false;
}

/* Returns whether the token that starts here is the colon of a :name. */
static bool
is_name(const Reader *reader, int start)
{
	const char *name = reader->text + start + 1;

	return name[-1] == ':' && begins_name(*name) && !reader->after_operand && !reader->in_slice &&
		!is_prefix(name, name_length(name));
}

static bool
is_number(const Reader *reader, int start)
{
	return reader->text[start] == '$' && isdigit((unsigned char) reader->text[start + 1]);
}

static int
number_end(const char *text, int start)
{
	int			end = start + 1;

	while (isdigit((unsigned char) text[end]))
		end++;
	return end;
}

/* Returns whether there may be parameters: cheaper than to scan the texts of most jobs. */
static bool
may_have_any(const char *text, const KwjArguments *arguments)
{
	if (arguments != NULL)
		return true;
	while ((text = strchr(text, '$')) != NULL)
		if (isdigit((unsigned char) *++text))
			return true;
	return false;
}

/* Finds all $1 and, if there are arguments, all :name. */
static void
scan_text(Reader *reader)
{
	core_yy_extra_type extra;
	core_yyscan_t flex = scanner_init(reader->text, &extra, &ScanKeywords, ScanKeywordTokens);
	core_YYSTYPE value;
	YYLTYPE		start;

	/* The parser gives this warning. */
	kwj_forgo_escape_warning(&extra);
	while (core_yylex(&value, &start, flex) != 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_number(reader, start))
			add_place(reader, start, number_end(reader->text, start));
		else if (reader->found->arguments != NULL && is_name(reader, start))
		{
			int			name = start + 1;

			add_place(reader, start, name + name_length(reader->text + name));
			(void) core_yylex(&value, &start, flex);
			Assert(start == name);
		}
		else
			pass(reader, start);
	}
	scanner_finish(flex);
}

static KwjParameters *
find_parameters(const char *text, const KwjArguments *arguments)
{
	Reader		reader = {.text = text, .allocated = 16};

	if (!may_have_any(text, arguments))
		return NULL;
	reader.found = palloc0(sizeof(KwjParameters));
	reader.found->text = text;
	reader.found->arguments = arguments;
	reader.found->places = palloc(sizeof(KwjPlace) * reader.allocated);
	scan_text(&reader);
	return reader.found;
}

/* Returns the text with $1 in the place of each :name. */
static const char *
mask(const KwjParameters *parameters)
{
	char	   *copy = pstrdup(parameters->text);

	for (int i = 0; i < parameters->n; i++)
	{
		const KwjPlace *place = &parameters->places[i];

		if (copy[place->start] != ':')
			continue;
		memset(copy + place->start, ' ', place->end - place->start);
		copy[place->start] = '$';
		copy[place->start + 1] = '1';
	}
	return copy;
}

/* ---- which argument they stand for ---- */

static int
position_of(const KwjParameters *parameters, const KwjPlace *place)
{
	return errposition(pg_mbstrlen_with_len(parameters->text, place->start) + 1);
}

/* Returns the parameter as it stands in the text, palloc'd, its beginning if it is long. */
static char *
shown(const KwjParameters *parameters, const KwjPlace *place)
{
	const char *start = parameters->text + place->start;

	return pnstrdup(start, pg_mbcliplen(start, place->end - place->start, SHOWN_NAME));
}

static void
refuse_missing(const KwjParameters *parameters, const KwjPlace *place)
{
	const KwjArguments *arguments = parameters->arguments;
	bool		by_name = parameters->text[place->start] == ':';
	char	   *parameter = shown(parameters, place);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no argument for %s in the statement of the job", parameter),
			 arguments == NULL ? errdetail("The job has no arguments.") :
			 arguments->by_name ? errdetail("The arguments are an object, with values for names.") :
			 errdetail("The arguments are an array of %d.", arguments->n),
			 by_name ?
			 errhint("Give it in an object: arguments => '{\"%s\": ...}'.", parameter + 1) :
			 errhint("Give as many as there are numbers: arguments => '[...]'."),
			 position_of(parameters, place)));
}

/* Returns the number of the argument that is meant, from 0; -1: there is none. */
static int
find_argument(const KwjParameters *parameters, const KwjPlace *place)
{
	const KwjArguments *arguments = parameters->arguments;
	const char *name = parameters->text + place->start + 1;
	bool		by_name = name[-1] == ':';
	int			number = 0;

	if (arguments == NULL || arguments->by_name != by_name)
		return -1;
	if (by_name)
		return kwj_sql_find_argument(arguments, name, place->end - place->start - 1);
	for (; name < parameters->text + place->end && number <= arguments->n; name++)
		number = number * 10 + (*name - '0');
	return number <= arguments->n ? number - 1 : -1;
}

/* Returns whether parameters in this statement are its own: those of what it creates. */
static bool
has_own_parameters(const Node *statement)
{
	return IsA(statement, CreateFunctionStmt) || IsA(statement, PrepareStmt);
}

/* Returns whether PostgreSQL runs this statement with parameters. */
static bool
takes_parameters(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_CallStmt:
			return true;
		case T_ExplainStmt:
			return takes_parameters(((const ExplainStmt *) statement)->query);
		case T_DeclareCursorStmt:
			return takes_parameters(((const DeclareCursorStmt *) statement)->query);
		case T_CreateTableAsStmt:
			return ((const CreateTableAsStmt *) statement)->objtype == OBJECT_TABLE &&
				takes_parameters(((const CreateTableAsStmt *) statement)->query);
		default:
			return kwj_is_merge(statement);
	}
}

static void
refuse_statement(const KwjParameters *parameters, const KwjPlace *place, Node *statement)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s cannot have parameters, such as %s", CreateCommandName(statement),
					shown(parameters, place)),
			 errhint("Write the value into the statement: make it with format(), with %%L for values and %%I for names. Or have the job CALL a procedure that takes the argument."),
			 position_of(parameters, place)));
}

/* Returns where the statement ends in the text. */
static int
end_of(const RawStmt *statement)
{
	return statement->stmt_len > 0 ?
		Max(statement->stmt_location, 0) + statement->stmt_len : PG_INT32_MAX;
}

/* Finds the argument of each place. Places in statements with parameters of their own go away. */
static void
assign_arguments(KwjParameters *parameters, List *statements)
{
	ListCell   *lc = list_head(statements);
	int			kept = 0;

	for (int i = 0; i < parameters->n; i++)
	{
		KwjPlace   *place = &parameters->places[i];
		bool		by_name = parameters->text[place->start] == ':';
		Node	   *statement;

		while (place->start >= end_of(lfirst_node(RawStmt, lc)) && lnext(statements, lc) != NULL)
			lc = lnext(statements, lc);
		statement = lfirst_node(RawStmt, lc)->stmt;
		if (has_own_parameters(statement) && !by_name)
			continue;
		place->argument = find_argument(parameters, place);
		if (place->argument < 0)
			refuse_missing(parameters, place);
		if (!takes_parameters(statement))
			refuse_statement(parameters, place, statement);
		parameters->arguments->used[place->argument] = true;
		parameters->places[kept++] = *place;
	}
	parameters->n = kept;
}

List *
kwj_sql_parse_with(const char *text, const char *what, const KwjArguments *arguments,
				   KwjParameters **parameters)
{
	ErrorContextCallback callback = {error_context_stack, kwj_sql_point_into_text,
	unconstify(char *, text)};
	KwjParameters *found;
	List	   *statements;

	*parameters = NULL;
	error_context_stack = &callback;
	found = find_parameters(text, arguments);
	error_context_stack = callback.previous;
	if (found == NULL || found->n == 0)
		return kwj_sql_parse(text, what);

	statements = kwj_sql_parse_masked(text, mask(found), what);
	error_context_stack = &callback;
	assign_arguments(found, statements);
	error_context_stack = callback.previous;
	if (found->n > 0)
		*parameters = found;
	return statements;
}

/* ---- analysis ---- */

/* Returns the first place at or behind this position. */
static const KwjPlace *
first_place(const KwjParameters *parameters, int position)
{
	int			low = 0;
	int			high = parameters->n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (parameters->places[middle].start < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low < parameters->n ? &parameters->places[low] : NULL;
}

/* Returns the number of the argument, from 0. */
static int
argument_of(const KwjParameters *parameters, ParseState *pstate, const ParamRef *reference)
{
	const KwjPlace *place = first_place(parameters, reference->location);

	if (place == NULL || place->start != reference->location)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_PARAMETER),
				 errmsg("there is no parameter $%d", reference->number),
				 parser_errposition(pstate, reference->location)));
	return place->argument;
}

/* The parameters whose types are being inferred, and PostgreSQL's own hook for that. */
static const KwjParameters *inferred;
static ParseParamRefHook infer;

static Node *
infer_reference(ParseState *pstate, ParamRef *reference)
{
	ParamRef   *numbered = makeNode(ParamRef);

	numbered->number = argument_of(inferred, pstate, reference) + 1;
	numbered->location = reference->location;
	return infer(pstate, numbered);
}

static void
refuse_unknown(const KwjParameters *parameters, int argument)
{
	char	   *name = kwj_sql_name_argument(parameters->arguments, argument);

	ereport(ERROR,
			(errcode(ERRCODE_INDETERMINATE_DATATYPE),
			 errmsg("the type of argument %s of the job cannot be told from the statement", name),
			 errhint("Cast the parameter in the statement, as in $1::integer or :name::text.")));
}

/* An error context callback: tells what to do if the places of a parameter want other types. */
static void
explain_types(void *arg)
{
	if (geterrcode() == ERRCODE_AMBIGUOUS_PARAMETER)
		errhint("The parameter stands at several places. Cast it there to the same type, as in $1::integer or :name::text.");
}

/* Returns whether a parameter stands in this statement. */
static bool
has_any(const KwjParameters *parameters, const RawStmt *statement)
{
	const KwjPlace *place = first_place(parameters, Max(statement->stmt_location, 0));

	return place != NULL && place->start < end_of(statement);
}

Oid *
kwj_sql_infer_types(const KwjParameters *parameters, RawStmt *statement)
{
	ErrorContextCallback callback = {error_context_stack, explain_types, NULL};
	int			n = 0;
	Oid		   *types = NULL;
	Oid		   *all;
	ParseState *pstate;
	Query	   *query;

	if (parameters == NULL || !has_any(parameters, statement))
		return NULL;
	error_context_stack = &callback;
	pstate = make_parsestate(NULL);
	pstate->p_sourcetext = parameters->text;
	kwj_set_up_variable_parameters(pstate, &types, &n);
	inferred = parameters;
	infer = pstate->p_paramref_hook;
	pstate->p_paramref_hook = infer_reference;
	/* The analysis changes the tree that it reads. */
	query = transformTopLevelStmt(pstate, copyObject(statement));
	check_variable_parameters(pstate, query);
	free_parsestate(pstate);
	error_context_stack = callback.previous;

	all = palloc0(sizeof(Oid) * parameters->arguments->n);
	for (int i = 0; i < n; i++)
	{
		if (types[i] == UNKNOWNOID)
			refuse_unknown(parameters, i);
		all[i] = types[i];
	}
	return all;
}

/* Parameters of known types. */
typedef struct Known
{
	const KwjParameters *parameters;
	const Oid  *types;
} Known;

static Node *
know_reference(ParseState *pstate, ParamRef *reference)
{
	const Known *known = pstate->p_ref_hook_state;
	Param	   *param = makeNode(Param);
	int			argument = argument_of(known->parameters, pstate, reference);

	param->paramkind = PARAM_EXTERN;
	param->paramid = argument + 1;
	param->paramtype = known->types[argument];
	param->paramtypmod = -1;
	param->paramcollid = get_typcollation(param->paramtype);
	param->location = reference->location;
	return (Node *) param;
}

static void
set_up_known(ParseState *pstate, void *known)
{
	pstate->p_ref_hook_state = known;
	pstate->p_paramref_hook = know_reference;
}

List *
kwj_sql_analyze(const KwjParameters *parameters, const Oid *types, RawStmt *statement)
{
	Known		known = {parameters, types};

	return kwj_analyze_and_rewrite_with(statement, parameters->text, set_up_known, &known);
}
