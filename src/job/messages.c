/*
 * src/job/messages.c
 *	  The last messages of the attempt that a worker runs, for kwjobs.messages in other sessions.
 *
 * Process: the worker writes those in its own slot, sessions copy them. Locks: none. The counter
 * `changes` tells a reader whether its copy is of one moment, as in pg_stat_activity.
 */
#include "postgres.h"

#include "job/messages.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

static const char mark[] = " ...";

static KwjMessages *mine = NULL;

void
kwj_messages_attach(KwjMessages *messages)
{
	mine = messages;
}

/* No error may be raised between these two, because a reader would wait for ever. */
static void
begin_change(void)
{
	START_CRIT_SECTION();
	pg_atomic_write_u32(&mine->changes, pg_atomic_read_u32(&mine->changes) + 1);
	pg_write_barrier();
}

static void
end_change(void)
{
	pg_write_barrier();
	pg_atomic_write_u32(&mine->changes, pg_atomic_read_u32(&mine->changes) + 1);
	END_CRIT_SECTION();
}

void
kwj_messages_begin(int64 job_id, int32 attempt)
{
	if (mine == NULL)
		return;
	begin_change();
	mine->dboid = MyDatabaseId;
	mine->job_id = job_id;
	mine->attempt = attempt;
	mine->dropped = 0;
	mine->used = 0;
	end_change();
}

static int
size_of(const char *entry)
{
	return sizeof(TimestampTz) + strlen(entry + sizeof(TimestampTz)) + 1;
}

/* Drops the oldest messages until there is room for this many bytes. */
static void
make_room(int size)
{
	int			gone = 0;

	for (; mine->used - gone + size > KWJ_MESSAGES_SIZE; mine->dropped++)
		gone += size_of(mine->data + gone);
	mine->used -= gone;
	if (gone > 0)
		memmove(mine->data, mine->data + gone, mine->used);
}

void
kwj_messages_add(TimestampTz time, const char *message)
{
	int			length = strlen(message);
	const char *end = "";
	int			size;
	char	   *to;

	if (mine == NULL)
		return;
	if (length > KWJ_MESSAGE_LENGTH)
	{
		length = pg_mbcliplen(message, length, KWJ_MESSAGE_LENGTH - strlen(mark));
		end = mark;
	}
	size = sizeof(time) + length + strlen(end) + 1;

	begin_change();
	make_room(size);
	to = mine->data + mine->used;
	memcpy(to, &time, sizeof(time));
	memcpy(to + sizeof(time), message, length);
	strcpy(to + sizeof(time) + length, end);
	mine->used += size;
	end_change();
}

void
kwj_messages_copy(KwjMessages *to, KwjMessages *from)
{
	uint32		before;
	uint32		after;

	do
	{
		CHECK_FOR_INTERRUPTS();
		before = pg_atomic_read_u32(&from->changes);
		pg_read_barrier();
		memcpy(to, from, sizeof(*to));
		pg_read_barrier();
		after = pg_atomic_read_u32(&from->changes);
	} while (before != after || before % 2 != 0);
}

bool
kwj_messages_next(const KwjMessages *messages, int *position, TimestampTz *time,
				  const char **text)
{
	const char *entry = messages->data + *position;

	if (*position >= messages->used)
		return false;
	memcpy(time, entry, sizeof(*time));
	*text = entry + sizeof(*time);
	*position += size_of(entry);
	return true;
}
