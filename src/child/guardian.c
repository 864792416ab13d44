/*
 * src/child/guardian.c
 *	  The guardian: the process between a worker and the program that it has started.
 *
 * Callers: the worker forks the guardian (src/child/child.c), which never returns. The guardian
 * forks the program. It is there for two things that the worker cannot do:
 *
 * - It outlives the worker by a moment. Whatever becomes of the worker, the kernel closes the
 *   worker's end of the socket, and the guardian then kills all that is left.
 * - It inherits what the program leaves behind. On Linux it is a "child subreaper": a process whose
 *   parent has exited becomes a child of the guardian, even if it has left the process group
 *   (setsid). So the guardian finds and kills it.
 *
 *                          EOF of the exec pipe: report STARTED
 *     starting ------------------------------------------------------> running
 *        |  the program could not be executed: report why                 |
 *        v                                                                |
 *     ending <------------------------------------------------------------+
 *        |      the program exits, or the worker sends KILL, or the worker is gone
 *        |
 *        |  SIGKILL to the group and to each child, until there are none: report ENDED
 *        v
 *     _exit
 *
 * Who dies where:
 * - The worker: the guardian reads the end of the socket and kills everything at once.
 * - The postmaster: the worker notices, and has the guardian kill everything, without a grace.
 * - The guardian: the kernel kills the program (PR_SET_PDEATHSIG). The worker reads the end of the
 *   socket and kills the program's process group. A process that has left the group survives.
 * - The program: the guardian kills what it leaves behind, and reports.
 *
 * The guardian stands in a session of its own. The postmaster and pg_cancel_backend() signal the
 * worker's whole process group, and these signals are not for the guardian.
 *
 * Between fork() and execve() only async-signal-safe functions are called, as a library may have
 * started threads in the worker: no palloc, no elog. The only functions of PostgreSQL that are
 * called here, set_ps_display() and PGSharedMemoryDetach(), copy bytes and make system calls.
 * posix_spawn() would not do for the program, since it can set neither PR_SET_PDEATHSIG nor,
 * everywhere, a directory. The guardian is no program of its own, so it has to be forked.
 *
 * The guardian keeps nothing of the server: no shared memory, so that a postmaster which is started
 * anew does not find it in use; no file, so that neither the log's pipe nor a client's socket stays
 * open. It cannot detach dynamic shared memory, which would change the reference counts there, so
 * the mappings stay until it exits. fork_process.c has set the OOM score of the worker, which
 * guardian and program inherit.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "child/guardian.h"
#include "storage/pg_shmem.h"
#include "utils/ps_status.h"

/* Where there is no close_range(), descriptors are closed one by one up to this number. */
#define MOST_FDS	(1024 * 1024)

typedef struct Guardian
{
	int			control;		/* the socket */
	/* readable once the program has started or could not; -1: closed */
	int			exec_pipe;
	pid_t		program;		/* also its process group */
} Guardian;

/* ---- signals and descriptors ---- */

static void
do_nothing(int signo)
{
}

static void
set_handler(int signo, void (*handler) (int))
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	action.sa_flags = signo == SIGCHLD ? SA_NOCLDSTOP : 0;
	sigemptyset(&action.sa_mask);
	/* This fails for SIGKILL and SIGSTOP, and for signals that the C library keeps for itself. */
	(void) sigaction(signo, &action, NULL);
}

/*
 * Resets all signal handlers, because none of the worker's may run here. SIGCHLD gets one that does
 * nothing, so that the signal ends pselect().
 */
static void
reset_handlers(void)
{
	for (int signo = 1; signo < NSIG; signo++)
		set_handler(signo, SIG_DFL);
	set_handler(SIGCHLD, do_nothing);
}

static void
close_from(int first)
{
	struct rlimit limit;
	int			end = MOST_FDS;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return;
#endif
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < MOST_FDS)
		end = (int) limit.rlim_cur;
	for (int fd = first; fd < end; fd++)
		close(fd);
}

/* Returns a copy of the descriptor whose number is at least `lowest`. */
static int
copy_above(int fd, int lowest)
{
	return fcntl(fd, F_DUPFD, lowest);
}

/*
 * Gives the descriptors the numbers that they have in the program, and the socket the number after
 * them, and closes all others. Returns false, with errno set, if that fails.
 */
