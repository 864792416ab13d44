/*
 * src/coordinator/record.h
 *	  Writes the rows of jobs that sessions have done and could not write themselves.
 */
#ifndef KWJ_COORDINATOR_RECORD_H
#define KWJ_COORDINATOR_RECORD_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Writes the rows in subtransactions of the current transaction, whose commit makes them visible.
 * Returns when to call this function again; DT_NOBEGIN: at once; DT_NOEND: only when something has
 * woken this process. If a row raises an error, this function does not.
 */
extern TimestampTz kwj_record_session_jobs(void);

/* Registers the callback. The coordinator calls this once, when it starts. */
extern void kwj_record_init(void);

#endif
