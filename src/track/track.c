/*
 * src/track/track.c
 *	  SCHEMA CHANGE and CREATE_STATS jobs of sessions: begin, done and error of a statement, and the
 *	  levels of statements.
 *
 * Caller: session/track_hook.c. Process: sessions, and other backends that run utility
 * statements; not workers of kwjobs, whose statements are jobs already. Locks: those of
 * lifecycle/session_job.c, for moments.
 *
 * Levels. Only the outermost tracked statement is a job. `inside` is true while it runs, so the
 * session does not track the statements that it runs in turn. CALL and DO are no jobs, so a
 * statement in them can be an outermost one. `in_routine` is true while a CALL or DO runs that the
 * client has sent. leave() sets both variables back when the statement ends, also if it ends with
 * an error.
 *
 *     client:  ALTER TABLE -> event trigger: CREATE TABLE          one job
 *     client:  CALL p()    -> CREATE TABLE, COMMIT, CREATE TABLE   two jobs
 *     client:  SELECT f()  -> CREATE TABLE                         kwjobs.track = all: one job
 *
 * The statement may commit, so nothing that belongs to a transaction is kept across it: KwjTracked
 * is in the hook's frame, the job in shared memory. The tree and the string may be gone after the
 * statement, so all that is needed of them is copied before.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "commands/progress.h"
#include "compat.h"
#include "job/counts.h"
#include "job/current.h"
#include "job/scan.h"
#include "job/test_gate.h"
#include "lifecycle/session_job.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "track/text.h"
#include "track/track.h"
#include "utils/backend_status.h"
#include "utils/guc.h"

/*
 * In sessions that restore a dump, a statement's job is kept only if the statement has taken this
 * long, or has failed. A restore runs thousands of statements, and all their jobs would hide the
 * others.
 */
#define RESTORE_MIN_DURATION_MS		1000

static bool inside = false;
static bool in_routine = false;

/* Returns whether this process may track statements at all. */
static bool
may_track(void)
{
	return IsTransactionState() && IsUnderPostmaster && kwj_attempt_current() == NULL &&
		!IsParallelWorker() && !RecoveryInProgress();
}

static void
begin_job(KwjTracked *tracked, const PlannedStmt *statement, const char *string,
		  const KwjTrackClass *class)
{
	char	   *text = kwj_track_text(statement, string, class, &tracked->is_hidden);
	KwjNewSessionJob job = {
		.job_type = class->job_type,
		.description = text,
		.owner = GetUserId(),
		.counts = kwj_counts_of(statement->utilityStmt),
	};

	tracked->began = GetCurrentTimestamp();
	tracked->began_in = kwj_local_transaction_id();
	tracked->remains = class->remains;
	tracked->is_final = class->is_final;
	if (class->remains == KWJ_LEAVES_INDEXES && class->relation != NULL)
		tracked->table = kwj_track_table(class->relation);
	if (class->creates && class->relation != NULL)
	{
		strlcpy(tracked->creates, class->relation->relname, NAMEDATALEN);
		tracked->temporary_before = kwj_track_temporary_relation(tracked->creates);
	}
	tracked->job_id = kwj_session_job_begin(&job);
	pfree(text);
}

bool
kwj_track_begin(KwjTracked *tracked, const PlannedStmt *statement, const char *string,
				ProcessUtilityContext context)
{
	bool		from_client = context == PROCESS_UTILITY_TOPLEVEL || in_routine;
	KwjTrackClass class;

	if (inside || !kwj_track_has_row(statement->utilityStmt) ||
		context == PROCESS_UTILITY_SUBCOMMAND ||
		(kwj_track == KWJ_TRACK_TOP && !from_client) || !may_track())
		return false;
	class = kwj_track_classify(statement->utilityStmt);
	if (class.kind == KWJ_TRACK_NOTHING)
		return false;
	*tracked = (KwjTracked) {.was_in_routine = in_routine};
	if (class.kind == KWJ_TRACK_ROUTINE)
	{
		in_routine = from_client;
		return true;
	}
	begin_job(tracked, statement, string, &class);
	inside = true;
	return true;
}

static void
leave(const KwjTracked *tracked)
{
	/* If the statement was an ALTER TABLE, validation.c may have begun to watch how far it is. */
	kwj_scan_end();
	inside = false;
	in_routine = tracked->was_in_routine;
}

/*
 * Returns whether the statement has created a temporary relation. This is not always known before
 * the statement: a view becomes temporary because of what it reads.
 */
