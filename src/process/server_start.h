/*
 * src/process/server_start.h
 *	  The start of the server, as a job of type RESTART in each database with kwjobs.
 *
 * The kind of the start follows from facts: what the postmaster finds in the data directory before
 * recovery begins, and where the server stands when it accepts writes. A standby has not started in
 * this sense until it is promoted. Shared memory has the facts (shared/start.h).
 */
#ifndef KWJ_PROCESS_SERVER_START_H
#define KWJ_PROCESS_SERVER_START_H

#include "kwjobs.h"
#include "access/transam.h"
#include "access/xlogdefs.h"
#include "utils/timestamp.h"

/*
 * Process: launcher, once it is connected. Fills in the facts of the start. next_xid: the next transaction
 * of the server when the launcher began; extensions with a later one do not record the start. Returns
 * whether there may be databases that have not recorded it: true until kwj_shared_start_announced().
 */
extern bool kwj_server_start_ready(FullTransactionId next_xid);

/*
 * Process: coordinator, connected, outside a transaction. Inserts the job, if this database is to
 * record the start and has not done so. Errors are logged, not raised.
 */
extern void kwj_server_start_record(void);

#endif
