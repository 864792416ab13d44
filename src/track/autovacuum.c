/*
 * src/track/autovacuum.c
 *	  AUTO_CREATE_STATS jobs: VACUUM and ANALYZE of autovacuum workers.
 *
 * Process: autovacuum workers. In all other processes the callbacks return at once. Locks:
 * kwj_shared->lock for moments; after an error that has canceled the work, a partition of
 * PostgreSQL's lock table and ProcArrayLock, shared, for moments.
 *
 *     IDLE
 *      |  PRE_COMMIT of the transaction before the work: the worker shows a new activity, so the
 *      |  job begins
 *      v
 *     BEFORE
 *      |  COMMIT of that transaction; VACUUM or ANALYZE begins in its own
 *      v
 *     WORKING <--------------------------------------------+
 *      |  COMMIT of VACUUM or ANALYZE: the job is over     |
 *      +-- it was VACUUM, and ANALYZE is to follow: -------+
 *      |   the next job begins
 *      v
 *     IDLE <-- ABORT, from BEFORE and WORKING: the job has failed or was canceled
 *
 * The jobs have places in shared memory (shared/session_jobs.h), and the coordinator writes their rows. The
 * worker writes none. An error in this file must not end the work, so the worker looks everything up before the
 * work begins, in a subtransaction whose errors it drops. After that, no function of this file allocates memory
 * or raises an error.
 *
 * WHO DIES WHERE. If the worker exits, its transaction is aborted, which ends the job. If it is
 * killed, see shared/session_jobs.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "compat.h"
#include "executor/instrument.h"
#include "job/canceler.h"
#include "job/extension.h"
#include "job/isolate.h"
#include "job/secret.h"
#include "lifecycle/collection.h"
#include "lifecycle/session_job.h"
#include "miscadmin.h"
#include "shared/init.h"
#include "shared/session_jobs.h"
#include "shared/wait.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "track/autovacuum.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * The activity that the worker shows has schema and table with a dot between them, not quoted. If
 * the names have dots in them, too, several tables can be meant. This process keeps at most this
 * many.
 */
#define MOST_TABLES		4

typedef enum Stage
{
	IDLE,
	BEFORE,
	WORKING,
} Stage;

/* What the worker does with one table. */
typedef struct Work
{
	Stage		stage;
	int			place;			/* of the job in shared memory; -1: the work is not recorded */
	bool		analyzes;		/* the job is ANALYZE */
	bool		analyzes_next;	/* the job is VACUUM, and ANALYZE of the table is to follow */
	bool		prevents_wraparound;
	bool		had_lock;		/* at PRE_COMMIT the worker held its lock, so it had not left the table out */
	Oid			tables[MOST_TABLES];	/* the tables that may be meant; mostly one */
	int			n_tables;
	int64		dead_rows;		/* what PostgreSQL had counted in the table; -1: not known */
	/* What PostgreSQL had counted in this process when the job began. */
	BufferUsage pages;
	WalUsage	wal;
	/* the name of the database, and that of the table with its schema, as they can be typed */
	char		database[2 * NAMEDATALEN + 3];
	char		table[4 * NAMEDATALEN + 6];
	/*
	 * The SQLSTATE (0: none) and the message of the last error that the worker has reported. The
	 * buffer is larger than the job's, so that the job clips a long message and marks it as clipped.
	 */
	int			sqlstate;
	char		error[2 * KWJ_SESSION_ERROR_LEN];
} Work;

static Work work = {.place = -1};

/*
 * When the activity began that look_at_activity() saw last. If the present activity began at another
 * time, it is a new one.
 */
static TimestampTz last_activity = 0;

static emit_log_hook_type previous_log_hook = NULL;

/* ---- which table ---- */

/*
 * If the text is the activity of a worker that vacuums or analyzes a table, sets what it does, and
 * returns the name of the table, which is a copy. Otherwise returns NULL.
 */
