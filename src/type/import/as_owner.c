/*
 * src/type/import/as_owner.c
 *	  Statements that a revert runs as the owner of a table.
 *
 * Callers: revert.c, reject_table.c. Process: worker. Locks: those of the statement.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "type/import/as_owner.h"
#include "utils/guc.h"

uint64
kwj_import_run_as_owner(Relation rel, const char *sql, int n, Oid *types, Datum *values)
{
	Oid			save_user;
	int			save_context;
	int			nest_level;
	int			rc;
	uint64		processed;

	GetUserIdAndSecContext(&save_user, &save_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   save_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	nest_level = NewGUCNestLevel();
	kwj_set_in_level("search_path", "pg_catalog, pg_temp");

	SPI_connect();
	rc = SPI_execute_with_args(sql, n, types, values, NULL, false, 0);
	/* A rule of the table may have replaced the DELETE by another statement. */
	if (rc != SPI_OK_DELETE && rc != SPI_OK_SELECT)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("imported rows of table \"%s\" could not be removed",
					   RelationGetRelationName(rel)),
				errhint("A rule of the table may prevent it; remove the rows by hand."));
	processed = SPI_processed;
	if (rc == SPI_OK_SELECT)
	{
		bool		isnull;

		processed = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
												SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();

	/* Also reset settings that triggers have changed, as the end of a failed transaction does. */
	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(save_user, save_context);
	return processed;
}
