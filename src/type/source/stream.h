/*
 * src/type/source/stream.h
 *	  The text of a compressed source. Only for src/type/source.
 */
#ifndef KWJ_TYPE_SOURCE_STREAM_H
#define KWJ_TYPE_SOURCE_STREAM_H

#include "type/source/source.h"

typedef struct KwjStream KwjStream;

/* Begins at the start of the source, in CurrentMemoryContext. */
extern KwjStream *kwj_stream_begin(KwjSource *source);

/* As the functions of source.h that end alike. */
extern size_t kwj_stream_read(KwjStream *stream, char *buffer, size_t size, int64 offset);
extern bool kwj_stream_ends_at(KwjStream *stream, int64 offset);
extern int64 kwj_stream_stored(const KwjStream *stream);

#endif
