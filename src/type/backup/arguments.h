/*
 * src/type/backup/arguments.h
 *	  The payload of a BACKUP, and what BACKUP and RESTORE check in the same way.
 */
#ifndef KWJ_TYPE_BACKUP_ARGUMENTS_H
#define KWJ_TYPE_BACKUP_ARGUMENTS_H

#include "nodes/pg_list.h"
#include "type/backup/backup.h"
#include "type/given.h"
#include "utils/jsonb.h"

/* Why a BACKUP needs the right to create databases. */
#define KWJ_VERIFY_NEEDS	"BACKUP WITH verify = 'restore' restores the backup into a scratch database, as its owner."

/* With two processes at least, pg_restore empties each table in the transaction that fills it. */
#define KWJ_VERIFY_WORKERS	2

/* How many processes dump or restore tables at the same time, if thread_concurrency does not say it. */
#define KWJ_BACKUP_WORKERS	2

typedef struct KwjBackupSpec
{
	char	   *directory;		/* canonical */
	char	   *database;
	List	   *tables;			/* char *: quoted names with schema; NIL: the whole database */
	int			workers;		/* how many processes dump tables at the same time */
	char	   *compress;		/* as pg_dump takes it; NULL: its default */
	int			lock_timeout_ms;	/* how long to wait for a table's lock; 0: no limit */
	bool		schema_only;
	const char *verify;			/* how it is verified: one of KWJ_VERIFIED_... (manifest.h) */
} KwjBackupSpec;

/* Returns whether the backup is verified by a restore into a scratch database. */
extern bool kwj_backup_is_restored(const KwjBackupSpec *spec);

/*
 * Returns the arguments by which the same BACKUP or RESTORE can be created in another database. directory,
 * tables: as they were checked.
 */
extern Jsonb *kwj_backup_made_arguments(const KwjNewBackup *given, const char *directory, const List *tables);

extern void kwj_backup_read_payload(Jsonb *payload, KwjBackupSpec *spec);

/* Returns how many sessions pg_dump, or pg_restore, has at the same time with this many processes. */
extern int	kwj_backup_sessions(int workers);

/* Returns how many sessions the programs of a BACKUP have at the same time. */
extern int	kwj_backup_sessions_of(const KwjBackupSpec *spec);

/* Returns what pg_dump is to be told for all of the database, a list of char *. */
extern List *kwj_backup_dump_options(const KwjBackupSpec *spec);

/*
 * Returns the value of the option thread_concurrency. what: of which processes or tables it is the
 * number, for the hint. Errors: 22023.
 */
extern int	kwj_backup_workers(const char *statement, const KwjGiven *option, const char *what);

/*
 * Checks that the current user may connect to the database. detail: of the error, or NULL. Errors:
 * 3D000 if there is no such database; 42501.
 */
extern void kwj_backup_check_may_connect(const char *database, const char *detail);

/* Checks that the current user may write files on the server. Errors: 42501. */
extern void kwj_backup_check_may_write(void);

/*
 * Checks that the directory is empty, or that it does not exist and the one in which it would lie does. So
 * no backup is ever overwritten. Errors: 58P02 if it is not empty; those of kwj_directory_open.
 */
extern void kwj_backup_check_directory(const char *path);

/*
 * Splits a canonical path into the directory in which its last part lies, and that part, palloc'd.
 * Errors: 42602 if it is the root directory.
 */
extern void kwj_backup_split_path(const char *path, char **parent, char **name);

#endif
