/*
 * src/store/line.c
 *	  The lines of jobs with the same serial key, of which one runs at a time.
 *
 * Callers: the coordinator in its passes (enter, pass_turns, free_lines); the process that ends a
 * job (pass_turn, from end.c); sessions that make a job leave its line before it is over
 * (note_leaving, from jobs.c and again.c).
 *
 *                      enter                    turn              end
 *     due, not in line -----> parked in line ----------> ready, ------> over, and in line
 *              |                                ^        runs,              |
 *              |  enter, the line is empty      |        waits, ...         | pass_turns
 *              +--------------------------------|----------^                v
 *                                               |                     over, not in line
 *                                               +--- the next in line <-----+
 *
 * A job is in line while column "line" is set. The order in line is that of (line, job_id). Only
 * the coordinator sets "line", always to a later time than that of the last in line, so nobody
 * enters before another. The first in line has the turn; it stays the first, whatever it waits for,
 * until it is over. The others are parked: their due time is infinity, so that they are in no index
 * that is read for jobs that may start.
 *
 * Why no turn is lost, and none is given twice:
 *
 * - A job that is over stays in line, and so stays the first, until its turn is passed on. Index
 *   job_left_line has these jobs; the coordinator reads it in each full pass. One transaction takes
 *   the job out of the line and gives the turn to the next. So whatever ends a job (a cancel, a
 *   broken row, a failed dependency) need not know of lines.
 * - Because that costs a pass and one more version of the job's row, the process that ends an
 *   attempt passes the turn on itself (kwj_store_pass_turn), if the next in line is parked and its
 *   row not locked, or if there is none. Otherwise it leaves the job in line, as above.
 * - That process has locked the row of the ending job before it looks for the next, and the
 *   coordinator locks that row before it parks a job behind it. So one of the two sees the other.
 *   If the coordinator finds the row locked, it parks nobody; the end of that transaction wakes it.
 *
 * A job that leaves its line before it is over (it is replaced, or put off to a later time), or
 * that is deleted before its turn was passed on, leaves a row in kwjobs.left_line, by which the
 * coordinator looks at the line again.
 *
 * Locks: rows of kwjobs.job, FOR NO KEY UPDATE SKIP LOCKED, until the end of the transaction. If
 * the row of the next in line is locked, all stays as it is; the end of that transaction wakes the
 * coordinator. If a process dies, its transaction is rolled back, and nothing has happened.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "job/status.h"
#include "miscadmin.h"
#include "shared/slots.h"
#include "shared/wakeup.h"
#include "store/line.h"
#include "store/query.h"
#include "store/queue.h"
#include "store/table.h"
#include "utils/builtins.h"

/*
 * The rank of a job that gets the turn: the time at which it entered the line, less its priority. A
 * job of a queue, or with a window, gets no rank here. It only becomes due; then the coordinator gives
 * it a rank, lets it wait for a place in its queue, or puts it off.
 */
#define TURN_RANK(j, ageing) \
	"CASE WHEN " j ".queue IS NULL AND " j ".window IS NULL THEN " KWJ_RANK(j ".line", j, ageing) " END"

/* Whether the job has a serial key and is to enter its line once it is due: index job_to_enter. */
#define TO_ENTER(j) \
	j ".serial_key IS NOT NULL AND " j ".line IS NULL AND " j ".rank IS NULL AND " \
	j ".active_attempt IS NULL AND " j ".status IN ('pending', 'reverting')"

/* How many jobs of a serial key enter its line along with one that does. */
#define ENTER_STEP	100

/*
 * $1: the present time. $2: the jobs. $3: seconds that one step of priority counts for. $4: how
 * many other jobs to take for each serial key.
 *
 * A job of a queue without a serial key is in no line, and is treated as the first of its own. The
 * first of a line gets a rank, or waits for a place if its queue has a limit or is held.
 *
 * Jobs enter a line in the order of (due, id). So others of the same key that may enter, too, are
 * taken along (ids); and a job does not enter before one that could not be taken, because its row
 * is locked or there are too many (n_behind counts these jobs).
 *
 * A job that is not to be the first is parked only if the row of the first could be locked, and
 * shows that it is still in line: so that job cannot end unseen. n_ended: how many could not be
 * parked because the first has left the line meanwhile. locked: the firsts whose rows other
 * transactions have locked, so that jobs could not be parked.
 *
 * "BETWEEN key AND key" is "= key", but with an order by the key, too. So the jobs of the key are
 * read from index job_to_enter, not out of all that are due from job_waiting.
 */
