/*
 * src/function/test_csv.c
 *	  SQL-callable, for tests: where the records of a CSV file end, for IMPORT and for COPY. Only a
 *	  test build has this file (make KWJ_TEST_BUILD=1), and no script creates the functions:
 *	  t/150_import_borders.pl and bench/import do.
 *
 * COPY gets the file byte by byte, and returns a record as soon as it has read the end of it. So
 * after each record it is known how many bytes COPY has consumed, and which line it is at. For each
 * start of a record, and each number of bytes, the reader has to find the end that comes next.
 *
 * Process: sessions. Locks: AccessShareLock on the table.
 */
#include "postgres.h"

#include <sys/resource.h>

#include "access/table.h"
#include "access/xact.h"
#include "commands/copyfrom_internal.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_relation.h"
#include "type/import/options.h"
#include "type/import/reader.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(kwjobs_test_borders);
PG_FUNCTION_INFO_V1(kwjobs_test_scan);

/* The end of a record. */
typedef struct Border
{
	int64		offset;
	int64		line;			/* how many lines end before it */
} Border;

typedef struct Borders
{
	int			n;
	int			size;
	Border	   *items;
	bool		failed;			/* COPY has refused what comes after the last one */
} Borders;

/* What COPY reads. */
static const char *input;
static int64 input_size;
static int64 input_given;

static int
give_byte(void *buffer, int min, int max)
{
	if (input_given >= input_size)
		return 0;
	*(char *) buffer = input[input_given++];
	return 1;
}

static void
add_border(Borders *borders, int64 offset, int64 line)
{
	if (borders->n == borders->size)
	{
		borders->size = Max(64, borders->size * 2);
		borders->items = borders->items ?
			repalloc(borders->items, borders->size * sizeof(Border)) :
			palloc(borders->size * sizeof(Border));
	}
	borders->items[borders->n++] = (Border) {offset, line};
}

static void
read_records(Relation rel, const KwjImportOptions *options, Borders *borders)
{
	ParseState *pstate = make_parsestate(NULL);
	CopyFromState copy;
	char	  **fields;
	int			n;

	(void) addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL, false, false);
	copy = BeginCopyFrom(pstate, rel, NULL, NULL, false, give_byte, NIL,
						 kwj_import_copy_options(options, NIL));
	while (NextCopyFromRawFields(copy, &fields, &n))
	{
		int64		unread = copy->need_transcoding ?
			INPUT_BUF_BYTES(copy) + RAW_BUF_BYTES(copy) : copy->raw_buf_len - copy->input_buf_index;

		add_border(borders, input_given - unread, copy->cur_lineno);
	}
	/* After an end-of-data marker, COPY asks for no more. */
	borders->failed = input_given < input_size;
	EndCopyFrom(copy);
}

/*
 * In the first record, COPY does not know yet how lines end, and counts those within its fields
 * wrongly. IMPORT tells COPY how they end. Corrects the numbers of all lines.
 */
static void
correct_lines(Borders *borders)
{
	int64		lines = 0;
	int64		end;
	char		line_end;

	if (borders->n == 0)
		return;
	end = borders->items[0].offset;
	line_end = end >= 2 && input[end - 2] == '\r' && input[end - 1] == '\n' ? '\r' : input[end - 1];
	for (int64 i = 0; i < end; i++)
		lines += input[i] == line_end;
	lines -= borders->items[0].line;
	for (int i = 0; i < borders->n; i++)
		borders->items[i].line += lines;
}

/*
 * Lets COPY read the file. After an error, or an end-of-data marker, COPY reads no further, so nobody
 * knows where later records end.
 */
static void
ask_copy(Relation rel, const KwjImportOptions *options, Borders *borders)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		read_records(rel, options, borders);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		borders->failed = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

static Border
ask_reader(const char *path, const KwjImportOptions *options, Border from, int64 bytes)
{
	KwjImportPosition position = {0};
	KwjImportReader reader = {0};

	(void) kwj_reader_open(&reader, path, &position, options, bytes, NULL);
	if (from.offset > 0)
	{
		position.offset = from.offset;
		position.line = from.line;
	}
	kwj_reader_find_end(&reader, bytes);
	kwj_reader_close(&reader);
	return (Border) {position.offset, position.line};
}

