/*
 * src/job/extension.c
 *	  Whether the extension is installed in this database.
 *
 * Process: any, in a transaction.
 *
 * This is asked several times for each job, so each process keeps the answer until PostgreSQL tells
 * it that the function by which the extension is known has changed (forget). PostgreSQL then drops
 * its own cached answer, too.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_namespace.h"
#include "job/extension.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/syscache.h"

typedef enum Answer
{
	NOT_KNOWN,
	EXISTS,
	EXISTS_NOT
} Answer;

static Answer answer = NOT_KNOWN;

/* PostgreSQL tells of a function by this hash of its name and arguments. */
static uint32 function_hash = 0;

static uint32 n_changes = 0;

/* kwj_extension_init() has been called. Without it, PostgreSQL tells this process of no change. */
static bool is_told = false;

/* System cache callback. hash: of the function that has changed; 0: any may have. */
static void
forget(Datum arg, int cache, uint32 hash)
{
	n_changes++;
	if (hash == 0 || hash == function_hash)
		answer = NOT_KNOWN;
}

/*
 * Looks for a function of the extension in pg_catalog, where only superusers can create.
 * pg_extension has no catalog cache.
 */
static bool
look_up(void)
{
	Datum		name = CStringGetDatum("kwjobs_installed");
	Datum		arguments = PointerGetDatum(buildoidvector(NULL, 0));
	Datum		schema = ObjectIdGetDatum(PG_CATALOG_NAMESPACE);

	function_hash = GetSysCacheHashValue3(PROCNAMEARGSNSP, name, arguments, schema);
	return SearchSysCacheExists3(PROCNAMEARGSNSP, name, arguments, schema);
}

bool
kwj_extension_exists(void)
{
	uint32		n_changes_before = n_changes;
	bool		exists;

	Assert(IsTransactionState());
	if (answer != NOT_KNOWN)
		return answer == EXISTS;
	exists = look_up();
	/*
	 * PostgreSQL may have told this process of a change during the lookup. Then the answer may be
	 * older than the change, and is not kept.
	 */
	if (is_told && n_changes == n_changes_before)
		answer = exists ? EXISTS : EXISTS_NOT;
	return exists;
}

void
kwj_extension_init(void)
{
	CacheRegisterSyscacheCallback(PROCNAMEARGSNSP, forget, (Datum) 0);
	is_told = true;
}

void
kwj_extension_missing(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("extension \"%s\" is not installed in this database", KWJ_EXTENSION),
			 errhint("Run CREATE EXTENSION %s in this database.", KWJ_EXTENSION)));
}
