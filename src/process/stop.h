/*
 * src/process/stop.h
 *	  How workers leave when the server stops: a moment later, with their checkpoint.
 */
#ifndef KWJ_PROCESS_STOP_H
#define KWJ_PROCESS_STOP_H

/*
 * Process: worker, at its start. From now on SIGTERM from the postmaster, when it stops the server,
 * does not end this process before its next checkpoint, if there is to be one (job/stop.h), for
 * half a second at most. SIGTERM from anybody else ends it as before.
 */
extern void kwj_worker_stops_at_checkpoint(void);

/*
 * Process: launcher, at its start, before it connects to a database: it sees to it that no worker
 * takes longer than that.
 */
extern void kwj_launcher_sees_workers_out(void);

#endif
