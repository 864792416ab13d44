/*
 * src/job/submit.c
 *	  Creating a job.
 *
 * Process: sessions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "job/submit.h"
#include "miscadmin.h"
#include "utils/syscache.h"

/* A worker connects as the owner: refuse now what would fail then. */
static void
check_owner_can_log_in(Oid owner)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner));
	bool		can_log_in;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for role %u", owner);
	can_log_in = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);

	if (!can_log_in)
	{
		char	   *name = GetUserNameFromId(owner, false);

		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" cannot own a job: it is not permitted to log in", name),
				 errdetail("A job runs in a session of its owner."),
				 errhint("Type RESET ROLE, or have ALTER ROLE %s LOGIN run.", name)));
	}
}

int64
kwj_submit(const char *job_type, const char *description, Jsonb *payload)
{
	KwjNewJob	job = {
		.job_type = job_type,
		.description = description,
		.owner = GetUserId(),
		.payload = payload,
		.max_attempts = KWJ_DEFAULT_MAX_ATTEMPTS,
		.retry_delay_ms = KWJ_DEFAULT_RETRY_DELAY_MS,
		.on_failure = "fail",
	};
	bool		existed;

	check_owner_can_log_in(job.owner);
	return kwj_store_insert(&job, &existed);
}
