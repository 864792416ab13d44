/*
 * src/type/source/source.c
 *	  Where the bytes of an IMPORT come from.
 *
 *     location --> kind: file.c ... --> stored bytes --+--> text
 *                                                      |      ^
 *                                    compressed: stream.c ----+
 *
 * Each kind is a line in the table below. Callers: type/import. Process: session (when the job is
 * created), worker. Locks: none.
 */
#include "postgres.h"

#include "type/files/decompress.h"
#include "type/source/kind.h"
#include "type/source/source.h"
#include "type/source/stream.h"
#include "type/source/url.h"
#include "utils/memutils.h"

static const KwjSourceKind *const kinds[] = {
	&kwj_source_file,
	&kwj_source_large_object,
	&kwj_source_url,
};

/* Raises the error for a location that is of no kind. */
static void
refuse_location(const char *location)
{
	const char *scheme = strstr(location, "://");

	if (location[0] == '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_NAME),
				errmsg("path of a file to import is empty"),
				errhint("Give the absolute path of the file on the server."));
	if (scheme != NULL && scheme > location)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot import from \"%s\"", kwj_url_hide(location)),
				errdetail("IMPORT reads files of the server, large objects as lo:OID, and URLs of http and https."),
				strncmp(location, "file:///", 8) == 0 ?
				errhint("Give its absolute path: '%s'.", location + 7) :
				errhint("Copy the file to the server and give its absolute path."));
	ereport(ERROR,
			errcode(ERRCODE_INVALID_NAME),
			errmsg("relative path \"%s\" not allowed for IMPORT", location),
			errhint("Give the absolute path of the file on the server."));
}

/* Returns the kind of the location; NULL if it is of none. */
static const KwjSourceKind *
find_kind(const char *location)
{
	for (int i = 0; i < lengthof(kinds); i++)
		if (kinds[i]->is_location(location))
			return kinds[i];
	return NULL;
}

bool
kwj_source_needs_no_role(const char *location)
{
	const KwjSourceKind *kind = find_kind(location);

	return kind != NULL && kind->needs_no_role;
}

/* Recognizes a compressed source by its first bytes. */
static void
begin_stream(KwjSource *source)
{
	char		head[KWJ_COMPRESSION_HEAD];

	source->compression = kwj_compression_of(head, kwj_source_read_start(source, head, sizeof(head)));
	if (source->compression != KWJ_COMPRESSION_NONE)
		source->stream = kwj_stream_begin(source);
}

/* Opens a source in its own memory context, without a look at its contents. */
static KwjSource *
open_place(const char *location, MemoryContext context)
{
	const KwjSourceKind *kind = find_kind(location);
	MemoryContext own;
	MemoryContext caller;
	KwjSource  *source;

	if (kind == NULL)
		refuse_location(location);
	own = AllocSetContextCreate(context, "kwjobs source", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(own);
	source = palloc0(sizeof(KwjSource));
	source->context = own;
	source->kind = kind;
	source->location = pstrdup(location);
	source->name = source->location;
	kind->open(source);
	MemoryContextSwitchTo(caller);
	return source;
}

const char *
kwj_source_shown(const char *location)
{
	return kwj_url_hide(location);
}

const char *
kwj_source_secret(const char *location)
{
	return location + (kwj_url_is_one(location) ? strcspn(location, "?") : strlen(location));
}

KwjSource *
kwj_source_open(const char *location, MemoryContext context)
{
	KwjSource  *source = open_place(location, context);
	MemoryContext caller = MemoryContextSwitchTo(source->context);

	source->kind->look(source, true);
	begin_stream(source);
	MemoryContextSwitchTo(caller);
	return source;
}

bool
kwj_source_is_remote(const char *location)
{
	const KwjSourceKind *kind = find_kind(location);

	return kind != NULL && kind->is_remote;
}

int64
kwj_source_size(const char *location)
{
	KwjSource  *source = open_place(location, CurrentMemoryContext);
	int64		size = source->identity.size;

	kwj_source_close(source);
	return size;
}

void
kwj_source_open_again(KwjSource *source)
{
	MemoryContext caller = MemoryContextSwitchTo(source->context);

	source->kind->open_again(source);
	MemoryContextSwitchTo(caller);
}

void
kwj_source_look(KwjSource *source, bool thoroughly)
{
	MemoryContext caller = MemoryContextSwitchTo(source->context);

	source->kind->look(source, thoroughly);
	MemoryContextSwitchTo(caller);
}

const char *
kwj_source_difference(const KwjSource *source, const KwjSourceIdentity *before)
{
	if (source->identity.size != before->size)
		return "size";
	if (source->identity.mtime != before->mtime)
		return source->kind->mtime_name;
	return source->identity.inode != before->inode ? source->kind->inode_name : NULL;
}

void
kwj_source_close(KwjSource *source)
{
	MemoryContextDelete(source->context);
}

size_t
kwj_source_read(KwjSource *source, char *buffer, size_t size, int64 offset)
{
	MemoryContext caller = MemoryContextSwitchTo(source->context);
	size_t		n;

	Assert(size > 0);
	if (source->stream != NULL)
		n = kwj_stream_read(source->stream, buffer, size, offset);
	else
		n = source->kind->read(source, buffer, size, offset);
	MemoryContextSwitchTo(caller);
	return n;
}

size_t
kwj_source_read_start(KwjSource *source, char *buffer, size_t size)
{
	size_t		n = 0;
	size_t		got;

	while (n < size && (got = kwj_source_read(source, buffer + n, size - n, n)) > 0)
		n += got;
	return n;
}

size_t
kwj_source_read_stored(KwjSource *source, char *buffer, size_t size, int64 offset)
{
	MemoryContext caller = MemoryContextSwitchTo(source->context);
	size_t		n = source->kind->read(source, buffer, size, offset);

	MemoryContextSwitchTo(caller);
	return n;
}

size_t
kwj_source_try_to_read(KwjSource *source, char *buffer, size_t size, int64 offset)
{
	Assert(kwj_source_needs_one_reader(source) == NULL);
	return source->kind->try_to_read(source, buffer, size, offset);
}

bool
kwj_source_ends_at(KwjSource *source, int64 offset)
{
	MemoryContext caller = MemoryContextSwitchTo(source->context);
	bool		ends;

	if (source->stream != NULL)
		ends = kwj_stream_ends_at(source->stream, offset);
	else if (source->kind->ends_at != NULL)
		ends = source->kind->ends_at(source, offset);
	else
		ends = offset >= source->identity.size;
	MemoryContextSwitchTo(caller);
	return ends;
}

int64
kwj_source_stored_before(const KwjSource *source, int64 offset)
{
	return source->stream != NULL ? kwj_stream_stored(source->stream) : offset;
}

const char *
kwj_source_needs_one_reader(const KwjSource *source)
{
	if (source->kind->one_reader != NULL)
		return source->kind->one_reader;
	return source->stream != NULL ? "compressed file" : NULL;
}
