/*
 * src/store/server_hold.h
 *	  The hold on the jobs of the whole server.
 */
#ifndef KWJ_STORE_SERVER_HOLD_H
#define KWJ_STORE_SERVER_HOLD_H

#include "kwjobs.h"
#include "store/held.h"

/* How long its reason may be, in bytes. */
#define KWJ_SERVER_REASON_BOUND	1000

/*
 * Read the hold into *hold, palloc'd. Returns false if there is none. It sees what this transaction
 * has changed.
 */
extern bool kwj_store_server_hold(KwjHold *hold);

/*
 * Put the hold in the name of the current user. reason: at most KWJ_SERVER_REASON_BOUND bytes, or
 * NULL. Returns false, and changes nothing, if there is one: *present is that one. Waits for a
 * transaction that does the same, or the opposite.
 */
extern bool kwj_store_hold_server(const char *reason, KwjHold *present);

/* Remove it. Returns false if there is none. Waits as above. */
extern bool kwj_store_release_server(void);

#endif
