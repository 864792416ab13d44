/*
 * src/store/predicates.h
 *	  The prepared predicates of the partial indexes of our tables.
 */
#ifndef KWJ_STORE_PREDICATES_H
#define KWJ_STORE_PREDICATES_H

#include "kwjobs.h"
#include "nodes/execnodes.h"

/*
 * Set the prepared predicates of the table's partial indexes, as far as this process keeps them, so
 * that ExecInsertIndexTuples does not prepare them again. info: of the opened table; its indexes
 * are open (ExecOpenIndices). The predicates that are set stay valid until the end of the
 * transaction. Needs a transaction. Errors: out of memory.
 */
extern void kwj_predicates_set(ResultRelInfo *info);

#endif
