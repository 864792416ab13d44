/*
 * src/session/read_only.h
 *	  PAUSE, RESUME and CANCEL in a read-only transaction.
 */
#ifndef KWJ_SESSION_READ_ONLY_H
#define KWJ_SESSION_READ_ONLY_H

#include "kwjobs.h"

/* Installs the hook. _PG_init calls this in the postmaster. */
extern void kwj_read_only_init(void);

#endif
