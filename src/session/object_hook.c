/*
 * src/session/object_hook.c
 *	  What kwjobs does when an object of a database is created, altered or dropped.
 *
 * Caller: PostgreSQL, by object_access_hook. Process: any backend. Locks: those of the functions that
 * this calls.
 *
 * There is one hook for all parts of kwjobs, because PostgreSQL also calls it for each function that a query
 * will call and for each schema in which it looks for a name. So every query calls it several times, and mostly
 * there is nothing to do.
 */
#include "postgres.h"

#include "catalog/objectaccess.h"
#include "session/admin_role.h"
#include "session/object_hook.h"
#include "track/new_file.h"
#include "track/validation.h"

static object_access_hook_type previous_hook;

static bool
concerns_us(ObjectAccessType access)
{
	return access == OAT_POST_CREATE || access == OAT_POST_ALTER || access == OAT_DROP;
}

/* Not inlined, so that on_object_access() stays short for the calls that do not concern kwjobs. */
static pg_noinline void
look_at_object(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (previous_hook)
		previous_hook(access, class_id, object_id, sub_id, arg);
	kwj_admin_role_on_access(access, class_id, object_id);
	kwj_new_file_on_access(access, class_id, object_id, sub_id);
	kwj_validation_on_access(access, class_id, object_id, sub_id);
}

static void
on_object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (concerns_us(access))
		look_at_object(access, class_id, object_id, sub_id, arg);
	else if (previous_hook)
		previous_hook(access, class_id, object_id, sub_id, arg);
}

void
kwj_object_hook_init(void)
{
	previous_hook = object_access_hook;
	object_access_hook = on_object_access;
}
