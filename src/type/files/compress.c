/*
 * src/type/files/compress.c
 *	  Compressing a file while it is written: gzip, lz4 and zstd, by Debian's libraries.
 *
 * Callers: type/export. Process: session (names only), worker. Locks: none.
 *
 * Each library is a line in the table at the end. They allocate memory by themselves, so a
 * compressor frees it when its memory context is reset or deleted, also after an error.
 */
#include "postgres.h"

#include "type/files/compress.h"
#include "utils/memutils.h"

#ifdef KWJ_HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef KWJ_HAVE_LZ4
#include <lz4frame.h>
#endif
#ifdef KWJ_HAVE_ZSTD
#include <zstd.h>
#endif

#define BUFFER_SIZE		(128 * 1024)
/* How much a library is given at a time. */
#define STEP_SIZE		(64 * 1024)

struct KwjCompressor
{
	const struct Library *library;
	KwjCompressed sink;
	void	   *arg;
	void	   *state;			/* the library's; NULL: freed */
	char	   *buffer;
	size_t		buffer_size;
	MemoryContextCallback free;
#ifdef KWJ_HAVE_ZLIB
	z_stream	gzip;
#endif
};

typedef struct Library
{
	const char *name;
	const char *suffix;
	const char *package;		/* of Debian, that a build needs */
	/* NULL: this build does not have the library */
	void		(*begin) (KwjCompressor *compressor);
	void		(*compress) (KwjCompressor *compressor, const char *data, size_t size);
	void		(*end) (KwjCompressor *compressor);
	void		(*free) (KwjCompressor *compressor);
} Library;

#if defined(KWJ_HAVE_ZLIB) || defined(KWJ_HAVE_LZ4) || defined(KWJ_HAVE_ZSTD)
static void
fail(const char *what)
{
	ereport(ERROR,
			errcode(ERRCODE_INTERNAL_ERROR),
			errmsg("could not compress data: %s", what),
			errhint("Use another compression, or none."));
}
#endif

#ifdef KWJ_HAVE_ZLIB
static void
gzip_begin(KwjCompressor *compressor)
{
	/* 16 more bits of the window mean a header of gzip. */
	if (deflateInit2(&compressor->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8,
					 Z_DEFAULT_STRATEGY) != Z_OK)
		fail(compressor->gzip.msg ? compressor->gzip.msg : "zlib");
	compressor->state = &compressor->gzip;
}

static void
gzip_run(KwjCompressor *compressor, int flush)
{
	z_stream   *gzip = &compressor->gzip;
	int			result;

	do
	{
		gzip->next_out = (Bytef *) compressor->buffer;
		gzip->avail_out = compressor->buffer_size;
		result = deflate(gzip, flush);
		if (result == Z_STREAM_ERROR)
			fail(gzip->msg ? gzip->msg : "zlib");
		compressor->sink(compressor->arg, compressor->buffer,
						 compressor->buffer_size - gzip->avail_out);
	} while (flush == Z_FINISH ? result != Z_STREAM_END : gzip->avail_out == 0);
}

static void
gzip_compress(KwjCompressor *compressor, const char *data, size_t size)
{
	compressor->gzip.next_in = (Bytef *) unconstify(char *, data);
	compressor->gzip.avail_in = size;
	gzip_run(compressor, Z_NO_FLUSH);
}

static void
gzip_end(KwjCompressor *compressor)
{
	compressor->gzip.next_in = NULL;
	compressor->gzip.avail_in = 0;
	gzip_run(compressor, Z_FINISH);
}

static void
gzip_free(KwjCompressor *compressor)
{
	(void) deflateEnd(&compressor->gzip);
}
#endif

#ifdef KWJ_HAVE_LZ4
static const LZ4F_preferences_t lz4_preferences = {
	.frameInfo = {.contentChecksumFlag = LZ4F_contentChecksumEnabled},
};

static size_t
lz4_check(size_t result)
{
	if (LZ4F_isError(result))
		fail(LZ4F_getErrorName(result));
	return result;
}

static void
lz4_begin(KwjCompressor *compressor)
{
	LZ4F_cctx  *lz4;

	lz4_check(LZ4F_createCompressionContext(&lz4, LZ4F_VERSION));
	compressor->state = lz4;
	compressor->buffer_size = LZ4F_compressBound(STEP_SIZE, &lz4_preferences);
	compressor->buffer = palloc(compressor->buffer_size);
	compressor->sink(compressor->arg, compressor->buffer,
					 lz4_check(LZ4F_compressBegin(lz4, compressor->buffer, compressor->buffer_size,
												  &lz4_preferences)));
}

static void
lz4_compress(KwjCompressor *compressor, const char *data, size_t size)
{
	compressor->sink(compressor->arg, compressor->buffer,
					 lz4_check(LZ4F_compressUpdate(compressor->state, compressor->buffer,
												   compressor->buffer_size, data, size, NULL)));
}

