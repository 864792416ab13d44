/*
 * src/function/reason.c
 *	  Why a job that could run, or is to run later, does not run now.
 *
 * Process: sessions. Locks: kwj_shared->lock, shared, for a moment; if the coordinator waits for a
 * lock, also all partitions of the lock table, shared, for a moment.
 *
 * No reason is stored in the tables: it is true only at the moment of asking, and what makes one
 * job wait mostly makes thousands wait. So a query copies the state of the server once, however
 * many jobs it shows, and looks at a role again only when the next job has another one.
 */
#include "postgres.h"

#include "function/blocked.h"
#include "function/reason.h"
#include "job/login.h"
#include "miscadmin.h"
#include "shared/room.h"
#include "type/limits.h"
#include "utils/timestamp.h"

struct KwjRoom
{
	MemoryContext context;
	TimestampTz now;
	KwjServerRoom server;
	char	   *coordinator;	/* why no coordinator looks at jobs; NULL: one does */

	/* The role of the last job, and why it cannot have a worker; NULL: it can, or was dropped. */
	Oid			role;
	char	   *refusal;
};

static char *
explain_blocked(int coordinator_pid)
{
	int			blocker = kwj_blocker_of(coordinator_pid);
	char	   *by = blocker > 0 ? psprintf(" that process %d has", blocker) : "";

	return psprintf("waiting for the coordinator (PID %d), which waits for a lock on the tables of kwjobs%s",
					coordinator_pid, by);
}

/* Returns why no coordinator looks at the jobs of this database; NULL if one does. */
static char *
explain_coordinator(const KwjServerRoom *server)
{
	switch (server->coordinator)
	{
		case KWJ_COORDINATOR_RUNS:
			return NULL;
		case KWJ_COORDINATOR_BLOCKED:
			return explain_blocked(server->coordinator_pid);
		case KWJ_COORDINATOR_STARTS:
			return pstrdup("waiting for the coordinator to start");
		case KWJ_NO_SLOT:
			return psprintf("waiting for a coordinator: no background worker slot is free (max_worker_processes is %d)",
							max_worker_processes);
		case KWJ_NO_PLACE:
			return psprintf("waiting for a coordinator: %d of %d work in other databases (max_worker_processes is %d, kwjobs.max_databases %d)",
							server->n_coordinators, server->max_coordinators, max_worker_processes, kwj_max_databases);
		case KWJ_NO_LAUNCHER:
			return psprintf("waiting for the launcher of kwjobs, which does not run (max_worker_processes is %d)",
							max_worker_processes);
	}
	return NULL;
}

KwjRoom *
kwj_reason_look(void)
{
	KwjRoom    *room = palloc0(sizeof(KwjRoom));

	room->context = CurrentMemoryContext;
	room->now = GetCurrentTimestamp();
	room->server.running = palloc(sizeof(KwjRunning) * kwj_worker_slots);
	kwj_shared_room(&room->server);
	room->coordinator = explain_coordinator(&room->server);
	return room;
}

static const char *
refusal_of(KwjRoom *room, Oid role)
{
	MemoryContext old;

	if (role == room->role)
		return room->refusal;
	old = MemoryContextSwitchTo(room->context);
	if (room->refusal)
		pfree(room->refusal);
	room->refusal = kwj_login_explain(role);
	room->role = role;
	MemoryContextSwitchTo(old);
	return room->refusal;
}

/* Returns the limit that keeps the job from getting a worker; NULL if none does. */
static char *
explain_limit(const KwjServerRoom *server, const KwjPending *job)
{
	int			of_role = 0;
	int			of_database = 0;
	int			of_type = 0;
	int			type_limit = kwj_type_limit(job->job_type);

	for (int i = 0; i < server->n_running; i++)
	{
		const KwjRunning *r = &server->running[i];
		bool		here = r->dboid == MyDatabaseId;

		of_role += r->role == job->owner;
		of_database += here;
		of_type += here && strcmp(r->job_type, job->job_type) == 0;
	}
	if (kwj_max_workers_per_role > 0 && of_role >= kwj_max_workers_per_role)
		return psprintf("waiting for a worker (its role runs %d of %d, kwjobs.max_workers_per_role)",
						of_role, kwj_max_workers_per_role);
	if (kwj_max_workers_per_database > 0 && of_database >= kwj_max_workers_per_database)
		return psprintf("waiting for a worker (this database runs %d of %d, kwjobs.max_workers_per_database)",
						of_database, kwj_max_workers_per_database);
	if (type_limit > 0 && of_type >= type_limit)
		return psprintf("waiting for a worker (%d of %d jobs of type %s run, kwjobs.max_workers_per_type)",
						of_type, type_limit, job->job_type);
	if (server->n_running >= kwj_max_workers)
		return psprintf("waiting for a worker (%d of %d run jobs)", server->n_running, kwj_max_workers);
	return NULL;
}

static char *
explain_ready(KwjRoom *room, const KwjPending *job)
{
	const char *refusal = refusal_of(room, job->owner);
	char	   *limit;

	if (refusal)
		return pstrdup(refusal);
	if (room->coordinator)
		return pstrdup(room->coordinator);
	limit = explain_limit(&room->server, job);
	if (limit)
		return limit;
	return pstrdup(job->noted ? job->noted : "waiting for a worker");
}

char *
kwj_reason_of(KwjRoom *room, const KwjPending *job)
{
	if (job->n_depends_on > 0)
		return psprintf(job->n_depends_on == 1 ? "waiting for job " INT64_FORMAT :
						"waiting for job " INT64_FORMAT " and others", job->depends_on);
	if (job->ready || job->due <= room->now || job->due == DT_NOEND)
		return explain_ready(room, job);
	if (job->noted)
		return pstrdup(job->noted);
	return psprintf(job->run_at == job->due ? "due at %s" : "retry at %s", timestamptz_to_str(job->due));
}
