/*
 * src/process/stop.c
 *	  How workers leave when the server stops: a moment later, with their checkpoint.
 *
 * Process: worker, in its handler of SIGTERM; launcher, when it exits. Locks: kwj_shared->lock for
 * moments, in the launcher.
 *
 * At a fast stop at once, at a smart one when no session is left, the postmaster sends SIGTERM to
 * all background workers, and waits for them without a limit. An immediate stop sends SIGQUIT.
 *
 *     postmaster --SIGTERM--> worker     goes on to its checkpoint, if there is to be one, and exits
 *     postmaster --SIGTERM--> launcher   exits when no worker is left; after STOP_GRACE_MS it sends
 *                                        SIGTERM to those that are, which ends them at once
 *
 * The worker cannot set a timer for this, because PostgreSQL's timeouts cannot be set in a signal
 * handler. So it puts its exit off only while a launcher has promised to end it
 * (kwj_shared_sees_workers_out). A launcher that exits withdraws the promise first, and then checks
 * whether the server stops. A worker checks whether the server stops first, and the promise then.
 * So no worker waits without a launcher.
 *
 * If the launcher is killed meanwhile, the postmaster ends all processes.
 *
 * Known hole: if somebody terminates the launcher by hand while a smart stop waits for sessions, it
 * takes that for the stop itself, and ends the workers. Their jobs are interrupted, and go on when
 * the server has started again.
 */
#include "postgres.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "compat.h"
#include "job/stop.h"
#include "miscadmin.h"
#include "process/process.h"
#include "process/stop.h"
#include "shared/stop.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"

/* How long the server's stop waits for checkpoints, in milliseconds. */
#define STOP_GRACE_MS	500

/*
 * Returns whether the signal is the postmaster's, because it stops the server. pg_terminate_backend
 * and kwjobs itself send it from other processes.
 */
static bool
is_stop_of_server(const siginfo_t *info)
{
	return info->si_code == SI_USER && info->si_pid == PostmasterPid && kwj_process_server_stops();
}

/*
 * The postmaster sends the signal to the process and to its group, so it may come twice. All that
 * is called here is safe in a signal handler.
 */
static void
handle_sigterm(int signo, siginfo_t *info, void *context)
{
	int			save_errno = errno;

	/* A forked child has this handler until it executes its program. SIGTERM ends it at once. */
	if (MyProcPid != (int) getpid())
	{
		(void) signal(signo, SIG_DFL);
		(void) raise(signo);
	}
	else if (!is_stop_of_server(info) || !kwj_shared_sees_workers_out() || !kwj_stop_put_off())
		kwj_die(signo);
	errno = save_errno;
}

void
kwj_worker_stops_at_checkpoint(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	sigemptyset(&action.sa_mask);
	action.sa_flags = SA_RESTART | SA_SIGINFO;
	action.sa_sigaction = handle_sigterm;
	if (sigaction(SIGTERM, &action, NULL) != 0)
		elog(ERROR, "could not set the handler of SIGTERM: %m");
}

/*
 * The exit callback of the launcher. If the server stops, waits until the workers have exited, for
 * STOP_GRACE_MS at most, and then terminates them. Interrupts are held off here.
 */
static void
see_workers_out(int code, Datum arg)
{
	kwj_shared_see_workers_out(false);
	if (!kwj_process_server_stops())
		return;
	kwj_shared_see_workers_out(true);
	kwj_shared_wait_for_workers(STOP_GRACE_MS);
	kwj_shared_see_workers_out(false);
	kwj_shared_terminate_workers();
}

void
kwj_launcher_sees_workers_out(void)
{
	before_shmem_exit(see_workers_out, (Datum) 0);
	kwj_shared_see_workers_out(true);
}