static void
lz4_end(KwjCompressor *compressor)
{
	compressor->sink(compressor->arg, compressor->buffer,
					 lz4_check(LZ4F_compressEnd(compressor->state, compressor->buffer,
												compressor->buffer_size, NULL)));
}

static void
lz4_free(KwjCompressor *compressor)
{
	(void) LZ4F_freeCompressionContext(compressor->state);
}
#endif

#ifdef KWJ_HAVE_ZSTD
static void
zstd_begin(KwjCompressor *compressor)
{
	compressor->state = ZSTD_createCCtx();
	if (compressor->state == NULL)
		fail("zstd");
	(void) ZSTD_CCtx_setParameter(compressor->state, ZSTD_c_checksumFlag, 1);
}

static void
zstd_run(KwjCompressor *compressor, const char *data, size_t size, ZSTD_EndDirective directive)
{
	ZSTD_inBuffer in = {data, size, 0};
	size_t		left;

	do
	{
		ZSTD_outBuffer out = {compressor->buffer, compressor->buffer_size, 0};

		left = ZSTD_compressStream2(compressor->state, &out, &in, directive);
		if (ZSTD_isError(left))
			fail(ZSTD_getErrorName(left));
		compressor->sink(compressor->arg, compressor->buffer, out.pos);
	} while (directive == ZSTD_e_end ? left > 0 : in.pos < in.size);
}

static void
zstd_compress(KwjCompressor *compressor, const char *data, size_t size)
{
	zstd_run(compressor, data, size, ZSTD_e_continue);
}

static void
zstd_end(KwjCompressor *compressor)
{
	zstd_run(compressor, NULL, 0, ZSTD_e_end);
}

static void
zstd_free(KwjCompressor *compressor)
{
	(void) ZSTD_freeCCtx(compressor->state);
}
#endif

/* In the order of KwjCompression. */
static const Library libraries[] = {
	{"none", "", ""},
	{"gzip", ".gz", "zlib1g-dev",
#ifdef KWJ_HAVE_ZLIB
	gzip_begin, gzip_compress, gzip_end, gzip_free
#endif
	},
	{"lz4", ".lz4", "liblz4-dev",
#ifdef KWJ_HAVE_LZ4
	lz4_begin, lz4_compress, lz4_end, lz4_free
#endif
	},
	{"zstd", ".zst", "libzstd-dev",
#ifdef KWJ_HAVE_ZSTD
	zstd_begin, zstd_compress, zstd_end, zstd_free
#endif
	},
};

void
kwj_compression_refuse_missing(KwjCompression compression)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("this build of kwjobs has no compression \"%s\"", libraries[compression].name),
			errhint("Build it where pkg-config finds the library: on Debian, install %s first.",
					libraries[compression].package));
}

KwjCompression
kwj_compression_from_name(const char *name)
{
	for (int i = 0; i < lengthof(libraries); i++)
	{
		if (pg_strcasecmp(name, libraries[i].name) != 0)
			continue;
		if (i != KWJ_COMPRESSION_NONE && libraries[i].begin == NULL)
			kwj_compression_refuse_missing((KwjCompression) i);
		return (KwjCompression) i;
	}
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("compression \"%s\" does not exist", name),
			errhint("Type none, gzip, lz4 or zstd."));
}

const char *
kwj_compression_name(KwjCompression compression)
{
	return libraries[compression].name;
}

const char *
kwj_compression_suffix(KwjCompression compression)
{
	return libraries[compression].suffix;
}

static void
free_state(void *arg)
{
	KwjCompressor *compressor = arg;

	if (compressor->state != NULL)
		compressor->library->free(compressor);
	compressor->state = NULL;
}

KwjCompressor *
kwj_compress_begin(KwjCompression compression, KwjCompressed sink, void *arg)
{
	KwjCompressor *compressor = palloc0(sizeof(KwjCompressor));

	Assert(libraries[compression].begin != NULL);
	compressor->library = &libraries[compression];
	compressor->sink = sink;
	compressor->arg = arg;
	compressor->buffer_size = BUFFER_SIZE;
	compressor->buffer = palloc(BUFFER_SIZE);
	compressor->free.func = free_state;
	compressor->free.arg = compressor;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &compressor->free);
	compressor->library->begin(compressor);
	return compressor;
}

void
kwj_compress(KwjCompressor *compressor, const char *data, size_t size)
{
	while (size > 0)
	{
		size_t		step = Min(size, STEP_SIZE);

		compressor->library->compress(compressor, data, step);
		data += step;
		size -= step;
	}
}

void
kwj_compress_end(KwjCompressor *compressor)
{
	compressor->library->end(compressor);
	free_state(compressor);
}
