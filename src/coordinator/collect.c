/*
 * src/coordinator/collect.c
 *	  The collector: creates jobs that collect the statistics of stale tables.
 *
 * Process: coordinator, outside a transaction; coordinator.c calls this after each pass. Only record.c
 * calls kwj_collect_canceled, in a transaction. Locks: the extension (shared), kwjobs.job,
 * kwjobs.collected and, to cancel, the row of the collector's job, until the end of its transaction.
 *
 *   idle --news: rows have changed, a setting has, a coordinator begins, a job of mine is over-->
 *   look --> my job is not over       nothing, until it is
 *        --> no table is stale        idle
 *        --> all of them have failed  idle until the hour of the first of them is over
 *        --> creates a job, which a worker runs (type/stats)
 *   off  --> my job is not over       cancels it
 *
 * The job is in kwjobs.job, and its key prevents a second one. This process keeps in its own memory only
 * when to look, of which tables ANALYZE was canceled, and whose turn it was. If it dies, its successor
 * looks as soon as it begins. If a look raises an error, the log has it, and the next look is AGAIN_MS
 * later.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "coordinator/collect.h"
#include "job/isolate.h"
#include "lifecycle/collection.h"
#include "lifecycle/control.h"
#include "lifecycle/submit.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "process/process.h"
#include "shared/looked.h"
#include "shared/notify.h"
#include "store/collected.h"
#include "store/query.h"
#include "type/stats/stats.h"
#include "type/type.h"

/* When to look again after an error. */
#define AGAIN_MS			(5 * 60 * 1000)

/* The collector's jobs come after those of users. */
#define PRIORITY			(-10)

/* An attempt that found the table locked is followed by others, 0, 10, 20 and 40 s later. */
#define RETRY_DELAY_MS		KWJ_WAIT_MS(10000)

/*
 * ANALYZE itself does not take so long, but a function in an index that it calls may never return. Then
 * the job fails, and the collector goes on to other tables.
 */
#define TIMEOUT_MS			(3 * 60 * 60 * 1000)

/*
 * This process remembers at most this many tables of which a user has canceled ANALYZE. Autovacuum
 * comes back to others.
 */
#define MOST_CANCELED		64

/* This process remembers this many owners of tables, so that they take turns. */
#define MOST_SERVED			64

static bool wanted = true;		/* there is something to look at */
static TimestampTz again = DT_NOEND;	/* when to look even if there is no news */
static bool blocked = false;	/* another process had locked the table of jobs: the last look did nothing */
static bool failed = false;		/* the last look has raised an error: none before `again` */
static int64 my_job = 0;		/* the collector's job that was not over at the last look; 0: none */
static Oid	canceled[MOST_CANCELED];
static int	n_canceled = 0;
static Oid	served[MOST_SERVED];	/* owners of tables that had their turn, the last one first */
static int	n_served = 0;

void
kwj_collect_canceled(Oid relid)
{
	if (!kwj_collection_enabled || n_canceled == MOST_CANCELED)
		return;
	canceled[n_canceled++] = relid;
	wanted = true;
}

static bool
has_worker(const KwjPass *pass, int64 job_id)
{
	for (int i = 0; i < pass->n_workers; i++)
		if (pass->workers[i].job_id == job_id || pass->workers[i].next_job_id == job_id)
			return true;
	return false;
}

/*
 * Returns whether my job may be over. It may be if a worker had it at the last call, and none has it
 * now. If no worker had it yet, it may have been canceled; this process hears of that by a full pass.
 */
static bool
may_be_over(const KwjPass *pass)
{
	static int64 running = 0;
	bool		ran = running == my_job;

	if (my_job == 0)
		return false;
	running = has_worker(pass, my_job) ? my_job : 0;
	return running == 0 && (ran || pass->all);
}

/* Returns whether something has happened because of which this process has to look. */
static bool
is_news(const KwjPass *pass)
{
	bool		news = wanted;

	news |= kwj_collection_settings_changed();
	news |= kwj_collection_enabled && kwj_shared_take_changes();
	news |= may_be_over(pass);
	return news || GetCurrentTimestamp() >= again;
}

