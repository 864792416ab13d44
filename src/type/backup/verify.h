/*
 * src/type/backup/verify.h
 *	  BACKUP ... WITH verify = 'restore'.
 */
#ifndef KWJ_TYPE_BACKUP_VERIFY_H
#define KWJ_TYPE_BACKUP_VERIFY_H

#include "type/backup/arguments.h"
#include "type/backup/manifest.h"
#include "type/backup/work.h"
#include "type/files/directory.h"

/* What is to be verified. */
typedef struct KwjVerify
{
	KwjAttempt *attempt;
	MemoryContext context;
	const KwjBackupSpec *spec;
	const KwjManifest *manifest;	/* of the backup, with the properties of the database and all files */
	const KwjDirectory *directory;	/* of the backup */
	const KwjDirectory *again;		/* an empty one, for the second dump */
	KwjWorkDatabase *work;
	KwjServer  *server;			/* with kwj_backup_sessions_of() places */
	int			percent;		/* of the job's progress, when this begins */
} KwjVerify;

/*
 * Restores the backup into a scratch database, as the job's owner, dumps that, and compares the two dumps.
 * Returns when the scratch database is gone; or before, with another request than KWJ_REQUEST_NONE, if the
 * attempt has to end. Process: worker, outside of a transaction. Errors: XX001 if the dumps differ; those of
 * kwj_work_create and kwj_program_run.
 */
extern KwjRequest kwj_verify(const KwjVerify *verify);

#endif
