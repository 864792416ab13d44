/*
 * src/type/type.c
 *	  The table of job types.
 *
 * Process: any. Locks: none.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "type/backup/backup.h"
#include "type/export/export.h"
#include "type/import/import.h"
#include "type/sql/sql.h"
#include "type/stats/stats.h"
#include "type/test/test.h"
#include "type/type.h"

/*
 * Records a start of the server. The coordinator inserts such a job as already over
 * (process/server_start.c), so nothing executes it.
 */
static const KwjType restart = {.name = "RESTART"};

/* Records a schema change, which a session makes itself (src/track). No worker executes it. */
static const KwjType schema_change = {
	.name = KWJ_SCHEMA_CHANGE,
	.cancelable = true,
};

static const KwjType *const types[] = {
	&kwj_type_import,
	&kwj_type_export,
	&kwj_type_sql,
	&restart,
	&schema_change,
	&kwj_type_create_stats,
	&kwj_type_auto_create_stats,
	&kwj_type_backup,
	&kwj_type_restore,
};

/* The types that only a test build has. Errors do not list them. */
static const KwjType *const test_types[] = {
#ifdef KWJ_TEST_BUILD
	&kwj_type_test_parts,
	&kwj_type_test_program,
	&kwj_type_test_session,
#endif
	NULL
};

/* Returns NULL if there is no such type. */
static const KwjType *
find(const char *name)
{
	for (int i = 0; i < lengthof(types); i++)
	{
		if (strcmp(types[i]->name, name) == 0)
			return types[i];
	}
	for (int i = 0; test_types[i] != NULL; i++)
	{
		if (strcmp(test_types[i]->name, name) == 0)
			return test_types[i];
	}
	return NULL;
}

bool
kwj_type_exists(const char *name)
{
	return find(name) != NULL;
}

char *
kwj_type_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(types); i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", types[i]->name);
	return names.data;
}

const KwjType *
kwj_type_by_name(const char *name)
{
	const KwjType *type = find(name);

	if (type == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("job type \"%s\" does not exist", name),
				 errhint("The job types are %s.", kwj_type_names())));
	return type;
}

static bool
is_executed(const KwjType *type)
{
	return type->execute != NULL || type->parts != NULL;
}

bool
kwj_type_is_executed(const char *name)
{
	return is_executed(kwj_type_by_name(name));
}

bool
kwj_type_allows(const char *name, KwjVerb verb)
{
	const KwjType *type = find(name);

	/*
	 * RESUME also begins a failed revert again, so all types allow it; the job's status decides.
	 * A user must be able to stop a job of an unknown type.
	 */
	if (verb == KWJ_RESUME || type == NULL)
		return true;
	if (verb == KWJ_RETRY)
		return is_executed(type);
	return verb == KWJ_CANCEL ? type->cancelable : type->pausable;
}
