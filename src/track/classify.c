/*
 * src/track/classify.c
 *	  The table of the statements that are jobs: a row for each kind of parse tree. The jobs are of
 *	  type CREATE_STATS if the statement collects statistics, otherwise of type SCHEMA CHANGE.
 *
 * Caller: track.c. Process: any, in a transaction that has not failed. Locks: none.
 *
 * A row says how to find the object that the statement is about, because a statement about
 * temporary objects is no job. Names are looked up in the catalog caches, without a lock, because
 * the statement itself will lock the objects. If another session changes in between what a name
 * means, the worst is that a temporary object is recorded, or a permanent one is not.
 *
 * A statement without a row is not tracked. Most of these neither collect statistics nor change a schema. The
 * others are left out because their text may have a secret: those about roles, user mappings, subscriptions,
 * servers and foreign data wrappers, for instance.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "compat.h"
#include "nodes/value.h"
#include "track/classify.h"
#include "utils/lsyscache.h"

typedef struct Row
{
	KwjTrackKind kind;			/* KWJ_TRACK_NOTHING: there is no row for this node */
	bool		creates;
	bool		is_final;
	int			relation;		/* where the node has a RangeVar *; 0: nowhere */
	int			names;			/* where the node has a List * with the parts of a name; 0: nowhere */
	/* May be NULL. Called after *class is set by the fields above, to change what they cannot say. */
	void		(*look) (const Node *statement, KwjTrackClass *class);
} Row;

/* ---- temporary objects ---- */

/* Returns this session's schema of temporary objects; InvalidOid if it has had none yet. */
static Oid
temporary_namespace(void)
{
	Oid			namespace;
	Oid			toast_namespace;

	GetTempNamespaceState(&namespace, &toast_namespace);
	return namespace;
}

Oid
kwj_track_temporary_relation(const char *name)
{
	Oid			namespace = temporary_namespace();

	return OidIsValid(namespace) ? get_relname_relid(name, namespace) : InvalidOid;
}

static bool
is_pg_temp(const char *schema)
{
	return strcmp(schema, "pg_temp") == 0 || strncmp(schema, "pg_temp_", 8) == 0;
}

/*
 * Returns the OID of the relation; InvalidOid if there is none. schema may be NULL, but not pg_temp.
 * RangeVarGetRelid is not used here, because it raises an error if the user may not use the schema.
 * That error is for the user's statement to raise, which has not begun yet.
 */
static Oid
find_relation(const char *schema, const char *name)
{
	Oid			namespace;

	if (schema == NULL)
		return RelnameGetRelid(name);
	namespace = get_namespace_oid(schema, true);
	return OidIsValid(namespace) ? get_relname_relid(name, namespace) : InvalidOid;
}

Oid
kwj_track_table(const RangeVar *relation)
{
	Oid			oid = find_relation(relation->schemaname, relation->relname);
	Oid			table = OidIsValid(oid) ? IndexGetRelation(oid, true) : InvalidOid;

	table = OidIsValid(table) ? table : oid;
	/*
	 * REINDEX CONCURRENTLY of a partitioned table works on its partitions, one after the other. If it
	 * fails, the copies that it leaves are on one of them, and PostgreSQL's progress counters tell
	 * which one it is.
	 */
	return get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE ? InvalidOid : table;
}

/* Returns whether there is such a relation, and it is temporary. schema may be NULL. */
static bool
is_temporary(const char *schema, const char *name)
{
	Oid			relation;

	if (schema != NULL && is_pg_temp(schema))
		return true;
	/* As long as this session has no temporary schema, it has no temporary relation. */
	if (!OidIsValid(temporary_namespace()))
		return false;
	relation = find_relation(schema, name);
	return OidIsValid(relation) && get_rel_persistence(relation) == RELPERSISTENCE_TEMP;
}

static bool
is_temporary_relation(const RangeVar *relation, bool creates)
{
	if (relation->relpersistence == RELPERSISTENCE_TEMP)
		return true;
	if (creates)
		return relation->schemaname != NULL && is_pg_temp(relation->schemaname);
	return is_temporary(relation->schemaname, relation->relname);
}

