/*
 * src/store/events.c
 *	  What was asked of a job, by whom and why: rows of kwjobs.event.
 *
 * Process: sessions, and workers whose statement controls a job. Callers: src/lifecycle/control.c;
 * submit.c there, for a job that is replaced; again.c, for jobs that come back with another one.
 *
 * Locks: the caller holds the lock of the job's row until the end of the transaction, so that no
 * two transactions give the same number to events of one job. Under REPEATABLE READ, the lock of a
 * row that was changed since the snapshot is an error; so the snapshot shows all its events. If the
 * process dies, its transaction is rolled back: what was not asked for leaves no event.
 *
 * Bound: the event with number n > KWJ_FIRST_EVENTS + KWJ_LAST_EVENTS deletes the one with number
 * n - KWJ_LAST_EVENTS. So the first events stay, and so do the last ones.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/clip.h"
#include "job/role.h"
#include "miscadmin.h"
#include "store/events.h"
#include "store/query.h"
#include "utils/builtins.h"

/* The number of the job's next event. */
#define NEXT_NUMBER \
	" coalesce((SELECT e.number FROM kwjobs.event AS e WHERE e.job_id = $1" \
	"  ORDER BY e.number DESC LIMIT 1), 0) + 1"

static KwjQuery insert_query = {
	"INSERT INTO kwjobs.event (job_id, number, at, event, status, actor, actor_name,"
	" actor_session, session_name, reason, detail)"
	" SELECT $1," NEXT_NUMBER ", clock_timestamp(), $2, $3, $4, $5, $6, $7, $8, $9"
	" RETURNING number",
	9, {INT8OID, TEXTOID, TEXTOID, OIDOID, TEXTOID, OIDOID, TEXTOID, TEXTOID, JSONBOID}
};

static KwjQuery end_query = {
	"INSERT INTO kwjobs.event (job_id, number, at, event, status, error)"
	" SELECT j.job_id," NEXT_NUMBER ", j.finished, 'end', j.status,"
	" nullif(left(j.error, " KWJ_TEXT_LIMIT_SQL "), '')"
	" FROM kwjobs.job AS j WHERE j.job_id = $1 AND j.finished IS NOT NULL RETURNING number",
	1, {INT8OID}
};

static KwjQuery replaced_query = {
	"SELECT jsonb_build_object('created_by', kwdb_internal.role_name(j.created_by, j.user_name),"
	" 'description', left(j.description, 1000)) AS detail"
	" FROM kwjobs.job AS j WHERE j.job_id = $1",
	1, {INT8OID}
};

static KwjQuery drop_query = {
	"DELETE FROM kwjobs.event AS e WHERE e.job_id = $1 AND e.number = $2", 2, {INT8OID, INT4OID}
};

/* kwj_store_act_for() */
static Oid	acts_for_session = InvalidOid;

KwjActor
kwj_store_actor(void)
{
	return (KwjActor) {GetUserId(), OidIsValid(acts_for_session) ? acts_for_session : GetSessionUserId()};
}

void
kwj_store_act_for(Oid session_user)
{
	acts_for_session = session_user;
}

/* The last query has written an event of this job: delete the one whose place it takes. */
static void
keep_bound(int64 job_id)
{
	int32		number = kwj_row_int32(0, "number");
	Datum		values[2] = {Int64GetDatum(job_id), Int32GetDatum(number - KWJ_LAST_EVENTS)};

	if (number > KWJ_FIRST_EVENTS + KWJ_LAST_EVENTS)
		kwj_query_run(&drop_query, values, NULL, false);
}

void
kwj_store_event(const KwjEvent *event)
{
	KwjStoreScope scope;
	Datum		values[9];
	char		nulls[9];

	kwj_store_enter(&scope);
	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(event->job_id);
	values[1] = CStringGetTextDatum(event->event);
	values[2] = CStringGetTextDatum(kwj_status_name(event->status));
	values[3] = ObjectIdGetDatum(event->actor.role);
	values[4] = CStringGetTextDatum(kwj_role_name(event->actor.role));
	values[5] = ObjectIdGetDatum(event->actor.session);
	values[6] = CStringGetTextDatum(kwj_role_name(event->actor.session));
	kwj_clipped_arg(&values[7], &nulls[7], event->reason);
	values[8] = PointerGetDatum(event->detail);
	nulls[8] = event->detail == NULL ? 'n' : ' ';
	kwj_query_run(&insert_query, values, nulls, false);
	keep_bound(event->job_id);
	kwj_store_leave(&scope);
}

Jsonb *
kwj_store_before_replacement(int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	Jsonb	   *detail = NULL;

	kwj_store_enter(&scope);
	if (kwj_query_run(&replaced_query, values, NULL, false) > 0)
		detail = kwj_row_jsonb(0, "detail", scope.caller);
	kwj_store_leave(&scope);
	return detail;
}

void
kwj_store_event_of_end(int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};

	kwj_store_enter(&scope);
	if (kwj_query_run(&end_query, values, NULL, false) > 0)
		keep_bound(job_id);
	kwj_store_leave(&scope);
}
