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
 * Returns the description, palloc'd: the statement's own part of the string that the client has
 * sent, without comments before it; instead, the kind of the statement and its object, if class
 * says so or if the text seems to have a password in it. Of a long text the beginning is returned,
 * which the place of the job clips. Errors: out of memory.
 */
extern char *kwj_track_text(const PlannedStmt *statement, const char *string,
							const KwjTrackClass *class);

#endif
