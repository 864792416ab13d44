/*
 * src/process/spawn.c
 *	  Asking the postmaster for coordinators and workers.
 *
 * Process: the launcher, for coordinators; the coordinator, for workers. Locks: none. The
 * postmaster tells the process that asked, by way of bgw_notify_pid, when the new one starts and
 * exits. If the process that asked has exited by then, no other is told. The postmaster restarts
 * neither coordinators nor workers.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "process/process.h"
#include "process/spawn.h"

StaticAssertDecl(sizeof(KwjWorkerExtra) <= BGW_EXTRALEN, "KwjWorkerExtra must fit into bgw_extra");

bool
kwj_coordinator_start(Oid dboid, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	kwj_process_describe(&worker, "kwj_coordinator_main", "kwjobs coordinator");
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = ObjectIdGetDatum(dboid);
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

bool
kwj_worker_start(int slot, uint32 generation, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;
	KwjWorkerExtra extra = {.generation = generation};

	kwj_process_describe(&worker, "kwj_worker_main", "kwjobs worker");
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = Int32GetDatum(slot);
	memcpy(worker.bgw_extra, &extra, sizeof(extra));
	return RegisterDynamicBackgroundWorker(&worker, handle);
}
