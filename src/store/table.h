/*
 * src/store/table.h
 *	  Single rows of our tables, found by their primary keys without a plan. Only src/store
 *	  includes this.
 *
 * Every job needs these changes, so they have to be fast; the execution of a plan would cost more
 * than all the rest. Everything else goes through query.h. The rows are written by the functions
 * with which PostgreSQL applies logical replication (executor/execReplication.c), so triggers,
 * constraints and indexes are taken care of. They run as the current user, with its search_path: a
 * trigger on our tables runs with the rights of the role whose action fired it.
 */
#ifndef KWJ_STORE_TABLE_H
#define KWJ_STORE_TABLE_H

#include "kwjobs.h"
#include "access/stratnum.h"
#include "job/status.h"
#include "nodes/lockoptions.h"
#include "storage/itemptr.h"
#include "storage/lock.h"
#include "store/columns.h"
#include "store/indexes.h"
#include "store/model_row.h"
#include "utils/jsonb.h"
#include "utils/snapshot.h"

typedef struct KwjTable KwjTable;

/*
 * Open the table of that name in schema kwjobs for changes, in RowExclusiveLock. Needs an active
 * snapshot. The result is palloc'd in CurrentMemoryContext. Errors: 55000 if the extension is not
 * installed in this database; 42501 if the owner of the table is not a superuser.
 */
extern KwjTable *kwj_table_open(const char *name);

/*
 * Open the table only to read rows by an index and perhaps to lock them. This costs much less than
 * kwj_table_open, because nothing is prepared to write rows. lock: AccessShareLock, or RowShareLock
 * to lock rows. snapshot: what all scans see; NULL: each scan sees what is committed when it begins.
 * The caller may use only kwj_table_begin_scan and the functions for a scan, kwj_table_lock_found,
 * and the functions that get a column. Errors: as for kwj_table_open.
 */
extern KwjTable *kwj_table_open_to_read(const char *name, LOCKMODE lock, Snapshot snapshot);

/*
 * Open kwjobs.job only to write rows of this kind: indexes that no such row can be in are not
 * opened (store/indexes.h). For KWJ_RECORDS the caller has locked the table in RowExclusiveLock.
 * Otherwise as kwj_table_open. Errors: for KWJ_RECORDS also if it would have to wait for a lock on an
 * index.
 */
extern KwjTable *kwj_table_open_jobs(KwjRows rows);

/*
 * Opens the remaining indexes, so that the caller may write rows of any kind. Returns false if it
 * would have to wait for a lock on one of them; then the caller may write only what it could before.
 */
extern bool kwj_table_allow_all_rows(KwjTable *jobs);

/*
 * Find the latest version of the row with this primary key (as many values as it has columns:
 * bigint, integer), whatever the transaction's snapshot shows. Returns false if there is none. The
 * row is not locked, so the caller may change it only if no other process can change it meanwhile.
 *
 * place: the last known ctid of the row (kwj_table_place), which makes the search short if the row
 * is still there; NULL or invalid: not known.
 */
extern bool kwj_table_find(KwjTable *table, const Datum *key, ItemPointer place);

/*
 * Lock the row that was found (FOR NO KEY UPDATE) until the end of the transaction, and read its
 * latest version. Returns false if it is gone, or, with LockWaitSkip, if another transaction has
 * locked it.
 */
extern bool kwj_table_lock_found(KwjTable *table, LockWaitPolicy wait);

/* Find the row as kwj_table_find does, and lock it as kwj_table_lock_found does. */
extern bool kwj_table_lock(KwjTable *table, const Datum *key, ItemPointer place,
						   LockWaitPolicy wait);

/* How a column of an index has to compare with the value. */
typedef struct KwjKey
{
	int			column;			/* of the index, from 1 */
	StrategyNumber strategy;	/* BTEqualStrategyNumber, BTGreaterStrategyNumber and so on */
	Datum		value;
} KwjKey;

/*
 * Begin to read the rows for which all n keys are true, in the order of the index, as of now,
 * whatever the transaction's snapshot shows, unless a snapshot was given. A table has one scan at a
 * time. While it lasts, the rows may be changed. Errors: 42704 if somebody has dropped the index, or
 * it is INVALID.
 */
extern void kwj_table_begin_scan(KwjTable *table, const char *index, const KwjKey *keys, int n);

/*
 * Go on with the rows for which other keys are true, in the same index and as of the same moment. If
 * no row fits both the old and the new keys, none is found twice, though rows may be changed
 * meanwhile.
 */
extern void kwj_table_go_on_scan(KwjTable *table, const KwjKey *keys, int n);

/*
 * Find the next row; kwj_table_lock_next also locks it, and waits for another transaction that has
 * locked it. Both return false when there is no other row.
 */
extern bool kwj_table_next(KwjTable *table);
extern bool kwj_table_lock_next(KwjTable *table);

