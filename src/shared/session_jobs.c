/*
 * src/shared/session_jobs.c
 *	  Shared memory: jobs that sessions do themselves.
 *
 * Process: the session that does the job (by way of src/lifecycle/session_job.c); an autovacuum
 * worker (src/track/autovacuum.c), which this file calls a session, too; the coordinator of the
 * database; sessions that look at the job or cancel it. There are kwj_max_session_jobs places.
 * A transaction with very many statements could take all of them, and the statements of other
 * sessions would then not be shown. So one session has at most a quarter of the places, and all
 * autovacuum workers together have at most a quarter, too.
 *
 *    free
 *     |  session: kwj_shared_begin_session_job
 *     v
 *    RUNNING ----- the transaction or the statement fails ---------------------+
 *     |  session: kwj_my_session_job_done                                      |
 *     v                                                                        |
 *    DONE -------- the transaction is rolled back -----------------------------+
 *     |  |  \                                                                  |
 *     |  |   +---- the transaction commits, but has not inserted the row ------+
 *     |  +-- PREPARE TRANSACTION --> PREPARED -- ROLLBACK PREPARED, or ... ----+
 *     |  the transaction commits     |  COMMIT PREPARED, with the row          |
 *     |  with the row                |                                         v
 *     |                              |          coordinator: inserts it       ENDED
 *     v                              v          and commits                    |
 *    WRITTEN <-----------------------+-----------------------------------------+
 *     |  session that needs a place: if all snapshots show the row, or no other place is free
 *     v
 *    free
 *
 * Not drawn: the session frees a place at once if there is nothing to show or to write
 * (kwj_my_session_job_gone), or if it needs the place for its next job and keeps the row of this one
 * in its own memory (kwj_my_session_job_gives_place).
 *
 * LOCKS. kwj_shared->lock, exclusively, for all transitions; shared, to read. While a place is
 * RUNNING or DONE, only the session that has it changes it, so this session reads it without the
 * lock. Other sessions only write the request, `signalled` and `awaited`, under the lock. The fields
 * that the session updates while it works are protected by a spinlock in each place.
 *
 * WHO SEES A JOB. A reader takes a snapshot S, and looks at the places afterwards. It leaves out a
 * job whose row S shows. The place has the xid of the transaction that has inserted the row, so the
 * reader can check that transaction against S as it would check the xmin of the row. It takes all
 * other jobs from the places. So it sees each job once, whenever the row was committed, as long as
 * the place is kept until no snapshot is older than the row. That is why a place stays WRITTEN. If
 * all places are taken, the place that was written first is reused; then a reader with a snapshot
 * that is older than the row misses the job.
 *
 * SIGNALS. CANCEL JOB sends SIGINT under the lock, to the process in proc, only while the job is
 * RUNNING. The session leaves that state under the lock. A signal that was sent before has arrived
 * when the next system call of the session returns (kwj_await_cancel). The session then obeys or
 * drops the signal, so that it cannot hit the next statement.
 *
 * WHO DIES WHERE. A session that exits first aborts its transaction, which makes its jobs ENDED;
 * session_exits() does that for jobs that are left. If the coordinator exits, its transaction is
 * rolled back and the places stay ENDED for its successor, or the transaction was committed and the
 * places are WRITTEN. If a process is killed, the server goes through a crash restart, and all
 * places are lost: jobs whose row is committed have it, and nothing is left of all other jobs,
 * among them ENDED jobs whose rows the coordinator had yet to write.
 */
#include "postgres.h"

#include <signal.h>

#include "access/transam.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/init.h"
#include "shared/job_id.h"
#include "shared/memory.h"
#include "shared/session_jobs.h"
#include "storage/ipc.h"
#include "storage/procarray.h"
#include "storage/spin.h"
#include "utils/snapmgr.h"

/* A session that begins a job frees WRITTEN places only if their number is a multiple of this. */
#define MANY_WRITTEN		16

/* How many places one session may have; and how many all autovacuum workers may have together. */
#define MOST_OF_ONE			Max(kwj_max_session_jobs / 4, 1)

/* The list of the places of this process's jobs, the latest first, and its length. */
static int	my_first = -1;
static int	my_number = 0;

#define JOB(place) (&kwj_session_places[place].job)

