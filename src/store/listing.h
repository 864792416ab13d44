/*
 * src/store/listing.h
 *	  The jobs of this database, for sessions of other databases.
 */
#ifndef KWJ_STORE_LISTING_H
#define KWJ_STORE_LISTING_H

#include "kwjobs.h"
#include "job/status.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

typedef struct KwjListing
{
	List	   *jobs;			/* char *: the rows of kwdb_internal.jobs as JSON objects, or other rows */
	bool		more;			/* there are more than the caller wants */
} KwjListing;

/*
 * Reads the jobs that SHOW JOBS or SHOW AUTOMATIC JOBS shows if it looks back for `window` seconds
 * (n_ids is -1), or those with these ids, whoever's jobs they are: at most `most`, those that come
 * first in SHOW JOBS. Reads them as this role, which has the admin role. Long texts are shortened as
 * in SHOW JOBS; payload, result, cause, tags and notify are left out. The result is palloc'd in
 * CurrentMemoryContext. Needs a transaction with an active snapshot.
 */
extern void kwj_store_list_jobs(Oid role, bool automatic, int window, const int64 *ids, int n_ids,
								int most, KwjListing *listing);

/*
 * Reads how the jobs with these ids stand: for each that there is, a JSON object with status, over,
 * rows, fraction (as a text), running_status, error, error_code, error_detail, error_hint,
 * error_context, tags (of its last attempt) and result. A key is left out where there is no value.
 * Otherwise as kwj_store_list_jobs.
 */
extern void kwj_store_list_outcomes(Oid role, const int64 *ids, int n_ids, KwjListing *listing);

/*
 * Reads the ids of the jobs that a statement on all jobs controls; job_type: "" means of all types.
 * Otherwise as kwj_store_list_jobs.
 */
extern void kwj_store_list_all(Oid role, KwjVerb verb, const char *job_type, int most,
							   KwjListing *listing);

/*
 * Reads what kwjobs.messages() returns of the job: for each message, a JSON object with attempt, at
 * (in microseconds, as PostgreSQL counts them), severity and message. A key is left out where there
 * is no value. There is nothing if there is no such job. Otherwise as kwj_store_list_jobs.
 */
extern void kwj_store_list_messages(Oid role, int64 job_id, int most, KwjListing *listing);

/* Reads what kwjobs.why() returns of the job, as a text; nothing if there is no such job. */
extern void kwj_store_list_why(Oid role, int64 job_id, KwjListing *listing);

/*
 * Returns when the last job of the database ended; DT_NOBEGIN: there are no jobs; DT_NOEND: some are
 * not over.
 */
extern TimestampTz kwj_store_newest_end(void);

#endif
