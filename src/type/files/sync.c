/*
 * src/type/files/sync.c
 *	  Makes files durable while the job that has written them goes on.
 *
 * Callers: type/export. Process: worker, parallel worker. Locks: none.
 *
 * To wait for the disk after each file, or for all of them at the end, would cost a flush of the disk for
 * each: milliseconds in which the job does nothing. So aio_fsync of the C library has a thread of its own wait:
 *
 *     job       writes n1.0.csv  | writes n1.1.csv  | writes n1.2.csv  | waits for what is left
 *     threads                    +-- fsync n1.0 ... |
 *                                                   +-- fsync n1.1 ... +-- fsync n1.2 ...
 *
 * These threads call nothing but fsync, and all signals are blocked in them, so PostgreSQL's handlers run in the
 * job's own thread, as always. If no thread can be started, the job waits for the disk itself.
 *
 * A thread uses the open file, and leaves its result in the memory of the job. So both must stay until the thread
 * is done. After an error, too, PostgreSQL waits for that before it frees the memory context. If the process ends,
 * so do the threads: then the job has not succeeded, and nobody takes its files for complete ones.
 */
#include "postgres.h"

#include <aio.h>
#include <fcntl.h>

#include "access/parallel.h"
#include "job/test_gate.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/fd.h"
#include "type/files/sync.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* This many files at most are being made durable. Each has a thread, and a file that is open. */
#define MOST_FILES	16

/* A file. It is in a memory context of its own. */
typedef struct Sync
{
	MemoryContext context;
	KwjOpenFile *file;
	char	   *path;			/* for messages */
	struct aiocb request;
	MemoryContextCallback wait;
} Sync;

struct KwjSyncs
{
	MemoryContext context;
	List	   *files;			/* of Sync *, the oldest first */
};

KwjSyncs *
kwj_syncs_begin(void)
{
	KwjSyncs   *syncs = palloc0(sizeof(KwjSyncs));

	syncs->context = CurrentMemoryContext;
	return syncs;
}

static void
fail(const Sync *sync)
{
	ereport(ERROR,
			errcode_for_file_access(),
			errmsg("could not fsync file \"%s\": %m", sync->path),
			errhint("Look after the disk, or name another directory."));
}

/*
 * Waits until the thread is done with the file (a Sync). Like fsync itself, this goes on when a signal has come and
 * its handler has returned. A memory context calls this, too, before it frees the Sync.
 */
static void
wait_for(void *arg)
{
	const Sync *sync = arg;
	const struct aiocb *const list[1] = {&sync->request};

	while (aio_error(&sync->request) == EINPROGRESS)
		(void) aio_suspend(list, 1, NULL);
}

/* Has a thread make the open file durable. Returns false if there is no thread to be had. */
static bool
start(Sync *sync)
{
	sync->request.aio_fildes = sync->file->fd;
	sync->request.aio_sigevent.sigev_notify = SIGEV_NONE;
	if (aio_fsync(O_SYNC, &sync->request) != 0)
		return false;
	/* The context calls this before it closes the file, because it is registered after that. */
	sync->wait.func = wait_for;
	sync->wait.arg = sync;
	MemoryContextRegisterResetCallback(sync->context, &sync->wait);
	return true;
}

void
kwj_syncs_add(KwjSyncs *syncs, const KwjDirectory *directory, const char *name)
{
	MemoryContext context;
	MemoryContext caller;
	Sync	   *sync;

	if (!enableFsync)
		return;
	if (list_length(syncs->files) == MOST_FILES)
		(void) kwj_syncs_wait(syncs);
	context = AllocSetContextCreate(syncs->context, "kwjobs fsync", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	sync = palloc0(sizeof(Sync));
	sync->context = context;
	sync->path = psprintf("%s/%s", directory->path, name);
	sync->file = kwj_file_open_in(directory, name, O_RDWR);
	if (sync->file->fd < 0)
		fail(sync);
	if (start(sync))
	{
		MemoryContextSwitchTo(syncs->context);
		syncs->files = lappend(syncs->files, sync);
		MemoryContextSwitchTo(caller);
		return;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	kwj_file_sync_in(directory, name);
}

bool
kwj_syncs_wait(KwjSyncs *syncs)
{
	Sync	   *sync;

	if (syncs->files == NIL)
		return false;
	sync = linitial(syncs->files);
	pgstat_report_wait_start(WAIT_EVENT_COPY_FILE_WRITE);
	wait_for(sync);
	pgstat_report_wait_end();
	CHECK_FOR_INTERRUPTS();
	errno = kwj_test_fault(IsParallelWorker() ? 4946 : 4939) ? EIO : aio_error(&sync->request);
	if (errno != 0)
		fail(sync);
	syncs->files = list_delete_first(syncs->files);
	MemoryContextDelete(sync->context);
	return true;
}
