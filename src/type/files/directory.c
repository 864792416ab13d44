/*
 * src/type/files/directory.c
 *	  Directories on the server into which a job writes files, or from which it reads them.
 *
 * Callers: job types that write files (type/export, type/backup) or read them (type/import,
 * type/backup). Process: session (when a job is created), worker. Locks: none.
 *
 * With kwjobs.data_directories = '/data, /exports', this is how /exports/a/b is opened:
 *
 *     open("/exports")  ->  openat(it, "a", O_NOFOLLOW)  ->  openat(it, "b", O_NOFOLLOW)
 *
 * So there is no moment between a check of the path and its use. An administrator may name a
 * directory in the setting by a symbolic link; below it, links are refused.
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "job/test_gate.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "type/files/directory.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

/* COPY TO gives its files these, too: others may read them. */
#define FILE_MODE		(S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH)
#define DIRECTORY_MODE	(S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH)

#define OPEN_DIRECTORY	(O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* How deep directories are that kwj_directory_remove removes. */
#define MOST_DEPTH		8

#define READ_SIZE		8192

static char *data_directories;

/* ---- the setting ---- */

/* Returns the directories of a value of the setting as a list; false if it is no list. */
static bool
split(const char *value, List **directories)
{
	return SplitDirectoriesString(pstrdup(value), ',', directories);
}

static bool
check_setting(char **value, void **extra, GucSource source)
{
	List	   *directories;
	ListCell   *lc;

	if (*value == NULL)
		return true;
	if (!split(*value, &directories))
	{
		GUC_check_errdetail("It is not a list of directories, separated by commas.");
		GUC_check_errhint("Put a name that has a comma in it in double quotes.");
		return false;
	}
	foreach(lc, directories)
	{
		if (is_absolute_path((char *) lfirst(lc)))
			continue;
		GUC_check_errdetail("\"%s\" is not an absolute path.", (char *) lfirst(lc));
		GUC_check_errhint("Name absolute paths, for example '/srv/exports, /srv/imports'.");
		return false;
	}
	return true;
}

void
kwj_directories_define(void)
{
	DefineCustomStringVariable("kwjobs.data_directories",
							   "The directories in which jobs may read and write files.",
							   "Separated by commas. Empty: wherever COPY may.",
							   &data_directories, "",
							   PGC_SIGHUP, GUC_LIST_INPUT, check_setting, NULL, NULL);
}

/* ---- paths ---- */

/* Returns the rest of the path below the directory, without a slash before it; NULL: it is not in there. */
static const char *
below(const char *path, const char *directory)
{
	size_t		length = strlen(directory);

	if (strncmp(path, directory, length) != 0)
		return NULL;
	if (length > 0 && directory[length - 1] == '/')
		return path + length;	/* the root */
	if (path[length] == '\0')
		return path + length;
	return path[length] == '/' ? path + length + 1 : NULL;
}

/*
 * Returns the directory of the setting in which the path lies, and in *rest the path below it; NULL
 * if there is none.
 */
static char *
find_allowed(const char *path, const char **rest)
{
	List	   *directories;
	ListCell   *lc;

	if (!split(data_directories, &directories))
		return NULL;
	foreach(lc, directories)
	{
		*rest = below(path, lfirst(lc));
		if (*rest != NULL)
			return lfirst(lc);
	}
	return NULL;
}

bool
kwj_directories_are_limited(void)
{
	return data_directories != NULL && data_directories[strspn(data_directories, " \t")] != '\0';
}

/* Returns whether a part of the path is "..". */
static bool
has_parent_reference(const char *path)
{
	for (const char *part = strstr(path, ".."); part != NULL; part = strstr(part + 1, ".."))
		if ((part == path || part[-1] == '/') && (part[2] == '/' || part[2] == '\0'))
			return true;
	return false;
}

