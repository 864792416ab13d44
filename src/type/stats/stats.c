/*
 * src/type/stats/stats.c
 *	  Jobs of type CREATE_STATS: ANALYZE of a table, table by table if it is partitioned; and those of
 *	  the collector, AUTO_CREATE_STATS: ANALYZE of one table, which gives way (automatic.h).
 *
 * Callers: sessions, when the job is created (function/statistics.c, type/create.h); the
 * coordinator, when it creates a job of the collector; the worker, for each attempt.
 *
 *     for each partition, in the order of their OIDs:
 *         kwj_attempt_begin, check the table, ANALYZE the partition
 *         kwj_attempt_checkpoint             the next attempt goes on after this partition
 *     kwj_attempt_begin, check the table
 *         CREATE STATISTICS                  if several columns are named, see object.c
 *         ANALYZE the table itself
 *         kwj_attempt_succeed_and_claim      commits all of this, and marks the job as succeeded
 *
 * ANALYZE is interrupted by CANCEL at once, and by PAUSE after the time that all jobs have to stop by
 * themselves. The next attempt then begins with the same table: ANALYZE replaces the statistics that
 * it has made before. So does the next attempt if the worker dies. There is nothing to revert.
 *
 * Locks: ShareUpdateExclusiveLock on the table of the step, and AccessShareLock on the table of the
 * job, until the end of each step.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "job/arguments.h"
#include "job/json.h"
#include "job/progress.h"
#include "job/relation.h"
#include "job/test_gate.h"
#include "job/texts.h"
#include "job/transaction.h"
#include "lib/stringinfo.h"
#include "lifecycle/attempt.h"
#include "lifecycle/collection.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "parser/parse_node.h"
#include "pgstat.h"
#include "tcop/utility.h"
#include "type/columns.h"
#include "type/sql/messages.h"
#include "type/stats/automatic.h"
#include "type/stats/object.h"
#include "type/stats/stats.h"
#include "type/stats/target.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* In KWDB, statistics of this name are those that the server collects by itself. */
#define AUTOMATIC_NAME	"__auto__"
/* The share of the time for which their jobs sleep: in KWDB at most. */
#define AUTOMATIC_THROTTLING	"0.9"

/*
 * With THROTTLING a user says for which share of the time ANALYZE is to sleep. PostgreSQL has no such
 * setting: it sleeps for vacuum_cost_delay ms each time that ANALYZE has done as much work as
 * vacuum_cost_limit says. To make a delay of the share, the worker assumes that ANALYZE needs this
 * many ms to do that work (set_throttling).
 */
#define WORK_MS			10
/* the highest vacuum_cost_delay */
#define MOST_DELAY_MS	100

/* What the payload says. */
typedef struct Spec
{
	char	   *name;
	Oid			table;
	char	   *table_name;		/* with its schema, when the job was created */
	List	   *columns;		/* their names, when the job was created; NIL: all columns */
	List	   *numbers;		/* their numbers */
	char	   *throttling;		/* NULL: not given */
	bool		automatic;		/* the job is the collector's */
} Spec;

/* ---- the session that creates the job ---- */

static Jsonb *
make_payload(const Spec *spec)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"name\": ");
	escape_json(&json, spec->name);
	appendStringInfo(&json, ", \"table\": %u, \"table_name\": ", spec->table);
	escape_json(&json, spec->table_name);
	appendStringInfoString(&json, ", \"columns\": ");
	kwj_json_append_texts(&json, spec->columns);
	appendStringInfoString(&json, ", \"numbers\": ");
	kwj_json_append_numbers(&json, spec->numbers);
	if (spec->throttling)
		appendStringInfo(&json, ", \"throttling\": \"%s\"", spec->throttling);
	if (spec->automatic)
		appendStringInfoString(&json, ", \"automatic\": true");
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

