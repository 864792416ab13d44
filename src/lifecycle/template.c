/*
 * src/lifecycle/template.c
 *	  Catches the job that a statement creates, before its row is written, to make a schedule of it.
 *
 *     CREATE SCHEDULE name FOR IMPORT ...  =  CALL kwjobs_create_schedule_of_job(
 *         kwjobs_for_schedule(name)      kwj_template_want: WANTED
 *         CASE WHEN kwjobs_wants_job()
 *         THEN kwjobs_import(...) END    checks everything, then kwj_submit -> kwj_template_catch: CAUGHT
 *         ...)                           kwj_template_take: NOTHING
 *
 * ALTER SCHEDULE name FOR IMPORT ... calls kwjobs_for_altered_schedule in its place. With IF NOT EXISTS, and a
 * schedule of this name, or IF EXISTS and none, there is nothing to do: kwj_template_skip makes the state
 * SKIPPED, so that the job is not even checked.
 *
 * PostgreSQL evaluates the arguments of a CALL in their order. So the statement of each job type,
 * also of one that is added later, can be scheduled as it is.
 *
 * Process: sessions, and workers whose statement creates a schedule. Locks: none. What was wanted in
 * a transaction or subtransaction that is rolled back is forgotten. If a user calls
 * kwjobs_for_schedule or kwjobs_for_altered_schedule by hand, and the transaction commits with a job
 * that was caught but not taken, the commit fails: the job would be lost otherwise.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/transaction.h"
#include "lifecycle/template.h"
#include "store/template.h"
#include "utils/memutils.h"

typedef enum State
{
	NOTHING,
	WANTED,
	SKIPPED,
	CAUGHT,
} State;

static State state = NOTHING;
static SubTransactionId wanted_in = InvalidSubTransactionId;
static KwjTemplate *caught = NULL;	/* in TopTransactionContext */

static void
forget(void)
{
	state = NOTHING;
	caught = NULL;
}

static void
at_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
	{
		if (state == CAUGHT)
			ereport(ERROR,
					(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
					 errmsg("a job was to become a schedule, and none was created"),
					 errhint("Type CREATE SCHEDULE or ALTER SCHEDULE, and do not call the functions that they call.")));
	}
	else
		forget();
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (state == NOTHING || wanted_in != mine)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget();
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		wanted_in = parent;
}

static void
begin(State new_state)
{
	static bool registered = false;

	kwj_at_transaction_end(&registered, at_end, at_end_of_subtransaction);
	if (state == CAUGHT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a schedule cannot be created while another one is"),
				 errhint("Type CREATE SCHEDULE or ALTER SCHEDULE, which call this function.")));
	state = new_state;
	wanted_in = GetCurrentSubTransactionId();
}

void
kwj_template_want(void)
{
	begin(WANTED);
}

void
kwj_template_skip(void)
{
	begin(SKIPPED);
}

bool
kwj_template_is_wanted(void)
{
	return state == WANTED;
}

static void
refuse_option(const char *option, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the job of a schedule cannot have the option \"%s\"", option),
			 errhint("%s", hint)));
}

bool
kwj_template_catch(const KwjNewJob *job)
{
	MemoryContext old;

	if (state != WANTED)
		return false;
	if (job->run_at != 0)
		refuse_option("run_at", "The schedule says when it runs: WITH SCHEDULE OPTIONS first_run = 'time'.");
	if (job->n_depends_on > 0)
		refuse_option("depends_on", "Have a job of the schedule create the jobs that depend on each other.");
	if (job->on_conflict != KWJ_CONFLICT_KEEP)
		refuse_option("on_conflict", "Use WITH SCHEDULE OPTIONS on_previous_running = 'start', 'skip' or 'wait'.");
	old = MemoryContextSwitchTo(TopTransactionContext);
	caught = palloc0(sizeof(KwjTemplate));
	caught->job_type = pstrdup(job->job_type);
	caught->owner = job->owner;
	caught->created_by = job->created_by;
	caught->created_by_session = job->created_by_session;
	caught->n_authority = job->n_authority;
	caught->authority = palloc(sizeof(Oid) * Max(job->n_authority, 1));
	memcpy(caught->authority, job->authority, sizeof(Oid) * job->n_authority);
	caught->given = job->given;
	caught->job = kwj_template_write(job);
	MemoryContextSwitchTo(old);
	state = CAUGHT;
	return true;
}

KwjTemplate *
kwj_template_take(void)
{
	KwjTemplate *template = caught;

	if (state != CAUGHT && state != SKIPPED)
	{
		forget();
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no job for the schedule to run"),
				 errhint("Type CREATE SCHEDULE name FOR, and a statement that creates a job or SQL 'statement'.")));
	}
	forget();
	return template;
}
