/*
 * src/worker/reset.c
 *	  The session of a worker, between two jobs of its role.
 *
 * Process: worker. Locks: those of catalog reads.
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

static Oid	role;				/* as whom the session was opened */
static bool is_superuser;		/* was it then */
static char *session_libraries; /* what it has preloaded */
static char *local_libraries;
static bool is_used;			/* it has run a job */
static bool is_used_up;			/* it did not fit a job */
static uint32 settings;			/* a hash of what ALTER ROLE and ALTER DATABASE say for it */

/* A hash of the settings of a database (0: any) and a role (0: any). */
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

/* Of all settings that a new session of the role would start with. */
static uint32
hash_all_settings(void)
{
	Relation	catalog = table_open(DbRoleSettingRelationId, AccessShareLock);
	uint32		hash = 0;

	/* looked at for every job, and mostly nobody has ever used it */
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

	/* as every session does, but background workers by themselves do not */
	StartTransactionCommand();
	process_session_preload_libraries();
	role = GetSessionUserId();
	is_superuser = superuser_arg(role);
	settings = hash_all_settings();
	CommitTransactionCommand();
}

/* DISCARD ALL, in its order; cached plans stay valid, and ours are among them. */
static void
forget_session(void)
{
	PortalHashTableDeleteAll();
	/* which takes long, and mostly nobody has set it */
	if (GetSessionUserId() != role || OidIsValid(GetCurrentRoleId()))
		SetPGVariable("session_authorization", NIL, false);
	ResetAllOptions();
	DropAllPreparedStatements();
	Async_UnlistenAll();
	LockReleaseAll(USER_LOCKMETHOD, true);
	ResetTempTableNamespace();
	ResetSequenceCaches();
	/* DISCARD ALL leaves those of temporary slots, which go with the session */
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

	/* once there are local buffers, their number is fixed */
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
	/* an origin goes with the process, whatever state it is in */
	if (is_used_up || kwj_sql_settings_pile_up() || replorigin_session_origin != InvalidRepOriginId)
		return false;
	/* a session of a superuser remembers that for good */
	return strcmp(session_libraries, session_preload_libraries_string) == 0 &&
		strcmp(local_libraries, local_preload_libraries_string) == 0 &&
		may_log_in() && superuser_arg(role) == is_superuser &&
		kwj_database_aclcheck(MyDatabaseId, role, ACL_CONNECT) == ACLCHECK_OK &&
		hash_all_settings() == settings;
}
