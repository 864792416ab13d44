/*
 * src/type/import/options.c
 *	  The options of an IMPORT, its payload and its description.
 *
 * Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/copy.h"
#include "commands/defrem.h"
#include "job/json.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "type/columns.h"
#include "type/files/directory.h"
#include "type/given.h"
#include "type/import/options.h"
#include "type/import/reject_table.h"
#include "type/import/settings.h"
#include "type/source/source.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/varlena.h"

/* The largest value of thread_concurrency. */
#define MOST_WORKERS	1024

static void set_charset(KwjImportOptions *options, const char *value);
static void set_delimiter(KwjImportOptions *options, const char *value);
static void set_enclosed(KwjImportOptions *options, const char *value);
static void set_escaped(KwjImportOptions *options, const char *value);
static void set_format(KwjImportOptions *options, const char *value);
static void set_header(KwjImportOptions *options, const char *value);
static void set_nullif(KwjImportOptions *options, const char *value);
static void set_on_error(KwjImportOptions *options, const char *value);
static void set_reject_file(KwjImportOptions *options, const char *value);
static void set_reject_limit(KwjImportOptions *options, const char *value);
static void set_reject_table(KwjImportOptions *options, const char *value);
static void set_revert(KwjImportOptions *options, const char *value);
static void set_skip(KwjImportOptions *options, const char *value);
static void set_workers(KwjImportOptions *options, const char *value);

/* An option has a value, names columns, or is a flag. */
static const struct
{
	const char *name;
	void		(*set) (KwjImportOptions *options, const char *value);
	size_t		columns;		/* if set is NULL: the offset of the list of columns; 0: it is a flag */
	size_t		flag;			/* ... of the flag */
	const char *words;			/* the hint if it has no value; NULL: its values are not a few words */
}			known_options[] =
{
	/* Sorted by name. */
	{"analyze", NULL, 0, offsetof(KwjImportOptions, analyze)},
	{"charset", set_charset},
	{"delimiter", set_delimiter},
	{"enclosed", set_enclosed},
	{"encoding", set_charset},
	{"escaped", set_escaped},
	{"force_not_null", NULL, offsetof(KwjImportOptions, force_not_null)},
	{"force_null", NULL, offsetof(KwjImportOptions, force_null)},
	{"format", set_format, .words = "Type WITH format = 'csv', 'text' or 'binary'."},
	{"freeze", NULL, 0, offsetof(KwjImportOptions, freeze)},
	{"header", set_header, .words = "Type WITH header = 'skip', or header = 'match'."},
	{"nullif", set_nullif},
	{"on_error", set_on_error, .words = "Type WITH on_error = 'skip', or on_error = 'stop'."},
	{"reject_file", set_reject_file},
	{"reject_limit", set_reject_limit},
	{"reject_table", set_reject_table},
	{"revert", set_revert, .words = "Type WITH revert = 'none', or revert = 'exact'."},
	{"skip", set_skip},
	{"thread_concurrency", set_workers},
	{"trailing_delimiter", NULL, 0, offsetof(KwjImportOptions, trailing_delimiter)},
};

/* Options that other systems have, or that one types by habit. */
static const KwjForeignOption foreign_options[] = {
	{"allow_quoted_null", "The columns in which nullif is NULL within quotes, too, are the option force_null, for instance WITH force_null = '*'."},
	{"compression", "Files in gzip, lz4 and zstd are recognized by their contents; there is no option for it."},
	{"decompress", "Files in gzip, lz4 and zstd are recognized by their contents; there is no option for it."},
	{"delim", "The character between two fields is the option delimiter, for instance WITH delimiter = ';'."},
	{"detached", "It belongs to the statement: IMPORT ... WITH detached. kwjobs.import returns at once, kwjobs.import_and_wait waits."},
	{"escape", "The character before a quote in a field is the option escaped, for instance WITH escaped = '\\'."},
	{"ignore_errors", "To leave out records that cannot be imported, type WITH on_error = 'skip'."},
	{"jobs", "How many workers import at most is the option thread_concurrency."},
	{"null", "The text that stands for NULL is the option nullif, for instance WITH nullif = 'NULL'."},
	{"parallel", "How many workers import at most is the option thread_concurrency."},
	{"log_errors", "Records that were left out are written where the options reject_table and reject_file say, with on_error = 'skip'."},
	{"max_errors", "How many records may be left out is the option reject_limit, with on_error = 'skip'."},
	{"quote", "The character around a field is the option enclosed, for instance WITH enclosed = '\"'."},
	{"rejected_rows", "How many records may be left out is the option reject_limit, with on_error = 'skip'."},
	{"stats", "To collect statistics at the end, type WITH analyze."},
	{"strict_quotes", "Quotes are read as COPY reads them; there is no option for it."},
};