static KwjQuery enter_query = {
	"WITH asked AS MATERIALIZED ("
	" SELECT DISTINCT k.owner, k.serial_key FROM unnest($2) AS n (job_id) CROSS JOIN LATERAL ("
	"  SELECT j.owner, j.serial_key FROM kwjobs.job AS j WHERE j.job_id = n.job_id LIMIT 1) AS k"
	" WHERE k.serial_key IS NOT NULL),"
	" ids AS MATERIALIZED ("
	" SELECT n.job_id FROM unnest($2) AS n (job_id) UNION"
	" SELECT e.job_id FROM asked AS a CROSS JOIN LATERAL (SELECT j.job_id FROM kwjobs.job AS j"
	"  WHERE j.owner = a.owner AND j.serial_key BETWEEN a.serial_key AND a.serial_key"
	"   AND " TO_ENTER("j") " AND j.due <= $1"
	"  ORDER BY j.serial_key, j.due, j.job_id LIMIT $4) AS e),"
	" mine AS MATERIALIZED ("
	" SELECT l.* FROM ids AS n CROSS JOIN LATERAL ("
	"  SELECT k.job_id, k.owner, k.serial_key, k.line, k.rank, k.active_attempt, k.status, k.due,"
	"   k.queue FROM kwjobs.job AS k WHERE k.job_id = n.job_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS l"
	" WHERE l.rank IS NULL AND l.active_attempt IS NULL AND l.status IN ('pending', 'reverting')"
	"  AND l.due <= $1 AND (l.serial_key IS NOT NULL OR l.queue IS NOT NULL)),"
	" numbered AS MATERIALIZED ("
	" SELECT m.*, row_number() OVER (PARTITION BY m.owner, m.serial_key ORDER BY m.due, m.job_id) AS nth"
	" FROM mine AS m),"
	" looked AS MATERIALIZED ("
	" SELECT n.*, first_value(f.job_id) OVER w AS first_in_line, first_value(n.job_id) OVER w AS lowest,"
	"  first_value(z.line) OVER w AS last,"
	"  first_value(b.due) OVER w AS barred_from, first_value(b.job_id) OVER w AS barred_by"
	" FROM numbered AS n"
	" LEFT JOIN LATERAL (SELECT j.job_id FROM kwjobs.job AS j WHERE n.nth = 1 AND j.owner = n.owner"
	"  AND j.serial_key = n.serial_key AND j.line IS NOT NULL ORDER BY j.line, j.job_id LIMIT 1) AS f ON true"
	" LEFT JOIN LATERAL (SELECT j.line FROM kwjobs.job AS j WHERE n.nth = 1 AND j.owner = n.owner"
	"  AND j.serial_key = n.serial_key AND j.line IS NOT NULL"
	"  ORDER BY j.owner DESC, j.serial_key DESC, j.line DESC, j.job_id DESC LIMIT 1) AS z ON true"
	" LEFT JOIN LATERAL (SELECT j.due, j.job_id FROM kwjobs.job AS j WHERE n.nth = 1 AND j.owner = n.owner"
	"  AND j.serial_key BETWEEN n.serial_key AND n.serial_key AND " TO_ENTER("j") " AND j.due <= $1"
	"  AND j.job_id NOT IN (SELECT o.job_id FROM mine AS o)"
	"  ORDER BY j.serial_key, j.due, j.job_id LIMIT 1) AS b ON true"
	" WINDOW w AS (PARTITION BY n.owner, n.serial_key ORDER BY n.nth)),"
	" seen AS MATERIALIZED ("
	" SELECT l.job_id, l.line, l.serial_key IS NOT NULL AS serial, CASE WHEN l.serial_key IS NULL"
	"   THEN l.job_id ELSE coalesce(l.first_in_line, l.lowest) END AS first,"
	"  l.line IS NULL AND coalesce((l.barred_from, l.barred_by) < (l.due, l.job_id), false) AS behind,"
	"  " KWJ_QUEUE_HAS_LIMIT("l.queue") " AS limited,"
	"  greatest($1, l.last) + l.nth * interval '1 microsecond' AS next"
	" FROM looked AS l),"
	" firsts AS MATERIALIZED ("
	" SELECT l.* FROM (SELECT DISTINCT s.first FROM seen AS s WHERE s.job_id <> s.first) AS d"
	" CROSS JOIN LATERAL ("
	"  SELECT k.job_id, k.line FROM kwjobs.job AS k WHERE k.job_id = d.first LIMIT 1"
	"  FOR NO KEY UPDATE SKIP LOCKED) AS l),"
	" held AS MATERIALIZED (SELECT l.job_id FROM firsts AS l WHERE l.line IS NOT NULL"
	"  UNION ALL SELECT s.job_id FROM seen AS s WHERE s.job_id = s.first),"
	" entered AS ("
	" UPDATE kwjobs.job AS j SET line = CASE WHEN s.serial THEN coalesce(s.line, s.next) END,"
	"  due = CASE WHEN s.job_id = s.first AND NOT s.limited THEN j.due ELSE 'infinity' END,"
	"  queued = CASE WHEN s.job_id = s.first AND s.limited THEN coalesce(j.queued, j.due) END,"
	"  rank = CASE WHEN s.job_id = s.first AND NOT s.limited THEN " KWJ_RANK("j.due", "j", "$3") " END"
	" FROM seen AS s WHERE j.job_id = s.job_id AND NOT s.behind"
	"  AND s.first IN (SELECT h.job_id FROM held AS h) RETURNING j.job_id)"
	" SELECT (SELECT count(*) FROM entered) AS n_entered, count(*) FILTER (WHERE s.behind) AS n_behind,"
	"  count(*) FILTER (WHERE NOT s.behind AND s.first IN (SELECT l.job_id FROM firsts AS l)) AS n_ended,"
	"  array_agg(DISTINCT s.first) FILTER (WHERE NOT s.behind"
	"   AND s.first NOT IN (SELECT l.job_id FROM firsts AS l)) AS locked"
	" FROM seen AS s WHERE s.behind OR s.first NOT IN (SELECT h.job_id FROM held AS h)",
	4, {TIMESTAMPTZOID, INT8ARRAYOID, INT4OID, INT4OID}
};

