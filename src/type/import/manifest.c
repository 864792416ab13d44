/*
 * src/type/import/manifest.c
 *	  The manifest of an EXPORT as what an IMPORT reads.
 *
 *      IMPORT INTO t CSV DATA ('/exports/orders/manifest.json')
 *
 * The session that creates the job reads the manifest: the job has the files, with their sizes and
 * checksums, the options with which they were written, and their columns. So the manifest says what
 * is imported, even if it is gone later. verify.c compares the files with the checksums before the
 * first row.
 *
 * Anybody may have written the manifest. So it cannot name files outside of its directory, and what it
 * says has bounds.
 *
 * Callers: validate.c. Process: session. Locks: none.
 */
#include "postgres.h"

#include "common/checksum_helper.h"
#include "common/string.h"
#include "job/json.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "type/files/directory.h"
#include "type/files/json_file.h"
#include "type/import/manifest.h"
#include "type/source/source.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

/* With this, the text of a manifest begins. */
#define BEGINNING		"{\"kwjobs_export\":"

/* A manifest may be this large, which is enough for 100,000 files. */
#define MOST_BYTES		(16 * 1024 * 1024)

#define FORMAT_VERSION	1

static void
damaged(const char *path)
{
	ereport(ERROR,
			errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			errmsg("the manifest \"%s\" is damaged", path),
			errhint("Export again, or import the files by their names: CSV DATA ('/dir/n1.0.csv', ...)."));
}

static void
no_manifest(const char *path, const char *hint)
{
	ereport(ERROR,
			errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			errmsg("file \"%s\" is not a manifest of EXPORT", path),
			errhint("%s", hint));
}

/* ---- the text ---- */

/* Reads at most `size` bytes of the file from its start, and puts a NUL behind them. Returns how many. */
static size_t
read_up_to(const char *path, char *buffer, size_t size)
{
	KwjSource  *source = kwj_source_open(path, CurrentMemoryContext);
	size_t		n = kwj_source_read_start(source, buffer, size);

	kwj_source_close(source);
	buffer[n] = '\0';
	return n;
}

static bool
is_manifest(const char *path)
{
	char		head[sizeof(BEGINNING)];

	(void) read_up_to(path, head, sizeof(head) - 1);
	return strcmp(head, BEGINNING) == 0;
}

/* Returns the text of the file, with a NUL behind it. */
static char *
read_text(const char *path, int *size)
{
	char	   *text = palloc(MOST_BYTES + 2);

	*size = (int) read_up_to(path, text, MOST_BYTES + 1);
	if (*size > MOST_BYTES)
		damaged(path);
	return text;
}

/* ---- what is in it ---- */

/* Returns whether the name is that of a file in the directory of the manifest, or below it. */
static bool
is_inside(const char *name)
{
	size_t		length;

	for (const char *part = name;; part += length + 1)
	{
		length = strcspn(part, "/");
		if (length == 0 || (length <= 2 && strspn(part, ".") >= length))
			return false;
		if (part[length] == '\0')
			return true;
	}
}

static bool
is_hexadecimal(const char *text)
{
	return text[0] != '\0' && strlen(text) <= 2 * PG_CHECKSUM_MAX_LENGTH &&
		strspn(text, "0123456789abcdef") == strlen(text);
}

static void
read_file(KwjExported *exported, const KwjJsonFile *json, JsonbContainer *object)
{
	char	   *name = kwj_json_file_text(json, object, "file");
	char	   *checksum = kwj_json_file_text(json, object, "checksum");

	if (!is_inside(name) || !is_hexadecimal(checksum))
		damaged(json->path);
	exported->files = lappend(exported->files, psprintf("%s/%s", kwj_directory_parent(json->path), name));
	exported->checksums = lappend(exported->checksums, checksum);
	exported->sizes = lappend(exported->sizes,
							  psprintf(INT64_FORMAT, kwj_json_file_number(json, object, "bytes")));
}

