/*
 * src/type/export/copy.h
 *	  Runs COPY TO, and takes its rows.
 */
#ifndef KWJ_TYPE_EXPORT_COPY_H
#define KWJ_TYPE_EXPORT_COPY_H

#include "postgres.h"

/* Takes a row as COPY writes it, with the line end. It may raise an error. */
typedef void (*KwjRowSink) (void *arg, const char *data, size_t size);

/*
 * Runs the statement COPY source TO STDOUT options, as the current user, in the current transaction,
 * with an active snapshot. Each row goes to sink; with HEADER, the first one is the header.
 * Errors: those of COPY.
 */
extern void kwj_export_copy(const char *source, const char *options, KwjRowSink sink, void *arg);

#endif