static void
set_charset(KwjImportOptions *options, const char *value)
{
	int			encoding = pg_char_to_encoding(value);

	if (encoding < 0)
		kwj_given_refuse_value("IMPORT", "charset", value,
							   pg_strncasecmp(value, "UTF-16", 6) == 0 || pg_strncasecmp(value, "UTF16", 5) == 0 ?
							   "PostgreSQL does not have UTF-16: convert the file first, for instance with iconv -f UTF-16 -t UTF-8." :
							   "Give the name of an encoding that PostgreSQL has, such as UTF8, LATIN1, WIN1252 or GBK.");
	options->charset = encoding;
}

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

/*
 * Returns the index of an option's value among the n names of its values, of which one may be NULL. Raises an
 * error, with the hint, if it is none of them.
 */
static int
index_of_value(const char *option, const char *value, const char *const *names, int n, const char *hint)
{
	for (int i = 0; i < n; i++)
		if (names[i] != NULL && strcmp(value, names[i]) == 0)
			return i;
	kwj_given_refuse_value("IMPORT", option, value, hint);
}

static const char *const format_names[] = {
	[KWJ_IMPORT_CSV] = "csv",
	[KWJ_IMPORT_TEXT] = "text",
	[KWJ_IMPORT_BINARY] = "binary",
};

static void
set_format(KwjImportOptions *options, const char *value)
{
	options->format = index_of_value("format", value, format_names, lengthof(format_names),
									 "The formats are those of COPY: csv, text and binary.");
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
	options->header = index_of_value("header", value, header_names, lengthof(header_names),
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

/* The name of each value of the option on_error. */
static const char *const on_error_names[] = {
	[KWJ_IMPORT_STOP] = "stop",
	[KWJ_IMPORT_SKIP] = "skip",
};

static void
set_on_error(KwjImportOptions *options, const char *value)
{
	options->on_error = index_of_value("on_error", value, on_error_names, lengthof(on_error_names),
									   "Type on_error = 'skip' to leave out records that cannot be imported, or on_error = 'stop' to import none then.");
}

static void
set_reject_file(KwjImportOptions *options, const char *value)
{
	if (!is_absolute_path(value) || value[strlen(value) - 1] == '/')
		kwj_given_refuse_value("IMPORT", "reject_file", value,
							   "Give the absolute path of a file on the server, in a directory that exists.");
	options->reject_file = kwj_directory_check_path("IMPORT", value);
}

static void
set_reject_limit(KwjImportOptions *options, const char *value)
{
	options->reject_limit = kwj_given_number("IMPORT", "reject_limit", value, 0, PG_INT64_MAX,
											 "Give the number of records that may be left out at most.");
}

static void
set_reject_table(KwjImportOptions *options, const char *value)
{
	kwj_reject_table_find(options, value);
}

static void
set_revert(KwjImportOptions *options, const char *value)
{
	if (strcmp(value, "exact") != 0 && strcmp(value, "none") != 0)
		kwj_given_refuse_value("IMPORT", "revert", value,
							   "Type revert = 'none' to keep the rows when the job fails or is canceled. Otherwise they are removed exactly.");
	options->keeps_rows = strcmp(value, "none") == 0;
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

static bool
is_flag(const char *name)
{
	return known_options[option_index(name)].flag != 0;
}

/*
 * Refuses an encoding of the files that PostgreSQL cannot convert to that of the database. COPY would refuse
 * it, too, but only in the worker.
 */
static void
check_conversion(int charset)
{
	int			database = GetDatabaseEncoding();

	if (charset == database || charset == PG_SQL_ASCII || database == PG_SQL_ASCII ||
		OidIsValid(FindDefaultConversionProc(charset, database)))
		return;
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_FUNCTION),
			errmsg("there is no conversion from %s to %s", pg_encoding_to_char(charset),
				   GetDatabaseEncodingName()),
			errhint("Convert the file first; %s is the encoding of the database.", GetDatabaseEncodingName()));
}

static bool
is_given(const List *given, const char *name)
{
	ListCell   *lc;

	foreach(lc, given)
		if (strcmp(((KwjGiven *) lfirst(lc))->name, name) == 0)
			return true;
	return false;
}

static void
refuse_in_format(KwjImportFormat format, const char *option)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("IMPORT option \"%s\" has no meaning with format = '%s'", option, format_names[format]),
			errhint("Leave it out."));
}

