/*
 * src/type/import/reject_file.h
 *	  The file into which an IMPORT with on_error = 'skip' writes the records that it has left out.
 *
 * It is CSV, in the encoding of the database, with a header: job_id, file, line, column_name, sqlstate,
 * reason, record.
 */
#ifndef KWJ_TYPE_IMPORT_REJECT_FILE_H
#define KWJ_TYPE_IMPORT_REJECT_FILE_H

#include "postgres.h"

#include "lifecycle/rejected.h"
#include "type/import/options.h"

/*
 * If the options name such a file, checks that the current user may have the server write it there. Does not
 * look at the file system. Errors: 42501 and others, each with a hint.
 */
extern void kwj_reject_file_check_right(const KwjImportOptions *options);

/*
 * The session calls this when the job is created. If the options name such a file, checks that it does not
 * exist, and that the server can write to its directory. Errors: 58P02, 58P01, 42501 and others of the file
 * system.
 */
extern void kwj_reject_file_check_place(const KwjImportOptions *options);

/*
 * The worker calls this when an attempt begins. If the options name such a file, removes what an earlier
 * attempt has left of it, after a crash or before a RETRY, and checks what kwj_reject_file_check_right and
 * kwj_reject_file_check_place check. Errors: those of both.
 */
extern void kwj_reject_file_begin(const KwjImportOptions *options, int64 job_id);

/*
 * Keeps a record for the file, in the current transaction. again: an earlier transaction may have kept the
 * record, because this one imports a piece once more (replay.c). Errors: XX000 if the job has kept the record
 * already, and again is false.
 */
extern void kwj_reject_file_keep(const KwjRejected *rejected, bool again);

/*
 * Writes the file with the first `rejected` records that the job has kept, in the order of the files. Does
 * nothing if the options name no file, or rejected is 0. The file appears when it is complete and on disk. The
 * records stay kept until the job has succeeded, because the next attempt may have to write the file again.
 * Errors: 58P02, 53100 and others of the file system; XX000 if the job has kept fewer records.
 */
extern void kwj_reject_file_write(const KwjImportOptions *options, const KwjAttempt *attempt, int64 rejected);

/* A revert calls this. Deletes the records that the job has kept for the file, in the current transaction. */
extern void kwj_reject_file_forget(const KwjImportOptions *options, const KwjAttempt *attempt);

/*
 * A revert calls this. Removes what the job has begun to write, and the file that it has written, unless the
 * job has failed because of a record: then the file shows which records were left out before that one.
 * Errors: of the file system.
 */
extern void kwj_reject_file_remove(const KwjImportOptions *options, const KwjAttempt *attempt);

#endif
