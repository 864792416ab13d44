/*
 * src/type/create.c
 *	  Creating a job of any type.
 *
 * Process: sessions, and any process that creates jobs in the name of a role. Locks: those that
 * the type takes when it checks the arguments, and those of lifecycle/submit.c.
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
