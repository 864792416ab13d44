/*
 * src/child/child.c
 *	  A worker's programs: the worker's side.
 *
 * Callers: job types, in a worker. The worker itself ends what is left (kwj_children_end) when the
 * work of an attempt is over, by an error or not, and so does its exit callback.
 *
 *     worker ---fork---> guardian ---fork---> program ---> what the program starts
 *        |<---- socket ---->|                   |  |
 *        |                                      |  |
 *        +<--------------- pipe: stdout --------+  |
 *        +<--------------- pipe: stderr -----------+
 *
 * The states of a child, and the reports of the guardian (src/child/guardian.c) that change them:
 *
 *     (none) --kwj_child_start--> starting --STARTED--> running --ENDED--> ended --> (none)
 *                                    |                     |                 ^
 *                                    +--NO_...--> (none)   |                 |
 *                                    |                     |                 |
 *                                    +---------------------+-- socket ends --+
 *
 * After NO_PROCESS, NO_DIRECTORY and NO_PROGRAM, kwj_child_start raises an error. The socket's end
 * without a last report means that the guardian was killed.
 *
 * A child is gone after kwj_child_finish(), kwj_child_kill() and kwj_children_end(): then its
 * descriptors are closed, the guardian is reaped, the memory is freed. Until then it is in the list
 * "children", so that an error loses none.
 *
 * The worker waits for the socket, the pipes, its latch and the postmaster at once. It does not
 * wait for SIGCHLD, which background workers leave at its default: it learns of the end from the
 * guardian's last report, or from the end of the socket. So it needs no pidfd, which old kernels do
 * not have.
 *
 * Who dies where:
 * - The worker: the guardian kills everything (guardian.c). If the worker exits by itself, which
 *   includes SIGTERM, its exit callback ends the program first, with a grace. Its transaction is
 *   aborted and its slot freed only then, so that the next attempt cannot run beside the program of
 *   this one. After a SIGKILL of the worker it may, but that is very unlikely.
 * - The postmaster: the wait exits the worker, and the callback kills without a grace.
 * - The guardian: the worker kills the program's process group itself. The kernel has killed the
 *   program by then. If the whole group is gone, its number could belong to somebody else, but only
 *   if all process ids have been used up within moments.
 *
 * Known hole: a process that the kernel cannot kill (it waits for a dead disk, or belongs to
 * another user) is given up after KILL_WAIT_MS, with a warning. Its guardian goes on waiting for
 * it, and is reaped when the worker starts the next program, or by the system when the worker
 * exits.
 *
 * Locks: none.
 */
#include "postgres.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/child.h"
#include "child/guardian.h"
#include "child/lines.h"
#include "compat.h"
#include "job/transcript.h"
#include "lib/ilist.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"

/* ms after SIGKILL until a process counts as one that cannot be killed */
#define KILL_WAIT_MS	1500

/* The worker's descriptors of a child: the socket and two pipes. */
#define N_FDS		3
/* These, the latch, the postmaster, and the descriptor that the caller looks after. */
#define N_EVENTS	(N_FDS + 3)

struct KwjChild
{
	dlist_node	node;			/* in the list `children` */
	MemoryContext context;		/* holds all memory of the child */
	pid_t		guardian;		/* 0: not forked */
	pid_t		pid;			/* of the program; 0: not known yet */
	int			control;		/* the socket; -1: closed */
	int			reserved;		/* how many AcquireExternalFD() has granted */
	KwjLines	lines[2];		/* by KwjChildStream */
	WaitEventSet *events;		/* NULL: the next wait makes it */
	bool		ended;
	bool		guardian_lost;
	int			status;			/* the program's wait status, once it has ended */
	KwjGuardianReport failure;	/* if `what` is not STARTED, why the start failed */
	char	   *reason;			/* the last line of stderr, or NULL */
	const char *program;
	const char *directory;		/* or NULL */
	int			grace_ms;
	KwjLineUse	(*on_line) (KwjChildStream stream, const char *line, void *arg);
	void	   *arg;
	void		(*on_watched) (void *arg);	/* NULL: there is no descriptor to watch */
	void	   *watched_arg;
	int			watched;
};

