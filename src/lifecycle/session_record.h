/*
 * src/lifecycle/session_record.h
 *	  From a session's job in shared memory to the row of this job.
 */
#ifndef KWJ_LIFECYCLE_SESSION_RECORD_H
#define KWJ_LIFECYCLE_SESSION_RECORD_H

#include "kwjobs.h"
#include "shared/session_jobs.h"
#include "store/record.h"
#include "utils/jsonb.h"

/* Fills in *record from a job that is over. The texts are not copied: *job must live longer. */
extern void kwj_session_job_record(const KwjSessionJob *job, KwjRecord *record);

/* Changes the record to that of a job which has succeeded at this time. */
extern void kwj_session_job_succeeds(KwjRecord *record, TimestampTz at);

/*
 * Returns what the work of the job has cost, as the column "result" has it, palloc'd; NULL if that is
 * not known.
 */
extern Jsonb *kwj_session_job_result(const KwjSessionJob *job);

#endif
