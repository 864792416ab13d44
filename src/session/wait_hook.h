/*
 * src/session/wait_hook.h
 *	  SHOW JOB WHEN COMPLETE waits without a snapshot.
 */
#ifndef KWJ_SESSION_WAIT_HOOK_H
#define KWJ_SESSION_WAIT_HOOK_H

#include "kwjobs.h"

/* Installs the hook. _PG_init calls this in the postmaster. */
extern void kwj_wait_hook_init(void);

#endif
