/*
 * src/job/role.c
 *	  The name of a role, for people to read.
 *
 * Process: any. Locks: none.
 */
#include "postgres.h"

#include "job/role.h"
#include "miscadmin.h"

char *
kwj_role_name(Oid role)
{
	char	   *name = GetUserNameFromId(role, true);

	return name ? name : psprintf("unknown (OID=%u)", role);
}
