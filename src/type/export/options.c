/*
 * src/type/export/options.c
 *	  The options of an EXPORT, its payload and its description.
 *
 * Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "job/json.h"
#include "mb/pg_wchar.h"
#include "type/export/options.h"
#include "type/given.h"
#include "type/import/settings.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"

#define MOST_CHUNK_ROWS	100000
#define MOST_WORKERS	1024

static void set_delimiter(KwjExportOptions *options, const char *value);
static void set_enclosed(KwjExportOptions *options, const char *value);
static void set_escaped(KwjExportOptions *options, const char *value);
static void set_nullas(KwjExportOptions *options, const char *value);
static void set_charset(KwjExportOptions *options, const char *value);
static void set_chunk_rows(KwjExportOptions *options, const char *value);
static void set_thread_concurrency(KwjExportOptions *options, const char *value);
static void set_compression(KwjExportOptions *options, const char *value);
static void set_checksum(KwjExportOptions *options, const char *value);
static void set_on_pause(KwjExportOptions *options, const char *value);

/* An option has a value, or is a flag. */
typedef struct Known
{
	const char *name;
	void		(*set) (KwjExportOptions *options, const char *value);
	size_t		flag;			/* if set is NULL: the offset of the flag */
	bool		query;			/* a query has it, too */
} Known;

/* Sorted by name. */
static const Known known_options[] = {
	{"charset", set_charset, 0, true},
	{"checksum", set_checksum, 0, true},
	{"chunk_rows", set_chunk_rows, 0, true},
	{"column_name", NULL, offsetof(KwjExportOptions, column_name), true},
	{"comment", NULL, offsetof(KwjExportOptions, comment), false},
	{"compression", set_compression, 0, true},
	{"data_only", NULL, offsetof(KwjExportOptions, data_only), false},
	{"delimiter", set_delimiter, 0, true},
	{"enclosed", set_enclosed, 0, true},
	{"escaped", set_escaped, 0, true},
	{"foreign_key", NULL, offsetof(KwjExportOptions, foreign_key), false},
	{"meta_only", NULL, offsetof(KwjExportOptions, meta_only), false},
	{"nullas", set_nullas, 0, true},
	{"on_pause", set_on_pause, 0, true},
	{"privileges", NULL, offsetof(KwjExportOptions, privileges), false},
	{"thread_concurrency", set_thread_concurrency, 0, true},
};

/* Options that other systems have, or that one types by habit. */
static const KwjForeignOption foreign_options[] = {
	{"compress", "The option is called compression: gzip, lz4 or zstd."},
	{"detached", "It belongs to the statement: EXPORT ... WITH detached. kwjobs.export returns at once, kwjobs.export_and_wait waits."},
	{"encoding", "The encoding of the files is the option charset, for instance WITH charset = 'LATIN1'."},
	{"escape", "The character before a quote in a field is the option escaped."},
	{"force_quote", "EXPORT quotes what has to be quoted; there is no option for more."},
	{"format", "The format stands before the directory: EXPORT INTO CSV 'directory'."},
	{"header", "To begin each file with the names of the columns, type WITH column_name."},
	{"limit_memory", "The memory of an EXPORT does not depend on how much it exports: leave the option out."},
	{"null", "The text that stands for NULL is the option nullas, for instance WITH nullas = 'NULL'."},
	{"nullif", "The text that stands for NULL is the option nullas, for instance WITH nullas = 'NULL'."},
	{"quote", "The character around a field is the option enclosed."},
};

static void
set_delimiter(KwjExportOptions *options, const char *value)
{
	options->delimiter = kwj_given_character("EXPORT", "delimiter", value);
}

static void
set_enclosed(KwjExportOptions *options, const char *value)
{
	options->enclosed = kwj_given_character("EXPORT", "enclosed", value);
}

static void
set_escaped(KwjExportOptions *options, const char *value)
{
	options->escaped = kwj_given_character("EXPORT", "escaped", value);
}

