/*
 * src/store/standing.c
 *	  How a job stands: what kwjobs.why tells of it.
 *
 * Caller: src/function/why.c. Process: sessions. Locks: AccessShareLock on our tables, until the
 * end of the transaction.
 */
#include "postgres.h"

#include "store/line.h"
#include "store/query.h"
#include "store/queue.h"
#include "store/standing.h"
#include "utils/array.h"
#include "utils/snapmgr.h"

/* $2: the most jobs to count that start before this one. */
static KwjQuery standing_query = {
	"SELECT j.job_type, j.owner, j.status, j.active_attempt IS NOT NULL AS active, j.attempts,"
	" j.attempts = 0 AND j.total_num_of_ex = 1 AS of_session,"
	" j.due, j.run_at, j.rank IS NOT NULL AS ready, j.running_status AS noted, j.window,"
	" CASE WHEN j.window_end = 'stop' AND NOT EXISTS"
	"   (SELECT FROM kwjobs.checkpoint AS c WHERE c.job_id = j.job_id AND c.written IS NOT NULL)"
	"  THEN (SELECT count(*) FROM kwjobs.attempt AS s WHERE s.job_id = j.job_id AND s.status = 'paused') END AS in_vain,"
	" ARRAY(SELECT d.depends_on FROM kwjobs.dependency AS d"
	"  WHERE d.job_id = j.job_id ORDER BY d.depends_on LIMIT 2) AS depends_on,"
	" CASE WHEN " KWJ_PARKED("j") " THEN " KWJ_WAITS_IN_LINE("j")
	"  WHEN " KWJ_QUEUED("j") " THEN " KWJ_WAITS_IN_QUEUE("j") " END AS in_line,"
	" CASE WHEN " KWJ_PARKED("j") " THEN " KWJ_FIRST_OF_LINE("f.job_id", "j") " END AS first,"
	" (SELECT count(*) FROM (SELECT 1 FROM kwjobs.job AS b WHERE b.owner = j.owner"
	"   AND b.job_type = j.job_type AND b.rank IS NOT NULL AND (b.rank, b.job_id) < (j.rank, j.job_id)"
	"   LIMIT $2) AS b) AS before,"
	" CASE WHEN j.status = 'paused'"
	"  THEN kwjobs_paused(kwdb_internal.role_name(j.requested_by, j.request_user), j.request_reason)"
	"  END AS paused,"
	" kwdb_internal.role_name(j.requested_by, j.request_user) AS request_user, j.request_reason,"
	" j.request_time, j.modified, j.finished, coalesce(nullif(j.error, ''),"
	"  (SELECT a.error FROM kwjobs.attempt AS a WHERE a.job_id = j.job_id AND a.attempt = j.attempts))"
	"  AS error,"
	" CASE WHEN coalesce(j.error, '') <> '' THEN j.error_hint"
	"  ELSE (SELECT a.error_hint FROM kwjobs.attempt AS a WHERE a.job_id = j.job_id AND a.attempt = j.attempts) END"
	"  AS error_hint,"
	" j.error_file, j.error_line"
	" FROM kwjobs.job AS j WHERE j.job_id = $1",
	2, {INT8OID, INT8OID}
};

static char *
text_of(const char *column, MemoryContext context)
{
	char	   *text = kwj_row_clipped(0, column, context);

	return text != NULL && text[0] != '\0' ? text : NULL;
}

static void
read_depends_on(KwjStanding *standing)
{
	KwjJobs		jobs = kwj_row_jobs(0, "depends_on", CurrentMemoryContext);

	standing->n_depends_on = jobs.n;
	if (jobs.n > 0)
		standing->depends_on = jobs.ids[0];
}

static void
read_standing(KwjStanding *standing, MemoryContext context)
{
	standing->job_type = kwj_row_text_or_empty(0, "job_type", context);
	standing->owner = kwj_row_oid(0, "owner");
	standing->status = kwj_status_from_name(kwj_row_text(0, "status", CurrentMemoryContext));
	standing->active = kwj_row_bool(0, "active");
	standing->attempts = kwj_row_int32(0, "attempts");
	standing->of_session = kwj_row_bool(0, "of_session");
	standing->due = kwj_row_time(0, "due");
	standing->run_at = kwj_row_time(0, "run_at");
	standing->ready = kwj_row_bool(0, "ready");
	standing->noted = text_of("noted", context);
	standing->window = text_of("window", context);
	standing->in_vain = kwj_row_int64(0, "in_vain");
	read_depends_on(standing);
	standing->in_line = text_of("in_line", context);
	standing->first = kwj_row_int64(0, "first");
	standing->before = kwj_row_int64(0, "before");
	standing->paused = text_of("paused", context);
	standing->request_user = text_of("request_user", context);
	standing->request_reason = text_of("request_reason", context);
	standing->request_time = kwj_row_time(0, "request_time");
	standing->modified = kwj_row_time(0, "modified");
	standing->finished = kwj_row_time(0, "finished");
	standing->error = text_of("error", context);
	standing->error_hint = text_of("error_hint", context);
	standing->error_file = text_of("error_file", context);
	standing->error_line = kwj_row_int64(0, "error_line");
}

bool
kwj_store_standing(int64 job_id, KwjStanding *standing)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int64GetDatum(job_id), Int64GetDatum(KWJ_MOST_BEFORE)};
	bool		found;

	memset(standing, 0, sizeof(*standing));
	PushActiveSnapshot(GetLatestSnapshot());
	kwj_store_enter(&scope);
	found = kwj_query_run(&standing_query, values, NULL, true) > 0;
	if (found)
		read_standing(standing, scope.caller);
	kwj_store_leave(&scope);
	PopActiveSnapshot();
	return found;
}