static bool
arrange_fds(const KwjChildSpec *spec, int output, int errors, Guardian *guardian)
{
	int			control = 3 + spec->n_fds;
	int			copies[3 + KWJ_CHILD_MAX_FDS + 1];

	/* The copies have numbers above all those to which dup2() copies them below. */
	copies[0] = copy_above(open("/dev/null", O_RDWR), control + 1);
	copies[1] = copy_above(output, control + 1);
	copies[2] = copy_above(errors, control + 1);
	for (int i = 0; i < spec->n_fds; i++)
		copies[3 + i] = copy_above(spec->fds[i], control + 1);
	copies[control] = copy_above(guardian->control, control + 1);
	for (int i = 0; i <= control; i++)
		if (copies[i] < 0)
			return false;
	guardian->control = copies[control];
	for (int i = 0; i <= control; i++)
		if (dup2(copies[i], i) < 0)
			return false;
	close_from(control + 1);
	guardian->control = control;
	return fcntl(control, F_SETFD, FD_CLOEXEC) == 0;
}

/* Closes the program's descriptors in the guardian, once the program has been forked. */
static void
close_those_of_program(const KwjChildSpec *spec)
{
	(void) dup2(STDIN_FILENO, STDOUT_FILENO);
	(void) dup2(STDIN_FILENO, STDERR_FILENO);
	for (int i = 0; i < spec->n_fds; i++)
		close(3 + i);
}

/* ---- reports ---- */

/*
 * Sends a report. Errors are ignored: if the worker is gone, the guardian reads the end of the
 * socket.
 */
static void
send_report(int fd, KwjGuardianNews what, int value)
{
	KwjGuardianReport report = {what, value};

	/* So few bytes are written at once; SIGPIPE is blocked. */
	while (write(fd, &report, sizeof(report)) < 0 && errno == EINTR)
		;
}

pg_noreturn static void
give_up(int fd, KwjGuardianNews what)
{
	send_report(fd, what, errno);
	_exit(127);
}

/* ---- the program ---- */

/*
 * In the process that the guardian has forked: becomes the program. If a step fails, writes a
 * report into the exec pipe and exits.
 */
pg_noreturn static void
become_program(const KwjChildSpec *spec, pid_t guardian, int exec_pipe)
{
	sigset_t	none;
	char	   *no_environment = NULL;
	char	  **environment = spec->environment ? (char **) spec->environment : &no_environment;

	(void) setpgid(0, 0);
#ifdef __linux__
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		give_up(exec_pipe, KWJ_GUARDIAN_NO_PROCESS);
#endif
	/* If the guardian died before prctl(), the kernel has sent no signal. */
	if (getppid() != guardian)
		_exit(127);
	if (chdir(spec->directory ? spec->directory : "/") < 0)
		give_up(exec_pipe, KWJ_GUARDIAN_NO_DIRECTORY);
	sigemptyset(&none);
	set_handler(SIGCHLD, SIG_DFL);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	(void) execve(spec->argv[0], (char **) spec->argv, environment);
	give_up(exec_pipe, KWJ_GUARDIAN_NO_PROGRAM);
}

static void
start_program(const KwjChildSpec *spec, Guardian *guardian)
{
	pid_t		self = getpid();
	int			ends[2];

	if (pipe(ends) < 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) < 0 ||
		fcntl(ends[1], F_SETFD, FD_CLOEXEC) < 0)
		give_up(guardian->control, KWJ_GUARDIAN_NO_PROCESS);
	guardian->program = fork();
	if (guardian->program < 0)
		give_up(guardian->control, KWJ_GUARDIAN_NO_PROCESS);
	if (guardian->program == 0)
		become_program(spec, self, ends[1]);
	/* Both processes do this, because either of them may be the first that needs the group. */
	(void) setpgid(guardian->program, guardian->program);
	close(ends[1]);
	guardian->exec_pipe = ends[0];
	close_those_of_program(spec);
}

/*
 * Tells the worker whether the program runs. Either the exec pipe has a report that says why not,
 * or it has ended because the program was executed.
 */
static void
settle_start(Guardian *guardian)
{
	KwjGuardianReport report;

	if (read(guardian->exec_pipe, &report, sizeof(report)) == sizeof(report))
		send_report(guardian->control, report.what, report.value);
	else
		send_report(guardian->control, KWJ_GUARDIAN_STARTED, guardian->program);
	close(guardian->exec_pipe);
	guardian->exec_pipe = -1;
}

/* ---- the end ---- */

/*
 * Sends SIGKILL to each child. Returns false if the system does not tell which children there are.
 */