static void
check_is_absolute(const char *what, const char *path)
{
	if (path[0] == '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_NAME),
				errmsg("%s file path cannot be empty", what),
				errhint("Give the absolute path of a directory on the server."));
	if (strlen(path) >= MAXPGPATH)
		ereport(ERROR,
				errcode(ERRCODE_NAME_TOO_LONG),
				errmsg("%s path is too long: %zu bytes", what, strlen(path)),
				errhint("Give a path of fewer than %d bytes.", MAXPGPATH));
	if (strstr(path, "://") != NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot %s to \"%s\": files are written on the server", what, path),
				errhint("Give the absolute path of a directory on the server."));
	if (!is_absolute_path(path))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_NAME),
				errmsg("relative path \"%s\" not allowed for %s", path, what),
				errhint("Give the absolute path of a directory on the server."));
	if (has_parent_reference(path))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_NAME),
				errmsg("path \"%s\" of %s must not contain \"..\"", path, what),
				errhint("Give the path of the directory itself."));
}

char *
kwj_directory_check_path(const char *what, const char *path)
{
	char	   *clean = pstrdup(path);
	const char *rest;

	check_is_absolute(what, path);
	canonicalize_path(clean);
	if (kwj_directories_are_limited() && find_allowed(clean, &rest) == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("%s is not allowed in directory \"%s\"", what, clean),
				errdetail("It is in none of the directories of kwjobs.data_directories."),
				errhint("Choose a directory in one of %s, or have an administrator change the setting.",
						data_directories));
	return clean;
}

void
kwj_check_may_use_files(Oid role, const char *what, const char *otherwise)
{
	const char *name;

	if (has_privs_of_role(GetUserId(), role))
		return;
	name = GetUserNameFromId(role, false);
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied to %s", what),
			errdetail("Only superusers and roles with privileges of the role %s may do that.", name),
			errhint("Ask an administrator for: GRANT %s TO %s%s%s", name,
					quote_identifier(GetUserNameFromId(GetUserId(), false)), otherwise ? ". " : "",
					otherwise ? otherwise : ""));
}

char *
kwj_directory_parent(const char *path)
{
	char	   *parent = pstrdup(path);

	get_parent_directory(parent);
	return parent;
}

char *
kwj_directory_name_for(const char *name)
{
	StringInfoData result;

	initStringInfo(&result);
	for (const char *c = name; *c; c++)
	{
		if (*c == '/' || *c == '%' || (unsigned char) *c < ' ' || *c == 127 || (c == name && *c == '.') ||
			(IS_HIGHBIT_SET(*c) && GetDatabaseEncoding() != PG_UTF8))
			appendStringInfo(&result, "%%%02X", (unsigned char) *c);
		else
			appendStringInfoChar(&result, *c);
	}
	return result.data;
}

/* ---- open directories ---- */

KwjDirectoryId
kwj_directory_id(const struct stat *st)
{
	return (KwjDirectoryId) {.device = (int64) st->st_dev, .inode = (int64) st->st_ino};
}

bool
kwj_directory_is_same(KwjDirectoryId a, KwjDirectoryId b)
{
	return a.device == b.device && a.inode == b.inode;
}

static void
reserve_fd(void)
{
	if (!AcquireExternalFD())
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				errmsg("too many files are open: %m"),
				errhint("Raise max_files_per_process."));
}

/* Closes a descriptor for which reserve_fd was called, unless it is -1. arg points to it, and gets -1. */
static void
close_fd(void *arg)
{
	int		   *fd = arg;

	if (*fd < 0)
		return;
	(void) close(*fd);
	*fd = -1;
	ReleaseExternalFD();
}

/* Has CurrentMemoryContext close the descriptor, at the latest when it is reset or deleted. */
static void
close_with_context(MemoryContextCallback *callback, int *fd)
{
	callback->func = close_fd;
	callback->arg = fd;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
}

void
kwj_directory_close(KwjDirectory *directory)
{
	close_fd(&directory->fd);
}

/* Wraps an open directory, for which reserve_fd was called. */
static KwjDirectory *
make_directory(int fd, const char *path)
{
	KwjDirectory *directory = palloc0(sizeof(KwjDirectory));
	struct stat st;

	directory->fd = fd;
	directory->path = pstrdup(path);
	close_with_context(&directory->close, &directory->fd);
	if (fstat(fd, &st) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat file \"%s\": %m", path));
	directory->id = kwj_directory_id(&st);
	return directory;
}

