/*
 * src/shared/listeners.c
 *	  NOTIFY when a job is over, for those who LISTEN to its channel.
 *
 * Process: whatever ends a job: the worker, the coordinator, a session (kwjobs.close). src/store
 * calls kwj_listeners_tell() for jobs that have a channel. The notice goes out with the commit that
 * ends the job, once, or not at all if that is rolled back:
 *
 *     tell --> noted --before the commit--> NOTIFY --commit--> listeners
 *                |   \
 *                |    coordinator, if others hold the lock or the queue is full: at a later commit
 *                rolled back: forgotten
 *
 * Locks: PostgreSQL's lock of all transactions that send notifications, from before the commit
 * until it is done. PostgreSQL would take it itself, a moment later. Taking it here says whether
 * the queue has room, as nobody else adds to it meanwhile. A holder may have to wait for a standby,
 * so a coordinator takes the lock only if it is free: it must be able to end other jobs.
 *
 * A full queue is PostgreSQL's error, and would undo the job's work and its end. So notices for
 * which there is little room are not sent: the worker and the session drop them, with a warning;
 * the coordinator keeps them for a while.
 *
 * All state is in this process. If it dies before the commit, the job is not over, and another
 * process ends it and tells. If a coordinator dies that has kept notices, these are lost. As with
 * any NOTIFY, a listener that is not connected at that moment does not get the notice later.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/async.h"
#include "fmgr.h"
#include "job/transaction.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "shared/listeners.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"

/*
 * At most this many bytes of an error are sent. In JSON a byte may become six, and a payload must
 * be shorter than 8000 bytes.
 */
#define LONGEST_ERROR	1000
/* A coordinator keeps at most this many notices. */
#define MOST_KEPT		10000
/*
 * The size of PostgreSQL's queue in pages before version 17; since then the default of
 * max_notify_queue_pages.
 */
#define QUEUE_PAGES		1048576
/* What an entry of the queue has beside its texts, at most. */
#define ENTRY_HEADER	32
/*
 * A coordinator's delay before it tries again: it doubles from the first number up to the second.
 */
#define FIRST_RETRY_MS		50
#define LONGEST_RETRY_MS	5000

typedef struct Noted
{
	char	   *channel;		/* both in TopMemoryContext */
	char	   *payload;
	SubTransactionId in;		/* the subtransaction that has ended the job */
	/* handed to PostgreSQL, or dropped, in the current transaction, which has not committed yet */
	bool		sent;
	bool		committed;		/* the job is over, and this was not sent then */
	struct Noted *next;
} Noted;

static Noted *first = NULL;		/* in the order in which the jobs have ended */
static Noted **end = &first;
static int	n_noted = 0;
static bool never_wait = false;
static int	retry_ms = 0;		/* 0: the last try has sent all notices */
static TimestampTz retry_at = DT_NOEND;

/* ---- noting ---- */

static void
append_text(StringInfo json, const char *name, const char *text)
{
	appendStringInfo(json, ", \"%s\": ", name);
	if (text == NULL || text[0] == '\0')
		appendStringInfoString(json, "null");
	else
		escape_json(json, text);
}

static char *
payload_of(const KwjNotice *notice)
{
	StringInfoData json;
	const char *error = notice->error;

	if (error != NULL)
		error = pnstrdup(error, pg_mbcliplen(error, (int) strnlen(error, 2 * LONGEST_ERROR),
											 LONGEST_ERROR));
	initStringInfo(&json);
	appendStringInfo(&json, "{\"job_id\": " INT64_FORMAT ", \"status\": \"%s\"", notice->job_id,
					 notice->status);
	append_text(&json, "error_code", notice->error_code);
	append_text(&json, "error", error);
	appendStringInfoChar(&json, '}');
	return json.data;
}

static bool
is_of_subtransaction(const Noted *noted, SubTransactionId in)
{
	return !noted->committed && noted->in >= in;
}

static bool
is_not_committed(const Noted *noted, SubTransactionId in)
{
	return !noted->committed;
}

static bool
is_sent(const Noted *noted, SubTransactionId in)
{
	return noted->sent;
}

