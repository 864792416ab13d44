/*
 * fuzz/fuzz.c
 *	  Sends mutated statements to a server and looks at what comes back.
 *
 * Usage: fuzz SECONDS SEED DIRECTORY FILE..., see run. The files are the corpus;
 * texts that show a fault go to the directory.
 *
 * Every text goes to two sessions that differ in kwjobs.statements alone, to be
 * parsed but not executed: as a statement, and as the body of functions. The
 * answers, with all fields of errors and all notices, are the same
 *	- if there is no job statement in the text, nor an attempt at one, and
 *	- if PostgreSQL accepts the text (but for SHOW JOBS).
 * An error other than a syntax error differs in its hint at most.
 * A position is always one in the text. Some texts are then executed, by a third
 * session in a database of its own. All sessions go on afterwards.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "fuzz.h"

#define MAX_ANSWER	65536
#define MAX_FAULTS	20

typedef struct Session
{
	PGconn	   *connection;
	char		answer[MAX_ANSWER];
	int			used;
	bool		is_error;
	bool		is_syntax_error;
	int			position;
} Session;

static const char *directory;
static Session with, without, executing;
static char wrapped[MAX_TEXT + 1000];
static long tests, accepted, executed;
static int	faults;

/* The places for a text: %s stands for it. The first is the text itself. */
static const struct
{
	const char *before;
	const char *after;
	bool		executes;		/* CREATE FUNCTION, in a transaction to be rolled back */
} places[] = {
	{"", "", false},
	{"CREATE FUNCTION pg_temp.f() RETURNS bigint BEGIN ATOMIC ", "; END", false},
	{"EXPLAIN ", "", false},
	{"PREPARE p(bigint, text) AS ", "", false},
	{"SELECT 1 AS before; ", "; SELECT 2 AS after", false},
	{"BEGIN; CREATE FUNCTION pg_temp.f(n bigint) RETURNS bigint LANGUAGE sql AS $fuzz$ ", " $fuzz$", true},
#define PLPGSQL(before, after) \
	{"BEGIN; CREATE FUNCTION pg_temp.f(n bigint) RETURNS bigint LANGUAGE plpgsql AS " \
	"$fuzz$ DECLARE r record; x bigint; a bigint[]; c refcursor; BEGIN " before, after " END $fuzz$", true}
	PLPGSQL("", ";"),
	PLPGSQL("RETURN ", ";"),
	PLPGSQL("x := ", ";"),
	PLPGSQL("r.field[1] := ", ";"),
	PLPGSQL("IF ", " THEN NULL; END IF;"),
	PLPGSQL("FOR r IN ", " LOOP NULL; END LOOP;"),
	PLPGSQL("OPEN c FOR ", ";"),
	PLPGSQL("PERFORM ", ";"),
};

/* Was there a fault like this one, with the same message? */
static bool
is_known(const char *what)
{
	static char known[MAX_FAULTS][300];
	char		message[300];
	const char *end = strstr(with.answer, "\nfile");

	snprintf(message, sizeof(message), "%s %.*s", what, end ? (int) (end - with.answer) : 200, with.answer);
	for (int i = 0; i < faults; i++)
	{
		if (strncmp(known[i], message, 100) == 0)
			return true;
	}
	strcpy(known[faults], message);
	return false;
}

/* Keep a text that shows a fault, and say so. */
static void
fault(const char *what, const char *statement)
{
	char		path[1000];
	FILE	   *file;

	if (is_known(what))
		return;
	faults++;
	snprintf(path, sizeof(path), "%s/fault-%d.sql", directory, faults);
	file = fopen(path, "w");
	if (file)
	{
		fputs(statement, file);
		fclose(file);
	}
	printf("FAULT   %s\n%.2000s\n-- with kwjobs\n%.2000s\n-- without\n%.2000s\n\n", what, statement,
		   with.answer, without.answer);
	fflush(stdout);
	if (faults >= MAX_FAULTS)
		exit(1);
}

static void
on_alarm(int signal)
{
	fault("no answer", wrapped);
	_exit(1);
}

static void
add(Session *session, const char *name, const char *value)
{
	if (value && session->used < MAX_ANSWER - 1)
		session->used += snprintf(session->answer + session->used, MAX_ANSWER - session->used,
								  "%s: %s\n", name, value);
	if (session->used > MAX_ANSWER - 1)
		session->used = MAX_ANSWER - 1;
}

