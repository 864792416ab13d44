/*
 * src/store/columns.h
 *	  What a process keeps of the columns of our tables: their numbers.
 */
#ifndef KWJ_STORE_COLUMNS_H
#define KWJ_STORE_COLUMNS_H

#include "kwjobs.h"
#include "access/attnum.h"
#include "access/tupdesc.h"
#include "utils/rel.h"

/*
 * From now on the process keeps what it finds out about the columns of this table, until the columns
 * change. The caller has opened the table. Whoever opens one of our tables calls this each time, because
 * this also forgets what was kept of columns that have changed.
 */
extern void kwj_columns_keep(Relation table);

/*
 * Returns the column's number. name: a literal, because the process finds the number again by this
 * pointer. Errors: XX000 if there is no such column.
 */
extern AttrNumber kwj_column_number(Relation table, const char *name);

/* Returns whether the process has pinned this descriptor, which is that of an open table. */
extern bool kwj_columns_are_kept(TupleDesc columns);

/*
 * Returns how many descriptors the process has unpinned so far. As long as this number stays the same, no
 * descriptor that was pinned has been freed, and so no other one can have its address.
 */
extern uint32 kwj_columns_changes(void);

#endif
