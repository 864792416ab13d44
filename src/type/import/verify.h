/*
 * src/type/import/verify.h
 *	  Comparing files with the checksums that a manifest has of them.
 */
#ifndef KWJ_TYPE_IMPORT_VERIFY_H
#define KWJ_TYPE_IMPORT_VERIFY_H

#include "postgres.h"

#include "type/import/batch.h"

/*
 * Returns whether the import has files with checksums, from the position's on, that this process has
 * not compared yet.
 */
extern bool kwj_import_needs_check(const KwjImport *import, int first_file);

/*
 * Reads the files from this one on, and compares them with their checksums. Notes which files these
 * are, so that the reader refuses others. Returns false if the job is to stop before it is through: then
 * nothing is noted. To be called in a transaction. Errors: XX001 if a file is not as the manifest says.
 */
extern bool kwj_import_check_sums(KwjImport *import, int first_file);

/*
 * Compares one file with its size, as a text, and its checksum by this algorithm. Any process may call this,
 * in a transaction. Errors: XX001 if they differ.
 */
extern void kwj_import_check_sum(const char *path, const char *algorithm, const char *size, const char *checksum);

/*
 * Appends, as a member of a JSON object, how the files from one to another are recognized, if this
 * process has compared them. Another process reads that from the object of a piece, whose member `file`
 * is the first one.
 */
extern void kwj_import_write_checked(const KwjImport *import, int first_file, int last_file, StringInfo json);
extern void kwj_import_read_checked(KwjImport *import, Jsonb *json);

#endif
