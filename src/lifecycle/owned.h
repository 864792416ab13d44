/*
 * src/lifecycle/owned.h
 *	  What becomes of a role's schedules and jobs when its objects, or the role itself, are dropped.
 */
#ifndef KWJ_LIFECYCLE_OWNED_H
#define KWJ_LIFECYCLE_OWNED_H

#include "kwjobs.h"

/*
 * DROP ROLE: raises an error if schedules of this database belong to the role, and warns of its jobs here that
 * are not over. The session calls this in the transaction that has just dropped the role. Errors: 2BP01.
 */
extern void kwj_owned_check_dropped(Oid role, const char *name);

/* DROP OWNED: drops the role's schedules in this database. Waits for transactions that change them. */
extern void kwj_owned_drop(Oid role);

/*
 * REASSIGN OWNED: gives the role's schedules in this database to another role, pauses them, and says so in a
 * NOTICE for each. Waits for transactions that change them.
 */
extern void kwj_owned_reassign(Oid role, Oid to);

#endif
