/*
 * src/type/import/records.h
 *	  Imports records of one file through COPY, and tells the place of an error.
 */
#ifndef KWJ_TYPE_IMPORT_RECORDS_H
#define KWJ_TYPE_IMPORT_RECORDS_H

#include "type/import/batch.h"

/*
 * A batch ends when this many of its subtransactions have got a number. Of more, a server does not
 * keep all numbers in shared memory, and each snapshot that is taken meanwhile costs every session
 * more.
 */
#define KWJ_IMPORT_SUBTRANSACTIONS	60

/*
 * Imports about `bytes` bytes of the file at the position, or less if the file ends before, or at
 * offset `to`, where a record ends; 0: nowhere. Returns how many bytes it was. Errors: those of COPY;
 * 55000 if the file is not the same any more. After an error, import->error_* tell its place, and
 * those of the attempt, too, if an error ends the import.
 */
extern int64 kwj_import_records(KwjImport *import, int64 bytes, int64 to);

/*
 * Opens the file at the position, and goes to its first record if the import has not opened it before.
 * Returns false if the file has no record: then the position is at the next file.
 */
extern bool kwj_import_enter_file(KwjImport *import);

/*
 * Look at what follows the position, which is between two records of a file that the import has opened.
 *
 * kwj_import_find_end		returns the offset at which a record ends, `bytes` bytes behind the position
 *							or more, or that at which the file ends
 * kwj_import_find_line		sets *from and *to to the ends of the record that has this line in it;
 *							returns false if there is none before offset `end`
 * kwj_import_ends_record	returns whether the record that ends at offset `to` tells where the next one
 *							begins; in the binary format, one that is damaged or cut off does not
 * kwj_import_record_text	returns what stands between the position and offset `to`, without a line end,
 *							as a text of the database, palloc'd; no more than so many bytes of it
 */
extern int64 kwj_import_find_end(KwjImport *import, int64 bytes);
extern bool kwj_import_find_line(KwjImport *import, int64 line, int64 end, int64 *from, int64 *to);
extern bool kwj_import_ends_record(KwjImport *import, int64 to);
extern char *kwj_import_record_text(KwjImport *import, int64 to, int most);

/* Moves the position over records, to offset `to` of its file, where one ends. */
extern void kwj_import_pass_records(KwjImport *import, int64 to);

/* Stores the place of the last error in the attempt, for the job's row. */
extern void kwj_import_tell_place(const KwjImport *import);

/*
 * Returns whether the work is to end early: for a PAUSE, or a stop of the server. A CANCEL mostly does
 * not come so far, because the coordinator interrupts the work at once.
 */
extern bool kwj_import_is_to_stop(void);

/* Returns whether the batch has to end now: for a request, or because it is full. */
extern bool kwj_import_has_to_end(const KwjImport *import);

/*
 * Checks deferred constraints now instead of at the commit, so that their code runs with the user's
 * settings. The checkpoint is written after this, with the worker's settings.
 */
extern void kwj_import_check_deferred(void);

#endif
