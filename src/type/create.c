/*
 * src/type/create.c
 *	  Creating a job of any type.
 *
 * Process: sessions, and workers whose statement creates a job. Locks: FOR KEY SHARE on the rows
 * of the jobs that the new job depends on, until the end of the transaction. The validate function
 * of a type may take more locks.
 */
#include "postgres.h"

#include "job/clip.h"
#include "job/json.h"
#include "lifecycle/due_times.h"
#include "lifecycle/settle.h"
#include "lifecycle/submit.h"
#include "type/create.h"

/*
 * A job that may have no checkpoint starts only if it can be expected to end in its window. Of the
 * first one of its kind nothing is known but its timeout, so the user has to give one, or to say what
 * is to become of the job when the window closes.
 */
void
kwj_create_check_window(const char *job_type, const KwjNewJob *job)
{
	const KwjType *type = kwj_type_by_name(job_type);
	bool		is_default = strcmp(job->window_end, "pause") == 0;

	if (job->window == NULL && !is_default)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"window_end\" of a job needs a window"),
				 errhint("Give a window, too, as in \"window\" => '22:00-06:00 Europe/Berlin'.")));
	if (job->window != NULL && is_default && type->pauses != KWJ_PAUSES_ALWAYS &&
		kwj_settle_limit_timeout(job->timeout_ms) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a job of type %s with a window needs a timeout, or window_end", type->name),
				 errdetail("Without checkpoints it cannot pause, so it starts only if it can be expected to end in its window."),
				 errhint("Give timeout => '1 hour', so that it starts if the window lasts at least that long; or window_end => 'finish', so that it may go on after the window, or 'stop', so that it is interrupted then and begins anew in the next one.")));
}

/* Warns of a path that only the first of several jobs can make. */
static void
warn_of_path(const KwjType *type, const KwjNewJob *job)
{
	const char *path = type->makes != NULL ? kwj_json_text_or_null(job->payload, type->makes) : NULL;

	if (path == NULL || strstr(path, KWJ_DUE) != NULL)
		return;
	ereport(WARNING,
			(errmsg("each run of the schedule makes \"%s\" anew", kwj_quoted(path, 200)),
			 errdetail("A run fails if the one before has left it there."),
			 errhint("Write %s in the path, which stands for the due time of the run.", KWJ_DUE)));
}

void
kwj_create_check_runs(const char *job_type, const KwjNewJob *job, bool is_new)
{
	kwj_create_check_window(job_type, job);
	if (is_new)
		warn_of_path(kwj_type_by_name(job_type), job);
}

int64
kwj_create_checked(const KwjType *type, KwjNewJob *job)
{
	kwj_create_check_window(type->name, job);
	return kwj_submit(job);
}

int64
kwj_create_job(const KwjType *type, Jsonb *arguments, KwjNewJob *job)
{
	if (type->validate == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a job of type %s cannot be created", type->name),
				 errdetail("Only kwjobs itself creates such jobs."),
				 errhint("To run a statement as a job, type SELECT kwjobs.submit('statement').")));
	type->validate(arguments, job);
	return kwj_create_checked(type, job);
}
