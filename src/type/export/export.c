/*
 * src/type/export/export.c
 *	  Executes an EXPORT: COPY TO into files that appear when all of them are complete.
 *
 * Callers: the worker, for each attempt (kwj_type_export.execute) and for a revert.
 *
 *      prepare      a transaction: rights, the directory, which tables are locked; it commits a
 *                   checkpoint, which makes the job revertible, before the first file is created
 *      read_all     a transaction with one snapshot, which only reads: COPY of each table, into files
 *                   in the stage (stage.h)
 *      publish      a transaction: the files are moved to where users look for them, and the job
 *                   has succeeded
 *
 * Locks: AccessShareLock on the tables during read_all.
 *
 * A PAUSE gives the snapshot up, so the next attempt begins with all files again. WITH on_pause = 'keep',
 * the processes stand still in the middle of their files (lifecycle/stand.h). If the worker dies, or an
 * error ends the attempt, what is in the stage is of no use: the next attempt, or the revert, removes it.
 * If the worker dies after publish has moved the manifest, the next attempt finds the manifest, and ends
 * the job.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "compat.h"
#include "job/json.h"
#include "job/progress.h"
#include "job/test_gate.h"
#include "job/transaction.h"
#include "lifecycle/attempt.h"
#include "lifecycle/stand.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "type/export/copy.h"
#include "type/export/export.h"
#include "type/export/manifest.h"
#include "type/export/meta.h"
#include "type/export/options.h"
#include "type/export/output.h"
#include "type/export/parallel.h"
#include "type/export/source.h"
#include "type/export/stage.h"
#include "type/import/settings.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* An execution of the job by this process. */
typedef struct Export
{
	KwjAttempt *attempt;
	MemoryContext context;		/* lives as long as the execution */
	KwjExportSpec spec;
	KwjManifest manifest;
	KwjDirectory *directory;
	KwjDirectory *stage;
	KwjSyncs   *syncs;			/* the files that are complete */
	List	   *relations;		/* OIDs of the tables that are locked before the snapshot */

	/* For the progress display. */
	TimestampTz begun;
	double		total;			/* rows of all items, about; 0: not known */
	double		before;			/* rows of the items that are complete, as they were estimated */
	const KwjExportItem *item;	/* the one that is exported now */
	int64		item_rows;
	int64		item_bytes;
	int64		rows;
	int64		bytes;
	int			number;			/* of the item, from 1 */
	KwjExportTeam *team;		/* of the processes that export the item together; NULL: it is alone */
} Export;

/* The running_status while the job stands still. */
#define KEPT	"paused: its snapshot, the locks on its tables and its files are kept until RESUME"

/* ---- progress and requests ---- */

static void
show_progress(const Export *export)
{
	double		seconds = (GetCurrentTimestamp() - export->begun) / 1e6;
	double		done = export->before + (export->item ? Min(export->item_rows, 0.99 * export->item->estimate) : 0);
	StringInfoData text;

	initStringInfo(&text);
	if (list_length(export->manifest.items) > 1)
		appendStringInfo(&text, "table %d of %d, ", export->number, list_length(export->manifest.items));
	appendStringInfo(&text, "exported " INT64_FORMAT " rows, " INT64_FORMAT " MB, %.0f rows/s",
					 export->rows, export->bytes / 1000000,
					 seconds > 0 ? export->rows / seconds : 0.0);
	kwj_progress_set_all((uint64) done, (uint64) export->total, export->rows, text.data);
	pfree(text.data);
}

/* Stands still, with the other processes, until the PAUSE is taken back. Returns what is asked for then. */
static KwjRequest
stand_still(Export *export)
{
	KwjRequest	request;

	if (export->team != NULL)
		kwj_export_team_stand(export->team, true);
	request = kwj_attempt_stand_still(KEPT);
	if (export->team != NULL)
		kwj_export_team_stand(export->team, false);
	return request;
}