/* Returns the arguments by which the same job can be created in another database. */
static Jsonb *
make_arguments(const Spec *spec)
{
	StringInfoData json;

	initStringInfo(&json);
	kwj_arguments_add_text(&json, "name", spec->name);
	kwj_arguments_add_text(&json, "table", spec->table_name);
	kwj_arguments_add_texts(&json, "columns", spec->columns);
	kwj_arguments_add_text(&json, "throttling", spec->throttling);
	return kwj_arguments_made(&json);
}

/* Returns the statement, with the name of the table in full. */
static char *
describe(const Spec *spec)
{
	StringInfoData text;
	const char *separator = " ON ";
	ListCell   *lc;

	initStringInfo(&text);
	appendStringInfo(&text, "CREATE STATISTICS %s", quote_identifier(spec->name));
	foreach(lc, spec->columns)
	{
		appendStringInfo(&text, "%s%s", separator, quote_identifier(lfirst(lc)));
		separator = ", ";
	}
	appendStringInfo(&text, " FROM %s", spec->table_name);
	if (spec->throttling)
		appendStringInfo(&text, " WITH OPTIONS THROTTLING %s", spec->throttling);
	return text.data;
}

static void
check_name(const char *name)
{
	if (name == NULL || name[0] == '\0')
		ereport(ERROR,
				errcode(name ? ERRCODE_INVALID_NAME : ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("the name of statistics must not be %s", name ? "empty" : "null"),
				errhint("Type CREATE STATISTICS name FROM table."));
	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				errcode(ERRCODE_NAME_TOO_LONG),
				errmsg("the name of statistics is too long: %zu bytes", strlen(name)),
				errhint("Choose a name of at most %d bytes.", NAMEDATALEN - 1));
	if (strcmp(name, AUTOMATIC_NAME) == 0)
		ereport(ERROR,
				errcode(ERRCODE_RESERVED_NAME),
				errmsg("the name \"%s\" is reserved for automatic statistics", name),
				errhint("Choose another name. Autovacuum and kwjobs.automatic_collection_enabled collect statistics by themselves."));
}

/* Returns the names of the columns; NIL: of all. */
static List *
column_names(ArrayType *columns)
{
	List	   *names = kwj_texts_of_array(columns, "the name of a column must not be null");

	if (columns != NULL && names == NIL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("no columns to collect statistics of"),
				errhint("Leave the columns out to collect statistics of all of them."));
	return names;
}

/*
 * Checks the job as its owner, who is the current user. Replaces the names that the user has given
 * for the columns by the present ones, and fills in their numbers and the name of the table.
 */
static void
validate_as_owner(void *arg)
{
	Spec	   *spec = arg;
	Relation	rel = kwj_stats_open(spec->table, NULL, AccessShareLock);

	spec->table_name = kwj_qualified_name(rel);
	spec->numbers = kwj_stats_column_numbers(rel, spec->columns);
	spec->columns = kwj_stats_column_names(rel, spec->numbers, NIL);
	if (list_length(spec->numbers) > 1)
		(void) kwj_stats_check_object(rel, spec->name, spec->numbers);
	relation_close(rel, NoLock);
}

void
kwj_stats_validate(const KwjNewStats *stats, KwjNewJob *job)
{
	Spec		spec = {.name = unconstify(char *, stats->name), .table = stats->table};

	PreventCommandDuringRecovery("CREATE STATISTICS");
	PreventCommandIfReadOnly("CREATE STATISTICS");
	check_name(stats->name);
	spec.columns = column_names(stats->columns);
	/* NaN, which is neither at least 0 nor below 1, is refused, too. */
	if (stats->has_throttling && !(stats->throttling >= 0 && stats->throttling < 1))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("THROTTLING fraction must be between 0 and 1"),
				errhint("Type for example WITH OPTIONS THROTTLING 0.9, to sleep for about nine tenths of the time; 1 would never end."));
	if (stats->has_throttling)
		spec.throttling = float8out_internal(stats->throttling);

	kwj_check_as_owner(job->owner, validate_as_owner, &spec);
	job->payload = make_payload(&spec);
	job->arguments = make_arguments(&spec);
	if (job->description == NULL)
		job->description = describe(&spec);
}

