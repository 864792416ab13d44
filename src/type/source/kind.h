/*
 * src/type/source/kind.h
 *	  What a kind of source has to do. Only for src/type/source.
 */
#ifndef KWJ_TYPE_SOURCE_KIND_H
#define KWJ_TYPE_SOURCE_KIND_H

#include "type/source/source.h"

/* Each function runs with the source's memory context as CurrentMemoryContext. */
typedef struct KwjSourceKind
{
	/* Returns whether the location is of this kind. */
	bool		(*is_location) (const char *location);
	/* Sets name, identity and place. What has to be closed is closed with the memory context. */
	void		(*open) (KwjSource *source);
	/* As kwj_source_open_again and kwj_source_look. */
	void		(*open_again) (KwjSource *source);
	void		(*look) (KwjSource *source, bool thoroughly);
	/* Reads bytes as they are stored; returns 0 only at the end. */
	size_t		(*read) (KwjSource *source, char *buffer, size_t size, int64 offset);
	/* As kwj_source_ends_at, for a source that is not compressed; NULL: the size of the identity tells. */
	bool		(*ends_at) (KwjSource *source, int64 offset);
	/* What mtime and inode of the identity are, for a message. */
	const char *mtime_name;
	const char *inode_name;
	bool		needs_no_role;	/* as kwj_source_needs_no_role */
	bool		is_remote;		/* as kwj_source_is_remote */
	/* As kwj_source_needs_one_reader, for a source that is not compressed. */
	const char *one_reader;
	/* As kwj_source_try_to_read; NULL if one_reader is not. */
	size_t		(*try_to_read) (KwjSource *source, char *buffer, size_t size, int64 offset);
} KwjSourceKind;

extern const KwjSourceKind kwj_source_file;
extern const KwjSourceKind kwj_source_large_object;
extern const KwjSourceKind kwj_source_url;

#endif
