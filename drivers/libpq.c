/*
 * drivers/libpq.c
 *	  Job statements through libpq: simple, with parameters, prepared, in binary.
 *
 * Usage: libpq FILE, a CSV file of 10 rows that the server can read. See run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#define BIGINT_OID	20

static PGconn *connection;

static void
check(int good, const char *name)
{
	printf("%s libpq: %s\n", good ? "ok     " : "FAILED ", name);
	if (!good)
		printf("        %s\n", PQerrorMessage(connection));
}

/* Is the field this text? */
static int
is_field(const PGresult *result, int column, const char *value)
{
	return PQntuples(result) == 1 && column < PQnfields(result) &&
		strcmp(PQgetvalue(result, 0, column), value) == 0;
}

/* A statement with at most two parameters, as PQexecParams() does it. */
static PGresult *
with_params(const char *statement, const char *first, const char *second, int format)
{
	const char *values[2] = {first, second};

	return PQexecParams(connection, statement, second ? 2 : first ? 1 : 0, NULL,
						values, NULL, NULL, format);
}

static PGresult *
prepared(const char *statement, const char *first, const char *second)
{
	const char *values[2] = {first, second};
	int			count = second ? 2 : first ? 1 : 0;
	PGresult   *result = PQprepare(connection, "", statement, 0, NULL);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		return result;
	PQclear(result);
	/* twice: the second time there is a plan already */
	PQclear(PQexecPrepared(connection, "", count, values, NULL, NULL, 0));
	return PQexecPrepared(connection, "", count, values, NULL, NULL, 0);
}

static void
check_status_of(PGresult *result, int column, const char *status, const char *name)
{
	check(is_field(result, column, status), name);
	PQclear(result);
}

static void
check_count(PGresult *result, const char *count, const char *name)
{
	check(PQresultStatus(result) == PGRES_COMMAND_OK &&
		  strcmp(PQcmdTuples(result), count) == 0, name);
	PQclear(result);
}

static void
check_show(void)
{
	PGresult   *result = PQexec(connection, "SHOW JOBS");

	check(PQntuples(result) >= 3 && PQnfields(result) == 19 &&
		  PQftype(result, PQfnumber(result, "job_id")) == BIGINT_OID, "PQexec SHOW JOBS");
	PQclear(result);
	result = with_params("SHOW JOBS", NULL, NULL, 0);
	check(PQntuples(result) >= 3 && PQnfields(result) == 19, "PQexecParams SHOW JOBS");
	PQclear(result);
	check_status_of(PQexec(connection, "SHOW JOB 1"), 5, "paused", "PQexec SHOW JOB");
	check_status_of(with_params("SHOW JOB $1", "1", NULL, 0), 5, "paused",
					"PQexecParams SHOW JOB $1");
	check_status_of(prepared("SHOW JOB $1", "1", NULL), 5, "paused",
					"PQexecPrepared SHOW JOB $1");
	check_status_of(prepared("SHOW JOB $1 WHEN COMPLETE", "3", NULL), 5, "canceled",
					"PQexecPrepared SHOW JOB $1 WHEN COMPLETE");
	check_status_of(with_params("SELECT status FROM [SHOW JOBS] WHERE job_id = $1 AND status <> $2",
								"2", "paused", 0), 0, "running", "PQexecParams [SHOW JOBS]");
	check_status_of(prepared("SELECT count(*) FROM [SHOW JOB $1], [SHOW JOB $2]", "1", "2"), 0, "1",
					"PQexecPrepared [SHOW JOB $1], [SHOW JOB $2]");
}

static void
check_binary(void)
{
	static const char one[8] = {0, 0, 0, 0, 0, 0, 0, 1};
	const char *values[1] = {one};
	int			lengths[1] = {8};
	int			formats[1] = {1};
	Oid			types[1] = {BIGINT_OID};
	PGresult   *result;

	result = PQexecParams(connection, "SHOW JOB $1", 1, types, values, lengths, formats, 1);
	check(PQntuples(result) == 1 && PQfformat(result, 0) == 1 && PQgetlength(result, 0, 0) == 8 &&
		  memcmp(PQgetvalue(result, 0, 0), one, 8) == 0, "binary SHOW JOB $1");
	PQclear(result);
	result = with_params("SHOW JOBS", NULL, NULL, 1);
	check(PQntuples(result) >= 3 && PQfformat(result, 0) == 1 && PQgetlength(result, 0, 0) == 8,
		  "binary SHOW JOBS");
	PQclear(result);
}

