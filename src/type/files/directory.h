/*
 * src/type/files/directory.h
 *	  Directories on the server into which a job writes files, or from which it reads them.
 *
 * A directory is opened once, and everything in it is reached through the open directory, never
 * again by its path. So it stays the one that was checked, even if somebody puts a symbolic link in
 * its place.
 */
#ifndef KWJ_TYPE_FILES_DIRECTORY_H
#define KWJ_TYPE_FILES_DIRECTORY_H

#include "postgres.h"
#include "nodes/pg_list.h"

struct stat;

/* Which file or directory of the operating system it is. */
typedef struct KwjDirectoryId
{
	int64		device;
	int64		inode;
} KwjDirectoryId;

extern KwjDirectoryId kwj_directory_id(const struct stat *st);
extern bool kwj_directory_is_same(KwjDirectoryId a, KwjDirectoryId b);

/* An open directory. It is closed with the memory context in which it was opened, at the latest. */
typedef struct KwjDirectory
{
	int			fd;
	char	   *path;			/* for messages only */
	KwjDirectoryId id;
	bool		is_created;		/* kwj_directory_open has created it */
	MemoryContextCallback close;
} KwjDirectory;

/*
 * Checks a path without a look at the file system: it has to be absolute, of a bounded length, and,
 * if kwjobs.data_directories is set, in one of these directories. what: the statement, such as
 * "EXPORT". Returns the path without superfluous slashes, palloc'd. Errors: 42602, 22023, 42501, each with a hint.
 */
extern char *kwj_directory_check_path(const char *what, const char *path);

/*
 * Checks that the current user may have the server read or write files. role: ROLE_PG_READ_SERVER_FILES or
 * ROLE_PG_WRITE_SERVER_FILES, whose privileges that needs. what: what needs it, for the message, as in
 * "EXPORT to a file of the server". otherwise: a sentence that follows the hint, and says what to do without
 * that right; NULL: none. Errors: 42501, with a hint.
 */
extern void kwj_check_may_use_files(Oid role, const char *what, const char *otherwise);

/* Returns the absolute path, palloc'd, of the directory in which this absolute path lies; "/" for "/". */
extern char *kwj_directory_parent(const char *path);

/*
 * Opens the directory in CurrentMemoryContext. create: creates it, but not the one in which it lies,
 * if it does not exist. If kwjobs.data_directories is set, no symbolic link is followed below these
 * directories. Errors: those of kwj_directory_check_path; 58P01, 42809 and others of the file
 * system; 42501 if it lies in the server's own data directory.
 */
extern KwjDirectory *kwj_directory_open(const char *what, const char *path, bool create);

/*
 * Opens a directory in another one, in CurrentMemoryContext. create: creates it first; the caller makes its
 * name durable (kwj_directory_sync). No symbolic link is followed. missing_ok: returns NULL if it does not exist. Errors: of the file system.
 */
extern KwjDirectory *kwj_directory_open_in(const KwjDirectory *directory, const char *name, bool create,
										   bool missing_ok);

extern void kwj_directory_close(KwjDirectory *directory);

/* Returns the names in the directory, without "." and "..", as a list of palloc'd strings, sorted by bytes. */
extern List *kwj_directory_names(const KwjDirectory *directory);

/* Compares two names (char *) by their bytes, for list_sort. */
extern int	kwj_compare_names(const ListCell *a, const ListCell *b);

/*
 * How the name of a file or directory ends, as a format for the job's id, as long as the job writes it. When
 * that is complete, the job gives it its own name.
 */
#define KWJ_NAME_ASIDE	".kwjobs-" INT64_FORMAT

/* Checks that the server can create files in the directory. Errors: of the file system, with a hint. */
extern void kwj_directory_check_writable(const KwjDirectory *directory);

/* Returns whether the directory has an entry of this name, of whatever kind. */
extern bool kwj_directory_has(const KwjDirectory *directory, const char *name);

/* Makes the names in the directory durable. */
extern void kwj_directory_sync(const KwjDirectory *directory);

