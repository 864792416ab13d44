/*
 * src/type/sql/fit.c
 *	  Whether the arguments of a new SQL job fit the parameters of its statement.
 *
 * Process: session. Locks: those of the statements' analysis, for the moment of the check. It runs
 * in a subtransaction that is always rolled back, so that the session keeps no locks on the job's
 * tables, and it waits at most a second for one. It runs as the owner in a security-restricted
 * operation, because it may call input functions and CHECKs of domains that any role may have
 * written.
 */
#include "postgres.h"

#include "compat.h"
#include "job/counts.h"
#include "job/isolate.h"
#include "job/transaction.h"
#include "lifecycle/broken.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "type/sql/fit.h"
#include "type/sql/parse.h"
#include "type/sql/settings.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* How long the check waits for a lock on a table. */
#define LOCK_WAIT	"1s"

typedef struct Check
{
	const KwjNewJob *job;
	List	   *statements;
	const KwjParameters *parameters;	/* NULL: none; then names are checked */
	const char *text;
	bool		converting;		/* the types are known: an error is one of a value */
} Check;

/*
 * Returns whether the statement itself cannot create, alter or drop a table that a later one uses.
 * Functions that it calls might do so.
 */
static bool
leaves_tables(const RawStmt *statement)
{
	switch (nodeTag(statement->stmt))
	{
		case T_SelectStmt:
			return !kwj_makes_table((const SelectStmt *) statement->stmt);
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
			return true;
		default:
			return false;
	}
}

static void
check_statement(Check *check, RawStmt *statement)
{
	Oid		   *types;

	if (check->parameters == NULL)
	{
		if (leaves_tables(statement))
			(void) kwj_analyze_and_rewrite(statement, check->text);
		return;
	}
	types = kwj_sql_infer_types(check->parameters, statement);
	check->converting = true;
	if (types != NULL)
		(void) kwj_sql_convert_arguments(check->parameters->arguments, types);
	check->converting = false;
}

/* The memory of each statement is freed, because a text can have tens of thousands of them. */
static void
check_statements(Check *check)
{
	ErrorContextCallback callback;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext of_statement = AllocSetContextCreate(caller, "kwjobs statement",
													   ALLOCSET_DEFAULT_SIZES);
	ListCell   *lc;

	kwj_sql_push_text(&callback, check->text);
	foreach(lc, check->statements)
	{
		RawStmt    *statement = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(of_statement);
		check_statement(check, statement);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(of_statement);
		if (!leaves_tables(statement))
			break;
	}
	error_context_stack = callback.previous;
	MemoryContextDelete(of_statement);
}

static void
become_owner(Oid owner)
{
	Oid			user;
	int			security_context;

	/* The end of the subtransaction restores both. */
	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(owner, security_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
}

/*
 * The job's worker will not see the temporary tables of this session. Unless search_path names
 * pg_temp, they come first.
 */
static void
put_temporary_tables_last(void)
{
	const char *path = GetConfigOption("search_path", false, false);

	kwj_set_locally("search_path", path[0] == '\0' ? "pg_temp" : psprintf("%s, pg_temp", path));
}

static void
run_check(void *arg)
{
	Check	   *check = arg;

	become_owner(check->job->owner);
	kwj_sql_apply_reading(check->job->payload);
	put_temporary_tables_last();
	kwj_set_locally("lock_timeout", LOCK_WAIT);
	PushActiveSnapshot(GetTransactionSnapshot());
	check_statements(check);
	PopActiveSnapshot();
}

/* Returns whether the job is refused because of this error. */
static bool
is_refusal(const Check *check, const ErrorData *edata)
{
	if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
		return true;
	if (check->converting)
		return !kwj_error_may_pass(edata);
	return edata->sqlerrcode == ERRCODE_INDETERMINATE_DATATYPE ||
		edata->sqlerrcode == ERRCODE_AMBIGUOUS_PARAMETER ||
		edata->sqlerrcode == ERRCODE_UNDEFINED_PARAMETER;
}

void
kwj_sql_check_fit(const KwjNewJob *job, List *statements, const KwjParameters *parameters)
{
	Check		check = {.job = job, .statements = statements, .parameters = parameters};
	ErrorData  *edata;

	if (parameters == NULL || job->n_depends_on > 0)
		return;
	check.text = parameters->text;
	edata = kwj_isolate_and_undo(run_check, &check);
	if (edata != NULL && is_refusal(&check, edata))
		ReThrowError(edata);
}

void
kwj_sql_check_names(const KwjNewJob *job, List *statements, const char *text)
{
	Check		check = {.job = job, .statements = statements, .text = text};
	ErrorData  *edata = kwj_isolate_and_undo(run_check, &check);

	if (edata != NULL && (edata->sqlerrcode == ERRCODE_QUERY_CANCELED ||
						  ERRCODE_TO_CATEGORY(edata->sqlerrcode) == MAKE_SQLSTATE('4', '2', '0', '0', '0')))
		ReThrowError(edata);
}