static void
refuse_link(const char *path)
{
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("a part of the path \"%s\" is a symbolic link or no directory", path),
			errdetail("With kwjobs.data_directories set, symbolic links are not followed in these directories."),
			errhint("Give the path without the link."));
}

/* Raises the error of an open that has failed with the errno. */
static void
open_failed(const char *path, bool create, bool is_limited_path)
{
	int			saved = errno;
	struct stat st;

	if (is_limited_path && (saved == ELOOP || saved == ENOTDIR))
		refuse_link(path);
	if (saved == ENOTDIR && stat(path, &st) == 0)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a directory", path),
				errhint("Give the absolute path of a directory on the server."));
	errno = saved;
	ereport(ERROR,
			saved == ENAMETOOLONG ? errcode(ERRCODE_NAME_TOO_LONG) : errcode_for_file_access(),
			create ? errmsg("could not create directory \"%s\": %m", path) :
			errmsg("could not open directory \"%s\": %m", path),
			create ?
			errhint("The directory in which it lies must exist, and the operating system user of the server must be able to write to it.") :
			errhint("It must exist on the server's host, and the operating system user of the server must be able to read it, and for EXPORT and BACKUP to write to it."));
}

/* Returns the parts of a relative path. */
static List *
parts_of(const char *rest)
{
	List	   *parts = NIL;

	while (*rest)
	{
		size_t		length = strcspn(rest, "/");

		if (length > 0)
			parts = lappend(parts, pnstrdup(rest, length));
		rest += length + (rest[length] == '/' ? 1 : 0);
	}
	return parts;
}

/* Creates a directory that others may read, as COPY does with files. Sets errno if that fails. */
static bool
make_readable_directory(int fd, const char *name)
{
	mode_t		mask = umask(S_IWGRP | S_IWOTH);
	int			result = mkdirat(fd, name, DIRECTORY_MODE);

	(void) umask(mask);			/* never changes errno */
	return result == 0;
}

/*
 * Creates the directory in another one if it does not exist, and sets *created if it did not.
 * Returns false and errno if that fails.
 */
static bool
create_at(int fd, const char *name, bool *created)
{
	*created = make_readable_directory(fd, name);
	return *created || errno == EEXIST;
}

/* Opens a directory in another one, closes that, and returns the new one; -1 and errno if it fails. */
static int
step_into(int fd, const char *name, bool create, bool *created)
{
	int			next = -1;
	int			saved;

	if (!create || create_at(fd, name, created))
		next = openat(fd, name, OPEN_DIRECTORY | O_NOFOLLOW);
	saved = errno;
	(void) close(fd);
	errno = saved;
	return next;
}

/* Opens the path from one of the directories of the setting on. Returns -1 and errno if that fails. */
static int
open_limited(const char *path, bool create, bool *created)
{
	const char *rest;
	char	   *allowed = find_allowed(path, &rest);
	List	   *parts;
	ListCell   *lc;
	int			fd;

	Assert(allowed != NULL);	/* kwj_directory_check_path has looked */
	parts = parts_of(rest);
	fd = open(allowed, OPEN_DIRECTORY);
	foreach(lc, parts)
	{
		if (fd < 0)
			return -1;
		fd = step_into(fd, lfirst(lc), create && lnext(parts, lc) == NULL, created);
	}
	return fd;
}

/* Returns whether the directory is the server's data directory, or lies in it. */
static bool
is_in_data_directory(int fd)
{
	KwjDirectoryId data = {0};
	KwjDirectoryId last = {0};
	struct stat st;
	int			at = dup(fd);
	bool		result = false;

	if (stat(DataDir, &st) == 0)
		data = kwj_directory_id(&st);
	while (at >= 0 && fstat(at, &st) == 0)
	{
		KwjDirectoryId here = kwj_directory_id(&st);
		int			parent;

		result = kwj_directory_is_same(here, data);
		/* The parent of the root is the root. */
		if (result || kwj_directory_is_same(here, last))
			break;
		last = here;
		parent = openat(at, "..", OPEN_DIRECTORY);
		(void) close(at);
		at = parent;
	}
	if (at >= 0)
		(void) close(at);
	return result;
}