/* Returns whether a name of several parts begins with pg_temp. */
static bool
is_in_pg_temp(const List *names)
{
	return list_length(names) > 1 && IsA(linitial(names), String) &&
		is_pg_temp(strVal(linitial(names)));
}

/* Returns whether the first n parts of the name are the name of a temporary relation. */
static bool
is_temporary_name(const List *names, int n)
{
	if (n == 1)
		return is_temporary(NULL, strVal(linitial(names)));
	return n == 2 && is_temporary(strVal(linitial(names)), strVal(lsecond(names)));
}

/* ---- statements that need a closer look ---- */

static bool
has_options(const Node *column)
{
	return column != NULL && IsA(column, ColumnDef) && ((const ColumnDef *) column)->fdwoptions != NIL;
}

/*
 * Looks for columns with OPTIONS, because these may have a password in them: then the text of the
 * statement is not shown. Only columns of foreign tables have OPTIONS. But PostgreSQL's parser
 * accepts them in any CREATE TABLE, and refuses them only when it runs the statement. By then the
 * session has begun the job, whose description is the text.
 */
static void
look_at_create_table(const Node *statement, KwjTrackClass *class)
{
	ListCell   *lc;

	foreach(lc, ((const CreateStmt *) statement)->tableElts)
		if (has_options(lfirst(lc)))
			class->kind = KWJ_TRACK_NAME;
}

static void
look_at_create_schema(const Node *statement, KwjTrackClass *class)
{
	ListCell   *lc;

	foreach(lc, ((const CreateSchemaStmt *) statement)->schemaElts)
		if (IsA(lfirst(lc), CreateStmt))
			look_at_create_table(lfirst(lc), class);
}

static void
look_at_alter_table(const Node *statement, KwjTrackClass *class)
{
	const AlterTableStmt *alter = (const AlterTableStmt *) statement;
	ListCell   *lc;

	if (alter->objtype == OBJECT_FOREIGN_TABLE)
		class->kind = KWJ_TRACK_NAME;
	foreach(lc, alter->cmds)
	{
		const AlterTableCmd *cmd = lfirst(lc);

		/* The user may also type ALTER TABLE for a foreign table. */
		if (cmd->subtype == AT_GenericOptions || cmd->subtype == AT_AlterColumnGenericOptions ||
			has_options(cmd->def))
			class->kind = KWJ_TRACK_NAME;
		if (cmd->subtype == AT_DetachPartition && ((PartitionCmd *) cmd->def)->concurrent)
			class->remains = KWJ_LEAVES_PARTITION;
	}
}

static void
look_at_index(const Node *statement, KwjTrackClass *class)
{
	if (((const IndexStmt *) statement)->concurrent)
		class->remains = KWJ_LEAVES_INDEX;
}

/*
 * Returns the value of a boolean option; false if it is not given. If it is given several times,
 * the last value counts, as it does for the statement itself.
 */
static bool
has_option(const List *options, const char *name)
{
	bool		has = false;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);

		/* If the value is no boolean, the statement will fail. */
		if (strcmp(option->defname, name) == 0)
			has = option->arg == NULL ||
				(IsA(option->arg, Integer) ? intVal(option->arg) != 0 :
				 !IsA(option->arg, String) ||
				 (pg_strcasecmp(strVal(option->arg), "false") != 0 &&
				  pg_strcasecmp(strVal(option->arg), "off") != 0));
	}
	return has;
}

static void
look_at_reindex(const Node *statement, KwjTrackClass *class)
{
	if (has_option(((const ReindexStmt *) statement)->params, "concurrently"))
		class->remains = KWJ_LEAVES_INDEXES;
}

static void
look_at_cluster(const Node *statement, KwjTrackClass *class)
{
	class->relation = kwj_cluster_relation(statement);
}

/*
 * VACUUM FULL changes the schema in that it rewrites tables, also if it has the option ANALYZE.
 * ANALYZE and other VACUUM with this option collect statistics. Any other VACUUM is not tracked. A
 * statement about several tables is tracked even if all of them are temporary.
 */
