/*
 * src/store/job_tables.c
 *	  The tables of jobs and attempts, open for changes of single rows.
 *
 * Process: worker, coordinator. Locks: our tables in AccessShareLock (kwj_store_lock_tables), then
 * both tables in RowExclusiveLock, until the end of the transaction.
 */
#include "postgres.h"

#include "job/transaction.h"
#include "store/job_tables.h"
#include "store/query.h"
#include "store/table.h"
#include "utils/guc.h"

KwjJobTables *
kwj_open_job_tables(KwjRows rows)
{
	KwjJobTables *tables = palloc0(sizeof(KwjJobTables));

	if (kwj_store_ignores_lock_timeout())
	{
		tables->guc_level = NewGUCNestLevel();
		kwj_set_in_level("lock_timeout", "0");
	}

	kwj_store_lock_tables(false);
	tables->jobs = kwj_table_open_jobs(rows);
	tables->attempts = kwj_table_open("attempt");
	return tables;
}

void
kwj_close_job_tables(KwjJobTables *tables)
{
	kwj_table_close(tables->attempts);
	kwj_table_close(tables->jobs);
	if (tables->guc_level > 0)
		AtEOXact_GUC(true, tables->guc_level);
	pfree(tables);
}