/*
 * The common part of the next two queries. The query before it defines CTE leaving: the jobs whose
 * turn is to be passed on. seen: for each, the first job in line without them (next_id), and
 * whether it is parked (waits). given: those of the parked jobs whose rows could be locked; they
 * get the turn. stuck: jobs whose next one is locked; they keep their place. $3: seconds that one
 * step of priority counts for.
 */
#define GIVE_TURNS \
	" seen AS MATERIALIZED (" \
	" SELECT l.job_id, n.job_id AS next_id, coalesce(" KWJ_PARKED("n") ", false) AS waits" \
	" FROM leaving AS l LEFT JOIN LATERAL (SELECT i.* FROM kwjobs.job AS i" \
	"  WHERE i.owner = l.owner AND i.serial_key = l.serial_key AND i.line IS NOT NULL" \
	"  AND (i.finished IS NULL OR i.job_id NOT IN (SELECT o.job_id FROM leaving AS o))" \
	"  ORDER BY i.line, i.job_id LIMIT 1) AS n ON true)," \
	" given AS MATERIALIZED (" \
	" SELECT l.* FROM (SELECT DISTINCT s.next_id FROM seen AS s WHERE s.waits) AS d" \
	" CROSS JOIN LATERAL (SELECT k.job_id, k.line, k.rank, k.active_attempt, k.status, k.due," \
	"   k.queued FROM kwjobs.job AS k WHERE k.job_id = d.next_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS l)," \
	" turns AS (" \
	" UPDATE kwjobs.job AS j SET due = j.line, rank = " TURN_RANK("j", "$3") \
	" FROM given AS g WHERE j.job_id = g.job_id AND " KWJ_PARKED("g") ")," \
	" stuck AS MATERIALIZED (" \
	" SELECT s.job_id FROM seen AS s" \
	" WHERE s.waits AND s.next_id NOT IN (SELECT g.job_id FROM given AS g))"

/*
 * Both queries return how many entries they read, the id of the last one, and for how many entries
 * the turn was passed on.
 */
#define COUNT_TURNS \
	" SELECT count(*) AS n_read, max(w.job_id) AS last, (SELECT count(*) FROM gone) AS n_passed" \
	" FROM behind AS w"

/* $1: behind this id. $2: at most this many jobs. $4: this job only; NULL: all. */
static KwjQuery pass_turns_query = {
	"WITH behind AS MATERIALIZED ("
	" SELECT j.job_id FROM kwjobs.job AS j WHERE j.line IS NOT NULL AND j.finished IS NOT NULL"
	"  AND j.job_id > $1 AND ($4 IS NULL OR j.job_id = $4) ORDER BY j.job_id LIMIT $2),"
	" leaving AS MATERIALIZED ("
	" SELECT l.job_id, l.owner, l.serial_key FROM behind AS b CROSS JOIN LATERAL ("
	"  SELECT k.job_id, k.owner, k.serial_key, k.line, k.finished FROM kwjobs.job AS k"
	"  WHERE k.job_id = b.job_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS l"
	" WHERE l.line IS NOT NULL AND l.finished IS NOT NULL)," GIVE_TURNS ","
	" gone AS (UPDATE kwjobs.job AS j SET line = NULL FROM leaving AS l WHERE j.job_id = l.job_id"
	"  AND l.job_id NOT IN (SELECT s.job_id FROM stuck AS s) RETURNING j.job_id)" COUNT_TURNS,
	4, {INT8OID, INT4OID, INT4OID, INT8OID}
};

