/*
 * src/lifecycle/admin.c
 *	  Who has the admin role: kwjobs.admin_role names the role whose members see and control all jobs.
 *
 * Process: any with a transaction. Locks: only for catalog reads.
 */
#include "postgres.h"

#include "lifecycle/admin.h"
#include "miscadmin.h"
#include "utils/acl.h"

bool
kwj_has_admin_role(Oid role)
{
	Oid			admin;

	if (superuser_arg(role))
		return true;
	admin = get_role_oid(kwj_admin_role, true);
	return OidIsValid(admin) && is_member_of_role(role, admin);
}

bool
kwj_is_admin(void)
{
	return kwj_has_admin_role(GetUserId());
}
