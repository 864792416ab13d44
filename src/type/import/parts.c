/*
 * src/type/import/parts.c
 *	  How several workers carry an IMPORT together: one of them cuts the files into pieces, and each
 *	  imports the first piece that is left.
 *
 * Callers: the workers, by way of kwj_import_parts (doc/developers/parts.md). Part 0 reads the files
 * ahead of all parts, and cuts them where records end. The parts import the pieces in the order of
 * the files.
 *
 *      files    |....record|record....|....record|..         each | is the end of a record
 *                  piece 0      piece 1     piece 2 (goes on in the next file)
 *
 *      wanted   checks the target, as a batch does, and whether it lets several workers import
 *      plan     finds the ends of the next pieces (kwj_reader_find_end)
 *      work     imports a piece: one batch, or several, each with a checkpoint of the piece
 *      replay   if a unique index has refused a row: in the order of the files (replay.c)
 *      finish   does the last step, if there is one (maintain.c), and ends the job
 *
 * The state of planning has the position behind the last piece, the tables that hold rows, as they
 * were before the first row came (`storage`), and the remarks about skipped lines. A piece says
 * where it begins and ends; its state says where to go on in it, and has the storage of tables that
 * became partitions later, and how many records were left out.
 *
 * If one worker has to import everything, there is one piece, and nothing is scanned ahead.
 *
 * Process: worker. Locks: RowExclusiveLock on the target and its partitions, until the end of each
 * transaction. If a part dies, its batch is rolled back, and another part goes on with the piece.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/json.h"
#include "job/test_gate.h"
#include "job/transcript.h"
#include "lifecycle/attempt.h"
#include "type/import/batch.h"
#include "type/import/maintain.h"
#include "type/import/order.h"
#include "type/import/parts.h"
#include "type/import/reject_file.h"
#include "type/import/replay.h"
#include "type/import/revert.h"
#include "type/import/statement.h"
#include "type/import/verify.h"
#include "kwjobs.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

/* A piece has about PIECE_SIZE bytes, or BATCHES_IN_PIECE batches if these are smaller. */
#define PIECE_SIZE			(INT64CONST(16) * 1024 * 1024)
#define BATCHES_IN_PIECE	4
/* Pieces are larger if there would be more of them than about this many. */
#define MOST_PIECES			4096
/* Towards the end of the files pieces are smaller, but no smaller than this. */
#define LAST_PIECE_SIZE		(INT64CONST(1) * 1024 * 1024)

/* A step of planning scans about this many bytes. */
#define STEP_SIZE			(4 * PIECE_SIZE)
/* ... and adds at most this many pieces, because small ones cost more than the scan. */
#define PIECES_IN_STEP		16

/* At most this many remarks about skipped lines are kept. */
#define MOST_REMARKS		100

/* What a part keeps from one piece to the next. */
typedef struct Carrier
{
	KwjImport	import;
	char	   *reason;			/* ": " and why one worker imports everything; NULL: several may */
	bool		has_storage;	/* import.storage has the tables of the job's rows so far */
	int			recorded;		/* how many of its tables are in the state of planning */
	const KwjPiece *piece;		/* the piece in work */
	int64		first_rows;		/* of the attempt, when this part first looked */
	TimestampTz begun;			/* when that was; 0: it has not looked yet */
} Carrier;

static bool
used(const KwjAttempt *attempt)
{
	return kwj_import_payload_workers(attempt->payload) > 1;
}

static void show(const KwjImport *import, int64 rows);

static Carrier *
carrier_of(KwjAttempt *attempt)
{
	MemoryContext context = GetMemoryChunkContext(attempt->payload);
	MemoryContext caller;
	Carrier    *carrier;

	if (attempt->kept != NULL)
		return attempt->kept;
	caller = MemoryContextSwitchTo(context);
	carrier = palloc0(sizeof(Carrier));
	kwj_import_init(&carrier->import, attempt);
	carrier->import.show = show;
	carrier->import.arg = carrier;
	carrier->import.quiet = true;
	attempt->kept = carrier;
	MemoryContextSwitchTo(caller);
	return carrier;
}

