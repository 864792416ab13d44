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
 * The type may raise an error at any point: the worker then ends the programs that the attempt has
 * started.
 */
#ifndef KWJ_CHILD_CHILD_H
#define KWJ_CHILD_CHILD_H

#include "kwjobs.h"
#include "job/progress.h"
#include "portability/instr_time.h"

/* How many file descriptors a program may be given, besides stdin, stdout and stderr. */
#define KWJ_CHILD_MAX_FDS	16

/*
 * ms between SIGTERM and SIGKILL. The coordinator terminates a worker 5 s after it has interrupted
 * it for the first time; by then the program has to be gone.
 */
#define KWJ_CHILD_GRACE_MS	3000

/* How many bytes of a line are kept. If it is longer, "..." is written for the rest. */
#define KWJ_CHILD_LINE_LIMIT	4096

/* The hint of an error that a program has caused. */
#define KWJ_CHILD_HINT \
	"What the program wrote is in kwdb_internal.job_attempts, column messages."

typedef struct KwjChild KwjChild;

typedef enum KwjChildStream
{
	KWJ_CHILD_OUTPUT,			/* its stdout */
	KWJ_CHILD_ERRORS,			/* its stderr */
} KwjChildStream;

/* What becomes of a line that a program has written. */
typedef enum KwjLineUse
{
	/* it goes into the transcript; the last such line of stderr is the error */
	KWJ_LINE_KEEP,
	KWJ_LINE_DETAIL,			/* it goes into the transcript only */
	KWJ_LINE_DROP,				/* it is thrown away */
} KwjLineUse;

/*
 * What to start. After kwj_child_start() has returned, only `arg` and what it points to are still
 * needed.
 */
typedef struct KwjChildSpec
{
	/* The program's absolute path, its arguments, NULL. No shell is involved. */
	const char *const *argv;
	/* "NAME=value", ..., NULL: the program has these variables and no others. NULL: none. */
	const char *const *environment;
	/* Its working directory; NULL: the root directory. */
	const char *directory;
	/*
	 * Up to KWJ_CHILD_MAX_FDS descriptors, which the program has as 3, 4, ... The caller has to
	 * close its own copies.
	 */
	const int  *fds;
	int			n_fds;
	/* ms between SIGTERM and SIGKILL; 0: KWJ_CHILD_GRACE_MS */
	int			grace_ms;

	/*
	 * The worker calls this function for each line. The line has no newline and is valid in the
	 * encoding of the database. The function may report progress and raise errors. NULL: all lines
	 * are kept.
	 */
	KwjLineUse	(*on_line) (KwjChildStream stream, const char *line, void *arg);
	void	   *arg;

	/*
	 * A descriptor that the caller needs to look after while it waits for the program. The worker
	 * calls this function when the descriptor can be read, and whenever it wakes up for another
	 * reason, but not while it ends the program. NULL: there is none.
	 */
	void		(*on_watched) (void *arg);
	void	   *watched_arg;
	int			watched;
} KwjChildSpec;

/*
 * Starts the program, and waits until it runs. Its stdin is empty.
 *
 * Errors: 22023 if argv is empty or argv[0] is not absolute; those of errcode_for_file_access() if
 * it cannot be executed or the directory cannot be entered (58P01, 42501, ...); 53000 if there are
 * too many files or processes; 57014 for an interrupt while this waits.
 */
extern KwjChild *kwj_child_start(const KwjChildSpec *spec);

/*
 * Waits until the program has ended and nothing is left of what it has started; returns true then.
 * If the request for this attempt differs from *request before that, sets *request and returns
 * false. The caller decides what the request means for the program: it may stop or end the program,
 * and may call this function again.
 *
 * Errors: 57014 for an interrupt (the job's timeout, statement_timeout, pg_cancel_backend, or a
 * request that the caller does not heed); those that on_line raises.
 */
extern bool kwj_child_wait(KwjChild *child, KwjRequest *request);

/* Stop the program and all of its process group (SIGSTOP), and let them go on (SIGCONT). */
extern void kwj_child_stop(KwjChild *child);
extern void kwj_child_continue(KwjChild *child);

/*
 * Ends the program: sends SIGTERM to its process group and, after the grace, SIGKILL to all that it
 * has started. Keeps its last lines, and frees the child. Takes about grace_ms at most, unless the
 * kernel cannot kill a process. Errors: those that on_line raises.
 */
extern void kwj_child_kill(KwjChild *child);

/*
 * Ends with a child whose program is over: kwj_child_wait() has returned true. Frees the child.
 *
 * Errors: 38000 unless the program has ended with exit status 0; the message is the last line of
 * stderr. 58000 if the guardian was killed.
 */
extern void kwj_child_finish(KwjChild *child);

/*
 * A type that makes its own error calls this once kwj_child_wait() has returned true. Returns how the
 * program has ended, such as 'Program "/bin/x" exited with status 1.', palloc'd; NULL if it has ended
 * with exit status 0, or if kwj_child_finish() has to tell. The caller then frees the child with
 * kwj_child_kill().
 */
extern char *kwj_child_failure(const KwjChild *child);

/* Returns the program's process id, which is also that of its process group. */
extern pid_t kwj_child_pid(const KwjChild *child);

/*
 * Ends all programs that are left, as kwj_child_kill() does, but throws away what they write.
 * Raises no error. Process: worker, when the work of an attempt is over, however it has ended.
 */
extern void kwj_children_end(void);

/* Returns how many milliseconds have passed since then, whatever the clock was set to meanwhile. */
extern int	kwj_elapsed_ms(instr_time began);

#endif
