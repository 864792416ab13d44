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
 * Checks the arguments and creates the job, as pending, in the caller's transaction. job: from
 * kwj_new_job, with its options set. Returns its job_id (see kwj_submit).
 *
 * Errors: those of the type's validate and of kwj_submit; 0A000 if only kwjobs itself creates jobs
 * of this type.
 */
extern int64 kwj_create_job(const KwjType *type, Jsonb *arguments, KwjNewJob *job);

#endif
