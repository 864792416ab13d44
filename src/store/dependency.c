/*
 * src/store/dependency.c
 *	  Dependencies between jobs: which of them are met.
 *
 * Callers: the coordinator, in its passes; the worker or the coordinator, in the transaction that
 * ends a job (kwj_store_tell_dependents, from end.c) or after it (from src/lifecycle/broken.c); and
 * a session that retries a job (kwj_store_take_back_end, from again.c).
 *
 * One row of kwjobs.dependency, "job_id waits for depends_on":
 *
 *     INSERT (session, jobs.c)
 *        |
 *        v   coordinator looks: the other job is not over
 *      fresh ------------------------------------------------> not fresh, status NULL
 *        |                                                            |
 *        | coordinator looks: it is over, or gone                     | the other job ends: its
 *        v                                                            v transaction marks the row
 *      marked: status = succeeded | failed | canceled | revert-failed | gone
 *        |
 *        +-- succeeded: the row is deleted; if it was the job's last, the job gets a due time
 *        +-- otherwise: the job fails, after all its dependencies are deleted
 *
 * Locks: to look at fresh rows the coordinator locks the other job FOR SHARE SKIP LOCKED until its
 * commit. So that job cannot end between the look and the commit; if it ends later, its transaction
 * sees the row. To act on marked rows, the coordinator locks the waiting job FOR NO KEY UPDATE SKIP
 * LOCKED. The row of a job is always locked before the rows of its dependencies. The coordinator
 * skips a row that another transaction has locked, and is woken at the end of that transaction: a
 * session always wakes the coordinator, and a worker does if the coordinator has asked for that
 * (kwj_shared_watch_jobs). Only the process that ends a job waits for the locks on the dependencies
 * on this job.
 *
 * Many rows: a role may have hundreds of thousands of dependencies. Each call reads a window, and
 * all queries look up what they need by indexes, so their cost grows with the window only. If more
 * than KWJ_TELL_STEP dependencies are on a job that ends, the id of the job goes into
 * kwjobs.untold, and the coordinator marks the rows step by step.
 *
 * Errors: an error in marking the rows of other jobs must not undo the end of this one. So the rows
 * are marked in a subtransaction; if that fails, the coordinator searches for dependencies on jobs
 * that are over (KWJ_LIST_OVERLOOKED in break.h) and makes them fresh again.
 *
 * If a process dies before its commit, nothing has changed.
 *
 * The wish for such a search is kept in shared memory only (kwj_shared_take_overlooked), and only
 * while the database has a coordinator. So each coordinator searches when it has started.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/isolate.h"
#include "job/status.h"
#include "job/texts.h"
#include "shared/job_id.h"
#include "shared/slots.h"
#include "shared/wakeup.h"
#include "store/dependency.h"
#include "store/due.h"
#include "store/over.h"
#include "store/query.h"
#include "store/store.h"
#include "store/table.h"
#include "utils/array.h"
#include "utils/builtins.h"

/*
 * RETRY of a job also makes a job pending again that failed because of it, but only if that one
 * still waited for at most this many jobs when it failed.
 */
#define MOST_NOTED		1000

/* The key of a dependency. */
typedef struct Pair
{
	int64		job_id;
	int64		depends_on;
} Pair;

typedef struct Pairs
{
	Pair	   *pairs;
	int			n;
} Pairs;

/* Behind ($1, $2), for jobs with ids from $3 to $4, at most $5 rows. */
#define WINDOW \
	" AND (d.job_id, d.depends_on) > ($1, $2) AND d.job_id BETWEEN $3 AND $4" \
	" ORDER BY d.job_id, d.depends_on LIMIT $5"

#define WINDOW_ARGS 5, {INT8OID, INT8OID, INT8OID, INT8OID, INT4OID}

static KwjQuery read_fresh_query = {
	"SELECT d.job_id, d.depends_on, d.status FROM kwjobs.dependency AS d WHERE d.fresh" WINDOW,
	WINDOW_ARGS
};

static KwjQuery read_known_query = {
	"SELECT d.job_id, d.depends_on, d.status FROM kwjobs.dependency AS d"
	" WHERE d.status IS NOT NULL" WINDOW,
	WINDOW_ARGS
};

/*
 * Which of the jobs in $1 are over. The lock keeps each from ending before this transaction commits
 * the marks; a process that ends the job later sees the dependency itself.
 */
