/*
 * src/child/guardian.h
 *	  The guardian: the process between a worker and the program that it has started.
 *
 * The worker and its guardian talk over a socket. The worker sends commands of one byte, the
 * guardian sends reports. The socket's end is the message that the other side is gone.
 */
#ifndef KWJ_CHILD_GUARDIAN_H
#define KWJ_CHILD_GUARDIAN_H

#include "child/child.h"
#include "compat.h"

/* Commands, to the program's process group but for the last one. */
#define KWJ_GUARDIAN_TERMINATE	'T' /* SIGTERM, and SIGCONT, in case that it is stopped */
#define KWJ_GUARDIAN_STOP		'S' /* SIGSTOP */
#define KWJ_GUARDIAN_CONTINUE	'C' /* SIGCONT */
#define KWJ_GUARDIAN_KILL		'K' /* SIGKILL, to all that the program has started */

typedef enum KwjGuardianNews
{
	KWJ_GUARDIAN_STARTED,		/* the program runs; value: its process id */
	KWJ_GUARDIAN_ENDED,			/* all is over; value: as of waitpid() */
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
 * The guardian's life, with all signals blocked, directly after the fork. control: the
 * socket; output, errors: what the program gets as stdout and stderr.
 */
pg_noreturn extern void kwj_guardian_main(const KwjChildSpec *spec, int control, int output,
										  int errors);

#endif
