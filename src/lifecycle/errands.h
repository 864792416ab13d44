/*
 * src/lifecycle/errands.h
 *	  Control statements for jobs of other databases, in the session that runs them.
 */
#ifndef KWJ_LIFECYCLE_ERRANDS_H
#define KWJ_LIFECYCLE_ERRANDS_H

#include "kwjobs.h"
#include "job/errand.h"

/*
 * Asks the other databases for these jobs, none of which is in this database. databases[i] becomes
 * the database of job_ids[i]; InvalidOid: none has it. The transaction remembers what was found, for
 * kwj_errands_found(). Calls kwj_errands_wait() first, so that the answers show what this session has
 * asked for before. The caller has checked kwj_may_ask().
 *
 * Errors: 55000 if several databases have a job, because one is a copy of another, or if a job was
 * not found and a database has not answered; those of kwj_ask_databases().
 */
extern void kwj_errands_find(const int64 *job_ids, int n, Oid *databases);

/* A job of another database. */
typedef struct KwjFoundJob
{
	int64		job_id;
	Oid			database;
} KwjFoundJob;

/* Gives the jobs that kwj_errands_find() has found in this transaction, in any order. */
extern void kwj_errands_found(void (*take) (const KwjFoundJob *job, void *arg), void *arg);

/* What the other database says of an errand that it has checked and not refused. */
typedef struct KwjChecked
{
	KwjErrandOutcome outcome;
	int			left_out;		/* KwjLeftOut, of KWJ_ERRAND_LEFT_OUT */
} KwjChecked;

/*
 * Has the other databases check whether these jobs of theirs may be controlled, and what other
 * errands on their way to these jobs make of them. Then notes an errand for each job that is not
 * left out, in the current transaction. results[i].outcome becomes KWJ_ERRAND_DONE for these;
 * KWJ_ERRAND_LEFT_OUT, if many is true; or KWJ_ERRAND_NO_JOB. Takes no lock of a row.
 *
 * Errors: those with which the other database refuses; 55000 if it does not answer.
 */
extern void kwj_errands_control(KwjVerb verb, bool many, const char *reason, const int64 *job_ids,
								const Oid *databases, int n, KwjChecked *results);

/*
 * Waits until the errands that this session has committed have taken effect, for at most a second,
 * so that what it reads next shows them. Warns of those that were refused.
 */
extern void kwj_errands_wait(void);

/* From _PG_init in the postmaster: registers the callbacks. */
extern void kwj_errands_init(void);

#endif
