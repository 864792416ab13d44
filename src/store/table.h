/*
 * src/store/table.h
 *	  Single rows of our tables by their primary keys, without a plan. Included by
 *	  src/store only.
 *
 * For what every job needs several times a millisecond: starting a plan costs more
 * than all that it does. Everything else goes through store_query.h. The work is done by the
 * functions with which PostgreSQL applies logical replication: triggers, constraints and
 * indexes are seen to. They run as the caller, with its search_path: a trigger that somebody
 * has put on our tables gets no rights that he who causes it lacks.
 */
#ifndef KWJ_STORE_TABLE_H
#define KWJ_STORE_TABLE_H

#include "kwjobs.h"
#include "job/status.h"
#include "nodes/lockoptions.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"

typedef struct KwjTable KwjTable;

/*
 * Open the table of that name in schema kwjobs for changes, with an active snapshot. The result is in
 * CurrentMemoryContext. Errors: 55000 if the extension is not installed in this database.
 */
extern KwjTable *kwj_table_open(const char *name);

/*
 * Find the row with this primary key (as many values as it has columns: bigint, integer), in its
 * latest version, whatever the transaction's snapshot shows of it. False if there is none. To be
 * changed after this, it must be one that nobody else changes.
 *
 * place: where it was last (kwj_table_place, ctid), which makes the search short if it is
 * still there; NULL or invalid: not known.
 */
extern bool kwj_table_find(KwjTable *table, const Datum *key, ItemPointer place);

/*
 * Lock the row that was found until the end of the transaction, and read its latest version. False
 * if it is gone, or, with LockWaitSkip, if another transaction has it locked.
 */
extern bool kwj_table_lock_found(KwjTable *table, LockWaitPolicy wait);

/* Both. */
extern bool kwj_table_lock(KwjTable *table, const Datum *key, ItemPointer place,
						   LockWaitPolicy wait);

/*
 * Find all rows that have this key in an index on one bigint, as of now, whatever the
 * transaction's snapshot shows, and lock each, waiting for who has it locked. The rows may be
 * changed meanwhile.
 */
extern void kwj_table_begin_scan(KwjTable *table, const char *index, int64 key);
extern bool kwj_table_lock_next(KwjTable *table);
extern void kwj_table_end_scan(KwjTable *table);

/* A column of the row that was found, valid until the next one is, or the table is closed. */
extern Datum kwj_table_get(KwjTable *table, const char *column, bool *isnull);

/* Begin a change of the row that was found, or a new row of NULLs. */
extern void kwj_table_change_row(KwjTable *table);
extern void kwj_table_new_row(KwjTable *table);

/* A column of it. The value must live until kwj_table_update or kwj_table_insert. */
extern void kwj_table_set(KwjTable *table, const char *column, Datum value);
extern void kwj_table_set_null(KwjTable *table, const char *column);

/*
 * How a table that is open already is read in a subtransaction: forget the row before that begins, and
 * before it ends. If it was rolled back instead, the pin of the row has gone with it.
 */
extern void kwj_table_forget_row(KwjTable *table);
extern void kwj_table_forget_lost_row(KwjTable *table);

/*
 * Whether a change of a row may raise an error that is not the server's: somebody has made triggers,
 * constraints or indexes on expressions on the table.
 */
extern bool kwj_table_may_refuse(const KwjTable *table);

/* Write it. */
extern void kwj_table_update(KwjTable *table);
extern void kwj_table_insert(KwjTable *table);

/* Where it was written, and where the row was found. */
extern ItemPointerData kwj_table_place(const KwjTable *table);
extern ItemPointerData kwj_table_row_place(const KwjTable *table);

extern void kwj_table_close(KwjTable *table);

/*
 * Whether that index of a table in schema kwjobs, on one bigint, has a row with this key now,
 * whatever the transaction's snapshot shows.
 */
extern bool kwj_index_has(const char *table, const char *name, int64 key);

/* A column of the row that was found: 0 or NULL for NULL. The third: one more than the column says; errors: 22003. */
extern int64 kwj_table_get_int64(KwjTable *table, const char *column);
extern int32 kwj_table_get_int32(KwjTable *table, const char *column);
extern int64 kwj_table_get_next(KwjTable *table, const char *column);
extern bool kwj_table_is_null(KwjTable *table, const char *column);

/* Copied into context; NULL for NULL. */
extern Jsonb *kwj_table_get_jsonb(KwjTable *table, const char *column, MemoryContext context);

/* The column "status": what it says (KWJ_UNKNOWN_STATUS: nothing that kwjobs knows), with its text in *name. */
extern KwjStatus kwj_table_get_status(KwjTable *table, char **name);
extern void kwj_table_set_status(KwjTable *table, KwjStatus status);

/* A varlena, NULL for NULL. */
extern void kwj_table_set_or_null(KwjTable *table, const char *column, void *varlena);

#endif
