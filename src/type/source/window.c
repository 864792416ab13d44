/*
 * src/type/source/window.c
 *	  The last bytes of something that is read from its start to its end.
 *
 * Callers: stream.c, http.c. Process: session, worker. Locks: none.
 */
#include "postgres.h"

#include "type/source/window.h"

void
kwj_window_init(KwjWindow *window)
{
	window->data = palloc(KWJ_WINDOW_SIZE);
	kwj_window_reset(window, 0);
}

void
kwj_window_reset(KwjWindow *window, int64 offset)
{
	window->begin = window->end = offset;
}

char *
kwj_window_room(KwjWindow *window, size_t *room)
{
	size_t		used = window->end - window->begin;
	const size_t kept = KWJ_WINDOW_SIZE / 2;

	/* Not each time, because few bytes may come at a time. */
	if (KWJ_WINDOW_SIZE - used < KWJ_WINDOW_SIZE / 4)
	{
		memmove(window->data, window->data + used - kept, kept);
		window->begin = window->end - kept;
		used = kept;
	}
	*room = KWJ_WINDOW_SIZE - used;
	return window->data + used;
}

void
kwj_window_add(KwjWindow *window, size_t n)
{
	Assert(window->end - window->begin + n <= KWJ_WINDOW_SIZE);
	window->end += n;
}

size_t
kwj_window_copy(const KwjWindow *window, char *buffer, size_t size, int64 offset)
{
	size_t		n = Min((int64) size, window->end - offset);

	Assert(offset >= window->begin && offset <= window->end);
	memcpy(buffer, window->data + (offset - window->begin), n);
	return n;
}