static void
look_at_vacuum(const Node *statement, KwjTrackClass *class)
{
	const VacuumStmt *vacuum = (const VacuumStmt *) statement;

	if (!vacuum->is_vacuumcmd)
		class->job_type = KWJ_CREATE_STATS;
	else if (!has_option(vacuum->options, "full"))
	{
		if (has_option(vacuum->options, "analyze"))
			class->job_type = KWJ_CREATE_STATS;
		else
			class->kind = KWJ_TRACK_NOTHING;
	}
	if (list_length(vacuum->rels) == 1)
		class->relation = ((VacuumRelation *) linitial(vacuum->rels))->relation;
}

static void
look_at_truncate(const Node *statement, KwjTrackClass *class)
{
	ListCell   *lc;

	foreach(lc, ((const TruncateStmt *) statement)->relations)
		if (!is_temporary_relation(lfirst(lc), false))
			return;
	class->kind = KWJ_TRACK_NOTHING;
}

static bool
is_dropped_object_temporary(ObjectType type, const Node *object)
{
	const List *names = (const List *) object;

	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_SEQUENCE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_INDEX:
		case OBJECT_FOREIGN_TABLE:
			return is_temporary_name(names, list_length(names));
		case OBJECT_TRIGGER:
		case OBJECT_RULE:
		case OBJECT_POLICY:
			/* The last part is the name of the trigger, rule or policy, those before it the table's. */
			return is_temporary_name(names, list_length(names) - 1);
		default:
			if (IsA(object, TypeName))
				names = ((const TypeName *) object)->names;
			else if (IsA(object, ObjectWithArgs))
				names = ((const ObjectWithArgs *) object)->objname;
			else if (!IsA(object, List))
				return false;
			return is_in_pg_temp(names);
	}
}

/* Returns whether statements about such objects are not tracked, whatever they do. */
static bool
is_untracked(ObjectType type)
{
	return type == OBJECT_ROLE || type == OBJECT_USER_MAPPING || type == OBJECT_SUBSCRIPTION ||
		type == OBJECT_FOREIGN_SERVER || type == OBJECT_FDW;
}

static void
look_at_drop(const Node *statement, KwjTrackClass *class)
{
	const DropStmt *drop = (const DropStmt *) statement;
	bool		all_temporary = true;
	ListCell   *lc;

	foreach(lc, drop->objects)
		all_temporary = all_temporary && is_dropped_object_temporary(drop->removeType, lfirst(lc));
	if (all_temporary || is_untracked(drop->removeType))
		class->kind = KWJ_TRACK_NOTHING;
	if (drop->concurrent)
		class->remains = KWJ_LEAVES_DROPPED_INDEX;
}

static void
look_at_rename(const Node *statement, KwjTrackClass *class)
{
	if (is_untracked(((const RenameStmt *) statement)->renameType))
		class->kind = KWJ_TRACK_NOTHING;
}

static void
look_at_owner(const Node *statement, KwjTrackClass *class)
{
	if (is_untracked(((const AlterOwnerStmt *) statement)->objectType))
		class->kind = KWJ_TRACK_NOTHING;
}

/* PostgreSQL refuses CREATE STATISTICS if its FROM is anything but one relation. */
static void
look_at_statistics(const Node *statement, KwjTrackClass *class)
{
	const List *from = ((const CreateStatsStmt *) statement)->relations;

	class->job_type = KWJ_CREATE_STATS;
	if (list_length(from) == 1 && IsA(linitial(from), RangeVar))
		class->relation = linitial(from);
}

/* Of the options of ALTER DATABASE, only SET TABLESPACE moves files, which no rollback undoes. */
static void
look_at_database(const Node *statement, KwjTrackClass *class)
{
	ListCell   *lc;

	foreach(lc, ((const AlterDatabaseStmt *) statement)->options)
		if (strcmp(((DefElem *) lfirst(lc))->defname, "tablespace") == 0)
			class->is_final = true;
}

static void
look_at_function(const Node *statement, KwjTrackClass *class)
{
	if (is_in_pg_temp(((const AlterFunctionStmt *) statement)->func->objname))
		class->kind = KWJ_TRACK_NOTHING;
}

/* CREATE TABLE AS, SELECT INTO and CREATE MATERIALIZED VIEW are all this kind of node. */
static void
look_at_create_as(const Node *statement, KwjTrackClass *class)
{
	class->relation = ((const CreateTableAsStmt *) statement)->into->rel;
}

