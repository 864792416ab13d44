/*
 * src/child/guardian.h
 *	  The guardian: the process between a worker and the program that it has started.
 *
 * The worker and its guardian talk over a socket. The worker sends commands of one byte, the
 * guardian sends reports. Each of them knows that the other one is gone when it reads the end of
 * the socket.
 */
#ifndef KWJ_CHILD_GUARDIAN_H
#define KWJ_CHILD_GUARDIAN_H

#include "child/child.h"
#include "compat.h"

/*
 * Commands: the signals that the guardian is to send to the program's process group. KILL is for
 * all that the program has started.
 */
#define KWJ_GUARDIAN_TERMINATE	'T' /* SIGTERM, then SIGCONT in case the program is stopped */
#define KWJ_GUARDIAN_STOP		'S' /* SIGSTOP */
#define KWJ_GUARDIAN_CONTINUE	'C' /* SIGCONT */
#define KWJ_GUARDIAN_KILL		'K' /* SIGKILL */

typedef enum KwjGuardianNews
{
	KWJ_GUARDIAN_STARTED,		/* the program runs; value: its process id */
	/* the program has ended, and all that it has started; value: the program's wait status */
	KWJ_GUARDIAN_ENDED,
	/* The program could not be started; value: errno. */
	KWJ_GUARDIAN_NO_PROCESS,	/* fork() and the like */
	KWJ_GUARDIAN_NO_DIRECTORY,	/* chdir() */
	KWJ_GUARDIAN_NO_PROGRAM,	/* execve() */
} KwjGuardianNews;

typedef struct KwjGuardianReport
{
	KwjGuardianNews what;
	int			value;
} KwjGuardianReport;

/*
 * Runs the guardian and exits. The new process calls this directly after the fork, with all signals
 * blocked. control: the socket; output, errors: what the program gets as stdout and stderr.
 */
pg_noreturn extern void kwj_guardian_main(const KwjChildSpec *spec, int control, int output,
										  int errors);

#endif
