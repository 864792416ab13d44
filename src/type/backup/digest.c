/*
 * src/type/backup/digest.c
 *	  The SHA-256 of one text after the other.
 *
 * Callers: rows.c computes the SHA-256 of each row of a dump, script.c that of each statement. There may be
 * millions of them, so they use one context for all texts, and need not create one for each.
 * Process: worker. Locks: none.
 */
#include "postgres.h"

#include "compat.h"
#include "type/backup/digest.h"

pg_noreturn static void
fail(pg_cryptohash_ctx *hash)
{
	ereport(ERROR,
			errcode(ERRCODE_INTERNAL_ERROR),
			errmsg("could not compute a checksum: %s", kwj_cryptohash_error(hash)));
}

pg_cryptohash_ctx *
kwj_digest_begin(void)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (hash == NULL || pg_cryptohash_init(hash) < 0)
		fail(hash);
	return hash;
}

void
kwj_digest_add(pg_cryptohash_ctx *hash, const char *part, size_t size)
{
	if (pg_cryptohash_update(hash, (const uint8 *) part, size) < 0)
		fail(hash);
}

void
kwj_digest_next(pg_cryptohash_ctx *hash, uint8 *digest)
{
	if (pg_cryptohash_final(hash, digest, PG_SHA256_DIGEST_LENGTH) < 0 || pg_cryptohash_init(hash) < 0)
		fail(hash);
}
