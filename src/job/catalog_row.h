/*
 * src/job/catalog_row.h
 *	  One row of a system catalog, as a snapshot sees it. (The catalog caches have only what is committed.)
 */
#ifndef KWJ_JOB_CATALOG_ROW_H
#define KWJ_JOB_CATALOG_ROW_H

#include "kwjobs.h"
#include "access/htup.h"
#include "utils/snapshot.h"

/*
 * Returns a palloc'd copy of the row of a catalog that has this OID in this column; NULL if the snapshot sees none.
 * index: the catalog's unique index on the column. snapshot: NULL for what is committed now.
 */
extern HeapTuple kwj_catalog_row(Oid catalog, Oid index, AttrNumber column, Oid oid, Snapshot snapshot);

#endif
