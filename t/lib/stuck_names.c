/*
 * t/lib/stuck_names.c: a library to preload into a server. Its getaddrinfo() says that web.test is 127.0.0.1. While
 * there is a FIFO at the path KWJ_STUCK_NAMES, it behaves as if no name server answered: it leaves the file
 * KWJ_STUCK_NAMES.called, and returns only when somebody writes into the FIFO. If it is called in a thread that does
 * not block a signal which PostgreSQL's processes send each other, it leaves the file KWJ_STUCK_NAMES.signal, too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*Original) (const char *, const char *, const struct addrinfo *, struct addrinfo **);

static void
leave_file(const char *fifo, const char *suffix)
{
	char		path[1024];

	snprintf(path, sizeof(path), "%s.%s", fifo, suffix);
	close(open(path, O_WRONLY | O_CREAT, 0600));
}

static int
blocks_signals(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGURG};
	sigset_t	blocked;

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigismember(&blocked, signals[i]))
			return 0;
	return 1;
}

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	const char *fifo = getenv("KWJ_STUCK_NAMES");
	int			file;
	char		byte;

	if (node == NULL || strcmp(node, "web.test") != 0 || fifo == NULL)
		return ((Original) dlsym(RTLD_NEXT, "getaddrinfo")) (node, service, hints, result);
	if (access(fifo, F_OK) != 0)
		return ((Original) dlsym(RTLD_NEXT, "getaddrinfo")) ("127.0.0.1", service, hints, result);
	if (!blocks_signals())
		leave_file(fifo, "signal");
	leave_file(fifo, "called");
	file = open(fifo, O_RDONLY);
	(void) !read(file, &byte, 1);
	close(file);
	return EAI_AGAIN;
}