/*
 * Makes the name of a directory durable. An attempt that has died may have created it, so it does not
 * matter who did. The server may be able to create a directory in one that it cannot read.
 */
static void
sync_parent(const KwjDirectory *directory)
{
	int			parent = openat(directory->fd, "..", OPEN_DIRECTORY);
	int			result;
	int			saved;

	if (parent < 0 && errno == EACCES)
		return;
	result = parent < 0 ? -1 : pg_fsync(parent);
	saved = errno;
	if (parent >= 0)
		(void) close(parent);
	errno = saved;
	if (result != 0 && errno != EBADF && errno != EINVAL)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not fsync the directory of \"%s\": %m", directory->path));
}

KwjDirectory *
kwj_directory_open(const char *what, const char *path, bool create)
{
	char	   *clean = kwj_directory_check_path(what, path);
	KwjDirectory *directory;
	bool		created = false;
	int			fd;

	reserve_fd();
	if (kwj_directories_are_limited())
		fd = open_limited(clean, create, &created);
	else if (!create || create_at(AT_FDCWD, clean, &created))
		fd = open(clean, OPEN_DIRECTORY);
	else
		fd = -1;
	if (fd < 0)
	{
		ReleaseExternalFD();	/* never changes errno */
		open_failed(clean, create, kwj_directories_are_limited());
	}
	directory = make_directory(fd, clean);
	directory->is_created = created;
	if (create)
		sync_parent(directory);
	if (is_in_data_directory(fd))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("%s is not allowed in directory \"%s\"", what, clean),
				errdetail("It is in the data directory of the server."),
				errhint("Choose a directory outside of it."));
	return directory;
}

KwjDirectory *
kwj_directory_open_in(const KwjDirectory *directory, const char *name, bool create, bool missing_ok)
{
	char	   *path = psprintf("%s/%s", directory->path, name);
	bool		created;
	int			fd = -1;

	reserve_fd();
	if (!create || create_at(directory->fd, name, &created))
		fd = openat(directory->fd, name, OPEN_DIRECTORY | O_NOFOLLOW);
	if (fd >= 0)
		return make_directory(fd, path);
	ReleaseExternalFD();
	if (missing_ok && errno == ENOENT)
		return NULL;
	ereport(ERROR,
			errcode_for_file_access(),
			create ? errmsg("could not create directory \"%s\": %m", path) :
			errmsg("could not open directory \"%s\": %m", path),
			errhint("Do not change the directory while a job writes to it."));
}

static bool
is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

bool
kwj_directory_remove_itself(const KwjDirectory *directory)
{
	int			parent = openat(directory->fd, "..", OPEN_DIRECTORY);
	const char *name = strrchr(directory->path, '/') + 1;
	struct stat st;
	bool		result;

	if (parent < 0)
		return false;
	/* The name may belong to another directory by now. */
	result = fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		kwj_directory_is_same(kwj_directory_id(&st), directory->id) &&
		unlinkat(parent, name, AT_REMOVEDIR) == 0;
	(void) close(parent);
	return result;
}

/* Opens a stream of the names in an open directory; NULL and errno if that fails. */
static DIR *
open_names(int fd)
{
	int			own = openat(fd, ".", OPEN_DIRECTORY);
	DIR		   *names;
	int			saved;

	if (own < 0)
		return NULL;
	names = fdopendir(own);
	saved = errno;
	if (names == NULL)
		(void) close(own);
	errno = saved;
	return names;
}

int
kwj_compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

List *
kwj_directory_names(const KwjDirectory *directory)
{
	DIR		   *names = open_names(directory->fd);
	List	   *list = NIL;
	struct dirent *entry;
	int			saved;

	if (names == NULL)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read directory \"%s\": %m", directory->path));
	errno = 0;
	while ((entry = readdir(names)) != NULL)
	{
		if (!is_dot(entry->d_name))
			list = lappend(list, pstrdup(entry->d_name));
		errno = 0;
	}
	saved = errno;
	(void) closedir(names);
	errno = saved;
	if (errno != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read directory \"%s\": %m", directory->path));
	list_sort(list, kwj_compare_names);
	return list;
}

