/*
 * src/lifecycle/errands.c
 *	  Statements that change jobs of other databases, in the session that runs them.
 *
 * Process: sessions, and workers whose statement controls a job. Callers: control.c and wait.c,
 * which ask where jobs are; src/function, before it lists jobs. doc/developers/server_list.md has
 * the whole way of an errand:
 *
 *   the statement:  find which databases have the jobs --> have these check --> write errands
 *   the commit:     wakes the coordinator of this database, which sends them
 *   the next statement that looks at other databases: waits for them, warns of those refused
 *
 * Locks: none but those of the queries. A session asks before it takes the lock of any row, because
 * it may have to wait for the answer.
 *
 * If the session is rolled back or ends before the commit, its errands are gone with it. If it ends
 * after the commit, nobody is warned; the server's log and kwjobs.errands have what was refused.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "job/databases.h"
#include "job/transaction.h"
#include "lifecycle/change.h"
#include "lifecycle/elsewhere.h"
#include "lifecycle/errands.h"
#include "miscadmin.h"
#include "shared/wait.h"
#include "storage/condition_variable.h"
#include "store/errands.h"
#include "store/events.h"
#include "store/jobs.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* A session remembers at most this many errands for which it waits. */
#define MOST_WAITED		1000
/* It warns of at most this many errands. */
#define MOST_WARNINGS	20

/* Each function below calls this before it notes what this process has to forget when its transaction ends. */
static void hear_of_ends(void);

/* ---- where the jobs are ---- */

/* What was found in this transaction; in TopTransactionContext. NULL: nothing. */
static HTAB *found = NULL;

static Oid
remembered(int64 job_id)
{
	KwjFoundJob *job = found ? hash_search(found, &job_id, HASH_FIND, NULL) : NULL;

	return job ? job->database : InvalidOid;
}

static void
remember(int64 job_id, Oid database)
{
	HASHCTL		ctl = {.keysize = sizeof(int64), .entrysize = sizeof(KwjFoundJob), .hcxt = TopTransactionContext};

	hear_of_ends();
	if (found == NULL)
		found = hash_create("kwjobs found elsewhere", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	((KwjFoundJob *) hash_search(found, &job_id, HASH_ENTER, NULL))->database = database;
}

void
kwj_errands_found(void (*take) (const KwjFoundJob *job, void *arg), void *arg)
{
	HASH_SEQ_STATUS status;
	const KwjFoundJob *job;

	if (found == NULL)
		return;
	hash_seq_init(&status, found);
	while ((job = hash_seq_search(&status)) != NULL)
		take(job, arg);
}

static void
refuse_copies(int64 job_id, Oid one, Oid other)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("several databases have a job with ID " INT64_FORMAT, job_id),
			 errdetail("Databases \"%s\" and \"%s\" have it, because one was copied.",
					   kwj_database_name(one), kwj_database_name(other)),
			 errhint("Connect to the database of the job that you mean, and type the statement there.")));
}

/* The jobs of one question, and where they are. */
typedef struct Search
{
	const int64 *job_ids;
	Oid		   *databases;
} Search;

static void
note_found(Oid database, int i, const KwjErrandResult *result, void *arg)
{
	Search	   *search = arg;

	if (result->outcome == KWJ_ERRAND_NO_JOB)
		return;
	if (OidIsValid(search->databases[i]))
		refuse_copies(search->job_ids[i], search->databases[i], database);
	search->databases[i] = database;
}

/* Asks these databases to check the errands, a list of KwjErrand. */
static void
ask_for_check(List *errands, const Oid *databases, int n, const KwjTake *take)
{
	KwjQuestion *question = palloc0(sizeof(KwjQuestion));
	StringInfoData packed;
	ListCell   *lc;

	initStringInfo(&packed);
	foreach(lc, errands)
	{
		KwjErrand	asked = *(KwjErrand *) lfirst(lc);

		/* The whole change may be large, and the question is not converted to the other encoding. */
		if (asked.change != NULL)
			asked.change = kwj_change_to_check(asked.change);
		kwj_errand_put(&packed, &asked);
	}
	question->kind = KWJ_ASK_CHECK;
	question->role = GetUserId();
	question->n_errands = list_length(errands);
	kwj_ask_databases(question, &packed, databases, n, take);
	pfree(packed.data);
	pfree(question);
}

