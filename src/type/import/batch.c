/*
 * src/type/import/batch.c
 *	  A batch of an IMPORT: the records that a worker imports in one transaction, through COPY.
 *
 * Callers: import.c, parts.c and replay.c; maintain.c opens and closes the target. Process: worker.
 *
 *      kwj_import_run_batch        lock the target, check the owner's rights again, and run, as a
 *         |                        statement (statement.h):
 *         +-- import_pieces        one or more pieces of files
 *               +-- kwj_import_records        a piece, through CopyFrom (records.c)
 *               +-- kwj_import_good_records   the same if bad records are left out (bad_records.c)
 *
 * Locks: RowExclusiveLock on the target and its partitions during a batch.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "job/json.h"
#include "job/test_gate.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "tcop/utility.h"
#include "type/import/bad_records.h"
#include "type/import/batch.h"
#include "type/import/definition.h"
#include "type/import/records.h"
#include "type/import/reject_table.h"
#include "type/import/settings.h"
#include "type/import/statement.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

/* As many bytes as a batch takes that ends only with the input. */
#define ENDLESS	(PG_INT64_MAX / 2)

void
kwj_import_init(KwjImport *import, KwjAttempt *attempt)
{
	memset(import, 0, sizeof(*import));
	import->attempt = attempt;
	import->storage.context = import->created.context = CurrentMemoryContext;
	import->reader.context = CurrentMemoryContext;
	import->table = -1;
	kwj_pace_init(&import->pace);
	kwj_import_read_payload(attempt->payload, &import->spec);
	import->text = kwj_import_statement_text(&import->spec);
	import->end.file = list_length(import->spec.files);
}

void
kwj_import_read_created(KwjImport *import, Jsonb *state)
{
	if (import->spec.definition == NULL || state == NULL)
		return;
	kwj_created_read(&import->created, state);
	import->table = -1;
	if (import->created.is_done && import->spec.tables == NIL)
		import->spec.target = linitial_oid(import->created.targets);
}

void
kwj_import_select_table(KwjImport *import)
{
	KwjImportSpec *spec = &import->spec;
	MemoryContext caller;
	KwjImportSpec one;
	const KwjImportTable *table;
	int			first;
	int			number;

	if (spec->tables == NIL)
		return;
	number = kwj_import_table_of_file(spec->tables, import->position.file, &first);
	if (number == import->table)
		return;
	caller = MemoryContextSwitchTo(import->storage.context);
	table = list_nth(spec->tables, number);
	spec->target = import->created.is_done ? list_nth_oid(import->created.targets, number) : InvalidOid;
	spec->table = quote_qualified_identifier(table->schema, table->name);
	spec->columns = spec->options.names = table->columns;
	spec->options.fields = list_length(table->columns);
	one = *spec;
	one.files = list_truncate(list_copy_tail(spec->files, first), table->n_files);
	import->text = kwj_import_statement_text(&one);
	import->table = number;
	MemoryContextSwitchTo(caller);
}

/* Finds the tables to import into among those that the definition has created, and notes them as targets. */
static void
find_targets(KwjImport *import)
{
	KwjCreated *created = &import->created;
	ListCell   *lc;

	if (import->spec.tables == NIL)
		kwj_created_add_target(created, created->target);
	foreach(lc, import->spec.tables)
	{
		const KwjImportTable *table = lfirst(lc);

		kwj_created_add_target(created, kwj_created_find(created, table->schema, table->name));
	}
	created->is_done = true;
}

/*
 * Runs a stage of the definition. It has to find types and functions as in the session that created the job,
 * so it runs with the settings of that session.
 */
static void
define(KwjImport *import, KwjDefinitionStage stage)
{
	const KwjImportSpec *spec = &import->spec;
	int			level = kwj_import_apply_settings(import->attempt->payload);

	kwj_definition_run(kwj_definition_parse(spec->definition, spec->tables == NIL), stage, spec->schema, false,
					   &import->created);
	kwj_import_reset_settings(level);
}

bool
kwj_import_has_rest(const KwjImport *import)
{
	return import->spec.has_rest;
}

void
kwj_import_create_rest(KwjImport *import)
{
	PreventCommandIfReadOnly("IMPORT");
	kwj_progress_set_status("the rows are imported; creating indexes and foreign keys");
	define(import, KWJ_DEFINE_REST);
	kwj_test_gate(4941);
}

bool
kwj_import_create_target(KwjImport *import)
{
	KwjImportSpec *spec = &import->spec;

	if (spec->definition == NULL || import->created.is_done)
		return false;
	PreventCommandIfReadOnly("IMPORT");
	define(import, KWJ_DEFINE_TABLES);
	find_targets(import);
	import->table = -1;
	if (spec->tables == NIL)
		spec->target = import->created.target;
	kwj_test_gate(4940);
	return true;
}

void
kwj_import_set_piece(KwjImport *import, const KwjPiece *piece)
{
	kwj_import_position_read(&import->position, piece->state ? piece->state : piece->what);
	kwj_import_position_read_end(&import->end, piece->what);
	import->bytes_before = piece->units_done - import->position.stored;
	import->rows = piece->rows;
	import->rejected = piece->state ? kwj_json_int64_or(piece->state, "rejected", 0) : 0;
}

bool
kwj_import_is_whole(const KwjImport *import, const KwjPiece *piece)
{
	KwjImportPosition from;
	KwjImportEnd end;

	kwj_import_position_read(&from, piece->what);
	kwj_import_position_read_end(&end, piece->what);
	return from.file == 0 && from.offset == 0 && end.file == list_length(import->spec.files);
}

