/*
 * src/type/source/http.c
 *	  A file behind a URL of http or https as the source of an IMPORT.
 *
 *     URL --> url.c: plain? allowed? --> transfer.c: request --> redirect? again from the start
 *                                             |
 *                                             v
 *                                        window --> reader
 *
 * The body is read once, from its start to its end. When the connection breaks, when an attempt goes on
 * in the middle, or when something is to be read that is not in the window any more, there is a new
 * request: for what is left (a range) or, if the server does not have ranges, for all of it, and what
 * comes before is read over.
 *
 * Whether it is still the same file is told by its size and by a hash of the fields ETag and
 * Last-Modified, which each answer has to have as the first one has. If a server sends neither, nobody can
 * tell, so a second request is refused (55000), in this attempt and in the next one.
 *
 * A server is not trusted: what it sends is data, its redirects lead only where kwjobs.import_urls allows
 * to read, and what has no marked end is refused, because it might be cut off.
 *
 * Callers: source.c. Process: session, worker. Locks: none. If the server dies: see transfer.c; after
 * MOST_TRIES in vain the attempt fails with 08006, which allows another attempt.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "compat.h"
#include "job/progress.h"
#include "miscadmin.h"
#include "type/source/kind.h"
#include "type/source/transfer.h"
#include "type/source/url.h"
#include "type/source/window.h"
#include "utils/timestamp.h"

static bool
is_location(const char *location)
{
	return kwj_url_is_one(location);
}

#ifdef KWJ_HAVE_CURL

/*
 * After so many requests in a row that have brought nothing new, the attempt fails. Before the second
 * request it pauses for the first time; each pause is twice as long as the one before.
 */
#define MOST_TRIES			7
#define FIRST_PAUSE_MS		KWJ_WAIT_MS(200)
#define LONGEST_PAUSE_MS	KWJ_WAIT_MS(10000)

#define MOST_REDIRECTS		5

typedef struct Http
{
	KwjUrl	   *url;
	KwjTransfer *transfer;		/* NULL: not made yet */
	KwjWindow	window;
	bool		is_asked;		/* a request runs, whose next byte is that at the end of the window */
	bool		is_complete;	/* the window ends where the file ends */
	bool		is_known;		/* an answer has come: the identity is set */
	int64		furthest;		/* all bytes before this offset have come, by some request */
	int			tries;			/* requests in a row that have not come further than that */
} Http;

/* ---- errors ---- */

static void
refuse_status(const KwjSource *source, const KwjTransferHead *head)
{
	int			code;
	const char *hint;

	switch (head->status)
	{
		case 404:
		case 410:
			code = ERRCODE_UNDEFINED_FILE;
			hint = "Look whether the URL is right.";
			break;
		case 401:
		case 403:
		case 407:
			code = ERRCODE_INSUFFICIENT_PRIVILEGE;
			hint = "The server has to allow this server to read it without a password, or the URL has to be signed and not too old.";
			break;
		default:
			code = ERRCODE_IO_ERROR;
			hint = "Look whether the URL is right, and whether the server is well.";
	}
	ereport(ERROR,
			errcode(code),
			errmsg("could not read \"%s\": the server says %d %s", source->name, head->status, head->reason),
			errhint("%s", hint));
}

static void
refuse_change(const KwjSource *source, const char *what)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("file \"%s\" was changed while it was being imported", source->name),
			errdetail("%s", what),
			errhint("Import the file again; what this job had imported is removed."));
}

static void
give_up(const KwjSource *source, const char *problem)
{
	ereport(ERROR,
			errcode(ERRCODE_CONNECTION_FAILURE),
			errmsg("could not read \"%s\": %s", source->name, problem),
			errhint("The job is tried again if its option max_attempts allows it; it goes on where it was."));
}

/* ---- requests ---- */

/* Waits before the next try, or gives up. problem: why the last one was in vain. */
static void
pause_or_give_up(KwjSource *source, const char *problem, int least_seconds)
{
	Http	   *http = source->place;
	int			ms = Min(FIRST_PAUSE_MS << http->tries, LONGEST_PAUSE_MS);
	char	   *text;

	if (++http->tries >= MOST_TRIES)
		give_up(source, problem);
	/* Other jobs may have lost the same server, and are not to come back to it all at once. */
	ms += ms * kwj_random_fraction() / 2;
	ms = Max(ms, Min(least_seconds * 1000, LONGEST_PAUSE_MS));
	text = psprintf("waiting for a server: %s", problem);
	kwj_progress_set_status(text);
	pfree(text);
	kwj_transfer_pause(ms);
}

