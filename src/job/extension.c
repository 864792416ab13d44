/*
 * src/job/extension.c
 *	  Whether the extension is installed in this database.
 *
 * Process: any, in a transaction.
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "job/extension.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

bool
kwj_extension_exists(void)
{
	/*
	 * Look for a function of the extension in pg_catalog, where only superusers can create.
	 * pg_extension has no catalog cache, and this is asked several times for each job.
	 */
	return SearchSysCacheExists3(PROCNAMEARGSNSP, CStringGetDatum("kwjobs_installed"),
								 PointerGetDatum(buildoidvector(NULL, 0)),
								 ObjectIdGetDatum(PG_CATALOG_NAMESPACE));
}

void
kwj_extension_missing(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("extension \"%s\" is not installed in this database", KWJ_EXTENSION),
			 errhint("Run CREATE EXTENSION %s in this database.", KWJ_EXTENSION)));
}
