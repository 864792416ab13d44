/*
 * src/serve/clients.c
 *	  The connections of the program to its private server, until each has its session.
 *
 * Callers: server.c, in a worker. Nothing here waits. Locks: BackgroundWorkerLock and
 * kwj_shared->lock, for moments.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/socket.h>
#ifdef __linux__
#include <sys/timerfd.h>
#endif
#include <unistd.h>

#include "child/child.h"
#include "compat.h"
#include "libpq/pqcomm.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "serve/peer.h"
#include "storage/latch.h"

#ifdef KWJ_CAN_SERVE

/* A client waits at most SLOT_MS for room for its session. Every SLOT_STEP_MS the worker asks for a slot. */
#define SLOT_MS			5000
#define SLOT_STEP_MS	10

/* Obeys a cancel request: a packet of its code, a process id and a key. */
static void
cancel(KwjServer *server, const Peer *request)
{
	uint32		words[3];
	dlist_iter	iter;

	if (request->handoff.length != sizeof(words))
		return;
	memcpy(words, request->handoff.packet, sizeof(words));
	dlist_foreach(iter, &server->peers)
	{
		Peer	   *peer = dlist_container(Peer, node, iter.cur);

		if (peer->kind == SESSION && peer->pid == (pid_t) pg_ntoh32(words[1]) &&
			peer->handoff.cancel_key == (int32) pg_ntoh32(words[2]))
		{
			peer->canceled = true;
			(void) kill(peer->pid, SIGINT);
		}
	}
}

/* Returns the value of a parameter of a startup packet, or NULL. */
static const char *
parameter(const KwjHandoff *handoff, const char *wanted)
{
	const char *end = handoff->packet + handoff->length;
	const char *name = handoff->packet + sizeof(ProtocolVersion);

	while (name < end && *name != '\0')
	{
		const char *value = name + strlen(name) + 1;

		if (value >= end)
			return NULL;
		if (strcmp(name, wanted) == 0)
			return value;
		name = value + strlen(value) + 1;
	}
	return NULL;
}

/*
 * Returns why this startup packet gets no session; NULL if it gets one. The session itself is always
 * that of the job's owner; a program that asks for another role would not be told otherwise.
 */
static const char *
why_not(const KwjServer *server, const KwjHandoff *handoff)
{
	const char *user = parameter(handoff, "user");
	const char *database = parameter(handoff, "database");

	if (user == NULL || strcmp(user, server->role_name) != 0)
		return "the program of a job gets sessions of the job's owner only";
	if (strcmp(database ? database : user, server->database_name) != 0)
		return "the program of a job gets sessions in the job's database only";
	if (parameter(handoff, "replication") != NULL)
		return "the program of a job gets no replication connections";
	return NULL;
}

/*
 * Starts the session of a client. Returns whether there was room for it: the job must have a place left,
 * and the postmaster a slot.
 */
static bool
start_session(KwjServer *server, Peer *peer)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = KWJ_LIBRARY,
		.bgw_function_name = "kwj_serve_session_main",
		.bgw_name = "kwjobs session",
		.bgw_type = "kwjobs session",
		.bgw_notify_pid = MyProcPid,
	};
	KwjServeExtra extra = {.database = server->database, .role = server->role};
	MemoryContext old;
	bool		room;

	StaticAssertStmt(sizeof(extra) <= BGW_EXTRALEN, "KwjServeExtra must fit into bgw_extra");
	if (!pg_strong_random(&peer->secret, sizeof(peer->secret)) ||
		!pg_strong_random(&peer->handoff.cancel_key, sizeof(peer->handoff.cancel_key)))
		return false;
	extra.secret = peer->secret;
	kwj_peer_path(server, KWJ_SESSIONS_SOCKET, extra.path);
	memcpy(worker.bgw_extra, &extra, sizeof(extra));
	old = MemoryContextSwitchTo(server->context);
	room = kwj_peer_sessions(server) < server->most &&
		RegisterDynamicBackgroundWorker(&worker, &peer->handle);
	MemoryContextSwitchTo(old);
	return room;
}