static char *
parse_activity(const char *text)
{
	static const struct
	{
		const char *begins;
		bool		analyzes;
		bool		analyzes_next;
	}			kinds[] = {
		{"autovacuum: VACUUM ANALYZE ", false, true},
		{"autovacuum: VACUUM ", false, false},
		{"autovacuum: ANALYZE ", true, false},
	};
	static const char *const wraparound = " (to prevent wraparound)";

	for (int i = 0; i < lengthof(kinds); i++)
	{
		char	   *name;
		int			rest;

		if (strncmp(text, kinds[i].begins, strlen(kinds[i].begins)) != 0)
			continue;
		name = pstrdup(text + strlen(kinds[i].begins));
		rest = strlen(name) - strlen(wraparound);
		work.analyzes = kinds[i].analyzes;
		work.analyzes_next = kinds[i].analyzes_next;
		work.prevents_wraparound = rest > 0 && strcmp(name + rest, wraparound) == 0;
		if (work.prevents_wraparound)
			name[rest] = '\0';
		return name;
	}
	return NULL;
}

/* Adds the table, if there is one with this name. Returns false if all databases share it. */
static bool
add_table(const char *schema, const char *name)
{
	Oid			namespace = get_namespace_oid(schema, true);
	Oid			table = OidIsValid(namespace) ? get_relname_relid(name, namespace) : InvalidOid;

	if (!OidIsValid(table))
		return true;
	if (IsSharedRelation(table))
		return false;
	if (work.n_tables < MOST_TABLES)
		work.tables[work.n_tables++] = table;
	strlcpy(work.table, quote_qualified_identifier(schema, name), sizeof(work.table));
	return true;
}

/*
 * Finds the tables that the worker's activity can mean. name: schema and table with a dot between
 * them, not quoted. As the two names can have dots in them, too, this function tries each dot. It
 * returns false if there is no such table, or if the table belongs to all databases: then the work
 * is no job.
 */
static bool
find_table(char *name)
{
	work.n_tables = 0;
	for (char *dot = strchr(name, '.'); dot != NULL; dot = strchr(dot + 1, '.'))
	{
		bool		counts;

		*dot = '\0';
		counts = add_table(name, dot + 1);
		*dot = '.';
		if (!counts)
			return false;
	}
	if (work.n_tables > 1)
		strlcpy(work.table, name, sizeof(work.table));
	if (work.n_tables == 0)
		kwj_shared_count_unrecorded();
	return work.n_tables > 0;
}

/* Looks up what the worker is about to do. Sets *arg, a bool, to whether it is a job. */
static void
look_up(void *arg)
{
	bool	   *is_job = arg;
	char	   *name = parse_activity((const char *) MyBEEntry->st_activity_raw);
	char	   *database;

	if (name == NULL || !kwj_extension_exists())
		return;
	database = get_database_name(MyDatabaseId);
	if (database == NULL)
		return;
	strlcpy(work.database, quote_identifier(database), sizeof(work.database));
	*is_job = find_table(name);
	work.dead_rows = -1;
	if (*is_job && work.n_tables == 1)
		work.dead_rows = DatumGetInt64(DirectFunctionCall1(pg_stat_get_dead_tuples,
														   ObjectIdGetDatum(work.tables[0])));
}

