/*
 * src/lifecycle/give_way.c
 *	  How a session that waits for a job lets others go on that wait for its transaction.
 *
 * Process: sessions, and workers whose job waits for another one (lifecycle/wait.c calls this).
 * Locks: the lock on this process's own virtual transaction id, which is released and taken anew.
 *
 * CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY note at one moment which transactions have a
 * snapshot. Then they wait for each of these to end, even if it has given its snapshot back in
 * between. A session that waits for a job has a snapshot when its statement begins, and whenever
 * it reads the job's row. If the job is such a statement, the session and the worker would wait
 * for each other for ever:
 *
 *		session					worker
 *		reads the job's row
 *								CREATE INDEX CONCURRENTLY sees the snapshot
 *		has no snapshot
 *		waits for the job		waits for the session's virtual transaction id
 *
 * So before the session sleeps, it releases the lock on its virtual transaction id, as it would at
 * the end of its transaction, and goes on under a new id. The worker may go on then, because the
 * session's snapshot is really gone. The id has to be a new one: a worker that has noted the old
 * id, but has not begun to wait for it, would otherwise wait for the session after all.
 *
 * Other processes also wait for that lock in order to know that a transaction has released its
 * locks on tables. Therefore the session does this only if it has locked nothing but kwjobs's own
 * tables and the catalogs, for reading. It has no statement in progress that uses one of these,
 * and it reads what has changed in the catalogs before it uses them again. So it is safe if one of
 * their indexes was replaced meanwhile.
 *
 * If the session dies, its new id goes away with it as any other does.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "compat.h"
#include "lifecycle/give_way.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/sinvaladt.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

/*
 * Returns the table to which a TOAST table belongs, by its name; InvalidOid if it is no TOAST
 * table.
 */
static Oid
owner_of_toast(Oid table)
{
	const char *name = get_rel_namespace(table) == PG_TOAST_NAMESPACE ? get_rel_name(table) : NULL;
	Oid			owner;

	return name != NULL && sscanf(name, "pg_toast_%u", &owner) == 1 ? owner : InvalidOid;
}

/*
 * Returns whether the relation is a catalog, or a table or view of the extension, or an index or
 * TOAST table of one of these.
 */
static bool
is_own_relation(Oid relation)
{
	Oid			table = relation;
	Oid			owner;

	if (get_rel_relkind(relation) == RELKIND_INDEX)
		table = IndexGetRelation(relation, true);
	owner = owner_of_toast(table);
	if (OidIsValid(owner))
		table = owner;
	return table < FirstNormalObjectId ||
		(OidIsValid(table) &&
		 getExtensionOfObject(RelationRelationId, table) == get_extension_oid(KWJ_EXTENSION, true));
}

/*
 * Returns whether it does no harm that other processes may take this lock for released although it
 * is not.
 */
static bool
is_harmless(const LockInstanceData *lock)
{
	switch (lock->locktag.locktag_type)
	{
		case LOCKTAG_RELATION:
			return lock->holdMask == LOCKBIT_ON(AccessShareLock) &&
				lock->locktag.locktag_field1 == MyDatabaseId &&
				is_own_relation(lock->locktag.locktag_field2);
		case LOCKTAG_VIRTUALTRANSACTION:
		case LOCKTAG_ADVISORY:
			return true;
		case LOCKTAG_RELATION_EXTEND:
		case LOCKTAG_DATABASE_FROZEN_IDS:
		case LOCKTAG_PAGE:
		case LOCKTAG_TUPLE:
		case LOCKTAG_TRANSACTION:
		case LOCKTAG_SPECULATIVE_TOKEN:
		case LOCKTAG_OBJECT:
		default:
			return false;
	}
}

bool
kwj_may_give_way(void)
{
	const LockData *all = GetLockStatusData();

	for (int i = 0; i < all->nelements; i++)
		if (all->locks[i].pid == MyProcPid && !is_harmless(&all->locks[i]))
			return false;
	return true;
}

void
kwj_give_way(void)
{
	VirtualTransactionId vxid;

	/* The catalog snapshot counts as a snapshot, too. */
	InvalidateCatalogSnapshot();
	if (TransactionIdIsValid(MyProc->xmin) || TransactionIdIsValid(MyProc->xid))
		return;
	GET_VXID_FROM_PGPROC(vxid, *MyProc);
	vxid.localTransactionId = GetNextLocalTransactionId();
	VirtualXactLockTableCleanup();
	/* The order is that of StartTransaction(): lock the id, then show it. */
	VirtualXactLockTableInsert(vxid);
	kwj_local_transaction_id() = vxid.localTransactionId;
	AcceptInvalidationMessages();
	InvalidateCatalogSnapshot();
}