/* Refuses options that the format does not have. */
static void
check_format(const KwjImportOptions *options, const List *given)
{
	static const char *const only_csv[] = {"enclosed", "escaped", "force_null", "force_not_null", NULL};
	static const char *const not_binary[] = {"charset", "delimiter", "encoding", "header", "nullif", "skip",
	"trailing_delimiter", NULL};

	for (int i = 0; options->format != KWJ_IMPORT_CSV && only_csv[i] != NULL; i++)
		if (is_given(given, only_csv[i]))
			refuse_in_format(options->format, only_csv[i]);
	for (int i = 0; options->format == KWJ_IMPORT_BINARY && not_binary[i] != NULL; i++)
		if (is_given(given, not_binary[i]))
			refuse_in_format(options->format, not_binary[i]);
}

/* Sets the options that were not given to what COPY takes in this format. */
static void
set_defaults(KwjImportOptions *options)
{
	if (options->delimiter == '\0')
		options->delimiter = options->format == KWJ_IMPORT_CSV ? ',' : '\t';
	if (options->enclosed == '\0' && options->format == KWJ_IMPORT_CSV)
		options->enclosed = '"';
	if (options->escaped == '\0')
		options->escaped = options->enclosed;
	if (options->nullif == NULL)
		options->nullif = pstrdup(options->format == KWJ_IMPORT_CSV ? "" : "\\N");
}

/* Refuses characters that COPY could not tell from each other. */
static void
check_characters(const KwjImportOptions *options)
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
		(options->enclosed != '\0' && strchr(options->nullif, options->enclosed) != NULL))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid value for IMPORT option \"nullif\": \"%s\"",
					   options->nullif),
				errdetail("It contains the character that delimits or encloses fields."),
				errhint("Give the text that stands for NULL in the files."));
}

static void
check_conflicts(const KwjImportOptions *options)
{
	check_characters(options);
	if (options->on_error == KWJ_IMPORT_STOP &&
		(options->reject_limit >= 0 || OidIsValid(options->reject_table) || options->reject_file != NULL))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("IMPORT option \"%s\" needs on_error = 'skip'",
					   options->reject_limit >= 0 ? "reject_limit" :
					   OidIsValid(options->reject_table) ? "reject_table" : "reject_file"),
				errhint("Type WITH on_error = 'skip', or leave it out."));
	check_conversion(options->charset);
	/* If COPY has another reason to refuse the options, the user shall learn it now, not from the job. */
	ProcessCopyOptions(NULL, NULL, true, kwj_import_copy_options(options, NIL));
}

