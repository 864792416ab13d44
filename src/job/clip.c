/*
 * src/job/clip.c
 *	  The most bytes of a text that a job's run produces and that is stored with the job, and of a
 *	  text that is quoted in a message.
 *
 * Process: any. Locks: none.
 */
#include "postgres.h"

#include "job/clip.h"
#include "mb/pg_wchar.h"

/* The note at the end of a clipped text takes at most this many bytes. */
#define MARK_SIZE	48

const char *
kwj_clip_text(const char *text)
{
	size_t		size;
	int			kept;

	if (text == NULL || strnlen(text, KWJ_TEXT_LIMIT + 1) <= KWJ_TEXT_LIMIT)
		return text;
	size = strlen(text);
	kept = pg_mbcliplen(text, KWJ_TEXT_LIMIT, KWJ_TEXT_LIMIT - MARK_SIZE);
	return psprintf("%.*s ... (%zu more bytes)", kept, text, size - kept);
}

void
kwj_append_quoted(StringInfo into, const char *text, int most)
{
	int			line = (int) strcspn(text, "\r\n");
	int			kept = pg_mbcliplen(text, line, most);
	char	   *quoted;

	appendBinaryStringInfo(into, text, kept);
	quoted = into->data + into->len - kept;
	for (int i = 0; i < kept; i++)
		if ((unsigned char) quoted[i] < ' ' || quoted[i] == 0x7f)
			quoted[i] = ' ';
	if (text[kept] != '\0')
		appendStringInfoString(into, " ...");
}

char *
kwj_quoted(const char *text, int most)
{
	StringInfoData quoted;

	initStringInfo(&quoted);
	kwj_append_quoted(&quoted, text, most);
	return quoted.data;
}

void
kwj_copy_clipped(char *to, Size size, const char *from)
{
	int			length = from != NULL ? pg_mbcliplen(from, strlen(from), (int) size - 1) : 0;

	if (length > 0)
		memcpy(to, from, length);
	to[length] = '\0';
}

void
kwj_make_valid(char *text, int length)
{
	int			encoding = GetDatabaseEncoding();

	while (length > 0)
	{
		int			valid = pg_encoding_verifymbstr(encoding, text, length);

		if (valid >= length)
			return;
		text[valid] = '?';
		text += valid + 1;
		length -= valid + 1;
	}
}

int
kwj_whole_characters(const char *text, int length)
{
	int			encoding = GetDatabaseEncoding();
	int			valid = pg_encoding_verifymbstr(encoding, text, length);

	return length - valid < pg_encoding_max_length(encoding) ? valid : length;
}
