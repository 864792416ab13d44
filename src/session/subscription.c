/*
 * src/session/subscription.c
 *	  Logical replication leaves our tables out.
 *
 * A publication FOR ALL TABLES includes the tables of kwjobs. At a subscriber, the publisher's jobs
 * would run a second time, and their rows would replace the subscriber's own. So no subscription
 * ever has our tables: before the statement that has added them commits, this removes them from
 * pg_subscription_rel. The apply worker skips all changes of tables that are not there, rows as
 * well as TRUNCATE.
 *
 * Process: sessions, after CREATE and ALTER SUBSCRIPTION. Locks: pg_subscription_rel in
 * RowExclusiveLock, as the statement itself.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_subscription_rel.h"
#include "commands/extension.h"
#include "kwjobs.h"
#include "session/subscription.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

static bool
release_table(Oid subscription, Oid table)
{
	XLogRecPtr	lsn;

	if (GetSubscriptionRelState(subscription, table, &lsn) == SUBREL_STATE_UNKNOWN)
		return false;
	RemoveSubscriptionRel(subscription, table);
	return true;
}

/* Removes the extension's tables from the subscription. Returns whether it had any. */
static bool
release_tables(Oid subscription, Oid extension)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	bool		released = false;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ExtensionRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend member = (Form_pg_depend) GETSTRUCT(tuple);

		if (member->classid == RelationRelationId && member->deptype == DEPENDENCY_EXTENSION)
			released |= release_table(subscription, member->objid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return released;
}

void
kwj_subscription_release(const char *name)
{
	Oid			extension = get_extension_oid(KWJ_EXTENSION, true);
	Oid			subscription = get_subscription_oid(name, true);

	if (!OidIsValid(extension) || !OidIsValid(subscription))
		return;
	/* make visible what the statement has added */
	CommandCounterIncrement();
	if (release_tables(subscription, extension))
		ereport(NOTICE,
				(errmsg("subscription \"%s\" leaves out the tables of extension \"%s\"",
						name, KWJ_EXTENSION),
				 errdetail("Jobs run in the database where they were submitted, and only there.")));
}
