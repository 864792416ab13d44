/*
 * src/type/backup/work.h
 *	  A database that a job creates for its own use, and renames or drops at its end.
 */
#ifndef KWJ_TYPE_BACKUP_WORK_H
#define KWJ_TYPE_BACKUP_WORK_H

#include "job/current.h"
#include "job/progress.h"
#include "serve/server.h"
#include "type/backup/manifest.h"

/* The hint of programs that work in such a database, for a right that the job's owner lacks. */
#define KWJ_WORK_RIGHTS_HINT \
	"A backup is restored with the rights of the job's owner. To leave out owners and grants, type WITH no_owner, no_privileges; or have a role with the right create the job."

typedef struct KwjWorkDatabase
{
	KwjAttempt *attempt;
	MemoryContext context;		/* in which it lives */
	char	   *own;			/* the database of the job */
	char	   *left;			/* what an earlier attempt has left; NULL: nothing */
	char	   *name;			/* NULL: it does not exist */
	Oid			oid;
} KwjWorkDatabase;

/*
 * Checks that the current user may create databases. why: what it is needed for, or NULL. Errors: 42501,
 * with the hint.
 */
extern void kwj_work_check_may_create(const char *why);

/*
 * In a transaction of the attempt: returns a work database that does not exist yet, which lives in the
 * memory context.
 */
extern KwjWorkDatabase *kwj_work_open(KwjAttempt *attempt, MemoryContext context);

/*
 * Creates the database in sessions of the job's owner, with the encoding and locale of the manifest. Besides
 * these sessions, only superusers can connect to it. Its name, which nobody can guess, is in the job's
 * checkpoint before the database exists. Drops first what an earlier attempt has left. what: how the name
 * begins.
 *
 * Process: worker, outside of a transaction. Returns another request than KWJ_REQUEST_NONE if the attempt
 * has to end. Errors: those of kwj_program_run and kwj_attempt_checkpoint.
 */
extern KwjRequest kwj_work_create(KwjWorkDatabase *work, KwjServer *server, const char *what,
								  const KwjManifest *like);

/*
 * Drops the database, if it exists, or what an earlier attempt has left. Process, result and
 * errors: as kwj_work_create.
 */
extern KwjRequest kwj_work_drop(KwjWorkDatabase *work, KwjServer *server);

/*
 * Drops what the attempts of this job have left, if there is anything. Process: worker, outside of a
 * transaction, with no server open. Errors: those of kwj_program_run and kwj_server_open.
 */
extern void kwj_work_revert(KwjAttempt *attempt);

#endif
