/*
 * src/type/import/patterns.c
 *	  Patterns among the files of an IMPORT, such as /data/part-*.csv.
 *
 * Callers: validate.c. The pattern is expanded once, when the job is created: the job stores and
 * shows the files, so it imports the same ones in every attempt, whatever comes into the directory
 * later.
 *
 *      /data/20??/part-*.csv
 *      |    |    |
 *      |    |    each name in /data/2025, /data/2026: a regular file that matches is taken
 *      |    each name in /data that matches, if it is a directory
 *      without *, ? and [, a part of the path is taken as it is
 *
 * fnmatch compares a name with a part of the path, so * never matches a slash, nor a dot at the
 * start of a name. The session keeps nothing but the matches, so a large directory costs time only,
 * and a cancel interrupts it.
 *
 * If kwjobs.data_directories is set, a pattern must lie in these directories, and no symbolic link is
 * followed below them. So nobody learns the names of other files.
 *
 * If the server may not look at a directory or a match, the session raises an error, so that no file
 * is left out unnoticed. What is no regular file, or vanishes meanwhile, does not match.
 *
 * Process: session. Locks: none.
 */
#include "postgres.h"

#include <fnmatch.h>
#include <sys/stat.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "type/files/directory.h"
#include "type/import/patterns.h"

/* At most this many files may match, all patterns of an IMPORT together. */
#define MOST_MATCHES	10000

/* The expansion of a pattern. */
typedef struct Expansion
{
	const char *pattern;
	StringInfoData path;		/* the place in the file system that it has come to */
	List	   *matches;		/* char * */
	int			room;			/* how many may still be added */
	bool		is_limited;		/* kwjobs.data_directories is set */
} Expansion;

static void expand_rest(Expansion *expansion, const char *rest);

/* Returns whether one of these n characters makes a pattern of a name. */
static bool
has_wildcard(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strchr("*?[", text[i]) != NULL)
			return true;
	return false;
}

/* Returns the length of the path before the first part that has a wildcard: the directory to look at first. */
static size_t
length_of_start(const char *pattern)
{
	size_t		length = strcspn(pattern, "*?[");

	while (pattern[length] != '/')
		length--;
	return length;
}

/*
 * Refuses a pattern that does not lie in the directories of kwjobs.data_directories, before anything
 * is looked at there.
 */
static void
check_is_allowed(const char *pattern)
{
	char	   *parent = pnstrdup(pattern, strrchr(pattern, '/') - pattern);
	char	   *start = pnstrdup(pattern, length_of_start(pattern));

	(void) kwj_directory_check_path("IMPORT", parent[0] ? parent : "/");
	kwj_directory_close(kwj_directory_open("IMPORT", start[0] ? start : "/", false));
}

static bool
is_pattern(const char *file)
{
	struct stat st;

	if (!is_absolute_path(file) || !has_wildcard(file, strlen(file)))
		return false;
	if (kwj_directories_are_limited())
		check_is_allowed(file);
	/* If the place of such a file cannot be looked at, opening the file says why. */
	return lstat(file, &st) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG);
}

/*
 * Returns the type of what is at the path, as in st_mode; 0 if there is nothing, or a symbolic link
 * that leads nowhere. Follows a symbolic link unless directories are limited.
 */
static mode_t
type_of(const Expansion *expansion)
{
	const char *path = expansion->path.data;
	struct stat st;

	if ((expansion->is_limited ? lstat(path, &st) : stat(path, &st)) == 0)
		return st.st_mode & S_IFMT;
	if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat file \"%s\": %m", path),
				errhint("The operating system user of the server must be able to look at what matches."));
	return 0;
}

static void
refuse_encoding(const Expansion *expansion)
{
	ereport(ERROR,
			errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
			errmsg("a file that \"%s\" matches has a name that is not text in encoding \"%s\"",
				   expansion->pattern, GetDatabaseEncodingName()),
			errhint("Rename the file, or give a pattern that does not match it."));
}

static void
add_match(Expansion *expansion)
{
	if (expansion->room-- == 0)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("too many files match"),
				errdetail("The patterns of an IMPORT may match %d files altogether, and with \"%s\" they match more.",
						  MOST_MATCHES, expansion->pattern),
				errhint("Import them by several jobs, each with a pattern that matches fewer of them."));
	expansion->matches = lappend(expansion->matches, pstrdup(expansion->path.data));
}

