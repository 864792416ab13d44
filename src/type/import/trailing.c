/*
 * src/type/import/trailing.c
 *	  A delimiter that follows the last field of a record: the option trailing_delimiter.
 *
 *      1,one,        COPY takes what follows the last delimiter for a third field, "extra data"
 *      2,two,
 *
 * If a record of n fields has n delimiters, and nothing follows the last of them, that delimiter is
 * left out of what COPY gets. Any other record is handed on as it is, so one without a delimiter at
 * its end loses nothing, also if its last field is empty. Offsets and lines are those of the file.
 *
 * Caller: reader.c. Process: worker. Locks: none.
 */
#include "postgres.h"

#include "type/import/trailing.h"

void
kwj_trailing_init(KwjTrailing *trailing, const KwjImportOptions *options)
{
	memset(trailing, 0, sizeof(*trailing));
	kwj_csv_scan_init(&trailing->scan, options, KWJ_LINE_END_UNKNOWN);
	trailing->delimiter = options->delimiter;
	trailing->fields = options->fields;
}

int
kwj_trailing_held(const KwjTrailing *trailing)
{
	return trailing->held ? 1 : 0;
}

int
kwj_trailing_filter(KwjTrailing *trailing, char *buffer, int n)
{
	const char *in = buffer + kwj_trailing_held(trailing);
	const char *end = in + n;
	char	   *out = buffer;

	while (in < end)
	{
		char		c = *in++;
		bool		plain = kwj_csv_scan_byte(&trailing->scan, c) && !trailing->scan.in_field;

		if (plain && (c == '\n' || c == '\r'))
			trailing->seen = 0;
		else if (trailing->held)
			*out++ = trailing->delimiter;
		trailing->held = false;
		if (plain && c == trailing->delimiter && ++trailing->seen == trailing->fields)
			trailing->held = true;
		else
			*out++ = c;
	}
	return out - buffer;
}
