/*
 * src/type/import/header.h
 *	  The first record of each file, which names the columns: the option header.
 */
#ifndef KWJ_TYPE_IMPORT_HEADER_H
#define KWJ_TYPE_IMPORT_HEADER_H

#include "postgres.h"
#include "lib/stringinfo.h"

#include "type/import/options.h"
#include "type/import/csv_scan.h"

typedef struct KwjHeaderScan
{
	const KwjImportOptions *options;
	const char *path;			/* for messages */
	KwjCsvScan	csv;			/* follows the quotes as COPY does */
	StringInfoData text;		/* the record, without the end of its last line */
	int64		lines;			/* lines that have ended */
	bool		after_cr;		/* the last byte was \r, and \n may follow */
	bool		ended;
} KwjHeaderScan;

extern void kwj_header_init(KwjHeaderScan *header, const KwjImportOptions *options, const char *path);

/*
 * Scans at most n bytes. Returns how many of them belong to the header; fewer than n if it has
 * ended. Errors: 54000 if it is too long.
 */
extern size_t kwj_header_scan(KwjHeaderScan *header, const char *p, size_t n);

/* Tells the scan that the file ends here. Errors: 22P04 if a quote is open. */
extern void kwj_header_end_of_file(KwjHeaderScan *header);

/*
 * Returns, for each field of the header, the index in options->names of the column that it names,
 * as a list of integers. Errors: 22P04 if a name is unknown, doubled or missing; 22021.
 */
extern List *kwj_header_order(const KwjHeaderScan *header);

#endif
