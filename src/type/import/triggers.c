/*
 * src/type/import/triggers.c
 *	  Checks whose code a revert would run as the owner of a table.
 *
 * A revert deletes with the rights of the table's owner. A role that holds TRIGGER on the table
 * can create a trigger, and a role that holds INSERT can start an import and so a revert. Both
 * together must not be a way to run code as the owner. PostgreSQL does not store who has created a
 * trigger, so this file checks who owns the functions that the trigger calls. If the owner of a
 * function is not trusted, the attributes of the function do not count, because its owner can
 * change them between this check and the call. So SECURITY DEFINER does not make it safe. The
 * trigger itself cannot change in between, because CREATE TRIGGER needs a lock that conflicts with
 * the worker's.
 *
 * Rules and policies are no such way: only the owner creates rules, and policies do not apply to
 * the owner's DELETE. Nor are defaults, generated columns, the checks of domains and constraints:
 * a DELETE computes none of them, and an UPDATE that a foreign key passes on does so as the owner
 * of the table, who has chosen them. But code that runs at the end of the statement may run as
 * another role: see runs_as().
 *
 *    DELETE from a target --> its triggers
 *         |
 *         +-- foreign keys --> DELETE or UPDATE of the tables that refer to it --> their triggers
 *                                    |
 *                                    +-- their foreign keys --> ..., each table once
 *
 * Process: worker. Locks: RowExclusiveLock on tables that refer to the one in question, until the
 * end of the transaction.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "compat.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"

#include "type/import/triggers.h"

/* What the check for one table, whose rows are about to be removed, has seen so far. */
typedef struct Seen
{
	Oid			job_owner;
	Oid			deleter;		/* the owner of that table, as which the worker deletes */
	const List *targets;		/* OIDs of all tables into which the job has imported */
	/*
	 * Tables that were looked at: OIDs of those where rows are deleted, and where they are
	 * updated.
	 */
	List	   *deleted;
	List	   *updated;
} Seen;

static void check_table(Seen *seen, Oid relid, int16 event);

/* Returns whether the role is the owner, or could act as the owner anyway. */
static bool
is_trusted_role(Oid role, Oid owner)
{
	return role == owner || has_privs_of_role(role, owner);
}

/*
 * Returns whether a trigger may call this function as this role. It may if the function is the
 * role's own, or belongs to a role that could act as this one, such as a superuser. But if a
 * function of such another role has arguments, the creator of the trigger tells it what to do:
 * lo_manage, for instance, which removes large objects. Then it is trusted only if it is SECURITY
 * DEFINER, because it uses its owner's rights then, and not this role's.
 */
static bool
is_trusted_trigger_function(Oid function, Oid role, bool has_arguments)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		trusted;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	trusted = form->proowner == role ||
		((!has_arguments || form->prosecdef) && is_trusted_role(form->proowner, role));
	ReleaseSysCache(tuple);
	return trusted;
}

/* Returns whether a condition must not call this function; for check_functions_in_node. */
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
	/*
	 * A function that is not immutable may do anything with its arguments, as query_to_xml does.
	 */
	trusted = form->proowner == *(Oid *) owner ||
		(function < FirstNormalObjectId && form->provolatile == PROVOLATILE_IMMUTABLE);
	ReleaseSysCache(tuple);
	return !trusted;
}

/*
 * Returns whether the type is trusted: built in, or owned by a trusted role. A type brings
 * functions of its own, for ranges and casts for instance.
 */
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

/* Returns whether a part of a condition is not trusted. */
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
refuse_trigger(const Trigger *trigger, Relation rel, Oid role)
{
	char	   *name = GetUserNameFromId(role, false);

	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("trigger \"%s\" of table \"%s\" keeps imported rows from being removed",
				   trigger->tgname, RelationGetRelationName(rel)),
			errdetail("It would run as role \"%s\", what may be neither that role's nor a superuser's choice.",
					  name),
			errhint("Have the owner of the table disable or drop the trigger, or have role \"%s\" own its function, then type RESUME JOB.",
					name));
}

static void
refuse_index(Relation index, Relation rel, Oid role)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("deferrable constraint \"%s\" of table \"%s\" keeps imported rows from being removed",
				   RelationGetRelationName(index), RelationGetRelationName(rel)),
			errdetail("Its functions would run as role \"%s\", what may be neither that role's nor a superuser's choice.",
					  GetUserNameFromId(role, false)),
			errhint("Have the owner of the table drop the constraint, then type RESUME JOB."));
}

/* Looks at what a foreign key does to the table that refers to this one. */
static void
follow_foreign_key(Seen *seen, const Trigger *trigger)
{
	switch (trigger->tgfoid)
	{
		case F_RI_FKEY_CASCADE_DEL:
			check_table(seen, trigger->tgconstrrelid, TRIGGER_TYPE_DELETE);
			break;
		case F_RI_FKEY_SETNULL_DEL:
		case F_RI_FKEY_SETDEFAULT_DEL:
		case F_RI_FKEY_CASCADE_UPD:
		case F_RI_FKEY_SETNULL_UPD:
		case F_RI_FKEY_SETDEFAULT_UPD:
			check_table(seen, trigger->tgconstrrelid, TRIGGER_TYPE_UPDATE);
			break;
		default:
			break;				/* it only reads */
	}
}

