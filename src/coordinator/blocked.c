/*
 * src/coordinator/blocked.c
 *	  The coordinator waits until it may write to kwjobs.job.
 *
 * Process: coordinator, outside a transaction. Callers: coordinator.c, before it records the start of the
 * server, and after a pass that could not have the lock; singly.c, before it looks for what was overlooked and
 * before it goes job by job; fire.c, before it looks whether the clock was set back, and before it acts on
 * schedules that are due. What the coordinator does after a pass (deadlock.c, collect.c, retention.c) does not
 * wait: if another process has the lock, it changes nothing, and asks for another pass.
 *
 * CREATE INDEX and REINDEX of kwjobs.job, and LOCK TABLE, keep all who write to it waiting, for as long
 * as they take. No job can begin or end meanwhile, but jobs can be read, so this process goes on to
 * answer sessions of other databases:
 *
 *     wait for the lock, WAIT_MS at most --has it--> unlock, and back to the pass
 *          ^   |
 *          |   +--has it not--> answer questions; errands come back as LOCKED
 *          +------------------------+
 *
 * It sleeps in the queue of the lock, so PostgreSQL wakes it as soon as the lock is free. running_status
 * of the jobs that wait names the process that has the lock (function/reason.c), and after a second so
 * does the server's log.
 *
 * Known holes: another process may take the lock just after this wait. If the coordinator then records the start of
 * the server, or goes job by job (singly.c), it waits for the lock and answers nobody.
 *
 * Locks: those on the tables of kwjobs, until the end of each transaction. If this process dies, its
 * successor meets the same lock.
 */
#include "postgres.h"

#include "coordinator/answer.h"
#include "coordinator/blocked.h"
#include "coordinator/errands_in.h"
#include "job/isolate.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "process/process.h"
#include "store/query.h"

/* How long this process waits for the lock before it answers sessions, which give up after a second. */
#define WAIT_MS			"200ms"
/* During the wait with this number, PostgreSQL writes to the log who has the lock (log_lock_waits). */
#define LOGGED_WAIT		5
#define LOGGED_AFTER_MS	"100ms"

/* A step of kwj_isolate_quietly(). *arg: which wait this is. */
static void
lock_jobs(void *arg)
{
	const int  *wait = arg;

	kwj_set_locally("lock_timeout", WAIT_MS);
	if (*wait == LOGGED_WAIT)
		kwj_set_locally("deadlock_timeout", LOGGED_AFTER_MS);
	/* kwj_isolate_quietly() holds cancels back, and with them the end of lock_timeout. */
	RESUME_CANCEL_INTERRUPTS();
	if (kwj_process_lock_extension())
		kwj_store_lock_jobs();
	HOLD_CANCEL_INTERRUPTS();
}

void
kwj_blocked_wait(void)
{
	int			wait = 1;
	ErrorData  *edata;

	while ((edata = kwj_isolate_quietly(lock_jobs, &wait)) != NULL &&
		   edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		FreeErrorData(edata);
		CHECK_FOR_INTERRUPTS();
		(void) kwj_answer_questions();
		(void) kwj_errands_do();
		wait = Min(wait + 1, LOGGED_WAIT + 1);
	}
	/* If it was another error, the caller will meet it, too, and have it logged. */
}
