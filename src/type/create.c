/*
 * src/type/create.c
 *	  Creating a job of any type.
 *
 * Process: sessions, and workers whose statement creates a job. Locks: FOR KEY SHARE on the rows
 * of the jobs that the new job depends on, until the end of the transaction. The validate function
 * of a type may take more locks.
 */
#include "postgres.h"

#include "lifecycle/submit.h"
#include "type/create.h"

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
	return kwj_submit(job);
}
