/*
 * src/type/export/parallel.c
 *	  How several processes export one large table: the worker of the job and parallel workers of
 *	  PostgreSQL. Each takes a range of the table's blocks, writes its rows, and takes the next one.
 *
 * Caller: export.c in the worker that runs the job, the leader here. The others are PostgreSQL's
 * parallel workers, as those of a query are: they see the leader's snapshot, have its role and
 * settings, count against max_parallel_workers, and end with the leader's transaction.
 *
 *     leader                      shared memory             parallel worker 0, 1, ...
 *       |  EnterParallelMode         team: next block
 *       +--- starts them ------------------------------------->+
 *       |                            range 0  <----------------+  COPY (SELECT ... ctid in range)
 *       +--- range 1                                           |    into files of its own
 *       |                            range 2  <----------------+
 *       |    ...                                               |
 *       |  waits                                               |  waits until its files are durable
 *       |                                                      +-- writes the list of its files, ends
 *       +--- reads the lists
 *
 * A process goes on with its file in the next range, so there are hardly more files than with one
 * process. If a worker has an error, PostgreSQL raises it in the leader. If the leader has one, it
 * ends the workers before it removes what they have written. If one of them is killed, the server
 * restarts.
 */
#include "postgres.h"

#include <fcntl.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "compat.h"
#include "job/json.h"
#include "job/test_gate.h"
#include "job/transaction.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_toc.h"
#include "type/export/copy.h"
#include "type/export/parallel.h"
#include "type/export/stage.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/rls.h"

/* This many blocks of a table are worth a process, unless the user has said how many processes. */
#define BLOCKS_PER_PROCESS	8192
/* A range has at least LEAST_RANGE, and at most MOST_RANGE blocks. */
#define LEAST_RANGE			64
#define MOST_RANGE			8192
/* A range is what is left of the table, divided by the number of processes and by this. */
#define RANGES_LEFT			3

enum
{
	KEY_TEAM = 1,
	KEY_TASK,
};

/* What a process has to know. A parallel worker gets it as JSON. */
typedef struct Task
{
	char	   *directory;
	int64		job_id;
	char	   *path;			/* of the item */
	char	   *columns;
	char	   *from;
	KwjExportOptions options;
	KwjDirectoryId id;			/* of the directory of the item in the stage */
} Task;

extern PGDLLEXPORT void kwj_export_worker_main(dsm_segment *seg, shm_toc *toc);

/* ---- whether ---- */

int
kwj_export_processes(const KwjExportItem *item, const KwjExportOptions *options)
{
	int			most = options->workers > 0 ? options->workers : max_parallel_maintenance_workers + 1;

	if (options->workers == 0)
		most = Min(most, (int) (item->blocks / BLOCKS_PER_PROCESS));
	most = Min(most, (int) (item->blocks / LEAST_RANGE));
	if (most <= 1 || options->chunk_rows == 0 || item->columns == NIL || max_parallel_workers == 0)
		return 1;
	/* Whoever may read all columns may not read ctid, unless he may read the table. */
	if (item->is_unsafe || pg_class_aclcheck(item->table, GetUserId(), ACL_SELECT) != ACLCHECK_OK ||
		check_enable_rls(item->table, InvalidOid, true) == RLS_ENABLED)
		return 1;
	return most;
}

/* ---- what each process does ---- */

/* What a process calls while it writes. */
typedef struct Reporting
{
	KwjExportTeam *team;
	KwjTeamReport on_team;		/* NULL: this is a parallel worker */
	void	   *arg;
} Reporting;

void
kwj_export_team_stand(KwjExportTeam *team, bool stands)
{
	pg_atomic_write_u32(&team->stands, stands);
	if (!stands)
		ConditionVariableBroadcast(&team->goes_on);
}

/* In a parallel worker: stands still as long as the leader does. If that ends, so does this process. */
static void
stand_with_leader(KwjExportTeam *team)
{
	if (pg_atomic_read_u32(&team->stands) == 0)
		return;
	ConditionVariablePrepareToSleep(&team->goes_on);
	while (pg_atomic_read_u32(&team->stands) != 0)
		ConditionVariableSleep(&team->goes_on, kwj_wait_event("KwjobsPaused"));
	ConditionVariableCancelSleep();
}

static void
on_output(void *arg, int64 rows, int64 bytes)
{
	Reporting  *reporting = arg;

	pg_atomic_fetch_add_u64(&reporting->team->rows, rows);
	pg_atomic_fetch_add_u64(&reporting->team->bytes, bytes);
	if (reporting->on_team != NULL)
		reporting->on_team(reporting->arg, reporting->team);
	else
		stand_with_leader(reporting->team);
}

/*
 * Takes the next range. Returns false if none is left. Ranges become smaller towards the end of the
 * table, so that no process is still busy with a large one when the others have nothing left to do.
 */
