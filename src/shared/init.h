/*
 * src/shared/init.h
 *	  Kwjobs's shared memory: asked for, and made.
 */
#ifndef KWJ_SHARED_INIT_H
#define KWJ_SHARED_INIT_H

#include "kwjobs.h"

/* Ask for the memory, from _PG_init in the postmaster. */
extern void kwj_shared_init(void);

/* Whether it is there: false if the library was not preloaded. */
extern bool kwj_shared_ready(void);

#endif
