/*
 * src/session/track_hook.c
 *	  Utility statements that are jobs (kwjobs.track), around the ProcessUtility hooks.
 *
 * Caller: PostgreSQL, by ProcessUtility_hook and post_parse_analyze_hook; utility_hook.c. Process:
 * sessions. Locks: those of src/track.
 *
 * PostgreSQL calls the hook of the library that was loaded last, and that hook may do a statement itself,
 * without calling ours. TimescaleDB loads a library into each session with the session's first statement.
 * That library does CREATE INDEX, REINDEX, CLUSTER, VACUUM and ANALYZE of hypertables itself. So when a
 * session with kwjobs.track has analyzed a statement and finds hooks of others before ours, it puts one
 * more of ours in front of them, once:
 *
 *     track_outside -> TimescaleDB -> ... -> process_utility of utility_hook.c -> ...
 *        the job begins here                    no job: one has begun
 *
 * If the session dies, its hooks die with it.
 */
#include "postgres.h"

#include "compat.h"
#include "parser/analyze.h"
#include "session/track_hook.h"
#include "track/track.h"

static post_parse_analyze_hook_type previous_analyze_hook;

/* The first of the hooks of kwjobs. */
static ProcessUtility_hook_type our_first_hook;

/* The hook that was the first one before track_outside; NULL: track_outside is not installed. */
static ProcessUtility_hook_type hook_of_others = NULL;

void
kwj_track_run(ProcessUtility_hook_type next, PlannedStmt *pstmt, const char *query,
			  bool read_only_tree, ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	KwjTracked	tracked;

	if (kwj_track == KWJ_TRACK_NONE || !kwj_track_begin(&tracked, pstmt, query, context))
	{
		next(pstmt, query, read_only_tree, context, params, env, dest, qc);
		return;
	}
	PG_TRY();
	{
		next(pstmt, query, read_only_tree, context, params, env, dest, qc);
		kwj_track_done(&tracked);
	}
	PG_CATCH();
	{
		kwj_track_error(&tracked);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
track_outside(PlannedStmt *pstmt, const char *query, bool read_only_tree,
			  ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	kwj_track_run(hook_of_others, pstmt, query, read_only_tree, context, params, env, dest, qc);
}

/*
 * Looks for hooks of others here, because libraries that load others do so in this hook, and some of them do so
 * before they call the hooks after theirs, such as this one.
 */
static void
after_analysis(ParseState *pstate, Query *query, KWJ_JUMBLE_STATE *jstate)
{
	if (previous_analyze_hook)
		previous_analyze_hook(pstate, query, jstate);
	if (kwj_track == KWJ_TRACK_NONE || hook_of_others != NULL || ProcessUtility_hook == our_first_hook)
		return;
	hook_of_others = ProcessUtility_hook;
	ProcessUtility_hook = track_outside;
}

void
kwj_track_hook_init(void)
{
	our_first_hook = ProcessUtility_hook;
	previous_analyze_hook = post_parse_analyze_hook;
	post_parse_analyze_hook = after_analysis;
}
