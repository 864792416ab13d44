/*
 * src/type/import/binary_scan.c
 *	  Where the records of a file in COPY's binary format end.
 *
 * Callers: csv_scan.c, reader.c and records.c. Process: any. Locks: none.
 */
#include "postgres.h"

#include "port/pg_bswap.h"

#include "type/import/binary_scan.h"

#define COUNT_SIZE	2
#define LENGTH_SIZE	4
/* The signature, before two numbers of 4 bytes: flags, and the length of what follows in the header. */
#define SIGNATURE_SIZE	11
/* Flags whose meaning a reader has to know. COPY knows none of them. */
#define CRITICAL_FLAGS	0xffff0000

static void
expect(KwjBinaryScan *scan, KwjBinaryPhase phase, uint32 bytes)
{
	scan->phase = phase;
	scan->left = bytes;
	scan->number = 0;
}

void
kwj_binary_scan_init(KwjBinaryScan *scan)
{
	memset(scan, 0, sizeof(*scan));
	expect(scan, KWJ_BINARY_COUNT, COUNT_SIZE);
}

bool
kwj_binary_at_record_start(const KwjBinaryScan *scan)
{
	return scan->phase == KWJ_BINARY_COUNT && scan->left == COUNT_SIZE;
}

/* After a field: goes on with the length of the next one or, after the last one, with the next record. */
static void
end_field(KwjBinaryScan *scan)
{
	scan->fields--;
	if (scan->fields > 0)
		expect(scan, KWJ_BINARY_LENGTH, LENGTH_SIZE);
	else
		expect(scan, KWJ_BINARY_COUNT, COUNT_SIZE);
}

/* After a number, a count or a length: decides by its value what comes next. */
static void
end_number(KwjBinaryScan *scan)
{
	if (scan->phase == KWJ_BINARY_COUNT)
	{
		int16		count = (int16) scan->number;

		scan->fields = count;
		if (count > 0)
			expect(scan, KWJ_BINARY_LENGTH, LENGTH_SIZE);
		else if (count == 0)
			expect(scan, KWJ_BINARY_COUNT, COUNT_SIZE);
		else
			expect(scan, count == -1 ? KWJ_BINARY_TRAILER : KWJ_BINARY_BROKEN, 0);
	}
	else
	{
		int32		length = (int32) scan->number;

		if (length > 0)
			expect(scan, KWJ_BINARY_DATA, length);
		else if (length >= -1)
			end_field(scan);
		else
			expect(scan, KWJ_BINARY_BROKEN, 0);
	}
}

size_t
kwj_binary_scan_record(KwjBinaryScan *scan, const char *p, size_t n)
{
	size_t		i = 0;

	while (i < n)
	{
		size_t		step;

		switch (scan->phase)
		{
			case KWJ_BINARY_COUNT:
			case KWJ_BINARY_LENGTH:
				scan->number = scan->number << 8 | (unsigned char) p[i++];
				if (--scan->left > 0)
					continue;
				end_number(scan);
				break;
			case KWJ_BINARY_DATA:
				step = Min(n - i, scan->left);
				i += step;
				scan->left -= step;
				if (scan->left > 0)
					continue;
				end_field(scan);
				break;
			case KWJ_BINARY_TRAILER:
			case KWJ_BINARY_BROKEN:
				return n;
		}
		if (kwj_binary_at_record_start(scan))
			break;
	}
	return i;
}

/* ---- the header and the trailer ---- */

static void
refuse_header(const char *path, const char *detail)
{
	ereport(ERROR,
			errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			errmsg("file \"%s\" is not in COPY's binary format", path),
			errdetail_internal("%s", detail),
			errhint("Write it with COPY ... TO (FORMAT binary), or leave out format = 'binary'."));
}

static uint32
number_at(const char *p)
{
	uint32		number;

	memcpy(&number, p, sizeof(number));
	return pg_ntoh32(number);
}

int64
kwj_binary_header_size(const char *path, const char *head, int n)
{
	int32		extension;

	if (n < KWJ_BINARY_HEADER_SIZE || memcmp(head, KWJ_BINARY_HEADER, SIGNATURE_SIZE) != 0)
		refuse_header(path, "Its header is not there.");
	if ((number_at(head + SIGNATURE_SIZE) & CRITICAL_FLAGS) != 0)
		refuse_header(path, "Its header has flags that this version of PostgreSQL does not know.");
	extension = (int32) number_at(head + SIGNATURE_SIZE + 4);
	if (extension < 0)
		refuse_header(path, "Its header has a length below 0.");
	return KWJ_BINARY_HEADER_SIZE + (int64) extension;
}

bool
kwj_binary_is_trailer(const char *bytes)
{
	return bytes[0] == '\377' && bytes[1] == '\377';
}

void
kwj_binary_refuse_end(const char *path)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("file \"%s\" ends without the trailer of COPY's binary format", path),
			errhint("It is not complete: copy or write it again."));
}
