/*
 * src/type/source/transfer.h
 *	  A request by http or https, by libcurl, whose answer is read when it is wanted.
 *
 * Only for http.c. A build without libcurl has none of this.
 */
#ifndef KWJ_TYPE_SOURCE_TRANSFER_H
#define KWJ_TYPE_SOURCE_TRANSFER_H

#include "postgres.h"

/* How many bytes of a field of the answer transfer.c keeps, with the NUL: of most fields, and of Location, a URL. */
#define KWJ_TRANSFER_FIELD		256
#define KWJ_TRANSFER_LOCATION	4097

/* The head of an answer. */
typedef struct KwjTransferHead
{
	int			status;			/* of http: 200, ... */
	char		reason[KWJ_TRANSFER_FIELD]; /* what the server says to the status, such as "Not Found" */
	int64		length;			/* of the answer's body; -1: it does not say */
	bool		is_chunked;		/* the end of the body is marked */
	int64		from;			/* the body begins at this byte of the whole; -1: it does not say */
	int64		total;			/* bytes of the whole, if from is not -1; -1: it does not say */
	char		etag[KWJ_TRANSFER_FIELD];
	char		last_modified[KWJ_TRANSFER_FIELD];
	int			retry_after;	/* seconds; 0: it does not say */
	char		location[KWJ_TRANSFER_LOCATION];
} KwjTransferHead;

/* What waiting has come to. */
typedef enum KwjTransferState
{
	KWJ_TRANSFER_HEAD,			/* the head is there */
	KWJ_TRANSFER_DATA,			/* some bytes of the body are there */
	KWJ_TRANSFER_END,			/* the body is complete */
	KWJ_TRANSFER_LOST,			/* no connection, or it has broken, or nothing came for too long: worth a retry */
	KWJ_TRANSFER_REFUSED,		/* it failed in a way that a retry does not change, such as a certificate */
} KwjTransferState;

typedef struct KwjTransfer KwjTransfer;

/* Makes a transfer in CurrentMemoryContext, which ends it and closes its connections. */
extern KwjTransfer *kwj_transfer_make(void);

/* Requests the URL, from this byte on. An earlier request is given up. */
extern void kwj_transfer_request(KwjTransfer *transfer, const char *url, int64 offset);

/*
 * Waits until the head of the answer is there: HEAD, LOST or REFUSED. Obeys interrupts; errors: 57014 if
 * the job is to be paused.
 */
extern KwjTransferState kwj_transfer_wait_for_head(KwjTransfer *transfer);

extern const KwjTransferHead *kwj_transfer_head(const KwjTransfer *transfer);

/*
 * Puts the next bytes of the body into the buffer, whose size is at least KWJ_TRANSFER_LEAST, as soon as
 * there are some. DATA with *n > 0, END, LOST or REFUSED.
 */
#define KWJ_TRANSFER_LEAST	(64 * 1024)
extern KwjTransferState kwj_transfer_receive(KwjTransfer *transfer, char *buffer, size_t size, size_t *n);

/* Returns why the request is LOST or REFUSED. */
extern const char *kwj_transfer_problem(const KwjTransfer *transfer);

/* Returns the URL where the answer says to look instead, palloc'd; NULL: it does not, or it is none. */
extern char *kwj_transfer_redirect(const KwjTransfer *transfer);

/* Waits for `ms` milliseconds; interrupts and errors as kwj_transfer_wait_for_head. */
extern void kwj_transfer_pause(int ms);

#endif
