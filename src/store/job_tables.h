/*
 * src/store/job_tables.h
 *	  The tables of jobs and attempts, open for changes of single rows. Only src/store uses the
 *	  fields.
 */
#ifndef KWJ_STORE_JOB_TABLES_H
#define KWJ_STORE_JOB_TABLES_H

#include "kwjobs.h"
#include "store/indexes.h"

struct KwjTable;

typedef struct KwjJobTables
{
	int			guc_level;		/* of the setting lock_timeout = 0; 0: it was 0 already */
	struct KwjTable *jobs;
	struct KwjTable *attempts;
} KwjJobTables;

/*
 * Open both tables, for changes within one transaction and with the present active snapshot. rows:
 * what may be written into kwjobs.job; KWJ_ALL_ROWS or KWJ_WORKED. The result is palloc'd in
 * CurrentMemoryContext; kwj_close_job_tables frees it.
 *
 * Lock order for all code that changes these rows: first the job's, then the attempt's, then the
 * checkpoint's.
 */
extern KwjJobTables *kwj_open_job_tables(KwjRows rows);
extern void kwj_close_job_tables(KwjJobTables *tables);

#endif
