/*
 * src/shared/memory.c
 *	  Where the parts of kwjobs's shared memory are: set by init.c.
 */
#include "postgres.h"

#include "shared/init.h"
#include "shared/memory.h"

KwjShared  *kwj_shared = NULL;
KwjDatabase *kwj_databases;
KwjSlot    *kwj_slots;
KwjUnbegun *kwj_unbegun;

bool
kwj_shared_ready(void)
{
	return kwj_shared != NULL;
}