/* Goes on with an entry of the directory that the path names, if the pattern goes on there. */
static void
expand_entry(Expansion *expansion, const char *name, const char *rest)
{
	int			length = expansion->path.len;
	mode_t		type;

	appendStringInfoString(&expansion->path, name);
	type = type_of(expansion);
	/* Links that are not followed come here, too: opening the file or directory refuses them. */
	if (S_ISLNK(type) && *rest != '\0')
		kwj_directory_close(kwj_directory_open("IMPORT", expansion->path.data, false));
	if (S_ISLNK(type) || (*rest == '\0' && S_ISREG(type)) || (*rest != '\0' && S_ISDIR(type)))
	{
		if (!pg_verify_mbstr(GetDatabaseEncoding(), name, strlen(name), true))
			refuse_encoding(expansion);
		expand_rest(expansion, rest);
	}
	expansion->path.len = length;
	expansion->path.data[length] = '\0';
}

static void
refuse_any_depth(const char *part)
{
	if (strcmp(part, "**") == 0)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("\"**\" is not supported in the path of a file to import"),
				errhint("Give a pattern for each depth: /data/*.csv, /data/*/*.csv."));
}

/* Checks that the directory is the one that kwjobs.data_directories lets a job read. */
static void
check_directory(DIR *directory, const char *path)
{
	KwjDirectory *allowed = kwj_directory_open("IMPORT", path, false);
	struct stat st;

	if (fstat(dirfd(directory), &st) != 0 || !kwj_directory_is_same(kwj_directory_id(&st), allowed->id))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("directory \"%s\" was replaced while it was opened", path),
				errhint("Do not change the directory while a job is created."));
	kwj_directory_close(allowed);
}

/* Goes on with each entry of the directory whose name matches this part of the pattern. */
static void
expand_directory(Expansion *expansion, const char *part, const char *rest)
{
	DIR		   *directory;
	struct dirent *entry;

	refuse_any_depth(part);
	directory = AllocateDir(expansion->path.data);
	if (directory == NULL)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not open directory \"%s\": %m", expansion->path.data),
				errhint("To expand a pattern, the operating system user of the server must be able to read the directory."));
	if (expansion->is_limited)
		check_directory(directory, expansion->path.data);
	while ((entry = ReadDir(directory, expansion->path.data)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		switch (fnmatch(part, entry->d_name, FNM_PERIOD))
		{
			case 0:
				expand_entry(expansion, entry->d_name, rest);
				break;
			case FNM_NOMATCH:
				break;
			default:			/* fnmatch cannot read the name in this encoding */
				refuse_encoding(expansion);
		}
	}
	FreeDir(directory);
}

/* Adds what matches the rest of the pattern at the path. */
static void
expand_rest(Expansion *expansion, const char *rest)
{
	StringInfo	path = &expansion->path;
	int			before = path->len;
	size_t		slashes = strspn(rest, "/");
	size_t		length = strcspn(rest + slashes, "/");
	const char *part = rest + slashes;

	check_stack_depth();
	if (*rest == '\0')
	{
		add_match(expansion);
		return;
	}
	if (slashes > 0)
		appendStringInfoChar(path, '/');
	if (length > 0)
	{
		char	   *text = pnstrdup(part, length);

		if (has_wildcard(part, length))
			expand_directory(expansion, text, part + length);
		else
			expand_entry(expansion, text, part + length);
		pfree(text);
	}
	path->len = before;
	path->data[before] = '\0';
}

/* Returns what matches. room: the most files that it may return. */
static List *
expand(const char *pattern, int room)
{
	Expansion	expansion = {.pattern = pattern, .room = room, .is_limited = kwj_directories_are_limited()};
	size_t		start = length_of_start(pattern);

	if (strlen(pattern) >= MAXPGPATH)
		ereport(ERROR,
				errcode(ERRCODE_NAME_TOO_LONG),
				errmsg("path of a file to import is too long: %zu bytes", strlen(pattern)),
				errhint("Give a path of fewer than %d bytes.", MAXPGPATH));
	initStringInfo(&expansion.path);
	appendBinaryStringInfo(&expansion.path, pattern, start);
	expand_rest(&expansion, pattern + start);
	if (expansion.matches == NIL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FILE),
				errmsg("no file matches \"%s\"", pattern),
				errdetail("There is no file of this name either. Only regular files match."),
				errhint("In a path, * stands for any characters, ? for one, and [...] for one of these; names that begin with a dot match only a pattern that does."));
	list_sort(expansion.matches, kwj_compare_names);
	pfree(expansion.path.data);
	return expansion.matches;
}

List *
kwj_import_expand_patterns(List *files)
{
	List	   *expanded = NIL;
	int			room = MOST_MATCHES;
	ListCell   *lc;

	foreach(lc, files)
	{
		char	   *file = lfirst(lc);
		List	   *matches;

		if (!is_pattern(file))
		{
			expanded = lappend(expanded, file);
			continue;
		}
		matches = expand(file, room);
		room -= list_length(matches);
		expanded = list_concat(expanded, matches);
	}
	return expanded;
}
