/*
 * src/process/room.h
 *	  Says in the log when the server runs out of background worker slots, and when that is over.
 */
#ifndef KWJ_PROCESS_ROOM_H
#define KWJ_PROCESS_ROOM_H

#include "kwjobs.h"

/*
 * Logs that the postmaster has no slot for a background worker, or has one again; only changes are
 * logged. The process that has tried to start one calls this each time. room: whether the
 * postmaster had a slot. what: "coordinator" or "worker".
 */
extern void kwj_report_room(bool room, const char *what);

#endif
