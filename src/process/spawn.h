/*
 * src/process/spawn.h
 *	  Starting coordinators and workers.
 */
#ifndef KWJ_PROCESS_SPAWN_H
#define KWJ_PROCESS_SPAWN_H

#include "kwjobs.h"
#include "postmaster/bgworker.h"

/* In bgw_extra of a worker. */
typedef struct KwjWorkerExtra
{
	uint32		generation;		/* of the slot */
} KwjWorkerExtra;

/* Start a coordinator in that database. False: the postmaster has no room. */
extern bool kwj_coordinator_start(Oid dboid, BackgroundWorkerHandle **handle);

/* Start the worker of a slot. False: the postmaster has no room. */
extern bool kwj_worker_start(int slot, uint32 generation, BackgroundWorkerHandle **handle);

#endif
