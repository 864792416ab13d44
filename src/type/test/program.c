/*
 * src/type/test/program.c
 *	  Jobs of type TEST_PROGRAM: the worker starts a program, and waits for its end.
 *
 * Callers: kwjobs.create_job (validation, in a session), the worker. Only superusers may have such
 * jobs, because the program runs as the server's operating system user.
 *
 *     argv         the program's absolute path and its arguments
 *     environment  "NAME=value" for each variable of the program, which has no others
 *     directory    the program starts there (default: the root directory)
 *     files        paths of files that the program has open for reading, as descriptors 3, 4, ...
 *     sessions     the program gets sessions of a private server (src/serve), this many at a time,
 *                  of the job's owner, and starts in the data directory with their environment
 *     database     these sessions' database (default: that of the job)
 *     grace        ms between SIGTERM and SIGKILL (default: KWJ_CHILD_GRACE_MS)
 *     on_pause     "end": PAUSE ends the program, and the next attempt starts anew (the default);
 *                  "stop": PAUSE stops the program, and RESUME lets it go on. If PAUSE has had no
 *                  effect for a while, the coordinator interrupts the attempt, which ends the
 *                  program.
 *
 * Each line of stdout becomes running_status. A line of stderr that begins with "detail: " never
 * becomes the message of the job's error, and a line that begins with "drop: " is not kept.
 *
 * If the worker dies, so does the program, and the job's next attempt starts it anew.
 *
 * Process: session (validation), worker. Locks: none.
 */
#include "postgres.h"

#include <fcntl.h>

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "child/child.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "job/arguments.h"
#include "lifecycle/attempt.h"
#include "miscadmin.h"
#include "serve/server.h"
#include "storage/fd.h"
#include "type/test/test.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

static void
check_superuser(Oid role)
{
	if (!superuser_arg(role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not run programs", GetUserNameFromId(role, false)),
				 errhint("Create the job as a superuser.")));
}

/* ---- creation ---- */

/* Returns the texts of an argument, and their number, as a NULL-terminated array. */
static char **
texts(Jsonb *arguments, const char *name, int *n)
{
	ArrayType  *array = kwj_argument_texts(arguments, name);
	Datum	   *datums;
	char	  **list;

	*n = 0;
	if (array)
		deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &datums, NULL, n);
	list = palloc(sizeof(char *) * (*n + 1));
	for (int i = 0; i < *n; i++)
		list[i] = TextDatumGetCString(datums[i]);
	list[*n] = NULL;
	return list;
}

static void
check_argv(Jsonb *arguments, KwjNewJob *job)
{
	int			n;
	char	  **argv;

	if (kwj_argument_texts(arguments, "argv") == NULL)
		kwj_argument_missing(job->job_type, "argv");
	argv = texts(arguments, "argv", &n);
	if (n == 0 || !is_absolute_path(argv[0]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"argv\" of a job must begin with an absolute path"),
				 errhint("Give the absolute path of a program on the server, then its arguments, "
						 "each for itself.")));
	if (job->description == NULL)
		job->description = argv[0];
}

static void
check_on_pause(const char *text)
{
	if (text && strcmp(text, "end") != 0 && strcmp(text, "stop") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"on_pause\" of a job must be \"end\" or \"stop\""),
				 errhint("Leave it out for \"end\".")));
}

static void
program_validate(Jsonb *arguments, KwjNewJob *job)
{
	static const char *const names[] = {
		"argv", "environment", "directory", "files", "grace", "on_pause", "sessions", "database", NULL
	};
	char	   *grace;

	kwj_check_may_own(job->owner);
	check_superuser(kwj_argument_text(arguments, "sessions") ? GetUserId() : job->owner);
	kwj_arguments_check(arguments, job->job_type, names);
	check_argv(arguments, job);
	(void) kwj_argument_texts(arguments, "environment");
	(void) kwj_argument_texts(arguments, "files");
	(void) kwj_argument_text(arguments, "directory");
	check_on_pause(kwj_argument_text(arguments, "on_pause"));
	grace = kwj_argument_text(arguments, "grace");
	if (grace)
		(void) pg_strtoint32(grace);
	job->payload = job->arguments = arguments;
}

/* ---- execution ---- */