static KwjQuery lock_needed_query = {
	"SELECT l.job_id, l.finished IS NOT NULL AS over, l.status"
	" FROM unnest($1) AS n (job_id) CROSS JOIN LATERAL ("
	"  SELECT j.job_id, j.finished, j.status FROM kwjobs.job AS j"
	"  WHERE j.job_id = n.job_id FOR SHARE SKIP LOCKED) AS l",
	1, {INT8ARRAYOID}
};

static KwjQuery gone_query = {
	"SELECT n.job_id FROM unnest($1) AS n (job_id)"
	" WHERE NOT EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = n.job_id)",
	1, {INT8ARRAYOID}
};

/* $1, $2: dependencies. $3: for each, the status of the job depended on; NULL: it is not over. */
static KwjQuery mark_fresh_query = {
	"UPDATE kwjobs.dependency AS d SET fresh = false, status = l.status"
	" FROM (SELECT u.job_id, u.depends_on, u.status FROM unnest($1, $2, $3) AS u (job_id, depends_on, status)"
	"  CROSS JOIN LATERAL (SELECT FROM kwjobs.dependency AS f WHERE f.job_id = u.job_id"
	"   AND f.depends_on = u.depends_on AND f.fresh FOR UPDATE SKIP LOCKED) AS f) AS l"
	" WHERE d.job_id = l.job_id AND d.depends_on = l.depends_on",
	3, {INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID}
};

/*
 * Locks the jobs in $1, which depend on others, unless they run. over: the job has ended, so its
 * dependencies have to go.
 */
static KwjQuery lock_dependent_query = {
	"SELECT l.job_id, l.finished IS NOT NULL AS over"
	" FROM unnest($1) AS n (job_id) CROSS JOIN LATERAL ("
	"  SELECT j.job_id, j.finished FROM kwjobs.job AS j WHERE j.job_id = n.job_id"
	"   AND (j.active_attempt IS NULL OR j.finished IS NOT NULL)"
	"  FOR NO KEY UPDATE SKIP LOCKED) AS l",
	1, {INT8ARRAYOID}
};

static KwjQuery forget_pairs_query = {
	"DELETE FROM kwjobs.dependency AS d"
	" USING (SELECT u.job_id, u.depends_on FROM unnest($1, $2) AS u (job_id, depends_on)"
	"  CROSS JOIN LATERAL (SELECT FROM kwjobs.dependency AS f WHERE f.job_id = u.job_id"
	"   AND f.depends_on = u.depends_on FOR UPDATE SKIP LOCKED) AS f) AS l"
	" WHERE d.job_id = l.job_id AND d.depends_on = l.depends_on",
	2, {INT8ARRAYOID, INT8ARRAYOID}
};

/* Deletes up to $3 dependencies of the jobs in $1, leaving those on the job in $2. */
static KwjQuery forget_some_query = {
	"DELETE FROM kwjobs.dependency AS d"
	" USING (SELECT f.job_id, f.depends_on FROM unnest($1, $2) AS u (job_id, kept)"
	"  CROSS JOIN LATERAL (SELECT s.job_id, s.depends_on FROM (SELECT r.job_id, r.depends_on"
	"    FROM kwjobs.dependency AS r WHERE r.job_id = u.job_id AND r.depends_on <> u.kept"
	"    ORDER BY r.depends_on LIMIT $3) AS t"
	"   CROSS JOIN LATERAL (SELECT l.job_id, l.depends_on FROM kwjobs.dependency AS l"
	"    WHERE l.job_id = t.job_id AND l.depends_on = t.depends_on FOR UPDATE SKIP LOCKED) AS s) AS f"
	"  LIMIT $3) AS l"
	" WHERE d.job_id = l.job_id AND d.depends_on = l.depends_on",
	3, {INT8ARRAYOID, INT8ARRAYOID, INT4OID}
};

/* Which of the jobs in $1 have dependencies other than the one on the job in $2. */
static KwjQuery with_rest_query = {
	"SELECT u.job_id FROM unnest($1, $2) AS u (job_id, kept) WHERE EXISTS ("
	" SELECT FROM kwjobs.dependency AS d WHERE d.job_id = u.job_id AND d.depends_on <> u.kept)",
	2, {INT8ARRAYOID, INT8ARRAYOID}
};

/*
 * Notes for RETRY (again.c) which jobs the jobs in $1 still wait for; they are about to fail
 * because of the jobs in $2. A job gets only one such row, because later calls, after some of its
 * dependencies are deleted, would not see all. A job with more than $3 dependencies gets none.
 */
