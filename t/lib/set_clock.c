/*
 * t/lib/set_clock.c: a library to preload into a server. Its gettimeofday() adds the number of seconds, a long,
 * with which the file KWJ_CLOCK_FILE begins. So a test can set the clock of a server as root sets that of a
 * machine: the processes are told nothing, and sleep on.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long *seconds = NULL;

__attribute__((constructor))
static void
map_file(void)
{
	const char *path = getenv("KWJ_CLOCK_FILE");
	int			file = path != NULL ? open(path, O_RDONLY) : -1;
	void	   *place;

	if (file < 0)
		return;
	place = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
	if (place != MAP_FAILED)
		seconds = place;
	close(file);
}

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec now;

	(void) tz;
	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return -1;
	tv->tv_sec = now.tv_sec + (seconds != NULL ? *seconds : 0);
	tv->tv_usec = now.tv_nsec / 1000;
	return 0;
}