/* Forgets the notices of this kind. Allocates nothing. */
static void
forget(bool (*is_of_kind) (const Noted *noted, SubTransactionId in), SubTransactionId in)
{
	Noted	  **place = &first;

	while (*place != NULL)
	{
		Noted	   *noted = *place;

		if (!is_of_kind(noted, in))
		{
			place = &noted->next;
			continue;
		}
		*place = noted->next;
		pfree(noted->channel);
		pfree(noted->payload);
		pfree(noted);
		n_noted--;
	}
	end = place;
}

/* ---- sending ---- */

/* Takes the lock that each transaction which sends notifications holds while it commits. */
static bool
take_lock(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, InvalidOid, 0);
	return LockAcquire(&tag, AccessExclusiveLock, false, never_wait) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Returns how many bytes of notifications certainly find room in the queue. An entry may leave up
 * to half a page free behind it, and this file fills nine tenths of the queue at most.
 */
static double
room(void)
{
	const char *setting = GetConfigOption("max_notify_queue_pages", true, false);
	double		pages = setting ? strtod(setting, NULL) : QUEUE_PAGES;
	double		used = DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage, (Datum) 0));

	return (0.9 - used) * pages * BLCKSZ / 2;
}

/* Hands notices to PostgreSQL, as many as find room. Returns whether these are all. */
static bool
send_all(void)
{
	double		left = room();

	for (Noted *noted = first; noted != NULL; noted = noted->next)
	{
		left -= strlen(noted->channel) + strlen(noted->payload) + ENTRY_HEADER;
		if (left < 0)
			return false;
		Async_Notify(noted->channel, noted->payload);
		noted->sent = true;
	}
	return true;
}

/* Some notices were not sent. A coordinator keeps them, unless there are very many. */
static void
keep_or_drop(void)
{
	int			n_dropped = 0;

	for (Noted *noted = first; noted != NULL; noted = noted->next)
		if (!noted->sent && (!never_wait || n_noted - n_dropped > MOST_KEPT))
		{
			noted->sent = true;
			n_dropped++;
		}
	if (n_dropped > 0)
		ereport(LOG,
				(errmsg("%d notifications of ended jobs were not sent", n_dropped),
				 errdetail("PostgreSQL's queue of notifications has no room."),
				 errhint("A session that listens does not read, or is in a transaction. SELECT pg_notification_queue_usage() tells how full the queue is.")));
}

/* Sends what is noted. Runs just before the transaction commits. */
static void
before_commit(void)
{
	bool		all = take_lock() && send_all();

	if (!all)
		keep_or_drop();
	retry_ms = all ? 0 : Min(Max(2 * retry_ms, FIRST_RETRY_MS), LONGEST_RETRY_MS);
}

/* ---- the ends of transactions ---- */

static void
note_commit(void)
{
	forget(is_sent, InvalidSubTransactionId);
	for (Noted *noted = first; noted != NULL; noted = noted->next)
		noted->committed = true;
	retry_at = first == NULL ? DT_NOEND :
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), retry_ms);
}

static void
note_abort(void)
{
	forget(is_not_committed, InvalidSubTransactionId);
	for (Noted *noted = first; noted != NULL; noted = noted->next)
		noted->sent = false;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (first == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			before_commit();
			break;
		case XACT_EVENT_COMMIT:
			note_commit();
			break;
		case XACT_EVENT_ABORT:
			note_abort();
			break;
		default:
			break;
	}
}

/* Subtransactions are numbered in the order in which they begin. */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
					  void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && first != NULL)
		forget(is_of_subtransaction, mine);
}

void
kwj_listeners_never_wait(void)
{
	never_wait = true;
}

TimestampTz
kwj_listeners_due(void)
{
	return first == NULL ? DT_NOEND : retry_at;
}

void
kwj_listeners_tell(const KwjNotice *notice)
{
	static bool registered = false;
	size_t		length = strlen(notice->channel);
	MemoryContext caller;
	Noted	   *noted;
	char	   *payload;

	if (length == 0 || length > KWJ_LONGEST_CHANNEL)
		return;
	kwj_at_transaction_end(&registered, at_transaction_end, at_subtransaction_end);
	payload = payload_of(notice);
	caller = MemoryContextSwitchTo(TopMemoryContext);
	noted = palloc0(sizeof(Noted));
	noted->channel = pstrdup(notice->channel);
	noted->payload = pstrdup(payload);
	MemoryContextSwitchTo(caller);
	noted->in = GetCurrentSubTransactionId();
	*end = noted;
	end = &noted->next;
	n_noted++;
}
