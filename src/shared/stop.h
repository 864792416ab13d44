/*
 * src/shared/stop.h
 *	  Shared memory: the launcher sees the workers out when the server stops (process/stop.c).
 */
#ifndef KWJ_SHARED_STOP_H
#define KWJ_SHARED_STOP_H

#include "postgres.h"

/* Process: launcher. Says whether it will see workers out that put their exit off. */
extern void kwj_shared_see_workers_out(bool does);

/* Process: worker, also in a signal handler. Returns what the launcher has said last. */
extern bool kwj_shared_sees_workers_out(void);

/* Process: launcher. Waits until no worker has a process, at most `ms` milliseconds. */
extern void kwj_shared_wait_for_workers(int ms);

/* Process: launcher. Sends SIGTERM to all workers. */
extern void kwj_shared_terminate_workers(void);

#endif
