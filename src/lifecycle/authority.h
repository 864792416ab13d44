/*
 * src/lifecycle/authority.h
 *	  By whose right a job runs as its owner.
 *
 * A role that may SET ROLE to another can create jobs of that one: by run_as, after SET ROLE, or
 * from within a job that runs as it. The right may be revoked before the job runs, perhaps years
 * later. So the job keeps the roles through which its creator came to the owner, each of which has to
 * be allowed to SET ROLE to the next, and every attempt looks whether they still are.
 */
#ifndef KWJ_LIFECYCLE_AUTHORITY_H
#define KWJ_LIFECYCLE_AUTHORITY_H

#include "job/current.h"
#include "store/jobs.h"

/* Note in a new job of job->owner who creates it, and by whose right. */
extern void kwj_authority_note(KwjNewJob *job);

/*
 * 42501 if the attempt may not run as the job's owner any more. Costs nothing where the owner
 * itself has created the job.
 *
 * Process: worker, outside of a transaction.
 */
extern void kwj_authority_check(const KwjAttempt *attempt);

#endif
