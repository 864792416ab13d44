/*
 * src/coordinator/leftover.h
 *	  What to do with the INVALID indexes that a failed CONCURRENTLY command has left.
 */
#ifndef KWJ_COORDINATOR_LEFTOVER_H
#define KWJ_COORDINATOR_LEFTOVER_H

#include "kwjobs.h"

/*
 * Returns a hint that names the INVALID indexes and the commands that remove them, palloc'd; NULL
 * if there are none. wanted: the index of the table that the command was building; InvalidOid: all
 * indexes of the table and its TOAST table whose names REINDEX CONCURRENTLY makes. The caller is in
 * a transaction. Takes no lock on the table.
 */
extern char *kwj_leftover_hint(Oid table, Oid wanted);

#endif
