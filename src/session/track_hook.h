/*
 * src/session/track_hook.h
 *	  Utility statements that are jobs (kwjobs.track), around the ProcessUtility hooks.
 */
#ifndef KWJ_SESSION_TRACK_HOOK_H
#define KWJ_SESSION_TRACK_HOOK_H

#include "kwjobs.h"
#include "tcop/utility.h"

/*
 * Runs a utility statement, by calling `next`. While the statement runs, SHOW JOBS lists it as a job, if
 * kwjobs.track asks for that and the session has not begun it within another job. Errors: those of the
 * statement; 57014 if CANCEL JOB came before its end.
 */
extern void kwj_track_run(ProcessUtility_hook_type next, PlannedStmt *pstmt, const char *query,
						  bool read_only_tree, ProcessUtilityContext context, ParamListInfo params,
						  QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc);

/* Installs the hook. _PG_init calls this in the postmaster, after all other hooks of kwjobs are installed. */
extern void kwj_track_hook_init(void);

#endif
