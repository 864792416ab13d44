/*
 * src/type/import/trailing.h
 *	  A delimiter that follows the last field of a record: the option trailing_delimiter.
 */
#ifndef KWJ_TYPE_IMPORT_TRAILING_H
#define KWJ_TYPE_IMPORT_TRAILING_H

#include "postgres.h"

#include "type/import/csv_scan.h"
#include "type/import/options.h"

typedef struct KwjTrailing
{
	KwjCsvScan	scan;			/* follows the quotes as COPY does */
	char		delimiter;
	int			fields;			/* of a record */
	int			seen;			/* delimiters in the record so far */
	bool		held;			/* the last byte was the delimiter after the last field */
} KwjTrailing;

/* Begins at the start of a record. */
extern void kwj_trailing_init(KwjTrailing *trailing, const KwjImportOptions *options);

/* Returns how many bytes the filter may put before the next ones: 1 if it holds a delimiter, or 0. */
extern int	kwj_trailing_held(const KwjTrailing *trailing);

/*
 * Leaves trailing delimiters out of n bytes, which stand in the buffer behind kwj_trailing_held bytes.
 * Returns how many bytes are in the buffer then, from its start.
 */
extern int	kwj_trailing_filter(KwjTrailing *trailing, char *buffer, int n);

#endif
