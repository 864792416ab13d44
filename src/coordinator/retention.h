/*
 * src/coordinator/retention.h
 *	  Keeps the history short: jobs.retention_time, kwjobs.retention_rows,
 *	  kwjobs.retention_size.
 */
#ifndef KWJ_COORDINATOR_RETENTION_H
#define KWJ_COORDINATOR_RETENTION_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Delete what is over the limits, at most one step of it, in a transaction of its own.
 * Call it outside of one, after each pass; mostly it finds that it is not time yet. Returns
 * when to call it again even if nothing happens until then; DT_NOEND: not.
 *
 * Process: coordinator.
 */
extern TimestampTz kwj_retention_run(void);

/*
 * When something will have to be deleted even if no job ends until then, given that none has ended since that time;
 * DT_NOEND: never. Unlike what kwj_retention_run returns, this holds when this process is gone. May look, in a
 * transaction of its own.
 */
extern TimestampTz kwj_retention_due(TimestampTz since);

#endif
