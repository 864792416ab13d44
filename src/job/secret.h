/*
 * src/job/secret.h
 *	  Whether a text seems to have a password or another secret in it.
 */
#ifndef KWJ_JOB_SECRET_H
#define KWJ_JOB_SECRET_H

#include "postgres.h"

/* What users see in the place of such a text. */
#define KWJ_NOT_SHOWN	"(text not shown, as it seems to have a password in it)"

/* Returns whether the text seems to have a secret in it, which must not be shown to others. */
extern bool kwj_seems_secret(const char *text);

/* Returns the text, or KWJ_NOT_SHOWN if is_secret is true or it seems to have a secret in it. */
extern const char *kwj_showable(const char *text, bool is_secret);

#endif
