/*
 * src/shared/init.h
 *	  Kwjobs's shared memory: requesting and setting it up.
 */
#ifndef KWJ_SHARED_INIT_H
#define KWJ_SHARED_INIT_H

#include "kwjobs.h"

/* Requests the memory and its lock. _PG_init calls this in the postmaster. */
extern void kwj_shared_init(void);

/*
 * Process: launcher, when kwjobs.max_workers has changed: how many coordinators may run depends on
 * it. Takes kwj_shared->lock.
 */
extern void kwj_shared_count_places(void);

/* Process: any. Returns whether the memory exists: it does if the library was preloaded. */
extern bool kwj_shared_ready(void);

#endif
