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
 * Returns whether a role may read from the location that is no member of pg_read_server_files, if it has
 * the rights that kwj_source_open checks.
 */
extern bool kwj_source_needs_no_role(const char *location);

/* Returns what of the identity is not as it was before, for a message; NULL: it is the same. */
extern const char *kwj_source_difference(const KwjSource *source, const KwjSourceIdentity *before);

/* Returns the location as others may see it, without what may be a secret. */
extern const char *kwj_source_shown(const char *location);

/* Returns where in the location what may be a secret begins: to its end; its end if there is nothing. */
extern const char *kwj_source_secret(const char *location);

/*
 * To be called for a source that is open since another transaction, or for longer. Looks anew what
 * the location means, and whether the current user may read it, and sets the identity. What was read
 * ahead is kept, so the caller compares the identity with the one before.
 */
extern void kwj_source_open_again(KwjSource *source);

/*
 * Sets the identity to what it is now, while the source is open. thoroughly: also looks for changes that
 * take long to find; to be called so when all was read.
 */
extern void kwj_source_look(KwjSource *source, bool thoroughly);

extern void kwj_source_close(KwjSource *source);

/*
 * Reads at most this many bytes of the text from the offset on; returns how many, and 0 only at the
 * end. To read on is cheap. To read what lies before may mean to begin anew. Errors: 22P04 if the
 * compressed data are damaged or end too early; those of its kind.
 */
extern size_t kwj_source_read(KwjSource *source, char *buffer, size_t size, int64 offset);

/* Reads bytes as they are stored, not the text. */
extern size_t kwj_source_read_stored(KwjSource *source, char *buffer, size_t size, int64 offset);

/*
 * As kwj_source_read, for a source that several may read, and without an error: returns 0 if it cannot read. It may
 * be called while another error is handled.
 */
extern size_t kwj_source_try_to_read(KwjSource *source, char *buffer, size_t size, int64 offset);

/* Returns whether the text ends at this offset, or before it. May read ahead. Errors: as kwj_source_read. */
extern bool kwj_source_ends_at(KwjSource *source, int64 offset);

/*
 * Returns how many bytes, as they are stored, belong to the text before the offset, from which was
 * read last. Of a compressed source it is an estimate, except for its end.
 */
extern int64 kwj_source_stored_before(const KwjSource *source, int64 offset);

/*
 * Returns why one worker has to read the source from its beginning to its end, as a static string;
 * NULL: several may read different parts of it.
 */
extern const char *kwj_source_needs_one_reader(const KwjSource *source);

/* Returns the size of a source that the current user may read, as it is stored; -1: nobody knows. */
extern int64 kwj_source_size(const char *location);

/* Returns whether another machine has the source, so that to ask for its size takes long. */
extern bool kwj_source_is_remote(const char *location);

#endif