static bool
take_range(KwjExportTeam *team, uint64 *begin, uint64 *end)
{
	uint64		left;

	*begin = pg_atomic_read_u64(&team->next_block);
	do
	{
		if (*begin >= team->blocks)
			return false;
		left = team->blocks - *begin;
		*end = *begin + Min(left, Min(Max(left / (team->processes * RANGES_LEFT), LEAST_RANGE), MOST_RANGE));
	} while (!pg_atomic_compare_exchange_u64(&team->next_block, begin, *end));
	return true;
}

/* Exports ranges until none is left. Returns the files. */
static List *
export_ranges(const Task *task, const KwjDirectory *in, KwjSyncs *syncs, Reporting *reporting)
{
	KwjExportTeam *team = reporting->team;
	KwjExportOutput *output = kwj_output_begin(&task->options, in, syncs, &team->next_chunk, on_output, reporting);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kwjobs export of a range",
												  ALLOCSET_DEFAULT_SIZES);
	StringInfoData options;
	uint64		begin;
	uint64		end;

	initStringInfo(&options);
	kwj_export_copy_options(&task->options, &options);
	if (!IsParallelWorker())
		kwj_test_gate(4938);
	while (take_range(team, &begin, &end))
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		kwj_output_begin_copy(output);
		kwj_export_copy(psprintf("(SELECT %s FROM %s WHERE ctid OPERATOR(pg_catalog.>=) '(%u,0)'::pg_catalog.tid"
								 " AND ctid OPERATOR(pg_catalog.<) '(%u,0)'::pg_catalog.tid)",
								 task->columns, task->from, (BlockNumber) begin, (BlockNumber) end),
						options.data, kwj_output_row, output);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
		if (IsParallelWorker())
			kwj_test_gate(4933);
	}
	return kwj_output_end(output);
}

/* Returns the name of the file in which a parallel worker leaves the list of its files. */
static char *
list_name(int worker)
{
	return psprintf(".files-%d", worker);
}

/* ---- the parallel worker ---- */

/* Nobody reads the list after a crash, so it does not have to be on disk. */
static void
write_list(const KwjDirectory *in, const List *files)
{
	char	   *name = list_name(ParallelWorkerNumber);
	KwjOpenFile *list = kwj_file_open_in(in, name, O_WRONLY | O_CREAT | O_EXCL);
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, files)
	{
		const KwjExportFile *file = lfirst(lc);

		appendStringInfo(&text, "%s " INT64_FORMAT " " INT64_FORMAT " %s\n",
						 file->name, file->rows, file->bytes, file->checksum);
	}
	kwj_file_write(list, text.data, text.len, name);
	kwj_file_close(list, name);
}

static void
read_task(const char *text, Task *task)
{
	Jsonb	   *json = kwj_json_parse(text);

	task->directory = kwj_json_text(json, "directory");
	task->job_id = kwj_json_int64(json, "job_id");
	task->path = kwj_json_text(json, "path");
	task->columns = kwj_json_text(json, "columns");
	task->from = kwj_json_text(json, "from");
	task->id.device = kwj_json_int64(json, "device");
	task->id.inode = kwj_json_int64(json, "inode");
	kwj_export_parse_options(kwj_json_object(json, "options"), &task->options);
}

/* Opens the directory into which the leader writes, and makes sure that it is the same. */
static KwjDirectory *
open_directory(const Task *task)
{
	KwjDirectory *directory = kwj_stage_open_item(kwj_stage_open(kwj_directory_open("EXPORT", task->directory, false),
																 task->job_id),
												  task->path, false);

	if (!kwj_directory_is_same(directory->id, task->id))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("directory \"%s\" is another one than the job has opened", task->directory),
				errhint("Do not change the directory while a job writes to it."));
	return directory;
}

/* PostgreSQL calls this in each parallel worker, in a transaction. */
void
kwj_export_worker_main(dsm_segment *seg, shm_toc *toc)
{
	Task		task;
	Reporting	reporting = {.team = shm_toc_lookup(toc, KEY_TEAM, false)};
	KwjSyncs   *syncs = kwj_syncs_begin();
	KwjDirectory *in;
	List	   *files;

	read_task(shm_toc_lookup(toc, KEY_TASK, false), &task);
	in = open_directory(&task);
	files = export_ranges(&task, in, syncs, &reporting);
	while (kwj_syncs_wait(syncs))
		CHECK_FOR_INTERRUPTS();
	write_list(in, files);
	pg_atomic_fetch_add_u32(&reporting.team->finished, 1);
	SetLatch(&MyProc->lockGroupLeader->procLatch);
}

/* ---- the leader ---- */

