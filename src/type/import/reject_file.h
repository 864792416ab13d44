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
 * If the options name such a file, checks that the current user may have the server write it there. Looks at
 * no file. Errors: 42501 and others, each with a hint.
 */
extern void kwj_reject_file_check_right(const KwjImportOptions *options);

/*
 * If the options name such a file, checks that it does not exist and that the server can write to its
 * directory; when the job is created. Errors: 58P02, 58P01, 42501 and others of the file system.
 */
extern void kwj_reject_file_check_place(const KwjImportOptions *options);

/*
 * The same when an attempt of the job begins. Removes what an earlier one has left, after a crash or before
 * a RETRY.
 */
extern void kwj_reject_file_begin(const KwjImportOptions *options, int64 job_id);

/*
 * Keeps a record for the file, in the current transaction. again: it may have been kept already. Errors:
 * XX000 if it has, and again is false.
 */
extern void kwj_reject_file_keep(const KwjRejected *rejected, bool again);

/*
 * Writes the file, if the options name one and `rejected` records were left out, which is not 0: the first so
 * many in the order of the files. It appears when it is complete and on disk. The records are kept until the
 * job has succeeded. Errors: 58P02, 53100 and others of the file system; XX000 if so many records were not kept.
 */
extern void kwj_reject_file_write(const KwjImportOptions *options, const KwjAttempt *attempt, int64 rejected);

/* Keeps the records no more, in the current transaction. For a revert. */
extern void kwj_reject_file_forget(const KwjImportOptions *options, const KwjAttempt *attempt);

/*
 * Removes what the job has written, unless keep is true, and what it has begun to write. For a revert.
 * Errors: of the file system.
 */
extern void kwj_reject_file_remove(const KwjImportOptions *options, int64 job_id, bool keep);

#endif
