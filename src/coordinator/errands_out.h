/*
 * src/coordinator/errands_out.h
 *	  Sending the errands of this database to the databases that have the jobs.
 */
#ifndef KWJ_COORDINATOR_ERRANDS_OUT_H
#define KWJ_COORDINATOR_ERRANDS_OUT_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Takes the answer to the mail of this database, and sends the next one. any: a full pass has found
 * errands, so that the table is read in any case. The coordinator calls this outside a transaction,
 * after the pass. Returns when to call it again; DT_NOEND: when the latch is set. Errors: none but
 * FATAL.
 */
extern TimestampTz kwj_errands_send(bool any);

#endif
