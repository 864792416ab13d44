/*
 * src/type/source/window.h
 *	  The last bytes of something that is read from its start to its end, so that they can be read again.
 *	  Only for src/type/source.
 *
 *     |  read before  |  in the window  |  not read yet
 *                     begin           end
 */
#ifndef KWJ_TYPE_SOURCE_WINDOW_H
#define KWJ_TYPE_SOURCE_WINDOW_H

#include "postgres.h"

/* When there is no room any more, at least half of these bytes are kept. */
#define KWJ_WINDOW_SIZE		(256 * 1024)

typedef struct KwjWindow
{
	char	   *data;			/* KWJ_WINDOW_SIZE bytes */
	int64		begin;			/* offset of the first byte in it */
	int64		end;			/* offset behind the last one */
} KwjWindow;

/* Allocates the window in CurrentMemoryContext, at offset 0. */
extern void kwj_window_init(KwjWindow *window);

/* Empties the window; the next byte is that at the offset. */
extern void kwj_window_reset(KwjWindow *window, int64 offset);

/* Returns where to put the next bytes, and in *room how many there may be, at least a quarter of it. */
extern char *kwj_window_room(KwjWindow *window, size_t *room);

/* Notes that n bytes were put there. */
extern void kwj_window_add(KwjWindow *window, size_t n);

/* Copies bytes from an offset that is in the window. Returns how many. */
extern size_t kwj_window_copy(const KwjWindow *window, char *buffer, size_t size, int64 offset);

#endif
