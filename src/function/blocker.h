/*
 * src/function/blocker.h
 *	  The lock that another process waits for, and which processes make it wait.
 */
#ifndef KWJ_FUNCTION_BLOCKER_H
#define KWJ_FUNCTION_BLOCKER_H

#include "kwjobs.h"
#include "job/backend.h"
#include "utils/timestamp.h"

typedef struct KwjWait
{
	char	   *text;			/* palloc'd, as running_status shows it; NULL: it does not wait */
	TimestampTz since;			/* 0: not known */
	bool		is_advisory;	/* for an advisory lock */
} KwjWait;

/*
 * Returns what the process waits for, in words that the current user may see. phase: the phase of
 * the process's command, or NULL. If the process waits for the end of other transactions, the phase
 * says more about that than the lock does. If the process waits for a lock, this function takes all
 * partitions of the lock table, shared, for a moment. It reads catalog caches, so it needs a
 * transaction.
 */
extern KwjWait kwj_wait_of(const KwjBackend *backend, const char *phase);

#endif