/*
 * Moves an entry of a directory into another one, unless that has one of this name. Errors: 58P02 if
 * it has; of the file system.
 */
extern void kwj_directory_move(const KwjDirectory *from, const KwjDirectory *to, const char *name);

/* Renames an entry within the directory. Errors: of the file system. */
extern void kwj_directory_rename(const KwjDirectory *directory, const char *from, const char *to);

/*
 * Renames a file within the directory. Returns false, and does nothing, if there is an entry of the new
 * name. Errors: of the file system.
 */
extern bool kwj_directory_rename_new(const KwjDirectory *directory, const char *from, const char *to);

/*
 * Removes an entry with all that is in it, follows no symbolic link, and raises no error, so that it
 * can be called after one. Returns false, and sets errno, if something is left.
 */
extern bool kwj_directory_remove(int fd, const char *name);

/* Removes the directory itself if it is empty. Returns whether it did; raises no error. */
extern bool kwj_directory_remove_itself(const KwjDirectory *directory);

/*
 * Returns the name as that of a single file: "/", "%", control characters and a first "." become %XX.
 * So do all other than ASCII characters, unless the database is in UTF-8, because the names of files
 * have no encoding.
 */
extern char *kwj_directory_name_for(const char *name);

/* A file that may be open. It is closed with the memory context in which it was made, at the latest. */
typedef struct KwjOpenFile
{
	int			fd;				/* -1: it is closed */
	MemoryContextCallback close;
} KwjOpenFile;

/* Returns a KwjOpenFile, in CurrentMemoryContext, that has nothing open yet. */
extern KwjOpenFile *kwj_file_make(void);

/*
 * Closes what this KwjOpenFile has open, and opens the file at the path, which must exist, in its place;
 * follows symbolic links. Returns false, and sets errno, if it cannot be opened. Errors: 53000 if too many
 * files are open.
 */
extern bool kwj_file_open_path(KwjOpenFile *file, const char *path, int flags);

/*
 * Opens the file of this name in the directory. Never follows a symbolic link. Returns the open file, in
 * CurrentMemoryContext; its fd is -1 if there is no such file and flags do not say to create it. Errors: of
 * the file system.
 */
extern KwjOpenFile *kwj_file_open_in(const KwjDirectory *directory, const char *name, int flags);

/*
 * Returns what is in a file of the directory, palloc'd, with a NUL behind it; NULL if there is no such
 * file. Errors: of the file system.
 */
extern char *kwj_file_read_in(const KwjDirectory *directory, const char *name);

/* Closes the file. Errors: of the file system; name is for them. */
extern void kwj_file_close(KwjOpenFile *file, const char *name);

/*
 * Reads the next part of a file of the directory. Returns how many bytes came, at most size; 0: the file ends here.
 * Errors: of the file system; name is for them.
 */
extern size_t kwj_file_read(const KwjOpenFile *file, char *buffer, size_t size, const KwjDirectory *directory,
							const char *name);

/* Writes all of it. Errors: 53100 if the disk is full, and others of the file system. */
extern void kwj_file_write(const KwjOpenFile *file, const char *data, size_t size, const char *name);

/* Makes what is in a file of the directory durable. Errors: of the file system. */
extern void kwj_file_sync_in(const KwjDirectory *directory, const char *name);

/*
 * If kwjobs.data_directories is set, checks that the file, which a job is to read, lies in one of
 * these directories and can be reached without a symbolic link below it, sets *id, and returns true.
 * Returns false, and checks nothing, if it is not set. The caller compares *id with the file that it
 * opens. what: the statement. Errors: those of kwj_directory_check_path; of the file system.
 */
extern bool kwj_file_find_allowed(const char *what, const char *path, KwjDirectoryId *id);

/* Returns whether kwjobs.data_directories is set. */
extern bool kwj_directories_are_limited(void);

/* Defines kwjobs.data_directories. _PG_init calls this. */
extern void kwj_directories_define(void);

#endif