static KwjLineUse
on_line(KwjChildStream stream, const char *line, void *arg)
{
	if (stream == KWJ_CHILD_OUTPUT)
		kwj_progress_set_status(line);
	else if (strncmp(line, "drop: ", 6) == 0)
		return KWJ_LINE_DROP;
	else if (strncmp(line, "detail: ", 8) == 0)
		return KWJ_LINE_DETAIL;
	return KWJ_LINE_KEEP;
}

/* The files are open until the end of the transaction. Returns how many there are. */
static int
open_files(Jsonb *payload, int *fds)
{
	int			n;
	char	  **paths = texts(payload, "files", &n);

	if (n > KWJ_CHILD_MAX_FDS)
		elog(ERROR, "too many files");
	for (int i = 0; i < n; i++)
	{
		fds[i] = OpenTransientFile(paths[i], O_RDONLY);
		if (fds[i] < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not open file \"%s\": %m", paths[i]),
					 errhint("Give a file that the server's operating system user may read.")));
	}
	return n;
}

/* Opens a private server for the program, if it is to have one. Returns NULL if not. */
static KwjServer *
open_server(const KwjAttempt *attempt, const char *database, KwjChildSpec *spec)
{
	char	   *sessions = kwj_argument_text(attempt->payload, "sessions");
	KwjServer  *server;

	if (sessions == NULL)
		return NULL;
	server = kwj_server_open(attempt->owner, pg_strtoint32(sessions));
	spec->environment = kwj_server_environment(server, database, spec->environment);
	spec->directory = DataDir;
	kwj_server_watch(server, spec, NULL, NULL);
	return server;
}

/*
 * In a transaction, which the files need, and the look at the role. Sets *server to that of the
 * program, or to NULL if it has none.
 */
static KwjChild *
start(KwjAttempt *attempt, KwjServer **server)
{
	MemoryContext caller = CurrentMemoryContext;
	Jsonb	   *payload = attempt->payload;
	int			fds[KWJ_CHILD_MAX_FDS];
	int			n;
	char	   *grace = kwj_argument_text(payload, "grace");
	KwjChildSpec spec = {
		.argv = (const char *const *) texts(payload, "argv", &n),
		.environment = (const char *const *) texts(payload, "environment", &n),
		.directory = kwj_argument_text(payload, "directory"),
		.fds = fds,
		.grace_ms = grace ? pg_strtoint32(grace) : 0,
		.on_line = on_line,
	};
	char	   *database = kwj_argument_text(payload, "database");
	KwjChild   *child;

	kwj_attempt_begin(attempt);
	if (database == NULL)
		database = get_database_name(MyDatabaseId);
	*server = open_server(attempt, database, &spec);
	if (*server == NULL)
		check_superuser(attempt->owner);
	spec.n_fds = open_files(payload, fds);
	child = kwj_child_start(&spec);
	if (*server != NULL)
		kwj_server_admit(*server, get_database_oid(database, false), database,
						 kwj_child_pid(child));
	for (int i = 0; i < spec.n_fds; i++)
		CloseTransientFile(fds[i]);
	kwj_attempt_end_look(caller);
	return child;
}

/* Wait until the program has ended; else returns the request that ends the attempt. */
static KwjRequest
wait_for_end(KwjChild *child, bool stops)
{
	KwjRequest	request = KWJ_REQUEST_NONE;

	while (!kwj_child_wait(child, &request))
	{
		if (stops && request == KWJ_REQUEST_PAUSE)
		{
			kwj_child_stop(child);
			kwj_progress_set_status("stopped");
		}
		else if (request == KWJ_REQUEST_NONE)
			kwj_child_continue(child);
		else
			return request;
	}
	return KWJ_REQUEST_NONE;
}

static KwjRequest
program_execute(KwjAttempt *attempt)
{
	char	   *on_pause = kwj_argument_text(attempt->payload, "on_pause");
	KwjServer  *server;
	KwjChild   *child = start(attempt, &server);
	KwjRequest	request = wait_for_end(child, on_pause && strcmp(on_pause, "stop") == 0);

	if (request != KWJ_REQUEST_NONE)
	{
		kwj_child_kill(child);
		return request;
	}
	kwj_child_finish(child);
	if (server != NULL)
		kwj_server_drain(server);
	kwj_attempt_begin_without_snapshot();
	kwj_attempt_succeed_and_claim(attempt, 0, NULL);
	return KWJ_REQUEST_NONE;
}

const KwjType kwj_type_test_program = {
	.name = "TEST_PROGRAM",
	.pausable = true,
	.cancelable = true,
	.validate = program_validate,
	.execute = program_execute,
};