/*
 * If somebody has asked for a PAUSE or a CANCEL, ends COPY by an error, the only way out of it.
 * attempt->stopped tells the worker that nothing has failed. WITH on_pause = 'keep', a PAUSE makes the
 * job stand still instead.
 */
static void
obey_request(Export *export)
{
	KwjRequest	request = kwj_progress_request();

	if (request == KWJ_REQUEST_PAUSE && export->spec.options.keeps_snapshot)
		request = stand_still(export);
	if (request == KWJ_REQUEST_NONE)
		return;
	export->attempt->stopped = true;
	ereport(ERROR,
			errcode(ERRCODE_QUERY_CANCELED),
			errmsg("EXPORT stops for a request"));
}

/* The output calls this about each 256 kB. */
static void
on_output(void *arg, int64 rows, int64 bytes)
{
	Export	   *export = arg;

	export->item_rows += rows;
	export->item_bytes += bytes;
	export->rows += rows;
	export->bytes += bytes;
	show_progress(export);
	obey_request(export);
}

/* parallel.c calls this instead if several processes write: the team has the sums of all of them. */
static void
on_team(void *arg, KwjExportTeam *team)
{
	Export	   *export = arg;
	int64		rows = (int64) pg_atomic_read_u64(&team->rows);
	int64		bytes = (int64) pg_atomic_read_u64(&team->bytes);

	export->team = team;
	on_output(export, rows - export->item_rows, bytes - export->item_bytes);
}

/* ---- prepare ---- */

/*
 * Sets the settings on which the text of values depends. Those of the session that has created the
 * job count for the query; but dates, intervals, numbers and bytea are written so that every session
 * reads them back the same, as pg_dump does. Returns a level for kwj_import_reset_settings.
 */
static int
apply_settings(const Export *export)
{
	static const char *const fixed[][2] = {
		{"DateStyle", "ISO"},
		{"IntervalStyle", "postgres"},
		{"extra_float_digits", "1"},
		{"bytea_output", "hex"},
		{"xmlbinary", "base64"},
	};
	int			level = kwj_import_apply_settings(export->attempt->payload);

	for (int i = 0; i < lengthof(fixed); i++)
		kwj_set_in_level(fixed[i][0], fixed[i][1]);
	kwj_set_in_level("standard_conforming_strings",
					 kwj_json_bool_or_false(export->attempt->payload, "standard_strings") ? "on" : "off");
	return level;
}

/* Returns whether this is the directory into which the job has written. */
static bool
is_same_directory(const KwjDirectory *directory, Jsonb *state)
{
	KwjDirectoryId written = {.device = kwj_json_int64(state, "device"), .inode = kwj_json_int64(state, "inode")};

	return kwj_directory_is_same(directory->id, written);
}

/*
 * Returns whether the job has created the directory, in this attempt or in one before it. If there was
 * none when the job was created, somebody else may have created it since then.
 */
static bool
has_created_directory(const Export *export)
{
	Jsonb	   *before = export->attempt->checkpoint;

	return export->directory->is_created ||
		(before != NULL && is_same_directory(export->directory, before) && kwj_json_bool_or_false(before, "created"));
}

static Jsonb *
checkpoint_state(const Export *export)
{
	return kwj_json_parse(psprintf("{\"device\": " INT64_FORMAT ", \"inode\": " INT64_FORMAT ", \"created\": %s}",
								   export->directory->id.device, export->directory->id.inode,
								   has_created_directory(export) ? "true" : "false"));
}

/* Notes which relations are to be locked before the snapshot is taken. */
static void
keep_relations(Export *export, const List *relations)
{
	MemoryContext caller = MemoryContextSwitchTo(export->context);

	export->relations = list_copy(relations);
	MemoryContextSwitchTo(caller);
}

/*
 * Finds out which tables the snapshot needs, as the owner, whose rights may be others than when the
 * job was created.
 */
static void
find_relations(Export *export)
{
	keep_relations(export, kwj_export_relations(kwj_export_items(&export->spec)));
}