/* Reads which tables hold rows of the job, if this part has not done so yet. */
static void
need_storage(Carrier *carrier)
{
	if (carrier->has_storage)
		return;
	carrier->recorded = kwj_import_read_storage(carrier->import.attempt, &carrier->import.storage);
	carrier->has_storage = true;
}

/*
 * Keeps the reason why one worker has to import everything, with a colon, in memory that outlives
 * the transaction.
 */
static void
set_reason(Carrier *carrier, const char *reason)
{
	MemoryContext context = GetMemoryChunkContext(carrier->import.attempt->payload);

	carrier->reason = reason ? MemoryContextStrdup(context, psprintf(": %s", reason)) : NULL;
}

/*
 * Returns the checkpoint of an attempt that has created the target and planned nothing yet, as
 * lifecycle/parts.c writes it.
 */
static Jsonb *
created_state(const KwjImport *import)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"planned\": 0, \"total\": 0, \"complete\": 0, \"state\": {");
	kwj_created_write(&import->created, &json);
	appendStringInfoString(&json, "}}");
	return kwj_json_parse(json.data);
}

/*
 * Checks one of the tables of the import as a batch does, and looks whether several workers may fill it.
 * *reason: why one worker has to import everything; set only if no earlier table has given a reason.
 */
static void
check_table(KwjImport *import, int number, char **reason)
{
	char	   *found;

	import->position.file = 0;
	for (int i = 0; i < number; i++)
		import->position.file += ((KwjImportTable *) list_nth(import->spec.tables, i))->n_files;
	kwj_import_open_target(import);
	(void) kwj_import_run_statement(kwj_import_begin(import->pstate, import->rel, import->numbers,
													 import->text),
									NULL, NULL);
	kwj_storage_note(&import->storage, import->rel);
	found = kwj_import_needs_order(import->rel, import->numbers,
								   import->spec.options.on_error == KWJ_IMPORT_SKIP);
	if (*reason == NULL && found != NULL)
		*reason = import->spec.tables == NIL ? found : psprintf("%s of %s", found, import->spec.table);
	kwj_import_close_target(import);
}

static int
wanted(KwjAttempt *attempt)
{
	Carrier    *carrier = carrier_of(attempt);
	KwjImport  *import = &carrier->import;
	char	   *reason = NULL;

	need_storage(carrier);
	kwj_reject_file_begin(&import->spec.options, attempt->job_id);
	kwj_import_read_created(import, kwj_parts_state(attempt));
	/* Nothing is created for files that are not as they should be. */
	if (import->spec.definition != NULL && !import->created.is_done && kwj_import_needs_check(import, 0) &&
		!kwj_import_check_sums(import, 0))
		return 1;
	if (kwj_import_create_target(import))
		(void) kwj_attempt_write_checkpoint(attempt, created_state(import), 0, 0);
	for (int i = 0; i < Max(list_length(import->spec.tables), 1); i++)
		check_table(import, i, &reason);
	import->position.file = 0;
	attempt->rows = kwj_pieces_rows_so_far(attempt);
	if (attempt->rows > 0)
		kwj_import_check_not_emptied(attempt, &import->storage);
	set_reason(carrier, reason);
	return carrier->reason ? 1 : import->spec.options.workers;
}

/* ---- planning ---- */

/* A step of planning. The checkpoint carries position and remarks to the next step. */
typedef struct Planning
{
	KwjImport  *import;
	KwjImportPosition position;
	KwjImportEnd end;			/* of the last file; import->end is that of a piece */
	List	   *remarks;		/* char * */
	int64		total;			/* bytes of all files */
	int64		bytes;			/* of all pieces that are planned */
} Planning;