static KwjExported *
read_exported(const KwjJsonFile *json, JsonbContainer *object)
{
	KwjExported *exported = palloc0(sizeof(KwjExported));
	ListCell   *lc;

	if (getKeyJsonValueFromContainer(object, "table", 5, NULL) != NULL)
	{
		exported->schema = kwj_json_file_text(json, object, "schema");
		exported->table = kwj_json_file_text(json, object, "table");
		foreach(lc, kwj_json_file_elements(json, object, "columns"))
			exported->columns = lappend(exported->columns,
										kwj_json_file_text(json, kwj_json_file_object_in(json, lfirst(lc)), "name"));
	}
	foreach(lc, kwj_json_file_elements(json, object, "files"))
		read_file(exported, json, kwj_json_file_object_in(json, lfirst(lc)));
	return exported;
}

static Jsonb *
read_options(const KwjJsonFile *json, JsonbContainer *root)
{
	JsonbValue *value = kwj_json_file_value(json, root, "options", jbvBinary);

	(void) kwj_json_file_object_in(json, value);
	return JsonbValueToJsonb(value);
}

KwjImportManifest *
kwj_import_read_manifest(const char *path)
{
	const KwjJsonFile json = {path, damaged};
	KwjImportManifest *manifest = palloc0(sizeof(KwjImportManifest));
	pg_checksum_type checksum;
	JsonbContainer *root;
	char	   *text;
	int			size;
	ListCell   *lc;

	text = read_text(path, &size);
	root = kwj_json_file_parse(&json, text, size);
	if (getKeyJsonValueFromContainer(root, "kwjobs_export", strlen("kwjobs_export"), NULL) == NULL)
		no_manifest(path, "Name a directory that EXPORT has written; type RESTORE FROM 'directory' for one of BACKUP.");
	if (kwj_json_file_number(&json, root, "kwjobs_export") > FORMAT_VERSION)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("the manifest \"%s\" was written by a newer version of kwjobs", path),
				errhint("Update kwjobs, or import the files by their names."));
	manifest->path = pstrdup(path);
	manifest->options = read_options(&json, root);
	manifest->checksum = kwj_json_file_text(&json, &manifest->options->root, "checksum");
	if (!pg_checksum_parse_type(manifest->checksum, &checksum) || checksum == CHECKSUM_TYPE_NONE)
		damaged(path);
	if (getKeyJsonValueFromContainer(root, "meta", 4, NULL) != NULL)
	{
		manifest->meta = palloc0(sizeof(KwjExported));
		read_file(manifest->meta, &json,
				  kwj_json_file_object_in(&json, kwj_json_file_value(&json, root, "meta", jbvBinary)));
	}
	foreach(lc, kwj_json_file_elements(&json, root, "tables"))
		manifest->exported = lappend(manifest->exported,
									 read_exported(&json, kwj_json_file_object_in(&json, lfirst(lc))));
	pfree(text);
	return manifest;
}

KwjImportManifest *
kwj_import_find_manifest(const List *files)
{
	const char *path = NULL;
	ListCell   *lc;

	foreach(lc, files)
	{
		if (!is_absolute_path((char *) lfirst(lc)) || !pg_str_endswith(lfirst(lc), ".json"))
			continue;
		if (is_manifest(lfirst(lc)))
			path = lfirst(lc);
		else if (pg_str_endswith(lfirst(lc), "/manifest.json"))
			no_manifest(lfirst(lc), "Name the CSV files themselves.");
	}
	if (path != NULL && list_length(files) > 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the manifest \"%s\" is not the only file of the IMPORT", path),
				errhint("Give each manifest an IMPORT of its own."));
	return path != NULL ? kwj_import_read_manifest(path) : NULL;
}

KwjExported *
kwj_import_exported(const KwjImportManifest *manifest, const char *schema, const char *table)
{
	ListCell   *lc;

	if (list_length(manifest->exported) == 1)
		return linitial(manifest->exported);
	foreach(lc, manifest->exported)
	{
		KwjExported *exported = lfirst(lc);

		if (exported->table != NULL && strcmp(exported->table, table) == 0 &&
			strcmp(exported->schema, schema) == 0)
			return exported;
	}
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("the manifest \"%s\" has no table \"%s.%s\"", manifest->path, schema, table),
			errdetail("It has %d tables.", list_length(manifest->exported)),
			errhint("Import into a table that has the name of one of them, or name its files: CSV DATA ('/dir/schema/table/n1.0.csv', ...)."));
}

/* ---- options ---- */

