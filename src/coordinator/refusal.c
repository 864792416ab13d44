/*
 * src/coordinator/refusal.c
 *	  Roles whose connection PostgreSQL would refuse, so that they cannot have a worker now.
 *
 * Process: coordinator, in the transaction of a pass; assign.c, claim.c and deadlock.c call this.
 * Locks: kwj_shared->lock for moments (kwj_shared_dismiss_idle).
 *
 *   may connect -> refused   a job of the role waits (kwj_refusal_concerns): logged, and the role's
 *                            idle workers exit
 *   refused -> may connect   kwj_refusal_review, in the first pass that sees it: logged
 *
 * ALTER ROLE, GRANT and others wake the coordinator when they commit (kwj_shared_wake_refused). The
 * list is in this process's memory; a successor finds out, and logs, anew.
 *
 * Known hole: the role may lose its rights between this look and its worker's connection. The
 * worker then fails to connect, and the attempt is taken back (adopt.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "compat.h"
#include "coordinator/refusal.h"
#include "job/login.h"
#include "miscadmin.h"
#include "shared/slots.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/*
 * The first and the longest wait before a role is looked at again. Statements that may let it
 * connect wake the coordinator; other changes, say an UPDATE of pg_authid, are seen after this
 * time.
 */
#define LOOK_AGAIN_MS		1000
#define LOOK_AGAIN_LIMIT_MS 60000

/* A role that cannot connect, and was reported in the log. */
typedef struct Refused
{
	Oid			role;
	bool		waits;			/* it has jobs that could start */
	int			looks;			/* how often it was looked at because it was time */
	TimestampTz again;
} Refused;

static List *refused = NIL;		/* list of Refused, in TopMemoryContext */

static void
report(const KwjLogin *refusal)
{
	ereport(LOG,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("kwjobs can start no worker for role \"%s\" in database \"%s\"",
					NameStr(refusal->role), get_database_name(MyDatabaseId)),
			 errdetail("Its jobs wait: %s.", kwj_login_describe(refusal)),
			 errhint("Type %s, or cancel the jobs.", kwj_login_advise(refusal))));
}

static void
report_end(const KwjLogin *refusal)
{
	ereport(LOG,
			(errmsg("kwjobs can start workers for role \"%s\" in database \"%s\" again",
					NameStr(refusal->role), get_database_name(MyDatabaseId))));
}

/* Sets when to look again. */
static void
schedule(Refused *item, TimestampTz now)
{
	int			delay = LOOK_AGAIN_MS << Min(item->looks, 10);

	item->looks++;
	item->again = TimestampTzPlusMilliseconds(now, Min(delay, LOOK_AGAIN_LIMIT_MS));
}

List *
kwj_refusal_review(void)
{
	List	   *roles = NIL;
	ListCell   *lc;
	TimestampTz now = refused == NIL ? 0 : GetCurrentTimestamp();

	foreach(lc, refused)
	{
		Refused    *item = lfirst(lc);
		KwjLogin		refusal = kwj_login_look(item->role);

		if (!kwj_login_is_refused(&refusal))
		{
			if (refusal.kind == KWJ_LOGIN_ALLOWED)
				report_end(&refusal);
			refused = foreach_delete_current(refused, lc);
			pfree(item);
			continue;
		}
		item->waits = false;
		if (item->again <= now)
			schedule(item, now);
		roles = lappend_oid(roles, item->role);
	}
	return roles;
}

static Refused *
find(Oid role)
{
	ListCell   *lc;

	foreach(lc, refused)
	{
		Refused    *item = lfirst(lc);

		if (item->role == role)
			return item;
	}
	return NULL;
}

static Refused *
add(Oid role)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Refused    *item = palloc0(sizeof(Refused));

	item->role = role;
	schedule(item, GetCurrentTimestamp());
	refused = lappend(refused, item);
	MemoryContextSwitchTo(old);
	return item;
}

bool
kwj_refusal_concerns(Oid role)
{
	Refused    *item = find(role);

	if (item == NULL)
	{
		KwjLogin		refusal = kwj_login_look(role);

		if (!kwj_login_is_refused(&refusal))
			return false;
		report(&refusal);
		kwj_shared_dismiss_idle(role);
		item = add(role);
	}
	item->waits = true;
	return true;
}

int
kwj_refusal_count(void)
{
	return list_length(refused);
}

TimestampTz
kwj_refusal_next(void)
{
	TimestampTz next = DT_NOEND;
	ListCell   *lc;

	foreach(lc, refused)
	{
		Refused    *item = lfirst(lc);

		if (item->waits)
			next = Min(next, item->again);
	}
	return next;
}
