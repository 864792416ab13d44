/*
 * src/type/source/source.h
 *	  Where the bytes of an IMPORT come from: a place that a job can open, read from any offset on, and
 *	  recognize as unchanged when it opens it again. doc/developers/sources.md explains it.
 *
 * A location is what the user has typed, such as the path of a file. What is read is the text in it:
 * if it is compressed (gzip, lz4 or zstd, recognized by the first bytes), what it is when it is
 * uncompressed. Offsets are those of the text.
 */
#ifndef KWJ_TYPE_SOURCE_SOURCE_H
#define KWJ_TYPE_SOURCE_SOURCE_H

#include "postgres.h"
#include "type/files/compress.h"

/*
 * By these numbers, a job recognizes a source as unchanged. They are stored in checkpoints. What mtime
 * and inode are depends on the kind of the source.
 */
typedef struct KwjSourceIdentity
{
	int64		size;			/* bytes, as they are stored; -1: nobody knows yet */
	int64		mtime;			/* of a file: nanoseconds since 1970 */
	int64		inode;
} KwjSourceIdentity;

/* An open source. */
typedef struct KwjSource
{
	const char *location;
	const char *name;			/* for messages: the location, without secrets */
	KwjSourceIdentity identity;
	KwjCompression compression;

	MemoryContext context;		/* has all of it; closes it when it is deleted */
	const struct KwjSourceKind *kind;
	void	   *place;			/* of its kind */
	struct KwjStream *stream;	/* the text of a compressed source; else NULL */
} KwjSource;

/*
 * Opens a source in a new child of this memory context, with which it is closed at the latest, also
 * after an error. Checks that the current user may read it. Errors: 42501; 0A000 if it is compressed
 * in a way that this build cannot read; those of its kind.
 */
extern KwjSource *kwj_source_open(const char *location, MemoryContext context);

/*
 * Returns whether a role may read the location without being a member of pg_read_server_files. It needs
 * other rights then, such as SELECT on a large object, which kwj_source_open checks.
 */
extern bool kwj_source_needs_no_role(const char *location);

/*
 * Compares the identity with one that the source had before. Returns what has changed, as a static string
 * for a message, such as "size"; NULL if nothing has.
 */
extern const char *kwj_source_difference(const KwjSource *source, const KwjSourceIdentity *before);

/* Returns the location as others may see it, without what may be a secret. */
extern const char *kwj_source_shown(const char *location);

/*
 * Returns the end of the location that may be a secret, as a pointer into it: the query of a URL. If it
 * has none, that is an empty string.
 */
extern const char *kwj_source_secret(const char *location);

/*
 * Is called when a batch goes on with a source that an earlier batch has opened. Looks anew what the
 * location means, and whether the current user may read it, and sets the identity. What was read ahead is
 * kept, so the caller has to compare the identity with that of the earlier batch.
 */
extern void kwj_source_open_again(KwjSource *source);

/*
 * Sets the identity of an open source to what it is now. thoroughly: also looks for changes that take long
 * to find. The caller says so when it has read all of the source.
 */
extern void kwj_source_look(KwjSource *source, bool thoroughly);

extern void kwj_source_close(KwjSource *source);

/*
 * Reads at most this many bytes of the text from the offset on; returns how many, and 0 only at the
 * end. To go on where the last call has ended is cheap. For an earlier offset, the source may have to be
 * read from its start again. Errors: 22P04 if the compressed data are damaged or end too early; those of
 * its kind.
 */
extern size_t kwj_source_read(KwjSource *source, char *buffer, size_t size, int64 offset);

/*
 * Reads the text from its start until the buffer is full or the text ends; returns how many bytes.
 * Errors: as kwj_source_read.
 */
extern size_t kwj_source_read_start(KwjSource *source, char *buffer, size_t size);

/* Reads bytes as they are stored, not the text. */
extern size_t kwj_source_read_stored(KwjSource *source, char *buffer, size_t size, int64 offset);

/*
 * As kwj_source_read, but raises no error: returns 0 if it cannot read. So it may be called while another
 * error is handled. Only for a source that needs no single reader (kwj_source_needs_one_reader).
 */
extern size_t kwj_source_try_to_read(KwjSource *source, char *buffer, size_t size, int64 offset);

/* Returns whether the text ends at this offset, or before it. May read ahead. Errors: as kwj_source_read. */
extern bool kwj_source_ends_at(KwjSource *source, int64 offset);

/*
 * Returns how many stored bytes make up the text before this offset, which is the one that the caller has
 * read last. For a compressed source that is an estimate, and exact only at its end.
 */
extern int64 kwj_source_stored_before(const KwjSource *source, int64 offset);

/*
 * Returns why one worker has to read the source from its beginning to its end, as a static string;
 * NULL: several may read different parts of it.
 */
extern const char *kwj_source_needs_one_reader(const KwjSource *source);

/* Returns the size of a source that the current user may read, as it is stored; -1: nobody knows. */
extern int64 kwj_source_size(const char *location);

/* Returns whether the source is on another machine, so that it takes long to ask for its size. */
extern bool kwj_source_is_remote(const char *location);

#endif
