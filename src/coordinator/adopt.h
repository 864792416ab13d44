/*
 * src/coordinator/adopt.h
 *	  Attempts whose worker is gone.
 *
 * Process: coordinator.
 */
#ifndef KWJ_COORDINATOR_ADOPT_H
#define KWJ_COORDINATOR_ADOPT_H

#include "nodes/pg_list.h"
#include "shared/slots.h"

/*
 * The coordinator calls this before its first pass. interrupted: the attempts that this
 * coordinator's predecessor left were ended by a lockout, or by an orderly stop of the server.
 */
extern void kwj_adopt_init(bool interrupted);

/* The first pass is over. From now on, a lost attempt was begun or seen by this process. */
extern void kwj_adopt_know_all(void);

/*
 * Settles each attempt in the list (of KwjActive) that no worker has: neither in `before`, read
 * before the rows, as the worker may have exited since, nor now, as it may have gone on to another
 * job. Returns the others. Runs in a transaction.
 *
 * Errors: 55000 if an attempt has no row in the table of attempts; any that the job's rows cause.
 */
extern List *kwj_adopt_orphans(List *active, const KwjWorkerInfo *before, int n_before);

#endif