/* Does look_up() in a subtransaction. Returns whether there is a job. */
static bool
try_look_up(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kwjobs look at autovacuum",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	bool		is_job = false;

	if (kwj_isolate_within_quietly(look_up, &is_job) != NULL)
	{
		is_job = false;
		kwj_shared_count_unrecorded();
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return is_job;
}

/* ---- the job ---- */

/* Begins the job. Allocates no memory, because this is also called at COMMIT. */
static void
begin_job(void)
{
	char		description[sizeof(work.database) + sizeof(work.table) + 64];
	char		statement[sizeof(work.table) + 16];
	bool		prevents = work.prevents_wraparound && !work.analyzes;
	KwjNewSessionJob job = {
		.job_type = KWJ_AUTO_CREATE_STATS,
		.description = description,
		.statement = statement,
		.owner = GetUserId(),
		.counts = KWJ_COUNTS_RELATION,
		.automatic = true,
		.prevents_wraparound = prevents,
		.analyzed = work.analyzes && work.n_tables == 1 ? work.tables[0] : InvalidOid,
	};

	snprintf(description, sizeof(description), "Table %s for %s.%s%s",
			 work.analyzes ? "statistics refresh" : "vacuum", work.database, work.table,
			 prevents ? ", to prevent wraparound" : "");
	snprintf(statement, sizeof(statement), "%s %s", work.analyzes ? "ANALYZE" : "VACUUM", work.table);
	work.had_lock = false;
	work.sqlstate = 0;
	work.pages = pgBufferUsage;
	work.wal = pgWalUsage;
	work.place = -1;
	if (kwj_shared_begin_session_job(&job, TopSubTransactionId) != 0)
		work.place = kwj_my_first_session_job();
	else
		kwj_shared_count_unrecorded();
}

/*
 * Called before each commit while the worker has no job. If the worker shows a new activity, it has
 * chosen a table, and this is the last transaction before VACUUM or ANALYZE: the job begins here.
 */
static void
look_at_activity(void)
{
	if (MyBEEntry == NULL || MyBEEntry->st_activity_start_timestamp == last_activity)
		return;
	last_activity = MyBEEntry->st_activity_start_timestamp;
	if (!try_look_up())
		return;
	begin_job();
	work.stage = BEFORE;
}

/*
 * Returns whether this process holds the lock that VACUUM and ANALYZE take on their table. A worker that
 * did not get the lock has left the table out.
 */
static bool
has_lock(void)
{
	for (int i = 0; i < work.n_tables; i++)
	{
		LOCKTAG		tag;

		SET_LOCKTAG_RELATION(tag, MyDatabaseId, work.tables[i]);
		if (kwj_lock_held_by_me(&tag, ShareUpdateExclusiveLock))
			return true;
	}
	return false;
}

/*
 * Stores what the work has cost since the job began. Only a job that is VACUUM has a number of dead rows,
 * because only VACUUM removes them.
 */
static void
note_cost(void)
{
	KwjCost		cost = {
		.pages_hit = pgBufferUsage.shared_blks_hit - work.pages.shared_blks_hit,
		.pages_read = pgBufferUsage.shared_blks_read - work.pages.shared_blks_read,
		.pages_dirtied = pgBufferUsage.shared_blks_dirtied - work.pages.shared_blks_dirtied,
		.wal_records = pgWalUsage.wal_records - work.wal.wal_records,
		.wal_bytes = (int64) (pgWalUsage.wal_bytes - work.wal.wal_bytes),
		.dead_rows = work.analyzes ? -1 : work.dead_rows,
	};

	kwj_my_session_job_cost(work.place, &cost);
}

static bool
was_short(TimestampTz began)
{
	return kwj_track_min_duration > 0 &&
		!TimestampDifferenceExceeds(began, GetCurrentTimestamp(), kwj_track_min_duration);
}

/*
 * VACUUM or ANALYZE has committed, so the job ends. If the worker has left the table out, the job
 * disappears without a row.
 */
static void
end_job(void)
{
	int64		job_id;
	bool		signalled;

	if (work.place < 0)
		return;
	note_cost();
	job_id = kwj_my_session_job(work.place)->job_id;
	if (work.had_lock && !was_short(kwj_my_session_job(work.place)->started))
		signalled = kwj_my_session_job_ended(work.place, true);
	else
		signalled = kwj_my_session_job_gone(work.place);
	kwj_session_job_drop_cancel(signalled);
	kwj_wake_waiters(job_id);
	work.place = -1;
}

static void
after_commit(void)
{
	if (work.stage == BEFORE)
		work.stage = WORKING;
	else if (work.stage == WORKING)
	{
		end_job();
		work.analyzes = work.analyzes_next && work.had_lock;
		work.analyzes_next = false;
		if (work.analyzes)
			begin_job();
		else
			work.stage = IDLE;
	}
}

/* ---- errors ---- */

/*
 * Keeps the error with which VACUUM or ANALYZE fails. PostgreSQL calls this hook before it aborts
 * the transaction. It calls it for other errors of the worker, too; those do no harm, because a
 * later error overwrites them and the next job begins without an error.
 */
static void
note_error(ErrorData *edata)
{
	if (MyBackendType == B_AUTOVAC_WORKER && work.stage != IDLE && edata->elevel >= ERROR)
	{
		const char *message = edata->message != NULL ? edata->message : "";

		work.sqlstate = edata->sqlerrcode;
		strlcpy(work.error, kwj_showable(message, false), sizeof(work.error));
	}
	if (previous_log_hook)
		previous_log_hook(edata);
}

/*
 * PostgreSQL lets a session that waits for a lock on the table cancel the autovacuum worker, and the error does
 * not say which session that was. If kwjobs has seen which one it was, puts an error that names it in place.
 */
static void
name_canceler(void)
{
	int			pid = 0;

	for (int i = 0; i < work.n_tables && pid == 0; i++)
		pid = kwj_canceler_of(work.tables[i]);
	if (pid == 0)
		return;
	work.sqlstate = ERRCODE_QUERY_CANCELED;
	kwj_canceler_describe(pid, work.error, sizeof(work.error));
}

static void
fail_job(void)
{
	const KwjSessionJob *job = kwj_my_session_job(work.place);

	if (job->requested == 0 && !proc_exit_inprogress &&
		(work.sqlstate == ERRCODE_QUERY_CANCELED || work.sqlstate == 0))
		name_canceler();
	if (work.sqlstate == 0)
	{
		/*
		 * PostgreSQL has not called note_error(): log_min_messages keeps errors out of the server
		 * log, and then PostgreSQL does not call the hook.
		 */
		work.sqlstate = ERRCODE_TRANSACTION_ROLLBACK;
		strlcpy(work.error, "autovacuum has given the work up", sizeof(work.error));
	}
	note_cost();
	kwj_my_session_job_error(work.place, work.sqlstate, work.error,
							 "Autovacuum does this again when it next comes to the table, if it still has to.");
	kwj_session_job_drop_cancel(kwj_my_session_job_ended(work.place, false));
}

static void
after_abort(void)
{
	if (work.place >= 0)
		fail_job();
	work.stage = IDLE;
	work.place = -1;
}

/* ---- callbacks ---- */

static void
tell_collector(void *arg)
{
	if (kwj_extension_exists())
		kwj_collection_tell(MyDatabaseId);
}

/*
 * Tells the collector if rows have changed in this database (doc/developers/collector.md). Each worker
 * does this once, in its second transaction. In the first one PostgreSQL connects it to the database.
 */
static void
look_at_changes(void)
{
	static int	n_commits = 0;

	if (!kwj_collection_enabled || n_commits == 2)
		return;
	n_commits++;
	if (n_commits < 2)
		return;
	/* An error is dropped: the next worker that comes here looks again. */
	(void) kwj_isolate_within_quietly(tell_collector, NULL);
}

static void
before_commit(void)
{
	if (kwj_shared_ready())
		look_at_changes();
	if (work.stage == WORKING)
		work.had_lock = has_lock();
	else if (work.stage == IDLE && kwj_track_autovacuum && kwj_shared_ready())
		look_at_activity();
}

/* session_job.c calls this in autovacuum workers, before it ends the jobs of the transaction itself. */
static void
at_transaction_end(XactEvent event)
{
	Assert(MyBackendType == B_AUTOVAC_WORKER);
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			before_commit();
			break;
		case XACT_EVENT_COMMIT:
			after_commit();
			break;
		case XACT_EVENT_ABORT:
			after_abort();
			break;
		default:
			break;
	}
}

void
kwj_autovacuum_init(void)
{
	kwj_session_job_precede(at_transaction_end);
	previous_log_hook = emit_log_hook;
	emit_log_hook = note_error;
}
