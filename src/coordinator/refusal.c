/*
 * src/coordinator/refusal.c
 *	  Roles that cannot have a worker now.
 *
 * Process: any may ask why; the coordinator remembers them. Locks: that of shared memory, for moments.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
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
 * Statements that may mend it wake the coordinator when they commit. What changes otherwise, say by
 * an UPDATE of pg_authid, is seen after this, doubling up to the limit.
 */
#define LOOK_AGAIN_MS		1000
#define LOOK_AGAIN_LIMIT_MS 60000

/* A role that cannot have a worker, as the log says. */
typedef struct Refused
{
	Oid			role;
	bool		waits;			/* it has jobs that could start */
	int			looks;			/* because the time had come */
	TimestampTz again;
} Refused;

static List *refused = NIL;		/* in TopMemoryContext */

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

/* The time has come: how long until the next one. */
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