void
kwj_directory_check_writable(const KwjDirectory *directory)
{
	if (faccessat(directory->fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not write to directory \"%s\": %m", directory->path),
				errhint("The operating system user of the server must be able to write to it."));
}

bool
kwj_directory_has(const KwjDirectory *directory, const char *name)
{
	struct stat st;

	if (fstatat(directory->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	if (errno == ENOENT)
		return false;
	ereport(ERROR,
			errcode_for_file_access(),
			errmsg("could not stat file \"%s/%s\": %m", directory->path, name));
}

void
kwj_directory_sync(const KwjDirectory *directory)
{
	/* Some file systems cannot do that for directories (fsync_fname). */
	if (pg_fsync(directory->fd) != 0 && errno != EBADF && errno != EINVAL)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not fsync directory \"%s\": %m", directory->path));
}

static void
rename_entry(const KwjDirectory *from, const char *old_name, const KwjDirectory *to, const char *new_name)
{
	if (renameat(from->fd, old_name, to->fd, new_name) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not rename file \"%s/%s\" to \"%s/%s\": %m",
					   from->path, old_name, to->path, new_name));
}

void
kwj_directory_move(const KwjDirectory *from, const KwjDirectory *to, const char *name)
{
	if (kwj_directory_has(to, name))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_FILE),
				errmsg("file \"%s/%s\" already exists", to->path, name),
				errdetail("Somebody else has created it since the job began."),
				errhint("Do not change the directory while a job writes to it."));
	rename_entry(from, name, to, name);
}

void
kwj_directory_rename(const KwjDirectory *directory, const char *from, const char *to)
{
	rename_entry(directory, from, directory, to);
}

bool
kwj_directory_rename_new(const KwjDirectory *directory, const char *from, const char *to)
{
	/*
	 * link() fails if the name is taken, whereas rename() would replace what has it. On a file system without
	 * links, this process can only look first.
	 */
	if (linkat(directory->fd, from, directory->fd, to, 0) == 0)
	{
		if (unlinkat(directory->fd, from, 0) == 0)
			return true;
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not remove file \"%s/%s\": %m", directory->path, from));
	}
	if (errno == EEXIST || kwj_directory_has(directory, to))
		return false;
	rename_entry(directory, from, directory, to);
	return true;
}

static bool
remove_tree(int fd, const char *name, int depth)
{
	int			inside;
	DIR		   *names;
	struct dirent *entry;
	bool		all = true;

	if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
		return true;
	/* Linux says EISDIR for a directory, POSIX EPERM. */
	if ((errno != EISDIR && errno != EPERM) || depth == 0)
		return false;
	inside = openat(fd, name, OPEN_DIRECTORY | O_NOFOLLOW);
	if (inside < 0)
		return false;
	names = fdopendir(inside);
	if (names == NULL)
	{
		(void) close(inside);
		return false;
	}
	while ((entry = readdir(names)) != NULL)
		if (!is_dot(entry->d_name))
			all &= remove_tree(dirfd(names), entry->d_name, depth - 1);
	(void) closedir(names);
	return all && (unlinkat(fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT);
}

bool
kwj_directory_remove(int fd, const char *name)
{
	return remove_tree(fd, name, MOST_DEPTH);
}

/* ---- files ---- */

KwjOpenFile *
kwj_file_make(void)
{
	KwjOpenFile *file = palloc0(sizeof(KwjOpenFile));

	file->fd = -1;
	close_with_context(&file->close, &file->fd);
	return file;
}

bool
kwj_file_open_path(KwjOpenFile *file, const char *path, int flags)
{
	close_fd(&file->fd);
	reserve_fd();
	file->fd = open(path, flags | O_CLOEXEC);
	if (file->fd < 0)
		ReleaseExternalFD();	/* never changes errno */
	return file->fd >= 0;
}

KwjOpenFile *
kwj_file_open_in(const KwjDirectory *directory, const char *name, int flags)
{
	KwjOpenFile *file = kwj_file_make();
	mode_t		mask;

	reserve_fd();
	mask = umask(S_IWGRP | S_IWOTH);
	file->fd = openat(directory->fd, name, flags | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	(void) umask(mask);
	if (file->fd < 0)
	{
		ReleaseExternalFD();
		if (errno == ENOENT && !(flags & O_CREAT))
			return file;
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not open file \"%s/%s\": %m", directory->path, name),
				errhint("Do not change the directory while a job writes to it."));
	}
	return file;
}

