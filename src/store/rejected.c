/*
 * src/store/rejected.c
 *	  Rows of the records that an IMPORT has left out. The job writes a file from them when it ends.
 *
 * Callers: the workers of the job, by way of src/lifecycle/rejected.c; end.c.
 *
 * A record comes into the file exactly once. The worker inserts the row of the record in the transaction of
 * the batch that leaves the record out, so if the worker dies, PostgreSQL rolls this row back with the batch.
 * The job's rows here are deleted in the transaction in which the job succeeds, which has written the file, or
 * in the one in which a revert removes the imported rows. If a job with revert = 'none' fails or is canceled,
 * its imported rows stay, and so do its rows here: a RETRY goes on behind them, and writes the whole file.
 *
 * Locks: the foreign key of a new row takes FOR KEY SHARE on the job's row, which does not conflict with
 * control statements.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/query.h"
#include "store/rejected.h"
#include "utils/builtins.h"

static KwjQuery add_query = {
	"INSERT INTO kwjobs.rejected (job_id, file_number, file, line, column_name, sqlstate, reason, record)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (job_id, file_number, line) DO NOTHING",
	8, {INT8OID, INT4OID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
};

static KwjQuery forget_query = {
	"DELETE FROM kwjobs.rejected WHERE job_id = $1", 1, {INT8OID}
};

bool
kwj_store_rejected_add(const KwjRejected *rejected)
{
	KwjStoreScope scope;
	Datum		values[8];
	char		nulls[8];
	bool		added;

	Assert(rejected->file_number >= 0);
	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(rejected->job_id);
	values[1] = Int32GetDatum(rejected->file_number);
	kwj_text_arg(&values[2], &nulls[2], rejected->file);
	values[3] = Int64GetDatum(rejected->line);
	kwj_text_arg(&values[4], &nulls[4], rejected->column);
	kwj_text_arg(&values[5], &nulls[5], unpack_sql_state(rejected->code));
	kwj_text_arg(&values[6], &nulls[6], rejected->reason);
	kwj_text_arg(&values[7], &nulls[7], rejected->record);
	kwj_store_enter(&scope);
	added = kwj_query_run(&add_query, values, nulls, false) == 1;
	kwj_store_leave(&scope);
	return added;
}

char *
kwj_store_rejected_query(int64 job_id, int64 most)
{
	char	   *limit = most < 0 ? pstrdup("") : psprintf(" LIMIT " INT64_FORMAT, most);

	return psprintf("(SELECT " KWJ_REJECTED_COLUMNS " FROM kwjobs.rejected WHERE job_id = " INT64_FORMAT
					" ORDER BY job_id, file_number, line%s)",
					job_id, limit);
}

void
kwj_store_rejected_forget(int64 job_id)
{
	(void) kwj_query_run_for(&forget_query, job_id);
}