/* Raises an error for a job that may be in a database that has not answered. */
static void
report_not_found(int64 job_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("job with ID " INT64_FORMAT " was not found, and not all databases have answered", job_id),
			 errhint("Try again, or connect to the database of the job and type the statement there.")));
}

/* Looks for at most KWJ_ASKED_IDS jobs. */
static void
search(const int64 *job_ids, int n, const Oid *others, int n_others, Oid *databases)
{
	Search		search = {job_ids, databases};
	int			left_out = 0;
	KwjTake		take = {.result = note_found, .arg = &search, .left_out = &left_out};
	List	   *errands = NIL;

	for (int i = 0; i < n; i++)
	{
		KwjErrand  *errand = palloc0(sizeof(KwjErrand));

		databases[i] = InvalidOid;
		errand->job_id = job_ids[i];
		errand->deed = KWJ_DEED_LOOK;
		errands = lappend(errands, errand);
	}
	ask_for_check(errands, others, n_others, &take);
	list_free_deep(errands);
	for (int i = 0; i < n; i++)
		if (!OidIsValid(databases[i]) && left_out > 0)
			report_not_found(job_ids[i]);
		else if (OidIsValid(databases[i]))
			remember(job_ids[i], databases[i]);
}

void
kwj_errands_find(const int64 *job_ids, int n, Oid *databases)
{
	int64	   *unknown = palloc(sizeof(int64) * Max(n, 1));
	int		   *places = palloc(sizeof(int) * Max(n, 1));
	Oid		   *answers = palloc(sizeof(Oid) * Max(n, 1));
	int			n_unknown = 0;
	int			n_others;
	Oid		   *others;

	Assert(IsTransactionState());
	kwj_errands_wait();
	for (int i = 0; i < n; i++)
	{
		databases[i] = remembered(job_ids[i]);
		if (OidIsValid(databases[i]))
			continue;
		unknown[n_unknown] = job_ids[i];
		places[n_unknown++] = i;
	}
	if (n_unknown == 0)
		return;
	others = kwj_other_databases(&n_others);
	for (int first = 0; first < n_unknown; first += KWJ_ASKED_IDS)
		search(unknown + first, Min(KWJ_ASKED_IDS, n_unknown - first), others, n_others, answers + first);
	for (int i = 0; i < n_unknown; i++)
		databases[places[i]] = answers[i];
}

/* ---- all jobs ---- */

/* What a statement on all jobs finds. */
typedef struct All
{
	KwjFoundJob *jobs;
	int			n;
	int			room;
} All;

/* kwj_ask_databases() calls this for each job that another database has. text: the job's id. */
static void
note_job_of_all(Oid database, const char *name, const char *text, void *arg)
{
	All		   *all = arg;
	int64		job_id = DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(text)));
	Oid			before = remembered(job_id);

	if (OidIsValid(before) && before != database)
		refuse_copies(job_id, before, database);
	remember(job_id, database);
	if (all->n == all->room)
	{
		all->room *= 2;
		all->jobs = repalloc(all->jobs, sizeof(KwjFoundJob) * all->room);
	}
	all->jobs[all->n++] = (KwjFoundJob) {job_id, database};
}

/*
 * Raises an error if this database has one of the jobs, too. One of the two is a copy of the other, and the
 * statement would control only this one.
 */
static void
refuse_copies_of_mine(const KwjFoundJob *jobs, int n)
{
	Oid			owner;

	for (int i = 0; i < n; i++)
		if (kwj_store_owner(jobs[i].job_id, &owner))
			refuse_copies(jobs[i].job_id, MyDatabaseId, jobs[i].database);
}

KwjFoundJob *
kwj_errands_find_all(KwjVerb verb, const char *job_type, int *n)
{
	All			all = {.room = 64};
	KwjTake		take = {.job = note_job_of_all, .arg = &all};
	KwjQuestion *question;
	Oid		   *databases;
	int			n_databases;

	*n = 0;
	if (!kwj_may_ask())
		return NULL;
	kwj_errands_wait();
	question = palloc0(sizeof(KwjQuestion));
	question->kind = KWJ_ASK_ALL;
	question->role = GetUserId();
	question->verb = verb;
	strlcpy(question->job_type, job_type ? job_type : "", sizeof(question->job_type));
	all.jobs = palloc(sizeof(KwjFoundJob) * all.room);
	databases = kwj_other_databases(&n_databases);
	kwj_ask_databases(question, NULL, databases, n_databases, &take);
	refuse_copies_of_mine(all.jobs, all.n);
	*n = all.n;
	return all.jobs;
}

