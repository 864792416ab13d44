/*
 * src/lifecycle/elsewhere.h
 *	  Jobs of the other databases of this server.
 */
#ifndef KWJ_LIFECYCLE_ELSEWHERE_H
#define KWJ_LIFECYCLE_ELSEWHERE_H

#include "kwjobs.h"
#include "job/errand.h"
#include "shared/ask.h"
#include "store/jobs.h"

/*
 * Called for each row of the answer of a database. name: of the database. job: the job's row of
 * kwdb_internal.jobs there, as a JSON object, or what else was asked for (store/listing.h). The
 * current memory context is reset afterwards.
 */
typedef void (*KwjTakeJob) (Oid database, const char *name, const char *job, void *arg);

/* Called for the i-th result of a check by another database. */
typedef void (*KwjTakeResult) (Oid database, int i, const KwjErrandResult *result, void *arg);

/* What to do with answers. */
typedef struct KwjTake
{
	KwjTakeJob	job;
	KwjTakeResult result;
	void	   *arg;
	int		   *left_out;		/* becomes higher by the number of databases left out; may be NULL */
	/* the session waits for the answers: it asks a silent database again, and fails where others would warn */
	bool		is_wait;
} KwjTake;

/*
 * Returns whether this session may ask other databases: kwjobs.scope is server, the current user
 * has the admin role, which the coordinators check again, and the server is no standby.
 */
extern bool kwj_may_ask(void);

/*
 * Returns the databases to ask, *n of them, palloc'd: all others that may have the extension. Needs
 * a transaction with a snapshot.
 */
extern Oid *kwj_other_databases(int *n);

/*
 * Asks the coordinators of these databases, and gives their answers to `take`. Warns of databases
 * that have not answered when none has for a second. errands: for KWJ_ASK_CHECK; else NULL.
 *
 * Errors: 53400 if too many sessions ask at the same time; those of dsm_create(); a cancel.
 */
extern void kwj_ask_databases(const KwjQuestion *question, const StringInfoData *errands,
							  const Oid *databases, int n, const KwjTake *take);

/*
 * Asks all other databases for the jobs that SHOW JOBS or SHOW AUTOMATIC JOBS shows there (n is -1),
 * or for those with these n ids, and calls take->job for each. Does nothing unless kwj_may_ask(); on
 * a standby there is a WARNING. Errors: those of kwj_ask_databases().
 */
extern void kwj_jobs_elsewhere(bool automatic, const int64 *job_ids, int n, const KwjTake *take);

typedef enum KwjSeenElsewhere
{
	KWJ_SEEN,
	KWJ_SEEN_GONE,				/* the database or its kwjobs is gone, or has no such job */
	KWJ_SEEN_SILENT,			/* the database has not answered */
} KwjSeenElsewhere;

/*
 * Asks the other database how its job stands: *outcome, of which `returned` is set, too. Texts are
 * palloc'd. Errors: those of kwj_ask_databases(); 55000 if the database refuses to answer, or met an
 * error.
 */
extern KwjSeenElsewhere kwj_outcome_elsewhere(int64 job_id, Oid database, KwjOutcome *outcome);

/*
 * Asks the other database for what it has of its job: the messages or the reasons that `kind` stands
 * for. Calls take for each row. Returns false if the job is not there any more. Errors: those of
 * kwj_ask_databases(); 55000 if the database does not answer, refuses to, or met an error.
 */
extern bool kwj_read_elsewhere(KwjQuestionKind kind, int64 job_id, Oid database, KwjTakeJob take,
							   void *arg);

/*
 * Returns the name of the other database that has this job; NULL if no database has answered that it
 * has the job, or if this session may not ask (kwj_may_ask).
 */
extern const char *kwj_database_of(int64 job_id);

#endif
