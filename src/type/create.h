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
 * The same for a job whose payload the caller has set. Errors: those of kwj_create_check_window;
 * whatever kwj_submit raises.
 */
extern int64 kwj_create_checked(const KwjType *type, KwjNewJob *job);

/*
 * Checks whether the window of a job of this type goes with its other options. Errors: 22023 if the
 * job would perhaps never start, or has a window_end without a window.
 */
extern void kwj_create_check_window(const char *job_type, const KwjNewJob *job);

#endif
