/*
 * src/type/import/csv_scan.h
 *	  Where the records of a CSV file end.
 *
 * The rules are those of COPY: a line end that is not enclosed ends a record; the
 * enclosing character toggles; inside an enclosed field the escape character
 * protects an enclosing character that follows it.
 */
#ifndef KWJ_TYPE_IMPORT_CSV_SCAN_H
#define KWJ_TYPE_IMPORT_CSV_SCAN_H

#include "postgres.h"

/* The numbers are kept in checkpoints. */
typedef enum KwjLineEnd
{
	KWJ_LINE_END_UNKNOWN = 0,	/* the file has no line end outside of fields */
	KWJ_LINE_END_LF = 1,
	KWJ_LINE_END_CRLF = 2,
	KWJ_LINE_END_CR = 3,
} KwjLineEnd;

typedef struct KwjCsvScan
{
	char		enclosed;
	char		escaped;
	KwjLineEnd	line_end;

	/* the state between two bytes */
	bool		in_field;		/* in an enclosed field */
	bool		after_escape;	/* after an escape character, in_field */
	bool		at_record_start;
} KwjCsvScan;

/* line_end may be set later; as long as it is unknown, no record ends. */
extern void kwj_csv_scan_init(KwjCsvScan *scan, char enclosed, char escaped,
							  KwjLineEnd line_end);

/* Go over n bytes. */
extern void kwj_csv_scan_over(KwjCsvScan *scan, const char *p, size_t n);

/*
 * Go to the end of the record, at most over n bytes. Returns how many it went
 * over; at_record_start tells whether the record ended there.
 */
extern size_t kwj_csv_scan_record(KwjCsvScan *scan, const char *p, size_t n);

/* Go over one byte. */
extern void kwj_csv_scan_byte(KwjCsvScan *scan, char c);

#endif
