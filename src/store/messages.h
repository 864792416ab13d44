/*
 * src/store/messages.h
 *	  The messages of a job's attempts that are written already.
 */
#ifndef KWJ_STORE_MESSAGES_H
#define KWJ_STORE_MESSAGES_H

#include "kwjobs.h"
#include "utils/array.h"

typedef struct KwjAttemptMessages
{
	int32		attempt;
	bool		running;		/* it has not ended: nothing is written yet */
	ArrayType  *messages;		/* text[]; NULL: none */
	ArrayType  *times;			/* timestamptz[]; NULL: none */
} KwjAttemptMessages;

/*
 * Reads the attempts of the job in their order, *n of them, palloc'd. The snapshot is a new one,
 * since an attempt may have ended just now.
 */
extern KwjAttemptMessages *kwj_store_messages(int64 job_id, int *n);

#endif
