/*
 * src/child/lines.c
 *	  The lines in what a program writes.
 *
 * Callers: the worker, in child.c.
 *
 *     a byte       the line gets longer, up to KWJ_CHILD_LINE_LIMIT bytes; then it is clipped
 *     newline      the handler is called for the line, and the next one begins
 *     end of file  if a line has begun, the handler is called for it; the pipe is closed
 *
 * Memory: one line for each pipe, however much the program writes.
 *
 * A program may write anything. The handler gets text that is valid in the encoding of the
 * database: each byte that is not valid there, and each zero byte, becomes "?".
 */
#include "postgres.h"

#include <unistd.h>

#include "child/lines.h"
#include "job/clip.h"

/*
 * How many bytes are read at a time, and how many times at most after the program has ended: a pipe
 * of Linux holds up to 1 MB.
 */
#define CHUNK		(16 * 1024)
#define MOST_CHUNKS	(1024 * 1024 / CHUNK)

static void
end_line(KwjLines *lines, KwjLineHandler handler, void *arg)
{
	bool		clipped = lines->clipped;
	int			length;

	if (clipped)
		lines->length = kwj_whole_characters(lines->line, lines->length);
	else if (lines->length > 0 && lines->line[lines->length - 1] == '\r')
		lines->length--;
	length = lines->length;
	/* Begin the next line before the call, because the handler may raise an error. */
	lines->length = 0;
	lines->clipped = false;
	kwj_make_valid(lines->line, length);
	strcpy(lines->line + length, clipped ? "..." : "");
	handler(lines->line, arg);
}

static void
add(KwjLines *lines, const char *bytes, int n)
{
	int			fits = Min(n, KWJ_CHILD_LINE_LIMIT - lines->length);

	memcpy(lines->line + lines->length, bytes, fits);
	lines->length += fits;
	lines->clipped |= fits < n;
}

/*
 * Reads as read() does, but returns 0, as at the end of the pipe, after an error, from which a pipe
 * does not recover. Returns -1 if there is nothing to read now, or the pipe is closed.
 */
static ssize_t
read_chunk(KwjLines *lines, char *chunk)
{
	ssize_t		n;

	if (lines->fd < 0)
		return -1;
	do
		n = read(lines->fd, chunk, CHUNK);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -1;
	return Max(n, 0);
}

static void
close_with_last_line(KwjLines *lines, KwjLineHandler handler, void *arg)
{
	kwj_lines_close(lines);
	if (lines->length > 0)
		end_line(lines, handler, arg);
}

bool
kwj_lines_read(KwjLines *lines, KwjLineHandler handler, void *arg)
{
	char		chunk[CHUNK];
	const char *at = chunk;
	const char *newline;
	ssize_t		n = read_chunk(lines, chunk);

	if (n < 0)
		return false;
	if (n == 0)
		close_with_last_line(lines, handler, arg);
	while (n > 0 && (newline = memchr(at, '\n', n)) != NULL)
	{
		add(lines, at, newline - at);
		end_line(lines, handler, arg);
		n -= newline + 1 - at;
		at = newline + 1;
	}
	add(lines, at, n);
	return true;
}

void
kwj_lines_finish(KwjLines *lines, KwjLineHandler handler, void *arg)
{
	for (int i = 0; i <= MOST_CHUNKS; i++)
		if (!kwj_lines_read(lines, handler, arg))
			break;
	if (lines->fd >= 0)
		close_with_last_line(lines, handler, arg);
}

bool
kwj_lines_discard(KwjLines *lines)
{
	char		chunk[CHUNK];
	ssize_t		n = read_chunk(lines, chunk);

	if (n == 0)
		kwj_lines_close(lines);
	return n >= 0;
}

void
kwj_lines_close(KwjLines *lines)
{
	if (lines->fd >= 0)
		close(lines->fd);
	lines->fd = -1;
}