/* Copies the text, clipped to fit. Allocates no memory, because abort callbacks call this. */
static void
copy_text(char *to, size_t size, const char *from)
{
	size_t		length = from ? strlen(from) : 0;

	if (length < size)
	{
		memcpy(to, from ? from : "", length + 1);
		return;
	}
	length = pg_mbcliplen(from, (int) Min(length, (size_t) INT_MAX), (int) size - 4);
	memcpy(to, from, length);
	strcpy(to + length, "...");
}

/* ---- lists of places; the caller holds the lock exclusively ---- */

static void
free_place(int place)
{
	KwjSessionPlace *p = &kwj_session_places[place];

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	Assert(p->job.state != KWJ_SESSION_FREE);
	p->job.state = KWJ_SESSION_FREE;
	p->job.job_id = 0;
	p->job.dboid = InvalidOid;
	p->proc = NULL;
	p->next = kwj_shared->first_free_place;
	kwj_shared->first_free_place = place;
	kwj_shared->n_session_jobs--;
}

static void
make_written(int place)
{
	KwjSessionPlace *p = &kwj_session_places[place];

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	Assert(p->job.has_row && FullTransactionIdIsValid(p->job.xid));
	p->job.state = KWJ_SESSION_WRITTEN;
	p->proc = NULL;
	p->next = -1;
	if (kwj_shared->last_written_place >= 0)
		kwj_session_places[kwj_shared->last_written_place].next = place;
	else
		kwj_shared->first_written_place = place;
	kwj_shared->last_written_place = place;
	kwj_shared->n_written_places++;
}

/* Frees the place that was written first. */
static void
free_first_written(void)
{
	int			place = kwj_shared->first_written_place;

	kwj_shared->first_written_place = kwj_session_places[place].next;
	if (kwj_shared->first_written_place < 0)
		kwj_shared->last_written_place = -1;
	kwj_shared->n_written_places--;
	free_place(place);
}

/* Takes a free place; -1 if all are taken by jobs whose row is not written. */
static int
take_place(void)
{
	int			place;

	if (kwj_shared->first_free_place < 0 && kwj_shared->first_written_place >= 0)
		free_first_written();
	place = kwj_shared->first_free_place;
	if (place < 0)
		return -1;
	kwj_shared->first_free_place = kwj_session_places[place].next;
	kwj_shared->highest_place = Max(kwj_shared->highest_place, place);
	kwj_shared->n_session_jobs++;
	return place;
}

/*
 * If there are many WRITTEN places, frees those whose rows all snapshots show. If an old snapshot keeps them,
 * looks again only when there are MANY_WRITTEN more, because PostgreSQL reads the snapshots of all backends to
 * compute the horizon.
 */
static void
free_written(void)
{
	int			n = kwj_shared->n_written_places;
	TransactionId horizon;

	if (n == 0 || n % MANY_WRITTEN != 0)
		return;
	/* All snapshots show the rows of committed transactions that are older than this. */
	horizon = GetOldestNonRemovableTransactionId(NULL);
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	while (kwj_shared->first_written_place >= 0)
	{
		FullTransactionId xid = JOB(kwj_shared->first_written_place)->xid;

		if (!TransactionIdPrecedes(XidFromFullTransactionId(xid), horizon))
			break;
		free_first_written();
	}
	LWLockRelease(kwj_shared->lock);
}

/* ---- the session that does the job ---- */

/* Takes the place out of this session's list. */
static void
unlink_mine(int place)
{
	int		   *link = &my_first;

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	while (*link != place)
		link = &kwj_session_places[*link].next;
	*link = kwj_session_places[place].next;
	kwj_session_places[place].proc = NULL;
	kwj_session_places[place].job.pid = 0;
	my_number--;
}

/*
 * Exit callback: ends the jobs that are left. Mostly none are, because the transaction was aborted
 * before.
 */
static void
session_exits(int code, Datum arg)
{
	while (my_first >= 0)
		(void) kwj_my_session_job_ended(my_first, false);
}

