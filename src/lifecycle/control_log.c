/*
 * src/lifecycle/control_log.c
 *	  Lines in the server's log that tell who has asked for what (kwjobs.log_control).
 *
 * Process: sessions, and workers whose statement controls a job, a schedule or a hold; the
 * coordinator, when it pauses a schedule. Callers: control.c, delete.c, due_times.c, held.c, owned.c,
 * schedule.c and withdraw.c. Locks: none.
 *
 * The lines are made when something is asked for, and written once the transaction has committed:
 * what was rolled back was not asked for. The callback of the commit must not fail, so it only
 * writes what is there. A transaction that has asked for very many things keeps the first lines,
 * and counts the others.
 *
 * All state is in this process. If it dies before the commit, nothing was asked for; if it is
 * killed just afterwards, the log misses these lines, but kwdb_internal.job_events has them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/role.h"
#include "job/transaction.h"
#include "lib/stringinfo.h"
#include "lifecycle/control_log.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "store/events.h"
#include "utils/memutils.h"

/* At most this many lines of one transaction are logged; the others are counted. */
#define MOST_LINES		200
/* At most this many bytes of a reason are logged. */
#define LONGEST_REASON	1000

typedef struct Line
{
	char	   *text;
	SubTransactionId in;
} Line;

/* In the order in which they were made; the texts are in TopTransactionContext. */
static Line lines[MOST_LINES];
static int	n_lines = 0;
static int64 n_more = 0;		/* lines that found no place */
static SubTransactionId more_in;	/* the subtransaction of the first of these */

/* Appends who acts: the current user, and the user of the session if that is another one. */
static void
append_actor(StringInfo line)
{
	KwjActor	actor = kwj_store_actor();

	appendStringInfo(line, " by %s", kwj_role_name(actor.role));
	if (actor.session != actor.role)
		appendStringInfo(line, " (session user %s)", kwj_role_name(actor.session));
}

static void
append_reason(StringInfo line, const char *reason)
{
	int			length = (int) strlen(reason);
	int			kept = pg_mbcliplen(reason, length, LONGEST_REASON);

	appendStringInfo(line, ": %.*s%s", kept, reason, kept < length ? " ..." : "");
}

/* The lines are for the server's log only, whatever the client wants to see. */
static void
write_lines(void)
{
	for (int i = 0; i < n_lines; i++)
		ereport(LOG_SERVER_ONLY,
				(errmsg_internal("%s", lines[i].text), errhidestmt(true), errhidecontext(true)));
	if (n_more > 0)
		ereport(LOG_SERVER_ONLY,
				(errmsg_internal("the same transaction has asked for up to " INT64_FORMAT " more things of jobs",
								 n_more),
				 errhint("See kwdb_internal.job_events."), errhidestmt(true), errhidecontext(true)));
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (n_lines == 0 || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
		return;
	if (event == XACT_EVENT_COMMIT)
		write_lines();
	n_lines = 0;
	n_more = 0;
}

/*
 * Subtransactions are numbered in the order in which they begin. So the lines that belong to the
 * subtransaction that is rolled back, and to those within it, are the last ones of the array.
 */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
					  void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	if (n_more > 0 && more_in >= mine)
		n_more = 0;
	while (n_lines > 0 && lines[n_lines - 1].in >= mine)
		n_lines--;
}

static void
add_line(const char *what, bool has_actor, const char *reason)
{
	MemoryContext caller;
	StringInfoData line;
	static bool registered = false;

	kwj_at_transaction_end(&registered, at_transaction_end, at_subtransaction_end);
	if (n_lines == MOST_LINES)
	{
		if (n_more++ == 0)
			more_in = GetCurrentSubTransactionId();
		return;
	}
	caller = MemoryContextSwitchTo(TopTransactionContext);
	initStringInfo(&line);
	appendStringInfoString(&line, what);
	if (has_actor)
		append_actor(&line);
	if (reason != NULL)
		append_reason(&line, reason);
	MemoryContextSwitchTo(caller);
	lines[n_lines++] = (Line) {line.data, GetCurrentSubTransactionId()};
}

void
kwj_control_log(const char *what, const char *reason)
{
	if (kwj_log_control)
		add_line(what, true, reason);
}

void
kwj_control_log_itself(const char *what, const char *reason)
{
	add_line(what, false, reason);
}
