/*
 * src/type/export/stage.c
 *	  Where an EXPORT writes its files before they are complete.
 *
 * Callers: export.c and parallel.c in the worker; validate.c in the session, for
 * kwj_stage_check_empty.
 *
 * publish:
 *
 *     0  the manifest is complete and on disk: rename it in the stage, from .manifest; fsync the stage and
 *        the directory, which has its name
 *     1  for each entry of the stage but the manifest:   rename into the directory
 *     2  fsync the directory
 *     3  rename the manifest, which lists these entries, into the directory; fsync
 *     4  remove the stage, which is empty
 *
 * If the worker or the server dies before 1, all files are in the stage. A manifest that is only half
 * written, because the disk is full, has another name, so nobody reads it. Between 1 and 3, the
 * manifest in the stage lists what was moved or is still there. After 3, the manifest in the
 * directory has the id of the job. In each case the next attempt, or the revert, knows what is the
 * job's. kwj_stage_remove goes the same way back: the manifest first, so that what is left never
 * looks complete.
 */
#include "postgres.h"

#include "job/json.h"
#include "mb/pg_wchar.h"
#include "type/export/stage.h"
#include "utils/builtins.h"

/* How many of the names in a directory that is not empty an error lists. */
#define SHOWN_NAMES		3

static char *
stage_name(int64 job_id)
{
	return psprintf(KWJ_NAME_ASIDE, job_id);
}

void
kwj_stage_check_empty(const KwjDirectory *directory, int64 job_id)
{
	List	   *names = kwj_directory_names(directory);
	const char *own = stage_name(job_id);
	StringInfoData shown;
	int			n = 0;
	ListCell   *lc;

	initStringInfo(&shown);
	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), own) == 0)
			continue;
		if (n < SHOWN_NAMES)
			appendStringInfo(&shown, "%s\"%s\"", n > 0 ? ", " : "", (char *) lfirst(lc));
		n++;
	}
	if (n == 0)
		return;
	ereport(ERROR,
			errcode(ERRCODE_DUPLICATE_FILE),
			errmsg("export path %s is not empty (contains %d files), please use an empty directory to prevent data loss",
				   directory->path, n),
			errdetail("There is %s%s.", shown.data, n > SHOWN_NAMES ? " and more" : ""),
			errhint("Choose another directory, or remove what is there."));
}

KwjDirectory *
kwj_stage_begin(const KwjDirectory *directory, int64 job_id)
{
	KwjDirectory *stage = kwj_directory_open_in(directory, stage_name(job_id), true, false);

	/* Each job looks after it has created its stage, so that of two jobs at least one sees the other. */
	kwj_stage_check_empty(directory, job_id);
	return stage;
}

KwjDirectory *
kwj_stage_open(const KwjDirectory *directory, int64 job_id)
{
	return kwj_directory_open_in(directory, stage_name(job_id), false, false);
}

KwjDirectory *
kwj_stage_open_item(KwjDirectory *stage, const char *path, bool create)
{
	const char *slash = strchr(path, '/');
	KwjDirectory *schema;
	KwjDirectory *table;

	if (slash == NULL)
		return stage;
	schema = kwj_directory_open_in(stage, pnstrdup(path, slash - path), create, false);
	table = kwj_directory_open_in(schema, slash + 1, create, false);
	kwj_directory_close(schema);
	return table;
}

void
kwj_stage_publish(const KwjDirectory *directory, KwjDirectory *stage, int64 job_id)
{
	List	   *names;
	ListCell   *lc;

	kwj_directory_rename(stage, KWJ_MANIFEST_PART, KWJ_MANIFEST);
	kwj_directory_sync(stage);
	kwj_directory_sync(directory);
	names = kwj_directory_names(stage);
	foreach(lc, names)
		if (strcmp(lfirst(lc), KWJ_MANIFEST) != 0)
			kwj_directory_move(stage, directory, lfirst(lc));
	kwj_directory_sync(directory);
	kwj_directory_move(stage, directory, KWJ_MANIFEST);
	kwj_stage_finish(directory, job_id);
}

void
kwj_stage_finish(const KwjDirectory *directory, int64 job_id)
{
	kwj_directory_sync(directory);
	(void) kwj_stage_drop(directory, job_id);
}

/* Returns the manifest in the directory if it is that of this job; else NULL. */
static Jsonb *
read_manifest(const KwjDirectory *directory, int64 job_id)
{
	char	   *text = kwj_file_read_in(directory, KWJ_MANIFEST);
	char	   *start = psprintf("{\"kwjobs_export\": 1, \"job_id\": \"" INT64_FORMAT "\",", job_id);

	/* Only what this job has written is parsed: anything else may not even be JSON. */
	if (text == NULL || strncmp(text, start, strlen(start)) != 0)
		return NULL;
	/* It is in UTF-8 (manifest.c). */
	if (GetDatabaseEncoding() != PG_SQL_ASCII)
		text = pg_any_to_server(text, strlen(text), PG_UTF8);
	return kwj_json_parse(text);
}

Jsonb *
kwj_stage_published(const KwjDirectory *directory, int64 job_id)
{
	return read_manifest(directory, job_id);
}

bool
kwj_stage_drop(const KwjDirectory *directory, int64 job_id)
{
	char		name[64];

	/* This may be called after an error, so it allocates no memory. */
	snprintf(name, sizeof(name), KWJ_NAME_ASIDE, job_id);
	return kwj_directory_remove(directory->fd, name);
}

static void
remove_entry(const KwjDirectory *directory, const char *name)
{
	if (!kwj_directory_remove(directory->fd, name))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("could not remove file \"%s/%s\": %m", directory->path, name),
				errdetail("The job has written it, and is to leave nothing behind."),
				errhint("Remove it, or make the directory writable for the server; then RESUME JOB."));
}

/* Returns whether the name is that of an entry of the directory, and no way out of it. */
static bool
is_entry(const char *name)
{
	return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/*
 * Opens the stage. If the manifest was published already, it goes back into the stage first, so that
 * what is left does not look complete, and is still known if this process dies.
 */
static KwjDirectory *
reopen_stage(const KwjDirectory *directory, int64 job_id)
{
	bool		is_published = read_manifest(directory, job_id) != NULL;
	KwjDirectory *stage = kwj_directory_open_in(directory, stage_name(job_id), is_published, true);

	if (is_published)
	{
		kwj_directory_move(directory, stage, KWJ_MANIFEST);
		kwj_directory_sync(stage);
		kwj_directory_sync(directory);
	}
	return stage;
}

void
kwj_stage_remove(const KwjDirectory *directory, int64 job_id)
{
	KwjDirectory *stage = reopen_stage(directory, job_id);
	Jsonb	   *manifest;
	ListCell   *lc;

	if (stage == NULL)
		return;
	manifest = read_manifest(stage, job_id);
	if (manifest != NULL)
		foreach(lc, kwj_json_texts(manifest, "entries"))
		{
			const char *name = lfirst(lc);

			/* What is in the stage was not moved; an entry of this name in the directory is not ours. */
			if (is_entry(name) && !kwj_directory_has(stage, name))
				remove_entry(directory, name);
		}
	kwj_directory_close(stage);
	remove_entry(directory, stage_name(job_id));
	kwj_directory_sync(directory);
}
