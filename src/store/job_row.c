/*
 * src/store/job_row.c
 *	  Begins a row of kwjobs.job.
 *
 * Callers: sessions that make a job (jobs.c), and the process that inserts the row of a job that a
 * session has done itself (record.c). They insert without a plan, so no DEFAULT of the table is
 * evaluated.
 *
 * Process: any with a transaction. Locks: none; the caller has opened the table.
 */
#include "postgres.h"

#include "store/job_row.h"

static const char *const zero32[] = {"attempts", "priority", "retries", "crashes", "refusals"};
static const char *const zero64[] = {
	"total_num_of_ex", "total_num_of_success", "total_num_of_fail"
};

/* The other columns with a DEFAULT: statement, retry_delay, has_revert, on_failure, error. */
#define N_OTHERS	5

bool
kwj_job_row_is_enough(const KwjTable *jobs)
{
	return !kwj_table_is_changed(jobs, lengthof(zero32) + lengthof(zero64) + N_OTHERS);
}

void
kwj_job_row_begin(KwjTable *jobs)
{
	static KwjModelRow model;

	if (kwj_table_new_row_like(jobs, &model))
		return;
	kwj_table_new_row(jobs);
	for (int i = 0; i < lengthof(zero32); i++)
		kwj_table_set(jobs, zero32[i], Int32GetDatum(0));
	for (int i = 0; i < lengthof(zero64); i++)
		kwj_table_set(jobs, zero64[i], Int64GetDatum(0));
	kwj_table_set(jobs, "retry_delay", Int64GetDatum(1000));
	kwj_table_set(jobs, "has_revert", BoolGetDatum(false));
	kwj_table_set_text(jobs, "statement", "");
	kwj_table_set_text(jobs, "on_failure", "fail");
	kwj_table_set_text(jobs, "error", "");
	kwj_table_keep_row(jobs, &model);
}