static void
fill_place(int place, int64 job_id, const KwjNewSessionJob *new, SubTransactionId in)
{
	KwjSessionPlace *p = &kwj_session_places[place];
	KwjSessionJob *job = &p->job;

	memset(job, 0, offsetof(KwjSessionJob, job_type));
	job->state = KWJ_SESSION_RUNNING;
	job->dboid = MyDatabaseId;
	job->job_id = job_id;
	job->xid = InvalidFullTransactionId;
	job->owner = new->owner;
	job->created_by = GetUserId();
	job->created_by_session = GetSessionUserId();
	job->pid = MyProcPid;
	job->started = job->moved = GetCurrentTimestamp();
	job->created_by_id = new->created_by_id;
	job->counts = new->counts;
	job->automatic = new->automatic;
	job->prevents_wraparound = new->prevents_wraparound;
	job->analyzed = new->analyzed;
	job->fraction = 0;
	copy_text(job->job_type, sizeof(job->job_type), new->job_type);
	copy_text(job->created_by_type, sizeof(job->created_by_type), new->created_by_type);
	copy_text(job->description, sizeof(job->description), new->description);
	copy_text(job->statement, sizeof(job->statement), new->statement);
	job->error[0] = job->error_hint[0] = job->request_reason[0] = job->running_status[0] = '\0';
	job->file.state = KWJ_FILE_NONE;
	kwj_position_reset(&p->scan);
	p->proc = MyProc;
	p->in = in;
}

/*
 * Returns whether there may be one more automatic job. They may have a quarter of the places, all
 * together, because the coordinator may be slower in writing their rows than autovacuum is.
 */
static bool
is_room_for_automatic(void)
{
	int			n = 0;

	for (int i = 0; i <= kwj_shared->highest_place; i++)
		if (JOB(i)->automatic &&
			(JOB(i)->state == KWJ_SESSION_RUNNING || JOB(i)->state == KWJ_SESSION_ENDED))
			n++;
	return n < MOST_OF_ONE;
}

int64
kwj_shared_begin_session_job(const KwjNewSessionJob *new, SubTransactionId in)
{
	static bool registered = false;
	int64		job_id = 0;
	int			place;

	/* on_shmem_exit: runs after ShutdownPostgres(), a before_shmem_exit callback, has aborted. */
	if (!registered)
		on_shmem_exit(session_exits, (Datum) 0);
	registered = true;
	if (my_number >= MOST_OF_ONE)
		return 0;
	free_written();
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	place = new->automatic && !is_room_for_automatic() ? -1 : take_place();
	if (place >= 0)
	{
		kwj_forget_quiet(MyDatabaseId);
		job_id = kwj_job_id_next();
		fill_place(place, job_id, new, in);
		kwj_session_places[place].next = my_first;
		my_first = place;
		my_number++;
	}
	LWLockRelease(kwj_shared->lock);
	return job_id;
}

int
kwj_my_first_session_job(void)
{
	return my_first;
}

int
kwj_my_next_session_job(int place)
{
	return kwj_session_places[place].next;
}

const KwjSessionJob *
kwj_my_session_job(int place)
{
	return JOB(place);
}

SubTransactionId
kwj_my_session_job_in(int place)
{
	return kwj_session_places[place].in;
}

/* Takes no lock, because no other process reads `in`. */
void
kwj_my_session_job_moves(int place, SubTransactionId in)
{
	kwj_session_places[place].in = in;
}

void
kwj_my_session_job_update(int place, double fraction, const char *running_status)
{
	KwjSessionPlace *p = &kwj_session_places[place];
	char		text[KWJ_RUNNING_STATUS_LEN];
	TimestampTz now = GetCurrentTimestamp();

	copy_text(text, sizeof(text), running_status);
	SpinLockAcquire(&p->mutex);
	if (fraction >= 0)
		p->job.fraction = Min(fraction, 1);
	if (running_status != NULL)
		memcpy(p->job.running_status, text, sizeof(text));
	p->job.moved = now;
	SpinLockRelease(&p->mutex);
}

void
kwj_my_session_job_set_file(int place, const KwjNewFile *file)
{
	KwjSessionPlace *p = &kwj_session_places[place];

	SpinLockAcquire(&p->mutex);
	kwj_new_file_store(&p->job.file, file);
	SpinLockRelease(&p->mutex);
}

KwjPosition *
kwj_my_session_job_scan(int place)
{
	return &kwj_session_places[place].scan;
}

