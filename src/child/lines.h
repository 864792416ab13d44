/*
 * src/child/lines.h
 *	  The lines in what a program writes.
 */
#ifndef KWJ_CHILD_LINES_H
#define KWJ_CHILD_LINES_H

#include "child/child.h"

/* A pipe that a program writes into, and the line of it that has begun. */
typedef struct KwjLines
{
	int			fd;				/* the pipe, which does not block; -1: closed */
	int			length;			/* bytes of the line so far */
	bool		clipped;		/* the line has more bytes than are kept */
	char		line[KWJ_CHILD_LINE_LIMIT + sizeof("...")];
} KwjLines;

/* What is called for each line; the text is good until it returns. */
typedef void (*KwjLineHandler) (char *line, void *arg);

/*
 * Read once what the pipe has, and call the handler for each line that is complete. At the pipe's
 * end, call it for a line that has no newline, and close the pipe. Returns false if there was
 * nothing to be read. Errors: those of the handler; the lines behind its line are lost then.
 */
extern bool kwj_lines_read(KwjLines *lines, KwjLineHandler handler, void *arg);

/*
 * The program has ended: read the rest, and close the pipe. A process that has escaped may still
 * write into it: this reads no more than a pipe can hold.
 */
extern void kwj_lines_finish(KwjLines *lines, KwjLineHandler handler, void *arg);

/* Read once, and throw it away. Returns as kwj_lines_read(). Raises no error. */
extern bool kwj_lines_discard(KwjLines *lines);

/* Close the pipe if it is open. */
extern void kwj_lines_close(KwjLines *lines);

#endif
