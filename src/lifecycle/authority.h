/*
 * src/lifecycle/authority.h
 *	  By whose right a job runs as its owner.
 *
 * A role that may SET ROLE to another can create jobs of that one: by run_as, after SET ROLE, or
 * from within a job that runs as it. The right may be revoked before the job runs, perhaps years
 * later. So the job keeps the chain of roles through which its creator came to the owner, each of
 * which must be allowed to SET ROLE to the next. Every attempt checks whether they still are.
 */
#ifndef KWJ_LIFECYCLE_AUTHORITY_H
#define KWJ_LIFECYCLE_AUTHORITY_H

#include "job/current.h"
#include "store/jobs.h"

/* Notes in a new job of job->owner which role creates it, and by whose right. */
extern void kwj_authority_note(KwjNewJob *job);

/*
 * Checks whether the attempt may still run as the job's owner. Does nothing if the owner has
 * created the job itself. Errors: 42501 if it may not, or a role of the chain was dropped.
 *
 * Process: worker, outside of a transaction.
 */
extern void kwj_authority_check(const KwjAttempt *attempt);

#endif
