/*
 * src/type/backup/digest.h
 *	  The SHA-256 of one text after the other.
 */
#ifndef KWJ_TYPE_BACKUP_DIGEST_H
#define KWJ_TYPE_BACKUP_DIGEST_H

#include "kwjobs.h"
#include "common/cryptohash.h"
#include "common/sha2.h"

/*
 * Begins the first text. The caller frees the result with pg_cryptohash_free() in the same transaction, because until
 * then it belongs to CurrentResourceOwner. Errors of all functions: XX000 if OpenSSL refuses.
 */
extern pg_cryptohash_ctx *kwj_digest_begin(void);

/* Adds a part of the present text. */
extern void kwj_digest_add(pg_cryptohash_ctx *hash, const char *part, size_t size);

/* Ends the present text, and begins the next one. digest: gets the SHA-256, PG_SHA256_DIGEST_LENGTH bytes. */
extern void kwj_digest_next(pg_cryptohash_ctx *hash, uint8 *digest);

#endif
