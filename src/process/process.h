/*
 * src/process/process.h
 *	  The background workers of kwjobs: launcher, coordinator, worker.
 */
#ifndef KWJ_PROCESS_PROCESS_H
#define KWJ_PROCESS_PROCESS_H

#include "kwjobs.h"
#include "postmaster/bgworker.h"
#include "utils/timestamp.h"

/* Register the launcher, from _PG_init in the postmaster. */
extern void kwj_launcher_register(void);

/*
 * Fill in what all of them have in common. function: the entry point; type: what
 * pg_stat_activity shows as backend_type.
 */
extern void kwj_process_describe(BackgroundWorker *worker, const char *function,
								 const char *type);

/*
 * Signal handlers, unblocked. die() instead of the default for SIGTERM, which would
 * raise an error inside the handler. A stop of the server, or a command that needs the database, is not reported in
 * the log.
 */
extern void kwj_process_set_signals(void);

/*
 * Connect to that database as the bootstrap superuser, without the settings that the database and its
 * roles have.
 */
extern void kwj_process_connect(Oid dboid);

/*
 * After connecting: no setting of the role, the database or the server may change how kwjobs's
 * own work behaves.
 */
extern void kwj_process_pin_settings(void);

/*
 * Hold the extension in place until the end of the transaction. False if it is not there. It
 * is the extension's OID that counts, not a schema of the right name; looked up
 * again under the lock, as it may have gone meanwhile.
 */
extern bool kwj_process_lock_extension(void);

/*
 * Sleep until the latch is set, or until that time (DT_NOEND: for ever); then
 * handle interrupts and a reload.
 */
extern void kwj_process_wait(TimestampTz until);

/* The reload of the configuration that was asked for, if one was. Outside a transaction. */
extern void kwj_process_reload(void);

/*
 * A reload that came while this process was being started: PostgreSQL has it ignored until there is a handler, so that it
 * would have the old values until the next one. Outside a transaction.
 */
extern void kwj_process_reload_at_start(void);

/* Whether the server is being stopped: the postmaster says so before it signals anybody. */
extern bool kwj_process_server_stops(void);

/* Entry points, found by name. */
extern PGDLLEXPORT void kwj_launcher_main(Datum arg);
extern PGDLLEXPORT void kwj_coordinator_main(Datum arg);
extern PGDLLEXPORT void kwj_worker_main(Datum arg);

#endif
