/*
 * src/serve/server.c
 *	  A private server: the worker's side.
 *
 * Callers: job types, in a worker. The worker itself closes what is left (kwj_servers_end) when the
 * work of an attempt is over, by an error or not, and so does its exit callback.
 *
 *     program --- .s.PGSQL.port ---> worker --- registers ---> postmaster
 *        ^                             ^                           | starts
 *        |                             +------ socket "s" ----- session
 *        +------------------ the program's connection ------------>+
 *
 * The worker accepts a connection of its program, reads the first packet, and has the postmaster
 * start a background worker: the session (session.c). This connects to the second socket, proves by
 * a secret that it is the one that was started, and gets the descriptor of the program's connection.
 * It then talks with the program as any session of PostgreSQL does. The worker never waits for one
 * of them: all sockets are in one epoll set, which kwj_child_wait() watches.
 *
 * The states of a peer, whose socket is in the set:
 *
 *     CLIENT --first packet complete--> QUEUED --its session is started--> WAITING
 *        |                                |                                |    |
 *        +-- cancel request, refused,     +-- no room for SLOT_MS: 53300   |    |
 *            closed --> (none)                --> (none)                   |    |
 *                                                                          |    |
 *       (none) <-- its session never came: 53000 --------------------------+    |
 *       (none) <-- the postmaster says: it has exited -- GONE <--it ends-- SESSION
 *     NEWCOMER --the secret of a WAITING peer--> (its socket becomes that peer's)
 *
 * Who dies where:
 * - The worker exits in order: its exit callback ends the sessions and waits for them, and so does
 *   the end of the work. Killed, it takes the whole server through a crash restart.
 * - The program: its sessions read the end of their sockets, abort and exit. While a statement runs,
 *   they look each second (client_connection_check_interval, session.c).
 * - A session: the program reads the end of its connection, and fails.
 * - The postmaster: the worker and the sessions exit when they next wait. The exit callback does
 *   not wait for sessions, because only the postmaster can tell that they have exited.
 *
 * The sockets are in a directory below base/pgsql_tmp that belongs to nobody but the server's
 * operating system user. PostgreSQL removes what is left there when it starts, and leaves it out of
 * base backups.
 *
 * Locks: BackgroundWorkerLock, for moments.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/timerfd.h>
#endif

#include "common/file_perm.h"
#include "common/file_utils.h"
#include "compat.h"
#include "job/clip.h"
#include "job/current.h"
#include "job/noted.h"
#include "lib/ilist.h"
#include "libpq/pqcomm.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "postmaster/postmaster.h"
#include "serve/peer.h"
#include "shared/served.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"

/* How long sessions may take to end by themselves, and then by SIGTERM. */
#define DRAIN_MS		2000
#define TERMINATE_MS	5000
/* Connections that the kernel keeps until the worker accepts them. */
#define BACKLOG			64
/* The size of KwjAttempt.lacks, which users read in running_status. */
#define LACKS_LEN		120
/* Events that are handled at a time. */
#define N_EVENTS		16

/* The server that is open; a worker has one at a time. */
static KwjServer *open_server = NULL;

#ifdef KWJ_CAN_SERVE

/* ---- sockets ---- */

static void
clients_path(const KwjServer *server, char *path)
{
	snprintf(path, KWJ_SERVE_PATH, "%s/.s.PGSQL.%d", server->directory, PostPortNumber);
}

/* Raises an error about the server's directory. what: what could not be done, such as "watch sockets in". */
pg_noreturn static void
directory_error(const KwjServer *server, const char *what)
{
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not %s directory \"%s\": %m", what, server->directory),
			 errhint("The server's operating system user must be able to create sockets in its data directory.")));
}

