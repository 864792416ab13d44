/*
 * src/process/spawn.h
 *	  Asking the postmaster for coordinators and workers.
 */
#ifndef KWJ_PROCESS_SPAWN_H
#define KWJ_PROCESS_SPAWN_H

#include "kwjobs.h"
#include "postmaster/bgworker.h"

/* What kwj_worker_start() passes to the worker in bgw_extra. */
typedef struct KwjWorkerExtra
{
	uint32		generation;		/* generation of the slot, which is in bgw_main_arg */
} KwjWorkerExtra;

/*
 * Process: launcher. Has a coordinator started in the database. Returns false if the postmaster has
 * no slot. *handle is palloc'd in CurrentMemoryContext.
 */
extern bool kwj_coordinator_start(Oid dboid, BackgroundWorkerHandle **handle);

/*
 * Process: coordinator. Has the worker of a slot started. The result and *handle are as those of
 * kwj_coordinator_start().
 */
extern bool kwj_worker_start(int slot, uint32 generation, BackgroundWorkerHandle **handle);

#endif
