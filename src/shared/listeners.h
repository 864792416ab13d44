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
 * Has the commit of the current transaction send the notice. It is not sent if the transaction or
 * the current subtransaction is rolled back, or if NOTIFY would refuse the name of the channel.
 * Errors: out of memory.
 */
extern void kwj_listeners_tell(const KwjNotice *notice);

/*
 * Called by a coordinator: this process never waits for the lock of transactions that send
 * notifications. A notice that it cannot send with one commit is kept, and sent with a later one.
 */
extern void kwj_listeners_never_wait(void);

/*
 * Returns when the coordinator should try to send the notices that it has kept; DT_NOEND: it has
 * none.
 */
extern TimestampTz kwj_listeners_due(void);

#endif
