/*
 * src/function/command.c
 *	  The command that another process runs, as PostgreSQL counts it for pg_stat_progress_*.
 *
 * Caller: watch.c. Process: sessions that look at jobs. Locks: AccessShareLock on pg_index for a
 * moment; none on the table that the command works on.
 *
 * PostgreSQL counts each phase of a command from 0. The functions here give each phase a share of
 * the command, so that the fraction of a command does not go back when its next phase begins.
 * doc/developers/progress.md has the shares.
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/progress.h"
#include "common/hashfn.h"
#include "compat.h"
#include "function/command.h"
#include "job/invalid.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

typedef const int64 *Counters;

/* Returns done / total; 0 if there is no total yet. An estimated total may be too low. */
static double
share(int64 done, int64 total)
{
	if (total <= 0 || done <= 0)
		return 0;
	return Min((double) done / (double) total, 1);
}

/* Returns the n-th name; NULL if there is none, because only a newer PostgreSQL has this phase. */
static const char *
name_of(const char *const *names, int count, int64 n)
{
	return n >= 0 && n < count ? names[n] : NULL;
}

#define NAME_OF(names, n)	name_of(names, lengthof(names), n)

/* Returns how many rows the table had when it was analyzed last; 0 or less: that is not known. */
static int64
estimated_rows(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	int64		rows;

	if (!HeapTupleIsValid(tuple))
		return 0;
	rows = (int64) ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
	ReleaseSysCache(tuple);
	return rows;
}

/* ---- CREATE INDEX, REINDEX ---- */

static const char *const index_phases[] = {
	"initializing",
	[PROGRESS_CREATEIDX_PHASE_WAIT_1] = "waiting for writers before build",
	[PROGRESS_CREATEIDX_PHASE_BUILD] = "building index",
	[PROGRESS_CREATEIDX_PHASE_WAIT_2] = "waiting for writers before validation",
	[PROGRESS_CREATEIDX_PHASE_VALIDATE_IDXSCAN] = "index validation: scanning index",
	[PROGRESS_CREATEIDX_PHASE_VALIDATE_SORT] = "index validation: sorting tuples",
	[PROGRESS_CREATEIDX_PHASE_VALIDATE_TABLESCAN] = "index validation: scanning table",
	[PROGRESS_CREATEIDX_PHASE_WAIT_3] = "waiting for old snapshots",
	[PROGRESS_CREATEIDX_PHASE_WAIT_4] = "waiting for readers before marking dead",
	[PROGRESS_CREATEIDX_PHASE_WAIT_5] = "waiting for readers before dropping",
};

static char *
index_phase(Counters counters)
{
	const char *phase = NAME_OF(index_phases, counters[PROGRESS_CREATEIDX_PHASE]);
	const IndexAmRoutine *am;
	const char *step = NULL;

	if (phase == NULL)
		return NULL;
	if (counters[PROGRESS_CREATEIDX_PHASE] == PROGRESS_CREATEIDX_PHASE_BUILD)
	{
		am = GetIndexAmRoutineByAmId((Oid) counters[PROGRESS_CREATEIDX_ACCESS_METHOD_OID], true);
		if (am != NULL && am->ambuildphasename != NULL)
			step = am->ambuildphasename(counters[PROGRESS_CREATEIDX_SUBPHASE]);
	}
	return step != NULL ? psprintf("%s: %s", phase, step) : pstrdup(phase);
}

/*
 * Returns the fraction of the build itself. CONCURRENTLY has further phases before and after it.
 *
 * While PostgreSQL reads the first block of the table, it counts all of them as done, as it does when it has read
 * the last one. So then the fraction is not known: it would be shown until the scan has come so far.
 */
static double
build_fraction(Counters counters)
{
	Oid			am = (Oid) counters[PROGRESS_CREATEIDX_ACCESS_METHOD_OID];
	double		scanned = share(counters[PROGRESS_SCAN_BLOCKS_DONE],
								counters[PROGRESS_SCAN_BLOCKS_TOTAL]);
	double		loaded = share(counters[PROGRESS_CREATEIDX_TUPLES_DONE],
							   counters[PROGRESS_CREATEIDX_TUPLES_TOTAL]);
	int64		step = counters[PROGRESS_CREATEIDX_SUBPHASE];

	if (am == BTREE_AM_OID && step > PROGRESS_BTREE_PHASE_INDEXBUILD_TABLESCAN)
		return step == PROGRESS_BTREE_PHASE_LEAF_LOAD ? 0.6 + 0.38 * loaded :
			step == PROGRESS_BTREE_PHASE_PERFORMSORT_2 ? 0.55 : 0.5;
	if (am == HASH_AM_OID && counters[PROGRESS_CREATEIDX_TUPLES_TOTAL] > 0)
		return 0.6 + 0.38 * loaded;
	if (scanned >= 1)
		return KWJ_NOT_KNOWN;
	return (am == BTREE_AM_OID || am == HASH_AM_OID ? 0.5 : 0.95) * scanned;
}

