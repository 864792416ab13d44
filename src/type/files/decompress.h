/*
 * src/type/files/decompress.h
 *	  Uncompressing a file while it is read: gzip, lz4 and zstd, by Debian's libraries.
 */
#ifndef KWJ_TYPE_FILES_DECOMPRESS_H
#define KWJ_TYPE_FILES_DECOMPRESS_H

#include "postgres.h"
#include "type/files/compress.h"

/* How many bytes kwj_compression_of looks at, at most. */
#define KWJ_COMPRESSION_HEAD	4

/* Returns how a file is compressed that begins with these n bytes, by their magic number. */
extern KwjCompression kwj_compression_of(const char *head, size_t n);

typedef struct KwjDecompressor KwjDecompressor;

/* What a call of kwj_decompress may take, and where it puts what it makes of that. */
typedef struct KwjDecompressStep
{
	const char *in;
	size_t		in_size;
	size_t		in_used;		/* how many of these bytes were taken */
	char	   *out;
	size_t		out_size;
	size_t		out_used;		/* how many bytes were put there */
} KwjDecompressStep;

/*
 * Begins to uncompress in CurrentMemoryContext, which frees what the library has allocated, too.
 * Errors: 0A000 if this build of kwjobs does not have the library.
 */
extern KwjDecompressor *kwj_decompress_begin(KwjCompression compression);

/*
 * Takes and puts bytes until it needs more of either; advances in_used and out_used. A file may have
 * several members, or frames, one after another. Returns NULL, or what is wrong with the data; each
 * later call returns the same then.
 */
extern const char *kwj_decompress(KwjDecompressor *decompressor, KwjDecompressStep *step);

/* Returns whether the file may end here: behind a member. */
extern bool kwj_decompress_may_end(const KwjDecompressor *decompressor);

#endif
