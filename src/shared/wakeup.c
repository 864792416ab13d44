/*
 * src/shared/wakeup.c
 *	  Telling other processes, at the end of a transaction, that a job has changed.
 *
 * Process: any. Callbacks do the work when the transaction's changes are visible already, so they
 * must not fail. They wake other processes (at_release) after this process has sent its invalidation
 * messages and released its locks: a session that has waited for the job may look at once for a table that
 * the job has created or dropped, and what the coordinator does depends on rights that the same
 * transaction may have changed.
 *
 * Locks: kwj_shared->lock for moments, by way of notify.c and held.c. By then the transaction has released its
 * own locks; only a change of holds is noted just before that.
 *
 * All state is in this process. If the process exits in a transaction, it aborts the transaction,
 * so that the callbacks run. If it is killed, the server goes through a crash restart, and then the
 * first pass of each coordinator looks at all jobs.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/transaction.h"
#include "shared/held.h"
#include "shared/notify.h"
#include "shared/wait.h"
#include "shared/wakeup.h"
#include "utils/resowner.h"

/* A transaction that has changed more jobs than this wakes the processes that wait for any job. */
#define MAX_REMEMBERED 32

/*
 * The jobs in the order in which the transaction first changed or locked each of them, with the
 * subtransaction that did so. Subtransactions are numbered in the order in which they begin: so
 * when one ends, its own jobs and those of its children are the last ones of the array.
 */
typedef struct Changed
{
	int64		job_id;
	SubTransactionId in;
} Changed;

static Changed changed[MAX_REMEMBERED];
static int	n_changed = 0;
/* if valid: MAX_REMEMBERED was exceeded first in this subtransaction */
static SubTransactionId too_many_in = InvalidSubTransactionId;
static int64 completed = 0;		/* the job of kwj_wakeup_waiters_at_end(); 0: none */
static TimestampTz lowest_rank = DT_NOEND;	/* for kwj_wake_my_coordinator() */
static bool coordinator_due = false;
static bool holds_changed = false;	/* kwj_wakeup_holds_at_end() was called */
static bool server_hold_changed = false;	/* ... for the hold on the server */

/* A job that the transaction lets start; job_id 0: none. */
static struct
{
	int64		job_id;
	Oid			owner;
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz rank;
	bool		committed;
}			offer;

static bool overlooked = false; /* kwj_wakeup_overlooked_at_end() was called */
static bool ended = false;		/* the transaction has ended, and has not yet released its locks */

/*
 * Registers callbacks, so that PostgreSQL calls functions of this file at the end of each transaction and
 * subtransaction of this process. Each function below that notes something for such an end calls this first. It
 * registers the callbacks only once in a process.
 */
static void register_callbacks(void);

static bool
is_remembered(int64 job_id)
{
	for (int i = 0; i < n_changed; i++)
		if (changed[i].job_id == job_id)
			return true;
	return false;
}

bool
kwj_wakeup_is_unarmed(void)
{
	return n_changed == 0 && too_many_in == InvalidSubTransactionId;
}

bool
kwj_wakeup_is_armed(int64 job_id)
{
	return too_many_in != InvalidSubTransactionId || is_remembered(job_id);
}

static void
remember(int64 job_id)
{
	SubTransactionId in = GetCurrentSubTransactionId();

	if (is_remembered(job_id))
		return;
	register_callbacks();
	if (n_changed < MAX_REMEMBERED)
		changed[n_changed++] = (Changed) {job_id, in};
	else if (too_many_in == InvalidSubTransactionId)
		too_many_in = in;
}

void
kwj_wakeup_at_end(int64 job_id)
{
	remember(job_id);
	lowest_rank = DT_NOBEGIN;
}

void
kwj_wakeup_at_end_of_creation(int64 job_id, TimestampTz rank)
{
	remember(job_id);
	lowest_rank = Min(lowest_rank, rank);
}

