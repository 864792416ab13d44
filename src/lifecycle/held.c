/*
 * src/lifecycle/held.c
 *	  Holds: an administrator, or a role for its own jobs, keeps jobs from starting.
 *
 * Process: sessions, and workers whose statement holds jobs. Callers: src/function/hold.c;
 * src/lifecycle/submit.c, for the NOTICE; src/function/reason.c, which says why a job waits.
 *
 *     hold      a row in kwjobs.hold; with pauses, PAUSE of the jobs that run
 *       | commit: the coordinator and workers learn of it (shared/held.c)
 *     held      jobs are submitted, become due and wait; their running_status says why
 *       |
 *     release   the row is deleted; RESUME of the jobs that it has paused
 *       | commit: the coordinator is woken, and claims what is due
 *
 * Locks: the hold's row, and the rows of jobs that are paused or resumed, until the end of the
 * transaction. If the session dies, its transaction is rolled back, and nothing has happened. An
 * administrator's release does not wait for the row of a role's own hold, which that role may keep
 * locked; it says so.
 *
 * Only an administrator can hold a queue. The coordinator then gives none of its jobs a place, and
 * takes back the places of jobs that do not run yet (store/queue.c).
 *
 * kwjobs.hold_server holds the jobs of all databases; that hold is in a shared catalog
 * (store/server_hold.c).
 *
 * An administrator and a role may hold the same jobs. These are two rows, because a role must not
 * release what an administrator holds.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "job/clip.h"
#include "job/role.h"
#include "lifecycle/admin.h"
#include "lifecycle/bounds.h"
#include "lifecycle/control_log.h"
#include "lifecycle/held.h"
#include "miscadmin.h"
#include "shared/held.h"
#include "shared/init.h"
#include "shared/wakeup.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "store/queue.h"
#include "store/server_hold.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * The most holds of a role without the admin role, because the coordinator reads all holds.
 * Sessions do not see each other's uncommitted holds, so a role with several sessions can have
 * more.
 */
#define MOST_OWN_HOLDS	32
/* At most this many bytes of a reason are shown in messages and in running_status. */
#define REASON_SHOWN	200

/*
 * The holds of this database as this session has last read them. known_changes: the number of
 * changes of holds in shared memory at that time.
 */
static MemoryContext known_context = NULL;
static const List *known_holds = NIL;	/* of KwjHold */
static bool are_known = false;
static uint32 known_changes;
/* The transaction that has changed holds, or has been told of one. */
static LocalTransactionId changed_in = InvalidLocalTransactionId;
static LocalTransactionId told_in = InvalidLocalTransactionId;

static void
note_change(bool everywhere)
{
	changed_in = kwj_local_transaction_id();
	kwj_wakeup_holds_at_end(everywhere);
}

/* Checks whether this can be done here and now. */
static void
check_possible(const char *function, const char *reason)
{
	kwj_check_writable(function);
	kwj_check_reason(reason);
}

/*
 * Returns whether the user acts as an administrator. Errors: 42501 if not, and the jobs are not the
 * user's own; 0A000 if there is more than a queue.
 */
static bool
check_rights(const KwjHoldScope *scope, const char *what)
{
	Oid			owner = scope->owner;

	if (scope->queue != NULL && (scope->job_type != NULL || OidIsValid(owner)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot %s jobs of a queue and of a type or an owner at once", what),
				 errhint("Name the queue alone: SELECT kwjobs.%s(queue => %s).", what,
						 quote_literal_cstr(scope->queue))));
	if (kwj_is_admin())
		return true;
	if (scope->queue != NULL)
		kwj_check_admin(psprintf("%s the jobs of a queue", what));
	if (OidIsValid(owner) && kwj_is_own(owner))
		return false;
	if (OidIsValid(owner))
		kwj_check_admin(psprintf("%s the jobs of role \"%s\"", what,
								 GetUserNameFromId(owner, false)));
	else
		kwj_check_admin(psprintf("%s the jobs of everybody; for your own, name the owner", what));
	return false;
}

