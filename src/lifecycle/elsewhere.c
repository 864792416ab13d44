/*
 * src/lifecycle/elsewhere.c
 *	  Jobs of the other databases of this server.
 *
 * Process: sessions. Locks: AccessShareLock on pg_database, for a moment; kwj_shared->lock for
 * moments. doc/developers/server_list.md draws who asks whom.
 *
 * The coordinators of the other databases check what this session's role may see. Their answers are
 * data: lengths are checked, texts are converted from the other encoding, and no name in them is
 * looked up. If the session is canceled or ends while it waits, it frees its place in shared memory
 * (shared/ask.c), and PostgreSQL detaches it from the segment.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "compat.h"
#include "job/databases.h"
#include "job/encoding.h"
#include "job/errand.h"
#include "job/json.h"
#include "job/texts.h"
#include "lifecycle/admin.h"
#include "lifecycle/elsewhere.h"
#include "miscadmin.h"
#include "shared/ask.h"
#include "shared/init.h"
#include "shared/quiet.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* The session asks at most KWJ_ASKED databases at the same time; this is one such round. */
typedef struct Round
{
	const Oid  *databases;
	int			n;
	shm_mq_handle **queues;		/* NULL: this database has answered, or cannot any more */
	int			left;			/* number of databases of which an answer can still come */
	MemoryContext answer;		/* for one answer; it is reset after each */
	KwjQuestionKind kind;
	const KwjTake *take;
} Round;

/* ---- answers ---- */

/*
 * Warns that a database is left out, or raises an error in a session that waits (take->is_wait).
 * silent: the database has not answered, and a session that waits asks it again. reason: a sentence
 * without its period.
 */
static void
left_out(const Round *round, Oid dboid, bool silent, const char *reason, const char *hint)
{
	char	   *name;

	/* A database that was dropped meanwhile is not missed. */
	AcceptInvalidationMessages();
	name = get_database_name(dboid);
	if (name == NULL)
		return;
	if (round->take->left_out != NULL)
		(*round->take->left_out)++;
	if (silent && round->take->is_wait)
		return;
	ereport(round->take->is_wait ? ERROR : WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the jobs of database \"%s\" are left out: %s", name, reason),
			 errhint("%s", hint)));
}

/*
 * Takes the next text out of an answer, of which *left bytes are left. NULL: what the answer says of
 * its length is wrong.
 */
static char *
take_text(const char **data, Size *left, int encoding)
{
	int32		length;
	char	   *text;

	if (*left < sizeof(length))
		return NULL;
	memcpy(&length, *data, sizeof(length));
	*data += sizeof(length);
	*left -= sizeof(length);
	if (length < 0 || *left < length)
		return NULL;
	text = pnstrdup(*data, length);
	*data += length;
	*left -= length;
	return kwj_text_from_encoding(text, encoding);
}

/* Reports that the database has more rows than the n that it has sent; raises an error for KWJ_ASK_ALL. */
static void
report_more(KwjQuestionKind kind, const char *database, int n)
{
	if (kind == KWJ_ASK_ALL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("database \"%s\" has more than %d such jobs", database, n),
				 errhint("Connect to that database and type the statement there, or name the jobs of a type.")));
	else if (kind == KWJ_ASK_MESSAGES)
		ereport(WARNING,
				(errmsg("only the first %d messages are shown", n),
				 errhint("For the others, connect to database \"%s\".", database)));
	else
		ereport(WARNING,
				(errmsg("only the first %d jobs of database \"%s\" are shown", n, database),
				 errhint("For the others, connect to that database and type SHOW JOBS, or set kwjobs.show_window to a shorter time.")));
}

static void
take_jobs(const Round *round, Oid dboid, const KwjAnswer *head, const char *data, Size left)
{
	char	   *database = get_database_name(dboid);

	/* The database was dropped meanwhile. */
	if (database == NULL)
		return;
	for (int i = 0; i < head->n_rows; i++)
	{
		char	   *json = take_text(&data, &left, head->encoding);

		if (json == NULL)
			elog(ERROR, "broken answer of database \"%s\"", database);
		round->take->job(dboid, database, json, round->take->arg);
	}
	if (head->more)
		report_more(round->kind, database, head->n_rows);
}

