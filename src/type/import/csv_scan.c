/*
 * src/type/import/csv_scan.c
 *	  Where the records of a file end, in each of the formats of COPY.
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
 * In the text format, only the backslashes right before a byte say whether it is protected. So to know
 * the state at the end of many bytes, it is enough to look at the last ones.
 *
 * Process: any. Locks: none.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "port/pg_bitutils.h"

#include "type/import/csv_scan.h"

/*
 * Returns whether the scan has to follow the characters of this encoding: in those that no database can
 * have, a byte of a longer character may be that of an ASCII character.
 */
static bool
needs_characters(int encoding)
{
	return PG_ENCODING_IS_CLIENT_ONLY(encoding) && GetDatabaseEncoding() != PG_SQL_ASCII;
}

void
kwj_csv_scan_init(KwjCsvScan *scan, const KwjImportOptions *options, KwjLineEnd line_end)
{
	memset(scan, 0, sizeof(*scan));
	scan->format = options->format;
	kwj_binary_scan_init(&scan->binary);
	scan->enclosed = options->enclosed;
	scan->escaped = options->escaped;
	scan->line_end = line_end;
	scan->encoding = needs_characters(options->charset) ? options->charset : -1;
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

/* Returns a word of which each byte is this value. */
static inline uint64
repeat(char value)
{
	return UINT64CONST(0x0101010101010101) * (unsigned char) value;
}

/*
 * Reads the next eight bytes. Returns a word with 0x80 for each of them that is the byte of the
 * pattern, and 0 for the others. A byte of x is 0 where the value was found; the last line turns
 * just these into 0x80.
 */
static inline uint64
find_in_word(const char *p, uint64 pattern)
{
	const uint64 low7 = UINT64CONST(0x7f7f7f7f7f7f7f7f);
	uint64		x;

	memcpy(&x, p, sizeof(x));
	x ^= pattern;
	return ~(((x & low7) + low7) | x | low7);
}

/*
 * Returns whether the number of bytes of this value is odd. Only the parity counts, so the results
 * of all words are XORed.
 */
static bool
is_odd_count(const char *p, size_t n, char value)
{
	const uint64 pattern = repeat(value);
	uint64		found = 0;
	bool		odd = false;

	for (; n >= sizeof(uint64); p += sizeof(uint64), n -= sizeof(uint64))
		found ^= find_in_word(p, pattern);
	for (; n > 0; p++, n--)
		odd ^= (*p == value);
	return odd ^ (pg_popcount64(found) & 1);
}

/* Returns the number of bytes of this value. */
static int64
count(const char *p, size_t n, char value)
{
	const uint64 pattern = repeat(value);
	const uint64 low_bytes = UINT64CONST(0x00ff00ff00ff00ff);
	int64		result = 0;

	while (n >= sizeof(uint64))
	{
		/* Each byte of the sum counts one of the eight places, up to 255. */
		size_t		words = Min(n / sizeof(uint64), 255);
		uint64		sum = 0;

		for (size_t i = 0; i < words; i++, p += sizeof(uint64))
			sum += find_in_word(p, pattern) >> 7;
		n -= words * sizeof(uint64);
		/* Add neighbours, then all four pairs: the multiplication adds them up at the top. */
		sum = (sum & low_bytes) + ((sum >> 8) & low_bytes);
		result += (sum * UINT64CONST(0x0001000100010001)) >> 48;
	}
	for (; n > 0; p++, n--)
		result += (*p == value);
	return result;
}

/*
 * Returns the first byte that is one of these two values; `end` if there is none.
 */
static const char *
find_either(const char *p, const char *end, char a, char b)
{
	const uint64 pattern_a = repeat(a);
	const uint64 pattern_b = repeat(b);

	while (end - p >= (ptrdiff_t) sizeof(uint64) &&
		   (find_in_word(p, pattern_a) | find_in_word(p, pattern_b)) == 0)
		p += sizeof(uint64);
	while (p < end && *p != a && *p != b)
		p++;
	return p;
}

static inline void
step(KwjCsvScan *scan, char c)
{
	if (scan->format == KWJ_IMPORT_TEXT)
	{
		scan->in_field = scan->after_escape;
		scan->after_escape = c == '\\' && !scan->in_field;
		return;
	}
	if (scan->in_field && c == scan->escaped && scan->escaped != scan->enclosed)
		scan->after_escape = !scan->after_escape;
	if (c == scan->enclosed && !scan->after_escape)
		scan->in_field = !scan->in_field;
	if (c != scan->escaped)
		scan->after_escape = false;
}

/*
 * Returns whether the byte is a character, or begins one. How long a character is, its first two
 * bytes tell, and a second byte of '@' makes it as short as it can be.
 */
static bool
begins_character(KwjCsvScan *scan, char c)
{
	unsigned char bytes[2] = {(unsigned char) c, '@'};

	if (scan->rest > 0)
	{
		scan->rest--;
		return false;
	}
	if (scan->lead != 0)
	{
		bytes[0] = (unsigned char) scan->lead;
		bytes[1] = (unsigned char) c;
		scan->rest = pg_encoding_mblen(scan->encoding, (const char *) bytes) - 2;
		scan->lead = 0;
		return false;
	}
	if (IS_HIGHBIT_SET(c) && pg_encoding_mblen(scan->encoding, (const char *) bytes) > 1)
		scan->lead = c;
	return true;
}

/* Scans a byte. Returns whether a record ends there if the byte is that of a line end. */
static inline bool
step_character(KwjCsvScan *scan, char c)
{
	if (scan->encoding >= 0 && !begins_character(scan, c))
	{
		scan->after_escape = false;
		if (scan->format == KWJ_IMPORT_TEXT)
			scan->in_field = false;
		return false;
	}
	step(scan, c);
	return !scan->in_field;
}

bool
kwj_csv_scan_byte(KwjCsvScan *scan, char c)
{
	bool		inside = scan->lead != 0 || scan->rest > 0;

	scan->at_record_start = step_character(scan, c) &&
		(unsigned char) c == record_end_byte(scan);
	return !inside;
}

/* Scans n bytes of an encoding whose characters have to be followed. */
static void
scan_over_characters(KwjCsvScan *scan, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void) kwj_csv_scan_byte(scan, p[i]);
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
		{
			/* After an escape character each byte counts, otherwise only these two. */
			if (!scan->after_escape)
				p = find_either(p, end, scan->enclosed, scan->escaped);
			if (p < end)
				step(scan, *p++);
		}
	}
}

