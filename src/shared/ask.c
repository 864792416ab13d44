/*
 * src/shared/ask.c
 *	  Shared memory: questions of sessions to the coordinators of other databases.
 *
 * Process: sessions that list the jobs of the server, and coordinators. Locks: kwj_shared->lock for
 * moments, for the places (KwjAsk); nothing in a segment is protected by a lock: the question does
 * not change, and each queue has one process at each end.
 *
 *   (free) --session: kwj_ask_begin--> in use, each database waits
 *          --coordinator: kwj_ask_take--> its database does not wait any more
 *   in use --session: kwj_ask_end, also after an error and at its exit--> (free)
 *
 * WHO DIES WHERE. If the session ends, its exit frees the place. A coordinator that sends an answer
 * sees in its queue that nobody reads any more, and detaches; PostgreSQL frees the segment with the
 * last one that detaches. If a coordinator ends before it has taken the question, the next
 * coordinator of its database takes it. If it ends after that, the session sees in the queue that
 * nobody writes any more. If a process is killed, the server goes through a crash restart, and both
 * kinds of memory are set up anew.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "shared/ask.h"
#include "shared/entry.h"
#include "shared/memory.h"
#include "utils/memutils.h"

#define KWJ_QUESTION_MAGIC	UINT64CONST(0x6b776a6f62734131)
#define QUEUE_SIZE			65536

static Size
place_of_queue(int queue)
{
	return MAXALIGN(sizeof(KwjQuestion)) + (Size) queue * QUEUE_SIZE;
}

static shm_mq *
queue_in(dsm_segment *segment, int queue)
{
	return (shm_mq *) ((char *) dsm_segment_address(segment) + place_of_queue(queue));
}

dsm_segment *
kwj_ask_prepare(const KwjQuestion *question, const StringInfoData *errands, int n,
				shm_mq_handle ***queues)
{
	Size		size = errands ? errands->len : 0;
	dsm_segment *segment = dsm_create(place_of_queue(n) + size, 0);
	KwjQuestion *asked = dsm_segment_address(segment);

	Assert(n <= KWJ_ASKED);
	*asked = *question;
	asked->magic = KWJ_QUESTION_MAGIC;
	asked->errands_at = place_of_queue(n);
	asked->errands_size = size;
	if (errands != NULL)
		memcpy((char *) asked + asked->errands_at, errands->data, size);
	*queues = palloc(sizeof(shm_mq_handle *) * n);
	for (int i = 0; i < n; i++)
	{
		shm_mq	   *queue = shm_mq_create(queue_in(segment, i), QUEUE_SIZE);

		shm_mq_set_receiver(queue, MyProc);
		(*queues)[i] = shm_mq_attach(queue, segment, NULL);
	}
	return segment;
}

void
kwj_ask_leave_out_without(Oid *databases, int *n)
{
	int			left = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < *n; i++)
		if (kwj_find_without(databases[i]) < 0)
			databases[left++] = databases[i];
	LWLockRelease(kwj_shared->lock);
	*n = left;
}

int
kwj_ask_begin(dsm_segment *segment, const Oid *databases, int n)
{
	int			place = 0;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	while (place < KWJ_ASKS && kwj_shared->asks[place].n > 0)
		place++;
	if (place < KWJ_ASKS)
	{
		KwjAsk	   *ask = &kwj_shared->asks[place];

		kwj_shared->n_asks++;
		ask->segment = dsm_segment_handle(segment);
		ask->n = n;
		memcpy(ask->databases, databases, sizeof(Oid) * n);
		for (int i = 0; i < n; i++)
			kwj_need_coordinator(databases[i]);
	}
	LWLockRelease(kwj_shared->lock);
	return place < KWJ_ASKS ? place : -1;
}

void
kwj_ask_end(int place)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_shared->asks[place].n = 0;
	kwj_shared->n_asks--;
	LWLockRelease(kwj_shared->lock);
}

/* Returns the number of the database's queue, if it has not taken this question yet; else -1. */
static int
find_queue(const KwjAsk *ask, Oid dboid)
{
	for (int i = 0; i < ask->n; i++)
		if (ask->databases[i] == dboid)
			return i;
	return -1;
}

bool
kwj_is_asked(Oid dboid)
{
	Assert(kwj_holds_lock(LW_SHARED));
	for (int i = 0; i < KWJ_ASKS; i++)
		if (find_queue(&kwj_shared->asks[i], dboid) >= 0)
			return true;
	return false;
}

bool
kwj_ask_take(dsm_handle *segment, int *queue)
{
	*queue = -1;
	/*
	 * This reads without the lock. A session counts its question first and then sets the
	 * coordinator's latch. So if this process reads the old number, it looks once more.
	 */
	if (kwj_shared->n_asks == 0)
		return false;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < KWJ_ASKS && *queue < 0; i++)
	{
		KwjAsk	   *ask = &kwj_shared->asks[i];

		*queue = find_queue(ask, MyDatabaseId);
		if (*queue < 0)
			continue;
		ask->databases[*queue] = InvalidOid;
		*segment = ask->segment;
	}
	LWLockRelease(kwj_shared->lock);
	return *queue >= 0;
}

dsm_segment *
kwj_ask_attach(dsm_handle segment, int queue, KwjQuestion **question, shm_mq_handle **handle)
{
	dsm_segment *attached = dsm_attach(segment);
	shm_mq	   *mine;

	if (attached == NULL)
		return NULL;
	*question = dsm_segment_address(attached);
	/* The session may be gone, and another segment may have got the same handle. */
	if (dsm_segment_map_length(attached) < place_of_queue(queue + 1) ||
		(*question)->magic != KWJ_QUESTION_MAGIC ||
		shm_mq_get_sender(queue_in(attached, queue)) != NULL)
	{
		dsm_detach(attached);
		return NULL;
	}
	dsm_pin_mapping(attached);
	mine = queue_in(attached, queue);
	shm_mq_set_sender(mine, MyProc);
	*handle = shm_mq_attach(mine, attached, NULL);
	return attached;
}

StringInfoData
kwj_ask_errands(dsm_segment *segment)
{
	KwjQuestion *question = dsm_segment_address(segment);
	Size		room = dsm_segment_map_length(segment);
	StringInfoData errands = {0};

	if (question->errands_at > room || question->errands_size > room - question->errands_at ||
		question->errands_size > MaxAllocSize || question->n_errands < 0 ||
		question->n_errands > KWJ_ASKED_IDS)
		elog(ERROR, "broken question of another database");
	errands.data = (char *) question + question->errands_at;
	errands.len = (int) question->errands_size;
	return errands;
}
