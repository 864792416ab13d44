/*
 * src/store/key.c
 *	  Who has the key of a job, read without waiting.
 *
 * Caller: lifecycle/submit.c, before it creates a run of a schedule: in the coordinator, which must not
 * wait for a session, and in the session of kwjobs.run_schedule. Locks: kwjobs.job in AccessShareLock
 * until the end of the transaction.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "compat.h"
#include "store/key.h"
#include "store/query.h"
#include "store/relation.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/*
 * A dirty snapshot shows what the unique index would find: rows that are not committed yet, and those
 * that a transaction which is not over has changed or ended.
 */
int64
kwj_store_who_has_key(Oid owner, const char *key)
{
	Relation	jobs = table_open(kwj_store_relation("job"), AccessShareLock);
	Relation	index = index_open(kwj_store_relation("job_key"), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(jobs, NULL);
	SnapshotData dirty;
	IndexScanDesc scan;
	ScanKeyData keys[2];
	int64		job_id = 0;
	bool		isnull;

	kwj_store_check_owner(jobs->rd_rel->relowner);
	InitDirtySnapshot(dirty);
	scan = kwj_index_beginscan(jobs, index, &dirty, 2);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(owner));
	ScanKeyEntryInitialize(&keys[1], 0, 2, BTEqualStrategyNumber, InvalidOid, index->rd_indcollation[1],
						   F_TEXTEQ, CStringGetTextDatum(key));
	index_rescan(scan, keys, 2, NULL, 0);
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
		job_id = DatumGetInt64(slot_getattr(slot, get_attnum(RelationGetRelid(jobs), "job_id"), &isnull));
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(jobs, NoLock);
	return job_id;
}
