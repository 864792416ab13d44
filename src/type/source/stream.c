/*
 * src/type/source/stream.c
 *	  The text of a compressed source.
 *
 *     stored bytes --> in --> decompressor --> window --> reader
 *                                              |  text that was read, and may be read again  |
 *                                              begin                                       end
 *
 * The stream reads on from where it is, so a batch that goes on where the last one has ended costs
 * nothing. It keeps the last 128 kB of what it has read (window.h). For an offset before that it begins
 * anew at the start of the source, and goes over the text without keeping it: after a pause or a crash,
 * and after an aborted batch. Memory does not depend on the size of the source or of the text.
 *
 * Callers: source.c. Process: session, worker. Locks: none.
 */
#include "postgres.h"

#include "job/progress.h"
#include "miscadmin.h"
#include "type/files/decompress.h"
#include "type/source/kind.h"
#include "type/source/stream.h"
#include "type/source/window.h"
#include "utils/memutils.h"

#define IN_SIZE		(64 * 1024)

/* Users are told when the worker goes over this many bytes without importing them. */
#define MUCH		(INT64CONST(64) * 1024 * 1024)

struct KwjStream
{
	KwjSource  *source;
	MemoryContext context;		/* has the decompressor, and is deleted to begin anew */
	KwjDecompressor *decompressor;
	char	   *in;
	KwjDecompressStep step;		/* in and out are set for each call */
	int64		stored;			/* how many stored bytes were read into in */
	bool		stored_end;		/* there are no more of them */
	KwjWindow	window;			/* the text that was read last */
	bool		complete;		/* the text ends where the window ends */
};

static void
begin_anew(KwjStream *stream)
{
	MemoryContext caller;

	if (stream->context != NULL)
		MemoryContextDelete(stream->context);
	stream->context = AllocSetContextCreate(stream->source->context, "kwjobs decompressor",
											ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(stream->context);
	stream->decompressor = kwj_decompress_begin(stream->source->compression);
	MemoryContextSwitchTo(caller);
	memset(&stream->step, 0, sizeof(stream->step));
	kwj_window_reset(&stream->window, 0);
	stream->stored = 0;
	stream->stored_end = stream->complete = false;
}

KwjStream *
kwj_stream_begin(KwjSource *source)
{
	KwjStream  *stream = palloc0(sizeof(KwjStream));

	stream->source = source;
	stream->in = palloc(IN_SIZE);
	kwj_window_init(&stream->window);
	begin_anew(stream);
	return stream;
}

static void
refuse_data(const KwjStream *stream, const char *problem)
{
	ereport(ERROR,
			errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			errmsg("compressed data (%s) of file \"%s\" are damaged", kwj_compression_name(stream->source->compression),
				   stream->source->name),
			errdetail("%s, before byte " INT64_FORMAT ".", problem, kwj_stream_stored(stream)),
			errhint("Compress the file anew, or get it again from where it comes from."));
}

static void
refuse_end(const KwjStream *stream)
{
	ereport(ERROR,
			errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			errmsg("compressed data (%s) of file \"%s\" end too early", kwj_compression_name(stream->source->compression),
				   stream->source->name),
			errdetail("The file has " INT64_FORMAT " bytes.", stream->stored),
			errhint("It seems to be cut off: get it again from where it comes from."));
}

static void
read_stored(KwjStream *stream)
{
	KwjSource  *source = stream->source;
	size_t		n = source->kind->read(source, stream->in, IN_SIZE, stream->stored);

	stream->stored += n;
	stream->stored_end = n == 0;
	stream->step.in = stream->in;
	stream->step.in_size = n;
	stream->step.in_used = 0;
}

/* Adds text to the window. Returns false if there is no more. */
static bool
read_on(KwjStream *stream)
{
	KwjDecompressStep *step = &stream->step;
	const char *problem;

	step->out = kwj_window_room(&stream->window, &step->out_size);
	step->out_used = 0;
	while (!stream->complete && step->out_used == 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (step->in_used == step->in_size && !stream->stored_end)
			read_stored(stream);
		problem = kwj_decompress(stream->decompressor, step);
		if (problem != NULL)
			refuse_data(stream, problem);
		if (stream->stored_end && step->out_used == 0)
		{
			if (!kwj_decompress_may_end(stream->decompressor))
				refuse_end(stream);
			stream->complete = true;
		}
	}
	kwj_window_add(&stream->window, step->out_used);
	return !stream->complete;
}

/* Reads on, or begins anew, until the offset is in the window or at its end. */
static void
go_to(KwjStream *stream, int64 offset)
{
	if (offset < stream->window.begin)
		begin_anew(stream);
	if (offset - stream->window.end > MUCH)
		kwj_progress_set_status("reading the compressed file up to where the import goes on");
	while (stream->window.end < offset && read_on(stream))
		;
}

size_t
kwj_stream_read(KwjStream *stream, char *buffer, size_t size, int64 offset)
{
	go_to(stream, offset);
	if (stream->window.end <= offset && !read_on(stream))
		return 0;
	return kwj_window_copy(&stream->window, buffer, size, offset);
}

bool
kwj_stream_ends_at(KwjStream *stream, int64 offset)
{
	go_to(stream, offset);
	return stream->window.end <= offset && !read_on(stream);
}

int64
kwj_stream_stored(const KwjStream *stream)
{
	return stream->stored - (stream->step.in_size - stream->step.in_used);
}
