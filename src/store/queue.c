/*
 * src/store/queue.c
 *	  Queues with a limit: how many of their jobs may run at the same time.
 *
 * Callers: the coordinator in its full passes (fill); sessions, for kwjobs.set_queue.
 *
 *     due ---enter (line.c)---> waits for a place -----fill-----> ready ---> runs ---> over
 *                               queued = t                        (a place)            |
 *                               due = infinity                       |                 |
 *                                    ^                               v                 |
 *                                    +------ it waits for its next attempt, ...        |
 *                                                                                      |
 *                                    the coordinator is woken, and fills the queue <---+
 *
 * A job has a place in its queue while it has a rank or an active attempt. A job of a queue with a
 * limit gets its rank only here, so there are never more of them than the limit says; those that
 * wait are in no index that is read for jobs that may start. A job whose attempt ends gives up its
 * place, but not its time in column "queued", which is its place in the order.
 *
 * Only the coordinator gives places, so it need not lock anything to count them. The owners take
 * turns: the next place is for a job of the owner who has the fewest places in this queue, among
 * equals for the job that has waited longest. One look is at OWNERS_STEP owners at most. If more of
 * them wait, they stand in a circle, by their OIDs, and each look begins behind the last owner of the
 * look before. So no owner is left out, however many jobs the others submit. Where the next look
 * begins is in this process's memory: the coordinator's successor begins with the first owner.
 *
 * A queue that is held (kwjobs.hold) has a row here, too, and no free place. Those of its jobs that
 * are ready are taken back; a claim that comes first is given back by the worker (worker/held.c).
 *
 * A job may have become ready just before its queue got the limit, or in a transaction that did not
 * see the limit yet: its rank is taken back. If it runs already, it counts.
 *
 * Locks: rows of kwjobs.job, FOR NO KEY UPDATE SKIP LOCKED, until the end of the transaction. If a
 * process dies, its transaction is rolled back, and nothing has happened.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "shared/wakeup.h"
#include "store/due.h"
#include "store/query.h"
#include "store/queue.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* How many jobs of a queue whose limit was taken away get a place in one pass. */
#define STEP				1000
/* This many jobs are tried beyond the free places, as other transactions may have locked some. */
#define MORE_TRIED			100
/* How many owners share the places that are free. */
#define OWNERS_STEP			1000

/*
 * Reads the queues. free: how many jobs may get a place now; $1 for a queue without a limit. waits:
 * some jobs wait for a place. strangers: some jobs have a rank that the coordinator has to take
 * back, because they did not wait for a place or because the queue is held.
 */
static KwjQuery queues_query = {
	"SELECT q.name, q.held, CASE WHEN q.held THEN 0 ELSE coalesce(q.max_running - (SELECT count(*) FROM (SELECT FROM kwjobs.job AS r"
	"   WHERE r.queue = q.name AND " KWJ_HAS_PLACE("r") " LIMIT q.max_running) AS r), $1)::integer END AS free,"
	" EXISTS (SELECT FROM kwjobs.job AS w WHERE w.queue = q.name AND " KWJ_QUEUED("w") ") AS waits,"
	" (q.max_running IS NOT NULL OR q.held) AND EXISTS (SELECT FROM kwjobs.job AS s WHERE s.queue = q.name"
	"  AND " KWJ_HAS_PLACE("s") " AND s.rank IS NOT NULL AND (s.queued IS NULL OR q.held)) AS strangers"
	" FROM (SELECT n.name, n.max_running, " KWJ_QUEUE_IS_HELD("n.name") " AS held FROM kwjobs.queue AS n) AS q",
	1, {INT4OID}
};

/*
 * Reads up to $3 owners of whom jobs wait in queue $1, in the order of their OIDs: first those behind
 * $2, then the others. wrapped: the last owner of all was passed; the row in which it becomes true has
 * no owner. Each step is a look into the index, as an owner may have millions of jobs there.
 */
static KwjQuery owners_query = {
	"WITH RECURSIVE owners (owner, n, wrapped) AS ("
	" VALUES ($2, 0, false)"
	" UNION ALL"
	" SELECT coalesce(f.owner, 0::oid), o.n + (f.owner IS NOT NULL)::integer, o.wrapped OR f.owner IS NULL"
	" FROM owners AS o LEFT JOIN LATERAL (SELECT j.owner::oid AS owner FROM kwjobs.job AS j"
	"  WHERE j.queue = $1 AND " KWJ_QUEUED("j") " AND j.owner > o.owner"
	"   AND j.owner <= CASE WHEN o.wrapped THEN $2 ELSE '4294967295'::oid END ORDER BY j.owner LIMIT 1) AS f ON true"
	" WHERE o.n < $3 AND (f.owner IS NOT NULL OR NOT o.wrapped))"
	" SELECT o.owner FROM owners AS o WHERE o.n > 0 AND o.owner <> 0 ORDER BY o.n",
	3, {TEXTOID, OIDOID, INT4OID}
};

