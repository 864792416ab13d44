/*
 * src/function/role.c
 *	  SQL-callable: the type kwjobs.role, which is a role's OID in the tables and its name in a
 *	  dump, and the names of roles.
 *
 * Process: any. Locks: none.
 */
#include "postgres.h"

#include "fmgr.h"
#include "job/role.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(kwjobs_role_in);
PG_FUNCTION_INFO_V1(kwjobs_role_out);
PG_FUNCTION_INFO_V1(kwjobs_role_name);

/*
 * Reads a role's name, but not an OID: an OID in a dump may be another role's OID here. For a role
 * that does not exist this returns InvalidOid instead of raising an error, so that a restore does
 * not fail.
 */
Datum
kwjobs_role_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(get_role_oid(PG_GETARG_CSTRING(0), true));
}

Datum
kwjobs_role_out(PG_FUNCTION_ARGS)
{
	char	   *name = GetUserNameFromId(PG_GETARG_OID(0), true);

	PG_RETURN_CSTRING(name ? name : pstrdup(""));
}

/*
 * Returns the role's name. If the role was dropped, returns the name that the row has noted, or, if
 * there is none, what PostgreSQL shows for such a role.
 */
Datum
kwjobs_role_name(PG_FUNCTION_ARGS)
{
	Oid			role = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	char	   *name = OidIsValid(role) ? GetUserNameFromId(role, true) : NULL;

	if (name != NULL)
		PG_RETURN_TEXT_P(cstring_to_text(name));
	if (!PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(1));
	if (!OidIsValid(role))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(kwj_role_name(role)));
}