/* Sets an option, unless it names columns. */
static void
set_option(KwjImportOptions *options, const KwjGiven *given)
{
	int			i = option_index(given->name);

	if (known_options[i].flag != 0)
		*(bool *) ((char *) options + known_options[i].flag) = kwj_given_flag("IMPORT", given);
	else if (given->value == NULL)
		kwj_given_refuse_value("IMPORT", given->name, NULL, known_options[i].words ? known_options[i].words :
							   psprintf("Type WITH %s = 'value', or '{\"%s\": \"value\"}' in a call of kwjobs.import.",
										given->name, given->name));
	else if (known_options[i].set != NULL)
		known_options[i].set(options, given->value);
}

void
kwj_import_read_options(Jsonb *jb, KwjImportOptions *options, List **given)
{
	ListCell   *lc;

	memset(options, 0, sizeof(*options));
	/* COPY would take the client's encoding, which a worker does not have. */
	options->charset = PG_UTF8;
	options->reject_limit = -1;

	*given = kwj_given_options("IMPORT", jb, is_flag);
	foreach(lc, *given)
		set_option(options, lfirst(lc));
	if (is_given(*given, "charset") && is_given(*given, "encoding"))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("IMPORT options \"charset\" and \"encoding\" are the same"),
				errhint("Give one of them."));
	check_format(options, *given);
	set_defaults(options);
	check_conflicts(options);
}

/* Returns the index of the column in options->names. Raises an error if there is no such column. */
static int
column_index(const KwjImportOptions *options, const char *option, const char *name)
{
	ListCell   *lc;

	foreach(lc, options->names)
		if (strcmp(lfirst(lc), name) == 0)
			return foreach_current_index(lc);
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_COLUMN),
			errmsg("IMPORT option \"%s\" names column \"%s\", which the IMPORT does not fill", option, name),
			errhint("Give names of columns that the files have, separated by commas, or '*' for all of them."));
}

/* Returns the columns that the value names: a list of identifiers, or * for all columns. */
static List *
columns_of_value(const KwjImportOptions *options, const char *option, const char *value)
{
	List	   *names;
	List	   *columns = NIL;
	ListCell   *lc;

	if (strcmp(value, "*") == 0)
	{
		for (int i = 0; i < list_length(options->names); i++)
			columns = lappend_int(columns, i);
		return columns;
	}
	if (!SplitIdentifierString(pstrdup(value), ',', &names) || names == NIL)
		kwj_given_refuse_value("IMPORT", option, value,
							   "Give names of columns, separated by commas, or '*' for all of them.");
	foreach(lc, names)
		columns = list_append_unique_int(columns, column_index(options, option, lfirst(lc)));
	return columns;
}

void
kwj_import_read_column_options(KwjImportOptions *options, const List *given)
{
	ListCell   *lc;

	foreach(lc, given)
	{
		const KwjGiven *option = lfirst(lc);
		size_t		offset = known_options[option_index(option->name)].columns;

		if (offset != 0)
			*(List **) ((char *) options + offset) =
				columns_of_value(options, option->name, option->value);
	}
}

static DefElem *
copy_option(const char *name, char *value)
{
	return makeDefElem(pstrdup(name), (Node *) makeString(value), -1);
}

/* Adds the option of COPY with this name, for the columns with these indexes, to the list, unless there are none. */
static List *
add_columns(List *list, const char *name, List *indexes, List *columns)
{
	List	   *chosen = NIL;
	ListCell   *lc;

	foreach(lc, indexes)
		chosen = lappend(chosen, list_nth(columns, lfirst_int(lc)));
	return chosen ? lappend(list, makeDefElem(pstrdup(name), (Node *) chosen, -1)) : list;
}

List *
kwj_import_copy_options(const KwjImportOptions *options, List *columns)
{
	List	   *list = NIL;

	list = lappend(list, copy_option("format", pstrdup(format_names[options->format])));
	if (options->format == KWJ_IMPORT_BINARY)
		return list;
	list = lappend(list, copy_option("delimiter", kwj_given_character_text(options->delimiter)));
	list = lappend(list, copy_option("null", pstrdup(options->nullif)));
	if (options->format == KWJ_IMPORT_CSV)
	{
		list = lappend(list, copy_option("quote", kwj_given_character_text(options->enclosed)));
		list = lappend(list, copy_option("escape", kwj_given_character_text(options->escaped)));
	}
	list = lappend(list, copy_option("encoding", pstrdup(pg_encoding_to_char(options->charset))));
	list = add_columns(list, "force_null", options->force_null, columns);
	list = add_columns(list, "force_not_null", options->force_not_null, columns);
	return list;
}

