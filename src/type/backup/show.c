/*
 * src/type/backup/show.c
 *	  Looking into the directory of a backup.
 *
 * Process: session, worker. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "type/backup/backup.h"
#include "type/backup/manifest.h"
#include "type/files/directory.h"
#include "utils/acl.h"
#include "utils/builtins.h"

static void
check_may_read(const char *what)
{
	if (has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		return;
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied to %s from a directory of the server", what),
			errdetail("Only superusers and roles with privileges of the role pg_read_server_files may do that."),
			errhint("Ask an administrator for: GRANT pg_read_server_files TO %s",
					quote_identifier(GetUserNameFromId(GetUserId(), false))));
}

KwjManifest *
kwj_backup_open(const char *what, const char *path, KwjDirectory **directory)
{
	KwjManifest *manifest;

	check_may_read(what);
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