static dlist_head children = DLIST_STATIC_INIT(children);

/* Guardians that wait for a process which cannot be killed. */
#define MOST_GIVEN_UP	16
static pid_t given_up[MOST_GIVEN_UP];

/* ---- the end of a child: nothing here raises an error ---- */

/* Kills and reaps a guardian that has nothing more to do, or is dead. */
static void
reap(pid_t guardian)
{
	(void) kill(guardian, SIGKILL);
	while (waitpid(guardian, NULL, 0) < 0 && errno == EINTR)
		;
}

static void
reap_given_up(void)
{
	for (int i = 0; i < MOST_GIVEN_UP; i++)
		if (given_up[i] != 0 && waitpid(given_up[i], NULL, WNOHANG) != 0)
			given_up[i] = 0;
}

/*
 * Leaves the guardian of a process that does not end to be reaped later. If the list is full, it
 * stays a zombie until the worker exits.
 */
static void
give_up(const KwjChild *child)
{
	/* The guardian was told to do this, but somebody may have stopped it. */
	if (child->pid != 0)
		(void) kill(-child->pid, SIGKILL);
	for (int i = 0; i < MOST_GIVEN_UP; i++)
	{
		if (given_up[i] != 0)
			continue;
		given_up[i] = child->guardian;
		break;
	}
	ereport(WARNING,
			(errmsg("process %d, which a job has started, does not end", (int) child->pid),
			 errdetail("It got SIGKILL. It may wait for a device, or belong to another user."),
			 errhint("Look at it with ps, and end it or what it waits for.")));
}

static void
forget_events(KwjChild *child)
{
	if (child->events != NULL)
		FreeWaitEventSet(child->events);
	child->events = NULL;
}

static void
release(KwjChild *child)
{
	/*
	 * This comes first: if an error interrupts the warning below, nobody must find the child again.
	 */
	dlist_delete(&child->node);
	forget_events(child);
	if (child->control >= 0)
		close(child->control);
	for (int i = 0; i < lengthof(child->lines); i++)
		kwj_lines_close(&child->lines[i]);
	for (; child->reserved > 0; child->reserved--)
		ReleaseExternalFD();
	if (child->guardian != 0 && child->ended)
		reap(child->guardian);
	else if (child->guardian != 0)
		give_up(child);
	MemoryContextDelete(child->context);
}

/* The guardian was killed: does what it cannot do any more. */
static void
lose_guardian(KwjChild *child)
{
	if (child->pid != 0)
		(void) kill(-child->pid, SIGKILL);
	child->guardian_lost = child->ended = true;
}

static void
read_report(KwjChild *child)
{
	KwjGuardianReport report;
	ssize_t		n = read(child->control, &report, sizeof(report));

	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n != sizeof(report))
	{
		lose_guardian(child);
		return;
	}
	if (report.what == KWJ_GUARDIAN_STARTED)
		child->pid = report.value;
	else if (report.what == KWJ_GUARDIAN_ENDED)
	{
		child->status = report.value;
		child->ended = true;
	}
	else
		child->failure = report;
}

/*
 * Sends a command. Errors are ignored: if the guardian is gone, the worker reads the socket's end.
 */
static void
tell(KwjChild *child, char command)
{
	if (!child->ended && child->guardian != 0)
		(void) send(child->control, &command, 1, MSG_NOSIGNAL);
}

/* ---- what the program writes ---- */

typedef struct Writer
{
	KwjChild   *child;
	KwjChildStream stream;
} Writer;

static bool
is_blank(const char *line)
{
	return line[strspn(line, " \t\r\v\f")] == '\0';
}

static void
on_line(char *line, void *arg)
{
	const Writer *writer = arg;
	KwjChild   *child = writer->child;
	KwjLineUse	use = KWJ_LINE_KEEP;

	if (child->on_line != NULL)
		use = child->on_line(writer->stream, line, child->arg);
	if (use != KWJ_LINE_DROP)
		kwj_transcript_add_message(line);
	if (use != KWJ_LINE_KEEP || writer->stream != KWJ_CHILD_ERRORS || is_blank(line))
		return;
	if (child->reason != NULL)
		pfree(child->reason);
	child->reason = NULL;
	child->reason = MemoryContextStrdup(child->context, line);
}

