/*
 * src/type/import/reader.h
 *	  Hands a file to COPY in batches of whole records.
 */
#ifndef KWJ_TYPE_IMPORT_READER_H
#define KWJ_TYPE_IMPORT_READER_H

#include "postgres.h"

#include "type/import/lines.h"
#include "type/import/options.h"
#include "type/import/position.h"
#include "type/import/trailing.h"
#include "type/source/source.h"

typedef struct KwjImportReader
{
	MemoryContext context;		/* where sources are opened; NULL: CurrentMemoryContext, by kwj_reader_open */
	KwjSource  *source;			/* stays open after kwj_reader_close, for the next batch; NULL: none */
	bool		keeps;			/* the source stays open at its end, too: the batch may read it again */
	int64		kept_from;		/* offset of what is in `kept` */
	StringInfo	kept;			/* bytes that may be read again (kwj_reader_keep_from); NULL: nothing is kept */
	bool		at_end;			/* after kwj_reader_close: all of the file was read */
	/*
	 * Where the records begin that COPY has got (lines.h). The reader notes this only for a source that needs
	 * one reader: another source it reads again after an error.
	 */
	KwjRecordLines lines;
	const KwjSourceIdentity *expected;	/* the next file that the reader begins must have it; NULL: any will do */
	const char *path;			/* for messages */
	KwjImportPosition *position;
	KwjCsvScan	scan;
	int64		start;			/* offset where the batch begins */
	int64		limit;			/* the batch ends with the first record that ends here or after */
	int64		end;			/* the batch ends here at the latest: where a record ends */
	int			piece;			/* COPY gets at most this many bytes at a time */
	bool		began;			/* binary: COPY has got a header */
	bool		ended;			/* COPY was told that the input ends */
	KwjTrailing trailing;		/* used if the options say trailing_delimiter */
	const KwjImportOptions *options;
	List	   *order;			/* integers: see kwj_header_order; NIL: the file has no header to match */

	/* Is called before each piece that COPY gets; sets piece, and may lower limit. */
	void		(*on_piece) (struct KwjImportReader *reader);
	void	   *arg;
} KwjImportReader;

/* What kwj_import_check_file finds out about a file. */
typedef struct KwjImportFile
{
	int64		size;			/* as it is stored; -1: nobody knows */
	const char *one_reader;		/* why one worker has to read it, a static string; NULL: several may */
	char	   *remark;			/* for the user, about the lines that are skipped, or NULL */
} KwjImportFile;

/*
 * Checks that this process may read the file, and that there is text in it. Errors: also those of its
 * header, if it has one (header.h).
 */
extern KwjImportFile kwj_import_check_file(const char *location, const KwjImportOptions *options);

/*
 * Opens the file at the position, for a batch of about `bytes` bytes that goes no further than to
 * the end; NULL: to the end of the file. At the start of a file, skips the lines to skip. Returns a
 * remark about them for the user (palloc'd), or NULL.
 *
 * Errors: 55000 if it is not the file that the position, or the end, is about.
 */
extern char *kwj_reader_open(KwjImportReader *reader, const char *location,
							 KwjImportPosition *position,
							 const KwjImportOptions *options, int64 bytes,
							 const KwjImportEnd *end);

/*
 * Moves the position of an open reader, which is at the start of a record, by at least `bytes`
 * bytes to the end of a record, or to the end of the file. Counts the lines. If the record is so
 * long that COPY will refuse it, goes to the end of the file.
 */
extern void kwj_reader_find_end(KwjImportReader *reader, int64 bytes);

/*
 * Moves the position of an open reader, which is at the start of a record, to the start of the record
 * that has this line in it. Returns false, and leaves the position somewhere, if there is none before
 * offset `end`.
 */
extern bool kwj_reader_find_line(KwjImportReader *reader, int64 line, int64 end);

/* Reads n bytes at the position of an open reader, which stays there. Errors: 55000 if they are not there. */
extern void kwj_reader_read(const KwjImportReader *reader, char *buffer, int n);

/*
 * From now on, the caller may read again what it reads from this offset on. The caller has set `keeps`, and
 * the reader's source is open. If the source needs one reader, it cannot be read again, so this reader keeps
 * these bytes in memory, and the batch must not take more than fit there. Returns how many bytes the batch
 * may take, at most `bytes`.
 */
extern int64 kwj_reader_keep_from(KwjImportReader *reader, int64 offset, int64 bytes);

/*
 * Refuses a source that one worker has to read from its beginning to its end. The session that has
 * created the job has seen to it that one worker imports such a file, but it may have been replaced since
 * then. Errors: 0A000.
 */
extern void kwj_reader_refuse_one_reader(const KwjImportReader *reader);

/*
 * Ends the batch, after checking that the file was not changed meanwhile, and sets at_end. If that is
 * false, the source stays open for the next batch. Errors: 55000.
 */
extern void kwj_reader_close(KwjImportReader *reader);

/* Returns whether all of the open file was read. */
extern bool kwj_reader_at_end(const KwjImportReader *reader);

/*
 * Returns the number of the first line of the record that this line belongs to. line_before: the
 * number of the line before the batch. Reads the batch again from the file, or knows it. Raises no
 * error if it cannot read the file, because the caller is handling another error.
 */
extern int64 kwj_reader_first_line(const KwjImportReader *reader, int64 line_before, int64 line);

/*
 * kwj_reader_source is COPY's data source. COPY cannot tell it which reader to use, so the caller
 * sets the reader before CopyFrom and resets it to NULL afterwards.
 */
extern void kwj_reader_set_source(KwjImportReader *reader);
extern int	kwj_reader_source(void *buffer, int min, int max);

#endif
