/*
 * src/lifecycle/authority.h
 *	  By whose right a job runs as its owner.
 *
 * A role that may SET ROLE to another role can create jobs that this other role owns: by run_as,
 * after SET ROLE, or from within a job that runs as that role. The right may be revoked before the
 * job runs, perhaps years later. So the job stores the chain of roles from its creator to its
 * owner, in which each role must be allowed to SET ROLE to the next one. Every attempt checks
 * whether they still are.
 */
#ifndef KWJ_LIFECYCLE_AUTHORITY_H
#define KWJ_LIFECYCLE_AUTHORITY_H

#include "job/current.h"
#include "store/jobs.h"

/*
 * Fills in which role creates the new job (created_by, created_by_session), and the chain of roles
 * by which that role may create jobs of job->owner (authority).
 */
extern void kwj_authority_note(KwjNewJob *job);

/*
 * REASSIGN OWNED gives a schedule from its owner to another role, who has not said what the schedule does. So
 * this adds the old owner to the schedule's chain: the worker then checks that the old owner may SET ROLE to
 * the new one. *roles becomes a palloc'd copy, *n how many roles are in it.
 */
extern void kwj_authority_hand_on(Oid **roles, int *n, Oid owner, Oid to);

/* Returns whether each role of the chain may SET ROLE to the next role, and the last one to the owner. */
extern bool kwj_authority_holds(const Oid *roles, int n, Oid owner);

/*
 * Checks whether the attempt may still run as the job's owner. Does nothing if the owner has
 * created the job. Errors: 42501 if a role of the chain may not SET ROLE to the next one any more,
 * or was dropped.
 *
 * Process: worker, outside of a transaction.
 */
extern void kwj_authority_check(const KwjAttempt *attempt);

#endif
