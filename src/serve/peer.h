/*
 * src/serve/peer.h
 *	  The connections of a private server. Only src/serve includes this.
 */
#ifndef KWJ_SERVE_PEER_H
#define KWJ_SERVE_PEER_H

#include <sys/socket.h>

#include "lib/ilist.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "serve/handoff.h"
#include "serve/server.h"
#include "storage/latch.h"

#if defined(__linux__) && defined(SO_PEERCRED)
#define KWJ_CAN_SERVE
#endif

#define KWJ_SESSIONS_SOCKET	"s"

typedef enum PeerKind
{
	FOR_CLIENTS,				/* the socket to which the program connects */
	FOR_SESSIONS,				/* the socket to which sessions connect */
	TIMER,						/* expires again and again while a peer is QUEUED */
	CLIENT,						/* a connection of the program whose first packet is not complete */
	QUEUED,						/* such a connection, in `client`, for which no session could be started yet */
	WAITING,					/* ... whose session was started, and has not come yet */
	NEWCOMER,					/* a connection to the second socket, without a secret so far */
	SESSION,					/* a session that has its client */
	GONE,						/* a session that has closed its socket, and is about to exit */
} PeerKind;

typedef struct Peer
{
	dlist_node	node;
	PeerKind	kind;
	int			fd;				/* in the epoll set; -1: none */
	int			client;			/* of QUEUED and WAITING: the program's connection; else -1 */
	instr_time	queued;			/* of QUEUED: since when */
	BackgroundWorkerHandle *handle; /* of WAITING, SESSION and GONE */
	uint64		secret;
	pid_t		pid;			/* of the session */
	uint64		bytes;			/* that it has sent */
	bool		said_bye;		/* or an error, which may have ended it */
	bool		canceled;		/* its client has asked to cancel a statement */
	int			got;			/* how many bytes of the first packet have come, with its length */
	uint32		length_word;	/* these are its first bytes */
	KwjHandoff	handoff;
} Peer;

struct KwjServer
{
	MemoryContext context;		/* holds all memory of the server */
	int			most;
	Oid			role;
	char		role_name[NAMEDATALEN];
	int			set;			/* epoll; -1: not made yet */
	WaitEventSet *events;		/* `set`, the latch and the postmaster; NULL: not made yet */
	char		directory[KWJ_SERVE_PATH];	/* relative to the data directory */
	Peer		clients;		/* FOR_CLIENTS */
	Peer		sessions;		/* FOR_SESSIONS */
	Peer		timer;			/* TIMER */
	bool		timer_runs;
	dlist_head	peers;			/* the others */
	Oid			database;
	char		database_name[NAMEDATALEN];
	pid_t		program_session;	/* processes of this session are admitted; 0: none */
	uint64		bytes;			/* of sessions that are gone */
	KwjServerError error;
	void		(*on_news) (void *arg); /* NULL: none */
	void	   *news_arg;
};

/* Writes the path of a socket of the server, which has KWJ_SERVE_PATH bytes at most. */
extern void kwj_peer_path(const KwjServer *server, const char *name, char *path);

/* Adds the descriptor to the epoll set, as that of the peer; returns whether this worked. */
extern bool kwj_peer_watch(KwjServer *server, Peer *peer, int fd);
extern void kwj_peer_unwatch(KwjServer *server, Peer *peer);

/* Closes the descriptor if it is open, and with it its entry in the epoll set. */
extern void kwj_peer_close(int *fd);

/* Adds a peer for a new connection. Returns NULL, and closes it, if it cannot be watched. */
extern Peer *kwj_peer_add(KwjServer *server, PeerKind kind, int fd);

/* Closes all of the peer, and frees it. */
extern void kwj_peer_forget(KwjServer *server, Peer *peer);

/* Sends a FATAL error to a client that gets no session. Errors are ignored: it may be gone. */
extern void kwj_peer_refuse(int fd, const char *code, const char *message);

/*
 * Sends a FATAL error to the client of this peer, and forgets the peer. Notes the error, so that
 * the job has it even if the program does not report it. message is a constant.
 */
extern void kwj_peer_turn_away(KwjServer *server, Peer *peer, int sqlstate, const char *message);

/* Returns how many sessions there are, with those that are being started. */
extern int	kwj_peer_sessions(KwjServer *server);

/*
 * Reads as recv() does, without waiting. Returns 0 at the end or after an error, and -1 if there is
 * nothing to read now.
 */
extern ssize_t kwj_peer_receive(int fd, void *buffer, size_t size);

/*
 * Returns whether the process at the other end runs as the server's operating system user; *pid is
 * its process id.
 */
extern bool kwj_peer_is_own(int fd, pid_t *pid);

/* clients.c: accepts a connection to the program's socket; reads more of its first packet. */
extern void kwj_client_accept(KwjServer *server);
extern void kwj_client_read(KwjServer *server, Peer *peer);

/*
 * clients.c: starts the sessions of those that are QUEUED, as far as there is room, and turns away those
 * that have waited too long. Sets the timer if any are left.
 */
extern void kwj_clients_start(KwjServer *server);

#endif
