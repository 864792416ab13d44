/*
 * src/type/backup/rows.h
 *	  Sums of the rows in scripts of pg_restore, to compare rows whatever their order.
 */
#ifndef KWJ_TYPE_BACKUP_ROWS_H
#define KWJ_TYPE_BACKUP_ROWS_H

#include "job/progress.h"
#include "nodes/pg_list.h"
#include "type/files/directory.h"

/* The rows for one COPY statement. */
typedef struct KwjDumpedRows
{
	char	   *target;			/* "table (columns)", as the statement names it */
	int64		n;
	uint64		sum[4];			/* of the SHA-256 of all rows, each quarter for itself */
} KwjDumpedRows;

/*
 * Reads a script that pg_restore has written, and appends a KwjDumpedRows for each target to *all. Process:
 * worker, in a transaction. Returns KWJ_REQUEST_CANCEL if the job has to end. Errors: of the file system.
 */
extern KwjRequest kwj_rows_read(const KwjDirectory *directory, const char *name, List **all);

/* Returns the rows of this target; NULL if there are none. */
extern const KwjDumpedRows *kwj_rows_of(List *all, const char *target);

/* Returns whether these are the same rows. */
extern bool kwj_rows_are_same(const KwjDumpedRows *a, const KwjDumpedRows *b);

#endif