static void
add_fields(Session *session, const PGresult *result)
{
	static const struct
	{
		int			code;
		const char *name;
	}			fields[] = {
		{PG_DIAG_SEVERITY_NONLOCALIZED, "severity"}, {PG_DIAG_SQLSTATE, "state"},
		{PG_DIAG_MESSAGE_PRIMARY, "message"}, {PG_DIAG_MESSAGE_DETAIL, "detail"},
		{PG_DIAG_MESSAGE_HINT, "hint"}, {PG_DIAG_STATEMENT_POSITION, "position"},
		{PG_DIAG_INTERNAL_POSITION, "internal position"}, {PG_DIAG_INTERNAL_QUERY, "query"},
		{PG_DIAG_CONTEXT, "context"}, {PG_DIAG_SOURCE_FILE, "file"},
		{PG_DIAG_SOURCE_LINE, "line"}, {PG_DIAG_SOURCE_FUNCTION, "function"},
	};

	for (size_t i = 0; i < lengthof(fields); i++)
		add(session, fields[i].name, PQresultErrorField(result, fields[i].code));
}

static void
on_notice(void *session, const PGresult *result)
{
	add_fields(session, result);
}

static void
connect_session(Session *session, const char *database, const char *user)
{
	char		info[1000];

	snprintf(info, sizeof(info), "dbname=%s user=%s", database, user);
	session->connection = PQconnectdb(info);
	if (PQstatus(session->connection) != CONNECTION_OK)
	{
		fault("no connection", PQerrorMessage(session->connection));
		exit(1);
	}
	PQsetNoticeReceiver(session->connection, on_notice, session);
	/*
	 * The session makes its schema pg_temp now. Otherwise it would make the schema anew for each
	 * function, because the function is rolled back, and the schema with it.
	 */
	PQclear(PQexec(session->connection, "CREATE TEMPORARY TABLE has_schema ()"));
}

static void
add_description(Session *session)
{
	PGresult   *result = PQdescribePrepared(session->connection, "");
	char		line[200];

	for (int i = 0; i < PQnparams(result); i++)
	{
		snprintf(line, sizeof(line), "%u", PQparamtype(result, i));
		add(session, "parameter", line);
	}
	for (int i = 0; i < PQnfields(result); i++)
	{
		snprintf(line, sizeof(line), "%s %u", PQfname(result, i), PQftype(result, i));
		add(session, "column", line);
	}
	PQclear(result);
}

/* The session's answer to a text. */
static void
ask(Session *session, const char *statement, bool execute)
{
	PGresult   *result;
	const char *state;
	const char *position;

	session->used = 0;
	session->answer[0] = '\0';
	alarm(30);
	if (execute)
		result = PQexec(session->connection, statement);
	else
		result = PQprepare(session->connection, "", statement, 0, NULL);
	session->is_error = PQresultStatus(result) == PGRES_FATAL_ERROR;
	state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
	session->is_syntax_error = state && strcmp(state, "42601") == 0;
	session->position = position ? atoi(position) : 0;
	add_fields(session, result);
	PQclear(result);

	if (!execute && !session->is_error)
		add_description(session);
	else if (execute)
		PQclear(PQexec(session->connection, "ROLLBACK"));
	alarm(0);
	if (PQstatus(session->connection) != CONNECTION_OK)
	{
		fault("the connection is lost", statement);
		exit(1);
	}
}

static int
characters(const char *string)
{
	int			count = 0;

	for (; *string; string++)
		count += ((unsigned char) *string & 0xc0) != 0x80;
	return count;
}

/* SHOW JOBS and the like are valid SQL: they show a setting that does not exist. */
static bool
shows_setting(void)
{
	static const char *const names[] = {"\"job\"", "\"jobs\"", "\"schedule\"", "\"schedules\""};

	/* What PostgreSQL or kwjobs says of SHOW JOBS as the body of an SQL function. */
	if (strstr(with.answer, "file: show.c") || strstr(with.answer, "function: refuse_unsupported") ||
		strstr(with.answer, "detail: Final statement must return exactly one column"))
		return true;
	for (size_t i = 0; i < lengthof(names); i++)
	{
		char		message[100];

		snprintf(message, sizeof(message), "message: unrecognized configuration parameter %s\n", names[i]);
		if (strstr(without.answer, message))
			return true;
	}
	return false;
}

