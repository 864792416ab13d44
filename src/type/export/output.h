/*
 * src/type/export/output.h
 *	  The files into which an EXPORT writes the rows of one table or query.
 */
#ifndef KWJ_TYPE_EXPORT_OUTPUT_H
#define KWJ_TYPE_EXPORT_OUTPUT_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "type/export/options.h"
#include "type/files/directory.h"
#include "type/files/sync.h"

/* A file that is complete. */
typedef struct KwjExportFile
{
	char	   *name;
	int64		rows;
	int64		bytes;			/* as they are in the file */
	char	   *checksum;		/* of these, in hexadecimal digits */
} KwjExportFile;

typedef struct KwjExportOutput KwjExportOutput;

/* What an output reports while it writes: rows and bytes since the last call. It may raise an error. */
typedef void (*KwjOutputReport) (void *arg, int64 rows, int64 bytes);

/*
 * Begins to write files into the directory, in CurrentMemoryContext. syncs: gets each file when it is complete.
 * next_chunk: the number of the next file, which several processes may share.
 */
extern KwjExportOutput *kwj_output_begin(const KwjExportOptions *options, const KwjDirectory *directory,
										 KwjSyncs *syncs, pg_atomic_uint32 *next_chunk, KwjOutputReport report,
										 void *arg);

/* Writes a row; if there is a header, the first call is for that. A KwjRowSink: output is a KwjExportOutput. */
extern void kwj_output_row(void *output, const char *data, size_t size);

/* Says that another COPY begins, which writes the header again. */
extern void kwj_output_begin_copy(KwjExportOutput *output);

/* Completes the last file. Returns all files, as a list of KwjExportFile. */
extern List *kwj_output_end(KwjExportOutput *output);

/* Writes a complete file of this text into the directory, and syncs it. */
extern KwjExportFile *kwj_output_write_text(const KwjExportOptions *options, const KwjDirectory *directory,
											const char *name, const char *text);

#endif
