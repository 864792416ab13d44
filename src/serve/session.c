/*
 * src/serve/session.c
 *	  A session of a private server: a background worker that is connected as the owner of the job,
 *	  and speaks PostgreSQL's protocol with the program that the job's worker runs.
 *
 * Process: session. The worker registers it (server.c), the postmaster starts it. No other process
 * calls anything here.
 *
 *      fetch       the program's connection from the worker
 *      connect     as the owner, with all checks and settings of a connection of that role, but
 *                  without pg_hba.conf and the role's CONNECTION LIMIT
 *      serve       Query and FunctionCall, one after the other <--+
 *         |                                                      |
 *         +-- error: abort, tell the client and the worker ------+
 *         v
 *      exit        when the client is gone or says so; by SIGTERM
 *
 * The session has the rights of the owner and no others, because the owner is its authenticated
 * user: RESET SESSION AUTHORIZATION leads back to the owner. Statements of the extended protocol are
 * refused; pg_dump, pg_restore, createdb and psql do not send them.
 *
 * If the worker dies, its program does, and the session reads the end of the connection. While a
 * statement runs, PostgreSQL looks once a second whether the client is still there.
 *
 * Locks: those of the statements.
 */
#include "postgres.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "access/xact.h"
#include "commands/async.h"
#include "commands/event_trigger.h"
#include "compat.h"
#include "job/transaction.h"
#include "libpq/pqcomm.h"
#include "libpq/pqformat.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_bswap.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "serve/handoff.h"
#include "serve/port.h"
#include "serve/query.h"
#include "serve/server.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "storage/sinval.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

/* The worker hears of bytes that were sent when there are this many more. */
#define TELL_BYTES	(1024 * 1024)

/* The socket to the worker. */
static int	control = -1;

/* ---- what the worker is told ---- */

/* Errors are ignored: if the worker is gone, its program is, too. */
static void
tell(const KwjServeNews *news)
{
	if (control >= 0)
		(void) send(control, news, sizeof(*news), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
tell_error(const ErrorData *edata)
{
	KwjServeNews news = {.kind = KWJ_SERVE_ERROR, .sqlstate = edata->sqlerrcode};

	strlcpy(news.message, edata->message ? edata->message : "", sizeof(news.message));
	strlcpy(news.hint, edata->hint ? edata->hint : "", sizeof(news.hint));
	tell(&news);
}

/*
 * Tells the error that is being handled. If there is no memory for its texts, their copy would raise
 * the next error before this one is handled, and after some of these the server would panic.
 */
static void
tell_current_error(void)
{
	ErrorData	no_memory = {.sqlerrcode = ERRCODE_OUT_OF_MEMORY, .message = "out of memory"};
	ErrorData  *edata;

	if (geterrcode() == ERRCODE_OUT_OF_MEMORY)
	{
		tell_error(&no_memory);
		return;
	}
	MemoryContextSwitchTo(MessageContext);
	edata = CopyErrorData();
	tell_error(edata);
	FreeErrorData(edata);
}

static emit_log_hook_type previous_log_hook;

/* Whether serve() handles errors. Until then, each of them ends the session. */
static bool serves = false;

/* An error that ends the session comes by no other place. */
static void
tell_last_error(ErrorData *edata)
{
	if (edata->elevel >= (serves ? FATAL : ERROR))
		tell_error(edata);
	if (previous_log_hook)
		previous_log_hook(edata);
}

static uint64 bytes = 0;
static uint64 bytes_told = 0;

static void
tell_bytes(void)
{
	KwjServeNews news = {.kind = KWJ_SERVE_BYTES, .bytes = bytes};

	if (bytes != bytes_told)
		tell(&news);
	bytes_told = bytes;
}

/* PostgreSQL's way to send messages, and ours, which counts the bytes of COPY TO. */
static const PQcommMethods *their_methods;
static PQcommMethods our_methods;

static int
put_message(char type, const char *message, size_t length)
{
	if (type == 'd')
	{
		bytes += length;
		if (bytes - bytes_told >= TELL_BYTES)
			tell_bytes();
	}
	return their_methods->putmessage(type, message, length);
}

/* ---- the start ---- */

static int
connect_to_worker(const KwjServeExtra *extra)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int			fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strlcpy(address.sun_path, extra->path, sizeof(address.sun_path));
	/* The worker may have gone meanwhile. Then nobody needs this session. */
	if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
		send(fd, &extra->secret, sizeof(extra->secret), MSG_NOSIGNAL) != sizeof(extra->secret))
		proc_exit(0);
	return fd;
}

