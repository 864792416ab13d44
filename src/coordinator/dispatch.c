/*
 * src/coordinator/dispatch.c
 *	  What the coordinator does to workers.
 *
 * Process: coordinator, outside a transaction, after the commit of a pass. Locks: kwj_shared->lock
 * for moments.
 *
 * The way of a request, for one attempt:
 *
 *   none -> delivered     kwj_shared_deliver writes it into the slot and wakes the worker
 *   -> interrupted        SIGINT: for CANCEL at once, for PAUSE after PAUSE_GRACE_MS, and again
 *                         each INTERRUPT_AGAIN_MS, MAX_INTERRUPTS times; the same for CLOSE, unless
 *                         that is patient
 *   -> terminated         SIGTERM; adopt.c then settles the attempt as ended by request
 *   any -> none           RESUME took the request back
 *
 * No signal is sent to an attempt that is committing (shared/slots.c). What this file remembers of
 * a slot is in this process only. If it dies, its successor delivers each request anew and counts
 * interrupts from zero; it has no handle of workers that were started before, but those have
 * attached: the slots of the others were freed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "coordinator/dispatch.h"
#include "process/spawn.h"
#include "shared/slots.h"
#include "store/claim.h"
#include "store/due.h"
#include "utils/memutils.h"

/* A paused attempt that has not stopped by itself after this time is interrupted. */
#define PAUSE_GRACE_MS		500
/* An attempt that ignores an interrupt is interrupted again this often, then terminated. */
#define INTERRUPT_AGAIN_MS	KWJ_WAIT_MS(1000)
#define MAX_INTERRUPTS		5

/* What this process remembers of a slot. */
typedef struct Dispatch
{
	uint32		generation;		/* of the slot; if it differs, the rest is out of date */
	BackgroundWorkerHandle *handle; /* NULL: a predecessor started the worker */

	/* Of this attempt; if the slot has another one, the rest is out of date. */
	int64		job_id;
	int32		attempt;
	KwjRequest	delivered;
	int			interrupts;		/* how many it has had */
	TimestampTz interrupt_at;	/* DT_NOEND: not at all */
} Dispatch;

static Dispatch *dispatches;	/* array of kwj_worker_slots */

void
kwj_dispatch_init(void)
{
	dispatches = MemoryContextAllocZero(TopMemoryContext,
										sizeof(Dispatch) * kwj_worker_slots);
}

/*
 * Returns what this process remembers of the slot's worker, after it has emptied this if the slot
 * has a new one.
 */
static Dispatch *
dispatch_of(int slot, uint32 generation)
{
	Dispatch   *d = &dispatches[slot];

	if (d->generation == generation)
		return d;
	if (d->handle != NULL)
		pfree(d->handle);
	memset(d, 0, sizeof(*d));
	d->generation = generation;
	d->interrupt_at = DT_NOEND;
	return d;
}

bool
kwj_dispatch_start(const KwjClaim *claim)
{
	Dispatch   *d = dispatch_of(claim->slot, claim->generation);
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool		room = kwj_worker_start(claim->slot, claim->generation, &d->handle);

	Assert(!IsTransactionState());
	MemoryContextSwitchTo(old);
	if (!room)
		kwj_shared_free_slot(claim->slot, claim->generation);
	return room;
}

/* The request is new to the attempt: delivers it, and sets when to interrupt. */
static void
begin_delivery(Dispatch *d, const KwjWorkerInfo *worker, KwjRequest request, bool patient)
{
	d->job_id = worker->job_id;
	d->attempt = worker->attempt;
	d->delivered = request;
	d->interrupts = 0;
	d->interrupt_at = DT_NOEND;
	if (request == KWJ_REQUEST_NONE)
		return;
	if (!patient)
		d->interrupt_at =
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										request == KWJ_REQUEST_CANCEL ? 0 : PAUSE_GRACE_MS);
	kwj_shared_deliver(worker, request, KWJ_TELL);
}

/* The request was taken back: the worker is not to be interrupted for it any more. */
static void
take_back(Dispatch *d, const KwjWorkerInfo *worker)
{
	d->delivered = KWJ_REQUEST_NONE;
	d->interrupt_at = DT_NOEND;
	kwj_shared_deliver(worker, KWJ_REQUEST_NONE, KWJ_TELL);
}

TimestampTz
kwj_dispatch_deliver(const KwjWorkerInfo *worker, const KwjActive *active)
{
	Dispatch   *d = dispatch_of(worker->slot, worker->generation);
	KwjRequest	request = active ? active->request : KWJ_REQUEST_NONE;
	TimestampTz now = GetCurrentTimestamp();

	Assert(!IsTransactionState());
	if (d->job_id != worker->job_id || d->attempt != worker->attempt ||
		(request != KWJ_REQUEST_NONE && request != d->delivered))
		begin_delivery(d, worker, request, request == KWJ_REQUEST_CLOSE && active->patient);
	else if (active != NULL && request == KWJ_REQUEST_NONE && d->delivered != KWJ_REQUEST_NONE)
		take_back(d, worker);
	if (d->interrupt_at <= now)
	{
		bool		there = kwj_shared_deliver(worker, d->delivered,
											   d->interrupts < MAX_INTERRUPTS ? KWJ_INTERRUPT : KWJ_TERMINATE);

		d->interrupts++;
		d->interrupt_at = !there || d->interrupts > MAX_INTERRUPTS ? DT_NOEND :
			TimestampTzPlusMilliseconds(now, INTERRUPT_AGAIN_MS);
	}
	return d->interrupt_at;
}

bool
kwj_dispatch_has_terminated(int64 job_id, int32 attempt)
{
	for (int i = 0; i < kwj_worker_slots; i++)
		if (dispatches[i].job_id == job_id && dispatches[i].attempt == attempt &&
			dispatches[i].interrupts > MAX_INTERRUPTS)
			return true;
	return false;
}

/*
 * Returns whether the worker of this slot was never started, or has exited before it attached. Only
 * the process that has registered the worker can ask the postmaster.
 */
static bool
is_stillborn(const KwjWorkerInfo *worker)
{
	BackgroundWorkerHandle *handle = dispatch_of(worker->slot, worker->generation)->handle;
	pid_t		pid;

	return worker->pid == 0 && handle != NULL &&
		GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED;
}

void
kwj_dispatch_reap(void)
{
	KwjWorkerInfo *workers = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	int			elsewhere;
	int			n = kwj_shared_workers(workers, &elsewhere);

	for (int i = 0; i < n; i++)
		if (is_stillborn(&workers[i]))
			kwj_shared_free_slot(workers[i].slot, workers[i].generation);
	pfree(workers);
}