void
kwj_file_close(KwjOpenFile *file, const char *name)
{
	int			fd = file->fd;

	if (fd < 0)
		return;
	file->fd = -1;
	ReleaseExternalFD();
	if (close(fd) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not close file \"%s\": %m", name));
}

void
kwj_file_write(const KwjOpenFile *file, const char *data, size_t size, const char *name)
{
	while (size > 0)
	{
		/* On a disk that becomes full, a part is written. */
		bool		is_fault = kwj_test_fault(4932);
		ssize_t		n;
		bool		is_full;

		errno = 0;
		pgstat_report_wait_start(WAIT_EVENT_COPY_FILE_WRITE);
		n = write(file->fd, data, is_fault ? (size + 1) / 2 : size);
		pgstat_report_wait_end();
		if (is_fault)
		{
			n = -1;
			errno = ENOSPC;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
		{
			/* If write didn't set errno, the disk is full, as PostgreSQL assumes, too. */
			if (errno == 0)
				errno = ENOSPC;
			is_full = errno == ENOSPC;
			ereport(ERROR,
					errcode_for_file_access(),
					errmsg("could not write to file \"%s\": %m", name),
					is_full ? errhint("Free some space, or name another directory.") : 0);
		}
		data += n;
		size -= n;
	}
}

void
kwj_file_sync_in(const KwjDirectory *directory, const char *name)
{
	KwjOpenFile *file = kwj_file_open_in(directory, name, O_RDWR);

	if (file->fd < 0 || pg_fsync(file->fd) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not fsync file \"%s/%s\": %m", directory->path, name),
				errhint("Look after the disk, or name another directory."));
	kwj_file_close(file, name);
}

size_t
kwj_file_read(const KwjOpenFile *file, char *buffer, size_t size, const KwjDirectory *directory, const char *name)
{
	ssize_t		n;

	pgstat_report_wait_start(WAIT_EVENT_COPY_FILE_READ);
	do
		n = read(file->fd, buffer, size);
	while (n < 0 && errno == EINTR);
	pgstat_report_wait_end();
	if (n < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read file \"%s/%s\": %m", directory->path, name));
	return n;
}

char *
kwj_file_read_in(const KwjDirectory *directory, const char *name)
{
	KwjOpenFile *file = kwj_file_open_in(directory, name, O_RDONLY | O_NONBLOCK);
	StringInfoData text;
	size_t		n;

	if (file->fd < 0)
		return NULL;
	initStringInfo(&text);
	do
	{
		enlargeStringInfo(&text, READ_SIZE);
		n = kwj_file_read(file, text.data + text.len, READ_SIZE, directory, name);
		text.len += n;
		text.data[text.len] = '\0';
	} while (n != 0);
	kwj_file_close(file, name);
	return text.data;
}

bool
kwj_file_find_allowed(const char *what, const char *path, KwjDirectoryId *id)
{
	char	   *clean = pstrdup(path);
	char	   *parent;
	const char *name;
	bool		created;
	struct stat st;
	int			fd;
	int			result;
	int			saved;

	if (!kwj_directories_are_limited())
		return false;
	check_is_absolute(what, path);
	canonicalize_path(clean);
	parent = kwj_directory_check_path(what, kwj_directory_parent(clean));
	name = strrchr(clean, '/') + 1;
	fd = open_limited(parent, false, &created);
	if (fd < 0)
		open_failed(parent, false, true);
	result = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW);
	saved = errno;
	(void) close(fd);
	errno = saved;
	if (result != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat file \"%s\": %m", clean),
				errhint("The file must exist on the server's host."));
	if (S_ISLNK(st.st_mode))
		refuse_link(clean);
	*id = kwj_directory_id(&st);
	return true;
}