/* Gets the program's connection. Exits if the worker is gone, or does not want this session. */
static int
fetch_client(KwjHandoff *handoff)
{
	struct iovec part = {handoff, sizeof(*handoff)};
	union
	{
		char		bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	}			buffer;
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = buffer.bytes,
		.msg_controllen = sizeof(buffer.bytes),
	};
	struct cmsghdr *header;
	ssize_t		n;
	int			fd;

	do
		n = recvmsg(control, &message, 0);
	while (n < 0 && errno == EINTR && !ProcDiePending);
	header = n == sizeof(*handoff) ? CMSG_FIRSTHDR(&message) : NULL;
	if (header == NULL || header->cmsg_type != SCM_RIGHTS)
		proc_exit(0);
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/*
 * Takes the client's settings out of its first packet, which the worker has checked. They are set
 * with the rights of the owner when the session connects. They are allocated in TopMemoryContext.
 */
static void
read_packet(const KwjHandoff *handoff)
{
	const char *end = handoff->packet + handoff->length;
	const char *name = handoff->packet + sizeof(ProtocolVersion);

	while (name < end && *name != '\0')
	{
		const char *value = name + strlen(name) + 1;

		if (value >= end)
			ereport(FATAL,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("invalid startup packet layout: expected terminator as last byte")));
		if (strcmp(name, "user") == 0)
			MyProcPort->user_name = pstrdup(value);
		else if (strcmp(name, "database") == 0)
			MyProcPort->database_name = pstrdup(value);
		else if (strcmp(name, "options") == 0)
			MyProcPort->cmdline_options = pstrdup(value);
		else if (strncmp(name, "_pq_.", 5) != 0)
			MyProcPort->guc_options = lappend(lappend(MyProcPort->guc_options, pstrdup(name)),
											  pstrdup(value));
		name = value + strlen(value) + 1;
	}
	if (MyProcPort->database_name == NULL)
		MyProcPort->database_name = MyProcPort->user_name;
	/* A switch for the process, such as -r, has no place here, and no program gives one. */
	if (MyProcPort->cmdline_options != NULL)
		ereport(FATAL,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("sessions of a job's program take no command-line options")));
}

/* Makes the connection one of PostgreSQL's, before this process connects to the database. */
static void
open_port(int fd, const KwjHandoff *handoff)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	StringInfoData message;

	kwj_open_port(fd);
	MyProcPort->proto = FrontendProtocol = PG_PROTOCOL(3, 0);
	MyProcPort->remote_host = pstrdup("[local]");
	MyProcPort->remote_port = pstrdup("");
	whereToSendOutput = DestRemote;
	read_packet(handoff);
	MemoryContextSwitchTo(old);
	their_methods = PqCommMethods;
	our_methods = *their_methods;
	our_methods.putmessage = put_message;
	PqCommMethods = &our_methods;
	/*
	 * The client is authenticated: it is the program of the job. This comes first, because a warning
	 * may come next.
	 */
	pq_beginmessage(&message, 'R');
	pq_sendint32(&message, AUTH_REQ_OK);
	pq_endmessage(&message);
}

