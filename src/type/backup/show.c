/*
 * src/type/backup/show.c
 *	  Looking into the directory of a backup.
 *
 * Process: session, worker. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "type/backup/backup.h"
#include "type/backup/manifest.h"
#include "type/files/directory.h"

KwjManifest *
kwj_backup_open(const char *what, const char *path, KwjDirectory **directory)
{
	KwjManifest *manifest;

	kwj_check_may_use_files(ROLE_PG_READ_SERVER_FILES, psprintf("%s from a directory of the server", what), NULL);
	*directory = kwj_directory_open(what, path, false);
	manifest = kwj_manifest_read(*directory);
	if (manifest == NULL)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("directory \"%s\" is no backup", (*directory)->path),
				errdetail("It has no file %s, which BACKUP writes when a backup is complete.", KWJ_MANIFEST),
				errhint("Give the directory of a BACKUP that has succeeded."));
	return manifest;
}