static KwjQuery note_failing_query = {
	"INSERT INTO kwjobs.failed_dependency (depends_on, job_id, others)"
	" SELECT u.failed, u.job_id, o.ids FROM unnest($1, $2) AS u (job_id, failed) CROSS JOIN LATERAL ("
	"  SELECT array_agg(r.depends_on) AS ids, count(*) AS n FROM (SELECT d.depends_on"
	"   FROM kwjobs.dependency AS d WHERE d.job_id = u.job_id ORDER BY d.depends_on LIMIT $3 + 1) AS r) AS o"
	" WHERE o.n BETWEEN 1 AND $3 AND NOT EXISTS (SELECT FROM kwjobs.failed_dependency AS f"
	"  WHERE f.job_id = u.job_id) ON CONFLICT DO NOTHING",
	3, {INT8ARRAYOID, INT8ARRAYOID, INT4OID}
};

/* $1, $2: dependencies on jobs that are not over any more, or have succeeded after all. */
static KwjQuery mark_again_query = {
	"UPDATE kwjobs.dependency AS d SET status = NULL, fresh = true"
	" FROM unnest($1, $2) AS u (job_id, depends_on)"
	" WHERE d.job_id = u.job_id AND d.depends_on = u.depends_on",
	2, {INT8ARRAYOID, INT8ARRAYOID}
};

/* Lets the jobs in $1 start, unless they have a dependency left. */
static KwjQuery may_start_query = {
	"UPDATE kwjobs.job AS j SET modified = t.now, due = greatest(j.run_at, t.now)"
	" FROM (SELECT clock_timestamp()) AS t (now)"
	" WHERE j.job_id = ANY ($1) AND NOT EXISTS ("
	"  SELECT FROM kwjobs.dependency AS d WHERE d.job_id = j.job_id)"
	" RETURNING j.job_id",
	1, {INT8ARRAYOID}
};

/*
 * $1: jobs that fail. $2: for each, the job that did not succeed. $3: whether that one was deleted.
 */
static KwjQuery fail_query = {
	"UPDATE kwjobs.job AS j SET status = 'failed', finished = t.now, modified = t.now,"
	"  errored = t.now, error_code = '55000',"
	"  error = 'job ' || u.failed || ', on which this job depends, '"
	"   || CASE WHEN u.gone THEN 'does not exist any more' ELSE 'has not succeeded' END,"
	"  error_hint = CASE WHEN u.gone"
	"   THEN 'Create this job again, without that one in depends_on.'"
	"   ELSE 'To see why, type SHOW JOB ' || u.failed || '; to run both again, RETRY JOB ' || u.failed || '.' END"
	" FROM unnest($1, $2, $3) AS u (job_id, failed, gone), (SELECT clock_timestamp()) AS t (now)"
	" WHERE j.job_id = u.job_id RETURNING" KWJ_OVER_COLUMNS,
	3, {INT8ARRAYOID, INT8ARRAYOID, BOOLARRAYOID}
};

/* Set two arguments: the arrays of job_id and of depends_on. */
static void
pairs_args(const Pairs *list, Datum *values)
{
	int64	   *ids = palloc(sizeof(int64) * Max(list->n, 1));

	for (int i = 0; i < list->n; i++)
		ids[i] = list->pairs[i].job_id;
	values[0] = kwj_jobs_arg(ids, list->n);
	for (int i = 0; i < list->n; i++)
		ids[i] = list->pairs[i].depends_on;
	values[1] = kwj_jobs_arg(ids, list->n);
}

static void
add_pair(Pairs *list, Pair pair)
{
	list->pairs[list->n++] = pair;
}

static Pairs
new_pairs(int most)
{
	Pairs		list = {palloc(sizeof(Pair) * Max(most, 1)), 0};

	return list;
}

/*
 * Read the window's entries, and move its position behind them. *statuses become the entries'
 * statuses, with NULL for an SQL NULL.
 */
static Pairs
read_window(KwjQuery *query, KwjWindow *window, char ***statuses)
{
	Datum		values[5] = {
		Int64GetDatum(window->first), Int64GetDatum(window->second),
		Int64GetDatum(window->only != 0 ? window->only : PG_INT64_MIN),
		Int64GetDatum(window->only != 0 ? window->only : PG_INT64_MAX),
		Int32GetDatum(window->limit)
	};
	int			n = (int) kwj_query_run(query, values, NULL, false);
	Pairs		read = new_pairs(n);

	*statuses = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		Pair		pair = {kwj_row_int64(i, "job_id"), kwj_row_int64(i, "depends_on")};

		add_pair(&read, pair);
		(*statuses)[i] = kwj_row_text(i, "status", CurrentMemoryContext);
	}
	window->n_read = n;
	if (n > 0)
	{
		window->first = read.pairs[n - 1].job_id;
		window->second = read.pairs[n - 1].depends_on;
	}
	return read;
}