/*
 * Returns the role as which a trigger's function runs. A BEFORE trigger runs as the role that
 * changes the table: the worker or a foreign key does that, each as the owner of the table. From
 * PostgreSQL 18 on, an AFTER trigger runs as that role, too. Before, the AFTER triggers of all
 * tables to which foreign keys lead run at the end of the worker's DELETE, and so as the owner of
 * the first table.
 *
 * A trigger that is deferred to the end of the transaction runs as the job's owner there. The job's
 * owner has trusted the deleter by inserting into its table, so the check for the deleter is
 * enough.
 */
static Oid
runs_as(const Seen *seen, const Trigger *trigger, Relation rel)
{
	if (kwj_after_triggers_keep_role || !TRIGGER_FOR_AFTER(trigger->tgtype))
		return rel->rd_rel->relowner;
	return seen->deleter;
}

/*
 * Returns whether a trigger of this table may run any code as this role: the role is the job's
 * owner, who has inserted into the table. Whoever may create triggers there could have run code as
 * the job's owner during the import already.
 */
static bool
is_exempt(const Seen *seen, Relation rel, Oid role)
{
	return role == seen->job_owner && list_member_oid(seen->targets, RelationGetRelid(rel));
}

/* Checks the index of a deferrable constraint, which is evaluated again after the statement. */
static void
check_index(const Seen *seen, const Trigger *trigger, Relation rel)
{
	Oid			role = runs_as(seen, trigger, rel);
	Relation	index;

	if (role == rel->rd_rel->relowner)
		return;
	index = index_open(trigger->tgconstrindid, AccessShareLock);
	if (find_not_trusted((Node *) RelationGetIndexExpressions(index), &role) ||
		find_not_trusted((Node *) RelationGetIndexPredicate(index), &role))
		refuse_index(index, rel, role);
	index_close(index, NoLock);
}

static void
check_trigger(const Seen *seen, const Trigger *trigger, Relation rel)
{
	Oid			owner = rel->rd_rel->relowner;
	Oid			role = runs_as(seen, trigger, rel);

	if (!is_exempt(seen, rel, role) &&
		!is_trusted_trigger_function(trigger->tgfoid, role, trigger->tgnargs > 0))
		refuse_trigger(trigger, rel, role);
	/* The condition is evaluated at once, even if the function is called later. */
	if (!is_exempt(seen, rel, owner) && !is_trusted_condition(trigger, owner))
		refuse_trigger(trigger, rel, owner);
}

/*
 * Checks the triggers that fire at these events. tgisinternal does not tell which triggers are
 * PostgreSQL's own: up to PostgreSQL 14 it is also set for triggers of partitions, which were
 * cloned from triggers of the partitioned table.
 */
static void
check_triggers(Seen *seen, Relation rel, int16 events)
{
	/*
	 * The copy is needed because an invalidation message may rebuild the relation's own triggers.
	 */
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgenabled == TRIGGER_DISABLED || !(trigger->tgtype & events))
			continue;
		if (RI_FKey_trigger_type(trigger->tgfoid) != RI_TRIGGER_NONE)
			follow_foreign_key(seen, trigger);
		else if (trigger->tgfoid == F_UNIQUE_KEY_RECHECK && OidIsValid(trigger->tgconstrindid))
			check_index(seen, trigger, rel);
		else
			check_trigger(seen, trigger, rel);
	}
}

/* Checks a table to which a foreign key leads, and its partitions. */
static void
check_table(Seen *seen, Oid relid, int16 event)
{
	List	  **list = event == TRIGGER_TYPE_UPDATE ? &seen->updated : &seen->deleted;
	bool		is_partitioned = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
	int16		events = event;
	List	   *tables;
	ListCell   *lc;

	if (list_member_oid(*list, relid))
		return;
	*list = lappend_oid(*list, relid);
	/*
	 * An UPDATE may move a row to another partition, which deletes it here and inserts it there.
	 */
	if (is_partitioned && event == TRIGGER_TYPE_UPDATE)
		events |= TRIGGER_TYPE_DELETE | TRIGGER_TYPE_INSERT;
	tables = is_partitioned ?
		find_all_inheritors(relid, RowExclusiveLock, NULL) : list_make1_oid(relid);
	foreach(lc, tables)
	{
		Relation	rel = try_relation_open(lfirst_oid(lc), RowExclusiveLock);

		if (rel == NULL)
			continue;
		check_triggers(seen, rel, events);
		relation_close(rel, NoLock);
	}
}

void
kwj_import_check_triggers(Relation rel, const List *targets)
{
	Seen		seen = {
		.job_owner = GetUserId(),
		.deleter = rel->rd_rel->relowner,
		.targets = targets,
		.deleted = list_make1_oid(RelationGetRelid(rel)),
	};

	check_triggers(&seen, rel, TRIGGER_TYPE_DELETE);
}
