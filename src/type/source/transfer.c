/*
 * src/type/source/transfer.c
 *	  A request by http or https, by libcurl, whose answer is read when it is wanted.
 *
 *     http.c --> kwj_transfer_receive --> curl_multi_socket_action --> on_data --> the caller's buffer
 *                      |    ^                 |  tells its sockets and its timer
 *                      v    |                 v
 *                 one wait: latch, death of the postmaster, sockets, timer
 *
 * libcurl never waits here: this process does, for everything at once. So an interrupt, a PAUSE and the
 * death of the postmaster end a wait at once. What is not asked for stays in the socket, and the server
 * waits: memory does not depend on its speed. If the work takes so long that the server gives up, http.c
 * asks again.
 *
 * libcurl calls on_head and on_data, which must not raise errors, because that would leave libcurl by a
 * jump. libcurl resolves names in a thread of its own. This process starts that while it has all signals
 * blocked, so the thread never gets a signal for PostgreSQL (block_signals). If no name server answers, the thread
 * hangs for up to half a minute; whoever stops the request leaves it behind, and it ends by itself.
 *
 * If the server dies: LOST, at once or after LONGEST_SILENCE_MS. If this process dies, the operating
 * system closes its sockets.
 *
 * Process: session, worker. Locks: none.
 */
#include "postgres.h"

#ifdef KWJ_HAVE_CURL

#include <curl/curl.h>
#include <signal.h>

#include "compat.h"
#include "job/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "type/source/transfer.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A connection is made within this time, or not at all. */
#define LONGEST_CONNECT_MS	30000
/* If nothing has come from a server for this long, it counts as gone. */
#define LONGEST_SILENCE_MS	60000

/* libcurl has one socket for the connection, a second one while it tries two addresses, one for names. */
#define MOST_SOCKETS		16

typedef struct Socket
{
	curl_socket_t fd;
	uint32		events;			/* WL_SOCKET_* that libcurl waits for */
} Socket;

struct KwjTransfer
{
	CURLM	   *multi;
	CURL	   *easy;
	bool		is_running;		/* easy is in multi */
	char	   *url;			/* of the last request */
	MemoryContext context;
	MemoryContextCallback free;
	Socket		sockets[MOST_SOCKETS];
	int			n_sockets;
	bool		too_many;		/* libcurl wanted more sockets */
	TimestampTz timer;			/* when libcurl wants to be called; DT_NOEND: not at all */
	TimestampTz heard;			/* when something came last, or the request was made */

	KwjTransferHead head;
	bool		has_head;
	char	   *buffer;			/* where on_data puts bytes; NULL: nowhere, it has to wait */
	size_t		size;
	size_t		used;
	bool		waits;			/* on_data has told libcurl to wait */
	bool		is_over;
	CURLcode	result;			/* if it is over */
	char		problem[CURL_ERROR_SIZE];
};

/* Returns LONGEST_SILENCE_MS, or what a test has set. */
#ifdef KWJ_TEST_BUILD
#include "utils/guc.h"
static int
longest_silence(void)
{
	const char *value = GetConfigOption("kwjobs.test_url_silence", true, false);

	return value != NULL ? atoi(value) : LONGEST_SILENCE_MS;
}
#else
#define longest_silence()	LONGEST_SILENCE_MS
#endif

/* A head of which no line has come yet. */
static const KwjTransferHead nothing_said = {.length = -1, .from = -1, .total = -1};

/* ---- what libcurl calls ---- */

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	KwjTransfer *transfer = arg;
	int			i;

	for (i = 0; i < transfer->n_sockets && transfer->sockets[i].fd != fd; i++)
		;
	if (what == CURL_POLL_REMOVE)
	{
		if (i < transfer->n_sockets)
			transfer->sockets[i] = transfer->sockets[--transfer->n_sockets];
		return 0;
	}
	if (i == MOST_SOCKETS)
	{
		transfer->too_many = true;
		return 0;
	}
	transfer->sockets[i].fd = fd;
	transfer->sockets[i].events = ((what & CURL_POLL_IN) ? WL_SOCKET_READABLE : 0) |
		((what & CURL_POLL_OUT) ? WL_SOCKET_WRITEABLE : 0);
	if (i == transfer->n_sockets)
		transfer->n_sockets++;
	return 0;
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
	KwjTransfer *transfer = arg;

	transfer->timer = ms < 0 ? DT_NOEND : TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	return 0;
}