static bool
kill_children(void)
{
	char		text[4096];
	ssize_t		length;
	pid_t		pid = 0;
	int			fd = open("/proc/thread-self/children", O_RDONLY);

	if (fd < 0)
		return false;
	length = read(fd, text, sizeof(text));
	close(fd);
	/* A space follows each number. If the list does not fit, the next call reads the rest. */
	for (ssize_t i = 0; i < length; i++)
	{
		if (text[i] >= '0' && text[i] <= '9')
			pid = pid * 10 + (text[i] - '0');
		else if (pid > 0)
		{
			(void) kill(pid, SIGKILL);
			pid = 0;
		}
	}
	return length >= 0;
}

/*
 * Kills all that is left, and waits until it is gone. When a child dies, its own children become
 * the guardian's, so they are in the next list. The program is not reaped before its group has been
 * killed, so its number cannot be that of another process yet. Returns the program's wait status.
 */
static int
end_all(const Guardian *guardian)
{
	int			status;
	int			status_of_program = 0;
	pid_t		pid;

	(void) kill(-guardian->program, SIGKILL);
	do
	{
		bool		all = kill_children();

		pid = waitpid(all ? -1 : -guardian->program, &status, 0);
		if (pid == guardian->program)
			status_of_program = status;
	} while (pid > 0);
	return status_of_program;
}

/*
 * Reaps processes that the program has left behind and that have exited. Returns whether the
 * program itself has exited, and does not reap it.
 */
static bool
has_program_exited(const Guardian *guardian)
{
	siginfo_t	info;

	for (;;)
	{
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return false;
		if (info.si_pid == guardian->program)
			return true;
		(void) waitpid(info.si_pid, NULL, 0);
	}
}

/*
 * Obeys the worker. Returns false if it is time to kill everything: the worker wants it, or is
 * gone.
 */
static bool
obey(const Guardian *guardian)
{
	char		commands[16];
	ssize_t		n = read(guardian->control, commands, sizeof(commands));

	if (n <= 0)
		return false;
	for (ssize_t i = 0; i < n; i++)
	{
		if (commands[i] == KWJ_GUARDIAN_KILL)
			return false;
		if (commands[i] == KWJ_GUARDIAN_STOP)
			(void) kill(-guardian->program, SIGSTOP);
		if (commands[i] == KWJ_GUARDIAN_TERMINATE)
			(void) kill(-guardian->program, SIGTERM);
		if (commands[i] == KWJ_GUARDIAN_TERMINATE || commands[i] == KWJ_GUARDIAN_CONTINUE)
			(void) kill(-guardian->program, SIGCONT);
	}
	return true;
}

/* Waits for the program, the worker and the exec pipe, until it is time to kill everything. */
static void
guard(Guardian *guardian)
{
	sigset_t	but_sigchld;
	bool		goes_on = true;

	sigfillset(&but_sigchld);
	sigdelset(&but_sigchld, SIGCHLD);
	while (goes_on)
	{
		fd_set		fds;
		int			n;

		FD_ZERO(&fds);
		FD_SET(guardian->control, &fds);
		if (guardian->exec_pipe >= 0)
			FD_SET(guardian->exec_pipe, &fds);
		n = pselect(Max(guardian->control, guardian->exec_pipe) + 1, &fds, NULL, NULL, NULL,
					&but_sigchld);
		if (n > 0 && guardian->exec_pipe >= 0 && FD_ISSET(guardian->exec_pipe, &fds))
			settle_start(guardian);
		if (n > 0 && FD_ISSET(guardian->control, &fds))
			goes_on = obey(guardian);
		goes_on = goes_on && !has_program_exited(guardian);
	}
}

void
kwj_guardian_main(const KwjChildSpec *spec, int control, int output, int errors)
{
	Guardian	guardian = {.control = control, .exec_pipe = -1};
	int			status;

	reset_handlers();
	(void) setsid();
#ifdef __linux__
	(void) prctl(PR_SET_CHILD_SUBREAPER, 1L);
#endif
	set_ps_display("guardian");
	if (!arrange_fds(spec, output, errors, &guardian))
		give_up(guardian.control, KWJ_GUARDIAN_NO_PROCESS);
	PGSharedMemoryDetach();
	start_program(spec, &guardian);
	guard(&guardian);
	status = end_all(&guardian);
	/* If the program has exited at once, its start may not have been reported yet. */
	if (guardian.exec_pipe >= 0)
		settle_start(&guardian);
	send_report(guardian.control, KWJ_GUARDIAN_ENDED, status);
	_exit(0);
}
