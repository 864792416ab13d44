/*
 * src/store/collected.h
 *	  Of which tables statistics are to be collected, and of which they were.
 *
 * The coordinator (coordinator/collect.c) asks, the worker of the job notes what it has done
 * (lifecycle/collection.h). doc/developers/collector.md has the rules.
 */
#ifndef KWJ_STORE_COLLECTED_H
#define KWJ_STORE_COLLECTED_H

#include "kwjobs.h"
#include "job/status.h"
#include "utils/timestamp.h"

/* The key of the collector's job, of which a database has one at a time. */
#define KWJ_COLLECTION_KEY	"__auto__"

/* What decides which tables are stale. */
typedef struct KwjStaleness
{
	double		fraction;		/* of the rows of a table */
	int64		rows;			/* and this many rows */
	bool		autovacuum;		/* autovacuum works, so it keeps most tables up to date */
	const Oid  *canceled;		/* tables of which autovacuum's ANALYZE was canceled */
	int			n_canceled;
	const Oid  *served;			/* owners of tables that had their turn, the last one first */
	int			n_served;
} KwjStaleness;

/* A stale table. */
typedef struct KwjStale
{
	Oid			relid;
	Oid			owner;
	char	   *name;			/* with its schema, quoted; palloc'd */
	TimestampTz not_before;		/* its last job has failed: leave it alone until then; 0: not */
} KwjStale;

/*
 * Gets the collector's job that is not over. Returns its id, and sets *status; 0: there is none.
 */
extern int64 kwj_store_collection_job(KwjStatus *status);

/*
 * Finds the table whose statistics are the most stale, of the owner whose turn it is. If all stale
 * tables are to be left alone, finds the one for which that ends first. Returns false if no table is
 * stale. If somebody else has collected the statistics of a table with children, this function also
 * notes in kwjobs.collected how many changes the table had then.
 */
extern bool kwj_store_stalest(const KwjStaleness *rules, KwjStale *stale);

/* Notes which job collects the statistics of the table. Forgets tables that were dropped. */
extern void kwj_store_note_collection(Oid relid, int64 job_id);

/*
 * Returns how many changes PostgreSQL has counted for the table with its children, since its
 * counters were last set to 0.
 */
extern int64 kwj_store_table_changes(Oid relid);

/* Notes that statistics were collected when the table had this many changes. */
extern void kwj_store_collected(Oid relid, int64 changes);

#endif
