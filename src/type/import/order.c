/*
 * src/type/import/order.c
 *	  Finds out whether several workers may fill the table of an IMPORT at the same time, or one has to
 *	  import all records in the order of the files.
 *
 * Caller: part 0 of an attempt, before it plans pieces (parts.c).
 *
 * Several may if each record becomes the same row, or meets the same error, whatever others have come
 * before it. Unique indexes are no obstacle: which of two records with the same key is refused is
 * found out afterwards (replay.c). What depends on the order, or may do so:
 *
 *   statement-level triggers      may read all rows
 *   row-level triggers            may read other rows, count, or change one row again and again; a
 *                                 function that is IMMUTABLE, or built in, does not, unless the
 *                                 trigger has a condition with a volatile function
 *   defaults, CHECK constraints,  with a volatile function: nextval() numbers the records, a
 *   constraints of domains        function of a user may do anything
 *   unique indexes, if bad        of two records with the same key, the later one is left out
 *   records are left out
 *   exclusion constraints         two workers that insert at the same time wait for each other
 *   foreign keys to the table     refer to rows that another worker may not have committed yet
 *   itself
 *
 * Process: worker. Locks: AccessShareLock on the partitions, until the end of the transaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/partition.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "compat.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "type/import/order.h"
#include "type/import/target.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* ---- expressions ---- */

/* Returns whether what this function returns may depend on the order of the records. */
static bool
depends_on_order(Oid function, void *context)
{
	switch (function)
	{
			/* These are volatile, but give as good values in any order. */
		case KWJ_F_RANDOM:
		case F_GEN_RANDOM_UUID:
		case F_CLOCK_TIMESTAMP:
		case F_TIMEOFDAY:
			return false;
		default:
			return func_volatile(function) == PROVOLATILE_VOLATILE;
	}
}

static bool
has_order(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, NextValueExpr) || check_functions_in_node(node, depends_on_order, NULL))
		return true;
	return expression_tree_walker(node, has_order, context);
}

/* ---- what a table has ---- */

static char *
find_default(Relation target, List *numbers)
{
	TupleDesc	desc = RelationGetDescr(target);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->attgenerated || list_member_int(numbers, att->attnum))
			continue;
		if (has_order(build_column_default(target, att->attnum), NULL))
			return psprintf("default of column %s", quote_identifier(NameStr(att->attname)));
	}
	return NULL;
}

/* Returns whether a constraint of the domain, or of those that it is based on, needs the order. */
static bool
has_constraint_with_order(Oid domain)
{
	/* The end of the memory context uses this, too. */
	DomainConstraintRef *ref = palloc(sizeof(DomainConstraintRef));
	ListCell   *lc;

	InitDomainConstraintRef(domain, ref, CurrentMemoryContext, false);
	foreach(lc, ref->constraints)
		if (has_order((Node *) ((DomainConstraintState *) lfirst(lc))->check_expr, NULL))
			return true;
	return false;
}

static bool has_domain_with_order(Oid type);

static bool
has_field_with_order(Oid composite)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(composite, -1);

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped &&
			has_domain_with_order(TupleDescAttr(desc, i)->atttypid))
			return true;
	return false;
}

/*
 * Returns whether a constraint that may depend on the order is checked when a value of the type is
 * read: that of a domain, which may be the type of an element, a field or a bound.
 */
static bool
has_domain_with_order(Oid type)
{
	check_stack_depth();
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			return has_constraint_with_order(type) || has_domain_with_order(getBaseType(type));
		case TYPTYPE_COMPOSITE:
			return has_field_with_order(type);
		case TYPTYPE_RANGE:
			return has_domain_with_order(get_range_subtype(type));
		case TYPTYPE_MULTIRANGE:
			return has_domain_with_order(get_multirange_range(type));
		default:
			return OidIsValid(get_element_type(type)) && has_domain_with_order(get_element_type(type));
	}
}

static char *
find_domain(Relation target)
{
	TupleDesc	desc = RelationGetDescr(target);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && has_domain_with_order(att->atttypid))
			return psprintf("domain of column %s", quote_identifier(NameStr(att->attname)));
	}
	return NULL;
}

