/*
 * src/process/retention.h
 *	  Keeps the history short: jobs.retention_time, kwjobs.retention_rows,
 *	  kwjobs.retention_size.
 */
#ifndef KWJ_PROCESS_RETENTION_H
#define KWJ_PROCESS_RETENTION_H

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

#endif
