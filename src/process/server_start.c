/*
 * src/process/server_start.c
 *	  The start of the server, as a job of type RESTART.
 *
 * Process: launcher, coordinator. Locks: the extension (shared), while the job is inserted. How the
 * facts and marks go from the postmaster to the launcher and the coordinators is drawn in
 * shared/start.c.
 *
 * A coordinator of a marked database inserts the job before its first pass and takes the mark off
 * after the commit. If it dies in between, the next one inserts again under the same job id. An
 * extension that was created after the launcher began does not record the start.
 */
#include "postgres.h"


#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_extension.h"
#include "compat.h"
#include "job/schedule_clock.h"
#include "job/isolate.h"
#include "job/json.h"
#include "miscadmin.h"
#include "process/process.h"
#include "process/server_start.h"
#include "shared/job_id.h"
#include "shared/start.h"
#include "store/history.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

/* ---- the facts ---- */

bool
kwj_server_start_ready(FullTransactionId next_xid)
{
	KwjServerStart ready = {
		.job_id = kwj_job_id_next(),
		.ready = GetCurrentTimestamp(),
		.ready_for_schedules = kwj_clock(),
		.to_lsn = GetXLogInsertRecPtr(),
		.to_timeline = kwj_current_timeline(),
		.next_xid = next_xid,
	};

	return kwj_shared_start_ready(&ready);
}

/*
 * Returns the kind of the start, in words. standby.signal and recovery.signal decide first: with
 * one of these files, the server recovers from another server or from an archive until somebody
 * ends that, whatever happened before.
 */
static const char *
kind_of(const KwjServerStart *start)
{
	if (start->standby)
		return "promotion";
	if (start->archive_recovery)
		return "end of archive recovery";
	if (start->setups > 1)
		return "restart after a process crash";
	return start->clean ? "clean start" : "crash recovery";
}

/* ---- the job ---- */

static double
seconds_of(const KwjServerStart *start)
{
	return (double) (start->ready - start->began) / USECS_PER_SEC;
}

static char *
describe(const KwjServerStart *start)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "Start PostgreSQL SERVICE: %s", kind_of(start));
	if (start->from_timeline != start->to_timeline)
		appendStringInfo(&text, ", timeline %u to %u", start->from_timeline, start->to_timeline);
	/* For a standby, this time is how long it was one, not how long the start took. */
	if (!start->standby)
		appendStringInfo(&text, ", ready after %.1f s", seconds_of(start));
	return text.data;
}

static Jsonb *
facts(const KwjServerStart *start)
{
	return kwj_json_parse(psprintf("{\"kind\": \"%s\", \"seconds\": %.3f,"
								   " \"from_lsn\": \"%X/%X\", \"to_lsn\": \"%X/%X\","
								   " \"from_timeline\": %u, \"to_timeline\": %u}",
								   kind_of(start), seconds_of(start),
								   LSN_FORMAT_ARGS(start->from_lsn),
								   LSN_FORMAT_ARGS(start->to_lsn),
								   start->from_timeline, start->to_timeline));
}

/*
 * Returns whether the extension was created before the server accepted writes, as far as the xmin
 * of its row tells. This is called only right after a start, so the xid cannot have wrapped around.
 */
static bool
extension_is_older(const KwjServerStart *start)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		older = false;

	ScanKeyInit(&key[0], Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(KWJ_EXTENSION));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);

		older = TransactionIdPrecedes(xmin, XidFromFullTransactionId(start->next_xid));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return older;
}

static void
insert_job(const KwjServerStart *start)
{
	KwjRestartJob job = {
		.job_id = start->job_id,
		.description = describe(start),
		.owner = BOOTSTRAP_SUPERUSERID,
		.started = start->began,
		.finished = start->ready,
		.result = facts(start),
	};

	kwj_store_restart(&job);
}

static void
record(void *arg)
{
	KwjServerStart *start = arg;

	if (kwj_process_lock_extension() && extension_is_older(start))
		insert_job(start);
}

void
kwj_server_start_record(void)
{
	KwjServerStart start;

	Assert(!IsTransactionState());
	/* If this fails, the next coordinator tries again. */
	if (kwj_shared_start_to_record(&start) && kwj_isolate(record, &start) == NULL)
		kwj_shared_start_recorded();
}
