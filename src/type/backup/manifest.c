/*
 * src/type/backup/manifest.c
 *	  The manifest of a backup: what it holds, and the size and checksum of each of its files.
 *
 * Process: session (SHOW BACKUP, and the creation of a RESTORE), worker. Locks: none.
 *
 * A directory with a manifest is a complete backup: BACKUP writes the manifest after it has read back
 * all other files, and renames the directory after that. Somebody may have written a manifest of his
 * own, so nothing in one is trusted: names of files have no slashes, and all values have bounds.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "job/json.h"
#include "lib/stringinfo.h"
#include "lifecycle/stand.h"
#include "mb/pg_wchar.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "type/backup/manifest.h"
#include "type/backup/program.h"
#include "type/files/checksum.h"
#include "type/files/json_file.h"
#include "utils/builtins.h"
#include "utils/json.h"

/* What is read at a time. */
#define CHUNK			(256 * 1024)
/* A manifest may be this large, which is enough for some 100,000 files. */
#define MOST_BYTES		(16 * 1024 * 1024)
#define FORMAT_VERSION	1

/* ---- files ---- */

/* Returns the names of the files of a backup, sorted, without that of the manifest. */
static List *
names_of_files(const KwjDirectory *directory)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, kwj_directory_names(directory))
		if (strcmp(lfirst(lc), KWJ_MANIFEST) != 0)
			names = lappend(names, lfirst(lc));
	return names;
}

/* Reads the file, and sets its size and checksum. Returns KWJ_REQUEST_CANCEL if the job has to end. */
static KwjRequest
hash_file(const KwjOpenFile *open, const KwjDirectory *directory, KwjBackupFile *file)
{
	pg_checksum_context checksum;
	char	   *chunk = palloc(CHUNK);
	char	   *digits;
	KwjRequest	request = KWJ_REQUEST_NONE;
	size_t		n;

	file->bytes = 0;
	Assert(IsTransactionState());
	kwj_checksum_begin(CHECKSUM_TYPE_SHA256, &checksum);
	while (request == KWJ_REQUEST_NONE && (n = kwj_file_read(open, chunk, CHUNK, directory, file->name)) > 0)
	{
		kwj_checksum_add(&checksum, chunk, n);
		file->bytes += n;
		request = kwj_attempt_stand_still(KWJ_STOPPED_IN_PLACE);
	}
	digits = kwj_checksum_end(&checksum);
	strlcpy(file->checksum, digits, sizeof(file->checksum));
	pfree(digits);
	pfree(chunk);
	return request;
}

/* Opens a file of a backup. Returns NULL if there is none of this name, or if it is no plain file. */
static KwjOpenFile *
open_plain(const KwjDirectory *directory, const char *name)
{
	KwjOpenFile *file;
	struct stat st;

	if (fstatat(directory->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	file = kwj_file_open_in(directory, name, O_RDONLY | O_NONBLOCK);
	return file->fd >= 0 ? file : NULL;
}

KwjRequest
kwj_manifest_add_files(KwjManifest *manifest, const KwjDirectory *directory)
{
	ListCell   *lc;

	foreach(lc, names_of_files(directory))
	{
		KwjBackupFile *file = palloc0(sizeof(KwjBackupFile));
		KwjOpenFile *open;
		KwjRequest	request;

		file->name = lfirst(lc);
		open = open_plain(directory, file->name);
		if (open == NULL)
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("\"%s/%s\" is not a plain file", directory->path, file->name),
					errhint("Do not change the directory while a job writes to it."));
		request = hash_file(open, directory, file);
		kwj_file_close(open, file->name);
		if (request != KWJ_REQUEST_NONE)
			return request;
		manifest->bytes += file->bytes;
		manifest->files = lappend(manifest->files, file);
	}
	return KWJ_REQUEST_NONE;
}

const KwjBackupFile *
kwj_manifest_find(const KwjManifest *manifest, const char *start)
{
	ListCell   *lc;

	foreach(lc, manifest->files)
		if (strncmp(((KwjBackupFile *) lfirst(lc))->name, start, strlen(start)) == 0)
			return lfirst(lc);
	return NULL;
}

const KwjBackupFile *
kwj_manifest_data_of(const KwjManifest *manifest, int id)
{
	char		start[20];

	snprintf(start, sizeof(start), "%d.dat", id);
	return kwj_manifest_find(manifest, start);
}

/* ---- writing ---- */

static void
append_text(StringInfo json, const char *key, const char *value)
{
	appendStringInfo(json, "  \"%s\": ", key);
	escape_json(json, value);
	appendStringInfoString(json, ",\n");
}

static char *
manifest_text(const KwjManifest *manifest)
{
	StringInfoData json;
	ListCell   *lc;

	initStringInfo(&json);
	appendStringInfo(&json, "{\n  \"kwjobs_backup\": %d,\n  \"kind\": \"logical\",\n", FORMAT_VERSION);
	appendStringInfo(&json, "  \"job_id\": \"" INT64_FORMAT "\",\n", manifest->job_id);
	append_text(&json, "database", manifest->database);
	appendStringInfoString(&json, "  \"tables\": ");
	kwj_json_append_texts(&json, manifest->tables);
	appendStringInfo(&json, ",\n  \"schema_only\": %s,\n", manifest->schema_only ? "true" : "false");
	append_text(&json, "server_version", manifest->server_version);
	appendStringInfo(&json, "  \"server_version_num\": %d,\n", manifest->version_num);
	append_text(&json, "encoding", manifest->encoding);
	append_text(&json, "lc_collate", manifest->collate);
	append_text(&json, "lc_ctype", manifest->ctype);
	append_text(&json, "locale_provider", manifest->provider);
	append_text(&json, "locale", manifest->locale);
	append_text(&json, "verified", manifest->verified);
	append_text(&json, "created", manifest->created);
	appendStringInfo(&json, "  \"bytes\": " INT64_FORMAT ",\n  \"files\": [\n", manifest->bytes);
	foreach(lc, manifest->files)
	{
		const KwjBackupFile *file = lfirst(lc);

		appendStringInfoString(&json, "    {\"name\": ");
		escape_json(&json, file->name);
		appendStringInfo(&json, ", \"bytes\": " INT64_FORMAT ", \"sha256\": \"%s\"}%s\n", file->bytes,
						 file->checksum, lnext(manifest->files, lc) ? "," : "");
	}
	appendStringInfoString(&json, "  ]\n}\n");
	return json.data;
}

void
kwj_manifest_write(const KwjManifest *manifest, const KwjDirectory *directory)
{
	char	   *own = manifest_text(manifest);
	char	   *text = pg_server_to_any(own, strlen(own), PG_UTF8);
	KwjOpenFile *file = kwj_file_open_in(directory, KWJ_MANIFEST, O_WRONLY | O_CREAT | O_EXCL);

	(void) fchmod(file->fd, S_IRUSR | S_IWUSR);
	kwj_file_write(file, text, strlen(text), KWJ_MANIFEST);
	if (pg_fsync(file->fd) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not fsync file \"%s/%s\": %m", directory->path, KWJ_MANIFEST));
	kwj_file_close(file, KWJ_MANIFEST);
	kwj_directory_sync(directory);
}

