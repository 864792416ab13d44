/*
 * src/function/test_session_job.c
 *	  SQL-callable, for tests: jobs of type TEST_SESSION. Only a test build has this file (make
 *	  KWJ_TEST_BUILD=1), and no script creates the functions: t/101_live_entries.pl does.
 *
 * Process: sessions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lifecycle/session_job.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(kwjobs_test_begin);
PG_FUNCTION_INFO_V1(kwjobs_test_update);
PG_FUNCTION_INFO_V1(kwjobs_test_end);
PG_FUNCTION_INFO_V1(kwjobs_test_run);

static int64
begin(const text *description)
{
	KwjNewSessionJob job = {
		.job_type = "TEST_SESSION",
		.description = text_to_cstring(description),
		.owner = GetUserId(),
	};

	return kwj_session_job_begin(&job);
}

/* kwjobs_test_begin(description text) RETURNS bigint: 0 if there is no place */
Datum
kwjobs_test_begin(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(begin(PG_GETARG_TEXT_PP(0)));
}

/*
 * kwjobs_test_update(job_id bigint, fraction double precision, running_status text) RETURNS void
 */
Datum
kwjobs_test_update(PG_FUNCTION_ARGS)
{
	kwj_session_job_update(PG_GETARG_INT64(0), PG_GETARG_FLOAT8(1),
						   text_to_cstring(PG_GETARG_TEXT_PP(2)));
	PG_RETURN_VOID();
}

/* kwjobs_test_end(job_id bigint, how text) RETURNS void; how: done, finish, drop */
Datum
kwjobs_test_end(PG_FUNCTION_ARGS)
{
	int64		job_id = PG_GETARG_INT64(0);
	char	   *how = text_to_cstring(PG_GETARG_TEXT_PP(1));

	if (strcmp(how, "finish") == 0)
		kwj_session_job_finish(job_id);
	else if (strcmp(how, "drop") == 0)
		kwj_session_job_drop(job_id, true);
	else
		kwj_session_job_done(job_id, true);
	PG_RETURN_VOID();
}

/*
 * kwjobs_test_run(description text, query text) RETURNS bigint: a job whose work is the query, as
 * a utility hook would do it.
 */
Datum
kwjobs_test_run(PG_FUNCTION_ARGS)
{
	int64		job_id = begin(PG_GETARG_TEXT_PP(0));
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(1));

	PG_TRY();
	{
		SPI_connect();
		SPI_execute(query, false, 0);
		SPI_finish();
	}
	PG_CATCH();
	{
		kwj_session_job_error(job_id, NULL, false);
		PG_RE_THROW();
	}
	PG_END_TRY();
	kwj_session_job_done(job_id, true);
	PG_RETURN_INT64(job_id);
}
