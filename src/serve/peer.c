/*
 * src/serve/peer.c
 *	  The connections of a private server.
 *
 * Callers: server.c, clients.c, in a worker. Nothing here waits or raises an error. Locks:
 * kwj_shared->lock, for moments.
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#include "port/pg_bswap.h"
#include "serve/peer.h"

#ifdef KWJ_CAN_SERVE

void
kwj_peer_path(const KwjServer *server, const char *name, char *path)
{
	snprintf(path, KWJ_SERVE_PATH, "%s/%s", server->directory, name);
}

bool
kwj_peer_watch(KwjServer *server, Peer *peer, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};

	peer->fd = fd;
	return epoll_ctl(server->set, EPOLL_CTL_ADD, fd, &event) == 0;
}

void
kwj_peer_unwatch(KwjServer *server, Peer *peer)
{
	if (peer->fd >= 0)
		(void) epoll_ctl(server->set, EPOLL_CTL_DEL, peer->fd, NULL);
}

void
kwj_peer_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
kwj_peer_forget(KwjServer *server, Peer *peer)
{
	server->bytes += peer->bytes;
	dlist_delete(&peer->node);
	kwj_peer_close(&peer->fd);
	kwj_peer_close(&peer->client);
	if (peer->handle != NULL)
		pfree(peer->handle);
	pfree(peer);
}

Peer *
kwj_peer_add(KwjServer *server, PeerKind kind, int fd)
{
	Peer	   *peer = MemoryContextAllocExtended(server->context, sizeof(Peer),
												  MCXT_ALLOC_ZERO | MCXT_ALLOC_NO_OOM);

	if (peer == NULL)
	{
		close(fd);
		return NULL;
	}
	peer->kind = kind;
	peer->client = peer->fd = -1;
	dlist_push_tail(&server->peers, &peer->node);
	if (!kwj_peer_watch(server, peer, fd))
	{
		kwj_peer_forget(server, peer);
		return NULL;
	}
	return peer;
}

void
kwj_peer_refuse(int fd, const char *code, const char *message)
{
	char		packet[512];
	int			length = 1 + 4;
	uint32		length_word;

	packet[0] = 'E';
	length += sprintf(packet + length, "SFATAL") + 1;
	length += sprintf(packet + length, "VFATAL") + 1;
	length += sprintf(packet + length, "C%s", code) + 1;
	length += snprintf(packet + length, 400, "M%s", message) + 1;
	packet[length++] = '\0';
	length_word = pg_hton32(length - 1);
	memcpy(packet + 1, &length_word, sizeof(length_word));
	(void) send(fd, packet, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
kwj_peer_turn_away(KwjServer *server, Peer *peer, int sqlstate, const char *message)
{
	kwj_peer_refuse(peer->client >= 0 ? peer->client : peer->fd, unpack_sql_state(sqlstate), message);
	if (server->error.sqlstate == 0)
		server->error = (KwjServerError) {sqlstate, message, NULL};
	kwj_peer_forget(server, peer);
}

int
kwj_peer_sessions(KwjServer *server)
{
	dlist_iter	iter;
	int			n = 0;

	dlist_foreach(iter, &server->peers)
	{
		const Peer *peer = dlist_container(Peer, node, iter.cur);

		if (peer->handle != NULL)
			n++;
	}
	return n;
}

ssize_t
kwj_peer_receive(int fd, void *buffer, size_t size)
{
	ssize_t		n;

	do
		n = recv(fd, buffer, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -1;
	return Max(n, 0);
}

bool
kwj_peer_is_own(int fd, pid_t *pid)
{
	struct ucred credentials;
	socklen_t	size = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return false;
	*pid = credentials.pid;
	return credentials.uid == geteuid();
}

#endif
