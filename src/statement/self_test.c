/*
 * src/statement/self_test.c
 *	  Finds out whether job statements work in this server.
 *
 *     postmaster, at load of the library     child process
 *         fork() --------------------------> kwj_statement_test(): parse SHOW JOB 1, check the tree
 *         wait up to 10 s for its answer <-- "passed", or what is wrong, through a pipe
 *         SIGKILL it, waitpid()
 *         set kwj_problem, which all processes inherit: its answer, or that it crashed or hung
 *
 * Process: the postmaster or a single-user server, once, when it loads the library. So no statement
 * is accepted before the test has ended, and the restart after a crash needs no other test. If the
 * child crashes or hangs, the server goes on without job statements; the functions of schema kwjobs
 * work all the same.
 */
#include "postgres.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "miscadmin.h"
#include "statement/internal.h"
#include "statement/statement.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

/* How long the server's start waits for the test, which normally takes milliseconds. */
#define LONGEST_TEST_MS	10000

#define PASSED	"passed"

/* The child runs the test here, writes the result to the pipe, and exits without a trace. */
static void
report(int to)
{
	const char *answer = "the self-test raised an error";

	/* the exit callbacks are the parent's: do not run them here */
	on_exit_reset();
	HOLD_INTERRUPTS();
	/* The test compares the trees of SHOW JOB with those for kwjobs.scope = database. */
	kwj_scope = KWJ_SCOPE_DATABASE;
	PG_TRY();
	{
		answer = kwj_statement_test();
	}
	PG_CATCH();
	{
		FlushErrorState();
	}
	PG_END_TRY();
	if (answer == NULL)
		answer = PASSED;
	_exit(write(to, answer, strlen(answer)) < 0);
}

/* Waits until the child has answered or died. Returns false if that takes too long. */
static bool
wait_for_answer(int from)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LONGEST_TEST_MS);

	for (;;)
	{
		struct pollfd ready = {from, POLLIN, 0};
		long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		int			n = poll(&ready, 1, (int) ms);

		if (n > 0)
			return true;
		if (ms <= 0 || (n < 0 && errno != EINTR))
			return false;
	}
}

/* Reads the child's answer, and sets kwj_problem accordingly. The child is gone on return. */
static void
ask_child(pid_t child, int from)
{
	ssize_t		length = 0;

	if (wait_for_answer(from))
		while ((length = read(from, kwj_problem, sizeof(kwj_problem) - 1)) < 0 && errno == EINTR)
			;
	else
		snprintf(kwj_problem, sizeof(kwj_problem), "the self-test did not end within %d s",
				 LONGEST_TEST_MS / 1000);
	if (length > 0)
		kwj_problem[length] = '\0';
	else if (kwj_problem[0] == '\0')
		strlcpy(kwj_problem, "the self-test crashed", sizeof(kwj_problem));
	/* it may hang even after it has answered */
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

static void
run_test(void)
{
	int			ends[2];
	pid_t		child;

	if (pipe(ends) != 0)
	{
		snprintf(kwj_problem, sizeof(kwj_problem), "the self-test could not get a pipe: %s",
				 strerror(errno));
		return;
	}
	fflush(NULL);
	child = fork();
	if (child == 0)
		report(ends[1]);
	if (child < 0)
		snprintf(kwj_problem, sizeof(kwj_problem), "the self-test could not get a process: %s",
				 strerror(errno));
	close(ends[1]);
	if (child > 0)
		ask_child(child, ends[0]);
	close(ends[0]);
}

void
kwj_statement_self_test(void)
{
	run_test();
	if (strcmp(kwj_problem, PASSED) == 0)
		kwj_problem[0] = '\0';
	kwj_statement_log_problem();
}