/* EXPLAIN ANALYZE executes its statement, so EXPLAIN ANALYZE CREATE TABLE AS creates the table. */
static void
look_at_explain(const Node *statement, KwjTrackClass *class)
{
	const ExplainStmt *explain = (const ExplainStmt *) statement;
	const Query *query = (const Query *) explain->query;

	if (has_option(explain->options, "analyze") && IsA(query, Query) &&
		query->commandType == CMD_UTILITY && IsA(query->utilityStmt, CreateTableAsStmt))
		look_at_create_as(query->utilityStmt, class);
	else
		class->kind = KWJ_TRACK_NOTHING;
}

/* ---- the table ---- */

#define TEXT							{KWJ_TRACK_TEXT}
#define FINAL							{KWJ_TRACK_TEXT, .is_final = true}
#define LOOK(function)					{KWJ_TRACK_TEXT, .look = function}
#define RELATION(type, field)			{KWJ_TRACK_TEXT, .relation = offsetof(type, field)}
#define RELATION_LOOK(type, field, function) \
	{KWJ_TRACK_TEXT, .relation = offsetof(type, field), .look = function}
#define NEW_RELATION(type, field) \
	{KWJ_TRACK_TEXT, .creates = true, .relation = offsetof(type, field)}
#define NAMES(type, field)				{KWJ_TRACK_TEXT, .names = offsetof(type, field)}