void
kwj_my_session_job_error(int place, int sqlstate, const char *error, const char *hint)
{
	KwjSessionJob *job = JOB(place);

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	job->sqlstate = sqlstate;
	copy_text(job->error, sizeof(job->error), error);
	copy_text(job->error_hint, sizeof(job->error_hint), hint);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_my_session_job_cost(int place, const KwjCost *cost)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	JOB(place)->cost = *cost;
	JOB(place)->has_cost = true;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_my_session_job_leaves(int place, Oid table, Oid index)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	JOB(place)->left_table = table;
	JOB(place)->left_index = index;
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_my_session_job_done(int place)
{
	KwjSessionJob *job = JOB(place);
	bool		signalled;

	kwj_my_session_job_update(place, -1, NULL);
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	Assert(job->state == KWJ_SESSION_RUNNING);
	job->state = KWJ_SESSION_DONE;
	signalled = job->signalled;
	job->signalled = false;
	LWLockRelease(kwj_shared->lock);
	return signalled;
}

void
kwj_await_cancel(void)
{
	/* A signal that was sent before is delivered when this system call returns, or earlier. */
	(void) kill(MyProcPid, 0);
}

void
kwj_my_session_job_decides(int place, FullTransactionId xid, bool has_row)
{
	KwjSessionJob *job = JOB(place);

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	job->xid = xid;
	job->has_row = has_row;
	LWLockRelease(kwj_shared->lock);
}

static KwjStatus
outcome_of(const KwjSessionJob *job, bool succeeded)
{
	if (succeeded)
		return KWJ_SUCCEEDED;
	/* Not only CANCEL JOB cancels autovacuum: a session that needs the table does so, too. */
	if (job->requested != 0 || (job->automatic && job->sqlstate == ERRCODE_QUERY_CANCELED))
		return KWJ_CANCELED;
	return KWJ_FAILED;
}

/*
 * Makes a job ENDED that is in no session's list any more, and wakes the coordinator, which writes
 * its row. The caller holds the lock exclusively.
 */
static void
make_ended(int place, bool succeeded)
{
	KwjSessionJob *job = JOB(place);

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	job->state = KWJ_SESSION_ENDED;
	job->outcome = outcome_of(job, succeeded);
	job->has_row = false;
	job->xid = InvalidFullTransactionId;
	job->ended = GetCurrentTimestamp();
	kwj_want_full_pass(job->dboid);
	kwj_need_coordinator(job->dboid);
}

bool
kwj_my_session_job_ended(int place, bool succeeded)
{
	bool		signalled;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	signalled = JOB(place)->signalled;
	unlink_mine(place);
	make_ended(place, succeeded);
	LWLockRelease(kwj_shared->lock);
	return signalled;
}

void
kwj_my_session_job_written(int place)
{
	KwjSessionJob *job = JOB(place);

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	unlink_mine(place);
	job->outcome = KWJ_SUCCEEDED;
	make_written(place);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_my_session_job_prepared(int place)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	Assert(JOB(place)->state == KWJ_SESSION_DONE && FullTransactionIdIsValid(JOB(place)->xid));
	unlink_mine(place);
	JOB(place)->state = KWJ_SESSION_PREPARED;
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_my_session_job_gone(int place)
{
	bool		signalled;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	signalled = JOB(place)->signalled;
	unlink_mine(place);
	free_place(place);
	LWLockRelease(kwj_shared->lock);
	return signalled;
}

bool
kwj_my_session_job_gives_place(int place)
{
	bool		gives;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	Assert(JOB(place)->state == KWJ_SESSION_DONE && !JOB(place)->signalled);
	gives = !JOB(place)->awaited;
	if (gives)
	{
		unlink_mine(place);
		free_place(place);
	}
	LWLockRelease(kwj_shared->lock);
	return gives;
}

/* ---- readers ---- */

static void
copy_job(KwjSessionJob *to, KwjSessionPlace *from)
{
	*to = from->job;
	to->place = from - kwj_session_places;
	kwj_position_read(&from->scan, &to->scan_block, &to->scan_blocks);
	SpinLockAcquire(&from->mutex);
	to->moved = from->job.moved;
	to->fraction = from->job.fraction;
	memcpy(to->running_status, from->job.running_status, sizeof(to->running_status));
	SpinLockRelease(&from->mutex);
}

/*
 * Returns true if the snapshot certainly shows the row of a WRITTEN place. Reads nothing from disk,
 * so it can be called under the lock, and saves the reader most copies of such places. next: the
 * next transaction id.
 */
static bool
is_row_old(const KwjSessionJob *job, Snapshot snapshot, FullTransactionId next)
{
	/* This is negative if the transaction began after `next` was read. */
	int64		age = (int64) (U64FromFullTransactionId(next) -
							   U64FromFullTransactionId(job->xid));

	/* The place is so old that a comparison of 32-bit xids would go wrong. */
	if (age > (INT64CONST(1) << 30))
		return true;
	return TransactionIdPrecedes(XidFromFullTransactionId(job->xid), snapshot->xmin) ||
		(!snapshot->suboverflowed &&
		 !XidInMVCCSnapshot(XidFromFullTransactionId(job->xid), snapshot));
}

/*
 * Returns whether the snapshot shows the row. The caller does not hold the lock, because this may
 * read the commit log.
 */
static bool
is_row_visible(const KwjSessionJob *job, Snapshot snapshot)
{
	TransactionId xid = XidFromFullTransactionId(job->xid);

	if (!job->has_row || XidInMVCCSnapshot(xid, snapshot))
		return false;
	return job->state == KWJ_SESSION_WRITTEN || TransactionIdDidCommit(xid);
}

/*
 * Copies at most `size` jobs of this database. Returns how many there are, which may be more. Does
 * not count WRITTEN jobs whose rows the snapshot certainly shows.
 */
static int
copy_jobs(KwjSessionJob *jobs, int size, Snapshot snapshot)
{
	/* This takes a lock of PostgreSQL, so it is done before kwj_shared->lock is taken. */
	FullTransactionId next = ReadNextFullTransactionId();
	int			n = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i <= kwj_shared->highest_place; i++)
	{
		const KwjSessionJob *job = JOB(i);

		if (job->state == KWJ_SESSION_FREE || job->dboid != MyDatabaseId ||
			(job->state == KWJ_SESSION_WRITTEN && is_row_old(job, snapshot, next)))
			continue;
		if (n < size)
			copy_job(&jobs[n], &kwj_session_places[i]);
		n++;
	}
	LWLockRelease(kwj_shared->lock);
	return n;
}

KwjSessionJob *
kwj_shared_session_jobs(Snapshot snapshot, int *n)
{
	KwjSessionJob *jobs = NULL;
	int			size = 0;
	int			kept = 0;

	*n = 0;
	/*
	 * Mostly there are none, so do not take the lock. Reading a stale 0 is as if this session had looked a
	 * moment earlier.
	 */
	if (kwj_shared->n_session_jobs == 0)
		return NULL;
	while ((*n = copy_jobs(jobs, size, snapshot)) > size)
	{
		size = *n + 8;
		if (jobs != NULL)
			pfree(jobs);
		jobs = palloc(sizeof(KwjSessionJob) * size);
	}
	for (int i = 0; i < *n; i++)
		if (!is_row_visible(&jobs[i], snapshot))
		{
			if (kept < i)
				jobs[kept] = jobs[i];
			/*
			 * All readers have seen how this job has ended since it did. One whose snapshot is older than
			 * the coordinator's row goes on to see it.
			 */
			if (jobs[kept].state == KWJ_SESSION_WRITTEN && jobs[kept].was_ended)
				jobs[kept].state = KWJ_SESSION_ENDED;
			kept++;
		}
	*n = kept;
	return jobs;
}

/* Returns the place of the job in this database; -1 if it has none. The caller holds the lock. */
static int
find_place(int64 job_id)
{
	for (int i = 0; i <= kwj_shared->highest_place; i++)
		if (JOB(i)->job_id == job_id && JOB(i)->dboid == MyDatabaseId)
			return i;
	return -1;
}

bool
kwj_shared_find_session_job(int64 job_id, KwjSessionJob *job)
{
	int			place;

	if (!kwj_shared_ready() || kwj_shared->n_session_jobs == 0 || job_id == 0)
		return false;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	place = find_place(job_id);
	if (place >= 0)
		copy_job(job, &kwj_session_places[place]);
	LWLockRelease(kwj_shared->lock);
	return place >= 0;
}

bool
kwj_shared_await_session_job(int64 job_id)
{
	int			place;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	place = find_place(job_id);
	if (place >= 0)
		JOB(place)->awaited = true;
	LWLockRelease(kwj_shared->lock);
	return place >= 0;
}

void
kwj_shared_session_job_places(int *places, int *taken, int64 *unrecorded)
{
	*places = kwj_max_session_jobs;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	*taken = kwj_shared->n_session_jobs - kwj_shared->n_written_places;
	LWLockRelease(kwj_shared->lock);
	*unrecorded = (int64) pg_atomic_read_u64(&kwj_shared->unrecorded);
}

void
kwj_shared_count_unrecorded(void)
{
	pg_atomic_fetch_add_u64(&kwj_shared->unrecorded, 1);
}

/* ---- CANCEL JOB ---- */

void
kwj_shared_cancel_session_job(int64 job_id, Oid by, const char *reason)
{
	int			place;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	place = find_place(job_id);
	if (place >= 0 && JOB(place)->state == KWJ_SESSION_RUNNING)
	{
		KwjSessionJob *job = JOB(place);

		job->requested = GetCurrentTimestamp();
		job->requested_by = by;
		copy_text(job->request_reason, sizeof(job->request_reason), reason);
		job->signalled = true;
		Assert(kwj_session_places[place].proc != NULL);
		kwj_signal(kwj_session_places[place].proc, SIGINT);
	}
	LWLockRelease(kwj_shared->lock);
}

/* ---- the coordinator, and sessions that end a prepared transaction ---- */

bool
kwj_shared_any_session_job_left(void)
{
	bool		any = false;

	if (kwj_shared->n_session_jobs == 0)
		return false;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i <= kwj_shared->highest_place && !any; i++)
		any = JOB(i)->dboid == MyDatabaseId &&
			(JOB(i)->state == KWJ_SESSION_ENDED || JOB(i)->state == KWJ_SESSION_PREPARED);
	LWLockRelease(kwj_shared->lock);
	return any;
}

