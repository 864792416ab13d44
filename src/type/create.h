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
 * Check the arguments and create the job, pending, in the caller's transaction. job: from kwj_new_job, with the options
 * that it has. Returns its job_id (see kwj_submit).
 *
 * Errors: those of the type's validate and of kwj_submit; 0A000 if only kwjobs makes jobs of this type.
 */
extern int64 kwj_create_job(const KwjType *type, Jsonb *arguments, KwjNewJob *job);

#endif
