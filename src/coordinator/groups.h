/*
 * src/coordinator/groups.h
 *	  Which of the jobs that may start a pass looks at.
 *
 * Process: coordinator.
 */
#ifndef KWJ_COORDINATOR_GROUPS_H
#define KWJ_COORDINATOR_GROUPS_H

#include "shared/slots.h"
#include "store/store.h"

/* What a pass has seen of them. */
typedef struct KwjSeen
{
	bool		all_groups;		/* of each owner and type that has jobs */
	bool		enough;			/* of each of these, as many as were asked for, or all */
} KwjSeen;

/* What a pass asks for: see kwj_store_candidates. */
typedef struct KwjAsked
{
	int			limit;
	const List *without;
	KwjJobs		set_aside;
	TimestampTz from;
	bool		news;			/* all groups may have new jobs; else the last pass has left some out */
} KwjAsked;

/*
 * The candidates of this pass, with its workers. Where very many owners have jobs, it is some of them, and in
 * the next pass others.
 */
extern List *kwj_groups_candidates(const KwjAsked *asked, const KwjWorkerInfo *workers, int n,
								   KwjSeen *seen);

/*
 * After that, as there are still workers to be had: whether others should be looked at at once. progress:
 * some of the candidates will not be candidates again. False when all groups have been looked at since
 * there was news.
 */
extern bool kwj_groups_more(bool progress);

#endif