static void
set_nullas(KwjExportOptions *options, const char *value)
{
	static const char *const allowed[] = {"", "NULL", "null", "Null", "\\N"};

	for (int i = 0; i < lengthof(allowed); i++)
		if (strcmp(value, allowed[i]) == 0)
		{
			options->nullas = pstrdup(value);
			return;
		}
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("options nullas/nullif cannot be %s", value),
			errhint("Type '', 'NULL', 'null', 'Null' or '\\N'."));
}

static void
set_charset(KwjExportOptions *options, const char *value)
{
	int			encoding = pg_char_to_encoding(value);

	if (encoding < 0)
		kwj_given_refuse_value("EXPORT", "charset", value, "Give the name of an encoding, such as UTF8, LATIN1 or GBK.");
	options->charset = pstrdup(pg_encoding_to_char(encoding));
}

static void
set_chunk_rows(KwjExportOptions *options, const char *value)
{
	options->chunk_rows = kwj_given_number("EXPORT", "chunk_rows", value, 0, MOST_CHUNK_ROWS,
										   psprintf("Give the number of rows of a file, at most %d, or 0 for a single file.",
													MOST_CHUNK_ROWS));
}

static void
set_thread_concurrency(KwjExportOptions *options, const char *value)
{
	options->workers = (int) kwj_given_number("EXPORT", "thread_concurrency", value, 0, MOST_WORKERS,
											  psprintf("Give the number of processes that export a table together, at most %d, or 0 for as many as its size is worth.",
													   MOST_WORKERS));
}

static void
set_compression(KwjExportOptions *options, const char *value)
{
	options->compression = kwj_compression_from_name(value);
}

static void
set_checksum(KwjExportOptions *options, const char *value)
{
	if (!pg_checksum_parse_type(pstrdup(value), &options->checksum) ||
		options->checksum == CHECKSUM_TYPE_NONE)
		kwj_given_refuse_value("EXPORT", "checksum", value, "Type CRC32C, SHA224, SHA256, SHA384 or SHA512.");
}

static void
set_on_pause(KwjExportOptions *options, const char *value)
{
	options->keeps_snapshot = strcmp(value, "keep") == 0;
	if (!options->keeps_snapshot && strcmp(value, "give up") != 0)
		kwj_given_refuse_value("EXPORT", "on_pause", value, "Type 'give up' to have RESUME begin with all files again, or 'keep' to keep the snapshot, the files and the worker.");
}

/* Returns the hint for an option that does not exist: the names of those that do. */
static char *
names_of_options(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(known_options); i++)
		appendStringInfo(&names, "%s, ", known_options[i].name);
	return psprintf("Valid options are %sthose of all jobs such as priority, and in the statement EXPORT also detached.", names.data);
}

/* Returns the option of this name. Raises an error if there is none. */
static const Known *
find_option(const char *name)
{
	for (int i = 0; i < lengthof(known_options); i++)
		if (strcmp(name, known_options[i].name) == 0)
			return &known_options[i];
	kwj_given_refuse_option("EXPORT", name, foreign_options, lengthof(foreign_options), names_of_options());
}

static bool
is_flag(const char *name)
{
	return find_option(name)->set == NULL;
}

static void
set_option(KwjExportOptions *options, const KwjGiven *option, KwjExportKind kind)
{
	const Known *known = find_option(option->name);

	if (kind == KWJ_EXPORT_QUERY && !known->query)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("cannot use option \"%s\" in query export", option->name),
				errhint("It is for tables and databases: leave it out, or type FROM TABLE table."));
	if (known->set == NULL)
		*(bool *) ((char *) options + known->flag) = kwj_given_flag("EXPORT", option);
	else if (option->value != NULL)
		known->set(options, option->value);
	else
		kwj_given_refuse_value("EXPORT", option->name, NULL,
							   psprintf("Type WITH %s = 'value', or '{\"%s\": \"value\"}' in a call of kwjobs.export.",
										option->name, option->name));
}

static void
refuse_same(const char *first, const char *second)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("EXPORT options \"%s\" and \"%s\" must be different", first, second),
			errhint("Fields are delimited by \",\" and enclosed in '\"' unless the options say otherwise."));
}