/* Returns which jobs these are: "jobs of type SQL of role "a"". */
static char *
describe(const KwjHoldScope *scope)
{
	char	   *of_type = scope->job_type ? psprintf(" of type %s", scope->job_type) : "";
	char	   *of_role = "";

	if (scope->queue != NULL)
		return psprintf("jobs of queue \"%s\"", scope->queue);
	if (OidIsValid(scope->owner))
		of_role = psprintf(" of role \"%s\"", kwj_role_name(scope->owner));
	if (scope->job_type == NULL && !OidIsValid(scope->owner))
		return pstrdup("all jobs of this database");
	return psprintf("jobs%s%s", of_type, of_role);
}

char *
kwj_hold_explain(const KwjHold *hold)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "held by %s since %s%s", hold->by, timestamptz_to_str(hold->since),
					 hold->everywhere ? " (whole server)" : "");
	if (hold->reason != NULL && hold->reason[0] != '\0')
	{
		appendStringInfoString(&text, ": ");
		kwj_append_quoted(&text, hold->reason, REASON_SHOWN);
	}
	return text.data;
}

/* Checks the number of the user's own holds, among them the one that was just added. */
static void
check_count(void)
{
	if (kwj_store_count_holds() > MOST_OWN_HOLDS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("role \"%s\" has too many holds: %d",
						GetUserNameFromId(GetUserId(), false), MOST_OWN_HOLDS),
				 errhint("Hold the jobs of all types at once: SELECT kwjobs.hold(owner => ...), or release some: SELECT kwjobs.release_all().")));
}

/*
 * Pauses the running jobs that the hold is about, and notes which ones it has paused. Returns how
 * many. Errors: 40001 if the hold is gone.
 */
static int
pause_running(const KwjHoldScope *scope, const char *reason, KwjTypeAllows allows)
{
	KwjJobs		running = kwj_store_running_jobs(scope);

	running.n = kwj_control_many(KWJ_BY_FUNCTION, KWJ_PAUSE, (int64 *) running.ids, running.n,
								 true, reason, allows);
	/* See the times of the requests that were just made. */
	CommandCounterIncrement();
	if (running.n > 0 && !kwj_store_note_paused(scope, running))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("%s were released meanwhile", describe(scope)),
				 errhint("Try again.")));
	return running.n;
}

/*
 * Tells the client, if its transaction goes on, that a hold which pauses jobs does not pause those
 * that start before the commit.
 */
static void
tell_of_late_jobs(void)
{
	if (IsTransactionBlock())
		ereport(NOTICE,
				(errmsg("jobs that start before this transaction is committed go on"),
				 errhint("After the commit, SELECT running FROM kwjobs.holds says whether some do. The same call of kwjobs.hold() again pauses them.")));
}

/* The hold with this scope is there already: it stays, and pauses what runs if `pauses` is set. */
static void
hold_again(const KwjHoldScope *scope, const KwjHold *present, const char *reason, bool pauses,
		   KwjTypeAllows allows)
{
	char	   *what = describe(scope);
	int			n = pauses ? pause_running(scope, reason, allows) : 0;

	ereport(NOTICE,
			(n > 0 ? errmsg_plural("%s are held already; %d that runs is paused now",
								   "%s are held already; %d that run are paused now", n, what, n) :
			 errmsg("%s are held already", what),
			 errdetail("They are %s.", kwj_hold_explain(present)),
			 errhint("To hold them anew, release them first.")));
}

void
kwj_hold(const char *job_type, Oid owner, const char *queue, const char *reason, bool pauses,
		 KwjTypeAllows allows)
{
	KwjHoldScope scope = {.job_type = job_type, .owner = owner, .queue = queue};
	KwjHold		present;

	check_possible("kwjobs.hold()", reason);
	scope.by_admin = check_rights(&scope, "hold");
	if (queue != NULL)
		kwj_store_note_queue(queue);
	if (!kwj_store_hold(&scope, reason, pauses, &present))
	{
		hold_again(&scope, &present, reason, pauses, allows);
		return;
	}
	if (!scope.by_admin)
		check_count();
	note_change(false);
	kwj_control_log(psprintf("%s held", describe(&scope)), reason);
	if (pauses)
	{
		(void) pause_running(&scope, reason, allows);
		tell_of_late_jobs();
	}
}

static void
resume(KwjJobs jobs, const char *reason, KwjTypeAllows allows)
{
	if (jobs.n > 0)
		(void) kwj_control_many(KWJ_BY_FUNCTION, KWJ_RESUME, (int64 *) jobs.ids, jobs.n, true,
								reason, allows);
}

