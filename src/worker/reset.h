/*
 * src/worker/reset.h
 *	  The session of a worker, between two jobs of its role.
 *
 * Process: worker.
 */
#ifndef KWJ_WORKER_RESET_H
#define KWJ_WORKER_RESET_H

#include "kwjobs.h"
#include "utils/jsonb.h"

/*
 * Preload the libraries that sessions do, and remember what the session began with. After
 * connecting, outside a transaction.
 */
extern void kwj_worker_session_init(void);

/*
 * Forget all that a job has left in the session, as DISCARD ALL does, but for cached plans, and temporary replication slots. Outside
 * a transaction. Errors: if something cannot be forgotten; then the session must end.
 */
extern void kwj_worker_session_reset(void);

/*
 * Returns whether a job with this payload may run here: not if it names temp_buffers, which cannot be set
 * any more once a job has used temporary tables. Then the session is not current from now on.
 */
extern bool kwj_worker_session_fits(Jsonb *payload);

/*
 * Returns whether the session has run no job yet, for what must find nothing that one has left behind: functions that
 * a procedural language has compiled, for instance, with the search_path of then. If it has, the session is
 * used up, too.
 */
extern bool kwj_worker_session_is_new(void);

/*
 * Returns whether a new session of the role would be like this one: it may still connect, has the same
 * settings, and nothing of what a job may leave for good is there. In a transaction.
 */
extern bool kwj_worker_session_is_current(void);

#endif