static void
append_json_text(StringInfo buf, const char *key, const char *text)
{
	appendStringInfo(buf, ", \"%s\": ", key);
	escape_json(buf, text);
}

static void
append_json_texts(StringInfo buf, const char *key, const List *texts)
{
	appendStringInfo(buf, ", \"%s\": ", key);
	kwj_json_append_texts(buf, texts);
}

/* Appends a list of integers, unless it is empty. */
static void
append_json_numbers(StringInfo buf, const char *key, List *numbers)
{
	if (numbers == NIL)
		return;
	appendStringInfo(buf, ", \"%s\": ", key);
	kwj_json_append_numbers(buf, numbers);
}

/*
 * Appends the files. What may be a secret in one of them goes into another member, which no view shows
 * (kwdb_internal.jobs).
 */
static void
append_files(StringInfo json, const List *files)
{
	List	   *plain = NIL;
	List	   *secrets = NIL;
	bool		has_secret = false;
	ListCell   *lc;

	foreach(lc, files)
	{
		const char *secret = kwj_source_secret(lfirst(lc));

		plain = lappend(plain, pnstrdup(lfirst(lc), secret - (char *) lfirst(lc)));
		secrets = lappend(secrets, unconstify(char *, secret));
		has_secret |= *secret != '\0';
	}
	append_json_texts(json, "files", plain);
	if (has_secret)
		append_json_texts(json, "secrets", secrets);
}

static List *
read_files(Jsonb *payload)
{
	List	   *plain = kwj_json_texts(payload, "files");
	List	   *secrets = kwj_json_texts(payload, "secrets");
	List	   *files = NIL;
	ListCell   *lp;
	ListCell   *ls;

	if (secrets == NIL)
		return plain;
	forboth(lp, plain, ls, secrets)
		files = lappend(files, psprintf("%s%s", (char *) lfirst(lp), (char *) lfirst(ls)));
	return files;
}

/* Appends the options that say how a file is read. */
static void
append_reading_options(StringInfo json, const KwjImportOptions *options)
{
	if (options->format != KWJ_IMPORT_CSV)
		append_json_text(json, "format", format_names[options->format]);
	append_json_text(json, "delimiter", kwj_given_character_text(options->delimiter));
	append_json_text(json, "enclosed", kwj_given_character_text(options->enclosed));
	append_json_text(json, "escaped", kwj_given_character_text(options->escaped));
	append_json_text(json, "nullif", options->nullif);
	if (options->charset != PG_UTF8)
		append_json_text(json, "charset", pg_encoding_to_char(options->charset));
	if (options->trailing_delimiter)
		appendStringInfoString(json, ", \"trailing_delimiter\": 1");
	append_json_numbers(json, "force_null", options->force_null);
	append_json_numbers(json, "force_not_null", options->force_not_null);
	if (options->header != KWJ_IMPORT_HEADER_NONE)
		append_json_text(json, "header", header_names[options->header]);
	appendStringInfo(json, ", \"skip\": " INT64_FORMAT, options->skip);
}