static int
compare_ends(const void *a, const void *b)
{
	const KwjSessionJob *left = a;
	const KwjSessionJob *right = b;

	return left->ended < right->ended ? -1 : left->ended > right->ended;
}

static int
copy_in_state(KwjSessionJobState state, KwjSessionJob *jobs, int limit)
{
	int			n = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i <= kwj_shared->highest_place && n < limit; i++)
		if (JOB(i)->dboid == MyDatabaseId && JOB(i)->state == state &&
			!(state == KWJ_SESSION_ENDED && JOB(i)->has_row))
			copy_job(&jobs[n++], &kwj_session_places[i]);
	LWLockRelease(kwj_shared->lock);
	return n;
}

int
kwj_shared_ended_session_jobs(KwjSessionJob *jobs, int limit)
{
	int			n = copy_in_state(KWJ_SESSION_ENDED, jobs, limit);

	qsort(jobs, n, sizeof(KwjSessionJob), compare_ends);
	return n;
}

int
kwj_shared_prepared_session_jobs(KwjSessionJob *jobs, int limit)
{
	return copy_in_state(KWJ_SESSION_PREPARED, jobs, limit);
}

/*
 * Takes the lock exclusively; the caller releases it, whatever the result. Returns the place of the
 * job if it is in this state, otherwise -1.
 */
