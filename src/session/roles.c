/*
 * src/session/roles.c
 *	  DROP ROLE, DROP OWNED and REASSIGN OWNED of roles that have schedules or jobs.
 *
 * PostgreSQL does not know that the rows of kwjobs.schedule belong to roles. So when it has carried such a
 * statement out, the session calls this file, which has lifecycle/owned.c do the same to the schedules.
 *
 * Process: sessions, and workers whose statement it is. Locks: those of lifecycle/owned.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lifecycle/owned.h"
#include "miscadmin.h"
#include "session/roles.h"
#include "utils/acl.h"

static List *
list_roles(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropRoleStmt:
			return ((DropRoleStmt *) statement)->roles;
		case T_DropOwnedStmt:
			return ((DropOwnedStmt *) statement)->roles;
		case T_ReassignOwnedStmt:
			return ((ReassignOwnedStmt *) statement)->roles;
		default:
			return NIL;
	}
}

KwjNamedRoles
kwj_roles_of(Node *statement)
{
	KwjNamedRoles roles = {NIL};
	ListCell   *lc;

	foreach(lc, list_roles(statement))
	{
		/* If a role does not exist, PostgreSQL raises the error when it runs the statement. */
		Oid			role = get_rolespec_oid(lfirst(lc), true);

		if (!OidIsValid(role))
			continue;
		roles.oids = lappend_oid(roles.oids, role);
		roles.names = lappend(roles.names, GetUserNameFromId(role, false));
	}
	return roles;
}

void
kwj_roles_follow(Node *statement, const KwjNamedRoles *roles)
{
	ListCell   *role;
	ListCell   *name;

	if (roles->oids == NIL)
		return;
	/* Make visible what the statement has done: it may have dropped the extension. */
	CommandCounterIncrement();
	forboth(role, roles->oids, name, roles->names)
	{
		if (IsA(statement, DropRoleStmt))
			kwj_owned_check_dropped(lfirst_oid(role), lfirst(name));
		else if (IsA(statement, DropOwnedStmt))
			kwj_owned_drop(lfirst_oid(role));
		else
			kwj_owned_reassign(lfirst_oid(role), get_rolespec_oid(((ReassignOwnedStmt *) statement)->newrole, false));
	}
}
