/*
 * src/function/reason.c
 *	  Why a job that could run, or is to run later, does not run now.
 *
 * Process: sessions. Locks: AccessShareLock on the tables of kwjobs, until the end of the
 * transaction; kwj_shared->lock, shared, for a moment; if the coordinator waits for a lock, also
 * all partitions of the lock table, shared, for a moment.
 *
 * No reason is stored in the tables: it is true only at the moment of asking, and what makes one
 * job wait mostly makes thousands wait. So a query copies the state of the server once, however
 * many jobs it shows, and looks at a role again only when the next job has another one.
 */
#include "postgres.h"

#include "function/blocked.h"
#include "function/reason.h"
#include "job/clip.h"
#include "job/login.h"
#include "job/noted.h"
#include "lifecycle/held.h"
#include "miscadmin.h"
#include "schedule/window.h"
#include "shared/room.h"
#include "type/limits.h"
#include "utils/timestamp.h"

struct KwjRoom
{
	MemoryContext context;
	TimestampTz now;
	KwjServerRoom server;
	const List *holds;			/* of KwjHold */
	KwjReason	coordinator;	/* why no coordinator looks at jobs; no text: one does */

	/* The role of the last job, and why it cannot have a worker; NULL: it can, or was dropped. */
	Oid			role;
	char	   *refusal;
};

static KwjReason
explain_blocked(int coordinator_pid)
{
	int			blocker = kwj_blocker_of(coordinator_pid);
	char	   *by = blocker > 0 ? psprintf(" that process %d has", blocker) : "";
	KwjReason	reason;

	reason.text = psprintf("waiting for the coordinator (PID %d), which waits for a lock on the tables of kwjobs%s",
						   coordinator_pid, by);
	reason.advice = blocker > 0 ?
		psprintf("To see what process %d does, type SELECT * FROM pg_stat_activity WHERE pid = %d; to end it, SELECT pg_terminate_backend(%d).",
				 blocker, blocker, blocker) : NULL;
	return reason;
}

/* Returns why no coordinator looks at the jobs of this database; the text is NULL if one does. */
static KwjReason
explain_coordinator(const KwjServerRoom *server)
{
	KwjReason	reason = {NULL, NULL};

	switch (server->coordinator)
	{
		case KWJ_COORDINATOR_RUNS:
			break;
		case KWJ_COORDINATOR_BLOCKED:
			return explain_blocked(server->coordinator_pid);
		case KWJ_COORDINATOR_STARTS:
			reason.text = pstrdup("waiting for the coordinator to start");
			break;
		case KWJ_NO_SLOT:
			reason.text = psprintf("waiting for a coordinator: no background worker slot is free (max_worker_processes is %d)",
								   max_worker_processes);
			reason.advice = pstrdup("Raise max_worker_processes with ALTER SYSTEM, and restart the server.");
			break;
		case KWJ_NO_PLACE:
			reason.text = psprintf("waiting for a coordinator: %d of %d work in other databases (max_worker_processes is %d, kwjobs.max_databases %d)",
								   server->n_coordinators, server->max_coordinators, max_worker_processes, kwj_max_databases);
			reason.advice = pstrdup("This database has its turn when one of them leaves. To have more of them, raise both settings with ALTER SYSTEM, and restart the server.");
			break;
		case KWJ_NO_LAUNCHER:
			reason.text = psprintf("waiting for the launcher of kwjobs, which does not run (max_worker_processes is %d)",
								   max_worker_processes);
			reason.advice = pstrdup("The server's log says why it does not. Raise max_worker_processes with ALTER SYSTEM, and restart the server.");
			break;
	}
	return reason;
}

