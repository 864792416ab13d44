/*
 * src/type/import/created.c
 *	  The objects of the database that an IMPORT has created, for its revert.
 *
 * They are known by their OIDs, so a table that was renamed meanwhile is still the job's, and one that
 * somebody else has created under the old name is not. A server that has used all OIDs gives them again;
 * so of a relation the OID of its row type has to be the same, too.
 *
 * They are dropped by DROP statements through ProcessUtility, so that event triggers, and extensions that
 * audit statements or keep tables, see them. Nothing is dropped that depends on them and was created by
 * others (RESTRICT). The statements go by names. So the relations are locked before their names are read,
 * and in the end nothing of the job may be left: then each name was that of an object of the job.
 *
 * Process: worker; session, for kwj_created_add. Locks: AccessExclusiveLock on what is dropped.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "compat.h"
#include "job/json.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "type/import/created.h"
#include "type/import/statement.h"
#include "type/sql/parse.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

void
kwj_created_add(KwjCreated *created, Oid class, Oid oid)
{
	if (created->n == created->size)
	{
		created->size = Max(16, created->size * 2);
		created->items = created->items == NULL ?
			MemoryContextAlloc(created->context, created->size * sizeof(KwjCreatedObject)) :
			repalloc(created->items, created->size * sizeof(KwjCreatedObject));
	}
	created->items[created->n++] = (KwjCreatedObject) {.class = class, .oid = oid};
}

bool
kwj_created_has(const KwjCreated *created, Oid relid)
{
	for (int i = 0; i < created->n; i++)
		if (created->items[i].class == RelationRelationId && created->items[i].oid == relid)
			return true;
	return false;
}

/* Returns whether a type is dropped by itself, and not with a table or another type. */
static bool
is_type_by_itself(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_type) GETSTRUCT(tuple);
	if (form->typtype == TYPTYPE_COMPOSITE)
		result = get_rel_relkind(form->typrelid) == RELKIND_COMPOSITE_TYPE;
	else
		result = form->typtype != TYPTYPE_MULTIRANGE && !IsTrueArrayType(form);
	ReleaseSysCache(tuple);
	return result;
}

/* Returns whether the object is dropped by itself. */
static bool
is_by_itself(const KwjCreatedObject *object)
{
	switch (object->class)
	{
		case RelationRelationId:
			switch (get_rel_relkind(object->oid))
			{
				case RELKIND_RELATION:
				case RELKIND_PARTITIONED_TABLE:
				case RELKIND_SEQUENCE:
					return true;
				default:
					return false;
			}
		case TypeRelationId:
			return is_type_by_itself(object->oid);
		case NamespaceRelationId:
		case ExtensionRelationId:
			return true;
		default:
			return false;
	}
}

void
kwj_created_complete(KwjCreated *created)
{
	int			kept = 0;

	for (int i = 0; i < created->n; i++)
	{
		KwjCreatedObject object = created->items[i];

		if (!is_by_itself(&object))
			continue;
		if (object.class == RelationRelationId)
			object.row_type = get_rel_type_id(object.oid);
		created->items[kept++] = object;
	}
	created->n = kept;
}

Oid
kwj_created_find(const KwjCreated *created, const char *schema, const char *name)
{
	Oid			relid = RangeVarGetRelid(makeRangeVar(pstrdup(schema), pstrdup(name), -1), NoLock, false);

	/* A revert would not remove the rows of the job from it. */
	if (!kwj_created_has(created, relid))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the definition does not create table %s", quote_qualified_identifier(schema, name)),
				errhint("Export again: meta.sql and manifest.json are not of one EXPORT."));
	return relid;
}

void
kwj_created_add_target(KwjCreated *created, Oid table)
{
	MemoryContext caller = MemoryContextSwitchTo(created->context);

	created->targets = lappend_oid(created->targets, table);
	MemoryContextSwitchTo(caller);
}

bool
kwj_created_temporary(const KwjCreated *created)
{
	for (int i = 0; i < created->n; i++)
	{
		const KwjCreatedObject *object = &created->items[i];
		ObjectAddress address = {object->class, object->oid, 0};
		Oid			schema = object->class == NamespaceRelationId ? object->oid : get_object_namespace(&address);

		if (OidIsValid(schema) && isAnyTempNamespace(schema))
			return true;
	}
	return false;
}

void
kwj_created_write(const KwjCreated *created, StringInfo json)
{
	ListCell   *lc;

	if (!created->is_done)
	{
		appendStringInfoString(json, "\"not_created\": true");
		return;
	}
	appendStringInfoString(json, "\"targets\": [");
	foreach(lc, created->targets)
		appendStringInfo(json, "%s%u", lc != list_head(created->targets) ? ", " : "", lfirst_oid(lc));
	appendStringInfoString(json, "], \"created\": [");
	for (int i = 0; i < created->n; i++)
		appendStringInfo(json, "%s%u, %u, %u", i > 0 ? ", " : "", created->items[i].class,
						 created->items[i].oid, created->items[i].row_type);
	appendStringInfoChar(json, ']');
}

void
kwj_created_read(KwjCreated *created, Jsonb *state)
{
	int64	   *numbers;
	int			n;

	numbers = kwj_json_int64s(state, "targets", &n);
	created->is_done = numbers != NULL;
	created->targets = NIL;
	created->n = 0;
	for (int i = 0; i < n; i++)
		kwj_created_add_target(created, (Oid) numbers[i]);
	if (!created->is_done)
		return;
	numbers = kwj_json_int64s(state, "created", &n);
	for (int i = 0; i + 2 < n; i += 3)
	{
		kwj_created_add(created, (Oid) numbers[i], (Oid) numbers[i + 1]);
		created->items[created->n - 1].row_type = (Oid) numbers[i + 2];
	}
}

