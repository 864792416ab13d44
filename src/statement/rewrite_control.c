/*
 * src/statement/rewrite_control.c
 *	  The parse trees of PAUSE, RESUME, RETRY and CANCEL JOB and JOBS, and of ALL JOBS.
 *
 * Process: any that parses SQL. Locks: none. The comment above a function shows the tree that it builds as SQL.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "nodes/makefuncs.h"

#include "compat.h"
#include "statement/internal.h"

/*
 * In recovery, refuses a statement that writes. The error has the name of the statement that the user has
 * typed, not that of the statement which it becomes.
 */
void
kwj_prevent_in_recovery(const KwjStatement *statement)
{
	/* in an aborted transaction PostgreSQL raises its own error for any statement */
	if (RecoveryInProgress() && !IsAbortedTransactionBlockState())
		ereport(ERROR,
				errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				errmsg("cannot execute %s during recovery", statement->form->name),
				errhint("Connect to the primary server."),
				kwj_error_position(statement->source, statement->first));
}

/*
 * Returns the token WITH of WITH REASON; `last` if there is none. A query may also start with WITH,
 * and types may have WITH TIME ZONE.
 */
static int
find_reason(const KwjStatement *statement)
{
	const KwjSource *source = statement->source;
	int			token = statement->rest;

	while (token < statement->last)
	{
		if (kwj_is_word(source, token, "with") && token + 1 < statement->last &&
			((kwj_is_word(source, token + 1, "reason") && token > statement->rest) ||
			 kwj_is_symbol(source, token + 2, '=')))
			return token;
		token = kwj_skip_nested(source, token, statement->last);
	}
	return statement->last;
}

/* Returns the value of WITH REASON = e as text; no node (NULL) if there is none. with: the token WITH. */
Node *
kwj_parse_reason(KwjStatement *statement, int with)
{
	int			reason = with + 1;

	if (with == statement->last)
		return NULL;
	if (!kwj_is_word(statement->source, reason, "reason"))
		kwj_syntax_error(statement, reason, "The only option is REASON.");
	if (!kwj_is_symbol(statement->source, reason + 1, '='))
		kwj_syntax_error(statement, Min(reason + 1, statement->last),
						 "An equal sign must follow REASON.");
	return kwj_parse_text_value(statement, reason + 2, statement->last, "A text must follow the equal sign.");
}

/* (SELECT reason FROM given) */
static Node *
given_reason(const char *given)
{
	return kwj_sublink(EXPR_SUBLINK, (Node *) kwj_select_with_value(given, "reason"), -1);
}

/* unnest(kwjobs_job_ids(ARRAY(SELECT ids))): all ids are checked at once */
static Node *
checked_ids(Node *ids, int location)
{
	Node	   *all = kwj_sublink(ARRAY_SUBLINK, (Node *) kwj_select(kwj_integer(ids, location)), -1);
	Node	   *checked = kwj_own_call("job_ids", list_make1(all), location);

	return kwj_call("pg_catalog", "unnest", list_make1(checked), -1);
}

/*
 * WITH "job to verb"(id) AS (SELECT kwjobs_job_id(id)),
 *		given(reason) AS (SELECT reason)
 * UPDATE kwjobs.job_control
 * SET verb = kwjobs_control(job_control.job_id, 'verb', (SELECT reason FROM given))
 * WHERE (SELECT kwjobs_may_control('verb'))
 *	 AND ARRAY(SELECT id FROM "job to verb") IS NOT NULL
 *	 AND job_id = ANY (ARRAY(SELECT id FROM "job to verb"))
 *
 * For many jobs, WITH "jobs to verb"(id) AS (SELECT unnest(kwjobs_job_ids(ARRAY(SELECT ids)))), and:
 *
 * SET verb = NULL
 * WHERE ... AND job_id = ANY (ARRAY(SELECT unnest(kwjobs_control_jobs(
 *	 ARRAY(SELECT id FROM "jobs to verb"), 'verb', (SELECT reason FROM given)))))
 *
 * many is the name of this function, "control_jobs", or "control_all" for ALL JOBS; NULL means one
 * job. The function controls all jobs in one call, so that one NOTICE can count the jobs that it
 * leaves out. It returns the others, and the UPDATE only counts them for the command tag.
 *
 * The work is done in SET or WHERE and not in a trigger of the view, since triggers do not fire in
 * the apply workers of logical replication. The condition IS NOT NULL is always true, but depends
 * on no row: it makes sure that the ids are checked even if there is no job to compare them with.
 *
 * The reason may be a query, in which the name of the first WITH query is visible. So the first
 * WITH query has a name that a table of the user will hardly have. src/session/read_only.c
 * recognizes the statement by this name. pg_stat_statements ignores constants; the names of the
 * WITH queries make different forms different entries. The second name is "no reason" if no reason
 * is given.
 */