/*
 * Gives places in queue $1 to $2 jobs of the owners $5. $3: seconds that one step of priority counts
 * for. $4: how many jobs to try. nth: the job's turn among those of its owner, after those that have a
 * place.
 */
static KwjQuery fill_query = {
	"WITH offered AS MATERIALIZED ("
	" SELECT h.job_id, h.queued, h.nth + (SELECT count(*) FROM kwjobs.job AS r WHERE r.queue = $1"
	"   AND r.owner = o.owner AND " KWJ_HAS_PLACE("r") ") AS nth"
	" FROM unnest($5) AS o (owner) CROSS JOIN LATERAL (SELECT w.job_id, w.queued, row_number() OVER () AS nth"
	"  FROM (SELECT j.job_id, j.queued FROM kwjobs.job AS j WHERE j.queue = $1 AND j.owner = o.owner"
	"   AND " KWJ_QUEUED("j") " ORDER BY j.queued, j.job_id LIMIT $4) AS w) AS h),"
	" chosen AS MATERIALIZED ("
	" SELECT l.* FROM (SELECT o.job_id FROM offered AS o ORDER BY o.nth, o.queued, o.job_id LIMIT $4) AS c"
	" CROSS JOIN LATERAL (SELECT k.job_id, k.queued, k.rank, k.active_attempt, k.status, k.due"
	"  FROM kwjobs.job AS k WHERE k.job_id = c.job_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS l"
	" WHERE " KWJ_QUEUED("l") " LIMIT $2)"
	" UPDATE kwjobs.job AS j SET due = j.queued, rank = " KWJ_RANK("j.queued", "j", "$3")
	" FROM chosen AS c WHERE j.job_id = c.job_id",
	5, {TEXTOID, INT4OID, INT4OID, INT4OID, OIDARRAYOID}
};

/*
 * Takes the rank of at most $2 jobs of queue $1 away: of jobs that never waited for a place and, if
 * $3, of those that have one, too. The former are due still, and enter the queue in the next pass;
 * the latter wait again at their old place.
 */
static KwjQuery take_back_query = {
	"UPDATE kwjobs.job AS j SET rank = NULL,"
	" due = CASE WHEN j.queued IS NULL THEN j.due ELSE 'infinity' END FROM ("
	" SELECT l.job_id FROM (SELECT s.job_id FROM kwjobs.job AS s WHERE s.queue = $1"
	"   AND " KWJ_HAS_PLACE("s") " AND s.rank IS NOT NULL AND (s.queued IS NULL OR $3) LIMIT $2) AS t"
	" CROSS JOIN LATERAL (SELECT k.job_id, k.rank FROM kwjobs.job AS k WHERE k.job_id = t.job_id LIMIT 1"
	"  FOR NO KEY UPDATE SKIP LOCKED) AS l WHERE l.rank IS NOT NULL) AS l"
	" WHERE j.job_id = l.job_id",
	3, {TEXTOID, INT4OID, BOOLOID}
};

/* $2: NULL: no limit. $3: the current user. */
static KwjQuery set_query = {
	"INSERT INTO kwjobs.queue (name, max_running, changed, changed_by) VALUES ($1, $2, clock_timestamp(), $3)"
	" ON CONFLICT (name) DO UPDATE SET max_running = excluded.max_running, changed = excluded.changed,"
	"  changed_by = excluded.changed_by",
	3, {TEXTOID, INT4OID, OIDOID}
};

static KwjQuery note_query = {
	"INSERT INTO kwjobs.queue (name, changed, changed_by) VALUES ($1, clock_timestamp(), $2)"
	" ON CONFLICT (name) DO NOTHING",
	2, {TEXTOID, OIDOID}
};

static KwjQuery count_query = {
	"SELECT count(*) AS n FROM kwjobs.queue", 0, {0}
};

/* A queue as queues_query has found it. */
typedef struct Queue
{
	char	   *name;
	int			free;
	bool		waits;
	bool		strangers;
	bool		held;
} Queue;

static Queue *
read_queues(int *n)
{
	Datum		values[1] = {Int32GetDatum(STEP)};
	Queue	   *queues;

	*n = (int) kwj_query_run(&queues_query, values, NULL, false);
	queues = palloc(sizeof(Queue) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		queues[i].name = kwj_row_text_or_empty(i, "name", CurrentMemoryContext);
		queues[i].free = kwj_row_int32(i, "free");
		queues[i].waits = kwj_row_bool(i, "waits");
		queues[i].held = kwj_row_bool(i, "held");
		queues[i].strangers = kwj_row_bool(i, "strangers");
	}
	return queues;
}

/* A queue in which jobs of more than OWNERS_STEP owners wait. */
typedef struct Circle
{
	char	   *name;
	Oid			last;			/* the next look begins behind this owner */
} Circle;

