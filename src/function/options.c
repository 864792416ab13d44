/*
 * src/function/options.c
 *	  The options of all jobs as arguments of an SQL function.
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "function/options.h"

void
kwj_read_options(FunctionCallInfo fcinfo, const KwjOptionArgs args, KwjNewJob *job)
{
	for (int i = 0; i < KWJ_OPTION_COUNT; i++)
		kwj_set_option(job, (KwjOption) i, PG_GETARG_DATUM(args[i]), PG_ARGISNULL(args[i]));
}
