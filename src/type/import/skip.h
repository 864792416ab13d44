/*
 * src/type/import/skip.h
 *	  The lines at the start of a file that are not imported.
 *
 * They are lines as an editor counts them, whatever quotes stand in them: a title with a
 * single quote must not swallow the data that follows. Only if the last one is the
 * beginning of a header that goes on within quotes, the rest of the header belongs to it.
 */
#ifndef KWJ_TYPE_IMPORT_SKIP_H
#define KWJ_TYPE_IMPORT_SKIP_H

#include "postgres.h"

#include "type/import/options.h"
#include "type/import/csv_scan.h"

/* Where a byte stands in a record whose quotes are as CSV wants them. */
typedef enum KwjHeaderState
{
	KWJ_HEADER_FIELD_START,
	KWJ_HEADER_FIELD,			/* in a field without quotes */
	KWJ_HEADER_QUOTED,
	KWJ_HEADER_ESCAPED,			/* after an escape character, within quotes */
	KWJ_HEADER_AFTER_QUOTE,
	KWJ_HEADER_BROKEN,			/* in a line that is no such record */
} KwjHeaderState;

typedef struct KwjSkipScan
{
	const KwjImportOptions *options;
	int64		lines;			/* lines that have ended */
	int64		quoted_ends;	/* of these, how many ended within quotes */
	bool		after_cr;		/* the last byte was \r, and \n may follow */
	bool		in_line;		/* there are bytes of a line that has not ended */
	KwjCsvScan	csv;			/* follows the quotes as COPY does */

	KwjHeaderState header;
	int			fields;			/* of the record so far */

	/* kwj_skip_begin_rest */
	bool		in_rest;
	bool		rest_ended;		/* with the header */
	bool		rest_failed;	/* it is none */
} KwjSkipScan;

extern void kwj_skip_init(KwjSkipScan *skip, const KwjImportOptions *options);

/* Go over at most n bytes; returns how many belong to what is skipped. */
extern size_t kwj_skip_scan(KwjSkipScan *skip, const char *p, size_t n);

/* The file ends here, and with it a line that has begun. */
extern void kwj_skip_end_of_file(KwjSkipScan *skip);

/* Returns whether the scan needs no more bytes. */
extern bool kwj_skip_is_done(const KwjSkipScan *skip);

/*
 * Returns whether the lines end where a header may go on. Then the scan (a copy of it) may begin
 * to look for the rest; rest_ended tells whether there is one.
 */
extern bool kwj_skip_may_have_rest(const KwjSkipScan *skip);
extern void kwj_skip_begin_rest(KwjSkipScan *skip);

/* What users should know about the lines that were skipped (palloc'd), or NULL. */
extern char *kwj_skip_remark(const KwjSkipScan *skip, const char *path);

#endif