/* Appends the options that say what the job does with records, rows and errors. */
static void
append_other_options(StringInfo json, const KwjImportOptions *options)
{
	if (options->on_error != KWJ_IMPORT_STOP)
		append_json_text(json, "on_error", on_error_names[options->on_error]);
	if (options->analyze)
		appendStringInfoString(json, ", \"analyze\": 1");
	if (options->freeze)
		appendStringInfoString(json, ", \"freeze\": 1");
	if (options->reject_limit >= 0)
		appendStringInfo(json, ", \"reject_limit\": " INT64_FORMAT, options->reject_limit);
	if (options->reject_file != NULL)
		append_json_text(json, "reject_file", options->reject_file);
	if (OidIsValid(options->reject_table))
	{
		appendStringInfo(json, ", \"reject_table\": %u", options->reject_table);
		append_json_text(json, "reject_name", options->reject_name);
	}
	if (options->workers > 1)
		appendStringInfo(json, ", \"workers\": %d", options->workers);
	if (options->keeps_rows)
		append_json_text(json, "revert", "none");
	if (options->one_worker != NULL)
		append_json_text(json, "one_worker", options->one_worker);
}

Jsonb *
kwj_import_payload(const KwjImportSpec *spec)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"target\": %u", spec->target);
	append_json_text(&buf, "table", spec->table);
	if (spec->tables != NIL)
		kwj_import_tables_write(spec->tables, &buf);
	append_json_texts(&buf, "columns", spec->columns);
	append_json_numbers(&buf, "numbers", spec->numbers);
	append_files(&buf, spec->files);
	if (spec->sizes != NIL)
		append_json_texts(&buf, "sizes", spec->sizes);
	if (spec->checksum != NULL)
	{
		append_json_text(&buf, "checksum", spec->checksum);
		append_json_texts(&buf, "checksums", spec->checksums);
	}
	append_reading_options(&buf, &spec->options);
	append_other_options(&buf, &spec->options);
	if (spec->definition != NULL)
	{
		append_json_text(&buf, "definition", spec->definition);
		appendStringInfo(&buf, ", \"has_rest\": %d", spec->has_rest);
		if (spec->schema != NULL)
			append_json_text(&buf, "schema", spec->schema);
	}
	appendStringInfoString(&buf, ", \"settings\": ");
	kwj_import_write_settings(&buf);
	appendStringInfoChar(&buf, '}');
	return kwj_json_parse(buf.data);
}

/* Returns the numbers that append_json_numbers has written. */
static List *
json_numbers(Jsonb *payload, const char *key)
{
	List	   *numbers = NIL;
	int64	   *values;
	int			n;

	values = kwj_json_int64s(payload, key, &n);
	for (int i = 0; i < n; i++)
		numbers = lappend_int(numbers, (int) values[i]);
	return numbers;
}

static void
read_reading_options(Jsonb *payload, KwjImportOptions *options)
{
	char	   *format = kwj_json_text_or_null(payload, "format");
	char	   *charset = kwj_json_text_or_null(payload, "charset");
	char	   *header = kwj_json_text_or_null(payload, "header");

	if (format != NULL)
		set_format(options, format);
	options->delimiter = kwj_json_text(payload, "delimiter")[0];
	options->enclosed = kwj_json_text(payload, "enclosed")[0];
	options->escaped = kwj_json_text(payload, "escaped")[0];
	options->nullif = kwj_json_text(payload, "nullif");
	options->charset = charset ? pg_char_to_encoding(charset) : PG_UTF8;
	options->trailing_delimiter = kwj_json_int64_or(payload, "trailing_delimiter", 0) != 0;
	options->force_null = json_numbers(payload, "force_null");
	options->force_not_null = json_numbers(payload, "force_not_null");
	if (header != NULL)
		set_header(options, header);
	options->skip = kwj_json_int64(payload, "skip");
}

static void
read_other_options(Jsonb *payload, KwjImportOptions *options)
{
	char	   *on_error = kwj_json_text_or_null(payload, "on_error");

	if (on_error != NULL)
		set_on_error(options, on_error);
	options->analyze = kwj_json_int64_or(payload, "analyze", 0) != 0;
	options->freeze = kwj_json_int64_or(payload, "freeze", 0) != 0;
	options->reject_limit = kwj_json_int64_or(payload, "reject_limit", -1);
	options->reject_file = kwj_json_text_or_null(payload, "reject_file");
	options->reject_table = (Oid) kwj_json_int64_or(payload, "reject_table", InvalidOid);
	options->reject_name = kwj_json_text_or_null(payload, "reject_name");
	options->workers = kwj_import_payload_workers(payload);
	options->keeps_rows = kwj_json_text_or_null(payload, "revert") != NULL;
	options->one_worker = kwj_json_text_or_null(payload, "one_worker");
}

