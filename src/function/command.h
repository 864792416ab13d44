/*
 * src/function/command.h
 *	  The command that another process runs, as PostgreSQL counts it for pg_stat_progress_*.
 */
#ifndef KWJ_FUNCTION_COMMAND_H
#define KWJ_FUNCTION_COMMAND_H

#include "kwjobs.h"
#include "utils/backend_status.h"

typedef struct KwjCommand
{
	char	   *phase;			/* palloc'd or constant; NULL: PostgreSQL counts no command */
	double		fraction;		/* of the command, 0 to 1; below 0: not known */
	/* What is counted from 0: with another value, another count has begun. 0: nothing is counted. */
	uint64		counted;
	uint64		counters;		/* a hash of all counters */
} KwjCommand;

/*
 * Returns what the counters in this copy say. Takes no lock on a relation; reads pg_index and
 * catalog caches, so it needs a transaction. The process must be in this database.
 */
extern KwjCommand kwj_command_of(const PgBackendStatus *status);

#endif
