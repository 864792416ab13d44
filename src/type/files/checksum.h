/*
 * src/type/files/checksum.h
 *	  The checksum of a file, with the algorithms that pg_basebackup's manifests have.
 */
#ifndef KWJ_TYPE_FILES_CHECKSUM_H
#define KWJ_TYPE_FILES_CHECKSUM_H

#include "postgres.h"
#include "common/checksum_helper.h"

/*
 * Begins a checksum. The caller ends it by kwj_checksum_end in the same transaction, because until then
 * its state belongs to CurrentResourceOwner.
 */
extern void kwj_checksum_begin(pg_checksum_type type, pg_checksum_context *checksum);
extern void kwj_checksum_add(pg_checksum_context *checksum, const char *data, size_t size);

/* Returns the checksum in hexadecimal digits, palloc'd. */
extern char *kwj_checksum_end(pg_checksum_context *checksum);

#endif
