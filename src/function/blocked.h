/*
 * src/function/blocked.h
 *	  Who keeps a process from a lock, as the coordinator from the tables of kwjobs.
 *
 * Whoever is in pg_write_all_data may LOCK TABLE those of kwjobs, though no right of theirs changes a row.
 */
#ifndef KWJ_FUNCTION_BLOCKED_H
#define KWJ_FUNCTION_BLOCKED_H

#include "kwjobs.h"

/*
 * The process that has the lock for which this one waits, or waits for it longer; 0: it waits for nobody
 * any more, or for a prepared transaction. Stops all who want a lock for a moment.
 *
 * Process: sessions.
 */
extern int	kwj_blocker_of(int pid);

#endif
