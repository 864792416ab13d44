/*
 * src/type/stats/target.h
 *	  The table of which a job collects statistics, its columns and its partitions.
 *
 * Process: session (when the job is created), worker.
 */
#ifndef KWJ_TYPE_STATS_TARGET_H
#define KWJ_TYPE_STATS_TARGET_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"

/*
 * Opens and locks the table, and checks that statistics can be collected of it, and that the
 * current role may do so. name: how the job has named the table when it was created; NULL: it is
 * being created. Errors: 42P01 if there is no such table; 42809 if it is no table; 0A000 if it is
 * temporary; 42501 if the role is neither the owner of the table nor of the database and, since
 * PostgreSQL 17, has no MAINTAIN on the table.
 */
extern Relation kwj_stats_open(Oid table, const char *name, LOCKMODE mode);

/*
 * Returns the numbers of the columns with these names (char *), in this order. Errors: 42703, 42701
 * if a column is named twice, 54011 if there are too many, 0A000 if PostgreSQL does not store the
 * column.
 */
extern List *kwj_stats_column_numbers(Relation rel, List *names);

/*
 * Returns the present names (char *) of the columns with these numbers. before: their names when
 * the job was created, in the same order, for an error. Errors: 42703 if one was dropped.
 */
extern List *kwj_stats_column_names(Relation rel, List *numbers, List *before);

/*
 * Returns the partitions of the table, of all levels, in ascending order of their OIDs; NIL if it is
 * not partitioned. They are not locked, so each may be gone when the caller comes to it.
 */
extern List *kwj_stats_partitions(Relation rel);

#endif
