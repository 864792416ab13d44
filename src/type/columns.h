/*
 * src/type/columns.h
 *	  What job types that work on one table have in common: its name and its columns.
 *
 * The arguments of such a job name columns. Its payload has their numbers too, so that the job still
 * finds a column that was renamed after the job was created.
 */
#ifndef KWJ_TYPE_COLUMNS_H
#define KWJ_TYPE_COLUMNS_H

#include "kwjobs.h"
#include "access/attnum.h"
#include "storage/lockdefs.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

/*
 * Opens the table, and locks it until the end of the transaction. name: what the table was called when
 * the job was created; NULL: the job is just being created. statement: what creates such a job, for the
 * hint. Errors: 42P01 if there is no such table.
 */
extern Relation kwj_open_table(Oid table, const char *name, LOCKMODE mode, const char *statement);

/* Returns the quoted name of the table with its schema, palloc'd. */
extern char *kwj_qualified_name(Relation rel);

/*
 * Returns the number of the user's column with this name; InvalidAttrNumber if the table has no such
 * column, or if the name is that of a system column.
 */
extern AttrNumber kwj_find_column(Relation rel, const char *name);

/*
 * Appends the number of the column with this name to the list of integers, and returns the list.
 * hint: what to do about a column that is named twice. Errors: 42701 if the list has the number.
 */
extern List *kwj_add_column(List *numbers, AttrNumber number, const char *name, const char *hint);

/* Returns the present name of the column; NULL if the table does not have it any more. */
extern char *kwj_column_name(Relation rel, int number);

/* Returns the numbers of columns that a payload has, as a list of integers. Errors: XX000. */
extern List *kwj_payload_columns(Jsonb *payload);

/* Returns what a relation of this kind is, as a sentence for an error: "It is a view." */
extern const char *kwj_relation_kind(char relkind);

#endif