void
kwj_wakeup_offer_at_end(int64 job_id, Oid owner, const char *job_type, TimestampTz rank)
{
	/* The coordinator, which may end several jobs in a transaction, needs no offers. */
	if (offer.job_id != 0)
	{
		kwj_wakeup_at_end_of_creation(job_id, rank);
		return;
	}
	register_callbacks();
	offer.job_id = job_id;
	offer.owner = owner;
	strlcpy(offer.job_type, job_type, sizeof(offer.job_type));
	offer.rank = rank;
}

void
kwj_wakeup_waiters_at_end(int64 job_id)
{
	register_callbacks();
	completed = job_id;
}

void
kwj_wakeup_overlooked_at_end(int64 job_id)
{
	overlooked = true;
	kwj_wakeup_at_end(job_id);
}

void
kwj_wakeup_holds_at_end(bool everywhere)
{
	register_callbacks();
	holds_changed = true;
	server_hold_changed |= everywhere;
}

/* The transaction has changed holds, and is committed. */
static void
fire_holds(void)
{
	kwj_note_holds_changed(server_hold_changed);
	lowest_rank = DT_NOBEGIN;
	coordinator_due = true;
}

/* Wakes the processes that wait for a job. */
static void
fire_waiters(void)
{
	int			n = n_changed;
	bool		too_many = too_many_in != InvalidSubTransactionId;

	if (overlooked)
		kwj_note_overlooked();
	overlooked = false;

	if (completed != 0)
		kwj_wake_waiters(completed);
	completed = 0;
	n_changed = 0;
	too_many_in = InvalidSubTransactionId;
	if (n == 0)
		return;
	if (too_many)
		kwj_wake_waiters(0);
	else
		for (int i = 0; i < n; i++)
			kwj_wake_waiters(changed[i].job_id);
	coordinator_due = true;
}

static void
at_release(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg)
{
	if (!isTopLevel || phase != RESOURCE_RELEASE_AFTER_LOCKS || !ended)
		return;
	ended = false;
	fire_waiters();
	if (offer.job_id != 0 && offer.committed)
		kwj_offer_job(offer.job_id, offer.owner, offer.job_type, offer.rank);
	offer.job_id = 0;
	offer.committed = false;
	if (!coordinator_due)
		return;
	coordinator_due = false;
	kwj_wake_my_coordinator(lowest_rank);
	lowest_rank = DT_NOEND;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			if (holds_changed && event == XACT_EVENT_COMMIT)
				fire_holds();
			holds_changed = server_hold_changed = false;
			offer.committed = event == XACT_EVENT_COMMIT;
			ended = true;
			break;
		case XACT_EVENT_PRE_PREPARE:
			/* COMMIT PREPARED, in whatever session, would not run these callbacks. */
			if (n_changed > 0 || holds_changed)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 holds_changed ?
						 errmsg("cannot PREPARE a transaction that has held or released jobs") :
						 errmsg("cannot PREPARE a transaction that has created or controlled jobs"),
						 errhint("Use COMMIT instead of PREPARE TRANSACTION.")));
			break;
		default:
			break;
	}
}

/*
 * A subtransaction that is rolled back releases its row locks at once, so this wakes the
 * coordinator at once. Its changes of jobs are undone, so they are forgotten here.
 */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mySubid,
					  SubTransactionId parentSubid, void *arg)
{
	bool		touched;

	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	/* If there were too many jobs, this subtransaction may have locked one that is not listed. */
	touched = too_many_in != InvalidSubTransactionId;
	if (too_many_in >= mySubid)
		too_many_in = InvalidSubTransactionId;
	for (; n_changed > 0 && changed[n_changed - 1].in >= mySubid; n_changed--)
		touched = true;
	if (n_changed == 0)
		lowest_rank = DT_NOEND;
	if (touched)
		kwj_wake_my_coordinator(DT_NOBEGIN);
}

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterResourceReleaseCallback(at_release, NULL);
	kwj_at_transaction_end(&registered, at_transaction_end, at_subtransaction_end);
}
