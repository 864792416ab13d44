/*
 * src/type/export/parallel.h
 *	  How several processes export one large table: the worker of the job and parallel workers of
 *	  PostgreSQL. Each takes a range of the table's blocks, writes its rows, and takes the next one.
 */
#ifndef KWJ_TYPE_EXPORT_PARALLEL_H
#define KWJ_TYPE_EXPORT_PARALLEL_H

#include "postgres.h"
#include "storage/condition_variable.h"
#include "type/export/options.h"
#include "type/export/output.h"
#include "type/export/source.h"

/* What the processes share. */
typedef struct KwjExportTeam
{
	pg_atomic_uint64 next_block;	/* where the next range begins */
	uint64		blocks;			/* of the table */
	uint32		processes;		/* how many there are at most */
	pg_atomic_uint32 next_chunk;	/* the number of the next file */
	pg_atomic_uint64 rows;		/* that all of them have written so far */
	pg_atomic_uint64 bytes;
	pg_atomic_uint32 finished;	/* how many parallel workers have written all their files */
	pg_atomic_uint32 stands;	/* bool: all are to stand still */
	ConditionVariable goes_on;	/* for those that stand still */
} KwjExportTeam;

/*
 * Returns how many processes may export this item: 1 if it is small, or no plain table, or if parallel
 * workers might not be able to read or write all of it. Call it in the transaction that reads.
 */
extern int	kwj_export_processes(const KwjExportItem *item, const KwjExportOptions *options);

/*
 * Exports the item with this process and up to processes - 1 parallel workers of PostgreSQL, which
 * have the snapshot, the role and the settings of this transaction. in: the directory of the item in the stage.
 * syncs: gets the files that this process has written; those of the others are durable already. on_team: this
 * process calls it now and then with the sums in the team, also while it waits for the others; it may raise an
 * error. Returns all files, as a list of KwjExportFile in CurrentMemoryContext. Errors: those of COPY, and of the
 * file system.
 */
typedef void (*KwjTeamReport) (void *arg, KwjExportTeam *team);
extern List *kwj_export_parallel(const KwjExportItem *item, const KwjExportSpec *spec, int64 job_id,
								 const KwjDirectory *in, int processes, KwjSyncs *syncs, KwjTeamReport on_team,
								 void *arg);

/* Has the parallel workers stand still at their next report, or go on. Process: leader. */
extern void kwj_export_team_stand(KwjExportTeam *team, bool stands);

#endif
