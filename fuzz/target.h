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
	bool		is_statement;
	MemoryContext scratch;		/* of our code */
	MemoryContext trees;		/* what raw_parser()'s caller has as its context */
	ErrorData  *error;			/* NULL if there was none */
} Call;

/* target.c */
pg_noreturn extern void kwj_broken(const char *file, int line, const char *condition);

/* check.c */
extern void kwj_check_tokens(const KwjSource *source);
extern void kwj_check_statements(const KwjSource *source, const List *statements);
extern void kwj_check_mask(const KwjSource *source, List *statements);
extern void kwj_check_trees(const Call *call, List *trees);
extern void kwj_check_error(const Call *call);

#endif
