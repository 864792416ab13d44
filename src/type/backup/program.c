/*
 * src/type/backup/program.c
 *	  The programs of PostgreSQL that BACKUP and RESTORE run: pg_dump, pg_restore, psql, createdb.
 *
 * Process: worker. Locks: none; the program's sessions take theirs.
 *
 *     running --PAUSE--> standing still (SIGSTOP; its sessions keep snapshot and locks) --RESUME--> running
 *     either --CANCEL, error--> SIGTERM, a moment later SIGKILL; then its sessions are ended
 *
 * While it stands still, the job is paused, and its worker stays with it (lifecycle/stand.h).
 */
#include "postgres.h"

#include <unistd.h>

#include "child/child.h"
#include "compat.h"
#include "job/progress.h"
#include "job/transcript.h"
#include "lib/stringinfo.h"
#include "lifecycle/stand.h"
#include "miscadmin.h"
#include "type/backup/program.h"
#include "utils/guc.h"

/* What a program says, in English, if the disk is full: such a job is tried again. */
#define NO_SPACE	"No space left on device"

typedef struct Run
{
	const KwjProgram *program;
	const char *name;
	MemoryContext context;
	char	   *reason;			/* the first message that says "error"; NULL: none so far */
	char	   *last;			/* the last message */
} Run;

char *
kwj_program_path(const char *name)
{
	char		path[MAXPGPATH];

	strlcpy(path, my_exec_path, sizeof(path));
	get_parent_directory(path);
	if (strlen(path) + 1 + strlen(name) >= sizeof(path))
		elog(ERROR, "path of %s is too long", name);
	join_path_components(path, path, name);
#ifdef KWJ_TEST_BUILD
	/* A test names a program that is to be missing. It cannot remove it: other tests run it at the same time. */
	if (strcmp(name, GetConfigOption("kwjobs.test_missing_program", false, false)) == 0)
		strlcat(path, ".missing", sizeof(path));
#endif
	if (access(path, X_OK) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not find program \"%s\": %m", path),
				 errdetail("BACKUP and RESTORE run the programs of the server's own version."),
				 errhint("Install PostgreSQL's client programs beside the server; on Debian, they are in the package postgresql-client-%d.",
						 PG_MAJORVERSION_NUM)));
	return pstrdup(path);
}

char *
kwj_program_connection(const char *database)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, "dbname='");
	for (const char *c = database; *c; c++)
	{
		if (*c == '\'' || *c == '\\')
			appendStringInfoChar(&text, '\\');
		appendStringInfoChar(&text, *c);
	}
	appendStringInfoChar(&text, '\'');
	return text.data;
}

/* ---- messages ---- */

/* Returns the text with another one in place of each occurrence of a part, palloc'd. */
static char *
replace(const char *text, const char *part, const char *by)
{
	StringInfoData result;
	const char *found;

	initStringInfo(&result);
	while ((found = strstr(text, part)) != NULL)
	{
		appendBinaryStringInfo(&result, text, found - text);
		appendStringInfoString(&result, by);
		text = found + strlen(part);
	}
	appendStringInfoString(&result, text);
	return result.data;
}

static void
keep(Run *run, char **place, const char *line)
{
	if (*place != NULL)
		pfree(*place);
	*place = MemoryContextStrdup(run->context, line);
}

/*
 * Returns the message in a line that the program has written, such as "pg_dump: message". *named: the name of
 * the program stands before it.
 *
 * pg_dump and pg_restore may be several processes, which write to the same pipe. Each writes the name with a
 * colon, a space, and the rest of the line one after the other, and others may write in between. So a line
 * may begin with several names, as in "pg_dump: pg_dump:message", and another one without any.
 */
static const char *
message_in(const Run *run, const char *line, bool *named)
{
	size_t		length = strlen(run->name);

	*named = false;
	for (;;)
	{
		line += strspn(line, " ");
		if (!kwj_line_begins(line, run->name) || line[length] != ':')
			return line;
		line += length + 1;
		*named = true;
	}
}

static void
take_message(Run *run, const char *line)
{
	static const char mark[] = "error: ";
	const KwjProgram *program = run->program;
	bool		named;
	const char *message = message_in(run, line, &named);

	if (named && kwj_line_begins(message, mark) && run->reason == NULL)
		keep(run, &run->reason, message + strlen(mark));
	keep(run, &run->last, line);
	if (program->on_message != NULL)
		program->on_message(message, program->arg);
	kwj_transcript_add_message(line);
}

static KwjLineUse
on_line(KwjChildStream stream, const char *line, void *arg)
{
	Run		   *run = arg;
	const KwjProgram *program = run->program;
	char	   *text;

	if (stream == KWJ_CHILD_OUTPUT)
	{
		if (program->on_output != NULL)
			program->on_output(line, program->arg);
		return program->is_silent ? KWJ_LINE_DROP : KWJ_LINE_DETAIL;
	}
	text = replace(line, KWJ_PROGRAM_DIRECTORY, program->directory ? program->directory : "?");
	take_message(run, text);
	pfree(text);
	return KWJ_LINE_DROP;		/* take_message() has kept it */
}

