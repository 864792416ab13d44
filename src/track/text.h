/*
 * src/track/text.h
 *	  The description of a job that a session's statement is.
 */
#ifndef KWJ_TRACK_TEXT_H
#define KWJ_TRACK_TEXT_H

#include "kwjobs.h"
#include "nodes/plannodes.h"
#include "track/classify.h"

/*
 * Returns the description, palloc'd. The description is the statement's own part of the string that
 * the client has sent, without comments before it. If the class is KWJ_TRACK_NAME, or if the text
 * seems to have a password in it, the description is the kind of the statement and its object, and
 * *is_hidden is set to true, otherwise to false. Of a long text, this function returns only the
 * beginning, but still more than the place of the job can hold, so that the place clips and marks
 * the text. Errors: out of memory.
 */
extern char *kwj_track_text(const PlannedStmt *statement, const char *string,
							const KwjTrackClass *class, bool *is_hidden);

#endif
