/*
 * src/type/import/verify.h
 *	  Comparing files with the checksums that a manifest has of them.
 */
#ifndef KWJ_TYPE_IMPORT_VERIFY_H
#define KWJ_TYPE_IMPORT_VERIFY_H

#include "postgres.h"

#include "type/import/batch.h"

/*
 * Returns whether this process has to compare files with their checksums before it imports them: the
 * import has a manifest, this file (a number from 0) or later ones, and they were not compared yet.
 */
extern bool kwj_import_needs_check(const KwjImport *import, int first_file);

/*
 * Reads the files from this one on, and compares them with their checksums. Notes which files these are,
 * so that the reader refuses others. Returns false if the job is to stop before it is through: then
 * nothing is noted. The caller is in a transaction. Errors: XX001 if a file is not as the manifest says.
 */
extern bool kwj_import_check_sums(KwjImport *import, int first_file);

/*
 * Reads one file, and compares it with what a manifest says of it: size (digits) and checksum, by this
 * algorithm. The session and the worker may call this, in a transaction. Errors: XX001 if one of them
 * differs.
 */
extern void kwj_import_check_sum(const char *path, const char *algorithm, const char *size, const char *checksum);

/*
 * Part 0 compares all files. For each piece it calls this to tell the worker that imports the piece which
 * files it has compared: appends their identities, from the first to the last file of the piece, to the text
 * of a JSON object, as the member `checked`. Appends nothing if this process has compared no files.
 */
extern void kwj_import_write_checked(const KwjImport *import, int first_file, int last_file, StringInfo json);

/*
 * The worker that imports the piece reads the identities from the object of the piece, whose member `file`
 * is the first file.
 */
extern void kwj_import_read_checked(KwjImport *import, Jsonb *json);

#endif
