/*
 * src/process/process.c
 *	  What the background workers of kwjobs have in common: signals, leaving, connecting,
 *	  settings, waiting.
 *
 * Process: launcher, coordinator, worker. Locks: the extension (kwj_process_lock_extension);
 * kwj_shared->lock, shared, for a moment when it leaves.
 *
 * All of them are registered with BgWorkerStart_RecoveryFinished, so none runs on a standby. How
 * one ends:
 *
 *   proc_exit(0)                   it leaves by itself; the log says nothing
 *   SIGTERM, the server stops      FATAL is kept out of the log, exit status 0; a worker may put
 *                                  it off (stop.c)
 *   SIGTERM for a lockout, or its  as when the server stops (kwj_shared_is_dismissed)
 *   place is needed
 *   SIGTERM by hand                FATAL in the log, exit status 1; the postmaster starts the
 *                                  launcher again
 *   the postmaster dies            exit status 1, in kwj_process_wait or from the latch
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "compat.h"
#include "libpq/pqsignal.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "process/process.h"
#include "shared/launch.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/pmsignal.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/pidfile.h"
#include "utils/timestamp.h"

/*
 * The longest sleep without a look at the clock. Somebody may set the clock meanwhile, and the kernel
 * goes by another one.
 */
#define LONGEST_WAIT_MS		(60L * 1000)

/*
 * Linux lets a wait with a timeout end late by a thousandth of it, and by 100 ms at most
 * (select_estimate_accuracy). A wait of more than LONG_WAIT_MS ends EARLY_MS before the time, and a short
 * one follows, which is exact.
 */
#define LONG_WAIT_MS		1000L
#define EARLY_MS			200L

/* The clock was set back if it shows a time that is earlier by more than this. */
#define SET_BACK_MS			1000

void
kwj_process_describe(BackgroundWorker *worker, const char *function, const char *type)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_library_name, KWJ_LIBRARY, sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_type, type, BGW_MAXLEN);
	strlcpy(worker->bgw_name, type, BGW_MAXLEN);
}

/* ---- leaving ---- */

static emit_log_hook_type previous_log_hook;
static bool leaves_in_order = false;

/*
 * SIGTERM ends a process of kwjobs by die(), as it ends any, so that no statement can trap it; the
 * result is a FATAL. If that is part of a stop of the server, or of a command on the database, an
 * administrator has nothing to look at: the message is kept out of the log, and the process exits
 * with 0, which the postmaster does not report.
 */
static void
leave_quietly(ErrorData *edata)
{
	if (edata->elevel == FATAL && edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN && !leaves_in_order)
		leaves_in_order = kwj_shared_is_dismissed() || kwj_process_server_stops();
	if (edata->elevel == FATAL && leaves_in_order)
		edata->output_to_server = false;
	else if (previous_log_hook)
		previous_log_hook(edata);
}

/*
 * The exit callback that runs last. If the process leaves in order, sets the exit status 0, because the
 * postmaster logs any other. With 0 it does not start the launcher again, but while the server stops it would
 * not do so with 1 either.
 */
static void
exit_quietly(int code, Datum arg)
{
	if (code == 1 && leaves_in_order)
		proc_exit(0);
}

void
kwj_process_set_signals(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	on_proc_exit(exit_quietly, (Datum) 0);
	previous_log_hook = emit_log_hook;
	emit_log_hook = leave_quietly;
	BackgroundWorkerUnblockSignals();
}

/*
 * Returns whether to keep out what ALTER DATABASE and ALTER ROLE have set this setting to. Settings
 * that only the server itself sets have to get through, and so has client_encoding, which
 * PostgreSQL sets to the encoding of the database.
 */
static bool
is_kept_away(const struct config_generic *setting)
{
	return setting->context != PGC_INTERNAL && strcmp(setting->name, "client_encoding") != 0;
}

/*
 * The owner of a database may set most settings for all that connect to it, even the session user.
 * PostgreSQL has no flag to connect without these values, but it ignores a value from a weaker
 * source than the present one. So while the process connects, all settings look as if a client had
 * set them. Afterwards they have their sources back, so that reloads change them as ever.
 */