/*
 * Cancels the job, because the collector is off. If somebody has paused or canceled it, and its worker
 * has yet to obey, this does nothing: when the worker has obeyed, this process looks again.
 */
static void
cancel(int64 job_id, KwjStatus status)
{
	if (status == KWJ_PENDING || status == KWJ_RUNNING || status == KWJ_PAUSED)
		(void) kwj_control_many(KWJ_BY_FUNCTION, KWJ_CANCEL, &job_id, 1, false,
								"kwjobs.automatic_collection_enabled is off", kwj_type_allows);
}

/* Puts the owner first, and leaves out the one that was served longest ago if there are too many. */
static void
note_served(Oid owner)
{
	int			place = 0;

	while (place < n_served && served[place] != owner)
		place++;
	if (place == n_served && n_served < MOST_SERVED)
		n_served++;
	place = Min(place, MOST_SERVED - 1);
	memmove(served + 1, served, sizeof(Oid) * place);
	served[0] = owner;
}

static void
create_job(const KwjStale *stale)
{
	KwjNewJob	job;

	kwj_new_job(&job, KWJ_AUTO_CREATE_STATS);
	job.owner = BOOTSTRAP_SUPERUSERID;
	job.key = KWJ_COLLECTION_KEY;
	job.priority = PRIORITY;
	job.retry_delay_ms = RETRY_DELAY_MS;
	job.timeout_ms = TIMEOUT_MS;
	job.created_by_type = "collector";
	kwj_stats_automatic(stale->relid, stale->name, &job);
	my_job = kwj_submit(&job);
	kwj_store_note_collection(stale->relid, my_job);
	note_served(stale->owner);
}

static void
look_for_stale(void)
{
	KwjStaleness rules = {
		.fraction = kwj_collection_fraction,
		.rows = kwj_collection_rows,
		.autovacuum = AutoVacuumingActive(),
		.canceled = canceled,
		.n_canceled = n_canceled,
		.served = served,
		.n_served = n_served,
	};
	KwjStale	stale = {0};

	if (!kwj_store_stalest(&rules, &stale))
		n_canceled = 0;
	else if (stale.not_before == 0)
		create_job(&stale);
	else
		again = stale.not_before;
}

static void
look(void *arg)
{
	KwjStatus	status;
	int64		changes;

	blocked = false;
	if (!kwj_process_lock_extension())
		return;
	blocked = !kwj_store_try_lock_jobs();
	if (blocked)
		return;
	my_job = kwj_store_collection_job(&status);
	if (!kwj_collection_enabled)
	{
		if (my_job != 0)
			cancel(my_job, status);
		return;
	}
	/* Rows that change from here on have this process look again, whether or not this look sees them. */
	changes = kwj_database_changes(MyDatabaseId);
	if (my_job == 0 && pgstat_track_counts)
		look_for_stale();
	/* While my job is not over, changed rows need no look: the next one comes when the job is over. */
	kwj_shared_changes_looked(changes);
}

TimestampTz
kwj_collect_run(const KwjPass *pass)
{
	Assert(!IsTransactionState());
	/* If this process must not look yet, `wanted` stays set until it may. */
	wanted = is_news(pass);
	if (!wanted || (failed && GetCurrentTimestamp() < again))
		return again;
	wanted = false;
	again = DT_NOEND;
	failed = kwj_isolate(look, NULL) != NULL;
	/*
	 * In its next pass this process waits for the lock, and answers sessions meanwhile (blocked.c). After that pass it
	 * looks again. If it has to leave before, its successor looks.
	 */
	if (!failed && blocked)
	{
		wanted = true;
		kwj_wake_my_coordinator(DT_NOBEGIN);
		return GetCurrentTimestamp();
	}
	if (!failed)
		return again;
	/* The transaction of the look was rolled back, and with it a job that it has created. */
	my_job = 0;
	again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), AGAIN_MS);
	return again;
}
