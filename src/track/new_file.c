/*
 * src/track/new_file.c
 *	  Notes the file of the new table that the statement of a job writes, because the size of
 *	  this file tells sessions how far the statement is (function/step.c).
 *
 * Caller: session/object_hook.c, for each object that is created, altered or dropped. Process: any
 * backend; only workers and sessions that run a job note anything. Locks: the spinlock of the worker's
 * progress, or of the place of the session's job, for a few instructions.
 *
 * PostgreSQL rewrites a table in four steps, and the hook is called for three of them:
 *
 *     creates a new table, and stores in it which table it rewrites      OAT_POST_CREATE
 *     writes the rows into the new table
 *     swaps the files, and builds the indexes of the table anew          OAT_POST_ALTER of both
 *     drops the new table with the old file                              OAT_DROP
 *
 * CREATE TABLE AS has the first two steps. If the statement fails, `rewritten` is still about a
 * table that is gone, and no call is about that table any more. Errors: those of a look into
 * pg_inherits, and of asking for the size of the old table. The hook opens only tables that the
 * statement has opened.
 */
#include "postgres.h"

#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "compat.h"
#include "job/current.h"
#include "job/new_file.h"
#include "job/progress.h"
#include "shared/session_jobs.h"
#include "storage/bufmgr.h"
#include "track/new_file.h"
#include "utils/rel.h"
#include "utils/relcache.h"

/* What this process has noted last of a table that it rewrites; the number is 0 if it rewrites none. */
static KwjNewFile rewritten;

/* Returns the place of the job whose statement this session runs; -1: it runs none. */
static int
running_place(void)
{
	int			place = kwj_my_first_session_job();

	return place >= 0 && kwj_my_session_job(place)->state == KWJ_SESSION_RUNNING ? place : -1;
}

static bool
runs_job(void)
{
	return kwj_attempt_current() != NULL || running_place() >= 0;
}

static void
note(const KwjNewFile *file)
{
	int			place = running_place();

	if (kwj_attempt_current() != NULL)
		kwj_progress_set_file(file);
	else if (place >= 0)
		kwj_my_session_job_set_file(place, file);
}

/*
 * Returns whether the statement may rewrite other tables as well. ALTER TABLE does so with tables
 * that inherit from the table, or with which it inherits from the table that the user has named;
 * ALTER TYPE with all tables of the type.
 */
static bool
is_one_of_several(Relation table)
{
	Oid			oid = RelationGetRelid(table);

	if (table->rd_rel->relispartition || OidIsValid(table->rd_rel->reloftype) || has_superclass(oid))
		return true;
	/* relhassubclass stays true for a while when the last such table is dropped */
	return table->rd_rel->relhassubclass && find_inheritance_children(oid, NoLock) != NIL;
}

/* Sets what is known of the table that the new one replaces. */
static void
set_old(KwjNewFile *file, Oid oid)
{
	Relation	old = RelationIdGetRelation(oid);

	if (!RelationIsValid(old))
		return;
	file->has_indexes = RelationGetIndexList(old) != NIL;
	if (!is_one_of_several(old))
		file->expected = (uint64) RelationGetNumberOfBlocks(old) * BLCKSZ;
	RelationClose(old);
}

/* Notes the file of the table with this OID, which PostgreSQL has just created. */
static void
on_create(Oid oid)
{
	Relation	rel = RelationIdGetRelation(oid);
	KwjNewFile	file = {.state = KWJ_FILE_GROWS, .number = oid};

	if (!RelationIsValid(rel))
		return;
	/* A temporary table is in files of another name. TOAST tables and indexes are not looked at. */
	if ((rel->rd_rel->relkind == RELKIND_RELATION || rel->rd_rel->relkind == RELKIND_MATVIEW) &&
		rel->rd_rel->relpersistence != RELPERSISTENCE_TEMP)
	{
		kwj_get_file(rel, &file.tablespace, &file.database);
		if (OidIsValid(rel->rd_rel->relrewrite))
		{
			set_old(&file, rel->rd_rel->relrewrite);
			rewritten = file;
		}
		note(&file);
	}
	RelationClose(rel);
}

/*
 * PostgreSQL has altered or dropped the table with this OID. If it is the new table of a rewrite, notes the
 * file's new state.
 */
static void
on_change(Oid oid, KwjNewFileState state)
{
	if (rewritten.number != oid)
		return;
	rewritten.state = state;
	note(&rewritten);
	if (state == KWJ_FILE_DONE)
		rewritten.number = InvalidOid;
}

void
kwj_new_file_on_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id)
{
	if (class_id != RelationRelationId || sub_id != 0 || !runs_job())
		return;
	if (access == OAT_POST_CREATE)
		on_create(object_id);
	else if (access == OAT_POST_ALTER)
		on_change(object_id, KWJ_FILE_SWAPPED);
	else if (access == OAT_DROP)
		on_change(object_id, KWJ_FILE_DONE);
}