static bool
was_temporary(const KwjTracked *tracked)
{
	Oid			temporary;

	if (tracked->creates[0] == '\0')
		return false;
	temporary = kwj_track_temporary_relation(tracked->creates);
	return OidIsValid(temporary) && temporary != tracked->temporary_before;
}

/*
 * Returns whether this session restores a dump: it is pg_restore, or it runs a script of pg_dump,
 * for instance in psql. Such scripts and pg_restore have nothing in common but the settings with
 * which they begin: they empty search_path and switch check_function_bodies off. Hardly any other
 * session does both.
 */
static bool
is_restore(void)
{
	if (!check_function_bodies && namespace_search_path != NULL && namespace_search_path[0] == '\0')
		return true;
	return application_name != NULL && strcmp(application_name, "pg_restore") == 0;
}

static bool
was_short(const KwjTracked *tracked)
{
	int			least = kwj_track_min_duration;

	if (is_restore())
		least = Max(least, RESTORE_MIN_DURATION_MS);
	return least > 0 &&
		!TimestampDifferenceExceeds(tracked->began, GetCurrentTimestamp(), least);
}

/* Returns whether the statement has committed what it has done so far, or a part of it. */
static bool
has_committed(const KwjTracked *tracked)
{
	return tracked->began_in != kwj_local_transaction_id();
}

void
kwj_track_done(const KwjTracked *tracked)
{
	bool		can_undo = !tracked->is_final && !has_committed(tracked);

	leave(tracked);
	if (tracked->job_id == 0)
		return;
	kwj_test_gate_held(4922);
	/*
	 * First kwj_session_job_done(), because it raises an error if CANCEL JOB has come before. The
	 * statement then fails, and its job is kept.
	 */
	kwj_session_job_done(tracked->job_id, can_undo);
	if (was_short(tracked) || was_temporary(tracked))
		kwj_session_job_drop(tracked->job_id, can_undo);
}

/*
 * The hints of statements that have failed after a commit of their own. A hint says what the
 * statement may have left, and what the user types to clean up. The job gets one of the first two
 * hints only if tell_index() knows no table. Otherwise the coordinator finds out which indexes are
 * left, and writes a hint that names them.
 */
static const char *const hints[] = {
	[KWJ_LEAVES_INDEX] = "An INVALID index may be left. To find it, type SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid; to remove it, DROP INDEX CONCURRENTLY.",
	[KWJ_LEAVES_INDEXES] = "INVALID indexes may be left. To find them, type SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid; to remove them, DROP INDEX CONCURRENTLY.",
	[KWJ_LEAVES_DROPPED_INDEX] = "The index may be INVALID now. To remove it, type DROP INDEX CONCURRENTLY again.",
	[KWJ_LEAVES_PARTITION] = "The partition may be half detached. To go on, type ALTER TABLE ... DETACH PARTITION ... FINALIZE.",
};

/*
 * Has the coordinator look for the INVALID index that CREATE INDEX or REINDEX CONCURRENTLY leaves.
 * The session itself cannot look into the catalogs, because its transaction has failed. It takes
 * the table and the index from PostgreSQL's progress counters, which the statement has set. REINDEX
 * CONCURRENTLY may have set them to the TOAST table, so if tracked->table is known, the session
 * passes that instead. Returns false for other statements, and if no table is known.
 */
static bool
tell_index(const KwjTracked *tracked)
{
	PgBackendStatus *status = MyBEEntry;

	if (tracked->remains != KWJ_LEAVES_INDEX && tracked->remains != KWJ_LEAVES_INDEXES)
		return false;
	if (status == NULL || status->st_progress_command != PROGRESS_COMMAND_CREATE_INDEX ||
		!OidIsValid(status->st_progress_command_target))
		return false;
	kwj_session_job_leaves(tracked->job_id,
						   OidIsValid(tracked->table) ? tracked->table : status->st_progress_command_target,
						   tracked->remains == KWJ_LEAVES_INDEX ?
						   (Oid) status->st_progress_param[PROGRESS_CREATEIDX_INDEX_OID] : InvalidOid);
	return true;
}

void
kwj_track_error(const KwjTracked *tracked)
{
	const char *hint = NULL;

	leave(tracked);
	if (tracked->job_id == 0)
		return;
	if (tracked->remains != KWJ_LEAVES_NOTHING && has_committed(tracked) && !tell_index(tracked))
		hint = hints[tracked->remains];
	kwj_session_job_error(tracked->job_id, hint, tracked->is_hidden);
}
