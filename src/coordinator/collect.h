/*
 * src/coordinator/collect.h
 *	  The collector: creates jobs that collect the statistics of stale tables.
 *
 * Process: coordinator, outside a transaction. doc/developers/collector.md explains it.
 */
#ifndef KWJ_COORDINATOR_COLLECT_H
#define KWJ_COORDINATOR_COLLECT_H

#include "coordinator/pass.h"

/*
 * Looks for a stale table and creates its job, or cancels the job that there is if the collector is
 * off, in a transaction of its own. The coordinator calls this after each pass; mostly there is
 * nothing to look at. Returns when to call it again even if nothing happens until then; DT_NOEND:
 * not. Errors are logged, not raised.
 */
extern TimestampTz kwj_collect_run(const KwjPass *pass);

/*
 * CANCEL JOB has canceled autovacuum's ANALYZE of this table: the next kwj_collect_run() has its
 * statistics collected, if autovacuum would, and if the collector is on.
 */
extern void kwj_collect_canceled(Oid relid);

#endif