static bool
is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Returns the first hold of exactly this type, owner and queue; NULL: there is none. */
static const KwjHold *
find(const KwjHoldScope *scope)
{
	ListCell   *lc;

	foreach(lc, kwj_store_holds(false))
	{
		const KwjHold *hold = lfirst(lc);

		if (!hold->everywhere && hold->scope.owner == scope->owner &&
			is_same(hold->scope.job_type, scope->job_type) &&
			is_same(hold->scope.queue, scope->queue))
			return hold;
	}
	return NULL;
}

/* An administrator's release has left a role's own hold, whose row is locked. */
static void
report_locked(const KwjHold *left, bool released)
{
	const KwjHoldScope *scope = &left->scope;

	ereport(released ? NOTICE : ERROR,
			(errcode(released ? ERRCODE_SUCCESSFUL_COMPLETION : ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("%s are still held: another transaction is changing that hold",
					describe(scope)),
			 errdetail("They are %s.", kwj_hold_explain(left)),
			 errhint("Try again when that transaction is over; pg_stat_activity shows the session.")));
}

/*
 * After a release: an administrator's hold may be left, which this user may not release, or one
 * that is locked.
 */
static void
report_left(const KwjHoldScope *scope, bool admin, bool released)
{
	const KwjHold *left = find(scope);

	if (left == NULL && !released)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no hold on %s", describe(scope)),
				 errhint("A hold is released with the values that it was made with. SELECT * FROM kwjobs.holds lists the holds.")));
	if (left == NULL)
		return;
	if (admin)
	{
		report_locked(left, released);
		return;
	}
	ereport(released ? NOTICE : ERROR,
			(errcode(released ? ERRCODE_SUCCESSFUL_COMPLETION : ERRCODE_INSUFFICIENT_PRIVILEGE),
			 released ? errmsg("%s are still held by an administrator", describe(scope)) :
			 errmsg("only users with the admin role are allowed to release %s, which one of them holds",
					describe(scope)),
			 errdetail("They are %s.", kwj_hold_explain(left)),
			 errhint("Ask %s to release them.", left->by)));
}

/* Releases the hold with this scope. Returns whether there was one. */
static bool
release_one(const KwjHoldScope *scope, bool waits, const char *reason, KwjTypeAllows allows)
{
	KwjJobs		paused;

	if (kwj_store_release(scope, waits, &paused) == 0)
		return false;
	note_change(false);
	kwj_control_log(psprintf("%s released", describe(scope)), reason);
	resume(paused, reason, allows);
	return true;
}

void
kwj_release(const char *job_type, Oid owner, const char *queue, const char *reason,
			KwjTypeAllows allows)
{
	KwjHoldScope own = {.job_type = job_type, .owner = owner, .queue = queue};
	KwjHoldScope by_admin = own;
	bool		admin;
	bool		released = false;

	check_possible("kwjobs.release()", reason);
	admin = check_rights(&own, "release");
	by_admin.by_admin = true;
	if (admin)
		released = release_one(&by_admin, true, reason, allows);
	released |= release_one(&own, !admin, reason, allows);
	report_left(&own, admin, released);
}

/* After kwjobs.release_all(): tells which holds are left that the user may release. */
static void
report_all_left(bool admin)
{
	const KwjHold *first = NULL;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, kwj_store_holds(false))
	{
		const KwjHold *hold = lfirst(lc);

		if (hold->everywhere || !(admin || (!hold->scope.by_admin && kwj_is_own(hold->scope.owner))))
			continue;
		if (n++ == 0)
			first = hold;
	}
	if (n > 0)
		ereport(NOTICE,
				(errmsg_plural("%d hold is left, because another transaction is changing it",
							   "%d holds are left, because other transactions are changing them", n, n),
				 errdetail("%s are %s.", describe(&first->scope),
						   kwj_hold_explain(first)),
				 errhint("Try again when that transaction is over; pg_stat_activity shows the session.")));
}

int
kwj_release_all(const char *reason, KwjTypeAllows allows)
{
	bool		admin = kwj_is_admin();
	KwjJobs		paused;
	int			n;

	check_possible("kwjobs.release_all()", reason);
	n = kwj_store_release_all(admin, &paused);
	if (n > 0)
	{
		note_change(false);
		kwj_control_log(psprintf("%s (%d) released", admin ? "all holds of this database" :
								 "all own holds", n), reason);
		resume(paused, reason, allows);
	}
	report_all_left(admin);
	return n;
}

