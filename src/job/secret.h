/*
 * src/job/secret.h
 *	  Whether a text seems to have a password or another secret in it.
 */
#ifndef KWJ_JOB_SECRET_H
#define KWJ_JOB_SECRET_H

#include "postgres.h"

/* Returns whether the text seems to have a secret in it, which must not be shown to others. */
extern bool kwj_seems_secret(const char *text);

#endif