/* Returns the request that has been committed for the job by then. */
static KwjRequest
prepare(Export *export)
{
	MemoryContext caller;
	int			level;

	kwj_attempt_begin(export->attempt);
	PreventCommandIfReadOnly("EXPORT");
	kwj_export_check_may_write_files();
	level = apply_settings(export);
	find_relations(export);
	kwj_import_reset_settings(level);

	caller = MemoryContextSwitchTo(export->context);
	export->directory = kwj_directory_open("EXPORT", export->spec.directory, export->spec.create);
	MemoryContextSwitchTo(caller);
	kwj_test_gate(4934);
	return kwj_attempt_note_on_disk(export->attempt, checkpoint_state(export), true);
}

/* ---- read_all ---- */

static void
sync_and_close(KwjDirectory *directory)
{
	kwj_directory_sync(directory);
	kwj_directory_close(directory);
}

/*
 * Syncs the directories within the stage, so that a crash of the machine loses no name: the directory of each table
 * has the names of its files, and that of each schema the names of its tables. kwj_stage_publish() syncs the stage.
 */
static void
sync_names(Export *export)
{
	List	   *schemas = NIL;
	ListCell   *lc;

	foreach(lc, export->manifest.items)
	{
		const char *path = ((KwjExportItem *) lfirst(lc))->path;
		const char *slash = strchr(path, '/');

		if (slash == NULL)
			continue;
		obey_request(export);
		CHECK_FOR_INTERRUPTS();
		sync_and_close(kwj_stage_open_item(export->stage, path, false));
		schemas = list_append_unique(schemas, makeString(pnstrdup(path, slash - path)));
	}
	foreach(lc, schemas)
		sync_and_close(kwj_directory_open_in(export->stage, strVal(lfirst(lc)), false, false));
}

/* Waits until all files are durable, and their names. */
static void
sync_all(Export *export)
{
	sync_names(export);
	while (kwj_syncs_wait(export->syncs))
		obey_request(export);
}

/* Copies the list of files into the context of the execution. */
static void
take_files(const Export *export, KwjExportItem *item, const List *files)
{
	MemoryContext caller = MemoryContextSwitchTo(export->context);
	ListCell   *lc;

	foreach(lc, files)
	{
		const KwjExportFile *file = lfirst(lc);
		KwjExportFile *copy = palloc(sizeof(KwjExportFile));

		*copy = *file;
		copy->name = pstrdup(file->name);
		copy->checksum = pstrdup(file->checksum);
		item->files = lappend(item->files, copy);
		item->rows += file->rows;
		item->bytes += file->bytes;
	}
	MemoryContextSwitchTo(caller);
}

/* Exports a table or query in this process. Returns the files. */
static List *
read_alone(Export *export, const KwjExportItem *item, const KwjDirectory *in)
{
	pg_atomic_uint32 next_chunk;
	KwjExportOutput *output;
	StringInfoData options;

	initStringInfo(&options);
	kwj_export_copy_options(&export->spec.options, &options);
	pg_atomic_init_u32(&next_chunk, 0);
	output = kwj_output_begin(&export->spec.options, in, export->syncs, &next_chunk, on_output, export);
	kwj_output_begin_copy(output);
	kwj_export_copy(item->source, options.data, kwj_output_row, output);
	return kwj_output_end(output);
}

/* Exports a table or query. */
static void
read_item(Export *export, KwjExportItem *item)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kwjobs export of a table",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	int			processes = kwj_export_processes(item, &export->spec.options);
	KwjDirectory *in = kwj_stage_open_item(export->stage, item->path, true);
	ErrorContextCallback callback;

	export->item = item;
	export->item_rows = export->item_bytes = 0;
	export->number++;
	kwj_export_push_hint(&callback, item);
	take_files(export, item, processes > 1 ?
			   kwj_export_parallel(item, &export->spec, export->attempt->job_id, in, processes, export->syncs,
								   on_team, export) :
			   read_alone(export, item, in));
	error_context_stack = callback.previous;
	export->before += item->estimate;
	export->item = NULL;
	export->team = NULL;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* Notes which snapshot this transaction has, and with which settings it reads. */