/* Takes the results of a check, and converts their texts, whose lengths are bounded. */
static void
take_results(const Round *round, Oid dboid, const KwjAnswer *head, const char *data, Size size)
{
	if (round->take->result == NULL || head->n_rows < 0 ||
		size != (Size) head->n_rows * sizeof(KwjErrandResult))
		elog(ERROR, "broken answer of database %u", dboid);
	for (int i = 0; i < head->n_rows; i++)
	{
		KwjErrandResult result;

		memcpy(&result, data + (Size) i * sizeof(result), sizeof(result));
		kwj_errand_result_from_encoding(&result, head->encoding);
		round->take->result(dboid, i, &result, round->take->arg);
	}
}

static void
take_answer(const Round *round, Oid dboid, const char *data, Size size)
{
	KwjAnswer	head;
	char	   *error;

	if (size < sizeof(head))
		elog(ERROR, "broken answer of database %u", dboid);
	memcpy(&head, data, sizeof(head));
	data += sizeof(head);
	size -= sizeof(head);
	switch ((KwjAnswerKind) head.kind)
	{
		case KWJ_ANSWER_JOBS:
			take_jobs(round, dboid, &head, data, size);
			return;
		case KWJ_ANSWER_CHECKED:
			take_results(round, dboid, &head, data, size);
			return;
		case KWJ_ANSWER_NO_EXTENSION:
			return;
		case KWJ_ANSWER_REFUSED:
			left_out(round, dboid, false, psprintf("role \"%s\" does not have the admin role of the server",
									 GetUserNameFromId(GetUserId(), false)),
					 "What counts is kwjobs.admin_role as it is set in that database, or for the server.");
			return;
		case KWJ_ANSWER_FAILED:
			error = take_text(&data, &size, head.encoding);
			left_out(round, dboid, false, error ? error : "its coordinator met an error",
					 "The server's log has the whole error.");
			return;
	}
	elog(ERROR, "unknown kind of answer of database %u: %d", dboid, head.kind);
}

/* ---- asking ---- */

static void
note_silence(const Round *round, Oid dboid)
{
	left_out(round, dboid, true, "its coordinator did not answer in time",
			 "Try again, or connect to that database and type SHOW JOBS. To list only the jobs of this database, set kwjobs.scope to database.");
}

/* Takes the answer of database i, if it is complete. Returns whether anything has come. */
static bool
look_at(Round *round, int i)
{
	Size		size;
	void	   *data;
	MemoryContext caller;

	switch (shm_mq_receive(round->queues[i], &size, &data, true))
	{
		case SHM_MQ_WOULD_BLOCK:
			return false;
		case SHM_MQ_SUCCESS:
			caller = MemoryContextSwitchTo(round->answer);
			take_answer(round, round->databases[i], data, size);
			MemoryContextSwitchTo(caller);
			MemoryContextReset(round->answer);
			/* This frees the buffer into which the answer was received. */
			shm_mq_detach(round->queues[i]);
			break;
		case SHM_MQ_DETACHED:
			note_silence(round, round->databases[i]);
			break;
	}
	round->queues[i] = NULL;
	round->left--;
	return true;
}

static bool
look_at_all(Round *round)
{
	bool		any = false;

	for (int i = 0; i < round->n; i++)
		if (round->queues[i] != NULL && look_at(round, i))
			any = true;
	return any;
}

/* Waits until the latch is set; returns false if the time is over. */
static bool
wait_until(TimestampTz until)
{
	long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

	if (ms <= 0)
		return false;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					 kwj_wait_event("KwjobsAnswer"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	return true;
}

/*
 * Takes the answers as they come. If the server has more databases than places for coordinators, a
 * coordinator that has answered leaves, and the next one begins in its place. So the session counts
 * kwj_silence_ms from the last answer of any database, and not from its question. There is an end to
 * that, so that databases which answer slowly cannot keep it for ever. It warns of each database that
 * has not answered.
 */
static void
collect(Round *round)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz end = TimestampTzPlusMilliseconds(now, kwj_longest_ask_ms);
	TimestampTz until = Min(TimestampTzPlusMilliseconds(now, kwj_silence_ms), end);

	while (round->left > 0)
	{
		if (look_at_all(round))
			until = Min(TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kwj_silence_ms), end);
		else if (!wait_until(until))
			break;
	}
	for (int i = 0; i < round->n; i++)
		if (round->queues[i] != NULL)
			note_silence(round, round->databases[i]);
}

