/*
 * src/job/new_file.h
 *	  The file of a new table that a statement writes: ALTER TABLE that rewrites a table, CREATE TABLE
 *	  AS, SELECT INTO, REFRESH MATERIALIZED VIEW.
 *
 * The process that runs the statement notes the file when PostgreSQL creates it (track/new_file.c),
 * in the slot of the worker or the place of the session's job. Sessions that look at the job ask the
 * file system how large the file is (function/step.c).
 */
#ifndef KWJ_JOB_NEW_FILE_H
#define KWJ_JOB_NEW_FILE_H

#include "kwjobs.h"

typedef enum KwjNewFileState
{
	KWJ_FILE_NONE,				/* the statement has created no table so far */
	KWJ_FILE_GROWS,				/* rows are written into it */
	KWJ_FILE_SWAPPED,			/* it is the table's file now, and the indexes are built on it */
	KWJ_FILE_DONE,				/* the indexes are built, too */
} KwjNewFileState;

typedef struct KwjNewFile
{
	KwjNewFileState state;
	Oid			tablespace;
	Oid			database;
	Oid			number;			/* its relfilenode, which is the OID of the new table, too */
	/*
	 * The size of the old file, which the new one replaces. 0: there is none, or the statement may
	 * replace the files of several tables.
	 */
	uint64		expected;
	bool		has_indexes;	/* the old table has indexes, which are built anew */
} KwjNewFile;

/*
 * Stores what is known of the file, under the lock that protects *stored. If the statement has
 * written another file before, nobody can tell how much of the statement is done.
 */
static inline void
kwj_new_file_store(KwjNewFile *stored, const KwjNewFile *file)
{
	bool		is_second = stored->state != KWJ_FILE_NONE &&
		(stored->number != file->number || stored->expected == 0);

	*stored = *file;
	if (is_second)
		stored->expected = 0;
}

#endif