/* ---- dropping ---- */

static bool
is_relation_there(const KwjCreatedObject *object)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(object->oid)) &&
		get_rel_type_id(object->oid) == object->row_type;
}

/*
 * Raises an error unless the current user may drop the relation, as DROP TABLE does: before the lock, for
 * which others would have to wait.
 */
static void
check_may_drop(Oid relid)
{
	if (!kwj_owns_relation(relid) && !kwj_owns_schema(get_rel_namespace(relid)))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

/* Returns whether the object exists. A relation is locked then, so it keeps its name. */
static bool
exists(const KwjCreatedObject *object)
{
	switch (object->class)
	{
		case RelationRelationId:
			if (!is_relation_there(object))
				return false;
			check_may_drop(object->oid);
			LockRelationOid(object->oid, AccessExclusiveLock);
			return is_relation_there(object);
		case TypeRelationId:
			return SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(object->oid));
		case NamespaceRelationId:
			return SearchSysCacheExists1(NAMESPACEOID, ObjectIdGetDatum(object->oid));
		case ExtensionRelationId:
			return get_extension_name(object->oid) != NULL;
		default:
			return false;
	}
}

/* Returns which kind of DROP drops the object. */
static ObjectType
kind_of(const KwjCreatedObject *object)
{
	switch (object->class)
	{
		case TypeRelationId:
			return OBJECT_TYPE;
		case NamespaceRelationId:
			return OBJECT_SCHEMA;
		case ExtensionRelationId:
			return OBJECT_EXTENSION;
		default:
			return get_rel_relkind(object->oid) == RELKIND_SEQUENCE ? OBJECT_SEQUENCE : OBJECT_TABLE;
	}
}

/* Returns the name of a type, as DROP TYPE has it. */
static TypeName *
type_name(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	List	   *names;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	names = list_make2(makeString(get_namespace_name(form->typnamespace)),
					   makeString(pstrdup(NameStr(form->typname))));
	ReleaseSysCache(tuple);
	return makeTypeNameFromNameList(names);
}

/* Returns the name of the object as a DROP statement has it. */
static Node *
name_of(const KwjCreatedObject *object)
{
	switch (object->class)
	{
		case TypeRelationId:
			return (Node *) type_name(object->oid);
		case NamespaceRelationId:
			return (Node *) makeString(get_namespace_name(object->oid));
		case ExtensionRelationId:
			return (Node *) makeString(get_extension_name(object->oid));
		default:
			return (Node *) list_make2(makeString(get_namespace_name(get_rel_namespace(object->oid))),
									   makeString(get_rel_name(object->oid)));
	}
}

static void
run_drop(ObjectType kind, List *names)
{
	DropStmt   *drop = makeNode(DropStmt);

	drop->removeType = kind;
	drop->objects = names;
	drop->behavior = DROP_RESTRICT;
	ProcessUtility(kwj_sql_plan_utility((Node *) drop, -1, 0), "revert of IMPORT", false,
				   PROCESS_UTILITY_QUERY, NULL, NULL, None_Receiver, NULL);
	kwj_import_next_command();
}

/* Drops the objects of this kind that still exist. Returns how many they were. */
static int
drop_kind(const KwjCreated *created, ObjectType kind)
{
	List	   *names = NIL;

	for (int i = created->n - 1; i >= 0; i--)
		if (exists(&created->items[i]) && kind_of(&created->items[i]) == kind)
			names = lappend(names, name_of(&created->items[i]));
	if (names != NIL)
		run_drop(kind, names);
	return list_length(names);
}

/*
 * The server calls this, as an error context callback, when a DROP fails. It gives the error a hint that says
 * what the user can do. PostgreSQL's own hint is to use CASCADE, but that would drop what others have created.
 */
static void
hint_at_resume(void *arg)
{
	if (geterrcode() == ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
		errhint("Drop what depends on it, then type RESUME JOB.");
	else if (geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE)
		errhint("Drop it by hand, or give it back to the owner of the job, then type RESUME JOB.");
}

char *
kwj_created_drop(const KwjCreated *created)
{
	/* What depends on others comes before them. */
	static const ObjectType kinds[] = {
		OBJECT_TABLE, OBJECT_SEQUENCE, OBJECT_TYPE, OBJECT_EXTENSION, OBJECT_SCHEMA
	};
	ErrorContextCallback callback = {error_context_stack, hint_at_resume, NULL};
	int			tables = 0;

	error_context_stack = &callback;
	for (int i = 0; i < lengthof(kinds); i++)
	{
		int			n = drop_kind(created, kinds[i]);

		if (kinds[i] == OBJECT_TABLE)
			tables = n;
	}
	error_context_stack = callback.previous;
	for (int i = 0; i < created->n; i++)
		if (exists(&created->items[i]))
			elog(ERROR, "object %u of class %u is still there", created->items[i].oid,
				 created->items[i].class);
	if (tables == 0)
		return pstrdup("the table does not exist any more");
	return tables == 1 ? pstrdup("dropped the table that the job had created") :
		psprintf("dropped %d tables that the job had created", tables);
}
