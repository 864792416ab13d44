/*
 * src/type/import/lines.c
 *	  Finds the first line of a record, for an error in which COPY names another line of it.
 *
 * In an error, COPY names the last line of the record, or the line that it has come to. Users look for the
 * first one. If a record has one line only, both are the same. So the reader notes only records of several
 * lines. COPY may have got records that it has not stored yet, and an error may be about any of these. So the
 * reader keeps the last ones, as many as COPY can have got and not stored:
 *
 *     64 kB in each of its two buffers, of records of 4 bytes ("\n" and a line end) at least,
 *     and 1000 records that wait to be stored (copyfrom.c)
 *
 * Callers: reader.c. Process: worker. Locks: none.
 */
#include "postgres.h"

#include "type/import/lines.h"
#include "utils/memutils.h"

#define KEPT	65536

void
kwj_record_lines_begin(KwjRecordLines *lines, const KwjCsvScan *scan, int64 line_before)
{
	lines->scan = *scan;
	lines->line = lines->first = line_before + 1;
	lines->context = CurrentMemoryContext;
	lines->items = NULL;
	lines->n = 0;
}

static void
add_record(KwjRecordLines *lines)
{
	if (lines->items == NULL)
		lines->items = MemoryContextAlloc(lines->context, KEPT * sizeof(KwjRecordOfLines));
	lines->items[lines->n++ % KEPT] = (KwjRecordOfLines) {lines->first, lines->line};
}

static void
add_byte(KwjRecordLines *lines, char c, char line_end)
{
	kwj_csv_scan_byte(&lines->scan, c);
	if (lines->scan.at_record_start)
	{
		if (lines->line > lines->first)
			add_record(lines);
		lines->first = ++lines->line;
	}
	else if (lines->scan.in_field && c == line_end)
		lines->line++;
}

/* Adds n bytes without quotes, outside of quotes: each line end in them ends a record. */
static void
add_plain(KwjRecordLines *lines, const char *p, size_t n)
{
	KwjCsvScan	ends = lines->scan;

	/* With CR LF, the first byte of a line end may be in the bytes before these. */
	if (ends.line_end == KWJ_LINE_END_CRLF)
		ends.line_end = KWJ_LINE_END_LF;
	if (ends.line_end != KWJ_LINE_END_UNKNOWN)
		lines->line += kwj_csv_count_lines(&ends, p, n);
	lines->first = lines->line;
	kwj_csv_scan_over(&lines->scan, p, n);
}

void
kwj_record_lines_add(KwjRecordLines *lines, const char *p, size_t n)
{
	char		line_end = lines->scan.line_end == KWJ_LINE_END_LF ? '\n' : '\r';

	if (!lines->scan.in_field && lines->line == lines->first && memchr(p, lines->scan.enclosed, n) == NULL)
	{
		add_plain(lines, p, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		add_byte(lines, p[i], line_end);
}

int64
kwj_record_lines_first(const KwjRecordLines *lines, int64 line)
{
	uint64		kept = Min(lines->n, KEPT);

	/* The line is in the record that has not ended yet. */
	if (line >= lines->first)
		return lines->first;
	for (uint64 i = lines->n; i > lines->n - kept; i--)
	{
		const KwjRecordOfLines *record = &lines->items[(i - 1) % KEPT];

		if (line >= record->first && line <= record->last)
			return record->first;
	}
	return line;
}
