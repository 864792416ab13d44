/*
 * src/type/backup/manifest.h
 *	  The manifest of a backup: what it holds, and the size and checksum of each of its files.
 */
#ifndef KWJ_TYPE_BACKUP_MANIFEST_H
#define KWJ_TYPE_BACKUP_MANIFEST_H

#include "job/progress.h"
#include "nodes/pg_list.h"
#include "type/files/directory.h"
#include "utils/timestamp.h"

#define KWJ_MANIFEST	"manifest.json"

/*
 * How a backup was verified when it was made, and values of the option verify: all of it was read back; it was
 * also restored, and compared; or without owners, rights and publications.
 */
#define KWJ_VERIFIED_READ		"read"
#define KWJ_VERIFIED_RESTORE	"restore"
#define KWJ_VERIFIED_NO_OWNER	"restore_no_owner"

/* The digits of a SHA-256. */
#define KWJ_CHECKSUM_LEN	64

typedef struct KwjBackupFile
{
	char	   *name;
	int64		bytes;
	char		checksum[KWJ_CHECKSUM_LEN + 1];
} KwjBackupFile;

typedef struct KwjManifest
{
	int64		job_id;			/* of the BACKUP */
	char	   *database;		/* from which it was made */
	List	   *tables;			/* char *: their quoted names; NIL: the whole database */
	bool		schema_only;
	char	   *server_version;
	int			version_num;
	char	   *encoding;		/* of the database, as are the next four */
	char	   *collate;
	char	   *ctype;
	char	   *provider;		/* datlocprovider: 'c', 'i', 'b' */
	char	   *locale;			/* of ICU or the built-in provider; "": none */
	const char *verified;		/* one of KWJ_VERIFIED_... */
	char	   *created;		/* when it was complete, in ISO format with a time zone */
	int64		bytes;			/* of all files */
	List	   *files;			/* KwjBackupFile *, sorted by name */
} KwjManifest;

/*
 * In a transaction: reads all files in the directory, and fills in bytes and files of the manifest. Returns
 * KWJ_REQUEST_CANCEL if the job has to end. Errors: 0A000 for a subdirectory; of the file system.
 */
extern KwjRequest kwj_manifest_add_files(KwjManifest *manifest, const KwjDirectory *directory);

/* Returns the file whose name begins with this text; NULL if there is none. */
extern const KwjBackupFile *kwj_manifest_find(const KwjManifest *manifest, const char *start);

/* Returns the file with the data of the entry with this id (contents.h); NULL if there is none. */
extern const KwjBackupFile *kwj_manifest_data_of(const KwjManifest *manifest, int id);

/*
 * Writes the manifest into the directory, in UTF-8, and makes it durable. Process: worker, in a
 * transaction, which the conversion needs. Errors: of the file system.
 */
extern void kwj_manifest_write(const KwjManifest *manifest, const KwjDirectory *directory);

/*
 * Reads the manifest in the directory; in a transaction. Returns NULL if there is none. Errors: XX001 if it
 * is damaged; 0A000 if a newer version of kwjobs has written it; of the file system.
 */
extern KwjManifest *kwj_manifest_read(const KwjDirectory *directory);

/*
 * In a transaction: reads all files of the backup, and compares them with its manifest. Sets *problem to
 * NULL if they are as they were written; otherwise to what is wrong, a text without a period. Returns
 * KWJ_REQUEST_CANCEL if the job has to end. Process: session, worker. Errors: of the file system.
 */
extern KwjRequest kwj_manifest_check(const KwjManifest *manifest, const KwjDirectory *directory,
									 char **problem);

#endif
