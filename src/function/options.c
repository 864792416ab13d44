/*
 * src/function/options.c
 *	  The options of all jobs as arguments of a SQL function.
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "function/options.h"

void
kwj_read_options(FunctionCallInfo fcinfo, int first, int run_as, int tags, KwjNewJob *job)
{
	for (int i = 0; i < KWJ_OPTION_COUNT; i++)
	{
		int			arg = i < KWJ_OPTION_RUN_AS ? first + i :
			i == KWJ_OPTION_RUN_AS ? run_as : tags + i - KWJ_OPTION_TAGS;

		kwj_set_option(job, (KwjOption) i, PG_GETARG_DATUM(arg), PG_ARGISNULL(arg));
	}
}