static bool
is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool
is_worth_retry(int status)
{
	return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* Returns where the redirect leads, if that is allowed. */
static KwjUrl *
follow(const KwjSource *source, KwjTransfer *transfer, int redirects)
{
	char	   *to = kwj_transfer_redirect(transfer);
	KwjUrl	   *url;

	if (to == NULL || !kwj_url_is_one(to) || redirects >= MOST_REDIRECTS)
		ereport(ERROR,
				errcode(ERRCODE_IO_ERROR),
				errmsg("could not read \"%s\": it leads elsewhere, and too often or to nothing that IMPORT reads",
					   source->name),
				errhint("Type the URL to which it leads."));
	url = kwj_url_parse(to);
	kwj_url_check_allowed(url);
	return url;
}

/*
 * Requests the file from this offset on, and follows redirects. Returns whether an answer is there; if not,
 * it has waited and the caller may try again.
 */
static bool
try_request(KwjSource *source, int64 offset)
{
	Http	   *http = source->place;
	KwjUrl	   *url = http->url;
	const KwjTransferHead *head = kwj_transfer_head(http->transfer);

	for (int redirects = 0;; redirects++)
	{
		KwjTransferState state;

		CHECK_FOR_INTERRUPTS();
		kwj_transfer_request(http->transfer, kwj_url_text(url), offset);
		state = kwj_transfer_wait_for_head(http->transfer);
		if (state == KWJ_TRANSFER_REFUSED)
			ereport(ERROR,
					errcode(ERRCODE_IO_ERROR),
					errmsg("could not read \"%s\": %s", source->name, kwj_transfer_problem(http->transfer)),
					errhint("Look whether the URL is right; certificates have to be known to the operating system of this server."));
		if (state == KWJ_TRANSFER_LOST)
		{
			pause_or_give_up(source, kwj_transfer_problem(http->transfer), 0);
			return false;
		}
		if (is_redirect(head->status))
			url = follow(source, http->transfer, redirects);
		else if (is_worth_retry(head->status))
		{
			pause_or_give_up(source, psprintf("the server says %d %s", head->status, head->reason), head->retry_after);
			return false;
		}
		else
			return true;
	}
}

/* Returns what tells whether it is the same file; 0: the server sends nothing of the kind. */
static int64
validators_of(const KwjTransferHead *head)
{
	uint64		etag = hash_bytes_extended((const unsigned char *) head->etag, strlen(head->etag), 0);
	uint64		modified = hash_bytes_extended((const unsigned char *) head->last_modified,
											   strlen(head->last_modified), 0);

	return head->etag[0] == '\0' && head->last_modified[0] == '\0' ? 0 : (int64) (hash_combine64(etag, modified) | 1);
}

/*
 * Sets the identity by the first answer, and compares it with each later answer. If the server sends
 * nothing that tells whether it is the same file, the identity gets a number that no other has, so that no
 * other attempt goes on with it.
 */
static void
note_identity(KwjSource *source, const KwjTransferHead *head, int64 size)
{
	Http	   *http = source->place;
	KwjSourceIdentity now = {.size = size, .mtime = validators_of(head)};

	if (!http->is_known)
	{
		if (now.mtime == 0)
			now.inode = GetCurrentTimestamp() ^ ((int64) MyProcPid << 32);
		source->identity = now;
		http->is_known = true;
		return;
	}
	if (source->identity.mtime == 0)
		refuse_change(source, "The server sends neither ETag nor Last-Modified, so nobody can tell whether it is still the same file.");
	if (now.size >= 0 && source->identity.size >= 0 && now.size != source->identity.size)
		refuse_change(source, "Its size is not what it was when the job opened it.");
	if (now.mtime != source->identity.mtime)
		refuse_change(source, "Its ETag or Last-Modified is not what it was when the job opened it.");
}

/* Looks at the head of an answer. Returns the offset of the first byte of its body. */
static int64
accept_head(KwjSource *source, int64 offset)
{
	Http	   *http = source->place;
	const KwjTransferHead *head = kwj_transfer_head(http->transfer);

	if (head->status == 416 && http->is_known)
		refuse_change(source, "The server has nothing at the place where the job goes on.");
	if (head->status != 200 && (head->status != 206 || head->from < 0 || head->from > offset || head->total < 0))
		refuse_status(source, head);
	if (head->length < 0 && !head->is_chunked)
		ereport(ERROR,
				errcode(ERRCODE_PROTOCOL_VIOLATION),
				errmsg("could not read \"%s\": the server does not say where it ends", source->name),
				errdetail("It sends neither Content-Length nor chunks, so a broken connection would look like the end."),
				errhint("Have the server send Content-Length, or copy the file to this server."));
	note_identity(source, head, head->status == 206 ? head->total : head->length);
	return head->status == 206 ? head->from : 0;
}

/* Asks for the file from this offset on. The window ends at the offset then, or before it. */
static void
ask(KwjSource *source, int64 offset)
{
	Http	   *http = source->place;

	http->is_asked = http->is_complete = false;
	/* There may be nothing behind the last byte, and servers say 416 to that. */
	if (http->is_known && source->identity.size >= 0 && offset >= source->identity.size)
	{
		kwj_window_reset(&http->window, source->identity.size);
		http->is_complete = true;
		return;
	}
	while (!try_request(source, offset))
		;
	kwj_window_reset(&http->window, accept_head(source, offset));
	http->is_asked = true;
}

/*
 * Begins to count tries anew if bytes have come that no request has brought before. Bytes that an earlier
 * request has brought already do not count: if the server breaks off at the same place each time, the job
 * must not ask it for ever.
 */
static void
note_progress(Http *http)
{
	if (http->window.end <= http->furthest)
		return;
	http->furthest = http->window.end;
	http->tries = 0;
}

/* Returns whether the answer that has ended was only a part of the range that was asked for, as servers may send. */
static bool
is_short(const Http *http)
{
	const KwjTransferHead *head = kwj_transfer_head(http->transfer);

	/* The first answer may not have told the size of the file. That of a range does. */
	return head->status == 206 && http->window.end < head->total;
}

/* Reads on. Returns false at the end of the file. */
static bool
receive(KwjSource *source)
{
	Http	   *http = source->place;
	size_t		room;
	size_t		n = 0;

	while (!http->is_complete)
	{
		char	   *buffer;

		if (!http->is_asked)
			ask(source, http->window.end);
		if (http->is_complete)
			break;
		buffer = kwj_window_room(&http->window, &room);
		switch (kwj_transfer_receive(http->transfer, buffer, room, &n))
		{
			case KWJ_TRANSFER_DATA:
				kwj_window_add(&http->window, n);
				note_progress(http);
				return true;
			case KWJ_TRANSFER_END:
				http->is_asked = false;
				http->is_complete = !is_short(http);
				if (!http->is_complete)
					pause_or_give_up(source, "the server sends less than it was asked for", 0);
				break;
			default:
				http->is_asked = false;
				pause_or_give_up(source, kwj_transfer_problem(http->transfer), 0);
		}
	}
	if (source->identity.size >= 0 && http->window.end != source->identity.size)
		refuse_change(source, "It has not as many bytes as the server has said.");
	return false;
}

/*
 * Goes to this offset. Returns whether the window has the byte there; false if the file ends before. A
 * server that has no ranges may begin anew, so this may take more than one step.
 */
static bool
go_to(KwjSource *source, int64 offset)
{
	Http	   *http = source->place;

	if (offset < http->window.begin || (offset > http->window.end && !http->is_complete))
		ask(source, offset);
	while (http->window.end <= offset)
		if (!receive(source))
			return false;
	return true;
}

/* ---- the kind ---- */

static void
look(KwjSource *source, bool thoroughly)
{
	/* Each answer was compared with the first one. */
}

static void
open_again(KwjSource *source)
{
	Http	   *http = source->place;

	kwj_url_check_allowed(http->url);
}

static void
open_url(KwjSource *source)
{
	Http	   *http = palloc0(sizeof(Http));

	http->url = kwj_url_parse(source->location);
	source->name = kwj_url_shown(http->url);
	source->place = http;
	kwj_url_check_allowed(http->url);
	http->transfer = kwj_transfer_make();
	kwj_window_init(&http->window);
	ask(source, 0);
}

static size_t
read_url(KwjSource *source, char *buffer, size_t size, int64 offset)
{
	Http	   *http = source->place;

	if (!go_to(source, offset))
		return 0;
	return kwj_window_copy(&http->window, buffer, size, offset);
}

static bool
ends_at(KwjSource *source, int64 offset)
{
	if (source->identity.size >= 0)
		return offset >= source->identity.size;
	return !go_to(source, offset);
}

#else

/* This always raises an error, so no other function of the kind is called. */
static void
open_url(KwjSource *source)
{
	kwj_url_check_allowed(kwj_url_parse(source->location));
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("this build of kwjobs cannot read URLs"),
			errhint("Build it where pkg-config finds libcurl: on Debian, install libcurl4-openssl-dev first."));
}

#endif

const KwjSourceKind kwj_source_url = {
	.is_location = is_location,
	.open = open_url,
#ifdef KWJ_HAVE_CURL
	.open_again = open_again,
	.look = look,
	.read = read_url,
	.ends_at = ends_at,
#endif
	.mtime_name = "ETag or Last-Modified",
	.inode_name = "identity, for which the server sends neither ETag nor Last-Modified,",
	.is_remote = true,
	.one_reader = "URL",
};
