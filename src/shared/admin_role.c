/*
 * src/shared/admin_role.c
 *	  Shared memory: the name of the server's admin role.
 *
 * Process: the launcher sets the name at its start and after a reload; sessions read it. It is
 * protected by kwj_shared->lock, and truncated to NAMEDATALEN, like role names. If the launcher
 * dies, the name stays, and its successor sets it anew.
 */
#include "postgres.h"

#include "shared/admin_role.h"
#include "shared/init.h"
#include "shared/memory.h"

void
kwj_shared_set_admin_role(const char *name)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	strlcpy(kwj_shared->admin_role, name, sizeof(kwj_shared->admin_role));
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_is_admin_role(const char *name)
{
	bool		is;

	if (!kwj_shared_ready())
		return false;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	is = strcmp(kwj_shared->admin_role, name) == 0;
	LWLockRelease(kwj_shared->lock);
	return is;
}
