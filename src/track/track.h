/*
 * src/track/track.h
 *	  SCHEMA CHANGE and CREATE_STATS jobs: utility statements of sessions, which other sessions see
 *	  as jobs.
 *
 * doc/developers/tracking.md explains them. Caller: the ProcessUtility hook
 * (session/track_hook.c), as follows, if kwj_track is not KWJ_TRACK_NONE.
 *
 *     if (kwj_track_begin(&tracked, ...))
 *         PG_TRY: the statement; kwj_track_done(&tracked);
 *         PG_CATCH: kwj_track_error(&tracked); PG_RE_THROW();
 *     else the statement
 *
 * The statement may commit and begin transactions in between. These functions do not make it fail,
 * except by CANCEL JOB, out of memory, or a catalog that cannot be read.
 */
#ifndef KWJ_TRACK_TRACK_H
#define KWJ_TRACK_TRACK_H

#include "kwjobs.h"
#include "tcop/utility.h"
#include "track/classify.h"
#include "utils/timestamp.h"

/* A tracked statement while it runs. It is a local variable of the hook. */
typedef struct KwjTracked
{
	int64		job_id;			/* 0: it is not recorded */
	TimestampTz began;
	LocalTransactionId began_in;
	KwjTrackRemains remains;
	bool		is_final;
	bool		is_hidden;		/* its text is not shown, as it may have a secret */
	Oid			table;			/* of REINDEX CONCURRENTLY; InvalidOid: not known, or several */
	/*
	 * creates: the name of the relation that the statement creates; "" if it creates none.
	 * temporary_before: the temporary relation that had this name before the statement.
	 */
	char		creates[NAMEDATALEN];
	Oid			temporary_before;
	bool		was_in_routine;	/* in_routine of track.c, as it was before this statement */
} KwjTracked;

/*
 * Begins the job of the statement, or enters a CALL or DO. Returns false if the statement is not
 * tracked: then the caller does not call the other two functions. Errors: those of a look into the
 * catalog caches.
 */
extern bool kwj_track_begin(KwjTracked *tracked, const PlannedStmt *statement, const char *string,
							ProcessUtilityContext context);

/*
 * Notes that the statement has succeeded: its job is over when the current transaction ends.
 * Errors: 57014 if CANCEL JOB came before, unless a rollback would not undo the statement.
 */
extern void kwj_track_done(const KwjTracked *tracked);

/*
 * Stores the error of a statement in its job, which ends when the transaction is aborted. The
 * caller calls this in PG_CATCH, after an error of the statement or of kwj_track_done.
 */
extern void kwj_track_error(const KwjTracked *tracked);

#endif
