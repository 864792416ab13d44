/*
 * src/job/role.h
 *	  The name of a role, for people to read, and whether the current user may create databases.
 */
#ifndef KWJ_JOB_ROLE_H
#define KWJ_JOB_ROLE_H

#include "kwjobs.h"

/*
 * Returns the role's name, palloc'd; if the role was dropped, "unknown (OID=...)", as
 * PostgreSQL's own functions show such a role. Call it in a transaction.
 */
extern char *kwj_role_name(Oid role);

/* Returns whether the current user may create databases. Call it in a transaction. */
extern bool kwj_may_create_databases(void);

/*
 * Registers the callback by which PostgreSQL tells a process that roles have changed. _PG_init calls
 * this in the postmaster.
 */
extern void kwj_role_init(void);

#endif
