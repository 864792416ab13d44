/*
 * src/session/admin_role.c
 *	  Only a superuser may give a role the name of the admin role.
 *
 * kwjobs.admin_role is a name, and by default no role has it. Without this check, a role with
 * CREATEROLE could create a role of that name, become its member, and so see and control
 * everybody's jobs. object_hook.c calls kwj_admin_role_on_access() for each role that is created or
 * altered, by whatever statement.
 *
 * Process: sessions. Locks: only for catalog reads.
 *
 * Known hole: before PostgreSQL 16, a role with CREATEROLE may grant membership in the existing
 * admin role to anybody.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_type.h"
#include "job/catalog_row.h"
#include "kwjobs.h"
#include "miscadmin.h"
#include "session/admin_role.h"
#include "shared/admin_role.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define SETTING			"kwjobs.admin_role"
#define MEMBERS_SHOWN	20

/*
 * Returns the role's new name. It is read with SnapshotSelf, since the catalog caches still have
 * the old row.
 */
static char *
new_name(Oid role)
{
	HeapTuple	row = kwj_catalog_row(AuthIdRelationId, AuthIdOidIndexId, Anum_pg_authid_oid, role, SnapshotSelf);

	return HeapTupleIsValid(row) ? NameStr(((Form_pg_authid) GETSTRUCT(row))->rolname) : NULL;
}

/*
 * Returns whether a list of settings, as pg_db_role_setting keeps them, sets kwjobs.admin_role to
 * this role.
 */
static bool
names_role(ArrayType *settings, const char *role)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(settings, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *setting = nulls[i] ? "" : TextDatumGetCString(elements[i]);

		if (pg_strncasecmp(setting, SETTING "=", strlen(SETTING "=")) == 0 &&
			strcmp(setting + strlen(SETTING "="), role) == 0)
			return true;
	}
	return false;
}

/* Returns whether ALTER DATABASE or ALTER ROLE has set kwjobs.admin_role to this role anywhere. */
static bool
is_admin_somewhere(const char *role)
{
	Relation	catalog = table_open(DbRoleSettingRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	bool		found = false;
	HeapTuple	tuple;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		settings = heap_getattr(tuple, Anum_pg_db_role_setting_setconfig,
											RelationGetDescr(catalog), &isnull);

		found = !isnull && names_role(DatumGetArrayTypeP(settings), role);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/*
 * Returns whether members of a role of this name control everybody's jobs, in this session or in
 * another, where kwjobs.admin_role may have another value.
 */
static bool
has_power(const char *role)
{
	const char *of_session = GetConfigOptionResetString(SETTING);

	return strcmp(role, kwj_admin_role) == 0 ||
		(of_session != NULL && strcmp(role, of_session) == 0) ||
		kwj_shared_is_admin_role(role) ||
		is_admin_somewhere(role);
}

static void
check_name(Oid role, bool created)
{
	char	   *name = new_name(role);
	HeapTuple	before = created ? NULL : SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		same = false;

	if (HeapTupleIsValid(before))
	{
		same = name != NULL && strcmp(name, NameStr(((Form_pg_authid) GETSTRUCT(before))->rolname)) == 0;
		ReleaseSysCache(before);
	}
	if (name == NULL || same || !has_power(name))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("only a superuser may give a role the name \"%s\"", name),
			 errdetail("The setting %s names it: its members see and control everybody's jobs.",
					   SETTING),
			 errhint("Choose another name, or have a superuser run CREATE ROLE %s.",
					 quote_identifier(name))));
}

void
kwj_admin_role_on_access(ObjectAccessType access, Oid class_id, Oid object_id)
{
	if (class_id == AuthIdRelationId && (access == OAT_POST_CREATE || access == OAT_POST_ALTER) &&
		!superuser())
		check_name(object_id, access == OAT_POST_CREATE);
}

/* Returns the names of the role's direct members, as a list with commas; NULL: it has none. */
static char *
list_members(Oid role)
{
	CatCList   *list = SearchSysCacheList1(AUTHMEMROLEMEM, ObjectIdGetDatum(role));
	List	   *members = NIL;
	char	   *names = NULL;
	ListCell   *lc;

	/* a member may have been granted the role by several roles */
	for (int i = 0; i < list->n_members; i++)
		members = list_append_unique_oid(members,
										 ((Form_pg_auth_members) GETSTRUCT(&list->members[i]->tuple))->member);
	ReleaseCatCacheList(list);
	foreach(lc, members)
	{
		const char *name = GetUserNameFromId(lfirst_oid(lc), false);

		if (foreach_current_index(lc) == MEMBERS_SHOWN)
			return psprintf("%s and %d more", names, list_length(members) - MEMBERS_SHOWN);
		names = names ? psprintf("%s, \"%s\"", names, name) : psprintf("\"%s\"", name);
	}
	return names;
}

void
kwj_admin_role_tell(void)
{
	Oid			role = get_role_oid(kwj_admin_role, true);
	char	   *members;

	/* kwjobs does not create the role; if it exists, it may be meant for something else */
	if (!OidIsValid(role))
		return;
	members = list_members(role);
	ereport(NOTICE,
			(errmsg("members of role \"%s\" see and control everybody's jobs", kwj_admin_role),
			 members ? errdetail("Its members are %s.", members) : errdetail("It has no members."),
			 errhint("If the role is meant for something else, set %s to another name.", SETTING)));
}
