/*
 * src/coordinator/errands_in.h
 *	  Doing what sessions of other databases ask of the jobs of this database.
 */
#ifndef KWJ_COORDINATOR_ERRANDS_IN_H
#define KWJ_COORDINATOR_ERRANDS_IN_H

#include "kwjobs.h"

/*
 * Does the errands of the mails that wait for this database, and answers the mails. To be called
 * after a pass, outside a transaction. Returns whether there was any. Errors: none but FATAL.
 */
extern bool kwj_errands_do(void);

#endif