/* Listens on a socket of this path. */
static int
listen_on(const KwjServer *server, const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int			fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	StaticAssertStmt(KWJ_SERVE_PATH <= sizeof(address.sun_path), "a path must fit into an address");
	strlcpy(address.sun_path, path, KWJ_SERVE_PATH);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
		chmod(address.sun_path, S_IRUSR | S_IWUSR) < 0 || listen(fd, BACKLOG) < 0)
	{
		int			failure = errno;

		kwj_peer_close(&fd);
		errno = failure;
		directory_error(server, "create a socket in");
	}
	return fd;
}

static void
make_directory(KwjServer *server)
{
	uint32		number;

	if (!pg_strong_random(&number, sizeof(number)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random number")));
	snprintf(server->directory, KWJ_SERVE_PATH, "base/%s/%s%d.%08x", PG_TEMP_FILES_DIR,
			 PG_TEMP_FILE_PREFIX, MyProcPid, number);
	if ((MakePGDirectory("base/" PG_TEMP_FILES_DIR) < 0 && errno != EEXIST) ||
		mkdir(server->directory, S_IRWXU) < 0)
		directory_error(server, "create");
}

static void
remove_directory(const KwjServer *server)
{
	char		path[KWJ_SERVE_PATH];

	if (server->directory[0] == '\0')
		return;
	kwj_peer_path(server, KWJ_SESSIONS_SOCKET, path);
	(void) unlink(path);
	clients_path(server, path);
	(void) unlink(path);
	(void) rmdir(server->directory);
}

/* ---- sessions ---- */

static void
accept_session(KwjServer *server)
{
	int			fd = accept4(server->sessions.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	pid_t		pid;
	Peer	   *peer;

	if (fd < 0)
		return;
	if (!kwj_peer_is_own(fd, &pid))
		close(fd);
	else if ((peer = kwj_peer_add(server, NEWCOMER, fd)) != NULL)
		peer->pid = pid;
}

static bool
send_handoff(int fd, const Peer *peer)
{
	struct iovec part = {unconstify(KwjHandoff *, &peer->handoff), sizeof(peer->handoff)};
	union
	{
		char		bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	}			control = {{0}};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &peer->client, sizeof(int));
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(peer->handoff);
}

static Peer *
find_waiting(KwjServer *server, uint64 secret)
{
	dlist_iter	iter;

	dlist_foreach(iter, &server->peers)
	{
		Peer	   *peer = dlist_container(Peer, node, iter.cur);

		if (peer->kind == WAITING && peer->secret == secret)
			return peer;
	}
	return NULL;
}

/* Reads the secret of a newcomer. If it is right, gives it its client. */
static void
read_secret(KwjServer *server, Peer *newcomer)
{
	uint64		secret = 0;
	ssize_t		n = kwj_peer_receive(newcomer->fd, &secret, sizeof(secret));
	Peer	   *peer;
	int			fd = newcomer->fd;
	pid_t		pid = newcomer->pid;

	if (n < 0)
		return;
	peer = n == sizeof(secret) ? find_waiting(server, secret) : NULL;
	if (peer == NULL || !send_handoff(fd, peer))
	{
		kwj_peer_forget(server, newcomer);
		return;
	}
	kwj_peer_unwatch(server, newcomer);
	newcomer->fd = -1;
	kwj_peer_forget(server, newcomer);
	kwj_peer_close(&peer->client);
	peer->pid = pid;
	peer->kind = SESSION;
	(void) kwj_peer_watch(server, peer, fd);
}

/*
 * Returns whether the error is a consequence of the program's failure: the program has canceled the
 * statement itself, or its connection has ended.
 */
static bool
is_consequence(const Peer *peer, int sqlstate)
{
	return (sqlstate == ERRCODE_QUERY_CANCELED && peer->canceled) || sqlstate == ERRCODE_CONNECTION_FAILURE;
}

/*
 * Returns a text of a session, which may have another encoding and have been cut off: valid in this
 * database, and palloc'd in the server's memory.
 */
static char *
keep_text(KwjServer *server, char *text, size_t size)
{
	size_t		length = strnlen(text, size - 1);

	if (length == size - 1)
		length = kwj_whole_characters(text, length);
	text[length] = '\0';
	kwj_make_valid(text, length);
	return MemoryContextStrdup(server->context, text);
}

/* Keeps the first error that comes; the others may be its consequences. */
static void
keep_error(KwjServer *server, Peer *peer, KwjServeNews *news)
{
	peer->said_bye = true;
	if (server->error.sqlstate != 0 || is_consequence(peer, news->sqlstate))
		return;
	server->error.message = keep_text(server, news->message, sizeof(news->message));
	server->error.hint = news->hint[0] ? keep_text(server, news->hint, sizeof(news->hint)) : NULL;
	server->error.sqlstate = news->sqlstate;
}

/*
 * The session has closed its socket. If it has not said why, it was killed, and the job may be tried
 * again: the postmaster is about to end all processes, but the program's failure may come first.
 */
static void
lose(KwjServer *server, const Peer *peer)
{
	if (!peer->said_bye && server->error.sqlstate == 0)
		server->error = (KwjServerError) {
			ERRCODE_CRASH_SHUTDOWN, "a session of the job's program was killed", NULL
		};
}

/* Returns false if the session has said nothing more so far, or has closed its socket. */
static bool
read_news(KwjServer *server, Peer *peer)
{
	KwjServeNews news;
	ssize_t		n = kwj_peer_receive(peer->fd, &news, sizeof(news));

	if (n < 0)
		return false;
	if (n != sizeof(news))
	{
		lose(server, peer);
		kwj_peer_close(&peer->fd);
		peer->kind = GONE;
		return false;
	}
	if (news.kind == KWJ_SERVE_BYE)
		peer->said_bye = true;
	else if (news.kind == KWJ_SERVE_BYTES)
		peer->bytes = news.bytes;
	else
		keep_error(server, peer, &news);
	return true;
}

/* Forgets sessions that have exited, and turns away the clients of those that never came. */
static void
reap(KwjServer *server)
{
	dlist_mutable_iter iter;
	pid_t		pid;

	dlist_foreach_modify(iter, &server->peers)
	{
		Peer	   *peer = dlist_container(Peer, node, iter.cur);

		if (peer->handle == NULL || GetBackgroundWorkerPid(peer->handle, &pid) != BGWH_STOPPED)
			continue;
		/*
		 * What the session has said last may still be in its socket. If it has left a process behind,
		 * which untrusted languages can fork, the socket stays open.
		 */
		while (peer->kind == SESSION && read_news(server, peer))
			;
		if (peer->kind == SESSION)
			lose(server, peer);
		if (peer->kind == WAITING)
			kwj_peer_turn_away(server, peer, ERRCODE_INSUFFICIENT_RESOURCES,
					  "a session of the job's program could not be started; the server's log says why");
		else
			kwj_peer_forget(server, peer);
	}
}

/* ---- what kwj_child_wait() calls ---- */

static void
handle(KwjServer *server, Peer *peer)
{
	uint64		expirations;
	ssize_t		n PG_USED_FOR_ASSERTS_ONLY;

	switch (peer->kind)
	{
		case FOR_CLIENTS:
			kwj_client_accept(server);
			break;
		case FOR_SESSIONS:
			accept_session(server);
			break;
		case CLIENT:
			kwj_client_read(server, peer);
			break;
		case NEWCOMER:
			read_secret(server, peer);
			break;
		case SESSION:
			(void) read_news(server, peer);
			break;
		case TIMER:
			n = read(peer->fd, &expirations, sizeof(expirations));
			Assert(n == sizeof(expirations) || errno == EAGAIN);
			break;
		case QUEUED:
		case WAITING:
		case GONE:
			break;
	}
}

/*
 * Looks after all peers, without waiting. One event is taken at a time, because handling it may free
 * other peers.
 */
static void
look_after(void *arg)
{
	KwjServer  *server = arg;
	struct epoll_event event;

	for (int i = 0; i < N_EVENTS && epoll_wait(server->set, &event, 1, 0) == 1; i++)
		handle(server, event.data.ptr);
	reap(server);
	kwj_clients_start(server);
	if (server->on_news != NULL)
		server->on_news(server->news_arg);
}

/* ---- for job types ---- */

/* Returns by how much max_worker_processes has to be raised, so that one role can have this many places. */
static int
places_lacking(const KwjSessionPlaces *places, int most)
{
	int			more = 1;

	while (kwj_places_of_role(places->most + more) < most)
		more++;
	return more;
}

void
kwj_server_check_places(const char *job_type, int most)
{
	KwjSessionPlaces places;

	kwj_shared_session_places(&places);
	if (most <= places.per_role)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this %s needs background workers for %d sessions, and can have %d", job_type, most, Max(places.per_role, 0)),
			 errdetail("max_worker_processes (%d) has to have room for kwjobs.max_workers (%d) + 1 workers, a coordinator, the background workers that start with the server, and these sessions; some of more than 3 are kept for other roles.",
					   max_worker_processes, kwj_max_workers),
			 errhint("Raise max_worker_processes by %d and restart the server%s.", places_lacking(&places, most),
					 most > 1 && places.per_role > 0 ? ", or type WITH thread_concurrency = 1" : "")));
}

