/*
 * src/process/groups.h
 *	  Which of the jobs that may start a pass looks at.
 *
 * Process: coordinator.
 */
#ifndef KWJ_PROCESS_GROUPS_H
#define KWJ_PROCESS_GROUPS_H

#include "job/store.h"

/* What a pass has seen of them. */
typedef struct KwjSeen
{
	bool		all_groups;		/* of each owner and type that has jobs */
	bool		enough;			/* of each of these, as many as were asked for, or all */
} KwjSeen;

/*
 * The candidates of this pass: see kwj_store_candidates. Where very many owners have jobs, it is some of
 * them, and in the next pass others. news: all groups may have new jobs.
 */
extern List *kwj_groups_candidates(int limit, const List *without, KwjJobs set_aside,
								   TimestampTz from, bool news, KwjSeen *seen);

/*
 * After that: whether others of the groups should be looked at at once, as there are still workers
 * to be had. False when all have been since there was news.
 */
extern bool kwj_groups_more(void);

#endif
