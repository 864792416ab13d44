/*
 * src/shared/job_id.c
 *	  Job ids.
 *
 * Process: any; store/jobs.c, shared/session_jobs.c and process/server_start.c make and note ids.
 * Takes no lock, because the tick of the last id is an atomic in shared memory. It is 0 when the
 * server starts; the coordinator of each database calls kwj_job_id_note() in its first pass, so that
 * new ids are higher than those in the tables.
 */
#include "postgres.h"

#include "shared/job_id.h"
#include "shared/memory.h"
#include "utils/timestamp.h"

#define NODE_ID_BITS	15
#define TICK_USECS		10
/* An id that is more than ten years ahead of the clock was not made by kwjobs. */
#define LARGEST_ADVANCE	((uint64) 10 * 366 * USECS_PER_DAY / TICK_USECS)
/* 2015-01-01 as a TimestampTz: days since 2000-01-01 */
#define EPOCH_2015		(INT64CONST(5479) * USECS_PER_DAY)

static uint64
tick_now(void)
{
	return (uint64) (GetCurrentTimestamp() - EPOCH_2015) / TICK_USECS;
}

void
kwj_job_id_note(int64 job_id)
{
	uint64		previous = pg_atomic_read_u64(&kwj_shared->last_tick);
	uint64		tick;

	if (job_id <= 0)
		return;
	tick = (uint64) job_id >> NODE_ID_BITS;
	/* The id was not made by kwjobs. If it counted, new ids could soon overflow. */
	if (tick > tick_now() + LARGEST_ADVANCE)
		return;
	while (tick > previous && !pg_atomic_compare_exchange_u64(&kwj_shared->last_tick, &previous, tick))
		;
}

int64
kwj_job_id_next(void)
{
	uint64		previous = pg_atomic_read_u64(&kwj_shared->last_tick);
	uint64		tick;

	do
	{
		tick = tick_now();
		tick = Max(tick, previous + 1);
	} while (!pg_atomic_compare_exchange_u64(&kwj_shared->last_tick, &previous, tick));

	return (int64) (tick << NODE_ID_BITS) + kwj_node_id;
}

int
kwj_job_id_compare(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return left < right ? -1 : left > right;
}