static int
lock_place(int64 job_id, KwjSessionJobState state)
{
	int			place;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	place = find_place(job_id);
	return place >= 0 && JOB(place)->state == state ? place : -1;
}

void
kwj_shared_session_job_inserted(int64 job_id, FullTransactionId xid)
{
	int			place = lock_place(job_id, KWJ_SESSION_ENDED);

	if (place >= 0)
	{
		JOB(place)->xid = xid;
		JOB(place)->has_row = true;
	}
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_session_job_written(int64 job_id)
{
	int			place = lock_place(job_id, KWJ_SESSION_ENDED);

	if (place >= 0)
	{
		JOB(place)->was_ended = true;
		make_written(place);
	}
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_session_job_unwritten(int64 job_id)
{
	int			place = lock_place(job_id, KWJ_SESSION_ENDED);

	if (place >= 0)
	{
		JOB(place)->xid = InvalidFullTransactionId;
		JOB(place)->has_row = false;
	}
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_forget_session_job(int64 job_id)
{
	int			place = lock_place(job_id, KWJ_SESSION_ENDED);

	if (place >= 0)
		free_place(place);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_session_job_resolved(int64 job_id, bool committed)
{
	int			place = lock_place(job_id, KWJ_SESSION_PREPARED);

	if (place >= 0)
	{
		KwjSessionJob *job = JOB(place);

		if (committed && job->has_row)
		{
			job->outcome = KWJ_SUCCEEDED;
			make_written(place);
		}
		else
		{
			if (!committed)
			{
				job->sqlstate = ERRCODE_TRANSACTION_ROLLBACK;
				copy_text(job->error, sizeof(job->error), "transaction rolled back");
			}
			make_ended(place, committed);
		}
	}
	LWLockRelease(kwj_shared->lock);
}

void
kwj_forget_session_jobs_of(Oid dboid)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	for (int i = 0; i <= kwj_shared->highest_place; i++)
		if (JOB(i)->state == KWJ_SESSION_ENDED && JOB(i)->dboid == dboid)
			free_place(i);
}

void
kwj_shared_forget_session_jobs_of(Oid dboid)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_forget_session_jobs_of(dboid);
	LWLockRelease(kwj_shared->lock);
}
