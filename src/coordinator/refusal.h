/*
 * src/coordinator/refusal.h
 *	  Roles that cannot have a worker now, as PostgreSQL would refuse its connection.
 *
 * PostgreSQL checks of a background worker that the database accepts connections, that the role
 * may log in, and its CONNECT. Connection limits are for sessions only.
 */
#ifndef KWJ_COORDINATOR_REFUSAL_H
#define KWJ_COORDINATOR_REFUSAL_H

#include "kwjobs.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/* ---- coordinator, in the transaction of a pass ---- */

/*
 * At the beginning: look at the roles again that could not have a worker. Returns those that still
 * cannot, a list of OIDs. What changes is said in the log, once.
 */
extern List *kwj_refusal_review(void);

/* A job of this existing role waits for a worker: whether there can be none. */
extern bool kwj_refusal_concerns(Oid role);

/* How many roles cannot have a worker, as far as this coordinator has seen. */
extern int	kwj_refusal_count(void);

/* At the end: when to look again at those whose jobs wait. DT_NOEND: there are none. */
extern TimestampTz kwj_refusal_next(void);

#endif