/* Returns the jobs depended on, each once, sorted by id. */
static KwjJobs
needed_by(const Pairs *list)
{
	int64	   *ids = palloc(sizeof(int64) * Max(list->n, 1));
	KwjJobs		jobs = {ids, 0};

	for (int i = 0; i < list->n; i++)
		ids[i] = list->pairs[i].depends_on;
	qsort(ids, list->n, sizeof(int64), kwj_job_id_compare);
	for (int i = 0; i < list->n; i++)
		if (jobs.n == 0 || ids[jobs.n - 1] != ids[i])
			ids[jobs.n++] = ids[i];
	return jobs;
}

/* What the coordinator knows of a job that others depend on. */
typedef struct Needed
{
	int64		job_id;
	bool		known;			/* false: another transaction has locked its row */
	char	   *status;			/* how it ended; "gone": it was deleted; NULL: it is not over */
} Needed;

static Needed *
find_needed(Needed *needed, int n, int64 job_id)
{
	/* job_id is the first member, by which the array is sorted */
	return bsearch(&job_id, needed, n, sizeof(Needed), kwj_job_id_compare);
}

/* Lock the rows of these jobs, as far as they are free, and see which of the jobs are over. */
static void
lock_needed(KwjJobs jobs, Needed *needed, int n_needed)
{
	Datum		values[1] = {kwj_jobs_arg(jobs.ids, jobs.n)};
	uint64		n = kwj_query_run(&lock_needed_query, values, NULL, false);

	for (uint64 i = 0; i < n; i++)
	{
		Needed	   *item = find_needed(needed, n_needed, kwj_row_int64(i, "job_id"));

		item->known = true;
		if (kwj_row_bool(i, "over"))
		{
			char	   *status = kwj_row_text(i, "status", CurrentMemoryContext);

			item->status = status ? status : "unknown";
		}
	}
}

static void
find_gone(KwjJobs jobs, Needed *needed, int n_needed)
{
	Datum		values[1] = {kwj_jobs_arg(jobs.ids, jobs.n)};
	uint64		n = kwj_query_run(&gone_query, values, NULL, false);

	for (uint64 i = 0; i < n; i++)
	{
		Needed	   *item = find_needed(needed, n_needed, kwj_row_int64(i, "job_id"));

		item->known = true;
		item->status = "gone";
	}
}

static KwjJobs
unknown_of(const Needed *needed, int n)
{
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	KwjJobs		jobs = {ids, 0};

	for (int i = 0; i < n; i++)
		if (!needed[i].known)
			ids[jobs.n++] = needed[i].job_id;
	return jobs;
}

/*
 * Look at these jobs. If other transactions have locked rows of some, the coordinator asks the
 * workers of these jobs to wake it when their attempts are over (kwj_shared_watch_jobs). Then it
 * looks at them once more, because a worker may have committed before it was asked.
 */
static Needed *
look_at_needed(KwjJobs jobs)
{
	Needed	   *needed = palloc0(sizeof(Needed) * Max(jobs.n, 1));
	KwjJobs		rest;

	for (int i = 0; i < jobs.n; i++)
		needed[i].job_id = jobs.ids[i];
	lock_needed(jobs, needed, jobs.n);
	rest = unknown_of(needed, jobs.n);
	if (rest.n > 0)
	{
		kwj_shared_watch_jobs(rest.ids, rest.n);
		lock_needed(rest, needed, jobs.n);
		rest = unknown_of(needed, jobs.n);
	}
	if (rest.n > 0)
		find_gone(rest, needed, jobs.n);
	return needed;
}