static char *
task_text(const Task *task)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"job_id\": " INT64_FORMAT ", \"device\": " INT64_FORMAT ", \"inode\": " INT64_FORMAT
					 ", \"directory\": ", task->job_id, task->id.device, task->id.inode);
	escape_json(&json, task->directory);
	appendStringInfoString(&json, ", \"path\": ");
	escape_json(&json, task->path);
	appendStringInfoString(&json, ", \"columns\": ");
	escape_json(&json, task->columns);
	appendStringInfoString(&json, ", \"from\": ");
	escape_json(&json, task->from);
	appendStringInfoString(&json, ", \"options\": ");
	kwj_export_write_options(&task->options, &json);
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* Adds the files of a parallel worker, which has ended. */
static List *
read_list(List *files, const KwjDirectory *in, int worker)
{
	char	   *text = kwj_file_read_in(in, list_name(worker));
	char	   *rest = text;

	if (text == NULL)
		elog(ERROR, "a parallel worker has left no list of its files");
	for (char *line = strsep(&rest, "\n"); line != NULL && *line; line = strsep(&rest, "\n"))
	{
		KwjExportFile *file = palloc(sizeof(KwjExportFile));

		file->name = pstrdup(strsep(&line, " "));
		file->rows = strtoll(strsep(&line, " "), NULL, 10);
		file->bytes = strtoll(strsep(&line, " "), NULL, 10);
		file->checksum = pstrdup(line);
		files = lappend(files, file);
	}
	if (!kwj_directory_remove(in->fd, list_name(worker)))
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not remove file \"%s/%s\": %m", in->path, list_name(worker)));
	return files;
}

/* Creates shared memory with the team and the task. */
static KwjExportTeam *
make_team(ParallelContext *context, const KwjExportItem *item, const char *task, int processes)
{
	KwjExportTeam *team;
	char	   *copy;

	shm_toc_estimate_chunk(&context->estimator, sizeof(KwjExportTeam));
	shm_toc_estimate_chunk(&context->estimator, strlen(task) + 1);
	shm_toc_estimate_keys(&context->estimator, 2);
	InitializeParallelDSM(context);

	team = shm_toc_allocate(context->toc, sizeof(KwjExportTeam));
	pg_atomic_init_u64(&team->next_block, 0);
	pg_atomic_init_u32(&team->next_chunk, 0);
	pg_atomic_init_u64(&team->rows, 0);
	pg_atomic_init_u64(&team->bytes, 0);
	pg_atomic_init_u32(&team->finished, 0);
	pg_atomic_init_u32(&team->stands, 0);
	ConditionVariableInit(&team->goes_on);
	team->blocks = item->blocks;
	team->processes = processes;
	shm_toc_insert(context->toc, KEY_TEAM, team);

	copy = shm_toc_allocate(context->toc, strlen(task) + 1);
	strcpy(copy, task);
	shm_toc_insert(context->toc, KEY_TASK, copy);
	return team;
}

/*
 * Waits for the parallel workers, and obeys requests meanwhile. A worker that has an error tells PostgreSQL,
 * which sets this process's latch and raises it here.
 */
static void
await_workers(ParallelContext *context, Reporting *reporting)
{
	WaitForParallelWorkersToAttach(context);
	while (pg_atomic_read_u32(&reporting->team->finished) < (uint32) context->nworkers_launched)
	{
		reporting->on_team(reporting->arg, reporting->team);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, WAIT_EVENT_PARALLEL_FINISH);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	WaitForParallelWorkersToFinish(context);
}

static int
compare_files(const ListCell *a, const ListCell *b)
{
	const KwjExportFile *first = lfirst(a);
	const KwjExportFile *second = lfirst(b);
	size_t		difference = strlen(first->name) - strlen(second->name);

	/* n1.2.csv comes before n1.10.csv. */
	return difference != 0 ? (strlen(first->name) < strlen(second->name) ? -1 : 1) :
		strcmp(first->name, second->name);
}

List *
kwj_export_parallel(const KwjExportItem *item, const KwjExportSpec *spec, int64 job_id,
					const KwjDirectory *in, int processes, KwjSyncs *syncs, KwjTeamReport on_team, void *arg)
{
	Task		task = {
		.directory = spec->directory, .job_id = job_id, .path = item->path,
		.columns = kwj_export_column_list(item), .from = item->from, .options = spec->options, .id = in->id
	};
	Reporting	reporting = {.on_team = on_team, .arg = arg};
	ParallelContext *context;
	List	   *volatile files = NIL;
	int			level = NewGUCNestLevel();

	/* The planner is to choose a TID range scan: a sequential one would read the whole table for each range. */
	kwj_set_in_level("enable_seqscan", "off");
	EnterParallelMode();
	context = CreateParallelContext("kwjobs", "kwj_export_worker_main", processes - 1);
	reporting.team = make_team(context, item, task_text(&task), processes);
	PG_TRY();
	{
		LaunchParallelWorkers(context);
		files = export_ranges(&task, in, syncs, &reporting);
		await_workers(context, &reporting);
	}
	PG_CATCH();
	{
		/* The parallel workers have to be gone before the caller removes what they have written. */
		DestroyParallelContext(context);
		PG_RE_THROW();
	}
	PG_END_TRY();
	on_team(arg, reporting.team);
	for (int i = 0; i < context->nworkers_launched; i++)
		files = read_list(files, in, i);
	DestroyParallelContext(context);
	ExitParallelMode();
	AtEOXact_GUC(false, level);
	list_sort(files, compare_files);
	return files;
}