static List *circles = NIL;		/* of Circle, in TopMemoryContext */

static Circle *
find_circle(const char *name)
{
	ListCell   *lc;

	foreach(lc, circles)
		if (strcmp(((Circle *) lfirst(lc))->name, name) == 0)
			return lfirst(lc);
	return NULL;
}

static void
forget_circle(Circle *circle)
{
	circles = list_delete_ptr(circles, circle);
	pfree(circle->name);
	pfree(circle);
}

/* Notes the last owner of a look that was not at all owners. */
static void
note_last(Circle *circle, const char *name, Oid last)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (circle == NULL)
	{
		circle = palloc(sizeof(Circle));
		circle->name = pstrdup(name);
		circles = lappend(circles, circle);
	}
	circle->last = last;
	MemoryContextSwitchTo(old);
}

/* Returns the owners whose turn it is, an oid[]. *all: no others wait. */
static ArrayType *
next_owners(const char *name, bool *all)
{
	Circle	   *circle = find_circle(name);
	Datum		values[3] = {CStringGetTextDatum(name),
		ObjectIdGetDatum(circle != NULL ? circle->last : InvalidOid), Int32GetDatum(OWNERS_STEP)};
	int			n = (int) kwj_query_run(&owners_query, values, NULL, false);
	Datum	   *owners = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		owners[i] = ObjectIdGetDatum(kwj_row_oid(i, "owner"));
	*all = n < OWNERS_STEP;
	if (!*all)
		note_last(circle, name, DatumGetObjectId(owners[n - 1]));
	else if (circle != NULL)
		forget_circle(circle);
	return construct_array(owners, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
}

/* Gives the places that are free to jobs that wait. Returns how many have got one. *more: others may have one, too. */
static int
fill_queue(const Queue *queue, bool *more)
{
	int			places = Min(queue->free, STEP);
	bool		all;
	ArrayType  *owners = next_owners(queue->name, &all);
	Datum		values[5] = {CStringGetTextDatum(queue->name), Int32GetDatum(places),
		Int32GetDatum(kwj_priority_ageing), Int32GetDatum(places + MORE_TRIED), PointerGetDatum(owners)};
	int			n = (int) kwj_query_run(&fill_query, values, NULL, false);

	*more = n == STEP || (n > 0 && n < places && !all);
	return n;
}

static bool
take_back(const char *name, bool all)
{
	Datum		values[3] = {CStringGetTextDatum(name), Int32GetDatum(STEP), BoolGetDatum(all)};

	return kwj_query_run(&take_back_query, values, NULL, false) > 0;
}

KwjFilled
kwj_store_fill_queues(void)
{
	KwjStoreScope scope;
	Queue	   *queues;
	int			n;
	KwjFilled	filled = {0};

	kwj_store_enter(&scope);
	queues = read_queues(&n);
	for (int i = 0; i < n; i++)
	{
		if (queues[i].strangers)
			filled.taken_back |= take_back(queues[i].name, queues[i].held);
		else if (queues[i].waits && queues[i].free > 0)
		{
			bool		more;

			filled.any |= fill_queue(&queues[i], &more) > 0;
			filled.more |= more;
		}
	}
	kwj_store_leave(&scope);
	return filled;
}

static void
check_count(void)
{
	kwj_query_run(&count_query, NULL, NULL, false);
	if (kwj_row_int64(0, "n") > KWJ_MOST_QUEUES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many queues have a limit, or had one"),
				 errdetail("There can be %d.", KWJ_MOST_QUEUES),
				 errhint("Use fewer queues; jobs of a tenant run one at a time with serial_key.")));
}

void
kwj_store_note_queue(const char *name)
{
	KwjStoreScope scope;
	Datum		values[2] = {CStringGetTextDatum(name), ObjectIdGetDatum(GetUserId())};

	kwj_store_enter(&scope);
	kwj_query_run(&note_query, values, NULL, false);
	check_count();
	kwj_store_leave(&scope);
}

void
kwj_store_set_queue(const char *name, int max_running)
{
	KwjStoreScope scope;
	Oid			role = GetUserId();
	Datum		values[3] = {CStringGetTextDatum(name), Int32GetDatum(max_running), ObjectIdGetDatum(role)};
	char		nulls[3] = {' ', max_running < 0 ? 'n' : ' ', ' '};

	kwj_store_enter(&scope);
	kwj_query_run(&set_query, values, nulls, false);
	check_count();
	/*
	 * Jobs that are ready lose their place, and keep their time: the coordinator gives places
	 * anew, so that a lower limit counts at once. Jobs that run go on.
	 */
	while (max_running >= 0 && take_back(name, true))
		CHECK_FOR_INTERRUPTS();
	kwj_store_leave(&scope);
	/* no single job has changed: wake all who wait for one, and the coordinator */
	kwj_wakeup_at_end(0);
}