/*
 * Returns whether the line is this field of the head. If it is, copies its value, without the spaces around
 * it, into `value`, which has room for `most` bytes: what is longer is cut off.
 */
static bool
read_field_of(const char *line, size_t size, const char *field, char *value, size_t most)
{
	size_t		length = strlen(field);

	if (size <= length || pg_strncasecmp(line, field, length) != 0 || line[length] != ':')
		return false;
	line += length + 1;
	size -= length + 1;
	while (size > 0 && (*line == ' ' || *line == '\t'))
		line++, size--;
	while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r' || line[size - 1] == ' '))
		size--;
	size = Min(size, most - 1);
	memcpy(value, line, size);
	value[size] = '\0';
	return true;
}

static bool
read_field(const char *line, size_t size, const char *field, char *value)
{
	return read_field_of(line, size, field, value, KWJ_TRANSFER_FIELD);
}

/* Reads a number of digits only; -1 if it is none. */
static int64
read_number(const char *text, const char **end)
{
	size_t		digits = strspn(text, "0123456789");

	*end = text + digits;
	return digits == 0 || digits > 18 ? -1 : strtoll(text, NULL, 10);
}

/* Reads "bytes 5-9/10". */
static void
read_range(KwjTransferHead *head, const char *value)
{
	const char *rest;

	if (pg_strncasecmp(value, "bytes ", 6) != 0)
		return;
	head->from = read_number(value + 6, &rest);
	if (head->from < 0 || *rest != '-' || read_number(rest + 1, &rest) < 0 || *rest != '/')
		head->from = -1;
	else
		head->total = read_number(rest + 1, &rest);
}

/* A line of the head. Each head begins with a status; that of a 100 comes before the real one. */
static size_t
on_head(char *line, size_t one, size_t size, void *arg)
{
	KwjTransfer *transfer = arg;
	KwjTransferHead *head = &transfer->head;
	char		value[KWJ_TRANSFER_FIELD];
	const char *rest;

	transfer->heard = GetCurrentTimestamp();
	if (size > 12 && memcmp(line, "HTTP/", 5) == 0)
	{
		const char *space = memchr(line, ' ', size - 4);
		size_t		length;

		*head = nothing_said;
		head->status = space ? (int) read_number(space + 1, &rest) : -1;
		if (space != NULL && space + 4 < line + size)
		{
			length = Min((size_t) (line + size - (space + 4)), sizeof(head->reason) - 1);
			memcpy(head->reason, space + 4, length);
			head->reason[strcspn(head->reason, "\r\n")] = '\0';
		}
	}
	else if (read_field(line, size, "content-length", value))
		head->length = read_number(value, &rest);
	else if (read_field(line, size, "transfer-encoding", value))
		head->is_chunked = pg_strcasecmp(value, "chunked") == 0;
	else if (read_field(line, size, "content-range", value))
		read_range(head, value);
	else if (read_field(line, size, "retry-after", value))
		head->retry_after = (int) Min(Max(read_number(value, &rest), 0), 3600);
	else if (!read_field(line, size, "etag", head->etag) &&
			 !read_field(line, size, "last-modified", head->last_modified))
		(void) read_field_of(line, size, "location", head->location, sizeof(head->location));
	if (size <= 2 && head->status >= 200)
		transfer->has_head = true;
	return size;
}