static void
stats_validate(Jsonb *arguments, KwjNewJob *job)
{
	static const char *const names[] = {"name", "table", "columns", "throttling", NULL};
	KwjNewStats stats = {0};
	char	   *table;
	char	   *throttling;

	kwj_arguments_check(arguments, job->job_type, names);
	stats.name = kwj_argument_text(arguments, "name");
	table = kwj_argument_text(arguments, "table");
	if (stats.name == NULL || table == NULL)
		kwj_argument_missing(job->job_type, stats.name ? "table" : "name");
	stats.table = DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(table)));
	stats.columns = kwj_argument_texts(arguments, "columns");
	throttling = kwj_argument_text(arguments, "throttling");
	stats.has_throttling = throttling != NULL;
	if (throttling)
		stats.throttling = DatumGetFloat8(DirectFunctionCall1(float8in, CStringGetDatum(throttling)));
	kwj_stats_validate(&stats, job);
}

/* ---- the coordinator that creates a job of the collector ---- */

void
kwj_stats_automatic(Oid table, const char *name, KwjNewJob *job)
{
	Spec		spec = {
		.name = AUTOMATIC_NAME,
		.table = table,
		.table_name = unconstify(char *, name),
		.throttling = AUTOMATIC_THROTTLING,
		.automatic = true,
	};

	job->payload = make_payload(&spec);
	job->description = psprintf("Table statistics refresh for %s.%s",
								quote_identifier(get_database_name(MyDatabaseId)), name);
	job->statement = psprintf("CREATE STATISTICS %s FROM [%u] WITH OPTIONS THROTTLING %s",
							  AUTOMATIC_NAME, table, AUTOMATIC_THROTTLING);
}

/* ---- the worker ---- */

/* An execution of the job by this process. */
typedef struct Collecting
{
	KwjAttempt *attempt;
	Spec		spec;
	Oid			after;			/* the partitions up to this one are done */
	int			done;			/* how many these are, over all attempts */
	bool		planned;		/* `left` is known */
	List	   *left;			/* the partitions that are left; the table itself comes last */
	MemoryContext context;		/* lives as long as the execution */
} Collecting;

static void
read_payload(Jsonb *payload, Spec *spec)
{
	spec->name = kwj_json_text(payload, "name");
	spec->table = (Oid) kwj_json_int64(payload, "table");
	spec->table_name = kwj_json_text(payload, "table_name");
	spec->columns = kwj_json_texts(payload, "columns");
	spec->numbers = kwj_payload_columns(payload);
	spec->throttling = kwj_json_text_or_null(payload, "throttling");
	spec->automatic = kwj_json_bool_or_false(payload, "automatic");
}

static void
begin_collecting(Collecting *collecting, KwjAttempt *attempt)
{
	*collecting = (Collecting) {.attempt = attempt, .context = CurrentMemoryContext};
	read_payload(attempt->payload, &collecting->spec);
	if (attempt->checkpoint != NULL)
	{
		collecting->after = (Oid) kwj_json_int64(attempt->checkpoint, "after");
		collecting->done = (int) kwj_json_int64(attempt->checkpoint, "done");
	}
}

static Jsonb *
checkpoint_state(const Collecting *collecting)
{
	return kwj_json_parse(psprintf("{\"after\": %u, \"done\": %d}",
								   collecting->after, collecting->done));
}

/*
 * Finds out which partitions the worker still has to analyze, once in each execution. It does not
 * analyze partitions that are attached later; autovacuum does. A job of the collector analyzes none,
 * since each of them is a table of autovacuum, or of the collector.
 */
