/*
 * src/coordinator/retention.h
 *	  Keeps the history short: jobs.retention_time, kwjobs.retention_rows, kwjobs.retention_size.
 *
 * Process: coordinator, outside a transaction.
 */
#ifndef KWJ_COORDINATOR_RETENTION_H
#define KWJ_COORDINATOR_RETENTION_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Deletes finished jobs that are over the limits, at most one step of them, in a transaction of its
 * own. The coordinator calls this after each pass; mostly it is not time yet. Returns when to call
 * it again even if nothing happens until then; DT_NOEND: not. Errors are logged, not raised.
 */
extern TimestampTz kwj_retention_run(void);

/*
 * Returns when something will have to be deleted even if no job ends until then, given that none
 * has ended since that time; DT_NOEND: never. Unlike the result of kwj_retention_run(), this holds
 * after this process has exited. May look at the history, in a transaction of its own.
 */
extern TimestampTz kwj_retention_due(TimestampTz since);

#endif
