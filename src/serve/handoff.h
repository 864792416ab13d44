/*
 * src/serve/handoff.h
 *	  What a private server and its sessions tell each other.
 *
 *     server     registers a background worker with a KwjServeExtra
 *     session    connects to the socket `path`, and sends `secret`
 *     server     sends a KwjHandoff, and with it the descriptor of the client's socket
 *     session    sends KwjServeNews from then on
 *
 * The socket keeps the borders of messages (SOCK_SEQPACKET).
 */
#ifndef KWJ_SERVE_HANDOFF_H
#define KWJ_SERVE_HANDOFF_H

#include "postgres.h"

/* A client's first packet may have this many bytes at most; the same as in the postmaster. */
#define KWJ_MAX_STARTUP_PACKET	10000

/* Room for the path of a socket, which is relative to the data directory. */
#define KWJ_SERVE_PATH	64

/* Passed to the session in bgw_extra. */
typedef struct KwjServeExtra
{
	Oid			database;
	Oid			role;
	uint64		secret;			/* known to the server and this session only */
	char		path[KWJ_SERVE_PATH];
} KwjServeExtra;

typedef struct KwjHandoff
{
	int32		cancel_key;
	int32		length;			/* of packet */
	char		packet[KWJ_MAX_STARTUP_PACKET + 1]; /* the client's startup packet, without its length */
} KwjHandoff;

typedef enum KwjServeKind
{
	KWJ_SERVE_ERROR,			/* the session has raised an error */
	KWJ_SERVE_BYTES,			/* the session has sent this many bytes of COPY so far */
	KWJ_SERVE_BYE,				/* its client has gone, and it exits */
} KwjServeKind;

typedef struct KwjServeNews
{
	KwjServeKind kind;
	uint64		bytes;
	int			sqlstate;
	char		message[1024];
	char		hint[512];
} KwjServeNews;

#endif
