/*
 * src/job/control.h
 *	  PAUSE, RESUME, CANCEL: permission and legal transition. Transactional: rolled
 *	  back, it never happened.
 */
#ifndef KWJ_JOB_CONTROL_H
#define KWJ_JOB_CONTROL_H

#include "compat.h"
#include "job/status.h"

/* Whether a job of this type can be paused, or canceled, at all. */
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
 * 42501 unless the current user may say such a statement at all: what is
 * "SHOW", "PAUSE" etc.
 */
extern void kwj_check_may(const char *what);

/* 42501 unless the current user is in the admin role, or a superuser. */
extern void kwj_check_admin(const char *statement);

/* Whether the current user may see and control the jobs of this owner. */
extern bool kwj_is_visible(Oid owner);

/* 25006 during recovery: statement is "PAUSE JOB" etc. */
extern void kwj_check_primary(const char *statement);

/* 42704: there is no such job. */
extern KWJ_NORETURN void kwj_no_such_job(int64 job_id);

#endif
