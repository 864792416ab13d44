/*
 * src/process/stop.h
 *	  How workers leave when the server stops: a moment later, with their checkpoint.
 */
#ifndef KWJ_PROCESS_STOP_H
#define KWJ_PROCESS_STOP_H

/*
 * Process: worker, at its start. From now on, a stop of the server does not end this process at
 * once: if the work is expected to write a checkpoint (job/stop.h), the process exits when that is
 * committed, or half a second later at the latest. SIGTERM from any other process than the
 * postmaster ends it at once, as before.
 */
extern void kwj_worker_stops_at_checkpoint(void);

/*
 * Process: launcher, at its start, before it connects to a database. When the server stops, the
 * launcher's exit callback waits for the workers that put their exit off, for half a second at
 * most, and then terminates those that are left.
 */
extern void kwj_launcher_sees_workers_out(void);

#endif
