/*
 * src/type/import/wal.c
 *	  Has the WAL of an import written while the import goes on.
 *
 * Caller: records.c, before each piece that COPY gets. Process: worker. Locks: a spinlock of PostgreSQL, for
 * a moment.
 *
 * A commit wakes PostgreSQL's WAL writer; in the middle of a long transaction, the WAL writer wakes by
 * itself every wal_writer_delay:
 *
 *     without this file    worker       fills the WAL buffers (4 MB) in 50 ms ... writes WAL page by page ... stands
 *                          WAL writer   sleeps 200 ms ............................. flushes all of it
 *
 *     with it              worker       fills 1 MB, wakes the WAL writer, fills the next one, ...
 *                          WAL writer   flushes 1 MB, prepares these buffers for new WAL, sleeps
 *
 * Whoever wants to put WAL into a buffer that is not written yet has to write it first. While the WAL
 * writer flushes, nobody else can write, and all workers of the import stand still. If the WAL writer is not
 * fast enough, or has died, workers write WAL as they would without this file.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "postmaster/walwriter.h"
#include "type/import/wal.h"

/* How much WAL is worth a flush: as much as the WAL writer would flush by itself, but a part of the buffers only. */
static XLogRecPtr
step(void)
{
	int			pages = Max(XLOGbuffers / 4, 1);

	if (WalWriterFlushAfter > 0)
		pages = Min(pages, WalWriterFlushAfter);
	return (XLogRecPtr) pages * XLOG_BLCKSZ;
}

void
kwj_import_push_wal(void)
{
	static XLogRecPtr told = 0; /* the WAL writer was told that there is WAL up to here */

	if (XactLastRecEnd < told + step())
		return;
	XLogSetAsyncXactLSN(XactLastRecEnd);
	told = XactLastRecEnd;
}
