/*
 * src/type/files/sync.h
 *	  Makes files durable while the job that has written them goes on.
 */
#ifndef KWJ_TYPE_FILES_SYNC_H
#define KWJ_TYPE_FILES_SYNC_H

#include "postgres.h"
#include "type/files/directory.h"

/* Files that are being made durable. */
typedef struct KwjSyncs KwjSyncs;

/*
 * Returns an empty KwjSyncs, in CurrentMemoryContext. A reset of that context waits until no thread uses a file any
 * more, and closes the files.
 */
extern KwjSyncs *kwj_syncs_begin(void);

/*
 * Begins to make what is in a file of the directory durable. If too many files are being made durable, waits
 * for the oldest one first; if there is no thread to be had, for this one. Does nothing if fsync is off. Errors: of
 * the file system, for whatever file.
 */
extern void kwj_syncs_add(KwjSyncs *syncs, const KwjDirectory *directory, const char *name);

/*
 * Waits until the oldest file is durable. Returns false if there is none left. Obeys interrupts after the wait.
 * Errors: of the file system.
 */
extern bool kwj_syncs_wait(KwjSyncs *syncs);

#endif
