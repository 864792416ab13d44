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
 * - The postmaster: the worker notices, and ends the program in order, without a grace.
 * - The guardian: the kernel kills the program (PR_SET_PDEATHSIG). The worker reads the end of the
 *   socket and kills the program's process group. What has left the group survives.
 * - The program: the guardian kills what it leaves behind, and reports.
 *
 * The guardian stands in a session of its own. The postmaster and pg_cancel_backend() signal the
 * worker's whole process group, and these signals are not for the guardian.
 *
 * Between fork() and execve() only async-signal-safe functions are called, as a library may have
 * started threads in the worker: no palloc, no elog. Of PostgreSQL there are set_ps_display() and
 * PGSharedMemoryDetach(), which copy bytes and make system calls. posix_spawn() would not do for
 * the program, since it can set neither PR_SET_PDEATHSIG nor, everywhere, a directory. The guardian
 * is no program of its own, so it has to be forked.
 *
 * The guardian keeps nothing of the server: no shared memory, so that a postmaster which is started
 * anew does not find it in use; no file, so that neither the log's pipe nor a client's socket stays
 * open. Mappings of dynamic shared memory stay until it exits, since detaching would change the
 * counts there. fork_process.c has set the OOM score of the worker, which guardian and program
 * inherit.
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

/* Where there is no close_range(), at most so many descriptors are closed one by one. */
#define MOST_FDS	(1024 * 1024)

typedef struct Guardian
{
	int			control;		/* the socket */
	int			exec_pipe;		/* ends when the program is executed; -1: that is settled */
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
	/* fails for SIGKILL and SIGSTOP, and for those that the C library keeps */
	(void) sigaction(signo, &action, NULL);
}

/* No handler of the worker may run here. SIGCHLD has one, so that it ends pselect(). */
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

/* A second descriptor with a number of at least that. */
static int
copy_above(int fd, int lowest)
{
	return fcntl(fd, F_DUPFD, lowest);
}

/*
 * Give the descriptors the numbers that they have in the program, and close all others. The
 * socket comes after those of the program. Returns false, with errno, if that fails.
 */
static bool
arrange_fds(const KwjChildSpec *spec, int output, int errors, Guardian *guardian)
{
	int			control = 3 + spec->n_fds;
	int			copies[3 + KWJ_CHILD_MAX_FDS + 1];

	/* the copies are above all numbers that are given below */
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

/* The program has its descriptors: the guardian keeps only its own. */
static void
close_those_of_program(const KwjChildSpec *spec)
{
	(void) dup2(STDIN_FILENO, STDOUT_FILENO);
	(void) dup2(STDIN_FILENO, STDERR_FILENO);
	for (int i = 0; i < spec->n_fds; i++)
		close(3 + i);
}

/* ---- reports ---- */

/* A worker that is gone does not read it; the end of the socket will tell. */
static void
send_report(int fd, KwjGuardianNews what, int value)
{
	KwjGuardianReport report = {what, value};

	/* a write of so few bytes is not divided; SIGPIPE is blocked */
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

/* In the forked process: become the program. What fails is written into the exec pipe. */
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
	/* a guardian that has died before was not noticed by that */
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
	/* here, too, as either process may be the first that needs the group */
	(void) setpgid(guardian->program, guardian->program);
	close(ends[1]);
	guardian->exec_pipe = ends[0];
	close_those_of_program(spec);
}

/* The exec pipe is readable, or has ended: tell the worker whether the program runs. */
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

/* Send SIGKILL to each child. False: the system does not tell which there are. */
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
	/* each number has a space behind it; a list that is cut off is read again */
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
 * Kill all that is left, and wait until it is gone. A child that dies makes its children those of
 * the guardian, so that they are in the next list. The program itself stays unreaped until its
 * group has been killed, so that nobody else can have got its number. Returns its wait status.
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

/* Reap what the program has left behind; returns whether it has exited itself. */
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

/* Do what the worker says. False: it is time to kill everything. */
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

/* Wait for the program, the worker and the exec pipe, until it is time to kill everything. */
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
	/* a program that has exited at once may not have been reported as started */
	if (guardian.exec_pipe >= 0)
		settle_start(&guardian);
	send_report(guardian.control, KWJ_GUARDIAN_ENDED, status);
	_exit(0);
}
