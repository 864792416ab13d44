/*
 * src/process/shared_state.c
 *	  kwjobs's shared memory: size, start-up, places to wait.
 *
 * Process: all. shared_database.c has the databases and holds, shared_slot.c the
 * workers.
 */
#include "postgres.h"

#include "compat.h"
#include "job/job_id.h"
#include "job/wait.h"
#include "job/wakeup.h"
#include "miscadmin.h"
#include "postmaster/bgworker_internals.h"
#include "process/shared_internal.h"
#include "statement/statement.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "storage/spin.h"

KwjShared  *kwj_shared = NULL;
KwjDatabase *kwj_databases;
KwjSlot    *kwj_slots;
KwjUnbegun *kwj_unbegun;

static shmem_startup_hook_type previous_startup_hook;
static KwjShmemRequestHook previous_request_hook;

/* ---- set-up ---- */

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
shared_size(void)
{
	return add_size(add_size(MAXALIGN(sizeof(KwjShared)), databases_size()),
					add_size(slots_size(), mul_size(kwj_max_unbegun, sizeof(KwjUnbegun))));
}

/*
 * How many coordinators may be there at the same time: they leave room for all workers, and for the background workers
 * that are registered when the server starts, which are there for good. Process: postmaster.
 */
static int
count_places(void)
{
	/* when shared memory is set up again after a crash, the list has others, too */
	static int	permanent = -1;

	if (permanent < 0)
	{
		KWJ_WORKER_ITERATOR iter;

		permanent = 0;
		kwj_foreach_worker(iter)
			permanent++;
	}
	return Max(1, Min(kwj_max_databases, max_worker_processes - permanent - kwj_worker_slots));
}

static void
initialize(void)
{
	memset(kwj_shared, 0, shared_size());
	kwj_shared->max_coordinators = count_places();
	kwj_shared->lock = &(GetNamedLWLockTranche(KWJ_LIBRARY))->lock;
	pg_atomic_init_u64(&kwj_shared->last_tick, 0);
	strlcpy(kwj_shared->admin_role, kwj_admin_role, sizeof(kwj_shared->admin_role));
	kwj_server_start_begin(&kwj_shared->server_start);
	ConditionVariableInit(&kwj_shared->left);
	for (int i = 0; i < KWJ_WAIT_PLACES; i++)
		ConditionVariableInit(&kwj_shared->job_changed[i]);
	for (int i = 0; i < kwj_worker_slots; i++)
	{
		KwjProgress *progress = &kwj_slots[i].progress;

		pg_atomic_init_u32(&progress->request, KWJ_REQUEST_NONE);
		pg_atomic_init_u32(&progress->interrupted, 0);
		pg_atomic_init_u32(&progress->reverting, 0);
		SpinLockInit(&progress->mutex);
	}
}

static ConditionVariable *
wait_place(int64 job_id)
{
	/* the low bits are the node's */
	return &kwj_shared->job_changed[(uint64) (job_id >> 15) % KWJ_WAIT_PLACES];
}

void
kwj_wake_waiters(int64 job_id)
{
	if (job_id != 0)
		ConditionVariableBroadcast(wait_place(job_id));
	else
		for (int i = 0; i < KWJ_WAIT_PLACES; i++)
			ConditionVariableBroadcast(&kwj_shared->job_changed[i]);
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
	kwj_unbegun = (KwjUnbegun *) ((char *) kwj_slots + slots_size());
	if (!found)
		initialize();
	kwj_job_id_attach(&kwj_shared->last_tick);
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

static KwjWaitVerdict
wait_verdict(void)
{
	return kwj_waits_must_end() ? KWJ_WAIT_HINDERS : kwj_my_wait_verdict();
}

static const KwjWaitHooks wait_hooks = {wait_place, kwj_set_wait, wait_verdict};

void
kwj_shared_init(void)
{
	kwj_chain_shmem_request(previous_request_hook, request_memory);
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
	kwj_wait_init(&wait_hooks);
	kwj_wakeup_init(kwj_wake_my_coordinator, kwj_wake_waiters, kwj_note_overlooked);
}

bool
kwj_shared_ready(void)
{
	return kwj_shared != NULL;
}

void
kwj_shared_set_admin_role(const char *name)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	strlcpy(kwj_shared->admin_role, name, sizeof(kwj_shared->admin_role));
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_is_admin_role(const char *name)
{
	bool		is;

	if (!kwj_shared_ready())
		return false;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	is = strcmp(kwj_shared->admin_role, name) == 0;
	LWLockRelease(kwj_shared->lock);
	return is;
}
