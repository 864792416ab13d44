/*
 * src/job/position.c
 *	  How far a scan is that this process runs, for sessions that look at its job.
 *
 * Callers: scan.c and track/validation.c, in workers and in sessions whose statement is a job;
 * shared/live.c and shared/session_jobs.c, in sessions that look. Locks: none.
 *
 * PostgreSQL calls nobody when a scan goes on to the next block, and the scan may go through the
 * whole table without returning a row. So a timer looks at the position, in the handler of SIGALRM,
 * and writes it into shared memory. That costs the scan nothing for a row or a block.
 *
 *     watch --0.5 s--> look, write --> looked at since? --yes--> again in 0.5 s
 *                                             \--no---> again after twice the time, at most 4 s
 *
 * While somebody looks, the position is half a second old at most. While nobody looks, it costs a
 * signal every four seconds. The first look finds a position that is older by no more than half of the
 * time that the scan has taken.
 *
 * The callers stop the timer when the plan or the statement is over, and this file does at the end of
 * the transaction. So the handler never reads memory that an error has freed. A process that exits may
 * not come to any of these places, so the handler does nothing once the exit has begun.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/position.h"
#include "job/transaction.h"
#include "storage/ipc.h"
#include "utils/timeout.h"

/* Of fewer blocks no position is shown, because one block is a large part of them. */
#define LEAST_BLOCKS	32

/* How often the timer looks while somebody looks at the job, and while nobody does. */
#define OFTEN_MS	500
#define SELDOM_MS	4000

static TimeoutId timer = MAX_TIMEOUTS;

/* What is watched; NULL: nothing. The handler of SIGALRM reads these. */
static volatile KwjPositionLook look = NULL;
static KwjPosition *shown = NULL;

static int	interval_ms = OFTEN_MS;
static uint32 looks = 0;

/*
 * block is written first, and kwj_position_read() reads it last. So a reader that sees that the
 * number of blocks is known sees a position that is at least as new.
 */
static void
show(uint32 block, uint32 blocks)
{
	bool		is_known = pg_atomic_read_u32(&shown->blocks) != 0;

	if (blocks < LEAST_BLOCKS || (is_known && block < pg_atomic_read_u32(&shown->block)))
		return;
	pg_atomic_write_u32(&shown->block, block);
	pg_write_barrier();
	pg_atomic_write_u32(&shown->blocks, blocks);
}

/* Sets how long to wait for the next look: as long as nobody reads the position, twice as long. */
static void
choose_interval(void)
{
	uint32		looks_now = pg_atomic_read_u32(&shown->looks);

	interval_ms = looks_now != looks ? OFTEN_MS : Min(2 * interval_ms, SELDOM_MS);
	looks = looks_now;
}

/* PostgreSQL's handler of SIGALRM calls this when the time of the timer has come. */
static void
on_time(void)
{
	uint32		block;
	uint32		blocks;

	if (look == NULL || proc_exit_inprogress)
		return;
	switch (look(&block, &blocks))
	{
		case KWJ_POSITION_KNOWN:
			show(block, blocks);
			break;
		case KWJ_POSITION_NOT_NOW:
			break;
		case KWJ_POSITION_NOT_KNOWN:
			pg_atomic_write_u32(&shown->blocks, 0);
			break;
	}
	choose_interval();
	/* PostgreSQL has taken the timeout out of its list before it has called this function. */
	enable_timeout_after(timer, interval_ms);
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		kwj_position_forget();
}

void
kwj_position_watch(KwjPosition *position, KwjPositionLook new_look)
{
	static bool registered = false;

	Assert(IsTransactionState());
	kwj_at_transaction_end(&registered, at_transaction_end, NULL);
	kwj_position_forget();
	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, on_time);
	shown = position;
	interval_ms = OFTEN_MS;
	looks = pg_atomic_read_u32(&position->looks);
	/* The handler must not see the function before the rest. */
	pg_compiler_barrier();
	look = new_look;
	enable_timeout_after(timer, OFTEN_MS);
}

bool
kwj_position_is_watched(KwjPositionLook this_look)
{
	return look == this_look;
}

void
kwj_position_forget(void)
{
	if (look == NULL)
		return;
	look = NULL;
	disable_timeout(timer, false);
}

void
kwj_position_read(KwjPosition *position, uint32 *block, uint32 *blocks)
{
	pg_atomic_fetch_add_u32(&position->looks, 1);
	*blocks = pg_atomic_read_u32(&position->blocks);
	pg_read_barrier();
	*block = pg_atomic_read_u32(&position->block);
}

void
kwj_position_init(KwjPosition *position)
{
	pg_atomic_init_u32(&position->block, 0);
	pg_atomic_init_u32(&position->blocks, 0);
	pg_atomic_init_u32(&position->looks, 0);
}

void
kwj_position_reset(KwjPosition *position)
{
	pg_atomic_write_u32(&position->blocks, 0);
}