static const Row rows[] = {
	[T_CallStmt] = {KWJ_TRACK_ROUTINE},
	[T_DoStmt] = {KWJ_TRACK_ROUTINE},

	/* tables, views, sequences, indexes */
	[T_CreateStmt] = {
		KWJ_TRACK_TEXT, .creates = true, .relation = offsetof(CreateStmt, relation),
		.look = look_at_create_table
	},
	[T_CreateTableAsStmt] = {KWJ_TRACK_TEXT, .creates = true, .look = look_at_create_as},
	[T_ExplainStmt] = {KWJ_TRACK_TEXT, .creates = true, .look = look_at_explain},
	[T_ViewStmt] = NEW_RELATION(ViewStmt, view),
	[T_CreateSeqStmt] = NEW_RELATION(CreateSeqStmt, sequence),
	[T_AlterSeqStmt] = RELATION(AlterSeqStmt, sequence),
	[T_AlterTableStmt] = RELATION_LOOK(AlterTableStmt, relation, look_at_alter_table),
	[T_AlterTableMoveAllStmt] = TEXT,
	[T_IndexStmt] = RELATION_LOOK(IndexStmt, relation, look_at_index),
	[T_ReindexStmt] = RELATION_LOOK(ReindexStmt, relation, look_at_reindex),
	[KWJ_CLUSTER] = LOOK(look_at_cluster),
	[T_VacuumStmt] = LOOK(look_at_vacuum),
	[T_TruncateStmt] = LOOK(look_at_truncate),
	[T_RefreshMatViewStmt] = RELATION(RefreshMatViewStmt, relation),
	[T_CreateForeignTableStmt] = {
		KWJ_TRACK_NAME, .creates = true, .relation = offsetof(CreateForeignTableStmt, base.relation)
	},
	[T_ImportForeignSchemaStmt] = {KWJ_TRACK_NAME},

	/* what belongs to a table */
	[T_CreateTrigStmt] = RELATION(CreateTrigStmt, relation),
	[T_RuleStmt] = RELATION(RuleStmt, relation),
	[T_CreatePolicyStmt] = RELATION(CreatePolicyStmt, table),
	[T_AlterPolicyStmt] = RELATION(AlterPolicyStmt, table),
	[T_CreateStatsStmt] = {
		KWJ_TRACK_TEXT, .names = offsetof(CreateStatsStmt, defnames), .look = look_at_statistics
	},
	[T_AlterStatsStmt] = TEXT,

	/* objects of several kinds */
	[T_DropStmt] = LOOK(look_at_drop),
	[T_RenameStmt] = RELATION_LOOK(RenameStmt, relation, look_at_rename),
	[T_AlterOwnerStmt] = RELATION_LOOK(AlterOwnerStmt, relation, look_at_owner),
	[T_AlterObjectSchemaStmt] = RELATION(AlterObjectSchemaStmt, relation),
	[T_AlterObjectDependsStmt] = RELATION(AlterObjectDependsStmt, relation),
	[T_DropOwnedStmt] = TEXT,
	[T_ReassignOwnedStmt] = TEXT,

	/* types and functions */
	[T_CompositeTypeStmt] = NEW_RELATION(CompositeTypeStmt, typevar),
	[T_CreateEnumStmt] = NAMES(CreateEnumStmt, typeName),
	[T_CreateRangeStmt] = NAMES(CreateRangeStmt, typeName),
	[T_CreateDomainStmt] = NAMES(CreateDomainStmt, domainname),
	[T_AlterTypeStmt] = NAMES(AlterTypeStmt, typeName),
	[T_AlterEnumStmt] = NAMES(AlterEnumStmt, typeName),
	[T_AlterDomainStmt] = NAMES(AlterDomainStmt, typeName),
	[T_DefineStmt] = NAMES(DefineStmt, defnames),
	[T_CreateFunctionStmt] = NAMES(CreateFunctionStmt, funcname),
	[T_AlterFunctionStmt] = LOOK(look_at_function),
	[T_CreateCastStmt] = TEXT,
	[T_CreateTransformStmt] = TEXT,
	[T_CreateConversionStmt] = NAMES(CreateConversionStmt, conversion_name),
	[T_CreateOpClassStmt] = NAMES(CreateOpClassStmt, opclassname),
	[T_CreateOpFamilyStmt] = NAMES(CreateOpFamilyStmt, opfamilyname),
	[T_AlterOpFamilyStmt] = NAMES(AlterOpFamilyStmt, opfamilyname),
	[T_AlterOperatorStmt] = TEXT,
	[T_AlterCollationStmt] = NAMES(AlterCollationStmt, collname),
	[T_AlterTSDictionaryStmt] = NAMES(AlterTSDictionaryStmt, dictname),
	[T_AlterTSConfigurationStmt] = NAMES(AlterTSConfigurationStmt, cfgname),
	[T_CreateAmStmt] = TEXT,
	[T_CreatePLangStmt] = TEXT,

	/* schemas, extensions, and what a database has */
	[T_CreateSchemaStmt] = LOOK(look_at_create_schema),
	[T_CreateExtensionStmt] = TEXT,
	[T_AlterExtensionStmt] = TEXT,
	[T_AlterExtensionContentsStmt] = TEXT,
	[T_CreateEventTrigStmt] = TEXT,
	[T_AlterEventTrigStmt] = TEXT,
	[T_CreatePublicationStmt] = TEXT,
	[T_AlterPublicationStmt] = TEXT,

	/* what the server has */
	[T_CreatedbStmt] = FINAL,
	[T_DropdbStmt] = FINAL,
	[T_AlterDatabaseStmt] = LOOK(look_at_database),
	[T_CreateTableSpaceStmt] = FINAL,
	[T_DropTableSpaceStmt] = FINAL,
	[T_AlterTableSpaceOptionsStmt] = TEXT,

	KWJ_NEWER_STATEMENTS(TEXT)
};

#define FIELD(type, statement, offset)	(*(type *const *) ((const char *) (statement) + (offset)))

bool
kwj_track_has_row(const Node *statement)
{
	return (size_t) nodeTag(statement) < lengthof(rows) &&
		rows[nodeTag(statement)].kind != KWJ_TRACK_NOTHING;
}

KwjTrackClass
kwj_track_classify(const Node *statement)
{
	const Row  *row = &rows[nodeTag(statement)];
	KwjTrackClass class = {
		.kind = row->kind,
		.job_type = KWJ_SCHEMA_CHANGE,
		.is_final = row->is_final,
		.creates = row->creates,
	};

	Assert(kwj_track_has_row(statement));
	if (row->relation != 0)
		class.relation = FIELD(const RangeVar, statement, row->relation);
	if (row->names != 0 && is_in_pg_temp(FIELD(const List, statement, row->names)))
		class.kind = KWJ_TRACK_NOTHING;
	if (row->look != NULL)
		row->look(statement, &class);
	if (class.relation != NULL && is_temporary_relation(class.relation, class.creates))
		class.kind = KWJ_TRACK_NOTHING;
	return class;
}
