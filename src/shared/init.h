/*
 * src/shared/init.h
 *	  Kwjobs's shared memory: requesting and setting it up.
 */
#ifndef KWJ_SHARED_INIT_H
#define KWJ_SHARED_INIT_H

#include "kwjobs.h"

/* From _PG_init in the postmaster: requests the memory and its lock. */
extern void kwj_shared_init(void);

/* Process: any. Whether the memory exists: false if the library was not preloaded. */
extern bool kwj_shared_ready(void);

#endif
