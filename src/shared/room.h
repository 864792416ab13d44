/*
 * src/shared/room.h
 *	  Whether a database has a coordinator, what runs on the server, and how much may: for sessions.
 */
#ifndef KWJ_SHARED_ROOM_H
#define KWJ_SHARED_ROOM_H

#include "kwjobs.h"

/* A job that runs, in whatever database. */
typedef struct KwjRunning
{
	Oid			dboid;
	Oid			role;
	char		job_type[KWJ_JOB_TYPE_LEN];
} KwjRunning;

typedef enum KwjCoordinatorState
{
	KWJ_COORDINATOR_RUNS,
	KWJ_COORDINATOR_BLOCKED,	/* it waits for a lock, as on one of our tables */
	KWJ_COORDINATOR_STARTS,
	KWJ_NO_SLOT,				/* the postmaster has no slot for it */
	KWJ_NO_PLACE,				/* all that may be there are in other databases */
	KWJ_NO_LAUNCHER,			/* there is nobody who could start it */
} KwjCoordinatorState;

typedef struct KwjServerRoom
{
	KwjCoordinatorState coordinator;	/* of this database */
	int			coordinator_pid;	/* with KWJ_COORDINATOR_RUNS and KWJ_COORDINATOR_BLOCKED */
	int			n_coordinators;
	int			max_coordinators;
	int			n_running;
	KwjRunning *running;		/* array of kwj_worker_slots, from the caller */
} KwjServerRoom;

extern void kwj_shared_room(KwjServerRoom *room);

#endif
