/*
 * src/function/command.h
 *	  The command that another process runs, as PostgreSQL counts it for pg_stat_progress_*.
 */
#ifndef KWJ_FUNCTION_COMMAND_H
#define KWJ_FUNCTION_COMMAND_H

#include "kwjobs.h"
#include "job/counts.h"
#include "utils/backend_status.h"

/*
 * The largest fraction that the counters give for a statement. A session's job has it from the end
 * of its statement until its transaction ends.
 */
#define KWJ_ALMOST		0.99

typedef struct KwjCommand
{
	char	   *phase;			/* palloc'd or constant; NULL: PostgreSQL counts no command */
	double		fraction;		/* of the statement, 0 to 1; below 0: not known */
	uint64		counters;		/* a hash of all counters */
} KwjCommand;

/*
 * Returns what the counters in this copy say. counts: which part of the statement they are about.
 * Reads pg_index, under AccessShareLock for a moment, and catalog caches, so it needs a
 * transaction. Takes no lock on the table that the command works on. The process must be in this
 * database.
 */
extern KwjCommand kwj_command_of(const PgBackendStatus *status, KwjCounts counts);

#endif
