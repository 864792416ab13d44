/*
 * src/track/text.h
 *	  The description of a SCHEMA CHANGE job.
 */
#ifndef KWJ_TRACK_TEXT_H
#define KWJ_TRACK_TEXT_H

#include "kwjobs.h"
#include "nodes/plannodes.h"
#include "track/classify.h"

/*
 * Returns the description, palloc'd. This is the statement's own part of the string that the client
 * has sent, without comments before it. If class says so, or if the text seems to have a password
 * in it, this is the kind of the statement and its object instead. Of a long text, returns the
 * beginning, which is still longer than the place of the job, so that the place clips and marks it.
 * Sets *is_hidden: the text is left out, as it may have a secret. Errors: out of memory.
 */
extern char *kwj_track_text(const PlannedStmt *statement, const char *string,
							const KwjTrackClass *class, bool *is_hidden);

#endif
