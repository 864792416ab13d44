/*
 * src/job/transcript.h
 *	  What an attempt's statements said: the command tag of each, and the messages
 *	  (NOTICE, WARNING, INFO). Kept in this process until the attempt is settled;
 *	  the store writes it with the attempt.
 *
 * Process: worker.
 */
#ifndef KWJ_JOB_TRANSCRIPT_H
#define KWJ_JOB_TRANSCRIPT_H

#include "kwjobs.h"
#include "utils/array.h"

/* Both kinds together; what comes after is counted, not kept. */
#define KWJ_TRANSCRIPT_LIMIT	(64 * 1024)

/* Forget everything: an attempt begins. */
extern void kwj_transcript_reset(void);

/* A statement has ended with this tag, e.g. "INSERT 0 3". */
extern void kwj_transcript_add_tag(const char *tag);

/* A statement has said this, e.g. "NOTICE:  table does not exist, skipping". */
extern void kwj_transcript_add_message(const char *message);

/*
 * As text[] in CurrentMemoryContext, NULL if there are none. Where the limit was reached,
 * the last element says how many more there were.
 */
extern ArrayType *kwj_transcript_tags(void);
extern ArrayType *kwj_transcript_messages(void);

#endif
