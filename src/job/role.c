/*
 * src/job/role.c
 *	  The name of a role, for people to read, and whether the current user may create databases.
 *
 * Process: any. Locks: none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "job/role.h"
#include "miscadmin.h"
#include "utils/syscache.h"

char *
kwj_role_name(Oid role)
{
	char	   *name = GetUserNameFromId(role, true);

	return name ? name : psprintf("unknown (OID=%u)", role);
}

bool
kwj_may_create_databases(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	bool		may = superuser();

	if (!HeapTupleIsValid(tuple))
		return may;
	may |= ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	ReleaseSysCache(tuple);
	return may;
}
