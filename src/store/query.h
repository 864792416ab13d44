/*
 * src/store/query.h
 *	  How the store runs its queries. Only src/store includes this.
 */
#ifndef KWJ_STORE_QUERY_H
#define KWJ_STORE_QUERY_H

#include "kwjobs.h"
#include "executor/spi.h"
#include "job/progress.h"
#include "store/store.h"
#include "utils/jsonb.h"

#define KWJ_QUERY_MAX_ARGS 33

/*
 * An SQL condition for jobs without an active attempt: the coordinator has to settle the status,
 * because it is a request or kwjobs does not know it. The index job_requested has the same
 * condition.
 */
#define KWJ_TO_SETTLE(status) \
	"(" status " IS NULL OR " status " <> ALL" \
	" ('{succeeded,pending,running,reverting,paused,failed,canceled,revert-failed}'))"

/*
 * An SQL condition for job j: it has left something behind that a revert takes back. It has written a
 * checkpoint, or has begun and is of a kind that is reverted even without one. jobs.c, which joins the
 * checkpoint anyhow, says the same of the joined row.
 */
#define KWJ_IS_REVERTIBLE \
	"(j.has_revert AND j.started IS NOT NULL OR EXISTS" \
	" (SELECT FROM kwjobs.checkpoint AS c WHERE c.job_id = j.job_id AND c.written IS NOT NULL))"

/*
 * Lock our tables in AccessShareLock, in the order of their names, before the transaction takes a
 * stronger lock on any of them. A session that alters all of them mostly does so in this order,
 * too; then one of the two transactions waits for the other, and there is no deadlock. history:
 * also lock kwjobs.history. kwj_store_enter calls this function without it. Errors: 55000 if the
 * extension is not installed in this database.
 */
extern void kwj_store_lock_tables(bool history);

/*
 * Lock kwjobs.job in RowExclusiveLock, before the transaction has locked any of its indexes. The
 * coordinator does so in each transaction in which it runs queries that change rows, as else it could
 * be in a deadlock with REINDEX (table.c). Errors: as kwj_store_lock_tables.
 */
extern void kwj_store_lock_jobs(void);

/*
 * As kwj_store_lock_jobs, but returns false if the lock on kwjobs.job is not free, as while an index
 * on it is built. Waits for the weaker locks on the other tables.
 */
extern bool kwj_store_try_lock_jobs(void);

/*
 * Returns whether the extension is installed, and a superuser owns its tables: then kwj_store_enter raises no
 * error. For statements on other things than jobs, such as DROP ROLE, which must not fail because of the
 * extension.
 */
extern bool kwj_store_is_usable(void);

/* Check the owner of one of our tables. Errors: 42501 if the role is not a superuser. */
extern void kwj_store_check_owner(Oid owner);

/*
 * A query of the store. It is planned at its first use, and the generic plan is kept for the
 * session. A query that joins sets of rows is planned for each execution ("fresh"), because the
 * best join depends on how large the sets are.
 *
 * In a transaction of level REPEATABLE READ, a query sees what was committed before the transaction's
 * first statement, and PostgreSQL raises 40001 if the query changes a row that another transaction has
 * changed since. Neither is so for a query that goes by what is committed now ("latest").
 */
typedef struct KwjQuery
{
	const char *sql;			/* names outside pg_catalog are qualified with their schema */
	int			nargs;
	Oid			argtypes[KWJ_QUERY_MAX_ARGS];
	bool		fresh;			/* plan it for each execution */
	bool		latest;			/* go by what is committed now, at every level of isolation */
	SPIPlanPtr	plan;			/* NULL before the first use, and if fresh */
} KwjQuery;

/* What kwj_store_enter has changed, and kwj_store_leave has to restore. */
typedef struct KwjStoreScope
{
	bool		nested;			/* another scope was open already, so nothing was changed */
	Oid			user;
	int			security_context;
	int			guc_level;
	bool		read_only;		/* XactReadOnly of the transaction */
	MemoryContext caller;		/* context for results that outlive the scope */
} KwjStoreScope;

/*
 * Between these two calls the process acts as the extension's owner, in a restricted operation,
 * with search_path = pg_catalog, pg_temp and an SPI connection. Use them for the bookkeeping only,
 * never around the user's code. They may be nested within the same subtransaction. Rows of a query
 * must be read before the next query runs.
 *
 * After an error, the abort of the (sub)transaction restores everything. Errors: 55000 if the
 * extension is not installed in this database; 42501 if the owner of its tables is not a superuser.
 */
extern void kwj_store_enter(KwjStoreScope *scope);
extern void kwj_store_leave(KwjStoreScope *scope);

/*
 * Calls run(arg) between kwj_store_enter and kwj_store_leave, for a caller outside of src/store that
 * calls many functions of the store: these cost much less then. What their queries return stays in
 * memory until the end.
 */
extern void kwj_store_together(void (*run) (void *arg), void *arg);

