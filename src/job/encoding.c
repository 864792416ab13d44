/*
 * src/job/encoding.c
 *	  Texts of other databases, which may have another encoding.
 *
 * Process: sessions. Locks: only for catalog reads.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "job/encoding.h"
#include "mb/pg_wchar.h"

char *
kwj_text_from_encoding(const char *from_text, int from)
{
	int			to = GetDatabaseEncoding();
	unsigned char *text = (unsigned char *) pstrdup(from_text);
	int			len = strlen(from_text);
	Size		room = (Size) len * MAX_CONVERSION_GROWTH + MAX_CONVERSION_GROWTH + 1;
	unsigned char *result;
	int			used = 0;
	Oid			conversion;
	int			done = 0;

	/* If the other database does not know its encoding, the bytes may be valid in this one's. */
	if (from == to || to == PG_SQL_ASCII ||
		(from == PG_SQL_ASCII && pg_verify_mbstr(to, from_text, len, true)))
		return (char *) text;
	result = palloc0(room);
	conversion = from == PG_SQL_ASCII ? InvalidOid : FindDefaultConversionProc(from, to);
	while (done < len)
	{
		if (OidIsValid(conversion))
			done += pg_do_encoding_conversion_buf(conversion, from, to, text + done, len - done,
												  result + used, room - used, true);
		used += strlen((char *) result + used);
		if (done == len)
			break;
		/* ASCII is the same in all encodings that a database can have. */
		result[used] = IS_HIGHBIT_SET(text[done]) ? '?' : text[done];
		result[++used] = '\0';
		done += pg_encoding_mblen(from, (char *) text + done);
	}
	return (char *) result;
}
