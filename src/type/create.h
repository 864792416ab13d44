/*
 * src/type/create.h
 *	  Creating a job of any type.
 */
#ifndef KWJ_TYPE_CREATE_H
#define KWJ_TYPE_CREATE_H

#include "lifecycle/submit.h"
#include "type/type.h"
#include "utils/jsonb.h"

/*
 * Checks the arguments and creates the job, as pending, in the caller's transaction. The caller has
 * made *job with kwj_new_job for this type, and has set its options. Returns the job_id, or the id
 * of an unfinished job of the owner with the same key.
 *
 * Errors: 0A000 if only kwjobs itself creates jobs of this type; whatever the type's validate
 * function and kwj_submit raise.
 */
extern int64 kwj_create_job(const KwjType *type, Jsonb *arguments, KwjNewJob *job);

/*
 * Checks the window of a job whose arguments the caller has checked and whose payload it has set, and
 * creates the job, as pending, in the caller's transaction. Returns what kwj_create_job returns. Errors:
 * those of kwj_create_check_window; whatever kwj_submit raises.
 */
extern int64 kwj_create_checked(const KwjType *type, KwjNewJob *job);

/*
 * Checks whether the window of a job of this type goes with its other options. Errors: 22023 if the job would
 * perhaps never start, or has a window_end without a window.
 */
extern void kwj_create_check_window(const char *job_type, const KwjNewJob *job);

/*
 * Does the same for the jobs of a schedule that is created or altered. is_new: the schedule is to run several of
 * them, and the statement says so, or says what they do. Then this also warns of a path that only the first of
 * them could make. The code of schedules, which calls this by a pointer, knows types only by their names.
 */
extern void kwj_create_check_runs(const char *job_type, const KwjNewJob *job, bool is_new);

#endif
