/*
 * src/job/invalid.h
 *	  The indexes of a table, valid and INVALID, and those that REINDEX CONCURRENTLY leaves.
 */
#ifndef KWJ_JOB_INVALID_H
#define KWJ_JOB_INVALID_H

#include "kwjobs.h"
#include "nodes/pg_list.h"

/* Returns the table's TOAST table; InvalidOid if it has none, or if there is no such table. */
extern Oid	kwj_toast_table(Oid table);

/*
 * Returns the indexes of the table that the catalog has now: the valid ones, the INVALID ones, or
 * both.
 * Indexes of partitions and of the TOAST table are not included.
 */
extern List *kwj_indexes_of(Oid table, bool valid, bool invalid);

/*
 * Returns the list with the INVALID indexes of the table appended, and after them those of its
 * TOAST table. Indexes of partitions are not included. Indexes that are no longer kept up to date
 * (not indislive) are.
 */
extern List *kwj_add_invalid_indexes(List *indexes, Oid table);

/*
 * Returns whether REINDEX CONCURRENTLY can have made this name: it has the suffix _ccnew or _ccold,
 * with a number after it if the name without a number was taken.
 */
extern bool kwj_is_reindex_name(const char *name);

#endif