/* Is the only difference a hint, which the session without kwjobs has not? */
static bool
differ_in_hint(void)
{
	char		answer[MAX_ANSWER];
	const char *hint = strstr(with.answer, "hint: ");
	const char *end = hint ? strchr(hint, '\n') : NULL;

	if (end == NULL || strstr(without.answer, "hint: "))
		return false;
	snprintf(answer, sizeof(answer), "%.*s%s", (int) (hint - with.answer), with.answer, end + 1);
	return strcmp(answer, without.answer) == 0;
}

/* Compare the answers to a text in some place. */
static void
compare(int place, bool is_hidden)
{
	snprintf(wrapped, sizeof(wrapped), "%s%s%s", places[place].before, text, places[place].after);
	ask(&with, wrapped, places[place].executes);
	ask(&without, wrapped, places[place].executes);
	tests++;
	if (!with.is_error)
		accepted++;
	if (with.position < 0 || with.position > characters(wrapped) + 1)
		fault("the position is not in the text", wrapped);
	if (strcmp(with.answer, without.answer) == 0 || shows_setting())
		return;
	if (is_hidden)
		fault("a hidden job statement was seen", wrapped);
	else if (!may_have_job_statement(text))
		fault("text without a job statement", wrapped);
	else if (differ_in_hint())
		return;
	else if (without.is_error && !without.is_syntax_error)
		fault("other than a syntax error", wrapped);
	else if (!without.is_error && !with.is_syntax_error)
		fault("valid SQL", wrapped);
}

static bool
succeeds(const char *statement)
{
	PGresult   *result = PQexec(executing.connection, statement);
	bool		good = PQresultStatus(result) == PGRES_COMMAND_OK;

	PQclear(result);
	return good || PQstatus(executing.connection) != CONNECTION_OK;
}

/* Run it, mostly until it is canceled somewhere. */
static void
test_execution(void)
{
	static const char *const timeouts[] = {"1", "2", "3", "200"};
	char		set[100];
	PGresult   *result;
	bool		good;

	snprintf(set, sizeof(set), "SET statement_timeout = %s", timeouts[random_below(lengthof(timeouts))]);
	PQclear(PQexec(executing.connection, set));
	snprintf(wrapped, sizeof(wrapped), "%s", text);
	ask(&executing, wrapped, true);
	/* the time limit may cancel that, too */
	while (!succeeds("RESET statement_timeout"))
		;
	succeeds("DISCARD ALL");
	/* a short jobs.retention_time among the texts may have removed the job */
	result = PQexec(executing.connection, "SELECT count(*) * 0 + 42 FROM [SHOW JOB 1]");
	good = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "42") == 0;
	if (!good)
	{
		add(&executing, "then", PQresultErrorMessage(result));
		strcpy(with.answer, executing.answer);
		fault("the session does not go on", wrapped);
	}
	PQclear(result);
	executed++;
}

static void
disconnect(void)
{
	PQfinish(with.connection);
	PQfinish(without.connection);
	PQfinish(executing.connection);
}

static void
connect_sessions(void)
{
	connect_session(&with, "fuzz", "fuzz");
	connect_session(&without, "fuzz", "fuzz_without");
	connect_session(&executing, "fuzz_execute", "fuzz");
}

int
main(int argc, char **argv)
{
	time_t		end;

	if (argc < 5)
		return 2;
	end = time(NULL) + atoi(argv[1]);
	srandom(atoi(argv[2]));
	directory = argv[3];
	for (int i = 4; i < argc; i++)
		read_corpus(argv[i]);
	signal(SIGALRM, on_alarm);
	connect_sessions();

	/* the corpus as it is */
	for (int i = 0; i < ncorpus && time(NULL) < end; i++)
	{
		use_corpus(i);
		for (size_t place = 0; place < lengthof(places) && !places[place].executes; place++)
			compare(place, false);
		compare(random_below(lengthof(places)), false);
	}
	while (time(NULL) < end)
	{
		make_text();
		compare(random_below(4) ? 0 : random_below(lengthof(places)), false);
		if (random_below(8) == 0)
			test_execution();
		if (random_below(8) == 0)
		{
			hide_text();
			compare(0, true);
		}
		if (tests % 5000 == 0)
		{
			disconnect();
			connect_sessions();
		}
	}
	disconnect();
	printf("%ld texts compared (%ld accepted with kwjobs), %ld executed, corpus of %d statements, %d faults\n",
		   tests, accepted, executed, ncorpus, faults);
	return faults > 0;
}
