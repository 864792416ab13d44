/*
 * src/coordinator/errands_in.h
 *	  Doing what sessions of other databases ask of the jobs of this database.
 */
#ifndef KWJ_COORDINATOR_ERRANDS_IN_H
#define KWJ_COORDINATOR_ERRANDS_IN_H

#include "kwjobs.h"

/*
 * Does the errands of the mails that wait for this database, and answers the mails. The coordinator
 * calls this after a pass, and while it waits for a lock, outside a transaction. Returns whether
 * there was any mail. Errors: none but FATAL.
 */
extern bool kwj_errands_do(void);

#endif