bool
kwj_import_is_done(const KwjImport *import)
{
	return kwj_import_position_is_at_end(&import->position, &import->end);
}

int64
kwj_import_bytes_of_files(const KwjImport *import)
{
	int64		bytes = 0;

	for (int i = import->position.file; i < list_length(import->spec.files); i++)
	{
		const char *location = list_nth(import->spec.files, i);

		bytes += Max(kwj_source_is_remote(location) ? kwj_import_size_noted(&import->spec, i) :
					 kwj_source_size(location), 0);
	}
	return bytes;
}

Jsonb *
kwj_import_result(const KwjImport *import, int64 rows, int64 rejected)
{
	const KwjImportOptions *options = &import->spec.options;
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"rows\": " INT64_FORMAT, rows);
	if (options->on_error == KWJ_IMPORT_SKIP)
		appendStringInfo(&json, ", \"rejected\": " INT64_FORMAT, rejected);
	if (options->keeps_rows)
		appendStringInfoString(&json, ", \"revert\": \"none\"");
	if (options->reject_file != NULL && rejected > 0)
	{
		appendStringInfoString(&json, ", \"reject_file\": ");
		escape_json(&json, options->reject_file);
	}
	if (OidIsValid(options->reject_table))
	{
		appendStringInfoString(&json, ", \"reject_table\": ");
		escape_json(&json, options->reject_name);
	}
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

/* Imports about `bytes` bytes of the file at the position. Returns how many it has gone ahead. */
static int64
import_some(KwjImport *import, int64 bytes)
{
	return import->spec.options.on_error == KWJ_IMPORT_SKIP ?
		kwj_import_good_records(import, bytes) : kwj_import_records(import, bytes, 0);
}

/* Returns whether the file at the position is one of the table that is open. */
static bool
is_of_table(const KwjImport *import)
{
	int			first;

	return import->spec.tables == NIL ||
		kwj_import_table_of_file(import->spec.tables, import->position.file, &first) == import->table;
}

/*
 * Imports pieces of files until the batch is full, or the next file is one of another table. A batch runs
 * as one statement. Small files share a batch. Returns how many rows were imported.
 */
static uint64
import_pieces(void *arg)
{
	KwjImport  *import = arg;
	int64		rows = import->rows;
	int64		left;
	int			level;

	if (!import->elsewhere)
		kwj_storage_note(&import->storage, import->rel);
	if (import->start != NULL)
		import->start(import);
	import->start = NULL;
	kwj_import_check_skips(&import->spec.options, import->rel);
	import->subtransactions = 0;

	level = kwj_import_apply_settings(import->attempt->payload);
	import->batch_bytes = 0;
	left = kwj_pace_begin_batch(&import->pace);
	if (import->in_one_batch)
		left = ENDLESS;
	while (left > 0 && !kwj_import_is_done(import) && is_of_table(import))
	{
		int64		done = import_some(import, left);

		import->batch_bytes += done;
		left -= done;
		kwj_import_next_command();
		if (kwj_import_has_to_end(import))
			break;
	}

	kwj_import_check_deferred();
	kwj_import_reset_settings(level);

	/* Partitions may have been attached meanwhile. */
	if (!import->elsewhere)
		kwj_storage_note(&import->storage, import->rel);
	return import->rows - rows;
}

void
kwj_import_open_target(KwjImport *import)
{
	ListCell   *lc;

	PreventCommandIfReadOnly("IMPORT");
	kwj_import_check_may_read(import->spec.files);
	/* A part has not created the target; the checkpoint of the one that has done it is committed. */
	if (import->spec.definition != NULL && !import->created.is_done)
		kwj_import_read_created(import, kwj_parts_state(import->attempt));
	kwj_import_select_table(import);
	import->pstate = make_parsestate(NULL);
	import->rel = kwj_import_lock_target(import->spec.target, import->spec.table);
	import->elsewhere = import->spec.options.keeps_rows && kwj_import_is_elsewhere(import->rel);
	if (import->elsewhere)
		kwj_import_check_elsewhere(import->rel);
	import->numbers = import->spec.numbers;
	if (import->numbers == NIL)
		import->numbers = kwj_import_column_numbers(import->rel, import->spec.columns);
	import->columns = NIL;
	foreach(lc, kwj_import_column_names(import->rel, import->numbers, import->spec.columns))
		import->columns = lappend(import->columns, makeString(lfirst(lc)));
}

void
kwj_import_close_target(KwjImport *import)
{
	relation_close(import->rel, NoLock);
	free_parsestate(import->pstate);
}

/*
 * Imports a batch by statements, which check rights. Another server commits its part right before this one
 * does. If this server crashes before its own commit is on disk, the batch is imported once more. So the
 * commit of such a batch waits for the disk. The commits of other batches do not wait, so that a crash mostly
 * loses one of them.
 */
static void
import_by_statements(KwjImport *import)
{
	(void) import_pieces(import);
	ForceSyncCommit();
}

/* Imports from the position on into one table. */
static void
run_table(KwjImport *import)
{
	kwj_import_open_target(import);
	if (import->elsewhere)
		import_by_statements(import);
	else
		(void) kwj_import_run_statement(kwj_import_begin(import->pstate, import->rel, import->numbers,
														 import->text),
										import_pieces, import);
	kwj_import_close_target(import);
}

void
kwj_import_run_batch(KwjImport *import)
{
	do
		run_table(import);
	while (import->in_one_batch && !kwj_import_is_done(import));
}