void
kwj_store_look_at_dependencies(KwjWindow *window)
{
	KwjStoreScope scope;
	char	  **statuses;
	Pairs		fresh;
	Pairs		known;
	KwjJobs		jobs;
	Needed	   *needed;
	Datum		values[3];

	kwj_store_enter(&scope);
	fresh = read_window(&read_fresh_query, window, &statuses);
	if (fresh.n > 0)
	{
		known = new_pairs(fresh.n);
		jobs = needed_by(&fresh);
		needed = look_at_needed(jobs);
		for (int i = 0; i < fresh.n; i++)
		{
			Needed	   *item = find_needed(needed, jobs.n, fresh.pairs[i].depends_on);

			if (!item->known)
				continue;
			statuses[known.n] = item->status;
			add_pair(&known, fresh.pairs[i]);
		}
		pairs_args(&known, values);
		values[2] = PointerGetDatum(kwj_array_of_strings((const char *const *) statuses, known.n));
		window->fruitful = known.n > 0 && kwj_query_run(&mark_fresh_query, values, NULL, false) > 0;
	}
	kwj_store_leave(&scope);
}


/* Returns the jobs to which the window's entries belong; the entries come job by job. */
static KwjJobs
dependents_of(const Pairs *list)
{
	int64	   *ids = palloc(sizeof(int64) * Max(list->n, 1));
	KwjJobs		jobs = {ids, 0};

	for (int i = 0; i < list->n; i++)
		if (jobs.n == 0 || ids[jobs.n - 1] != list->pairs[i].job_id)
			ids[jobs.n++] = list->pairs[i].job_id;
	return jobs;
}

/* What follows from the window's entries. */
typedef struct Verdicts
{
	Pairs		forgotten;		/* to be deleted: they are met, or their job is over */
	int64	   *met;			/* jobs of met dependencies; others of theirs may not be met */
	int			n_met;
	Pairs		failing;		/* jobs that fail, each with the job that did not succeed */
	bool	   *gone;			/* for each of failing: the other job was deleted */
} Verdicts;

static void
judge_job(Verdicts *verdicts, const Pairs *list, char **statuses, int first, int last, bool over)
{
	int			failed = -1;

	for (int i = first; i < last && failed < 0; i++)
		if (!over && strcmp(statuses[i], "succeeded") != 0)
			failed = i;
	if (failed >= 0)
	{
		verdicts->gone[verdicts->failing.n] = strcmp(statuses[failed], "gone") == 0;
		add_pair(&verdicts->failing, list->pairs[failed]);
		return;
	}
	for (int i = first; i < last; i++)
		add_pair(&verdicts->forgotten, list->pairs[i]);
	if (!over)
		verdicts->met[verdicts->n_met++] = list->pairs[first].job_id;
}

/* Lock the jobs to which the entries belong, and decide about the jobs that could be locked. */
static Verdicts
judge(const Pairs *list, char **statuses)
{
	Verdicts	verdicts = {
		.forgotten = new_pairs(list->n),
		.met = palloc(sizeof(int64) * Max(list->n, 1)),
		.failing = new_pairs(list->n),
		.gone = palloc(sizeof(bool) * Max(list->n, 1)),
	};
	KwjJobs		jobs = dependents_of(list);
	Datum		values[1] = {kwj_jobs_arg(jobs.ids, jobs.n)};
	uint64		n = kwj_query_run(&lock_dependent_query, values, NULL, false);
	int			first = 0;

	/* the rows come in the order of the array, so both lists have the same order of jobs */
	for (uint64 i = 0; i < n; i++)
	{
		int64		job_id = kwj_row_int64(i, "job_id");
		int			last;

		while (list->pairs[first].job_id != job_id)
			first++;
		for (last = first; last < list->n && list->pairs[last].job_id == job_id; last++)
			;
		judge_job(&verdicts, list, statuses, first, last, kwj_row_bool(i, "over"));
		first = last;
	}
	return verdicts;
}

/* Arm the wake-up for all jobs of the last query's rows. */
static void
wake_for_rows(uint64 n)
{
	for (uint64 i = 0; i < n; i++)
		kwj_wakeup_at_end(kwj_row_int64(i, "job_id"));
}

KwjJobs
kwj_store_forget_dependencies(KwjJobs jobs, const int64 *kept, int limit)
{
	Datum		values[3] = {kwj_jobs_arg(jobs.ids, jobs.n), kwj_jobs_arg(kept, jobs.n),
	Int32GetDatum(limit)};
	KwjJobs		none = {NULL, 0};

	if (jobs.n == 0 || kwj_query_run(&forget_some_query, values, NULL, false) < limit)
		/* dependencies that are left, if any, are locked by a transaction that marks them */
		return none;
	return kwj_rows_ids(kwj_query_run(&with_rest_query, values, NULL, false), "job_id", CurrentMemoryContext);
}

