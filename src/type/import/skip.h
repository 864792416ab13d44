/*
 * src/type/import/skip.h
 *	  The lines at the start of a file that are not imported.
 *
 * They are lines as an editor counts them, whatever quotes are in them: a title with a single
 * quote must not swallow the data that follows. But if the last one begins a header that goes on
 * within quotes, the rest of the header is left out, too.
 */
#ifndef KWJ_TYPE_IMPORT_SKIP_H
#define KWJ_TYPE_IMPORT_SKIP_H

#include "postgres.h"

#include "type/import/options.h"
#include "type/import/csv_scan.h"

/* The place of a byte in a record, as long as the quotes of the record are valid CSV. */
typedef enum KwjHeaderState
{
	KWJ_HEADER_FIELD_START,
	KWJ_HEADER_FIELD,			/* in a field without quotes */
	KWJ_HEADER_QUOTED,
	KWJ_HEADER_ESCAPED,			/* after an escape character, within quotes */
	KWJ_HEADER_AFTER_QUOTE,
	KWJ_HEADER_BROKEN,			/* the quotes are not valid CSV */
} KwjHeaderState;

typedef struct KwjSkipScan
{
	const KwjImportOptions *options;
	int64		lines;			/* lines that have ended */
	int64		quoted_ends;	/* how many of these ended within quotes */
	bool		after_cr;		/* the last byte was \r, and \n may follow */
	bool		in_line;		/* a line has begun and not ended */
	KwjCsvScan	csv;			/* follows the quotes as COPY does */

	KwjHeaderState header;
	int			fields;			/* fields of the record so far */

	/* Set after kwj_skip_begin_rest. */
	bool		in_rest;
	bool		rest_ended;		/* the header ends here */
	bool		rest_failed;	/* the lines are no header */
} KwjSkipScan;

extern void kwj_skip_init(KwjSkipScan *skip, const KwjImportOptions *options);

/* Scans at most n bytes. Returns how many of them belong to what is skipped. */
extern size_t kwj_skip_scan(KwjSkipScan *skip, const char *p, size_t n);

/* Tells the scan that the file ends here, and with it a line that has begun. */
extern void kwj_skip_end_of_file(KwjSkipScan *skip);

/* Returns whether the scan needs no more bytes. */
extern bool kwj_skip_is_done(const KwjSkipScan *skip);

/*
 * kwj_skip_may_have_rest returns whether the skipped lines end within quotes, so that a header may
 * go on after them. kwj_skip_begin_rest makes the scan, or a copy of it, look for the rest of the
 * header; rest_ended tells whether the scan has found it.
 */
extern bool kwj_skip_may_have_rest(const KwjSkipScan *skip);
extern void kwj_skip_begin_rest(KwjSkipScan *skip);

/* Returns a remark for the user about the skipped lines (palloc'd), or NULL. */
extern char *kwj_skip_remark(const KwjSkipScan *skip, const char *path);

#endif
