/*
 * src/type/import/skip.c
 *	  The lines at the start of a file that are not imported.
 *
 * A line ends with \n, \r\n or \r, and each line may end in another way: only the records that are
 * imported all end alike.
 *
 *    as many lines as skip says --> the data begins
 *         |
 *         +-- the last one ends within quotes --> scan for the rest of a header
 *                                                    rest_ended: the data begins after it
 *                                                    rest_failed: it is no header
 *
 * Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "type/import/skip.h"

void
kwj_skip_init(KwjSkipScan *skip, const KwjImportOptions *options)
{
	memset(skip, 0, sizeof(*skip));
	skip->options = options;
	skip->fields = 1;
	kwj_csv_scan_init(&skip->csv, options, KWJ_LINE_END_UNKNOWN);
}

/* Returns the next state of a header after a character that ends no line. */
static KwjHeaderState
next_state(const KwjSkipScan *skip, char c)
{
	const KwjImportOptions *options = skip->options;

	/* Only in CSV does a record have several lines. */
	if (options->format != KWJ_IMPORT_CSV)
		return KWJ_HEADER_FIELD;
	switch (skip->header)
	{
		case KWJ_HEADER_FIELD_START:
			if (c == options->enclosed)
				return KWJ_HEADER_QUOTED;
			return c == options->delimiter ? KWJ_HEADER_FIELD_START : KWJ_HEADER_FIELD;
		case KWJ_HEADER_FIELD:
			return c == options->delimiter ? KWJ_HEADER_FIELD_START : KWJ_HEADER_FIELD;
		case KWJ_HEADER_QUOTED:
			if (c == options->enclosed)
				return KWJ_HEADER_AFTER_QUOTE;
			return c == options->escaped ? KWJ_HEADER_ESCAPED : KWJ_HEADER_QUOTED;
		case KWJ_HEADER_ESCAPED:
			return KWJ_HEADER_QUOTED;
		case KWJ_HEADER_AFTER_QUOTE:
			if (c == options->delimiter)
				return KWJ_HEADER_FIELD_START;
			return c == options->enclosed && c == options->escaped ?
				KWJ_HEADER_QUOTED : KWJ_HEADER_BROKEN;
		case KWJ_HEADER_BROKEN:
			break;
	}
	return KWJ_HEADER_BROKEN;
}

static bool
is_within_quotes(const KwjSkipScan *skip)
{
	return skip->header == KWJ_HEADER_QUOTED || skip->header == KWJ_HEADER_ESCAPED;
}

/* A record ends here, if it is a record at all. */
static void
end_record(KwjSkipScan *skip)
{
	if (skip->in_rest)
	{
		skip->rest_ended = skip->header != KWJ_HEADER_BROKEN &&
			skip->fields == skip->options->fields;
		skip->rest_failed = !skip->rest_ended;
	}
	skip->header = KWJ_HEADER_FIELD_START;
	skip->fields = 1;
}

static void
end_line(KwjSkipScan *skip)
{
	skip->lines++;
	skip->quoted_ends += skip->options->format == KWJ_IMPORT_CSV && skip->csv.in_field;
	skip->in_line = false;
	if (is_within_quotes(skip))
		skip->header = KWJ_HEADER_QUOTED;
	else
		end_record(skip);
}

static void
step(KwjSkipScan *skip, char c)
{
	skip->in_line = true;
	skip->after_cr = (c == '\r');
	/* Some other byte of a character of several bytes means nothing. */
	if (!kwj_csv_scan_byte(&skip->csv, c) && c != '\n' && c != '\r')
		c = 'x';
	if (c == '\n' || c == '\r')
	{
		end_line(skip);
		return;
	}
	if (!is_within_quotes(skip) && c == skip->options->delimiter)
		skip->fields++;
	skip->header = next_state(skip, c);
	if (skip->in_rest && skip->header == KWJ_HEADER_BROKEN)
		skip->rest_failed = true;
}

static bool
has_all_lines(const KwjSkipScan *skip)
{
	if (skip->in_rest)
		return skip->rest_ended || skip->rest_failed;
	return skip->lines >= skip->options->skip;
}

bool
kwj_skip_is_done(const KwjSkipScan *skip)
{
	return has_all_lines(skip) && !skip->after_cr;
}

size_t
kwj_skip_scan(KwjSkipScan *skip, const char *p, size_t n)
{
	size_t		i;

	for (i = 0; i < n; i++)
	{
		/* The line has ended with \r already, and this \n belongs to it. */
		if (skip->after_cr)
		{
			skip->after_cr = false;
			if (p[i] == '\n')
				continue;
		}
		if (has_all_lines(skip))
			break;
		step(skip, p[i]);
	}
	return i;
}

void
kwj_skip_end_of_file(KwjSkipScan *skip)
{
	skip->after_cr = false;
	if (skip->in_line)
		end_line(skip);
	if (skip->in_rest && !skip->rest_ended)
		skip->rest_failed = true;
}

bool
kwj_skip_may_have_rest(const KwjSkipScan *skip)
{
	return skip->options->skip > 0 && kwj_skip_is_done(skip) && is_within_quotes(skip);
}

void
kwj_skip_begin_rest(KwjSkipScan *skip)
{
	skip->in_rest = true;
}

char *
kwj_skip_remark(const KwjSkipScan *skip, const char *path)
{
	if (skip->lines < skip->options->skip)
		return psprintf("nothing of file \"%s\" is imported: it has fewer lines (" INT64_FORMAT
						") than skip says (" INT64_FORMAT ")",
						path, skip->lines, skip->options->skip);
	if (skip->rest_ended)
		return psprintf("the header of file \"%s\" goes on within quotes: " INT64_FORMAT
						" lines are left out, although skip is " INT64_FORMAT,
						path, skip->lines, skip->options->skip);
	if (skip->quoted_ends > 0)
		return psprintf("the lines that skip leaves out of file \"%s\" are not records: "
						INT64_FORMAT " of " INT64_FORMAT " end within quotes",
						path, skip->quoted_ends, skip->lines);
	return NULL;
}