/*
 * The same for the entries of the index themselves. The row of an entry may be gone already, or not
 * be committed yet. values and isnull have room for INDEX_MAX_KEYS columns; the values are valid
 * until the next call. Returns false when there is no other entry.
 */
extern void kwj_table_begin_entries(KwjTable *table, const char *index, const KwjKey *keys, int n);
extern bool kwj_table_next_entry(KwjTable *table, Datum *values, bool *isnull);

extern void kwj_table_end_scan(KwjTable *table);

/*
 * Get a column of the row that was found. The value is valid until the next row is found or the
 * table is closed.
 */
extern Datum kwj_table_get(KwjTable *table, const char *column, bool *isnull);

/* Begin to change the row that was found, or to make a new row of NULLs. */
extern void kwj_table_change_row(KwjTable *table);
extern void kwj_table_new_row(KwjTable *table);

/*
 * Begin a new row as a copy of the model, which must live until the row is written. Returns false if
 * the model has no values, or the table's columns have changed since. Then the caller begins the row
 * with kwj_table_new_row, sets the columns that many rows have in common, and calls kwj_table_keep_row,
 * so that the model has them for the next rows.
 */
extern bool kwj_table_new_row_like(KwjTable *table, KwjModelRow *model);
extern void kwj_table_keep_row(KwjTable *table, KwjModelRow *model);

/*
 * Set a column of the row that was begun. The value must live until kwj_table_update or
 * kwj_table_insert.
 */
extern void kwj_table_set(KwjTable *table, const char *column, Datum value);
extern void kwj_table_set_null(KwjTable *table, const char *column);

/*
 * Release the row that was found, with its buffer pin. A caller that reads an open table in a
 * subtransaction calls kwj_table_forget_row before the subtransaction begins, and again before it
 * commits. After a rollback of the subtransaction the caller calls kwj_table_forget_lost_row
 * instead, because the abort has released the pin already.
 */
extern void kwj_table_forget_row(KwjTable *table);
extern void kwj_table_forget_lost_row(KwjTable *table);

/*
 * Returns whether a change of a row may raise an error that is not the server's own: a user has
 * created triggers, constraints, or indexes on expressions on the table, has made a constraint
 * deferrable, or has made the table a partition.
 */
extern bool kwj_table_may_refuse(const KwjTable *table);

/*
 * Returns whether a user has changed what happens when a row is inserted: there are triggers, an
 * identity column, or not just this number of columns with a DEFAULT. kwj_table_insert evaluates no
 * DEFAULT, and fires no triggers for statements.
 */
extern bool kwj_table_is_changed(const KwjTable *table, int n_defaults);

/* Write the row that was begun. Later commands of the transaction see it. */
extern void kwj_table_update(KwjTable *table);
extern void kwj_table_insert(KwjTable *table);

/* The first function returns the ctid of the row that was written, the second of the row found. */
extern ItemPointerData kwj_table_place(const KwjTable *table);
extern ItemPointerData kwj_table_row_place(const KwjTable *table);

extern void kwj_table_close(KwjTable *table);

/*
 * Returns whether an index of a table in schema kwjobs, whose first column is a bigint, has a row
 * with this key now, whatever the transaction's snapshot shows. Also returns true if that is not known,
 * because somebody has dropped the index, or builds it anew.
 */
extern bool kwj_index_may_have(const char *table, const char *name, int64 key);

/*
 * Get a column of the row that was found; NULL gives 0. kwj_table_get_next returns the value plus
 * 1; it raises 22003 if this overflows.
 */
extern int64 kwj_table_get_int64(KwjTable *table, const char *column);
extern int32 kwj_table_get_int32(KwjTable *table, const char *column);
extern int64 kwj_table_get_next(KwjTable *table, const char *column);
extern bool kwj_table_is_null(KwjTable *table, const char *column);

/* An oid column; InvalidOid for NULL. */
extern Oid	kwj_table_get_oid(KwjTable *table, const char *column);

/* A text or jsonb column, copied into context; NULL for NULL. */
extern char *kwj_table_get_text(KwjTable *table, const char *column, MemoryContext context);
extern Jsonb *kwj_table_get_jsonb(KwjTable *table, const char *column, MemoryContext context);

/*
 * The status in column "status"; KWJ_UNKNOWN_STATUS if kwjobs does not know it. *name becomes the
 * text, NULL for NULL.
 */
extern KwjStatus kwj_table_get_status(KwjTable *table, char **name);
extern void kwj_table_set_status(KwjTable *table, KwjStatus status);

/* Set a column to a text or to a varlena; NULL sets it to NULL. */
extern void kwj_table_set_text(KwjTable *table, const char *column, const char *text);
extern void kwj_table_set_or_null(KwjTable *table, const char *column, void *varlena);

#endif
