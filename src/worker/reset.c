/*
 * src/worker/reset.c
 *	  Resetting the session of a worker between two jobs of its role.
 *
 * Process: worker. Locks: AccessShareLock on catalogs, for moments; AccessExclusiveLock on the
 * temporary tables that a job has left, which are dropped.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_db_role_setting.h"
#include "commands/async.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "common/hashfn.h"
#include "compat.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"
#include "type/sql/settings.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/formatting.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "worker/reset.h"

static Oid	role;				/* the role as which the session was opened */
static bool is_superuser;		/* the role was a superuser then */
static char *session_libraries; /* session_preload_libraries when the session began */
static char *local_libraries;
static bool is_used;			/* the session has run a job */
static bool is_used_up;			/* a job needed another session, so this one has to end */
static uint32 settings;			/* hash of what ALTER ROLE and ALTER DATABASE had set */

/* Adds the settings of a database (0: any) and a role (0: any) to a hash. */
static uint32
hash_settings(Relation catalog, Oid database, Oid of_role, uint32 hash)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_db_role_setting_setdatabase, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(database));
	ScanKeyInit(&keys[1], Anum_pg_db_role_setting_setrole, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(of_role));
	scan = systable_beginscan(catalog, DbRoleSettingDatidRolidIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		hash = hash_combine(hash, hash_bytes((const unsigned char *) tuple->t_data + tuple->t_data->t_hoff,
											 tuple->t_len - tuple->t_data->t_hoff));
	systable_endscan(scan);
	return hash;
}

/* Returns a hash of all settings with which a new session of the role would start. */
static uint32
hash_all_settings(void)
{
	Relation	catalog = table_open(DbRoleSettingRelationId, AccessShareLock);
	uint32		hash = 0;

	/* This runs for each job, so do not scan a catalog that nobody has ever used. */
	if (RelationGetNumberOfBlocks(catalog) > 0)
	{
		hash = hash_settings(catalog, MyDatabaseId, role, hash);
		hash = hash_settings(catalog, InvalidOid, role, hash_combine(hash, 1));
		hash = hash_settings(catalog, MyDatabaseId, InvalidOid, hash_combine(hash, 2));
		hash = hash_settings(catalog, InvalidOid, InvalidOid, hash_combine(hash, 3));
	}
	table_close(catalog, AccessShareLock);
	return hash;
}

void
kwj_worker_session_init(void)
{
	session_libraries = MemoryContextStrdup(TopMemoryContext, session_preload_libraries_string);
	local_libraries = MemoryContextStrdup(TopMemoryContext, local_preload_libraries_string);

	/* PostgreSQL does this in each session, but not in background workers. */
	StartTransactionCommand();
	process_session_preload_libraries();
	role = GetSessionUserId();
	is_superuser = superuser_arg(role);
	settings = hash_all_settings();
	CommitTransactionCommand();
}

/*
 * Does what DISCARD ALL does, in the same order, except that it keeps cached plans: they stay
 * valid, and the plans of kwjobs's own queries are among them.
 */
static void
forget_session(void)
{
	PortalHashTableDeleteAll();
	/* SetPGVariable takes long, so call it only if a job has changed the role. */
	if (GetSessionUserId() != role || OidIsValid(GetCurrentRoleId()))
		SetPGVariable("session_authorization", NIL, false);
	ResetAllOptions();
	DropAllPreparedStatements();
	Async_UnlistenAll();
	LockReleaseAll(USER_LOCKMETHOD, true);
	ResetTempTableNamespace();
	ResetSequenceCaches();
	/*
	 * DISCARD ALL leaves temporary replication slots until the session ends. But this session goes
	 * on with other jobs.
	 */
	kwj_replication_slot_cleanup();
}

void
kwj_worker_session_reset(void)
{
	is_used = true;
	kwj_begin_own_transaction();
	forget_session();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

static bool
may_log_in(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		may;

	if (!HeapTupleIsValid(tuple))
		return false;
	may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	return may;
}

bool
kwj_worker_session_fits(Jsonb *payload)
{
	char	   *text;

	/* While there are no local buffers, temp_buffers can still be set. */
	if (NLocBuffer == 0)
		return true;
	text = JsonbToCString(NULL, &payload->root, VARSIZE(payload));
	if (strstr(asc_tolower(text, strlen(text)), "temp_buffers") == NULL)
		return true;
	is_used_up = true;
	return false;
}

bool
kwj_worker_session_is_new(void)
{
	is_used_up |= is_used;
	return !is_used;
}

bool
kwj_worker_session_is_current(void)
{
	/* A replication origin that a job has set up stays with the process until it exits. */
	if (is_used_up || kwj_sql_settings_pile_up() || kwj_has_replication_origin())
		return false;
	/*
	 * PostgreSQL remembers for the whole session whether its role was a superuser when it began.
	 */
	return strcmp(session_libraries, session_preload_libraries_string) == 0 &&
		strcmp(local_libraries, local_preload_libraries_string) == 0 &&
		may_log_in() && superuser_arg(role) == is_superuser &&
		kwj_database_aclcheck(MyDatabaseId, role, ACL_CONNECT) == ACLCHECK_OK &&
		hash_all_settings() == settings;
}