static void
note_snapshot(Export *export)
{
	MemoryContext caller = MemoryContextSwitchTo(export->context);
	StringInfoData settings;

	initStringInfo(&settings);
	kwj_import_write_settings(&settings);
	export->manifest.settings = settings.data;
	export->manifest.snapshot_at = GetCurrentTimestamp();
	export->manifest.lsn = GetXLogInsertRecPtr();
	export->manifest.snapshot = OidOutputFunctionCall(F_PG_SNAPSHOT_OUT,
													  OidFunctionCall0(F_PG_CURRENT_SNAPSHOT));
	MemoryContextSwitchTo(caller);
}

static void
find_items(Export *export)
{
	MemoryContext caller = MemoryContextSwitchTo(export->context);
	ListCell   *lc;

	export->manifest.items = kwj_export_items(&export->spec);
	export->total = 0;
	foreach(lc, export->manifest.items)
		export->total += ((KwjExportItem *) lfirst(lc))->estimate;
	MemoryContextSwitchTo(caller);
}

/* Writes meta.sql, unless the job exports a query, or only data. */
static void
write_meta(Export *export)
{
	MemoryContext caller;

	if (export->spec.kind == KWJ_EXPORT_QUERY || export->spec.options.data_only)
		return;
	caller = MemoryContextSwitchTo(export->context);
	export->manifest.meta = kwj_output_write_text(&export->spec.options, export->stage, KWJ_META,
												  kwj_meta_text(export->manifest.items, &export->spec.options));
	MemoryContextSwitchTo(caller);
}

/*
 * Begins the transaction that reads, and finds what its snapshot has. There may be more relations by now than
 * prepare() has found: new tables of the database, partitions, what a view reads. These are locked after the
 * snapshot was taken. If one of them was truncated or rewritten in between, the snapshot sees no rows in it. Then
 * another transaction begins, which locks it first. Returns a level for kwj_import_reset_settings.
 */
static int
begin_reading(Export *export)
{
	for (;;)
	{
		List	   *relations;
		int			level;

		kwj_attempt_begin_reading(export->attempt, export->relations);
		level = apply_settings(export);
		note_snapshot(export);
		find_items(export);
		relations = kwj_export_relations(export->manifest.items);
		if (kwj_export_lock_late(list_difference_oid(relations, export->relations)))
			return level;
		keep_relations(export, relations);
		kwj_import_reset_settings(level);
		kwj_attempt_end_reading(export->attempt);
	}
}

static void
read_all(Export *export)
{
	ListCell   *lc;
	int			level = begin_reading(export);

	export->syncs = kwj_syncs_begin();
	show_progress(export);
	if (export->spec.options.meta_only)
	{
		/* COPY, which checks the rights otherwise, does not run. */
		foreach(lc, export->manifest.items)
			kwj_export_check_may_read(lfirst(lc));
	}
	else
	{
		foreach(lc, export->manifest.items)
			read_item(export, lfirst(lc));
		sync_all(export);
	}
	write_meta(export);
	kwj_import_reset_settings(level);
	kwj_attempt_end_reading(export->attempt);
}

/* ---- publish ---- */

static Jsonb *
job_result(int64 files, int64 rows, int64 bytes)
{
	return kwj_json_parse(psprintf("{\"files\": " INT64_FORMAT ", \"rows\": " INT64_FORMAT
								   ", \"bytes\": " INT64_FORMAT "}", files, rows, bytes));
}

static KwjRequest
publish(Export *export)
{
	KwjExportSums sums;

	kwj_attempt_begin(export->attempt);
	kwj_test_gate(4930);
	kwj_manifest_sums(export->manifest.items, &sums);
	(void) kwj_output_write_text(&export->spec.options, export->stage, KWJ_MANIFEST_PART,
								 kwj_manifest_text(&export->manifest));
	kwj_stage_publish(export->directory, export->stage, export->attempt->job_id);
	kwj_test_gate(4931);
	return kwj_attempt_succeed(export->attempt, checkpoint_state(export), sums.rows, true,
							   job_result(sums.files, sums.rows, sums.bytes));
}

