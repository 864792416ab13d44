/*
 * src/coordinator/held.c
 *	  Which jobs are held, as of this pass.
 *
 * Process: coordinator, in the transaction of a pass; claim.c, groups.c, coordinator.c and
 * deadlock.c call this. Locks: none but AccessShareLock on kwjobs.hold.
 *
 * The holds are in kwjobs.hold, and copied into the memory of this process. They are read in the
 * first pass, and in each one before which a transaction that has changed holds has committed
 * (shared/held.c). A full pass that sees rows there reads them, too, since somebody may have
 * changed them by hand. While there is none, a pass costs one look at an empty table. A type that
 * kwjobs.max_workers_per_type has stopped counts as held, and so does everything while
 * kwjobs.max_workers is 0; the launcher sends a coordinator when these settings change.
 *
 * A hold on a queue is not handled here: kwj_store_fill_queues gives its jobs no places, and the
 * queries that choose jobs leave them out.
 *
 * A held job keeps its rank. But the coordinator does not choose its group (owner and type), so it
 * reads none of the group's jobs, however many there are. Such jobs do not count as waiting for a
 * worker: the coordinator sleeps, and may leave. The commit of the release wakes it, or has the
 * launcher start one.
 *
 * If this process dies, its successor reads the holds in its first pass.
 */
#include "postgres.h"

#include "coordinator/held.h"
#include "shared/held.h"
#include "store/held.h"
#include "type/limits.h"
#include "utils/memutils.h"

static MemoryContext context = NULL;	/* of the copy */
static List *holds = NIL;
static bool any_rows = false;	/* some of them are not made by settings */
static bool are_read = false;
static uint32 read_as_of;		/* what kwj_shared_holds_noted() was then */

/* Adds a hold for each type that kwjobs.max_workers_per_type has stopped. */
static void
add_stopped_types(void)
{
	const char *job_type;

	for (int i = 0; (job_type = kwj_type_stopped(i)) != NULL; i++)
	{
		KwjHold    *hold = palloc0(sizeof(KwjHold));

		hold->scope.job_type = pstrdup(job_type);
		holds = lappend(holds, hold);
	}
}

bool
kwj_held_see_settings(void)
{
	static int	max_workers = -1;
	static uint32 changes;
	bool		changed = max_workers != kwj_max_workers ||
		changes != kwj_type_limit_changes();

	max_workers = kwj_max_workers;
	changes = kwj_type_limit_changes();
	if (changed)
		are_read = false;
	return changed;
}

void
kwj_held_read(bool any)
{
	MemoryContext old;

	if (are_read && !any && !any_rows && !kwj_shared_holds_changed_since(read_as_of))
	{
		read_as_of = kwj_shared_holds_noted();
		return;
	}
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "kwjobs holds", ALLOCSET_SMALL_SIZES);
	/* If this raises an error, they are read again. */
	are_read = false;
	holds = NIL;
	MemoryContextReset(context);
	old = MemoryContextSwitchTo(context);
	holds = kwj_store_holds(false);
	any_rows = holds != NIL;
	add_stopped_types();
	MemoryContextSwitchTo(old);
	read_as_of = kwj_shared_holds_noted();
	are_read = true;
}

const List *
kwj_held_list(void)
{
	return holds;
}

bool
kwj_held_is_everything(void)
{
	ListCell   *lc;

	if (kwj_max_workers == 0)
		return true;
	foreach(lc, holds)
	{
		const KwjHold *hold = lfirst(lc);

		if (!OidIsValid(hold->scope.owner) && hold->scope.job_type == NULL &&
			hold->scope.queue == NULL)
			return true;
	}
	return false;
}

bool
kwj_held_concerns(Oid owner, const char *job_type)
{
	return kwj_max_workers == 0 || kwj_hold_find(holds, owner, job_type, NULL) != NULL;
}