/*
 * Takes places for this many sessions. If other jobs have these places now, notes in the attempt that it
 * lacks places, and raises an error.
 */
static void
take_places(int most)
{
	KwjAttempt *attempt = kwj_attempt_current();
	KwjSessionPlaces places;

	kwj_server_check_places(attempt->job_type, most);
	if (kwj_shared_take_sessions(most, &places))
		return;
	attempt->lacks = MemoryContextAlloc(GetMemoryChunkContext(attempt->payload), LACKS_LEN);
	if (places.of_role + most > places.per_role)
		snprintf(attempt->lacks, LACKS_LEN, KWJ_NOTED_NO_SESSIONS ": it needs %d, and its role has %d of at most %d",
				 most, places.of_role, places.per_role);
	else
		snprintf(attempt->lacks, LACKS_LEN, KWJ_NOTED_NO_SESSIONS ": it needs %d, and %d of %d are taken",
				 most, places.taken, places.most);
	ereport(ERROR,
			(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
			 errmsg("there are too few background workers for the sessions of the job"),
			 errdetail("%s", attempt->lacks)));
}

static void
end_at_exit(int code, Datum arg)
{
	kwj_servers_end();
}

KwjServer *
kwj_server_open(Oid role, int most)
{
	static bool registered = false;
	char	   *name = GetUserNameFromId(role, false);
	MemoryContext context;
	KwjServer  *server;
	char		path[KWJ_SERVE_PATH];

	Assert(open_server == NULL);
	if (!registered)
		before_shmem_exit(end_at_exit, (Datum) 0);
	registered = true;
	take_places(most);
	context = AllocSetContextCreate(TopMemoryContext, "kwjobs server", ALLOCSET_DEFAULT_SIZES);
	server = MemoryContextAllocZero(context, sizeof(KwjServer));
	server->context = context;
	server->most = most;
	server->role = role;
	strlcpy(server->role_name, name, NAMEDATALEN);
	server->clients = (Peer) {.kind = FOR_CLIENTS, .fd = -1, .client = -1};
	server->sessions = (Peer) {.kind = FOR_SESSIONS, .fd = -1, .client = -1};
	server->timer = (Peer) {.kind = TIMER, .fd = -1, .client = -1};
	dlist_init(&server->peers);
	server->set = -1;
	open_server = server;
	make_directory(server);
	server->set = epoll_create1(EPOLL_CLOEXEC);
	if (server->set < 0)
		directory_error(server, "watch sockets in");
	server->events = kwj_create_wait_event_set(context, 3);
	AddWaitEventToSet(server->events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(server->events, WL_POSTMASTER_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(server->events, WL_SOCKET_READABLE, server->set, NULL, NULL);
	kwj_peer_path(server, KWJ_SESSIONS_SOCKET, path);
	server->sessions.fd = listen_on(server, path, SOCK_SEQPACKET);
	clients_path(server, path);
	server->clients.fd = listen_on(server, path, SOCK_STREAM);
	server->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (server->timer.fd < 0 || !kwj_peer_watch(server, &server->timer, server->timer.fd) ||
		!kwj_peer_watch(server, &server->sessions, server->sessions.fd))
		directory_error(server, "watch sockets in");
	return server;
}

const char *const *
kwj_server_environment(const KwjServer *server, const char *database, const char *const *more)
{
	const char *fixed[] = {
		/*
		 * The program starts in the data directory, so that the path of the socket is short, however
		 * long that of the data directory is.
		 */
		psprintf("PGHOST=/proc/self/cwd/%s", server->directory),
		psprintf("PGPORT=%d", PostPortNumber),
		psprintf("PGUSER=%s", server->role_name),
		psprintf("PGDATABASE=%s", database),
		psprintf("PGAPPNAME=kwjobs job " INT64_FORMAT,
				 kwj_attempt_current() ? kwj_attempt_current()->job_id : 0),
		"PGSSLMODE=disable",
		"PGGSSENCMODE=disable",
		"PGMAXPROTOCOLVERSION=3.0",
		/* Nothing of the operating system user, such as passwords and services, is used. */
		"PGPASSFILE=/nonexistent",
		"PGSERVICEFILE=/nonexistent",
		"PGSYSCONFDIR=/nonexistent",
		"HOME=/nonexistent",
		"PATH=/usr/bin:/bin",
		/* Messages are in English, because they are read. */
		"LC_ALL=C",
	};
	const char **all;
	int			n = lengthof(fixed);
	int			n_more = 0;

	while (more != NULL && more[n_more] != NULL)
		n_more++;
	all = palloc(sizeof(char *) * (n + n_more + 1));
	memcpy(all, fixed, sizeof(fixed));
	for (int i = 0; i < n_more; i++)
		all[n++] = more[i];
	all[n] = NULL;
	return all;
}

void
kwj_server_watch(KwjServer *server, KwjChildSpec *spec, void (*on_news) (void *arg), void *arg)
{
	server->on_news = on_news;
	server->news_arg = arg;
	spec->watched = server->set;
	spec->on_watched = look_after;
	spec->watched_arg = server;
}

void
kwj_server_admit(KwjServer *server, Oid database, const char *name, pid_t program)
{
	server->database = database;
	strlcpy(server->database_name, name, NAMEDATALEN);
	server->program_session = getsid(program);
	server->error = (KwjServerError) {0};
	(void) kwj_peer_watch(server, &server->clients, server->clients.fd);
}

KwjServerError
kwj_server_error(KwjServer *server)
{
	look_after(server);
	return server->error;
}

uint64
kwj_server_bytes(KwjServer *server)
{
	dlist_iter	iter;
	uint64		bytes = server->bytes;

	dlist_foreach(iter, &server->peers)
		bytes += dlist_container(Peer, node, iter.cur)->bytes;
	return bytes;
}

/* ---- the end ---- */

/*
 * Turns away all that have no session yet. for_good: also closes the socket to which programs
 * connect; otherwise the next program can connect to it once it is admitted.
 */
static void
shut(KwjServer *server, bool for_good)
{
	dlist_mutable_iter iter;
	int			fd;

	server->program_session = 0;
	server->on_news = NULL;
	if (server->clients.fd >= 0)
	{
		kwj_peer_unwatch(server, &server->clients);
		while (!for_good && (fd = accept4(server->clients.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
			close(fd);
	}
	if (for_good)
		kwj_peer_close(&server->clients.fd);
	dlist_foreach_modify(iter, &server->peers)
	{
		Peer	   *peer = dlist_container(Peer, node, iter.cur);

		if (peer->kind == CLIENT || peer->kind == QUEUED)
			kwj_peer_forget(server, peer);
		else if (peer->kind == WAITING)
			kwj_peer_close(&peer->client);
	}
}

void
kwj_server_refuse(KwjServer *server)
{
	shut(server, true);
}

/*
 * Waits until no session is left, for at most `ms`. The postmaster sets this process's latch when
 * one has exited, and tells nothing any more when it is dead itself. Then a worker in the middle of
 * its work exits: sessions that are gone would still be counted, and the job would fail. Returns
 * whether none is left.
 */
static bool
await_sessions(KwjServer *server, int ms, bool in_work)
{
	instr_time	began;
	WaitEvent	event;

	INSTR_TIME_SET_CURRENT(began);
	for (;;)
	{
		int			left = ms - kwj_elapsed_ms(began);

		look_after(server);
		if (kwj_peer_sessions(server) == 0)
			return true;
		if (in_work && !PostmasterIsAlive())
			proc_exit(1);
		if (left <= 0 || !PostmasterIsAlive())
			return false;
		(void) WaitEventSetWait(server->events, left, &event, 1, kwj_wait_event("KwjobsProgram"));
		ResetLatch(MyLatch);
		if (in_work)
			CHECK_FOR_INTERRUPTS();
	}
}

static void
terminate_sessions(KwjServer *server)
{
	dlist_iter	iter;

	dlist_foreach(iter, &server->peers)
	{
		Peer	   *peer = dlist_container(Peer, node, iter.cur);

		if (peer->handle != NULL)
			TerminateBackgroundWorker(peer->handle);
	}
}

void
kwj_server_drain(KwjServer *server)
{
	shut(server, false);
	if (await_sessions(server, DRAIN_MS, true))
		return;
	terminate_sessions(server);
	if (!await_sessions(server, TERMINATE_MS, true))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),	/* another attempt may find it gone */
				 errmsg("a session of the job's program does not end"),
				 errhint("Look for \"kwjobs session\" in pg_stat_activity, and run the job again when it is gone.")));
}

void
kwj_server_close(KwjServer *server)
{
	shut(server, true);
	if (!await_sessions(server, 0, false))
	{
		terminate_sessions(server);
		(void) await_sessions(server, TERMINATE_MS, false);
	}
	remove_directory(server);
	while (!dlist_is_empty(&server->peers))
		kwj_peer_forget(server, dlist_head_element(Peer, node, &server->peers));
	kwj_peer_close(&server->sessions.fd);
	kwj_peer_close(&server->timer.fd);
	if (server->events != NULL)
		FreeWaitEventSet(server->events);
	kwj_peer_close(&server->set);
	kwj_shared_give_sessions_back();
	open_server = NULL;
	MemoryContextDelete(server->context);
}

void
kwj_servers_refuse(void)
{
	if (open_server != NULL)
		shut(open_server, true);
}

void
kwj_servers_end(void)
{
	if (open_server != NULL)
		kwj_server_close(open_server);
}

#else

void
kwj_server_check_places(const char *job_type, int most)
{
}

KwjServer *
kwj_server_open(Oid role, int most)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("jobs that run programs with sessions need Linux"),
			 errdetail("Other systems do not tell which process has connected to a socket."),
			 errhint("Run the program by hand.")));
}

const char *const *
kwj_server_environment(const KwjServer *server, const char *database, const char *const *more)
{
	return NULL;
}

void
kwj_server_watch(KwjServer *server, KwjChildSpec *spec, void (*on_news) (void *arg), void *arg)
{
}

void
kwj_server_admit(KwjServer *server, Oid database, const char *name, pid_t program)
{
}

void
kwj_server_refuse(KwjServer *server)
{
}

void
kwj_server_drain(KwjServer *server)
{
}

KwjServerError
kwj_server_error(KwjServer *server)
{
	return (KwjServerError) {0};
}

uint64
kwj_server_bytes(KwjServer *server)
{
	return 0;
}

void
kwj_server_close(KwjServer *server)
{
}

void
kwj_servers_refuse(void)
{
}

void
kwj_servers_end(void)
{
}

#endif
