/*
 * src/shared/memory.c
 *	  The pointers to the parts of kwjobs's shared memory. init.c sets them in the postmaster. If
 *	  the library was not preloaded, nothing sets them, and kwj_shared_ready() returns false.
 */
#include "postgres.h"

#include "shared/init.h"
#include "shared/memory.h"

KwjShared  *kwj_shared = NULL;
KwjDatabase *kwj_databases;
KwjSlot    *kwj_slots;
KwjTeam    *kwj_teams;
KwjUnbegun *kwj_unbegun;
KwjSessionPlace *kwj_session_places;

bool
kwj_shared_ready(void)
{
	return kwj_shared != NULL;
}
