/*
 * src/type/import/batch.h
 *	  A batch of an IMPORT: the records that a worker imports in one transaction.
 */
#ifndef KWJ_TYPE_IMPORT_BATCH_H
#define KWJ_TYPE_IMPORT_BATCH_H

#include "postgres.h"

#include "commands/copy.h"
#include "job/current.h"
#include "lifecycle/parts.h"
#include "parser/parse_node.h"
#include "type/import/created.h"
#include "type/import/extend.h"
#include "type/import/options.h"
#include "type/import/pace.h"
#include "type/import/position.h"
#include "type/import/reader.h"
#include "type/import/target.h"
#include "utils/rel.h"

/* An import, or a piece of one, by this process. */
typedef struct KwjImport
{
	KwjAttempt *attempt;
	KwjImportSpec spec;
	char	   *text;			/* a batch runs as a statement with this text */

	KwjImportPosition position;
	KwjImportEnd end;
	int64		bytes_before;	/* of the import or piece, as stored, in the files before the position's */
	int64		batch_bytes;	/* of text, that the last batch has imported */
	int64		rows;			/* including those of the batch so far */
	int64		rejected;		/* records that were left out, including those of the batch so far */
	KwjStorageMap storage;
	KwjCreated	created;		/* what the job has created, if it creates its target */
	int			table;			/* of spec.tables, which spec is about now; -1: none yet */
	KwjPace		pace;
	KwjSourceIdentity *checked; /* of each file; inode 0: not known; NULL: of none (verify.h) */
	bool		all_checked;	/* this process has compared all files that it may begin */
	bool		in_one_batch;	/* no time, size or request ends a batch, only the end of the input */
	bool		decides;		/* no other process can meet an earlier record beyond reject_limit */
	bool		quiet;			/* no remark about skipped lines is to be made */

	/* Is called in the first batch, when the rights were checked, and not again; NULL: nothing. */
	void		(*start) (struct KwjImport *import);
	/* Shows the progress: how many rows are imported, including those of the batch. */
	void		(*show) (const struct KwjImport *import, int64 rows);
	void	   *arg;			/* of show */

	/* Set during a batch, and between kwj_import_open_target and kwj_import_close_target. */
	ParseState *pstate;
	Relation	rel;
	bool		elsewhere;		/* a revert could not remove the rows (kwj_import_is_elsewhere) */
	List	   *numbers;		/* of the columns to fill, as integers */
	List	   *columns;		/* their names as String nodes, as COPY wants them */

	/* Of a batch that leaves bad records out. */
	int			subtransactions;	/* how many have got a number */
	bool		searching;		/* bad records are looked for; no time ends a try */
	int64		passed;			/* the offset at which the last file ended that was left behind */

	bool		together;		/* several workers import at this moment */
	KwjExtend	extend;

	/* Set while COPY runs. */
	KwjImportReader reader;
	CopyFromState copy;
	int64		marker_line;	/* the line of \. if that is the error; else 0 */

	/* The place of the last error or message. */
	bool		error_in_file;
	int64		error_line;
	char		error_column[NAMEDATALEN];
	bool		error_is_name;	/* COPY has refused a value that is the column's name, as in a header */
} KwjImport;

/*
 * Begins to import, from the start of the first file to the end of the last one. What *import points
 * to is palloc'd in CurrentMemoryContext, which has to outlive the batches.
 */
extern void kwj_import_init(KwjImport *import, KwjAttempt *attempt);

/*
 * If the job is to create its target and has not done so yet, does it in the current transaction, which
 * the caller commits with a checkpoint that has import->created. Returns whether it did. Errors: those of
 * CREATE TABLE; 42P07 if there is a table of that name.
 */
extern bool kwj_import_create_target(KwjImport *import);

/*
 * Runs what the definition of the target has for the time when the rows are there, such as indexes, in the
 * current transaction. kwj_import_has_rest returns whether there is anything.
 */
extern bool kwj_import_has_rest(const KwjImport *import);
extern void kwj_import_create_rest(KwjImport *import);

/*
 * If the import has several tables, sets its target, columns and all else that belongs to a table to
 * those of the table whose file is at the position. The caller has yet to open the file.
 */
extern void kwj_import_select_table(KwjImport *import);

/* Reads what the job has created from the state of a checkpoint; NULL: it has none. */
extern void kwj_import_read_created(KwjImport *import, Jsonb *state);

/* Sets where the import goes on, and ends, to what is left of a piece. */
extern void kwj_import_set_piece(KwjImport *import, const KwjPiece *piece);

/* Returns whether the piece goes from the start of the first file to the end of the last one. */
extern bool kwj_import_is_whole(const KwjImport *import, const KwjPiece *piece);

/* Returns how many bytes of the import, or of the piece, are done, as they are stored. */
static inline int64
kwj_import_bytes_done(const KwjImport *import)
{
	return import->bytes_before + import->position.stored;
}

/* Returns whether the position is at the end. */
extern bool kwj_import_is_done(const KwjImport *import);

/*
 * Returns the size of the files from the position's on, as they are stored. It looks at each file, so an
 * attempt that calls this when it begins notices early that a file is missing.
 */
extern int64 kwj_import_bytes_of_files(const KwjImport *import);

/*
 * Locks the target, and checks what was allowed when the job was created but may not be allowed any
 * more. kwj_import_close_target keeps the lock until the end of the transaction.
 */
extern void kwj_import_open_target(KwjImport *import);
extern void kwj_import_close_target(KwjImport *import);

/*
 * Does the work of one transaction, which the caller has begun and commits: imports from the
 * position on, until the batch is full or the end is reached. Errors: those of COPY; 55000 if a
 * file is not the same any more. After an error, the place in the input is in the attempt.
 */
extern void kwj_import_run_batch(KwjImport *import);

/* Returns the result of a job that has imported `rows` rows, and left `rejected` records out. */
extern Jsonb *kwj_import_result(const KwjImport *import, int64 rows, int64 rejected);

#endif
