/*
 * src/store/relation.c
 *	  The OIDs of our tables and indexes, by name.
 *
 * Callers: all that open or lock one of them without a query. A worker asks ten times for each job,
 * and each answer takes three lookups in PostgreSQL's catalog caches. So each process keeps an
 * answer until PostgreSQL tells it that a relation of that name, or any schema or function, has
 * changed (forget). This happens at least whenever PostgreSQL drops its own cached answer.
 *
 * Process: any with a transaction. Locks: none. The caller locks the relation, and then has to know
 * that it is still there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "job/extension.h"
#include "store/relation.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* A process uses fewer names than this. If the array is full all the same, all answers are dropped. */
#define MOST_KNOWN	32

typedef struct Known
{
	NameData	name;
	uint32		hash;			/* PostgreSQL tells by it that a relation of this name has changed */
	Oid			relation;
} Known;

static Known known[MOST_KNOWN];
static int	n_known = 0;
static uint32 n_changes = 0;

/* System cache callback. hash: of the entry that has changed; 0: any may have. */
static void
forget(Datum arg, int cache, uint32 hash)
{
	n_changes++;
	if (cache != RELNAMENSP || hash == 0)
		n_known = 0;
	/* A session that creates and drops tables is told of each of them; few have the name of ours. */
	for (int i = n_known - 1; i >= 0; i--)
		if (known[i].hash == hash)
			known[i] = known[--n_known];
}

static Oid
find_known(const char *name)
{
	for (int i = 0; i < n_known; i++)
		if (strcmp(NameStr(known[i].name), name) == 0)
			return known[i].relation;
	return InvalidOid;
}

static void
add_known(const char *name, Oid schema, Oid relation)
{
	Known	   *new;

	if (n_known == MOST_KNOWN)
		n_known = 0;
	new = &known[n_known++];
	namestrcpy(&new->name, name);
	new->hash = GetSysCacheHashValue2(RELNAMENSP, CStringGetDatum(name), ObjectIdGetDatum(schema));
	new->relation = relation;
}

static Oid
look_up(const char *name)
{
	uint32		n_changes_before = n_changes;
	Oid			schema = get_namespace_oid("kwjobs", true);
	Oid			relation = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	/* without the extension, another user may have created a schema of that name */
	if (!OidIsValid(relation) || !kwj_extension_exists())
		return InvalidOid;
	/*
	 * PostgreSQL may have told this process of a change during the lookup. Then the answer may be
	 * older than the change, and is not kept.
	 */
	if (n_changes == n_changes_before)
		add_known(name, schema, relation);
	return relation;
}

Oid
kwj_store_find_relation(const char *name)
{
	Oid			relation = find_known(name);

	Assert(IsTransactionState());
	return OidIsValid(relation) ? relation : look_up(name);
}

Oid
kwj_store_relation(const char *name)
{
	Oid			relation = kwj_store_find_relation(name);

	if (!OidIsValid(relation))
		kwj_extension_missing();
	return relation;
}

void
kwj_store_relation_init(void)
{
	CacheRegisterSyscacheCallback(RELNAMENSP, forget, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACENAME, forget, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCNAMEARGSNSP, forget, (Datum) 0);
}
