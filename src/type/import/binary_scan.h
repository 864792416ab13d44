/*
 * src/type/import/binary_scan.h
 *	  Where the records of a file in COPY's binary format end.
 *
 *      header | count, length, data, length, data ... | count ... | -1
 *               a record                                            the trailer
 *
 * All numbers are in network byte order. A length of -1 is NULL, without data. The trailer ends no
 * record: what follows it, if anything does, belongs to it, and is an error of COPY.
 */
#ifndef KWJ_TYPE_IMPORT_BINARY_SCAN_H
#define KWJ_TYPE_IMPORT_BINARY_SCAN_H

#include "postgres.h"

#include "compat.h"

/* A header without an extension, as COPY writes it. */
#define KWJ_BINARY_HEADER	"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"
#define KWJ_BINARY_HEADER_SIZE	19
#define KWJ_BINARY_TRAILER_SIZE	2

/* What comes next. */
typedef enum KwjBinaryPhase
{
	KWJ_BINARY_COUNT,			/* how many fields a record has */
	KWJ_BINARY_LENGTH,			/* of a field */
	KWJ_BINARY_DATA,			/* of a field */
	KWJ_BINARY_TRAILER,			/* nothing, because the trailer was scanned */
	KWJ_BINARY_BROKEN,			/* unknown, because of a number that cannot be; COPY will refuse it */
} KwjBinaryPhase;

typedef struct KwjBinaryScan
{
	KwjBinaryPhase phase;
	uint32		left;			/* so many bytes of that are left */
	uint32		number;			/* what was read of a count or length so far */
	int			fields;			/* how many fields of the record are left */
} KwjBinaryScan;

/* Begins a scan at the start of a record. */
extern void kwj_binary_scan_init(KwjBinaryScan *scan);

/*
 * Scans to the end of a record, but at most n bytes. Returns how many bytes it has scanned.
 */
extern size_t kwj_binary_scan_record(KwjBinaryScan *scan, const char *p, size_t n);

/* Returns whether the scan is at the start of a record. */
extern bool kwj_binary_at_record_start(const KwjBinaryScan *scan);

/*
 * Reads the header of a file, of which these are the first n bytes; path is for messages. Returns its size.
 * Errors: 22P04 if it is none that COPY would accept.
 */
extern int64 kwj_binary_header_size(const char *path, const char *head, int n);

/* Returns whether these are the bytes of the trailer, KWJ_BINARY_TRAILER_SIZE. */
extern bool kwj_binary_is_trailer(const char *bytes);

/* Raises the error for a file that ends without it: XX001. */
pg_noreturn extern void kwj_binary_refuse_end(const char *path);

#endif
