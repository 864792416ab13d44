/*
 * src/type/import/contents.c
 *	  Recognizes by its first bytes what a file holds.
 *
 * What type/source can uncompress comes here uncompressed. If it is compressed once more, it is refused.
 *
 * Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "type/import/contents.h"

typedef struct Kind
{
	const char *bytes;
	int			n;
	const char *name;
	const char *command;		/* turns the file into CSV text; NULL: IMPORT reads it WITH format = 'binary' */
} Kind;

#define KIND(bytes, name, command)	{(bytes), sizeof(bytes) - 1, (name), (command)}

/* The first one that fits counts, so a longer mark stands before a mark with which it begins. */
static const Kind kinds[] = {
	KIND("\x1f\x8b", "gzip", "gunzip"),
	KIND("\x1f\x9d", "compress", "uncompress"),
	KIND("\x28\xb5\x2f\xfd", "zstd", "unzstd"),
	KIND("\x04\x22\x4d\x18", "lz4", "unlz4"),
	KIND("\x02\x21\x4c\x18", "lz4", "unlz4"),
	KIND("BZh", "bzip2", "bunzip2"),
	KIND("\xfd" "7zXZ\0", "xz", "unxz"),
	KIND("7z\xbc\xaf\x27\x1c", "7z", "7z x"),
	KIND("LZIP\x01", "lzip", "lunzip"),
	KIND("\x5d\0\0", "lzma", "unlzma"),
	KIND("\xff\x06\0\0sNaPpY", "snappy", "snzip -d"),
	KIND("PK\x03\x04", "zip", "unzip"),
	KIND("PK\x05\x06", "zip", "unzip"),
	KIND("PK\x07\x08", "zip", "unzip"),
	KIND("\xff\xfe\0\0", "UTF-32", "iconv -f UTF-32 -t UTF-8"),
	KIND("\0\0\xfe\xff", "UTF-32", "iconv -f UTF-32 -t UTF-8"),
	KIND("\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
	KIND("\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
	KIND("PGCOPY\n\xff\r\n\0", "COPY BINARY", NULL),
};

/*
 * Returns whether a file that begins with BZh is a bzip2 file: then the size and one of two block
 * marks follow. A text may begin with BZh, too.
 */
static bool
is_bzip2(const char *head, ssize_t n)
{
	return n >= 10 && head[3] >= '1' && head[3] <= '9' &&
		(memcmp(head + 4, "\x31\x41\x59\x26\x53\x59", 6) == 0 ||
		 memcmp(head + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

static const Kind *
find_kind(const char *head, ssize_t n)
{
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (n >= kinds[i].n && memcmp(head, kinds[i].bytes, kinds[i].n) == 0 &&
			(strcmp(kinds[i].name, "bzip2") != 0 || is_bzip2(head, n)))
			return &kinds[i];
	}
	return NULL;
}

/*
 * Recognizes UTF-16 or UTF-32 without a byte order mark. If the first two characters are ASCII,
 * the other bytes of their units are zero, and no other text has zeros. Returns the encoding; NULL
 * if it is neither.
 */
static const char *
unmarked_encoding(const char *head, ssize_t n)
{
	static const struct
	{
		const char *zeros;		/* for the first bytes: whether each is zero */
		const char *name;
	}			forms[] = {
		{"01110111", "UTF-32LE"},
		{"11101110", "UTF-32BE"},
		{"0101", "UTF-16LE"},
		{"1010", "UTF-16BE"},
	};

	for (int i = 0; i < lengthof(forms); i++)
	{
		int			length = strlen(forms[i].zeros);
		int			k = 0;

		while (k < length && k < n && (head[k] == '\0') == (forms[i].zeros[k] == '1'))
			k++;
		if (k == length)
			return forms[i].name;
	}
	return NULL;
}

static void
refuse_encoding(const char *path, const char *name, const char *command)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("file \"%s\" is encoded in %s", path, name),
			errdetail("IMPORT reads files in the encodings that PostgreSQL has."),
			errhint("Convert it first: %s", command));
}

/* The mark says that the text is in UTF-8. */
static void
check_marked(const char *path, int charset)
{
	if (charset == PG_UTF8 || charset == PG_SQL_ASCII)
		return;
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("file \"%s\" is encoded in UTF-8", path),
			errdetail("It begins with a byte order mark, but is to be read as %s.", pg_encoding_to_char(charset)),
			errhint("Leave the option charset out for this file."));
}

static void
check_kind(const char *path, const char *head, ssize_t n, bool is_binary)
{
	const Kind *kind = find_kind(head, n);
	const char *encoding = unmarked_encoding(head, n);

	if (encoding != NULL)
		refuse_encoding(path, encoding, psprintf("iconv -f %s -t UTF-8", encoding));
	if (kind == NULL)
		return;
	if (strncmp(kind->name, "UTF", 3) == 0)
		refuse_encoding(path, kind->name, kind->command);
	if (kind->command == NULL && is_binary)
		return;
	if (kind->command == NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("file \"%s\" was written by %s", path, kind->name),
				errdetail("Without the option format, IMPORT reads CSV files."),
				errhint("Type WITH format = 'binary'."));
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("file \"%s\" is compressed (%s)", path, kind->name),
			errdetail("IMPORT reads text, and what is compressed once with gzip, lz4 or zstd."),
			errhint("Uncompress it first: %s", kind->command));
}

int64
kwj_import_check_contents(const char *path, const char *head, size_t n, const KwjImportOptions *options)
{
	check_kind(path, head, n, options->format == KWJ_IMPORT_BINARY);
	if (n < 3 || memcmp(head, "\xef\xbb\xbf", 3) != 0)
		return 0;
	check_marked(path, options->charset);
	return 3;
}
