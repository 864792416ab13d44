/*
 * src/store/query.h
 *	  How the store runs its queries. Included by src/store only.
 */
#ifndef KWJ_STORE_QUERY_H
#define KWJ_STORE_QUERY_H

#include "kwjobs.h"
#include "executor/spi.h"
#include "job/progress.h"
#include "utils/jsonb.h"

#define KWJ_QUERY_MAX_ARGS 22

/*
 * SQL: whether the coordinator has to settle a job without an attempt that has this status. That is
 * so with a request, and with a status that kwjobs does not know. The index job_requested has the
 * same condition.
 */
#define KWJ_TO_SETTLE(status) \
	"(" status " IS NULL OR " status " <> ALL" \
	" ('{succeeded,pending,running,reverting,paused,failed,canceled,revert-failed}'))"

/*
 * The table or index of that name in schema kwjobs. Errors: 55000 if the extension is not
 * installed in this database.
 */
extern Oid	kwj_store_relation(const char *name);

/*
 * Lock our tables, each in the weakest mode, in the order of their names, before a transaction of the
 * bookkeeping locks any of them: whoever alters them all one after the other, mostly in that order,
 * then waits for the transaction, or it for him, but never both. kwj_store_enter does so, but for the
 * history. Errors: as kwj_store_relation.
 */
extern void kwj_store_lock_tables(bool history);

/* Errors: 42501 if the owner of one of our tables is no superuser. */
extern void kwj_store_check_owner(Oid owner);

/*
 * A query of the store: planned at its first use, kept for the session. One that joins sets of
 * rows is planned afresh each time: which join is good depends on how large the sets are.
 */
typedef struct KwjQuery
{
	const char *sql;			/* everything in it schema-qualified */
	int			nargs;
	Oid			argtypes[KWJ_QUERY_MAX_ARGS];
	bool		fresh;
	SPIPlanPtr	plan;			/* NULL until first used */
} KwjQuery;

/* What kwj_store_enter changed, for kwj_store_leave. */
typedef struct KwjStoreScope
{
	bool		nested;			/* in another one: nothing to change */
	Oid			user;
	int			security_context;
	int			guc_level;
	bool		read_only;		/* the transaction */
	MemoryContext caller;		/* results that outlive the scope go here */
} KwjStoreScope;

/*
 * Between these two the process acts as the extension's owner, with search_path
 * pinned to pg_catalog: just for the bookkeeping, never around user code. After
 * an error, transaction abort restores both. They may be nested, in the same
 * subtransaction; rows must be read before the next query.
 *
 * Errors: 55000 if the extension is not installed in this database.
 */
extern void kwj_store_enter(KwjStoreScope *scope);
extern void kwj_store_leave(KwjStoreScope *scope);

/*
 * Run a query; the rows are in SPI_tuptable. nulls: as for SPI_execute_plan, NULL
 * if there are none. read_only: use the caller's snapshot instead of a new one.
 * Returns the number of rows.
 */
extern uint64 kwj_query_run(KwjQuery *query, Datum *values, const char *nulls,
							bool read_only);

/* Columns of row number row of SPI_tuptable, by name; NULL gives 0 / NULL. */
extern Datum kwj_row_datum(uint64 row, const char *column, bool *isnull);
extern int64 kwj_row_int64(uint64 row, const char *column);
extern int32 kwj_row_int32(uint64 row, const char *column);
extern bool kwj_row_bool(uint64 row, const char *column);
extern Oid	kwj_row_oid(uint64 row, const char *column);
/* A row's ctid. */
extern ItemPointerData kwj_row_place(uint64 row, const char *column);
/* Copied into context. */
extern char *kwj_row_text(uint64 row, const char *column, MemoryContext context);

/* The same, cut if it is too long (job/clip.h). */
extern char *kwj_row_clipped(uint64 row, const char *column, MemoryContext context);

/* "" for NULL: for columns that have no NULLs unless somebody has changed the table. */
extern char *kwj_row_text_or_empty(uint64 row, const char *column, MemoryContext context);

/* The request that a column with a job's status stands for. */
extern KwjRequest kwj_row_request(uint64 row, const char *column);

/* Errors: 55000 if the column, which is a job's status, is none that kwjobs knows. */
extern void kwj_row_check_status(uint64 row, const char *column);
extern void kwj_report_unknown_status(const char *name);

/* Copied into context; NULL for NULL. */
extern Jsonb *kwj_copy_jsonb(Datum value, bool isnull, MemoryContext context);

/* The elements of an oid[], *n of them; NULL for NULL, InvalidOid for an element that is. */
extern Oid *kwj_copy_oids(Datum value, bool isnull, int *n, MemoryContext context);

/*
 * The number of the attempt after so many; 0 if there can be none, as somebody has changed the
 * row. Errors of the second, with that 0: 22003.
 */
extern int32 kwj_next_attempt(int32 attempts);
extern void kwj_check_attempt(int32 attempt);

/* Errors: 55000 if a job has no payload: no type could make anything of it. */
extern void kwj_check_payload(const Jsonb *payload);

/* A text argument that may be NULL; the second cuts what is too long (job/clip.h). */
extern void kwj_text_arg(Datum *value, char *null, const char *string);
extern void kwj_clipped_arg(Datum *value, char *null, const char *string);

/* An argument that is an array of job ids. */
extern Datum kwj_jobs_arg(const int64 *job_ids, int n);

#endif
