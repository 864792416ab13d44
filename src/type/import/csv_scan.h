/*
 * src/type/import/csv_scan.h
 *	  Where the records of a file end, in each of the formats of COPY.
 *
 * The rules are those of COPY. CSV: a line end that is not enclosed ends a record. The enclosing
 * character toggles between outside and inside of a field. Inside, the escape character protects
 * an enclosing character that follows it. Text: a line end ends a record unless a backslash is before
 * it, which is not itself behind one. Binary: see binary_scan.h.
 *
 * COPY looks at characters of the encoding of the database. In all of these, and in most others, no
 * byte of a longer character is an ASCII character. Where it may be one, as in GBK, the scan follows
 * the characters.
 */
#ifndef KWJ_TYPE_IMPORT_CSV_SCAN_H
#define KWJ_TYPE_IMPORT_CSV_SCAN_H

#include "postgres.h"

#include "type/import/binary_scan.h"
#include "type/import/options.h"

/* The numbers are stored in checkpoints. */
typedef enum KwjLineEnd
{
	KWJ_LINE_END_UNKNOWN = 0,	/* not known yet, or the file has no line end outside of fields */
	KWJ_LINE_END_LF = 1,
	KWJ_LINE_END_CRLF = 2,
	KWJ_LINE_END_CR = 3,
} KwjLineEnd;

typedef struct KwjCsvScan
{
	KwjImportFormat format;
	char		enclosed;
	char		escaped;
	KwjLineEnd	line_end;
	int			encoding;		/* of which a longer character may have ASCII bytes; -1: of none */

	/* the state between two bytes */
	char		lead;			/* the first byte of a character, if nothing else of it was scanned; else 0 */
	int			rest;			/* how many bytes of the character are left */
	bool		in_field;		/* in an enclosed field; text: the last byte was behind a backslash */
	bool		after_escape;	/* within a field, after an escape character; text: after a backslash */
	bool		at_record_start;
	KwjBinaryScan binary;		/* used instead if the format is binary */
} KwjCsvScan;

/* Begins a scan. line_end may be set later; as long as it is unknown, no record ends. */
extern void kwj_csv_scan_init(KwjCsvScan *scan, const KwjImportOptions *options, KwjLineEnd line_end);

/* Scans n bytes. */
extern void kwj_csv_scan_over(KwjCsvScan *scan, const char *p, size_t n);

/*
 * Returns how many lines end in n bytes, as COPY counts lines: in CSV, also those that end within a
 * field; in text, only those that end a record; in binary, the records. The scan has not scanned these
 * bytes yet.
 */
extern int64 kwj_csv_count_lines(const KwjCsvScan *scan, const char *p, size_t n);

/*
 * Scans to the end of the record, but at most n bytes. Returns how many bytes it has scanned;
 * at_record_start tells whether the record has ended there.
 */
extern size_t kwj_csv_scan_record(KwjCsvScan *scan, const char *p, size_t n);

/*
 * Raises the error that text follows a line of just \. , at which COPY ends: 22P04. line: the number of that
 * line; 0: the caller does not know it.
 */
pg_noreturn extern void kwj_csv_refuse_after_marker(KwjImportFormat format, const char *path, int64 line);

/* Scans one byte, not of the binary format. Returns whether it is a character, or begins one. */
extern bool kwj_csv_scan_byte(KwjCsvScan *scan, char c);

#endif