/* Compares one answer of the reader with COPY's. Returns what is wrong, or NULL. */
static char *
compare(const char *path, const KwjImportOptions *options, const Borders *borders, int from,
		int64 bytes)
{
	Border		start = from < 0 ? (Border) {0, 0} : borders->items[from];
	Border		found;
	int			expected = from + 1;

	while (expected < borders->n && borders->items[expected].offset < start.offset + bytes)
		expected++;
	if (expected >= borders->n && borders->failed)
		return NULL;
	found = ask_reader(path, options, start, bytes);
	if (expected >= borders->n)
		return found.offset == input_size ? NULL :
			psprintf("from " INT64_FORMAT ", " INT64_FORMAT " bytes: " INT64_FORMAT " instead of the end",
					 start.offset, bytes, found.offset);
	/* The last line of the file may have no end. */
	if (found.offset == borders->items[expected].offset &&
		(found.line == borders->items[expected].line || found.offset == input_size))
		return NULL;
	return psprintf("from " INT64_FORMAT ", " INT64_FORMAT " bytes: " INT64_FORMAT " in line " INT64_FORMAT
					" instead of " INT64_FORMAT " in line " INT64_FORMAT,
					start.offset, bytes, found.offset, found.line,
					borders->items[expected].offset, borders->items[expected].line);
}

/*
 * kwjobs_test_borders(path text, content bytea, options jsonb, target regclass, step integer)
 * RETURNS text: the first difference; else how many borders were compared. content: what is in the
 * file. step: not all numbers of bytes are tried, but each step-th one.
 */
Datum
kwjobs_test_borders(PG_FUNCTION_ARGS)
{
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bytea	   *content = PG_GETARG_BYTEA_PP(1);
	Relation	rel = table_open(PG_GETARG_OID(3), AccessShareLock);
	int			step = PG_GETARG_INT32(4);
	KwjImportOptions options;
	Borders		borders = {0};
	List	   *given;
	int64		compared = 0;
	char	   *wrong = NULL;

	kwj_import_read_options(PG_GETARG_JSONB_P(2), &options, &given);
	options.fields = RelationGetNumberOfAttributes(rel);
	input = VARDATA_ANY(content);
	input_size = VARSIZE_ANY_EXHDR(content);
	input_given = 0;
	ask_copy(rel, &options, &borders);
	if (options.format == KWJ_IMPORT_CSV)
		correct_lines(&borders);
	for (int from = -1; from < borders.n && wrong == NULL; from += Max(1, step / 8))
	{
		int64		start = from < 0 ? 0 : borders.items[from].offset;

		for (int64 bytes = 1; bytes <= input_size - start && wrong == NULL; bytes += step)
		{
			CHECK_FOR_INTERRUPTS();
			wrong = compare(path, &options, &borders, from, bytes);
			compared++;
		}
	}
	table_close(rel, AccessShareLock);
	PG_RETURN_TEXT_P(cstring_to_text(wrong ? wrong : psprintf(INT64_FORMAT, compared)));
}

/* Returns the processor time of this process, in microseconds. */
static int64
processor_time(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64CONST(1000000) +
		usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/*
 * kwjobs_test_scan(path text, options jsonb, bytes bigint) RETURNS bigint: cuts the file into pieces
 * of this many bytes, and returns how many microseconds of processor time this process took for it.
 */
Datum
kwjobs_test_scan(PG_FUNCTION_ARGS)
{
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int64		bytes = PG_GETARG_INT64(2);
	KwjImportPosition position = {0};
	KwjImportOptions options;
	List	   *given;
	int64		from = processor_time();
	bool		at_end = false;

	kwj_import_read_options(PG_GETARG_JSONB_P(1), &options, &given);
	while (!at_end)
	{
		KwjImportReader reader = {0};

		(void) kwj_reader_open(&reader, path, &position, &options, bytes, NULL);
		kwj_reader_find_end(&reader, bytes);
		at_end = kwj_reader_at_end(&reader);
		kwj_reader_close(&reader);
	}
	PG_RETURN_INT64(processor_time() - from);
}