static void
end_ask(int code, Datum place)
{
	kwj_ask_end(DatumGetInt32(place));
}

static void
report_no_place(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("too many sessions list or control the jobs of the whole server now"),
			 errhint("Try again, or type SET kwjobs.scope = database to list the jobs of this database.")));
}

/* Asks the databases of one round, and takes their answers. */
static void
ask(Round *round, const KwjQuestion *question, const StringInfoData *errands)
{
	dsm_segment *segment = kwj_ask_prepare(question, errands, round->n, &round->queues);
	int			place = kwj_ask_begin(segment, round->databases, round->n);

	if (place < 0 && !round->take->is_wait)
		report_no_place();
	/* For a session that waits, this is as if nobody had answered: it asks again. */
	if (place < 0)
	{
		for (int i = 0; i < round->n; i++)
			note_silence(round, round->databases[i]);
		dsm_detach(segment);
		return;
	}
	round->left = round->n;
	PG_ENSURE_ERROR_CLEANUP(end_ask, Int32GetDatum(place));
	{
		collect(round);
	}
	PG_END_ENSURE_ERROR_CLEANUP(end_ask, Int32GetDatum(place));
	kwj_ask_end(place);
	dsm_detach(segment);
}

Oid *
kwj_other_databases(int *n)
{
	List	   *all = kwj_connectable_databases();
	Oid		   *others = palloc(sizeof(Oid) * Max(list_length(all), 1));
	ListCell   *lc;

	*n = 0;
	foreach(lc, all)
		if (lfirst_oid(lc) != MyDatabaseId)
			others[(*n)++] = lfirst_oid(lc);
	kwj_ask_leave_out_without(others, n);
	return others;
}

void
kwj_ask_databases(const KwjQuestion *question, const StringInfoData *errands, const Oid *databases,
				  int n, const KwjTake *take)
{
	MemoryContext answer = AllocSetContextCreate(CurrentMemoryContext, "kwjobs answer",
												 ALLOCSET_DEFAULT_SIZES);

	for (int first = 0; first < n; first += KWJ_ASKED)
	{
		Round		round = {
			.databases = databases + first,
			.n = Min(KWJ_ASKED, n - first),
			.answer = answer,
			.kind = question->kind,
			.take = take,
		};

		ask(&round, question, errands);
	}
	MemoryContextDelete(answer);
}

/* Returns whether this session wants the jobs of all databases, and has the right to see them. */
static bool
wants_all(void)
{
	return kwj_scope == KWJ_SCOPE_SERVER && kwj_is_admin();
}

bool
kwj_may_ask(void)
{
	return wants_all() && kwj_shared_ready() && !RecoveryInProgress();
}

void
kwj_jobs_elsewhere(bool automatic, const int64 *job_ids, int n, const KwjTake *take)
{
	KwjQuestion *question = palloc0(sizeof(KwjQuestion));
	Oid		   *databases;
	int			n_databases;

	if (wants_all() && RecoveryInProgress())
		ereport(WARNING,
				(errmsg("only the jobs of this database are shown, because the server is a standby"),
				 errhint("Connect to the other databases, or to the primary.")));
	if (!kwj_may_ask())
		return;
	question->kind = KWJ_ASK_JOBS;
	question->role = GetUserId();
	question->automatic = automatic;
	question->window = kwj_show_window;
	question->n_ids = -1;
	databases = kwj_other_databases(&n_databases);
	if (n < 0)
	{
		kwj_quiet_leave_out(databases, &n_databases,
							GetCurrentTransactionStartTimestamp() - kwj_show_window * USECS_PER_SEC);
		kwj_ask_databases(question, NULL, databases, n_databases, take);
	}
	/* As many ids at a time as a question can have. */
	for (int first = 0; first < n; first += KWJ_ASKED_IDS)
	{
		question->n_ids = Min(KWJ_ASKED_IDS, n - first);
		memcpy(question->ids, job_ids + first, sizeof(int64) * question->n_ids);
		kwj_ask_databases(question, NULL, databases, n_databases, take);
	}
}

/* The context of the caller, and what was found. */
typedef struct Found
{
	MemoryContext context;
	char	   *database;
} Found;

static void
note_database(Oid database, const char *name, const char *job, void *arg)
{
	Found	   *found = arg;

	found->database = MemoryContextStrdup(found->context, name);
}

