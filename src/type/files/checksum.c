/*
 * src/type/files/checksum.c
 *	  The checksum of a file, with the algorithms that pg_basebackup's manifests have.
 *
 * Callers: type/export, type/import, type/backup. Process: worker. Locks: none.
 */
#include "postgres.h"

#include "type/files/checksum.h"
#include "utils/builtins.h"

void
kwj_checksum_begin(pg_checksum_type type, pg_checksum_context *checksum)
{
	if (pg_checksum_init(checksum, type) < 0)
		elog(ERROR, "could not initialize a checksum");
}

void
kwj_checksum_add(pg_checksum_context *checksum, const char *data, size_t size)
{
	if (pg_checksum_update(checksum, (const uint8 *) data, size) < 0)
		elog(ERROR, "could not update a checksum");
}

char *
kwj_checksum_end(pg_checksum_context *checksum)
{
	uint8		bytes[PG_CHECKSUM_MAX_LENGTH];
	int			size = pg_checksum_final(checksum, bytes);
	char	   *text;

	if (size < 0)
		elog(ERROR, "could not finalize a checksum");
	text = palloc(2 * size + 1);
	(void) hex_encode((const char *) bytes, size, text);
	text[2 * size] = '\0';
	return text;
}