static void
plan(Collecting *collecting, Relation table)
{
	MemoryContext caller;
	List	   *partitions;
	ListCell   *lc;

	if (collecting->planned)
		return;
	partitions = collecting->spec.automatic ? NIL : kwj_stats_partitions(table);
	caller = MemoryContextSwitchTo(collecting->context);
	foreach(lc, partitions)
		if (lfirst_oid(lc) > collecting->after)
			collecting->left = lappend_oid(collecting->left, lfirst_oid(lc));
	MemoryContextSwitchTo(caller);
	collecting->planned = true;
}

/* Returns how many tables there are, with those that are done and the table itself. */
static int
table_count(const Collecting *collecting)
{
	return collecting->done + list_length(collecting->left) + 1;
}

/*
 * Shows which table comes now, before the worker waits for its lock. Each counts as an equal share:
 * ANALYZE reads a sample, whose size does not depend on that of the table.
 */
static void
show_step(const Collecting *collecting, Oid table)
{
	int			number = collecting->done + 1;
	int			count = table_count(collecting);
	char	   *name = kwj_name_of_relation(table);

	/* The table may have been dropped. Then do_partition() has nothing to do, and nothing is shown. */
	if (name == NULL)
		return;
	kwj_progress_begin_statement(number, count, KWJ_COUNTS_TABLE);
	if (count > 1)
		kwj_progress_set_status(psprintf("table %d of %d: %s", number, count, name));
	pgstat_report_activity(STATE_RUNNING, psprintf("ANALYZE %s", name));
}

/* Sets vacuum_cost_delay so that ANALYZE sleeps for about this share of the time. */
static void
set_throttling(double throttling)
{
	double		delay = Min(MOST_DELAY_MS, WORK_MS * throttling / (1 - throttling));

	kwj_set_in_level("vacuum_cost_delay", psprintf("%.3f", delay));
}

/*
 * Runs ANALYZE of this table alone, without its partitions, in the current transaction. The table is
 * named by its OID and has been locked, so that it stays the one that was checked. If the role may
 * not analyze it, ANALYZE warns and leaves it out.
 */
static void
run_analyze(Oid table, List *columns)
{
	VacuumStmt *statement = makeNode(VacuumStmt);
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, columns)
		names = lappend(names, makeString(lfirst(lc)));
	statement->is_vacuumcmd = false;
	statement->rels = list_make1(makeVacuumRelation(NULL, table, names));
	ExecVacuum(make_parsestate(NULL), statement, false);
}

/*
 * Runs ANALYZE of this table with the job's THROTTLING. What ANALYZE reports goes to the messages of
 * the job.
 */
static void
analyze(const Collecting *collecting, Relation rel, List *columns)
{
	int			level = NewGUCNestLevel();
	MemoryContext portal = PortalContext;

	if (collecting->spec.throttling)
		set_throttling(strtod(collecting->spec.throttling, NULL));
	/*
	 * ExecVacuum allocates its memory in PortalContext, and a worker has no portal. After an error,
	 * the end of the transaction frees the memory.
	 */
	PortalContext = CurrentMemoryContext;
	kwj_sql_messages_begin();
	PG_TRY();
	{
		run_analyze(RelationGetRelid(rel), columns);
	}
	PG_FINALLY();
	{
		PortalContext = portal;
		kwj_sql_messages_end();
	}
	PG_END_TRY();
	AtEOXact_GUC(true, level);
}

/* As analyze(), but gives way to sessions that wait for a lock on the table or its children. */
static void
analyze_yielding(const Collecting *collecting, Relation rel)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *tables = find_all_inheritors(RelationGetRelid(rel), NoLock, NULL);

	/* find_all_inheritors() returns the table itself first. */
	kwj_yield_lock_children(tables);
	kwj_yield_begin();
	PG_TRY();
	{
		analyze(collecting, rel, NIL);
		kwj_test_gate_held(4935);
		/* A session that has canceled ANALYZE too late for it is waiting all the same. */
		CHECK_FOR_INTERRUPTS();
	}
	PG_CATCH();
	{
		kwj_yield_end();
		MemoryContextSwitchTo(caller);
		kwj_yield_explain(tables, collecting->spec.table_name);
		PG_RE_THROW();
	}
	PG_END_TRY();
	kwj_yield_end();
}

