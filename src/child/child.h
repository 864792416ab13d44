/*
 * src/child/child.h
 *	  What a job type may do with a program: start it, wait for it, stop and continue it, end it.
 *
 * Process: worker, inside or outside of a transaction. doc/developers/children.md has the picture
 * of the processes and pipes, and says what is guaranteed.
 *
 * A type that runs one program:
 *
 *     KwjRequest	request = KWJ_REQUEST_NONE;
 *     KwjChild	   *child = kwj_child_start(&spec);
 *
 *     if (!kwj_child_wait(child, &request))
 *     {
 *         kwj_child_kill(child);
 *         return request;
 *     }
 *     kwj_child_finish(child);
 *
 * An error may be raised at any point: the worker ends what the attempt has started.
 */
#ifndef KWJ_CHILD_CHILD_H
#define KWJ_CHILD_CHILD_H

#include "kwjobs.h"
#include "job/progress.h"

/* File descriptors that a program may be given, beside its standard ones. */
#define KWJ_CHILD_MAX_FDS	16

/*
 * ms between SIGTERM and SIGKILL. The coordinator terminates a worker 5 s after it has interrupted
 * it for the first time; by then the program has to be gone.
 */
#define KWJ_CHILD_GRACE_MS	3000

/* Bytes of a line that are kept; the rest is dropped, and "..." is written instead. */
#define KWJ_CHILD_LINE_LIMIT	4096

typedef struct KwjChild KwjChild;

typedef enum KwjChildStream
{
	KWJ_CHILD_OUTPUT,			/* its stdout */
	KWJ_CHILD_ERRORS,			/* its stderr */
} KwjChildStream;

/* What becomes of a line that a program has written. */
typedef enum KwjLineUse
{
	KWJ_LINE_KEEP,				/* into the transcript; the last one of stderr is the error */
	KWJ_LINE_DETAIL,			/* into the transcript only */
	KWJ_LINE_DROP,				/* nowhere */
} KwjLineUse;

/* What to start. Everything but on_line and arg is needed until kwj_child_start returns only. */
typedef struct KwjChildSpec
{
	/* The program's absolute path, its arguments, NULL. No shell is involved. */
	const char *const *argv;
	/* "NAME=value", ..., NULL: the program has these variables and no others. NULL: none. */
	const char *const *environment;
	/* Where it starts; NULL: in the root directory. */
	const char *directory;
	/*
	 * Up to KWJ_CHILD_MAX_FDS descriptors, which the program has as 3, 4, ... The caller closes its
	 * own.
	 */
	const int  *fds;
	int			n_fds;
	/* ms between SIGTERM and SIGKILL; 0: KWJ_CHILD_GRACE_MS */
	int			grace_ms;

	/*
	 * The worker calls this for each line, valid in the encoding of the database and without its
	 * newline. It may report progress and raise errors. NULL: all lines are kept.
	 */
	KwjLineUse	(*on_line) (KwjChildStream stream, const char *line, void *arg);
	void	   *arg;
} KwjChildSpec;

/*
 * Start the program, and wait until it runs. Its stdin is empty.
 *
 * Errors: 22023 if argv is empty or argv[0] is not absolute; those of errcode_for_file_access() if
 * it cannot be executed or the directory cannot be entered (58P01, 42501, ...); 53000 if there are
 * too many files or processes; 57014 and the like, as this waits.
 */
extern KwjChild *kwj_child_start(const KwjChildSpec *spec);

/*
 * Wait until the program has ended, and with it all that it has started: true. Or until the request
 * for this attempt is another one than *request, which is set then: false. The caller decides what
 * that means; it may stop or end the program, and may call this again.
 *
 * Errors: 57014 for an interrupt (the job's timeout, statement_timeout, pg_cancel_backend, or a
 * request that the caller does not heed), those of on_line.
 */
extern bool kwj_child_wait(KwjChild *child, KwjRequest *request);

/* Stop the program and all of its process group, and let them go on (SIGSTOP, SIGCONT). */
extern void kwj_child_stop(KwjChild *child);
extern void kwj_child_continue(KwjChild *child);

/*
 * End the program: SIGTERM to its process group, and SIGKILL after the grace, to all that it has
 * started. Its last lines are kept. The child is gone with this. Takes grace_ms at most, unless the
 * kernel cannot kill a process. Errors: those of on_line.
 */
extern void kwj_child_kill(KwjChild *child);

/*
 * After kwj_child_wait() has returned true: the child is gone with this.
 *
 * Errors: 38000 unless it has ended with exit status 0; the message is the last line of stderr.
 * 58000 if the guardian was killed.
 */
extern void kwj_child_finish(KwjChild *child);

/* The program's process id, which is also that of its process group. */
extern pid_t kwj_child_pid(const KwjChild *child);

/*
 * End all programs that there still are, as kwj_child_kill(), but what they write is thrown away.
 * Raises no error. Process: worker, when the work of an attempt is over, however it has ended.
 */
extern void kwj_children_end(void);

#endif