/* The same arguments. The rows are deleted only if the turn was passed on. */
static KwjQuery free_lines_query = {
	"WITH behind AS MATERIALIZED ("
	" SELECT f.job_id, f.owner, f.serial_key FROM kwjobs.left_line AS f"
	"  WHERE f.job_id > $1 AND ($4 IS NULL OR f.job_id = $4) ORDER BY f.job_id LIMIT $2),"
	" leaving AS MATERIALIZED (SELECT b.job_id, b.owner, b.serial_key FROM behind AS b)," GIVE_TURNS ","
	" gone AS (DELETE FROM kwjobs.left_line AS f USING (SELECT DISTINCT l.job_id FROM leaving AS l) AS l"
	"  WHERE f.job_id = l.job_id AND l.job_id NOT IN (SELECT s.job_id FROM stuck AS s)"
	"  RETURNING f.job_id)" COUNT_TURNS,
	4, {INT8OID, INT4OID, INT4OID, INT8OID}
};

static KwjQuery note_leaving_query = {
	"INSERT INTO kwjobs.left_line (job_id, owner, serial_key)"
	" SELECT j.job_id, j.owner, j.serial_key FROM kwjobs.job AS j"
	" WHERE j.job_id = $1 AND j.line IS NOT NULL AND j.serial_key IS NOT NULL",
	1, {INT8OID}
};

/* Returns whether both lists have the same jobs, in the same order. */
static bool
are_same(KwjJobs a, KwjJobs b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.ids, b.ids, sizeof(int64) * a.n) == 0);
}

/*
 * The coordinator runs the query again if the first in line has left the line since the query's
 * snapshot. If other transactions have locked the rows of firsts in line, the coordinator asks the
 * workers of these jobs to wake it (kwj_shared_watch_jobs), and runs the query once more, because a
 * worker may have committed before it was asked. Jobs behind a row that is still locked then are
 * left to a later pass: the worker or the session that has the lock wakes the coordinator for it.
 */
int
kwj_store_enter_lines(KwjJobs jobs, TimestampTz now, bool *unfinished)
{
	Datum		values[4] = {TimestampTzGetDatum(now), kwj_jobs_arg(jobs.ids, jobs.n),
	Int32GetDatum(kwj_priority_ageing), Int32GetDatum(ENTER_STEP)};
	int			n_entered = 0;
	KwjJobs		watched = {NULL, 0};

	for (;;)
	{
		KwjJobs		locked;

		kwj_query_run(&enter_query, values, NULL, false);
		n_entered += (int) kwj_row_int64(0, "n_entered");
		*unfinished |= kwj_row_int64(0, "n_behind") > 0;
		locked = kwj_row_jobs(0, "locked", CurrentMemoryContext);
		if (kwj_row_int64(0, "n_ended") == 0 && are_same(locked, watched))
			return n_entered;
		if (locked.n > 0)
			kwj_shared_watch_jobs(locked.ids, locked.n);
		watched = locked;
		CHECK_FOR_INTERRUPTS();
	}
}

/* Returns whether the row that was found is parked: see KWJ_PARKED. */
static bool
is_parked(KwjTable *jobs)
{
	bool		isnull;
	char	   *name;
	KwjStatus	status = kwj_table_get_status(jobs, &name);

	return !kwj_table_is_null(jobs, "line") && kwj_table_is_null(jobs, "rank") &&
		kwj_table_is_null(jobs, "active_attempt") &&
		(status == KWJ_PENDING || status == KWJ_REVERTING) &&
		DatumGetTimestampTz(kwj_table_get(jobs, "due", &isnull)) == DT_NOEND &&
		kwj_table_is_null(jobs, "queued");
}

/*
 * Gives the turn to the parked job, whose row this transaction has locked and read. A job of a
 * queue, or with a window, gets no rank: the coordinator gives it one, or lets it wait. A
 * revert is not offered to the workers, as only the coordinator claims it.
 */
