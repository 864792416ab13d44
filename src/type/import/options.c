/*
 * src/type/import/options.c
 *	  The options of an IMPORT, its payload and its description.
 *
 * Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "commands/copy.h"
#include "commands/defrem.h"
#include "job/json.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "type/columns.h"
#include "type/given.h"
#include "type/import/options.h"
#include "type/import/settings.h"
#include "utils/builtins.h"
#include "utils/json.h"

/* The largest value of thread_concurrency. */
#define MOST_WORKERS	1024

static void set_delimiter(KwjImportOptions *options, const char *value);
static void set_enclosed(KwjImportOptions *options, const char *value);
static void set_escaped(KwjImportOptions *options, const char *value);
static void set_header(KwjImportOptions *options, const char *value);
static void set_nullif(KwjImportOptions *options, const char *value);
static void set_skip(KwjImportOptions *options, const char *value);
static void set_workers(KwjImportOptions *options, const char *value);

/* Sorted by name. */
static const struct
{
	const char *name;
	void		(*set) (KwjImportOptions *options, const char *value);
}			known_options[] =
{
	{"delimiter", set_delimiter},
	{"enclosed", set_enclosed},
	{"escaped", set_escaped},
	{"header", set_header},
	{"nullif", set_nullif},
	{"skip", set_skip},
	{"thread_concurrency", set_workers},
};

/* Options that other systems have, or that one types by habit. */
static const KwjForeignOption foreign_options[] = {
	{"allow_quoted_null", "A field in quotes is never NULL; nullif gives the text that is, without quotes."},
	{"charset", "IMPORT reads text files in UTF-8: convert the file first, for instance with iconv."},
	{"compression", "Files in gzip, lz4 and zstd are recognized by their contents; there is no option for it."},
	{"decompress", "Files in gzip, lz4 and zstd are recognized by their contents; there is no option for it."},
	{"delim", "The character between two fields is the option delimiter, for instance WITH delimiter = ';'."},
	{"detached", "It belongs to the statement: IMPORT ... WITH detached. kwjobs.import returns at once, kwjobs.import_and_wait waits."},
	{"encoding", "IMPORT reads text files in UTF-8: convert the file first, for instance with iconv."},
	{"escape", "The character before a quote in a field is the option escaped, for instance WITH escaped = '\\'."},
	{"format", "The format stands before the files: CSV DATA ('file', ...)."},
	{"jobs", "How many workers import at most is the option thread_concurrency."},
	{"null", "The text that stands for NULL is the option nullif, for instance WITH nullif = 'NULL'."},
	{"parallel", "How many workers import at most is the option thread_concurrency."},
	{"quote", "The character around a field is the option enclosed, for instance WITH enclosed = '\"'."},
	{"strict_quotes", "Quotes are read as COPY reads them; there is no option for it."},
};

static void
set_delimiter(KwjImportOptions *options, const char *value)
{
	options->delimiter = kwj_given_character("IMPORT", "delimiter", value);
}

static void
set_enclosed(KwjImportOptions *options, const char *value)
{
	options->enclosed = kwj_given_character("IMPORT", "enclosed", value);
}

static void
set_escaped(KwjImportOptions *options, const char *value)
{
	options->escaped = kwj_given_character("IMPORT", "escaped", value);
}

/* The name of each value of the option header; NULL: the default, which has none. */
static const char *const header_names[] = {
	[KWJ_IMPORT_HEADER_NONE] = NULL,
	[KWJ_IMPORT_HEADER_SKIP] = "skip",
	[KWJ_IMPORT_HEADER_MATCH] = "match",
};

static void
set_header(KwjImportOptions *options, const char *value)
{
	for (int i = KWJ_IMPORT_HEADER_SKIP; i < lengthof(header_names); i++)
	{
		if (strcmp(value, header_names[i]) != 0)
			continue;
		options->header = i;
		return;
	}
	kwj_given_refuse_value("IMPORT", "header", value,
						   "Type header = 'skip' to leave out the first record of each file, or header = 'match' to find the columns by the names in it.");
}

static void
set_nullif(KwjImportOptions *options, const char *value)
{
	if (strpbrk(value, "\r\n") != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid value for IMPORT option \"nullif\""),
				errdetail("The value contains a line end."),
				errhint("Give the text that stands for NULL in the files."));
	options->nullif = pstrdup(value);
}

static void
set_skip(KwjImportOptions *options, const char *value)
{
	options->skip = kwj_given_number("IMPORT", "skip", value, 0, PG_INT64_MAX,
									 "Give the number of lines to skip at the start of each file, 0 or more.");
}