static void
read_lines(KwjChild *child, KwjChildStream stream)
{
	Writer		writer = {child, stream};
	KwjLines   *lines = &child->lines[stream];

	(void) kwj_lines_read(lines, on_line, &writer);
	/* The pipe was closed. No event can be taken out of a set, so make another set. */
	if (lines->fd < 0)
		forget_events(child);
}

/* Reads the last lines. The program has ended, so all that it wrote is in the pipes. */
static void
read_last_lines(KwjChild *child)
{
	for (int i = 0; i < lengthof(child->lines); i++)
	{
		Writer		writer = {child, i};

		kwj_lines_finish(&child->lines[i], on_line, &writer);
	}
}

/* ---- waiting ---- */

static WaitEventSet *
make_events(KwjChild *child)
{
	child->events = kwj_create_wait_event_set(child->context, N_EVENTS);
	AddWaitEventToSet(child->events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(child->events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(child->events, WL_SOCKET_READABLE, child->control, NULL, &child->control);
	for (int i = 0; i < lengthof(child->lines); i++)
		if (child->lines[i].fd >= 0)
			AddWaitEventToSet(child->events, WL_SOCKET_READABLE, child->lines[i].fd, NULL,
							  &child->lines[i]);
	if (child->on_watched != NULL)
		AddWaitEventToSet(child->events, WL_SOCKET_READABLE, child->watched, NULL,
						  &child->watched);
	return child->events;
}

/* Waits until something happens, and reads what the program and its guardian have to say. */
static void
wait_once(KwjChild *child)
{
	WaitEvent	events[N_EVENTS];
	WaitEventSet *set = child->events ? child->events : make_events(child);
	int			n = WaitEventSetWait(set, -1, events, N_EVENTS,
									 kwj_wait_event("KwjobsProgram"));

	for (int i = 0; i < n; i++)
	{
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		else if (events[i].user_data == &child->control)
			read_report(child);
		else if (events[i].user_data != &child->watched)
			read_lines(child, (KwjLines *) events[i].user_data - child->lines);
	}
	if (child->on_watched != NULL)
		child->on_watched(child->watched_arg);
}

bool
kwj_child_wait(KwjChild *child, KwjRequest *request)
{
	while (!child->ended)
	{
		KwjRequest	now = kwj_progress_request();

		/*
		 * Look at the request before the interrupt that may come with it: so the type can end the
		 * program in order.
		 */
		if (now != *request)
		{
			*request = now;
			return false;
		}
		CHECK_FOR_INTERRUPTS();
		wait_once(child);
	}
	read_last_lines(child);
	return true;
}

/* ---- ending ---- */

/* Fills in the descriptors to poll, the socket first. Returns how many there are. */
static int
list_fds(const KwjChild *child, struct pollfd *fds)
{
	int			n = 0;

	fds[n++].fd = child->control;
	for (int i = 0; i < lengthof(child->lines); i++)
		if (child->lines[i].fd >= 0)
			fds[n++].fd = child->lines[i].fd;
	for (int i = 0; i < n; i++)
		fds[i].events = POLLIN;
	return n;
}

int
kwj_elapsed_ms(instr_time began)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, began);
	return (int) INSTR_TIME_GET_MILLISEC(now);
}

/*
 * Waits until the program has ended, for at most `ms`, and does not handle interrupts or requests
 * meanwhile. The program may have to write before it can end, so its output is read, and either
 * kept or thrown away. Raises no error if it is thrown away. Returns whether the program has ended.
 */
