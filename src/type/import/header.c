/*
 * src/type/import/header.c
 *	  The first record of each file, which names the columns: the option header.
 *
 * The header is a record as COPY reads one, so line ends within quotes belong to it. It may end in
 * another way than the records that are imported, which all end alike.
 *
 * With header = 'match' it is read again for each batch, so no checkpoint has to keep what it says.
 *
 * Callers: reader.c. Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "type/import/header.h"

/* A header of more bytes than this is a file whose quotes are not closed, or no CSV file. */
#define MOST_BYTES	(1024 * 1024)

/* At most this many bytes of a name are shown. */
#define SHOWN_BYTES	100

void
kwj_header_init(KwjHeaderScan *header, const KwjImportOptions *options, const char *path)
{
	memset(header, 0, sizeof(*header));
	header->options = options;
	header->path = path;
	kwj_csv_scan_init(&header->csv, options, KWJ_LINE_END_UNKNOWN);
	initStringInfo(&header->text);
}

static void
add_byte(KwjHeaderScan *header, char c)
{
	if (header->text.len >= MOST_BYTES)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("the header of file \"%s\" is longer than %d bytes", header->path, MOST_BYTES),
				errhint("Look for a quote that is not closed in its first record."));
	appendStringInfoChar(&header->text, c);
}

static void
step(KwjHeaderScan *header, char c)
{
	bool		follows_cr = header->after_cr;

	kwj_csv_scan_byte(&header->csv, c);
	header->after_cr = (c == '\r');
	if (c == '\r' || (c == '\n' && !follows_cr))
		header->lines++;
	if (!header->csv.in_field && (c == '\n' || c == '\r'))
		header->ended = true;
	else
		add_byte(header, c);
}

size_t
kwj_header_scan(KwjHeaderScan *header, const char *p, size_t n)
{
	size_t		i;

	for (i = 0; i < n && !header->ended; i++)
		step(header, p[i]);
	/* The header has ended with \r already, and this \n belongs to it. */
	if (i < n && header->after_cr)
	{
		header->after_cr = false;
		if (p[i] == '\n')
			i++;
	}
	return i;
}

void
kwj_header_end_of_file(KwjHeaderScan *header)
{
	if (header->options->format == KWJ_IMPORT_CSV && header->csv.in_field)
		ereport(ERROR,
				errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
				errmsg("the header of file \"%s\" ends within quotes", header->path),
				errhint("Close the quote in its first record, or leave out lines with the option skip."));
	header->ended = true;
	header->after_cr = false;
}

/* Adds the field's text, and empties it. */
static List *
add_field(List *fields, StringInfo field)
{
	fields = lappend(fields, pnstrdup(field->data, field->len));
	resetStringInfo(field);
	return fields;
}

/* Returns the character that a backslash before this one means. */
static char
unescaped(char c)
{
	static const char letters[] = "bfnrtv";
	static const char meanings[] = "\b\f\n\r\t\v";
	const char *found = strchr(letters, c);

	return c != '\0' && found ? meanings[found - letters] : c;
}

/*
 * Returns the fields of the record, as COPY reads them: in the encoding of the database, in which no
 * byte of a longer character looks like a delimiter.
 */
static List *
fields_of(const KwjHeaderScan *header)
{
	const KwjImportOptions *options = header->options;
	const char *text = pg_any_to_server(header->text.data, header->text.len, options->charset);
	const char *end = text + strlen(text);
	StringInfoData field;
	List	   *fields = NIL;
	bool		in_quotes = false;

	initStringInfo(&field);
	for (const char *c = text; c < end; c++)
	{
		if (options->format == KWJ_IMPORT_TEXT && *c == '\\' && c + 1 < end)
			appendStringInfoChar(&field, unescaped(*++c));
		else if (in_quotes && *c == options->escaped && c + 1 < end &&
			(c[1] == options->escaped || c[1] == options->enclosed))
			appendStringInfoChar(&field, *++c);
		else if (options->format == KWJ_IMPORT_CSV && *c == options->enclosed)
			in_quotes = !in_quotes;
		else if (!in_quotes && *c == options->delimiter)
			fields = add_field(fields, &field);
		else
			appendStringInfoChar(&field, *c);
	}
	/* The delimiter may stand behind the last name, too. */
	if (options->trailing_delimiter && field.len == 0 && list_length(fields) == options->fields)
		return fields;
	return add_field(fields, &field);
}

static int
index_of(const char *name, List *names)
{
	ListCell   *lc;

	foreach(lc, names)
		if (strcmp(lfirst(lc), name) == 0)
			return foreach_current_index(lc);
	return -1;
}

static char *
shown(const char *name)
{
	return pnstrdup(name, pg_mbcliplen(name, strlen(name), SHOWN_BYTES));
}

static void
refuse_unknown(const KwjHeaderScan *header, const char *name)
{
	ereport(ERROR,
			errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			errmsg("the header of file \"%s\" has column \"%s\", which the IMPORT does not fill",
				   header->path, shown(name)),
			errdetail("Upper and lower case count."),
			errhint("Name the columns of the file: IMPORT INTO table (column, ...). Or type header = 'skip' if they come in this order."));
}

static void
refuse_doubled(const KwjHeaderScan *header, const char *name)
{
	ereport(ERROR,
			errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			errmsg("the header of file \"%s\" has column \"%s\" twice", header->path, shown(name)),
			errhint("Give each field its own name."));
}

static void
check_complete(const KwjHeaderScan *header, List *order)
{
	List	   *names = header->options->names;

	for (int i = 0; i < list_length(names); i++)
		if (!list_member_int(order, i))
			ereport(ERROR,
					errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
					errmsg("the header of file \"%s\" does not have column \"%s\"",
						   header->path, (char *) list_nth(names, i)),
					errdetail("Upper and lower case count."),
					errhint("Name the columns of the file: IMPORT INTO table (column, ...)."));
}

List *
kwj_header_order(const KwjHeaderScan *header)
{
	List	   *order = NIL;
	List	   *fields = fields_of(header);
	ListCell   *lc;

	foreach(lc, fields)
	{
		int			i = index_of(lfirst(lc), header->options->names);

		if (i < 0)
			refuse_unknown(header, lfirst(lc));
		if (list_member_int(order, i))
			refuse_doubled(header, lfirst(lc));
		order = lappend_int(order, i);
	}
	check_complete(header, order);
	list_free_deep(fields);
	return order;
}
