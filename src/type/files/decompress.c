/*
 * src/type/files/decompress.c
 *	  Uncompressing a file while it is read: gzip, lz4 and zstd, by Debian's libraries.
 *
 * Callers: type/source. Process: session (when a job is created), worker. Locks: none.
 *
 * What is read is data of anybody, so the libraries' own checks of it are all used: checksums, and
 * the limit of zstd for the memory that a frame may demand (128 MB). They allocate memory by
 * themselves, so a decompressor frees it when its memory context is reset or deleted, also after an
 * error.
 */
#include "postgres.h"

#include "type/files/decompress.h"
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

struct KwjDecompressor
{
	const struct Library *library;
	void	   *state;			/* the library's; NULL: freed */
	const char *problem;		/* what is wrong with the data; NULL: nothing so far */
	bool		may_end;
	bool		in_padding;		/* zeros follow the last member */
	MemoryContextCallback free;
#ifdef KWJ_HAVE_ZLIB
	z_stream	gzip;
#endif
};

typedef struct Library
{
	const char *magic;
	int			magic_size;
	/* NULL: this build does not have the library */
	void		(*begin) (KwjDecompressor *decompressor);
	const char *(*step) (KwjDecompressor *decompressor, KwjDecompressStep *step);
	void		(*free) (KwjDecompressor *decompressor);
} Library;

#if defined(KWJ_HAVE_ZLIB) || defined(KWJ_HAVE_LZ4) || defined(KWJ_HAVE_ZSTD)
static void
out_of_memory(void)
{
	ereport(ERROR,
			errcode(ERRCODE_OUT_OF_MEMORY),
			errmsg("out of memory"),
			errdetail("A library for compression could not begin."));
}
#endif

#ifdef KWJ_HAVE_ZLIB
static void
gzip_begin(KwjDecompressor *decompressor)
{
	/* 16 more bits of the window mean a header of gzip. */
	if (inflateInit2(&decompressor->gzip, MAX_WBITS + 16) != Z_OK)
		out_of_memory();
	decompressor->state = &decompressor->gzip;
}

/*
 * Looks at what follows a member, and makes the library ready for the next one. Zeros may fill the file
 * up to its end, as on tapes; gzip accepts them, too. Returns true if this step is over: it has no more
 * bytes, or *problem says what is wrong.
 */
static bool
gzip_pass_border(KwjDecompressor *decompressor, KwjDecompressStep *step, const char **problem)
{
	while (step->in_used < step->in_size && step->in[step->in_used] == '\0')
	{
		decompressor->in_padding = true;
		step->in_used++;
	}
	if (step->in_used == step->in_size)
		return true;
	if (decompressor->in_padding)
	{
		*problem = "other data follow the last member";
		return true;
	}
	decompressor->may_end = false;
	(void) inflateReset(&decompressor->gzip);
	return false;
}

static const char *
gzip_step(KwjDecompressor *decompressor, KwjDecompressStep *step)
{
	z_stream   *gzip = &decompressor->gzip;
	const char *problem = NULL;
	int			result;

	do
	{
		if (decompressor->may_end && gzip_pass_border(decompressor, step, &problem))
			return problem;
		gzip->next_in = (Bytef *) unconstify(char *, step->in) + step->in_used;
		gzip->avail_in = step->in_size - step->in_used;
		gzip->next_out = (Bytef *) step->out + step->out_used;
		gzip->avail_out = step->out_size - step->out_used;
		result = inflate(gzip, Z_NO_FLUSH);
		step->in_used = step->in_size - gzip->avail_in;
		step->out_used = step->out_size - gzip->avail_out;
		if (result == Z_MEM_ERROR)
			out_of_memory();
		if (result == Z_STREAM_END)
			decompressor->may_end = true;
		else if (result != Z_OK && result != Z_BUF_ERROR)
			return gzip->msg ? gzip->msg : "damaged data";
	} while (result == Z_STREAM_END);
	return NULL;
}

static void
gzip_free(KwjDecompressor *decompressor)
{
	(void) inflateEnd(&decompressor->gzip);
}
#endif

#if defined(KWJ_HAVE_LZ4) || defined(KWJ_HAVE_ZSTD)
/*
 * Notes what a call of the library has done. in_used and out_used: how much of the step's input and output it
 * has used by now. wanted: how many bytes the library would like to get next, which is 0 at the end of a
 * frame. Returns whether the caller is to call the library again in this step.
 */
static bool
note_call(KwjDecompressor *decompressor, KwjDecompressStep *step, size_t wanted, size_t in_used,
		  size_t out_used)
{
	bool		is_idle = in_used == step->in_used && out_used == step->out_used;

	step->in_used = in_used;
	step->out_used = out_used;
	if (wanted == 0)
		decompressor->may_end = true;
	else if (!is_idle)
		decompressor->may_end = false;
	return !is_idle && in_used < step->in_size && out_used < step->out_size;
}
#endif

