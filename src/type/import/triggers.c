/*
 * src/type/import/triggers.c
 *	  Whose code a revert runs as the owner of a table.
 *
 * A revert deletes with the rights of the table's owner. Who holds TRIGGER on the table
 * can make a trigger, and who holds INSERT can start an import and so a revert: both
 * together must not be a way to run code as the owner. PostgreSQL does not keep who made a
 * trigger, so this goes by what the trigger calls.
 *
 * Rules and policies are no such way: only the owner makes rules, and the owner's DELETE
 * passes policies by. Nor are defaults, generated columns, constraints and indexes: a
 * DELETE computes none of them.
 *
 * Process: worker. Locks: RowExclusiveLock on tables that refer to the one in question.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"

#include "type/import/triggers.h"

/* The tables that were looked at, each for one event. */
typedef struct Seen
{
	Oid			job_owner;
	List	   *deleted;		/* OIDs of tables from which rows are deleted */
	List	   *updated;
} Seen;

static void check_table(Seen *seen, Oid relid, bool is_update);

/* What is an owner's own, or that of a role which could act as the owner anyway. */
static bool
is_trusted_role(Oid role, Oid owner)
{
	return role == owner || has_privs_of_role(role, owner);
}

/*
 * Whether a trigger may call this function as the owner of its table. A superuser's
 * function with arguments is told what to do by whoever made the trigger: lo_manage, for
 * instance, which removes large objects.
 */
static bool
is_trusted_trigger_function(Oid function, Oid owner, bool has_arguments)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		trusted;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	trusted = form->proowner == owner ||
		form->prosecdef ||		/* it runs as its own owner */
		(!has_arguments && is_trusted_role(form->proowner, owner));
	ReleaseSysCache(tuple);
	return trusted;
}

/* For check_functions_in_node: true for a function that a condition must not call. */
static bool
is_not_trusted_in_condition(Oid function, void *owner)
{
	HeapTuple	tuple;
	Form_pg_proc form;
	bool		trusted;

	if (function == F_PG_TRIGGER_DEPTH)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	/* those that are not immutable may do anything with their arguments: query_to_xml */
	trusted = form->proowner == *(Oid *) owner ||
		(function < FirstNormalObjectId && form->provolatile == PROVOLATILE_IMMUTABLE);
	ReleaseSysCache(tuple);
	return !trusted;
}

/* A type has functions of its own, for ranges and casts for instance. */
static bool
is_trusted_type(Oid type, Oid owner)
{
	HeapTuple	tuple;
	bool		trusted;

	if (type < FirstNormalObjectId)
		return true;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return false;
	trusted = is_trusted_role(((Form_pg_type) GETSTRUCT(tuple))->typowner, owner);
	ReleaseSysCache(tuple);
	return trusted;
}

/* Whether a part of a condition is not trusted. */
static bool
find_not_trusted(Node *node, void *owner)
{
	if (node == NULL)
		return false;
	if (!IsA(node, List) && !is_trusted_type(exprType(node), *(Oid *) owner))
		return true;
	if (check_functions_in_node(node, is_not_trusted_in_condition, owner))
		return true;
	return expression_tree_walker(node, find_not_trusted, owner);
}

static bool
is_trusted_condition(const Trigger *trigger, Oid owner)
{
	return trigger->tgqual == NULL ||
		!find_not_trusted((Node *) stringToNode(trigger->tgqual), &owner);
}

static void
refuse_trigger(const Trigger *trigger, Relation rel)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("trigger \"%s\" of table \"%s\" keeps imported rows from being removed",
				   trigger->tgname, RelationGetRelationName(rel)),
			errdetail("It would run as role \"%s\", the owner of the table, what may be neither that owner's nor a superuser's choice.",
					  GetUserNameFromId(rel->rd_rel->relowner, false)),
			errhint("Have the owner disable or drop the trigger, or own its function, then type RESUME JOB."));
}

/* What a foreign key does to the table that refers to this one. */
static void
follow_foreign_key(Seen *seen, const Trigger *trigger)
{
	switch (trigger->tgfoid)
	{
		case F_RI_FKEY_CASCADE_DEL:
			check_table(seen, trigger->tgconstrrelid, false);
			break;
		case F_RI_FKEY_SETNULL_DEL:
		case F_RI_FKEY_SETDEFAULT_DEL:
		case F_RI_FKEY_CASCADE_UPD:
		case F_RI_FKEY_SETNULL_UPD:
		case F_RI_FKEY_SETDEFAULT_UPD:
			check_table(seen, trigger->tgconstrrelid, true);
			break;
		default:
			break;				/* it only looks */
	}
}

static void
check_triggers(Seen *seen, Relation rel, bool is_update)
{
	Oid			owner = rel->rd_rel->relowner;

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgenabled == TRIGGER_DISABLED ||
			!(is_update ? TRIGGER_FOR_UPDATE(trigger->tgtype) : TRIGGER_FOR_DELETE(trigger->tgtype)))
			continue;
		if (trigger->tgisinternal)
			follow_foreign_key(seen, trigger);
		else if (owner != seen->job_owner &&
				 !(is_trusted_trigger_function(trigger->tgfoid, owner, trigger->tgnargs > 0) &&
				   is_trusted_condition(trigger, owner)))
			refuse_trigger(trigger, rel);
	}
}

/* A table that a foreign key leads to, with its partitions. */
static void
check_table(Seen *seen, Oid relid, bool is_update)
{
	List	  **list = is_update ? &seen->updated : &seen->deleted;
	List	   *tables;
	ListCell   *lc;

	if (list_member_oid(*list, relid))
		return;
	*list = lappend_oid(*list, relid);
	tables = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE ?
		find_all_inheritors(relid, RowExclusiveLock, NULL) : list_make1_oid(relid);
	foreach(lc, tables)
	{
		Relation	rel = try_relation_open(lfirst_oid(lc), RowExclusiveLock);

		if (rel == NULL)
			continue;
		check_triggers(seen, rel, is_update);
		relation_close(rel, NoLock);
	}
}

void
kwj_import_check_triggers(Relation rel)
{
	Seen		seen = {.job_owner = GetUserId()};

	seen.deleted = list_make1_oid(RelationGetRelid(rel));
	check_triggers(&seen, rel, false);
}