static bool
await_end(KwjChild *child, int ms, bool keep)
{
	instr_time	began;

	INSTR_TIME_SET_CURRENT(began);
	while (!child->ended)
	{
		struct pollfd fds[N_FDS];
		int			n = list_fds(child, fds);
		int			left = ms - kwj_elapsed_ms(began);

		if (left <= 0)
			return false;
		/* A signal ends poll() early; the next turn waits for what is left of the time. */
		if (poll(fds, n, left) <= 0)
			continue;
		if (fds[0].revents != 0)
			read_report(child);
		for (int i = 0; i < lengthof(child->lines); i++)
		{
			if (keep)
				read_lines(child, i);
			else
				(void) kwj_lines_discard(&child->lines[i]);
		}
	}
	return true;
}

/* Ends the program. Returns false if it does not even end by SIGKILL. */
static bool
end_program(KwjChild *child, bool keep)
{
	/*
	 * If the postmaster is dead, there is no grace: a new postmaster cannot start before this
	 * process has exited.
	 */
	if (PostmasterIsAlive())
	{
		tell(child, KWJ_GUARDIAN_TERMINATE);
		if (await_end(child, child->grace_ms, keep))
			return true;
	}
	tell(child, KWJ_GUARDIAN_KILL);
	return await_end(child, KILL_WAIT_MS, keep);
}

void
kwj_child_kill(KwjChild *child)
{
	if (end_program(child, true))
		read_last_lines(child);
	release(child);
}

void
kwj_children_end(void)
{
	while (!dlist_is_empty(&children))
	{
		KwjChild   *child = dlist_head_element(KwjChild, node, &children);

		if (child->guardian != 0)
			(void) end_program(child, false);
		release(child);
	}
}

static void
end_at_exit(int code, Datum arg)
{
	kwj_children_end();
}

void
kwj_child_stop(KwjChild *child)
{
	tell(child, KWJ_GUARDIAN_STOP);
}

void
kwj_child_continue(KwjChild *child)
{
	tell(child, KWJ_GUARDIAN_CONTINUE);
}

pid_t
kwj_child_pid(const KwjChild *child)
{
	return child->pid;
}

/* ---- how it has ended ---- */

static char *
describe_status(int status)
{
	if (WIFEXITED(status))
		return psprintf("exited with status %d", WEXITSTATUS(status));
	return psprintf("was ended by signal %d (%s)", WTERMSIG(status),
					pg_strsignal(WTERMSIG(status)));
}

char *
kwj_child_failure(const KwjChild *child)
{
	Assert(child->ended);
	if (child->status == 0 || child->guardian_lost)
		return NULL;
	return psprintf("Program \"%s\" %s.", child->program, describe_status(child->status));
}

void
kwj_child_finish(KwjChild *child)
{
	int			status = child->status;
	bool		guardian_lost = child->guardian_lost;
	char	   *program;
	char	   *reason;

	Assert(child->ended);
	if (status == 0 && !guardian_lost)
	{
		release(child);
		return;
	}
	program = pstrdup(child->program);
	reason = child->reason ? pstrdup(child->reason) : psprintf("program \"%s\" failed", program);
	release(child);
	if (guardian_lost)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("the process that guards program \"%s\" was killed", program),
				 errhint("The operating system may have done so for lack of memory, as its log "
						 "tells then. Run the job again.")));
	ereport(ERROR,
			(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
			 errmsg("%s", reason),
			 errdetail("Program \"%s\" %s.", program, describe_status(status)),
			 errhint(KWJ_CHILD_HINT)));
}

/* ---- starting ---- */

static void
check_spec(const KwjChildSpec *spec)
{
	if (spec->argv[0] == NULL || !is_absolute_path(spec->argv[0]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a program needs an absolute path"),
				 errhint("Give the absolute path of a program on the server, then its arguments, "
						 "each for itself.")));
	if (spec->n_fds > KWJ_CHILD_MAX_FDS)
		elog(ERROR, "a program cannot have %d files", spec->n_fds);
}

static KwjChild *
new_child(const KwjChildSpec *spec)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "kwjobs program",
												  ALLOCSET_DEFAULT_SIZES);
	KwjChild   *child = MemoryContextAllocZero(context, sizeof(KwjChild));

	child->context = context;
	child->control = child->lines[0].fd = child->lines[1].fd = -1;
	child->program = MemoryContextStrdup(context, spec->argv[0]);
	child->directory = spec->directory ? MemoryContextStrdup(context, spec->directory) : NULL;
	child->grace_ms = spec->grace_ms > 0 ? spec->grace_ms : KWJ_CHILD_GRACE_MS;
	child->on_line = spec->on_line;
	child->arg = spec->arg;
	child->on_watched = spec->on_watched;
	child->watched_arg = spec->watched_arg;
	child->watched = spec->watched;
	dlist_push_tail(&children, &child->node);
	return child;
}

