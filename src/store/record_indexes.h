/*
 * src/store/record_indexes.h
 *	  Opens the indexes that the row of a job which a session has done can be in.
 */
#ifndef KWJ_STORE_RECORD_INDEXES_H
#define KWJ_STORE_RECORD_INDEXES_H

#include "kwjobs.h"
#include "nodes/execnodes.h"

/*
 * Opens indexes of kwjobs.job as ExecOpenIndices does, for rows of jobs that have succeeded and
 * have neither a place among jobs that wait nor a key, a queue or a line. Leaves out partial
 * indexes of which this process has found before that no such row can be in them. info: of the
 * opened table. ExecCloseIndices closes the indexes. Needs a transaction. Errors: if it would have
 * to wait for a lock on an index; out of memory; those of a look into the catalogs.
 */
extern void kwj_record_indexes_open(ResultRelInfo *info);

/*
 * Registers the callback by which PostgreSQL tells a process that indexes have changed. _PG_init
 * calls this in the postmaster: PostgreSQL has room for few such callbacks, and a process for which
 * none is left dies, which must not happen at the commit of a session.
 */
extern void kwj_record_indexes_init(void);

#endif
