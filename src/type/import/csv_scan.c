/*
 * src/type/import/csv_scan.c
 *	  Where the records of a CSV file end.
 *
 * This is a pure state machine. For most of the input, up to the place from which a batch may end,
 * it only follows the quotes. That has to be much faster than COPY, which reads the same bytes.
 *
 *      outside <--enclosed--> in_field --escaped--> after_escape
 *         |                      ^                      |
 *         |                      +-----any byte---------+
 *         +-- line end: at_record_start
 *
 * If the escape character is the enclosing one, which is the default, two of them in a field leave
 * the field and enter it again. So there is no after_escape, and only the parity counts.
 *
 * Process: any. Locks: none.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "type/import/csv_scan.h"

void
kwj_csv_scan_init(KwjCsvScan *scan, char enclosed, char escaped,
				  KwjLineEnd line_end)
{
	scan->enclosed = enclosed;
	scan->escaped = escaped;
	scan->line_end = line_end;
	scan->in_field = false;
	scan->after_escape = false;
	scan->at_record_start = true;
}

/*
 * Returns the byte that ends a record (the second one of CR LF); -1 if the line end is unknown.
 */
static inline int
record_end_byte(const KwjCsvScan *scan)
{
	switch (scan->line_end)
	{
		case KWJ_LINE_END_LF:
		case KWJ_LINE_END_CRLF:
			return '\n';
		case KWJ_LINE_END_CR:
			return '\r';
		case KWJ_LINE_END_UNKNOWN:
			break;
	}
	return -1;
}

/*
 * Returns whether the number of bytes of this value is odd. Eight bytes at a time: a
 * byte of x is 0 where the value was found; the next lines turn just these into
 * 0x80. Only the parity counts, so the results of all words are XORed.
 */
static bool
is_odd_count(const char *p, size_t n, char value)
{
	const uint64 low7 = UINT64CONST(0x7f7f7f7f7f7f7f7f);
	const uint64 pattern = UINT64CONST(0x0101010101010101) * (unsigned char) value;
	uint64		found = 0;
	bool		odd = false;

	for (; n >= sizeof(uint64); p += sizeof(uint64), n -= sizeof(uint64))
	{
		uint64		x;

		memcpy(&x, p, sizeof(x));
		x ^= pattern;
		found ^= ~(((x & low7) + low7) | x | low7);
	}
	for (; n > 0; p++, n--)
		odd ^= (*p == value);
	return odd ^ (pg_popcount64(found) & 1);
}

static inline void
step(KwjCsvScan *scan, char c)
{
	if (scan->in_field && c == scan->escaped && scan->escaped != scan->enclosed)
		scan->after_escape = !scan->after_escape;
	if (c == scan->enclosed && !scan->after_escape)
		scan->in_field = !scan->in_field;
	if (c != scan->escaped)
		scan->after_escape = false;
}

void
kwj_csv_scan_byte(KwjCsvScan *scan, char c)
{
	step(scan, c);
	scan->at_record_start = !scan->in_field &&
		(unsigned char) c == record_end_byte(scan);
}

/* Scans n bytes, for an escape character that is not the enclosing one. */
static void
scan_over_escapes(KwjCsvScan *scan, const char *p, size_t n)
{
	const char *end = p + n;

	while (p < end)
	{
		/* An escape character means nothing outside of a field. */
		if (!scan->in_field)
		{
			p = memchr(p, scan->enclosed, end - p);
			if (p == NULL)
				return;
			p++;
			scan->in_field = true;
		}
		while (p < end && scan->in_field)
			step(scan, *p++);
	}
}

void
kwj_csv_scan_over(KwjCsvScan *scan, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (scan->escaped == scan->enclosed)
		scan->in_field ^= is_odd_count(p, n, scan->enclosed);
	else
		scan_over_escapes(scan, p, n);
	scan->at_record_start = !scan->in_field &&
		(unsigned char) p[n - 1] == record_end_byte(scan);
}

size_t
kwj_csv_scan_record(KwjCsvScan *scan, const char *p, size_t n)
{
	int			end_byte = record_end_byte(scan);

	for (size_t i = 0; i < n; i++)
	{
		step(scan, p[i]);
		if (!scan->in_field && (unsigned char) p[i] == end_byte)
		{
			scan->at_record_start = true;
			return i + 1;
		}
	}
	if (n > 0)
		scan->at_record_start = false;
	return n;
}