/*
 * Returns the size of the next piece. If the last pieces were as large as the others, one worker would still
 * be busy with one of them when the others have nothing left to do.
 */
static int64
piece_size(const Planning *planning)
{
	int64		batches = (int64) kwj_import_batch_size * 1024 * BATCHES_IN_PIECE;
	int64		size = Max(Min(PIECE_SIZE, batches), planning->total / MOST_PIECES);
	int			workers = Min(planning->import->spec.options.workers, kwj_max_workers);
	int64		share = (planning->total - planning->bytes) / (2 * Max(workers, 1));

	return Min(size, Max(share, LAST_PIECE_SIZE));
}

static Jsonb *
plan_state(const Planning *planning)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	kwj_import_position_write(&planning->position, &json);
	appendStringInfoString(&json, ", \"remarks\": ");
	kwj_json_append_texts(&json, planning->remarks);
	appendStringInfo(&json, ", \"bytes\": " INT64_FORMAT ", ", planning->bytes);
	kwj_storage_write(&planning->import->storage, &json);
	if (planning->import->spec.definition != NULL)
	{
		appendStringInfoString(&json, ", ");
		kwj_created_write(&planning->import->created, &json);
	}
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

static void
add_piece(const KwjImport *import, const KwjImportPosition *from, const KwjImportEnd *end, int64 bytes)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	kwj_import_position_write(from, &json);
	appendStringInfoString(&json, ", ");
	kwj_import_position_write_end(end, &json);
	kwj_import_write_checked(import, from->file, end->file, &json);
	appendStringInfoChar(&json, '}');
	kwj_piece_add(import->attempt, bytes, kwj_json_parse(json.data));
}

/*
 * Moves the position over at least `bytes` bytes of its file, to the end of a record, or to the next
 * file. Returns how many bytes it was.
 */
static int64
find_end(Planning *planning, int64 bytes)
{
	KwjImportPosition *position = &planning->position;
	const KwjImportSpec *spec = &planning->import->spec;
	KwjImportReader reader = {0};
	int64		from = position->offset;
	int64		found;
	char	   *remark;

	planning->import->position.file = position->file;
	kwj_import_select_table(planning->import);
	remark = kwj_reader_open(&reader, list_nth(spec->files, position->file), position,
							 &spec->options, bytes, NULL);
	if (remark != NULL && list_length(planning->remarks) < MOST_REMARKS)
		planning->remarks = lappend(planning->remarks, remark);
	kwj_reader_refuse_one_reader(&reader);
	kwj_reader_find_end(&reader, bytes);
	kwj_reader_close(&reader);
	found = position->offset - from;
	if (reader.at_end)
		kwj_import_position_next_file(position);
	return found;
}

static bool
is_planned(const Planning *planning)
{
	return kwj_import_position_is_at_end(&planning->position, &planning->end);
}

/* Returns whether the error is about a file, and not an interrupt. */
static bool
is_about_file(int sqlerrcode)
{
	return ERRCODE_TO_CATEGORY(sqlerrcode) != ERRCODE_OPERATOR_INTERVENTION;
}

/*
 * Does find_end in a subtransaction, which an error of the file rolls back. Returns false after such an error.
 */
static bool
try_to_find_end(Planning *planning, int64 bytes, int64 *found)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool readable = true;
	ErrorData  *volatile edata = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		*found = find_end(planning, bytes);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		FlushErrorState();
		/* After an interrupt, too: the worker aborts the transaction, and not a subtransaction of it. */
		RollbackAndReleaseCurrentSubTransaction();
		readable = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (edata != NULL && !is_about_file(edata->sqlerrcode))
		ReThrowError(edata);
	return readable;
}

/*
 * Cuts the next piece off. Returns its size. If a file cannot be read, this is no error yet, because a
 * record before it may have one, which comes first. So the piece gets all that is left, and the part
 * that imports it raises the error that comes first.
 */
