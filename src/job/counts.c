/*
 * src/job/counts.c
 *	  What the progress counters that PostgreSQL keeps for a statement say of the whole statement.
 *
 * Process: the worker or the session that runs a job calls this before a statement of the job. The
 * function is pure.
 *
 * A statement such as VACUUM FULL without a table lets PostgreSQL count several times from 0, and
 * ALTER TABLE counts the index that it builds, but not the rewrite of the table. Then the counters
 * say what the statement does, but not how far it is. Whether a table has partitions or a TOAST
 * table is not known from the statement: sessions that look at the job see to that
 * (function/command.c).
 */
#include "postgres.h"

#include "compat.h"
#include "job/counts.h"

bool
kwj_is_row_change(const Node *statement)
{
	return IsA(statement, InsertStmt) || IsA(statement, UpdateStmt) ||
		IsA(statement, DeleteStmt) || kwj_is_merge(statement);
}

bool
kwj_makes_table(const SelectStmt *select)
{
	/* of a UNION or the like, the first SELECT has INTO */
	while (select->larg != NULL)
		select = select->larg;
	return select->intoClause != NULL;
}

static KwjCounts
counts_of_vacuum(const VacuumStmt *statement)
{
	ListCell   *lc;

	if (list_length(statement->rels) != 1)
		return KWJ_COUNTS_PART;
	/* VACUUM ANALYZE counts twice */
	foreach(lc, statement->options)
		if (statement->is_vacuumcmd && strcmp(((DefElem *) lfirst(lc))->defname, "analyze") == 0)
			return KWJ_COUNTS_PART;
	return KWJ_COUNTS_TABLE;
}

/* Returns whether the new constraint is one for which PostgreSQL looks at all rows. */
static bool
is_validated(const Constraint *constraint)
{
	return !constraint->skip_validation &&
		(constraint->contype == CONSTR_CHECK || constraint->contype == CONSTR_FOREIGN ||
		 constraint->contype == CONSTR_NOTNULL);
}

static bool
validates(const AlterTableCmd *command)
{
	switch (command->subtype)
	{
		case AT_ValidateConstraint:
		case AT_SetNotNull:
		case AT_AttachPartition:
			return true;
		case AT_AddConstraint:
			return IsA(command->def, Constraint) && is_validated((const Constraint *) command->def);
		default:
			return false;
	}
}

/* Returns whether all that the command does with rows is to check those of the table. */
static bool
checks_rows(const AlterTableCmd *command)
{
	return validates(command) && command->subtype != AT_AttachPartition;
}

static KwjCounts
counts_of_alter_table(const AlterTableStmt *statement)
{
	bool		validates_any = false;
	bool		checks_only = true;
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		validates_any |= validates(lfirst_node(AlterTableCmd, lc));
		checks_only &= checks_rows(lfirst_node(AlterTableCmd, lc));
	}
	if (!validates_any)
		return KWJ_COUNTS_FILE;
	return checks_only ? KWJ_COUNTS_CHECK : KWJ_COUNTS_VALIDATION;
}

/* C: ADD CONSTRAINT, V: VALIDATE CONSTRAINT, O: SET NOT NULL */
static KwjCounts
counts_of_alter_domain(const AlterDomainStmt *statement)
{
	if (statement->subtype == 'V' || statement->subtype == 'O' ||
		(statement->subtype == 'C' && is_validated((const Constraint *) statement->def)))
		return KWJ_COUNTS_VALIDATION;
	return KWJ_COUNTS_PART;
}

/* Returns KWJ_COUNTS_DROP if the objects, or those in them, have files. */
static KwjCounts
counts_of_drop(const DropStmt *statement)
{
	switch (statement->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_INDEX:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_SCHEMA:
			return KWJ_COUNTS_DROP;
		default:
			return KWJ_COUNTS_PART;
	}
}

KwjCounts
kwj_counts_of(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
		case T_CopyStmt:
			return KWJ_COUNTS_TABLE;
		case T_ReindexStmt:
			switch (((const ReindexStmt *) statement)->kind)
			{
				case REINDEX_OBJECT_INDEX:
					return KWJ_COUNTS_INDEX;
				case REINDEX_OBJECT_TABLE:
					return KWJ_COUNTS_TABLE;
				default:
					return KWJ_COUNTS_PART;
			}
		case T_VacuumStmt:
			return counts_of_vacuum((const VacuumStmt *) statement);
		case KWJ_CLUSTER:
			return kwj_cluster_relation(statement) != NULL ? KWJ_COUNTS_TABLE : KWJ_COUNTS_PART;
		case T_CreateTableAsStmt:
		case T_RefreshMatViewStmt:
			return KWJ_COUNTS_FILE;
		case T_AlterTableStmt:
			return counts_of_alter_table((const AlterTableStmt *) statement);
		case T_AlterDomainStmt:
			return counts_of_alter_domain((const AlterDomainStmt *) statement);
		case T_DropStmt:
			return counts_of_drop((const DropStmt *) statement);
		case T_DropOwnedStmt:
			return KWJ_COUNTS_DROP;
		case T_DropdbStmt:
			return KWJ_COUNTS_DROP_DATABASE;
		case T_TruncateStmt:
			return KWJ_COUNTS_TRUNCATE;
		case T_SelectStmt:
			return kwj_makes_table((const SelectStmt *) statement) ? KWJ_COUNTS_FILE : KWJ_COUNTS_PART;
		default:
			return KWJ_COUNTS_PART;
	}
}
