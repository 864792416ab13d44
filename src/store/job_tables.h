/*
 * src/store/job_tables.h
 *	  The tables of jobs and attempts, open for changes of single rows. Their fields are for
 *	  src/store only.
 */
#ifndef KWJ_STORE_JOB_TABLES_H
#define KWJ_STORE_JOB_TABLES_H

#include "kwjobs.h"

struct KwjTable;

typedef struct KwjJobTables
{
	int			guc_level;		/* 0: no setting was changed */
	struct KwjTable *jobs;
	struct KwjTable *attempts;
} KwjJobTables;

/*
 * Open them, for an active snapshot and one transaction. The result is in CurrentMemoryContext. Where two transactions
 * change the same rows, each takes those of the job first, then those of the attempt, then those of the checkpoint.
 */
extern KwjJobTables *kwj_open_job_tables(void);
extern void kwj_close_job_tables(KwjJobTables *tables);

#endif
