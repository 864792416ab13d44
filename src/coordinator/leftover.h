/*
 * src/coordinator/leftover.h
 *	  What to do with the INVALID indexes that a failed CONCURRENTLY command has left.
 */
#ifndef KWJ_COORDINATOR_LEFTOVER_H
#define KWJ_COORDINATOR_LEFTOVER_H

#include "kwjobs.h"

/*
 * Returns a hint that names the INVALID indexes and the commands that remove them, palloc'd; NULL
 * if there are none. Looks at this index, or, if it is InvalidOid, at all indexes of the table and
 * its TOAST table whose names are those that REINDEX CONCURRENTLY gives. In a transaction; takes no
 * lock on the table.
 */
extern char *kwj_leftover_hint(Oid table, Oid index);

#endif