static bool
prepare_end(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/*
 * Makes the socket and the pipes. far: the guardian's ends; -1 where there are none. Returns false,
 * with errno set, if that fails.
 */
static bool
open_channels(KwjChild *child, int *far)
{
	int			ends[2];

	for (int i = 0; i < N_FDS; i++)
		far[i] = -1;
	for (; child->reserved < N_FDS; child->reserved++)
		if (!AcquireExternalFD())
			return false;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return false;
	child->control = ends[0];
	far[0] = ends[1];
	for (int i = 0; i < lengthof(child->lines); i++)
	{
		if (pipe(ends) < 0)
			return false;
		child->lines[i].fd = ends[0];
		far[1 + i] = ends[1];
	}
	return prepare_end(child->control) && prepare_end(child->lines[0].fd) &&
		prepare_end(child->lines[1].fd);
}

/*
 * Forks the guardian, with all signals blocked, so that no handler of the worker runs in it.
 * Returns false, with errno set, if that fails.
 */
static bool
fork_guardian(KwjChild *child, const KwjChildSpec *spec, const int *far)
{
	sigset_t	all;
	sigset_t	before;
	pid_t		pid;
	int			failure;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	failure = errno;
	if (pid == 0)
		kwj_guardian_main(spec, far[0], far[1], far[2]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = failure;
	child->guardian = Max(pid, 0);
	return pid > 0;
}

/* Starts the guardian. Returns false, with errno set, if that fails. */
static bool
launch(KwjChild *child, const KwjChildSpec *spec)
{
	int			far[N_FDS];
	bool		launched = open_channels(child, far) && fork_guardian(child, spec, far);
	int			failure = errno;

	for (int i = 0; i < N_FDS; i++)
		if (far[i] >= 0)
			close(far[i]);
	errno = failure;
	return launched;
}

/* Frees the child, and raises the error that says why its program did not start. */
pg_noreturn static void
refuse(KwjChild *child, KwjGuardianReport failure)
{
	char	   *program = pstrdup(child->program);
	char	   *directory = pstrdup(child->directory ? child->directory : "/");

	if (child->guardian != 0)
		(void) end_program(child, false);
	release(child);
	errno = failure.value;
	if (failure.what == KWJ_GUARDIAN_NO_DIRECTORY)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not change to directory \"%s\" for program \"%s\": %m", directory,
						program),
				 errhint("Give a directory that the server's operating system user may enter.")));
	if (failure.what == KWJ_GUARDIAN_NO_PROGRAM)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not execute program \"%s\": %m", program),
				 errhint("Give the absolute path of a program that the server's operating system "
						 "user may execute. A script needs an interpreter that exists.")));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("could not start a process for program \"%s\": %m", program),
			 errhint("The operating system has too few processes or files left, or too little "
					 "memory. Run the job again later.")));
}

KwjChild *
kwj_child_start(const KwjChildSpec *spec)
{
	static bool registered = false;
	KwjGuardianReport no_process = {KWJ_GUARDIAN_NO_PROCESS};
	KwjChild   *child;

	check_spec(spec);
	if (!registered)
		before_shmem_exit(end_at_exit, (Datum) 0);
	registered = true;
	reap_given_up();
	child = new_child(spec);
	if (!launch(child, spec))
	{
		no_process.value = errno;
		refuse(child, no_process);
	}
	while (child->pid == 0 && child->failure.what == KWJ_GUARDIAN_STARTED && !child->ended)
	{
		CHECK_FOR_INTERRUPTS();
		wait_once(child);
	}
	if (child->failure.what != KWJ_GUARDIAN_STARTED)
		refuse(child, child->failure);
	return child;
}
