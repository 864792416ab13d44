/*
 * src/coordinator/put_off.h
 *	  Jobs and errands that were put off by a clock that was wrong.
 */
#ifndef KWJ_COORDINATOR_PUT_OFF_H
#define KWJ_COORDINATOR_PUT_OFF_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * If the clock was set back since a coordinator of this database last looked at it, or if none has
 * looked since the server's start: brings forward what was put off by the old time. Returns whether
 * jobs have got another due time. The database must be at home (kwj_store_come_home).
 */
extern bool kwj_put_off_see_clock(void);

/* Returns when to call that function again: DT_NOBEGIN until this process has looked; then DT_NOEND. */
extern TimestampTz kwj_put_off_next(void);

#endif
