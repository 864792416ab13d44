/*
 * fuzz/mutate.c
 *	  How libFuzzer changes a text: mostly token by token, otherwise as it likes.
 *
 * Whole tokens keep a text whole enough to get past the scanner.
 */
#include "postgres.h"

#include <stdint.h>

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "target.h"

extern size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
extern size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
									  unsigned int seed);
extern size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1,
										const uint8_t *data2, size_t size2,
										uint8_t *out, size_t max_out,
										unsigned int seed);

/* A piece of a text: [start, end) */
typedef struct Piece
{
	const char *text;
	int			start;
	int			end;
} Piece;

static uint32 state;

static int
random_below(int limit)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % limit;
}

/* The tokens of what may be a text: none if it is not. */
static KwjSource *
tokens_of(const uint8_t *data, size_t size)
{
	char	   *text;

	if (memchr(data, '\0', size) || !pg_verifymbstr((const char *) data, size, true))
		return palloc0(sizeof(KwjSource));
	text = pnstrdup((const char *) data, size);
	return kwj_scan(text, size);
}

/* A few tokens in a row. */
static Piece
random_piece(const KwjSource *source)
{
	int			first = random_below(source->ntokens);
	int			last = first + random_below(random_below(3) ? 3 : 12);
	Piece		piece = {source->text, source->tokens[first].start};

	piece.end = source->tokens[Min(last, source->ntokens - 1)].end;
	return piece;
}

/* Put one piece, or nothing, where the other one is; 0 if that is too long. */
static size_t
replace(const KwjSource *source, const Piece *old, const Piece *new, uint8_t *out,
		size_t max_size)
{
	/* In one of eight texts there is no blank, because tokens may also touch each other. */
	const char *blank = random_below(8) ? " " : "";
	char	   *text = psprintf("%.*s%s%.*s%s%s", old->start, source->text, blank,
								new->end - new->start, new->text + new->start, blank,
								source->text + old->end);
	size_t		size = strlen(text);

	if (size > max_size)
		return 0;
	memcpy(out, text, size);
	return size;
}

/* Change tokens of one text into those of another, which may be the same. */
static size_t
change_tokens(const KwjSource *source, const KwjSource *other, uint8_t *out,
			  size_t max_size)
{
	Piece		old = random_piece(source);
	Piece		new = random_piece(other);

	if (random_below(3) == 0)
		new.end = new.start;
	else if (random_below(2) == 0)
		old.end = old.start;
	return replace(source, &old, &new, out, max_size);
}

size_t
LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1,
						  const uint8_t *data2, size_t size2,
						  uint8_t *out, size_t max_out, unsigned int seed)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mutation",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	KwjSource  *source = tokens_of(data1, size1);
	KwjSource  *other = tokens_of(data2, size2);
	size_t		size = 0;

	state = seed;
	if (source->ntokens > 0 && other->ntokens > 0)
		size = change_tokens(source, other, out, max_out);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return size;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
						unsigned int seed)
{
	size_t		changed = 0;

	if (seed % 3 > 0)
		changed = LLVMFuzzerCustomCrossOver(data, size, data, size, data, max_size, seed);
	return changed > 0 ? changed : LLVMFuzzerMutate(data, size, max_size);
}
