/*
 * src/track/validation.c
 *	  Shows how far a statement is in which PostgreSQL checks all rows of tables against constraints.
 *
 * Caller: session/object_hook.c, for each object that is created or altered. Process: any
 * backend; only workers and sessions that run such a statement as a job do anything. Locks:
 * AccessShareLock on pg_constraint for a moment. If the process dies, shared memory keeps the last
 * position until the slot or place has its next job.
 *
 * These are ALTER TABLE ... ADD CHECK, VALIDATE CONSTRAINT of a CHECK, and SET NOT NULL
 * (KWJ_COUNTS_CHECK). PostgreSQL executes them in two phases:
 *
 *     changes the catalogs, for the table and for those that inherit from it      the hook is called
 *     reads each of these tables once, in a scan that nobody else can see
 *
 * So the hook learns of all tables before PostgreSQL reads the first of them. For its statistics,
 * PostgreSQL counts how many blocks this process reads of each table, and a scan reads each block once.
 * A timer looks at these counters (job/position.c). The position is how many blocks were read since
 * the hook was called, of all blocks of these tables.
 *
 * Foreign keys are checked after these scans, by a query for each. If the statement checks one foreign
 * key and nothing else, this file has that query watched (kwj_scan_expect_check in job/scan.c).
 *
 * PostgreSQL keeps a table's counters in one place until after the end of the transaction, so the
 * handler of the timer may read them. The watch ends with the statement.
 *
 * The position is an estimate: PostgreSQL reads no table whose constraints prove that a column has no
 * NULL; and if the expression of a constraint reads the table, that counts, too.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "compat.h"
#include "job/catalog_row.h"
#include "job/current.h"
#include "job/progress.h"
#include "job/scan.h"
#include "pgstat.h"
#include "shared/session_jobs.h"
#include "storage/bufmgr.h"
#include "track/validation.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

/* With more tables, no position is shown. */
#define MOST_TABLES		256

/* A table whose rows are checked. */
typedef struct Checked
{
	Oid			table;
	const volatile PgStat_Counter *read;	/* how many blocks this process has read of it */
	PgStat_Counter before;		/* how many these were before the scan */
	BlockNumber blocks;
} Checked;

/* The tables of the statement that is watched. Read by the handler of SIGALRM. */
static Checked checked[MOST_TABLES];
static volatile int n_checked = 0;

/* How many foreign keys the statement checks. */
static int	n_foreign = 0;

/* The statement does something else, too, or checks tables of which nothing is known. */
static volatile bool has_more = false;

/*
 * Sets how many blocks PostgreSQL has read of the tables, and how many they have. The handler of the timer
 * calls this.
 */
static KwjPositionAnswer
look(uint32 *block, uint32 *blocks)
{
	uint64		done = 0;
	uint64		total = 0;

	for (int i = 0; i < n_checked; i++)
	{
		done += Min((uint64) (*checked[i].read - checked[i].before), checked[i].blocks);
		total += checked[i].blocks;
	}
	if (has_more || total > PG_UINT32_MAX)
		return KWJ_POSITION_NOT_KNOWN;
	*block = (uint32) done;
	*blocks = (uint32) total;
	return KWJ_POSITION_KNOWN;
}

/*
 * Returns where to write the position, if this process runs a statement that may be watched as a job;
 * otherwise NULL.
 */
static KwjPosition *
position_of_job(void)
{
	int			place = kwj_my_first_session_job();

	if (kwj_attempt_current() != NULL)
		return kwj_progress_counts() == KWJ_COUNTS_CHECK ? kwj_progress_scan() : NULL;
	if (place < 0 || kwj_my_session_job(place)->state != KWJ_SESSION_RUNNING ||
		kwj_my_session_job(place)->counts != KWJ_COUNTS_CHECK)
		return NULL;
	return kwj_my_session_job_scan(place);
}

/*
 * Begins to watch the statement, unless an earlier call in the same statement has done so. A watch that goes on
 * is always that of the present statement, because each statement ends its own.
 */
static void
begin_watch(KwjPosition *position)
{
	if (kwj_position_is_watched(look))
		return;
	n_checked = n_foreign = 0;
	has_more = false;
	kwj_position_watch(position, look);
}

static void
add_relation(Relation rel)
{
	const PgStat_Counter *read = kwj_blocks_read(rel);

	/* A partitioned table has no rows of its own, and PostgreSQL checks none of a foreign table. */
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		return;
	if (read == NULL || n_checked == MOST_TABLES || rel->rd_tableam != GetHeapamTableAmRoutine())
	{
		has_more = true;
		return;
	}
	checked[n_checked] = (Checked) {
		.table = RelationGetRelid(rel),
		.read = read,
		.before = *read,
		.blocks = RelationGetNumberOfBlocks(rel),
	};
	/* The handler must not see the number before the entry. */
	pg_compiler_barrier();
	n_checked++;
}

/*
 * Adds the table to `checked`, unless it is there already. The statement has the table open, so this function
 * needs no lock.
 */
static void
add_table(Oid table)
{
	Relation	rel;

	for (int i = 0; i < n_checked; i++)
		if (checked[i].table == table)
			return;
	rel = RelationIdGetRelation(table);
	if (!RelationIsValid(rel))
		return;
	add_relation(rel);
	RelationClose(rel);
}

static void
add_foreign_key(Oid table, KwjPosition *position)
{
	n_foreign++;
	if (n_foreign == 1 && n_checked == 0)
		kwj_scan_expect_check(position, table);
}

/*
 * The statement has created or altered the constraint with this OID: adds what PostgreSQL will check because of
 * it. The row of the constraint is not visible to the statement's own snapshot yet.
 */
static void
on_constraint(Oid oid, KwjPosition *position)
{
	HeapTuple	row = kwj_catalog_row(ConstraintRelationId, ConstraintOidIndexId, Anum_pg_constraint_oid, oid, SnapshotSelf);
	Form_pg_constraint constraint;

	if (!HeapTupleIsValid(row))
		return;
	constraint = (Form_pg_constraint) GETSTRUCT(row);
	if (constraint->convalidated && OidIsValid(constraint->conrelid))
	{
		if (constraint->contype == CONSTRAINT_FOREIGN)
			add_foreign_key(constraint->conrelid, position);
		else
			add_table(constraint->conrelid);
	}
	heap_freetuple(row);
}

void
kwj_validation_on_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id)
{
	bool		is_constraint = class_id == ConstraintRelationId &&
		(access == OAT_POST_CREATE || access == OAT_POST_ALTER);
	/* SET NOT NULL: since PostgreSQL 18 a constraint, too */
	bool		is_column = class_id == RelationRelationId && sub_id > 0 && access == OAT_POST_ALTER;
	KwjPosition *position;

	if (!is_constraint && !is_column)
		return;
	position = position_of_job();
	if (position == NULL)
		return;
	begin_watch(position);
	if (is_column)
		add_table(object_id);
	else
		on_constraint(object_id, position);
	if (n_foreign > 1 || (n_foreign == 1 && n_checked > 0))
		has_more = true;
	if (has_more)
		kwj_scan_expect_nothing();
}