/*
 * Returns whether an odd number of backslashes stands right before byte i of the text; those before p
 * count, too.
 */
static bool
is_after_backslash(const KwjCsvScan *scan, const char *p, size_t i)
{
	size_t		first = i;

	while (first > 0 && p[first - 1] == '\\')
		first--;
	return ((i - first) & 1) != (first == 0 && scan->after_escape);
}

/* Scans n bytes of the text format. */
static void
scan_over_text(KwjCsvScan *scan, const char *p, size_t n)
{
	scan->in_field = is_after_backslash(scan, p, n - 1);
	scan->after_escape = p[n - 1] == '\\' && !scan->in_field;
	scan->at_record_start = !scan->in_field &&
		(unsigned char) p[n - 1] == record_end_byte(scan);
}

/* Scans n bytes of the binary format. Returns how many records end in them. */
static int64
scan_over_binary(KwjBinaryScan *binary, const char *p, size_t n)
{
	int64		records = 0;
	size_t		done = 0;

	while (done < n)
	{
		done += kwj_binary_scan_record(binary, p + done, n - done);
		records += kwj_binary_at_record_start(binary);
	}
	return records;
}

void
kwj_csv_scan_over(KwjCsvScan *scan, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (scan->format == KWJ_IMPORT_BINARY)
	{
		(void) scan_over_binary(&scan->binary, p, n);
		scan->at_record_start = kwj_binary_at_record_start(&scan->binary);
		return;
	}
	if (scan->encoding >= 0)
	{
		scan_over_characters(scan, p, n);
		return;
	}
	if (scan->format == KWJ_IMPORT_TEXT)
	{
		scan_over_text(scan, p, n);
		return;
	}
	if (scan->escaped == scan->enclosed)
		scan->in_field ^= is_odd_count(p, n, scan->enclosed);
	else
		scan_over_escapes(scan, p, n);
	scan->at_record_start = !scan->in_field &&
		(unsigned char) p[n - 1] == record_end_byte(scan);
}

/* Returns how many line ends of the text format are protected by a backslash. */
static int64
count_protected(const KwjCsvScan *scan, const char *p, size_t n)
{
	const char *end = p + n;
	int			end_byte = record_end_byte(scan);
	int64		result = 0;

	if (n > 0 && scan->after_escape)
		result += ((unsigned char) *p++ == end_byte);
	/* Behind each backslash, the next byte is protected. */
	while (p < end && (p = memchr(p, '\\', end - p)) != NULL && ++p < end)
		result += ((unsigned char) *p++ == end_byte);
	return result;
}

/* Counts the records that end, by going through all bytes. */
static int64
count_record_ends(const KwjCsvScan *scan, const char *p, size_t n)
{
	KwjCsvScan	copy = *scan;
	int64		result = 0;

	for (size_t i = 0; i < n; i++)
	{
		(void) kwj_csv_scan_byte(&copy, p[i]);
		result += copy.at_record_start;
	}
	return result;
}

/*
 * CSV: each line feed (or carriage return, if lines end so) either ends a record or stands within a
 * field, and COPY counts both. If it does neither, it is an error, and no later line matters.
 */
int64
kwj_csv_count_lines(const KwjCsvScan *scan, const char *p, size_t n)
{
	KwjBinaryScan binary = scan->binary;

	switch (scan->format)
	{
		case KWJ_IMPORT_CSV:
			break;
		case KWJ_IMPORT_TEXT:
			if (scan->encoding >= 0)
				return count_record_ends(scan, p, n);
			return count(p, n, record_end_byte(scan)) - count_protected(scan, p, n);
		case KWJ_IMPORT_BINARY:
			return scan_over_binary(&binary, p, n);
	}
	return count(p, n, scan->line_end == KWJ_LINE_END_LF ? '\n' : '\r');
}

size_t
kwj_csv_scan_record(KwjCsvScan *scan, const char *p, size_t n)
{
	int			end_byte = record_end_byte(scan);

	if (scan->format == KWJ_IMPORT_BINARY)
	{
		size_t		scanned = kwj_binary_scan_record(&scan->binary, p, n);

		scan->at_record_start = kwj_binary_at_record_start(&scan->binary);
		return scanned;
	}
	for (size_t i = 0; i < n; i++)
	{
		if (step_character(scan, p[i]) && (unsigned char) p[i] == end_byte)
		{
			scan->at_record_start = true;
			return i + 1;
		}
	}
	if (n > 0)
		scan->at_record_start = false;
	return n;
}

void
kwj_csv_refuse_after_marker(KwjImportFormat format, const char *path, int64 line)
{
	ereport(ERROR,
			errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			errmsg("text follows the end-of-data marker \"\\.\" in file \"%s\"", path),
			line > 0 ? errdetail("The marker is alone in line " INT64_FORMAT ".", line) : 0,
			format == KWJ_IMPORT_TEXT ?
			errhint("Remove the line, or write a backslash as two of them.") :
			errhint("Remove the line, or enclose the value."));
}