static size_t
on_data(char *data, size_t one, size_t size, void *arg)
{
	KwjTransfer *transfer = arg;

	transfer->heard = GetCurrentTimestamp();
	if (transfer->buffer == NULL || transfer->size - transfer->used < size)
	{
		transfer->waits = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	memcpy(transfer->buffer + transfer->used, data, size);
	transfer->used += size;
	return size;
}

/* ---- calling libcurl ---- */

/*
 * Blocks all signals in this thread until it calls restore_signals. If libcurl starts a thread meanwhile,
 * the new thread inherits that, and libcurl never unblocks them. So the operating system gives the signals
 * that PostgreSQL's processes send each other only to this thread, which can handle them. Returns what
 * restore_signals takes.
 */
static sigset_t
block_signals(void)
{
	sigset_t	all;
	sigset_t	before;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	return before;
}

static void
restore_signals(sigset_t before)
{
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Tells libcurl of a socket that is ready, or of its timer. */
static void
run(KwjTransfer *transfer, curl_socket_t fd, int what)
{
	sigset_t	before = block_signals();
	CURLMsg    *message;
	int			left;

	if (transfer->waits && transfer->buffer != NULL)
	{
		transfer->waits = false;
		(void) curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
	}
	if (curl_multi_socket_action(transfer->multi, fd, what, &left) != CURLM_OK)
	{
		transfer->is_over = true;
		transfer->result = CURLE_FAILED_INIT;
	}
	while ((message = curl_multi_info_read(transfer->multi, &left)) != NULL)
	{
		if (message->msg != CURLMSG_DONE)
			continue;
		transfer->is_over = true;
		transfer->result = message->data.result;
	}
	restore_signals(before);
}

static void
stop(KwjTransfer *transfer)
{
	sigset_t	before = block_signals();

	if (transfer->is_running)
		(void) curl_multi_remove_handle(transfer->multi, transfer->easy);
	transfer->is_running = false;
	restore_signals(before);
}

static void
free_transfer(void *arg)
{
	KwjTransfer *transfer = arg;

	stop(transfer);
	if (transfer->easy != NULL)
		curl_easy_cleanup(transfer->easy);
	if (transfer->multi != NULL)
		(void) curl_multi_cleanup(transfer->multi);
	transfer->easy = NULL;
	transfer->multi = NULL;
}

/* Sets what holds for all requests. Returns false if libcurl refuses something. */
static bool
set_options(KwjTransfer *transfer)
{
	CURL	   *easy = transfer->easy;
	bool		good = true;

#define SET(option, value)	(good &= curl_easy_setopt(easy, (option), (value)) == CURLE_OK)
	SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
	SET(CURLOPT_PROTOCOLS, (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	/* http.c follows redirects, to places that are allowed. */
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	/* Neither a variable of the environment nor a file of the operating system's user decides. */
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_ACCEPT_ENCODING, NULL);
	SET(CURLOPT_USERAGENT, "kwjobs");
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) LONGEST_CONNECT_MS);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* The end of a request does not wait for the thread that resolves its name. */
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_HEADERFUNCTION, on_head);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, on_data);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->problem);
#ifdef KWJ_TEST_BUILD
	/* The tests make certificates of their own. */
	if (GetConfigOption("kwjobs.test_url_ca", true, false) != NULL)
		SET(CURLOPT_CAINFO, GetConfigOption("kwjobs.test_url_ca", true, false));