/* ---- reading ---- */

pg_noreturn static void
damaged(const char *path)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("the manifest of backup \"%s\" is damaged", path),
			errhint("Use another backup. What is left of this one may be read by hand with pg_restore."));
}

/* Reads the whole file. Returns false if it does not exist. */
static bool
read_text(const KwjDirectory *directory, StringInfo text)
{
	KwjOpenFile *file = open_plain(directory, KWJ_MANIFEST);
	char	   *chunk;
	size_t		n;

	if (file == NULL)
		return false;
	initStringInfo(text);
	chunk = palloc(CHUNK);
	while ((n = kwj_file_read(file, chunk, CHUNK, directory, KWJ_MANIFEST)) > 0)
	{
		if (text->len + n > MOST_BYTES)
			damaged(directory->path);
		appendBinaryStringInfo(text, chunk, n);
	}
	kwj_file_close(file, KWJ_MANIFEST);
	pfree(chunk);
	return true;
}

static KwjBackupFile *
read_file(const KwjJsonFile *json, const JsonbValue *element)
{
	KwjBackupFile *file = palloc0(sizeof(KwjBackupFile));
	JsonbContainer *object = kwj_json_file_object_in(json, element);
	char	   *checksum;

	file->name = kwj_json_file_text(json, object, "name");
	file->bytes = kwj_json_file_number(json, object, "bytes");
	checksum = kwj_json_file_text(json, object, "sha256");
	if (file->name[0] == '\0' || strchr(file->name, '/') != NULL || file->name[0] == '.' ||
		strlen(checksum) != KWJ_CHECKSUM_LEN)
		damaged(json->path);
	strcpy(file->checksum, checksum);
	return file;
}

static void
read_lists(KwjManifest *manifest, const KwjJsonFile *json, JsonbContainer *root)
{
	ListCell   *lc;

	foreach(lc, kwj_json_file_elements(json, root, "tables"))
		manifest->tables = lappend(manifest->tables, kwj_json_file_text_in(json, lfirst(lc)));
	foreach(lc, kwj_json_file_elements(json, root, "files"))
		manifest->files = lappend(manifest->files, read_file(json, lfirst(lc)));
}

/* Returns how the backup was verified, which the first manifests do not say. */
static char *
verified_of(const KwjJsonFile *json, JsonbContainer *root)
{
	if (getKeyJsonValueFromContainer(root, "verified", strlen("verified"), NULL) == NULL)
		return KWJ_VERIFIED_READ;
	return kwj_json_file_text(json, root, "verified");
}

