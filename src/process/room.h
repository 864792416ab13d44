/*
 * src/process/room.h
 *	  Says in the log when the server runs out of background worker slots, and when that is over.
 */
#ifndef KWJ_PROCESS_ROOM_H
#define KWJ_PROCESS_ROOM_H

#include "kwjobs.h"

/*
 * To be called after each try to start a background worker. room: whether the postmaster had a
 * slot. what: "coordinator" or "worker". Only changes are logged.
 */
extern void kwj_report_room(bool room, const char *what);

#endif