static void
set_workers(KwjImportOptions *options, const char *value)
{
	options->workers = (int) kwj_given_number("IMPORT", "thread_concurrency", value, 1, MOST_WORKERS,
											  psprintf("Give the number of workers that import at most, from 1 to %d. Without the option, large files get several.",
													   MOST_WORKERS));
}

/* Returns the hint for an option that does not exist: the names of those that do. */
static char *
names_of_options(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(known_options); i++)
		appendStringInfo(&names, "%s, ", known_options[i].name);
	return psprintf("Valid options are %sthose of all jobs such as priority, and in the statement IMPORT also detached.", names.data);
}

/* Returns the index of an option. Raises an error if there is no such option. */
static int
option_index(const char *name)
{
	for (int i = 0; i < lengthof(known_options); i++)
		if (strcmp(name, known_options[i].name) == 0)
			return i;
	kwj_given_refuse_option("IMPORT", name, foreign_options, lengthof(foreign_options), names_of_options());
}

/* Raises an error unless there is such an option. */
static void
check_option(const char *name)
{
	(void) option_index(name);
}

static void
check_conflicts(const KwjImportOptions *options)
{
	if (options->delimiter == options->enclosed)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("IMPORT options \"delimiter\" and \"enclosed\" must be different"),
				errhint("Fields are delimited by \",\" and enclosed in '\"' unless the options say otherwise."));
	if (options->delimiter == options->escaped)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("IMPORT options \"delimiter\" and \"escaped\" must be different"),
				errhint("The option \"escaped\" is that of \"enclosed\" unless it is given."));
	if (strchr(options->nullif, options->delimiter) != NULL ||
		strchr(options->nullif, options->enclosed) != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid value for IMPORT option \"nullif\": \"%s\"",
					   options->nullif),
				errdetail("It contains the character that delimits or encloses fields."),
				errhint("Give the text that stands for NULL in the files."));
	/* COPY may find something else to refuse. */
	ProcessCopyOptions(NULL, NULL, true, kwj_import_copy_options(options));
}

void
kwj_import_read_options(Jsonb *jb, KwjImportOptions *options, List **given)
{
	ListCell   *lc;

	memset(options, 0, sizeof(*options));
	options->delimiter = ',';
	options->enclosed = '"';
	options->nullif = pstrdup("");

	*given = kwj_given_options("IMPORT", jb, false, check_option);
	foreach(lc, *given)
	{
		KwjGiven   *option = lfirst(lc);

		known_options[option_index(option->name)].set(options, option->value);
	}
	if (options->escaped == '\0')
		options->escaped = options->enclosed;
	check_conflicts(options);
}

static DefElem *
copy_option(const char *name, char *value)
{
	return makeDefElem(pstrdup(name), (Node *) makeString(value), -1);
}

static char *
character_text(char c)
{
	return pnstrdup(&c, 1);
}

List *
kwj_import_copy_options(const KwjImportOptions *options)
{
	List	   *list = NIL;

	list = lappend(list, copy_option("format", pstrdup("csv")));
	list = lappend(list, copy_option("delimiter", character_text(options->delimiter)));
	list = lappend(list, copy_option("quote", character_text(options->enclosed)));
	list = lappend(list, copy_option("escape", character_text(options->escaped)));
	list = lappend(list, copy_option("null", pstrdup(options->nullif)));
	/* COPY would take the client's encoding, which a worker does not have. */
	list = lappend(list, copy_option("encoding", pstrdup("UTF8")));
	return list;
}

static void
append_json_text(StringInfo buf, const char *key, const char *text)
{
	appendStringInfo(buf, ", \"%s\": ", key);
	escape_json(buf, text);
}