/*
 * Delete the dependencies of these jobs, and then fail the jobs. A job with more dependencies than
 * one call may delete keeps the one because of which it fails, so that the next call finds the job
 * again. Returns whether there is such a job.
 */
static bool
fail_dependents(const Verdicts *verdicts, int limit)
{
	int			n = verdicts->failing.n;
	int64	   *ids = palloc(sizeof(int64) * n);
	int64	   *kept = palloc(sizeof(int64) * n);
	Datum	   *gone = palloc(sizeof(Datum) * n);
	Pairs		ready = new_pairs(n);
	KwjJobs		jobs = {ids, n};
	KwjJobs		rest;
	Datum		values[3];
	uint64		rows;

	for (int i = 0; i < n; i++)
	{
		ids[i] = verdicts->failing.pairs[i].job_id;
		kept[i] = verdicts->failing.pairs[i].depends_on;
	}
	values[0] = kwj_jobs_arg(ids, n);
	values[1] = kwj_jobs_arg(kept, n);
	values[2] = Int32GetDatum(MOST_NOTED);
	kwj_query_run(&note_failing_query, values, NULL, false);
	rest = kwj_store_forget_dependencies(jobs, kept, limit);
	for (int i = 0; i < n; i++)
	{
		if (kwj_jobs_include(rest, ids[i]))
			continue;
		gone[ready.n] = BoolGetDatum(verdicts->gone[i]);
		add_pair(&ready, verdicts->failing.pairs[i]);
	}
	if (ready.n > 0)
	{
		pairs_args(&ready, values);
		kwj_query_run(&forget_pairs_query, values, NULL, false);
		values[2] = PointerGetDatum(construct_array(gone, ready.n, BOOLOID, sizeof(bool), true,
													TYPALIGN_CHAR));
		rows = kwj_query_run(&fail_query, values, NULL, false);
		kwj_store_tell_listeners(rows);
		kwj_store_tell_dependents_of(kwj_rows_ids(rows, "job_id", CurrentMemoryContext), KWJ_FAILED);
	}
	return rest.n > 0;
}

/*
 * Take jobs out of verdicts->failing if the job that they depend on was retried after the
 * dependency was marked. Their dependencies become fresh again.
 *
 * The function locks the jobs depended on. So a session cannot retry one of them before this
 * transaction commits; it then finds the dependents failed, and makes them pending again. If
 * another transaction has locked such a job, its dependents are taken out, too: the end of that
 * transaction wakes the coordinator, which looks again.
 */
static void
leave_out_retried(Verdicts *verdicts)
{
	KwjJobs		jobs = needed_by(&verdicts->failing);
	Needed	   *needed = look_at_needed(jobs);
	Pairs		again = new_pairs(verdicts->failing.n);
	int			n = 0;
	Datum		values[2];

	for (int i = 0; i < verdicts->failing.n; i++)
	{
		Pair		pair = verdicts->failing.pairs[i];
		Needed	   *item = find_needed(needed, jobs.n, pair.depends_on);

		if (!item->known)
			continue;
		if (item->status == NULL || strcmp(item->status, "succeeded") == 0)
		{
			add_pair(&again, pair);
			continue;
		}
		verdicts->gone[n] = verdicts->gone[i];
		verdicts->failing.pairs[n++] = pair;
	}
	verdicts->failing.n = n;
	if (again.n == 0)
		return;
	pairs_args(&again, values);
	kwj_query_run(&mark_again_query, values, NULL, false);
	kwj_wakeup_at_end(again.pairs[0].job_id);
}

void
kwj_store_meet_dependencies(KwjWindow *window)
{
	KwjStoreScope scope;
	KwjWindow	before = *window;
	char	  **statuses;
	Pairs		known;
	Verdicts	verdicts;
	Datum		values[2];

	kwj_store_enter(&scope);
	known = read_window(&read_known_query, window, &statuses);
	if (known.n > 0)
	{
		verdicts = judge(&known, statuses);
		if (verdicts.failing.n > 0)
			leave_out_retried(&verdicts);
		window->fruitful = verdicts.forgotten.n > 0 || verdicts.failing.n > 0;
		if (verdicts.forgotten.n > 0)
		{
			pairs_args(&verdicts.forgotten, values);
			kwj_query_run(&forget_pairs_query, values, NULL, false);
		}
		if (verdicts.n_met > 0)
		{
			values[0] = kwj_jobs_arg(verdicts.met, verdicts.n_met);
			wake_for_rows(kwj_query_run(&may_start_query, values, NULL, false));
		}
		if (verdicts.failing.n > 0 && fail_dependents(&verdicts, window->limit))
		{
			/* the next window begins with these jobs again */
			window->first = before.first;
			window->second = before.second;
			window->n_read = window->limit;
		}
	}
	kwj_store_leave(&scope);
}


