/*
 * src/job/clip.h
 *	  The most bytes of a text that a job's run produces and that is stored with the job, and of a
 *	  text that is quoted in a message.
 */
#ifndef KWJ_JOB_CLIP_H
#define KWJ_JOB_CLIP_H

#include "kwjobs.h"
#include "lib/stringinfo.h"

/* No text of an error (message, detail, hint, context, ...) is stored with more bytes than this. */
#define KWJ_TEXT_LIMIT		8192
/* The same number as SQL text, for left(), which counts characters. */
#define KWJ_TEXT_LIMIT_SQL	CppAsString2(KWJ_TEXT_LIMIT)

/*
 * Returns the text itself if it is short enough, otherwise a palloc'd copy of its beginning, which
 * ends with a note of how many bytes are missing. NULL for NULL.
 */
extern const char *kwj_clip_text(const char *text);

/*
 * Appends the first line of a text that a user or an error has given, at most `most` bytes of it,
 * and " ..." if that is not all. Replaces each control character by a blank, because it could
 * change what else the reader's terminal shows.
 */
extern void kwj_append_quoted(StringInfo into, const char *text, int most);

/* As kwj_append_quoted, but returns a palloc'd text. */
extern char *kwj_quoted(const char *text, int most);

/*
 * Copies a text in the encoding of the database into a buffer of this size. If it does not fit, cuts it
 * between two characters. from: NULL stands for "". Allocates no memory.
 */
extern void kwj_copy_clipped(char *to, Size size, const char *from);

/*
 * For texts that another process has written, maybe in another encoding: makes the text valid in the
 * encoding of the database. Each byte that is not valid there, and each zero byte, becomes "?".
 * Raises no error.
 */
extern void kwj_make_valid(char *text, int length);

/*
 * Returns the length of such a text that was cut off, without a beginning of a character at its end.
 * Raises no error.
 */
extern int	kwj_whole_characters(const char *text, int length);

#endif
