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

typedef enum RefusalKind
{
	NO_ROLE,					/* nobody to be refused */
	NOT_REFUSED,
	NO_DATABASE,
	NO_LOGIN,
	NO_CONNECT,
} RefusalKind;

typedef struct Refusal
{
	RefusalKind kind;
	NameData	role;			/* unless there is none */
} Refusal;

/* A role that cannot have a worker, as the log says. */
typedef struct Refused
{
	Oid			role;
	bool		waits;			/* it has jobs that could start */
	int			looks;			/* because the time had come */
	TimestampTz again;
} Refused;

static List *refused = NIL;		/* in TopMemoryContext */

static bool
accepts_connections(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	bool		accepts = false;

	if (HeapTupleIsValid(tuple))
	{
		accepts = ((Form_pg_database) GETSTRUCT(tuple))->datallowconn;
		ReleaseSysCache(tuple);
	}
	return accepts;
}

/* What InitPostgres would say of a background worker of this role; superusers pass the last check. */
static Refusal
look(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	Refusal		result = {NO_ROLE};
	bool		may_log_in;

	if (!HeapTupleIsValid(tuple))
		return result;
	may_log_in = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	result.role = ((Form_pg_authid) GETSTRUCT(tuple))->rolname;
	ReleaseSysCache(tuple);
	if (!may_log_in)
		result.kind = NO_LOGIN;
	else if (!accepts_connections())
		result.kind = NO_DATABASE;
	else if (kwj_database_aclcheck(MyDatabaseId, role, ACL_CONNECT) != ACLCHECK_OK)
		result.kind = NO_CONNECT;
	else
		result.kind = NOT_REFUSED;
	return result;
}

static bool
is_refused(const Refusal *refusal)
{
	return refusal->kind != NO_ROLE && refusal->kind != NOT_REFUSED;
}

static char *
describe(const Refusal *refusal)
{
	if (refusal->kind == NO_DATABASE)
		return pstrdup("this database does not accept connections");
	return psprintf(refusal->kind == NO_LOGIN ? "role \"%s\" is not permitted to log in" :
					"role \"%s\" may not connect to this database", NameStr(refusal->role));
}

/* What to type. */
static char *
advise(const Refusal *refusal)
{
	const char *database = quote_identifier(get_database_name(MyDatabaseId));
	const char *role = quote_identifier(NameStr(refusal->role));

	if (refusal->kind == NO_DATABASE)
		return psprintf("ALTER DATABASE %s ALLOW_CONNECTIONS true", database);
	if (refusal->kind == NO_LOGIN)
		return psprintf("ALTER ROLE %s LOGIN", role);
	return psprintf("GRANT CONNECT ON DATABASE %s TO %s", database, role);
}

char *
kwj_refusal_explain(Oid role)
{
	Refusal		refusal = look(role);

	return is_refused(&refusal) ? psprintf("waiting: %s", describe(&refusal)) : NULL;
}

static void
report(const Refusal *refusal)
{
	ereport(LOG,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("kwjobs can start no worker for role \"%s\" in database \"%s\"",
					NameStr(refusal->role), get_database_name(MyDatabaseId)),
			 errdetail("Its jobs wait: %s.", describe(refusal)),
			 errhint("Type %s, or cancel the jobs.", advise(refusal))));
}

static void
report_end(const Refusal *refusal)
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
		Refusal		refusal = look(item->role);

		if (!is_refused(&refusal))
		{
			if (refusal.kind == NOT_REFUSED)
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
		Refusal		refusal = look(role);

		if (!is_refused(&refusal))
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