Jsonb *
kwj_import_payload(const KwjImportSpec *spec)
{
	const KwjImportOptions *options = &spec->options;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"target\": %u", spec->target);
	append_json_text(&buf, "table", spec->table);
	appendStringInfoString(&buf, ", \"columns\": ");
	kwj_json_append_texts(&buf, spec->columns);
	if (spec->numbers != NIL)
	{
		appendStringInfoString(&buf, ", \"numbers\": ");
		kwj_json_append_numbers(&buf, spec->numbers);
	}
	appendStringInfoString(&buf, ", \"files\": ");
	kwj_json_append_texts(&buf, spec->files);
	if (spec->checksum != NULL)
	{
		append_json_text(&buf, "checksum", spec->checksum);
		appendStringInfoString(&buf, ", \"sizes\": ");
		kwj_json_append_texts(&buf, spec->sizes);
		appendStringInfoString(&buf, ", \"checksums\": ");
		kwj_json_append_texts(&buf, spec->checksums);
	}
	append_json_text(&buf, "delimiter", character_text(options->delimiter));
	append_json_text(&buf, "enclosed", character_text(options->enclosed));
	append_json_text(&buf, "escaped", character_text(options->escaped));
	append_json_text(&buf, "nullif", options->nullif);
	if (options->header != KWJ_IMPORT_HEADER_NONE)
		append_json_text(&buf, "header", header_names[options->header]);
	if (options->workers > 1)
		appendStringInfo(&buf, ", \"workers\": %d", options->workers);
	if (options->one_worker != NULL)
		append_json_text(&buf, "one_worker", options->one_worker);
	appendStringInfo(&buf, ", \"skip\": " INT64_FORMAT ", \"settings\": ", options->skip);
	kwj_import_write_settings(&buf);
	appendStringInfoChar(&buf, '}');
	return kwj_json_parse(buf.data);
}

void
kwj_import_read_payload(Jsonb *payload, KwjImportSpec *spec)
{
	char	   *header;

	spec->target = (Oid) kwj_json_int64(payload, "target");
	spec->table = kwj_json_text(payload, "table");
	spec->columns = kwj_json_texts(payload, "columns");
	spec->numbers = kwj_payload_columns(payload);
	spec->files = kwj_json_texts(payload, "files");
	spec->checksum = kwj_json_text_or_null(payload, "checksum");
	spec->sizes = kwj_json_texts(payload, "sizes");
	spec->checksums = kwj_json_texts(payload, "checksums");
	spec->options.delimiter = kwj_json_text(payload, "delimiter")[0];
	spec->options.enclosed = kwj_json_text(payload, "enclosed")[0];
	spec->options.escaped = kwj_json_text(payload, "escaped")[0];
	spec->options.nullif = kwj_json_text(payload, "nullif");
	spec->options.skip = kwj_json_int64(payload, "skip");
	spec->options.header = KWJ_IMPORT_HEADER_NONE;
	header = kwj_json_text_or_null(payload, "header");
	if (header != NULL)
		set_header(&spec->options, header);
	spec->options.workers = kwj_import_payload_workers(payload);
	spec->options.one_worker = kwj_json_text_or_null(payload, "one_worker");
	spec->options.fields = list_length(spec->columns);
	spec->options.names = spec->columns;
}

int
kwj_import_payload_workers(Jsonb *payload)
{
	return kwj_json_int64_or(payload, "workers", 1);
}

char *
kwj_import_description(const KwjImportSpec *spec, List *columns, List *given)
{
	StringInfoData buf;
	const char *separator;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "IMPORT INTO %s", spec->table);
	if (columns != NIL)
	{
		separator = " (";
		foreach(lc, columns)
		{
			appendStringInfo(&buf, "%s%s", separator, quote_identifier(lfirst(lc)));
			separator = ", ";
		}
		appendStringInfoChar(&buf, ')');
	}

	separator = " CSV DATA (";
	foreach(lc, spec->files)
	{
		appendStringInfo(&buf, "%s%s", separator, quote_literal_cstr(lfirst(lc)));
		separator = ", ";
	}
	appendStringInfoChar(&buf, ')');

	kwj_given_append(&buf, given);
	return buf.data;
}

static List *
add_given(List *given, const char *name, char *value)
{
	KwjGiven   *option = palloc(sizeof(KwjGiven));

	option->name = pstrdup(name);
	option->value = value;
	return lappend(given, option);
}

char *
kwj_import_statement_text(const KwjImportSpec *spec)
{
	const KwjImportOptions *options = &spec->options;
	List	   *given = NIL;

	if (options->delimiter != ',')
		given = add_given(given, "delimiter", character_text(options->delimiter));
	if (options->enclosed != '"')
		given = add_given(given, "enclosed", character_text(options->enclosed));
	if (options->escaped != options->enclosed)
		given = add_given(given, "escaped", character_text(options->escaped));
	if (options->header != KWJ_IMPORT_HEADER_NONE)
		given = add_given(given, "header", pstrdup(header_names[options->header]));
	if (options->nullif[0] != '\0')
		given = add_given(given, "nullif", options->nullif);
	if (options->skip != 0)
		given = add_given(given, "skip", psprintf(INT64_FORMAT, options->skip));
	return kwj_import_description(spec, spec->columns, given);
}
