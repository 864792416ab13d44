/*
 * src/function/alter.c
 *	  SQL-callable: kwjobs.alter, which changes a job that waits.
 *
 * Process: sessions. Locks: the job's row, until the end of the transaction.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "lifecycle/alter.h"
#include "lifecycle/options.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_alter);

/* The arguments after the job's id, in their order. */
static const KwjOption options[] = {
	KWJ_OPTION_DESCRIPTION, KWJ_OPTION_PRIORITY, KWJ_OPTION_MAX_ATTEMPTS,
	KWJ_OPTION_RETRY_INITIAL_DELAY, KWJ_OPTION_TIMEOUT, KWJ_OPTION_RUN_AT, KWJ_OPTION_ON_FAILURE,
	KWJ_OPTION_TAGS, KWJ_OPTION_WINDOW, KWJ_OPTION_WINDOW_END,
};

/*
 * Returns whether this value takes the option away from the job: a timeout of 0, or an empty
 * window.
 */
static bool
is_none(KwjOption option, Datum value)
{
	const Interval *interval;

	if (option == KWJ_OPTION_WINDOW)
		return toast_raw_datum_size(value) == VARHDRSZ;
	if (option != KWJ_OPTION_TIMEOUT)
		return false;
	interval = DatumGetIntervalP(value);
	return interval->time == 0 && interval->day == 0 && interval->month == 0;
}

Datum
kwjobs_alter(PG_FUNCTION_ARGS)
{
	KwjChange	change = {0};

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the id of the job must not be null"),
				 errhint("For instance: SELECT kwjobs.alter(job_id, priority => 5).")));
	for (int i = 0; i < lengthof(options); i++)
	{
		if (PG_ARGISNULL(i + 1))
			continue;
		change.is_set[options[i]] = true;
		/* the same checks as for a new job */
		if (!is_none(options[i], PG_GETARG_DATUM(i + 1)))
			kwj_set_option(&change.values, options[i], PG_GETARG_DATUM(i + 1), false);
	}
	kwj_alter(PG_GETARG_INT64(0), &change);
	PG_RETURN_VOID();
}