#ifdef KWJ_HAVE_LZ4
static void
lz4_begin(KwjDecompressor *decompressor)
{
	LZ4F_dctx  *lz4;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION)))
		out_of_memory();
	decompressor->state = lz4;
}

static const char *
lz4_step(KwjDecompressor *decompressor, KwjDecompressStep *step)
{
	size_t		in;
	size_t		out;
	size_t		wanted;

	do
	{
		in = step->in_size - step->in_used;
		out = step->out_size - step->out_used;
		wanted = LZ4F_decompress(decompressor->state, step->out + step->out_used, &out,
								 step->in + step->in_used, &in, NULL);
		if (LZ4F_isError(wanted))
			return LZ4F_getErrorName(wanted);
	} while (note_call(decompressor, step, wanted, step->in_used + in, step->out_used + out));
	return NULL;
}

static void
lz4_free(KwjDecompressor *decompressor)
{
	(void) LZ4F_freeDecompressionContext(decompressor->state);
}
#endif

#ifdef KWJ_HAVE_ZSTD
static void
zstd_begin(KwjDecompressor *decompressor)
{
	decompressor->state = ZSTD_createDCtx();
	if (decompressor->state == NULL)
		out_of_memory();
}

static const char *
zstd_step(KwjDecompressor *decompressor, KwjDecompressStep *step)
{
	ZSTD_inBuffer in = {step->in, step->in_size, step->in_used};
	ZSTD_outBuffer out = {step->out, step->out_size, step->out_used};
	size_t		wanted;

	do
	{
		wanted = ZSTD_decompressStream(decompressor->state, &out, &in);
		if (ZSTD_isError(wanted))
			return ZSTD_getErrorName(wanted);
	} while (note_call(decompressor, step, wanted, in.pos, out.pos));
	return NULL;
}

static void
zstd_free(KwjDecompressor *decompressor)
{
	(void) ZSTD_freeDCtx(decompressor->state);
}
#endif

/* In the order of KwjCompression. */
static const Library libraries[] = {
	{NULL, 0},
	{"\x1f\x8b", 2,
#ifdef KWJ_HAVE_ZLIB
	gzip_begin, gzip_step, gzip_free
#endif
	},
	{"\x04\x22\x4d\x18", 4,
#ifdef KWJ_HAVE_LZ4
	lz4_begin, lz4_step, lz4_free
#endif
	},
	{"\x28\xb5\x2f\xfd", 4,
#ifdef KWJ_HAVE_ZSTD
	zstd_begin, zstd_step, zstd_free
#endif
	},
};

KwjCompression
kwj_compression_of(const char *head, size_t n)
{
	/*
	 * A frame that readers skip, with which files of pzstd begin. Files of lz4 may have such frames, too, but
	 * do not begin with one.
	 */
	if (n >= 4 && (head[0] & 0xf0) == 0x50 && memcmp(head + 1, "\x2a\x4d\x18", 3) == 0)
		return KWJ_COMPRESSION_ZSTD;
	for (int i = KWJ_COMPRESSION_NONE + 1; i < lengthof(libraries); i++)
		if (n >= libraries[i].magic_size && memcmp(head, libraries[i].magic, libraries[i].magic_size) == 0)
			return (KwjCompression) i;
	return KWJ_COMPRESSION_NONE;
}

static void
free_state(void *arg)
{
	KwjDecompressor *decompressor = arg;

	if (decompressor->state != NULL)
		decompressor->library->free(decompressor);
	decompressor->state = NULL;
}

KwjDecompressor *
kwj_decompress_begin(KwjCompression compression)
{
	KwjDecompressor *decompressor = palloc0(sizeof(KwjDecompressor));

	Assert(compression != KWJ_COMPRESSION_NONE);
	decompressor->library = &libraries[compression];
	if (decompressor->library->begin == NULL)
		kwj_compression_refuse_missing(compression);
	decompressor->free.func = free_state;
	decompressor->free.arg = decompressor;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &decompressor->free);
	decompressor->library->begin(decompressor);
	return decompressor;
}

const char *
kwj_decompress(KwjDecompressor *decompressor, KwjDecompressStep *step)
{
	/*
	 * The libraries must not be called again after an error: zstd would take what follows for a new frame,
	 * and lz4 has crashed the server. But IMPORT may read on, to find the record that is bad.
	 */
	if (decompressor->problem == NULL)
		decompressor->problem = decompressor->library->step(decompressor, step);
	return decompressor->problem;
}

bool
kwj_decompress_may_end(const KwjDecompressor *decompressor)
{
	return decompressor->may_end;
}
