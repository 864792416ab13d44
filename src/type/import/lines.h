/*
 * src/type/import/lines.h
 *	  Finds the first line of a record, for an error in which COPY names another line of it.
 */
#ifndef KWJ_TYPE_IMPORT_LINES_H
#define KWJ_TYPE_IMPORT_LINES_H

#include "postgres.h"

#include "type/import/csv_scan.h"

/* A record of several lines. */
typedef struct KwjRecordOfLines
{
	int64		first;
	int64		last;
} KwjRecordOfLines;

typedef struct KwjRecordLines
{
	KwjCsvScan	scan;
	int64		line;			/* the line of the next byte */
	int64		first;			/* the line in which its record begins */
	MemoryContext context;
	KwjRecordOfLines *items;	/* the last records of several lines: a ring; NULL: not needed yet */
	uint64		n;				/* how many were added */
} KwjRecordLines;

/*
 * Begins behind this line, at the start of a record. What it needs is palloc'd in
 * CurrentMemoryContext of this call.
 */
extern void kwj_record_lines_begin(KwjRecordLines *lines, const KwjCsvScan *scan, int64 line_before);

/* Adds n bytes that COPY gets. */
extern void kwj_record_lines_add(KwjRecordLines *lines, const char *p, size_t n);

/* Returns the first line of the record that this line belongs to. */
extern int64 kwj_record_lines_first(const KwjRecordLines *lines, int64 line);

#endif