#endif
#undef SET
	good &= curl_multi_setopt(transfer->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
		curl_multi_setopt(transfer->multi, CURLMOPT_SOCKETDATA, transfer) == CURLM_OK &&
		curl_multi_setopt(transfer->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
		curl_multi_setopt(transfer->multi, CURLMOPT_TIMERDATA, transfer) == CURLM_OK;
#if LIBCURL_VERSION_NUM >= 0x081400
	/* From this version on, the thread belongs to the multi handle. */
	good &= curl_multi_setopt(transfer->multi, CURLMOPT_QUICK_EXIT, 1L) == CURLM_OK;
#endif
	return good;
}

static void
cannot_begin(void)
{
	ereport(ERROR,
			errcode(ERRCODE_OUT_OF_MEMORY),
			errmsg("could not begin to use libcurl"),
			errhint("Look into the server's log, or try again."));
}

KwjTransfer *
kwj_transfer_make(void)
{
	static bool initialized = false;
	KwjTransfer *transfer = palloc0(sizeof(KwjTransfer));
	sigset_t	before = block_signals();
	bool		good = initialized || curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;

	initialized |= good;
	if (good)
	{
		transfer->multi = curl_multi_init();
		transfer->easy = curl_easy_init();
	}
	restore_signals(before);
	transfer->context = CurrentMemoryContext;
	transfer->timer = DT_NOEND;
	transfer->free.func = free_transfer;
	transfer->free.arg = transfer;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &transfer->free);
	if (transfer->multi == NULL || transfer->easy == NULL || !set_options(transfer))
		cannot_begin();
	return transfer;
}

void
kwj_transfer_request(KwjTransfer *transfer, const char *url, int64 offset)
{
	char		range[32];
	sigset_t	before;
	bool		good;

	stop(transfer);
	transfer->url = MemoryContextStrdup(transfer->context, url);
	snprintf(range, sizeof(range), INT64_FORMAT "-", offset);
	transfer->head = nothing_said;
	transfer->has_head = transfer->waits = transfer->is_over = false;
	transfer->buffer = NULL;
	transfer->problem[0] = '\0';
	transfer->timer = DT_NOEND;
	transfer->heard = GetCurrentTimestamp();
	before = block_signals();
	good = curl_easy_setopt(transfer->easy, CURLOPT_URL, url) == CURLE_OK &&
		curl_easy_setopt(transfer->easy, CURLOPT_RANGE, offset > 0 ? range : NULL) == CURLE_OK &&
		curl_multi_add_handle(transfer->multi, transfer->easy) == CURLM_OK;
	transfer->is_running = good;
	restore_signals(before);
	if (!good)
		cannot_begin();
	run(transfer, CURL_SOCKET_TIMEOUT, 0);
}

/* ---- waiting ---- */

/* Ends the work if it has been asked to stop. What it has not committed is lost, and done again later. */
static void
check_stop(void)
{
	CHECK_FOR_INTERRUPTS();
	if (kwj_progress_request() != KWJ_REQUEST_NONE)
		ereport(ERROR,
				errcode(ERRCODE_QUERY_CANCELED),
				errmsg("the job stops while it waits for a server"));
}

/* Returns when this process takes the server for gone, if the server sends nothing by then. */
static TimestampTz
end_of_silence(const KwjTransfer *transfer)
{
	return TimestampTzPlusMilliseconds(transfer->heard, longest_silence());
}

/*
 * Waits until the latch is set, one of libcurl's sockets is ready, its timer has run out, or the silence has
 * lasted too long. Raises an error if the job is to stop.
 */
static void
wait_once(KwjTransfer *transfer)
{
	WaitEventSet *set;
	WaitEvent	events[MOST_SOCKETS + 2];
	TimestampTz until = Min(end_of_silence(transfer), transfer->timer);
	long		ms;
	int			n;

	check_stop();
	set = kwj_create_wait_event_set(transfer->context, MOST_SOCKETS + 2);
	ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < transfer->n_sockets; i++)
		if (transfer->sockets[i].events != 0)
			AddWaitEventToSet(set, transfer->sockets[i].events, transfer->sockets[i].fd, NULL, NULL);
	n = WaitEventSetWait(set, ms, events, lengthof(events), kwj_wait_event("KwjobsUrl"));
	FreeWaitEventSet(set);
	for (int i = 0; i < n; i++)
	{
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		else if (events[i].events & (WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE))
			run(transfer, events[i].fd,
				((events[i].events & WL_SOCKET_READABLE) ? CURL_CSELECT_IN : 0) |
				((events[i].events & WL_SOCKET_WRITEABLE) ? CURL_CSELECT_OUT : 0));
	}
	if (GetCurrentTimestamp() >= transfer->timer)
	{
		transfer->timer = DT_NOEND;
		run(transfer, CURL_SOCKET_TIMEOUT, 0);
	}
}

