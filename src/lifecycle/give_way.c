/*
 * src/lifecycle/give_way.c
 *	  A session that waits for a job lets those go on that wait for its transaction.
 *
 * Process: sessions, and workers whose job waits for another one. Locks: the lock on the
 * virtual transaction id of this process.
 *
 * CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY note at one moment which transactions have
 * a snapshot, and wait for each of them to end, even if it gives the snapshot back before. A
 * session that waits for a job has a snapshot when its statement begins and whenever it reads the
 * job's row. If the job is such a statement, each would wait for the other, for ever:
 *
 *		session					worker
 *		reads the job's row
 *								CREATE INDEX CONCURRENTLY sees the snapshot
 *		has no snapshot
 *		waits for the job		waits for the session's virtual transaction id
 *
 * So before the session sleeps, it releases the lock on its virtual transaction id, as it would at
 * the end of the transaction, and goes on under a new id. The others go on, as the snapshot is gone.
 * With the old id taken again, a statement that has noted it and not begun to wait would wait
 * for the session all the same.
 *
 * Others wait for that lock also to see that the locks on tables are gone that this transaction has. So
 * the session does this only if it has locked nothing but kwjobs's own tables, for reading. It has
 * no statement in progress that uses one of these, and reads what has changed in the catalogs
 * before it uses them again, so that it finds an index that was replaced.
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

/* The table to which a TOAST table belongs, by its name; InvalidOid: it is none. */
static Oid
owner_of_toast(Oid table)
{
	const char *name = get_rel_namespace(table) == PG_TOAST_NAMESPACE ? get_rel_name(table) : NULL;
	Oid			owner;

	return name != NULL && sscanf(name, "pg_toast_%u", &owner) == 1 ? owner : InvalidOid;
}

/* Returns whether it is a catalog, or a table or view of the extension, or an index or TOAST table of one of these. */
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

/* Returns whether nobody can wait for this lock of ours to be released, or it may be seen as released at any time. */
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

	/* the catalog snapshot is one, too */
	InvalidateCatalogSnapshot();
	if (TransactionIdIsValid(MyProc->xmin) || TransactionIdIsValid(MyProc->xid))
		return;
	GET_VXID_FROM_PGPROC(vxid, *MyProc);
	vxid.localTransactionId = GetNextLocalTransactionId();
	VirtualXactLockTableCleanup();
	/* as StartTransaction() does: lock it, then show it */
	VirtualXactLockTableInsert(vxid);
	kwj_local_transaction_id() = vxid.localTransactionId;
	AcceptInvalidationMessages();
	InvalidateCatalogSnapshot();
}