/* Ends the job, of which an attempt before this one has published all files, and died before its commit. */
static KwjRequest
finish(Export *export, Jsonb *manifest)
{
	int64		rows = kwj_json_int64(manifest, "rows");

	kwj_attempt_begin(export->attempt);
	kwj_stage_finish(export->directory, export->attempt->job_id);
	return kwj_attempt_succeed(export->attempt, checkpoint_state(export), rows, true,
							   job_result(kwj_json_int64(manifest, "files"), rows,
										  kwj_json_int64(manifest, "bytes")));
}

/* ---- the attempt ---- */

/* Writes all files, and makes them appear. */
static KwjRequest
write_all(Export *export)
{
	MemoryContext caller = MemoryContextSwitchTo(export->context);

	/* Remove first what an attempt before this one has left. */
	kwj_stage_remove(export->directory, export->attempt->job_id);
	export->stage = kwj_stage_begin(export->directory, export->attempt->job_id);
	PG_TRY();
	{
		read_all(export);
	}
	PG_CATCH();
	{
		/* After a PAUSE, the job may wait for long, and its files would take space for nothing. */
		(void) kwj_stage_drop(export->directory, export->attempt->job_id);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return publish(export);
}

static KwjRequest
run(Export *export)
{
	KwjRequest	request = prepare(export);
	MemoryContext caller;
	Jsonb	   *published;

	if (request != KWJ_REQUEST_NONE)
		return request;
	caller = MemoryContextSwitchTo(export->context);
	published = kwj_stage_published(export->directory, export->attempt->job_id);
	MemoryContextSwitchTo(caller);
	return published ? finish(export, published) : write_all(export);
}

static KwjRequest
export_execute(KwjAttempt *attempt)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "kwjobs export", ALLOCSET_SMALL_SIZES);
	Export		export = {.attempt = attempt, .context = context, .begun = GetCurrentTimestamp()};
	KwjRequest	request;

	attempt->pause_note = "the snapshot was given up: RESUME JOB begins with all files again";
	MemoryContextSwitchTo(context);
	kwj_export_read_payload(attempt->payload, &export.spec);
	if (export.spec.options.keeps_snapshot)
		kwj_attempt_will_stand();
	export.manifest.spec = &export.spec;
	export.manifest.job_id = attempt->job_id;
	request = run(&export);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return request;
}

/* ---- revert ---- */

/*
 * Removes what the job has written, and the directory if the job has created it. Needs no right: the
 * owner may have lost it, and what is removed is the job's.
 */
static void
export_revert(KwjAttempt *attempt)
{
	KwjExportSpec spec = {0};
	KwjDirectory *directory;
	const char *note = NULL;
	struct stat st;

	kwj_attempt_begin(attempt);
	kwj_export_read_payload(attempt->payload, &spec);
	if (attempt->checkpoint == NULL || (stat(spec.directory, &st) != 0 && errno == ENOENT))
	{
		kwj_attempt_reverted(attempt, NULL, true);
		return;
	}
	directory = kwj_directory_open("EXPORT", spec.directory, false);
	if (is_same_directory(directory, attempt->checkpoint))
	{
		kwj_stage_remove(directory, attempt->job_id);
		if (kwj_json_bool_or_false(attempt->checkpoint, "created"))
			(void) kwj_directory_remove_itself(directory);
	}
	else
		note = "nothing was removed: the directory is not the one into which the job has written";
	kwj_attempt_reverted(attempt, note, true);
}

const KwjType kwj_type_export = {
	.name = "EXPORT",
	.pausable = true,
	.cancelable = true,
	.reverts_at_length = true,
	.makes = "directory",
	.validate = kwj_export_validate_arguments,
	.execute = export_execute,
	.revert = export_revert,
};