/* Counts the jobs that depend on the jobs in $1, up to $2. */
static KwjQuery count_dependents_query = {
	"SELECT count(*) AS n FROM (SELECT FROM unnest($1) AS u (job_id) CROSS JOIN LATERAL ("
	"  SELECT FROM kwjobs.dependency AS d WHERE d.depends_on = u.job_id LIMIT $2) AS d LIMIT $2) AS l",
	2, {INT8ARRAYOID, INT4OID}
};

static KwjQuery tell_query = {
	"UPDATE kwjobs.dependency SET status = $2, fresh = false WHERE depends_on = ANY ($1)",
	2, {INT8ARRAYOID, TEXTOID}
};

static KwjQuery put_down_query = {
	"INSERT INTO kwjobs.untold (job_id, status, told)"
	" SELECT u.job_id, $2, $3 FROM unnest($1) AS u (job_id) ON CONFLICT (job_id) DO NOTHING",
	3, {INT8ARRAYOID, TEXTOID, INT8OID}
};

static KwjQuery next_untold_query = {
	"SELECT u.job_id, u.status, u.told FROM kwjobs.untold AS u WHERE u.job_id > $1"
	" AND ($2 = 0 OR u.job_id = $2) ORDER BY u.job_id LIMIT 1 FOR UPDATE SKIP LOCKED",
	2, {INT8OID, INT8OID}
};

/*
 * $1: a job that is over. $2: its status. $3: the dependencies of jobs up to this id are marked
 * already. $4: how many more to mark.
 */
static KwjQuery tell_some_query = {
	"WITH told AS ("
	" UPDATE kwjobs.dependency AS d SET status = coalesce(d.status, $2), fresh = false"
	" FROM (SELECT r.job_id FROM kwjobs.dependency AS r WHERE r.depends_on = $1 AND r.job_id > $3"
	"  ORDER BY r.job_id LIMIT $4) AS l"
	" WHERE d.job_id = l.job_id AND d.depends_on = $1 RETURNING d.job_id)"
	" SELECT count(*) AS n, max(t.job_id) AS last FROM told AS t",
	4, {INT8OID, TEXTOID, INT8OID, INT4OID}
};

static KwjQuery note_told_query = {
	"UPDATE kwjobs.untold SET told = $2 WHERE job_id = $1", 2, {INT8OID, INT8OID}
};

static KwjQuery all_told_query = {
	"DELETE FROM kwjobs.untold WHERE job_id = $1", 1, {INT8OID}
};

static KwjQuery untell_query = {
	"UPDATE kwjobs.dependency AS d SET status = NULL, fresh = true WHERE d.depends_on = $1",
	1, {INT8OID}
};

typedef struct Telling
{
	KwjJobs		jobs;
	KwjStatus	status;
} Telling;

static void
tell_or_put_down(void *arg)
{
	Telling    *telling = arg;
	Datum		jobs = kwj_jobs_arg(telling->jobs.ids, telling->jobs.n);
	Datum		status = CStringGetTextDatum(kwj_status_name(telling->status));
	Datum		count[2] = {jobs, Int32GetDatum(KWJ_TELL_STEP + 1)};
	Datum		values[3] = {jobs, status, Int64GetDatum(PG_INT64_MIN)};
	int64		n;

	kwj_query_run(&count_dependents_query, count, NULL, false);
	n = kwj_row_int64(0, "n");
	if (n > KWJ_TELL_STEP)
		kwj_query_run(&put_down_query, values, NULL, false);
	else if (n > 0)
		kwj_query_run(&tell_query, values, NULL, false);
}

void
kwj_store_tell_dependents_of(KwjJobs jobs, KwjStatus status)
{
	Telling		telling = {jobs, status};

	for (int i = 0; i < jobs.n; i++)
		kwj_wakeup_at_end(jobs.ids[i]);
	/* an error here concerns the dependent jobs, so it must not undo the end of these jobs */
	if (jobs.n > 0 && kwj_isolate_within(tell_or_put_down, &telling) != NULL)
		kwj_wakeup_overlooked_at_end(jobs.ids[0]);
}