/* What is known of a prepared statement before it runs. */
static void
check_describe(void)
{
	PGresult   *result;

	PQclear(PQprepare(connection, "show_job", "SHOW JOB $1", 0, NULL));
	result = PQdescribePrepared(connection, "show_job");
	check(PQnfields(result) == 19 && strcmp(PQfname(result, 18), "time_of_last_success") == 0 &&
		  PQnparams(result) == 1 && PQparamtype(result, 0) == BIGINT_OID,
		  "PQdescribePrepared SHOW JOB $1");
	PQclear(result);
	PQclear(PQprepare(connection, "show_jobs", "SHOW JOBS", 0, NULL));
	result = PQdescribePrepared(connection, "show_jobs");
	check(PQnfields(result) == 19 && PQnparams(result) == 0 && PQftype(result, 0) == BIGINT_OID,
		  "PQdescribePrepared SHOW JOBS");
	PQclear(result);
	PQclear(PQprepare(connection, "pause", "PAUSE JOB $1 WITH REASON = $2", 0, NULL));
	result = PQdescribePrepared(connection, "pause");
	check(PQnfields(result) == 0 && PQnparams(result) == 2 && PQparamtype(result, 0) == BIGINT_OID,
		  "PQdescribePrepared PAUSE JOB $1 WITH REASON = $2");
	PQclear(result);
}

static void
check_control(void)
{
	check_count(PQexec(connection, "PAUSE JOB 1"), "1", "PQexec PAUSE JOB");
	check_count(with_params("PAUSE JOB $1", "1", NULL, 0), "1", "PQexecParams PAUSE JOB $1");
	check_count(prepared("RESUME JOB $1 WITH REASON = $2", "2", "why"), "1",
				"PQexecPrepared RESUME JOB $1 WITH REASON = $2");
	check_count(prepared("CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE job_id = $1)", "3", NULL), "1",
				"PQexecPrepared CANCEL JOBS");
	check_count(with_params("CANCEL JOB $1::bigint + NULL", "3", NULL, 0), "0", "CANCEL JOB of no job");
}

static void
check_import(const char *file)
{
	char		statement[2000];
	char		job[32];
	PGresult   *result;

	snprintf(statement, sizeof(statement), "IMPORT INTO target CSV DATA ('%s') WITH detached", file);
	result = PQexec(connection, statement);
	check(PQntuples(result) == 1 && strcmp(PQfname(result, 0), "job_id") == 0, "PQexec IMPORT ... WITH detached");
	snprintf(job, sizeof(job), "%s", PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "0");
	PQclear(result);
	check_status_of(with_params("SHOW JOB WHEN COMPLETE $1", job, NULL, 0), 5, "succeeded",
					"PQexecParams SHOW JOB WHEN COMPLETE $1");

	result = with_params("IMPORT INTO target CSV DATA ($1) WITH skip = $2", file, "4", 0);
	check(PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, PQfnumber(result, "status")), "succeeded") == 0 &&
		  strcmp(PQgetvalue(result, 0, PQfnumber(result, "rows")), "6") == 0, "PQexecParams IMPORT ($1) WITH skip = $2");
	PQclear(result);
}

static int
is_error(const PGresult *result, const char *state, const char *position)
{
	const char *has_state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *has_position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	return has_state && has_position && hint && strcmp(has_state, state) == 0 &&
		strcmp(has_position, position) == 0 && strstr(hint, "Type PAUSE JOB") == hint;
}

static void
check_errors(void)
{
	PGresult   *result = PQexec(connection, "PAUSE JOBS 1, 2");

	check(is_error(result, "42601", "12"), "PQexec, a misspelt statement");
	PQclear(result);
	result = with_params("PAUSE JOB $1 WITH REASONS = 'x'", "1", NULL, 0);
	check(is_error(result, "42601", "19"), "PQexecParams, a misspelt statement");
	PQclear(result);
	result = PQprepare(connection, "", "PAUSE JOB $1, $2", 0, NULL);
	check(is_error(result, "42601", "13"), "PQprepare, a misspelt statement");
	PQclear(result);
}

static void
check_transactions(void)
{
	PQclear(PQexec(connection, "BEGIN"));
	check_count(with_params("CANCEL JOB $1", "1", NULL, 0), "1", "CANCEL JOB in a transaction");
	PQclear(PQexec(connection, "ROLLBACK"));
	check_status_of(PQexec(connection, "SHOW JOB 1"), 5, "paused", "... is rolled back");
	check_status_of(PQexec(connection, "BEGIN; CANCEL JOB 1; ROLLBACK; SELECT 1 AS a; SHOW JOB 1"), 5, "paused",
					"PQexec of several statements");
	PQclear(PQexec(connection, "SELECT 1 FROM"));
	check_status_of(PQexec(connection, "SHOW JOB 2"), 5, "running", "after an error");
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	connection = PQconnectdb("");
	check(PQstatus(connection) == CONNECTION_OK, "connects");
	check_show();
	check_binary();
	check_describe();
	check_control();
	check_import(argv[1]);
	check_errors();
	check_transactions();
	PQfinish(connection);
	return 0;
}
