/*
 * src/lifecycle/change.h
 *	  What kwjobs.alter changes, as a text that goes to another database with an errand.
 */
#ifndef KWJ_LIFECYCLE_CHANGE_H
#define KWJ_LIFECYCLE_CHANGE_H

#include "kwjobs.h"
#include "store/again.h"

/* Returns the change as a text for another database, palloc'd. */
extern char *kwj_change_text(const KwjChange *change);

/*
 * Returns the part of such a text that decides whether the job can be altered: its window, and what
 * happens at the end of it. This part is short and ASCII, whatever the encoding of the text is.
 * Errors: XX000 and 22P02 if the text is no change.
 */
extern char *kwj_change_to_check(const char *text);

/* Reads such a text, which is data. Errors: XX000 and 22P02 if it is none; those of kwj_set_option. */
extern void kwj_change_from_text(const char *text, KwjChange *change);

#endif
