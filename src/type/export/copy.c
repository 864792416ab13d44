/*
 * src/type/export/copy.c
 *	  Runs COPY TO, and takes its rows.
 *
 * Process: worker. Locks: those of COPY.
 *
 * COPY is run as a statement, COPY t TO STDOUT, through ProcessUtility. So PostgreSQL checks the
 * rights and row-level security, extensions that audit or redirect COPY see it, and what is written
 * is what COPY writes.
 *
 * COPY TO STDOUT sends each row as a message of the protocol, by the functions to which PqCommMethods
 * points. A worker has no client, so nobody else uses them. While COPY runs, they are those of this
 * file:
 *
 *     COPY  --pq_putmessage('d', row)-->  put_message  -->  sink
 *
 * All other messages (the beginning and the end of the copy, notices, which the transcript has) are
 * dropped. A parallel worker sends its notices to its leader, which is its client.
 */
#include "postgres.h"

/*
 * libpq.h would include the headers of these libraries, which a build of kwjobs does not need, for
 * the parts of struct Port, which this file does not use.
 */
#undef ENABLE_GSS
#undef USE_OPENSSL
#undef USE_SSL

#include "access/parallel.h"
#include "compat.h"
#include "executor/executor.h"
#include "libpq/libpq.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "type/export/copy.h"
#include "type/sql/messages.h"
#include "type/sql/parse.h"
#include "utils/backend_status.h"
#include "utils/snapmgr.h"

/* The type of a message that has data of COPY. */
#define COPY_DATA	'd'
/* ... and of one that has a notice. */
#define NOTICE_RESPONSE	'N'

static KwjRowSink row_sink;
static void *row_arg;
static const PQcommMethods *previous_methods;

static void
ignore(void)
{
}

static int
flush_nothing(void)
{
	return 0;
}

static bool
nothing_is_pending(void)
{
	return false;
}

static int
put_message(char type, const char *data, size_t size)
{
	if (type == COPY_DATA)
		row_sink(row_arg, data, size);
	else if (type == NOTICE_RESPONSE && IsParallelWorker())
		return previous_methods->putmessage(type, data, size);
	return 0;
}

static void
put_message_noblock(char type, const char *data, size_t size)
{
}

static const PQcommMethods methods = {
	.comm_reset = ignore,
	.flush = flush_nothing,
	.flush_if_writable = flush_nothing,
	.is_send_pending = nothing_is_pending,
	.putmessage = put_message,
	.putmessage_noblock = put_message_noblock,
};

static void
stop_capture(const PQcommMethods *saved_methods, CommandDest saved_destination)
{
	PqCommMethods = saved_methods;
	whereToSendOutput = saved_destination;
	if (!IsParallelWorker())
		kwj_sql_messages_end();
}

/*
 * Throws the current error again. When it was raised, elog.c has noted that it has to go to the
 * client, and there is none.
 */
static void
rethrow_without_client(MemoryContext context)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	FlushErrorState();
	/* The client of a parallel worker is its leader. */
	edata->output_to_client = whereToSendOutput == DestRemote;
	ReThrowError(edata);
}

void
kwj_export_copy(const char *source, const char *options, KwjRowSink sink, void *arg)
{
	char	   *text = psprintf("COPY %s TO STDOUT %s", source, options);
	PlannedStmt *statement = kwj_sql_plan_copy(text, false);
	const PQcommMethods *saved_methods = PqCommMethods;
	CommandDest saved_destination = whereToSendOutput;
	MemoryContext caller = CurrentMemoryContext;
	QueryCompletion completion;

	pgstat_report_activity(STATE_RUNNING, text);
	InitializeQueryCompletion(&completion);
	row_sink = sink;
	row_arg = arg;
	previous_methods = saved_methods;
	if (!IsParallelWorker())
		kwj_sql_messages_begin();
	PG_TRY();
	{
		PqCommMethods = &methods;
		whereToSendOutput = DestRemote;
		ProcessUtility(statement, text, false, PROCESS_UTILITY_TOPLEVEL, NULL, NULL, None_Receiver,
					   &completion);
	}
	PG_CATCH();
	{
		stop_capture(saved_methods, saved_destination);
		rethrow_without_client(caller);
	}
	PG_END_TRY();
	stop_capture(saved_methods, saved_destination);
}
