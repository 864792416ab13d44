/*
 * src/process/room.h
 *	  Says in the log when the server runs out of background workers, and when that is
 *	  over.
 */
#ifndef KWJ_PROCESS_ROOM_H
#define KWJ_PROCESS_ROOM_H

#include "kwjobs.h"

/*
 * After each try to start a background worker: whether the postmaster had room for it.
 * what: "coordinator" or "worker". Only changes are logged.
 *
 * Process: launcher, coordinator.
 */
extern void kwj_report_room(bool room, const char *what);

#endif
