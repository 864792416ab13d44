/*
 * src/type/files/compress.h
 *	  Compressing a file while it is written: gzip, lz4 and zstd, by Debian's libraries.
 *
 * Which of them there are is decided when kwjobs is built (Makefile).
 */
#ifndef KWJ_TYPE_FILES_COMPRESS_H
#define KWJ_TYPE_FILES_COMPRESS_H

#include "postgres.h"
#include "compat.h"

typedef enum KwjCompression
{
	KWJ_COMPRESSION_NONE,
	KWJ_COMPRESSION_GZIP,
	KWJ_COMPRESSION_LZ4,
	KWJ_COMPRESSION_ZSTD,
} KwjCompression;

/*
 * Returns the compression of this name: none, gzip, lz4 or zstd. Errors: 22023 if there is none;
 * 0A000 if this build of kwjobs does not have it.
 */
extern KwjCompression kwj_compression_from_name(const char *name);

extern const char *kwj_compression_name(KwjCompression compression);

/* Raises the error 0A000 that says that this build does not have the compression, and what to install. */
pg_noreturn extern void kwj_compression_refuse_missing(KwjCompression compression);

/* Returns what the name of such a file ends with: "", ".gz", ".lz4" or ".zst". */
extern const char *kwj_compression_suffix(KwjCompression compression);

/* Takes compressed bytes. */
typedef void (*KwjCompressed) (void *arg, const char *data, size_t size);

typedef struct KwjCompressor KwjCompressor;

/*
 * Begins a compressed file in CurrentMemoryContext, which frees what the library has allocated, too.
 * What is compressed goes to sink. compression: not KWJ_COMPRESSION_NONE.
 */
extern KwjCompressor *kwj_compress_begin(KwjCompression compression, KwjCompressed sink, void *arg);
extern void kwj_compress(KwjCompressor *compressor, const char *data, size_t size);

/* Ends the file: what is left goes to sink. */
extern void kwj_compress_end(KwjCompressor *compressor);

#endif
