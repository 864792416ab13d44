/*
 * src/type/stats/object.h
 *	  The extended statistics object of a job that collects statistics of several columns together.
 *
 * The object has the name that the statement gives, and is in the schema of the table. It is what
 * makes ANALYZE collect such statistics from then on.
 */
#ifndef KWJ_TYPE_STATS_OBJECT_H
#define KWJ_TYPE_STATS_OBJECT_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * Checks whether the current role can create the object, or whether it is there already, with the
 * same table and the same columns. columns: the numbers of two or more columns. Returns
 * whether it is there. Errors: 42710 if another object has the name; 42501 if the role does
 * not own the table, or may not create objects in its schema, or the table is a system catalog;
 * 0A000 if values of a column cannot be sorted.
 */
extern bool kwj_stats_check_object(Relation rel, const char *name, List *columns);

/*
 * Creates the object unless it is there, in the current transaction, which has an active snapshot;
 * the object is then visible to the next command. names: the names of the columns. Errors: as
 * kwj_stats_check_object, and those of CREATE STATISTICS.
 */
extern void kwj_stats_create_object(Relation rel, const char *name, List *columns, List *names);

#endif
