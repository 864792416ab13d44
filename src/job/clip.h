/*
 * src/job/clip.h
 *	  The bound of texts that come from a job's run and are stored with it.
 */
#ifndef KWJ_JOB_CLIP_H
#define KWJ_JOB_CLIP_H

#include "kwjobs.h"

/* No text of an error (message, detail, hint, context, ...) is stored with more bytes than this. */
#define KWJ_TEXT_LIMIT		8192
/* The same in SQL, in characters. */
#define KWJ_TEXT_LIMIT_SQL	CppAsString2(KWJ_TEXT_LIMIT)

/*
 * The text itself if it is not too long, else a palloc'd copy of its beginning that ends with a mark,
 * which says how much is missing. NULL for NULL.
 */
extern const char *kwj_clip_text(const char *text);

#endif
