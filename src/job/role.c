/*
 * src/job/role.c
 *	  The name of a role, for people to read, and whether the current user may create databases.
 *
 * Process: any, in a transaction. Locks: none.
 *
 * A session asks for the name at each commit with jobs of its own, and mostly for the same role. So each
 * process keeps the last answer until PostgreSQL tells it that a role has changed (forget).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "job/role.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/syscache.h"

static Oid	known = InvalidOid;
static NameData known_name;
static uint32 n_changes = 0;

/* kwj_role_init() has been called. Without it, PostgreSQL tells this process of no change. */
static bool is_told = false;

/* System cache callback: some role has changed. */
static void
forget(Datum arg, int cache, uint32 hash)
{
	n_changes++;
	known = InvalidOid;
}

char *
kwj_role_name(Oid role)
{
	uint32		n_changes_before = n_changes;
	char	   *name;

	Assert(IsTransactionState());
	if (role == known && OidIsValid(role))
		return pstrdup(NameStr(known_name));
	name = GetUserNameFromId(role, true);
	if (name == NULL)
		return psprintf("unknown (OID=%u)", role);
	/*
	 * PostgreSQL may have told this process of a change during the lookup. Then the answer may be
	 * older than the change, and is not kept.
	 */
	if (is_told && n_changes == n_changes_before)
	{
		namestrcpy(&known_name, name);
		known = role;
	}
	return name;
}

void
kwj_role_init(void)
{
	CacheRegisterSyscacheCallback(AUTHOID, forget, (Datum) 0);
	is_told = true;
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
