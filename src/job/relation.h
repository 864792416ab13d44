/*
 * src/job/relation.h
 *	  The name of a table or index, as it can be typed.
 */
#ifndef KWJ_JOB_RELATION_H
#define KWJ_JOB_RELATION_H

#include "postgres.h"

/*
 * Returns schema and name, quoted where that is needed, palloc'd; NULL if the relation or its schema
 * does not exist any more. Needs a transaction.
 */
extern char *kwj_name_of_relation(Oid relation);

#endif