/* COPY would find this out in the worker. */
static void
check_conversion(int charset)
{
	int			database = GetDatabaseEncoding();

	if (charset == database || charset == PG_SQL_ASCII || database == PG_SQL_ASCII ||
		OidIsValid(FindDefaultConversionProc(database, charset)))
		return;
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_FUNCTION),
			errmsg("there is no conversion from %s to %s", GetDatabaseEncodingName(),
				   pg_encoding_to_char(charset)),
			errhint("Choose another charset; %s is that of the database.", GetDatabaseEncodingName()));
}

static void
check_conflicts(const KwjExportOptions *options)
{
	if (options->meta_only && options->data_only)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("can't use meta_only and data_only at the same time"),
				errhint("Leave both out to export definitions and data."));
	if (options->delimiter == options->enclosed)
		refuse_same("delimiter", "enclosed");
	if (options->delimiter == options->escaped)
		refuse_same("delimiter", "escaped");
	if (strchr(options->nullas, options->delimiter) != NULL ||
		strchr(options->nullas, options->enclosed) != NULL)
		kwj_given_refuse_value("EXPORT", "nullas", options->nullas,
							   "It contains the character that delimits or encloses fields: choose another one.");
	check_conversion(pg_char_to_encoding(options->charset));
}

void
kwj_export_read_options(Jsonb *jb, KwjExportKind kind, KwjExportOptions *options, List **given)
{
	ListCell   *lc;

	*options = (KwjExportOptions) {
		.delimiter = ',',
		.enclosed = '"',
		.nullas = "",
		/* IMPORT reads this encoding. */
		.charset = "UTF8",
		.chunk_rows = MOST_CHUNK_ROWS,
		.checksum = CHECKSUM_TYPE_CRC32C,
	};
	*given = kwj_given_options("EXPORT", jb, is_flag);
	foreach(lc, *given)
		set_option(options, lfirst(lc), kind);
	if (options->escaped == '\0')
		options->escaped = options->enclosed;
	check_conflicts(options);
}

void
kwj_export_copy_options(const KwjExportOptions *options, StringInfo text)
{
	appendStringInfo(text, "(FORMAT csv, DELIMITER %s, QUOTE %s",
					 quote_literal_cstr(kwj_given_character_text(options->delimiter)),
					 quote_literal_cstr(kwj_given_character_text(options->enclosed)));
	appendStringInfo(text, ", ESCAPE %s, NULL %s, ENCODING %s",
					 quote_literal_cstr(kwj_given_character_text(options->escaped)),
					 quote_literal_cstr(options->nullas),
					 quote_literal_cstr(options->charset));
	appendStringInfo(text, "%s)", options->column_name ? ", HEADER" : "");
}

static void
append_text(StringInfo json, const char *key, const char *text)
{
	appendStringInfo(json, "\"%s\": ", key);
	escape_json(json, text);
	appendStringInfoString(json, ", ");
}

void
kwj_export_write_options(const KwjExportOptions *options, StringInfo json)
{
	appendStringInfoChar(json, '{');
	append_text(json, "delimiter", kwj_given_character_text(options->delimiter));
	append_text(json, "enclosed", kwj_given_character_text(options->enclosed));
	append_text(json, "escaped", kwj_given_character_text(options->escaped));
	append_text(json, "nullas", options->nullas);
	append_text(json, "charset", options->charset);
	append_text(json, "compression", kwj_compression_name(options->compression));
	append_text(json, "checksum", pg_checksum_type_name(options->checksum));
	appendStringInfo(json, "\"chunk_rows\": " INT64_FORMAT ", \"thread_concurrency\": %d",
					 options->chunk_rows, options->workers);
	if (options->keeps_snapshot)
		appendStringInfoString(json, ", \"on_pause\": \"keep\"");
	for (int i = 0; i < lengthof(known_options); i++)
		if (known_options[i].set == NULL)
			appendStringInfo(json, ", \"%s\": %s", known_options[i].name,
							 *(const bool *) ((const char *) options + known_options[i].flag) ? "true" : "false");
	appendStringInfoChar(json, '}');
}