/* The options of EXPORT and those of IMPORT that say the same. */
static const struct
{
	const char *written;
	const char *read;
}			options_of_files[] = {
	{"charset", "charset"},
	{"delimiter", "delimiter"},
	{"enclosed", "enclosed"},
	{"escaped", "escaped"},
	{"nullas", "nullif"},
};

static void
contradicts(const KwjImportManifest *manifest, const char *name, const char *value, const char *hint)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("IMPORT option \"%s\" contradicts the manifest \"%s\"", name, manifest->path),
			value != NULL ? errdetail("The files were written with %s = '%s'.", name, value) : 0,
			errhint("%s", hint));
}

/* Returns what the user has given by this name; NULL: nothing. */
static char *
given_by_name(Jsonb *options, const char *name)
{
	JsonbValue *value = NULL;

	if (options != NULL && JB_ROOT_IS_OBJECT(options))
		value = getKeyJsonValueFromContainer(&options->root, name, strlen(name), NULL);
	return value == NULL ? NULL : kwj_json_scalar_text(value);
}

/* Returns what the user has given for this option, of which charset has two names; NULL: nothing. */
static char *
given_text(Jsonb *options, const char *name)
{
	char	   *text = given_by_name(options, name);

	return text == NULL && strcmp(name, "charset") == 0 ? given_by_name(options, "encoding") : text;
}

/* Returns whether two values of this option mean the same. */
static bool
is_same(const char *name, const char *a, const char *b)
{
	return strcmp(a, b) == 0 ||
		(strcmp(name, "charset") == 0 && pg_char_to_encoding(a) >= 0 &&
		 pg_char_to_encoding(a) == pg_char_to_encoding(b));
}

/* Adds an option of the manifest to the JSON text, or checks that the user's says the same. */
static void
add_option(const KwjImportManifest *manifest, Jsonb *options, const char *name, const char *value,
		   StringInfo json, List **added)
{
	char	   *given = given_text(options, name);

	if (given != NULL)
	{
		if (!is_same(name, given, value))
			contradicts(manifest, name, value, "Leave the option out: the manifest has it.");
		return;
	}
	appendStringInfo(json, "%s\"%s\": ", json->len > 1 ? ", " : "", name);
	escape_json(json, value);
	*added = lappend(*added, pstrdup(name));
}

/*
 * Adds header = 'skip' if the files have a header, unless the user has said what the header is for.
 * Raises an error if the options of the user contradict the manifest.
 */
static void
add_header(const KwjImportManifest *manifest, Jsonb *options, StringInfo json, List **added)
{
	bool		written = kwj_json_bool_or_false(manifest->options, "column_name");
	char	   *given = given_text(options, "header");
	char	   *skip = given_text(options, "skip");
	char	   *format = given_text(options, "format");

	if (format != NULL && pg_strcasecmp(format, "csv") != 0)
		contradicts(manifest, "format", "csv", "Leave the option out: EXPORT writes CSV files.");
	if (given != NULL && !written)
		contradicts(manifest, "header", NULL, "The files have no header: leave the option out.");
	if (skip != NULL && strcmp(skip, "0") != 0)
		contradicts(manifest, "skip", NULL, "The manifest says which lines are no rows: leave the option out.");
	if (given == NULL && written)
		add_option(manifest, options, "header", "skip", json, added);
}

Jsonb *
kwj_import_manifest_options(const KwjImportManifest *manifest, Jsonb *options, List **added)
{
	const KwjJsonFile file = {manifest->path, damaged};
	StringInfoData json;

	*added = NIL;
	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < lengthof(options_of_files); i++)
	{
		char	   *value = kwj_json_file_text(&file, &manifest->options->root, options_of_files[i].written);

		/* IMPORT reads this without being told. */
		if (strcmp(options_of_files[i].read, "charset") == 0 && is_same("charset", value, "UTF8") &&
			given_text(options, "charset") == NULL)
			continue;
		add_option(manifest, options, options_of_files[i].read, value, &json, added);
	}
	add_header(manifest, options, &json, added);
	appendStringInfoChar(&json, '}');
	/* What is no object is refused by those who read the options. */
	if (options != NULL && !JB_ROOT_IS_OBJECT(options))
		return options;
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(kwj_json_parse(json.data)),
											  JsonbPGetDatum(options ? options : kwj_json_empty())));
}
