/*
 * src/coordinator/leftover.c
 *	  What to do with the INVALID indexes that a failed CONCURRENTLY command has left.
 *
 * Caller: record.c. Process: coordinator, in a transaction. The session whose command has failed
 * cannot look into the catalogs, because its transaction has failed. Locks: those of job/invalid.c,
 * so none on the table, because the coordinator must not wait for one. So the index may be gone, or
 * being built again, when somebody reads the hint.
 */
#include "postgres.h"

#include "coordinator/leftover.h"
#include "job/invalid.h"
#include "job/relation.h"
#include "lib/stringinfo.h"
#include "utils/lsyscache.h"

/* A hint names no more indexes than this. */
#define MOST_INDEXES	5

/*
 * Returns the quoted name of the INVALID index, for a command; NULL if the failed command has not
 * left this index. A command that was building the index `wanted` has left no other. If `wanted` is
 * InvalidOid, the command was REINDEX CONCURRENTLY, which has made the names of those that it left.
 */
static char *
name_if_left(Oid index, Oid wanted)
{
	const char *name;

	if (OidIsValid(wanted) && index != wanted)
		return NULL;
	name = get_rel_name(index);
	if (name == NULL || (!OidIsValid(wanted) && !kwj_is_reindex_name(name)))
		return NULL;
	return kwj_name_of_relation(index);
}

/* What the hint is made of. */
typedef struct Hint
{
	StringInfoData names;
	StringInfoData commands;
	int			n;
} Hint;

static void
add(Hint *hint, const char *name)
{
	appendStringInfo(&hint->names, "%s%s", hint->n > 0 ? ", " : "", name);
	appendStringInfo(&hint->commands, "%sDROP INDEX CONCURRENTLY %s", hint->n > 0 ? "; " : "", name);
	hint->n++;
}

char *
kwj_leftover_hint(Oid table, Oid wanted)
{
	Hint		hint = {.n = 0};
	ListCell   *lc;

	initStringInfo(&hint.names);
	initStringInfo(&hint.commands);
	foreach(lc, kwj_add_invalid_indexes(NIL, table))
	{
		char	   *name = hint.n < MOST_INDEXES ? name_if_left(lfirst_oid(lc), wanted) : NULL;

		if (name != NULL)
			add(&hint, name);
	}
	if (hint.n == 0)
		return NULL;
	return psprintf("%s %s left INVALID: not used by queries, but perhaps kept up to date by each write. To clean up, type %s.",
					hint.names.data, hint.n == 1 ? "was" : "were", hint.commands.data);
}
