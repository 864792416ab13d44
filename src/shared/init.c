/*
 * src/shared/init.c
 *	  Kwjobs's shared memory: its size, and how it is set up.
 *
 * Process: postmaster. It is the only process at that time, so kwj_shared->lock is not needed. On
 * EXEC_BACKEND builds each process attaches here, under AddinShmemInitLock. After the crash of a
 * process the postmaster sets everything up again.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "postmaster/bgworker_internals.h"
#include "shared/init.h"
#include "shared/memory.h"
#include "shared/start.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "storage/spin.h"

static shmem_startup_hook_type previous_startup_hook;
static KwjShmemRequestHook previous_request_hook;

static Size
databases_size(void)
{
	return MAXALIGN(mul_size(kwj_entries, sizeof(KwjDatabase)));
}

static Size
slots_size(void)
{
	return MAXALIGN(mul_size(kwj_worker_slots, sizeof(KwjSlot)));
}

static Size
teams_size(void)
{
	return MAXALIGN(mul_size(kwj_worker_slots, sizeof(KwjTeam)));
}

static Size
unbegun_size(void)
{
	return MAXALIGN(mul_size(kwj_max_unbegun, sizeof(KwjUnbegun)));
}

static Size
shared_size(void)
{
	Size		workers = add_size(slots_size(), unbegun_size());
	Size		sessions = mul_size(kwj_max_session_jobs, sizeof(KwjSessionPlace));

	return add_size(add_size(MAXALIGN(sizeof(KwjShared)), databases_size()),
					add_size(add_size(workers, teams_size()), sessions));
}

/*
 * Counts how many coordinators, and how many sessions of private servers, may run at the same time:
 * so many that max_worker_processes leaves room for kwjobs.max_workers + 1 workers, and for the
 * background workers that are registered when the server starts. Sessions also leave room for a
 * coordinator.
 */
static void
count_places(void)
{
	/* Count only once: after a crash restart the list also has dynamic background workers. */
	static int	permanent = -1;
	int			room;

	if (permanent < 0)
	{
		KWJ_WORKER_ITERATOR iter;

		permanent = 0;
		kwj_foreach_worker(iter)
			permanent++;
	}
	room = max_worker_processes - permanent - (kwj_max_workers + 1);
	kwj_shared->max_coordinators = Max(1, Min(kwj_max_databases, room));
	kwj_shared->max_sessions = room - 1;
}

void
kwj_shared_count_places(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	count_places();
	LWLockRelease(kwj_shared->lock);
}

static void
initialize_session_places(void)
{
	kwj_shared->highest_place = -1;
	kwj_shared->first_free_place = kwj_max_session_jobs > 0 ? 0 : -1;
	kwj_shared->first_written_place = kwj_shared->last_written_place = -1;
	pg_atomic_init_u64(&kwj_shared->unrecorded, 0);
	for (int i = 0; i < kwj_max_session_jobs; i++)
	{
		SpinLockInit(&kwj_session_places[i].mutex);
		SpinLockInit(&kwj_session_places[i].sight.mutex);
		kwj_position_init(&kwj_session_places[i].scan);
		kwj_session_places[i].next = i + 1 < kwj_max_session_jobs ? i + 1 : -1;
	}
}

static void
initialize(void)
{
	memset(kwj_shared, 0, shared_size());
	count_places();
	kwj_shared->lock = &(GetNamedLWLockTranche(KWJ_LIBRARY))->lock;
	pg_atomic_init_u32(&kwj_shared->hold_changes, 1);
	pg_atomic_init_u64(&kwj_shared->last_tick, 0);
	pg_atomic_init_u32(&kwj_shared->sees_workers_out, 0);
	strlcpy(kwj_shared->admin_role, kwj_admin_role, sizeof(kwj_shared->admin_role));
	kwj_shared_start_begin(&kwj_shared->server_start);
	ConditionVariableInit(&kwj_shared->left);
	for (int i = 0; i < KWJ_WAIT_PLACES; i++)
		ConditionVariableInit(&kwj_shared->job_changed[i]);
	for (int i = 0; i < kwj_worker_slots; i++)
	{
		KwjProgress *progress = &kwj_slots[i].progress;

		pg_atomic_init_u32(&progress->request, KWJ_REQUEST_NONE);
		pg_atomic_init_u32(&progress->interrupted, 0);
		pg_atomic_init_u32(&progress->reverting, 0);
		pg_atomic_init_u32(&progress->stands, 0);
		pg_atomic_init_u32(&progress->will_stand, 0);
		kwj_position_init(&progress->scan);
		SpinLockInit(&progress->mutex);
		SpinLockInit(&kwj_slots[i].sight.mutex);
		pg_atomic_init_u32(&kwj_slots[i].messages.changes, 0);
	}
	initialize_session_places();
}

static void
startup(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	kwj_shared = ShmemInitStruct(KWJ_LIBRARY, shared_size(), &found);
	kwj_databases = (KwjDatabase *) ((char *) kwj_shared + MAXALIGN(sizeof(KwjShared)));
	kwj_slots = (KwjSlot *) ((char *) kwj_databases + databases_size());
	kwj_teams = (KwjTeam *) ((char *) kwj_slots + slots_size());
	kwj_unbegun = (KwjUnbegun *) ((char *) kwj_teams + teams_size());
	kwj_session_places = (KwjSessionPlace *) ((char *) kwj_unbegun + unbegun_size());
	if (!found)
		initialize();
	LWLockRelease(AddinShmemInitLock);
}

static void
request_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche(KWJ_LIBRARY, 1);
}

void
kwj_shared_init(void)
{
	kwj_chain_shmem_request(previous_request_hook, request_memory);
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
}
