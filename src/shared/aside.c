/*
 * src/shared/aside.c
 *	  Shared memory: jobs that the coordinators leave alone for now, and the reasons.
 *
 * Process: coordinators write the entries (src/coordinator/careful.c), sessions read them. They are
 * protected by kwj_shared->lock. When a coordinator exits, it removes its entries. There are only
 * KWJ_ASIDES entries for all databases together, because a job needs one only if something is very
 * wrong. If all are taken, coordinators leave further jobs alone as well, but SHOW JOBS does not
 * say why.
 */
#include "postgres.h"

#include "compat.h"
#include "job/clip.h"
#include "miscadmin.h"
#include "shared/aside.h"
#include "shared/memory.h"
#include "utils/builtins.h"

static KwjAside *
find_aside(Oid dboid, int64 job_id)
{
	for (int i = 0; i < KWJ_ASIDES; i++)
		if (kwj_shared->asides[i].dboid == dboid && kwj_shared->asides[i].job_id == job_id)
			return &kwj_shared->asides[i];
	return NULL;
}

static void
clear_aside(KwjAside *aside)
{
	aside->dboid = InvalidOid;
	aside->job_id = 0;
	kwj_shared->n_asides--;
}

void
kwj_shared_set_aside(int64 job_id, const char *why)
{
	KwjAside   *aside;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	aside = find_aside(MyDatabaseId, job_id);
	if (why == NULL && aside != NULL)
		clear_aside(aside);
	else if (why != NULL && (aside != NULL || (aside = find_aside(InvalidOid, 0)) != NULL))
	{
		kwj_shared->n_asides += aside->dboid == InvalidOid;
		aside->dboid = MyDatabaseId;
		aside->job_id = job_id;
		kwj_copy_clipped(aside->why, sizeof(aside->why), why);
	}
	LWLockRelease(kwj_shared->lock);
}

void
kwj_clear_asides(Oid dboid)
{
	for (int i = 0; i < KWJ_ASIDES; i++)
		if (OidIsValid(dboid) && kwj_shared->asides[i].dboid == dboid)
			clear_aside(&kwj_shared->asides[i]);
}

char *
kwj_shared_why_aside(int64 job_id)
{
	KwjAside   *aside;
	char		why[sizeof(aside->why)];
	bool		found;

	/*
	 * This is called for each job that is shown, so it does not take the lock if there are no
	 * entries. If it reads a stale 0, the session shows the reason the next time.
	 */
	if (kwj_shared->n_asides == 0)
		return NULL;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	aside = find_aside(MyDatabaseId, job_id);
	found = aside != NULL;
	if (found)
		strlcpy(why, aside->why, sizeof(why));
	LWLockRelease(kwj_shared->lock);
	return found ? pstrdup(why) : NULL;
}
