/*
 * src/job/transcript.c
 *	  What an attempt's statements reported: command tags and messages.
 *
 * Process: worker. Locks: none. The lines are in a memory context of their own, so that they
 * survive the end of the statements' transactions.
 *
 * Of each kind there are two lists. The first lines go into the head, until it has half of the
 * limit. Later lines go into the tail, whose oldest line makes room for each new one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/clip.h"
#include "job/messages.h"
#include "job/transcript.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

typedef struct Line
{
	TimestampTz time;			/* 0: not noted */
	char	   *text;
} Line;

typedef struct Lines
{
	const char *what;			/* the noun, singular and plural */
	const char *several;
	Size		half;			/* bytes for the head, and for the tail */
	List	   *head;			/* of Line * */
	List	   *tail;
	Size		head_size;
	Size		tail_size;
	bool		head_is_full;
	int64		dropped;		/* lines between head and tail */
} Lines;

static Lines tags = {
	.what = "statement", .several = "statements", .half = KWJ_TRANSCRIPT_TAGS / 2
};
static Lines messages = {
	.what = "message", .several = "messages", .half = KWJ_TRANSCRIPT_MESSAGES / 2
};
static MemoryContext context = NULL;

static void
forget(Lines *lines)
{
	lines->head = lines->tail = NIL;
	lines->head_size = lines->tail_size = 0;
	lines->head_is_full = false;
	lines->dropped = 0;
}

void
kwj_transcript_reset(void)
{
	forget(&tags);
	forget(&messages);
	if (context)
		MemoryContextReset(context);
}

static Size
size_of(const Line *line)
{
	return sizeof(Line) + strlen(line->text) + 1;
}

/* Drops the oldest lines of the tail until that is short enough. */
static void
shorten_tail(Lines *lines)
{
	while (lines->tail_size > lines->half)
	{
		Line	   *line = linitial(lines->tail);

		lines->tail_size -= size_of(line);
		lines->tail = list_delete_first(lines->tail);
		pfree(line->text);
		pfree(line);
		lines->dropped++;
	}
}

/* Keeps the line, which is in the context. */
static void
keep(Lines *lines, Line *line)
{
	Size		size = size_of(line);

	lines->head_is_full |= lines->head_size + size > lines->half;
	if (!lines->head_is_full)
	{
		lines->head = lappend(lines->head, line);
		lines->head_size += size;
		return;
	}
	lines->tail = lappend(lines->tail, line);
	lines->tail_size += size;
	shorten_tail(lines);
}

static void
add(Lines *lines, TimestampTz time, const char *text)
{
	const char *clipped = kwj_clip_text(text);
	MemoryContext caller;
	Line	   *line;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "kwjobs transcript",
										ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	line = palloc(sizeof(Line));
	line->time = time;
	line->text = pstrdup(clipped);
	keep(lines, line);
	MemoryContextSwitchTo(caller);
}

void
kwj_transcript_add_tag(const char *tag)
{
	add(&tags, 0, tag);
}

void
kwj_transcript_add_message(const char *message)
{
	TimestampTz now = GetCurrentTimestamp();

	add(&messages, now, message);
	kwj_messages_add(now, message);
}

char *
kwj_transcript_mark(int64 dropped, const char *what, const char *several)
{
	return psprintf("... " INT64_FORMAT " more %s", dropped, dropped == 1 ? what : several);
}

/* The texts and times of lines, as construct_array() takes them. */
typedef struct Elements
{
	Datum	   *texts;
	Datum	   *times;
	bool	   *no_time;
	int			n;
} Elements;

static void
put(Elements *elements, const char *text, TimestampTz time)
{
	elements->texts[elements->n] = CStringGetTextDatum(text);
	elements->times[elements->n] = TimestampTzGetDatum(time);
	elements->no_time[elements->n] = time == 0;
	elements->n++;
}

static void
put_all(Elements *elements, const List *lines)
{
	ListCell   *lc;

	foreach(lc, lines)
		put(elements, ((Line *) lfirst(lc))->text, ((Line *) lfirst(lc))->time);
}

/* Returns the lines, with the mark where some are missing; n is 0 if there are none. */
static Elements
elements_of(const Lines *lines)
{
	Elements	elements = {0};
	int			most = list_length(lines->head) + list_length(lines->tail) + 1;

	if (lines->head == NIL && lines->tail == NIL)
		return elements;
	elements.texts = palloc(sizeof(Datum) * most);
	elements.times = palloc(sizeof(Datum) * most);
	elements.no_time = palloc(sizeof(bool) * most);
	put_all(&elements, lines->head);
	if (lines->dropped > 0)
		put(&elements, kwj_transcript_mark(lines->dropped, lines->what, lines->several), 0);
	put_all(&elements, lines->tail);
	return elements;
}

static ArrayType *
texts_of(const Elements *elements)
{
	if (elements->n == 0)
		return NULL;
	return construct_array(elements->texts, elements->n, TEXTOID, -1, false, TYPALIGN_INT);
}

static ArrayType *
times_of(Elements *elements)
{
	int			lower_bound = 1;

	if (elements->n == 0)
		return NULL;
	return construct_md_array(elements->times, elements->no_time, 1, &elements->n, &lower_bound,
							  TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL,
							  TYPALIGN_DOUBLE);
}

KwjTranscript
kwj_transcript_read(void)
{
	Elements	of_tags = elements_of(&tags);
	Elements	of_messages = elements_of(&messages);
	KwjTranscript transcript;

	transcript.tags = texts_of(&of_tags);
	transcript.messages = texts_of(&of_messages);
	transcript.message_times = times_of(&of_messages);
	return transcript;
}