/*
 * never: until it is called with false, this process raises 55P03 where it would wait for the lock
 * of a job's row, and obeys lock_timeout where it waits for other locks. For the coordinator, which
 * does what sessions of other databases ask for, and must not wait for a session.
 */
extern void kwj_store_never_wait(bool never);
extern bool kwj_store_never_waits(void);

/*
 * Returns whether lock_timeout is set, but must not end a wait of the store. Then the caller sets it to 0
 * for the time of its work, with kwj_set_in_level(); kwj_store_enter() does.
 */
extern bool kwj_store_ignores_lock_timeout(void);

/*
 * Run a query between kwj_store_enter and kwj_store_leave. nulls: as for SPI_execute_plan; NULL: no
 * argument is NULL. read_only: use the caller's snapshot instead of taking a new one. Returns the
 * number of rows, which are in SPI_tuptable.
 */
extern uint64 kwj_query_run(KwjQuery *query, Datum *values, const char *nulls,
							bool read_only);

/*
 * Run a query whose only argument is a job's id, in a scope of its own. Returns the number of rows,
 * which cannot be read any more.
 */
extern uint64 kwj_query_run_for(KwjQuery *query, int64 job_id);

/* Get a column of a row of SPI_tuptable by its name. NULL gives 0, false or InvalidOid. */
extern Datum kwj_row_datum(uint64 row, const char *column, bool *isnull);
extern int64 kwj_row_int64(uint64 row, const char *column);
extern int32 kwj_row_int32(uint64 row, const char *column);
extern bool kwj_row_bool(uint64 row, const char *column);
extern Oid	kwj_row_oid(uint64 row, const char *column);
/* Get a time; NULL gives 0. */
extern TimestampTz kwj_row_time(uint64 row, const char *column);
/* Get a ctid; NULL gives an invalid one. */
extern ItemPointerData kwj_row_place(uint64 row, const char *column);
/* Get a text, copied into context; NULL for NULL. */
extern char *kwj_row_text(uint64 row, const char *column, MemoryContext context);

/* Get a text as kwj_row_text does, clipped if it is too long (job/clip.h). */
extern char *kwj_row_clipped(uint64 row, const char *column, MemoryContext context);

/*
 * Get a text as kwj_row_text does, but "" for NULL: for columns that are NOT NULL unless a user has
 * changed the table.
 */
extern char *kwj_row_text_or_empty(uint64 row, const char *column, MemoryContext context);

/* Returns the request that a column with a job's status stands for: PAUSE, CANCEL or none. */
extern KwjRequest kwj_row_request(uint64 row, const char *column);

/* Check a column with a job's status. Errors: 55000 if kwjobs does not know the status. */
extern void kwj_row_check_status(uint64 row, const char *column);
/* Raise the 55000 of kwj_row_check_status. name: the status; NULL if the column is NULL. */
extern void kwj_report_unknown_status(const char *name);

/* Get a jsonb, copied into context; NULL for NULL. */
extern Jsonb *kwj_row_jsonb(uint64 row, const char *column, MemoryContext context);

/* Get the elements of a bigint[] without NULLs, copied into context; none for NULL. */
extern KwjJobs kwj_row_jobs(uint64 row, const char *column, MemoryContext context);

/* Returns the ids in this column of the n rows of SPI_tuptable, copied into context. */
extern KwjJobs kwj_rows_ids(uint64 n, const char *column, MemoryContext context);

/* Returns a copy of the text, which lives in the context; NULL for NULL. */
extern char *kwj_copy_text(Datum value, bool isnull, MemoryContext context);

/*
 * Copy the elements of an oid[] or a kwjobs.role[] into context, *n of them. NULL for NULL or an empty
 * array; a NULL element gives InvalidOid.
 */
extern Oid *kwj_copy_oids(Datum value, bool isnull, int *n, MemoryContext context);

/*
 * Returns the number of the next attempt. attempts: the column of this name. 0 if there can be no
 * other attempt, because the column is negative or at its maximum; kwj_check_attempt raises 22003
 * for this 0.
 */
extern int32 kwj_next_attempt(int32 attempts);
extern void kwj_check_attempt(int32 attempt);

/* Errors: 55000 if a job has no payload, without which no job type can work. */
extern void kwj_check_payload(const Jsonb *payload);

/* Set a text argument that may be NULL. The second function clips the text if it is too long. */
extern void kwj_text_arg(Datum *value, char *null, const char *string);
extern void kwj_clipped_arg(Datum *value, char *null, const char *string);

/* Set an argument of type timestamptz; 0 gives NULL. */
extern void kwj_time_arg(Datum *value, char *null, TimestampTz time);

/* Returns the ids as an argument of type bigint[]. */
extern Datum kwj_jobs_arg(const int64 *job_ids, int n);

/* Returns the OIDs, such as those of roles, as an argument of type oid[]. */
extern Datum kwj_oids_arg(const Oid *oids, int n);

#endif
