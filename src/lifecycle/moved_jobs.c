/*
 * src/lifecycle/moved_jobs.c
 *	  Jobs of a transaction with many statements, which have given their places in shared memory to
 *	  later jobs of the same transaction.
 *
 * Caller: session_job.c. Process: the session that has done these jobs. Locks: kwj_shared->lock for
 * a moment, when a job is moved.
 *
 * A session may have a quarter of the places in shared memory, but a migration may have hundreds of
 * statements in one transaction. When no place is left for the next one, the earliest job that is
 * DONE moves into the memory of the session. Nobody sees it from then on, until the transaction
 * inserts its row together with the rows of all others. So a job keeps its place if somebody waits
 * for it, who would otherwise look for it in vain. If the transaction is rolled back, or if the
 * session cannot insert rows, a moved job is only counted: at that moment there is no place for it,
 * and the session must not wait for one.
 *
 *     place, DONE --make_room--> moved --commit, with the row--> succeeded
 *                                  \--rollback; commit without the row--> counted as unrecorded
 *
 * The jobs are in TopTransactionContext, so if the session dies, nothing is left of them, nor of
 * their work.
 */
#include "postgres.h"

#include "lifecycle/moved_jobs.h"
#include "lifecycle/session_record.h"
#include "shared/wait.h"
#include "utils/memutils.h"

/*
 * The most jobs that one transaction moves. With short texts they take some megabytes, with the
 * longest texts 30 MB. Further jobs are only counted.
 */
#define MOST_MOVED		10000

typedef struct Moved
{
	KwjRecord	record;
	SubTransactionId in;
	struct Moved *next;
} Moved;

/* The list, the earliest job first. It is allocated in TopTransactionContext. */
static Moved *first = NULL;
static Moved *last = NULL;
static int	n_moved = 0;

/*
 * Returns the place of this session's earliest job that is DONE and for which nobody waits; -1 if
 * there is none.
 */
static int
earliest_done(void)
{
	int			earliest = -1;

	/* The latest job is the first in the list. */
	kwj_foreach_my_session_job(place)
		if (kwj_my_session_job(place)->state == KWJ_SESSION_DONE &&
			!kwj_my_session_job(place)->awaited)
			earliest = place;
	return earliest;
}

/* Copies the job into TopTransactionContext, with those texts that a job which succeeds can have. */
static Moved *
copy(const KwjSessionJob *job)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Moved	   *moved = palloc0(sizeof(Moved));
	KwjRecord  *record = &moved->record;

	kwj_session_job_record(job, record);
	record->job_type = pstrdup(record->job_type);
	record->description = pstrdup(record->description);
	record->statement = pstrdup(record->statement);
	record->created_by_type = pstrdup(record->created_by_type);
	record->request_reason = pstrdup(record->request_reason);
	/* The time when it succeeds is not known yet. */
	kwj_session_job_succeeds(record, 0);
	MemoryContextSwitchTo(old);
	return moved;
}

bool
kwj_moved_jobs_make_room(void)
{
	int			place;

	if (n_moved >= MOST_MOVED)
		return false;
	while ((place = earliest_done()) >= 0)
	{
		Moved	   *moved = copy(kwj_my_session_job(place));

		moved->in = kwj_my_session_job_in(place);
		/*
		 * If another session has begun to wait for this job meanwhile, the job keeps its place. The
		 * copy is then of no use; its memory is freed at the end of the transaction.
		 */
		if (!kwj_my_session_job_gives_place(place))
			continue;
		if (last != NULL)
			last->next = moved;
		else
			first = moved;
		last = moved;
		n_moved++;
		return true;
	}
	return false;
}

bool
kwj_moved_jobs_any(void)
{
	return first != NULL;
}

void
kwj_moved_jobs_insert(KwjRecords *records, TimestampTz at)
{
	for (Moved *moved = first; moved != NULL; moved = moved->next)
	{
		moved->record.finished = at;
		kwj_store_record(records, &moved->record);
	}
}

void
kwj_moved_jobs_roll_back(SubTransactionId mine)
{
	Moved	  **link = &first;

	last = NULL;
	while (*link != NULL)
	{
		if ((*link)->in >= mine)
		{
			kwj_wake_waiters((*link)->record.job_id);
			*link = (*link)->next;
			n_moved--;
			kwj_shared_count_unrecorded();
			continue;
		}
		last = *link;
		link = &(*link)->next;
	}
}

void
kwj_moved_jobs_end(bool have_rows)
{
	for (const Moved *moved = first; moved != NULL; moved = moved->next)
	{
		if (!have_rows)
			kwj_shared_count_unrecorded();
		kwj_wake_waiters(moved->record.job_id);
	}
	first = last = NULL;
	n_moved = 0;
}