static int64
plan_piece(Planning *planning)
{
	const KwjImportPosition from = planning->position;
	const int64 size = piece_size(planning);
	KwjImportEnd end;
	int64		bytes = 0;
	int64		found = 0;

	while (bytes < size && !is_planned(planning))
	{
		if (!try_to_find_end(planning, size - bytes, &found))
		{
			memset(&planning->position, 0, sizeof(planning->position));
			planning->position.file = planning->end.file;
			break;
		}
		bytes += found;
	}
	end.file = planning->position.file;
	end.offset = planning->position.offset;
	end.identity = planning->position.identity;
	add_piece(planning->import, &from, &end, bytes);
	planning->bytes += bytes;
	return bytes;
}

/* Plans all of the import as one piece. */
static void
plan_everything(Planning *planning, int64 total)
{
	add_piece(planning->import, &planning->position, &planning->end, total);
	planning->position.file = planning->end.file;
}

static void
plan(KwjAttempt *attempt, KwjPlan *plan)
{
	Carrier    *carrier = carrier_of(attempt);
	Planning	planning = {.import = &carrier->import};
	int64		left = STEP_SIZE;

	kwj_import_check_may_read(carrier->import.spec.files);
	kwj_test_gate(4942);
	/* Before the first step, the state has at most what the job has created. */
	if (plan->state == NULL || kwj_json_int64_or(plan->state, "file", -1) < 0)
		plan->total = kwj_import_bytes_of_files(planning.import);
	else
	{
		kwj_import_position_read(&planning.position, plan->state);
		planning.remarks = kwj_json_texts(plan->state, "remarks");
		planning.bytes = kwj_json_int64_or(plan->state, "bytes", 0);
	}
	planning.end.file = list_length(planning.import->spec.files);
	planning.total = plan->total;
	/* It may have to stop before it is through: then nothing is planned. */
	if (kwj_import_needs_check(planning.import, planning.position.file) &&
		!kwj_import_check_sums(planning.import, planning.position.file))
	{
		plan->state = plan_state(&planning);
		return;
	}

	if (carrier->reason != NULL && attempt->planned == 0)
		plan_everything(&planning, plan->total);
	for (int i = 0; i < PIECES_IN_STEP && left > 0 && !is_planned(&planning); i++)
		left -= plan_piece(&planning);
	plan->complete = is_planned(&planning);
	plan->state = plan_state(&planning);
	/* The first step records the tables. When it is committed, part 0 reads how many they are (need_storage). */
	carrier->has_storage = carrier->recorded > 0;
}

/* ---- work ---- */

static void
show(const KwjImport *import, int64 rows)
{
	Carrier    *carrier = import->arg;
	KwjTeamProgress team;
	double		seconds;
	char	   *text;

	team = kwj_piece_progress(carrier->piece,
							  kwj_import_bytes_done(import) - carrier->piece->units_done,
							  rows - carrier->piece->rows);
	carrier->import.together = team.present > 1;
	if (carrier->begun == 0)
	{
		carrier->begun = GetCurrentTimestamp();
		carrier->first_rows = team.rows;
	}
	seconds = (GetCurrentTimestamp() - carrier->begun) / 1e6;
	text = psprintf("imported " UINT64_FORMAT " rows, " UINT64_FORMAT " MB of " UINT64_FORMAT
					" MB, %.0f rows/s, %d worker%s%s",
					team.rows, team.done / 1000000, team.total / 1000000,
					seconds > 0 ? (team.rows - carrier->first_rows) / seconds : 0.0,
					team.present, team.present == 1 ? "" : "s",
					carrier->reason ? carrier->reason : "");
	kwj_progress_set_status(text);
	pfree(text);
}

/*
 * Returns whether this part knows of tables that are not in the state of planning: they became
 * partitions later. Then each of its pieces keeps them, because a piece has no other place for them
 * than its state, which the next checkpoint overwrites.
 */
