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
 * (parse_analyze_varparams). Each statement is analyzed twice: first to infer the types, to which
 * the arguments are then converted; then with parameters of these types, to be planned and run.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "mb/pg_wchar.h"
#include "parser/analyze.h"
#include "parser/parse_param.h"
#include "parser/parser.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "type/sql/parameters.h"
#include "type/sql/parse.h"
#include "utils/lsyscache.h"

/* How many bytes of a name are shown in messages. */
#define SHOWN_NAME	100

/* ---- finding them ---- */

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

static KwjParameters *
find_parameters(const char *text, const KwjArguments *arguments)
{
	KwjParameters *found;

	if (!may_have_any(text, arguments))
		return NULL;
	found = palloc(sizeof(KwjParameters));
	found->text = text;
	found->arguments = arguments;
	found->places = kwj_sql_find_places(text, arguments != NULL, &found->n);
	return found;
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

/*
 * Returns whether $1 in this statement belongs to the function or prepared statement that it
 * creates, and so is no argument of the job.
 */
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

/*
 * Finds the argument for each parameter, and refuses the text if there is none, or if the statement
 * cannot have parameters. Removes each $1 that belongs to a statement with parameters of its own.
 */
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
	ErrorContextCallback callback;
	KwjParameters *found;
	List	   *statements;

	*parameters = NULL;
	kwj_sql_push_text(&callback, text);
	found = find_parameters(text, arguments);
	error_context_stack = callback.previous;
	if (found == NULL || found->n == 0)
		return kwj_sql_parse(text, what);

	statements = kwj_sql_parse_masked(text, mask(found), what);
	kwj_sql_push_text(&callback, text);
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

static const KwjPlace *
place_of(const KwjParameters *parameters, ParseState *pstate, const ParamRef *reference)
{
	const KwjPlace *place = first_place(parameters, reference->location);

	if (place == NULL || place->start != reference->location)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_PARAMETER),
				 errmsg("there is no parameter $%d", reference->number),
				 parser_errposition(pstate, reference->location)));
	return place;
}

/*
 * The types that are being inferred. The analysis may run code of a user, such as the CHECK of a
 * domain, which may create a job with parameters of its own; so each analysis has its own state.
 */
typedef struct Inference
{
	const KwjParameters *parameters;
	const KwjPlace *first;		/* the statement's places begin here */
	int			n_places;
	bool	   *met;			/* for each of these places: has the analysis come to it? */
	/* the inferred type of each argument up to n; PostgreSQL allocates and enlarges this array */
	Oid		   *types;
	int			n;
	ParseParamRefHook infer;	/* PostgreSQL's hooks, and what they find as their state */
	CoerceParamHook coerce;
	void	   *state;
} Inference;

static Node *
infer_reference(ParseState *pstate, ParamRef *reference)
{
	Inference  *inference = pstate->p_ref_hook_state;
	const KwjPlace *place = place_of(inference->parameters, pstate, reference);
	ParamRef   *numbered = makeNode(ParamRef);
	Node	   *param;

	inference->met[place - inference->first] = true;
	numbered->number = place->argument + 1;
	numbered->location = reference->location;
	pstate->p_ref_hook_state = inference->state;
	param = inference->infer(pstate, numbered);
	pstate->p_ref_hook_state = inference;
	return param;
}

static Node *
coerce_reference(ParseState *pstate, Param *param, Oid type, int32 typmod, int location)
{
	Inference  *inference = pstate->p_ref_hook_state;
	Node	   *coerced;

	pstate->p_ref_hook_state = inference->state;
	coerced = inference->coerce(pstate, param, type, typmod, location);
	pstate->p_ref_hook_state = inference;
	return coerced;
}

/* Analyses the statement with PostgreSQL's hooks for a prepared statement, called by ours. */
static void
infer_types(Inference *inference, RawStmt *statement)
{
	ParseState *pstate = make_parsestate(NULL);
	Query	   *query;

	pstate->p_sourcetext = inference->parameters->text;
	kwj_set_up_variable_parameters(pstate, &inference->types, &inference->n);
	inference->infer = pstate->p_paramref_hook;
	inference->coerce = pstate->p_coerce_param_hook;
	inference->state = pstate->p_ref_hook_state;
	pstate->p_paramref_hook = infer_reference;
	pstate->p_coerce_param_hook = coerce_reference;
	pstate->p_ref_hook_state = inference;
	/* The analysis changes the tree that it reads. */
	query = transformTopLevelStmt(pstate, copyObject(statement));
	pstate->p_ref_hook_state = inference->state;
	check_variable_parameters(pstate, query);
	free_parsestate(pstate);
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

/* Finds the places in the statement. */
static void
find_places_of(Inference *inference, const RawStmt *statement)
{
	const KwjParameters *parameters = inference->parameters;
	const KwjPlace *place = first_place(parameters, Max(statement->stmt_location, 0));

	inference->first = place;
	if (place == NULL)
		return;
	while (place < parameters->places + parameters->n && place->start < end_of(statement))
		place++;
	inference->n_places = place - inference->first;
}

/*
 * Checks that the analysis has met all parameters of the statement. If the parser has taken a :name
 * for a part of another token, its value would silently be missing.
 */
static void
check_met(const Inference *inference)
{
	const KwjParameters *parameters = inference->parameters;

	for (int i = 0; i < inference->n_places; i++)
	{
		const KwjPlace *place = &inference->first[i];

		if (!inference->met[i])
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_PARAMETER),
					 errmsg("%s in the statement of the job is not read as a parameter",
							shown(parameters, place)),
					 errhint("Put blanks or parentheses around it."),
					 position_of(parameters, place)));
	}
}

Oid *
kwj_sql_infer_types(const KwjParameters *parameters, RawStmt *statement)
{
	ErrorContextCallback callback = {error_context_stack, explain_types, NULL};
	Inference	inference = {.parameters = parameters};
	Oid		   *all;

	if (parameters == NULL)
		return NULL;
	find_places_of(&inference, statement);
	if (inference.n_places == 0)
		return NULL;
	inference.met = palloc0(sizeof(bool) * inference.n_places);
	error_context_stack = &callback;
	infer_types(&inference, statement);
	error_context_stack = callback.previous;
	check_met(&inference);

	if (inference.n > parameters->arguments->n)
		elog(ERROR, "the statement of the job has more parameters than arguments");
	all = palloc0(sizeof(Oid) * parameters->arguments->n);
	for (int i = 0; i < inference.n; i++)
	{
		if (inference.types[i] == UNKNOWNOID)
			refuse_unknown(parameters, i);
		all[i] = inference.types[i];
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
	int			argument = place_of(known->parameters, pstate, reference)->argument;

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
