/*
 * src/type/test/parts.c
 *	  Jobs of type TEST_PARTS: SQL that several workers run, piece by piece.
 *
 * Arguments:
 *     parts         at most this many workers carry the attempt
 *     pieces        the number of pieces
 *     step          how many pieces a step of planning adds (default: all)
 *     statement     a piece runs this statement in each of its transactions; $1 is the number of
 *                   the piece, from 0, and $2 the number of the transaction, from 1
 *     transactions  how many transactions a piece has (default: 1)
 *     plan          each step of planning runs this statement first; $1 is the number of pieces
 *                   that are planned already (default: no statement)
 *     finish        the last part runs this statement before it ends the job (default: none)
 *
 * Process: sessions check the arguments; workers run the pieces. Locks: only the statements take
 * locks, until the end of their transactions.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "job/arguments.h"
#include "job/json.h"
#include "lifecycle/attempt.h"
#include "lifecycle/parts.h"
#include "type/test/test.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

static const char *const names[] = {
	"parts", "pieces", "step", "statement", "transactions", "plan", "finish", NULL
};

static void
validate(Jsonb *arguments, KwjNewJob *job)
{
	kwj_arguments_check(arguments, job->job_type, names);
	(void) kwj_json_int64(arguments, "parts");
	(void) kwj_json_int64(arguments, "pieces");
	job->payload = job->arguments = arguments;
	if (job->description == NULL)
		job->description = "pieces";
}

/* Runs the statement with these two numbers. Returns how many rows it has processed. */
static int64
run_statement(const char *statement, int64 first, int64 second)
{
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		values[2] = {Int64GetDatum(first), Int64GetDatum(second)};
	int64		rows;

	if (statement == NULL)
		return 0;
	SPI_connect();
	if (SPI_execute_with_args(statement, 2, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not run: %s", statement);
	rows = (int64) SPI_processed;
	SPI_finish();
	return rows;
}

static int
wanted(KwjAttempt *attempt)
{
	return (int) kwj_json_int64(attempt->payload, "parts");
}

static void
plan(KwjAttempt *attempt, KwjPlan *plan)
{
	int64		pieces = kwj_json_int64(attempt->payload, "pieces");
	int64		step = kwj_json_int64_or(attempt->payload, "step", pieces);

	run_statement(kwj_json_text_or_null(attempt->payload, "plan"), attempt->planned, 0);
	for (int64 i = 0; i < step && attempt->planned < pieces; i++)
		kwj_piece_add(attempt, 1, kwj_json_parse(psprintf("{\"piece\": " INT64_FORMAT "}",
														  attempt->planned)));
	plan->complete = attempt->planned >= pieces;
	plan->total = pieces;
	plan->state = kwj_json_parse("{}");
}

static void
work(KwjAttempt *attempt, KwjPiece *piece)
{
	const char *statement = kwj_json_text(attempt->payload, "statement");
	int64		transactions = kwj_json_int64_or(attempt->payload, "transactions", 1);
	int64		done = piece->state ? kwj_json_int64(piece->state, "done") : 0;
	int64		rows = piece->rows;

	while (done < transactions)
	{
		kwj_attempt_begin(attempt);
		rows += run_statement(statement, kwj_json_int64(piece->what, "piece"), done + 1);
		done++;
		if (done == transactions)
			kwj_piece_done(attempt, piece, rows, true);
		else if (kwj_piece_checkpoint(attempt, piece,
									  kwj_json_parse(psprintf("{\"done\": " INT64_FORMAT "}", done)),
									  rows, true) != KWJ_REQUEST_NONE)
			return;
	}
}

static KwjRequest
finish(KwjAttempt *attempt)
{
	kwj_attempt_begin(attempt);
	run_statement(kwj_json_text_or_null(attempt->payload, "finish"), 0, 0);
	return kwj_attempt_succeed(attempt, NULL, kwj_pieces_rows(attempt), false, NULL);
}

static const KwjParts parts = {
	.wanted = wanted,
	.plan = plan,
	.work = work,
	.finish = finish,
};

const KwjType kwj_type_test_parts = {
	.name = "TEST_PARTS",
	.pauses = KWJ_PAUSES_ALWAYS,
	.pausable = true,
	.cancelable = true,
	.validate = validate,
	.parts = &parts,
};