void
kwj_store_tell_waiting(KwjWindow *window)
{
	KwjStoreScope scope;
	Datum		after[2] = {Int64GetDatum(window->first), Int64GetDatum(window->only)};

	kwj_store_enter(&scope);
	window->n_read = 0;
	if (kwj_query_run(&next_untold_query, after, NULL, false) > 0)
	{
		int64		job_id = kwj_row_int64(0, "job_id");
		bool		isnull;
		Datum		values[4] = {
			Int64GetDatum(job_id),
			CStringGetTextDatum(kwj_row_text_or_empty(0, "status", CurrentMemoryContext)),
			kwj_row_datum(0, "told", &isnull), Int32GetDatum(window->limit)
		};

		kwj_query_run(&tell_some_query, values, NULL, false);
		if (kwj_row_int64(0, "n") < window->limit)
		{
			kwj_query_run(&all_told_query, values, NULL, false);
			window->first = job_id;
		}
		else
		{
			values[1] = kwj_row_datum(0, "last", &isnull);
			kwj_query_run(&note_told_query, values, NULL, false);
		}
		kwj_wakeup_at_end(job_id);
		window->fruitful = true;
		/* this job or another one may have more dependencies to mark: do not end the round */
		window->n_read = window->limit;
	}
	kwj_store_leave(&scope);
}

void
kwj_store_stop_telling(int64 job_id)
{
	(void) kwj_query_run_for(&all_told_query, job_id);
	kwj_wakeup_overlooked_at_end(job_id);
}

void
kwj_store_take_back_end(int64 job_id)
{
	(void) kwj_query_run_for(&all_told_query, job_id);
	(void) kwj_query_run_for(&untell_query, job_id);
}

bool
kwj_store_has_dependents(int64 job_id)
{
	return kwj_index_may_have("dependency", "dependency_depends_on", job_id);
}


typedef struct Ended
{
	int64		job_id;
	KwjStatus	status;
} Ended;

/*
 * Note in kwjobs.untold that only the dependencies of jobs with ids up to `told` are marked. The
 * coordinator marks the others.
 */
static void
put_down(const Ended *ended, int64 told)
{
	KwjTable   *untold = kwj_table_open("untold");
	Datum		key[1] = {Int64GetDatum(ended->job_id)};

	/*
	 * If the job ended as revert-failed before, its old row may still be there. That row will do,
	 * as neither end is a success.
	 */
	if (!kwj_table_find(untold, key, NULL))
	{
		kwj_table_new_row(untold);
		kwj_table_set(untold, "job_id", Int64GetDatum(ended->job_id));
		kwj_table_set_status(untold, ended->status);
		kwj_table_set(untold, "told", Int64GetDatum(told));
		kwj_table_insert(untold);
	}
	kwj_table_close(untold);
}

static void
mark_in_table(const Ended *ended)
{
	KwjTable   *dependencies = kwj_table_open("dependency");
	KwjKey		key = {1, BTEqualStrategyNumber, Int64GetDatum(ended->job_id)};
	int			n = 0;

	kwj_table_begin_scan(dependencies, "dependency_depends_on", &key, 1);
	while (kwj_table_lock_next(dependencies))
	{
		kwj_table_change_row(dependencies);
		kwj_table_set_status(dependencies, ended->status);
		kwj_table_set(dependencies, "fresh", BoolGetDatum(false));
		kwj_table_update(dependencies);
		if (++n == KWJ_TELL_STEP)
		{
			put_down(ended, kwj_table_get_int64(dependencies, "job_id"));
			break;
		}
	}
	kwj_table_end_scan(dependencies);
	kwj_table_close(dependencies);
}

/*
 * kwj_store_enter begins a restricted operation, in which PostgreSQL raises an error here if a user
 * has created a deferred trigger on the table. Otherwise the trigger might raise an error at the
 * commit, and so undo the end of this job.
 */
static void
mark_dependencies(void *arg)
{
	KwjStoreScope scope;

	kwj_store_enter(&scope);
	mark_in_table(arg);
	kwj_store_leave(&scope);
}

void
kwj_store_tell_dependents(int64 job_id, KwjStatus status)
{
	Ended		ended = {job_id, status};

	/* most jobs have no dependents */
	if (!kwj_index_may_have("dependency", "dependency_depends_on", job_id))
		return;
	if (kwj_isolate_within(mark_dependencies, &ended) == NULL)
		kwj_wakeup_at_end(job_id);
	else
		kwj_wakeup_overlooked_at_end(job_id);
}