void
kwj_hold_server(const char *reason)
{
	KwjHold		present;

	check_possible("kwjobs.hold_server()", NULL);
	kwj_check_admin("hold the jobs of the server");
	if (reason != NULL)
		kwj_check_size("the reason", strlen(reason), KWJ_SERVER_REASON_BOUND, "Give a shorter one.");
	if (kwj_store_hold_server(reason, &present))
	{
		note_change(true);
		kwj_control_log("all jobs of the server held", reason);
	}
	else
		ereport(NOTICE,
				(errmsg("the jobs of the server are held already"),
				 errdetail("They are %s.", kwj_hold_explain(&present)),
				 errhint("To hold them anew, release them first.")));
}

void
kwj_release_server(void)
{
	check_possible("kwjobs.release_server()", NULL);
	kwj_check_admin("release the jobs of the server");
	if (!kwj_store_release_server())
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no hold on the server"),
				 errhint("SELECT * FROM kwjobs.holds lists the holds.")));
	note_change(true);
	kwj_control_log("all jobs of the server released", NULL);
}

char *
kwj_hold_to_release(const KwjHold *hold)
{
	const KwjHoldScope *scope = &hold->scope;
	char	   *type = scope->job_type ? quote_literal_cstr(scope->job_type) : "";
	char	   *owner = "";

	if (hold->everywhere)
		return pstrdup("SELECT kwjobs.release_server()");
	if (scope->queue != NULL)
		return psprintf("SELECT kwjobs.release(queue => %s)", quote_literal_cstr(scope->queue));
	if (OidIsValid(scope->owner))
		owner = psprintf("%sowner => %s", scope->job_type ? ", " : "",
						 quote_literal_cstr(quote_identifier(kwj_role_name(scope->owner))));
	return psprintf("SELECT kwjobs.release(%s%s)", type, owner);
}

static void
read_holds(void)
{
	MemoryContext caller;

	if (known_context == NULL)
		known_context = AllocSetContextCreate(TopMemoryContext, "kwjobs known holds",
											  ALLOCSET_SMALL_SIZES);
	/* If the read raises an error, the next call reads again. */
	are_known = false;
	MemoryContextReset(known_context);
	caller = MemoryContextSwitchTo(known_context);
	known_holds = kwj_store_holds(false);
	MemoryContextSwitchTo(caller);
	are_known = true;
}

/*
 * Returns the holds, which the session reads again only if some transaction has changed holds since
 * it has read them. A transaction that has itself changed holds reads them each time: it may be
 * rolled back, so the session must not remember what it sees.
 */
static const List *
find_holds(void)
{
	uint32		changes = kwj_shared_hold_changes();

	if (changed_in == kwj_local_transaction_id())
		return kwj_store_holds(false);
	if (!are_known || kwj_shared_holds_changed_since(known_changes))
		read_holds();
	known_changes = changes;
	return known_holds;
}

void
kwj_hold_tell(int64 job_id, Oid owner, const char *job_type, const char *queue)
{
	const KwjHold *hold;

	if (!kwj_shared_ready() || told_in == kwj_local_transaction_id())
		return;
	if (kwj_max_workers == 0)
	{
		told_in = kwj_local_transaction_id();
		ereport(NOTICE,
				(errmsg("job " INT64_FORMAT " waits: kwjobs.max_workers is 0", job_id),
				 errhint("To let jobs start, an administrator may type SET CLUSTER SETTING kwjobs.max_workers = 4.")));
		return;
	}
	if (kwj_hold_find(find_holds(), owner, job_type, queue) == NULL)
		return;
	/*
	 * Read the holds anew for the message. Nobody counts a change when a role gets another name, or
	 * when somebody changes the rows by hand, so what the session remembers may be outdated.
	 */
	hold = kwj_hold_find(kwj_store_holds(false), owner, job_type, queue);
	if (hold == NULL)
		return;
	told_in = kwj_local_transaction_id();
	ereport(NOTICE,
			(errmsg("job " INT64_FORMAT " waits until it is released", job_id),
			 errdetail("It is %s.", kwj_hold_explain(hold)),
			 hold->scope.by_admin ?
			 errhint("An administrator may type %s.", kwj_hold_to_release(hold)) :
			 errhint("Type %s.", kwj_hold_to_release(hold))));
}
