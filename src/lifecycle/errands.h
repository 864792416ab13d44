/*
 * src/lifecycle/errands.h
 *	  Statements that change jobs of other databases, in the session that runs them.
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
	int			left_out;		/* why, of KWJ_ERRAND_LEFT_OUT (kwj_deed_would) */
} KwjChecked;

/*
 * Asks the other databases whether these jobs of theirs may be controlled. Other errands may be on their way
 * to such a job. Then its database answers for the state that the job will have after them. Notes an errand,
 * in the current transaction, for each job that is not left out. what: the deed, its reason or change, and
 * whether the statement is on many jobs. Sets results[i].outcome: KWJ_ERRAND_DONE for a job with an errand;
 * KWJ_ERRAND_LEFT_OUT, only if what->many is true; or KWJ_ERRAND_NO_JOB. Takes no lock of a row.
 *
 * Errors: those with which the other database refuses; 55000 if it does not answer.
 */
extern void kwj_errands_control(const KwjErrand *what, const int64 *job_ids, const Oid *databases, int n,
								KwjChecked *results);

/*
 * Returns the jobs of other databases that a statement on all jobs controls: those of this type, or
 * of all if it is NULL, with a status that the verb can change. They are palloc'd, *n of them. The
 * transaction remembers where they are. Returns none unless kwj_may_ask(). WARNINGs name the databases
 * that have not answered.
 *
 * Errors: 54000 if a database has more than KWJ_ASKED_ALL of them; 55000 if two databases have a job
 * with the same id; those of kwj_ask_databases().
 */
extern KwjFoundJob *kwj_errands_find_all(KwjVerb verb, const char *job_type, int *n);

/*
 * Waits until the errands that this session has committed have taken effect, for at most a second,
 * so that what it reads next shows them. Warns of those that were refused.
 */
extern void kwj_errands_wait(void);

#endif
