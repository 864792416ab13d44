/*
 * t/lib/resident.c
 *	  A library with a background worker that stays in a database, as the maintenance daemon of Citus does,
 *	  and that leaves only when the library sees DROP DATABASE, in ProcessUtility_hook. Sessions that call
 *	  themselves as those of Citus' own nodes leave with it. t/174_residents.pl builds it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(resident_start);
void		_PG_init(void);
PGDLLEXPORT void resident_main(Datum database);

static ProcessUtility_hook_type previous_hook;

void
resident_main(Datum database)
{
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	for (;;)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, 0, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* resident_start(path of this library): starts the worker in the database of the session. */
Datum
resident_start(PG_FUNCTION_ARGS)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId),
		.bgw_notify_pid = MyProcPid,
	};
	BackgroundWorkerHandle *handle;
	pid_t		pid;

	strlcpy(worker.bgw_library_name, text_to_cstring(PG_GETARG_TEXT_PP(0)), sizeof(worker.bgw_library_name));
	strcpy(worker.bgw_function_name, "resident_main");
	strcpy(worker.bgw_name, "resident");
	strcpy(worker.bgw_type, "resident");
	if (!RegisterDynamicBackgroundWorker(&worker, &handle) ||
		WaitForBackgroundWorkerStartup(handle, &pid) != BGWH_STARTED)
		elog(ERROR, "the worker could not be started");
	PG_RETURN_INT32(pid);
}

static void
make_leave(const char *database)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	(void) SPI_execute(psprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
								" AND (backend_type = 'resident' OR application_name LIKE 'citus\\_internal%%')",
								quote_literal_cstr(database)), false, 0);
	SPI_finish();
	PopActiveSnapshot();
}

static void
on_utility(PlannedStmt *pstmt, const char *text, bool read_only_tree, ProcessUtilityContext context,
		   ParamListInfo params, QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (IsA(pstmt->utilityStmt, DropdbStmt))
		make_leave(((DropdbStmt *) pstmt->utilityStmt)->dbname);
	if (previous_hook)
		previous_hook(pstmt, text, read_only_tree, context, params, env, dest, qc);
	else
		standard_ProcessUtility(pstmt, text, read_only_tree, context, params, env, dest, qc);
}

void
_PG_init(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}