static void
give_turn(KwjTable *jobs)
{
	bool		isnull;
	TimestampTz line = kwj_table_get_int64(jobs, "line");
	TimestampTz rank = kwj_rank(line, kwj_table_get_int32(jobs, "priority"));
	int64		job_id = kwj_table_get_int64(jobs, "job_id");
	Oid			owner = DatumGetObjectId(kwj_table_get(jobs, "owner", &isnull));
	char	   *job_type = TextDatumGetCString(kwj_table_get(jobs, "job_type", &isnull));
	bool		ready = kwj_table_is_null(jobs, "queue") && kwj_table_is_null(jobs, "window");
	char	   *name;

	kwj_table_change_row(jobs);
	kwj_table_set(jobs, "due", TimestampTzGetDatum(line));
	if (ready)
		kwj_table_set(jobs, "rank", TimestampTzGetDatum(rank));
	if (ready && kwj_table_get_status(jobs, &name) == KWJ_PENDING)
		kwj_wakeup_offer_at_end(job_id, owner, job_type, rank);
	else
		kwj_wakeup_at_end(job_id);
	kwj_table_update(jobs);
}

/*
 * Finds the first job, without job `except`, in the line of this owner and serial key (a text).
 * Locks nothing. Returns false if there is none.
 */
static bool
find_in_line(KwjTable *jobs, Oid owner, Datum serial_key, int64 except)
{
	KwjKey		keys[] = {
		{1, BTEqualStrategyNumber, ObjectIdGetDatum(owner)},
		{2, BTEqualStrategyNumber, serial_key}
	};
	bool		found;

	kwj_table_begin_scan(jobs, "job_line", keys, lengthof(keys));
	do
		found = kwj_table_next(jobs);
	while (found && kwj_table_get_int64(jobs, "job_id") == except);
	kwj_table_end_scan(jobs);
	return found;
}

/*
 * Gives the turn to the job behind this one. Returns true if it got the turn or if there is no such
 * job; false if the coordinator has to pass the turn on.
 */
static bool
pass_turn(KwjTable *jobs, int64 job_id)
{
	bool		isnull;
	Oid			owner = DatumGetObjectId(kwj_table_get(jobs, "owner", &isnull));
	TimestampTz line = kwj_table_get_int64(jobs, "line");
	Datum		key = PointerGetDatum(DatumGetTextPCopy(kwj_table_get(jobs, "serial_key", &isnull)));

	if (!find_in_line(jobs, owner, key, job_id))
		return true;
	/*
	 * A worker has opened the table for rows of jobs that run or are over. An error of the other
	 * job's row must not undo the end of this one, and a user's index could raise one.
	 */
	if (!kwj_table_allow_all_rows(jobs) || kwj_table_may_refuse(jobs))
		return false;
	/* if this job was not the first, somebody has changed the rows by hand */
	if (!is_parked(jobs) || kwj_table_get_int64(jobs, "line") < line ||
		!kwj_table_lock_found(jobs, LockWaitSkip) || !is_parked(jobs))
		return false;
	give_turn(jobs);
	return true;
}

bool
kwj_store_pass_turn(KwjTable *jobs, int64 job_id)
{
	ItemPointerData place = kwj_table_row_place(jobs);
	Datum		key[1] = {Int64GetDatum(job_id)};
	bool		passed;

	/* In a serializable transaction, reading the line would cause conflicts. */
	passed = !IsolationIsSerializable() && pass_turn(jobs, job_id);
	if (!passed)
		kwj_wakeup_at_end(job_id);
	/* this transaction has locked the row already */
	if (!kwj_table_find(jobs, key, &place))
		elog(ERROR, "job " INT64_FORMAT " has disappeared", job_id);
	return passed;
}

/* Runs one of the two queries for the window, and moves its position. */
static void
take_window(KwjQuery *query, KwjWindow *window)
{
	KwjStoreScope scope;
	Datum		values[4] = {Int64GetDatum(window->first), Int32GetDatum(window->limit),
	Int32GetDatum(kwj_priority_ageing), Int64GetDatum(window->only)};
	char		nulls[4] = {' ', ' ', ' ', window->only == 0 ? 'n' : ' '};

	kwj_store_enter(&scope);
	kwj_query_run(query, values, nulls, false);
	window->n_read = (int) kwj_row_int64(0, "n_read");
	window->fruitful = kwj_row_int64(0, "n_passed") > 0;
	if (window->n_read > 0)
		window->first = kwj_row_int64(0, "last");
	kwj_store_leave(&scope);
}

void
kwj_store_pass_turns(KwjWindow *window)
{
	take_window(&pass_turns_query, window);
}

void
kwj_store_free_lines(KwjWindow *window)
{
	take_window(&free_lines_query, window);
}

void
kwj_store_note_leaving(int64 job_id)
{
	(void) kwj_query_run_for(&note_leaving_query, job_id);
}