void
kwj_process_connect(Oid dboid)
{
	int			n;
	struct config_generic **all = kwj_all_settings(&n);
	/* A copy, as new settings may move the array. */
	struct config_generic **settings = palloc(sizeof(*settings) * n);
	GucSource  *sources = palloc(sizeof(GucSource) * n);
	GucSource  *reset_sources = palloc(sizeof(GucSource) * n);

	memcpy(settings, all, sizeof(*settings) * n);
	for (int i = 0; i < n; i++)
	{
		sources[i] = settings[i]->source;
		reset_sources[i] = settings[i]->reset_source;
		if (!is_kept_away(settings[i]))
			continue;
		settings[i]->source = Max(sources[i], PGC_S_CLIENT);
		settings[i]->reset_source = Max(reset_sources[i], PGC_S_CLIENT);
	}
	BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid, 0);
	for (int i = 0; i < n; i++)
	{
		if (!is_kept_away(settings[i]))
			continue;
		settings[i]->source = sources[i];
		settings[i]->reset_source = reset_sources[i];
	}
	pfree(settings);
	pfree(sources);
	pfree(reset_sources);
}

static void
pin(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

void
kwj_process_pin_settings(void)
{
	pin("search_path", "pg_catalog, pg_temp");
	if (OidIsValid(MyDatabaseId))
		pin("client_encoding", GetDatabaseEncodingName());
	pin("statement_timeout", "0");
	pin("lock_timeout", "0");
	pin("idle_in_transaction_session_timeout", "0");
	pin("default_transaction_read_only", "off");
	pin("default_transaction_isolation", "read committed");
	pin("default_transaction_deferrable", "off");
	pin("role", "none");
	/* New in PostgreSQL 17. */
	if (GetConfigOption("transaction_timeout", true, false) != NULL)
		pin("transaction_timeout", "0");
}

bool
kwj_process_lock_extension(void)
{
	Oid			extension = get_extension_oid(KWJ_EXTENSION, true);

	if (!OidIsValid(extension))
		return false;
	LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	return get_extension_oid(KWJ_EXTENSION, true) == extension;
}

void
kwj_process_reload(void)
{
	Assert(!IsTransactionState());
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}

void
kwj_process_reload_at_start(void)
{
	ConfigReloadPending = true;
	kwj_process_reload();
}

/*
 * Sleeps until the latch is set, or until the time, but for LONGEST_WAIT_MS at most. Returns whether
 * the time has come or the latch is set.
 */
static bool
wait_once(TimestampTz until)
{
	int			flags = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;
	long		ms = -1;
	int			events;

	if (until != DT_NOEND)
	{
		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
		if (ms > LONG_WAIT_MS)
			ms -= EARLY_MS;
		ms = Min(ms, Min(1000L * kwj_scheduler_pace, LONGEST_WAIT_MS));
		flags |= WL_TIMEOUT;
	}
	events = WaitLatch(MyLatch, flags, ms, kwj_wait_event("KwjobsMain"));
	return (events & WL_LATCH_SET) != 0 || GetCurrentTimestamp() >= until;
}

void
kwj_process_wait(TimestampTz until)
{
	TimestampTz began = GetCurrentTimestamp();

	/*
	 * WaitLatch does not look for the postmaster if the latch is set, which may be so again and
	 * again.
	 */
	if (!PostmasterIsAlive())
		proc_exit(1);
	/*
	 * A reload that was asked for while the process has waited for a lock need not have left the latch set. If the
	 * clock was set back, the caller has to look at everything by the new time.
	 */
	while (!ConfigReloadPending && !wait_once(until) && GetCurrentTimestamp() >= began)
		;
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	kwj_process_reload();
}

bool
kwj_clock_was_set_back(TimestampTz before, TimestampTz now)
{
	/* DT_NOBEGIN must not be subtracted. */
	return before > now && TimestampDifferenceExceeds(now, before, SET_BACK_MS);
}

/* Raises no error, as leave_quietly() calls it while an error is being reported. */
bool
kwj_process_server_stops(void)
{
	char		text[8 * MAXPGPATH];
	const char *line = text;
	int			file = open("postmaster.pid", O_RDONLY, 0);
	ssize_t		length;

	if (file < 0)
		return false;
	length = read(file, text, sizeof(text) - 1);
	close(file);
	text[Max(length, 0)] = '\0';
	for (int i = 1; line != NULL && i < LOCK_FILE_LINE_PM_STATUS; i++)
	{
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return line != NULL && strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
}