void
kwj_import_read_payload(Jsonb *payload, KwjImportSpec *spec)
{
	KwjImportOptions *options = &spec->options;

	spec->target = (Oid) kwj_json_int64(payload, "target");
	spec->table = kwj_json_text(payload, "table");
	spec->tables = kwj_import_tables_read(payload);
	spec->columns = kwj_json_texts(payload, "columns");
	spec->numbers = kwj_payload_columns(payload);
	spec->files = read_files(payload);
	spec->sizes = kwj_json_texts(payload, "sizes");
	spec->checksum = kwj_json_text_or_null(payload, "checksum");
	spec->checksums = kwj_json_texts(payload, "checksums");
	memset(options, 0, sizeof(*options));
	read_reading_options(payload, options);
	read_other_options(payload, options);
	options->fields = list_length(spec->columns);
	options->names = spec->columns;
	spec->definition = kwj_json_text_or_null(payload, "definition");
	spec->has_rest = kwj_json_int64_or(payload, "has_rest", 0) != 0;
	spec->schema = kwj_json_text_or_null(payload, "schema");
	spec->head = NULL;
}

int64
kwj_import_size_noted(const KwjImportSpec *spec, int file)
{
	return strtoll(list_nth(spec->sizes, file), NULL, 10);
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
	if (spec->head != NULL)
		appendStringInfoString(&buf, spec->head);
	else
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
		appendStringInfo(&buf, "%s%s", separator, quote_literal_cstr(kwj_source_shown(lfirst(lc))));
		separator = ", ";
	}
	if (spec->files != NIL)
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

/* Returns the names of these columns, as the user may type them. */
static char *
names_text(const KwjImportOptions *options, List *columns)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, columns)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(list_nth(options->names, lfirst_int(lc))));
	return buf.data;
}

char *
kwj_import_statement_text(const KwjImportSpec *spec)
{
	const KwjImportOptions *options = &spec->options;
	List	   *given = NIL;

	if (options->charset != PG_UTF8)
		given = add_given(given, "charset", pstrdup(pg_encoding_to_char(options->charset)));
	if (options->delimiter != (options->format == KWJ_IMPORT_CSV ? ',' : '\t'))
		given = add_given(given, "delimiter", kwj_given_character_text(options->delimiter));
	if (options->format == KWJ_IMPORT_CSV && options->enclosed != '"')
		given = add_given(given, "enclosed", kwj_given_character_text(options->enclosed));
	if (options->escaped != options->enclosed)
		given = add_given(given, "escaped", kwj_given_character_text(options->escaped));
	if (options->force_not_null != NIL)
		given = add_given(given, "force_not_null", names_text(options, options->force_not_null));
	if (options->force_null != NIL)
		given = add_given(given, "force_null", names_text(options, options->force_null));
	if (options->format != KWJ_IMPORT_CSV)
		given = add_given(given, "format", pstrdup(format_names[options->format]));
	if (options->header != KWJ_IMPORT_HEADER_NONE)
		given = add_given(given, "header", pstrdup(header_names[options->header]));
	if (strcmp(options->nullif, options->format == KWJ_IMPORT_CSV ? "" : "\\N") != 0)
		given = add_given(given, "nullif", options->nullif);
	if (options->on_error != KWJ_IMPORT_STOP)
		given = add_given(given, "on_error", pstrdup(on_error_names[options->on_error]));
	if (options->skip != 0)
		given = add_given(given, "skip", psprintf(INT64_FORMAT, options->skip));
	if (options->trailing_delimiter)
		given = add_given(given, "trailing_delimiter", NULL);
	return kwj_import_description(spec, spec->columns, given);
}