const char *
kwj_database_of(int64 job_id)
{
	Found		found = {CurrentMemoryContext, NULL};
	KwjTake		take = {.job = note_database, .arg = &found};

	kwj_jobs_elsewhere(false, &job_id, 1, &take);
	return found.database;
}

/* ---- one job ---- */

/* The outcome that is asked for, and the context for its texts. */
typedef struct Outcome
{
	KwjOutcome *outcome;
	MemoryContext context;
	bool		found;
} Outcome;

static double
fraction_of(Jsonb *job)
{
	char	   *text = kwj_json_text_or_null(job, "fraction");

	return text ? Min(Max(strtod(text, NULL), 0), 1) : 0;
}

/* Returns the SQLSTATE, packed; 0: none. */
static int
error_code_of(Jsonb *job)
{
	const char *code = kwj_json_text_or_null(job, "error_code");

	return code && strlen(code) == 5 ? MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4]) : 0;
}

static Jsonb *
result_of(Jsonb *job)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&job->root, "result", strlen("result"), NULL);

	return value ? JsonbValueToJsonb(value) : NULL;
}

static void
note_outcome(Oid database, const char *name, const char *text, void *arg)
{
	Outcome    *found = arg;
	KwjOutcome *outcome = found->outcome;
	MemoryContext caller = MemoryContextSwitchTo(found->context);
	Jsonb	   *job = kwj_json_parse(text);
	char	   *error = kwj_json_text_or_null(job, "error");
	List	   *tags = kwj_json_texts(job, "tags");

	found->found = true;
	outcome->status = kwj_status_from_name(kwj_json_text(job, "status"));
	outcome->over = kwj_json_bool_or_false(job, "over") || kwj_status_is_terminal(outcome->status);
	outcome->rows = kwj_json_int64_or(job, "rows", 0);
	outcome->fraction = fraction_of(job);
	outcome->running_status = kwj_json_text_or_null(job, "running_status");
	outcome->error_code = error_code_of(job);
	outcome->error = error ? error : pstrdup("");
	outcome->error_detail = kwj_json_text_or_null(job, "error_detail");
	outcome->error_hint = kwj_json_text_or_null(job, "error_hint");
	outcome->error_context = kwj_json_text_or_null(job, "error_context");
	outcome->returned.tags = tags == NIL ? NULL : kwj_array_of_texts(tags);
	outcome->returned.result = result_of(job);
	MemoryContextSwitchTo(caller);
}

KwjSeenElsewhere
kwj_outcome_elsewhere(int64 job_id, Oid database, KwjOutcome *outcome)
{
	KwjQuestion *question = palloc0(sizeof(KwjQuestion));
	Outcome		found = {outcome, CurrentMemoryContext, false};
	int			left_out = 0;
	KwjTake		take = {.job = note_outcome, .arg = &found, .left_out = &left_out, .is_wait = true};

	memset(outcome, 0, sizeof(*outcome));
	outcome->elsewhere = true;
	/* Look for the database itself: asking for one that was dropped takes a second. */
	AcceptInvalidationMessages();
	if (get_database_name(database) == NULL)
		return KWJ_SEEN_GONE;
	question->kind = KWJ_ASK_OUTCOME;
	question->role = GetUserId();
	question->n_ids = 1;
	question->ids[0] = job_id;
	kwj_ask_databases(question, NULL, &database, 1, &take);
	pfree(question);
	return found.found ? KWJ_SEEN : left_out > 0 ? KWJ_SEEN_SILENT : KWJ_SEEN_GONE;
}

bool
kwj_read_elsewhere(KwjQuestionKind kind, int64 job_id, Oid database, KwjTakeJob take_row, void *arg)
{
	KwjQuestion *question = palloc0(sizeof(KwjQuestion));
	int			left_out = 0;
	KwjTake		take = {.job = take_row, .arg = arg, .left_out = &left_out, .is_wait = true};

	AcceptInvalidationMessages();
	if (get_database_name(database) == NULL)
		return false;
	question->kind = kind;
	question->role = GetUserId();
	question->n_ids = 1;
	question->ids[0] = job_id;
	kwj_ask_databases(question, NULL, &database, 1, &take);
	pfree(question);
	if (left_out > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" has not told of its job " INT64_FORMAT, kwj_database_name(database), job_id),
				 errhint("Try again, or connect to that database and call the function there.")));
	return true;
}