static bool
has_new_storage(const Carrier *carrier)
{
	return carrier->import.storage.n > carrier->recorded;
}

static Jsonb *
piece_state(const Carrier *carrier)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	kwj_import_position_write(&carrier->import.position, &json);
	if (carrier->import.rejected > 0)
		kwj_import_write_rejected(&carrier->import, carrier->piece, &json);
	if (has_new_storage(carrier))
	{
		appendStringInfoString(&json, ", ");
		kwj_storage_write(&carrier->import.storage, &json);
	}
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

/*
 * Imports a batch of the piece, and commits it with a checkpoint. Returns whether this part has to
 * go on with the piece.
 */
static bool
import_batch(Carrier *carrier, KwjPiece *piece)
{
	KwjImport  *import = &carrier->import;
	KwjAttempt *attempt = import->attempt;
	KwjRequest	request = KWJ_REQUEST_NONE;
	bool		done;

	kwj_attempt_begin(attempt);
	need_storage(carrier);
	kwj_import_run_batch(import);
	show(import, import->rows);
	piece->units_next = kwj_import_bytes_done(import);
	done = kwj_import_is_done(import);
	if (done)
	{
		piece->result = has_new_storage(carrier) || import->rejected > 0 ? piece_state(carrier) : NULL;
		kwj_piece_done(attempt, piece, import->rows, true);
	}
	else
		request = kwj_piece_checkpoint(attempt, piece, piece_state(carrier), import->rows, true);
	kwj_pace_end_batch(&import->pace, import->batch_bytes);
	return !done && request == KWJ_REQUEST_NONE;
}

static void
work(KwjAttempt *attempt, KwjPiece *piece)
{
	Carrier    *carrier = carrier_of(attempt);

	kwj_import_set_piece(&carrier->import, piece);
	kwj_import_read_checked(&carrier->import, piece->what);
	carrier->piece = piece;
	carrier->import.decides = kwj_import_is_whole(&carrier->import, piece);
	while (import_batch(carrier, piece))
		;
}

/* ---- the end ---- */

/* Does the last step of the import, if there is one, unless too many records were left out. */
static void
do_last_step(KwjAttempt *attempt)
{
	MemoryContext caller = CurrentMemoryContext;
	KwjImport  *import = &carrier_of(attempt)->import;

	if (!kwj_import_maintains(&import->spec.options))
		return;
	kwj_attempt_begin(attempt);
	(void) kwj_import_check_limit(attempt);
	kwj_attempt_end_look(caller);
	kwj_import_maintain(import);
}

static KwjRequest
finish(KwjAttempt *attempt)
{
	KwjImport  *import = &carrier_of(attempt)->import;
	Jsonb	   *state;
	int64		rows;
	int64		rejected;
	ListCell   *lc;

	do_last_step(attempt);
	kwj_attempt_begin(attempt);
	state = kwj_parts_state(attempt);
	if (kwj_json_int64(state, "file") < list_length(import->spec.files))
		elog(ERROR, "import was to end before all files were imported");
	foreach(lc, kwj_json_texts(state, "remarks"))
		kwj_transcript_add_message(psprintf("NOTICE:  %s", (char *) lfirst(lc)));
	rejected = kwj_import_check_limit(attempt);
	rows = kwj_pieces_rows(attempt);
	if (kwj_import_has_rest(import))
	{
		kwj_import_read_created(import, state);
		kwj_import_create_rest(import);
	}
	kwj_reject_file_write(&import->spec.options, attempt, rejected);
	return kwj_attempt_succeed(attempt, NULL, rows, false,
							   kwj_import_result(import, rows, rejected));
}

const KwjParts kwj_import_parts = {
	.used = used,
	.wanted = wanted,
	.plan = plan,
	.work = work,
	.finish = finish,
	.replay = kwj_import_replay,
};