static double
concurrent_fraction(Counters counters)
{
	double		scanned = share(counters[PROGRESS_SCAN_BLOCKS_DONE],
								counters[PROGRESS_SCAN_BLOCKS_TOTAL]);
	double		built;

	switch (counters[PROGRESS_CREATEIDX_PHASE])
	{
		case PROGRESS_CREATEIDX_PHASE_BUILD:
			built = build_fraction(counters);
			return built < 0 ? KWJ_NOT_KNOWN : 0.6 * built;
		case PROGRESS_CREATEIDX_PHASE_WAIT_2:
			return 0.6;
		case PROGRESS_CREATEIDX_PHASE_VALIDATE_IDXSCAN:
			return 0.6 + 0.1 * scanned;
		case PROGRESS_CREATEIDX_PHASE_VALIDATE_SORT:
			return 0.7;
		case PROGRESS_CREATEIDX_PHASE_VALIDATE_TABLESCAN:
			return 0.75 + 0.23 * scanned;
		case PROGRESS_CREATEIDX_PHASE_WAIT_3:
		case PROGRESS_CREATEIDX_PHASE_WAIT_4:
		case PROGRESS_CREATEIDX_PHASE_WAIT_5:
			return 0.98;
		default:
			return 0;
	}
}

static bool
is_concurrent(Counters counters)
{
	int64		command = counters[PROGRESS_CREATEIDX_COMMAND];

	return command == PROGRESS_CREATEIDX_COMMAND_CREATE_CONCURRENTLY ||
		command == PROGRESS_CREATEIDX_COMMAND_REINDEX_CONCURRENTLY;
}

/*
 * Returns true for REINDEX, and also while PostgreSQL has not yet noted in the counters which
 * command it is, because fewer fractions are known of REINDEX.
 */
static bool
is_reindex(Counters counters)
{
	int64		command = counters[PROGRESS_CREATEIDX_COMMAND];

	return command != PROGRESS_CREATEIDX_COMMAND_CREATE &&
		command != PROGRESS_CREATEIDX_COMMAND_CREATE_CONCURRENTLY;
}

static double
index_fraction(Counters counters)
{
	int64		partitions = counters[PROGRESS_CREATEIDX_PARTITIONS_TOTAL];

	if (is_concurrent(counters))
		return concurrent_fraction(counters);
	if (partitions > 0)
		return share(counters[PROGRESS_CREATEIDX_PARTITIONS_DONE], partitions);
	return build_fraction(counters);
}

/* ---- CLUSTER, VACUUM FULL ---- */

static const char *const cluster_phases[] = {
	"initializing",
	[KWJ_CLUSTER_SEQ_SCAN] = "scanning table",
	[KWJ_CLUSTER_INDEX_SCAN] = "scanning table in the order of the index",
	[KWJ_CLUSTER_SORT] = "sorting rows",
	[KWJ_CLUSTER_WRITE] = "writing new table",
	KWJ_CLUSTER_NEWER_PHASES
	[KWJ_CLUSTER_SWAP] = "swapping files",
	[KWJ_CLUSTER_REBUILD] = "rebuilding indexes",
	[KWJ_CLUSTER_CLEANUP] = "performing final cleanup",
};

static double
cluster_fraction(Counters counters, Oid table)
{
	int64		rows;

	switch (counters[KWJ_PROGRESS_CLUSTER_PHASE])
	{
		case KWJ_CLUSTER_SEQ_SCAN:
			return 0.6 * share(counters[KWJ_PROGRESS_CLUSTER_BLOCKS_DONE],
							   counters[KWJ_PROGRESS_CLUSTER_BLOCKS]);
		case KWJ_CLUSTER_INDEX_SCAN:
			rows = estimated_rows(table);
			return rows <= 0 ? KWJ_NOT_KNOWN : 0.6 * share(counters[KWJ_PROGRESS_CLUSTER_SCANNED], rows);
		case KWJ_CLUSTER_SORT:
			return 0.6;
		case KWJ_CLUSTER_WRITE:
			return 0.6 + 0.15 * share(counters[KWJ_PROGRESS_CLUSTER_WRITTEN],
									  counters[KWJ_PROGRESS_CLUSTER_SCANNED]);
		case KWJ_CLUSTER_SWAP:
			return 0.75;
		case KWJ_CLUSTER_REBUILD:
			return 0.75 + 0.23 * share(counters[KWJ_PROGRESS_CLUSTER_INDEXES],
									   list_length(kwj_indexes_of(table, true, true)));
		case KWJ_CLUSTER_CLEANUP:
			return 0.98;
		default:
			return 0;
	}
}

