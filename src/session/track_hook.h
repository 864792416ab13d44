/*
 * src/session/track_hook.h
 *	  Utility statements that are jobs (kwjobs.track), around the ProcessUtility hooks.
 */
#ifndef KWJ_SESSION_TRACK_HOOK_H
#define KWJ_SESSION_TRACK_HOOK_H

#include "kwjobs.h"
#include "tcop/utility.h"

/*
 * Runs a utility statement, by calling `next`. If kwjobs.track says that such statements are jobs, SHOW JOBS
 * lists the statement while it runs. A statement within another one that is a job, such as a command in a
 * function, is no job of its own. Errors: those of the statement; 57014 if CANCEL JOB came before its end.
 */
extern void kwj_track_run(ProcessUtility_hook_type next, PlannedStmt *pstmt, const char *query,
						  bool read_only_tree, ProcessUtilityContext context, ParamListInfo params,
						  QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc);

/* Installs the hook. _PG_init calls this in the postmaster, after all other hooks of kwjobs are installed. */
extern void kwj_track_hook_init(void);

#endif