static Node *
control(KwjStatement *statement, Node *id, int id_location, Node *reason, const char *many)
{
	UpdateStmt *update = makeNode(UpdateStmt);
	const char *verb = statement->form->words[0];
	int			location = kwj_location_of(statement);
	Node	   *permission = kwj_own_call("may_control",
										  list_make1(kwj_text(verb)), location);
	Node	   *checked_id = many ? checked_ids(id, id_location) :
		kwj_own_call("job_id", list_make1(kwj_integer(id, id_location)), id_location);
	const char *requested = psprintf("%s to %s", many ? "jobs" : "job", verb);
	const char *given = reason ? "given" : "no reason";
	NullTest   *checked = makeNode(NullTest);
	SelectStmt *ids = kwj_select_with_value(requested, "id");
	Node	   *set;

	checked->arg = (Expr *) kwj_sublink(ARRAY_SUBLINK,
										(Node *) kwj_select_with_value(requested, "id"), -1);
	checked->nulltesttype = IS_NOT_NULL;
	checked->location = -1;

	if (reason == NULL)
		reason = kwj_null_text();
	update->withClause = kwj_with(list_make2(kwj_with_value(requested, "id", checked_id),
											 kwj_with_value(given, "reason", reason)));
	update->relation = makeRangeVar(pstrdup("kwjobs"), pstrdup("job_control"), location);
	if (many)
	{
		Node	   *controlled = kwj_own_call(many,
											  list_make3(kwj_sublink(ARRAY_SUBLINK, (Node *) ids, -1),
														 kwj_text(verb), given_reason(given)),
											  location);

		ids = kwj_select(kwj_call("pg_catalog", "unnest", list_make1(controlled), -1));
		set = kwj_null_text();
	}
	else
		set = kwj_own_call("control",
						   list_make3(kwj_column("job_control", "job_id"), kwj_text(verb),
									  given_reason(given)),
						   location);
	update->targetList = list_make1(kwj_target("verb", set));
	update->whereClause =
		kwj_and(list_make3(kwj_sublink(EXPR_SUBLINK, (Node *) kwj_select(permission), -1),
						   checked,
						   kwj_equal_any(kwj_column("job_control", "job_id"), ids)));
	return (Node *) update;
}

Node *
kwj_build_control_job(KwjStatement *statement)
{
	int			first = statement->rest;
	int			with = find_reason(statement);
	Node	   *id = kwj_parse_expression(statement, first, with, "One job ID must stand here.");
	Node	   *reason = kwj_parse_reason(statement, with);

	kwj_prevent_in_recovery(statement);
	return control(statement, id, statement->source->tokens[first].start, reason, NULL);
}

/* The ids are unnest(ARRAY(query)), so that all are known before the first job changes. */
Node *
kwj_build_control_jobs(KwjStatement *statement)
{
	int			first = statement->rest;
	int			with = find_reason(statement);
	Node	   *query = kwj_parse_query(statement, first, with, KWJ_EXPECTED_IDS);
	Node	   *reason = kwj_parse_reason(statement, with);
	int			location = statement->source->tokens[first].start;
	Node	   *ids = kwj_sublink(ARRAY_SUBLINK, query, location);

	kwj_prevent_in_recovery(statement);
	return control(statement,
				   kwj_call("pg_catalog", "unnest", list_make1(ids), -1),
				   location, reason, "control_jobs");
}

/* Returns whether JOBS, or a job type and JOBS, follows ALL. */
bool
kwj_is_all_jobs(const KwjSource *source, int rest, int last)
{
	return (rest < last && kwj_is_word(source, rest, "jobs")) ||
		(rest + 1 < last && kwj_is_any_word(source, rest) && kwj_is_word(source, rest + 1, "jobs"));
}

/* The ids are kwjobs_all_jobs('verb', kwjobs_job_type('type')), with NULL if no type is given. */
Node *
kwj_build_control_all(KwjStatement *statement)
{
	const KwjSource *source = statement->source;
	int			first = statement->rest;
	int			location = source->tokens[first].start;
	bool		has_type = !kwj_is_word(source, first, "jobs");
	int			with = first + has_type + 1;
	Node	   *type = has_type ? kwj_text(kwj_word_of(source, first)) :
		kwj_null_text();
	Node	   *ids;
	Node	   *reason;

	if (with < statement->last && !kwj_is_word(source, with, "with"))
		kwj_syntax_error(statement, with, "Only WITH REASON = 'text' may stand here.");
	reason = kwj_parse_reason(statement, with);
	ids = kwj_own_call("all_jobs",
					   list_make2(kwj_text(statement->form->words[0]),
								  kwj_own_call("job_type", list_make1(type), location)),
					   location);
	kwj_prevent_in_recovery(statement);
	return control(statement, ids, location, reason, "control_all");
}
