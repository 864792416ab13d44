/*
 * src/process/worker_session.h
 *	  The session of a worker, between two jobs of its role.
 *
 * Process: worker.
 */
#ifndef KWJ_PROCESS_WORKER_SESSION_H
#define KWJ_PROCESS_WORKER_SESSION_H

#include "kwjobs.h"

/* Remember what the session began with. After connecting, outside a transaction. */
extern void kwj_worker_session_init(void);

/*
 * Forget all that a job has left in the session, as DISCARD ALL does, but for cached plans. Outside
 * a transaction. Errors: if something cannot be forgotten; then the session must end.
 */
extern void kwj_worker_session_reset(void);

/*
 * Whether a new session of the role would be like this one: it may still connect, and has the same
 * settings. In a transaction.
 */
extern bool kwj_worker_session_is_current(void);

#endif
