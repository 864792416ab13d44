/*
 * src/session/utility_hook.h
 *	  Utility statements that concern the processes of kwjobs.
 */
#ifndef KWJ_SESSION_UTILITY_HOOK_H
#define KWJ_SESSION_UTILITY_HOOK_H

#include "kwjobs.h"

/* Installs the hook. _PG_init calls this in the postmaster. */
extern void kwj_utility_hook_init(void);

#endif
