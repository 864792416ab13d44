/*
 * src/store/over.c
 *	  Telling those who listen of jobs that a query has ended.
 *
 * Callers: due.c, dependency.c and break.c, in the coordinator and in workers; again.c, in
 * sessions; always in the transaction that ends the jobs. end.c tells by itself of what it ends.
 * Locks: none here; the commit takes one (shared/listeners.c). If the process dies before the
 * commit, the jobs are not over, and nobody was told.
 */
#include "postgres.h"

#include "job/status.h"
#include "shared/listeners.h"
#include "store/over.h"
#include "store/query.h"

void
kwj_store_tell_listeners(uint64 n)
{
	for (uint64 i = 0; i < n; i++)
	{
		KwjNotice	notice = {.channel = kwj_row_text(i, "notify", CurrentMemoryContext)};

		if (notice.channel == NULL)
			continue;
		notice.status = kwj_row_text(i, "status", CurrentMemoryContext);
		if (!kwj_status_is_terminal(kwj_status_from_name(notice.status)))
			continue;
		notice.job_id = kwj_row_int64(i, "job_id");
		notice.error_code = kwj_row_text(i, "error_code", CurrentMemoryContext);
		notice.error = kwj_row_text(i, "error", CurrentMemoryContext);
		kwj_listeners_tell(&notice);
	}
}