static void
pin(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

static void
connect_to_database(const KwjServeExtra *extra)
{
	BackgroundWorkerInitializeConnectionByOid(extra->database, extra->role, 0);
	/* A session must not outlive its client, whatever the server's settings say. */
	pin("client_connection_check_interval", "1000");
	/* What the program does belongs to the job, and makes no jobs of its own. */
	pin("kwjobs.track", "none");
	StartTransactionCommand();
	process_session_preload_libraries();
	CommitTransactionCommand();
	kwj_login_event_trigger();
}

static void
send_backend_key(const KwjHandoff *handoff)
{
	StringInfoData message;

	BeginReportingGUCOptions();
	pq_beginmessage(&message, 'K');
	pq_sendint32(&message, MyProcPid);
	pq_sendint32(&message, handoff->cancel_key);
	pq_endmessage(&message);
}

/*
 * What an idle session waits for. This is made once, because what belongs to a transaction cannot be
 * made while one is aborted.
 */
static WaitEventSet *idle_events;

static void
make_idle_events(void)
{
	idle_events = kwj_create_wait_event_set(TopMemoryContext, 3);
	AddWaitEventToSet(idle_events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(idle_events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(idle_events, WL_SOCKET_READABLE, MyProcPort->sock, NULL, NULL);
}

/* ---- messages ---- */

/* Does what has to be done while the session is idle. */
static void
wait_for_client(void)
{
	WaitEvent	event;

	/* A cancel that comes between statements is for a statement that is over. */
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
	if (catchupInterruptPending)
		ProcessCatchupInterrupt();
	if (notifyInterruptPending)
		ProcessNotifyInterrupt(true);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	(void) WaitEventSetWait(idle_events, -1, &event, 1, kwj_wait_event("KwjobsClient"));
	ResetLatch(MyLatch);
}

/*
 * Returns the type of the next message, EOF at the end of the connection. The message is being read
 * then. Outside of the wait, no interrupt is handled that could raise an error in the middle of it.
 */
static int
next_type(void)
{
	unsigned char type;
	int			n;

	for (;;)
	{
		pq_startmsgread();
		n = pq_getbyte_if_available(&type);
		if (n != 0)
			return n > 0 ? type : EOF;
		pq_endmsgread();
		wait_for_client();
	}
}

/* Reads a message. Returns its type, EOF if the client has gone. */
static int
read_message(StringInfo message)
{
	int			type = next_type();

	if (type == EOF)
		return EOF;
	if (type != 'Q' && type != 'F' && type != 'X' && type != 'd' && type != 'c' && type != 'f')
		ereport(FATAL,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("sessions of a job's program take no message of type \"%c\"",
						type >= ' ' && type < 127 ? type : '?')));
	return pq_getmessage(message, type == 'Q' || type == 'F' || type == 'd' ?
						 PQ_LARGE_MESSAGE_LIMIT : PQ_SMALL_MESSAGE_LIMIT) == EOF ? EOF : type;
}

/* Obeys a message. The rest of a COPY FROM that has failed is thrown away, as PostgreSQL does. */
static void
obey(int type, StringInfo message)
{
	const char *text;

	if (type == 'Q')
	{
		SetCurrentStatementStartTimestamp();
		text = pq_getmsgstring(message);
		pq_getmsgend(message);
		kwj_serve_query(text);
	}
	else if (type == 'F')
	{
		SetCurrentStatementStartTimestamp();
		kwj_serve_function(message);
	}
	tell_bytes();
}

static void
report_ready(void)
{
	if (IsAbortedTransactionBlockState())
		pgstat_report_activity(STATE_IDLEINTRANSACTION_ABORTED, NULL);
	else if (IsTransactionOrTransactionBlock())
		pgstat_report_activity(STATE_IDLEINTRANSACTION, NULL);
	else
	{
		if (notifyInterruptPending)
			ProcessNotifyInterrupt(false);
		pgstat_report_stat(true);
		pgstat_report_activity(STATE_IDLE, NULL);
	}
	ReportChangedGUCOptions();
	ReadyForQuery(DestRemote);
}

/* Does what PostgresMain() does after an error. */
static void
recover(void)
{
	error_context_stack = NULL;
	HOLD_INTERRUPTS();
	disable_all_timeouts(false);
	QueryCancelPending = false;
	pq_comm_reset();
	/* The worker has to know it when the program, which is told next, has exited because of it. */
	tell_current_error();
	EmitErrorReport();
	kwj_abort_after_error();
	MemoryContextSwitchTo(MessageContext);
	FlushErrorState();
	kwj_serve_query_failed();
	if (pq_is_reading_msg())
		ereport(FATAL,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("terminating connection because protocol synchronization was lost")));
	RESUME_INTERRUPTS();
}

pg_noreturn static void
leave(void)
{
	tell(&(KwjServeNews) {.kind = KWJ_SERVE_BYE});
	/* Messages of the exit have no receiver any more. */
	whereToSendOutput = DestNone;
	proc_exit(0);
}

/* Obeys the client until it is gone, and exits then: errors of the exit need this buffer. */
pg_noreturn static void
serve(void)
{
	sigjmp_buf	buffer;
	volatile bool is_ready = true;

	if (sigsetjmp(buffer, 1) != 0)
	{
		recover();
		is_ready = true;
	}
	PG_exception_stack = &buffer;
	serves = true;
	for (;;)
	{
		StringInfoData message;
		int			type;

		MemoryContextSwitchTo(MessageContext);
		MemoryContextReset(MessageContext);
		initStringInfo(&message);
		InvalidateCatalogSnapshotConditionally();
		if (is_ready)
			report_ready();
		type = read_message(&message);
		if (type == EOF || type == 'X')
			leave();
		is_ready = type == 'Q' || type == 'F';
		obey(type, &message);
	}
}

void
kwj_serve_session_main(Datum arg)
{
	KwjServeExtra extra;
	KwjHandoff *handoff = MemoryContextAllocZero(TopMemoryContext, sizeof(KwjHandoff));

	memcpy(&extra, MyBgworkerEntry->bgw_extra, sizeof(extra));
	pqsignal(SIGINT, StatementCancelHandler);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	previous_log_hook = emit_log_hook;
	emit_log_hook = tell_last_error;
	control = connect_to_worker(&extra);
	open_port(fetch_client(handoff), handoff);
	connect_to_database(&extra);
	MessageContext = AllocSetContextCreate(TopMemoryContext, "MessageContext",
										   ALLOCSET_DEFAULT_SIZES);
	make_idle_events();
	send_backend_key(handoff);
	serve();
}
