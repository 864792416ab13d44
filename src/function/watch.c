/*
 * src/function/watch.c
 *	  What a job's process does, and how far it is, at the moment of a look.
 *
 * Callers: show.c and session_jobs.c, for jobs that run. Process: sessions that look at jobs.
 * Locks: those of backend.c, command.c and blocker.c, for moments. doc/developers/progress.md
 * explains the rules.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "function/blocker.h"
#include "function/command.h"
#include "function/step.h"
#include "function/watch.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* A speed that is measured over a shorter time than this is not used. */
#define LEAST_TIME		USECS_PER_SEC
/* An eta that is further away than this is not shown, because it is no more than a guess. */
#define MOST_LEFT		(INT64CONST(10) * 365 * USECS_PER_DAY)

/* What PostgreSQL says of the process. */
typedef struct Process
{
	KwjWait		wait;
	KwjCommand	command;
} Process;

/* CREATE DATABASE and DROP DATABASE, for instance, have the checkpointer write a checkpoint. */
static bool
waits_for_checkpoint(const PGPROC *proc)
{
	uint32		event = ((const volatile PGPROC *) proc)->wait_event_info;

	return event == WAIT_EVENT_CHECKPOINT_START || event == WAIT_EVENT_CHECKPOINT_DONE;
}

static Process
look_at_process(const KwjWatched *job)
{
	Process		process = {.command.fraction = -1};
	KwjBackend	backend;

	if (kwj_backend_copy(job->pid, &backend) && backend.status.st_databaseid == MyDatabaseId)
	{
		process.command = kwj_command_of(&backend.status, job->counts);
		if (process.command.phase == NULL)
			process.command = kwj_step_of(job->counts, job->file);
		if (job->scan_blocks > 0)
			kwj_step_add_scan(&process.command, job->scan_block, job->scan_blocks);
		if (waits_for_checkpoint(backend.proc))
			process.command.phase = "waiting for a checkpoint";
		process.wait = kwj_wait_of(&backend, process.command.phase);
	}
	return process;
}

/*
 * Returns how much of the job is done; below 0: not known. If the job has several statements, each
 * counts as an equal share of it.
 */
static double
fraction_of_job(const KwjWatched *job, const KwjCommand *command)
{
	if (job->own_fraction >= 0)
		return job->own_fraction;
	if (job->statements > 1)
		return (job->statement - 1 + Max(command->fraction, 0)) / job->statements;
	return command->fraction;
}

/*
 * Returns what to show as running_status: what the process waits for, else the job's own words,
 * else the phase of its command. If the process waits for an advisory lock, the job's own words
 * come first, because the job's own code has asked for that lock.
 */
static char *
running_status(const KwjWatched *job, const Process *process)
{
	bool		has_words = job->own_words[0] != '\0';
	char	   *text = process->wait.text;

	if (has_words && (text == NULL || process->wait.is_advisory))
		return pstrdup(job->own_words);
	if (text == NULL)
		text = process->command.phase;
	if (job->statements <= 1)
		return text;
	return psprintf("statement %d of %d%s%s", job->statement, job->statements,
					text != NULL ? ": " : "", text != NULL ? text : "");
}

/* Returns when the job will be over at the average speed; 0: not known. */
static TimestampTz
eta(const KwjWatched *job, const KwjKnown *known, double fraction, TimestampTz now)
{
	TimestampTz from = job->began_at_0 ? job->began : known->first_at;
	double		done = fraction - (job->began_at_0 ? 0 : known->first_fraction);
	double		left;

	if (fraction < 0 || fraction >= 1 || done <= 0 || from == 0 || now - from < LEAST_TIME)
		return 0;
	left = (double) (now - from) * (1 - fraction) / done;
	return left > (double) MOST_LEFT ? 0 : now + (TimestampTz) left;
}

MemoryContext
kwj_watch_context(void)
{
	return AllocSetContextCreate(CurrentMemoryContext, "kwjobs look", ALLOCSET_DEFAULT_SIZES);
}

KwjShown
kwj_watch(const KwjWatched *job)
{
	Process		process = look_at_process(job);
	KwjSeen		seen = {
		.dboid = MyDatabaseId,
		.job_id = job->job_id,
		.attempt = job->attempt,
		.counters = hash_combine64(job->own_counters, process.command.counters),
		.fraction = fraction_of_job(job, &process.command),
		.at = GetCurrentTimestamp(),
	};
	KwjKnown	known = kwj_sight_look(job->sight, &seen);
	KwjShown	shown = {0};

	/* The fraction that the job itself reports is shown as it is, even if it has become smaller. */
	shown.fraction = job->own_fraction >= 0 ? job->own_fraction : known.fraction;
	shown.running_status = running_status(job, &process);
	shown.moved = Max(Max(job->noted, known.moved), process.wait.since);
	/*
	 * If this look found no fraction, the shown one is that of an earlier look, from which no speed
	 * follows.
	 */
	if (process.wait.text == NULL && seen.fraction >= 0)
		shown.eta = eta(job, &known, shown.fraction, seen.at);
	return shown;
}
