/*
 * src/coordinator/refusal.h
 *	  Roles whose connection PostgreSQL would refuse, so that they cannot have a worker now.
 *
 * When a background worker connects, PostgreSQL checks that the database accepts connections, that
 * the role may log in, and that it has CONNECT. Connection limits do not count for background
 * workers.
 */
#ifndef KWJ_COORDINATOR_REFUSAL_H
#define KWJ_COORDINATOR_REFUSAL_H

#include "kwjobs.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/* ---- Process: coordinator, in the transaction of a pass ---- */

/*
 * The coordinator calls this at the beginning of a pass: looks again at the roles that could not
 * connect. Returns the OIDs of those that still cannot. What changes is logged once.
 */
extern List *kwj_refusal_review(void);

/*
 * A job of this role, which exists, waits for a worker: returns whether the role cannot connect. If
 * that is new, also logs it, tells the role's idle workers to exit, and remembers the role.
 */
extern bool kwj_refusal_concerns(Oid role);

/* Returns how many roles this coordinator knows that cannot connect. */
extern int	kwj_refusal_count(void);

/*
 * The coordinator calls this at the end of a pass. Returns when to look again at roles whose jobs
 * wait; DT_NOEND: there are none.
 */
extern TimestampTz kwj_refusal_next(void);

#endif
