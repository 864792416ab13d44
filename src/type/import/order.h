/*
 * src/type/import/order.h
 *	  Finds out whether several workers may fill the table of an IMPORT at the same time, or one has to
 *	  import all records in the order of the files.
 */
#ifndef KWJ_TYPE_IMPORT_ORDER_H
#define KWJ_TYPE_IMPORT_ORDER_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * Returns why the records have to come into this table one after the other, in the order of the
 * files, as a short text for users (palloc'd); NULL if they need not. numbers: the columns that the
 * files fill, as integers. skips: bad records are left out, which may depend on the order, too.
 */
extern char *kwj_import_needs_order(Relation target, List *numbers, bool skips);

/* Returns whether a foreign key of the table, or of a partition, refers to the table itself. */
extern bool kwj_import_refers_to_itself(Relation target);

#endif
