/*
 * src/lifecycle/many.c
 *	  Statements and functions that act on many jobs at once.
 *
 * Process: sessions, and workers whose statement controls jobs. Takes no locks.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "lifecycle/many.h"
#include "shared/job_id.h"

int
kwj_sort_ids(int64 *job_ids, int n)
{
	int			kept = 0;

	qsort(job_ids, n, sizeof(int64), kwj_job_id_compare);
	for (int i = 0; i < n; i++)
		if (i == 0 || job_ids[i] != job_ids[i - 1])
			job_ids[kept++] = job_ids[i];
	return kept;
}

/* Appends "it is over", "they are over" or "2 are over". */
static void
append_reason(StringInfo why, int count, int total, const char *reason)
{
	if (why->len > 0)
		appendStringInfoString(why, ", ");
	if (count == total)
		appendStringInfoString(why, total == 1 ? "it is " : "they are ");
	else
		appendStringInfo(why, "%d %s ", count, count == 1 ? "is" : "are");
	appendStringInfoString(why, reason);
}

void
kwj_report_left_out(const int *counts, const char *const *reasons, int n)
{
	StringInfoData why;
	int			total = 0;

	for (int i = 1; i < n; i++)
		total += counts[i];
	if (total == 0)
		return;
	initStringInfo(&why);
	for (int i = 1; i < n; i++)
		if (counts[i] > 0)
			append_reason(&why, counts[i], total, reasons[i]);
	ereport(NOTICE,
			(errmsg_plural("%d job was left out: %s", "%d jobs were left out: %s", total,
						   total, why.data)));
}
