/*
 * src/worker/reset.h
 *	  Resetting the session of a worker between two jobs of its role.
 *
 * Process: worker.
 */
#ifndef KWJ_WORKER_RESET_H
#define KWJ_WORKER_RESET_H

#include "kwjobs.h"
#include "utils/jsonb.h"

/*
 * Loads the libraries that each session preloads, and stores the settings and rights with which the
 * session has begun. The worker calls this when it has connected, outside a transaction.
 */
extern void kwj_worker_session_init(void);

/*
 * Forgets all that a job has left in the session, as DISCARD ALL does, with two differences: cached
 * plans are kept, and temporary replication slots are dropped, too. The caller is outside a
 * transaction. If this raises an error, the session must end.
 */
extern void kwj_worker_session_reset(void);

/*
 * Returns whether a job with this payload may run in this session. It may not if the payload names
 * temp_buffers, which cannot be changed once a job has used temporary tables. If this returns
 * false, kwj_worker_session_is_current() returns false from now on, so that the worker exits.
 */
extern bool kwj_worker_session_fits(Jsonb *payload);

/*
 * Returns whether the session has run no job yet. A revert may need such a session, so that it
 * finds nothing that a job has left, for instance functions that a procedural language has compiled
 * with the job's search_path. If this returns false, kwj_worker_session_is_current() returns false
 * from now on, so that the worker exits.
 */
extern bool kwj_worker_session_is_new(void);

/*
 * Returns whether a new session of the role would be like this one: the role may still connect and
 * has the same settings, and no job has left anything in the process that cannot be reset. The
 * caller is in a transaction.
 */
extern bool kwj_worker_session_is_current(void);

#endif
