/*
 * src/job/relation.c
 *	  The name of a table or index, as it can be typed.
 *
 * Process: any, in a transaction. Locks: none; who needs the relation itself has it locked.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/relation.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

char *
kwj_name_of_relation(Oid relation)
{
	char	   *name;
	char	   *schema;

	Assert(IsTransactionState());
	name = get_rel_name(relation);
	schema = name != NULL ? get_namespace_name(get_rel_namespace(relation)) : NULL;
	return schema != NULL ? quote_qualified_identifier(schema, name) : NULL;
}
