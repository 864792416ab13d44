/*
 * src/track/validation.h
 *	  Shows how far a statement is in which PostgreSQL checks all rows of tables against constraints.
 */
#ifndef KWJ_TRACK_VALIDATION_H
#define KWJ_TRACK_VALIDATION_H

#include "kwjobs.h"

/* Sets the hook. The postmaster calls this once. */
extern void kwj_validation_init(void);

#endif
