/*
 * fuzz/target.h
 *	  What target.c uses of check.c, and what both use.
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include "statement/internal.h"

/* the longest text */
#define MAX_TEXT	65536

#define check(condition) \
	((condition) ? (void) 0 : kwj_broken(__FILE__, __LINE__, #condition))

/* One call of our code. */
typedef struct Call
{
	const char *text;
	int			length;
	int			stop;			/* where the token ends at which PostgreSQL's parser stopped */
	bool		is_statement;
	MemoryContext scratch;		/* of our code */
	MemoryContext context;		/* of raw_parser()'s caller */
	bool		found;			/* has it job statements, as far as we know? */
	List	   *trees;
	ErrorData  *error;			/* NULL if there was none */
} Call;

/* slow.c */
extern void kwj_look_for_slow_texts(const char *dictionary, int seconds, int seed);

/* target.c */
extern int	kwj_refusal(const char *text, RawParseMode mode, int *position);
pg_noreturn extern void kwj_broken(const char *file, int line, const char *condition);

/* check.c */
extern void kwj_check_tokens(const KwjSource *source);
extern int	kwj_check_stop(const char *text, int length, int position);
extern void kwj_check_statements(const KwjSource *source, const List *statements);
extern void kwj_check_accepted(const Call *call, const Call *unlimited);
extern void kwj_check_mask(const KwjSource *source, List *statements);
extern void kwj_check_answer(const Call *call);
extern char *kwj_spread_tokens(const char *text);
extern void kwj_check_spread(const Call *call, const Call *spread);
extern void kwj_check_shifted(const Call *call, const Call *shifted, int characters);

#endif
