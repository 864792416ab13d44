/*
 * src/shared/room.h
 *	  What sessions can tell about the server: whether their database has a coordinator, which jobs
 *	  run, and how many coordinators may run.
 */
#ifndef KWJ_SHARED_ROOM_H
#define KWJ_SHARED_ROOM_H

#include "kwjobs.h"

/* A job that runs, in any database. */
typedef struct KwjRunning
{
	Oid			dboid;
	Oid			role;
	char		job_type[KWJ_JOB_TYPE_LEN];
} KwjRunning;

typedef enum KwjCoordinatorState
{
	KWJ_COORDINATOR_RUNS,
	KWJ_COORDINATOR_BLOCKED,	/* it waits for a lock, such as one on a table of kwjobs */
	KWJ_COORDINATOR_STARTS,
	KWJ_NO_SLOT,				/* the postmaster has no background worker slot for it */
	KWJ_NO_PLACE,				/* other databases have all coordinators that may run */
	KWJ_NO_LAUNCHER,			/* there is no launcher that could start one */
} KwjCoordinatorState;

typedef struct KwjServerRoom
{
	KwjCoordinatorState coordinator;	/* of MyDatabaseId */
	int			coordinator_pid;	/* with KWJ_COORDINATOR_RUNS and KWJ_COORDINATOR_BLOCKED */
	int			n_coordinators;
	int			max_coordinators;
	int			n_running;
	KwjRunning *running;		/* array of kwj_worker_slots, from the caller */
} KwjServerRoom;

/*
 * Returns the state of the coordinator of this database. Process: sessions. Takes
 * kwj_shared->lock, shared.
 */
extern KwjCoordinatorState kwj_shared_coordinator(void);

/*
 * Process: sessions. Fills in *room, whose array `running` the caller has allocated. Takes
 * kwj_shared->lock, shared.
 */
extern void kwj_shared_room(KwjServerRoom *room);

#endif
