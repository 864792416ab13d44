/*
 * src/coordinator/record.h
 *	  Writes the rows of jobs that sessions have done and could not write themselves.
 */
#ifndef KWJ_COORDINATOR_RECORD_H
#define KWJ_COORDINATOR_RECORD_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Writes the rows in subtransactions of the current transaction, which makes them visible.
 * Returns when to call this again: DT_NOBEGIN at once, DT_NOEND when somebody wakes this
 * process. The errors of rows are no errors of this function.
 */
extern TimestampTz kwj_record_session_jobs(void);

/* From the start of the coordinator: registers the callback. */
extern void kwj_record_init(void);

#endif
