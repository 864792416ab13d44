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

/* A fraction that is not known. */
#define KWJ_NOT_KNOWN	(-1.0)

/*
 * How much of a statement that writes a table anew is done when all rows are written: the indexes
 * follow, if the table has any.
 */
#define KWJ_WRITE_SHARE(has_indexes)	((has_indexes) ? 0.75 : 0.98)

typedef struct KwjCommand
{
	char	   *phase;			/* palloc'd or constant; NULL: PostgreSQL counts no command */
	double		fraction;		/* of the statement, 0 to 1; or KWJ_NOT_KNOWN */
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
