/*
 * kwjobs.c
 *	  The table of contents: what kwjobs adds to a server, in the order in which it
 *	  is set up. src/ has the parts; doc/ explains them.
 */
#include "postgres.h"

#include "compat.h"
#include "fmgr.h"
#include "job/extension.h"
#include "job/role.h"
#include "job/test_disturb.h"
#include "kwjobs.h"
#include "lifecycle/session_job.h"
#include "miscadmin.h"
#include "process/process.h"
#include "session/object_hook.h"
#include "session/read_only.h"
#include "session/track_hook.h"
#include "session/utility_hook.h"
#include "session/wait_hook.h"
#include "settings.h"
#include "shared/init.h"
#include "statement/statement.h"
#include "store/indexes.h"
#include "store/relation.h"
#include "track/autovacuum.h"
#include "type/files/directory.h"
#include "type/source/url.h"
#include "type/limits.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/*
 * Raises an error, because a session loads the library: there are hooks and shared memory only if
 * the postmaster has loaded it. If the library is named in session_preload_libraries, nobody can
 * connect, so the error tells where that is set.
 */
static void
refuse_late_load(void)
{
	const char *early = session_preload_libraries_string;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("kwjobs is not loaded by the server"),
			 early && strstr(early, "kwjobs") ?
			 errdetail("Each session loads it, by session_preload_libraries of postgresql.conf, the database or the role, which is too late.") : 0,
			 errhint("Add kwjobs to shared_preload_libraries in postgresql.conf and restart the server.")));
}

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		refuse_late_load();

	kwj_settings_define();
	if (process_shared_preload_libraries_in_progress)
		kwj_settings_fix();
	kwj_limits_define();
	kwj_directories_define();
	kwj_urls_define();
#ifdef KWJ_TEST_BUILD
	kwj_test_disturb_init();
#endif
	kwj_reserve_guc_prefix("kwjobs");
	kwj_reserve_guc_prefix("jobs");

	/* pg_upgrade: be loadable, start nothing. */
	if (IsBinaryUpgrade)
		return;

	kwj_shared_init();
	kwj_session_job_init();
	kwj_autovacuum_init();
	kwj_extension_init();
	kwj_role_init();
	kwj_store_relation_init();
	kwj_indexes_init();
	kwj_utility_hook_init();
	kwj_object_hook_init();
	kwj_wait_hook_init();
	kwj_read_only_init();
	kwj_statement_init();
	kwj_track_hook_init();
	kwj_launcher_register();
}
