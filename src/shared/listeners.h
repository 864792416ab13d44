/*
 * src/shared/listeners.h
 *	  NOTIFY when a job is over, for those who LISTEN to its channel.
 */
#ifndef KWJ_SHARED_LISTENERS_H
#define KWJ_SHARED_LISTENERS_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/* The longest name of a channel, in bytes; NOTIFY takes no longer one. */
#define KWJ_LONGEST_CHANNEL	(NAMEDATALEN - 1)

/* The end of a job that is to be told. Texts may be clipped; NULL: none. */
typedef struct KwjNotice
{
	const char *channel;
	int64		job_id;
	const char *status;
	const char *error_code;
	const char *error;
} KwjNotice;

/*
 * Has the commit of the current transaction send the notice; if that, or the subtransaction of now,
 * is rolled back, it is not sent. A channel whose name NOTIFY does not take gets none. Errors: out
 * of memory.
 */
extern void kwj_listeners_tell(const KwjNotice *notice);

/*
 * This process, a coordinator, never waits for other transactions that send: from now on it sends
 * what it cannot send with a commit later, with another one.
 */
extern void kwj_listeners_never_wait(void);

/* When a coordinator should begin the next transaction for that; DT_NOEND: nothing is left. */
extern TimestampTz kwj_listeners_due(void);

/* From _PG_init in the postmaster: registers the callbacks. */
extern void kwj_listeners_init(void);

#endif
