/*
 * src/child/lines.h
 *	  The lines in what a program writes.
 */
#ifndef KWJ_CHILD_LINES_H
#define KWJ_CHILD_LINES_H

#include "child/child.h"

/* A pipe into which a program writes, and the line that was read in part so far. */
typedef struct KwjLines
{
	int			fd;				/* the pipe, which does not block; -1: closed */
	int			length;			/* bytes of the line so far */
	bool		clipped;		/* the line has more bytes than are kept */
	char		line[KWJ_CHILD_LINE_LIMIT + sizeof("...")];
} KwjLines;

/* This function is called for each line. The text is valid until it returns. */
typedef void (*KwjLineHandler) (char *line, void *arg);

/*
 * Reads once what the pipe has, and calls the handler for each line that is complete. At the pipe's
 * end, calls it for a line that has no newline, and closes the pipe. Returns false if there was
 * nothing to read. Errors: those that the handler raises; the lines after the one that it was
 * called for are lost then.
 */
extern bool kwj_lines_read(KwjLines *lines, KwjLineHandler handler, void *arg);

/*
 * The worker calls this when the program has ended: reads the rest, and closes the pipe. Reads no
 * more than a pipe can hold, because a process that has escaped the guardian may write on and on.
 */
extern void kwj_lines_finish(KwjLines *lines, KwjLineHandler handler, void *arg);

/*
 * Reads once, and throws away what it has read. Returns false if there was nothing to read. Raises
 * no error.
 */
extern bool kwj_lines_discard(KwjLines *lines);

/* Closes the pipe if it is open. */
extern void kwj_lines_close(KwjLines *lines);

#endif