/* A client's first packet is complete. */
static void
take_packet(KwjServer *server, Peer *peer)
{
	KwjHandoff *handoff = &peer->handoff;
	const char *refusal;
	uint32		code;

	memcpy(&code, handoff->packet, sizeof(code));
	code = pg_ntoh32(code);
	if (code == NEGOTIATE_SSL_CODE || code == NEGOTIATE_GSS_CODE)
	{
		(void) send(peer->fd, "N", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		peer->got = 0;
		return;
	}
	if (code == CANCEL_REQUEST_CODE)
	{
		cancel(server, peer);
		kwj_peer_forget(server, peer);
		return;
	}
	if (code != PG_PROTOCOL(3, 0))
	{
		kwj_peer_turn_away(server, peer, ERRCODE_FEATURE_NOT_SUPPORTED,
				  "the program of a job must use version 3.0 of the protocol");
		return;
	}
	refusal = why_not(server, handoff);
	if (refusal != NULL)
		kwj_peer_turn_away(server, peer, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, refusal);
	else
	{
		kwj_peer_unwatch(server, peer);
		peer->client = peer->fd;
		peer->fd = -1;
		peer->kind = QUEUED;
		INSTR_TIME_SET_CURRENT(peer->queued);
	}
}

/* Starts the timer, which then wakes this worker every SLOT_STEP_MS, or stops it. */
static void
set_timer(KwjServer *server, bool runs)
{
	struct timespec step = {.tv_nsec = runs ? SLOT_STEP_MS * 1000 * 1000 : 0};
	struct itimerspec time = {step, step};

	if (runs != server->timer_runs)
		(void) timerfd_settime(server->timer.fd, 0, &time, NULL);
	server->timer_runs = runs;
}

/*
 * A client may have to wait for a moment. Another session of the program may be over for the program, but
 * its process has yet to exit: the postmaster tells this worker when it has. Or the postmaster's slots are
 * all taken, by a process that has exited and that the postmaster has yet to reap, or by a parallel worker of
 * somebody's query. When the postmaster frees such a slot, it tells only the process that had taken the slot.
 * This worker does not hear of it, so its timer has it ask again.
 */
void
kwj_clients_start(KwjServer *server)
{
	dlist_mutable_iter iter;
	bool		waits = false;

	dlist_foreach_modify(iter, &server->peers)
	{
		Peer	   *peer = dlist_container(Peer, node, iter.cur);

		if (peer->kind != QUEUED)
			continue;
		if (start_session(server, peer))
			peer->kind = WAITING;
		else if (kwj_elapsed_ms(peer->queued) < SLOT_MS)
			waits = true;
		else
			kwj_peer_turn_away(server, peer, ERRCODE_TOO_MANY_CONNECTIONS,
							   kwj_peer_sessions(server) >= server->most ?
							   "the job's program has all the sessions that it may have at the same time" :
							   "no background worker slot is free for a session of the job's program; increase max_worker_processes");
	}
	set_timer(server, waits);
}

/* Reads more of a client's first packet. */
void
kwj_client_read(KwjServer *server, Peer *peer)
{
	const int	word = sizeof(peer->length_word);
	ssize_t		n;

	if (peer->got < word)
		n = kwj_peer_receive(peer->fd, (char *) &peer->length_word + peer->got, word - peer->got);
	else
		n = kwj_peer_receive(peer->fd, peer->handoff.packet + (peer->got - word),
					peer->handoff.length - (peer->got - word));
	if (n < 0)
		return;
	peer->got += n;
	if (n > 0 && peer->got == word)
		peer->handoff.length = (int32) Min(pg_ntoh32(peer->length_word), PG_INT32_MAX) - word;
	if (n == 0 || (peer->got >= word && (peer->handoff.length < word ||
										 peer->handoff.length > KWJ_MAX_STARTUP_PACKET)))
	{
		kwj_peer_forget(server, peer);
		return;
	}
	if (peer->got < word || peer->got - word < peer->handoff.length)
		return;
	peer->handoff.packet[peer->handoff.length] = '\0';
	take_packet(server, peer);
}

/*
 * Returns whether the process belongs to the program: the guardian has made a session for it, which
 * other processes of the system cannot enter.
 */
static bool
is_of_program(const KwjServer *server, pid_t pid)
{
	return server->program_session > 0 && pid > 0 && getsid(pid) == server->program_session;
}

void
kwj_client_accept(KwjServer *server)
{
	int			fd = accept4(server->clients.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	pid_t		pid = 0;

	if (fd < 0)
		return;
	if (kwj_peer_is_own(fd, &pid) && is_of_program(server, pid))
	{
		(void) kwj_peer_add(server, CLIENT, fd);
		return;
	}
	ereport(LOG,
			(errmsg("refused a connection of process %d to the private socket of a job", (int) pid),
			 errdetail("Only the program of the job may connect.")));
	kwj_peer_refuse(fd, "28000", "only the program of the job may connect");
	close(fd);
}

#endif