/* ---- running ---- */

/* Returns what a job keeps that stands still while the program runs, or when it has just ended. */
static const char *
kept(const KwjProgram *program)
{
	return program->server != NULL ? "stopped in place: its snapshot and locks are kept until RESUME" :
		KWJ_STOPPED_IN_PLACE;
}

/* Waits until the program has ended; else returns the request that ends it. */
static KwjRequest
wait_for_end(KwjChild *child, const KwjProgram *program)
{
	KwjRequest	request = KWJ_REQUEST_NONE;

	while (!kwj_child_wait(child, &request))
	{
		if (request == KWJ_REQUEST_CANCEL)
			break;
		kwj_attempt_stand(request == KWJ_REQUEST_PAUSE ? kept(program) : NULL);
		if (request == KWJ_REQUEST_PAUSE)
			kwj_child_stop(child);
		else
			kwj_child_continue(child);
	}
	return request == KWJ_REQUEST_CANCEL ? request : KWJ_REQUEST_NONE;
}

/* Returns what to do about the error of a session. */
static const char *
hint_for(const KwjProgram *program, const KwjServerError *error)
{
	bool		exists = error->sqlstate == ERRCODE_DUPLICATE_TABLE || error->sqlstate == ERRCODE_DUPLICATE_OBJECT ||
		error->sqlstate == ERRCODE_DUPLICATE_SCHEMA || error->sqlstate == ERRCODE_DUPLICATE_FUNCTION;

	if (error->sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE && program->rights_hint != NULL)
		return program->rights_hint;
	if (exists && program->exists_hint != NULL)
		return program->exists_hint;
	return error->hint ? error->hint : KWJ_CHILD_HINT;
}

/* Raises the error of a program that has failed; failure says how it has ended. */
pg_noreturn static void
raise_failure(const Run *run, const char *failure)
{
	const KwjProgram *program = run->program;
	KwjServerError error = {0};
	const char *reason = run->reason ? run->reason : run->last;

	if (program->server != NULL)
		error = kwj_server_error(program->server);
	if (error.sqlstate == 0)
		ereport(ERROR,
				(errcode(reason != NULL && strstr(reason, NO_SPACE) ? ERRCODE_DISK_FULL :
						 ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("%s", reason ? reason : failure),
				 errdetail("%s", failure),
				 errhint(KWJ_CHILD_HINT)));
	ereport(ERROR,
			(errcode(error.sqlstate),
			 errmsg("%s", error.message),
			 reason ? errdetail("%s: %s", run->name, reason) : errdetail("%s", failure),
			 errhint("%s", hint_for(program, &error))));
}

static const char *const *
make_argv(const char *name, List *arguments)
{
	const char **argv = palloc(sizeof(char *) * (list_length(arguments) + 2));
	ListCell   *lc;
	int			n = 0;

	argv[n++] = kwj_program_path(name);
	foreach(lc, arguments)
		argv[n++] = lfirst(lc);
	argv[n] = NULL;
	return argv;
}

KwjRequest
kwj_program_run(const KwjProgram *program, const char *name, List *arguments)
{
	static const char *const plain[] = {"LC_ALL=C", "PATH=/usr/bin:/bin", NULL};
	KwjServer  *server = program->server;
	Run			run = {.program = program, .name = name, .context = CurrentMemoryContext};
	KwjChildSpec spec = {
		.argv = make_argv(name, arguments),
		.environment = plain,
		.fds = program->fds,
		.n_fds = program->n_fds,
		.on_line = on_line,
		.arg = &run,
	};
	KwjChild   *child;
	KwjRequest	request;
	char	   *failure;

	if (server != NULL)
	{
		spec.environment = kwj_server_environment(server, program->database_name, NULL);
		spec.directory = DataDir;
		kwj_server_watch(server, &spec, program->on_news, program->arg);
	}
	child = kwj_child_start(&spec);
	if (server != NULL)
		kwj_server_admit(server, program->database, program->database_name, kwj_child_pid(child));
	request = wait_for_end(child, program);
	if (request != KWJ_REQUEST_NONE)
	{
		if (server != NULL)
			kwj_server_refuse(server);
		kwj_child_kill(child);
		return request;
	}
	failure = kwj_child_failure(child);
	if (failure == NULL)
		kwj_child_finish(child);
	else
	{
		kwj_child_kill(child);
		raise_failure(&run, failure);
	}
	if (server != NULL)
		kwj_server_drain(server);
	/* If the program has ended before a PAUSE could stop it, this process stands still instead. */
	return kwj_attempt_stand_still(KWJ_STOPPED_IN_PLACE);
}

KwjRequest
kwj_program_run_psql(const KwjProgram *program, List *statements)
{
	List	   *arguments = list_make5("-X", "-A", "-t", "-q", "-vON_ERROR_STOP=1");
	ListCell   *lc;

	foreach(lc, statements)
		arguments = lappend(arguments, psprintf("-c%s", (char *) lfirst(lc)));
	return kwj_program_run(program, "psql", arguments);
}