/* Does the first of the partitions that are left, and commits the checkpoint. */
static KwjRequest
do_partition(Collecting *collecting, List *columns)
{
	Oid			oid = linitial_oid(collecting->left);
	Relation	partition;

	show_step(collecting, oid);
	partition = try_relation_open(oid, ShareUpdateExclusiveLock);
	/* It may have been dropped or detached meanwhile. */
	if (partition != NULL && partition->rd_rel->relispartition)
		analyze(collecting, partition, columns);
	if (partition != NULL)
		relation_close(partition, NoLock);
	collecting->left = list_delete_first(collecting->left);
	collecting->after = oid;
	collecting->done++;
	return kwj_attempt_checkpoint(collecting->attempt, checkpoint_state(collecting),
								  (double) collecting->done / table_count(collecting), 0, false);
}

/* Does the table itself, and ends the job. */
static void
do_table(const Collecting *collecting, Relation table, List *columns)
{
	const Spec *spec = &collecting->spec;

	show_step(collecting, spec->table);
	if (list_length(columns) > 1)
		kwj_stats_create_object(table, spec->name, spec->numbers, columns);
	if (spec->automatic)
	{
		/* What changes from now on counts as changed since the statistics were collected. */
		int64		changes = kwj_collection_changes(spec->table);

		analyze_yielding(collecting, table);
		kwj_collection_done(spec->table, changes);
	}
	else
		analyze(collecting, table, columns);
	relation_close(table, NoLock);
	PopActiveSnapshot();
	kwj_attempt_succeed_and_claim(collecting->attempt, 0, NULL);
}

/*
 * Does one step. Sets *is_over if the job has succeeded with it. Returns the request that has been
 * committed for the job by then.
 */
static KwjRequest
step(Collecting *collecting, bool *is_over)
{
	const Spec *spec = &collecting->spec;
	KwjRequest	request = KWJ_REQUEST_NONE;
	Relation	table;
	List	   *columns;

	kwj_attempt_begin(collecting->attempt);
	if (spec->automatic)
		kwj_yield_lock(spec->table, spec->table_name);
	/* What was allowed when the job was created may not be allowed any more. */
	table = kwj_stats_open(spec->table, spec->table_name, AccessShareLock);
	columns = kwj_stats_column_names(table, spec->numbers, spec->columns);
	plan(collecting, table);
	*is_over = collecting->left == NIL;
	if (*is_over)
		do_table(collecting, table, columns);
	else
	{
		relation_close(table, NoLock);
		request = do_partition(collecting, columns);
	}
	return request;
}

static KwjRequest
stats_execute(KwjAttempt *attempt)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "kwjobs statistics",
												  ALLOCSET_SMALL_SIZES);
	Collecting	collecting;
	KwjRequest	request;
	bool		is_over = false;

	MemoryContextSwitchTo(context);
	begin_collecting(&collecting, attempt);
	do
		request = step(&collecting, &is_over);
	while (!is_over && request == KWJ_REQUEST_NONE);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return request;
}

const KwjType kwj_type_auto_create_stats = {
	.name = KWJ_AUTO_CREATE_STATS,
	.pausable = true,
	.cancelable = true,
	.execute = stats_execute,
};

const KwjType kwj_type_create_stats = {
	.name = KWJ_CREATE_STATS,
	.pauses = KWJ_PAUSES_SOMETIMES,
	.pausable = true,
	.cancelable = true,
	.validate = stats_validate,
	.execute = stats_execute,
};
