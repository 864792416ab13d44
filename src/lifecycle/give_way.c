/*
 * src/lifecycle/give_way.c
 *	  A session that waits for a job lets processes go on that wait for the session's transaction.
 *
 * Process: sessions, and workers whose job waits for another one (lifecycle/wait.c calls this).
 * Locks: the lock on this process's own virtual transaction id, which is released and taken anew.
 *
 * CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY note at one moment which transactions have a
 * snapshot. Then they wait for the end of each of these transactions, even if it has released its
 * snapshot in between. A session that waits for a job has a snapshot when its statement begins,
 * and whenever it reads the job's row. If the job runs CREATE INDEX CONCURRENTLY, the session and
 * the worker would wait for each other for ever:
 *
 *		session					worker
 *		reads the job's row
 *								CREATE INDEX CONCURRENTLY sees the snapshot
 *		releases its snapshot
 *		waits for the job		waits for the session's virtual transaction id
 *
 * So before the session sleeps, it releases the lock on its virtual transaction id, as it would at
 * the end of its transaction, and goes on under a new id. The worker may go on then, because the
 * session's snapshot is really gone. The id has to be a new one: a worker that has noted the old
 * id, but has not begun to wait for it, would otherwise wait for the session after all.
 *
 * Other processes also wait for the lock on a virtual transaction id in order to know that its
 * transaction has released its locks on tables. Therefore the session gives way only if it has
 * locked nothing but kwjobs's own tables and the catalogs, for reading. While it sleeps, it does
 * not use these tables, and it processes the invalidation messages before it uses them again. So
 * it does no harm if one of their indexes is replaced meanwhile.
 *
 * If the session dies, the lock on its new id is released as any other.
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
 * Returns the table to which a TOAST table belongs, whose OID is in the TOAST table's name;
 * InvalidOid if the argument is no TOAST table.
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
 * Returns whether kwj_give_way() does no harm although this process still holds the lock: other
 * processes may then believe that it was released.
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
	/* First lock the id, then publish it, in the same order as StartTransaction(). */
	VirtualXactLockTableInsert(vxid);
	kwj_local_transaction_id() = vxid.localTransactionId;
	AcceptInvalidationMessages();
	InvalidateCatalogSnapshot();
}
