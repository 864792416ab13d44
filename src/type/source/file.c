/*
 * src/type/source/file.c
 *	  A file of the server as the source of an IMPORT.
 *
 * A job opens the file anew in each batch, so that each batch looks anew which file the path means,
 * and whether the job may read it.
 *
 * Callers: source.c. Process: session, worker. Locks: none.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "type/files/directory.h"
#include "type/source/kind.h"

#ifdef __APPLE__
#define st_mtim st_mtimespec
#endif

static bool
is_location(const char *location)
{
	return is_absolute_path(location);
}

/* Refuses a pipe or a device, because it cannot be read again from an offset. */
static void
refuse_special_file(const char *path)
{
	ereport(ERROR,
			errcode(ERRCODE_WRONG_OBJECT_TYPE),
			errmsg("\"%s\" is not a regular file", path),
			errdetail("An IMPORT must be able to go on reading at an offset after a pause or a crash."),
			errhint("Save the data as a file first."));
}

/* Files of /proc have size 0, for instance. */
static void
check_empty_file(int fd, const char *path)
{
	char		byte;

	if (pg_pread(fd, &byte, 1, 0) > 0)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("file \"%s\" has size 0 but is not empty", path),
				errdetail("An IMPORT must be able to go on reading at an offset after a pause or a crash."),
				errhint("Copy it to an ordinary file first."));
}

/* Opens the path, and closes what was open before. Does not look at what it is yet. */
static void
open_path(KwjOpenFile *file, const char *path)
{
	/* If there is a pipe by now, O_NONBLOCK keeps the open from waiting for its writer. */
	if (!kwj_file_open_path(file, path, O_RDONLY | O_NONBLOCK))
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not open file \"%s\" for reading: %m", path),
				errhint("IMPORT has the server process read a file: it must exist on the server's host and be readable by the operating system user of the server."));
}

static KwjSourceIdentity
identity_of(const struct stat *st)
{
	KwjSourceIdentity identity;

	identity.size = st->st_size;
	identity.mtime = (int64) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	identity.inode = (int64) st->st_ino;
	return identity;
}

static void
stat_file(const KwjSource *source, struct stat *st)
{
	const KwjOpenFile *file = source->place;

	if (fstat(file->fd, st) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat file \"%s\": %m", source->name));
}

static void
open_again(KwjSource *source)
{
	const char *path = source->location;
	KwjOpenFile *file = source->place;
	struct stat st;
	KwjDirectoryId id;
	/* Before any look at the file: whether it exists in another directory is nobody's business. */
	bool		is_limited = kwj_file_find_allowed("IMPORT", path, &id);

	/* This finds a pipe without opening it, which its writer would notice. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		refuse_special_file(path);
	open_path(file, path);
	stat_file(source, &st);
	/* Somebody may have put a link in its place since the check. */
	if (is_limited && !kwj_directory_is_same(kwj_directory_id(&st), id))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("file \"%s\" was replaced while it was opened", path),
				errhint("Do not change the file while a job reads it."));
	if (S_ISDIR(st.st_mode))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is a directory", path),
				errhint("List the files to import, or give a pattern such as '/data/*.csv'."));
	if (!S_ISREG(st.st_mode))
		refuse_special_file(path);
	if (st.st_size == 0)
		check_empty_file(file->fd, path);
	source->identity = identity_of(&st);
}

static void
open_file(KwjSource *source)
{
	source->place = kwj_file_make();
	open_again(source);
}

static void
look(KwjSource *source, bool thoroughly)
{
	struct stat st;

	stat_file(source, &st);
	source->identity = identity_of(&st);
}

static size_t
read_file(KwjSource *source, char *buffer, size_t size, int64 offset)
{
	const KwjOpenFile *file = source->place;
	ssize_t		n;

	/* Read no more than this, even if the file has grown; the reader checks its size later. */
	if (offset >= source->identity.size)
		return 0;
	size = Min((int64) size, source->identity.size - offset);
	n = pg_pread(file->fd, buffer, size, offset);
	if (n < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read file \"%s\": %m", source->name));
	if (n == 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("file \"%s\" was truncated while it was being imported", source->name),
				errhint("Import the file again; what this job had imported is removed."));
	return n;
}

static size_t
try_to_read(KwjSource *source, char *buffer, size_t size, int64 offset)
{
	const KwjOpenFile *file = source->place;
	ssize_t		n = pg_pread(file->fd, buffer, size, offset);

	return Max(n, 0);
}

const KwjSourceKind kwj_source_file = {
	.is_location = is_location,
	.open = open_file,
	.open_again = open_again,
	.look = look,
	.read = read_file,
	.try_to_read = try_to_read,
	.mtime_name = "modification time",
	.inode_name = "inode",
};