/* ---- control ---- */

/* The first error with which a database refuses an errand. */
typedef struct Refusal
{
	int			place;			/* of the errand; -1: there is none */
	KwjErrandResult result;
} Refusal;

/* A question to one database, which checks whether it can do some errands. */
typedef struct Check
{
	int			n_before;		/* how many are before them in the question */
	int		   *places;			/* of their results */
	KwjChecked *results;
	Refusal    *refusal;
	int			n;
	bool		answered;
} Check;

static void
note_result(Oid database, int i, const KwjErrandResult *result, void *arg)
{
	Check	   *check = arg;
	int			place;

	check->answered = true;
	if (i < check->n_before || i - check->n_before >= check->n)
		return;
	place = check->places[i - check->n_before];
	check->results[place] = (KwjChecked) {result->outcome, result->left_out};
	if (result->outcome == KWJ_ERRAND_REFUSED &&
		(check->refusal->place < 0 || place < check->refusal->place))
	{
		check->refusal->place = place;
		check->refusal->result = *result;
	}
}

static void
report_silence(Oid database)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("database \"%s\" did not say whether its jobs can be controlled",
					kwj_database_name(database)),
			 errhint("Try again, or connect to that database and type the statement there.")));
}

/* Has the database check these errands, behind those that are on their way to the same jobs. */
static void
check_with(Oid database, List *errands, Check *check)
{
	KwjTake		take = {.result = note_result, .arg = check};
	int64	   *ids = palloc(sizeof(int64) * check->n);
	List	   *before;

	for (int i = 0; i < check->n; i++)
		ids[i] = ((KwjErrand *) list_nth(errands, i))->job_id;
	before = kwj_store_errands_for(ids, check->n);
	/* More than a question can have: the last ones decide what becomes of the jobs. */
	while (list_length(before) > KWJ_ASKED_IDS - check->n)
		before = list_delete_first(before);
	check->n_before = list_length(before);
	ask_for_check(list_concat(before, errands), &database, 1, &take);
	if (!check->answered)
		report_silence(database);
}

/* Raises the error with which the other database has refused. Its texts are data. */
static void
raise_refusal(const KwjErrandResult *result)
{
	ereport(ERROR,
			(errcode(result->error_code),
			 errmsg("%s", result->message),
			 result->detail[0] != '\0' ? errdetail("%s", result->detail) : 0,
			 result->hint[0] != '\0' ? errhint("%s", result->hint) : 0));
}

/* At most this many errands are checked with one question; it has room for earlier ones, too. */
#define CHECKED_AT_ONCE	(KWJ_ASKED_IDS / 2)

/*
 * Has one database check those of the errands that are for it, from *first on. Returns false if
 * there are none.
 */
static bool
check_some(Oid database, List *errands, const Oid *databases, int *first, KwjChecked *results,
		   Refusal *refusal)
{
	Check		check = {.results = results, .refusal = refusal};
	List	   *some = NIL;
	int			i;

	check.places = palloc(sizeof(int) * CHECKED_AT_ONCE);
	for (i = *first; i < list_length(errands) && check.n < CHECKED_AT_ONCE; i++)
		if (databases[i] == database)
		{
			check.places[check.n++] = i;
			some = lappend(some, list_nth(errands, i));
		}
	*first = i;
	if (check.n > 0)
		check_with(database, some, &check);
	return check.n > 0;
}

/* Raises the first error, if there is one. */
static void
check_all(List *errands, const Oid *databases, KwjChecked *results)
{
	List	   *checked = NIL;
	Refusal		refusal = {.place = -1};

	for (int i = 0; i < list_length(errands); i++)
	{
		int			first = i;

		if (list_member_oid(checked, databases[i]))
			continue;
		checked = lappend_oid(checked, databases[i]);
		while (check_some(databases[i], errands, databases, &first, results, &refusal))
			CHECK_FOR_INTERRUPTS();
	}
	if (refusal.place >= 0)
		raise_refusal(&refusal.result);
}

/* ---- the errands that this session waits for ---- */

/* Those of the current transaction, and those that it has committed. */
typedef struct Mine
{
	int64		number;
	SubTransactionId in;		/* InvalidSubTransactionId: committed */
} Mine;

static Mine mine[MOST_WAITED];
static int	n_mine = 0;