static char *
find_check(Relation rel)
{
	TupleConstr *constraints = RelationGetDescr(rel)->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
		if (has_order(stringToNode(constraints->check[i].ccbin), NULL))
			return psprintf("constraint %s", quote_identifier(constraints->check[i].ccname));
	return NULL;
}

/* Returns whether the trigger, with its condition, only looks at the row. */
static bool
looks_at_row_only(const Trigger *trigger)
{
	return TRIGGER_FOR_ROW(trigger->tgtype) &&
		(trigger->tgqual == NULL || !has_order(stringToNode(trigger->tgqual), NULL)) &&
		(trigger->tgfoid < FirstNormalObjectId ||
		 func_volatile(trigger->tgfoid) == PROVOLATILE_IMMUTABLE);
}

/* Returns whether the trigger fires in this session. */
static bool
fires(const Trigger *trigger)
{
	char		not_now = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ?
		TRIGGER_FIRES_ON_ORIGIN : TRIGGER_FIRES_ON_REPLICA;

	return trigger->tgenabled != TRIGGER_DISABLED && trigger->tgenabled != not_now;
}

static char *
find_trigger(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_INSERT(trigger->tgtype) && fires(trigger) && !looks_at_row_only(trigger))
			return psprintf("trigger %s", quote_identifier(trigger->tgname));
	}
	return NULL;
}

/* Returns why the index needs the order, as a text; NULL if it does not. */
static char *
find_in_index(Oid index, bool skips)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	char	   *result = NULL;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_index) GETSTRUCT(tuple);
	if (form->indisexclusion)
		result = psprintf("exclusion constraint %s", quote_identifier(get_rel_name(index)));
	else if (form->indisunique && skips)
		result = psprintf("on_error = skip, unique index %s", quote_identifier(get_rel_name(index)));
	ReleaseSysCache(tuple);
	return result;
}

static char *
find_index(Relation rel, bool skips)
{
	char	   *found = NULL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
		if (found == NULL)
			found = find_in_index(lfirst_oid(lc), skips);
	return found;
}

/* family: OIDs of the target, its partitions, and the tables whose partition it is. */
static char *
find_foreign_key(Relation rel, List *family)
{
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		const ForeignKeyCacheInfo *key = lfirst(lc);

		if (list_member_oid(family, key->confrelid))
			return pstrdup("a foreign key refers to the table itself");
	}
	return NULL;
}

static char *
look_at(Oid relid, List *family, bool skips)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	char	   *found;

	/* It may be a partition that was dropped just now. */
	if (rel == NULL)
		return NULL;
	found = find_trigger(rel);
	if (found == NULL)
		found = find_check(rel);
	if (found == NULL)
		found = find_index(rel, skips);
	if (found == NULL)
		found = find_foreign_key(rel, family);
	relation_close(rel, NoLock);
	return found;
}

/* Returns the table, its partitions, and the tables whose partition it is. */
static List *
family_of(Relation target)
{
	Oid			relid = RelationGetRelid(target);
	List	   *family = find_all_inheritors(relid, NoLock, NULL);

	if (target->rd_rel->relispartition)
		family = list_concat(family, get_partition_ancestors(relid));
	return family;
}

char *
kwj_import_needs_order(Relation target, List *numbers, bool skips)
{
	List	   *family = family_of(target);
	char	   *found = find_default(target, numbers);
	ListCell   *lc;

	if (found == NULL)
		found = find_domain(target);
	foreach(lc, kwj_import_tables_of(target))
	{
		if (found == NULL)
			found = look_at(lfirst_oid(lc), family, skips);
	}
	return found;
}

bool
kwj_import_refers_to_itself(Relation target)
{
	List	   *family = family_of(target);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(RelationGetRelid(target), NoLock, NULL))
	{
		Relation	rel = found ? NULL : try_relation_open(lfirst_oid(lc), AccessShareLock);

		if (rel == NULL)
			continue;
		found = find_foreign_key(rel, family) != NULL;
		relation_close(rel, NoLock);
	}
	return found;
}
