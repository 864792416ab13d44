/*
 * src/job/transcript.c
 *	  What an attempt's statements reported: command tags and messages.
 *
 * Process: worker. Locks: none. The lines are in a memory context of their own, so that they
 * survive the end of the statements' transactions.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/transcript.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef struct Lines
{
	List	   *kept;			/* of char * */
	int64		dropped;
	const char *what;			/* the noun, singular and plural */
	const char *several;
} Lines;

static Lines tags = {.what = "statement", .several = "statements"};
static Lines messages = {.what = "message", .several = "messages"};
static Size used = 0;
static MemoryContext context = NULL;

static void
forget(Lines *lines)
{
	lines->kept = NIL;
	lines->dropped = 0;
}

void
kwj_transcript_reset(void)
{
	forget(&tags);
	forget(&messages);
	used = 0;
	if (context)
		MemoryContextReset(context);
}

static void
add(Lines *lines, const char *line)
{
	Size		size = strlen(line) + 1;
	MemoryContext caller;

	/* keep nothing after the first line that was dropped: a gap would mislead */
	if (lines->dropped > 0 || used + size > KWJ_TRANSCRIPT_LIMIT)
	{
		lines->dropped++;
		return;
	}
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "kwjobs transcript",
										ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	lines->kept = lappend(lines->kept, pstrdup(line));
	MemoryContextSwitchTo(caller);
	used += size;
}

void
kwj_transcript_add_tag(const char *tag)
{
	add(&tags, tag);
}

void
kwj_transcript_add_message(const char *message)
{
	add(&messages, message);
}

static ArrayType *
as_array(const Lines *lines)
{
	int			n = 0;
	Datum	   *values;
	ListCell   *lc;

	if (lines->kept == NIL && lines->dropped == 0)
		return NULL;
	values = palloc(sizeof(Datum) * (list_length(lines->kept) + 1));
	foreach(lc, lines->kept)
		values[n++] = CStringGetTextDatum(lfirst(lc));
	if (lines->dropped > 0)
		values[n++] = CStringGetTextDatum(psprintf("... " INT64_FORMAT " more %s",
												   lines->dropped,
												   lines->dropped == 1 ? lines->what : lines->several));
	return construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT);
}

ArrayType *
kwj_transcript_tags(void)
{
	return as_array(&tags);
}

ArrayType *
kwj_transcript_messages(void)
{
	return as_array(&messages);
}