/* Returns whether nothing has come for too long; then the request is over. */
static bool
is_silent(KwjTransfer *transfer)
{
	if (GetCurrentTimestamp() < end_of_silence(transfer))
		return false;
	stop(transfer);
	transfer->is_over = true;
	transfer->result = CURLE_OPERATION_TIMEDOUT;
	snprintf(transfer->problem, sizeof(transfer->problem), "nothing came for %d seconds", longest_silence() / 1000);
	return true;
}

/* Returns what the end of a request means, of which libcurl has told. */
static KwjTransferState
state_at_end(const KwjTransfer *transfer)
{
	switch (transfer->result)
	{
		case CURLE_OK:
			return KWJ_TRANSFER_END;
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_CONNECT:
		case CURLE_OPERATION_TIMEDOUT:
		case CURLE_PARTIAL_FILE:
		case CURLE_GOT_NOTHING:
		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case CURLE_SSL_CONNECT_ERROR:
			return KWJ_TRANSFER_LOST;
		default:
			return KWJ_TRANSFER_REFUSED;
	}
}

KwjTransferState
kwj_transfer_wait_for_head(KwjTransfer *transfer)
{
	while (!transfer->has_head && !transfer->is_over && !is_silent(transfer))
		wait_once(transfer);
	if (transfer->has_head)
		return KWJ_TRANSFER_HEAD;
	/* An answer without a head is none. */
	return state_at_end(transfer) == KWJ_TRANSFER_REFUSED ? KWJ_TRANSFER_REFUSED : KWJ_TRANSFER_LOST;
}

const KwjTransferHead *
kwj_transfer_head(const KwjTransfer *transfer)
{
	return &transfer->head;
}

KwjTransferState
kwj_transfer_receive(KwjTransfer *transfer, char *buffer, size_t size, size_t *n)
{
	Assert(size >= KWJ_TRANSFER_LEAST);
	transfer->buffer = buffer;
	transfer->size = size;
	transfer->used = 0;
	/* The time that the work has taken is not the server's. */
	transfer->heard = GetCurrentTimestamp();
	if (!transfer->is_over)
		run(transfer, CURL_SOCKET_TIMEOUT, 0);
	while (transfer->used == 0 && !transfer->is_over && !is_silent(transfer))
		wait_once(transfer);
	transfer->buffer = NULL;
	*n = transfer->used;
	return transfer->used > 0 ? KWJ_TRANSFER_DATA : state_at_end(transfer);
}

const char *
kwj_transfer_problem(const KwjTransfer *transfer)
{
	if (transfer->too_many)
		return "libcurl needs too many sockets";
	return transfer->problem[0] ? transfer->problem : curl_easy_strerror(transfer->result);
}

char *
kwj_transfer_redirect(const KwjTransfer *transfer)
{
	CURLU	   *url;
	char	   *text = NULL;
	char	   *copy = NULL;

	if (transfer->head.location[0] == '\0')
		return NULL;
	url = curl_url();
	/* The second one may be relative to the first one. */
	if (url != NULL &&
		curl_url_set(url, CURLUPART_URL, transfer->url, CURLU_PATH_AS_IS) == CURLUE_OK &&
		curl_url_set(url, CURLUPART_URL, transfer->head.location, CURLU_PATH_AS_IS) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK)
		copy = MemoryContextAllocExtended(transfer->context, strlen(text) + 1, MCXT_ALLOC_NO_OOM);
	if (copy != NULL)
		strcpy(copy, text);
	curl_free(text);
	curl_url_cleanup(url);
	return copy;
}

void
kwj_transfer_pause(int ms)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	long		left;

	while ((left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until)) > 0)
	{
		check_stop();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 kwj_wait_event("KwjobsUrl"));
		ResetLatch(MyLatch);
	}
	check_stop();
}

#endif
