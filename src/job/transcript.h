/*
 * src/job/transcript.h
 *	  What an attempt's statements reported: the command tag of each, and its messages (NOTICE,
 *	  WARNING, INFO).
 *
 * Process: worker. The worker keeps the transcript in its own memory while the attempt runs. When
 * the attempt ends, src/store/end.c writes the transcript into the attempt's row. Meanwhile the
 * last messages are in shared memory, too (job/messages.h).
 */
#ifndef KWJ_JOB_TRANSCRIPT_H
#define KWJ_JOB_TRANSCRIPT_H

#include "kwjobs.h"
#include "utils/array.h"

/*
 * Bytes of tags, and of messages. If there are more, the first and the last ones are kept, each in
 * half of that, and a line between them says how many are missing.
 */
#define KWJ_TRANSCRIPT_TAGS		(16 * 1024)
#define KWJ_TRANSCRIPT_MESSAGES	(64 * 1024)

/* The command tags and the messages of an attempt. */
typedef struct KwjTranscript
{
	ArrayType  *tags;			/* text[]; NULL: there are none */
	ArrayType  *messages;		/* text[]; NULL: there are none */
	/*
	 * timestamptz[]: the time of each message, NULL for the line that says how many messages are
	 * missing; NULL instead of the array if there are no messages
	 */
	ArrayType  *message_times;
} KwjTranscript;

/* Forget everything, because an attempt begins. */
extern void kwj_transcript_reset(void);

/* Add the command tag of a statement that has ended, e.g. "INSERT 0 3". */
extern void kwj_transcript_add_tag(const char *tag);

/* Add a message, e.g. "NOTICE:  table does not exist, skipping", with the time of now. */
extern void kwj_transcript_add_message(const char *message);

/* Return the line that stands in the place of `dropped` lines, palloc'd. */
extern char *kwj_transcript_mark(int64 dropped, const char *what, const char *several);

/* Return the transcript of the attempt so far, in CurrentMemoryContext. */
extern KwjTranscript kwj_transcript_read(void);

#endif
