/*
 * src/coordinator/held.h
 *	  Which jobs are held, as of this pass.
 *
 * Process: coordinator.
 */
#ifndef KWJ_COORDINATOR_HELD_H
#define KWJ_COORDINATOR_HELD_H

#include "kwjobs.h"
#include "nodes/pg_list.h"

/*
 * In the transaction of a pass, before it looks at jobs that may start: reads the holds, if they
 * may have changed since they were read, or if there are any (any).
 */
extern void kwj_held_read(bool any);

/*
 * Before a pass: returns whether a setting has changed since the last call by which jobs may start
 * that could not before, so that the pass has to look at everything.
 */
extern bool kwj_held_see_settings(void);

/* Returns whether a hold is about all jobs of this database. */
extern bool kwj_held_is_everything(void);

/* Returns whether a hold is about jobs of this owner and type. */
extern bool kwj_held_concerns(Oid owner, const char *job_type);

/* Returns the holds, a list of KwjHold that lasts until this process reads them again. */
extern const List *kwj_held_list(void);

#endif
