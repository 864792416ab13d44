/*
 * src/process/process.h
 *	  The background workers of kwjobs: launcher, coordinator, worker.
 */
#ifndef KWJ_PROCESS_PROCESS_H
#define KWJ_PROCESS_PROCESS_H

#include "kwjobs.h"
#include "postmaster/bgworker.h"
#include "utils/timestamp.h"

/* Process: postmaster, from _PG_init. Registers the launcher. */
extern void kwj_launcher_register(void);

/*
 * Fills in what all background workers of kwjobs have in common. function: the entry point; type:
 * what pg_stat_activity shows as backend_type.
 */
extern void kwj_process_describe(BackgroundWorker *worker, const char *function,
								 const char *type);

/*
 * Sets the signal handlers and unblocks signals. SIGTERM gets die() instead of the default, which
 * would raise an error inside the handler. If the process ends because of a stop of the server, or
 * of a command that needs the database, the log does not report it.
 */
extern void kwj_process_set_signals(void);

/*
 * Connects to the database as the bootstrap superuser, without the settings that the database and
 * its roles have.
 */
extern void kwj_process_connect(Oid dboid);

/*
 * Sets what the role, the database or the server may have set otherwise, so that kwjobs's own work
 * behaves the same everywhere. The launcher, coordinators and workers call this when they have
 * connected.
 */
extern void kwj_process_pin_settings(void);

/*
 * Locks the extension, shared, until the end of the transaction, so that nobody drops or alters it. Returns
 * false if the database does not have the extension; a schema that is called kwjobs is not enough. Looks the
 * extension up once more under the lock, because it may have been dropped before this process got the lock.
 */
extern bool kwj_process_lock_extension(void);

/*
 * Sleeps until the latch is set or the time has come (DT_NOEND: for ever); then handles interrupts
 * and a reload. Exits if the postmaster is dead. If somebody sets the clock, this function notices
 * within kwjobs.scheduler_pace, and a minute at most: it sleeps on until the same time, and returns
 * if the clock was set back.
 */
extern void kwj_process_wait(TimestampTz until);

/*
 * Returns whether somebody has set the clock back between two looks of the caller: it showed `before` then, and
 * shows `now` now, which is more than a second earlier. before: DT_NOBEGIN if the caller has not looked yet.
 */
extern bool kwj_clock_was_set_back(TimestampTz before, TimestampTz now);

/* Reloads the configuration if that was asked for. Outside a transaction. */
extern void kwj_process_reload(void);

/*
 * Reloads the configuration, whether or not the postmaster has sent a signal for it: a process
 * ignores that signal while it starts, and would keep the old values until the next reload. Outside
 * a transaction.
 */
extern void kwj_process_reload_at_start(void);

/*
 * Returns whether postmaster.pid says that the server is being stopped. The postmaster writes that
 * before it signals any process. Raises no error.
 */
extern bool kwj_process_server_stops(void);

/* Entry points, which the postmaster finds by name. */
extern PGDLLEXPORT void kwj_launcher_main(Datum arg);
extern PGDLLEXPORT void kwj_coordinator_main(Datum arg);
extern PGDLLEXPORT void kwj_worker_main(Datum arg);

#endif