void
kwj_export_parse_options(Jsonb *jb, KwjExportOptions *options)
{
	*options = (KwjExportOptions) {0};
	options->delimiter = kwj_json_text(jb, "delimiter")[0];
	options->enclosed = kwj_json_text(jb, "enclosed")[0];
	options->escaped = kwj_json_text(jb, "escaped")[0];
	options->nullas = kwj_json_text(jb, "nullas");
	options->charset = kwj_json_text(jb, "charset");
	options->compression = kwj_compression_from_name(kwj_json_text(jb, "compression"));
	(void) pg_checksum_parse_type(kwj_json_text(jb, "checksum"), &options->checksum);
	options->chunk_rows = kwj_json_int64(jb, "chunk_rows");
	options->workers = (int) kwj_json_int64(jb, "thread_concurrency");
	options->keeps_snapshot = kwj_json_text_or_null(jb, "on_pause") != NULL;
	for (int i = 0; i < lengthof(known_options); i++)
		if (known_options[i].set == NULL)
			*(bool *) ((char *) options + known_options[i].flag) = kwj_json_bool_or_false(jb, known_options[i].name);
}

static void
append_tables(const KwjExportSpec *spec, StringInfo json)
{
	ListCell   *lc;

	appendStringInfoString(json, "\"tables\": [");
	foreach(lc, spec->tables)
		appendStringInfo(json, "%s%u", lc == list_head(spec->tables) ? "" : ", ", lfirst_oid(lc));
	appendStringInfoString(json, "], \"names\": ");
	kwj_json_append_texts(json, spec->names);
	appendStringInfoString(json, ", ");
}

static void
read_tables(Jsonb *payload, KwjExportSpec *spec)
{
	int			n;
	int64	   *tables = kwj_json_int64s(payload, "tables", &n);

	for (int i = 0; i < n; i++)
		spec->tables = lappend_oid(spec->tables, (Oid) tables[i]);
	spec->names = kwj_json_texts(payload, "names");
}

Jsonb *
kwj_export_payload(const KwjExportSpec *spec)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	append_text(&json, "directory", spec->directory);
	if (spec->name != NULL)
		append_text(&json, "name", spec->name);
	if (spec->query != NULL)
		append_text(&json, "query", spec->query);
	if (spec->kind == KWJ_EXPORT_TABLES)
		append_tables(spec, &json);
	appendStringInfo(&json, "\"create\": %s, \"kind\": %d, \"table\": %u, \"options\": ",
					 spec->create ? "true" : "false", (int) spec->kind, spec->table);
	kwj_export_write_options(&spec->options, &json);
	appendStringInfo(&json, ", \"standard_strings\": %s, \"settings\": ",
					 strcmp(GetConfigOption("standard_conforming_strings", false, false), "on") == 0 ? "true" : "false");
	kwj_import_write_settings(&json);
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

void
kwj_export_read_payload(Jsonb *payload, KwjExportSpec *spec)
{
	spec->directory = kwj_json_text(payload, "directory");
	spec->create = kwj_json_bool_or_false(payload, "create");
	spec->kind = (KwjExportKind) kwj_json_int64(payload, "kind");
	spec->table = (Oid) kwj_json_int64(payload, "table");
	spec->name = kwj_json_text_or_null(payload, "name");
	spec->query = kwj_json_text_or_null(payload, "query");
	if (spec->kind == KWJ_EXPORT_TABLES)
		read_tables(payload, spec);
	kwj_export_parse_options(kwj_json_object(payload, "options"), &spec->options);
}

char *
kwj_export_description(const KwjExportSpec *spec, List *given)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "EXPORT INTO CSV %s FROM ", quote_literal_cstr(spec->directory));
	if (spec->kind == KWJ_EXPORT_QUERY)
		appendStringInfoString(&text, spec->query);
	else if (spec->kind == KWJ_EXPORT_TABLES)
		for (int i = 0; i < list_length(spec->names); i++)
			appendStringInfo(&text, "%s%s", i > 0 ? ", " : "TABLE ", (char *) list_nth(spec->names, i));
	else
		appendStringInfo(&text, "%s %s", spec->kind == KWJ_EXPORT_TABLE ? "TABLE" : "DATABASE",
						 spec->kind == KWJ_EXPORT_TABLE ? spec->name : quote_identifier(spec->name));
	kwj_given_append(&text, given);
	return text.data;
}
