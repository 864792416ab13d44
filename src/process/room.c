/*
 * src/process/room.c
 *	  Says in the log when the server runs out of background worker slots.
 *
 * Process: launcher, coordinator; each reports what it starts itself. Locks: none.
 */
#include "postgres.h"

#include "process/room.h"

static bool out_of_room = false;

void
kwj_report_room(bool room, const char *what)
{
	if (room != out_of_room)
		return;
	out_of_room = !room;
	if (room)
		ereport(LOG,
				(errmsg("kwjobs can start a %s again", what)));
	else
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("kwjobs cannot start a %s: out of background worker slots", what),
				 errdetail("Jobs wait."),
				 errhint("Increase max_worker_processes and restart the server.")));
}
