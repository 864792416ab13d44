/*
 * src/session/roles.h
 *	  DROP ROLE, DROP OWNED and REASSIGN OWNED of roles that have schedules or jobs.
 */
#ifndef KWJ_SESSION_ROLES_H
#define KWJ_SESSION_ROLES_H

#include "nodes/parsenodes.h"

/* The roles that such a statement names. */
typedef struct KwjNamedRoles
{
	List	   *oids;			/* NIL for all other statements */
	List	   *names;			/* of the same length */
} KwjNamedRoles;

/*
 * Returns the roles that the statement names. The session calls this before it runs the statement, because
 * after DROP ROLE it could not look them up any more.
 */
extern KwjNamedRoles kwj_roles_of(Node *statement);

/*
 * Does to the schedules of these roles what the statement has done to their other objects. The session calls
 * this after the statement. Errors: 2BP01 for DROP ROLE if schedules belong to the role.
 */
extern void kwj_roles_follow(Node *statement, const KwjNamedRoles *roles);

#endif
