/*
 * src/type/backup/backup.h
 *	  The job types BACKUP and RESTORE: logical backups, made by pg_dump and read by pg_restore.
 *	  doc/developers/backup.md explains them.
 */
#ifndef KWJ_TYPE_BACKUP_BACKUP_H
#define KWJ_TYPE_BACKUP_BACKUP_H

#include "lifecycle/submit.h"
#include "type/backup/manifest.h"
#include "type/type.h"
#include "utils/array.h"

/* What a user gives for a new job. */
typedef struct KwjNewBackup
{
	const char *directory;
	ArrayType  *tables;			/* text[]; NULL: the whole database */
	const char *database;		/* NULL: the current one */
	Jsonb	   *options;		/* NULL: none */
} KwjNewBackup;

/*
 * Returns what the arguments of kwjobs.create_job say, for both job types. Errors: 22023 if the
 * directory is missing, or an argument is unknown or of a wrong type.
 */
extern KwjNewBackup kwj_backup_arguments(Jsonb *arguments, const char *job_type);

/*
 * Checks a BACKUP as the role that is to own it, and sets the payload and the options of the job, and
 * its description if it has none. Errors: 42501 if the owner may not write files on the server, may
 * not connect to the database or may not read a table; 3D000, 42P01 if there is no such database or
 * table; 58P02 if the directory exists and is not empty; 0A000 for tables of another database; 22023
 * for the options; those of kwj_directory_open.
 */
extern void kwj_backup_validate(const KwjNewBackup *backup, KwjNewJob *job);

/*
 * Opens the directory of a backup, and reads its manifest, in a transaction, for a role that may read
 * files of the server. what: "RESTORE" or "SHOW BACKUP". Errors: 42501 if the current user may not;
 * 58P01 if there is no such directory; 42809 if it is no backup; those of kwj_manifest_read.
 */
extern KwjManifest *kwj_backup_open(const char *what, const char *path, KwjDirectory **directory);

/*
 * Checks a RESTORE, in the same way. The database and the tables may be given to make sure that the
 * backup holds them. Errors: 42501 if the owner may not read files on the server, or may not create or
 * connect to the target; 42P04 if a database to be created exists; 42P01, 0A000 and 22023 if the
 * backup does not hold what is given, or if the options are wrong; those of kwj_backup_open.
 */
extern void kwj_restore_validate(const KwjNewBackup *restore, KwjNewJob *job);

extern const KwjType kwj_type_backup;
extern const KwjType kwj_type_restore;

#endif