static void
note_mine(int64 number)
{
	hear_of_ends();
	if (n_mine < MOST_WAITED)
		mine[n_mine++] = (Mine) {number, GetCurrentSubTransactionId()};
}

void
kwj_errands_control(const KwjErrand *what, const int64 *job_ids, const Oid *databases, int n,
					KwjChecked *results)
{
	KwjActor	actor = kwj_store_actor();
	List	   *errands = NIL;

	for (int i = 0; i < n; i++)
	{
		KwjErrand  *errand = palloc0(sizeof(KwjErrand));

		errand->job_id = job_ids[i];
		errand->deed = what->deed;
		errand->many = what->many;
		errand->all = what->all;
		errand->role = actor.role;
		errand->session = actor.session;
		errand->change = what->change;
		errands = lappend(errands, errand);
	}
	check_all(errands, databases, results);
	for (int i = 0; i < n; i++)
	{
		KwjErrand  *errand = list_nth(errands, i);

		if (results[i].outcome != KWJ_ERRAND_DONE)
			continue;
		errand->reason = what->reason;
		kwj_store_errand(databases[i], errand);
		note_mine(errand->number);
	}
}

static void
warn(const KwjErrandLeft *errand)
{
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s has had no effect in database \"%s\": %s",
					kwj_deed_text(errand->deed, errand->job_id), kwj_database_name(errand->database),
					errand->error ? errand->error : ""),
			 errand->hint ? errhint("%s", errand->hint) : 0));
}

static void
warn_of_all(List *left)
{
	ListCell   *lc;
	int			n_warned = 0;
	int			n_under_way = 0;

	foreach(lc, left)
	{
		const KwjErrandLeft *errand = lfirst(lc);

		if (!errand->refused)
			n_under_way++;
		else if (n_warned++ < MOST_WARNINGS)
			warn(errand);
	}
	if (n_under_way > 0)
		ereport(WARNING,
				(errmsg_plural("%d control statement for a job of another database has had no effect yet",
							   "%d control statements for jobs of other databases have had no effect yet",
							   n_under_way, n_under_way),
				 errhint("SELECT * FROM kwjobs.errands shows why; they are tried again.")));
}

static bool
is_any_under_way(List *left)
{
	ListCell   *lc;

	foreach(lc, left)
		if (!((const KwjErrandLeft *) lfirst(lc))->refused)
			return true;
	return false;
}

/* Removes the errands that are committed; *numbers gets them. Returns how many these are. */
static int
take_committed(int64 *numbers)
{
	int			n = 0;
	int			kept = 0;

	for (int i = 0; i < n_mine; i++)
		if (mine[i].in == InvalidSubTransactionId)
			numbers[n++] = mine[i].number;
		else
			mine[kept++] = mine[i];
	n_mine = kept;
	return n;
}

void
kwj_errands_wait(void)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kwj_silence_ms);
	int64	   *numbers;
	List	   *left;
	int			n;

	if (n_mine == 0)
		return;
	numbers = palloc(sizeof(int64) * n_mine);
	n = take_committed(numbers);
	if (n == 0)
		return;
	/* The coordinator wakes those who wait for the number of an errand when it is over. */
	ConditionVariablePrepareToSleep(kwj_wait_place(numbers[n - 1]));
	for (;;)
	{
		long		ms;

		left = kwj_store_errands_left(numbers, n);
		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
		if (!is_any_under_way(left) || ms <= 0)
			break;
		ConditionVariableTimedSleep(kwj_wait_place(numbers[n - 1]), ms,
									kwj_wait_event("KwjobsAnswer"));
	}
	ConditionVariableCancelSleep();
	warn_of_all(left);
}

/* ---- the ends of transactions ---- */

static void
at_transaction_end(XactEvent event, void *arg)
{
	int			kept = 0;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	found = NULL;
	for (int i = 0; i < n_mine; i++)
	{
		if (event == XACT_EVENT_COMMIT)
			mine[i].in = InvalidSubTransactionId;
		if (mine[i].in == InvalidSubTransactionId)
			mine[kept++] = mine[i];
	}
	n_mine = kept;
}

/* Subtransactions are numbered in the order in which they begin. */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId which, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (n_mine > 0 && mine[n_mine - 1].in != InvalidSubTransactionId && mine[n_mine - 1].in >= which)
		n_mine--;
}

static void
hear_of_ends(void)
{
	static bool registered = false;

	kwj_at_transaction_end(&registered, at_transaction_end, at_subtransaction_end);
}
