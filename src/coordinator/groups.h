/*
 * src/coordinator/groups.h
 *	  Which of the jobs that may start a pass looks at.
 *
 * Process: coordinator, in the transaction of a pass. Used by claim.c only.
 */
#ifndef KWJ_COORDINATOR_GROUPS_H
#define KWJ_COORDINATOR_GROUPS_H

#include "shared/slots.h"
#include "store/store.h"

/* How much of the jobs that may start a pass has seen. */
typedef struct KwjSeen
{
	bool		all_groups;		/* it has seen each owner and type that has such jobs */
	/* of each of these groups, it has seen as many jobs as it asked for, or all */
	bool		enough;
} KwjSeen;

/* What a pass asks for, see kwj_store_candidates(). */
typedef struct KwjAsked
{
	int			limit;
	const List *without;
	KwjJobs		set_aside;
	TimestampTz from;
	/* any group may have new jobs; false: the last pass has left out some groups */
	bool		news;
} KwjAsked;

/*
 * Returns the candidates of this pass, a list of KwjCandidate whose rows are locked. workers, n:
 * those of this database. If very many owners have jobs, a pass looks at the jobs of some of them,
 * and the next pass at the jobs of others. *seen: how much was seen.
 */
extern List *kwj_groups_candidates(const KwjAsked *asked, const KwjWorkerInfo *workers, int n,
								   KwjSeen *seen);

/*
 * The pass calls this after kwj_groups_candidates() if workers are still to be had. Returns whether
 * the next pass should look at other jobs at once; false once all groups have been looked at since
 * there was news. progress: some of the candidates will not be candidates again.
 */
extern bool kwj_groups_more(bool progress);

#endif
