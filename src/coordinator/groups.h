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
	bool		enough;			/* of each of these, it has seen as many jobs as it asked for, or all */
} KwjSeen;

/* What a pass asks for, see kwj_store_candidates(). */
typedef struct KwjAsked
{
	int			limit;
	const List *without;
	KwjJobs		set_aside;
	TimestampTz from;
	bool		news;			/* any group may have new jobs; else the last pass has left some out */
} KwjAsked;

/*
 * Returns the candidates of this pass, a list of KwjCandidate whose rows are locked. workers, n:
 * those of this database. If very many owners have jobs, these are some of them, and others in the
 * next pass. *seen: how much was seen.
 */
extern List *kwj_groups_candidates(const KwjAsked *asked, const KwjWorkerInfo *workers, int n,
								   KwjSeen *seen);

/*
 * To be called after that if workers are still to be had: whether the next pass should look at
 * other jobs at once. progress: some of the candidates will not be candidates again. Returns false
 * once all groups have been looked at since there was news.
 */
extern bool kwj_groups_more(bool progress);

#endif
