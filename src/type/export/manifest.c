/*
 * src/type/export/manifest.c
 *	  The manifest of an EXPORT: a file that says what the job has written, and from which snapshot.
 *
 * Caller: export.c. Process: worker, in a transaction. Locks: none.
 *
 * The text begins with the job's id, by which stage.c knows the manifest of its job.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "job/json.h"
#include "kwjobs.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "type/export/manifest.h"
#include "type/export/source.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"

void
kwj_manifest_sums(const List *items, KwjExportSums *sums)
{
	ListCell   *lc;

	*sums = (KwjExportSums) {0};
	foreach(lc, items)
	{
		const KwjExportItem *item = lfirst(lc);

		sums->files += list_length(item->files);
		sums->rows += item->rows;
		sums->bytes += item->bytes;
	}
}

/* "key": "text" */
static void
member(StringInfo json, const char *key, const char *value)
{
	appendStringInfo(json, ",\n \"%s\": ", key);
	escape_json(json, value);
}

/* Appends the name of a file in the directory. */
static void
append_name(StringInfo json, const char *path, const char *name)
{
	escape_json(json, path[0] ? psprintf("%s/%s", path, name) : name);
}

/* Appends the names of what is moved up from the stage: files, or the directories of schemas. */
static void
append_entries(StringInfo json, const KwjManifest *manifest)
{
	List	   *names = NIL;
	ListCell   *lc;
	ListCell   *lf;

	foreach(lc, manifest->spec->options.meta_only ? NIL : manifest->items)
	{
		const KwjExportItem *item = lfirst(lc);
		char	   *schema;

		if (item->path[0] == '\0')
		{
			foreach(lf, item->files)
				names = lappend(names, ((KwjExportFile *) lfirst(lf))->name);
			continue;
		}
		schema = pnstrdup(item->path, strcspn(item->path, "/"));
		/* The items are sorted by schema. */
		if (names == NIL || strcmp(llast(names), schema) != 0)
			names = lappend(names, schema);
	}
	if (manifest->meta != NULL)
		names = lappend(names, manifest->meta->name);
	appendStringInfoString(json, ",\n \"entries\": ");
	kwj_json_append_texts(json, names);
}

static void
append_columns(StringInfo json, const KwjExportItem *item)
{
	ListCell   *name;
	ListCell   *type;

	appendStringInfoString(json, ", \"columns\": [");
	forboth(name, item->columns, type, item->types)
	{
		appendStringInfo(json, "%s{\"name\": ", name != list_head(item->columns) ? ", " : "");
		escape_json(json, lfirst(name));
		appendStringInfoString(json, ", \"type\": ");
		escape_json(json, lfirst(type));
		appendStringInfoChar(json, '}');
	}
	appendStringInfoChar(json, ']');
}

static void
append_file(StringInfo json, const char *path, const KwjExportFile *file)
{
	appendStringInfoString(json, "{\"file\": ");
	append_name(json, path, file->name);
	appendStringInfo(json, ", \"rows\": " INT64_FORMAT ", \"bytes\": " INT64_FORMAT ", \"checksum\": \"%s\"}",
					 file->rows, file->bytes, file->checksum);
}

static void
append_item(StringInfo json, const KwjExportItem *item, const char *query)
{
	ListCell   *lc;

	appendStringInfoString(json, "\n  {");
	if (OidIsValid(item->table))
	{
		appendStringInfoString(json, "\"schema\": ");
		escape_json(json, item->schema);
		appendStringInfoString(json, ", \"table\": ");
		escape_json(json, item->name);
		append_columns(json, item);
	}
	else
	{
		appendStringInfoString(json, "\"query\": ");
		escape_json(json, query);
	}
	appendStringInfo(json, ", \"rows\": " INT64_FORMAT ", \"bytes\": " INT64_FORMAT ", \"files\": [",
					 item->rows, item->bytes);
	foreach(lc, item->files)
	{
		appendStringInfoString(json, lc != list_head(item->files) ? ",\n   " : "\n   ");
		append_file(json, item->path, lfirst(lc));
	}
	appendStringInfoString(json, "]}");
}

/* Appends where and when the rows were read. */
static void
append_origin(StringInfo json, const KwjManifest *manifest)
{
	member(json, "database", get_database_name(MyDatabaseId));
	member(json, "server_version", GetConfigOption("server_version", false, false));
	member(json, "server_encoding", GetDatabaseEncodingName());
	appendStringInfo(json, ",\n \"system_identifier\": \"" UINT64_FORMAT "\"", GetSystemIdentifier());
	appendStringInfo(json, ",\n \"node_id\": %d", kwj_node_id);
	member(json, "snapshot_at", timestamptz_to_str(manifest->snapshot_at));
	member(json, "snapshot", manifest->snapshot);
	appendStringInfo(json, ",\n \"lsn\": \"%X/%X\"", LSN_FORMAT_ARGS(manifest->lsn));
}

char *
kwj_manifest_text(const KwjManifest *manifest)
{
	StringInfoData json;
	KwjExportSums sums;
	ListCell   *lc;

	kwj_manifest_sums(manifest->items, &sums);
	initStringInfo(&json);
	appendStringInfo(&json, "{\"kwjobs_export\": 1, \"job_id\": \"" INT64_FORMAT "\"", manifest->job_id);
	append_origin(&json, manifest);
	appendStringInfoString(&json, ",\n \"options\": ");
	kwj_export_write_options(&manifest->spec->options, &json);
	appendStringInfo(&json, ",\n \"settings\": %s", manifest->settings);
	appendStringInfo(&json, ",\n \"files\": " INT64_FORMAT ", \"rows\": " INT64_FORMAT ", \"bytes\": " INT64_FORMAT,
					 sums.files, sums.rows, sums.bytes);
	append_entries(&json, manifest);
	if (manifest->meta != NULL)
	{
		appendStringInfoString(&json, ",\n \"meta\": ");
		append_file(&json, "", manifest->meta);
	}
	appendStringInfoString(&json, ",\n \"tables\": [");
	foreach(lc, manifest->items)
	{
		appendStringInfoString(&json, lc != list_head(manifest->items) ? "," : "");
		append_item(&json, lfirst(lc), manifest->spec->query);
	}
	appendStringInfoString(&json, "]}\n");
	/* JSON is UTF-8. Of a database in SQL_ASCII nobody knows the encoding. */
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return json.data;
	return pg_server_to_any(json.data, json.len, PG_UTF8);
}
