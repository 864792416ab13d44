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

/* Looks which roles the statement names; to be called before it runs, since DROP ROLE drops them. */
extern KwjNamedRoles kwj_roles_of(Node *statement);

/*
 * Does to their schedules and jobs what the statement has done to their other objects; to be called after it
 * has run. Errors: 2BP01 for DROP ROLE if schedules belong to the role.
 */
extern void kwj_roles_follow(Node *statement, const KwjNamedRoles *roles);

#endif
