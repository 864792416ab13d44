/*
 * src/type/backup/rows.h
 *	  Sums of the rows in scripts of pg_restore, to compare rows whatever their order.
 */
#ifndef KWJ_TYPE_BACKUP_ROWS_H
#define KWJ_TYPE_BACKUP_ROWS_H

#include "job/progress.h"
#include "nodes/pg_list.h"
#include "type/files/directory.h"

/* The rows for one COPY statement, or for several that name the same table and columns, in any order. */
typedef struct KwjDumpedRows
{
	char	   *target;			/* "table (columns)", as the first statement names it */
	char	   *table;
	List	   *columns;		/* char *: quoted names, in the order in which the sums have them */
	int64		n;
	uint64		sum[4];			/* of the SHA-256 of all rows, each quarter for itself */
} KwjDumpedRows;

/*
 * Reads a script that pg_restore has written, and appends a KwjDumpedRows for each target to *all. like: those
 * of another script, NIL at first: the targets and the order of columns of these are taken over. Process:
 * worker, in a transaction. Returns KWJ_REQUEST_CANCEL if the job has to end. Errors: of the file system.
 */
extern KwjRequest kwj_rows_read(const KwjDirectory *directory, const char *name, List *like, List **all);

/* Returns the rows of this target; NULL if there are none. */
extern const KwjDumpedRows *kwj_rows_of(List *all, const char *target);

/* Returns whether these are the same rows. */
extern bool kwj_rows_are_same(const KwjDumpedRows *a, const KwjDumpedRows *b);

#endif
