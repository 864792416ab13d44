/*
 * src/type/import/reject_table.h
 *	  The table into which an IMPORT with on_error = 'skip' writes the records that it leaves out.
 *
 * It is a table of a user, with columns of these names and types, in any order, and others with
 * defaults: job_id bigint, file text, line bigint, column_name text, sqlstate text, reason text,
 * record text. The job writes into it as its owner, in the transactions of the imported rows.
 */
#ifndef KWJ_TYPE_IMPORT_REJECT_TABLE_H
#define KWJ_TYPE_IMPORT_REJECT_TABLE_H

#include "postgres.h"

#include "lifecycle/rejected.h"
#include "type/import/options.h"
#include "utils/rel.h"

/*
 * Sets options->reject_table, and its name, to the table of this name. Errors: 42P01, 42602 and
 * others, with a hint.
 */
extern void kwj_reject_table_find(KwjImportOptions *options, const char *name);

/*
 * Checks that bad records of this target can be left out, if the options say so, and that the current user
 * may write them into the reject table and the reject file, as far as the options name these. Takes
 * RowExclusiveLock on the reject table until the end of the transaction.
 * Errors: 42P01, 42809, 42703, 42804, 42501, 22023, 0A000, each with a hint.
 */
extern void kwj_import_check_skips(const KwjImportOptions *options, Relation target);

/*
 * Removes the rows of the job from the reject table, if it still exists, with the rights of its owner;
 * for a revert. Errors: 55000.
 */
extern void kwj_reject_table_clear(const KwjImportOptions *options, int64 job_id);

/* Writes a record into the reject table, in a transaction in which it was checked. */
extern void kwj_reject_table_add(const KwjImportOptions *options, const KwjRejected *rejected);

/*
 * Returns the bytes as a text in the encoding of the database, palloc'd. What cannot be a part of such
 * a text becomes \xNN.
 */
extern char *kwj_text_of_bytes(const char *bytes, int n, int encoding);

/* Returns the bytes as PostgreSQL writes a value of type bytea: \x and hexadecimal digits, palloc'd. */
extern char *kwj_hex_of_bytes(const char *bytes, int n);

#endif
