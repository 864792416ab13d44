/*
 * src/lifecycle/stand.h
 *	  Attempts that obey a PAUSE by standing still, with all that they have: a program that is stopped,
 *	  a snapshot, locks.
 *
 * Process: worker, in a transaction or not. No function raises an error, except for
 * kwj_attempt_stand_still.
 */
#ifndef KWJ_LIFECYCLE_STAND_H
#define KWJ_LIFECYCLE_STAND_H

#include "job/progress.h"

/*
 * Notes that the attempt stands still for the PAUSE that it has just seen. kept: its running_status
 * meanwhile, which says what it keeps; NULL: the attempt goes on, because there is no PAUSE any more. Call
 * this at once: a moment after a PAUSE, the coordinator interrupts an attempt that does not stand still.
 */
extern void kwj_attempt_stand(const char *kept);

/*
 * Notes that the attempt will obey each PAUSE by standing still, however long it takes until it can. So
 * the coordinator does not interrupt it for a PAUSE.
 */
extern void kwj_attempt_will_stand(void);

/*
 * Work that can stand still anywhere calls this now and then. If there is a PAUSE, waits until it is
 * taken back. Returns KWJ_REQUEST_CANCEL if the work has to end, else KWJ_REQUEST_NONE. Errors: 57014 for
 * an interrupt.
 */
extern KwjRequest kwj_attempt_stand_still(const char *kept);

#endif