/* An EXPORT has a manifest, too: raises an error that says how to import it. */
static void
refuse_export(const KwjDirectory *directory, JsonbContainer *root)
{
	if (getKeyJsonValueFromContainer(root, "kwjobs_export", strlen("kwjobs_export"), NULL) == NULL)
		return;
	ereport(ERROR,
			errcode(ERRCODE_WRONG_OBJECT_TYPE),
			errmsg("directory \"%s\" is no backup", directory->path),
			errdetail("It has what an EXPORT has written."),
			errhint("To import that, type IMPORT DATABASE CSV DATA (%s).", quote_literal_cstr(directory->path)));
}

KwjManifest *
kwj_manifest_read(const KwjDirectory *directory)
{
	const KwjJsonFile json = {directory->path, damaged};
	StringInfoData text;
	KwjManifest *manifest;
	JsonbContainer *root;

	if (!read_text(directory, &text))
		return NULL;
	manifest = palloc0(sizeof(KwjManifest));
	root = kwj_json_file_parse(&json, text.data, text.len);
	refuse_export(directory, root);
	if (kwj_json_file_number(&json, root, "kwjobs_backup") > FORMAT_VERSION)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("backup \"%s\" was made by a newer version of kwjobs", directory->path),
				errhint("Update kwjobs, or use pg_restore by hand."));
	manifest->job_id = strtoll(kwj_json_file_text(&json, root, "job_id"), NULL, 10);
	manifest->database = kwj_json_file_text(&json, root, "database");
	if (manifest->database[0] == '\0' || strlen(manifest->database) >= NAMEDATALEN)
		damaged(directory->path);
	manifest->schema_only = kwj_json_file_value(&json, root, "schema_only", jbvBool)->val.boolean;
	manifest->server_version = kwj_json_file_text(&json, root, "server_version");
	manifest->version_num = (int) kwj_json_file_number(&json, root, "server_version_num");
	manifest->encoding = kwj_json_file_text(&json, root, "encoding");
	manifest->collate = kwj_json_file_text(&json, root, "lc_collate");
	manifest->ctype = kwj_json_file_text(&json, root, "lc_ctype");
	manifest->provider = kwj_json_file_text(&json, root, "locale_provider");
	manifest->locale = kwj_json_file_text(&json, root, "locale");
	manifest->verified = verified_of(&json, root);
	manifest->created = kwj_json_file_text(&json, root, "created");
	manifest->bytes = kwj_json_file_number(&json, root, "bytes");
	read_lists(manifest, &json, root);
	return manifest;
}

/* Compares a file with what the manifest says of it. */
static KwjRequest
check_file(const KwjBackupFile *wanted, const KwjDirectory *directory, char **problem)
{
	KwjOpenFile *open = open_plain(directory, wanted->name);
	KwjBackupFile found = {.name = wanted->name};
	KwjRequest	request;

	if (open == NULL)
	{
		*problem = psprintf("file \"%s\" is missing", wanted->name);
		return KWJ_REQUEST_NONE;
	}
	request = hash_file(open, directory, &found);
	kwj_file_close(open, wanted->name);
	if (request != KWJ_REQUEST_NONE)
		return request;
	if (found.bytes != wanted->bytes)
		*problem = psprintf("file \"%s\" has " INT64_FORMAT " bytes, not " INT64_FORMAT, wanted->name,
							found.bytes, wanted->bytes);
	else if (strcmp(found.checksum, wanted->checksum) != 0)
		*problem = psprintf("file \"%s\" has another checksum", wanted->name);
	return KWJ_REQUEST_NONE;
}

/* Returns the first file of the directory that the manifest does not have; NULL: there is none. */
static char *
unknown_file(const KwjManifest *manifest, const KwjDirectory *directory)
{
	List	   *known = NIL;
	int			next = 0;
	ListCell   *lc;

	foreach(lc, manifest->files)
		known = lappend(known, ((KwjBackupFile *) lfirst(lc))->name);
	list_sort(known, kwj_compare_names);
	foreach(lc, names_of_files(directory))
	{
		const char *name = lfirst(lc);

		while (next < list_length(known) && strcmp(list_nth(known, next), name) < 0)
			next++;
		if (next == list_length(known) || strcmp(list_nth(known, next), name) != 0)
			return lfirst(lc);
	}
	return NULL;
}

KwjRequest
kwj_manifest_check(const KwjManifest *manifest, const KwjDirectory *directory, char **problem)
{
	char	   *unknown = unknown_file(manifest, directory);
	ListCell   *lc;

	*problem = unknown ? psprintf("file \"%s\" is not in the manifest", unknown) : NULL;
	foreach(lc, manifest->files)
	{
		KwjRequest	request;

		if (*problem != NULL)
			break;
		request = check_file(lfirst(lc), directory, problem);
		if (request != KWJ_REQUEST_NONE)
			return request;
	}
	return KWJ_REQUEST_NONE;
}
