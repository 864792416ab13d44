/*
 * src/lifecycle/control.h
 *	  PAUSE, RESUME, CANCEL: permission and legal transition. Transactional: rolled
 *	  back, it never happened.
 */
#ifndef KWJ_LIFECYCLE_CONTROL_H
#define KWJ_LIFECYCLE_CONTROL_H

#include "compat.h"
#include "job/status.h"

/* Returns whether a job of this type can be paused, or canceled, at all. */
typedef bool (*KwjTypeAllows) (const char *job_type, KwjVerb verb);

/*
 * Do it. Returns when the request is recorded in the caller's transaction.
 *
 * Errors: 42501 the caller may not, 42704 no such job, 0A000 not for this type of
 * job, 55000 not in this status.
 */
extern void kwj_control(KwjVerb verb, int64 job_id, const char *reason,
						KwjTypeAllows allows);

/*
 * The same for the n jobs in job_ids, of which the caller has checked that there are such jobs
 * (kwj_check_visible). Those for which there is nothing left to ask for (kwj_left_out) are left out; one NOTICE
 * counts them. Sorts job_ids; the ids of the jobs that were controlled stand first then.
 * Returns their number.
 */
extern int	kwj_control_many(KwjVerb verb, int64 *job_ids, int n, const char *reason,
							 KwjTypeAllows allows);

/* 42704 unless the current user may see that job. */
extern void kwj_check_visible(int64 job_id);

/*
 * 42501 unless the current user may say such a statement at all: what is
 * "SHOW", "PAUSE" etc.
 */
extern void kwj_check_may(const char *what);

/* 42501 unless the current user is in the admin role, or a superuser. */
extern void kwj_check_admin(const char *statement);

/* Returns whether the current user may see and control the jobs of this owner. */
extern bool kwj_is_visible(Oid owner);

/* 25006 during recovery: statement is "PAUSE JOB" etc. */
extern void kwj_check_primary(const char *statement);

/* 42704: there is no such job. */
extern KWJ_NORETURN void kwj_no_such_job(int64 job_id);

#endif
