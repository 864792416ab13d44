/*
 * src/function/blocked.h
 *	  Which process holds up another one that waits for a lock.
 *
 * The coordinator may have to wait for a lock on a table of kwjobs: a member of pg_write_all_data
 * may LOCK TABLE these tables, although row-level security keeps it from changing any row.
 */
#ifndef KWJ_FUNCTION_BLOCKED_H
#define KWJ_FUNCTION_BLOCKED_H

#include "kwjobs.h"

/*
 * Returns a process that holds the lock for which process pid waits, or is before it in the queue
 * for that lock. Returns 0 if pid waits for no lock any more, or for one of a prepared
 * transaction. While this looks, no process can take or release a lock in the lock table.
 *
 * Process: sessions.
 */
extern int	kwj_blocker_of(int pid);

#endif
