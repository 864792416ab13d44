/*
 * src/type/stats/stats.h
 *	  The job types CREATE_STATS and AUTO_CREATE_STATS: collect statistics of a table with ANALYZE.
 *	  doc/developers/statistics.md and collector.md explain them.
 */
#ifndef KWJ_TYPE_STATS_STATS_H
#define KWJ_TYPE_STATS_STATS_H

#include "lifecycle/submit.h"
#include "type/type.h"
#include "utils/array.h"

/* What a user gives for a new job. */
typedef struct KwjNewStats
{
	const char *name;			/* of the statistics */
	Oid			table;
	ArrayType  *columns;		/* text[]; NULL: all columns */
	bool		has_throttling; /* false: ANALYZE sleeps as the owner's settings say */
	double		throttling;		/* how much of the time it is to sleep, 0 to below 1 */
} KwjNewStats;

/*
 * Checks what is given for a new job as the role that is to own it, and sets the job's payload, and
 * its description if it has none. The table stays locked in AccessShareLock until the end of the
 * transaction. Errors: 22004, 22023 or 42602 if an argument is wrong; 25006 in a READ ONLY
 * transaction; those of kwj_stats_open, kwj_stats_column_numbers and kwj_stats_check_object.
 */
extern void kwj_stats_validate(const KwjNewStats *stats, KwjNewJob *job);

/*
 * Sets payload, description and statement of a job of the collector. name: the table's, with its
 * schema, quoted. Process: coordinator.
 */
extern void kwj_stats_automatic(Oid table, const char *name, KwjNewJob *job);

extern const KwjType kwj_type_create_stats;
extern const KwjType kwj_type_auto_create_stats;

#endif
