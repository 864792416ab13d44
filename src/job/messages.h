/*
 * src/job/messages.h
 *	  The last messages of the attempt that a worker runs, for kwjobs.messages in other sessions.
 *
 * These are copies in the worker's slot in shared memory. The worker also adds each message to its
 * transcript, which is written into the attempt's row at the end. A worker that writes takes no
 * lock and waits for no process.
 */
#ifndef KWJ_JOB_MESSAGES_H
#define KWJ_JOB_MESSAGES_H

#include "kwjobs.h"
#include "port/atomics.h"
#include "utils/timestamp.h"

/* Bytes for the messages of one worker. New messages take the place of the oldest ones. */
#define KWJ_MESSAGES_SIZE	8192
/* Bytes of one message at most; a longer one is clipped, with a mark. */
#define KWJ_MESSAGE_LENGTH	2000

/*
 * The part of a worker's slot for messages. The worker writes it, and makes `changes` odd while it
 * does. A reader copies it, and does so again if `changes` was odd, or has changed meanwhile.
 */
typedef struct KwjMessages
{
	pg_atomic_uint32 changes;
	Oid			dboid;			/* ids are the same in a copied database */
	int64		job_id;			/* whose messages these are; 0: nobody's */
	int32		attempt;
	int64		dropped;		/* how many messages of the attempt are not here any more */
	int			used;			/* bytes in data */
	char		data[KWJ_MESSAGES_SIZE];	/* of each its time, and its text with a NUL behind it */
} KwjMessages;

/* Set where this process writes messages; NULL: nowhere. */
extern void kwj_messages_attach(KwjMessages *messages);

/* An attempt begins: forget the messages of the last one. */
extern void kwj_messages_begin(int64 job_id, int32 attempt);

/* Add a message of this time, e.g. "NOTICE:  table does not exist, skipping". */
extern void kwj_messages_add(TimestampTz time, const char *message);

/* Copy another process's messages as they are at one moment. */
extern void kwj_messages_copy(KwjMessages *to, KwjMessages *from);

/*
 * Get the next message of a copy. *position has to be 0 for the first one. Returns false if there
 * are no more. *text points into the copy.
 */
extern bool kwj_messages_next(const KwjMessages *messages, int *position, TimestampTz *time,
							  const char **text);

#endif
