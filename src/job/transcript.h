/*
 * src/job/transcript.h
 *	  What an attempt's statements reported: the command tag of each, and its messages (NOTICE,
 *	  WARNING, INFO).
 *
 * Process: worker. The worker keeps the transcript in its own memory while the attempt runs. When
 * the attempt ends, src/store/end.c writes the transcript into the attempt's row.
 */
#ifndef KWJ_JOB_TRANSCRIPT_H
#define KWJ_JOB_TRANSCRIPT_H

#include "kwjobs.h"
#include "utils/array.h"

/* The most bytes of tags and messages together. Later ones are counted, but not kept. */
#define KWJ_TRANSCRIPT_LIMIT	(64 * 1024)

/* Forget everything, because an attempt begins. */
extern void kwj_transcript_reset(void);

/* Add the command tag of a statement that has ended, e.g. "INSERT 0 3". */
extern void kwj_transcript_add_tag(const char *tag);

/* Add a message, e.g. "NOTICE:  table does not exist, skipping". */
extern void kwj_transcript_add_message(const char *message);

/*
 * Return the tags or the messages as a text[] in CurrentMemoryContext; NULL if there are none. If
 * the limit was reached, the last element says how many more there were.
 */
extern ArrayType *kwj_transcript_tags(void);
extern ArrayType *kwj_transcript_messages(void);

#endif