/* ---- VACUUM, ANALYZE, COPY ---- */

static const char *const vacuum_phases[] = {
	"initializing",
	[PROGRESS_VACUUM_PHASE_SCAN_HEAP] = "scanning heap",
	[PROGRESS_VACUUM_PHASE_VACUUM_INDEX] = "vacuuming indexes",
	[PROGRESS_VACUUM_PHASE_VACUUM_HEAP] = "vacuuming heap",
	[PROGRESS_VACUUM_PHASE_INDEX_CLEANUP] = "cleaning up indexes",
	[PROGRESS_VACUUM_PHASE_TRUNCATE] = "truncating heap",
	[PROGRESS_VACUUM_PHASE_FINAL_CLEANUP] = "performing final cleanup",
};

/*
 * VACUUM may go through its first three phases several times. The two counters of blocks go on
 * growing, so the fraction is made of these and not of the phase.
 */
static double
vacuum_fraction(Counters counters)
{
	int64		blocks = counters[PROGRESS_VACUUM_TOTAL_HEAP_BLKS];

	switch (counters[PROGRESS_VACUUM_PHASE])
	{
		case PROGRESS_VACUUM_PHASE_SCAN_HEAP:
		case PROGRESS_VACUUM_PHASE_VACUUM_INDEX:
		case PROGRESS_VACUUM_PHASE_VACUUM_HEAP:
			return 0.7 * share(counters[PROGRESS_VACUUM_HEAP_BLKS_SCANNED], blocks) +
				0.2 * share(counters[PROGRESS_VACUUM_HEAP_BLKS_VACUUMED], blocks);
		case PROGRESS_VACUUM_PHASE_INDEX_CLEANUP:
			return 0.92;
		case PROGRESS_VACUUM_PHASE_TRUNCATE:
			return 0.96;
		case PROGRESS_VACUUM_PHASE_FINAL_CLEANUP:
			return 0.98;
		default:
			return 0;
	}
}

static const char *const analyze_phases[] = {
	"initializing",
	[PROGRESS_ANALYZE_PHASE_ACQUIRE_SAMPLE_ROWS] = "acquiring sample rows",
	[PROGRESS_ANALYZE_PHASE_ACQUIRE_SAMPLE_ROWS_INH] = "acquiring inherited sample rows",
	[PROGRESS_ANALYZE_PHASE_COMPUTE_STATS] = "computing statistics",
	[PROGRESS_ANALYZE_PHASE_COMPUTE_EXT_STATS] = "computing extended statistics",
	[PROGRESS_ANALYZE_PHASE_FINALIZE_ANALYZE] = "finalizing analyze",
};

/*
 * Returns 0 while PostgreSQL samples the tables that inherit from this one. No session shows that
 * fraction, because counts_again() says of a table with such tables that the fraction is not known.
 */
static double
analyze_fraction(Counters counters)
{
	switch (counters[PROGRESS_ANALYZE_PHASE])
	{
		case PROGRESS_ANALYZE_PHASE_ACQUIRE_SAMPLE_ROWS:
			return 0.9 * share(counters[PROGRESS_ANALYZE_BLOCKS_DONE],
							   counters[PROGRESS_ANALYZE_BLOCKS_TOTAL]);
		case PROGRESS_ANALYZE_PHASE_COMPUTE_STATS:
			return 0.9;
		case PROGRESS_ANALYZE_PHASE_COMPUTE_EXT_STATS:
			return 0.95;
		case PROGRESS_ANALYZE_PHASE_FINALIZE_ANALYZE:
			return 0.98;
		default:
			return 0;
	}
}

static char *
copy_phase(Counters counters)
{
	return psprintf("copied " INT64_FORMAT " rows", counters[PROGRESS_COPY_TUPLES_PROCESSED]);
}

static double
copy_fraction(Counters counters)
{
	int64		bytes = counters[PROGRESS_COPY_BYTES_TOTAL];

	return bytes <= 0 ? KWJ_NOT_KNOWN : share(counters[PROGRESS_COPY_BYTES_PROCESSED], bytes);
}

/* ---- all of them ---- */

