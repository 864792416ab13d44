/*
 * src/job/login.c
 *	  Whether PostgreSQL would let a worker of a role connect to this database.
 *
 * Process: any, in a transaction. Locks: none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "compat.h"
#include "job/login.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

static bool
accepts_connections(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	bool		accepts = false;

	if (HeapTupleIsValid(tuple))
	{
		accepts = ((Form_pg_database) GETSTRUCT(tuple))->datallowconn;
		ReleaseSysCache(tuple);
	}
	return accepts;
}

/*
 * Makes the checks of InitPostgres for a background worker of this role. Superusers always pass the
 * check for CONNECT.
 */
KwjLogin
kwj_login_look(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	KwjLogin		result = {KWJ_LOGIN_NO_ROLE};
	bool		may_log_in;

	if (!HeapTupleIsValid(tuple))
		return result;
	may_log_in = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	result.role = ((Form_pg_authid) GETSTRUCT(tuple))->rolname;
	ReleaseSysCache(tuple);
	if (!may_log_in)
		result.kind = KWJ_LOGIN_NO_LOGIN;
	else if (!accepts_connections())
		result.kind = KWJ_LOGIN_NO_DATABASE;
	else if (kwj_database_aclcheck(MyDatabaseId, role, ACL_CONNECT) != ACLCHECK_OK)
		result.kind = KWJ_LOGIN_NO_CONNECT;
	else
		result.kind = KWJ_LOGIN_ALLOWED;
	return result;
}

bool
kwj_login_is_refused(const KwjLogin *refusal)
{
	return refusal->kind != KWJ_LOGIN_NO_ROLE && refusal->kind != KWJ_LOGIN_ALLOWED;
}

char *
kwj_login_describe(const KwjLogin *refusal)
{
	if (refusal->kind == KWJ_LOGIN_NO_DATABASE)
		return pstrdup("this database does not accept connections");
	return psprintf(refusal->kind == KWJ_LOGIN_NO_LOGIN ? "role \"%s\" is not permitted to log in" :
					"role \"%s\" may not connect to this database", NameStr(refusal->role));
}

char *
kwj_login_advise(const KwjLogin *refusal)
{
	const char *database = quote_identifier(get_database_name(MyDatabaseId));
	const char *role = quote_identifier(NameStr(refusal->role));

	if (refusal->kind == KWJ_LOGIN_NO_DATABASE)
		return psprintf("ALTER DATABASE %s ALLOW_CONNECTIONS true", database);
	if (refusal->kind == KWJ_LOGIN_NO_LOGIN)
		return psprintf("ALTER ROLE %s LOGIN", role);
	return psprintf("GRANT CONNECT ON DATABASE %s TO %s", database, role);
}

char *
kwj_login_explain(Oid role)
{
	KwjLogin		refusal = kwj_login_look(role);

	return kwj_login_is_refused(&refusal) ? psprintf("waiting: %s", kwj_login_describe(&refusal)) : NULL;
}