KwjRoom *
kwj_reason_look(void)
{
	KwjRoom    *room = palloc0(sizeof(KwjRoom));

	room->context = CurrentMemoryContext;
	room->now = GetCurrentTimestamp();
	room->server.running = palloc(sizeof(KwjRunning) * kwj_worker_slots);
	kwj_shared_room(&room->server);
	room->holds = kwj_store_holds(true);
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

/* Fills in *reason for a job that waits because the limit of this setting is reached. */
static void
explain_setting(KwjReason *reason, const char *setting, char *text)
{
	reason->text = text;
	reason->advice = psprintf("To see what runs, type SELECT * FROM kwjobs.running. To have more at the same time, raise %s with ALTER SYSTEM, and type SELECT pg_reload_conf().",
							  setting);
}

/* Returns the limit that keeps the job from getting a worker; the text is NULL if none does. */
static KwjReason
explain_limit(const KwjServerRoom *server, const KwjPending *job)
{
	KwjReason	reason = {NULL, NULL};
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
		explain_setting(&reason, "kwjobs.max_workers_per_role",
						psprintf("waiting for a worker (its role runs %d of %d, kwjobs.max_workers_per_role)",
								 of_role, kwj_max_workers_per_role));
	else if (kwj_max_workers_per_database > 0 && of_database >= kwj_max_workers_per_database)
		explain_setting(&reason, "kwjobs.max_workers_per_database",
						psprintf("waiting for a worker (this database runs %d of %d, kwjobs.max_workers_per_database)",
								 of_database, kwj_max_workers_per_database));
	else if (type_limit > 0 && of_type >= type_limit)
		explain_setting(&reason, "kwjobs.max_workers_per_type",
						psprintf("waiting for a worker (%d of %d jobs of type %s run, kwjobs.max_workers_per_type)",
								 of_type, type_limit, job->job_type));
	else if (server->n_running >= kwj_max_workers && kwj_max_workers < kwj_max_workers_asked)
	{
		reason.text = psprintf("waiting for a worker (%d of %d run jobs, kwjobs.worker_slots)",
							   server->n_running, kwj_max_workers);
		reason.advice = psprintf("To see what runs, type SELECT * FROM kwjobs.running. To have more at the same time, raise kwjobs.worker_slots to %d, and restart the server.",
								 kwj_max_workers_asked);
	}
	else if (server->n_running >= kwj_max_workers)
		explain_setting(&reason, "kwjobs.max_workers",
						psprintf("waiting for a worker (%d of %d run jobs)", server->n_running, kwj_max_workers));
	return reason;
}

/*
 * Returns the limit of 0 because of which the job does not start; the text is NULL if there is
 * none.
 */
static KwjReason
explain_stopped(const KwjPending *job)
{
	KwjReason	reason = {NULL, NULL};
	const char *setting = NULL;

	if (kwj_max_workers == 0)
	{
		setting = "kwjobs.max_workers";
		reason.text = pstrdup("waiting: no job may start (kwjobs.max_workers is 0)");
	}
	else if (kwj_type_is_stopped(job->job_type))
	{
		setting = "kwjobs.max_workers_per_type";
		reason.text = psprintf("waiting: no job of type %s may start (kwjobs.max_workers_per_type)",
							   job->job_type);
	}
	if (setting != NULL)
		reason.advice = psprintf("To let it start, have an administrator raise %s with ALTER SYSTEM, and type SELECT pg_reload_conf().",
								 setting);
	return reason;
}

static int
count_holds(const List *holds, const KwjPending *job)
{
	ListCell   *lc;
	int			n = 0;

	foreach(lc, holds)
		n += kwj_hold_concerns(&((const KwjHold *) lfirst(lc))->scope, job->owner, job->job_type, NULL);
	return n;
}

/*
 * Returns what to type to release this hold. If other holds keep the job back, too, also says how
 * many they are.
 */
static char *
advise_release(const List *holds, const KwjHold *hold, const KwjPending *job)
{
	int			others = count_holds(holds, job) - 1;
	char	   *advice = psprintf(hold->scope.by_admin ? "To let it start, have an administrator type %s." :
								  "To let it start, type %s.", kwj_hold_to_release(hold));

	if (others == 0)
		return advice;
	return psprintf("%s It is also held by %d more: SELECT * FROM kwjobs.holds.", advice, others);
}

/* Returns the hold that keeps the job from starting; the text is NULL if none does. */
static KwjReason
explain_hold(const List *holds, const KwjPending *job)
{
	const KwjHold *hold = kwj_hold_find(holds, job->owner, job->job_type, NULL);
	KwjReason	reason = {NULL, NULL};

	if (hold == NULL)
		return reason;
	reason.text = kwj_hold_explain(hold);
	if (job->job_id != 0)
		reason.advice = advise_release(holds, hold, job);
	return reason;
}

static bool
is_noted(const KwjPending *job, const char *beginning)
{
	return strncmp(job->noted, beginning, strlen(beginning)) == 0;
}

/* Returns what can be done about the reason in the job's row; NULL if that is not one of noted.h. */
static char *
advise_noted(const KwjPending *job)
{
	if (is_noted(job, KWJ_NOTED_NO_SLOT))
		return psprintf("To have room for it, raise max_worker_processes, which is %d, with ALTER SYSTEM, and restart the server.",
						max_worker_processes);
	if (is_noted(job, KWJ_NOTED_NO_SESSIONS))
		return psprintf("It starts when other jobs with sessions are over. To have room for more, raise max_worker_processes, which is %d, with ALTER SYSTEM, and restart the server.",
						max_worker_processes);
	if (is_noted(job, KWJ_NOTED_NO_TIME) || is_noted(job, KWJ_NOTED_NO_TIMEOUT))
		return psprintf("To let it start all the same, and go on when its window closes, type SELECT kwjobs.alter(" INT64_FORMAT ", window_end => 'finish').",
						job->job_id);
	return NULL;
}

static KwjReason
explain_ready(KwjRoom *room, const KwjPending *job)
{
	KwjReason	reason = explain_hold(room->holds, job);
	const char *refusal;

	if (reason.text == NULL)
		reason = explain_stopped(job);
	if (reason.text != NULL)
		return reason;
	refusal = refusal_of(room, job->owner);
	if (refusal)
	{
		KwjLogin	login = kwj_login_look(job->owner);

		reason.text = pstrdup(refusal);
		if (job->job_id != 0 && kwj_login_is_refused(&login))
			reason.advice = psprintf("Have an administrator type %s.", kwj_login_advise(&login));
		return reason;
	}
	if (room->coordinator.text)
		return room->coordinator;
	reason = explain_limit(&room->server, job);
	if (reason.text != NULL)
		return reason;
	reason.text = pstrdup(job->noted ? job->noted : "waiting for a worker");
	reason.advice = job->noted ? advise_noted(job) : NULL;
	return reason;
}

static KwjReason
explain_dependency(const KwjPending *job)
{
	KwjReason	reason = {NULL, NULL};

	reason.text = psprintf(job->n_depends_on == 1 ? "waiting for job " INT64_FORMAT :
						   "waiting for job " INT64_FORMAT " and others", job->depends_on);
	reason.advice = psprintf("SELECT kwjobs.why(" INT64_FORMAT ") says how that one stands.", job->depends_on);
	return reason;
}

/* Returns why a job waits that has a time before which it does not start. */
static KwjReason
explain_time(const KwjPending *job)
{
	KwjReason	reason = {NULL, NULL};

	reason.text = job->noted ? pstrdup(job->noted) :
		psprintf(job->run_at == job->due ? "due at %s" : "retry at %s", timestamptz_to_str(job->due));
	reason.advice = job->noted ? advise_noted(job) : NULL;
	if (reason.advice == NULL)
		reason.advice = psprintf("To start it now, type SELECT kwjobs.run_now(" INT64_FORMAT ").", job->job_id);
	return reason;
}

/* Returns that the job is outside its window; the text is NULL if it is not. */
static KwjReason
explain_window(TimestampTz now, const KwjPending *job)
{
	KwjReason	reason = {NULL, NULL};
	KwjWindowLook look;
	TimestampTz opens;

	if (job->window == NULL)
		return reason;
	look = kwj_window_look(job->window, now);
	if (look.is_open)
		return reason;
	opens = job->due == DT_NOEND ? look.until : kwj_window_next(job->window, Max(now, job->due));
	reason.text = look.problem ?
		psprintf("its window \"%s\" cannot be used: %s", kwj_quoted(job->window, KWJ_WINDOW_LENGTH), look.problem) :
		psprintf("outside its window %s, which opens at %s", kwj_quoted(job->window, KWJ_WINDOW_LENGTH),
				 timestamptz_to_str(opens));
	reason.advice = psprintf("For another window, type SELECT kwjobs.alter(" INT64_FORMAT ", \"window\" => '...'); with an empty one it may start now.",
							 job->job_id);
	return reason;
}

static KwjReason
explain(KwjRoom *room, const KwjPending *job)
{
	KwjReason	reason;

	if (job->n_depends_on > 0)
		return explain_dependency(job);
	/*
	 * If the job waits for its own run_at, that time lies in its window (store/jobs.c puts any
	 * other off to the window's next opening). That time says more than the window does.
	 */
	if (job->due <= room->now || job->due != job->run_at)
	{
		reason = explain_window(room->now, job);
		if (reason.text != NULL)
			return reason;
	}
	if (job->ready || job->due <= room->now || job->due == DT_NOEND)
		return explain_ready(room, job);
	return explain_time(job);
}

KwjReason
kwj_reason_of(KwjRoom *room, const KwjPending *job)
{
	KwjReason	reason = explain(room, job);

	if (job->job_id == 0)
		reason.advice = NULL;
	return reason;
}

char *
kwj_reason_of_queue(const KwjRoom *room, const char *queue)
{
	ListCell   *lc;

	foreach(lc, room->holds)
	{
		const KwjHold *hold = lfirst(lc);

		if (hold->scope.queue != NULL && strcmp(hold->scope.queue, queue) == 0)
			return kwj_hold_explain(hold);
	}
	return NULL;
}
