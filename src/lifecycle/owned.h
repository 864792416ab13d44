/*
 * src/lifecycle/owned.h
 *	  What becomes of a role's schedules and jobs when its objects, or the role itself, are dropped.
 */
#ifndef KWJ_LIFECYCLE_OWNED_H
#define KWJ_LIFECYCLE_OWNED_H

#include "kwjobs.h"

/*
 * To be called after DROP ROLE, in the same transaction. role, name: the role that was dropped. Errors:
 * 2BP01 if schedules of this database belong to it. Warns of its jobs here that are not over.
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