/* Sets phase and fraction. Leaves phase NULL for commands that only a newer PostgreSQL has. */
static void
read_counters(KwjCommand *command, const PgBackendStatus *status)
{
	Counters	counters = status->st_progress_param;
	Oid			table = status->st_progress_command_target;

	switch (status->st_progress_command)
	{
		case PROGRESS_COMMAND_CREATE_INDEX:
			command->phase = index_phase(counters);
			command->fraction = index_fraction(counters);
			break;
		case KWJ_PROGRESS_COMMAND_CLUSTER:
			command->phase = (char *) NAME_OF(cluster_phases, counters[KWJ_PROGRESS_CLUSTER_PHASE]);
			command->fraction = cluster_fraction(counters, table);
			break;
		case PROGRESS_COMMAND_VACUUM:
			command->phase = (char *) NAME_OF(vacuum_phases, counters[PROGRESS_VACUUM_PHASE]);
			command->fraction = vacuum_fraction(counters);
			break;
		case PROGRESS_COMMAND_ANALYZE:
			command->phase = (char *) NAME_OF(analyze_phases, counters[PROGRESS_ANALYZE_PHASE]);
			command->fraction = analyze_fraction(counters);
			break;
		case PROGRESS_COMMAND_COPY:
			command->phase = copy_phase(counters);
			command->fraction = copy_fraction(counters);
			break;
		default:
			break;
	}
}

/* Returns whether the relation is a partitioned table, or a partition. */
static bool
is_in_partition_tree(Oid relation)
{
	return get_rel_relkind(relation) == RELKIND_PARTITIONED_TABLE || get_rel_relispartition(relation);
}

/* Returns whether other tables inherit from the table, or did so until recently. */
static bool
has_children(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	bool		has;

	if (!HeapTupleIsValid(tuple))
		return false;
	has = ((Form_pg_class) GETSTRUCT(tuple))->relhassubclass;
	ReleaseSysCache(tuple);
	return has;
}

/*
 * Returns whether the statement may be about a whole partitioned table, of which this is a part. Of
 * KWJ_COUNTS_RELATION it is known that the statement is about this relation alone.
 */
static bool
is_part(Oid table, KwjCounts counts)
{
	return counts != KWJ_COUNTS_RELATION && is_in_partition_tree(table);
}

/*
 * Returns whether PostgreSQL may count from 0 several times within the statement. It does so for
 * each partition, for each index of REINDEX, and in ANALYZE for the table and then for the tables
 * that inherit from it. If the command works on a partition, the user may have named the
 * partitioned table, so it counts as one of several. CREATE INDEX is an exception: PostgreSQL
 * counts how many partitions are done.
 */
static bool
counts_again(const PgBackendStatus *status, KwjCounts counts)
{
	Counters	counters = status->st_progress_param;
	Oid			table = status->st_progress_command_target;

	switch (status->st_progress_command)
	{
		case PROGRESS_COMMAND_COPY:
			return false;
		case PROGRESS_COMMAND_CREATE_INDEX:
			if (!is_reindex(counters))
				return false;
			if (is_part(table, counts))
				return true;
			if (counts == KWJ_COUNTS_INDEX)
				return false;
			/*
			 * REINDEX CONCURRENTLY does not rebuild INVALID indexes, and the copies that it makes
			 * are INVALID while it works, so only the valid ones are counted for it.
			 */
			return list_length(kwj_indexes_of(table, true, !is_concurrent(counters))) > 1;
		case PROGRESS_COMMAND_ANALYZE:
			return is_part(table, counts) || has_children(table);
		default:
			return is_part(table, counts);
	}
}

/* Returns how much of the statement is done if its command is at this fraction. */
static double
fraction_of_statement(double fraction, const PgBackendStatus *status, KwjCounts counts)
{
	bool		is_toast;

	if (counts != KWJ_COUNTS_TABLE && counts != KWJ_COUNTS_INDEX && counts != KWJ_COUNTS_RELATION)
		return KWJ_NOT_KNOWN;
	/*
	 * After the table, VACUUM and REINDEX work on its TOAST table, and PostgreSQL counts that from
	 * 0. The TOAST table may be the larger part, so nobody can tell how much of the statement is
	 * done.
	 */
	is_toast = counts != KWJ_COUNTS_RELATION &&
		IsToastNamespace(get_rel_namespace(status->st_progress_command_target));
	if (is_toast || counts_again(status, counts))
		return KWJ_NOT_KNOWN;
	return Min(fraction, KWJ_ALMOST);
}

KwjCommand
kwj_command_of(const PgBackendStatus *status, KwjCounts counts)
{
	KwjCommand	command = {.fraction = KWJ_NOT_KNOWN};

	if (status->st_progress_command == PROGRESS_COMMAND_INVALID)
		return command;
	read_counters(&command, status);
	if (command.phase == NULL)
		return command;
	command.fraction = fraction_of_statement(command.fraction, status, counts);
	command.counters = hash_bytes_extended((const unsigned char *) status->st_progress_param,
										   sizeof(status->st_progress_param),
										   status->st_progress_command_target);
	return command;
}
